"""A contact sheet as PNG files: pages of a grid of pictures, with text below each."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final

from fileset.pictures.fonts import Letters
from fileset.pictures.tiles import Tile

if TYPE_CHECKING:
    from PIL.Image import Image
    from PIL.ImageDraw import ImageDraw

_MOST: Final = 1 << 24  # pixels of a page, each of which takes three bytes
_ROWS: Final = 8
_GAP: Final = 12  # pixels, as all that follows
_TEXT: Final = 13
_LINE: Final = 17
_LINES: Final = 4
_HEAD: Final = 36


class Grid:
    """Draws pages of tiles."""

    def __init__(self, size: int, columns: int, fonts: Sequence[Path]) -> None:
        """Draw pictures of up to `size` pixels in so many `columns`, text in `fonts` and others.

        Raises `RefusedError` if a file is no font.
        """
        self._size, self._columns = size, columns
        self._letters = Letters(fonts, _TEXT)
        self._across, self._down = size + _GAP, size + _LINES * _LINE + _GAP + 4

    @property
    def lacking(self) -> str:
        """The characters of what was drawn that no font has."""
        return "".join(self._letters.lacking)

    def pages(self, tiles: Sequence[Tile]) -> list[Sequence[Tile]]:
        """Return the tiles of each page."""
        rows = max(min(_ROWS, _MOST // (self._columns * self._across * self._down)), 1)
        number = rows * self._columns
        return [tiles[first : first + number] for first in range(0, len(tiles), number)]

    def drawn(
        self,
        title: str,
        tiles: Sequence[Tile],
        shown: Callable[[Tile], Image | str],
        page: int,
        pages: int,
    ) -> Iterator[bytes]:
        """Yield a page as a PNG file, drawn when it is asked for."""
        from PIL import Image, ImageDraw

        columns = min(self._columns, len(tiles))
        rows = -(-len(tiles) // columns)
        size = (_GAP + columns * self._across, _HEAD + rows * self._down)
        sheet = Image.new("RGB", size, (255, 255, 255))
        draw = ImageDraw.Draw(sheet)
        head = f"{title}, page {page} of {pages}" if pages > 1 else title
        self._letters.draw(draw, (_GAP, _HEAD - _GAP), head, size[0] - 2 * _GAP)
        for index, tile in enumerate(tiles):
            row, column = divmod(index, columns)
            corner = (_GAP + column * self._across, _HEAD + row * self._down)
            self._tile(sheet, draw, corner, tile, shown(tile))
        made = BytesIO()
        sheet.save(made, "PNG")
        yield made.getvalue()

    def _tile(
        self, sheet: Image, draw: ImageDraw, corner: tuple[int, int], tile: Tile, shown: Image | str
    ) -> None:
        x, y = corner
        size = self._size
        if isinstance(shown, str):
            draw.rectangle((x, y, x + size - 1, y + size - 1), outline=(160, 160, 160))
            for number, line in enumerate(textwrap.wrap(shown, size // 8)[: size // _LINE - 1]):
                self._letters.draw(draw, (x + 8, y + 24 + number * _LINE), line, size - 16)
        else:
            draw.rectangle((x, y, x + size - 1, y + size - 1), fill=(0, 0, 0))
            sheet.paste(shown, (x + (size - shown.width) // 2, y + (size - shown.height) // 2))
        told = (tile.patient, tile.study, tile.series, tile.what)
        for number, line in enumerate(told, 1):
            self._letters.draw(draw, (x, y + size + number * _LINE), line, size)
