"""Elements in canonical form and in the DICOM JSON model: nothing is lost, nothing is guessed."""

from __future__ import annotations

import math
import struct
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian
from strategies import elements

from ledger.dicom_json import from_json, to_json, to_json_text
from ledger.elements import (
    EMPTY,
    ITEM,
    ITEM_DELIMITER,
    KNOWN_VRS,
    MAX_DEPTH,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Element,
    Elements,
    canonical,
    character_set,
    encode,
    encode_element,
    encode_items,
    find,
    iterate,
    iterate_items,
    plain_text,
)
from ledger.errors import ElementsError, InstanceError
from ledger.instances.datasets import to_dataset, to_elements
from ledger.instances.instance import read_instance
from ledger.instances.make_records import build_records
from ledger.tags import SPECIFIC_CHARACTER_SET

DATA = Path(pydicom.__file__).parent / "data"
SHIPPED = sorted(p for p in DATA.rglob("*") if p.is_file() and not p.suffix.startswith(".py"))
PATIENT_NAME = 0x00100010
PIXEL_DATA = frozenset({0x7FE00008, 0x7FE00009, 0x7FE00010})
# One ends within a sequence, the other mixes encodings; pydicom can't write it again.
UNWRITABLE = {"rtplan_truncated.dcm", "SC_rgb_jpeg.dcm"}


@cache
def datasets() -> dict[str, Dataset]:
    """Return every dataset that pydicom ships and can write again, less its pixels."""
    found: dict[str, Dataset] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for path in SHIPPED:
            with suppress(Exception):
                if path.name not in UNWRITABLE:
                    ds = pydicom.dcmread(path)
                    to_elements(ds, without=PIXEL_DATA)
                    found[str(path.relative_to(DATA))] = ds
    return found


def with_undefined_lengths(ds: Dataset) -> Dataset:
    """Mark the sequences and items of `ds`, at any depth, to be written delimited."""
    for element in ds:
        if element.VR == "SQ":
            element.is_undefined_length = True
            for item in element.value:
                item.is_undefined_length_sequence_item = True
                with_undefined_lengths(item)
    return ds


def as_pydicom_writes(ds: Dataset) -> bytes:
    buffer = DicomBytesIO()
    buffer.is_little_endian, buffer.is_implicit_VR = True, False
    write_dataset(buffer, ds)
    return buffer.getvalue()


def delimited(tag: int, *items: bytes) -> bytes:
    """Return a sequence of undefined length, and so its items."""

    def header(of: int, length: int) -> bytes:
        return struct.pack("<HHI", of >> 16, of & 0xFFFF, length)

    return (
        struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, b"SQ", 0, UNDEFINED_LENGTH)
        + b"".join(
            header(ITEM, UNDEFINED_LENGTH) + item + header(ITEM_DELIMITER, 0) for item in items
        )
        + header(SEQUENCE_DELIMITER, 0)
    )


def nested(depth: int, innermost: bytes = b"") -> bytes:
    data = innermost
    for _ in range(depth):
        data = encode_element(0x00081140, "SQ", encode_items([data]))
    return data


def only(tag: int, vr: str, value: bytes, charset: bytes = b"") -> Elements:
    named = [Element(SPECIFIC_CHARACTER_SET, "CS", charset)] if charset else []
    return encode([*named, Element(tag, vr, value)])


def readable(vr: str, value: bytes, charset: bytes = b"") -> Any:
    """Return what the JSON model has for one value, having checked that it comes back."""
    data = only(PATIENT_NAME, vr, value, charset)
    model = to_json(data)
    assert from_json(model) == data
    body = model["00100010"]
    assert body.pop("vr") == vr
    return body


# --- the JSON model is exact ---------------------------------------------------------------------


@given(elements())
def test_elements_come_back_from_json_as_the_same_bytes(data: Elements) -> None:
    assert from_json(to_json(data)) == data
    assert from_json(orjson.loads(orjson.dumps(to_json(data)))) == data


