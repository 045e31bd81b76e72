"""Files and datasets on their way in: reading them."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cached_property, partial
from io import BytesIO
from typing import TYPE_CHECKING

from attrs import Factory, evolve, frozen

from fileset.adding.recorders import Recorder, overridden_recorders
from fileset.archives.opening import kind_of, not_looked_into
from ledger.digest import digest_of
from ledger.errors import InstanceError, NotDicomError, RecordError
from ledger.events import Content, Record
from ledger.files import LARGE, FileStamp, FileView, content_of, open_content
from ledger.instances import completion
from ledger.instances.file_meta import PREFIX_END, is_dicom
from ledger.instances.instance import Instance, read_head, read_instance, read_large
from ledger.instances.make_records import build_records
from ledger.instances.persons import with_person
from ledger.instances.walker import Buffer
from ledger.vault.protocol import Batch, Vault
from projections.state.keys import record_key

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_HEAD = 1 << 15  # bytes, in which most headers are
_AT_ONCE = 1 << 20  # bytes of a file that is read whole, whatever it is
_KEY_NAMES = {
    "PATIENT": "Patient ID",
    "STUDY": "Study Instance UID",
    "SERIES": "Series Instance UID",
    "PRIVATE": "Private Record UID",
}  # what records above a leaf are told apart by


@frozen
class LargeFile:
    """A file that is not held, large or read before, at a path of its own, known by its stamp."""

    path: str
    stamp: FileStamp

    @contextmanager
    def view(self) -> Iterator[FileView]:
        """Give the file's bytes; InstanceError as for `_opened`."""
        with self._opened() as fd:
            yield FileView(fd, self.stamp.size)

    def content(self) -> Content:
        """Return the file's digest and size; InstanceError as for `_opened`."""
        with self._opened() as fd:
            return open_content(fd)

    def store(self, batch: Batch) -> Content:
        """Add the file to a vault; InstanceError as for `_opened`."""
        with self._opened() as fd:
            return batch.add_file(fd)

    def dataset(self) -> Dataset:
        """Return what pydicom reads."""
        return _parse(self.path)

    @contextmanager
    def _opened(self) -> Iterator[int]:
        """Give the open file; InstanceError if it can't be read, or is not as it was, or stays."""
        with _opened(self.path) as fd:
            self._compare(fd)
            with _reading(self.path):
                yield fd
            self._compare(fd)

    def _compare(self, fd: int) -> None:
        if FileStamp.of(_status(fd, self.path)).of_content != self.stamp.of_content:
            raise _changed(self.path)


@frozen
class LargeContent:
    """Content of that size that the vault has, whole."""

    vault: Vault
    known: Content

    def view(self) -> AbstractContextManager[FileView]:
        """Give its bytes; VaultError where the vault fails."""
        return self.vault.view(self.known.digest)

    def content(self) -> Content:
        """Return its digest and size."""
        return self.known

    def store(self, batch: Batch) -> Content:
        """Return what it is: it is stored."""
        return self.known

    def dataset(self) -> Dataset:
        """Return what pydicom reads, all of it."""
        return _parse(self.vault.read(self.known.digest))


@frozen
class LargeMember:
    """A large member of the archive, called `name`, as long as that gives it to be read.

    `check` raises InstanceError once the archive has changed.
    """

    name: str
    seen: FileView
    check: Callable[[], None]

    @contextmanager
    def view(self) -> Iterator[FileView]:
        """Give its bytes; InstanceError if they can't be read, or have changed."""
        with _reading(self.name):
            yield self.seen
        self.check()

    def content(self) -> Content:
        """Return its digest and size; InstanceError as for `view`."""
        with self.view() as view:
            return content_of(view.pieces())

    def store(self, batch: Batch) -> Content:
        """Add it to a vault; InstanceError as for `view`."""
        return batch.add_chunks(self._pieces(), size=len(self.seen))

    def dataset(self) -> Dataset:
        """Return what pydicom reads, all of it."""
        return _parse(self.seen[:])

    def _pieces(self) -> Iterator[bytes]:
        pieces = self.seen.pieces()
        while True:
            with _reading(self.name):  # and not what is done with a piece
                if (piece := next(pieces, None)) is None:
                    break
            yield piece
        self.check()


