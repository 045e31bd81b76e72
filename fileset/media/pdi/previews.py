"""Previews of instances for the pages: JPEG, made with the extra `[pictures]`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from io import BytesIO
from pathlib import Path
from typing import Final

from fileset.media.pdi.pages import Preview
from fileset.pictures import PictureError, picture
from projections.state.nodes import Leaf

_LONGEST: Final = 512  # pixels
_QUALITY: Final = 85


def previews(
    place: Callable[[Leaf], AbstractContextManager[Path]], tell: Callable[[Leaf, Exception], None]
) -> Preview:
    """Return what makes previews of instances, whose file is where `place` says.

    `tell` is called where there can be none, with the reason. One that can't be read is an error as
    it is for `place`: another time there would be another medium.
    """

    def preview(leaf: Leaf) -> bytes | None:
        try:
            with place(leaf) as path:
                shown = picture(path, longest=_LONGEST)
        except PictureError as exc:
            tell(leaf, exc)
            return None
        made = BytesIO()
        shown.save(made, "JPEG", quality=_QUALITY)
        return made.getvalue()

    return preview
