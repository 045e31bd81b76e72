"""UIDs that PS3.6 registers: of the DICOMDIR's class, and of the transfer syntaxes told apart."""

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
