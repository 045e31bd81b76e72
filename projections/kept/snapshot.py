"""A state as bytes and back, so that opening a File-set need not fold its whole journal.

Snapshots are disposable: any that can't be read, or was made by another version of the fold, is
as good as none. A snapshot says at which position and chain hash it was taken.

It has a column for each attribute of the instances (`projections.kept.columns`), and tables of what
many of them have in common. Handles that follow on from each other are kept as runs. An instance is
made when it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence, Sized
from itertools import groupby
from typing import Any, Final

from attrs import asdict, frozen

from ledger.digest import Digest
from ledger.elements import Elements
from ledger.events import EVENT_TYPES, Content, Handle, Placement, Record, RecordRef, WriteStarted
from projections.dicomdir.definitions import FileSetIdentity
from projections.kept.columns import Column, Texts, place_of_document, seal, unseal
from projections.medium.pending import staged
from projections.state.deferred import Deferred
from projections.state.facts import kind as kind_of
from projections.state.facts import pack, split
from projections.state.fold import VERSION
from projections.state.hierarchy import Hierarchy
from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState, Ghost, Writing, Written
from projections.state.tally import Tally
from projections.state.undo import (
    AdditionEffect,
    Effect,
    IdentityEffect,
    MembershipEffect,
    SettlementEffect,
    Undoable,
)

_LATIN: Final = "latin-1"  # maps bytes to text one to one
_POSITION: Final = re.compile(rb'\{"position": ?(\d{1,18})\b')  # what its document begins with
_MANY: Final = 1000
"""Instances from which reading whole columns costs less than reading each row."""
_NUMBERS: Final = frozenset({"home", "record", "kind", "size"})
_RECORD_COLUMNS: Final = ("record_type", "elements", "unwritten")
_LEAF_COLUMNS: Final = (
    "home", "record", "kind", "uid", "digest", "size", "source", "adopted_as", "file_id",
)  # fmt: skip


@frozen
class Snapshot:
    """A state and the chain hash (hexadecimal) of the event at its position."""

    hash: str
    state: FileSetState


def dump(state: FileSetState, chain_hash: str) -> bytes:
    """Return `state` as bytes."""
    return b"".join(pieces(state, chain_hash))


def pieces(state: FileSetState, chain_hash: str) -> Iterator[bytes | bytearray]:
    """Yield the bytes of `state`, piece by piece, which takes next to no memory."""
    document = _document(state)
    position = document.pop("position")
    columns = document.pop("leaves")
    records = [(*row, "")[:3] for row in document.pop("records")]
    for index, name in enumerate(_RECORD_COLUMNS):
        columns[name] = [row[index] for row in records]
    head = {"position": position, "version": fold_version(), "hash": chain_hash}
    return seal({**head, **document}, columns)


def is_beyond(data: bytes, position: int) -> bool:
    """Whether the snapshot in `data` was taken after `position`, without reading all of it.

    `False` also if there is none: `load` will tell.
    """
    found = _POSITION.match(data, place_of_document(data))
    return found is not None and int(found[1]) > position


def load(data: bytes) -> Snapshot | None:
    """Return the snapshot in `data`, `None` if it isn't one of this version of the fold."""
    try:
        document, columns = unseal(data)
        if document["version"] != fold_version():
            return None
        return Snapshot(document["hash"], _from_plain(document, columns))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None


def fold_version() -> list[Any]:
    """Return what tells this fold from others: its number, and the events that it knows.

    So what a later version made, of events that would be refused here, is not taken from it.
    """
    return [VERSION, *sorted([name, cls.VERSION] for name, cls in EVENT_TYPES.items())]


def to_plain(state: FileSetState) -> dict[str, Any]:
    """Return all there is to a state as lists, dicts, text and numbers."""
    document = _document(state)
    leaves = {name: list(column) for name, column in document["leaves"].items()}
    return {**document, "leaves": leaves}