@frozen
class Candidate:
    """An instance that can be added: its bytes, and the records that it asks for, top down.

    `name` is what the user called the file, `source` its absolute path. Of a `large` file the bytes
    are not held: it is read anew for whatever is asked.
    """

    name: str | None
    source: str | None
    _data: bytes | None
    instance: Instance
    records: tuple[Record, ...]
    invented: Mapping[str, str] = Factory(dict)
    large: LargeFile | LargeContent | LargeMember | None = None

    @property
    def data(self) -> bytes:
        """The instance's file, whatever its size; InstanceError if it can't be read again."""
        if self._data is not None:
            return self._data
        if self.large is not None:
            with self.read() as whole:
                return whole[:]
        data, _, large = _read_file(self.source or "", head_will_do=False)
        return evolve(self, data=data, large=large).data

    @contextmanager
    def read(self) -> Iterator[bytes | FileView]:
        """Give the instance's file without reading all of a large one; raises as `data` does."""
        if self.large is None:
            yield self.data
            return
        with self.large.view() as view:
            yield view

    @cached_property
    def content(self) -> Content:
        """The digest and size of the instance's file; InstanceError as for `data`."""
        if self.large is not None:
            return self.large.content()
        data = self.data
        return Content(digest_of(data), len(data))

    def store(self, batch: Batch) -> Content:
        """Add the instance's file to a vault, and return what it is.

        InstanceError as for `data`, VaultError where the vault fails.
        """
        return batch.add(self.data) if self.large is None else self.large.store(batch)

    def dataset(self) -> Dataset:
        """Return all of the instance, as pydicom reads it; large values when they are asked for."""
        return _parse(self.data) if self.large is None else self.large.dataset()


def read_path(
    path: str | os.PathLike[str],
    records: tuple[Record, ...] | None = None,
    *,
    complete: bool = False,
    contents: bool = True,
    recorders: Mapping[str, Recorder] | None = None,
) -> Candidate:
    """Return the instance in the file at `path`, with `records` or those made by default.

    With `complete`, values that these must have and the instance lacks are invented. Without
    `contents`, only what the records need is read of the file. `recorders` are the overridden ones,
    if the caller has them already.

    Raises `InstanceError` if the file can't be read, is no DICOM file or
    lacks something that a directory record needs; the message begins with the path.
    """
    name = os.fspath(path)
    if recorders is None:
        recorders = overridden_recorders()
    try:
        data, instance, large = _read_file(name, head_will_do=not contents and not recorders)
        if instance is None:
            instance = read_instance(data or b"", name)
    except NotDicomError as exc:
        if (kind := kind_of(name)) is None:
            raise
        reason = f"{kind.value}, which {not_looked_into(kind)}"
        raise NotDicomError(reason, name=name) from exc
    try:
        if records is None:
            whole = partial(_parse, name if data is None else data)
            invented, records = _records(instance, recorders, whole, complete)
        else:
            invented = {}
        checked = _checked(records, instance)
        return Candidate(name, absolute(name), data, instance, checked, invented, large)
    except InstanceError as exc:
        raise type(exc)(exc.reason, name=name) from exc


def read_bytes(data: bytes, name: str, *, complete: bool = False) -> Candidate:
    """Return the instance whose file `data` is; messages call it `name`. See `read_path`."""
    instance = read_instance(data, name)
    recorders = overridden_recorders()
    invented, records = _records(instance, recorders, lambda: _parse(data), complete)
    return Candidate(None, None, data, instance, _checked(records, instance), invented)


def read_opened(
    found: Buffer | FileView,
    name: str,
    check: Callable[[], None],
    records: tuple[Record, ...] | None = None,
    *,
    complete: bool = False,
    recorders: Mapping[str, Recorder] | None = None,
) -> Candidate:
    """Return the instance whose file an archive gives; see `read_path`, and `LargeMember`."""
    invented: Mapping[str, str] = {}
    with _reading(name):
        if isinstance(found, FileView):
            data, large, instance = None, LargeMember(name, found, check), read_large(found)
            whole = large.dataset
        else:
            data, large, instance = bytes(found), None, read_instance(found)
            whole = partial(_parse, data)
        if records is None:
            recorders = overridden_recorders() if recorders is None else recorders
            invented, records = _records(instance, recorders, whole, complete)
    checked = _checked(records, instance)
    return Candidate(name, absolute(name), data, instance, checked, invented, large)


def read_content(vault: Vault, content: Content, name: str) -> Candidate:
    """Return the instance whose file the vault has; messages call it `name`. See `read_path`.

    VaultError if the vault does not have it whole.
    """
    if content.size < LARGE:
        return read_bytes(vault.read(content.digest), name)
    with open(os.devnull, "wb", buffering=0) as nowhere:
        vault.copy_to(content.digest, nowhere.fileno())  # all of it is checked
    large = LargeContent(vault, content)
    with large.view() as view:
        instance = read_large(view)
    records = build_records(instance, overridden_recorders(), large.dataset)
    return Candidate(None, None, None, instance, _checked(records, instance), large=large)


