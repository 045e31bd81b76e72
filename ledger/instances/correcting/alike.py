"""What was found of one instance serves those that are alike in all that a correction looks at.

The instances of a series have the same patient, study and character set, so that the same becomes
of them: only where in the file it happens differs. Looking that up takes the place of a walk. What
this changes is only how long a correction takes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Collection, Sequence
from itertools import pairwise
from typing import Final, TypeAlias

from attrs import evolve

from ledger.instances.correcting.outcome import Result
from ledger.instances.correcting.skimming import Found
from ledger.instances.correcting.splices import Piece
from ledger.instances.correcting.structure import DataSet

_MOST: Final = 256  # results that are kept
_LARGE: Final = 1 << 12  # bytes of a value that is not compared with others

_Key: TypeAlias = tuple[object, ...]
_Mark: TypeAlias = tuple[int, int]
"""An offset in a file that is like another one: which of those that they share, and bytes on."""

_Marked: TypeAlias = tuple[Result, tuple[bytes | tuple[_Mark, _Mark], ...]]


class Alike:
    """The results of a correction, by what it looks at in an instance: the `wanted` elements.

    Those are compared as they are. What comes next to their places is not, but where it is counts.
    """

    def __init__(self, wanted: Collection[int]) -> None:
        self._wanted = wanted
        self._known: dict[_Key, _Marked | None] = {}

    def seen(self, top: DataSet) -> Seen | None:
        """Return what there is to compare of an instance's data set; `None` for an unusual one."""
        found = list(top.elements(self._wanted))
        # What a group's length becomes depends on all of its elements.
        if top.has_group_lengths:
            return None
        if any(each.tag in self._wanted and each.stop - each.start > _LARGE for each in found):
            return None
        return Seen(self._known, top, found, self._wanted)


class Seen:
    """What a correction looks at in one instance; `known` are results by what was seen."""

    def __init__(
        self,
        known: dict[_Key, _Marked | None],
        top: DataSet,
        found: Sequence[Found],
        wanted: Collection[int],
    ) -> None:
        data = top.data
        self._known = known
        self._data = data
        self._marks = [top.begin]
        self._same = [False]
        """Of each of the marks, whether what follows up to the next one is the same in all."""
        key: list[object] = [top.implicit, top.big_endian]
        for tag, code, _, header, start, stop in found:
            self._marks += (header, start, stop)
            is_same = tag in wanted
            self._same += (is_same, is_same, False)
            key += (tag, code, data[header:stop] if is_same else None)
        self._marks += (top.stop, len(data))
        self._same += (False, False)
        # Elements may be next to each other in one instance, and not so in another.
        key += (before == after for before, after in pairwise(self._marks))
        self._key = tuple(key)

    def result(self) -> Result | None:
        """Return what was found of one that is alike, in the offsets of this one."""
        known = self._known.get(self._key)
        if known is None:
            return None
        result, pieces = known
        marks = self._marks
        placed = tuple(
            piece
            if isinstance(piece, bytes)
            else slice(marks[piece[0][0]] + piece[0][1], marks[piece[1][0]] + piece[1][1])
            for piece in pieces
        )
        return evolve(result, pieces=placed)

    def keep(self, result: Result) -> None:
        """Keep what was found of this instance for others."""
        if len(self._known) >= _MOST:
            self._known.clear()
        marked: list[bytes | tuple[_Mark, _Mark]] = []
        for piece in result.pieces:
            each = self._marked(piece)
            if each is None:
                return
            if isinstance(each, bytes) and marked and isinstance(marked[-1], bytes):
                marked[-1] += each
            else:
                marked.append(each)
        self._known[self._key] = evolve(result, pieces=()), tuple(marked)

    def _marked(self, piece: Piece) -> bytes | tuple[_Mark, _Mark] | None:
        if isinstance(piece, bytes):
            return piece
        start, stop = self._mark(piece.start), self._mark(piece.stop)
        if start is None or stop is None:
            return None
        if all(self._same[start[0] : stop[0] + bool(stop[1])]):
            return bytes(self._data[piece])
        return start, stop

    def _mark(self, offset: int) -> _Mark | None:
        number = bisect_right(self._marks, offset) - 1
        on = offset - self._marks[number]
        return (number, on) if not on or self._same[number] else None
