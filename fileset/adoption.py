"""Adopting an existing File-set: from its DICOMDIR to the events that record it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import Final, TypeAlias

from attrs import define, evolve, frozen
from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid

from fileset.collecting import no_collecting
from fileset.referenced import ReferencedFile, RootFolder
from fileset.repository import Repository
from fileset.soundness import content_and_instance
from ledger.datasets import to_dataset
from ledger.digest import Digest, digest_of
from ledger.elements import find
from ledger.errors import InstanceError, NotDicomError
from ledger.events import (
    Content,
    FileSetImported,
    InstanceAdded,
    Placement,
    Record,
    RecordRef,
)
from ledger.files import read_file
from ledger.instance import Instance
from projections.dicomdir import EXPLICIT_VR_LITTLE_ENDIAN, DicomdirError
from projections.dicomdir_dataset import decode_dataset
from projections.dicomdir_decoder import (
    DecodedDirectory,
    DecodedNode,
    DecodedRecord,
    FindingKind,
    Tree,
    decode_dicomdir,
    link,
)
from projections.dicomdir_encoder import MAX_SIZE
from projections.hierarchy import key_of, record_key
from projections.materializer import DICOMDIR
from projections.mending import Mend, MendKind, mends_of_form, salvage
from projections.outline import patient_name

MAX_DEPTH: Final = 64
"""Levels of directory records beyond which a DICOMDIR is refused: File-sets have four or fewer."""

LAYOUT_DEPTH: Final = 8
"""Levels that the default layout has File IDs for (PS3.10 Section 8.2)."""

Progress: TypeAlias = Callable[[int, int], None]
_PREFIX: Final = slice(128, 132)  # "DICM", behind the preamble (PS3.10 Section 7.1)
_SHOWN: Final = 5  # offsets or files that a warning names
_WORTH_A_WARNING: Final = frozenset(
    (
        FindingKind.BAD_OFFSET,
        FindingKind.CYCLE,
        FindingKind.NO_FIRST_OFFSET,
        FindingKind.SAME_OFFSET,
    )
)


@frozen
class Found:
    """An existing File-set as its DICOMDIR lists it; `dicomdir` is the digest of the file.

    `path` is where that was read, and `source` is the dataset that it was read from, where it was.
    `mends` tells what had to be put right to read it at all.
    """

    root: Path
    dicomdir: Digest | None
    directory: DecodedDirectory
    tree: Tree
    source: Dataset | None = None
    path: Path | None = None
    mends: tuple[Mend, ...] = ()

    def imported(self) -> FileSetImported:
        """Return the event that states what the DICOMDIR says of the File-set as a whole."""
        identity = self.directory.identity
        return FileSetImported(
            root=os.fspath(self.root),
            uid=identity.uid,
            dicomdir=self.dicomdir,
            id=identity.id,
            descriptor_file_id=identity.descriptor_file_id,
            descriptor_character_set=identity.descriptor_character_set,
            elements=identity.elements,
            file_meta=identity.file_meta,
        )

    @property
    def listed(self) -> int:
        """How many records reference an instance: those not in use, and what is below, don't."""
        nodes, number = list(self.tree.roots), len(self.orphans())
        while nodes:
            node = nodes.pop()
            number += bool(node.record.file_id)
            nodes += node.children
        return number

    def orphans(self) -> list[DecodedRecord]:
        """Return the records that reference an instance and that no offset leads to."""
        return [record for record in self.tree.orphans if record.file_id]

    def path_of(self, record: DecodedRecord) -> Path:
        """Return the path of the file that `record` references, PermissionError if outside."""
        return Path(RootFolder(self.root).find(record.file_id or ()).path)

    def dataset(self, record: DecodedRecord) -> Dataset:
        """Return `record` as a dataset: the very item of the source, if there is one."""
        for item in self.source.DirectoryRecordSequence if self.source is not None else ():
            if getattr(item, "seq_item_tell", None) == record.offset:
                return item  # type: ignore[no-any-return]  # pydicom's sequences are untyped
        ds = to_dataset(record.elements)
        ds.DirectoryRecordType = record.type
        return ds


