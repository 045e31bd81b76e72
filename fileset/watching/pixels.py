"""Images without pixels: what a copy is that was broken off right before them."""

from __future__ import annotations

from typing import Final

from ledger.errors import InstanceError
from ledger.scanner import Wanted, scan

_IMAGE: Final = {0x00280010: "US", 0x00280100: "US"}  # Rows, Bits Allocated (PS3.3 C.7.6.3)
_PIXELS: Final = {
    0x00287FE0: "UR",  # Pixel Data Provider URL
    0x7FE00008: "OF",  # Float Pixel Data
    0x7FE00009: "OD",  # Double Float Pixel Data
    0x7FE00010: "OW",  # Pixel Data
}
_WANTED: Final = Wanted({**_IMAGE, **_PIXELS}, presence_only=tuple(_PIXELS))

REASON: Final = (
    "it may be incomplete: it has Rows or Bits Allocated and no Pixel Data; if it is meant so, "
    "`fileset quarantine retry ID` adds it"
)
"""Why such a file is not taken."""


def lacks_pixels(data: bytes) -> bool:
    """Whether the DICOM file `data` describes pixels and holds none, nor says where they are."""
    try:
        found = scan(data, _WANTED).elements
    except InstanceError:
        return False  # reading it tells what is wrong
    return not _IMAGE.keys().isdisjoint(found) and _PIXELS.keys().isdisjoint(found)
