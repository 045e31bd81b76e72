"""The fold: what each event makes of a state.

Nothing else changes a state, and it looks at nothing but the state and the event: no clock, no
random number, no file system. A handler checks its event before it changes anything.

What makes this one long is how many types of events there are: each has its handler here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, Final

from attrs import evolve

from ledger.errors import JournalDamagedError
from ledger.events import (
    IDENTITY_EVENTS,
    ArrivalWithheld,
    ChangeRedone,
    ChangeReverted,
    ChangeUndone,
    ConflictNoted,
    ContentRecorded,
    DamageNoted,
    DamageRepaired,
    Erased,
    ErasureCompleted,
    Event,
    FileSetCreated,
    FileSetImported,
    Handle,
    IconRecorded,
    IdentityChanged,
    InstanceAdded,
    InstanceCorrected,
    InstanceRejected,
    InstanceRemoved,
    InstanceRestored,
    InstancesConverted,
    InstancesCorrected,
    JournalRecovered,
    MediumAddressed,
    MediumBurnt,
    MediumFilled,
    MediumLeft,
    MediumLost,
    MediumProduced,
    MediumStarted,
    MediumVerified,
    MismatchNoted,
    MismatchSettled,
    PatientNameNoted,
    PayloadErased,
    PositionTagged,
    RecordElementsRecorded,
    RecordMended,
    RecordRef,
    RecordsKept,
    StrangerKept,
    TagDeleted,
    WriteAbandoned,
    WriteCompleted,
    WriteExported,
    WriteStarted,
)
from ledger.journal.entries import Recorded
from projections.dicomdir.definitions import FileSetIdentity
from projections.errors import MisfitError
from projections.state.listed import Listed
from projections.state.nodes import Leaf
from projections.state.revert import inverse
from projections.state.state import FileSetState, Ghost, Writing, Written
from projections.state.undo import (
    AdditionEffect,
    Effect,
    IdentityEffect,
    MembershipEffect,
    SettlementEffect,
)


def fold(events: Iterable[Recorded]) -> FileSetState:
    """Return the state that `events`, all from the first, lead to."""
    return advance(FileSetState(), events)


def advance(state: FileSetState, events: Iterable[Recorded]) -> FileSetState:
    """Apply `events`, which follow the state's position, and return the state itself.

    Raises `JournalDamagedError` as `apply` does, and if an event is not at the next position.
    """
    for recorded in events:
        if recorded.position != state.position + 1:
            raise JournalDamagedError(
                f"The event at position {recorded.position} does not follow position "
                f"{state.position}.",
                position=recorded.position,
            )
        apply(state, recorded.event, recorded.change.id)
    return state


def after(state: FileSetState, events: Iterable[Event], change: str = "") -> FileSetState:
    """Return a new state: what `state` would be once `events` followed, in a change of that id.

    It costs a copy of the instances known. Raises as `apply` does.
    """
    foreseen = state.copy()
    for event in events:
        apply(foreseen, event, change)
    return foreseen


def apply(state: FileSetState, event: Event, change: str) -> None:
    """Apply `event` of the change with the id `change` at the next position.

    Raises `JournalDamagedError` if the event can't follow what was before: no journal written by
    this software holds such an event. The state is as it was then.
    """
    try:
        _HANDLERS.get(type(event), _unknown)(state, event, change)
    except MisfitError as exc:
        position = state.position + 1
        raise JournalDamagedError(
            f"The event '{event.TYPE}' at position {position} does not fit the events before it.",
            position=position,
        ) from exc
    state.position += 1


def take_listed(state: FileSetState, listed: Listed) -> None:
    """Apply the events `listed`, all at once and without making them, in an empty File-set.

    The state is as if each of them had been applied.
    """
    if state.hierarchy.leaves or listed.first != state.position + 1:
        raise MisfitError("what a DICOMDIR lists comes first")
    state.live = listed.fill(state.hierarchy)
    state.position += len(listed)
    state.revision += len(listed)
    state.touched += len(listed)


# --- instances -----------------------------------------------------------------------------------


def _leaf(state: FileSetState, handle: Handle) -> Leaf:
    """Return the instance that an event names."""
    leaf = state.hierarchy.leaves.get(handle)
    if leaf is None:
        raise MisfitError("there is no such instance")
    return leaf


def _change_rank(state: FileSetState, handle: Handle, rank: int, change: str) -> None:
    state.history.record(change, MembershipEffect(handle, state.rank(handle), rank))
    state.set_rank(handle, rank)


def _instance_added(state: FileSetState, event: InstanceAdded, change: str) -> None:
    handle, adopted = state.position + 1, event.file_id is not None
    if event.sop_instance_uid in state.live:
        raise MisfitError("the SOP Instance is part of the File-set already")
    if adopted and (state.history.undo or state.history.redo):
        raise MisfitError("a medium is adopted before anything is changed")
    state.hierarchy.introduce(handle, event)
    if not adopted:  # else it came with its medium: there is nothing to undo
        state.history.record(change, AdditionEffect(handle, handle))
    state.set_rank(handle, handle)


def _instance_corrected(state: FileSetState, event: InstanceCorrected, change: str) -> None:
    handle, replaced = state.position + 1, event.replaces
    if replaced not in state.ghosts:
        _leaf(state, replaced)
    if not state.rank(replaced):
        raise MisfitError("only what is part of the File-set is corrected")
    standing = state.live.get(event.sop_instance_uid)
    if standing is not None and standing.handle != replaced:
        raise MisfitError("another instance of the File-set has that SOP Instance UID")
    if event.rank > handle:
        raise MisfitError("an instance can't rank by what comes later")
    leaf = state.hierarchy.introduce(handle, event)
    state.hierarchy.take_stead(handle, event.stead, leaf.home)
    _take_place(state, handle, replaced, change, event.rank)


def _take_place(
    state: FileSetState, handle: Handle, replaced: Handle, change: str, rank: int = 0
) -> None:
    """Have an instance be part of the File-set in place of the one that it corrects.

    It has the rank of that one unless `rank` is given.
    """
    state.hierarchy.succeed(handle, replaced)
    rank = rank or state.rank(replaced)
    _change_rank(state, replaced, 0, change)
    _change_rank(state, handle, rank, change)


def _instance_removed(state: FileSetState, event: InstanceRemoved, change: str) -> None:
    if event.instance not in state.ghosts:
        _leaf(state, event.instance)
    if not state.rank(event.instance):
        raise MisfitError("the instance is no part of the File-set")
    _change_rank(state, event.instance, 0, change)


def _instance_restored(state: FileSetState, event: InstanceRestored, change: str) -> None:
    if event.instance not in state.ghosts and _leaf(state, event.instance).uid in state.live:
        raise MisfitError("the SOP Instance is part of the File-set already")
    _change_rank(state, event.instance, state.position + 1, change)


def _content_recorded(state: FileSetState, event: ContentRecorded, _: str) -> None:
    _leaf(state, event.instance).secure(event.content, event.placement)


# --- identity ------------------------------------------------------------------------------------


def _begin(state: FileSetState) -> None:
    if state.position:
        raise MisfitError("a journal tells of the beginning of one File-set")


def _file_set_created(state: FileSetState, event: FileSetCreated, _: str) -> None:
    _begin(state)
    state.identity = FileSetIdentity(uid=event.uid, id=event.id)


def _file_set_imported(state: FileSetState, event: FileSetImported, _: str) -> None:
    _begin(state)
    state.identity = FileSetIdentity(
        uid=event.uid,
        id=event.id,
        descriptor_file_id=event.descriptor_file_id,
        descriptor_character_set=event.descriptor_character_set,
        elements=event.elements,
        file_meta=event.file_meta,
    )
    state.written = Written(
        root=event.root,
        layout="existing",
        identity=state.identity,
        dicomdir=event.dicomdir,
        position=state.position + 1,
    )


def _identity_changed(state: FileSetState, event: IdentityChanged, change: str) -> None:
    before = getattr(state.identity, event.FIELD)
    state.history.record(change, IdentityEffect(event.FIELD, before, event.value))
    state.set_identity(event.FIELD, event.value)


def _mismatch_settled(state: FileSetState, event: MismatchSettled, change: str) -> None:
    # The record may be erased since: then nothing follows from it, as soon as that is told.
    before, after_ = state.settled.get(event.record, 0), state.position + 1
    state.history.record(change, SettlementEffect(event.record, before, after_))
    state.settle(event.record, after_)


def _record_mended(state: FileSetState, _: RecordMended, __: str) -> None:
    if state.written is None:
        raise MisfitError("only what was adopted is mended")
    state.written = evolve(state.written, mends=state.written.mends + 1)


# --- undo, redo and revert -----------------------------------------------------------------------


def _change_undone(state: FileSetState, event: ChangeUndone, _: str) -> None:
    for effect in reversed(state.history.take_undo(event.change).effects):
        match effect:
            case AdditionEffect(first, last):
                for handle in range(last, first - 1, -1):
                    state.set_rank(handle, 0)
            case MembershipEffect(handle, before, _):
                state.set_rank(handle, before)
            case IdentityEffect(name, before, _):
                state.set_identity(name, before)
            case SettlementEffect(record, before, _):
                state.settle(record, before)


def _change_redone(state: FileSetState, event: ChangeRedone, _: str) -> None:
    for effect in state.history.take_redo(event.change).effects:
        _play(state, effect)


def _change_reverted(state: FileSetState, event: ChangeReverted, change: str) -> None:
    if event.change == change:
        raise MisfitError("a change does not take itself back")
    found = inverse(state, event.change)
    if not found.effects:
        raise MisfitError("there is nothing to take back, or something in the way")
    for effect in found.effects:
        state.history.record(change, effect)
        _play(state, effect)


def _play(state: FileSetState, effect: Effect) -> None:
    match effect:
        case AdditionEffect(first, last):
            for handle in range(first, last + 1):
                state.set_rank(handle, handle)
        case MembershipEffect(handle, _, after_):
            state.set_rank(handle, after_)
        case IdentityEffect(name, _, after_):
            state.set_identity(name, after_)
        case SettlementEffect(record, _, after_):
            state.settle(record, after_)


# --- tags ----------------------------------------------------------------------------------------


def _position_tagged(state: FileSetState, event: PositionTagged, _: str) -> None:
    if not 1 <= event.position <= state.position:
        raise MisfitError("a tag stands for a position before its event")
    if state.tags.get(event.name) != event.previous:
        raise MisfitError("the tag did not stand for that position")
    state.tags[event.name] = event.position


def _tag_deleted(state: FileSetState, event: TagDeleted, _: str) -> None:
    if state.tags.get(event.name) != event.position:
        raise MisfitError("there is no such tag")
    del state.tags[event.name]


# --- writing -------------------------------------------------------------------------------------


def _write_started(state: FileSetState, event: WriteStarted, _: str) -> None:
    if state.writing is not None:
        raise MisfitError("the write before has not come to an end")
    for handle in chain(event.dropped, *(names.values() for names in event.placed.values())):
        if handle not in state.ghosts:
            _leaf(state, handle)
    records = tuple(
        (branch.ref, branch.record)
        for branch in state.hierarchy.varied
        if branch.live and branch.record.elements != branch.own.elements
    )
    state.writing = Writing(state.position + 1, event, state.identity, records)


def _write_completed(state: FileSetState, event: WriteCompleted, _: str) -> None:
    writing = _end_writing(state, event.started)
    for handle in writing.event.dropped:
        state.set_file_id(handle, None)
    for handle, file_id in writing.event.placements():
        state.set_file_id(handle, file_id)
    if not state.additions:
        state.additions = {}  # the old one has room for all that they were
    state.hierarchy.set_on_medium(dict(writing.records))
    state.written = Written(
        root=writing.event.root,
        layout=writing.event.layout,
        identity=writing.identity,
        dicomdir=event.dicomdir,
        position=state.position + 1,
    )
    state.revision += 1


def _write_abandoned(state: FileSetState, event: WriteAbandoned, _: str) -> None:
    _end_writing(state, event.started)


def _end_writing(state: FileSetState, started: int) -> Writing:
    if state.writing is None or state.writing.position != started:
        raise MisfitError("no such write is under way")
    writing, state.writing = state.writing, None
    return writing


def _medium_left(state: FileSetState, event: MediumLeft | MediumLost, _: str) -> None:
    if state.written is None or state.written.root != event.root:
        raise MisfitError("no such medium")
    if state.writing is not None and state.writing.event.leaving is None:
        raise MisfitError("a write to it is under way")
    for leaf in (*state.live.values(), *state.removals.values()):
        if leaf.file_id is not None:
            state.set_file_id(leaf.handle, None)
    for handle in state.ghosts:
        state.set_file_id(handle, None)
    state.hierarchy.set_on_medium({})
    state.written = None
    state.revision += 1


def _medium_started(state: FileSetState, event: MediumStarted, _: str) -> None:
    if event.base > state.position or not event.is_of_base():
        raise MisfitError("a medium has what was there before")


# --- erasure -------------------------------------------------------------------------------------


def _erased(state: FileSetState, event: Erased, change: str) -> None:
    """Take in what is left of an erased event: for most types that is nothing."""
    if event.type == RecordMended.TYPE and state.written is not None:
        state.written = evolve(state.written, mends=state.written.mends + 1)
    if event.type not in (InstanceAdded.TYPE, InstanceCorrected.TYPE):
        return
    handle = state.position + 1
    if event.type == InstanceCorrected.TYPE:
        if event.replaces not in state.ghosts or not state.ghosts[event.replaces].rank:
            raise MisfitError("what was corrected is erased with the correction")
        state.hierarchy.keep(handle, event)
        state.hierarchy.take_stead(handle, event.stead, None)
        state.ghosts[handle] = Ghost(0, on_medium=False)
        _take_place(state, handle, event.replaces, change)
        return
    state.hierarchy.keep(handle, event)
    state.ghosts[handle] = Ghost(handle, on_medium=event.adopted)
    if not event.adopted:
        state.history.record(change, AdditionEffect(handle, handle))


def _records_kept(state: FileSetState, event: RecordsKept, _: str) -> None:
    for index, record in enumerate(event.parents):
        branch = state.hierarchy.branches.get(RecordRef(event.of, index))
        if branch is not None:  # a later erasure may have left fewer of them
            branch.keep(record)


def _payload_erased(state: FileSetState, event: PayloadErased, _: str) -> None:
    if state.erasing is not None or state.writing is not None:
        raise MisfitError("an erasure or a write before has not come to an end")
    if any(last > state.position for _, last in event.positions):
        raise MisfitError("what is erased comes before")
    leaves = state.hierarchy.leaves
    gone = {p for p in event.each() if p in state.ghosts or p in leaves}
    for handle in gone:
        ghost, leaf = state.ghosts.get(handle), leaves.get(handle)
        on_medium = ghost.on_medium if ghost else leaf is not None and leaf.file_id is not None
        if state.rank(handle) or on_medium:
            raise MisfitError("what is erased is part of the File-set or on its medium")
    replaced = state.hierarchy.replaced.copy()
    state.forget(gone, event.records)
    known = state.hierarchy.branches
    state.history.forget(gone, known, replaced)
    state.settled = {ref: position for ref, position in state.settled.items() if ref in known}
    state.erasing = state.position + 1
    state.erasures += 1
    state.revision += 1


def _erasure_completed(state: FileSetState, event: ErasureCompleted, _: str) -> None:
    if state.erasing != event.started:
        raise MisfitError("no such erasure is under way")
    state.erasing = None


def _unknown(_: FileSetState, event: Event, __: str) -> None:
    raise MisfitError(f"'{event.TYPE}' is no event that this fold knows")


def _nothing(_: FileSetState, __: Event, ___: str) -> None:
    """Change nothing: the event is only a note."""


_NOTES: Final[tuple[type[Event], ...]] = (
    InstancesConverted, InstancesCorrected, WriteExported, MediumAddressed, MediumFilled,
    MediumProduced, MediumVerified, MediumBurnt, StrangerKept, DamageNoted, DamageRepaired,
    InstanceRejected, ConflictNoted, ArrivalWithheld, PatientNameNoted, MismatchNoted,
    JournalRecovered,
)  # fmt: skip

_HANDLERS: Final[dict[type[Event], Callable[[FileSetState, Any, str], None]]] = {
    **dict.fromkeys(_NOTES, _nothing),
    FileSetCreated: _file_set_created,
    FileSetImported: _file_set_imported,
    InstanceAdded: _instance_added,
    InstanceCorrected: _instance_corrected,
    InstanceRemoved: _instance_removed,
    InstanceRestored: _instance_restored,
    ContentRecorded: _content_recorded,
    **dict.fromkeys(IDENTITY_EVENTS.values(), _identity_changed),
    RecordElementsRecorded: lambda state, event, _: state.record(event),
    IconRecorded: lambda state, event, _: state.record_icon(event),
    ChangeUndone: _change_undone,
    ChangeRedone: _change_redone,
    ChangeReverted: _change_reverted,
    PositionTagged: _position_tagged,
    TagDeleted: _tag_deleted,
    WriteStarted: _write_started,
    WriteCompleted: _write_completed,
    WriteAbandoned: _write_abandoned,
    MediumLeft: _medium_left,
    MediumLost: _medium_left,
    MediumStarted: _medium_started,
    MismatchSettled: _mismatch_settled,
    RecordMended: _record_mended,
    RecordsKept: _records_kept,
    PayloadErased: _payload_erased,
    ErasureCompleted: _erasure_completed,
    Erased: _erased,
}