@no_collecting()
def read_file_set(source: Dataset | str | os.PathLike[str], *, repair: bool = False) -> Found:
    """Return what the DICOMDIR `source`, a path or a pydicom dataset, lists.

    With `repair` that is what can be read of it, for :class:`~fileset.mending.Mending`.

    Raises
    ------
    FileNotFoundError, TypeError
        If a dataset's ``filename`` is not the path of its DICOMDIR.
    ValueError
        If `source` is no DICOMDIR or a record lacks a required element.
    """
    if isinstance(source, Dataset):
        path = _path_of(source)
        data = _read(path)
        directory = decode_dataset(source, name=os.fspath(path))
    else:
        path = Path(source).resolve(strict=True)
        if Path(source).is_symlink():
            _warn(f"{os.fspath(source)} is a link: the File-set is the one at {path.parent}")
        data = _read(path)
        if repair:
            return _read_what_can_be(path, data)
        directory = decode_dicomdir(data, name=os.fspath(path))
    if repair:
        return _to_mend(path, data, directory, [], source)
    if directory.transfer_syntax_uid != EXPLICIT_VR_LITTLE_ENDIAN:
        warn_of_syntax(UID(directory.transfer_syntax_uid))
    for record in directory.records:
        _check_record(record)
    tree = link(directory)
    _warn_of_findings(path, directory, tree)
    identity = directory.identity
    if not identity.uid:
        uid = generate_uid()
        directory = evolve(directory, identity=evolve(identity, uid=str(uid)))
        if isinstance(source, Dataset):
            source.file_meta.MediaStorageSOPInstanceUID = uid
    return _found(path, data, directory, tree, source)


def _found(
    path: Path,
    data: bytes,
    directory: DecodedDirectory,
    tree: Tree,
    source: Dataset | str | os.PathLike[str],
    mends: Sequence[Mend] = (),
) -> Found:
    return Found(
        path.parent,
        _digest_on_medium(path, data),
        directory,
        tree,
        source if isinstance(source, Dataset) else None,
        path,
        tuple(mends),
    )


def _read(path: Path) -> bytes:
    """Return the bytes of a DICOMDIR, whose offsets have 32 bits."""
    size = path.stat().st_size
    try:
        if size <= MAX_SIZE:
            return read_file(path)
    except MemoryError:
        pass
    raise DicomdirError(f"too large for a DICOMDIR: {size:,} bytes", name=os.fspath(path))


def _read_what_can_be(path: Path, data: bytes) -> Found:
    if data[_PREFIX] != b"DICM" and path.name.upper() != DICOMDIR:
        raise NotDicomError("not a DICOM file: 'DICM' is missing at byte 128", name=str(path))
    return _to_mend(path, data, *salvage(data, name=os.fspath(path)))


def _to_mend(
    path: Path,
    data: bytes,
    directory: DecodedDirectory,
    mends: list[Mend],
    source: Dataset | str | os.PathLike[str] = "",
) -> Found:
    identity = directory.identity
    if not identity.uid:
        identity = evolve(identity, uid=str(generate_uid()))
        mends = [*mends, Mend(MendKind.FILE_SET_UID, None, None, identity.uid)]
    if not mends or mends[0].kind is not MendKind.UNREADABLE:
        mends = [*mends, *mends_of_form(data, directory)]
    tree = link(directory)
    _warn_of_unused(path, tree)
    return _found(path, data, evolve(directory, identity=identity), tree, source, mends)


def _warn_of_findings(path: Path, directory: DecodedDirectory, tree: Tree) -> None:
    if not directory.consistent:
        _warn(
            f"The File-set Consistency Flag of the DICOMDIR {path} is set: a write may have been "
            "interrupted, and the File-set may not be what it lists"
        )
    for finding in tree.findings:
        if finding.kind in _WORTH_A_WARNING:
            _warn(f"The DICOMDIR {path} is damaged: {finding.text}")
    _warn_of_unused(path, tree)


def _warn_of_unused(path: Path, tree: Tree) -> None:
    left_out = [f for f in tree.findings if f.kind is FindingKind.NOT_IN_USE]
    if left_out:
        offsets = some([str(finding.offset) for finding in left_out])
        _warn(
            f"The DICOMDIR {path} marks records as not in use: they and those below them are left "
            f"out (at offset {offsets})"
        )


def _digest_on_medium(path: Path, data: bytes) -> Digest | None:
    """Return the digest of the DICOMDIR at `path`, ``None`` if it lies under another name.

    The medium then has none as yet, and the first write makes it (PS3.10 Section 8.6). If it has
    another one, that one is not to be overwritten: the digest tells writers so.
    """
    named = path.parent / DICOMDIR
    if not named.exists():
        return None
    if not path.samefile(named):
        _warn(
            f"{path} was read, but the DICOMDIR of {path.parent} is {named}: this File-set can be "
            "copied, but not written there"
        )
    return digest_of(data)


def _path_of(ds: Dataset) -> Path:
    filename = getattr(ds, "filename", None)
    try:
        return Path(filename).resolve(strict=True)  # type: ignore[arg-type]  # TypeError is wanted
    except FileNotFoundError:
        raise FileNotFoundError(
            "Unable to load the File-set as the 'filename' attribute for the DICOMDIR dataset is "
            f"not a valid path: {filename}"
        ) from None
    except TypeError:
        raise TypeError(
            "Unable to load the File-set as the DICOMDIR dataset must have a 'filename' attribute "
            "set to the path of the DICOMDIR file"
        ) from None


