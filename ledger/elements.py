"""Data elements as they stand in a directory record.

The working form of a record's elements is `Elements`: the bytes of an Explicit VR Little
Endian encoding (PS3.5 Section 7.1) in canonical form, which means ascending tags, even lengths,
defined lengths for sequences and items, and no group lengths. Such bytes go into a DICOMDIR as
they are. What the journal keeps instead, a person can read (`ledger.dicom_json`).

No code here depends on pydicom: what was recorded must read the same under every later version.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Final, NamedTuple, NewType

from ledger.errors import ElementsError
from ledger.tags import SPECIFIC_CHARACTER_SET


class EncapsulatedError(ElementsError):
    """An element has an undefined length but is not a sequence, as one with compressed images."""

    def __init__(self, tag: int) -> None:
        super().__init__(f"{format_tag(tag)} has an undefined length but is not a sequence")


Elements = NewType("Elements", bytes)
"""Canonical Explicit VR Little Endian bytes of zero or more data elements."""

EMPTY: Final = Elements(b"")
_header_at: Final = struct.Struct("<HH2sH").unpack_from
_NO_HEADER: Final = (0, 0, b"", 0)
UNDEFINED_LENGTH: Final = 0xFFFFFFFF
ITEM: Final = 0xFFFEE000
ITEM_DELIMITER: Final = 0xFFFEE00D
SEQUENCE_DELIMITER: Final = 0xFFFEE0DD
MAX_DEPTH: Final = 64
"""Nesting of sequences beyond which data is refused: real records have two or three levels."""

LONG_VRS: Final = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
"""VRs whose explicit encoding has two reserved bytes and a 32-bit length (PS3.5 Table 7.1-1)."""

KNOWN_VRS: Final = LONG_VRS | frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split()
)
_SHORT_VRS: Final = KNOWN_VRS - LONG_VRS
_VR_NAMES: Final = {code: code.decode("ascii") for code in KNOWN_VRS}


CHARSET_VRS: Final = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
"""VRs whose text depends on Specific Character Set (PS3.5 Section 6.1.2.2)."""

ASCII_VRS: Final = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"))
TEXT_VRS: Final = CHARSET_VRS | ASCII_VRS

# Python's own codecs for the single-byte and Unicode repertoires of PS3.3 C.12.1.1.2. Values that
# are not plain ASCII are kept as InlineBinary in any other repertoire: with code extensions
# (ISO 2022) because one text has several encodings, in GB18030 and GBK because their tables
# have changed before, and what was recorded must not.
CODECS: Final = {
    "": "ascii",
    "ISO_IR 6": "ascii",
    "ISO_IR 100": "iso8859-1",
    "ISO_IR 101": "iso8859-2",
    "ISO_IR 109": "iso8859-3",
    "ISO_IR 110": "iso8859-4",
    "ISO_IR 126": "iso8859-7",
    "ISO_IR 127": "iso8859-6",
    "ISO_IR 138": "iso8859-8",
    "ISO_IR 144": "iso8859-5",
    "ISO_IR 148": "iso8859-9",
    "ISO_IR 166": "tis-620",
    "ISO_IR 203": "iso8859-15",
    "ISO_IR 192": "utf-8",
}


class Element(NamedTuple):
    """One data element: `value` is the value field's bytes, padded to an even length."""

    tag: int
    vr: str
    value: bytes


def pad(vr: str, value: bytes) -> bytes:
    """Return `value` padded to an even length as its VR asks (PS3.5 Section 6.2)."""
    if len(value) % 2 == 0:
        return value
    return value + (b"\0" if vr == "UI" or vr not in TEXT_VRS else b" ")


def encode_element(tag: int, vr: str, value: bytes) -> bytes:
    """Return one element in Explicit VR Little Endian, its value padded to an even length.

    Raises `ElementsError` if the value is too long for its VR's length field.
    """
    code = vr.encode("ascii")
    value = pad(vr, value)
    if code in LONG_VRS:
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, code, 0, len(value)) + value
    if len(value) > 0xFFFE:
        raise ElementsError(
            f"The value of {format_tag(tag)} has {len(value)} bytes; {vr} takes at most 65534"
        )
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, code, len(value)) + value