@given(elements() | st.binary(max_size=40) | st.tuples(elements(), elements()).map(b"".join))
def test_the_text_of_elements_is_their_model_s_and_so_is_the_refusal(data: bytes) -> None:
    try:
        expected = orjson.dumps(to_json(data))
    except ElementsError:
        with pytest.raises(ElementsError):
            to_json_text(data)
    else:
        assert to_json_text(data) == expected


def test_a_repertoire_holds_for_elements_before_it_in_their_text_too() -> None:
    before = encode(
        [Element(0x00040010, "LO", "é".encode()), Element(0x00080005, "CS", b"ISO_IR 192")]
    )
    assert to_json_text(before) == orjson.dumps(to_json(before))
    assert "é".encode() in to_json_text(before)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_the_records_of_every_shipped_file_come_back_from_json(path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            records = build_records(read_instance(path.read_bytes()))
        except InstanceError:
            return
    for record in records:
        assert from_json(orjson.loads(orjson.dumps(to_json(record.elements)))) == record.elements


def test_every_shipped_dataset_comes_back_from_json() -> None:
    assert len(datasets()) > 100
    for name, ds in datasets().items():
        data = to_elements(ds, without=PIXEL_DATA)
        assert from_json(orjson.loads(orjson.dumps(to_json(data)))) == data, name


@pytest.mark.parametrize("vr", sorted(code.decode() for code in KNOWN_VRS))
def test_an_element_of_any_vr_may_be_empty(vr: str) -> None:
    data = only(PATIENT_NAME, vr, b"")
    assert to_json(data) == {"00100010": {"vr": vr}}
    assert from_json(to_json(data)) == data


def test_no_elements_are_an_empty_object() -> None:
    assert to_json(EMPTY) == {}
    assert from_json({}) == EMPTY


def test_an_item_inherits_the_character_set_of_its_sequence_and_may_have_its_own() -> None:
    name = encode_element(PATIENT_NAME, "PN", "é".encode("latin-1"))
    own = encode([Element(SPECIFIC_CHARACTER_SET, "CS", b"ISO_IR 192"),
                  Element(PATIENT_NAME, "PN", "Ж".encode())])  # fmt: skip
    data = only(0x00101002, "SQ", encode_items([name, own]), b"ISO_IR 100")
    items = to_json(data)["00101002"]["Value"]
    assert items[0]["00100010"]["Value"] == [{"Alphabetic": "é"}]
    assert items[1]["00100010"]["Value"] == [{"Alphabetic": "Ж"}]
    assert from_json(to_json(data)) == data


@pytest.mark.parametrize("vr", ["UN", "LO", "PN", "OB", "UI", "LT", "SQ", "US"])
def test_a_character_set_of_another_vr_names_none(vr: str) -> None:
    data = encode([Element(SPECIFIC_CHARACTER_SET, vr, b"ISO_IR 192"),
                   Element(PATIENT_NAME, "PN", "Ж".encode())])  # fmt: skip
    assert character_set(data) == ""
    assert from_json(to_json(data)) == data


def test_a_character_set_kept_as_bytes_still_holds() -> None:
    data = only(PATIENT_NAME, "PN", "é".encode("latin-1"), b"\xffISO_IR 100")
    assert "InlineBinary" in to_json(data)["00080005"]
    assert from_json(to_json(data)) == data


# --- and readable where it can be ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "charset", "name"),
    [
        (b"Doe^Jane", b"", {"Alphabetic": "Doe^Jane"}),
        (b"Doe^Jane", b"\\ISO 2022 IR 87", {"Alphabetic": "Doe^Jane"}),
        (b"Doe^Jane", b"GB18030", {"Alphabetic": "Doe^Jane"}),
        ("Buc^Jérôme".encode("latin-1"), b"ISO_IR 100", {"Alphabetic": "Buc^Jérôme"}),
        ("Διονυσιος".encode("iso8859-7"), b"ISO_IR 126", {"Alphabetic": "Διονυσιος"}),
        ("Жуков".encode("iso8859-5"), b"ISO_IR 144", {"Alphabetic": "Жуков"}),
        ("Wang^XiaoDong=王^小东".encode(), b"ISO_IR 192",
         {"Alphabetic": "Wang^XiaoDong", "Ideographic": "王^小东"}),
        ("Yamada=山田=やまだ".encode(), b"ISO_IR 192",
         {"Alphabetic": "Yamada", "Ideographic": "山田", "Phonetic": "やまだ"}),
        (b"==x", b"", {"Phonetic": "x"}),
    ],
)  # fmt: skip
def test_a_name_is_kept_as_text(value: bytes, charset: bytes, name: dict[str, str]) -> None:
    assert readable("PN", value, charset) == {"Value": [name]}


