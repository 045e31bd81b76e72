"""Previews of instances for the pages: JPEG, made with the extra `[pictures]`."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Final

from fileset.media.pdi.pages import Preview
from fileset.pictures import PictureError, picture
from projections.state.nodes import Leaf

_LONGEST: Final = 512  # pixels
_QUALITY: Final = 85


def previews(source: Callable[[Leaf], bytes | Path], tell: Callable[[Leaf, str], None]) -> Preview:
    """Return what makes previews of instances, whose file `source` gives.

    `tell` is called where there can be none, with the reason. One that can't be read is an error as
    it is for `source`: another time there would be another medium.
    """

    def preview(leaf: Leaf) -> bytes | None:
        try:
            shown = picture(source(leaf), longest=_LONGEST)
        except PictureError as exc:
            tell(leaf, str(exc))
            return None
        made = BytesIO()
        shown.save(made, "JPEG", quality=_QUALITY)
        return made.getvalue()

    return preview
