"""The instances of a state and the records above them, as the tables and columns of a snapshot.

A state that came from a snapshot mostly differs from it in few instances. The columns of the others
are taken over as they are, without an object for each.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from ledger.events import Handle, Record, RecordRef
from projections.kept.columns import Column, extended
from projections.kept.plain import LATIN
from projections.kept.rows import RECORD_COLUMNS, ByUid, LeafRows
from projections.state.deferred import AnyDict, Deferred
from projections.state.handles import Handles, joined, runs_of, unrolled
from projections.state.hierarchy import Hierarchy
from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState


def basis(state: FileSetState) -> LeafRows | None:
    """Return the rows that `state` was read from, `None` if nothing can be taken over of them."""
    leaves = state.hierarchy.leaves
    apart = leaves.apart() if isinstance(leaves, Deferred) else None
    if apart is None or apart.gone or not isinstance(apart.known, LeafRows):
        return None
    # Of what was erased since, nothing may stay.
    is_usable = len(apart.known) > 0 and apart.known.erasures == state.erasures
    return apart.known if is_usable else None


def tree_columns(
    state: FileSetState, base: LeafRows | None
) -> tuple[dict[str, Any], dict[str, Iterable[Any]]]:
    """Return the tables and the columns of the hierarchy; those of `base` are taken over."""
    hierarchy = state.hierarchy
    records = _Records(base)
    kinds = _Table(base.kinds if base else ())
    branches = hierarchy.branches.values()
    numbers = {hierarchy.root.ref: 0} | {ref: n for n, ref in enumerate(hierarchy.branches, 1)}
    document: dict[str, Any] = {
        "branches": {
            "ref": [[branch.ref.position, branch.ref.index] for branch in branches],
            "home": [numbers[branch.home.ref] for branch in branches if branch.home],
            "record": [records.of(branch.own) for branch in branches],
        },
        "variants": _variant_rows(hierarchy, numbers, records),
    }
    new = _new_leaves(hierarchy.leaves, base)

    def kind(leaf: Leaf) -> int:
        held = leaf.kind
        return kinds.number((held.sop_class_uid, held.transfer_syntax_uid, held.placement.value))

    def digest(leaf: Leaf) -> str | None:
        return content.digest if (content := leaf.content) else None

    def size(leaf: Leaf) -> int:
        return content.size if (content := leaf.content) else 0

    values: dict[str, Callable[[Leaf], Any]] = {
        "home": lambda leaf: numbers[leaf.home.ref],
        "record": lambda leaf: records.of(leaf.record),
        "kind": kind,
        "uid": lambda leaf: leaf.uid,
        "digest": digest,
        "size": size,
        "source": lambda leaf: leaf.source,
        "adopted_as": lambda leaf: leaf.adopted_as,
        "file_id": lambda leaf: leaf.file_id,
    }
    columns: dict[str, Iterable[Any]] = {
        name: _column(base, name, value, new) for name, value in values.items()
    }
    columns["handle"] = joined(
        base.columns["handle"] if base else (), runs_of(leaf.handle for leaf in new)
    )
    columns["by_uid"] = _by_uid(base, [leaf.uid for leaf in new])
    below, columns["below"] = _below(hierarchy)
    columns.update(records.columns())
    ranks = {} if base is None else dict(base.ranks)
    for leaf in (*(leaf for _, leaf in base.made()), *new) if base else new:
        ranks.pop(leaf.handle, None)
        if leaf.rank != leaf.handle:
            ranks[leaf.handle] = leaf.rank
    document |= {
        "below": below,
        "strays": sorted(node.order for node in hierarchy.strays if isinstance(node, Leaf)),
        "tallies": _tally_rows(hierarchy, numbers),
        "ranks": sorted(map(list, ranks.items())),
        "kinds": list(kinds.rows),
        "live": _runs_of(state.live, base),
        "additions": _runs_of(state.additions, base),
        "removals": _runs_of(state.removals, base),
    }
    return document, columns


# --- instances -----------------------------------------------------------------------------------


def _new_leaves(leaves: AnyDict[Handle, Leaf], base: LeafRows | None) -> Sequence[Leaf]:
    """Return the instances that `base` lacks."""
    apart = leaves.apart() if isinstance(leaves, Deferred) and base is not None else None
    if apart is None:
        return list(leaves.values())
    return [apart.held[handle] for handle in apart.behind]


_NUMBERING: Final = frozenset({"record", "kind"})
#: Columns whose values an instance keeps as long as it is known.
_LASTING: Final = frozenset({"home", "record", "uid", "source", "adopted_as"})


def _column(
    base: LeafRows | None, name: str, value: Callable[[Leaf], Any], new: Sequence[Leaf]
) -> Iterable[Any]:
    """Return a column: of those in `base` that were made, with the values they have now."""
    if base is None:
        # Those that give numbers do so now: the tables are written with the document.
        return list(map(value, new)) if name in _NUMBERING else map(value, new)
    column: Column = base.columns[name]
    changed: dict[int, Any] = {}
    for row, leaf in base.made() if name not in _LASTING else ():
        now = value(leaf)
        if column[row] != now:
            changed[row] = now
    return extended(column, changed, list(map(value, new)))


def _by_uid(base: LeafRows | None, more: Sequence[str]) -> Iterable[int]:
    """Return the numbers of all rows by their UIDs, which are `more` of those behind `base`."""
    new = sorted(range(len(more)), key=more.__getitem__)
    if base is None:
        return new
    order, uids = base.columns["by_uid"], base.columns["uid"]
    found, start, first = array("I"), 0, len(order)
    for number in new:
        uid = more[number].encode("utf-8", "surrogatepass")
        place = bisect_right(order, uid, lo=start, key=uids.raw)
        found.extend(order[start:place])
        found.append(first + number)
        start = place
    found.extend(order[start:])
    return found


def _runs_of(leaves: AnyDict[str, Leaf], base: LeafRows | None) -> list[int]:
    """Return the handles of instances by UID, in their order, as runs."""
    apart = leaves.apart() if isinstance(leaves, Deferred) and base is not None else None
    if base is None or apart is None or not isinstance(apart.known, ByUid):
        return runs_of(leaf.handle for leaf in leaves.values())
    gone = set(map(apart.known.handle, apart.gone))
    there: Iterable[int] = apart.known.runs
    if gone:
        there = runs_of(handle for handle in unrolled(apart.known.runs) if handle not in gone)
    return joined(list(there), runs_of(apart.held[uid].handle for uid in apart.behind))


def _below(hierarchy: Hierarchy) -> tuple[list[list[int]], list[int]]:
    """Return which instances are directly below which records, and all of them as runs.

    The rows of the former have the record's number, how many of its instances are live, and how
    many numbers of the latter are about it.
    """
    rows: list[list[int]] = []
    all_runs: list[int] = []
    for number, branch in enumerate((hierarchy.root, *hierarchy.branches.values())):
        inner = branch.branches()
        if runs := _runs_below(branch, {child.order for child in inner}):
            live = branch.live - sum(child.live > 0 for child in inner)
            rows.append([number, live, len(runs)])
            all_runs += runs
    return rows, all_runs


def _runs_below(branch: Branch, records: set[int]) -> Sequence[int]:
    """Return the instances directly below a record, where its children `records` are none."""
    children = branch.children
    apart = children.apart() if isinstance(children, Deferred) else None
    if apart and isinstance(apart.known, Handles) and not (apart.gone or apart.behind or records):
        return apart.known.runs
    return runs_of(sorted(order for order in children if order not in records))


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


# --- records -------------------------------------------------------------------------------------


class _Table:
    """Rows that many refer to by their numbers: the `known` ones, and those that are met."""

    def __init__(self, known: Iterable[tuple[str, ...]] = ()) -> None:
        self.rows: dict[tuple[str, ...], int] = {}
        for row in known:
            self.number(row)

    def number(self, row: tuple[str, ...]) -> int:
        return self.rows.setdefault(row, len(self.rows))


class _Records:
    """The records by their numbers: those of `base`, and behind them others, each once."""

    def __init__(self, base: LeafRows | None) -> None:
        self._base = base
        self._first = len(base.records) if base else 0
        self._known = {made: n for n, made in base.records.made().items()} if base else {}
        self._new = _Table()

    def of(self, record: Record) -> int:
        """Return the number of a record."""
        number = self._known.get(record)
        return self._first + self._new.number(_row_of(record)) if number is None else number

    def columns(self) -> Mapping[str, Iterable[Any]]:
        """Return the columns of all that have a number."""
        found: dict[str, Iterable[Any]] = {}
        for index, name in enumerate(RECORD_COLUMNS):
            more = [row[index] for row in self._new.rows]
            column = self._base.columns[name] if self._base else None
            found[name] = more if column is None else extended(column, {}, more)
        return found


def _row_of(record: Record) -> tuple[str, ...]:
    return record.type, record.elements.decode(LATIN), record.unwritten.decode(LATIN)


def _variant_rows(
    hierarchy: Hierarchy, numbers: dict[RecordRef, int], records: _Records
) -> list[list[Any]]:
    """Return of each branch that has variants: its number, what is on the medium, and they."""
    return [
        [
            numbers[branch.ref],
            branch.on_medium and records.of(branch.on_medium),
            [[leaf.order, records.of(said)] for leaf, said in branch.variants.by_leaf.items()],
        ]
        for branch in hierarchy.varied
        if branch.variants is not None
    ]
