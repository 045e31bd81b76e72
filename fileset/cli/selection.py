"""Choosing changes: by patient, actor, kind of event and time."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Final

import click
from attrs import frozen

from fileset.changelog import Entry
from fileset.repository import Repository
from ledger.errors import UnknownFormatError
from ledger.events import (
    EVENT_TYPES,
    ChangeRedone,
    ChangeReverted,
    ChangeUndone,
    ConflictNoted,
    ContentRecorded,
    DamageNoted,
    DamageRepaired,
    DescriptorCharacterSetChanged,
    DescriptorFileIDChanged,
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
from ledger.journal import Change, Stored, decoded, timestamp
from projections.hierarchy import Branch
from projections.provenance import named_in
from projections.state import FileSetState

_CLASSES: Final[dict[str, tuple[type[Event], ...]]] = {
    "create": (FileSetCreated,),
    "adopt": (FileSetImported,),
    "add": (InstanceAdded, InstanceRestored),
    "remove": (InstanceRemoved,),
    "set": (
        FileSetIDChanged,
        FileSetUIDChanged,
        DescriptorFileIDChanged,
        DescriptorCharacterSetChanged,
    ),
    "undo": (ChangeUndone,),
    "redo": (ChangeRedone,),
    "revert": (ChangeReverted,),
    "tag": (PositionTagged, TagDeleted),
    "write": (WriteStarted, WriteCompleted, WriteAbandoned, WriteExported, MediumLost),
    "reject": (InstanceRejected, ConflictNoted),
    "erase": (PayloadErased, RecordsKept, ErasureCompleted),
    "recover": (JournalRecovered,),
    "note": (
        PatientNameNoted,
        ContentRecorded,
        StrangerKept,
        DamageNoted,
        DamageRepaired,
        RecordMended,
    ),
}
KINDS: Final = {word: tuple(cls.TYPE for cls in classes) for word, classes in _CLASSES.items()}
"""Words for event types, as people type them."""

_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:\d\d)?)?")


@frozen
class Selection:
    """What is asked for: a change is wanted if it has all that is given."""

    patient: str | None = None
    actors: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None

    def __bool__(self) -> bool:
        """Whether not every change is wanted."""
        return bool(
            self.patient is not None or self.actors or self.kinds or self.since or self.until
        )

    def judge(self, repository: Repository) -> Callable[[Entry], bool]:
        """Return what tells whether a change is wanted; a usage error if it can't be told."""
        types = {name for kind in self.kinds for name in _types_of(kind)}
        first = None if self.since is None else _stamp(_span(self.since)[0])
        end = None if self.until is None else _stamp(_span(self.until)[1])
        concerns = None if self.patient is None else _concerning(repository, self.patient)

        def wanted(entry: Entry) -> bool:
            change = entry.change
            return (
                (not self.actors or change.actor in self.actors)
                and (first is None or change.recorded_at >= first)
                and (end is None or change.recorded_at < end)
                and (not types or any(stored.type in types for stored in entry.events))
                and (concerns is None or concerns(change, entry.events))
            )

        return wanted


def _types_of(kind: str) -> tuple[str, ...]:
    if kind in EVENT_TYPES:
        return (kind,)
    if kind in KINDS:
        return KINDS[kind]
    near = difflib.get_close_matches(kind, (*KINDS, *EVENT_TYPES), n=3)
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    raise click.UsageError(
        f"There is no kind of event '{kind}': it is an event type or one of {', '.join(KINDS)}."
        f"{hint}"
    )


# --- time ----------------------------------------------------------------------------------------


def _span(text: str) -> tuple[datetime, datetime]:
    """Return the day, minute, second or instant that `text` names, as its beginning and end."""
    if _TIME.fullmatch(text) is None:
        raise click.UsageError(
            f"'{text}' is no date or time: write YYYY-MM-DD, or YYYY-MM-DDTHH:MM, with seconds or "
            "a time zone behind it if they matter."
        )
    try:
        begin = datetime.fromisoformat(text).astimezone()
        if "." in text:
            return begin, begin + timedelta(microseconds=1)
        if len(text) == len("2026-11-22"):  # a day may have 23 hours
            return begin, (datetime.fromisoformat(text) + timedelta(days=1)).astimezone()
        has_seconds = len(text) > 16 and text[16] == ":"
        return begin, begin + timedelta(seconds=1 if has_seconds else 60)
    except (ValueError, OverflowError) as exc:
        raise click.UsageError(f"'{text}' is no date or time: {exc}.") from exc


def _stamp(moment: datetime) -> str:
    return timestamp(lambda: moment.astimezone(UTC))


# --- a patient -----------------------------------------------------------------------------------


def _concerning(
    repository: Repository, patient: str
) -> Callable[[Change, Collection[Stored]], bool]:
    """Return what tells whether a change concerns a patient's instances.

    It does if an event of its names one of them, if it was or ends a write that placed one or took
    one off, or if it undoes, redoes or reverts such a change.
    """
    handles = _handles_of(repository.refresh(), patient)
    journal = repository.journal

    def touches(stored: Stored) -> bool:
        if stored.type == InstanceAdded.TYPE:
            return stored.position in handles
        try:
            event = decoded(stored)
        except UnknownFormatError:
            return False
        match event:
            case ChangeUndone(change=id_) | ChangeRedone(change=id_) | ChangeReverted(change=id_):
                return concerns(id_)
            case WriteCompleted(started=started) | WriteAbandoned(started=started):
                return any(map(touches, journal.stored(after=started - 1, upto=started)))
        return any(handle in handles for handle in named_in(event))

    @cache
    def concerns(id_: str) -> bool:
        change = repository.find_change(id_)
        return any(map(touches, journal.stored(after=change.first - 1, upto=change.last)))

    return lambda _, events: any(map(touches, events))


def _handles_of(state: FileSetState, patient: str) -> frozenset[Handle]:
    """Return the instances that were ever below a record of that Patient ID."""

    @cache
    def is_below(branch: Branch) -> bool:
        if branch.record.type == "PATIENT" and branch.key.strip() == patient.strip():
            return True
        return branch.home is not None and is_below(branch.home)

    leaves = state.hierarchy.leaves.values()
    return frozenset(leaf.handle for leaf in leaves if is_below(leaf.home))
