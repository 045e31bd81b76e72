"""Changes and events in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from fileset.cli.documents import IDENTITY_NAMES, short
from fileset.cli.naming import Names
from fileset.cli.text import count, some
from fileset.repository import Repository
from ledger.errors import UnknownFormatError
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
from ledger.journal import Change, Stored, decoded

_IDENTITY: Final = {
    FileSetIDChanged: "id",
    FileSetUIDChanged: "uid",
    DescriptorFileIDChanged: "descriptor_file_id",
    DescriptorCharacterSetChanged: "descriptor_character_set",
}


_COUNTED_WORDS: Final[dict[type, tuple[str, str]]] = {
    InstanceRejected: ("file", "rejected"),
    ConflictNoted: ("conflict", "noted"),
    PatientNameNoted: ("other patient name", "noted"),
    StrangerKept: ("strange file", "kept from the medium"),
    RecordMended: ("mend", "of its DICOMDIR"),
    Erased: ("event", "erased since"),
    RecordsKept: ("record group", "carried on"),
}
_COUNTED: Final = (*_COUNTED_WORDS, ContentRecorded)


class Wording:
    """Tells what the changes of a repository did, from the journal alone."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.names = Names(repository.journal)
        self._told: dict[str, str] = {}

    def change(self, change: Change) -> str:
        """Return what a change did."""
        if change.id not in self._told:
            journal = self._repository.journal
            self.tell(change, journal.stored(after=change.first - 1, upto=change.last))
        return self._told[change.id]

    def change_by_id(self, id_: str) -> str:
        """Return what the change with this whole id did."""
        return self._told.get(id_) or self.change(self._repository.find_change(id_))

    def tell(self, change: Change, events: Iterable[Stored]) -> str:
        """Return what a change did, whose `events` are at hand."""
        if change.id not in self._told:
            summary = _Summary(self)
            for stored in events:
                summary.take_stored(stored)
            self._told[change.id] = "; ".join(summary.parts())
        return self._told[change.id]

    # --- events ----------------------------------------------------------------------------------

    def event(self, stored: Stored) -> str:
        """Return one line on an event."""
        event = _decode(stored)
        if isinstance(event, str):
            return event
        teller = _EVENT_LINES.get(type(event))
        if isinstance(event, InstanceAdded):
            return self._added_line(event, stored.position)
        return teller(self, event) if teller else "; ".join(_Summary(self).of(event))

    def _added_line(self, event: InstanceAdded, handle: Handle) -> str:
        parts = [f"instance added: {self.instance(handle)}"]
        if event.file_id:
            parts.append(f"at {event.file_id}")
        if event.source:
            parts.append(f"from {event.source}")
        if event.content:
            parts.append(f"{short(event.content.digest)} of {count(event.content.size, 'byte')}")
        if event.placement.value == "reference":
            parts.append("left where it is")
        return ", ".join(parts)

    def instance(self, handle: Handle) -> str:
        """Return what people know an instance by."""
        return self.names.instance(handle)


def _decode(stored: Stored) -> Event | str:
    """Return the event; if a newer version wrote it, what is unknown about it."""
    try:
        return decoded(stored)
    except UnknownFormatError as exc:
        return exc.what


class _Summary:
    """What the events of a change amount to."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording
        self._imported: FileSetImported | None = None
        self._other: list[str] = []
        self._counts: Counter[type] = Counter()
        self._patients: dict[type, dict[str, None]] = {}

    def take_stored(self, stored: Stored) -> None:
        known = stored.version <= InstanceAdded.VERSION
        if (
            stored.type == InstanceAdded.TYPE and known
        ):  # of these there are many, and little is needed
            self._count(InstanceAdded, self._wording.names.patient_of(stored))
            self._counts[Erased] += not stored.payload
        elif isinstance(event := _decode(stored), str):
            self._other.append(event)
        else:
            self.take(event)

    def of(self, event: Event) -> list[str]:
        """Return the summary of a single event."""
        self.take(event)
        return self.parts()

    def take(self, event: Event) -> None:
        if isinstance(event, InstanceRemoved | InstanceRestored):
            self._count(type(event), self._wording.names.patient(event.instance))
        elif isinstance(event, FileSetImported):
            self._imported = event
        elif isinstance(event, _COUNTED):
            self._count(type(event))
        else:
            self._other.append(self._tell(event))

    def _count(self, kind: type, patient: str | None = None) -> None:
        self._counts[kind] += 1
        if patient:
            self._patients.setdefault(kind, {})[patient] = None

    def parts(self) -> list[str]:
        """Return the summary's parts, the most important first."""
        parts = []
        if self._imported is not None:
            instances = count(self._counts[InstanceAdded], "instance")
            parts.append(f"File-set at {self._imported.root} adopted: {instances}")
        else:
            parts += self._instances(InstanceAdded, "added")
        parts += self._instances(InstanceRestored, "taken back in")
        parts += self._instances(InstanceRemoved, "removed")
        parts += self._other
        for kind, (noun, what) in _COUNTED_WORDS.items():
            if number := self._counts[kind]:
                parts.append(f"{count(number, noun)} {what}")
        if not parts:
            contents = count(self._counts[ContentRecorded], "instance")
            parts.append(f"content of {contents} recorded")
        return parts

    def _instances(self, kind: type, what: str) -> list[str]:
        if not self._counts[kind]:
            return []
        patients = self._patients.get(kind)
        whose = f": {some(list(patients))}" if patients else ""
        return [f"{count(self._counts[kind], 'instance')} {what}{whose}"]

    def _tell(self, event: Event) -> str:
        return _SUMMARIES.get(type(event), _identity_set)(self._wording, event)