def _check_record(record: DecodedRecord) -> None:
    """Refuse a record without its type or what tells it from its siblings, as pydicom does."""
    if record.type is not None and (
        key_of(record.type, record.elements, record.sop_instance_uid) is not None
    ):
        return
    kind = f"{record.type} " if record.type else ""
    where = f" at offset {record.offset}" if record.offset else ""
    what = (
        "one or more required elements: DirectoryRecordType"
        if record.type is None
        else "a required element"
    )
    raise ValueError(f"The {kind}directory record{where} is missing {what}")


class Doubt(Enum):
    """In what way a file is not what its directory records say."""

    UNREADABLE = "file-unreadable"
    """It is empty, cut off, no DICOM file or no SOP Instance."""
    INSTANCE = "sop-instance-uid"
    """It is another SOP Instance."""
    PLACE = "place"
    """Its patient, study or series is another one."""


_DOUBTS: Final = {
    Doubt.UNREADABLE: "cut off, empty or no SOP Instance",
    Doubt.INSTANCE: "another SOP Instance than the record says",
    Doubt.PLACE: "of another patient, study or series than the records above it say",
}
_IDENTIFYING: Final = {"PATIENT": 0x00100020, "STUDY": 0x0020000D, "SERIES": 0x0020000E}


class Adoption:
    """Records a found File-set in an empty repository.

    `doubts` tells the File IDs of files that are not what their records say, once they were read.
    """

    def __init__(self, repository: Repository, found: Found, *, digest: bool) -> None:
        """Prepare to adopt `found`; with `digest` every file is read and its digest recorded."""
        self._repository = repository
        self._found = found
        self._digest = digest
        self._root = RootFolder(found.root)
        self._uids: set[str] = set()
        self._files: set[tuple[tuple[int, int], str]] = set()
        self._deep = 0
        self._persons: dict[str, Level] = {}
        self.doubts: dict[Doubt, list[str]] = {}

    def run(self, progress: Progress | None = None) -> None:
        """Record the File-set and its instances as one change.

        A file that is missing or no regular file is warned about and left out, and so is one that
        another record references already, or whose SOP Instance is. One that is not what its
        records say is warned about if it is read, and taken as what they say.
        """
        found = self._found
        total = found.listed
        if progress:
            progress(0, total)
        with no_collecting(), self._repository.change():
            self._repository.emit(found.imported())
            for done, place in enumerate(instances(found.tree)):
                self._adopt(place)
                if progress:
                    progress(done + 1, total)
        for doubt, file_ids in self.doubts.items():
            _warn(
                f"{len(file_ids):,} of the files: {_DOUBTS[doubt]} ({some(file_ids)}). They are "
                "taken as what the DICOMDIR says; --repair goes by the files"
            )
        if self._deep:
            _warn(
                f"{self._deep:,} of the instances lie below more than {LAYOUT_DEPTH - 1} records: "
                "no File ID of the default layout is that deep, so only the existing layout can "
                "be written"
            )

    def _adopt(self, place: Place) -> None:
        record = place.record
        file = self._root.find(record.file_id or ())
        if (why := self._left_out(record, file)) is not None:
            _warn(why)
            return
        uid = record.sop_instance_uid or ""
        self._uids.add(uid)
        self._deep += place.depth >= LAYOUT_DEPTH
        under, new = place.above()
        for level in new:
            self._compare_persons(level)
        position = self._repository.emit(
            InstanceAdded(
                sop_instance_uid=uid,
                sop_class_uid=record.sop_class_uid or "",
                transfer_syntax_uid=record.transfer_syntax_uid or "",
                record=Record(record.type or "", record.elements),
                parents=tuple([level.record for level in new]),
                under=under,
                content=self._read(place, file) if self._digest else None,
                placement=Placement.ROOT,
                file_id=file.file_id,
            )
        )
        for index, level in enumerate(new):
            level.ref = RecordRef(position, index)

    def _read(self, place: Place, file: ReferencedFile) -> Content:
        """Return the content of an instance's file, which is looked at on the occasion."""
        content, instance = content_and_instance(file.path)
        doubt = _doubt(place, instance)
        if doubt is not None:
            self.doubts.setdefault(doubt, []).append(file.file_id)
        return content

    def _compare_persons(self, level: Level) -> None:
        """Warn where a PATIENT record may be of another person than one before with its ID."""
        key = record_key(level.record) if level.record.type == "PATIENT" else None
        if key:
            first = self._persons.setdefault(key, level)
            if patient_name(first.record) != patient_name(level.record):
                _warn(namesakes(level.offset, first.offset))

    def _left_out(self, record: DecodedRecord, file: ReferencedFile) -> str | None:
        """Return why `record`, which references `file`, is not adopted, ``None`` if it is."""
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
            return f"{the_record} is left out: its File ID goes up from folder to folder: {path}"
        # A file of that name in another folder is something else.
        if path.upper().endswith(DICOMDIR) and self._is_dicomdir(file.identity):
            return f"{the_record} is left out: it references the DICOMDIR itself"
        uid = record.sop_instance_uid or ""
        if uid in self._uids:
            return (
                f"{the_record} references the SOP Instance {uid} a second time: it is left out, "
                f"and its file {path} is left alone"
            )
        # Names that differ in case only are one where the file is one; hard links are files apart.
        key = (file.identity, file.resolved.casefold())
        if key in self._files:
            return f"{the_record} references the file {path} a second time: it is left out"
        self._files.add(key)
        return None

    def _is_dicomdir(self, identity: tuple[int, int]) -> bool:
        try:
            status = (self._found.root / DICOMDIR).stat()
        except FileNotFoundError:
            return False
        return identity == (status.st_dev, status.st_ino)


