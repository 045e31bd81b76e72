"""Changes and events in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import PurePath
from typing import Final

from attrs import evolve

from fileset.repository.repository import Repository
from fileset.timeline.naming import Names
from ledger.errors import UnknownFormatError
from ledger.events import (
    EVENT_TYPES,
    ConflictNoted,
    ContentRecorded,
    Erased,
    Event,
    FileSetImported,
    Handle,
    InstanceAdded,
    InstanceCorrected,
    InstanceRejected,
    InstanceRemoved,
    InstanceRestored,
    InstancesCorrected,
    MediumFilled,
)
from ledger.journal.entries import Change, Stored
from ledger.journal.protocol import decoded
from ledger.phrases import count, some

_FEW: Final = 3  # kinds of corrections whose values are told in the words for a change
_FIRST: Final = (InstanceAdded, InstanceRestored, InstanceRemoved)
"""What is told first of a change, with the patients that it concerned."""


class Wording:
    """Tells what the changes of a repository did, from the journal alone."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.names = Names(repository.journal)
        self._changes: dict[str, str] = {}

    def change(self, change: Change) -> str:
        """Return what a change did."""
        if change.id not in self._changes:
            journal = self._repository.journal
            self.tell(change, journal.stored(after=change.first - 1, upto=change.last))
        return self._changes[change.id]

    def change_by_id(self, id_: str) -> str:
        """Return what the change with this whole id did."""
        return self._changes.get(id_) or self.change(self._repository.find_change(id_))

    def tell(self, change: Change, events: Iterable[Stored]) -> str:
        """Return what a change did, whose `events` are at hand."""
        if change.id not in self._changes:
            summary = _Summary(self)
            for stored in events:
                summary.take_stored(stored)
            self._changes[change.id] = "; ".join(summary.parts())
        return self._changes[change.id]

    # --- events ----------------------------------------------------------------------------------

    def event(self, stored: Stored) -> str:
        """Return one line on an event."""
        event = _decode(stored)
        return event if isinstance(event, str) else event.line(self, stored.position)

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
        self._corrected: dict[tuple[str, ...], list[InstancesCorrected]] = {}
        self._counts: Counter[type[Event]] = Counter()
        self._whose: dict[type[Event], dict[str, None]] = {}

    def take_stored(self, stored: Stored) -> None:
        known = stored.version <= InstanceAdded.VERSION
        if stored.type == InstanceAdded.TYPE and known:  # there are many, and little is needed
            self._count(InstanceAdded, self._wording.names.patient_of(stored))
            self._counts[Erased] += not stored.payload
        elif isinstance(event := _decode(stored), str):
            self._other.append(event)
        else:
            self.take(event)

    def take(self, event: Event) -> None:
        if isinstance(event, InstanceRemoved | InstanceRestored):
            self._count(type(event), self._wording.names.patient(event.instance))
        elif isinstance(event, InstanceCorrected):
            pass  # what was corrected in all of them, an event of its own tells
        elif isinstance(event, InstancesCorrected):
            self._corrected.setdefault(tuple(event.in_words()), []).append(event)
        elif isinstance(event, InstanceRejected | ConflictNoted):
            self._count(type(event), PurePath(event.source).name if event.source else None)
        elif isinstance(event, FileSetImported):
            self._imported = event
        elif isinstance(event, MediumFilled):
            self._counts[MediumFilled] += len(event.files)
        elif isinstance(event, ContentRecorded) or event.COUNTED:
            self._count(type(event))
        else:
            self._other.append(event.summary(self._wording))

    def _count(self, kind: type[Event], name: str | None = None) -> None:
        """Count an event, with the patient or the file that it is about."""
        self._counts[kind] += 1
        if name:
            self._whose.setdefault(kind, {})[name] = None

    def parts(self) -> list[str]:
        """Return the summary's parts, the most important first."""
        parts = []
        if self._imported is not None:
            instances = count(self._counts.pop(InstanceAdded, 0), "instance")
            parts.append(f"{self._imported.summary(self._wording)}: {instances}")
        parts += self._counted(*_FIRST)
        parts += self._corrections()
        parts += self._other
        parts += self._counted(*(cls for cls in EVENT_TYPES.values() if cls not in _FIRST), Erased)
        if not parts:
            contents = count(self._counts[ContentRecorded], "instance")
            parts.append(f"content of {contents} recorded")
        return parts

    def _corrections(self) -> Iterator[str]:
        """Yield what was corrected; where that differs much, only in which elements."""
        if len(self._corrected) <= _FEW:
            for first, *others in self._corrected.values():
                alike = chain(first.instances, *(event.instances for event in others))
                yield evolve(first, instances=tuple(alike)).summary(self._wording)
            return
        instances: set[Handle] = set()
        uids: set[str] = set()
        paths: dict[str, None] = {}
        for event in chain.from_iterable(self._corrected.values()):
            instances.update(event.instances)
            paths.update((element.path, None) for element in event.elements)
            uids.update(old for old, _ in event.uids)
        what = [f"{some(list(paths))} corrected"] if paths else []
        what += [f"{count(len(uids), 'UID')} replaced"] if uids else []
        yield f"{', '.join(what)} in {count(len(instances), 'instance')}"

    def _counted(self, *kinds: type[Event]) -> Iterator[str]:
        for kind in kinds:
            if kind.COUNTED and (number := self._counts[kind]):
                noun, what = kind.COUNTED
                names = self._whose.get(kind)
                whose = f": {some(list(names), 3)}" if names else ""
                yield f"{count(number, noun)} {what}{whose}"
