"""Previews of instances for the pages: JPEG, made with the extra `[pictures]`."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Final

from fileset.media.pdi.pages import Preview
from fileset.pictures import PictureError, picture
from ledger.errors import LedgerError
from projections.state.nodes import Leaf

_LONGEST: Final = 512  # pixels
_QUALITY: Final = 85


def previews(source: Callable[[Leaf], bytes | Path], tell: Callable[[Leaf, str], None]) -> Preview:
    """Return what makes previews of instances, whose file `source` gives.

    `tell` is called where there can be none, with the reason.
    """

    def preview(leaf: Leaf) -> bytes | None:
        try:
            shown = picture(source(leaf), longest=_LONGEST)
        except (LedgerError, OSError) as exc:
            tell(leaf, str(exc) if isinstance(exc, PictureError) else "it can't be read")
            return None
        made = BytesIO()
        shown.save(made, "JPEG", quality=_QUALITY)
        return made.getvalue()

    return preview