def _doubt(place: Place, found: Instance | InstanceError) -> Doubt | None:
    """Return in what way the instance in a file is not that of its records, ``None`` if it is.

    What either lacks, or has in another character set maybe, is no difference.
    """
    if isinstance(found, InstanceError):
        return Doubt.UNREADABLE
    if place.record.sop_instance_uid not in {None, "", found.sop_instance_uid}:
        return Doubt.INSTANCE
    level = place.level
    while level is not None:
        tag = _IDENTIFYING.get(level.record.type, 0)
        element, own = find(level.record.elements, tag), found.header.get(tag)
        if element is not None and own is not None:
            said, says = element.value.strip(b"\0 "), own.value.strip(b"\0 ")
            if said and says and said != says and said.isascii() and says.isascii():
                return Doubt.PLACE
        level = level.above
    return None


@define(eq=False)
class Level:
    """A record above instances; `ref` is known once an event has introduced it."""

    record: Record
    above: Level | None
    depth: int
    offset: int | None = None
    ref: RecordRef | None = None


@frozen
class Place:
    """An instance's record and the level it is under."""

    record: DecodedRecord
    level: Level | None

    @property
    def depth(self) -> int:
        """How many records are above."""
        return self.level.depth if self.level else 0

    def above(self) -> tuple[RecordRef | None, list[Level]]:
        """Return the nearest record that is introduced already, and the levels below it."""
        new: list[Level] = []
        level = self.level
        while level is not None and level.ref is None:
            new.append(level)
            level = level.above
        return (level.ref if level else None), new[::-1]


def instances(tree: Tree) -> Iterator[Place]:
    """Yield every record that references a file, in the order of the tree.

    A record that has others below it as well is taken apart. It keeps its file, and they are put
    beside it, below one like it without a file. Where a record of its type is nothing without one,
    they are put below the record above.
    """
    stack: list[tuple[Iterator[DecodedNode], Level | None]] = [(iter(tree.roots), None)]
    while stack:
        nodes, level = stack[-1]
        node = next(nodes, None)
        if node is None:
            stack.pop()
            continue
        if node.record.file_id:
            yield Place(node.record, level)
        if node.children:
            if len(stack) >= MAX_DEPTH:
                raise DicomdirError(f"its records are nested more than {MAX_DEPTH} levels deep")
            record = Record(node.record.type or "", node.record.elements)
            if node.record.file_id:
                _warn(
                    f"The {record.type} directory record at offset {node.record.offset} references "
                    "a file and has records below it: they are put beside it"
                )
            if not node.record.file_id or record_key(record) is not None:
                depth = level.depth + 1 if level else 1
                level = Level(record, level, depth, node.record.offset)
            stack.append((iter(node.children), level))


def warn_of_syntax(syntax: UID) -> None:
    """Warn that a DICOMDIR is not in Explicit VR Little Endian (PS3.10 Section 8.6)."""
    _warn(
        f"The DICOMDIR dataset uses an invalid transfer syntax '{syntax.name}' and will be "
        "updated to use 'Explicit VR Little Endian'"
    )


def some(items: Sequence[str]) -> str:
    """Return the first of `items`, and how many more there are."""
    more = f" and {len(items) - _SHOWN:,} more" if len(items) > _SHOWN else ""
    return ", ".join(items[:_SHOWN]) + more


def namesakes(offset: int | None, first: int | None) -> str:
    """Return what to warn of where two PATIENT records of one Patient ID have different names."""
    return (
        f"The PATIENT record at offset {offset} has the Patient ID of the one at offset {first} "
        "and another Patient's Name. They are one patient in this File-set, and may be two persons "
        "with IDs of different issuers"
    )


def _warn(message: str) -> None:
    warnings.warn(message, UserWarning, stacklevel=2)
