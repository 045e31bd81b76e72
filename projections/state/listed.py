"""The instances of a DICOMDIR, all as its records list them, each made when it is asked for.

Their events are those that would be folded one by one otherwise, and the state that follows is the
same. Few instances of a DICOMDIR that is loaded are ever looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Final, NamedTuple, overload

from ledger.elements import EMPTY, Elements
from ledger.events import Content, Handle, InstanceAdded, Placement, Record, RecordRef, Variant
from projections.dicomdir.decoded_directory import DecodedRecord
from projections.dicomdir.tree import DecodedNode, Tree
from projections.state.deferred import Deferred
from projections.state.handles import Handles, runs_of
from projections.state.hierarchy import Hierarchy, leaf_of, may_stray
from projections.state.keys import record_key
from projections.state.nodes import Branch, Leaf


class Row(NamedTuple):
    """What the record that references an instance says, and the File ID it is adopted with."""

    type: str
    elements: Elements
    uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    file_id: str

    @classmethod
    def of(cls, record: DecodedRecord, file_id: str) -> Row:
        """Return the row of `record`; what it lacks is an empty text."""
        _, _, _, _, kind, elements, _, sop_class, uid, syntax, _ = record
        row = (kind or "", elements, uid or "", sop_class or "", syntax or "", file_id)
        return tuple.__new__(cls, row)  # its own constructor takes twice as long

    def added(
        self,
        under: RecordRef | None,
        new: tuple[Record, ...],
        content: Content | None = None,
        differing: tuple[Variant, ...] = (),
    ) -> InstanceAdded:
        """Return the event that adds the instance below the records `new`, which are `under` it."""
        return InstanceAdded(
            sop_instance_uid=self.uid,
            sop_class_uid=self.sop_class_uid,
            transfer_syntax_uid=self.transfer_syntax_uid,
            record=Record(self.type, self.elements),
            parents=new,
            under=under,
            content=content,
            placement=Placement.ROOT,
            file_id=self.file_id,
            differing=differing,
        )


class _Level(NamedTuple):
    """A record with instances below it: that in `row` introduces it, as number `place` of several.

    `above` is the number of the level that it is in.
    """

    record: Record
    above: int
    row: int
    place: int


_TOP: Final = _Level(Record("", EMPTY), 0, -1, 0)  # what the records at the top are in: number 0


class Listed(Sequence[InstanceAdded]):
    """The events that add the instances of a DICOMDIR, the first of which has the handle `first`.

    Attributes
    ----------
    rows : list of Row
        The instances, in the order of the tree.
    """

    def __init__(self, first: Handle) -> None:
        self.first = first
        self.rows: list[Row] = []
        self._homes: list[int] = []
        self._levels = [_TOP]

    @classmethod
    def of(cls, tree: Tree, first: Handle, *, most_above: int) -> Listed | None:
        """Return the instances of `tree`, `None` if they have to be looked at one by one.

        That is so if two are one SOP Instance, two records are of one Patient ID, or a record has
        a File ID that reads otherwise with slashes, more than `most_above` others above it, or a
        file and others below it.
        """
        listed = cls(first)
        if not listed._take(tree.roots, [], [0], most_above):
            return None
        patients = [
            (record_key(level.record) or "").strip()
            for level in listed._levels
            if level.record.type == "PATIENT"
        ]
        is_plain = len(set(patients)) == len(patients)
        return listed if is_plain and len({row.uid for row in listed.rows}) == len(listed) else None

    def _take(
        self, nodes: Sequence[DecodedNode], above: list[Record], known: list[int], most_above: int
    ) -> bool:
        """Take in `nodes` and what is below them; `False` if that is more than plain.

        `known` are the numbers of the top and of the records `above`, as far as they have one.
        """
        for node in nodes:
            record = node.record
            if not node.children:
                if components := record.file_id:
                    file_id = "/".join(components)
                    if file_id.count("/") >= len(components) or file_id.startswith("/"):
                        return False
                    for place, new in enumerate(above[len(known) - 1 :]):
                        level = _Level(new, known[-1], len(self.rows), place)
                        known.append(len(self._levels))
                        self._levels.append(level)
                    self.rows.append(Row.of(record, file_id))
                    self._homes.append(known[-1])
            elif record.file_id or len(above) == most_above:
                return False
            else:
                above.append(Record(record.type or "", record.elements))
                if not self._take(node.children, above, known, most_above):
                    return False
                above.pop()
                del known[len(above) + 1 :]
        return True

    # --- the events ------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, row: int) -> InstanceAdded: ...
    @overload
    def __getitem__(self, row: slice) -> list[InstanceAdded]: ...
    def __getitem__(self, row: int | slice) -> InstanceAdded | list[InstanceAdded]:
        if isinstance(row, slice):
            return [self[each] for each in range(*row.indices(len(self)))]
        home = self._homes[row]
        new: list[Record] = []
        while self._levels[home].row == row:
            new.insert(0, self._levels[home].record)
            home = self._levels[home].above
        under = self._ref(self._levels[home]) if home else None
        return self.rows[row].added(under, tuple(new))

    def _ref(self, level: _Level) -> RecordRef:
        return RecordRef(self.first + level.row, level.place)

    # --- what follows from them ------------------------------------------------------------------

    def fill(self, hierarchy: Hierarchy) -> Deferred[str, Leaf]:
        """Have an empty `hierarchy` as it is once all of the events are folded.

        Returns the instances by SOP Instance UID.
        """
        branches = [hierarchy.root]
        for level in self._levels[1:]:
            branches.append(Branch(level.record, self._ref(level), branches[level.above]))
        hierarchy.branches.update((branch.ref, branch) for branch in branches[1:])

        def leaf(handle: Handle, _: int) -> Leaf:
            home = branches[self._homes[handle - self.first]]
            made = leaf_of(handle, self[handle - self.first], home)
            made.rank, made.parent = handle, home
            return made

        handles = Handles(runs_of(range(self.first, self.first + len(self))))
        below: dict[Branch, list[Handle]] = {}
        for number, run in groupby(zip(self._homes, handles, strict=True), lambda pair: pair[0]):
            below.setdefault(branches[number], []).extend([handle for _, handle in run])
        strays: list[Handle] = []
        if may_stray(Elements(b"".join(row.elements for row in self.rows))):
            each = zip(handles, self.rows, strict=True)
            strays = [handle for handle, row in each if may_stray(row.elements)]
        leaves = Deferred(handles, leaf)

        def those(among: list[Handle]) -> Deferred[Handle, Leaf]:
            return Deferred(Handles(runs_of(among)), lambda handle, _: leaves[handle])

        each_below = ((branch, those(among), len(among)) for branch, among in below.items())
        hierarchy.take_in(leaves, each_below, (), strays)
        uids = _Numbers(zip((row.uid for row in self.rows), handles, strict=True))
        return Deferred(uids, lambda _, handle: leaves[handle])


class _Numbers(dict[str, int]):
    """UIDs with the handles of their instances."""

    number = dict.get
