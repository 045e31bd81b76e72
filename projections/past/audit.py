"""What each change means for an audit trail (PS3.15 Section A.5): whose data came in or went out.

Patients, studies and SOP Classes are told with numbers, never single instances. What an instance
says of the records above it is fixed by the event that added it. So what is told of a change
depends on nothing that came later, except on what was erased since.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from enum import Enum
from functools import lru_cache
from itertools import groupby
from operator import attrgetter
from typing import Final

from attrs import define, evolve, field, frozen

from ledger.elements import Elements, character_set, find
from ledger.events import (
    Erased,
    Event,
    FileSetImported,
    Handle,
    InstanceAdded,
    InstanceCorrected,
    InstancesCorrected,
    MediumAddressed,
    MediumBurnt,
    MediumProduced,
    MediumStarted,
    PayloadErased,
    Record,
    WriteCompleted,
    WriteExported,
    WriteStarted,
)
from ledger.events.media import KINDS
from ledger.journal.entries import Change, Recorded
from ledger.phrases import some
from ledger.sources import folder_of
from ledger.tags import PATIENT_ID, PATIENT_NAME, STUDY_INSTANCE_UID
from projections.dicomdir.text import readable
from projections.medium.volumes import CAPACITIES
from projections.past.diff import above
from projections.state.nodes import Leaf
from projections.state.state import FileSetState

_STUDY_DESCRIPTION: Final = 0x00081030
_ACCESSION_NUMBER: Final = 0x00080050
_ADDED: Final = frozenset((InstanceAdded.TYPE, InstanceCorrected.TYPE))


class Audited(Enum):
    """What happened to patients' data."""

    IMPORTED = "imported"
    """It came in: instances were added, or adopted with a medium."""

    EXPORTED = "exported"
    """It went out: it was written to a medium."""

    UPDATED = "updated"
    """It was corrected."""

    DELETED = "deleted"
    """Some of a series was erased, whose other instances stay."""

    STUDY_DELETED = "study-deleted"
    """It was erased, and directory records with it."""


@frozen
class AuditedStudy:
    """A study: `sop_classes` are pairs of a SOP Class UID and how many instances it has."""

    uid: str
    description: str
    accession_number: str
    sop_classes: tuple[tuple[str, int], ...]


@frozen
class AuditedPatient:
    """A patient, with the studies in question: `instances` counts those of no study as well."""

    id: str
    name: str
    studies: tuple[AuditedStudy, ...]
    instances: int


class MediaKind(Enum):
    """What a medium is, as PS3.16 CID 405 tells them apart."""

    CD = "cd"
    DVD = "dvd"
    USB = "usb"
    MAIL = "mail"
    URI = "uri"
    """A folder or a file."""


@frozen
class AuditedMedium:
    """Where data came from or went: the path `where` of a folder, or what else is known of it.

    `uid` is the UID of the File-set there, the SOP Instance UID of its DICOMDIR.
    """

    where: str
    uid: str | None = None
    kind: MediaKind = MediaKind.URI


_LARGEST_CD: Final = CAPACITIES["cd80"]
_MEDIA: Final = {
    "iso": MediaKind.CD,
    "usb": MediaKind.USB,
    "zip": MediaKind.URI,
    "eml": MediaKind.MAIL,
    "folder": MediaKind.URI,
}
_ENDS: Final = (WriteCompleted, WriteExported, MediumProduced, MediumBurnt, PayloadErased)


@frozen
class AuditFact:
    """One thing that a change did to patients' data.

    Attributes
    ----------
    kind : Audited
        What it is.
    change : Change
        Who did it, when and why.
    patients : tuple of AuditedPatient
        Whose data it was, in the order in which they came; one patient, unless data came or went.
    instances : int
        How many instances of patients it is about, with those that were erased.
    erased : int
        How many of them were erased since, so that nothing else is known of them.
    medium : AuditedMedium or None
        Where they came from or went to.
    recipient : str or None
        For whom that is.
    detail : str
        What else is known, as a sentence.
    """

    kind: Audited
    change: Change
    patients: tuple[AuditedPatient, ...] = ()
    instances: int = 0
    erased: int = 0
    medium: AuditedMedium | None = None
    recipient: str | None = None
    detail: str = ""


