"""Adopting a damaged File-set: what its DICOMDIR says, put right by the files that it is about.

The files are the truth. What they say of themselves (their UIDs, their transfer syntax, the
patient, study and series that they belong to) counts where the DICOMDIR says something else or
nothing. Whatever else the directory records hold is kept. No file is touched, and the DICOMDIR is
only by the next write. Each mend is recorded as an event.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, TypeAlias

from attrs import define, evolve, field, frozen
from pydicom.uid import generate_uid

from fileset.adding import below, share, top_of
from fileset.adoption import MAX_DEPTH, Found, Level, instances, namesakes, some
from fileset.collecting import no_collecting
from fileset.ingest import Candidate, absolute, read_path
from fileset.recorders import Recorder
from fileset.referenced import ReferencedFile, RootFolder
from fileset.repository import Repository
from fileset.root_walk import Entry, What, walk_root
from ledger.datasets import to_dataset
from ledger.digest import digest_of
from ledger.elements import Element, encode, format_tag, iterate
from ledger.errors import InstanceError, NotDicomError, RecordError
from ledger.events import (
    ConflictNoted,
    Content,
    Handle,
    InstanceAdded,
    InstanceRejected,
    PatientNameNoted,
    Placement,
    Record,
    RecordMended,
    RecordRef,
)
from ledger.files import file_content
from ledger.record_keys import KEYS, RECORD_KEYS, UPPER_TYPES
from projections.dicomdir import EXPLICIT_VR_LITTLE_ENDIAN
from projections.dicomdir_decoder import DecodedNode, DecodedRecord, Tree
from projections.hierarchy import record_key
from projections.mending import Mend, MendKind, completed, mends_of_links
from projections.outline import patient_name

Progress: TypeAlias = Callable[[int, int], None]

_PATIENT: Final = "PATIENT"
_PRIVATE: Final = "PRIVATE"
_PRIVATE_RECORD_UID: Final = 0x00041432
_STANDARD: Final = "1.2.840.10008."  # what the UIDs of the Standard begin with
_UID: Final = re.compile(r"[0-9.]{1,64}")
_KEYWORDS: Final = {key.keyword: key.tag for key in KEYS.values()}


@frozen
class _Above:
    """A record above an instance, and where in the DICOMDIR it is, if it is there."""

    record: Record
    offset: int | None


@frozen
class _Listed:
    """A record that references a file, the records above it, and whether any offset led to it."""

    record: DecodedRecord
    above: tuple[_Above, ...] = ()
    is_orphan: bool = False


@frozen
class _Lost:
    """A record whose instance has not been found yet, and how to tell it if it never is."""

    item: _Listed
    kind: MendKind
    why: str
    standing: Handle | None = None


@define
class Mending:
    """Records a found File-set, mended, in an empty repository.

    With `digest` every file's digest is recorded.
    """

    repository: Repository
    found: Found
    digest: bool
    _root: RootFolder = field(init=False)
    _files: dict[tuple[tuple[int, int], str], Handle] = field(factory=dict, init=False)
    _pool: dict[tuple[str, str], _Above] = field(factory=dict, init=False)
    _stands: dict[tuple[str, ...], int | None] = field(factory=dict, init=False)
    _names: set[tuple[RecordRef, str]] = field(factory=set, init=False)
    _told: set[tuple[MendKind, int | None]] = field(factory=set, init=False)
    _by_uid: dict[str, _Listed] = field(factory=dict, init=False)
    _lost: dict[str, _Lost] = field(factory=dict, init=False)
    _displaced: dict[str, _Listed] = field(factory=dict, init=False)
    _later: list[tuple[_Listed, ReferencedFile]] = field(factory=list, init=False)
    _patients: dict[int | None, Record] = field(factory=dict, init=False)
    _persons: dict[str, None] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        """Look at no folder of the medium twice."""
        self._root = RootFolder(self.found.root)

    def run(self, progress: Progress | None = None) -> None:
        """Record the File-set and its instances as one change, with every mend.

        What is dropped is warned about, too. `progress` is called with the number of records and
        unlisted files looked at, and of all.
        """
        found = self.found
        with no_collecting(), self.repository.change():
            self.repository.emit(found.imported())
            for mend in (*found.mends, *self._whole(), *mends_of_links(found.tree)):
                self._emit(mend)
            self._fill_pool()
            listed = list(self._listed())
            for item in listed:
                self._by_uid.setdefault(_uid(item.record), item)
            self._by_uid.pop("", None)
            others = [*self._unlisted(listed)]
            total = len(listed) + len(others)
            for number, item in enumerate(listed):
                self._take(item)
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
            self._warn_of_persons()

    # --- the DICOMDIR ----------------------------------------------------------------------------

    def _whole(self) -> Iterator[Mend]:
        """Yield what is wrong with the DICOMDIR itself."""
        directory = self.found.directory
        syntax = directory.transfer_syntax_uid
        if syntax != EXPLICIT_VR_LITTLE_ENDIAN:
            yield Mend(MendKind.ENCODING, None, syntax or None, EXPLICIT_VR_LITTLE_ENDIAN)
        if not directory.consistent:
            yield Mend(MendKind.CONSISTENCY, None, "inconsistent", "consistent")

    def _listed(self) -> Iterator[_Listed]:
        """Yield the records that reference a file, those of the tree first."""
        tree = self.found.tree
        orphans = tree.orphans
        if depth_of(tree) > MAX_DEPTH:  # no offset in it is to be believed
            orphans, tree = (
                [r for r in self.found.directory.records if r.in_use],
                evolve(tree, roots=[]),
            )
        for place in instances(tree):
            levels: list[Level] = []
            level = place.level
            while level is not None:
                levels.append(level)
                level = level.above
            above = tuple(_Above(each.record, each.offset) for each in reversed(levels))
            yield _Listed(place.record, above)
        for record in orphans:
            if record.file_id:
                yield _Listed(record, (), is_orphan=True)

    def _fill_pool(self) -> None:
        """Know the patients, studies and series that the DICOMDIR has, wherever they are."""
        for found in self.found.directory.records:
            if found.in_use and not found.file_id and found.type in UPPER_TYPES:
                record = Record(found.type, found.elements)
                if found.type == _PATIENT:
                    self._patients[found.offset] = record
                if (key := record_key(record)) is not None:
                    self._pool.setdefault((found.type, key), _Above(record, found.offset))

    # --- files -----------------------------------------------------------------------------------

    def _find(self, record: DecodedRecord) -> ReferencedFile | None:
        try:
            return self._root.find(record.file_id or ())
        except PermissionError:
            return None

    def _unlisted(self, listed: list[_Listed]) -> Iterator[str]:
        """Yield the paths of the files below the root that no record names.

        What a record that is not in use names was taken out of the File-set, and not forgotten.
        """
        inactive = [r for r in self.found.directory.records if r.file_id and not r.in_use]
        files = (self._find(record) for record in (*(item.record for item in listed), *inactive))
        named = {file.resolved for file in files if file is not None}
        for entry in walk_root(self.found.root):
            if entry.what is not What.FILE:
                self._pass_over(entry)
            elif entry.is_hidden or entry.path in named or Path(entry.path) == self.found.path:
                continue
            else:
                yield entry.path

    def _pass_over(self, entry: Entry) -> None:
        """Tell what is left alone where instances might be expected."""
        if entry.what is What.FILE_SET:
            _warn(
                f"{entry.path} is left alone: it has a DICOMDIR of its own, so it is the root of "
                "another File-set"
            )
        elif entry.what is What.LEFTOVER:
            _warn(f"{entry.path} is left alone: it is what an interrupted write left")
        elif entry.error is not None:
            self._reject(entry.path, f"can't be read: {entry.error.strerror}")

    def _take(self, item: _Listed) -> None:
        """Take the instance of a record, or drop the record.

        One whose file is not there, or is another record's, may be found yet.
        """
        record = item.record
        file = self._find(record)
        if file is None or ".." in file.file_id.split("/"):
            self._drop(MendKind.FILE_OUTSIDE, record, "its File ID leads out of the root")
            return
        if file.identity is None:
            self._lose(_Lost(item, MendKind.FILE_MISSING, "the file is not there"))
            return
        if not file.is_regular:
            self._drop(MendKind.FILE_UNREADABLE, record, "is not a regular file")
            return
        key = (file.identity, file.resolved.casefold())
        if (standing := self._files.get(key)) is not None:
            self._drop(MendKind.SAME_FILE, record, "another one has its file", standing)
            return
        candidate = self._read(item, file.path)
        if candidate is None:
            return
        uid = candidate.instance.sop_instance_uid
        if uid in self._by_uid and _uid(record) not in {"", uid}:
            # Whose file it is has to be known first: the other record may have one that is right.
            self._later.append((item, file))
            return
        handle = self._take_file(item, candidate, file.file_id)
        if handle is not None:
            self._files[key] = handle

    def _take_later(self) -> None:
        """Take the files that hold the instance of another record than the one that names them."""
        for item, file in self._later:
            key = (file.identity, file.resolved.casefold())
            if file.identity is None or key in self._files:
                continue
            candidate = self._read(item, file.path)
            if candidate is None:
                continue
            handle = self._take_file(item, candidate, file.file_id)
            if handle is not None:
                self._files[file.identity, file.resolved.casefold()] = handle
        for item, _ in self._later:
            uid = _uid(item.record)
            if uid not in self.repository.state.live:
                why = "its file holds the instance of another record"
                self._lose(_Lost(item, MendKind.FILE_MISSING, why))

    def _lose(self, lost: _Lost) -> None:
        """Remember a record whose instance is still to be found, or tell of it if that was lost."""
        if self._lost.setdefault(_uid(lost.item.record), lost).item is not lost.item:
            self._drop(lost.kind, lost.item.record, lost.why, lost.standing)

    def _read(self, item: _Listed, path: str) -> Candidate | None:
        """Return the instance at `path`, with the records that it gives or else those listed."""
        try:
            return read_path(path, complete=True, contents=self.digest)
        except RecordError as exc:
            why = exc  # what its records have to have can't be invented: they may have it
        except InstanceError as exc:
            self._drop(MendKind.FILE_UNREADABLE, item.record, exc.reason)
            return None
        try:
            candidate = self._read_as_listed(item, path)
            uid = candidate.instance.sop_instance_uid
            if uid != (_uid(item.record) or uid):  # that record is of another instance
                if uid not in self._by_uid:
                    raise why
                candidate = self._read_as_listed(self._by_uid[uid], path)
        except InstanceError as exc:
            self._drop(MendKind.FILE_UNREADABLE, item.record, exc.reason)
            return None
        return candidate

    def _read_as_listed(self, item: _Listed, path: str) -> Candidate:
        listed: dict[str, Recorder] = dict.fromkeys(
            RECORD_KEYS.keys() - set(UPPER_TYPES), lambda _: to_dataset(item.record.elements)
        )
        return read_path(path, complete=True, contents=True, recorders=listed)

    def _take_file(self, item: _Listed, candidate: Candidate, file_id: str) -> Handle | None:
        """Take an instance whose file `item` references, with what is right of its records.

        If `item` is of another SOP Instance, what it holds is that one's: the record of this one
        counts, wherever it is, or else what the file says.
        """
        record, instance = item.record, candidate.instance
        uid = instance.sop_instance_uid
        standing = self.repository.state.live.get(uid)
        if standing is not None:
            why = (
                f"the SOP Instance {uid} is in the File-set already, and the file "
                f"{candidate.source} is left alone"
            )
            self._lose(_Lost(item, MendKind.SAME_INSTANCE, why, standing.handle))
            return None
        moved = None
        if _uid(record) not in {"", uid}:
            self._displaced[_uid(record)] = item
            own = self._by_uid.get(uid)
            self._lost.pop(uid, None)
            if own is not None and _agrees(own.record, candidate):
                item = own
                moved = Mend(MendKind.FILE_ID, own.record.offset, _file_id(own.record), file_id)
            else:
                item = evolve(item, record=_made_from(candidate, record))
            record = item.record
        mends: list[Mend] = []
        leaf, made = self._leaf(record, candidate, mends)
        parents, made_above = self._above(item, leaf, candidate, mends)
        under, new = share(self.repository.state.hierarchy.root, list(parents))
        handle = self.repository.emit(
            InstanceAdded(
                sop_instance_uid=instance.sop_instance_uid,
                sop_class_uid=instance.sop_class_uid,
                transfer_syntax_uid=instance.transfer_syntax_uid,
                record=leaf,
                parents=new,
                under=under,
                content=self._content(candidate),
                placement=Placement.ROOT,
                file_id=file_id,
                invented={
                    keyword: value
                    for keyword, value in candidate.invented.items()
                    if _KEYWORDS[keyword] in made | made_above
                },
            )
        )
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
        if moved is not None:
            mends.append(moved)
        for mend in mends:
            self._emit(mend, file_id, handle)
        self._note_name(handle, candidate, file_id)
        return handle

    def _content(self, candidate: Candidate) -> Content | None:
        if not self.digest:
            return None
        return Content(digest_of(candidate.data), len(candidate.data))

    def _note_name(self, handle: Handle, candidate: Candidate, file_id: str) -> None:
        """Record it if the instance's file has another name than the PATIENT that it is below.

        Once for each name: whose DICOMDIR has none in common with its files has many of them.
        """
        branch = top_of(self.repository.state.leaf(handle))
        patient = candidate.records[0]
        if branch is None or {branch.record.type, patient.type} != {"PATIENT"}:
            return
        name, standing = patient_name(patient), patient_name(branch.record)
        if name and name != standing:
            self._persons[file_id] = None
        if name != standing and (branch.ref, name) not in self._names:
            self._names.add((branch.ref, name))
            self.repository.emit(PatientNameNoted(handle, branch.ref, name, standing))

    def _warn_of_persons(self) -> None:
        """Tell, by their files, which instances may be another person's than the PATIENT's."""
        if self._persons:
            _warn(
                f"{some(list(self._persons))}: the file has another Patient's Name than the "
                "PATIENT record of its Patient ID. They are one patient in this File-set, and may "
                "be two persons with IDs of different issuers"
            )

    def _take_unlisted(self, path: str) -> None:
        """Take a file that no record names; it may be one that a record has lost."""
        name = below(self.found.root, path)
        try:
            candidate = read_path(path, complete=True, contents=self.digest)
        except NotDicomError:
            return  # media hold viewers and their like
        except InstanceError as exc:
            self._reject(path, exc.reason)
            return
        uid = candidate.instance.sop_instance_uid
        if "\\" in name or not name.isascii() or not name.isprintable():
            self._reject(path, "its name can be no File ID: add it with `fileset add`")
            return
        standing = self.repository.state.live.get(uid)
        if standing is not None:
            content = Content(digest_of(candidate.data), len(candidate.data))
            if file_content(self.found.root / (standing.file_id or "")) != content:
                self.repository.emit(ConflictNoted(standing.handle, absolute(path), content))
                _warn(f"{path} is left alone: the File-set has the SOP Instance {uid} already")
            return
        lost = self._lost.pop(uid, None)
        item = lost.item if lost is not None else self._displaced.pop(uid, None)
        if item is not None:
            handle = self._take_file(item, candidate, name)
            if handle is not None:
                was = _file_id(item.record)
                self._emit(Mend(MendKind.FILE_ID, item.record.offset, was, name), name, handle)
            return
        handle = self._take_file(_Listed(_made_from(candidate)), candidate, name)
        if handle is not None:
            self._emit(Mend(MendKind.UNLISTED), name, handle)

    def _reject(self, path: str, reason: str) -> None:
        self.repository.emit(InstanceRejected(absolute(path), reason))
        _warn(f"{path}, which no directory record names, is left out: {reason}")

    # --- records ---------------------------------------------------------------------------------

    def _leaf(
        self, record: DecodedRecord, candidate: Candidate, mends: list[Mend]
    ) -> tuple[Record, set[int]]:
        """Return the record that references the instance, and the tags that it has from there."""
        own, made = Record(record.type or "", record.elements), candidate.records[-1]
        if own.type == _PRIVATE:
            if record_key(own) is None:
                uid = str(generate_uid())
                mends.append(Mend(MendKind.PRIVATE_RECORD_UID, record.offset, None, uid))
                own = _with_private_uid(own, uid)
            return own, set()
        if own.type != made.type:
            known = candidate.instance.sop_class_uid.startswith(_STANDARD)
            if known or own.type not in RECORD_KEYS or own.type in UPPER_TYPES:
                mends.append(Mend(MendKind.RECORD_TYPE, record.offset, own.type or None, made.type))
                return made, {element.tag for element in iterate(made.elements)}
            return own, set()
        return self._completed(_Above(own, record.offset), made, mends)

    def _completed(self, own: _Above, made: Record, mends: list[Mend]) -> tuple[Record, set[int]]:
        """Return the record with what it lacks, and the tags of that."""
        if own.record is made:
            return made, {element.tag for element in iterate(made.elements)}
        record, tags = completed(own.record, made)
        if tags and self._is_new(MendKind.MISSING_KEY, own.offset):
            names = ", ".join(map(_keyword, tags))
            mends.append(Mend(MendKind.MISSING_KEY, own.offset, None, names))
        return record, set(tags)

    def _above(
        self, item: _Listed, leaf: Record, candidate: Candidate, mends: list[Mend]
    ) -> tuple[tuple[Record, ...], set[int]]:
        """Return the records above the instance's own, and the tags that they have from its file.

        Where those listed are not of the types that the instance asks for, or have other keys than
        it, its own records stand in their place, or such of the DICOMDIR as have their keys.
        """
        asked = candidate.records[:-1]
        types = tuple(record.type for record in asked)
        listed = item.above
        is_private = _PRIVATE in (leaf.type, *(above.record.type for above in listed))
        if is_private and not item.is_orphan:
            return tuple(self._with_uid(above, mends) for above in listed), set()
        if tuple(above.record.type for above in listed) != types:
            listed = ()
        parents: list[Record] = []
        tags: set[int] = set()
        path: tuple[str, ...] = ()
        moved = False
        for index, made in enumerate(asked):
            own = listed[index] if listed else None
            key = record_key(made)
            if own is not None:
                # What the file lacks is no reason to move it.
                theirs = record_key(own.record)
                invented = _key_keyword(made.type) in candidate.invented
                if theirs is not None and theirs != key and not invented:
                    own = None
            if own is None:
                moved = True
                own = self._pool.get((made.type, key or "")) or _Above(made, None)
            record, had = self._completed(own, made, mends)
            parents.append(record)
            tags |= had
            path = (*path, record_key(record) or "")
            first = self._stands.setdefault(path, own.offset)
            if first != own.offset and own.offset and self._is_new(MendKind.MERGED, own.offset):
                self._compare_persons(own, first)
                now = f"the one at offset {first}" if first else "one made from a file"
                mends.append(Mend(MendKind.MERGED, own.offset, made.type, now))
        if moved and item.record.offset is not None:
            kind = MendKind.ORPHAN if item.is_orphan else MendKind.PLACE
            was = _where(item.above) if item.above else None
            mends.append(Mend(kind, item.record.offset, was, None))
        elif item.is_orphan and item.record.offset is not None:
            mends.append(Mend(MendKind.ORPHAN, item.record.offset))
        return tuple(parents), tags

    def _compare_persons(self, own: _Above, first: int | None) -> None:
        """Warn where two PATIENT records that become one may be of two persons."""
        standing = self._patients.get(first)
        if own.record.type != _PATIENT or standing is None:
            return
        if patient_name(own.record) != patient_name(standing):
            _warn(namesakes(own.offset, first))

    def _with_uid(self, above: _Above, mends: list[Mend]) -> Record:
        """Return a record above a PRIVATE one, with a Private Record UID if it lacks that."""
        if above.record.type != _PRIVATE or record_key(above.record) is not None:
            return above.record
        known = self._pool.get((_PRIVATE, str(above.offset)))
        if known is None:
            uid = str(generate_uid())
            mends.append(Mend(MendKind.PRIVATE_RECORD_UID, above.offset, None, uid))
            known = evolve(above, record=_with_private_uid(above.record, uid))
            self._pool[_PRIVATE, str(above.offset)] = known
        return known.record

    # --- telling ---------------------------------------------------------------------------------

    def _is_new(self, kind: MendKind, offset: int | None) -> bool:
        """Whether a record above many instances has not been told of yet."""
        if (kind, offset) in self._told:
            return False
        self._told.add((kind, offset))
        return True

    def _emit(self, mend: Mend, file_id: str | None = None, instance: Handle | None = None) -> None:
        self.repository.emit(
            RecordMended(mend.kind.value, mend.offset, file_id, mend.was, mend.now, instance)
        )

    def _drop(
        self, kind: MendKind, record: DecodedRecord, why: str, standing: Handle | None = None
    ) -> None:
        """Tell that a record is not taken."""
        file_id = _file_id(record)
        self._emit(Mend(kind, record.offset), file_id, standing)
        if why.startswith(("is ", "can't ", "changed ")):
            why = f"its file {why}"
        if kind is not MendKind.SAME_FILE:
            _warn(f"The directory record at offset {record.offset} ({file_id}) is dropped: {why}")


def mends_of(repository: Repository) -> Iterator[RecordMended]:
    """Yield what was put right when the File-set of `repository` was adopted."""
    for change in repository.changes()[:1]:
        for recorded in repository.events_of(change):
            if isinstance(recorded.event, RecordMended):
                yield recorded.event


def depth_of(tree: Tree) -> int:
    """Return how many levels `tree` has."""
    depth, level = 0, list(tree.roots)
    while level:
        depth += 1
        level = [child for node in level for child in _children(node)]
    return depth


def _children(node: DecodedNode) -> list[DecodedNode]:
    return list(node.children)


def _uid(record: DecodedRecord) -> str:
    return record.sop_instance_uid or ""


def _file_id(record: DecodedRecord) -> str:
    return "/".join(record.file_id or ())


def _is_garbled(record: DecodedRecord) -> bool:
    """Whether what a record references was overwritten, so that it names no instance at all."""
    uid, file_id = _uid(record), _file_id(record)
    return not (file_id.isascii() and file_id.isprintable()) or not _UID.fullmatch(uid)


def _made_from(candidate: Candidate, named: DecodedRecord | None = None) -> DecodedRecord:
    """Return the record that the instance itself gives, in the place of the one that `named` it."""
    made, instance = candidate.records[-1], candidate.instance
    return DecodedRecord(
        named.offset if named else None, 0, 0, True, made.type, made.elements,
        named.file_id if named else None, instance.sop_class_uid,
        _uid(named) if named else instance.sop_instance_uid, instance.transfer_syntax_uid,
    )  # fmt: skip


def _agrees(record: DecodedRecord, candidate: Candidate) -> bool:
    """Whether the keys in `record` are those of the instance whose UID it has.

    Where only the UIDs of two records were mixed up, they are not.
    """
    made = candidate.records[-1]
    if record.type != made.type:
        return record.type == _PRIVATE
    own = {element.tag: element for element in iterate(record.elements)}
    invented = {_KEYWORDS[keyword] for keyword in candidate.invented}
    return all(
        own[e.tag].value.strip(b"\0 ") == e.value.strip(b"\0 ")
        for e in iterate(made.elements)
        if e.tag in own and e.tag not in invented and e.value.strip(b"\0 ")
    )


def _with_private_uid(record: Record, uid: str) -> Record:
    added = Element(_PRIVATE_RECORD_UID, "UI", uid.encode("ascii"))
    return Record(record.type, encode([*iterate(record.elements), added]))


def _keyword(tag: int) -> str:
    key = KEYS.get(tag)
    return key.keyword if key else format_tag(tag)


def _key_keyword(record_type: str) -> str:
    return {
        "PATIENT": "PatientID",
        "STUDY": "StudyInstanceUID",
        "SERIES": "SeriesInstanceUID",
    }.get(record_type, "")


def _where(above: tuple[_Above, ...]) -> str:
    last = above[-1]
    return f"below {last.record.type or 'a record'} at offset {last.offset}"


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=2)