def encode(elements: Iterable[Element]) -> Elements:
    """Return `elements` in canonical form: sorted by tag, without group lengths.

    Of several elements with one tag, which PS3.5 Section 7.1 forbids, the last one stands.
    """
    ordered = sorted({e.tag: e for e in elements if e.tag & 0xFFFF}.values(), key=lambda e: e.tag)
    return Elements(b"".join(encode_element(*e) for e in ordered))


def encode_items(items: Iterable[bytes]) -> bytes:
    """Return the value of a sequence: each of `items` in an item of defined length."""
    return b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)


def iterate(data: bytes) -> Iterator[Element]:
    """Yield the top-level elements of Explicit VR Little Endian `data`, lengths defined.

    Raises `ElementsError` where `data` is not such an encoding.
    """
    offset, end = 0, len(data)
    last = end - 8
    while offset <= last:
        group, number, code, length = _header_at(data, offset)
        start = offset + 8
        # Nearly every element is short and in its place: there is nothing else to ask of it.
        if code not in _SHORT_VRS or group == 0xFFFE or length > end - start:
            _, code, length, start = read_header(data, offset, end)
            if length == UNDEFINED_LENGTH:
                raise ElementsError(f"{format_tag(group << 16 | number)} has an undefined length")
        offset = start + length
        yield Element(group << 16 | number, _VR_NAMES[code], data[start:offset])
    if offset < end:
        raise ElementsError(f"Data ends within an element's header at byte {offset}")


def iterate_items(value: bytes) -> Iterator[bytes]:
    """Yield the content of each item of a sequence's `value`, lengths defined."""
    offset, end = 0, len(value)
    while offset < end:
        if end - offset < 8:
            raise ElementsError(f"Data ends within an item's header at byte {offset}")
        group, number, length = struct.unpack_from("<HHI", value, offset)
        if (group, number) != (0xFFFE, 0xE000) or length > end - offset - 8:
            raise ElementsError(f"Malformed item at byte {offset}")
        yield value[offset + 8 : offset + 8 + length]
        offset += 8 + length


def read_header(data: bytes, offset: int, end: int) -> tuple[int, bytes, int, int]:
    """Return (tag, VR, length, start of value) of the explicit element at `offset`.

    The length may be `UNDEFINED_LENGTH`; a defined one is checked against `end`.
    """
    if end - offset < 8:
        raise ElementsError(f"Data ends within an element's header at byte {offset}")
    group, number, code, length = struct.unpack_from("<HH2sH", data, offset)
    start = offset + 8
    if code in LONG_VRS:
        if end - offset < 12:
            raise ElementsError(f"Data ends within an element's header at byte {offset}")
        (length,) = struct.unpack_from("<I", data, start)
        start += 4
    elif code not in KNOWN_VRS:
        raise ElementsError(f"Unknown VR {code!r} at byte {offset}")
    if group == 0xFFFE:
        raise ElementsError(f"An item or delimiter at byte {offset}, where no sequence is")
    if length != UNDEFINED_LENGTH and length > end - start:
        raise ElementsError(f"The element at byte {offset} runs past the end of the data")
    return group << 16 | number, code, length, start


def canonical(data: bytes) -> Elements:
    """Return Explicit VR Little Endian `data`, as others write it, in canonical form.

    Undefined lengths of sequences and items become defined ones, elements are sorted, odd values
    padded, group lengths dropped. Raises `ElementsError` if `data` is
    malformed or holds an element of undefined length that is no sequence.
    """
    elements, end = _canonical(data, 0, len(data), until=None, depth=0)
    if end != len(data):
        raise ElementsError(f"Unexpected delimiter at byte {end}")
    return elements


def _canonical(
    data: bytes, offset: int, end: int, *, until: int | None, depth: int
) -> tuple[Elements, int]:
    """Return the canonical elements from `offset` to `end` or the delimiter `until`."""
    if depth > MAX_DEPTH:
        raise ElementsError(f"Sequences nested more than {MAX_DEPTH} deep")
    found: list[Element] = []
    while offset < end:
        if until is not None and end - offset >= 8:
            group, number = struct.unpack_from("<HH", data, offset)
            if group << 16 | number == until:
                return encode(found), offset + 8
        tag, code, length, start = read_header(data, offset, end)
        if code == b"SQ":
            stop = end if length == UNDEFINED_LENGTH else start + length
            items, offset = _canonical_items(
                data, start, stop, delimited=length == UNDEFINED_LENGTH, depth=depth + 1
            )
            found.append(Element(tag, "SQ", encode_items(items)))
            continue
        if length == UNDEFINED_LENGTH:
            raise EncapsulatedError(tag)
        offset = start + length
        vr = code.decode("ascii")
        found.append(Element(tag, vr, pad(vr, data[start:offset])))
    if until is not None:
        raise ElementsError("An item of undefined length has no delimiter")
    return encode(found), offset


