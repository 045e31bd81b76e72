"""A text graph beside the lines of a log: which of them take back or do again which others.

Each change that another one names has a lane, a line from it to those that name it:

    ╭──●  c1  1 instance added
    │╭─○  c2  1 instance removed
    │╰─↶  c3  undid c2
    ╰──↶  ...
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import frozen

_LANES: Final = 12  # beyond which no more are drawn: nobody could follow them

# By whether a line goes on above, below, to the left and to the right.
_PARTS: Final = {
    (False, False, False, False): " ",
    (True, True, False, False): "│",
    (False, False, True, True): "─",
    (True, True, False, True): "├",
    (True, True, True, True): "┼",
    (False, True, False, True): "╭",
    (True, False, False, True): "╰",
    (False, True, True, True): "┬",
    (True, False, True, True): "┴",
}
_PLAIN: Final = str.maketrans("│─├┼╭╰┬┴●○·↶↷", "|-++++++*o.<>")


@frozen
class Row:
    """A line of the log: its `symbol`, its own change, and the changes that it names."""

    symbol: str
    change: str
    names: tuple[str, ...] = ()


def draw(rows: Sequence[Row], *, plain: bool = False) -> list[str]:
    """Return what stands before each line, all as wide; `plain` for ASCII alone."""
    lanes = _lanes(rows)
    width = max((lane.number for lane in lanes), default=-1) + 1
    beginning: dict[int, list[_Lane]] = {}
    for lane in lanes:
        beginning.setdefault(lane.first, []).append(lane)
    here: list[_Lane] = []
    drawn = []
    for index, row in enumerate(rows):
        cells = [" "] * width
        here = [*(lane for lane in here if lane.last >= index), *beginning.get(index, ())]
        leftmost = min((lane.number for lane in here if index in lane.rows), default=width)
        for number in range(leftmost + 1, width):
            cells[number] = "─"
        for lane in here:
            passed = lane.number > leftmost
            cells[lane.number] = _PARTS[
                lane.first < index, index < lane.last, passed, passed or lane.number == leftmost
            ]
        line = "─" if leftmost < width else " "
        drawn.append("".join(cells) + (line if width else "") + row.symbol)
    return [text.translate(_PLAIN) for text in drawn] if plain else drawn


@frozen
class _Lane:
    """The line of a change: the rows it begins and ends at, and those it stops at."""

    number: int
    first: int
    last: int
    rows: frozenset[int]


def _lanes(rows: Sequence[Row]) -> list[_Lane]:
    """Return the lanes, each the leftmost that is free over its whole length."""
    stops: dict[str, list[int]] = {}
    for index, row in enumerate(rows):
        for change in dict.fromkeys((row.change, *row.names)):
            stops.setdefault(change, []).append(index)
    lanes: list[_Lane] = []
    ends = [-1] * _LANES
    for found in sorted(found for found in stops.values() if len(found) > 1):
        first, last = found[0], found[-1]
        number = next((n for n, end in enumerate(ends) if end < first), None)
        if number is not None:
            ends[number] = last
            lanes.append(_Lane(number, first, last, frozenset(found)))
    return lanes
