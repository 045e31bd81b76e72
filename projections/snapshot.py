"""A state as bytes and back, so that opening a File-set need not fold its whole journal.

Snapshots are disposable: any that can't be read, or was made by another version of the fold, is
as good as none. A snapshot says at which position and chain hash it was taken.
"""

from __future__ import annotations

import json
from typing import Any, Final

import orjson
from attrs import asdict, frozen

from ledger.digest import Digest, digest_of
from ledger.elements import Elements
from ledger.events import Content, InstanceAdded, Placement, Record, RecordRef, WriteStarted
from projections.dicomdir import FileSetIdentity
from projections.hierarchy import Branch, Hierarchy, Leaf
from projections.history import Effect, IdentityEffect, MembershipEffect, Undoable
from projections.state import VERSION, FileSetState, Writing, Written

_LATIN: Final = "latin-1"  # maps bytes to text one to one


@frozen
class Snapshot:
    """A state and the chain hash (hexadecimal) of the event at its position."""

    hash: str
    state: FileSetState


def dump(state: FileSetState, chain_hash: str) -> bytes:
    """Return `state` as bytes, behind a digest of them: a disk may damage what no one checks."""
    plain = {"version": VERSION, "hash": chain_hash, **to_plain(state)}
    try:
        body = orjson.dumps(plain)
    except TypeError:  # a path may hold bytes that are no characters, as lone surrogates
        body = json.dumps(plain).encode("ascii")
    return digest_of(body).encode("ascii") + b"\n" + body


def load(data: bytes) -> Snapshot | None:
    """Return the snapshot in `data`, ``None`` if it isn't one of this version of the fold."""
    digest, _, body = data.partition(b"\n")
    if digest != digest_of(body).encode("ascii"):
        return None
    try:
        plain = _loads(body)
        if plain["version"] != VERSION:
            return None
        return Snapshot(plain["hash"], _from_plain(plain))
    except (ValueError, TypeError, KeyError, IndexError, AttributeError):
        return None