@pytest.mark.parametrize(
    ("value", "charset"),
    [
        ("Buc^Jérôme".encode("latin-1"), b""),  # not in the default repertoire
        ("Buc^Jérôme".encode("latin-1"), b"ISO_IR 192"),  # no UTF-8
        ("Yamada=山田".encode("iso2022_jp"), b"\\ISO 2022 IR 87"),
        ("Yamada=山田".encode("iso2022_jp"), b"ISO_IR 100"),  # an escape, whatever is declared
        ("Wang=王".encode("gb18030"), b"GB18030"),
        ("Wang=王".encode("gbk"), b"GBK"),
        ("Hong=김".encode("euc_kr"), b"\\ISO 2022 IR 149"),
        (b"Doe^Jane=", b""),  # a needless delimiter
        (b"a=b=c=d ", b""),  # one component group too many
        (b"\xff\xff", b"ISO_IR 166"),  # in no place of its repertoire
    ],
)
def test_a_name_is_kept_as_bytes_where_text_would_not_come_back(
    value: bytes, charset: bytes
) -> None:
    assert readable("PN", value, charset).keys() == {"InlineBinary"}


@pytest.mark.parametrize(
    ("vr", "value", "expected"),
    [
        ("LO", b"a\\\\bc ", ["a", None, "bc"]),
        ("LO", b"odd", ["odd"]),
        ("LO", b"two  ", ["two  "]),
        ("LO", b"\\ ", [None, None]),
        ("LO", b"  ", [" "]),
        ("ST", b"a\\b ", ["a\\b"]),
        ("UI", b"1.2.3\0", ["1.2.3"]),
        ("UI", b"1.2.3 ", ["1.2.3 "]),
        ("CS", b"AB\0\0", ["AB\0\0"]),
        ("IS", b"12\\-3", ["12", "-3"]),
        ("DS", b"1.50\\20 ", ["1.50", "20"]),
        ("US", b"\1\0\2\0", [1, 2]),
        ("SS", b"\xff\xff", [-1]),
        ("UV", b"\xff" * 8, [2**64 - 1]),
        ("FD", struct.pack("<d", -0.0), [-0.0]),
        ("FL", struct.pack("<f", 0.1), [struct.unpack("<f", struct.pack("<f", 0.1))[0]]),
        ("AT", b"\x10\0\x20\0\x08\0\x18\0", ["00100020", "00080018"]),
    ],
)
def test_a_value_is_kept_as_text_or_numbers(vr: str, value: bytes, expected: list[Any]) -> None:
    assert readable(vr, value) == {"Value": expected}


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("FD", struct.pack("<d", math.nan)),
        ("FL", struct.pack("<2f", 1.0, -math.inf)),
        ("UL", b"\1\0"),
        ("AT", b"\1\0"),
        ("OB", b"\0\1"),
        ("UN", b"text"),
        ("CS", b"\xe9 "),
        ("SQ", b"no items"),
        ("SQ", encode_items([encode_element(1, "XX", b"")])),
        (
            "SQ",
            encode_items([encode_element(0x00100020, "LO", b"") + encode_element(1, "LO", b"")]),
        ),
    ],
)
def test_other_values_are_kept_as_bytes(vr: str, value: bytes) -> None:
    assert readable(vr, value).keys() == {"InlineBinary"}


