"""An existing File-set as its DICOMDIR lists it, read from a file or from a pydicom data set."""

from __future__ import annotations

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from attrs import evolve, frozen
from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid

from fileset.medium.file_ids import RootFolder
from fileset.python_gc import gc_paused
from ledger.digest import Digest, digest_of
from ledger.events import FileSetImported
from ledger.files import read_file
from ledger.instances.file_meta import check_prefix
from ledger.names import is_of_dicomdir
from ledger.phrases import some
from ledger.uids import EXPLICIT_VR_LITTLE_ENDIAN
from projections.dicomdir.datasets import decode_dataset
from projections.dicomdir.decoded_directory import DecodedDirectory, DecodedRecord
from projections.dicomdir.decoder import decode_dicomdir
from projections.dicomdir.definitions import DICOMDIR, DicomdirError
from projections.dicomdir.encoder import MAX_SIZE
from projections.dicomdir.mending import (
    Mend,
    MendKind,
    decode_damaged,
    mends_of_form,
    mends_of_links,
)
from projections.dicomdir.tree import DecodingFindingKind, Tree, link
from projections.state.keys import key_of

_WORTH_A_WARNING: Final = frozenset(
    (
        DecodingFindingKind.BAD_OFFSET,
        DecodingFindingKind.CYCLE,
        DecodingFindingKind.NO_FIRST_OFFSET,
        DecodingFindingKind.SAME_OFFSET,
        DecodingFindingKind.SHIFTED,
    )
)
_READ_OTHERWISE: Final = frozenset((DecodingFindingKind.SHIFTED,))
"""What is followed in another way than it stands, so that the next write has to repair it."""


@frozen
class ExistingFileSet:
    """An existing File-set as its DICOMDIR lists it; `dicomdir` is the digest of the file.

    `path` is where that was read, and `source` is the dataset that it was read from, where it was.
    `mends` tells what had to be repaired to read it.
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

    def item(self, record: DecodedRecord) -> Dataset | None:
        """Return the item of the source that `record` was read from, if that was a dataset."""
        for item in self.source.DirectoryRecordSequence if self.source is not None else ():
            if getattr(item, "seq_item_tell", None) == record.offset:
                return item  # type: ignore[no-any-return]  # pydicom's sequences are untyped
        return None


@gc_paused()
def read_file_set(
    source: Dataset | str | os.PathLike[str], *, repair: bool = False
) -> ExistingFileSet:
    """Return what the DICOMDIR `source`, a path or a pydicom dataset, lists.

    With `repair` that is what can be read of it, for `Mending`.

    Raises
    ------
    FileNotFoundError, TypeError
        If a dataset's `filename` is not the path of its DICOMDIR.
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
            warn(f"{os.fspath(source)} is a link: the File-set is the one at {path.parent}")
        data = _read(path)
        if repair:
            return _read_what_can_be(path, data)
        directory = decode_dicomdir(data, name=os.fspath(path))
    if repair:
        return _to_mend(path, data, directory, [], source)
    return as_listed(path, directory, _digest_on_medium(path, data), source)


def as_listed(
    path: Path,
    directory: DecodedDirectory,
    digest: Digest | None,
    source: Dataset | str | os.PathLike[str] = "",
) -> ExistingFileSet:
    """Return what a DICOMDIR lists that was decoded, with warnings of what is wrong with it.

    ValueError if a record lacks a required element.
    """
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
    return _found(path, digest, directory, tree, source, mends_of_links(tree, _READ_OTHERWISE))


def _found(
    path: Path,
    digest: Digest | None,
    directory: DecodedDirectory,
    tree: Tree,
    source: Dataset | str | os.PathLike[str],
    mends: Sequence[Mend] = (),
) -> ExistingFileSet:
    return ExistingFileSet(
        path.parent,
        digest,
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


def _read_what_can_be(path: Path, data: bytes) -> ExistingFileSet:
    if not is_of_dicomdir(path.name):
        check_prefix(data, str(path))
    return _to_mend(path, data, *decode_damaged(data, name=os.fspath(path)))


def _to_mend(
    path: Path,
    data: bytes,
    directory: DecodedDirectory,
    mends: list[Mend],
    source: Dataset | str | os.PathLike[str] = "",
) -> ExistingFileSet:
    identity = directory.identity
    if not identity.uid:
        identity = evolve(identity, uid=str(generate_uid()))
        mends = [*mends, Mend(MendKind.FILE_SET_UID, None, None, identity.uid)]
    if not mends or mends[0].kind is not MendKind.UNREADABLE:
        mends = [*mends, *mends_of_form(data, directory)]
    tree = link(directory)
    _warn_of_unused(path, tree)
    digest = _digest_on_medium(path, data)
    return _found(path, digest, evolve(directory, identity=identity), tree, source, mends)


def _warn_of_findings(path: Path, directory: DecodedDirectory, tree: Tree) -> None:
    if not directory.consistent:
        warn(
            f"The File-set Consistency Flag of the DICOMDIR {path} is set: a write may have been "
            "interrupted, and the File-set may not be what it lists"
        )
    for finding in tree.findings:
        if finding.kind in _WORTH_A_WARNING:
            warn(f"The DICOMDIR {path} is damaged: {finding.text}")
    compressed = [str(record.offset) for record in directory.records if record.left_out]
    if compressed:
        warn(
            f"The DICOMDIR {path} has records with a compressed icon image, which its encoding "
            f"can't hold: the icon is left out (at offset {some(compressed)})"
        )
    _warn_of_unused(path, tree)


def _warn_of_unused(path: Path, tree: Tree) -> None:
    left_out = [f for f in tree.findings if f.kind is DecodingFindingKind.NOT_IN_USE]
    if left_out:
        offsets = some([str(finding.offset) for finding in left_out])
        warn(
            f"The DICOMDIR {path} marks records as not in use: they and those below them are left "
            f"out (at offset {offsets})"
        )


def _digest_on_medium(path: Path, data: bytes) -> Digest | None:
    """Return the digest of the DICOMDIR at `path`, `None` if it lies under another name.

    The medium then has none as yet, and the first write makes it (PS3.10 Section 8.6). If it has
    another one, that one is not to be overwritten: the digest tells writers so.
    """
    named = path.parent / DICOMDIR
    if not named.exists():
        return None
    if not path.samefile(named):
        warn(
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


def warn_of_syntax(syntax: UID) -> None:
    """Warn that a DICOMDIR is not in Explicit VR Little Endian (PS3.10 Section 8.6)."""
    warn(
        f"The DICOMDIR dataset uses an invalid transfer syntax '{syntax.name}' and will be "
        "updated to use 'Explicit VR Little Endian'"
    )


def warn(message: str) -> None:
    """Warn of something in a File-set that is adopted."""
    warnings.warn(message, UserWarning, stacklevel=2)
