"""The state of a File-set: the fold of every event of its journal.

:meth:`FileSetState.apply` is the only thing that changes a state, and it looks at nothing but the
state and the event: no clock, no random number, no file system.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import Any, ClassVar, Final

from attrs import define, evolve, frozen

from ledger.digest import Digest
from ledger.errors import JournalDamagedError
from ledger.events import (
    ChangeRedone,
    ChangeReverted,
    ChangeUndone,
    ConflictNoted,
    ContentRecorded,
    DamageNoted,
    DamageRepaired,
    DescriptorCharacterSetChanged,
    DescriptorFileIDChanged,
    Erased,
    ErasureCompleted,
    Event,
    FileSetCreated,
    FileSetIDChanged,
    FileSetImported,
    FileSetUIDChanged,
    Handle,
    InstanceAdded,
    InstanceRejected,
    InstanceRemoved,
    InstanceRestored,
    JournalRecovered,
    MediumLost,
    PatientNameNoted,
    PayloadErased,
    PositionTagged,
    RecordMended,
    RecordsKept,
    StrangerKept,
    TagDeleted,
    WriteAbandoned,
    WriteCompleted,
    WriteExported,
    WriteStarted,
)
from ledger.journal import Recorded
from projections.dicomdir import FileSetIdentity
from projections.errors import MisfitError
from projections.hierarchy import Hierarchy, Leaf
from projections.history import (
    AdditionEffect,
    Effect,
    History,
    IdentityEffect,
    MembershipEffect,
)
from projections.reverting import inverse

VERSION: Final = 3
"""Raise it when the fold gives another state for the same events: snapshots of before are void."""


@frozen
class Written:
    """What the last completed write, or the adoption, left on the medium.

    `position` is that of the event that says so. Instances that were part by then are iterated
    in the order of the tree, later ones in the order in which they came. `mends` counts what was
    wrong with an adopted DICOMDIR: it has to be written anew.
    """

    root: str
    layout: str
    identity: FileSetIdentity
    dicomdir: Digest | None
    position: int
    mends: int = 0


@frozen
class Writing:
    """A write that began and of which no end is known."""

    position: int
    event: WriteStarted
    identity: FileSetIdentity


@define
class Ghost:
    """An instance that a later event erases: of what it was, only its standing is left.

    `rank` and `on_medium` are what they are of a :class:`~projections.hierarchy.Leaf`.
    """

    rank: int
    on_medium: bool


class FileSetState:
    """A File-set as of a position of its journal.

    Attributes
    ----------
    position : int
        The position of the last event applied.
    live : dict of str to Leaf
        The instances that are part of the File-set, by SOP Instance UID.
    additions, removals : dict of str to Leaf
        What the next write would add to and take off the medium, by SOP Instance UID.
    tags : dict of str to int
        The positions that have names, by name. They are no part of the File-set: undo and redo
        leave them alone.
    ghosts : dict of int to Ghost
        The instances known by then that a later event erases. None in the present state.
    erasing : int or None
        The position of an erasure of which no end is known.
    erasures : int
        How many there were.
    revision : int
        Goes up with every change of the tree; caches of what is derived from it compare it.
    """

    def __init__(self) -> None:
        self.position = 0
        self.identity = FileSetIdentity(uid="")
        self.hierarchy = Hierarchy()
        self.live: dict[str, Leaf] = {}
        self.additions: dict[str, Leaf] = {}
        self.removals: dict[str, Leaf] = {}
        self.history = History()
        self.written: Written | None = None
        self.writing: Writing | None = None
        self.tags: dict[str, int] = {}
        self.ghosts: dict[Handle, Ghost] = {}
        self.erasing: int | None = None
        self.erasures = 0
        self.revision = 0

    @classmethod
    def fold(cls, events: Iterable[Recorded]) -> FileSetState:
        """Return the state that `events`, all from the first, lead to."""
        return cls().advance(events)

    def advance(self, events: Iterable[Recorded]) -> FileSetState:
        """Apply `events`, which follow the state's position, and return the state itself."""
        for recorded in events:
            self.apply(recorded)
        return self

    def apply(self, recorded: Recorded) -> None:
        """Apply the event after the state's position.

        Raises :class:`~ledger.errors.JournalDamagedError` if the event can't follow what was
        before: no journal written by this software holds such an event. The state is as it was
        then, since every event is checked before it changes anything.
        """
        position = recorded.position
        if position != self.position + 1:
            raise JournalDamagedError(
                f"The event at position {position} does not follow position {self.position}.",
                position=position,
            )
        event = recorded.event
        try:
            self._APPLY.get(type(event), FileSetState._unknown)(self, recorded, event)
        except MisfitError as exc:
            raise JournalDamagedError(
                f"The event '{event.TYPE}' at position {position} does not fit the "
                "events before it.",
                position=position,
            ) from exc
        self.position = position

    # --- instances -------------------------------------------------------------------------------

    def leaf(self, handle: Handle) -> Leaf:
        """Return the instance added by the event at position `handle`."""
        return self.hierarchy.leaves[handle]

    def rank(self, handle: Handle) -> int:
        """Return the rank of an instance, also of one that a later event erases."""
        ghost = self.ghosts.get(handle)
        return self.leaf(handle).rank if ghost is None else ghost.rank

    @property
    def erased(self) -> int:
        """How many instances that were part of the File-set were erased later."""
        return sum(ghost.rank > 0 for ghost in self.ghosts.values())

    def _known(self, handle: Handle) -> Leaf:
        """Return the instance that an event names."""
        leaf = self.hierarchy.leaves.get(handle)
        if leaf is None:
            raise MisfitError("there is no such instance")
        return leaf

    def _set_rank(self, leaf: Leaf, rank: int) -> None:
        """Make `leaf` part of the File-set with `rank`, or no part of it with 0."""
        self.revision += 1
        self.hierarchy.rank(leaf, rank)
        if rank:
            self.live[leaf.uid] = leaf
            self.hierarchy.place(leaf)
            # The one on the medium may be another addition of the same SOP Instance: it has to go.
            if self.removals.get(leaf.uid) is leaf:
                del self.removals[leaf.uid]
            if leaf.file_id is None:
                self.additions[leaf.uid] = leaf
        else:
            del self.live[leaf.uid]
            if leaf.file_id is None:
                del self.additions[leaf.uid]
                self.hierarchy.displace(leaf)
            else:
                self.removals[leaf.uid] = leaf

    def _rank(self, handle: Handle, rank: int) -> None:
        """Do as :meth:`_set_rank` to an instance, also to one that a later event erases."""
        if (ghost := self.ghosts.get(handle)) is not None:
            ghost.rank = rank
        else:
            self._set_rank(self.leaf(handle), rank)

    def _change_rank(self, recorded: Recorded, handle: Handle, rank: int) -> None:
        effect = MembershipEffect(handle, self.rank(handle), rank)
        self.history.record(recorded.change.id, effect)
        self._rank(handle, rank)

    def _instance_added(self, recorded: Recorded, event: InstanceAdded) -> None:
        handle, adopted = recorded.position, event.file_id is not None
        if event.sop_instance_uid in self.live:
            raise MisfitError("the SOP Instance is part of the File-set already")
        if adopted and (self.history.undo or self.history.redo):
            raise MisfitError("a medium is adopted before anything is changed")
        leaf = self.hierarchy.introduce(handle, event)
        if not adopted:  # else it came with its medium: there is nothing to undo
            self.history.record(recorded.change.id, AdditionEffect(handle, handle))
        self._set_rank(leaf, handle)

    def _instance_removed(self, recorded: Recorded, event: InstanceRemoved) -> None:
        if event.instance not in self.ghosts:
            self._known(event.instance)
        if not self.rank(event.instance):
            raise MisfitError("the instance is no part of the File-set")
        self._change_rank(recorded, event.instance, 0)

    def _instance_restored(self, recorded: Recorded, event: InstanceRestored) -> None:
        if event.instance not in self.ghosts and self._known(event.instance).uid in self.live:
            raise MisfitError("the SOP Instance is part of the File-set already")
        self._change_rank(recorded, event.instance, recorded.position)

    def _content_recorded(self, _: Recorded, event: ContentRecorded) -> None:
        leaf = self._known(event.instance)
        leaf.content, leaf.placement = event.content, event.placement

    # --- identity --------------------------------------------------------------------------------

    def _begin(self) -> None:
        if self.position:
            raise MisfitError("a journal tells of the beginning of one File-set")

    def _file_set_created(self, _: Recorded, event: FileSetCreated) -> None:
        self._begin()
        self.identity = FileSetIdentity(uid=event.uid, id=event.id)

    def _file_set_imported(self, recorded: Recorded, event: FileSetImported) -> None:
        self._begin()
        self.identity = FileSetIdentity(
            uid=event.uid,
            id=event.id,
            descriptor_file_id=event.descriptor_file_id,
            descriptor_character_set=event.descriptor_character_set,
            elements=event.elements,
            file_meta=event.file_meta,
        )
        self.written = Written(
            root=event.root,
            layout="existing",
            identity=self.identity,
            dicomdir=event.dicomdir,
            position=recorded.position,
        )

    def _identity_changed(self, recorded: Recorded, event: Event) -> None:
        name = _IDENTITY_FIELDS[type(event)]
        value: Any = event.value  # type: ignore[union-attr]  # the four classes of the table have it
        self.history.record(
            recorded.change.id, IdentityEffect(name, getattr(self.identity, name), value)
        )
        self._set_identity(name, value)

    def _set_identity(self, name: str, value: Any) -> None:
        changed: dict[str, Any] = {name: value}
        self.identity = evolve(self.identity, **changed)

    def _record_mended(self, _: Recorded, __: RecordMended) -> None:
        if self.written is None:
            raise MisfitError("only what was adopted is mended")
        self.written = evolve(self.written, mends=self.written.mends + 1)

    # --- undo and redo ---------------------------------------------------------------------------

    def _change_undone(self, _: Recorded, event: ChangeUndone) -> None:
        for effect in reversed(self.history.take_undo(event.change).effects):
            match effect:
                case AdditionEffect(first, last):
                    for handle in range(last, first - 1, -1):
                        self._rank(handle, 0)
                case MembershipEffect(handle, before, _):
                    self._rank(handle, before)
                case IdentityEffect(name, before, _):
                    self._set_identity(name, before)

    def _change_redone(self, _: Recorded, event: ChangeRedone) -> None:
        for effect in self.history.take_redo(event.change).effects:
            self._play(effect)

    def _change_reverted(self, recorded: Recorded, event: ChangeReverted) -> None:
        if event.change == recorded.change.id:
            raise MisfitError("a change does not take itself back")
        found = inverse(self, event.change)
        if not found.effects:
            raise MisfitError("there is nothing to take back, or something in the way")
        for effect in found.effects:
            self.history.record(recorded.change.id, effect)
            self._play(effect)

    def _play(self, effect: Effect) -> None:
        match effect:
            case AdditionEffect(first, last):
                for handle in range(first, last + 1):
                    self._rank(handle, handle)
            case MembershipEffect(handle, _, after):
                self._rank(handle, after)
            case IdentityEffect(name, _, after):
                self._set_identity(name, after)

    # --- tags ------------------------------------------------------------------------------------

    def _position_tagged(self, recorded: Recorded, event: PositionTagged) -> None:
        if not 1 <= event.position < recorded.position:
            raise MisfitError("a tag stands for a position before its event")
        if self.tags.get(event.name) != event.previous:
            raise MisfitError("the tag did not stand for that position")
        self.tags[event.name] = event.position

    def _tag_deleted(self, _: Recorded, event: TagDeleted) -> None:
        if self.tags.get(event.name) != event.position:
            raise MisfitError("there is no such tag")
        del self.tags[event.name]

    # --- writing ---------------------------------------------------------------------------------

    def _write_started(self, recorded: Recorded, event: WriteStarted) -> None:
        if self.writing is not None:
            raise MisfitError("the write before has not come to an end")
        for handle in chain(event.dropped, *(names.values() for names in event.placed.values())):
            if handle not in self.ghosts:
                self._known(handle)
        self.writing = Writing(recorded.position, event, self.identity)

    def _write_completed(self, recorded: Recorded, event: WriteCompleted) -> None:
        writing = self._end_writing(event.started)
        ghosts = self.ghosts
        for handle in writing.event.dropped:
            if handle in ghosts:
                ghosts[handle].on_medium = False
            else:
                self._off_medium(self.leaf(handle))
        for folder, names in writing.event.placed.items():
            for name, handle in names.items():
                if handle in ghosts:
                    ghosts[handle].on_medium = True
                else:
                    self._on_medium(self.leaf(handle), f"{folder}/{name}" if folder else name)
        self.written = Written(
            root=writing.event.root,
            layout=writing.event.layout,
            identity=writing.identity,
            dicomdir=event.dicomdir,
            position=recorded.position,
        )
        self.revision += 1

    def _write_abandoned(self, _: Recorded, event: WriteAbandoned) -> None:
        self._end_writing(event.started)

    def _end_writing(self, started: int) -> Writing:
        if self.writing is None or self.writing.position != started:
            raise MisfitError("no such write is under way")
        writing, self.writing = self.writing, None
        return writing

    def _medium_lost(self, _: Recorded, event: MediumLost) -> None:
        if self.written is None or self.written.root != event.root or self.writing is not None:
            raise MisfitError("no such medium, or a write to it is under way")
        for leaf in (*self.live.values(), *self.removals.values()):
            if leaf.file_id is not None:
                self._off_medium(leaf)
        for ghost in self.ghosts.values():
            ghost.on_medium = False
        self.written = None
        self.revision += 1

    def _on_medium(self, leaf: Leaf, file_id: str) -> None:
        leaf.file_id = file_id
        if leaf.is_live:
            self.additions.pop(leaf.uid, None)
        else:  # removed while the write was under way
            self.removals[leaf.uid] = leaf
            self.hierarchy.place(leaf)

    def _off_medium(self, leaf: Leaf) -> None:
        leaf.file_id = None
        if leaf.is_live:  # restored while the write was under way
            self.additions[leaf.uid] = leaf
        else:
            self.removals.pop(leaf.uid, None)
            self.hierarchy.displace(leaf)

    # --- erasure ---------------------------------------------------------------------------------

    def _erased(self, recorded: Recorded, event: Erased) -> None:
        """Take in what is left of an event; of others than additions that is next to nothing."""
        if event.type == RecordMended.TYPE and self.written is not None:
            self.written = evolve(self.written, mends=self.written.mends + 1)
        if event.type != InstanceAdded.TYPE:
            return
        handle = recorded.position
        self.hierarchy.keep(handle, event)
        self.ghosts[handle] = Ghost(handle, on_medium=event.adopted)
        if not event.adopted:
            self.history.record(recorded.change.id, AdditionEffect(handle, handle))

    def _payload_erased(self, recorded: Recorded, event: PayloadErased) -> None:
        if self.erasing is not None or self.writing is not None:
            raise MisfitError("an erasure or a write before has not come to an end")
        if any(last >= recorded.position for _, last in event.positions):
            raise MisfitError("what is erased comes before")
        gone = {p for p in event.each() if p in self.ghosts or p in self.hierarchy.leaves}
        for handle in gone:
            ghost = self.ghosts.get(handle)
            leaf = self.hierarchy.leaves.get(handle)
            if (ghost and (ghost.rank or ghost.on_medium)) or (
                leaf and (leaf.is_live or leaf.file_id is not None)
            ):
                raise MisfitError("what is erased is part of the File-set or on its medium")
        self.hierarchy.forget(gone, event.records)
        for handle in gone:
            self.ghosts.pop(handle, None)
        self.history.forget(gone)
        self.erasing = recorded.position
        self.erasures += 1
        self.revision += 1

    def _erasure_completed(self, _: Recorded, event: ErasureCompleted) -> None:
        if self.erasing != event.started:
            raise MisfitError("no such erasure is under way")
        self.erasing = None

    def _unknown(self, _: Recorded, event: Event) -> None:
        raise MisfitError(f"'{event.TYPE}' is no event that this fold knows")

    def _noted(self, _: Recorded, event: Event) -> None:
        """Events that the log tells of and that change nothing."""

    _APPLY: ClassVar[dict[type, Callable[[FileSetState, Recorded, Any], None]]] = {
        FileSetCreated: _file_set_created,
        FileSetImported: _file_set_imported,
        InstanceAdded: _instance_added,
        InstanceRemoved: _instance_removed,
        InstanceRestored: _instance_restored,
        ContentRecorded: _content_recorded,
        FileSetIDChanged: _identity_changed,
        FileSetUIDChanged: _identity_changed,
        DescriptorFileIDChanged: _identity_changed,
        DescriptorCharacterSetChanged: _identity_changed,
        ChangeUndone: _change_undone,
        ChangeRedone: _change_redone,
        ChangeReverted: _change_reverted,
        PositionTagged: _position_tagged,
        TagDeleted: _tag_deleted,
        WriteStarted: _write_started,
        WriteCompleted: _write_completed,
        WriteAbandoned: _write_abandoned,
        MediumLost: _medium_lost,
        WriteExported: _noted,
        StrangerKept: _noted,
        DamageNoted: _noted,
        DamageRepaired: _noted,
        InstanceRejected: _noted,
        ConflictNoted: _noted,
        PatientNameNoted: _noted,
        RecordMended: _record_mended,
        RecordsKept: _noted,
        PayloadErased: _payload_erased,
        ErasureCompleted: _erasure_completed,
        JournalRecovered: _noted,
        Erased: _erased,
    }


_IDENTITY_FIELDS: Final[dict[type, str]] = {
    FileSetIDChanged: "id",
    FileSetUIDChanged: "uid",
    DescriptorFileIDChanged: "descriptor_file_id",
    DescriptorCharacterSetChanged: "descriptor_character_set",
}