def _document(state: FileSetState) -> dict[str, Any]:
    """Return the same, the columns of the instances to be gone through once."""
    for tally in state.hierarchy.root.tallies():
        tally.moved.clear()
    staged(state)  # so that the same is remembered, whatever was asked for before
    return {
        "position": state.position,
        "identity": plain(state.identity),
        "written": plain(state.written),
        "writing": plain(state.writing),
        **_tree_columns(state.hierarchy),
        "live": _runs(leaf.handle for leaf in state.live.values()),
        "additions": _runs(leaf.handle for leaf in state.additions.values()),
        "removals": _runs(leaf.handle for leaf in state.removals.values()),
        "replaced": list(state.hierarchy.replaced.items()),
        "steads": sorted(
            (order, stead, branch.ref.position, branch.ref.index)
            for branch in (state.hierarchy.root, *state.hierarchy.branches.values())
            for order, stead in branch.steads.items()
        ),
        "corrections": [[new.handle, old.handle] for new, old in state.corrections.items()],
        "undo": [_undoable_row(entry) for entry in state.history.undo],
        "redo": [_undoable_row(entry) for entry in state.history.redo],
        "tags": dict(state.tags),
        "settled": [[ref.position, ref.index, upto] for ref, upto in state.settled.items()],
        "ghosts": [[handle, g.rank, g.on_medium] for handle, g in state.ghosts.items()],
        "erasing": state.erasing,
        "erasures": state.erasures,
    }


def _from_plain(document: dict[str, Any], columns: dict[str, Column]) -> FileSetState:
    state = FileSetState()
    state.position = document["position"]
    state.identity = identity_of(document["identity"])
    if (written := document["written"]) is not None:
        state.written = Written(
            **{
                **written,
                "identity": identity_of(written["identity"]),
                "dicomdir": Digest(written["dicomdir"]) if written["dicomdir"] else None,
            }
        )
    if (writing := document["writing"]) is not None:
        event = writing["event"]
        state.writing = Writing(
            position=writing["position"],
            event=WriteStarted(**{**event, "dropped": tuple(event["dropped"])}),
            identity=identity_of(writing["identity"]),
            records=tuple((RecordRef(**ref), _record(**row)) for ref, row in writing["records"]),
        )
    rows = _fill_hierarchy(state.hierarchy, document, columns)
    uids: list[Any] = list(columns["uid"])
    for name in ("live", "additions", "removals"):
        setattr(state, name, Deferred(rows.by_uid(document[name], uids), state.leaf))
    for new, old in document["corrections"]:
        state.corrections[state.leaf(new)] = state.leaf(old)
    state.history.undo = [_undoable(row) for row in document["undo"]]
    state.history.redo = [_undoable(row) for row in document["redo"]]
    state.tags = document["tags"]
    state.settled = {RecordRef(*ref): position for *ref, position in document["settled"]}
    state.ghosts = {handle: Ghost(*standing) for handle, *standing in document["ghosts"]}
    state.erasing = document["erasing"]
    state.erasures = document["erasures"]
    return state


def plain(value: Any) -> dict[str, Any] | None:
    """Return an attrs value as dicts, lists, text and numbers, its bytes as text."""
    return None if value is None else asdict(value, value_serializer=_plain_value)


def _plain_value(_: Any, __: Any, value: Any) -> Any:
    return value.decode(_LATIN) if isinstance(value, bytes) else value


def identity_of(row: dict[str, Any]) -> FileSetIdentity:
    """Return the identity that `plain` made `row` of."""
    return FileSetIdentity(
        **{
            **row,
            "descriptor_file_id": _frozen(row["descriptor_file_id"]),
            "elements": Elements(row["elements"].encode(_LATIN)),
            "file_meta": Elements(row["file_meta"].encode(_LATIN)),
        }
    )


# --- records and instances, as columns -----------------------------------------------------------


def _tree_columns(hierarchy: Hierarchy) -> dict[str, Any]:
    records = _Table()
    kinds = _Table()
    branches = hierarchy.branches.values()
    leaves = hierarchy.leaves.values()

    def contents() -> Iterator[Content | None]:
        return (leaf.content for leaf in leaves)

    numbers = {hierarchy.root.ref: 0} | {ref: n for n, ref in enumerate(hierarchy.branches, 1)}
    return {
        "branches": {
            "ref": [[branch.ref.position, branch.ref.index] for branch in branches],
            "home": [numbers[branch.home.ref] for branch in branches if branch.home],
            "record": [records.number(_record_row(branch.own)) for branch in branches],
        },
        "variants": _variant_rows(hierarchy, numbers, records),
        "leaves": {
            "handle": _runs(hierarchy.leaves),
            "home": [numbers[leaf.home.ref] for leaf in leaves],
            "record": [records.number(_record_row(leaf.record)) for leaf in leaves],
            "kind": [
                kinds.number((kind.sop_class_uid, kind.transfer_syntax_uid, kind.placement.value))
                for kind in (leaf.kind for leaf in leaves)
            ],
            "uid": (leaf.uid for leaf in leaves),
            "digest": (content and content.digest for content in contents()),
            "size": (content.size if content else 0 for content in contents()),
            "source": (leaf.source for leaf in leaves),
            "adopted_as": (leaf.adopted_as for leaf in leaves),
            "file_id": (leaf.file_id for leaf in leaves),
        },
        "strays": sorted(node.order for node in hierarchy.strays if isinstance(node, Leaf)),
        "tallies": _tally_rows(hierarchy, numbers),
        "ranks": [[leaf.handle, leaf.rank] for leaf in leaves if leaf.rank != leaf.handle],
        "records": list(records.rows),
        "kinds": list(kinds.rows),
    }