# --- malformed models ----------------------------------------------------------------------------

WELL_FORMED: dict[str, Any] = {"00100010": {"vr": "LO", "Value": ["x"]}}


@pytest.mark.parametrize(
    "model",
    [
        None, [], "text", 5,
        {"00100010": None},
        {"00100010": []},
        {"00100010": {}},
        {"00100010": {"Value": ["x"]}},
        {"00100010": {"vr": "XX"}},
        {"00100010": {"vr": None}},
        {"00100010": {"vr": ["LO"]}},
        {"00100010": {"vr": "LO", "Value": None}},
        {"00100010": {"vr": "LO", "Value": [5]}},
        {"00100010": {"vr": "LO", "Value": [0]}},
        {"00100010": {"vr": "LO", "Value": ["é"]}},
        {"00100010": {"vr": "LO", "Value": ["\ud800"]}},
        {"00100010": {"vr": "LO", "Value": ["x" * 65535]}},
        {"00100010": {"vr": "LO", "Value": ["x"], "InlineBinary": "AAAA"}},
        {"00100010": {"vr": "LO", "BulkDataURI": "http://example.org"}},
        {"00100010": {"vr": "LO", "Value": ["x"], "unknown": 1}},
        {"00100010": {"vr": "OB", "InlineBinary": "not Base64"}},
        {"00100010": {"vr": "OB", "InlineBinary": None}},
        {"00100010": {"vr": "OB", "Value": [1]}},
        {"00100010": {"vr": "PN", "Value": ["Doe"]}},
        {"00100010": {"vr": "PN", "Value": [{"Alphabetical": "Doe"}]}},
        {"00100010": {"vr": "PN", "Value": [{"Alphabetic": 5}]}},
        {"00100010": {"vr": "US", "Value": [65536]}},
        {"00100010": {"vr": "US", "Value": ["1"]}},
        {"00100010": {"vr": "FL", "Value": [1e300]}},
        {"00100010": {"vr": "AT", "Value": ["0010"]}},
        {"00100010": {"vr": "AT", "Value": ["00100010FF"]}},
        {"00100010": {"vr": "SQ", "Value": [None]}},
        {"00100010": {"vr": "SQ", "Value": ["x"]}},
        {"0010001": {"vr": "LO"}},
        {"00100010 ": {"vr": "LO"}},
        {"+0100010": {"vr": "LO"}},
        {"0010_010": {"vr": "LO"}},
        {"0010001a": {"vr": "LO"}},
        {"-0100010": {"vr": "LO"}},
        {"00100000": {"vr": "UL"}},
        {"FFFEE000": {"vr": "UL"}},
        {"00080005": {"vr": "US", "Value": ["x"]}},
        {"00080005": 5},
        WELL_FORMED | {5: {"vr": "LO"}},
    ],
)  # fmt: skip
def test_a_malformed_model_is_refused(model: Any) -> None:
    with pytest.raises(ElementsError):
        from_json(model)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=8,
)
ATTRIBUTES = st.fixed_dictionaries(
    {"vr": st.sampled_from(sorted(code.decode() for code in KNOWN_VRS))},
    optional={"Value": st.lists(JSON, max_size=3), "InlineBinary": st.text("AQgw=", max_size=8)},
)
TAGS = st.sampled_from(["00080005", "00100010", "0008000A", "00080010", "00091001"]) | st.text()


@given(JSON | st.dictionaries(TAGS, JSON | ATTRIBUTES, max_size=4))
def test_any_json_gives_elements_or_an_elements_error(model: Any) -> None:
    try:
        data = from_json(model)
    except ElementsError:
        return
    assert [e.tag for e in iterate(data)] == sorted({e.tag for e in iterate(data)})
    assert all(len(e.value) % 2 == 0 for e in iterate(data))


