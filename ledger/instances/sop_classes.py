"""Which type of directory record the instances of each SOP Class have.

PS3.3 says it in Sections F.4 and F.5, type by type, and in the Media Storage SOP Classes of PS3.4
Annex I. The table was put together from:

- PS3.3 2024d to 2025a: F.5.23 PRESENTATION, F.5.40 PLAN, F.5.41 MEASUREMENT, F.5.42 SURFACE, F.5.46
  RADIOTHERAPY (the second generation of A.86.1), F.5.48 INVENTORY; C.37.1 for ANNOTATION; and the
  SOP Class UIDs of PS3.6 Table A-1.
- pydicom 3.0.2, `pydicom.fileset`: 71 classes. They are all here, with the same types.
- DCMTK (3.6.8), `dcmdata/libsrc/dcddirif.cc`: what it knows has the same types; retired classes
  (overlays, curves, look-up tables, stored print) are left out, as F.5 has no types for them now.

A class that isn't here is not known, which is not to say that it is one of images.
"""

from __future__ import annotations

from typing import Final


def _by_uid(types: dict[str, str]) -> dict[str, str]:
    """Return record types by SOP Class UID, given the UIDs' endings by record type."""
    prefix = "1.2.840.10008.5.1.4."
    return {prefix + end: name for name, ends in types.items() for end in ends.split()}


SINGLE_LEVEL_TYPES: Final[dict[str, str]] = _by_uid(
    {
        "HANGING PROTOCOL": "38.1",
        "PALETTE": "39.1",
        "IMPLANT": "43.1",
        "IMPLANT ASSY": "44.1",
        "IMPLANT GROUP": "45.1",
        "INVENTORY": "1.1.201.1",
    }
)
"""Record types that stand alone at the top of a File-set, by SOP Class UID (PS3.3 Section F.4)."""

LEAF_TYPES: Final[dict[str, str]] = _by_uid(
    {
        "IMAGE": (
            "1.1.1 1.1.1.1 1.1.1.1.1 1.1.1.2 1.1.1.2.1 1.1.1.3 1.1.1.3.1 1.1.2 1.1.2.1 1.1.2.2 "
            "1.1.3 1.1.3.1 1.1.4 1.1.4.1 1.1.4.3 1.1.4.4 1.1.5 1.1.6 1.1.6.1 1.1.6.2 1.1.6.3 1.1.7 "
            "1.1.7.1 1.1.7.2 1.1.7.3 1.1.7.4 1.1.12.1 1.1.12.1.1 1.1.12.2 1.1.12.2.1 1.1.12.3 "
            "1.1.13.1.1 1.1.13.1.2 1.1.13.1.3 1.1.13.1.4 1.1.13.1.5 1.1.14.1 1.1.14.2 1.1.20 "
            "1.1.30 "
            "1.1.66.4 1.1.66.7 1.1.66.8 1.1.77.1 1.1.77.1.1 1.1.77.1.1.1 1.1.77.1.2 1.1.77.1.2.1 "
            "1.1.77.1.3 1.1.77.1.4 1.1.77.1.4.1 1.1.77.1.5.1 1.1.77.1.5.2 1.1.77.1.5.4 "
            "1.1.77.1.5.5 "
            "1.1.77.1.5.6 1.1.77.1.5.7 1.1.77.1.5.8 1.1.77.1.6 1.1.77.1.7 1.1.77.1.8 1.1.77.1.9 "
            "1.1.77.2 1.1.81.1 1.1.82.1 1.1.128 1.1.128.1 1.1.130 1.1.481.1 1.1.481.23 1.1.481.24"
        ),
        "RT DOSE": "1.1.481.2",
        "RT STRUCTURE SET": "1.1.481.3",
        "RT PLAN": "1.1.481.5 1.1.481.8",
        "RT TREAT RECORD": "1.1.481.4 1.1.481.6 1.1.481.7 1.1.481.9",
        "RADIOTHERAPY": (
            "1.1.481.10 1.1.481.11 1.1.481.12 1.1.481.13 1.1.481.14 1.1.481.15 1.1.481.16 "
            "1.1.481.17 1.1.481.18 1.1.481.19 1.1.481.20 1.1.481.21 1.1.481.22 1.1.481.25"
        ),
        "PLAN": "34.7 34.10",
        "PRESENTATION": (
            "1.1.11.1 1.1.11.2 1.1.11.3 1.1.11.4 1.1.11.5 1.1.11.6 1.1.11.7 1.1.11.8 1.1.11.9 "
            "1.1.11.10 1.1.11.11 1.1.11.12 1.1.131"
        ),
        "WAVEFORM": (
            "1.1.9.4.1 1.1.9.1.1 1.1.9.1.2 1.1.9.1.3 1.1.9.1.4 1.1.9.2.1 1.1.9.3.1 1.1.9.5.1 "
            "1.1.9.6.1 1.1.9.4.2 1.1.9.7.1 1.1.9.7.2 1.1.9.7.3 1.1.9.7.4 1.1.9.6.2 1.1.9.8.1"
        ),
        "SR DOCUMENT": (
            "1.1.88.11 1.1.88.22 1.1.88.33 1.1.88.50 1.1.88.65 1.1.88.40 1.1.88.67 "
            "1.1.78.6 1.1.88.69 1.1.79.1 1.1.88.70 1.1.88.34 1.1.88.68 1.1.88.35 "
            "1.1.88.71 1.1.88.72 1.1.88.73 1.1.88.74 1.1.88.75 1.1.88.76 1.1.88.77"
        ),
        "KEY OBJECT DOC": "1.1.88.59",
        "ENCAP DOC": "1.1.104.1 1.1.104.2 1.1.104.3 1.1.104.4 1.1.104.5",
        "SPECTROSCOPY": "1.1.4.2",
        "RAW DATA": "1.1.66",
        "REGISTRATION": "1.1.66.1 1.1.66.3",
        "FIDUCIAL": "1.1.66.2",
        "VALUE MAP": "1.1.67",
        "STEREOMETRIC": "1.1.77.1.5.3",
        "MEASUREMENT": ("1.1.78.1 1.1.78.2 1.1.78.3 1.1.78.4 1.1.78.5 1.1.78.7 1.1.78.8 1.1.80.1"),
        "SURFACE": "1.1.66.5",
        "SURFACE SCAN": "1.1.68.1 1.1.68.2",
        "TRACT": "1.1.66.6",
        "ASSESSMENT": "1.1.90.1",
        "ANNOTATION": "1.1.91.1",
    }
)
"""Types of the record below a SERIES, by SOP Class UID."""

KNOWN_TYPES: Final[dict[str, str]] = SINGLE_LEVEL_TYPES | LEAF_TYPES
"""Types of the record that references an instance, by SOP Class UID."""
