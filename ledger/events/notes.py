"""Files that were not added, and what was noticed on the way."""

from __future__ import annotations

from collections.abc import Collection

from attrs import frozen

from ledger.events.event import AboutInstance, Content, Event, Handle, Naming, RecordRef


@frozen
class InstanceRejected(Event):
    """A file was offered and not taken."""

    TYPE = "instance-rejected"
    GROUP = "reject"
    COUNTED = ("file", "rejected")

    source: str
    reason: str

    def told(self) -> tuple[str | None, ...]:
        return self.source, self.reason

    def line(self, naming: Naming, position: int) -> str:
        return f"file rejected: {self.source}: {self.reason}"


@frozen
class ConflictNoted(AboutInstance):
    """A file has the SOP Instance UID of `instance` but other content; it was not taken."""

    TYPE = "conflict-noted"
    GROUP = "reject"
    COUNTED = ("conflict", "noted")
    TOUCH = "conflict"
    ERASED_WITH_INSTANCE = True

    source: str | None
    content: Content

    def told(self) -> tuple[str | None, ...]:
        return (self.source,)

    def line(self, naming: Naming, position: int) -> str:
        what = self.source or "a dataset"
        return f"conflict noted: {what} has different content from {naming.instance(self.instance)}"


@frozen
class ArrivalWithheld(AboutInstance):
    """A file arrived of `instance`, which was undone or removed, and was not added again.

    It has the `sop_instance_uid` of that one and its own `content`, the same or another. It lay at
    `source`, and a copy is in the quarantine.
    """

    TYPE = "arrival-withheld"
    GROUP = "reject"
    COUNTED = ("arrival", "withheld")
    TOUCH = "withheld"
    ERASED_WITH_INSTANCE = True

    sop_instance_uid: str
    content: Content
    source: str

    def told(self) -> tuple[str | None, ...]:
        return (self.source,)

    def line(self, naming: Naming, position: int) -> str:
        return (
            f"arrival withheld: {self.source}, {self.content.in_words()}, has the SOP Instance UID "
            f"of {naming.instance(self.instance)}, which was undone or removed"
        )


@frozen
class MismatchNoted(AboutInstance):
    """`instance` says otherwise of the patient, study or series above it than its `record` has.

    `keywords` name the elements that differ. The values are in the events that added instances:
    this one tells nothing of a person. The record keeps the values of its earliest instance that
    is part of the File-set.
    """

    TYPE = "mismatch-noted"
    GROUP = "note"
    COUNTED = ("instance", "noted with different values from its records")
    TOUCH = "mismatch"
    ERASED_WITH_INSTANCE = True

    record: RecordRef
    keywords: tuple[str, ...]

    def line(self, naming: Naming, position: int) -> str:
        what = ", ".join(self.keywords)
        return f"mismatch noted: {naming.instance(self.instance)} has another {what}"


@frozen
class MismatchSettled(Event):
    """Several persons may have the Patient ID of the PATIENT `record`: what was seen is accepted.

    That is whatever instances added before say of the patient. Of each of the persons, `instances`
    has one that was part of the File-set.
    """

    TYPE = "mismatch-settled"
    GROUP = "settle"
    UNDOABLE = True
    TOUCH = "settled"

    record: RecordRef
    instances: tuple[Handle, ...] = ()

    def handles(self) -> Collection[Handle]:
        return self.instances

    def summary(self, naming: Naming) -> str:
        return "several persons accepted under one Patient ID"

    def line(self, naming: Naming, position: int) -> str:
        named = "; ".join(map(naming.instance, self.instances))
        return f"{self.summary(naming)}: {named}"


@frozen
class PatientNameNoted(AboutInstance):
    """`instance` has the Patient ID of the existing PATIENT `record`, but another name.

    PS3.3 Section F.5.1 has each Patient ID once in a File-set, so the instance went below that
    record, which keeps its `standing` name. Both names are text, decoded. Journals have it up to
    version 0.1; `MismatchNoted` is in its place.
    """

    TYPE = "patient-name-noted"
    GROUP = "note"
    COUNTED = ("other patient name", "noted")
    TOUCH = "named"
    ERASED_WITH_INSTANCE = True

    record: RecordRef
    name: str
    standing: str

    def told(self) -> tuple[str | None, ...]:
        return self.name, self.standing

    def line(self, naming: Naming, position: int) -> str:
        return (
            f"patient name noted: '{self.name}' of {naming.instance(self.instance)}, where that "
            f"Patient ID stands for '{self.standing}'"
        )


@frozen
class StrangerKept(AboutInstance):
    """At the File ID of an `instance` lay something else; the vault has its `content`.

    That is a damaged file, or one that someone put in its place, and a write has taken it away. It
    is not the instance, whose own bytes may be lost.
    """

    TYPE = "stranger-kept"
    GROUP = "note"
    COUNTED = ("strange file", "kept from the medium")
    TOUCH = "stranger"
    ERASED_WITH_INSTANCE = True

    content: Content

    def in_vault(self) -> tuple[Content, ...]:
        return (self.content,)

    def line(self, naming: Naming, position: int) -> str:
        return (
            f"file kept that was found in place of {naming.instance(self.instance)}: "
            f"{self.content.in_words()}"
        )


@frozen
class RecordMended(Event):
    """A DICOMDIR was not as it should be, and what is recorded of it was repaired on adoption.

    `kind` names what was wrong (`MendKind`). It concerns the
    directory record at `offset` (`None` for the DICOMDIR as a whole and for a file that no record
    named), the file at `file_id`, and the `instance`, where that is part of the File-set. `was` and
    `now` tell what the DICOMDIR said and what holds instead, `None` for nothing: UIDs, types,
    offsets and keywords, never values that identify a patient.
    """

    TYPE = "record-mended"
    GROUP = "note"
    COUNTED = ("repair", "of its DICOMDIR")
    TOUCH = "mended"
    ERASED_WITH_INSTANCE = True

    kind: str
    offset: int | None = None
    file_id: str | None = None
    was: str | None = None
    now: str | None = None
    instance: Handle | None = None

    def told(self) -> tuple[str | None, ...]:
        return self.file_id, self.was, self.now

    def handles(self) -> Collection[Handle]:
        return () if self.instance is None else (self.instance,)

    def line(self, naming: Naming, position: int) -> str:
        parts = [f"repaired: {self.kind}"]
        if self.instance is not None:
            parts.append(f"of {naming.instance(self.instance)}")
        if self.offset is not None:
            parts.append(f"in the record at offset {self.offset}")
        if self.file_id is not None:
            parts.append(f"at {self.file_id}")
        values = [value for value in (self.was, self.now) if value is not None]
        return " ".join(parts) + (f": {' -> '.join(values)}" if values else "")
