"""Adopting a File-set in an archive: its instances go into the vault.

The journal has it as one whose medium, the archive, was left at once: so it has no home until it is
first written.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from posixpath import basename, dirname
from typing import ClassVar, Final

from attrs import frozen

from fileset.adding.add import Adder
from fileset.adding.candidate import read_opened
from fileset.adding.members import refuse_without_room, room_of
from fileset.adding.whole import instance_in, whole_instance
from fileset.adoption.adopt import Adoption, Doubt
from fileset.adoption.existing import ExistingFileSet, as_listed, warn
from fileset.adoption.places import Place
from fileset.archives.archive import Archive, Member
from fileset.archives.opening import kind_of, open_archive, split_member
from fileset.errors import RefusedError
from fileset.medium.file_ids import ReferencedFile, RootFolder
from fileset.progress import Progress
from fileset.python_gc import gc_paused
from fileset.repository.repository import Repository
from ledger.digest import digest_of
from ledger.errors import InstanceError
from ledger.events import Content, MediumLeft, Record
from ledger.files import FileStamp, FileView, naming, read_file
from ledger.instances.file_meta import PREFIX_END, is_dicom
from ledger.instances.instance import Instance
from ledger.instances.walker import Buffer
from ledger.names import is_of_dicomdir, one_name
from ledger.phrases import some
from ledger.sources import BETWEEN
from ledger.vault.protocol import Batch
from projections.dicomdir.decoded_directory import DecodedRecord
from projections.dicomdir.decoder import decode_dicomdir
from projections.dicomdir.encoder import MAX_SIZE

_WHY_LEFT: Final = "taken in from an archive"
_UNPACK: Final = "unpack it, and adopt the folder with --repair (repair=True)"


@frozen
class ArchivedFileSet(ExistingFileSet):
    """A File-set in `archive`, which was as its `stamp` says when the DICOMDIR was read."""

    archive: str = ""
    stamp: FileStamp | None = None


def archive_of(path: str | os.PathLike[str]) -> tuple[str, str] | None:
    """Return the archive that `path` is of, and the DICOMDIR that it names there, `""` for none.

    `None` if it is of no archive; a file called DICOMDIR need not be opened to know that.
    """
    name = os.fspath(path)
    if BETWEEN not in name and is_of_dicomdir(basename(name)):
        return None
    return (name, "") if kind_of(name) is not None else split_member(name)


def read_listing(path: Path) -> bytes:
    """Return the bytes of the DICOMDIR that `path` is, or that an archive holds.

    OSError, RefusedError or InstanceError if it can't be read.
    """
    found = archive_of(path)
    if found is None:
        return read_file(path)
    with open_archive(found[0]) as archive:
        return _read_dicomdir(archive, _dicomdir_in(archive, found[1]))


def read_archived(path: str, name: str, *, repair: bool = False) -> ArchivedFileSet:
    """Return the File-set in the archive at `path` whose DICOMDIR is called `name` there.

    Without a name that is the only one, or the one at the top. RefusedError if there is none, or
    it can't be read.
    """
    path = os.path.abspath(path)  # noqa: PTH100 - links stay as the user wrote them
    if repair:
        raise RefusedError(f"{path} is an archive, in which nothing can be repaired: {_UNPACK}.")
    try:
        with naming(path), open_archive(path) as archive:
            member = _dicomdir_in(archive, name)
            data = _read_dicomdir(archive, member)
            called = archive.name_of(member)
            stamp = archive.stamp
    except InstanceError as exc:
        raise RefusedError(f"{exc.name or path} can't be adopted: it {exc.reason}.") from exc
    try:
        found = as_listed(Path(called), decode_dicomdir(data, name=called), digest_of(data))
    except ValueError as exc:
        why = exc.reason if isinstance(exc, InstanceError) else exc
        raise RefusedError(f"{called} can't be adopted: {why}. {_UNPACK.capitalize()}.") from exc
    top = dirname(member.name)
    return ArchivedFileSet(
        root=Path(f"{path}{BETWEEN}{top}" if top else path),
        dicomdir=found.dicomdir,
        directory=found.directory,
        tree=found.tree,
        path=found.path,
        mends=found.mends,
        archive=path,
        stamp=stamp,
    )


def _dicomdir_in(archive: Archive, name: str) -> Member:
    found = [each for each in archive.members() if is_of_dicomdir(basename(each.name))]
    at_top = [each for each in found if not dirname(each.name)]
    named = [each for each in found if each.name == name] if name else at_top or found
    if len(named) == 1:
        return named[0]
    names = [each.name for each in found]
    if not found:
        why = (
            "has no DICOMDIR: make an empty repository with `fileset init REPO`, and `fileset "
            "--repo REPO add` takes in what is in the archive"
        )
    elif name:
        why = f"has no DICOMDIR called {name}, but {some(names)}"
    else:
        why = (
            f"has {len(names):,} DICOMDIRs ({some(names)}): name one of them, as "
            f"{archive.path}{BETWEEN}{names[0]}"
        )
    raise RefusedError(f"{archive.path} {why}.")


def _read_dicomdir(archive: Archive, member: Member) -> bytes:
    if member.size > MAX_SIZE:
        raise InstanceError("is too large for a DICOMDIR", name=archive.name_of(member))
    try:
        with archive.read(member) as found:
            return bytes(found[:])
    except InstanceError as exc:
        raise InstanceError(exc.reason, name=archive.name_of(member)) from exc


class ArchiveRoot(RootFolder):
    """The files in an archive that lie below the folder of its DICOMDIR."""

    def __init__(self, archive: Archive, top: str) -> None:
        super().__init__(Path(archive.path))
        self._archive = archive
        self._top = f"{top}/" if top else ""
        self.members = [m for m in archive.members() if m.name.startswith(self._top)]
        self._exact = {m.name: index for index, m in enumerate(self.members)}
        self._alike = {one_name(m.name): index for index, m in enumerate(self.members)}

    def find(self, components: tuple[str, ...]) -> ReferencedFile:
        """Return the file whose File ID has these components, whatever the case of its name.

        Its identity is its number among the members.
        """
        file_id = "/".join(components)
        name = self._top + file_id
        index = self._exact.get(name, self._alike.get(one_name(name)))
        if index is None:
            path = f"{self._archive.path}{BETWEEN}{name}"
            return ReferencedFile(path, path, file_id, None, is_regular=False)
        member = self.members[index]
        path = self._archive.name_of(member)
        return ReferencedFile(path, path, file_id, (0, index), is_regular=member.skipped is None)

    def member(self, file: ReferencedFile) -> Member:
        """Return the member that is a file found here."""
        assert file.identity is not None  # noqa: S101 - it was found
        return self.members[file.identity[1]]


class ArchiveAdoption(Adoption):
    """Records the File-set in an archive, taking its files into the vault."""

    TAKES_IN: ClassVar = True

    def __init__(self, repository: Repository, found: ArchivedFileSet, archive: Archive) -> None:
        super().__init__(repository, found, digest=True)
        top = os.fspath(found.root)[len(found.archive) + len(BETWEEN) :]
        self._archive = archive
        self._root: ArchiveRoot = ArchiveRoot(archive, top)
        self._batch: Batch | None = None
        self._at_hand: tuple[Content, Instance | InstanceError] | None = None

    def run(self, progress: Progress | None = None) -> None:
        """Record the File-set and its instances, as `Adopter.run`."""
        with gc_paused(), self._repository.change():
            with self._repository.vault.batch() as self._batch:
                self._repository.emit(self._found.imported())
                self._take_all(progress)
            self._repository.emit(MediumLeft(os.fspath(self._found.root), _WHY_LEFT))
        self._warn_at_end()

    def add_orphans(self) -> None:
        """Add the instances of records that no offset leads to."""
        adder = Adder(self._repository)
        for record in self._found.orphans():
            file = self._root.presume(record.file_id or ())
            if file.identity is None:
                warn(f"{_of(record)} does not exist: {file.path}")
                continue
            # No instance tells what a private record holds.
            own = (Record(record.type, record.elements),) if record.type == "PRIVATE" else None
            try:
                with self._archive.read(self._root.member(file)) as found:
                    adder.add([read_opened(found, file.path, self._archive.check, own)])
            except InstanceError as exc:
                warn(f"{_of(record)} is left out: {file.path} {exc.reason}")

    def _take(self, place: Place, file: ReferencedFile) -> None:
        try:
            with self._archive.read(self._root.member(file)) as found:
                self._at_hand = self._stored(found)
        except InstanceError as exc:
            warn(f"{_of(place.record)} is left out: {file.path} {exc.reason}")
            return
        super()._take(place, file)

    def _stored(self, found: Buffer | FileView) -> tuple[Content, Instance | InstanceError]:
        """Put a file into the vault; InstanceError if it is not all there, or changed."""
        assert self._batch is not None  # noqa: S101 - this is part of a run
        if not is_dicom(found[:PREFIX_END]):
            raise InstanceError("is no DICOM file")
        try:
            if isinstance(found, FileView):
                content = self._batch.add_chunks(found.pieces(), size=len(found))
                instance: Instance | InstanceError = instance_in(found)
            else:
                data = bytes(found)
                content = self._batch.add(data)
                instance = whole_instance(data)
        except InstanceError as exc:
            instance = exc
        self._archive.check()
        return content, instance

    def _read(self, place: Place, file: ReferencedFile) -> tuple[Content | None, Instance | None]:
        assert self._at_hand is not None  # noqa: S101 - it was just stored
        content, found = self._at_hand
        return content, self._beyond_doubt(place, file, found)


def take_in_archived(
    repository: Repository,
    found: ArchivedFileSet,
    *,
    include_orphans: bool = True,
    progress: Progress | None = None,
) -> Mapping[Doubt, list[str]]:
    """Adopt `found`; return the File IDs of files that are not what it says.

    RefusedError if the archive has changed since `found` was read, or the disk has no room.
    """
    try:
        with naming(found.archive), open_archive(found.archive) as archive:
            archive.check(found.stamp)
            refuse_without_room(archive, room_of(repository))
            adoption = ArchiveAdoption(repository, found, archive)
            adoption.run(progress)
            if include_orphans:
                adoption.add_orphans()
    except InstanceError as exc:
        raise RefusedError(f"{found.archive} can't be adopted: {exc.reason}.") from exc
    return adoption.doubts


def _of(record: DecodedRecord) -> str:
    return f"The file of the directory record at offset {record.offset}"
