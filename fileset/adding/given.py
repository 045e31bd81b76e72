"""What a program passes in, a path or a data set: read with the errors that pydicom raises."""

from __future__ import annotations

import errno
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from fileset.adding.add import Adder
from fileset.adding.candidate import Candidate, read_dataset, read_path
from fileset.adding.outcome import Outcome
from ledger.errors import NotDicomError
from ledger.events import Handle, Record
from projections.state.namesakes import namesakes_above
from projections.state.nodes import Leaf

DSPathType: TypeAlias = Dataset | str | os.PathLike[str]


class InvalidFileError(NotDicomError, InvalidDicomError):
    """A file that was given is no DICOM file; pydicom's class says so as well."""


def add_given(
    adder: Adder, ds_or_path: DSPathType, records: tuple[Record, ...] | None = None
) -> Handle:
    """Add the instance that was given, with `records` or those made by default; return its handle.

    That is the handle of the one that stands, with a warning if its content is another. There is
    one as well if it may be of another person than others with its Patient ID, and if its study or
    series belongs to others as well: nobody who adds files one by one gets a report to look at.
    There is none of what is wrong with the instance itself: pydicom warns of values that a program
    looks at, and of records that a program makes by itself it is to know.
    """
    (result,) = adder.add([_read(ds_or_path, records)])
    assert result.handle is not None  # noqa: S101 - a candidate has passed every check
    if result.outcome is Outcome.CONFLICTING:
        warnings.warn(f"{result.source} was not added: {result.reason}", stacklevel=4)
    elif result.mismatch:
        warnings.warn(f"{result.source}: {result.note}", stacklevel=4)
    elif result.outcome is Outcome.ADDED:
        for each in namesakes_above(adder.state, adder.state.leaf(result.handle)):
            warnings.warn(each.sentence, stacklevel=4)
    return result.handle


def _read(ds_or_path: DSPathType, records: tuple[Record, ...] | None) -> Candidate:
    if isinstance(ds_or_path, str | os.PathLike):
        with errors_of_reading(ds_or_path):
            return read_path(Path(ds_or_path), records)
    if not isinstance(ds_or_path, Dataset):
        raise TypeError(f"An instance is a Dataset or a path, not {type(ds_or_path).__name__}")
    return read_dataset(ds_or_path, records)


def refer_to(record: Dataset, leaf: Leaf) -> None:
    """Make a program's own directory record reference the instance that was added with it."""
    record.ReferencedFileID = None
    record.ReferencedSOPClassUIDInFile = leaf.sop_class_uid
    record.ReferencedSOPInstanceUIDInFile = leaf.uid
    record.ReferencedTransferSyntaxUIDInFile = leaf.transfer_syntax_uid


@contextmanager
def errors_of_reading(path: str | os.PathLike[str]) -> Iterator[None]:
    """Raise what pydicom raises for what can't be read as a file, or is no DICOM file."""
    if stat.S_ISDIR(os.stat(path).st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    try:
        yield
    except NotDicomError as exc:
        raise InvalidFileError(exc.reason, name=exc.name) from exc