def test_a_model_nested_too_deep_is_refused() -> None:
    model: dict[str, Any] = {}
    for _ in range(100_000):
        model = {"00081140": {"vr": "SQ", "Value": [model]}}
    with pytest.raises(ElementsError, match="deep"):
        from_json(model)
    while model:  # Python itself would blow its stack in taking this apart at once
        model = model["00081140"]["Value"].pop()


@pytest.mark.parametrize(
    "data",
    [
        encode_element(0x00100020, "LO", b"") + encode_element(PATIENT_NAME, "PN", b""),
        encode_element(PATIENT_NAME, "PN", b"") * 2,
        encode_element(0x00100000, "UL", b"\0\0\0\0"),
        struct.pack("<HH2sH", 0x10, 0x10, b"LO", 3) + b"odd",
    ],
    ids=["out of order", "twice", "group length", "odd length"],
)
def test_elements_that_are_not_canonical_have_no_json(data: bytes) -> None:
    with pytest.raises(ElementsError, match="canonical"):
        to_json(data)
    assert from_json(to_json(canonical(data))) == canonical(data)


# --- the canonical form --------------------------------------------------------------------------


@given(elements())
def test_the_canonical_form_of_canonical_elements_is_themselves(data: Elements) -> None:
    assert canonical(data) == data
    assert encode(iterate(data)) == data


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_undefined_lengths_become_those_that_pydicom_writes() -> None:
    names = 0
    for name, ds in datasets().items():
        if not any(element.VR == "SQ" for element in ds):
            continue
        names += 1
        plain = to_elements(ds, without=PIXEL_DATA)
        again = to_dataset(plain)
        decoded = to_dataset(plain)
        assert all(element is not None for element in decoded.iterall())
        data = as_pydicom_writes(with_undefined_lengths(again))
        assert UNDEFINED_LENGTH.to_bytes(4, "little") in data, name
        assert canonical(data) == as_pydicom_writes(decoded), name
    assert names > 20


def test_the_bytes_of_shipped_explicit_files_become_what_pydicom_writes_of_them() -> None:
    compared = 0
    for name, ds in datasets().items():
        if ds.file_meta.get("TransferSyntaxUID") != ExplicitVRLittleEndian:
            continue
        raw = (DATA / name).read_bytes()
        start = 132 + 12 + ds.file_meta.get("FileMetaInformationGroupLength", 0)
        try:
            data = canonical(raw[start:])
        except ElementsError:
            continue
        mine = encode(e for e in iterate(data) if e.tag not in PIXEL_DATA)
        if mine == to_elements(ds, without=PIXEL_DATA):
            compared += 1
    assert compared > 20


def test_sequences_within_sequences_get_their_lengths() -> None:
    name = encode_element(PATIENT_NAME, "PN", b"Doe^Jane")
    inner = delimited(0x00081140, name, b"")
    assert canonical(delimited(0x00081199, inner, name)) == encode_element(
        0x00081199,
        "SQ",
        encode_items([encode_element(0x00081140, "SQ", encode_items([name, b""])), name]),
    )


def test_elements_are_sorted_padded_and_freed_of_group_lengths() -> None:
    odd = struct.pack("<HH2sH", 0x10, 0x20, b"LO", 3) + b"1 2"
    length = encode_element(0x00100000, "UL", b"\x0c\0\0\0")
    name = encode_element(PATIENT_NAME, "PN", b"A ")
    assert canonical(length + odd + name) == name + encode_element(0x00100020, "LO", b"1 2 ")


def test_of_several_elements_with_one_tag_the_last_stands() -> None:
    first, last = (encode_element(PATIENT_NAME, "PN", v) for v in (b"A ", b"B "))
    assert canonical(first + last) == last