@define
class _Tally:
    """Counts instances by patient, study and SOP Class: those of patients, and those erased."""

    instances: int = 0
    erased: int = 0
    patients: dict[tuple[str, str], dict[Record | None, Counter[str]]] = field(factory=dict)

    def count(self, leaf: Leaf | None) -> None:
        """Take in an instance, `None` for one that was erased."""
        if leaf is None:
            self.erased += 1
            self.instances += 1
            return
        patient, study = _patient_and_study(leaf)
        if patient is not None:
            studies = self.patients.setdefault(patient, {})
            studies.setdefault(study, Counter())[leaf.sop_class_uid] += 1
            self.instances += 1

    def told(self) -> tuple[AuditedPatient, ...]:
        """Return the patients, with what was counted of their studies."""
        return tuple(
            AuditedPatient(
                id_,
                name,
                tuple(_told(study, classes) for study, classes in studies.items() if study),
                sum(classes.total() for classes in studies.values()),
            )
            for (id_, name), studies in self.patients.items()
        )


def _told(study: Record, sop_classes: Counter[str]) -> AuditedStudy:
    return AuditedStudy(
        _text(study, STUDY_INSTANCE_UID),
        _text(study, _STUDY_DESCRIPTION),
        _text(study, _ACCESSION_NUMBER),
        tuple(sorted(sop_classes.items())),
    )


def _patient_and_study(leaf: Leaf) -> tuple[tuple[str, str] | None, Record | None]:
    """Return what an instance says of its patient, ID and name, and of its study.

    Each is `None` where there is no such record above it.
    """
    said = {branch.name[0]: branch.said_by(leaf) for branch in above(leaf.home)}
    patient = said.get("PATIENT")
    whom = None if patient is None else (_text(patient, PATIENT_ID), _text(patient, PATIENT_NAME))
    return whom, said.get("STUDY")


def _text(record: Record, tag: int) -> str:
    return _text_in(record.elements, tag)


@lru_cache(256)  # of the same few records for each instance
def _text_in(held: Elements, tag: int) -> str:
    return readable(find(held, tag), character_set(held)).strip()


@define
class _Source:
    """The folder that all sources of a change are in, as far as they have one in common."""

    folder: str | None = None

    def take(self, source: str) -> None:
        """Take in the path of a file."""
        folder = folder_of(source)
        if self.folder is None or folder == self.folder:
            self.folder = folder
            return
        same: list[str] = []
        for ours, other in zip(self.folder.split("/"), folder.split("/"), strict=False):
            if ours != other:
                break
            same.append(ours)
        self.folder = "/".join(same)


@define
class AuditTrail:
    """Tells of changes, one after another.

    `known` returns an instance that the File-set ever had, `None` if it was erased. `events` yields
    the events from one position to another, and `state_at` returns the state at a position: that is
    asked for exports.
    """

    known: Callable[[Handle], Leaf | None]
    events: Callable[[int, int], Iterable[Event]]
    state_at: Callable[[int], FileSetState]

    def facts(self, recorded: Iterable[Recorded]) -> Iterator[tuple[Change, list[AuditFact]]]:
        """Yield each change of `recorded`, whole changes in their order, with what is told of it.

        The events of a change are taken in one by one, however many they are.
        """
        for change, group in groupby(recorded, key=attrgetter("change")):
            yield change, list(self._of_change(change, group))

    def _of_change(self, change: Change, group: Iterable[Recorded]) -> Iterator[AuditFact]:
        imports, corrections = _Import(self.known), _Corrections(self.known)
        ends: list[Event] = []
        for recorded in group:
            if isinstance(recorded.event, _ENDS):
                ends.append(recorded.event)
            else:
                imports.take(recorded)
                corrections.take(recorded)
        yield from imports.facts(change)
        yield from corrections.facts(change)
        for event in ends:
            match event:
                case WriteCompleted():
                    yield from self._written(change, event)
                case WriteExported():
                    yield from self._copied(change, event)
                case MediumProduced(started=started, image=image):
                    yield from self._handed_out(change, started, image.size)
                case MediumBurnt(started=started, device=device):
                    yield from self._burnt(change, started, device)
                case PayloadErased():
                    yield from self._erased(change, event)

    def _written(self, change: Change, event: WriteCompleted) -> Iterator[AuditFact]:
        for write in self.events(event.started, event.started):
            if isinstance(write, WriteStarted):
                placed = [handle for names in write.placed.values() for handle in names.values()]
                yield from self._exported(change, placed, AuditedMedium(write.root))

    def _copied(self, change: Change, event: WriteExported) -> Iterator[AuditFact]:
        state = self.state_at(event.base)
        handles = [leaf.handle for leaf in state.live.values()]
        medium = AuditedMedium(event.root, state.identity.uid)
        yield from self._exported(change, handles, medium, erased=state.erased)

    def _burnt(self, change: Change, started: int, device: str) -> Iterator[AuditFact]:
        for event in self.events(started, change.first):
            if isinstance(event, MediumProduced) and event.started == started:
                yield from self._handed_out(change, started, event.image.size, device)
                return

    def _handed_out(
        self, change: Change, started: int, size: int, device: str | None = None
    ) -> Iterator[AuditFact]:
        made, *others = self.events(started, started + 1)
        if not isinstance(made, MediumStarted):
            return
        said = [each for each in others if isinstance(each, MediumAddressed)]
        recipient = said[0].recipient if said and said[0].started == started else None
        kind = _MEDIA.get(made.kind, MediaKind.URI)
        if kind is MediaKind.CD and size > _LARGEST_CD:
            kind = MediaKind.DVD
        where = f"{KINDS.get(made.kind, made.kind)} '{made.id or ''}'"
        where += f", volume {made.volume} of {made.volumes}" if made.volumes > 1 else ""
        where += f", burnt on {device}" if device else ""
        medium = AuditedMedium(where, made.uid, kind)
        yield from self._exported(change, made.handles(), medium, recipient=recipient)

    def _exported(
        self,
        change: Change,
        handles: Iterable[Handle],
        medium: AuditedMedium,
        *,
        erased: int = 0,
        recipient: str | None = None,
    ) -> Iterator[AuditFact]:
        tally = _Tally(erased, erased)
        for handle in sorted(handles):
            tally.count(self.known(handle))
        if tally.instances:
            yield AuditFact(
                Audited.EXPORTED,
                change,
                tally.told(),
                tally.instances,
                tally.erased,
                medium,
                recipient,
            )

    def _erased(self, change: Change, event: PayloadErased) -> Iterator[AuditFact]:
        instances = sum(
            isinstance(gone, Erased) and gone.type in _ADDED
            for first, last in event.positions
            for gone in self.events(first, last)
        )
        if instances:
            kind = Audited.STUDY_DELETED if event.records else Audited.DELETED
            runs = [f"{a} to {b}" if b > a else f"{a}" for a, b in event.positions]
            detail = f"Erased: the events at positions {some(runs, 20)}."
            yield AuditFact(kind, change, (), instances, instances, detail=detail)


