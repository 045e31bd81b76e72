"""What is left of erased events: which events erase them, and what replaces them.

An erased payload is empty, which none that was appended ever is. The tombstone, a
`PayloadErased` after it, names its position; of an event that introduced
records which others stand under, `RecordsKept` carries these on. Both come
later than the event itself, so that a journal looks them up when it meets an erased one.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

from ledger.events import Erased, Event, PayloadErased, RecordsKept

TYPES = (PayloadErased.TYPE, RecordsKept.TYPE)
"""The types of the events that erase others or carry on what they held."""


class _Runs:
    """Positions, kept as the runs that they come in, which do not overlap."""

    def __init__(self) -> None:
        self._runs: list[tuple[int, int]] = []

    def add(self, runs: Iterable[tuple[int, int]]) -> None:
        self._runs = sorted((*self._runs, *runs))

    def __contains__(self, position: int) -> bool:
        index = bisect_right(self._runs, position, key=lambda run: run[0]) - 1
        return index >= 0 and position <= self._runs[index][1]


class Erasures:
    """What the events of `TYPES` of a journal say together."""

    def __init__(self, events: Iterable[Event]) -> None:
        """Take in `events` in their order; those of other types are ignored."""
        self._positions = _Runs()
        self._adopted = _Runs()
        self._kept: dict[int, RecordsKept] = {}
        self._corrected: dict[int, tuple[int, int]] = {}
        for event in events:
            if isinstance(event, PayloadErased):
                self._positions.add(event.positions)
                self._adopted.add(event.adopted)
                self._corrected.update((each[0], each[1:]) for each in event.corrected)
            elif isinstance(event, RecordsKept):
                self._kept[event.of] = event

    def __contains__(self, position: int) -> bool:
        """Whether an event says that the payload at `position` is erased."""
        return position in self._positions

    def in_place_of(self, position: int, type_name: str) -> Erased:
        """Return what stands for the erased event of a type at `position`."""
        adopted = position in self._adopted
        replaces, stead = self._corrected.get(position, (0, 0))
        kept = self._kept.get(position)
        if kept is None:
            return Erased(type_name, adopted=adopted, replaces=replaces, stead=stead)
        return Erased(type_name, kept.parents, kept.under, adopted, replaces, stead)


def runs_of(positions: Iterable[int]) -> tuple[tuple[int, int], ...]:
    """Return `positions` in order, as runs of first and last."""
    runs: list[tuple[int, int]] = []
    for position in sorted(set(positions)):
        if runs and runs[-1][1] + 1 == position:
            runs[-1] = (runs[-1][0], position)
        else:
            runs.append((position, position))
    return tuple(runs)