def _written(_: Wording, event: WriteStarted) -> str:
    placed = sum(len(names) for names in event.placed.values())
    what = f"{count(placed, 'file')} to place, {len(event.dropped):,} to remove"
    return f"write to {event.root} started: {what}"


def _damage(_: Wording, event: DamageNoted) -> str:
    numbers = {
        "missing": len(event.missing),
        "changed": len(event.changed),
        "unreadable": len(event.unreadable),
        "there again that had been taken off": len(event.returned),
    }
    found = [f"{count(number, 'file')} {what}" for what, number in numbers.items() if number]
    if event.no_dicomdir:
        found.append("no DICOMDIR")
    if event.dicomdir is not None:
        found.append("another DICOMDIR")
    return f"damage found on the medium at {event.root}: {', '.join(found)}"


def _mended(wording: Wording, event: RecordMended) -> str:
    parts = [f"mended: {event.kind}"]
    if event.instance is not None:
        parts.append(f"of {wording.instance(event.instance)}")
    if event.offset is not None:
        parts.append(f"in the record at offset {event.offset}")
    if event.file_id is not None:
        parts.append(f"at {event.file_id}")
    told = " ".join(parts)
    values = [value for value in (event.was, event.now) if value is not None]
    return f"{told}: {' -> '.join(values)}" if values else told


def _identity_set(_: Wording, event: Any) -> str:
    name = IDENTITY_NAMES[_IDENTITY[type(event)]]
    value = "/".join(event.value) if isinstance(event.value, tuple) else event.value
    return f"{name} cleared" if value is None else f"{name} set to '{value}'"


def _positions(runs: Iterable[tuple[int, int]]) -> str:
    return some([f"{a} to {b}" if b > a else f"{a}" for a, b in runs], 10)


_SUMMARIES: Final[dict[type, Callable[[Wording, Any], str]]] = {
    FileSetCreated: lambda _, e: f"File-set '{e.id}' created" if e.id else "File-set created",
    ChangeUndone: lambda w, e: f"undid {e.change}: {w.change_by_id(e.change)}",
    ChangeRedone: lambda w, e: f"redid {e.change}: {w.change_by_id(e.change)}",
    ChangeReverted: lambda w, e: f"reverted {e.change}: {w.change_by_id(e.change)}",
    PositionTagged: lambda _, e: f"position {e.position} tagged '{e.name}'",
    TagDeleted: lambda _, e: f"tag '{e.name}' deleted",
    WriteStarted: _written,
    WriteCompleted: lambda _, __: "write completed",
    WriteAbandoned: lambda _, e: f"write abandoned: {e.reason}",
    DamageNoted: _damage,
    DamageRepaired: lambda _, e: (
        f"{count(len(e.instances), 'file')} put back, {len(e.taken_off):,} taken off"
    ),
    MediumLost: lambda _, e: f"medium at {e.root} given up",
    WriteExported: lambda _, e: f"position {e.base} exported to {e.root}",
    PayloadErased: lambda _, e: f"{count(sum(b - a + 1 for a, b in e.positions), 'event')} erased",
    ErasureCompleted: lambda _, e: f"erasure at position {e.started} completed",
    JournalRecovered: lambda _, e: (
        f"journal recovered up to position {e.base}"
        + (f"; the events after it, up to {e.last} at least, were lost" if e.last else "")
    ),
}

_EVENT_LINES: Final[dict[type, Callable[[Wording, Any], str]]] = {
    InstanceRemoved: lambda w, e: f"instance removed: {w.instance(e.instance)}",
    InstanceRestored: lambda w, e: f"instance taken back in: {w.instance(e.instance)}",
    ContentRecorded: lambda w, e: (
        f"content recorded of {w.instance(e.instance)}: {short(e.content.digest)} of "
        f"{count(e.content.size, 'byte')}, kept in the {e.placement.value}"
    ),
    StrangerKept: lambda w, e: (
        f"file kept that lay in the place of {w.instance(e.instance)}: {short(e.content.digest)} "
        f"of {count(e.content.size, 'byte')}"
    ),
    PatientNameNoted: lambda w, e: (
        f"patient name noted: '{e.name}' of {w.instance(e.instance)}, where that Patient ID stands "
        f"for '{e.standing}'"
    ),
    RecordMended: _mended,
    InstanceRejected: lambda _, e: f"file rejected: {e.source}: {e.reason}",
    ConflictNoted: lambda w, e: (
        f"conflict noted: {e.source or 'a dataset'} has other content than {w.instance(e.instance)}"
    ),
    WriteCompleted: lambda _, e: f"write completed: DICOMDIR {short(e.dicomdir)}",
    FileSetImported: lambda _, e: f"File-set at {e.root} adopted: DICOMDIR {short(e.dicomdir)}",
    Erased: lambda _, e: f"erased: {e.type}",
    RecordsKept: lambda _, e: f"records of the erased event {e.of} carried on: {len(e.parents)}",
    PayloadErased: lambda _, e: f"erased: the events at {_positions(e.positions)}",
}
