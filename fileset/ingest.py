"""Files and datasets on their way in: reading them, and the account of each."""

from __future__ import annotations

import errno
import os
import stat
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from enum import Enum
from io import BytesIO
from typing import TYPE_CHECKING

from attrs import Factory, define, field, frozen

from fileset.recorders import Recorder, overridden_recorders
from ledger import completion
from ledger.errors import InstanceError, NotDicomError, RecordError
from ledger.events import Handle, Record
from ledger.instance import Instance, read_head, read_instance
from ledger.recorders import build_records
from projections.hierarchy import record_key

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_PREFIX_START, _PREFIX_END = 128, 132  # of "DICM" behind the preamble (PS3.10 Section 7.1)
_HEAD = 1 << 15  # bytes, in which most headers are
_AT_ONCE = 1 << 20  # bytes of a file that is read whole, whatever it is

_KEY_NAMES = {
    "PATIENT": "Patient ID",
    "STUDY": "Study Instance UID",
    "SERIES": "Series Instance UID",
    "PRIVATE": "Private Record UID",
}  # what records above a leaf are told apart by


class Outcome(Enum):
    """What became of one file that was offered."""

    ADDED = "added"
    ALREADY_THERE = "already there"
    CONFLICTING = "conflicting"
    REJECTED = "rejected"
    NOT_DICOM = "not DICOM"
    SKIPPED = "skipped"
    EXCLUDED = "excluded"

    @property
    def is_failure(self) -> bool:
        """Whether the user has to look at it."""
        return self is Outcome.CONFLICTING or self is Outcome.REJECTED or self is Outcome.NOT_DICOM


@frozen
class Result:
    """The account of one file: `handle` is the instance concerned, `reason` says why not.

    `invented` are the values that its directory records were given, by keyword; `note` is
    something about an instance that was added all the same. `completable` is a rejection over what
    its directory records must have, which inventing it may avert.
    """

    source: str
    outcome: Outcome
    handle: Handle | None = None
    reason: str | None = None
    invented: Mapping[str, str] = Factory(dict)
    note: str | None = None
    completable: bool = False


@define
class Report:
    """The account of everything that was offered: found = the sum of all outcomes."""

    results: list[Result] = field(factory=list)

    def __iter__(self) -> Iterator[Result]:
        """Yield the results in the order of the files."""
        return iter(self.results)

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """How many files had each outcome."""
        return Counter(result.outcome for result in self.results)

    @property
    def has_failures(self) -> bool:
        """Whether any file was offered and is not part of the File-set now."""
        return any(result.outcome.is_failure for result in self.results)

    def of(self, outcome: Outcome) -> list[Result]:
        """Return the results with `outcome`."""
        return [result for result in self.results if result.outcome is outcome]


