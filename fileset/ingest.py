"""Files and datasets on their way in: finding them, reading them, and the account of each."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import Enum
from io import BytesIO
from pathlib import Path

from attrs import Factory, define, field, frozen
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from fileset.recorders import overridden_recorders
from fileset.repository import is_repository
from ledger import completion
from ledger.errors import InstanceError, NotDicomError, RecordError
from ledger.events import Handle, Record
from ledger.instance import Instance, read_instance
from ledger.recorders import build_records
from projections.hierarchy import record_key

_PREFIX_START, _PREFIX_END = 128, 132  # of "DICM" behind the preamble (PS3.10 Section 7.1)


class InvalidFileError(NotDicomError, InvalidDicomError):
    """The file given to ``FileSet.add()`` is no DICOM file; pydicom's class says so as well."""


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
        return self in {Outcome.CONFLICTING, Outcome.REJECTED, Outcome.NOT_DICOM}


@frozen
class Result:
    """The account of one file: `handle` is the instance concerned, `reason` says why not.

    `invented` are the values that its directory records were given, by keyword; `note` is
    something about an instance that was added all the same.
    """

    source: str
    outcome: Outcome
    handle: Handle | None = None
    reason: str | None = None
    invented: Mapping[str, str] = Factory(dict)
    note: str | None = None


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
    data: bytes
    instance: Instance
    records: tuple[Record, ...]
    invented: Mapping[str, str] = Factory(dict)

    def dataset(self) -> Dataset:
        """Return all of the instance, as pydicom reads it."""
        return _parse(self.data)


def read_path(
    path: Path, records: tuple[Record, ...] | None = None, *, complete: bool = False
) -> Candidate:
    """Return the instance in the file at `path`, with `records` or those made by default.

    With `complete`, values that these must have and the instance lacks are invented.

    Raises :class:`~ledger.errors.InstanceError` if the file can't be read, is no DICOM file or
    lacks something that a directory record needs; the message begins with the path.
    """
    name = os.fspath(path)
    data = _read_bytes(path)
    instance = read_instance(data, name)
    try:
        return _candidate(name, data, instance, lambda: _parse(data), records, complete=complete)
    except InstanceError as exc:
        raise type(exc)(exc.reason, name=name) from exc


def read_dataset(ds: Dataset, records: tuple[Record, ...] | None = None) -> Candidate:
    """Return the instance that `ds` is, as pydicom encodes it; see :func:`read_path`."""
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    data = buffer.getvalue()
    filename = getattr(ds, "filename", None)
    name = os.fspath(filename) if isinstance(filename, str | os.PathLike) else None
    instance = read_instance(data, name or "the dataset")
    return _candidate(name, data, instance, lambda: ds, records, complete=False)


def _candidate(
    name: str | None,
    data: bytes,
    instance: Instance,
    dataset: Callable[[], Dataset],
    records: tuple[Record, ...] | None,
    *,
    complete: bool,
) -> Candidate:
    invented: Mapping[str, str] = {}
    if records is None:
        filled = instance
        if complete:
            filled, invented = completion.complete(instance)
        records = build_records(filled, overridden_recorders(), dataset)
    for record in records[:-1]:
        if record_key(record) is None:
            raise RecordError(f"The {record.type} directory record is missing a required element")
    return Candidate(name, absolute(name) if name else None, data, instance, records, invented)


def absolute(name: str) -> str:
    """Return the path `name` from the root of the file system, links as the user wrote them."""
    return os.path.abspath(name)  # noqa: PTH100 - Path.absolute() keeps ".."


def _parse(data: bytes) -> Dataset:
    from pydicom import dcmread  # noqa: PLC0415 - only overridden recorders need it

    return dcmread(BytesIO(data))


def same_data_set(first: bytes, second: bytes) -> bool:
    """Whether two files hold the same data set, however each encodes it."""
    try:
        return bool(_parse(first) == _parse(second))
    except Exception:  # noqa: BLE001 - pydicom raises many things on values it can't decode
        return False


def _read_bytes(path: Path) -> bytes:
    """Return the bytes of a regular file, which did not change while it was read."""
    name = os.fspath(path)
    try:
        # Opening a FIFO would wait for a writer.
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as exc:
        raise InstanceError(f"can't be read: {exc.strerror}", name=name) from exc
    try:
        before = os.fstat(fd)
        if stat.S_ISDIR(before.st_mode):
            raise InstanceError(
                "is a folder; what is in it is added only recursively (--recursive)", name=name
            )
        if not stat.S_ISREG(before.st_mode):
            raise NotDicomError("is not a regular file", name=name)
        try:
            with open(fd, "rb", buffering=0, closefd=False) as file:
                data = file.read(_PREFIX_END)
                # What is no DICOM file, and may be huge, is not read any further.
                if data[_PREFIX_START:] == b"DICM":
                    data += file.read()
        except OSError as exc:
            raise InstanceError(f"can't be read: {exc.strerror}", name=name) from exc
        after = os.fstat(fd)
    finally:
        os.close(fd)
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
        raise InstanceError("changed while it was read; add it when it is complete", name=name)
    return data


def find_files(paths: Iterable[Path], *, recursive: bool) -> Iterator[Path]:
    """Yield the files at `paths`, and with `recursive` those in their folders, in a fixed order.

    Every folder that is not gone into is yielded as it is: any without `recursive`, and then one
    that can't be read, a link to a folder, and a repository.
    """
    for path in paths:
        if recursive and path.is_dir() and why_skipped(path) is None:
            yield from _walk(path)
        else:
            yield path


def _walk(top: Path) -> Iterator[Path]:
    unreadable: list[Path] = []
    for folder, folders, names in os.walk(
        top, onerror=lambda exc: unreadable.append(Path(exc.filename))
    ):
        yield from unreadable
        unreadable.clear()
        below = [Path(folder, name) for name in sorted(folders)]
        yield from (path for path in below if why_skipped(path) is not None)
        folders[:] = [path.name for path in below if why_skipped(path) is None]
        yield from (Path(folder, name) for name in sorted(names))
    yield from unreadable


def why_skipped(path: Path) -> str | None:
    """Return why `path` is passed over on the way, ``None`` if it isn't."""
    if path.name == "DICOMDIR" and not path.is_dir():
        return "a DICOMDIR indexes instances and is none itself"
    if path.is_symlink() and path.is_dir():
        return "a link to a folder, which is not followed"
    if is_repository(path):
        return "a repository of fileset-ledger"
    return None
