"""Adopting a damaged File-set: what its DICOMDIR says, corrected from its files.

The files are the truth. What they say (their UIDs, their transfer syntax, the patient, study and
series that they belong to) counts where the DICOMDIR says something else or nothing. Whatever else
the directory records hold is kept. No file is touched, and the DICOMDIR is changed only by the next
write. Each mend is recorded as an event.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from fileset.adding.add import added_event, below
from fileset.adding.candidate import Candidate, absolute, read_path
from fileset.adding.recorders import Recorder
from fileset.adoption.adopt import COPY_ADDED, Adopter
from fileset.adoption.existing import ExistingFileSet, warn
from fileset.adoption.mended_records import (
    ListedRecord,
    MendedRecords,
    RecordAbove,
    agrees,
    made_from,
)
from fileset.adoption.persons import said_of_patient
from fileset.adoption.places import MAX_DEPTH, Level, depth_of, instances
from fileset.medium.file_ids import ReferencedFile
from fileset.medium.root import RootEntry, RootEntryKind, walk_root
from fileset.progress import Progress
from fileset.repository.repository import Repository
from ledger.errors import InstanceError, NotDicomError, RecordError
from ledger.events import ConflictNoted, Handle, InstanceRejected, Placement, RecordMended
from ledger.files import file_content
from ledger.instances.datasets import to_dataset
from ledger.instances.record_keys import RECORD_KEYS, UPPER_TYPES
from ledger.names import clash_with_dicomdir
from ledger.uids import EXPLICIT_VR_LITTLE_ENDIAN
from projections.dicomdir.decoded_directory import DecodedRecord
from projections.dicomdir.mending import Mend, MendKind, mend_of_file_id, mends_of_links
from projections.state.keys import record_key

_UID: Final = re.compile(r"[0-9.]{1,64}")


@frozen
class _Lost:
    """A record whose instance has not been found yet, and how to tell it if it never is."""

    item: ListedRecord
    kind: MendKind
    why: str
    standing: Handle | None = None


class Mending(Adopter):
    """Records an existing File-set in an empty repository, mended; each mend is an event.

    What is dropped is warned about, too.
    """

    def __init__(self, repository: Repository, found: ExistingFileSet, *, digest: bool) -> None:
        """Prepare to adopt `found`; with `digest` the digest of every file is recorded."""
        super().__init__(repository, found, digest=digest)
        self._records = MendedRecords(found.directory.records)
        self._by_uid: dict[str, ListedRecord] = {}
        self._lost: dict[str, _Lost] = {}
        self._displaced: dict[str, ListedRecord] = {}
        self._later: list[tuple[ListedRecord, ReferencedFile]] = []

    def _take_all(self, progress: Progress | None) -> None:
        """Take the instances that the records list, and those in files that no record names."""
        found = self._found
        for mend in (*found.mends, *self._whole(), *mends_of_links(found.tree)):
            self._emit(mend)
        listed = list(self._listed())
        for item in listed:
            self._by_uid.setdefault(_uid(item.record), item)
        self._by_uid.pop("", None)
        others = list(self._unlisted(listed))
        total = len(listed) + len(others)
        for number, item in enumerate(listed):
            self._take_listed(item)
            if progress:
                progress(number + 1, total)
        self._take_later()
        for number, path in enumerate(others):
            self._take_unlisted(path)
            if progress:
                progress(len(listed) + number + 1, total)
        for lost in self._lost.values():
            if lost.kind is MendKind.FILE_MISSING and _is_garbled(lost.item.record):
                self._emit(Mend(MendKind.UNREADABLE, lost.item.record.offset))
            else:
                self._drop(lost.kind, lost.item.record, lost.why, lost.standing)

    # --- the DICOMDIR ----------------------------------------------------------------------------

    def _whole(self) -> Iterator[Mend]:
        """Yield what is wrong with the DICOMDIR itself."""
        directory = self._found.directory
        syntax = directory.transfer_syntax_uid
        if syntax != EXPLICIT_VR_LITTLE_ENDIAN:
            yield Mend(MendKind.ENCODING, None, syntax or None, EXPLICIT_VR_LITTLE_ENDIAN)
        if not directory.consistent:
            yield Mend(MendKind.CONSISTENCY, None, "inconsistent", "consistent")

    def _listed(self) -> Iterator[ListedRecord]:
        """Yield the records that reference a file, those of the tree first."""
        tree = self._found.tree
        orphans = tree.orphans
        if depth_of(tree) > MAX_DEPTH:  # no offset in it is to be believed
            orphans, tree = (
                [r for r in self._found.directory.records if r.in_use],
                evolve(tree, roots=[]),
            )
        for place in instances(tree):
            levels: list[Level] = []
            level = place.level
            while level is not None:
                levels.append(level)
                level = level.above
            above = tuple(RecordAbove(each.record, each.offset) for each in reversed(levels))
            yield ListedRecord(place.record, above)
        for record in orphans:
            if record.file_id:
                yield ListedRecord(record, (), is_orphan=True)

    # --- files -----------------------------------------------------------------------------------

    def _find(self, record: DecodedRecord) -> ReferencedFile | None:
        """Return the file that `record` references, `None` if it leads out of the root.

        A slash in front doesn't: the root is the top of what a File ID can name.
        """
        first, *others = record.file_id or ("",)
        try:
            return self._root.presume((first.lstrip("/"), *others))
        except PermissionError:
            return None

    def _unlisted(self, listed: list[ListedRecord]) -> Iterator[str]:
        """Yield the paths of the files below the root that no record names.

        A file that only a record not in use names was removed from the File-set on purpose.
        """
        inactive = [r for r in self._found.directory.records if r.file_id and not r.in_use]
        files = (self._find(record) for record in (*(item.record for item in listed), *inactive))
        named = {file.resolved for file in files if file is not None}
        for entry in walk_root(self._found.root):
            if entry.kind is not RootEntryKind.FILE:
                self._pass_over(entry)
            elif entry.is_hidden or entry.path in named or Path(entry.path) == self._found.path:
                continue
            elif (clash := clash_with_dicomdir(entry.name)) is not None:
                warn(f"{entry.path} is left alone: it {clash}")
            else:
                yield entry.path

    def _pass_over(self, entry: RootEntry) -> None:
        """Warn of what is left alone where instances might be expected."""
        if entry.kind is RootEntryKind.FILE_SET:
            warn(
                f"{entry.path} is left alone: it has a DICOMDIR of its own, so it is the root of "
                "another File-set"
            )
        elif entry.kind is RootEntryKind.LEFTOVER:
            warn(f"{entry.path} is left alone: an interrupted write left it")
        elif entry.error is not None:
            self._reject(entry.path, f"can't be read: {entry.error.strerror}")

    def _take_listed(self, item: ListedRecord) -> None:
        """Take the instance of a record, or drop the record.

        One whose file is not there, or is another record's, may be found yet.
        """
        record = item.record
        file = self._find(record)
        if file is None or ".." in file.file_id.split("/"):
            self._lose(_Lost(item, MendKind.FILE_OUTSIDE, "its File ID leads out of the root"))
            return
        if file.identity is None:
            self._lose(_Lost(item, MendKind.FILE_MISSING, "the file is not there"))
            return
        if not file.is_regular:
            self._lose(_Lost(item, MendKind.FILE_UNREADABLE, "is not a regular file"))
            return
        if (clash := clash_with_dicomdir(file.file_id)) is not None:
            why = f"its file {file.path} {clash}; {COPY_ADDED}"
            self._lose(_Lost(item, MendKind.NAME_OF_DICOMDIR, why))
            return
        if (standing := self._taken.get(file.key)) is not None:
            self._drop(MendKind.SAME_FILE, record, "another record has its file", standing)
            return
        candidate = self._read_listed(item, file.path)
        if candidate is None:
            return
        uid = candidate.instance.sop_instance_uid
        if uid in self._by_uid and _uid(record) not in {"", uid}:
            # Whose file it is has to be known first: the other record may have one that is right.
            self._later.append((item, file))
            return
        self._take_referenced(item, candidate, file)

    def _take_referenced(
        self, item: ListedRecord, candidate: Candidate, file: ReferencedFile
    ) -> None:
        handle = self._take_file(item, candidate, file.file_id)
        if handle is not None:
            self._taken[file.key] = handle

    def _take_later(self) -> None:
        """Take the files that hold the instance of another record than the one that names them."""
        for item, file in self._later:
            if file.key in self._taken:
                continue
            if (candidate := self._read_listed(item, file.path)) is not None:
                self._take_referenced(item, candidate, file)
        for item, _ in self._later:
            uid = _uid(item.record)
            if uid not in self._repository.state.live:
                why = "its file holds the instance of another record"
                self._lose(_Lost(item, MendKind.FILE_MISSING, why))

    def _lose(self, lost: _Lost) -> None:
        """Remember a record whose instance is still to be found, or tell of it if that was lost."""
        if self._lost.setdefault(_uid(lost.item.record), lost).item is not lost.item:
            self._drop(lost.kind, lost.item.record, lost.why, lost.standing)

    def _read_listed(self, item: ListedRecord, path: str) -> Candidate | None:
        """Return the instance at `path`, with the records that it gives or else those listed."""
        try:
            return read_path(path, complete=True, contents=self._digest)
        except RecordError as exc:
            why = exc  # what its records have to have can't be invented: they may have it
        except InstanceError as exc:
            self._lose(_Lost(item, MendKind.FILE_UNREADABLE, exc.reason))
            return None
        try:
            candidate = self._read_as_listed(item, path)
            uid = candidate.instance.sop_instance_uid
            if uid != (_uid(item.record) or uid):  # that record is of another instance
                if uid not in self._by_uid:
                    raise why
                candidate = self._read_as_listed(self._by_uid[uid], path)
        except InstanceError as exc:
            self._lose(_Lost(item, MendKind.FILE_UNREADABLE, exc.reason))
            return None
        return candidate

    def _read_as_listed(self, item: ListedRecord, path: str) -> Candidate:
        listed: dict[str, Recorder] = dict.fromkeys(
            RECORD_KEYS.keys() - set(UPPER_TYPES), lambda _: to_dataset(item.record.elements)
        )
        return read_path(path, complete=True, contents=True, recorders=listed)

    def _take_file(self, item: ListedRecord, candidate: Candidate, file_id: str) -> Handle | None:
        """Take an instance whose file `item` references, with what is right of its records."""
        record, instance = item.record, candidate.instance
        uid = instance.sop_instance_uid
        standing = self._repository.state.live.get(uid)
        if standing is not None:
            why = (
                f"the SOP Instance {uid} is in the File-set already, and the file "
                f"{candidate.source} is left alone"
            )
            self._lose(_Lost(item, MendKind.SAME_INSTANCE, why, standing.handle))
            return None
        item, moved = self._own_record(item, candidate, file_id)
        record = item.record
        mends: list[Mend] = []
        records, invented = self._records.of(item, candidate, mends)
        patient, *others = records
        said = None
        if patient.type == "PATIENT":
            known = self._repository.state.hierarchy.root.find("PATIENT", record_key(patient) or "")
            said = said_of_patient(patient, instance, is_first=known is None)
            records = (said, *others)
        event = added_event(
            self._repository.state,
            evolve(candidate, records=records, invented=invented),
            candidate.content if self._digest else None,
            Placement.ROOT,
            file_id=file_id,
        )
        handle = self._persons.add(event, said, file_id)
        for kind, was, now in (
            (MendKind.SOP_CLASS_UID, record.sop_class_uid, instance.sop_class_uid),
            (MendKind.SOP_INSTANCE_UID, record.sop_instance_uid, instance.sop_instance_uid),
            (
                MendKind.TRANSFER_SYNTAX_UID,
                record.transfer_syntax_uid,
                instance.transfer_syntax_uid,
            ),
        ):
            if was != now:
                mends.append(Mend(kind, record.offset, was or None, now))
        form = mend_of_file_id(record, file_id) if moved is None and record.file_id else None
        mends += [mend for mend in (moved, form) if mend is not None]
        for mend in mends:
            self._emit(mend, file_id, handle)
        return handle

    def _own_record(
        self, item: ListedRecord, candidate: Candidate, file_id: str
    ) -> tuple[ListedRecord, Mend | None]:
        """Return the record that is the instance's own, and the mend if that named another file.

        If `item` is of another SOP Instance, what it holds is that one's: the record of this one
        counts, wherever it is, or else what the file says.
        """
        uid = candidate.instance.sop_instance_uid
        if _uid(item.record) in {"", uid}:
            return item, None
        self._displaced[_uid(item.record)] = item
        self._lost.pop(uid, None)
        own = self._by_uid.get(uid)
        if own is None or not agrees(own.record, candidate):
            return evolve(item, record=made_from(candidate, item.record)), None
        return own, Mend(MendKind.FILE_ID, own.record.offset, _file_id(own.record), file_id)

    def _take_unlisted(self, path: str) -> None:
        """Take a file that no record names; it may be one that a record has lost."""
        name = below(self._found.root, path)
        try:
            candidate = read_path(path, complete=True, contents=self._digest)
        except NotDicomError:
            return  # media hold viewers and their like
        except InstanceError as exc:
            self._reject(path, exc.reason)
            return
        uid = candidate.instance.sop_instance_uid
        if "\\" in name or not name.isascii() or not name.isprintable():
            self._reject(path, "its name can't be a File ID: add it with `fileset add`")
            return
        standing = self._repository.state.live.get(uid)
        if standing is not None:
            content = candidate.content
            if file_content(self._found.root / (standing.file_id or "")) != content:
                self._repository.emit(ConflictNoted(standing.handle, absolute(path), content))
                warn(f"{path} is left alone: the File-set has the SOP Instance {uid} already")
            return
        lost = self._lost.pop(uid, None)
        item = lost.item if lost is not None else self._displaced.pop(uid, None)
        if item is not None:
            handle = self._take_file(item, candidate, name)
            if handle is not None:
                was = _file_id(item.record)
                self._emit(Mend(MendKind.FILE_ID, item.record.offset, was, name), name, handle)
            return
        handle = self._take_file(ListedRecord(made_from(candidate)), candidate, name)
        if handle is not None:
            self._emit(Mend(MendKind.UNLISTED), name, handle)

    def _reject(self, path: str, reason: str) -> None:
        self._repository.emit(InstanceRejected(absolute(path), reason))
        warn(f"{path}, which no directory record names, is left out: {reason}")

    # --- telling ---------------------------------------------------------------------------------

    def _drop(
        self, kind: MendKind, record: DecodedRecord, why: str, standing: Handle | None = None
    ) -> None:
        """Record, and warn, that a record is dropped."""
        file_id = _file_id(record)
        self._emit(Mend(kind, record.offset), file_id, standing)
        if why.startswith(("is ", "can't ", "changed ")):
            why = f"its file {why}"
        if kind is not MendKind.SAME_FILE:
            warn(f"The directory record at offset {record.offset} ({file_id}) is dropped: {why}")


def mends_of(repository: Repository) -> Iterator[RecordMended]:
    """Yield what was repaired when the File-set of `repository` was adopted."""
    for change in repository.changes()[:1]:
        for recorded in repository.events_of(change):
            if isinstance(recorded.event, RecordMended):
                yield recorded.event


def _uid(record: DecodedRecord) -> str:
    return record.sop_instance_uid or ""


def _file_id(record: DecodedRecord) -> str:
    return "/".join(record.file_id or ())


def _is_garbled(record: DecodedRecord) -> bool:
    """Whether what a record references was overwritten, so that it names no instance at all."""
    uid, file_id = _uid(record), _file_id(record)
    return not (file_id.isascii() and file_id.isprintable()) or not _UID.fullmatch(uid)
