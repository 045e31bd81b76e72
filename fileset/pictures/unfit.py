"""What is wrong with what describes the pixels of an instance: for pictures and the viewer alike.

No library takes part in it, and each raises InstanceError with a reason that follows "it" or "its".
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from ledger.errors import InstanceError

KEYWORDS: Final[Mapping[str, str]] = {
    "rows": "Rows",
    "columns": "Columns",
    "samples": "SamplesPerPixel",
    "photometric": "PhotometricInterpretation",
    "allocated": "BitsAllocated",
    "stored": "BitsStored",
    "signed": "PixelRepresentation",
    "planar": "PlanarConfiguration",
}
"""The elements of PS3.3 Section C.7.6.3 that describe pixels, by their names here."""

_MOST_FRAMES: Final = 1_000_000


def number_of_frames(text: str) -> int:
    """Return a number of frames, at least one; refuse one that no image has."""
    text = text.strip("\0 ")
    if not text:
        return 1
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > _MOST_FRAMES:
        raise InstanceError(f"its number of frames is {text[:40]!r}")
    return max(1, int(text))


def refuse_lacking(names: Iterable[str]) -> None:
    """Refuse if there are names of what is needed and not there."""
    if lacking := ", ".join(sorted(KEYWORDS[name] for name in names)):
        raise InstanceError(f"it lacks what describes its pixels: {lacking}")


def refuse_short(size: int, needed: int, *, frames: int, rows: int, columns: int) -> None:
    """Refuse if there are fewer bytes of pixels than are needed."""
    if size < needed:
        raise InstanceError(
            f"it has {size:,} bytes of pixels, and {frames} frames of {rows} rows and {columns} "
            "columns take more"
        )
