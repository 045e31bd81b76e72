"""The rows of a snapshot: instances and records, each made when it is asked for."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from operator import attrgetter
from typing import Any, Final

from ledger.elements import Elements
from ledger.events import Content, Handle, Placement, Record
from projections.kept.columns import Column, Rows, Texts
from projections.kept.plain import LATIN
from projections.state.deferred import Deferred
from projections.state.facts import kind as kind_of
from projections.state.facts import pack, split
from projections.state.handles import Handles
from projections.state.nodes import Branch, Leaf

_NUMBERS: Final = frozenset({"home", "record", "kind", "size"})
RECORD_COLUMNS: Final = ("record_type", "elements", "unwritten")
LEAF_COLUMNS: Final = (
    "home", "record", "kind", "uid", "digest", "size", "source", "adopted_as", "file_id",
)  # fmt: skip
_SHARE: Final = 32
"""Of as many rows, looking up one by one takes as long as making a dict of all."""


class ByUid:
    """Some of the rows by their UIDs, no two of which are equal: those of `runs` of `handles`.

    `order` has the numbers of all rows by their UIDs in ascending order, and `holds` tells which
    rows are among these.
    """

    def __init__(
        self,
        handles: Handles,
        runs: Sequence[int],
        uids: Texts,
        order: Sequence[int],
        holds: Callable[[int], bool],
    ) -> None:
        if not handles.has(runs):
            raise ValueError("there are no such handles")
        self._handles, self._runs = handles, runs
        self._uids, self._order, self._holds = uids, order, holds
        self._asked = 0
        self._numbers: dict[str, int] | None = None

    def __len__(self) -> int:
        return sum(self._runs[1::2])

    def number(self, uid: str) -> int | None:
        """Return the row of the instance with `uid`, `None` if it is not among these."""
        if self._numbers is None:
            self._asked += 1
            if self._asked * _SHARE < len(self):
                return self._found(uid.encode("utf-8", "surrogatepass"))
            self._numbers = dict(self.items())
        return self._numbers.get(uid)

    def handle(self, uid: str) -> Handle:
        """Return the handle of the instance with `uid`, which is among these."""
        return self._handles[self.number(uid) or 0]

    @property
    def runs(self) -> Sequence[int]:
        """Their handles, as runs."""
        return self._runs

    def _found(self, uid: bytes) -> int | None:
        order, raw = self._order, self._uids.raw
        place = bisect_left(order, uid, key=raw)
        while place < len(order) and raw(row := order[place]) == uid:
            if self._holds(row):
                return row
            place += 1
        return None

    def _rows(self) -> Iterator[range]:
        for first, count in zip(self._runs[::2], self._runs[1::2], strict=True):
            row = self._handles.number(first) or 0
            yield range(row, row + count)

    def items(self) -> Iterator[tuple[str, int]]:
        """Yield the UIDs with their rows."""
        for rows in self._rows():
            for uid, row in zip(self._uids.between(rows.start, rows.stop), rows, strict=True):
                yield str(uid), row

    def __reversed__(self) -> Iterator[str]:
        rows = (row for rows in reversed(list(self._rows())) for row in reversed(rows))
        return map(str, map(self._uids.__getitem__, rows))


def record_of(type: str, elements: str, unwritten: str = "") -> Record:  # noqa: A002 - its fields
    return Record(type, Elements(elements.encode(LATIN)), Elements(unwritten.encode(LATIN)))


class Records:
    """The records of a snapshot by their numbers: one object for all that refer to one."""

    def __init__(self, *columns: Column) -> None:
        self._rows = Rows(*columns)
        self._made: dict[int, Record] = {}

    def made(self) -> Mapping[int, Record]:
        """Return the records that were made and are kept, by their numbers."""
        return self._made

    def __len__(self) -> int:
        return len(self._rows)

    def once(self, number: int) -> Record:
        """Return a record for one who doesn't keep it: most of instances are of one alone."""
        return self._made.get(number) or record_of(*self._rows[number])

    def __getitem__(self, number: int) -> Record:
        made = self._made.get(number)
        if made is None:
            made = self._made[number] = record_of(*self._rows[number])
        return made


