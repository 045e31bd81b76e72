"""A contact sheet: pictures of series or instances with what they are of, as HTML or as PNG files.

Images are decoded one at a time, and a page is written before the next one is begun.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from attrs import define, field, frozen

from fileset.errors import EndingError, RefusedError
from fileset.output import refuse_taken, write_together
from fileset.pictures.html_sheet import html_sheet
from fileset.pictures.picture import NoImageError, PictureError, needed, picture
from fileset.pictures.png_sheet import Grid
from fileset.pictures.tiles import EACH, Tile, tiles
from fileset.progress import Progress
from fileset.repository.contents import Contents as Files
from fileset.repository.folder import whose_folder
from ledger.errors import LedgerError
from ledger.events import Handle
from projections.state.contents import contents_of
from projections.state.search import in_order
from projections.state.state import FileSetState

if TYPE_CHECKING:
    from PIL.Image import Image

MOST: Final = 2000
"""Tiles of a contact sheet."""

_HTML: Final = (".html", ".htm")
_PNG: Final = (".png",)


@frozen
class SheetStyle:
    """How a contact sheet is to look.

    Attributes
    ----------
    each : str
        What has a tile: one of `EACH`.
    size : int
        The most pixels of either side of a picture, 16 to 512.
    columns : int
        Tiles beside each other in a PNG file, 1 to 12.
    fonts : sequence of Path
        Fonts for the text in a PNG file, before those of the system.
    """

    each: str = EACH[0]
    size: int = 192
    columns: int = 6
    fonts: Sequence[Path] = ()


@define
class Sheet:
    """A contact sheet that was made.

    Attributes
    ----------
    files : list of Path
        Where it is.
    tiles : list of Tile
        What is on it, in order.
    unshown : dict of Tile to str
        Of which there is no picture, and why.
    failed : set of Tile
        Those of them where there should be one.
    lacking : str
        Characters that none of the fonts has.
    """

    tiles: list[Tile]
    files: list[Path] = field(factory=list)
    unshown: dict[Tile, str] = field(factory=dict)
    failed: set[Tile] = field(factory=set)
    lacking: str = ""


def make_sheet(
    files: Files,
    state: FileSetState,
    out: Path,
    handles: Collection[Handle] | None = None,
    style: SheetStyle | None = None,
    *,
    replace: bool = False,
    progress: Progress | None = None,
) -> Sheet:
    """Write a contact sheet of instances of `state`, of all by default, to `out`.

    `out` ends in `.html`: one file with all that it needs; or in `.png`: as many files as it takes,
    which are then numbered. The same instances give the same bytes with the same version of Pillow
    and, for PNG files, the same fonts. What can't be shown has a tile with the reason.

    Raises `EndingError` if `out` ends otherwise; `RefusedError` if there are more tiles than
    `MOST`, if `out` is taken or can't be written, or a font is none; `PictureError` if the extra is
    missing.
    """
    style = style or SheetStyle()
    ending = out.suffix.lower()
    if ending not in {*_HTML, *_PNG}:
        raise EndingError(f"{out} is no name of a contact sheet: end it in .html or .png.")
    needed()
    sheet = Sheet(_chosen(state, handles, style))
    shown = _Shown(files, sheet, style.size, progress)
    if ending in _HTML:
        made = [(out, html_sheet(_title(state), sheet.tiles, shown, style.size))]
    else:
        grid = Grid(style.size, style.columns, style.fonts)
        pages = grid.pages(sheet.tiles)
        places = [out] if len(pages) == 1 else _numbered(out, len(pages))
        made = [
            (place, grid.drawn(_title(state), page, shown, number, len(pages)))
            for number, (place, page) in enumerate(zip(places, pages, strict=True), 1)
        ]
    for place, _ in made:
        if (whose := whose_folder(place)) is not None:
            raise RefusedError(f"{place} is in {whose}: name a file elsewhere.")
        refuse_taken(place, replace=replace)
    sheet.files = write_together(made, "contact sheet", replace=replace)
    if ending in _PNG:
        sheet.lacking = grid.lacking
    return sheet


def _chosen(
    state: FileSetState, handles: Collection[Handle] | None, style: SheetStyle
) -> list[Tile]:
    """Return the tiles; `RefusedError` if they are too many."""
    if handles is None:
        leaves = [leaf for leaf in state.hierarchy.walk_leaves() if leaf.is_live]
    else:
        leaves = in_order(state, map(state.leaf, handles))
    found = list(tiles(contents_of(leaves), style.each))
    if len(found) > MOST:
        raise RefusedError(
            f"A contact sheet has up to {MOST:,} tiles, and this would have {len(found):,}: choose "
            "fewer instances" + (", or a tile for each series." if style.each != EACH[0] else ".")
        )
    return found


def _title(state: FileSetState) -> str:
    return f"{state.identity.id or 'File-set'}, as of position {state.position}"


def _numbered(out: Path, number: int) -> list[Path]:
    return [
        out.with_name(f"{out.stem}_{page}OF{number}{out.suffix}") for page in range(1, number + 1)
    ]


@define
class _Shown:
    """Makes the pictures of tiles, one after the other, and notes which there are none of."""

    files: Files
    sheet: Sheet
    size: int
    progress: Progress | None
    done: int = 0

    def __call__(self, tile: Tile) -> Image | str:
        """Return the picture of a tile, else why there is none."""
        if self.progress is not None:
            self.progress(self.done, len(self.sheet.tiles))
        self.done += 1
        try:
            with self.files.place(tile.leaf) as path:
                found = picture(path, longest=self.size)
            factor = self.size / max(found.size)  # small ones are made larger
            width, height = (max(round(side * factor), 1) for side in found.size)
            return found if factor == 1 else found.resize((width, height))
        except NoImageError as exc:
            why = str(exc)
        except (PictureError, LedgerError) as exc:
            why = str(exc)
            self.sheet.failed.add(tile)
        except OSError as exc:
            why = f"its file can't be read: {exc.strerror or exc}"
            self.sheet.failed.add(tile)
        self.sheet.unshown[tile] = why
        return why
