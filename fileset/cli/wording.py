"""Changes and events in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from fileset.cli.documents import IDENTITY_NAMES, short, sop_class_name
from fileset.cli.text import count, some
from fileset.repository import Repository
from ledger import codec
from ledger.events import (
    ChangeRedone,
    ChangeUndone,
    ConflictNoted,
    ContentRecorded,
    DescriptorCharacterSetChanged,
    DescriptorFileIDChanged,
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
    MediumLost,
    PatientNameNoted,
    StrangerKept,
    WriteAbandoned,
    WriteCompleted,
    WriteExported,
    WriteStarted,
)
from ledger.journal import Change, Stored
from projections.hierarchy import Branch

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
}
_COUNTED: Final = tuple(_COUNTED_WORDS)


class Wording:
    """Tells what the changes of a repository did."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._state = repository.refresh()
        self._told: dict[str, str] = {}

    def changes(self) -> Iterator[tuple[Change, str, list[Stored]]]:
        """Yield every change, oldest first, what it did, and its events."""
        events: list[Stored] = []
        for stored in self._repository.journal.stored():
            events.append(stored)
            if stored.position == stored.change.last:
                yield stored.change, self._tell(stored.change, events), events
                events = []

    def change(self, change: Change) -> str:
        """Return what a change did."""
        if change.id not in self._told:
            journal = self._repository.journal
            self._tell(change, journal.stored(after=change.first - 1, upto=change.last))
        return self._told[change.id]

    def change_by_id(self, id_: str) -> str:
        """Return what the change with this whole id did."""
        return self._told.get(id_) or self.change(self._repository.find_change(id_))

    def _tell(self, change: Change, events: Iterable[Stored]) -> str:
        summary = _Summary(self)
        for stored in events:
            if stored.type == InstanceAdded.TYPE:  # its position is all that is needed of it
                summary.added.append(stored.position)
            else:
                summary.take(codec.decode(stored.type, stored.version, stored.payload))
        self._told[change.id] = told = "; ".join(summary.parts())
        return told

    # --- events ----------------------------------------------------------------------------------

    def event(self, stored: Stored) -> str:
        """Return one line on an event."""
        event = codec.decode(stored.type, stored.version, stored.payload)
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
        leaf = self._state.leaf(handle)
        patient = self.patient(handle)
        whose = f" of {patient}" if patient else ""
        return f"{sop_class_name(leaf.sop_class_uid)}{whose}, {leaf.uid}"

    def patient(self, handle: Handle) -> str | None:
        """Return the Patient ID of an instance."""
        branch: Branch | None = self._state.leaf(handle).home
        while branch is not None and branch.record.type != "PATIENT":
            branch = branch.home
        return branch.key if branch is not None else None

    def patients(self, handles: Iterable[Handle]) -> str:
        """Return whose the instances are: ``": 1CT1, 4MR1"``, empty if nobody's."""
        found = dict.fromkeys(p for p in map(self.patient, handles) if p)
        return f": {some(list(found))}" if found else ""


class _Summary:
    """What the events of a change amount to."""

    def __init__(self, wording: Wording) -> None:
        self._wording = wording
        self.added: list[Handle] = []
        self._handles: dict[type, list[Handle]] = {
            InstanceRestored: [],
            InstanceRemoved: [],
            ContentRecorded: [],
        }
        self._imported: FileSetImported | None = None
        self._other: list[str] = []
        self._counts: Counter[type] = Counter()

    def of(self, event: Event) -> list[str]:
        """Return the summary of a single event."""
        self.take(event)
        return self.parts()

    def take(self, event: Event) -> None:
        if (handles := self._handles.get(type(event))) is not None:
            handles.append(event.instance)  # type: ignore[union-attr]  # the classes of the table
        elif isinstance(event, FileSetImported):
            self._imported = event
        elif isinstance(event, _COUNTED):
            self._counts[type(event)] += 1
        else:
            self._other.append(self._tell(event))

    def parts(self) -> list[str]:
        """Return the summary's parts, the most important first."""
        parts = []
        if self._imported is not None:
            instances = count(len(self.added), "instance")
            parts.append(f"File-set at {self._imported.root} adopted: {instances}")
        else:
            parts += self._instances(self.added, "added")
        parts += self._instances(self._handles[InstanceRestored], "taken back in")
        parts += self._instances(self._handles[InstanceRemoved], "removed")
        parts += self._other
        for kind, (noun, what) in _COUNTED_WORDS.items():
            if number := self._counts[kind]:
                parts.append(f"{count(number, noun)} {what}")
        if not parts:
            contents = self._handles[ContentRecorded]
            parts.append(f"content of {count(len(contents), 'instance')} recorded")
        return parts

    def _instances(self, handles: list[Handle], what: str) -> list[str]:
        if not handles:
            return []
        return [f"{count(len(handles), 'instance')} {what}{self._wording.patients(handles)}"]

    def _tell(self, event: Event) -> str:
        match event:
            case FileSetCreated(id=id_):
                return f"File-set '{id_}' created" if id_ else "File-set created"
            case ChangeUndone(change=id_):
                return f"undid {id_}: {self._wording.change_by_id(id_)}"
            case ChangeRedone(change=id_):
                return f"redid {id_}: {self._wording.change_by_id(id_)}"
            case WriteStarted(root=root):
                placed = sum(len(names) for names in event.placed.values())
                what = f"{count(placed, 'file')} to place, {len(event.dropped):,} to remove"
                return f"write to {root} started: {what}"
            case WriteCompleted():
                return "write completed"
            case WriteAbandoned(reason=reason):
                return f"write abandoned: {reason}"
            case MediumLost(root=root):
                return f"medium at {root} given up"
            case WriteExported(root=root, base=base):
                return f"position {base} exported to {root}"
            case _:
                return _identity_set(event)


def _identity_set(event: Any) -> str:
    name = IDENTITY_NAMES[_IDENTITY[type(event)]]
    value = "/".join(event.value) if isinstance(event.value, tuple) else event.value
    return f"{name} cleared" if value is None else f"{name} set to '{value}'"


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
    InstanceRejected: lambda _, e: f"file rejected: {e.source}: {e.reason}",
    ConflictNoted: lambda w, e: (
        f"conflict noted: {e.source or 'a dataset'} has other content than {w.instance(e.instance)}"
    ),
    WriteCompleted: lambda _, e: f"write completed: DICOMDIR {short(e.dicomdir)}",
    FileSetImported: lambda _, e: f"File-set at {e.root} adopted: DICOMDIR {short(e.dicomdir)}",
}
