"""Adopting an existing File-set: from its DICOMDIR to the events that record it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from enum import Enum
from typing import ClassVar, Final

from attrs import evolve

from fileset.adding.whole import content_and_instance
from fileset.adoption.existing import ExistingFileSet, warn
from fileset.adoption.persons import Persons, said_of_patient
from fileset.adoption.places import Place, are_plain, instances
from fileset.medium.file_ids import FileKey, ReferencedFile, RootFolder
from fileset.progress import Progress
from fileset.python_gc import gc_paused
from fileset.repository.repository import Repository
from ledger.elements import find
from ledger.errors import InstanceError
from ledger.events import Content, Handle, Placement, Record, RecordMended, RecordRef, Variant
from ledger.instances.instance import Instance
from ledger.names import clash_with_dicomdir
from ledger.phrases import some
from ledger.tags import RECORD_IDENTIFIERS
from projections.dicomdir.decoded_directory import DecodedRecord
from projections.dicomdir.mending import Mend, mend_of_file_id
from projections.state.listed import Listed, Row

LAYOUT_DEPTH: Final = 8
"""Levels that the default layout has File IDs for (PS3.10 Section 8.2)."""


class Doubt(Enum):
    """In what way a file is not what its directory records say."""

    UNREADABLE = "file-unreadable"
    """It can't be read, or is empty, cut off, no DICOM file or no SOP Instance."""
    INSTANCE = "sop-instance-uid"
    """It is another SOP Instance."""
    PLACE = "place"
    """Its patient, study or series is another one."""
    ORPHAN = "orphan"
    """No offset leads to its record."""


_AS_LISTED: Final = (
    "They are adopted as the DICOMDIR describes them; --repair (repair=True) corrects it from the "
    "files"
)
COPY_ADDED: Final = "copy it under another name and use `fileset add`"
_DOUBTS: Final = {
    Doubt.UNREADABLE: ("truncated, empty, unreadable or not a SOP Instance", _AS_LISTED),
    Doubt.INSTANCE: ("not the SOP Instance that the record says", _AS_LISTED),
    Doubt.PLACE: ("not of the patient, study or series that the records above it say", _AS_LISTED),
    Doubt.ORPHAN: (
        "of records that no offset leads to",
        "They are staged to be added as copies; --repair (repair=True) adopts them where they are",
    ),
}


class Adopter(ABC):
    """Records an existing File-set in an empty repository, as one change.

    `Adoption` takes its records as they are listed, `Mending` goes by the files.
    """

    def __init__(self, repository: Repository, found: ExistingFileSet, *, digest: bool) -> None:
        """Prepare to adopt `found`; with `digest` the digest of every file is recorded."""
        self._repository = repository
        self._found = found
        self._digest = digest
        self._root = RootFolder(found.root)
        self._taken: dict[FileKey, Handle] = {}
        self._persons = Persons(repository)

    def run(self, progress: Progress | None = None) -> None:
        """Record the File-set and its instances; `progress` is called with the files looked at."""
        with gc_paused(), self._repository.change():
            self._repository.emit(self._found.imported())
            self._take_all(progress)
        self._warn_at_end()

    @abstractmethod
    def _take_all(self, progress: Progress | None) -> None: ...

    def _warn_at_end(self) -> None:
        self._persons.warn()

    def _emit(self, mend: Mend, file_id: str | None = None, instance: Handle | None = None) -> None:
        self._repository.emit(
            RecordMended(mend.kind.value, mend.offset, file_id, mend.was, mend.now, instance)
        )