@frozen
class Candidate:
    """An instance that can be added: its bytes, and the records that it asks for, top down.

    `name` is what the user called the file, `source` its absolute path.
    """

    name: str | None
    source: str | None
    _data: bytes | None
    instance: Instance
    records: tuple[Record, ...]
    invented: Mapping[str, str] = Factory(dict)

    @property
    def data(self) -> bytes:
        """The instance's file; InstanceError if it has to be read again and can't be."""
        if self._data is None:
            data, _ = _read_file(self.source or "", head_will_do=False)
            return data or b""
        return self._data

    def dataset(self) -> Dataset:
        """Return all of the instance, as pydicom reads it."""
        return _parse(self.data)


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
    `contents` no more of the file is read than that takes. `recorders` are the overridden ones,
    where the caller has asked for them already.

    Raises :class:`~ledger.errors.InstanceError` if the file can't be read, is no DICOM file or
    lacks something that a directory record needs; the message begins with the path.
    """
    name = os.fspath(path)
    if recorders is None:
        recorders = overridden_recorders()
    data, instance = _read_file(name, head_will_do=not contents and not recorders)
    if instance is None:
        instance = read_instance(data or b"", name)
    try:
        if records is None:
            invented, records = _records(instance, recorders, lambda: _parse(data or b""), complete)
        else:
            invented = {}
        return Candidate(name, absolute(name), data, instance, _checked(records), invented)
    except InstanceError as exc:
        raise type(exc)(exc.reason, name=name) from exc


def read_bytes(data: bytes, name: str) -> Candidate:
    """Return the instance whose file `data` is; messages call it `name`. See :func:`read_path`."""
    instance = read_instance(data, name)
    records = build_records(instance, overridden_recorders(), lambda: _parse(data))
    return Candidate(None, None, data, instance, _checked(records))


def read_dataset(ds: Dataset, records: tuple[Record, ...] | None = None) -> Candidate:
    """Return the instance that `ds` is, as pydicom encodes it; see :func:`read_path`."""
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    data = buffer.getvalue()
    filename = getattr(ds, "filename", None)
    name = os.fspath(filename) if isinstance(filename, str | os.PathLike) else None
    instance = read_instance(data, name or "the dataset")
    if records is None:
        records = build_records(instance, overridden_recorders(), lambda: ds)
    return Candidate(name, absolute(name) if name else None, data, instance, _checked(records))


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


def _checked(records: tuple[Record, ...]) -> tuple[Record, ...]:
    """Return `records`; RecordError if one above the last lacks what it is told apart by."""
    for record in records[:-1]:
        if record_key(record) is None:
            raise RecordError(
                f"The {record.type} directory record is missing a required element: "
                f"{_KEY_NAMES[record.type]}"
            )
    return records


def absolute(name: str) -> str:
    """Return the path `name` from the root of the file system, links as the user wrote them."""
    if name.startswith("/") and "//" not in name and "/." not in name:
        return name
    return os.path.abspath(name)


def _parse(data: bytes) -> Dataset:
    from pydicom import dcmread  # noqa: PLC0415 - only overridden recorders need it

    return dcmread(BytesIO(data))


def same_data_set(first: bytes, second: bytes) -> bool:
    """Whether two files hold the same data set, however each encodes it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they would not say of which file they are
        try:
            return bool(_parse(first) == _parse(second))
        except Exception:  # noqa: BLE001 - pydicom raises many things on values it can't decode
            return False


def _read_file(name: str, *, head_will_do: bool) -> tuple[bytes | None, Instance | None]:
    """Return the bytes of a regular file, which did not change while it was read.

    If its head will do and does, the instance is returned instead.
    """
    try:
        # Opening a FIFO would wait for a writer.
        fd = os.open(name, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError as exc:
        raise InstanceError(f"can't be read: {exc}", name=name) from exc
    except OSError as exc:
        if exc.errno == errno.ENXIO:  # a socket
            raise NotDicomError("is not a regular file", name=name) from exc
        raise InstanceError(f"can't be read: {exc.strerror}", name=name) from exc
    instance = None
    try:
        before = _status(fd, name)
        size = before.st_size
        if not stat.S_ISREG(before.st_mode) or not size:
            raise _no_file(before.st_mode, name)
        try:
            if head_will_do and size >= 2 * _HEAD:
                instance = read_head(os.pread(fd, _HEAD, 0), size)
            data = _read_all(fd, size) if instance is None else None
        except OSError as exc:
            raise InstanceError(f"can't be read: {exc.strerror}", name=name) from exc
        except MemoryError as exc:
            raise InstanceError(f"is too large for the memory: {size:,} bytes", name=name) from exc
        after = _status(fd, name)
    finally:
        with suppress(OSError):  # it was read
            os.close(fd)
    if (size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InstanceError("changed while it was read; add it when it is complete", name=name)
    return data, instance


def _status(fd: int, name: str) -> os.stat_result:
    try:
        return os.fstat(fd)
    except OSError as exc:
        raise InstanceError(f"can't be read: {exc.strerror}", name=name) from exc


def _no_file(mode: int, name: str) -> InstanceError:
    if stat.S_ISDIR(mode):
        return InstanceError(
            "is a folder; what is in it is added only recursively (--recursive)", name=name
        )
    return NotDicomError("is empty" if stat.S_ISREG(mode) else "is not a regular file", name=name)


def _read_all(fd: int, size: int) -> bytes:
    """Return what an open file of `size` bytes holds; of a large one that is no DICOM file less."""
    if size <= _AT_ONCE and len(data := os.read(fd, size)) == size:
        return data
    data = os.pread(fd, _PREFIX_END, 0)
    if data[_PREFIX_START:] != b"DICM":
        return data
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, "rb", buffering=0, closefd=False) as file:
        return file.read()