def _loads(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:
        return json.loads(body)  # which takes lone surrogates


def to_plain(state: FileSetState) -> dict[str, Any]:
    """Return all there is to a state as lists, dicts, text and numbers."""
    hierarchy = state.hierarchy
    return {
        "position": state.position,
        "identity": _plain(state.identity),
        "written": _plain(state.written),
        "writing": _plain(state.writing),
        "records": [_record_row(branch) for branch in hierarchy.branches.values()],
        "instances": [_instance_row(leaf) for leaf in hierarchy.leaves.values()],
        "live": [leaf.handle for leaf in state.live.values()],
        "undo": [_undoable_row(entry) for entry in state.history.undo],
        "redo": [_undoable_row(entry) for entry in state.history.redo],
    }


def _from_plain(plain: dict[str, Any]) -> FileSetState:
    state = FileSetState()
    state.position = plain["position"]
    state.identity = _identity(plain["identity"])
    if (written := plain["written"]) is not None:
        state.written = Written(
            **{
                **written,
                "identity": _identity(written["identity"]),
                "dicomdir": Digest(written["dicomdir"]) if written["dicomdir"] else None,
            }
        )
    if (writing := plain["writing"]) is not None:
        event = writing["event"]
        state.writing = Writing(
            position=writing["position"],
            event=WriteStarted(**{**event, "dropped": tuple(event["dropped"])}),
            identity=_identity(writing["identity"]),
        )
    _fill_hierarchy(state.hierarchy, plain)
    for leaf in state.hierarchy.leaves.values():
        if leaf.is_addition:
            state.additions[leaf.uid] = leaf
        elif leaf.is_removal:
            state.removals[leaf.uid] = leaf
    leaves = state.hierarchy.leaves
    state.live = {leaves[handle].uid: leaves[handle] for handle in plain["live"]}
    state.history.undo = [_undoable(row, leaves) for row in plain["undo"]]
    state.history.redo = [_undoable(row, leaves) for row in plain["redo"]]
    return state


def _plain(value: FileSetIdentity | Written | Writing | None) -> dict[str, Any] | None:
    return None if value is None else asdict(value, value_serializer=_plain_value)


def _plain_value(_: Any, __: Any, value: Any) -> Any:
    return value.decode(_LATIN) if isinstance(value, bytes) else value


def _identity(plain: dict[str, Any]) -> FileSetIdentity:
    return FileSetIdentity(
        **{
            **plain,
            "descriptor_file_id": _frozen(plain["descriptor_file_id"]),
            "elements": Elements(plain["elements"].encode(_LATIN)),
            "file_meta": Elements(plain["file_meta"].encode(_LATIN)),
        }
    )


# --- records and instances, as rows --------------------------------------------------------------


def _record_row(branch: Branch) -> list[Any]:
    return [
        *_ref_row(branch),
        *_ref_row(branch.home),
        branch.record.type,
        branch.record.elements.decode(_LATIN),
    ]


def _ref_row(branch: Branch | None) -> tuple[int, int]:
    return (branch.ref.position, branch.ref.index) if branch is not None else (-1, 0)


def _instance_row(leaf: Leaf) -> list[Any]:
    event = leaf.event
    return [
        leaf.handle,
        *_ref_row(leaf.home),
        leaf.rank,
        leaf.file_id,
        leaf.placement.value,
        *((leaf.content.digest, leaf.content.size) if leaf.content else (None, 0)),
        event.sop_instance_uid,
        event.sop_class_uid,
        event.transfer_syntax_uid,
        event.record.type,
        event.record.elements.decode(_LATIN),
        event.placement.value,
        event.source,
        event.file_id,
        *((event.content.digest, event.content.size) if event.content else (None, 0)),
    ]


def _fill_hierarchy(hierarchy: Hierarchy, plain: dict[str, Any]) -> None:
    branches: dict[tuple[int, int], Branch] = {_ref_row(hierarchy.root): hierarchy.root}
    for position, index, *home, kind, data in plain["records"]:
        record = Record(kind, Elements(data.encode(_LATIN)))
        ref = RecordRef(position, index)
        branch = Branch(record, ref, branches[tuple(home)])
        hierarchy.branches[ref] = branches[position, index] = branch
    for row in plain["instances"]:
        leaf = _leaf(row, branches)
        hierarchy.leaves[leaf.handle] = leaf
        if leaf.is_live or leaf.is_removal:
            hierarchy.place(leaf)


def _leaf(row: list[Any], branches: dict[tuple[int, int], Branch]) -> Leaf:
    (
        handle, home_position, home_index, rank, file_id, placement, digest, size, uid, sop_class,
        syntax, kind, data, added_placement, source, added_file_id, added_digest, added_size,
    ) = row  # fmt: skip
    # `under` and `parents` only say where to put a new leaf: a snapshot's leaf has its `home`.
    event = InstanceAdded(
        sop_instance_uid=uid,
        sop_class_uid=sop_class,
        transfer_syntax_uid=syntax,
        record=Record(kind, Elements(data.encode(_LATIN))),
        content=Content(Digest(added_digest), added_size) if added_digest else None,
        placement=Placement(added_placement),
        source=source,
        file_id=added_file_id,
    )
    leaf = Leaf(handle, event, branches[home_position, home_index])
    leaf.rank = rank
    leaf.file_id = file_id
    leaf.placement = Placement(placement)
    leaf.content = Content(Digest(digest), size) if digest else None
    return leaf


# --- undo and redo, as rows ----------------------------------------------------------------------


def _undoable_row(entry: Undoable) -> list[Any]:
    return [entry.change, [_effect_row(effect) for effect in entry.effects]]


def _effect_row(effect: Effect) -> list[Any]:
    if isinstance(effect, MembershipEffect):
        return [effect.leaf.handle, effect.before, effect.after]
    return [effect.name, effect.before, effect.after]


def _undoable(row: list[Any], leaves: dict[int, Leaf]) -> Undoable:
    change, effects = row
    return Undoable(change, [_effect(e, leaves) for e in effects])


def _effect(row: list[Any], leaves: dict[int, Leaf]) -> Effect:
    what, before, after = row
    if isinstance(what, int):
        return MembershipEffect(leaves[what], before, after)
    return IdentityEffect(what, _frozen(before), _frozen(after))


def _frozen(value: Any) -> Any:
    """Return a field's value as an identity holds it: descriptor components are a tuple."""
    return tuple(value) if isinstance(value, list) else value