def _tally_rows(hierarchy: Hierarchy, numbers: dict[RecordRef, int]) -> list[list[Any]]:
    """Return of each record that has instances directly below it: its number, and its tally."""
    rows = []
    for ref, number in numbers.items():
        branch = hierarchy.branches.get(ref, hierarchy.root)
        tally = branch.tally
        if tally.kinds:
            kinds = dict(sorted(tally.kinds.items()))
            counts = (tally.on_medium, tally.adopted, tally.misnamed)
            rows.append([number, kinds, *counts, tally.moved])
    return rows


class _Table:
    """Rows that many refer to by their numbers."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, ...], int] = {}

    def number(self, row: tuple[str, ...]) -> int:
        return self.rows.setdefault(row, len(self.rows))


def _record(type: str, elements: str, unwritten: str = "") -> Record:  # noqa: A002 - its fields
    return Record(type, Elements(elements.encode(_LATIN)), Elements(unwritten.encode(_LATIN)))


def _variant_rows(
    hierarchy: Hierarchy, numbers: dict[RecordRef, int], records: _Table
) -> list[list[Any]]:
    """Return of each branch that has variants: its number, what is on the medium, and they."""
    return [
        [
            numbers[branch.ref],
            branch.on_medium and records.number(_record_row(branch.on_medium)),
            [
                [leaf.order, records.number(_record_row(said))]
                for leaf, said in branch.variants.by_leaf.items()
            ],
        ]
        for branch in hierarchy.varied
        if branch.variants is not None
    ]


def _record_row(record: Record) -> tuple[str, ...]:
    written = record.type, record.elements.decode(_LATIN)
    return (*written, record.unwritten.decode(_LATIN)) if record.unwritten else written


def _fill_hierarchy(
    hierarchy: Hierarchy, document: dict[str, Any], columns: dict[str, Column]
) -> _LeafRows:
    records = _Records(*(columns[name] for name in _RECORD_COLUMNS))
    branches = [hierarchy.root]
    rows = document["branches"]
    for ref, home, record in zip(rows["ref"], rows["home"], rows["record"], strict=True):
        branch = Branch(records[record], RecordRef(*ref), branches[home])
        branches.append(branch)
        hierarchy.branches[branch.ref] = branch
    leaves = _LeafRows(document, columns, branches, records)
    for handle, replaced in document["replaced"]:
        hierarchy.succeed(handle, replaced)
    for order, stead, *ref in document["steads"]:
        hierarchy.branches.get(RecordRef(*ref), hierarchy.root).steads[order] = stead
    hierarchy.take_in(
        Deferred(leaves.row_of.items(), leaves.leaf),
        leaves.in_tree(),
        (handle for handle, rank in leaves.ranks.items() if not rank),
        document["strays"],
    )
    for number, on_medium, variants in document["variants"]:
        branch = branches[number]
        branch.on_medium = None if on_medium is None else records[on_medium]
        for handle, said in variants:
            hierarchy.vary(branch, hierarchy.leaves[handle], records[said])
    for number, *counts in document["tallies"]:
        branches[number].tally = Tally(*counts)
    return leaves


class _Records:
    """The records of a snapshot by their numbers: one object for all that refer to one."""

    def __init__(self, *columns: Column) -> None:
        self._columns: Sequence[Sequence[Any]] = columns
        self._made: dict[int, Record] = {}

    def __len__(self) -> int:
        return min(map(len, self._columns))

    def unpack(self) -> None:
        """Make reading rows faster, at the price of reading all once."""
        self._columns = [list(column) for column in self._columns]

    def __getitem__(self, number: int) -> Record:
        made = self._made.get(number)
        if made is None:
            row: list[Any] = [column[number] for column in self._columns]
            made = self._made[number] = _record(*row)
        return made


class _LeafRows:
    """The instances of a snapshot: each is made of its row when it is asked for."""

    def __init__(
        self,
        document: dict[str, Any],
        columns: dict[str, Any],
        branches: list[Branch],
        records: _Records,
    ) -> None:
        self._handles = list(_unrolled(columns["handle"]))
        self.row_of = dict(zip(self._handles, range(len(self._handles)), strict=True))
        self.ranks: dict[Handle, int] = dict(document["ranks"])
        self._columns: list[Sequence[Any]] = [columns[name] for name in _LEAF_COLUMNS]
        self._kinds = [
            (cls, syntax, Placement(placement)) for cls, syntax, placement in document["kinds"]
        ]
        self._branches, self._records = branches, records
        self._made: dict[int, Leaf] = {}
        self._check(homes=branches, records=records, kinds=self._kinds)

    def _check(self, **tables: Sized) -> None:
        """Raise ValueError if a row can't be made of the columns: that must not show later."""
        for name, column in zip(_LEAF_COLUMNS, self._columns, strict=True):
            is_text = isinstance(column, Texts)
            if len(column) != len(self._handles) or (column and is_text == (name in _NUMBERS)):
                raise ValueError(f"the column {name} is not what it was")
        for numbers, table in zip(self._columns, tables.values(), strict=False):
            if numbers and not 0 <= min(numbers) <= max(numbers) < len(table):
                raise ValueError("a row names what is not there")

    def leaf(self, row: int) -> Leaf:
        """Return the instance of a row."""
        made = self._made.get(row)
        if made is None:
            # Atomic: two threads that look at a state at once get the same instance.
            made = self._made.setdefault(row, self._leaf(row))
        return made

    def _leaf(self, row: int) -> Leaf:
        if len(self._made) == _MANY:
            self._columns = [list(column) for column in self._columns]
            self._records.unpack()
        handle = self._handles[row]
        home, record, kind, uid, digest, size, source, adopted_as, file_id = [
            column[row] for column in self._columns
        ]
        sop_class, syntax, placement = self._kinds[kind]
        said = self._records[record]
        branch, rank = self._branches[home], self.ranks.get(handle, handle)
        folder, name = (None, "") if source is None else split(source)
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

    def in_tree(self) -> dict[Branch, list[Handle]]:
        """Return the instances in the tree by the record that they are directly below."""
        homes, file_ids = self._columns[0], self._columns[-1]
        outside = {
            handle
            for handle, rank in self.ranks.items()
            if not rank and file_ids[self.row_of[handle]] is None
        }
        found: dict[Branch, list[Handle]] = {}
        for home, rows in groupby(self.row_of.values(), homes.__getitem__):
            handles = [self._handles[row] for row in rows]
            if outside:
                handles = [handle for handle in handles if handle not in outside]
            if handles:
                found.setdefault(self._branches[home], []).extend(handles)
        return found

    def by_uid(self, runs: list[int], uids: Sequence[str]) -> Iterator[tuple[str, Handle]]:
        """Return instances, which are given as runs, with their UIDs."""
        handles = list(_unrolled(runs))
        rows = map(self.row_of.__getitem__, handles)
        return zip(map(uids.__getitem__, rows), handles, strict=True)


