"""UIDs that PS3.6 registers: of the DICOMDIR's class, and of the transfer syntaxes."""

from __future__ import annotations

from typing import Final

MEDIA_STORAGE_DIRECTORY: Final = "1.2.840.10008.1.3.10"
"""The SOP Class of a DICOMDIR."""

IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
DEFLATED: Final = frozenset(
    ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205")
)
"""Transfer syntaxes whose data set is one deflated stream (PS3.5 Section A.5)."""

_ENDINGS: Final = (
    "20 2 2.1 2.1.98 2.1.99 2.2 2.4.50 2.4.51 2.4.52 2.4.53 2.4.54 2.4.55 2.4.56 2.4.57 2.4.58 "
    "2.4.59 2.4.60 2.4.61 2.4.62 2.4.63 2.4.64 2.4.65 2.4.66 2.4.70 2.4.80 2.4.81 2.4.90 2.4.91 "
    "2.4.92 2.4.93 2.4.94 2.4.95 2.4.100 2.4.100.1 2.4.101 2.4.101.1 2.4.102 2.4.102.1 2.4.103 "
    "2.4.103.1 2.4.104 2.4.104.1 2.4.105 2.4.105.1 2.4.106 2.4.106.1 2.4.107 2.4.108 2.4.110 "
    "2.4.111 2.4.112 2.4.201 2.4.202 2.4.203 2.4.204 2.4.205 2.5 2.6.1 2.6.2 2.7.1 2.7.2 2.7.3 "
    "2.8.1"
)
TRANSFER_SYNTAXES: Final = frozenset(f"1.2.840.10008.1.{end}" for end in _ENDINGS.split())
"""All transfer syntaxes of PS3.6 Table A-1 (2025a), retired ones too."""