class LeafRows:
    """The instances of a snapshot by their handles: each is made of its row when it is asked for.

    Attributes
    ----------
    columns : dict of str to Column
        The columns of the snapshot, those of its records, too.
    erasures : int
        How many there had been.
    """

    def __init__(
        self,
        document: dict[str, Any],
        columns: dict[str, Any],
        branches: list[Branch],
        records: Records,
    ) -> None:
        self.columns, self.records, self.erasures = columns, records, document["erasures"]
        self.handles = Handles(columns["handle"])
        self.ranks: dict[Handle, int] = dict(document["ranks"])
        self._columns: list[Column] = [columns[name] for name in LEAF_COLUMNS]
        self._rows = Rows(*self._columns)
        self._uids, self._file_ids = columns["uid"], columns["file_id"]
        self._order: Sequence[int] = columns["by_uid"]
        self.kinds: list[tuple[str, str, str]] = list(map(tuple, document["kinds"]))
        self._kinds = [(cls, syntax, Placement(placement)) for cls, syntax, placement in self.kinds]
        self._branches = branches
        self.leaves = Deferred(self, self._leaf)
        self._check(homes=branches, records=records, kinds=self._kinds)

    def _check(self, **tables: Sized) -> None:
        """Raise ValueError if a row can't be made of the columns: that must not show later."""
        for name, column in zip(LEAF_COLUMNS, self._columns, strict=True):
            is_text = isinstance(column, Texts)
            if len(column) != len(self.handles) or (column and is_text == (name in _NUMBERS)):
                raise ValueError(f"the column {name} is not what it was")
        for numbers, table in zip(self._columns, tables.values(), strict=False):
            _check_numbers(numbers, table)
        if len(self._order) != len(self.handles):
            raise ValueError("the index of the UIDs is not what it was")
        _check_numbers(self._order, self.handles)

    def number(self, handle: Handle) -> int | None:
        """Return the row of an instance, `None` if there is none such."""
        return self.handles.number(handle)

    def items(self) -> Iterable[tuple[Handle, int]]:
        """Return the handles with their rows."""
        return self.handles.items()

    def __reversed__(self) -> Iterator[Handle]:
        return reversed(self.handles)

    def __len__(self) -> int:
        return len(self.handles)

    def made(self) -> Iterator[tuple[int, Leaf]]:
        """Yield the instances that were made, with their rows."""
        apart = self.leaves.apart()
        for handle, leaf in apart.held.items() if apart else ():
            if (row := self.number(handle)) is not None:
                yield row, leaf

    def _leaf(self, handle: Handle, row: int) -> Leaf:
        home, record, kind, uid, digest, size, source, adopted_as, file_id = self._rows[row]
        sop_class, syntax, placement = self._kinds[kind]
        said = self.records.once(record)
        folder, name = (None, "") if source is None else split(source)
        branch, rank = self._branches[home], self.ranks.get(handle, handle)
        return Leaf(
            handle,
            branch,
            uid,
            kind_of(sop_class, syntax, said.type, placement),
            pack(said, Content(digest, size) if digest else None, name),
            folder,
            file_id if adopted_as == file_id else adopted_as,
            file_id,
            rank,
            parent=branch if rank or file_id is not None else None,
        )

    def home(self, handle: Handle) -> Branch | None:
        """Return the record that an instance is directly below, `None` if it isn't known."""
        row = self.handles.number(handle)
        return None if row is None else self._branches[self.columns["home"][row]]

    def below(
        self, rows: list[list[int]], all_runs: Sequence[int]
    ) -> Iterator[tuple[Branch, Deferred[Handle, Leaf], int]]:
        """Yield each record that has instances directly below it, they, and how many are live."""
        start = 0
        for number, live, size in rows:
            runs = all_runs[start : start + size]
            start += size
            if not self.handles.has(runs):
                raise ValueError("there are no such handles")
            yield self._branches[number], Deferred(Handles(runs), self._child), live

    def _child(self, handle: Handle, _: int) -> Leaf:
        return self.leaves[handle]

    def _of_row(self, _: str, row: int) -> Leaf:
        return self.leaves[self.handles[row]]

    def is_live(self, row: int) -> bool:
        """Whether the instance of a row is part of the File-set."""
        handle = self.handles[row]
        return self.ranks.get(handle, handle) != 0

    def is_addition(self, row: int) -> bool:
        """Whether it is, and not on the medium."""
        return self.is_live(row) and self._file_ids.is_missing(row)

    def is_removal(self, row: int) -> bool:
        """Whether it is on the medium, and no part of the File-set."""
        return not self.is_live(row) and not self._file_ids.is_missing(row)

    def by_uid(self, runs: list[int], holds: Callable[[int], bool]) -> Deferred[str, Leaf]:
        """Return instances by their UIDs: those given as `runs`, which are all that it `holds`."""
        known = ByUid(self.handles, runs, self._uids, self._order, holds)
        return Deferred(known, self._of_row, attrgetter("uid"))


def _check_numbers(numbers: Any, table: Sized) -> None:
    """Raise ValueError if a column of numbers names what is not in the `table`."""
    if len(numbers) and (numbers.itemsize > 4 or max(numbers) >= len(table)):
        raise ValueError("a row names what is not there")
