"""Between pydicom's datasets and the canonical elements of directory records.

pydicom decodes text and numbers as they are asked for, and what it encodes again need not be what
was there: bytes that the character set doesn't have are replaced. So a value that nobody has asked
for is taken over as it stands; only those that a program has set or looked at are encoded.
"""

from __future__ import annotations

from io import BytesIO
from typing import Final

from pydicom.charset import default_encoding
from pydicom.datadict import dictionary_VR
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.filewriter import correct_ambiguous_vr_element, write_data_element

from ledger.elements import (
    KNOWN_VRS,
    TEXT_VRS,
    UNDEFINED_LENGTH,
    Element,
    Elements,
    EncapsulatedError,
    canonical,
    encode,
    encode_element,
    encode_items,
    format_tag,
    iterate,
)
from ledger.errors import ElementsError, TruncatedError

_WORDS: Final = {
    "AT": 2, "FD": 8, "FL": 4, "OD": 8, "OF": 4, "OL": 4, "OV": 8, "OW": 2, "SL": 4, "SS": 2,
    "SV": 8, "UL": 4, "US": 2, "UV": 8,
}  # fmt: skip
"""The bytes in one word of a binary value, whose order depends on the transfer syntax."""

Encodings = str | list[str]


def to_elements(
    ds: Dataset,
    *,
    without: frozenset[int] = frozenset(),
    encodings: Encodings = default_encoding,
    left_out: list[int] | None = None,
) -> Elements:
    """Return the elements of `ds`, less the tags in `without`, in canonical form.

    Text that has to be encoded is encoded in the dataset's own Specific Character Set, or else in
    `encodings`. The tags of those that hold compressed images are put in `left_out`; without that
    they are an `EncapsulatedError`. Raises `TruncatedError` where a value has fewer bytes than
    declared, and `ElementsError` where pydicom can't encode one.
    """
    # Looked up first: asking for the character set converts it.
    items: dict[int, DataElement | RawDataElement] = {
        int(tag): ds.get_item(tag)
        for tag in ds.keys()  # noqa: SIM118 - iterating over a dataset gives its elements
        if int(tag) not in without and int(tag) & 0xFFFF
    }
    encodings = ds.get("SpecificCharacterSet", None) or encodings
    found = []
    for tag in sorted(items):
        try:
            found.append(_element(ds, tag, items[tag], encodings))
        except EncapsulatedError:
            if left_out is None:
                raise
            left_out.append(tag)
    return canonical(encode(found))


def to_dataset(elements: bytes) -> Dataset:
    """Return canonical `elements` as a pydicom dataset, decoded as they are asked for."""
    return read_dataset(BytesIO(elements), is_implicit_VR=False, is_little_endian=True)


def refuse_short(item: DataElement | RawDataElement) -> None:
    """Raise `TruncatedError` if a value has fewer bytes than declared: pydicom doesn't mind."""
    if isinstance(item, RawDataElement) and len(item.value or b"") < item.length < UNDEFINED_LENGTH:
        raise TruncatedError(f"the file ends within {format_tag(int(item.tag))}")


def _element(
    ds: Dataset, tag: int, item: DataElement | RawDataElement, encodings: Encodings
) -> Element:
    """Return the element `item` of `ds`, its bytes as they are where there still are any."""
    refuse_short(item)
    if not isinstance(item, RawDataElement):
        return _converted(ds, tag, encodings)
    vr = item.VR or _vr(ds, tag)
    if vr == "SQ":
        if item.is_little_endian and not item.is_implicit_VR:
            try:
                return next(iterate(canonical(encode_element(tag, vr, item.value or b""))))
            except EncapsulatedError:
                raise
            except ElementsError:
                pass  # pydicom may make something of what is malformed
        return _converted(ds, tag, encodings)
    if vr.encode("latin-1") not in KNOWN_VRS:
        vr = "UN"
    if item.length == UNDEFINED_LENGTH and vr != "UN":
        raise EncapsulatedError(tag)
    value = item.value or b""
    return Element(tag, vr, value if item.is_little_endian else swapped(tag, vr, value))


def _vr(ds: Dataset, tag: int) -> str:
    """Return the VR of an implicit element, which may depend on others; UN for an unknown one."""
    try:
        vr = dictionary_VR(tag)
    except KeyError:
        vr = ""
    if len(vr) == 2:
        return str(vr)
    if not vr and not tag >> 16 & 1:
        return "UN"
    try:
        element = ds[tag]
        if len(element.VR) != 2:
            correct_ambiguous_vr_element(element, ds, is_little_endian=True)
    except Exception:  # noqa: BLE001 - pydicom raises many things on values that it can't decode
        return "UN"
    return str(element.VR) if len(element.VR) == 2 else "UN"


def swapped(tag: int, vr: str, value: bytes) -> bytes:
    """Return a Big Endian value in Little Endian."""
    size = 1 if vr in TEXT_VRS else _WORDS.get(vr, 1)
    if len(value) % size:
        raise ElementsError(f"The value of {format_tag(tag)} is not a multiple of {size} bytes")
    return b"".join(value[at : at + size][::-1] for at in range(0, len(value), size))


def _converted(ds: Dataset, tag: int, encodings: Encodings) -> Element:
    """Return an element of `ds` as pydicom encodes it; of a sequence, that goes item by item."""
    try:
        element = ds[tag]
        if element.VR == "SQ":
            items = [to_elements(item, encodings=encodings) for item in element.value or ()]
            return Element(tag, "SQ", encode_items(items))
        if len(element.VR) != 2:
            correct_ambiguous_vr_element(element, ds, is_little_endian=True)
        buffer = DicomBytesIO()
        buffer.is_little_endian = True
        buffer.is_implicit_VR = False
        write_data_element(buffer, element, encodings)
    except (ElementsError, TruncatedError):
        raise
    except Exception as exc:
        raise ElementsError(f"The value of {format_tag(tag)} can't be encoded: {exc}") from exc
    return next(iterate(canonical(buffer.getvalue())))