@pytest.mark.parametrize(("vr", "padding"), [("UI", b"\0"), ("LO", b" "), ("OB", b"\0")])
def test_a_value_is_padded_as_its_vr_asks(vr: str, padding: bytes) -> None:
    assert encode_element(PATIENT_NAME, vr, b"1").endswith(b"1" + padding)


def test_a_value_too_long_for_its_length_field_is_refused() -> None:
    with pytest.raises(ElementsError, match=r"\(0010,0010\) has 65536 bytes; LO"):
        encode_element(PATIENT_NAME, "LO", b"x" * 65535)
    assert len(encode_element(PATIENT_NAME, "UT", b"x" * 65535)) == 12 + 65536


def test_sequences_are_followed_to_a_depth_and_no_further() -> None:
    assert canonical(nested(MAX_DEPTH)) == nested(MAX_DEPTH)
    assert from_json(to_json(canonical(nested(MAX_DEPTH)))) == nested(MAX_DEPTH)
    with pytest.raises(ElementsError, match="deep"):
        canonical(nested(MAX_DEPTH + 1))


def test_data_nested_without_end_is_refused_at_once() -> None:
    opening = delimited(0x00081140, b"")[:20]
    with pytest.raises(ElementsError, match="deep"):
        canonical(opening * 200_000)


# --- malformed bytes -----------------------------------------------------------------------------

SAMPLE = encode(
    [
        Element(SPECIFIC_CHARACTER_SET, "CS", b"ISO_IR 100"),
        Element(PATIENT_NAME, "PN", "Buc^Jérôme".encode("latin-1")),
        Element(0x00081140, "SQ", encode_items([nested(2, encode_element(8, "US", b"\1\0"))] * 2)),
        Element(0x00091001, "OB", b"\0\1\2\3"),
    ]
)
DELIMITED = delimited(0x00081140, delimited(0x00081199, SAMPLE), SAMPLE) + SAMPLE[18:]
READERS: list[Callable[[bytes], object]] = [
    canonical,
    to_json,
    lambda data: list(iterate(data)),
    lambda data: list(iterate_items(data)),
    lambda data: find(data, 0xFFFFFFFF),
    character_set,
]


def is_read_or_refused(data: bytes) -> None:
    for reader in READERS:
        with suppress(ElementsError):
            reader(data)
    with suppress(ElementsError):
        assert canonical(canonical(data)) == canonical(data)
        assert from_json(to_json(canonical(data))) == canonical(data)


@pytest.mark.parametrize("sample", [SAMPLE, DELIMITED], ids=["defined", "delimited"])
def test_data_cut_at_any_byte_is_read_to_an_element_s_end_or_refused(sample: bytes) -> None:
    whole = list(_ends(canonical(sample))) if sample is SAMPLE else None
    for end in range(len(sample)):
        is_read_or_refused(sample[:end])
        if whole is not None and end not in whole:
            with pytest.raises(ElementsError):
                canonical(sample[:end])


def _ends(data: Elements) -> Iterator[int]:
    end = 0
    yield end
    for element in iterate(data):
        end += len(encode_element(*element))
        yield end


@pytest.mark.parametrize("sample", [SAMPLE, DELIMITED], ids=["defined", "delimited"])
def test_data_with_any_byte_altered_is_read_or_refused(sample: bytes) -> None:
    for i in range(len(sample)):
        for byte in (0x00, 0x01, 0x7F, 0xFF, sample[i] ^ 0x20):
            is_read_or_refused(sample[:i] + bytes([byte]) + sample[i + 1 :])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    is_read_or_refused(data)


