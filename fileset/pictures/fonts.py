"""Fonts for text in pictures: for each character the first font that has it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from fileset.errors import RefusedError

if TYPE_CHECKING:
    from PIL.ImageDraw import ImageDraw

USUAL: Final = (
    "/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu-sans-fonts/DejaVuSans.ttf",
    "/usr/share/fonts/dejavu/DejaVuSans.ttf",
    "/usr/share/fonts/TTF/DejaVuSans.ttf",
    "/Library/Fonts/Arial Unicode.ttf",
    "/System/Library/Fonts/Supplemental/Arial Unicode.ttf",
)
"""Where systems have a font for most alphabets; the first one that is there is taken."""

_EAST_ASIAN: Final = (
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/google-noto-sans-cjk-fonts/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/noto-cjk/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/opentype/ipafont-gothic/ipag.ttf",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
)
"""The same for what is written in Chinese, Japanese and Korean."""

_NONE: Final = "\uffff"  # a character that no font has: it is drawn as what is missing
_CUT: Final = "\u2026"


class Letters:
    """Draws lines of text in a size, with what the fonts have."""

    def __init__(self, files: Sequence[Path], size: int) -> None:
        """Take `files`, then fonts of the system, then the one that comes with Pillow.

        Raises `RefusedError` if a file is no font.
        """
        from PIL import ImageFont

        usual = [Path(found) for each in (USUAL, _EAST_ASIAN) for found in _first(each)]
        self._fonts: list[Any] = []
        for path in (*files, *usual):
            try:
                self._fonts.append(ImageFont.truetype(path, size))
            except OSError as exc:
                raise RefusedError(f"{path} is no font that can be used: {exc}.") from exc
        self._fonts.append(ImageFont.load_default(size))
        self._of: dict[str, Any] = {}
        self._missing = [bytes(font.getmask(_NONE)) for font in self._fonts]
        self.lacking: dict[str, None] = {}
        """The characters that were to be drawn and that no font has, each once."""

    def draw(self, draw: ImageDraw, at: tuple[float, float], text: str, width: float) -> None:
        """Draw a line of text, cut where it is wider than that."""
        x, y = at
        for font, run in self._runs(self._cut(text, width)):
            draw.text((x, y), run, fill=(0, 0, 0), font=font, anchor="ls")
            x += font.getlength(run)

    def _cut(self, text: str, width: float) -> str:
        if self._width(text) <= width:
            return text
        shortest, longest = 0, len(text)
        while shortest < longest:
            middle = (shortest + longest + 1) // 2
            if self._width(text[:middle].rstrip() + _CUT) <= width:
                shortest = middle
            else:
                longest = middle - 1
        return text[:shortest].rstrip() + _CUT

    def _width(self, text: str) -> float:
        return sum(float(font.getlength(run)) for font, run in self._runs(text))

    def _runs(self, text: str) -> Iterator[tuple[Any, str]]:
        """Yield pieces of text with the font that has all their characters."""
        fonts = [self._font(each) for each in text]
        for font, run in groupby(zip(fonts, text, strict=True), lambda pair: pair[0]):
            yield font, "".join(each for _, each in run)

    def _font(self, character: str) -> Any:
        """Return the font that has a character: the first one if none has."""
        if character not in self._of:
            having = (
                font
                for font, missing in zip(self._fonts, self._missing, strict=True)
                if bytes(font.getmask(character)) != missing
            )
            found = self._fonts[0] if character.isspace() else next(having, None)
            if found is None:
                self.lacking[character] = None
                found = self._fonts[0]
            self._of[character] = found
        return self._of[character]


def _first(paths: Sequence[str]) -> list[str]:
    return [path for path in paths if Path(path).is_file()][:1]
