"""Corrected instances, for tests: what a correction gives, and what pydicom reads in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from ledger.instances.correcting.correct import corrected
from ledger.instances.correcting.edits import (
    REMOVE,
    Edit,
    OriginalAttributes,
    UIDsReplaced,
    Value,
    path_of,
)

NOTE = OriginalAttributes("20260301120000", "FILESET-LEDGER", "CORRECT", "SENDER")
FILES = sorted(
    path
    for folder in ("test_files", "charset_files")
    for path in (Path(pydicom.__file__).parent / "data" / folder).rglob("*")
    if path.is_file() and path.read_bytes()[128:132] == b"DICM"
)
"""The DICOM files that pydicom brings along."""


def edits(**values: Value) -> list[Edit | UIDsReplaced]:
    """Return edits of elements of the data set, by keyword."""
    return [Edit(path_of(keyword), value) for keyword, value in values.items()]


def correct(
    data: bytes, what: Sequence[Edit | UIDsReplaced], note: OriginalAttributes | None = None
) -> bytes:
    """Return the file `data` corrected, its size as it was announced."""
    with corrected(data, what, note) as result:
        chunks = list(result.chunks())
    assert sum(map(len, chunks)) == result.size
    return b"".join(chunks)


def read(data: bytes) -> Dataset:
    """Return what pydicom reads in a file."""
    return pydicom.dcmread(BytesIO(data))


def raw_values(ds: Dataset, *, without: frozenset[int] = frozenset()) -> dict[int, object]:
    """Return the values of a data set as they are in the file, by tag."""
    return {int(tag): _raw(ds, tag) for tag in ds.keys() if int(tag) not in without}  # noqa: SIM118


def _raw(ds: Dataset, tag: pydicom.tag.BaseTag) -> object:
    item = ds.get_item(tag)
    return item.value if isinstance(item, RawDataElement) else list(_items(item.value))


def _items(sequence: Sequence[Dataset]) -> Iterator[dict[int, object]]:
    for item in sequence:
        yield raw_values(item)


__all__ = ["FILES", "NOTE", "REMOVE", "correct", "edits", "raw_values", "read"]
