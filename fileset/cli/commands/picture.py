"""`picture`: a contact sheet of series or instances."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from fileset.cli.command import PathType, WholeNumber, command, pass_session
from fileset.cli.matching import (
    LOAD,
    UNREADABLE,
    advice,
    parse_query,
    tell_nothing,
    unreadable_document,
    unreadable_notes,
)
from fileset.cli.moments import AT, FROM, file_set_at
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.output import Answer, Line, Span
from fileset.cli.screen.progress import bar
from fileset.cli.session import Session, absolute
from fileset.pictures.sheet import Sheet, SheetStyle, make_sheet
from fileset.pictures.tiles import EACH, Tile
from fileset.views.search import Search
from ledger.phrases import count


@command(
    "picture",
    {
        "files": "the paths of the files that were made",
        "tiles": "[{handle, sop_instance_uid, patient, study, series, what, reason, failed}], in "
        "the order of the sheet; reason is why there is no picture, or null, and failed whether "
        "there should be one",
        "lacking": "characters that no font has, in PNG files",
        **UNREADABLE,
    },
)
@click.argument("query", metavar="[KEYWORD=VALUE]...", nargs=-1)
@click.argument("out", metavar="OUT", type=PathType(dir_okay=False))
@click.option(
    "--each", type=click.Choice(EACH), default=EACH[0], show_default=True,
    help="What has a tile: a series, by its middle image, or an instance.",
)  # fmt: skip
@click.option(
    "--size", type=WholeNumber(16, 512), default=192, show_default=True, metavar="PIXELS",
    help="The most of either side of a picture.",
)  # fmt: skip
@click.option(
    "--columns", type=WholeNumber(1, 12), default=6, show_default=True, metavar="N",
    help="Tiles beside each other in a PNG file.",
)  # fmt: skip
@click.option(
    "--font", "fonts", type=PathType(exists=True, dir_okay=False), metavar="FILE", multiple=True,
    help="A TrueType or OpenType font for PNG files; the system's are used for what it lacks.",
)  # fmt: skip
@LOAD
@AT
@FROM
@click.option("--replace", is_flag=True, help="Replace a file that is there.")
@pass_session
def picture(
    session: Session,
    query: tuple[str, ...],
    out: Path,
    each: str,
    size: int,
    columns: int,
    fonts: tuple[Path, ...],
    load: bool,
    moment: str | None,
    replace: bool,
) -> Answer:
    """Make a contact sheet of the instances that have all the values, or of all.

    OUT ends in .html: one file that needs nothing else and names everything; or in .png: a picture,
    or several with numbers, as in sheet_1OF3.png. Images are shown with the window that they have
    themselves, of several frames the representative one or one a third of the way in.

    What can't be shown has a tile with the reason. If there should be a picture of it, the exit
    code is 1. It needs the extra [pictures]; nothing is recorded.
    """
    fs = file_set_at(session, moment)
    search = Search(load)
    wanted = parse_query(query)
    handles = [instance.handle for instance in search.find(fs, wanted)] if wanted else None
    session.warnings += advice(search, wanted) if wanted else []
    if handles == [] or not fs.state.live:
        none = tell_nothing(session, search, fs, wanted)
        return _answer(Sheet([]), search, [*unreadable_notes(search), none])
    style = SheetStyle(each, size, columns, [absolute(font) for font in fonts])
    with bar("Decoding") as advance:
        sheet = make_sheet(
            fs.contents, fs.state, absolute(out), handles, style, replace=replace, progress=advance
        )
    if sheet.lacking:
        session.warnings.append(
            f"No font has {sheet.lacking}: give --font FILE, or make an HTML file."
        )
    return _answer(
        sheet, search, [*unreadable_notes(search), *map(_unshown_line, sheet.unshown.items())]
    )


def _answer(sheet: Sheet, search: Search, notes: list[Line]) -> Answer:
    failed = search.unreadable or sheet.failed or not sheet.tiles
    pictures = count(len(sheet.tiles) - len(sheet.unshown), "picture")
    return Answer(
        {
            "files": [str(path) for path in sheet.files],
            "tiles": [_document(tile, sheet) for tile in sheet.tiles],
            "lacking": sheet.lacking,
            "unreadable": unreadable_document(search),
        },
        [(Span(str(path), "command"),) for path in sheet.files] + [(f"{pictures}.",)]
        if sheet.files
        else [],
        notes,
        status=INCOMPLETE if failed else OK,
    )


def _document(tile: Tile, sheet: Sheet) -> dict[str, Any]:
    return {
        "handle": tile.leaf.handle,
        "sop_instance_uid": tile.leaf.uid,
        "patient": tile.patient,
        "study": tile.study,
        "series": tile.series,
        "what": tile.what,
        "reason": sheet.unshown.get(tile),
        "failed": tile in sheet.failed,
    }


def _unshown_line(unshown: tuple[Tile, str]) -> Line:
    tile, why = unshown
    return (Span(tile.leaf.uid, "careful"), f": no picture: {why}")
