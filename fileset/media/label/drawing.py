"""A label as a PDF file or a picture: with the extra `[media]`, and the same bytes each time."""

from __future__ import annotations

import unicodedata
from collections.abc import Container, Iterable, Iterator, Sequence
from datetime import datetime
from io import BytesIO
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Final, Self

from fileset.errors import RefusedError
from fileset.media.label.arrange import Line, Page, Square
from fileset.pictures.fonts import USUAL
from ledger.phrases import needs, some

if TYPE_CHECKING:
    from fpdf import FPDF
    from PIL.ImageFont import FreeTypeFont

_INSTALL: Final = needs("Labels need", "fpdf2, segno and uharfbuzz", "media")
_FONTS: Final = (".ttf", ".ttc", ".otf", ".otc")
_BUILT_IN: Final = "helvetica"  # that every PDF reader has
_LATIN_1: Final = frozenset((*range(0x20, 0x7F), *range(0xA0, 0x100)))
_LINE_WIDTH: Final = 0.1  # millimetres
_DOT: Final = 300 / 25.4  # of a picture, by millimetre
_GREY: Final = 160
_QUIET: Final = 4  # modules around a QR code (ISO/IEC 18004)


class Pen:
    """Measures text, and draws labels, in the fonts that it is given: a context manager."""

    def __init__(self, fonts: Sequence[Path] = ()) -> None:
        """Take the first of `fonts`, and the others for what it lacks; one of the system's if none.

        Raises `RefusedError` where the extra is missing, or a file is no font.
        """
        self._new_pdf = _needed()
        self._begun_ones: list[FPDF] = []
        self._fonts = fonts or [Path(each) for each in USUAL if Path(each).is_file()][:1]
        self._measuring = self._begun((1.0, 1.0))
        self._characters: list[Container[int]] = [
            font.cmap for font in self._measuring.fonts.values() if hasattr(font, "cmap")
        ]
        self._size = 0.0

    def __enter__(self) -> Self:
        """Begin to draw."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the fonts."""
        for pdf in self._begun_ones:
            for font in pdf.fonts.values():
                if hasattr(font, "ttfont"):
                    font.ttfont.close()

    @property
    def fonts(self) -> tuple[str, ...]:
        """The names of the fonts' files."""
        return tuple(font.name for font in self._fonts) or ("Helvetica",)

    def lacks(self, texts: Iterable[str]) -> list[str]:
        """Return the characters of `texts` that none of the fonts has, each once."""
        known = self._characters or [_LATIN_1]
        return [
            each
            for each in dict.fromkeys("".join(texts))
            if not each.isspace() and not any(ord(each) in font for font in known)
        ]

    def width(self, text: str, size: float) -> float:
        """Return how wide a text is in a size (points), in millimetres."""
        if not self._characters:  # the built-in font takes no others
            text = text.encode("latin-1", "replace").decode("latin-1")
        if size != self._size:
            self._measuring.set_font_size(size)
            self._size = size
        return float(self._measuring.get_string_width(text))

    def pdf(self, page: Page, code: str, *, title: str, created: datetime, language: str) -> bytes:
        """Return a label as a PDF file of one page, with `code` as its QR code."""
        pdf = self._begun((page.width, page.height))
        pdf.set_title(title)
        pdf.set_lang(language)
        pdf.set_creation_date(created)
        pdf.set_producer("fileset-ledger")
        pdf.add_page()
        pdf.set_draw_color(_GREY)
        pdf.set_line_width(_LINE_WIDTH)
        for radius in page.circles:
            pdf.circle(page.width / 2, page.height / 2, radius)
        pdf.set_fill_color(0)
        for module in _modules(page.code, code):
            pdf.rect(*module, style="F")
        for line in page.lines:
            self._draw_line(pdf, line)
        return bytes(pdf.output())

    def picture(self, page: Page, code: str) -> bytes:
        """Return a label as a PNG file, for robots that print no PDF.

        Raises `RefusedError` without a font's file, or if a line needs several.
        """
        from PIL import Image, ImageDraw  # noqa: PLC0415 - an extra

        image = Image.new("L", (round(page.width * _DOT), round(page.height * _DOT)), 255)
        draw = ImageDraw.Draw(image)
        for x, y, width, height in _modules(page.code, code):
            corner = (round((x + width) * _DOT) - 1, round((y + height) * _DOT) - 1)
            draw.rectangle((round(x * _DOT), round(y * _DOT), *corner), fill=0)
        for line in page.lines:
            at = (line.x * _DOT, line.y * _DOT)
            font = self._font_of(line)
            draw.text(at, line.text, fill=0, font=font, anchor="ma" if line.centred else "la")
        made = BytesIO()
        image.save(made, "PNG", dpi=(_DOT * 25.4, _DOT * 25.4))
        return made.getvalue()

    def _font_of(self, line: Line) -> FreeTypeFont:
        from PIL import ImageFont, features  # noqa: PLC0415 - an extra

        to_left = any(unicodedata.bidirectional(each) in {"R", "AL"} for each in line.text)
        if to_left and not features.check("raqm"):
            raise RefusedError(
                "Pillow can't write from right to left here, as it lacks Raqm: make a PDF."
            )
        for font, has in zip(self._fonts, self._characters, strict=True):
            if all(ord(each) in has or each.isspace() for each in line.text):
                return ImageFont.truetype(font, line.size / 72 * 25.4 * _DOT)
        raise RefusedError(
            f"A picture needs one font for all of {line.text!r}: give --font FILE with one that "
            "has its characters, or make a PDF."
        )

    def _draw_line(self, pdf: FPDF, line: Line) -> None:
        width = self.width(line.text, line.size)
        pdf.set_font_size(line.size)
        pdf.set_xy(line.x - width / 2 if line.centred else line.x, line.y)
        pdf.cell(width, line.size * 25.4 / 72 * 1.2, line.text)

    def _begun(self, size: tuple[float, float]) -> FPDF:
        pdf = self._new_pdf(unit="mm", format=size)
        self._begun_ones.append(pdf)
        pdf.set_margin(0)
        pdf.c_margin = 0
        pdf.set_auto_page_break(False)
        if not self._fonts:
            pdf.set_font(_BUILT_IN, size=10)
            return pdf
        for name, font in zip(self._names(), self._fonts, strict=True):
            _check_font(font)
            pdf.add_font(name, fname=font)
        first, *others = self._names()
        pdf.set_font(first, size=10)
        pdf.set_fallback_fonts(others)
        pdf.set_text_shaping(True)
        return pdf

    def _names(self) -> list[str]:
        return [f"font{number}" for number in range(len(self._fonts))]


