"""Arranging a label on a disc, a card or a sheet: what goes where, and how large.

Text shrinks until it fits, is then broken into lines, and studies that find no room are counted.
All lengths are in millimetres from the upper left corner, and sizes of text in points.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from attrs import evolve, frozen

from fileset.media.label.text import Label

HOLES: Final = (46, 22)
"""The diameters within which discs are not printed: of most, and of those printed to the hub."""

_POINT: Final = 25.4 / 72
_LINE: Final = 1.2  # heights of a line, in sizes of its text
_DISC: Final = 120.0
_EDGE: Final = 2.0  # that printers leave at the edge of a disc
_SCALES: Final = (1.0, 0.9, 0.8, 0.7)
_LEAST: Final = 5.0  # points that text has before it is scaled
_SMALLER: Final = 0.75  # of its size a text may become before it is broken into lines
_DOTS: Final = "..."  # where text had to be cut

Width = Callable[[str, float], float]
"""Returns how wide a text is in a size."""

Room = Callable[[float, float], float]
"""Returns the width that there is between two heights, in all of it."""


@frozen
class Line:
    """A line of text: its middle or left edge, its top, and its size."""

    text: str
    x: float
    y: float
    size: float
    centred: bool = True


@frozen
class Square:
    """Where the QR code goes, the quiet zone around it included."""

    x: float
    y: float
    side: float


@frozen
class Page:
    """A label, ready to be drawn; `circles` are radii around the middle."""

    width: float
    height: float
    lines: tuple[Line, ...]
    code: Square
    circles: tuple[float, ...] = ()


@frozen
class _Wish:
    """A text, its size, the smallest one, and how many lines it may have."""

    text: str
    size: float
    least: float = _LEAST
    lines: int = 2


@frozen
class _Column:
    """A part of a page: text goes from `top` to `bottom`, around or to the right of `x`.

    `sinks` if what room is left is shared by what is above and below.
    """

    x: float
    top: float
    bottom: float
    room: Room
    centred: bool = True
    sinks: bool = False


def arrange(label: Label, form: str, width: Width, hole: int = HOLES[0]) -> Page:
    """Return a label on a "disc", a "card" (85 x 54 mm) or a "sheet" (A4)."""
    if form == "disc":
        return _disc(label, width, hole / 2)
    return _card(label, width) if form == "card" else _sheet(label, width)


def _disc(label: Label, width: Width, inner: float) -> Page:
    middle = _DISC / 2
    outer = middle - _EDGE
    inner += 1

    def chord(top: float, bottom: float) -> float:
        far = max(abs(top - middle), abs(bottom - middle))
        return 2 * math.sqrt(max(outer * outer - far * far, 0))

    def beside(top: float, bottom: float) -> float:
        return chord(top, bottom) / 2 - inner - 1

    side = 25.0
    beyond = max(inner, side / 2 + 1)  # the hole, and the code beside it
    upper = _Column(middle, middle - outer + 3, middle - beyond, chord, sinks=True)
    lower = _Column(middle, middle + beyond, middle + outer - 3, chord)
    left = _Column(
        middle - inner - 1 - beside(middle - 9, middle + 9) / 2, middle - 9, middle + 9, beside,
        sinks=True,
    )  # fmt: skip
    lines = [
        *_placed(_about_patient(label, 14), upper, width),
        *_placed([_Wish(label.kind, 9, lines=3), _Wish(label.volume, 9, lines=3)], left, width),
        *_with_studies(
            label,
            lower,
            width,
            before=[_Wish(label.institution, 9), _Wish(label.note, 9)],
            after=_facts(label, 6.5),
        ),
    ]
    code = Square(middle + inner, middle - side / 2, side)
    return Page(_DISC, _DISC, tuple(lines), code, (middle, inner - 1))


def _card(label: Label, width: Width) -> Page:
    wide, high, edge, side = 85.0, 54.0, 3.0, 24.0
    beside = wide - 2 * edge - side - 1
    upper = _Column(edge, edge, 31, lambda _, __: beside, centred=False)
    right = _Column(wide - edge - side / 2, edge + side, 36, lambda _, __: side)
    lower = _Column(edge, 36, high - edge, lambda _, __: wide - 2 * edge, centred=False)
    lines = [
        *_placed(
            [_Wish(label.institution, 8), *_about_patient(label, 11), _Wish(label.note, 8)],
            upper, width,
        ),
        *_placed([_Wish(label.kind, 7), _Wish(label.volume, 7)], right, width),
        *_with_studies(label, lower, width, before=[], after=_facts(label, 5.5)),
    ]  # fmt: skip
    return Page(wide, high, tuple(lines), Square(wide - edge - side, edge, side))


def _sheet(label: Label, width: Width) -> Page:
    wide, high, edge, side = 210.0, 297.0, 20.0, 40.0
    beside = wide - 2 * edge - side - 5
    upper = _Column(edge, edge, edge + 90, lambda _, __: beside, centred=False)
    lines = _placed(
        [
            _Wish(label.institution, 12), *_about_patient(label, 16), _Wish(label.recipient, 12),
            _Wish(label.note, 12), _Wish(label.kind, 12), _Wish(label.volume, 12),
        ],
        upper, width,
    )  # fmt: skip
    top = max(edge + side, *(line.y + _high(line.size) for line in lines)) + 8
    lower = _Column(edge, top, high - edge, lambda _, __: wide - 2 * edge, centred=False)
    lines += _with_studies(
        label, lower, width,
        size=11, before=[], after=[*_facts(label, 10), _Wish(label.hint, 10, lines=3)],
    )  # fmt: skip
    return Page(wide, high, tuple(lines), Square(wide - edge - side, edge, side))


def _about_patient(label: Label, size: float) -> list[_Wish]:
    name, *rest = label.patient or ("",)
    return [_Wish(name, size, lines=4), *(_Wish(text, size * 0.65) for text in rest)]


def _facts(label: Label, size: float) -> list[_Wish]:
    return [_Wish(text, size, 4.5) for text in label.facts]


def _with_studies(
    label: Label,
    column: _Column,
    width: Width,
    *,
    before: list[_Wish],
    after: list[_Wish],
    size: float = 8.5,
) -> list[Line]:
    """Return lines that name as many studies as there is room for, and count the others."""
    lines_at_most = int((column.bottom - column.top) / _high(_LEAST * _SCALES[-1]))
    for named in range(min(len(label.studies), lines_at_most), -1, -1):
        studies = list(label.studies[:named])
        if named < len(label.studies):
            studies.append(label.others(len(label.studies) - named))
        wishes = [*before, *(_Wish(text, size) for text in studies), *after]
        for scale in _SCALES:
            lines, fits = _try(wishes, column, width, scale)
            if fits:
                return lines
    return _placed([*before, *after], column, width)


def _placed(wishes: Sequence[_Wish], column: _Column, width: Width) -> list[Line]:
    """Return the lines of all wishes, as small as they have to be."""
    for scale in (*_SCALES, 0.6, 0.5, 0.4):
        lines, fits = _try(wishes, column, width, scale)
        if fits:
            break
    return lines


def _try(
    wishes: Sequence[_Wish], column: _Column, width: Width, scale: float
) -> tuple[list[Line], bool]:
    """Return the lines of the wishes in a scale, and whether they fit."""
    lines, end = _from(column.top, wishes, column, width, scale)
    spare = column.bottom - end
    if column.sinks and spare > 0:  # there is more width further down
        lower, end = _from(column.top + spare / 2, wishes, column, width, scale)
        if end <= column.bottom:
            return lower, True
        lines = [evolve(line, y=line.y + spare / 2) for line in lines]
    return lines, spare >= 0


def _from(
    at: float, wishes: Sequence[_Wish], column: _Column, width: Width, scale: float
) -> tuple[list[Line], float]:
    """Return the lines of the wishes from a height on, and where they end."""
    lines: list[Line] = []
    for wish in wishes:
        size, texts = _broken(wish, at, column, width, scale)
        for text in texts:
            lines.append(Line(text, column.x, at, size, column.centred))
            at += _high(size)
    return lines, at


def _broken(
    wish: _Wish, at: float, column: _Column, width: Width, scale: float
) -> tuple[float, list[str]]:
    """Return the size of a wish and its lines: one that is a little smaller, or several."""
    least = wish.least * scale
    sizes = [*_down(max(wish.size * scale, least), least)]
    for size in sizes:
        if size < sizes[0] * _SMALLER:
            break
        if width(wish.text, size) <= _room(at, size, 1, column):
            return size, [wish.text] if wish.text else []
    for size in sizes:
        if size > sizes[0] * _SMALLER and size > least:
            continue
        lines, whole = _lines(wish, at, column, width, size)
        if whole:
            break
    return size, lines


def _down(size: float, least: float) -> Iterator[float]:
    while size > least:
        yield size
        size -= 0.5
    yield least


def _lines(
    wish: _Wish, at: float, column: _Column, width: Width, size: float
) -> tuple[list[str], bool]:
    """Return a text in as many lines as it may have, and whether that was enough."""
    lines: list[str] = []
    rest = wish.text
    while rest:
        room = _room(at, size, len(lines) + 1, column)
        line, rest = _first_line(rest, room, size, width)
        if rest and len(lines) + 1 == wish.lines:
            end = _longest(line, room - width(_DOTS, size), size, width)
            return [*lines, end + _DOTS], False
        lines.append(line)
    return lines, True


def _high(size: float) -> float:
    return size * _POINT * _LINE


def _room(at: float, size: float, number: int, column: _Column) -> float:
    """Return how wide the line of that number may be, of those that begin `at` a height."""
    high = _high(size)
    return column.room(at + high * (number - 1), at + high * number)


def _first_line(text: str, room: float, size: float, width: Width) -> tuple[str, str]:
    """Return what of a text goes on a line, up to a blank if there is one, and what is left."""
    if width(text, size) <= room:
        return text, ""
    end = len(_longest(text, room, size, width))
    blank = text.rfind(" ", 1, end + 1)
    end = blank if blank > 0 else max(end, 1)
    return text[:end].rstrip(), text[end:].lstrip()


def _longest(text: str, room: float, size: float, width: Width) -> str:
    """Return the longest beginning of a text that is no wider than `room`."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if width(text[:middle], size) <= room:
            low = middle
        else:
            high = middle - 1
    return text[:low]
