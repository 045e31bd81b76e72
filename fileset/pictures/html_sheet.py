"""A contact sheet as one HTML file that needs nothing else: its pictures are in it."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Sequence
from html import escape
from importlib.resources import files
from io import BytesIO
from itertools import groupby
from string import Template
from typing import TYPE_CHECKING, Final

from fileset.pictures.tiles import Tile

if TYPE_CHECKING:
    from PIL.Image import Image

_QUALITY: Final = 85


def html_sheet(
    title: str, tiles: Sequence[Tile], shown: Callable[[Tile], Image | str], size: int
) -> Iterator[bytes]:
    """Yield the parts of the file; `shown` gives the picture of a tile, or why there is none."""
    template = (files("fileset.pictures") / "sheet.css").read_text("utf-8")
    style = Template(template).substitute(size=f"{size}px")
    yield _text(
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">\n"
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n"
        f"<body>\n<h1>{_isolated(title)}</h1>\n"
    )
    for patient, of_patient in groupby(tiles, lambda tile: tile.patient):
        yield _text(f"<h2>{_isolated(patient or 'Of no patient')}</h2>\n")
        for study, of_study in groupby(of_patient, lambda tile: tile.study):
            yield _text(f"<section>\n<h3>{_isolated(study)}</h3>\n<ul>\n")
            for tile in of_study:
                yield _text(_item(tile, shown(tile)))
            yield _text("</ul>\n</section>\n")
    yield _text("</body>\n</html>\n")


def _item(tile: Tile, shown: Image | str) -> str:
    said = " ".join(filter(None, (tile.series, tile.what)))
    if isinstance(shown, str):
        box = f"<span>{_isolated(shown)}</span>"
    else:
        data = base64.b64encode(_jpeg(shown)).decode("ascii")
        box = (
            f'<img src="data:image/jpeg;base64,{data}" width="{shown.width}" '
            f'height="{shown.height}" alt="{escape(said)}">'
        )
    return (
        f'<li><div class="box">{box}</div>\n{_isolated(tile.series)} '
        f"<small>{_isolated(tile.what)}</small></li>\n"
    )


def _jpeg(image: Image) -> bytes:
    made = BytesIO()
    image.save(made, "JPEG", quality=_QUALITY)
    return made.getvalue()


def _isolated(text: str) -> str:
    """Return text as the page has it, wherever it is written from right to left."""
    return f"<bdi>{escape(text)}</bdi>"


def _text(text: str) -> bytes:
    return text.encode("utf-8", "replace")
