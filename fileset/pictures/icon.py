"""The icon of an instance: a small square picture in grey, for its directory record."""

from __future__ import annotations

from fileset.pictures.picture import Source, needed, picture


def icon(source: Source, size: int) -> bytes:
    """Return the grey tones of an icon of `size` rows and columns, a byte each (PS3.3 Section F.7).

    The frame that stands for the others is fitted into it, on black. Raises as `picture`.
    """
    needed()
    from PIL import ImageOps

    return ImageOps.pad(picture(source).convert("L"), (size, size)).tobytes()