def refuse_lacking(pen: Pen, texts: Iterable[str]) -> None:
    """Raise `RefusedError` if the fonts lack characters of `texts`."""
    if lacking := pen.lacks(texts):
        told = some([f"{each} (U+{ord(each):04X})" for each in lacking])
        raise RefusedError(
            f"{', '.join(pen.fonts)} can't show {told}: give --font FILE with a font that has "
            "these."
        )


def _needed() -> type[FPDF]:
    try:
        import segno  # noqa: F401, PLC0415 - whether it is there
        import uharfbuzz  # noqa: F401, PLC0415 - as above
        from fpdf import FPDF  # noqa: PLC0415 - an extra
    except ImportError:
        raise RefusedError(_INSTALL) from None
    return FPDF


def _check_font(path: Path) -> None:
    """Raise `RefusedError` if a file is no font that can be used; OSError if it can't be read."""
    from fontTools.ttLib import TTFont  # noqa: PLC0415 - comes with the extra

    with path.open("rb") as file:
        try:
            if TTFont(file, fontNumber=0).getBestCmap() and path.suffix.lower() in _FONTS:
                return
            why = "it has no Unicode characters, or another ending"
        except Exception as exc:  # noqa: BLE001 - fontTools raises many things on a damaged file
            why = str(exc)
    raise RefusedError(
        f"{path} can't be used as a font: {why}. Name a TrueType or OpenType file: "
        f"{', '.join(_FONTS)}."
    )


def _modules(square: Square, content: str) -> Iterator[tuple[float, float, float, float]]:
    """Yield the dark parts of a QR code (ISO/IEC 18004) of medium error correction.

    Each is a rectangle: left, top, width and height.
    """
    import segno  # noqa: PLC0415 - an extra

    rows = [list(row) for row in segno.make_qr(content, error="m").matrix_iter(border=_QUIET)]
    side = square.side / len(rows)
    for down, row in enumerate(rows):
        start = 0
        for dark, run in groupby(row):
            end = start + len(list(run))
            if dark:
                yield square.x + start * side, square.y + down * side, (end - start) * side, side
            start = end
