"""What happened to some instances: every event that touched them, and every medium they were on."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from enum import Enum
from typing import Any, ClassVar

from attrs import define, evolve, field, frozen

from ledger.digest import Digest
from ledger.events import (
    ChangeStep,
    DamageNoted,
    Event,
    FileSetImported,
    Handle,
    InstanceAdded,
    InstanceCorrected,
    InstancesConverted,
    InstancesCorrected,
    MediumBurnt,
    MediumLeft,
    MediumLost,
    MediumProduced,
    MediumVerified,
    WriteAbandoned,
    WriteCompleted,
    WriteExported,
    WriteStarted,
)
from ledger.journal.entries import Change, Recorded
from projections.past.effects import Effects, effects_of_event
from projections.past.media import Media, Medium


class TouchKind(Enum):
    """What an event did to instances."""

    ADDED = "added"
    ADOPTED = "adopted"
    """It was on the medium that the File-set was made from."""
    CORRECTED = "corrected"
    """Elements of it were corrected: a corrected instance took its place."""
    CONVERTED = "converted"
    """It was encoded otherwise: the converted instance took its place."""
    REMOVED = "removed"
    RESTORED = "restored"
    """It was added again while it still lay on the medium."""
    UNDONE = "undone"
    REDONE = "redone"
    REVERTED = "reverted"
    READ = "read"
    """Its content was read for the first time, or secured in the vault."""
    STRANGER = "stranger"
    """Something else lay in its place on the medium."""
    CONFLICT = "conflict"
    """A file with its SOP Instance UID and other content was offered, and not taken."""
    WITHHELD = "withheld"
    """A file with its SOP Instance UID arrived when it had been withdrawn, and was not taken."""
    NAMED = "named"
    """It came with another name for a Patient ID that was known."""
    MISMATCH = "mismatch"
    """It came with other values than its patient, study or series had."""
    SETTLED = "settled"
    """Somebody accepted that it is of one of several persons under one Patient ID."""
    MENDED = "mended"
    """What the DICOMDIR that it was adopted with said of it was repaired."""
    WRITTEN = "written"
    TAKEN_OFF = "taken-off"
    """A write took it off the medium."""
    ABANDONED = "abandoned"
    """A write that would have placed it or taken it off was given up."""
    EXPORTED = "exported"
    """It was written to a folder of its own with a past or present state."""
    HANDED_OUT = "handed-out"
    """A medium that is handed out was made with it."""
    MEDIUM_VERIFIED = "medium-verified"
    """A medium with it that was handed out was read back."""
    MEDIUM_BURNT = "medium-burnt"
    """A medium with it that is handed out was burnt."""
    MEDIUM_LEFT = "medium-left"
    MEDIUM_LOST = "medium-lost"
    DAMAGED = "damaged"
    """Its file on the medium was found missing, changed or unreadable."""
    REPAIRED = "repaired"
    """Its file was repaired, from the vault or where it was left."""


@frozen
class Touch:
    """An event that touched some of the instances.

    Attributes
    ----------
    instances : tuple of int
        Those it touched.
    came, went : tuple of int
        Those that it made part of the File-set, and those that it made no part of it any more.
    of : str or None
        The id of the change that was undone, redone or reverted.
    root, file_ids, dicomdir
        The medium: where it is, where the instances are on it, the digest of its DICOMDIR.
    medium : Medium or None
        The medium that was handed out.
    """

    position: int
    change: Change
    kind: TouchKind
    event: Event
    instances: tuple[Handle, ...]
    came: tuple[Handle, ...] = ()
    went: tuple[Handle, ...] = ()
    of: str | None = None
    root: str | None = None
    file_ids: Mapping[Handle, str] = field(factory=dict)
    dicomdir: Digest | None = None
    medium: Medium | None = None


@define
class Provenance:
    """Follows the instances `handles` through a journal, event by event, from the first.

    Events that add other instances may be left out. `file_ids_at` tells where a copy of the state
    at a position has which instances, of those that it has.
    """

    handles: Collection[Handle]
    file_ids_at: Callable[[int], Mapping[Handle, str]]
    medium: tuple[str, Digest | None] | None = None
    """The root and DICOMDIR of the medium that the File-set is on."""
    there: dict[Handle, str] = field(factory=dict)
    """Where the instances are on it."""
    _writes: dict[int, WriteStarted] = field(factory=dict)
    _effects: dict[str, Effects] = field(factory=dict)
    _media: Media = field(factory=Media)
    _corrected: dict[Handle, Handle] = field(factory=dict)
    """What took the place of which instance, until the event that tells of it."""

    def touches(self, recorded: Recorded) -> Iterator[Touch]:
        """Take the next event, and yield how it touched the instances."""
        event = recorded.event
        came, went = self._take_effects(recorded)
        medium = self._media.take(recorded)
        if event.TOUCH is not None:
            kind = TouchKind(event.TOUCH)
            touch = Touch(
                recorded.position, recorded.change, kind, event, (), came, went, medium=medium
            )
            yield from self._HANDLERS.get(kind, Provenance._named)(self, touch, event)
        elif isinstance(event, InstanceCorrected):
            self._corrected[event.replaces] = recorded.position
        elif isinstance(event, FileSetImported):
            self.medium = (event.root, event.dicomdir)
        elif isinstance(event, WriteStarted):
            self._writes[recorded.position] = event

    def _take_effects(self, recorded: Recorded) -> tuple[tuple[Handle, ...], tuple[Handle, ...]]:
        """Return which instances come and which go with an event."""
        effects = effects_of_event(recorded.position, recorded.event, self._effects_of)
        ours = {h: was for h, was in effects.members.items() if h in self.handles}
        self._effects.setdefault(recorded.change.id, Effects()).extend(Effects(ours))
        return (
            tuple(sorted(h for h, (before, after) in ours.items() if after and not before)),
            tuple(sorted(h for h, (before, after) in ours.items() if before and not after)),
        )

    def _effects_of(self, change: str) -> Effects:
        return self._effects.get(change, Effects())

    def _on(self, touch: Touch, instances: Iterable[Handle]) -> Iterator[Touch]:
        """Yield `touch` if it is on any of the instances."""
        ours = tuple(handle for handle in instances if handle in self.handles)
        if ours:
            yield evolve(touch, instances=ours)

    def _added(self, touch: Touch, event: InstanceAdded) -> Iterator[Touch]:
        if event.file_id is not None and self.medium is not None and touch.position in self.handles:
            root, dicomdir = self.medium
            file_ids = {touch.position: event.file_id}
            self.there.update(file_ids)
            touch = evolve(
                touch, kind=TouchKind.ADOPTED, root=root, file_ids=file_ids, dicomdir=dicomdir
            )
        yield from self._on(touch, [touch.position])

    def _named(self, touch: Touch, event: Event) -> Iterator[Touch]:
        yield from self._on(touch, event.handles())

    def _succeeded(
        self, touch: Touch, event: InstancesCorrected | InstancesConverted
    ) -> Iterator[Touch]:
        """Tell of corrections: those that were corrected go, and what replaces them comes."""
        pairs = [(old, self._corrected.pop(old, old)) for old in event.instances]
        went = tuple(old for old, _ in pairs if old in self.handles)
        came = tuple(new for _, new in pairs if new in self.handles)
        yield from self._on(evolve(touch, came=came, went=went), sorted((*went, *came)))

    def _stepped(self, touch: Touch, event: ChangeStep) -> Iterator[Touch]:
        yield from self._on(evolve(touch, of=event.change), sorted((*touch.came, *touch.went)))

    def _completed(self, touch: Touch, event: WriteCompleted) -> Iterator[Touch]:
        write = self._writes.pop(event.started)
        placed = {h: path for h, path in write.file_ids().items() if h in self.handles}
        dropped = {h: self.there.pop(h) for h in write.dropped if h in self.there}
        self.there.update(placed)
        self.medium = (write.root, event.dicomdir)
        touch = evolve(touch, root=write.root, dicomdir=event.dicomdir)
        yield from self._on(evolve(touch, file_ids=placed), placed)
        yield from self._on(evolve(touch, kind=TouchKind.TAKEN_OFF, file_ids=dropped), dropped)

    def _abandoned(self, touch: Touch, event: WriteAbandoned) -> Iterator[Touch]:
        write = self._writes.pop(event.started)
        yield from self._on(evolve(touch, root=write.root), write.handles())

    def _left(self, touch: Touch, event: MediumLeft | MediumLost) -> Iterator[Touch]:
        there, self.there, self.medium = self.there, {}, None
        yield from self._on(evolve(touch, root=event.root, file_ids=there), there)

    def _damaged(self, touch: Touch, event: DamageNoted) -> Iterator[Touch]:
        yield from self._on(evolve(touch, root=event.root), event.handles())

    def _exported(self, touch: Touch, event: WriteExported) -> Iterator[Touch]:
        found = self.file_ids_at(event.base)
        file_ids = {handle: found[handle] for handle in sorted(self.handles) if handle in found}
        copied = evolve(touch, root=event.root, file_ids=file_ids, dicomdir=event.dicomdir)
        yield from self._on(copied, file_ids)

    def _handed_out(
        self, touch: Touch, event: MediumProduced | MediumVerified | MediumBurnt
    ) -> Iterator[Touch]:
        if touch.medium is not None:
            instances = touch.medium.started.handles()
            dicomdir = event.dicomdir if isinstance(event, MediumProduced) else None
            yield from self._on(evolve(touch, dicomdir=dicomdir), instances)

    _HANDLERS: ClassVar[dict[TouchKind, Callable[[Provenance, Touch, Any], Iterator[Touch]]]] = {
        TouchKind.ADDED: _added,
        TouchKind.CORRECTED: _succeeded,
        TouchKind.CONVERTED: _succeeded,
        TouchKind.UNDONE: _stepped,
        TouchKind.REDONE: _stepped,
        TouchKind.REVERTED: _stepped,
        TouchKind.WRITTEN: _completed,
        TouchKind.ABANDONED: _abandoned,
        TouchKind.MEDIUM_LEFT: _left,
        TouchKind.MEDIUM_LOST: _left,
        TouchKind.DAMAGED: _damaged,
        TouchKind.EXPORTED: _exported,
        TouchKind.HANDED_OUT: _handed_out,
        TouchKind.MEDIUM_VERIFIED: _handed_out,
        TouchKind.MEDIUM_BURNT: _handed_out,
    }
