"""Values of elements in a file as attributes of the DICOM JSON model (PS3.18 Section F.2)."""

from __future__ import annotations

import warnings
from functools import lru_cache
from io import BytesIO
from typing import Any, Final, TypeAlias

from pydicom.filereader import read_dataset

from ledger.dicom_json import to_json
from ledger.elements import CHARSET_VRS, Element, Elements, encode, pad
from ledger.errors import CorrectionError, ElementsError
from ledger.instances.character_sets import decoded
from ledger.instances.correcting.skimming import Found
from ledger.instances.correcting.structure import DataSet
from ledger.instances.datasets import swapped, to_elements
from ledger.instances.walker import describe

Body: TypeAlias = dict[str, Any]
"""An element's VR, and its value unless it is empty, as `ledger.dicom_json` has them."""

_SHORT: Final = 256  # bytes of a value whose body is kept

MAX_VALUE = 1 << 24
"""Bytes beyond which the value of an element is told by its size."""

SIZE: Final = "Size"
"""The key of the size in bytes, in the body of an element whose value is too large to be told."""


def body_of(tag: int, vr: str, value: bytes, charset: str) -> Body:
    """Return the body of a `value` in Little Endian; text is in `charset`.

    Many instances have the same short values: they have one body, which nobody may change.
    """
    make = _short_body if len(value) <= _SHORT else _made_body
    return make(tag, vr, value, charset)


def _made_body(tag: int, vr: str, value: bytes, charset: str) -> Body:
    if vr in CHARSET_VRS and (text := decoded(value.rstrip(b"\0 "), charset)) is not None:
        value, charset = pad(vr, text.encode()), "ISO_IR 192"  # JSON has text of this set
    return _body(encode([Element(tag, vr, value)]), tag, charset)


_short_body = lru_cache(maxsize=1024)(_made_body)


def body_of_found(ds: DataSet, found: Found) -> Body:
    """Return the body of an element of `ds` as it is in the file."""
    vr = ds.vr(found)
    if (size := found.value_stop - found.start) > MAX_VALUE:
        return {"vr": vr, SIZE: size}
    if vr != "SQ":
        value = ds.value(found)
        try:
            value = swapped(found.tag, vr, value) if ds.big_endian else value
        except ElementsError as exc:
            raise CorrectionError(f"{describe(found.tag)} can't be read: {exc}") from exc
        return body_of(found.tag, vr, value, ds.charset)
    content = bytes(ds.data[found.header : found.stop])
    return _body(
        _elements(ds, content, found.tag, implicit=found.code is None), found.tag, ds.charset
    )


def body_of_item(ds: DataSet, tag: int, item: DataSet) -> Body:
    """Return the body of the sequence `tag` of `ds` with that `item` alone."""
    stop = item.after() if item.end is None else item.end
    if (size := stop - item.begin) > MAX_VALUE:
        return {"vr": "SQ", SIZE: size}
    content = bytes(ds.data[item.begin : stop])
    elements = _elements(item, content, tag, implicit=item.implicit)
    return {"vr": "SQ", "Value": [to_json(elements, ds.charset)]}


def _elements(ds: DataSet, content: bytes, tag: int, *, implicit: bool) -> Elements:
    """Return the elements that `content` holds, which is of `ds`, in canonical form."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            read = read_dataset(
                BytesIO(content), is_implicit_VR=implicit, is_little_endian=not ds.big_endian
            )
            return to_elements(read)
        except Exception as exc:  # pydicom raises many things on what it can't read
            raise CorrectionError(f"{describe(tag)} can't be read: {exc}") from exc


def _body(elements: Elements, tag: int, charset: str) -> Body:
    body: Body = to_json(elements, charset)[f"{tag:08X}"]
    return body
