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
from ledger import completion
from ledger.errors import InstanceError, NotDicomError, RecordError
from ledger.events import Handle, Record
from ledger.instance import Instance, read_instance
from ledger.recorders import build_records
from projections.hierarchy import record_key


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

    `invented` are the values that its directory records were given, by keyword.
    """

    source: str
    outcome: Outcome
    handle: Handle | None = None
    reason: str | None = None
    invented: Mapping[str, str] = Factory(dict)


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
    """An instance that can be added: its bytes, and the records that it asks for, top down."""

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
    source = os.path.abspath(name)  # noqa: PTH100 - links stay as the user wrote them
    try:
        return _candidate(source, data, instance, lambda: _parse(data), records, complete=complete)
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
    source = os.path.abspath(name) if name else None  # noqa: PTH100 - as above
    return _candidate(source, data, instance, lambda: ds, records, complete=False)


def _candidate(
    source: str | None,
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
    return Candidate(source, data, instance, records, invented)


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
            raise InstanceError("is a folder; use --recursive to add what is in it", name=name)
        if not stat.S_ISREG(before.st_mode):
            raise NotDicomError("is not a regular file", name=name)
        try:
            with open(fd, "rb", buffering=0, closefd=False) as file:
                data = file.read()
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

    Links to folders are not followed. A folder is yielded as it is without `recursive`.
    """
    for path in paths:
        if not (recursive and path.is_dir()):
            yield path
            continue
        for folder, folders, names in os.walk(path):
            folders.sort()
            yield from (Path(folder, name) for name in sorted(names))


def is_dicomdir(path: Path) -> bool:
    """Whether `path` has the name of a File-set's index, which is no instance."""
    return path.name == "DICOMDIR"