def read_dataset(ds: Dataset, records: tuple[Record, ...] | None = None) -> Candidate:
    """Return the instance that `ds` is, as pydicom encodes it; see `read_path`."""
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    data = buffer.getvalue()
    filename = getattr(ds, "filename", None)
    name = os.fspath(filename) if isinstance(filename, str | os.PathLike) else None
    instance = read_instance(data, name or "the dataset")
    if records is None:
        records = build_records(instance, overridden_recorders(), lambda: ds)
    source = absolute(name) if name else None
    return Candidate(name, source, data, instance, _checked(records, instance))


def _records(
    instance: Instance,
    recorders: Mapping[str, Recorder],
    dataset: Callable[[], Dataset],
    complete: bool,
) -> tuple[Mapping[str, str], tuple[Record, ...]]:
    """Return what was invented for the records of `instance`, by keyword, and the records."""
    invented: Mapping[str, str] = {}
    if complete:
        instance, invented = completion.complete(instance)
    return invented, build_records(instance, recorders, dataset)


def _checked(records: tuple[Record, ...], instance: Instance) -> tuple[Record, ...]:
    """Return `records` with what else `instance` says about its patient.

    RecordError if one above the last lacks the key that distinguishes it from its siblings.
    """
    for record in records[:-1]:
        if record_key(record) is None:
            raise RecordError(
                f"The {record.type} directory record is missing a required element: "
                f"{_KEY_NAMES[record.type]}"
            )
    return with_person(records, instance)


def absolute(name: str) -> str:
    """Return the path `name` from the root of the file system, links as the user wrote them."""
    if name.startswith("/") and "//" not in name and "/." not in name:
        return name
    return os.path.abspath(name)


def _parse(file: bytes | str) -> Dataset:
    from pydicom import dcmread  # noqa: PLC0415 - only overridden recorders need it

    return dcmread(file, defer_size=_AT_ONCE) if isinstance(file, str) else dcmread(BytesIO(file))


def _read_file(
    name: str, *, head_will_do: bool
) -> tuple[bytes | None, Instance | None, LargeFile | None]:
    """Return the bytes of a regular file, which did not change while it was read.

    If the head of the file is enough, the instance is returned instead. For a large file, the
    instance is returned with what to read it by.
    """
    instance = large = data = None
    with _opened(name) as fd:
        before = _status(fd, name)
        size = before.st_size
        if not stat.S_ISREG(before.st_mode) or not size:
            raise _no_file(before.st_mode, name)
        with _reading(name):
            if head_will_do and size >= 2 * _HEAD:
                instance = read_head(os.pread(fd, _HEAD, 0), size)
            if instance is None and size >= LARGE:
                instance = _read_large(fd, size, name)
                large = LargeFile(absolute(name), FileStamp.of(before))
            elif instance is None:
                data = _read_all(fd, size)
        after = _status(fd, name)
    if (size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise _changed(name)
    return data, instance, large


def _read_large(fd: int, size: int, name: str) -> Instance:
    try:
        return read_large(FileView(fd, size))
    except InstanceError as exc:
        raise type(exc)(exc.reason, name=name) from exc


@contextmanager
def _opened(name: str) -> Iterator[int]:
    """Give the file to read it; InstanceError if it can't be opened."""
    try:
        # Opening a FIFO would wait for a writer.
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as exc:
        raise InstanceError(f"can't be read: {exc}", name=name) from exc
    except OSError as exc:
        if exc.errno == errno.ENXIO:  # a socket
            raise NotDicomError("is not a regular file", name=name) from exc
        raise InstanceError(f"can't be read: {exc.strerror}", name=name) from exc
    try:
        yield fd
    finally:
        with suppress(OSError):  # it was read
            os.close(fd)


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Make an InstanceError of what goes wrong in reading the file."""
    try:
        yield
    except OSError as exc:
        raise InstanceError(f"can't be read: {exc.strerror}", name=name) from exc
    except MemoryError as exc:
        raise InstanceError("is too large for memory", name=name) from exc


def _changed(name: str) -> InstanceError:
    return InstanceError("changed while it was read; add it when it is complete", name=name)


def _status(fd: int, name: str) -> os.stat_result:
    try:
        return os.fstat(fd)
    except OSError as exc:
        raise InstanceError(f"can't be read: {exc.strerror}", name=name) from exc


def _no_file(mode: int, name: str) -> InstanceError:
    if stat.S_ISDIR(mode):
        return InstanceError("is a folder: with recursive=True what is in it is added", name=name)
    return NotDicomError("is empty" if stat.S_ISREG(mode) else "is not a regular file", name=name)


def _read_all(fd: int, size: int) -> bytes:
    """Return what an open file of `size` bytes holds; less of a large one that isn't DICOM."""
    if size <= _AT_ONCE and len(data := os.read(fd, size)) == size:
        return data
    data = os.pread(fd, PREFIX_END, 0)
    if not is_dicom(data):
        return data
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, "rb", buffering=0, closefd=False) as file:
        return file.read()
