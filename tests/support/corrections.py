"""Corrected instances, for tests: what a correction gives, and what pydicom reads in it."""

from __future__ import annotations

import struct
from collections.abc import Collection, Sequence
from io import BytesIO
from pathlib import Path

import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from ledger.elements import encode_element
from ledger.instances.correcting.correct import corrected
from ledger.instances.correcting.edits import (
    REMOVE,
    Edit,
    OriginalAttributes,
    UIDsReplaced,
    Value,
    path_of,
)
from ledger.uids import EXPLICIT_VR_LITTLE_ENDIAN

SOP_CLASS, SOP_INSTANCE = "1.2.840.10008.5.1.4.1.1.7", "1.2.3.4"
NOTE = OriginalAttributes("20260301120000", "FILESET-LEDGER", "CORRECT", "SENDER")
FILES = sorted(
    path
    for folder in ("test_files", "charset_files")
    for path in (Path(pydicom.__file__).parent / "data" / folder).rglob("*")
    if path.is_file() and path.read_bytes()[128:132] == b"DICM"
)
"""The DICOM files that pydicom brings along."""


def meta(syntax: str) -> bytes:
    """Return the beginning of a file up to its data set."""
    elements = b"".join(
        encode_element(*each)
        for each in (
            (0x00020001, "OB", b"\0\1"),
            (0x00020002, "UI", SOP_CLASS.encode()),
            (0x00020003, "UI", SOP_INSTANCE.encode()),
            (0x00020010, "UI", syntax.encode()),
            (0x00020012, "UI", b"1.2.3"),
        )
    )
    length = encode_element(0x00020000, "UL", struct.pack("<I", len(elements)))
    return bytes(128) + b"DICM" + length + elements


def plain(*elements: tuple[int, str, bytes], syntax: str = EXPLICIT_VR_LITTLE_ENDIAN) -> bytes:
    """Return a file with `elements`; SOP UIDs come with them."""
    needed = [(0x00080016, "UI", SOP_CLASS.encode()), (0x00080018, "UI", SOP_INSTANCE.encode())]
    return meta(syntax) + b"".join(encode_element(*each) for each in sorted([*needed, *elements]))


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


def raw_values(ds: Dataset, *, without: Collection[int] = ()) -> dict[int, object]:
    """Return the values of a data set by tag, as they are in the file where pydicom has them so.

    Lengths of groups are no values.
    """
    tags = [tag for tag in ds.keys() if tag.element and tag not in without]  # noqa: SIM118
    return {int(tag): _raw(ds, tag) for tag in tags}


def _raw(ds: Dataset, tag: BaseTag) -> object:
    item = ds.get_item(tag)
    if isinstance(item, RawDataElement):
        return item.value
    return [raw_values(each) for each in item.value] if item.VR == "SQ" else item.value


__all__ = ["REMOVE"]