class Adoption(Adopter):
    """Records an existing File-set with its records as they are listed."""

    TAKES_IN: ClassVar = False
    """Whether the files are taken into the vault."""

    def __init__(self, repository: Repository, found: ExistingFileSet, *, digest: bool) -> None:
        """Prepare to adopt `found`; with `digest` the digest of every file is recorded."""
        super().__init__(repository, found, digest=digest)
        self._uids: set[str] = set()
        self._deep = 0
        self._doubts: dict[Doubt, list[str]] = {}

    @property
    def doubts(self) -> Mapping[Doubt, list[str]]:
        """The File IDs of files that are not what their records say, once they were read."""
        return self._doubts

    def _take_all(self, progress: Progress | None) -> None:
        """Take the instances that the records list.

        A file that is missing or no regular file is warned about and left out, and so is one that
        another record references already, or whose SOP Instance is. One that is not what its
        records say, or can't be read, is warned about if it is to be read, and taken as what they
        say. What is read otherwise than it stands in the DICOMDIR is recorded as a mend.
        """
        for mend in self._found.mends:
            self._emit(mend)
        total = self._found.listed
        if progress:
            progress(0, total)
        if self._take_at_once():
            if progress:
                progress(total, total)
            return
        for done, place in enumerate(instances(self._found.tree)):
            file = self._root.presume(place.record.file_id or ())
            if (why := self._left_out(place.record, file)) is not None:
                warn(why)
            else:
                self._take(place, file)
            if progress:
                progress(done + 1, total)
        if self._digest and (orphans := self._found.orphans()):
            self._doubts[Doubt.ORPHAN] = ["/".join(each.file_id or ()) for each in orphans]

    def _take_at_once(self) -> bool:
        """Take the instances together if no file is to be read and there is nothing to warn of.

        The outcome is the same.
        """
        first = self._repository.state.position + 1
        if self._digest:
            return False
        listed = Listed.of(self._found.tree, first, most_above=LAYOUT_DEPTH - 1)
        if listed is None or not are_plain(self._root, (row.file_id for row in listed.rows)):
            return False
        self._repository.emit_listed(listed)
        return True

    def _warn_at_end(self) -> None:
        super()._warn_at_end()
        for doubt, file_ids in self._doubts.items():
            what, taken = _DOUBTS[doubt]
            warn(f"{len(file_ids):,} of the files: {what} ({some(file_ids)}). {taken}")
        if self._deep:
            warn(
                f"{self._deep:,} of the instances lie below more than {LAYOUT_DEPTH - 1} records: "
                "no File ID of the default layout is that deep, so only the existing layout can "
                "be used"
            )

    def _take(self, place: Place, file: ReferencedFile) -> None:
        record = place.record
        uid = record.sop_instance_uid or ""
        self._uids.add(uid)
        self._deep += place.depth >= LAYOUT_DEPTH
        under, new = place.above()
        content, instance = self._read(place, file) if self._digest else (None, None)
        said, differing = self._said(place, instance)
        parents = tuple([level.record for level in new])
        event = Row.of(record, file.file_id).added(under, parents, content, differing)
        if self.TAKES_IN:
            event = evolve(event, placement=Placement.VAULT, source=file.path)
        handle = self._persons.add(event, said, file.file_id)
        self._taken[file.key] = handle
        for index, level in enumerate(new):
            level.ref = RecordRef(handle, index)
        if (mend := mend_of_file_id(record, file.file_id)) is not None:
            self._emit(mend, file.file_id, handle)

    def _said(
        self, place: Place, instance: Instance | None
    ) -> tuple[Record | None, tuple[Variant, ...]]:
        """Return what an instance says of its patient, and that if the journal holds another."""
        patient = place.top
        if patient is None or patient.record.type != "PATIENT":
            return None, ()
        if instance is None:
            return patient.record, ()
        said = said_of_patient(patient.record, instance, is_first=patient.ref is None)
        if patient.ref is None:
            patient.record = said
        return said, (Variant(patient.ref, said),) if patient.ref and said != patient.record else ()

    def _read(self, place: Place, file: ReferencedFile) -> tuple[Content | None, Instance | None]:
        """Return the content of an instance's file, which is looked at on the occasion.

        `None` if it can't be read, and no instance if it is none.
        """
        try:
            content, instance = content_and_instance(file.path)
        except OSError:
            self._doubts.setdefault(Doubt.UNREADABLE, []).append(file.file_id)
            return None, None
        return content, self._beyond_doubt(place, file, instance)

    def _beyond_doubt(
        self, place: Place, file: ReferencedFile, found: Instance | InstanceError
    ) -> Instance | None:
        """Return the instance found in a file, noting in what way it is not that of its records."""
        doubt = _doubt(place, found)
        if doubt is not None:
            self._doubts.setdefault(doubt, []).append(file.file_id)
        return None if isinstance(found, InstanceError) else found

    def _left_out(self, record: DecodedRecord, file: ReferencedFile) -> str | None:
        """Return why `record`, which references `file`, is not adopted, `None` if it is."""
        path = file.path
        the_record = f"The directory record at offset {record.offset}"
        if file.identity is None:
            return (
                f"The referenced SOP Instance for the directory record at offset {record.offset} "
                f"does not exist: {path}"
            )
        if not file.is_regular:
            return f"{the_record} is left out: {path} is not a regular file"
        if ".." in file.file_id.split("/"):
            return f"{the_record} is left out: its File ID has '..' in it: {path}"
        if (clash := clash_with_dicomdir(file.file_id)) is not None:
            return f"{the_record} is left out: its file {path} {clash}; {COPY_ADDED}"
        uid = record.sop_instance_uid or ""
        if uid in self._uids:
            return (
                f"{the_record} references the SOP Instance {uid} a second time: it is left out, "
                f"and its file {path} is left alone"
            )
        if file.key in self._taken:
            return f"{the_record} references the file {path} a second time: it is left out"
        return None


def _doubt(place: Place, found: Instance | InstanceError) -> Doubt | None:
    """Return in what way the instance in a file is not that of its records, `None` if it is.

    What either lacks, or has in another character set maybe, is no difference.
    """
    if isinstance(found, InstanceError):
        return Doubt.UNREADABLE
    if place.record.sop_instance_uid not in {None, "", found.sop_instance_uid}:
        return Doubt.INSTANCE
    level = place.level
    while level is not None:
        tag = RECORD_IDENTIFIERS.get(level.record.type, 0)
        element, own = find(level.record.elements, tag), found.header.get(tag)
        if element is not None and own is not None:
            said, says = element.value.strip(b"\0 "), own.value.strip(b"\0 ")
            if said and says and said != says and said.isascii() and says.isascii():
                return Doubt.PLACE
        level = level.above
    return None
