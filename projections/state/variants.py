"""Values of instances that differ from those of a record above them.

Most records have no variants. Of one that has, the values of the earliest live instance stand, so
that what is written depends on the live instances alone, and on nothing that was removed.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Protocol

from ledger.events import Handle, Record
from projections.state.differences import Known


class Ranked(Protocol):
    """An instance: its handle, and its rank among those that are live, 0 if it is not."""

    order: Handle
    rank: int


class Variants:
    """The variants of one record. Most instances say what the journal holds for it: `own`.

    `leaves` yields the instances in the tree below the record.
    """

    __slots__ = ("_before", "_counts", "_first", "_leaves", "by_leaf", "own")

    def __init__(self, own: Record, leaves: Callable[[], Iterable[Ranked]]) -> None:
        self.own = own
        self.by_leaf: dict[Ranked, Record] = {}
        """What the instances say that say something else, live or not."""
        self._leaves = leaves
        self._first: Ranked | None = None
        self._counts: dict[Record, int] | None = None
        self._before: tuple[int, Known] | None = None

    def said_by(self, leaf: Ranked) -> Record:
        """Return what an instance below the record says of it."""
        return self.by_leaf.get(leaf, self.own)

    def keep(self, own: Record) -> None:
        """Have the instances that have no variant say `own` from now on."""
        self.own, self._counts, self._before = own, None, None

    def add(self, leaf: Ranked, said: Record) -> None:
        """Remember what `leaf`, which is not live yet, says."""
        self.by_leaf[leaf] = said

    def forget(self, gone: Container[Handle]) -> int:
        """Forget what the instances `gone` say, none of them live, and return how many are left."""
        self._before = None
        self.by_leaf = {leaf: said for leaf, said in self.by_leaf.items() if leaf.order not in gone}
        return len(self.by_leaf)

    @property
    def standing(self) -> Record | None:
        """What the earliest live instance says, `None` if there is none."""
        first = self.first
        return None if first is None else self.said_by(first)

    @property
    def first(self) -> Ranked | None:
        """The earliest live instance, `None` if there is none."""
        if self._first is None:
            live = (leaf for leaf in self._leaves() if leaf.rank)
            self._first = min(live, key=lambda leaf: leaf.rank, default=None)
        return self._first

    def said(self) -> Iterable[Record]:
        """Return what live instances say, each once."""
        if self._counts is None:
            self._counts = {}
            for leaf in self._leaves():
                if leaf.rank:
                    self._count(self.said_by(leaf), 1)
        return self._counts

    def known_before(self, position: int) -> Known:
        """Return what is known by the record and by instances added before `position`."""
        if self._before is None or self._before[0] != position:
            said = (said for leaf, said in self.by_leaf.items() if leaf.order < position)
            self._before = position, Known(dict.fromkeys((self.own, *said)))
        return self._before[1]

    def ranked(self, leaf: Ranked, before: int) -> None:
        """Take in that `leaf`, whose rank was `before`, has another one now."""
        if self._counts is not None:
            self._count(self.said_by(leaf), bool(leaf.rank) - bool(before))
        if leaf is self._first:
            self._first = None
        elif self._first is not None and 0 < leaf.rank < self._first.rank:
            self._first = leaf

    def _count(self, said: Record, step: int) -> None:
        counts = self._counts
        if counts is not None and step:
            counts[said] = counts.get(said, 0) + step
            if not counts[said]:
                del counts[said]