@define
class _Import:
    """The instances that a change added or adopted, and where they came from."""

    known: Callable[[Handle], Leaf | None]
    tally: _Tally = field(factory=_Tally)
    adopted: AuditedMedium | None = None
    source: _Source = field(factory=_Source)

    def take(self, recorded: Recorded) -> None:
        """Take in an event of the change."""
        match recorded.event:
            case FileSetImported(root=root, uid=uid):
                self.adopted = AuditedMedium(root, uid)
            case InstanceCorrected():
                pass
            case InstanceAdded(source=source):
                self.tally.count(self.known(recorded.position))
                if source is not None:
                    self.source.take(source)
            case Erased(type=InstanceAdded.TYPE):
                self.tally.count(None)

    def facts(self, change: Change) -> Iterator[AuditFact]:
        """Yield what is told of them."""
        tally, folder = self.tally, self.source.folder
        medium = self.adopted
        if medium is None and folder is not None:
            medium = AuditedMedium(folder or "/")
        if tally.instances:
            yield AuditFact(
                Audited.IMPORTED, change, tally.told(), tally.instances, tally.erased, medium
            )


@define
class _Corrections:
    """The instances that a change corrected, and in what.

    One message tells of one patient. Of instances that went from one patient or study to another,
    both are told.
    """

    known: Callable[[Handle], Leaf | None]
    after: _Tally = field(factory=_Tally)
    before: _Tally = field(factory=_Tally)
    keywords: dict[str, None] = field(factory=dict)

    def take(self, recorded: Recorded) -> None:
        """Take in an event of the change."""
        match recorded.event:
            case InstanceCorrected(replaces=replaces):
                old, new = self.known(replaces), self.known(recorded.position)
                self.after.count(new)
                if new is not None and (old is None or _place(old) != _place(new)):
                    self.before.count(old)
            case Erased(type=InstanceCorrected.TYPE):
                self.after.count(None)
            case InstancesCorrected(elements=elements):
                self.keywords.update((element.path, None) for element in elements)

    def facts(self, change: Change) -> Iterator[AuditFact]:
        """Yield what is told of them, patient by patient."""
        detail = f"Corrected: {some(list(self.keywords), 20)}." if self.keywords else ""
        fact = AuditFact(Audited.UPDATED, change, detail=detail)
        for patient in (*self.after.told(), *self.before.told()):
            yield evolve(fact, patients=(patient,), instances=patient.instances)
        if erased := self.after.erased + self.before.erased:
            yield evolve(fact, instances=erased, erased=erased)


def _place(leaf: Leaf) -> tuple[str | None, str | None]:
    """Return the Patient ID and the Study Instance UID of an instance."""
    patient, study = _patient_and_study(leaf)
    return (
        None if patient is None else patient[0],
        None if study is None else _text(study, STUDY_INSTANCE_UID),
    )