@given(elements(), st.data())
def test_elements_with_bytes_replaced_are_read_or_refused(
    data: Elements, more: st.DataObject
) -> None:
    mutable = bytearray(data)
    for _ in range(more.draw(st.integers(1, 4))):
        if mutable:
            mutable[more.draw(st.integers(0, len(mutable) - 1))] = more.draw(st.integers(0, 255))
    is_read_or_refused(bytes(mutable))


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x10\0\x10\0LO", "ends within an element's header at byte 0"),
        (b"\x10\0\x10\0OB\0\0\1\0", "ends within an element's header at byte 0"),
        (b"\x10\0\x10\0XX\0\0", "Unknown VR b'XX' at byte 0"),
        (b"\x10\0\x10\0LO\2\0a", "runs past the end"),
        (b"\xfe\xff\x00\xe0US\0\0", "item or delimiter at byte 0"),
        (b"\x09\0\1\x10OB\0\0\xff\xff\xff\xff", "undefined length but is not a sequence"),
        (delimited(0x00081140, b"")[:-8], "sequence of undefined length has no delimiter"),
        (delimited(0x00081140, b"")[:-16], "item of undefined length has no delimiter"),
        (encode_element(8, "SQ", b"\xfe\xff\x00\xe0\4\0\0\0"), "runs past the end of its sequence"),
        (encode_element(8, "SQ", b"\xfe\xff\x0d\xe0\0\0\0\0"), "Expected an item"),
        (encode_element(8, "SQ", b"\xfe\xff"), "ends within an item's header"),
    ],
)
def test_the_error_says_what_is_wrong_and_where(data: bytes, message: str) -> None:
    with pytest.raises(ElementsError, match=message):
        canonical(data)


# --- reading -------------------------------------------------------------------------------------


def test_an_element_is_found_by_its_tag() -> None:
    assert find(SAMPLE, PATIENT_NAME) == Element(PATIENT_NAME, "PN", b"Buc^J\xe9r\xf4me")
    assert find(SAMPLE, 0x00100020) is None


def test_text_is_compared_without_its_padding_and_distinct_bytes_stay_distinct() -> None:
    def text(value: bytes, charset: str = "") -> str | None:
        return plain_text(Element(PATIENT_NAME, "LO", value), charset)

    assert text(b"12 ") == text(b"12\0 ") == text(b"12") == "12"
    assert text(b"\xe9", "ISO_IR 100") == "é"
    assert text(b"\xe9", "ISO_IR 192") != text(b"\xe8", "ISO_IR 192")
    assert text(b"\xe9", "\\ISO 2022 IR 87") != text(b"\xe8", "\\ISO 2022 IR 87")
    assert plain_text(None) is None


def test_the_character_set_is_read_without_its_padding() -> None:
    assert character_set(only(PATIENT_NAME, "PN", b"", b"ISO_IR 100 ")) == "ISO_IR 100"
    assert character_set(EMPTY) == ""


# --- pydicom's datasets --------------------------------------------------------------------------


def test_a_dataset_becomes_the_elements_that_pydicom_writes_and_back() -> None:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientName = "Yamada=山田"
    ds.add_new(0x00100000, "UL", 4)
    ds.ReferencedStudySequence = Sequence([Dataset()])
    ds.ReferencedStudySequence[0].ReferencedSOPInstanceUID = "1.2.3"
    data = to_elements(ds, without=frozenset({0x00100020}))
    del ds[0x00100000]
    assert data == as_pydicom_writes(ds)
    assert to_dataset(data) == ds
    assert to_elements(to_dataset(data)) == data


def test_elements_can_be_left_out() -> None:
    ds = Dataset()
    ds.PatientID, ds.PatientName = "1", "Doe"
    assert to_elements(ds, without=frozenset({PATIENT_NAME})) == only(0x00100020, "LO", b"1 ")


def test_a_value_that_pydicom_can_t_write_is_named() -> None:
    ds = Dataset()
    ds.Rows = 5
    ds["Rows"]._value = "many"
    with pytest.raises(ElementsError, match=r"\(0028,0010\) can't be encoded"):
        to_elements(ds)


def test_a_dataset_reads_what_iterate_reads() -> None:
    raw = BytesIO(SAMPLE)
    assert {int(e.tag) for e in to_dataset(raw.getvalue())} == {e.tag for e in iterate(SAMPLE)}