def _canonical_items(
    data: bytes, offset: int, end: int, *, delimited: bool, depth: int
) -> tuple[list[Elements], int]:
    """Return the items of a sequence's value, and where it ends."""
    items: list[Elements] = []
    while offset < end:
        if end - offset < 8:
            raise ElementsError(f"Data ends within an item's header at byte {offset}")
        group, number, length = struct.unpack_from("<HHI", data, offset)
        tag, offset = group << 16 | number, offset + 8
        if tag == SEQUENCE_DELIMITER and delimited:
            return items, offset
        if tag != ITEM:
            raise ElementsError(f"Expected an item at byte {offset - 8}, found {format_tag(tag)}")
        if length == UNDEFINED_LENGTH:
            item, offset = _canonical(data, offset, end, until=ITEM_DELIMITER, depth=depth)
        elif length > end - offset:
            raise ElementsError(f"The item at byte {offset - 8} runs past the end of its sequence")
        else:
            item, offset = _canonical(data, offset, offset + length, until=None, depth=depth)
        items.append(item)
    if delimited:
        raise ElementsError("A sequence of undefined length has no delimiter")
    return items, offset


@lru_cache(1024)
def tag_bytes(tag: int) -> bytes:
    """Return `tag` as it is encoded: canonical data without these bytes has no such element."""
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF)


def find(data: bytes, tag: int) -> Element | None:
    """Return the top-level element of canonical `data` with `tag`, or `None`."""
    if tag_bytes(tag) not in data:
        return None
    offset, end = 0, len(data)
    while offset < end:
        group, number, code, length = _header_at(data, offset) if end - offset >= 8 else _NO_HEADER
        start = offset + 8
        if code not in _SHORT_VRS or length > end - start:
            _, code, length, start = read_header(data, offset, end)
        offset = start + length
        found = group << 16 | number
        if found >= tag:
            return Element(tag, _VR_NAMES[code], data[start:offset]) if found == tag else None
    return None


def canonical_ends(data: bytes) -> Iterator[tuple[int, int]]:
    """Yield the tag of each top-level element of canonical `data`, and where it ends.

    Raises `ElementsError` where the top level is not in canonical form.
    """
    offset, end, previous = 0, len(data), 0
    last = end - 8
    while offset <= last:
        group, number, code, length = _header_at(data, offset)
        start = offset + 8
        if code not in _SHORT_VRS or group == 0xFFFE or length > end - start:
            _, _, length, start = read_header(data, offset, end)
        tag = group << 16 | number
        if tag <= previous or not number or length & 1 or length > end - start:
            raise ElementsError(f"The element {format_tag(tag)} is not in canonical form")
        previous = tag
        offset = start + length
        yield tag, offset
    if offset < end:
        raise ElementsError(f"Data ends within an element's header at byte {offset}")


def is_canonical(data: bytes) -> bool:
    """Whether `data` is canonical as far as its top level goes: what `to_json` asks of it."""
    try:
        for _ in canonical_ends(data):
            pass
    except ElementsError:
        return False
    return True


def character_set(data: bytes) -> str:
    """Return the value of Specific Character Set as text, `""` where there is none."""
    element = find(data, SPECIFIC_CHARACTER_SET)
    return named_charset(element.vr, element.value) if element else ""


def named_charset(vr: str, value: bytes) -> str:
    """Return the repertoire that an element (0008,0005) names; an ill-typed one names none."""
    return value.decode("ascii", "replace").strip(" \0") if vr == "CS" else ""


def plain_text(element: Element | None, charset: str = "") -> str | None:
    """Return a text element's value without its padding, for comparison and keys.

    Bytes outside `charset` come back as lone surrogates, so that distinct bytes stay distinct
    text. `None` where there is no such element.
    """
    if element is None:
        return None
    codec = CODECS.get(charset, "ascii")
    return element.value.rstrip(b"\0 ").decode(codec, "surrogateescape")


def format_tag(tag: int) -> str:
    """Return `tag` as the Standard prints it, `(gggg,eeee)`."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
