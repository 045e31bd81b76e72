"""A state as bytes and back, so that opening a File-set need not fold its whole journal.

Snapshots are disposable: any that can't be read, or was made by another version of the fold, is
as good as none. A snapshot says at which position and chain hash it was taken.

It has a column for each attribute of the instances (`projections.kept.columns`), and tables of what
many of them have in common. Handles that follow on from each other are kept as runs. An instance is
made when it is asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

from attrs import frozen

from ledger.digest import Digest
from ledger.events import RecordRef, WriteStarted
from projections.kept.columns import Column, Piece, place_of_document, seal, unseal
from projections.kept.plain import frozen_value, identity_of, plain
from projections.kept.rows import RECORD_COLUMNS, LeafRows, Records, record_of
from projections.kept.tree import basis, tree_columns
from projections.medium.pending import staged
from projections.state.hierarchy import Hierarchy
from projections.state.nodes import Branch
from projections.state.recorded import RecordedElements
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
from projections.state.version import fold_version

_POSITION: Final = re.compile(rb'\{"position": ?(\d{1,18})\b')  # what its document begins with


@frozen
class Snapshot:
    """A state and the chain hash (hexadecimal) of the event at its position."""

    hash: str
    state: FileSetState


def dump(state: FileSetState, chain_hash: str) -> bytes:
    """Return `state` as bytes."""
    return b"".join(pieces(state, chain_hash))


def pieces(state: FileSetState, chain_hash: str) -> Iterator[Piece]:
    """Yield the bytes of `state`, piece by piece, which takes next to no memory."""
    base = basis(state)
    if base is None:
        _remember(state)
    else:
        staged(state)
    document, columns = _plain(state, base)
    head = {"position": state.position, "version": fold_version(), "hash": chain_hash}
    yield from seal({**head, **document}, columns)


def is_cheap(state: FileSetState) -> bool:
    """Whether `dump` takes over most of what `state` was read from."""
    return basis(state) is not None


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


def to_plain(state: FileSetState) -> dict[str, Any]:
    """Return all there is to a state as lists, dicts, text and numbers: the same of equal ones."""
    _remember(state)
    document, columns = _plain(state, None)
    return {
        "position": state.position,
        **document,
        "columns": {k: list(v) for k, v in columns.items()},
    }


def _remember(state: FileSetState) -> None:
    """Have the same remembered with a state, whatever was asked for before."""
    for tally in state.hierarchy.root.tallies():
        tally.moved.clear()
    staged(state)


def _plain(
    state: FileSetState, base: LeafRows | None
) -> tuple[dict[str, Any], dict[str, Iterable[Any]]]:
    """Return a state as a document and columns, what it still has of `base` taken over."""
    tables, columns = tree_columns(state, base)
    document = {
        "identity": plain(state.identity),
        "written": plain(state.written),
        "writing": plain(state.writing),
        **tables,
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
        "recorded": state.recorded.rows(),
        "ghosts": [[handle, g.rank, g.on_medium] for handle, g in state.ghosts.items()],
        "erasing": state.erasing,
        "erasures": state.erasures,
    }
    return document, columns


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
            records=tuple((RecordRef(**ref), record_of(**row)) for ref, row in writing["records"]),
        )
    rows = _fill_hierarchy(state.hierarchy, document, columns)
    state.live = rows.by_uid(document["live"], rows.is_live)
    state.additions = rows.by_uid(document["additions"], rows.is_addition)
    state.removals = rows.by_uid(document["removals"], rows.is_removal)
    for new, old in document["corrections"]:
        state.corrections[state.leaf(new)] = state.leaf(old)
    state.history.undo = [_undoable(row) for row in document["undo"]]
    state.history.redo = [_undoable(row) for row in document["redo"]]
    state.tags = document["tags"]
    state.settled = {RecordRef(*ref): position for *ref, position in document["settled"]}
    state.recorded = RecordedElements.of_rows(document["recorded"])
    state.ghosts = {handle: Ghost(*standing) for handle, *standing in document["ghosts"]}
    state.erasing = document["erasing"]
    state.erasures = document["erasures"]
    return state


def _fill_hierarchy(
    hierarchy: Hierarchy, document: dict[str, Any], columns: dict[str, Any]
) -> LeafRows:
    records = Records(*(columns[name] for name in RECORD_COLUMNS))
    branches = [hierarchy.root]
    rows = document["branches"]
    for ref, home, record in zip(rows["ref"], rows["home"], rows["record"], strict=True):
        branch = Branch(records[record], RecordRef(*ref), branches[home])
        branches.append(branch)
        hierarchy.branches[branch.ref] = branch
    leaves = LeafRows(document, columns, branches, records)
    for handle, replaced in document["replaced"]:
        hierarchy.succeed(handle, replaced)
    for order, stead, *ref in document["steads"]:
        hierarchy.branches.get(RecordRef(*ref), hierarchy.root).steads[order] = stead
    hierarchy.take_in(
        leaves.leaves,
        leaves.below(document["below"], columns["below"]),
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
        return IdentityEffect(what, *map(frozen_value, values))
    if isinstance(what, list):
        return SettlementEffect(RecordRef(*what), *values)
    return AdditionEffect(what, *values) if len(values) == 1 else MembershipEffect(what, *values)