def _runs(handles: Iterable[Handle]) -> list[int]:
    """Return `handles` as runs: the first of each and how many there are, one after the other."""
    runs: list[int] = []
    next_one = None
    for handle in handles:
        if handle == next_one:
            runs[-1] += 1
        else:
            runs += (handle, 1)
        next_one = handle + 1
    return runs


def _unrolled(runs: list[int]) -> Iterator[Handle]:
    for first, count in zip(runs[::2], runs[1::2], strict=True):
        yield from range(first, first + count)


# --- undo and redo, as rows ----------------------------------------------------------------------


def _undoable_row(entry: Undoable) -> list[Any]:
    return [entry.change, [_effect_row(effect) for effect in entry.effects]]


def _effect_row(effect: Effect) -> list[Any]:
    if isinstance(effect, SettlementEffect):
        return [[effect.record.position, effect.record.index], effect.before, effect.after]
    return list(effect)


def _undoable(row: list[Any]) -> Undoable:
    change, effects = row
    return Undoable(change, [_effect(*values) for values in effects])


def _effect(what: Any, *values: Any) -> Effect:
    if isinstance(what, str):
        return IdentityEffect(what, *map(_frozen, values))
    if isinstance(what, list):
        return SettlementEffect(RecordRef(*what), *values)
    return AdditionEffect(what, *values) if len(values) == 1 else MembershipEffect(what, *values)


def _frozen(value: Any) -> Any:
    """Return a field's value as an identity holds it: descriptor components are a tuple."""
    return tuple(value) if isinstance(value, list) else value
