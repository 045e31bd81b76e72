"""Compressed pixels for the viewer, as pydicom's decoders give them: with the extra `[pictures]`.

What comes out may change with the version of a decoder, so it is kept.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fileset.media.viewer.native import told_of
from fileset.pictures.picture import PictureError, stored_values
from ledger.files import viewed

_MOST: Final = 1 << 26  # bytes of a frame


class Decoded:
    """The frames of an instance whose file is at `path`; PictureError if they can't be decoded."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with viewed(path) as view:
            told = told_of(view)
        first = stored_values(path, 0)
        samples = first.shape[2] if first.ndim == 3 else 1
        if first.dtype.kind not in "iu" or first.nbytes > _MOST:
            raise PictureError("numbers with a fraction, or frames of that size, are not shown")
        bits = first.dtype.itemsize * 8
        told |= {
            "rows": first.shape[0],
            "columns": first.shape[1],
            "samples": samples,
            "planar": 0,
            "allocated": bits,
            "stored": bits if samples == 3 else min(bits, told["stored"]),
            "signed": int(first.dtype.kind == "i"),
        }
        told["high"] = told["stored"] - 1
        if samples == 3:
            told["photometric"] = "RGB"
        elif told["photometric"].startswith(("RGB", "YBR")):
            raise PictureError("it has one sample of a pixel, and says that it is in colour")
        self.told: dict[str, Any] = told
        self.frames: int = told["frames"]
        self.size: int = first.nbytes

    def chunks(self, first: int, last: int) -> Iterator[bytes]:
        """Yield the bytes of the frames from `first` up to, and without, `last`."""
        for number in range(first, last):
            values = stored_values(self._path, number)
            yield values.astype(values.dtype.newbyteorder("<"), copy=False).tobytes()
