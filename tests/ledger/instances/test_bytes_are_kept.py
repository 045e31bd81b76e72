"""What an element's bytes are in a file, they are in what is read of it: however it is encoded."""

from __future__ import annotations

import struct
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.elements import Element, canonical, find, iterate_items
from ledger.instances.instance import read_instance
from ledger.instances.make_records import build_records
from ledger.instances.record_keys import KEYS
from ledger.instances.scanner import Wanted, scan, scan_generally

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
SYNTAXES = (EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED)
CHARSET, NAME, PATIENT_ID = 0x00080005, 0x00100010, 0x00100020
CONCEPT, MEANING, NUMBER = 0x0040A043, 0x00080104, 0x00200013
CHARSETS = [
    b"", b"ISO_IR 100", b"ISO_IR 101", b"ISO_IR 13", b"ISO_IR 144", b"ISO_IR 149", b"ISO_IR 166",
    b"ISO_IR 192", b"GB18030", b"GBK", b"ISO 2022 IR 87", b"\\ISO 2022 IR 87", b"nonsense",
    b"ISO 2022 IR 13\\ISO 2022 IR 87", b"ISO 2022 IR 6\\ISO 2022 IR 149", b"ISO 2022 IR 58",
]  # fmt: skip
WANTED = Wanted({tag: key.vr for tag, key in KEYS.items()})


def element(syntax: str, tag: int, vr: bytes, value: bytes) -> bytes:
    order = ">" if syntax == BIG_ENDIAN else "<"
    value += b" " * (len(value) % 2)
    head = struct.pack(order + "HH", tag >> 16, tag & 0xFFFF)
    if syntax == IMPLICIT:
        return head + struct.pack("<I", len(value)) + value
    if vr == b"SQ":
        return head + b"SQ\0\0" + struct.pack(order + "I", len(value)) + value
    return head + vr + struct.pack(order + "H", len(value)) + value


def file_of(syntax: str, charset: bytes, name: bytes, number: bytes) -> bytes:
    """A whole file with `name` as the Patient's Name, Patient ID and the meaning of a code."""
    order = ">" if syntax == BIG_ENDIAN else "<"
    item = element(syntax, MEANING, b"LO", name)
    sequence = struct.pack(order + "HHI", 0xFFFE, 0xE000, len(item)) + item
    values = {
        CHARSET: (b"CS", charset), 0x00080016: (b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        0x00080018: (b"UI", b"1.2\0"), 0x00080020: (b"DA", b"20200101"), NAME: (b"PN", name),
        0x00080030: (b"TM", b"10"), 0x00080060: (b"CS", b"OT"), 0x0020000D: (b"UI", b"1.3\0"),
        0x0020000E: (b"UI", b"1.4\0"), 0x00200010: (b"SH", b"1"), 0x00200011: (b"IS", b"1"),
        NUMBER: (b"IS", number), CONCEPT: (b"SQ", sequence), PATIENT_ID: (b"LO", b"I" + name),
    }  # fmt: skip
    body = b"".join(element(syntax, tag, *values[tag]) for tag in sorted(values))
    if syntax == DEFLATED:
        deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        body = deflate.compress(body) + deflate.flush()
    uid = syntax.encode() + b"\0" * (len(syntax) % 2)
    meta = struct.pack("<HH2sH", 2, 0x10, b"UI", len(uid)) + uid
    return bytes(128) + b"DICM" + meta + body


def value(held: Element | None) -> bytes:
    assert held is not None
    return held.value.rstrip(b"\0 ")


@pytest.mark.parametrize("syntax", SYNTAXES)
@settings(max_examples=100, deadline=None)
@given(
    charset=st.sampled_from(CHARSETS),
    name=st.binary(max_size=20),
    number=st.integers(-(10**18), 10**18).map(lambda n: str(n).encode()),
)
def test_what_is_in_the_file_is_in_the_header_and_in_the_records(
    syntax: str, charset: bytes, name: bytes, number: bytes
) -> None:
    data = file_of(syntax, charset, name, number)
    expected = name.rstrip(b"\0 ")
    general = scan_generally(data, WANTED).elements
    assert scan(data, WANTED).elements.keys() == general.keys()
    for held in (scan(data, WANTED).elements, general):
        assert value(held[NAME]) == expected
        assert value(held[PATIENT_ID]) == (b"I" + name).rstrip(b"\0 ")
        assert value(held[NUMBER]) == number
        (item,) = iterate_items(held[CONCEPT].value)
        assert value(find(canonical(item), MEANING)) == expected
    records = build_records(read_instance(data))
    assert value(find(records[0].elements, NAME)) == expected
    assert value(find(records[0].elements, PATIENT_ID)) == (b"I" + name).rstrip(b"\0 ")
    assert value(find(records[0].elements, CHARSET)) == charset
    assert value(find(records[-1].elements, NUMBER)) == number


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG_ENDIAN])
def test_a_binary_number_is_read_in_the_order_of_the_file(syntax: str) -> None:
    order = ">" if syntax == BIG_ENDIAN else "<"
    rows = element(syntax, 0x00280010, b"US", struct.pack(order + "H", 513))
    found = scan(file_of(syntax, b"", b"A", b"1") + rows, WANTED)
    assert found.elements[0x00280010].value == b"\x01\x02"
