"""Values of elements in a file as attributes of the DICOM JSON model (PS3.18 Section F.2)."""

from __future__ import annotations

from io import BytesIO
from typing import Any, TypeAlias

from pydicom.filereader import read_dataset

from ledger.dicom_json import to_json
from ledger.elements import Element, Elements, encode
from ledger.errors import CorrectionError
from ledger.instances.correcting.structure import DataSet, Found
from ledger.instances.datasets import swapped, to_elements
from ledger.instances.walker import describe

Body: TypeAlias = dict[str, Any]
"""An element's VR, and its value unless it is empty, as `ledger.dicom_json` has them."""

MAX_VALUE = 1 << 24
"""Bytes beyond which the value of an element can't be corrected."""


def body_of(tag: int, vr: str, value: bytes, charset: str) -> Body:
    """Return the body of a `value` in Little Endian; text is in `charset`."""
    return _body(encode([Element(tag, vr, value)]), tag, charset)


def body_of_found(ds: DataSet, found: Found, *, big_endian: bool) -> Body:
    """Return the body of an element of `ds` as it is in the file."""
    if (size := found.stop - found.header) > MAX_VALUE:
        raise CorrectionError(f"{describe(found.tag)} has {size:,} bytes: too many to be corrected")
    vr = ds.vr(found)
    if vr != "SQ":
        value = ds.value(found)
        value = swapped(found.tag, vr, value) if big_endian else value
        return body_of(found.tag, vr, value, ds.charset)
    read = read_dataset(
        BytesIO(bytes(ds.data[found.header : found.stop])),
        is_implicit_VR=found.code is None,
        is_little_endian=not big_endian,
    )
    return _body(to_elements(read), found.tag, ds.charset)


def _body(elements: Elements, tag: int, charset: str) -> Body:
    body: Body = to_json(elements, charset)[f"{tag:08X}"]
    return body
