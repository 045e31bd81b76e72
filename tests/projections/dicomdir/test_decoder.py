"""DICOMDIRs that are read: good ones, odd ones and damaged ones."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from unittest import mock

import pydicom
import pytest
from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.dataset import Dataset

from ledger.elements import (
    UNDEFINED_LENGTH,
    Element,
    Elements,
    encode,
    encode_element,
    encode_items,
    iterate,
    iterate_items,
)
from ledger.errors import LedgerError, NotDicomError, TruncatedError
from ledger.tags import RECORD_SEQUENCE
from projections.dicomdir import decoder as decoding
from projections.dicomdir.alike import Shapes
from projections.dicomdir.datasets import decode_dataset
from projections.dicomdir.decoded_directory import DecodedDirectory, DecodedRecord
from projections.dicomdir.decoder import decode_dicomdir
from projections.dicomdir.definitions import (
    DicomdirError,
    FileSetIdentity,
    NotDicomdirError,
    Reference,
)
from projections.dicomdir.encoder import DirectoryRecord, encode_dicomdir
from projections.dicomdir.tree import DecodedNode, DecodingFinding, DecodingFindingKind, link

FOLDER = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
DICOMDIRS = (
    "DICOMDIR",
    "DICOMDIR-bigEnd",
    "DICOMDIR-empty.dcm",
    "DICOMDIR-implicit",
    "DICOMDIR-nooffset",
    "DICOMDIR-nopatient",
    "DICOMDIR-reordered",
    "TINY_ALPHA/DICOMDIR",
)
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
CODE = encode([Element(0x00080100, "SH", b"113000"), Element(0x00080104, "LO", b"Of Interest")])
SMALL = [
    DirectoryRecord(0, "PATIENT", encode([Element(0x00100020, "LO", b"A1")])),
    DirectoryRecord(1, "STUDY", encode([Element(0x0020000D, "UI", b"1.2.3")])),
    DirectoryRecord(2, "SERIES", encode([Element(0x0020000E, "UI", b"1.2.3.4")])),
    DirectoryRecord(
        3,
        "KEY OBJECT DOC",
        encode([Element(0x0040A043, "SQ", encode_items([CODE, Elements(b"")]))]),
        Reference("KO1", "1.2.840.10008.5.1.4.1.1.88.59", "1.2.3.4.5", EXPLICIT),
    ),
    DirectoryRecord(3, "IMAGE", Elements(b""), Reference("A/B", CT, "1.2.3.4.6", EXPLICIT)),
    DirectoryRecord(0, "PATIENT", encode([Element(0x00100020, "LO", b"A2")])),
]
IDENTITY = FileSetIdentity("1.2.3.9", "SMALL")


def read(name: str) -> bytes:
    return (FOLDER / name).read_bytes()


def decode(data: bytes) -> DecodedDirectory:
    return decode_dicomdir(data, name="DICOMDIR")


def of_pydicom(data: bytes) -> DecodedDirectory:
    return decode_dataset(dcmread(BytesIO(data)), name="DICOMDIR")


def flat(nodes: list[DecodedNode]) -> list[tuple[int, DecodedRecord]]:
    """Return the records below `nodes` in preorder, with their depths."""
    found = []
    pending = [(0, node) for node in reversed(nodes)]
    while pending:
        depth, node = pending.pop()
        found.append((depth, node.record))
        pending.extend((depth + 1, child) for child in reversed(node.children))
    return found


def contents(data: bytes) -> list[tuple[int, DecodedRecord]]:
    """Return the tree's records with their depths, less their offsets."""
    return [
        (depth, record._replace(offset=0, next_offset=0, lower_offset=0))
        for depth, record in flat(link(decode(data)).roots)
    ]


def replace_sequence(data: bytes, value: bytes, length: int | None = None) -> bytes:
    """Return the DICOMDIR `data` with another value of its Directory Record Sequence."""
    start = data.index(b"\x04\0\x20\x12SQ\0\0")
    size = len(value) if length is None else length
    return data[: start + 8] + struct.pack("<I", size) + value


# --- pydicom's DICOMDIRs -----------------------------------------------------------------------


@pytest.mark.parametrize("name", DICOMDIRS)
def test_bytes_and_pydicoms_dataset_give_the_same(name: str) -> None:
    data = read(name)
    assert decode(data) == of_pydicom(data)


@pytest.mark.parametrize("name", DICOMDIRS)
def test_values_that_pydicom_has_converted_give_the_same(name: str) -> None:
    data = read(name)
    ds = dcmread(BytesIO(data))
    str(ds)
    assert decode_dataset(ds, name=name) == decode(data)


@pytest.mark.parametrize(
    ("name", "records", "roots", "orphans"),
    [
        ("DICOMDIR", 52, 2, 0),
        ("DICOMDIR-bigEnd", 52, 2, 0),
        ("DICOMDIR-empty.dcm", 0, 0, 0),
        ("DICOMDIR-implicit", 52, 2, 0),
        ("DICOMDIR-nooffset", 52, 2, 0),
        ("DICOMDIR-nopatient", 52, 1, 51),
        ("DICOMDIR-reordered", 52, 2, 0),
        ("TINY_ALPHA/DICOMDIR", 53, 1, 0),
    ],
)
def test_the_tree_of_each_dicomdir(name: str, records: int, roots: int, orphans: int) -> None:
    directory = decode(read(name))
    tree = link(directory)

    assert len(directory.records) == records
    assert (len(tree.roots), len(tree.orphans)) == (roots, orphans)
    assert len(flat(tree.roots)) == records - orphans
    assert {f.kind for f in tree.findings} <= {DecodingFindingKind.LAST_OFFSET}


def test_other_transfer_syntaxes_and_orders_give_the_same_tree() -> None:
    for name in ("DICOMDIR-bigEnd", "DICOMDIR-implicit", "DICOMDIR-nooffset"):
        assert contents(read(name)) == contents(read("DICOMDIR"))
    first, *_ = decode(read("DICOMDIR-implicit")).records
    assert first.elements == decode(read("DICOMDIR")).records[0].elements


def test_what_a_dicomdir_says_of_itself() -> None:
    directory = decode(read("TINY_ALPHA/DICOMDIR"))

    assert directory.identity.id == "TINY ALPHA"
    assert directory.identity.descriptor_file_id == ("README",)
    assert directory.identity.descriptor_character_set is None
    assert directory.transfer_syntax_uid == EXPLICIT
    assert directory.consistent
    assert directory.first_offset == directory.last_offset == 422
    leaf = directory.records[-1]
    assert leaf.file_id == ("PT000000", "ST000000", "SE000000", "IM00001D")
    assert leaf.type == "IMAGE"
    assert leaf.in_use


# --- round trips -------------------------------------------------------------------------------

uids = st.integers(1, 10**12).map("1.2.{}".format)
code_strings = st.text("AZ09_", min_size=1, max_size=8) | st.just("RT DOSE")
file_ids = st.lists(code_strings, max_size=8).map("/".join)
texts = st.text("aZ9 ^=äßЖ漢\\", max_size=20).map(lambda t: t.encode("utf-8"))
plain = st.one_of(
    st.builds(Element, st.just(0x00080005), st.just("CS"), st.just(b"ISO_IR 192")),
    st.builds(Element, st.just(0x00041432), st.just("UI"), uids.map(str.encode)),
    st.builds(Element, st.just(0x0004151A), st.just("UI"), uids.map(str.encode)),
    st.builds(Element, st.just(0x00041600), st.just("UL"), st.binary(min_size=4, max_size=4)),
    st.builds(Element, st.just(0x00100010), st.just("PN"), texts),
    st.builds(Element, st.just(0x00081030), st.just("LO"), texts),
    st.builds(Element, st.just(0x00090010), st.just("LO"), st.just(b"A PRIVATE CREATOR")),
    st.builds(
        Element,
        st.integers(0x00091001, 0x000910FF),
        st.sampled_from(["OB", "UN", "UT", "LO"]),
        st.binary(max_size=30),
    ),
    st.builds(Element, st.just(0x00280010), st.just("US"), st.binary(min_size=2, max_size=2)),
)
element_sets = st.recursive(
    st.lists(plain, max_size=5).map(encode),
    lambda inner: st.builds(
        lambda some, items: encode(
            [*iterate(some), Element(0x0040A730, "SQ", encode_items(items))]
        ),
        st.lists(plain, max_size=4).map(encode),
        st.lists(inner, max_size=3),
    ),
    max_leaves=4,
)
references = st.builds(Reference, file_ids, uids, uids, uids)
identities = st.builds(
    FileSetIdentity,
    uid=uids,
    id=st.none() | code_strings,
    descriptor_file_id=st.none() | st.lists(code_strings, min_size=1, max_size=8).map(tuple),
    descriptor_character_set=st.none() | st.just("ISO_IR 100"),
    elements=element_sets,
)


@st.composite
def forests(draw: st.DrawFn) -> list[DirectoryRecord]:
    records: list[DirectoryRecord] = []
    for _ in range(draw(st.integers(0, 12))):
        deepest = records[-1].depth + 1 if records else 0
        records.append(
            DirectoryRecord(
                draw(st.integers(0, deepest)),
                draw(code_strings),
                draw(element_sets),
                draw(st.none() | references),
            )
        )
    return records


def again(directory: DecodedDirectory) -> list[DirectoryRecord]:
    return [
        DirectoryRecord(
            depth,
            record.type or "",
            record.elements,
            None
            if record.file_id is None
            else Reference(
                "/".join(record.file_id),
                record.sop_class_uid or "",
                record.sop_instance_uid or "",
                record.transfer_syntax_uid or "",
            ),
        )
        for depth, record in flat(link(directory).roots)
    ]


@given(identities, forests())
def test_what_was_encoded_is_decoded(
    identity: FileSetIdentity, records: list[DirectoryRecord]
) -> None:
    data = encode_dicomdir(identity, records)

    directory = decode(data)

    named = evolve(identity, file_meta=directory.identity.file_meta)
    assert directory.identity == named
    assert encode_dicomdir(named, records) == data
    assert directory.consistent
    assert again(directory) == records
    tree = link(directory)
    assert not tree.findings
    assert not tree.orphans
    assert encode_dicomdir(directory.identity, again(directory)) == data


def test_the_consistency_flag_tells_of_a_write_under_way() -> None:
    data = encode_dicomdir(FileSetIdentity(uid="1.2.3"), [])
    flag = b"\x04\0\x12\x12US\x02\0"

    assert not decode(data.replace(flag + b"\0\0", flag + b"\xff\xff")).consistent


@given(identities, forests())
def test_pydicoms_dataset_of_what_was_encoded_gives_the_same(
    identity: FileSetIdentity, records: list[DirectoryRecord]
) -> None:
    data = encode_dicomdir(identity, records)
    assert of_pydicom(data) == decode(data)


@given(forests())
def test_undefined_lengths_make_no_difference(records: list[DirectoryRecord]) -> None:
    data = encode_dicomdir(IDENTITY, records)

    undefined = with_undefined_lengths(data)

    # The offsets still are those of the defined lengths: only the records can be compared.
    assert [r._replace(offset=0) for r in decode(undefined).records] == [
        r._replace(offset=0) for r in decode(data).records
    ]
    assert decode(undefined) == of_pydicom(undefined)


def with_undefined_lengths(data: bytes) -> bytes:
    start = data.index(b"\x04\0\x20\x12SQ\0\0")
    (length,) = struct.unpack_from("<I", data, start + 8)
    value = data[start + 12 : start + 12 + length]
    element = encode([Element(RECORD_SEQUENCE, "SQ", value)])
    return data[:start] + undefined_elements(element) + data[start + 12 + length :]


def undefined_elements(elements: bytes) -> bytes:
    """Return `elements` with every sequence and item of undefined length."""
    parts = []
    for element in iterate(elements):
        if element.vr != "SQ":
            parts.append(encode_element(*element))
            continue
        header = encode_element(element.tag, "SQ", b"")[:-4]
        parts.append(header + b"\xff\xff\xff\xff")
        parts.extend(
            b"\xfe\xff\x00\xe0\xff\xff\xff\xff"
            + undefined_elements(item)
            + b"\xfe\xff\x0d\xe0\0\0\0\0"
            for item in iterate_items(element.value)
        )
        parts.append(b"\xfe\xff\xdd\xe0\0\0\0\0")
    return b"".join(parts)


# --- odd ones ----------------------------------------------------------------------------------


def test_a_dicomdir_without_a_record_sequence_is_empty() -> None:
    data = encode_dicomdir(IDENTITY, [])[:-12]

    assert decode(data).records == []
    assert decode(data) == of_pydicom(data)


def test_a_dicomdir_that_has_lost_its_record_sequence_is_refused() -> None:
    data = encode_dicomdir(IDENTITY, SMALL)
    for syntax in (data, encode_dicomdir(IDENTITY, SMALL, implicit_vr=True)):
        cut = syntax[: syntax.index(b"\x04\0\x20\x12")]
        with pytest.raises(TruncatedError, match="Directory Record Sequence"):
            decode(cut)


def test_another_sop_class_is_refused_in_pydicoms_words() -> None:
    data = encode_dicomdir(IDENTITY, []).replace(b"1.2.840.10008.1.3.10", b"1.2.840.10008.1.3.11")
    words = (
        "Unable to load the File-set as the supplied dataset is not a "
        "'Media Storage Directory' instance"
    )
    for decoder in (decode, of_pydicom):
        with pytest.raises(NotDicomdirError) as caught:
            decoder(data)
        assert str(caught.value) == words
        assert isinstance(caught.value, ValueError)
    with pytest.raises(NotDicomdirError):
        decode_dataset(Dataset(), name="DICOMDIR")


@pytest.mark.parametrize("data", [b"", b"DICM", bytes(131), bytes(5000)])
def test_what_is_not_dicom_is_refused(data: bytes) -> None:
    with pytest.raises(NotDicomError):
        decode(data)


def test_implicit_elements_under_an_explicit_transfer_syntax_are_read() -> None:
    implicit = encode_dicomdir(IDENTITY, SMALL[-1:], implicit_vr=True)
    start = 144 + int.from_bytes(implicit[140:144], "little")
    explicit = encode_dicomdir(IDENTITY, [])
    meta = explicit[: 144 + int.from_bytes(explicit[140:144], "little")]

    with pytest.warns(UserWarning, match="found implicit VR"):
        directory = decode(meta + implicit[start:])

    assert [r.type for r in directory.records] == ["PATIENT"]


def test_a_sequence_of_vr_un_is_read() -> None:
    implicit_item = (
        b"\xfe\xff\x00\xe0\xff\xff\xff\xff\x08\0\0\x01\x02\0\0\x00A1\xfe\xff\x0d\xe0\0\0\0\0"
    )
    sequence = b"\x40\0\x30\xa7UN\0\0\xff\xff\xff\xff" + implicit_item + b"\xfe\xff\xdd\xe0\0\0\0\0"
    record = encode([Element(0x00041400, "UL", bytes(4)), Element(0x00041430, "CS", b"IMAGE")])
    item = record + sequence
    data = replace_sequence(encode_dicomdir(IDENTITY, []), encode_items([item]))

    (record_found,) = decode(data).records

    code = encode([Element(0x00080100, "SH", b"A1")])
    assert record_found.elements == encode([Element(0x0040A730, "SQ", encode_items([code]))])


def test_records_out_of_form_are_put_in_form() -> None:
    form = encode_dicomdir(IDENTITY, [DirectoryRecord(0, "IMAGE", CODE)])
    (item,) = iterate_items(form[form.index(b"\x04\0\x20\x12SQ\0\0") + 12 :])
    elements = list(iterate(item))
    backwards = b"".join(encode_element(*e) for e in reversed(elements))
    group_length = encode_element(0x00040000, "UL", bytes(4))
    (expected,) = decode(form).records

    for odd in (backwards, group_length + item, item + backwards):
        assert decode(replace_sequence(form, encode_items([odd]))).records == [expected]


def test_odd_lengths_are_padded() -> None:
    item = encode([Element(0x00041430, "CS", b"IMAGE")]) + b"\x20\0\x13\0IS\x01\x00" + b"7"
    form = encode_dicomdir(IDENTITY, [])
    data = replace_sequence(form, struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item)

    (record,) = decode(data).records

    assert record.elements == encode([Element(0x00200013, "IS", b"7 ")])
    assert of_pydicom(data).records == [record]


def test_elements_without_a_value_and_elements_that_are_absent_differ() -> None:
    empty = DirectoryRecord(0, "IMAGE", Elements(b""), Reference("", "", "", ""))
    absent = DirectoryRecord(0, "IMAGE", Elements(b""))
    one, two = decode(encode_dicomdir(IDENTITY, [empty, absent])).records

    assert (one.file_id, one.sop_class_uid) == ((), "")
    assert (two.file_id, two.sop_class_uid) == (None, None)


def test_changes_made_to_pydicoms_dataset_count() -> None:
    ds = dcmread(BytesIO(encode_dicomdir(IDENTITY, SMALL)))
    ds.FileSetID = "CHANGED"
    item = ds.DirectoryRecordSequence[0]
    item.SpecificCharacterSet = "ISO_IR 192"
    item.PatientName = "Müller^Жанна"
    added = Dataset()
    added.DirectoryRecordType = "PATIENT"
    added.OffsetOfTheNextDirectoryRecord = 0
    ds.DirectoryRecordSequence.append(added)

    directory = decode_dataset(ds, name="DICOMDIR")

    assert directory.identity.id == "CHANGED"
    assert "Müller^Жанна".encode() in directory.records[0].elements
    assert directory.records[-1].offset is None
    assert link(directory).orphans == directory.records[-1:]

    added.seq_item_tell = 77777
    ds.DirectoryRecordSequence[-2].OffsetOfTheNextDirectoryRecord = 77777
    tree = link(decode_dataset(ds, name="DICOMDIR"))
    assert len(tree.roots) == 3
    assert [f.kind for f in tree.findings] == [DecodingFindingKind.LAST_OFFSET]


# --- records that look as one before them did ----------------------------------------------------


def outcome(data: bytes) -> DecodedDirectory | tuple[type[Exception], str]:
    try:
        return decode(data)
    except LedgerError as exc:
        return type(exc), str(exc)


def taken_apart(data: bytes) -> DecodedDirectory | tuple[type[Exception], str]:
    """Return the outcome where every record is taken apart, whatever came before it."""
    with mock.patch.object(Shapes, "read", return_value=None):
        return outcome(data)


@st.composite
def series(draw: st.DrawFn) -> bytes:
    """Return a DICOMDIR of which many records look alike, and some don't quite."""
    records: list[DirectoryRecord] = []
    for _ in range(draw(st.integers(1, 3))):
        kind, elements = draw(code_strings), draw(element_sets)
        reference = draw(st.none() | references)
        for number in range(draw(st.integers(1, 6))):
            digit = str(number).encode()
            of_this = encode(
                each if each.vr == "SQ" else each._replace(value=each.value[:-1] + digit)
                for each in iterate(elements)
                if each.value
            )
            named = reference and reference._replace(
                file_id=f"A/B{number}", sop_instance_uid=f"1.2.{number}"
            )
            records.append(DirectoryRecord(0, kind, of_this, named))
    return encode_dicomdir(IDENTITY, records)


@settings(max_examples=300)
@given(series(), st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), max_size=6))
@pytest.mark.filterwarnings("ignore")
def test_records_like_one_before_are_what_they_are_when_taken_apart(
    data: bytes, damage: list[tuple[int, int]]
) -> None:
    mutated = bytearray(data)
    for at, value in damage:
        mutated[132 + at % (len(data) - 132)] = value

    assert outcome(bytes(mutated)) == taken_apart(bytes(mutated))


@pytest.mark.parametrize("name", DICOMDIRS)
def test_the_records_of_real_dicomdirs_are_what_they_are_when_taken_apart(name: str) -> None:
    assert outcome(read(name)) == taken_apart(read(name))


@pytest.mark.parametrize("empty", [b"", b"  "])
def test_a_text_that_is_empty_in_one_record_is_not_so_in_others_like_it(empty: bytes) -> None:
    first, *others = (
        DirectoryRecord(0, "IMAGE", Elements(b""), Reference(f"A{number}", CT, f"1.{number}", CT))
        for number in range(3)
    )
    data = encode_dicomdir(IDENTITY, [first, *others]).replace(b"A0", empty or b"A0")
    data = data.replace(b"1.0\0", b"\0\0\0\0" if empty else b"1.0\0")

    records = decode(data).records

    assert [record.file_id for record in records][1:] == [("A1",), ("A2",)]
    assert [record.sop_instance_uid for record in records][1:] == ["1.1", "1.2"]
    assert outcome(data) == taken_apart(data)


def test_of_a_long_series_few_records_are_taken_apart() -> None:
    counts = []
    for size in (100, 1000):
        records = [
            DirectoryRecord(
                0,
                "IMAGE",
                encode([Element(0x00200013, "IS", b"%d" % number)]),
                Reference(f"A/B{number}", CT, f"1.2.{number}", EXPLICIT),
            )
            for number in range(size)
        ]
        data = encode_dicomdir(IDENTITY, records)
        apart = decoding._read_plain_record
        with mock.patch.object(decoding, "_read_plain_record", wraps=apart) as one:
            assert len(decode(data).records) == size
        counts.append(one.call_count)

    assert counts[0] <= 6
    assert counts[1] <= 9  # as many as there are lengths


def test_records_with_an_image_that_look_alike_are_read_at_once() -> None:
    records = [
        DirectoryRecord(
            0,
            "IMAGE",
            encode(
                [
                    Element(0x00200013, "IS", b"%04d" % number),
                    Element(0x00880200, "SQ", encode_items([icon(number)])),
                ]
            ),
            Reference(f"A/B{number:04d}", CT, f"1.2.{number:04d}", EXPLICIT),
        )
        for number in range(50)
    ]
    data = encode_dicomdir(IDENTITY, records)
    apart = decoding._record_of
    with mock.patch.object(decoding, "_record_of", wraps=apart) as one:
        directory = decode(data)

    assert one.call_count == 1
    assert [record.elements for record in directory.records] == [
        record.elements for record in records
    ]
    assert directory == taken_apart(data)


def icon(number: int) -> Elements:
    size = Element(0x00280010, "US", b"\x08\0"), Element(0x00280011, "US", b"\x08\0")
    return encode([*size, Element(0x7FE00010, "OW", bytes([number]) * 64)])


# --- damaged ones ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["defined", "undefined", "implicit", "big endian"])
def test_a_cut_anywhere_is_an_error_of_ours(kind: str) -> None:
    data = encode_dicomdir(IDENTITY, SMALL)
    if kind == "undefined":
        data = with_undefined_lengths(data)
    elif kind == "implicit":
        data = encode_dicomdir(IDENTITY, SMALL, implicit_vr=True)
    elif kind == "big endian":
        ds = dcmread(FOLDER / "DICOMDIR-bigEnd")
        ds.DirectoryRecordSequence = ds.DirectoryRecordSequence[: len(SMALL)]
        buffer = BytesIO()
        ds.save_as(buffer)
        data = buffer.getvalue()
    assert len(decode(data).records) == len(SMALL)

    for length in range(len(data)):
        with pytest.raises(LedgerError):
            decode(data[:length])


@settings(max_examples=300)
@given(
    st.sampled_from(["defined", "undefined", "implicit"]),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=6),
)
@pytest.mark.filterwarnings("ignore")
def test_damage_is_read_or_is_an_error_of_ours(kind: str, damage: list[tuple[int, int]]) -> None:
    data = encode_dicomdir(IDENTITY, SMALL, implicit_vr=kind == "implicit")
    if kind == "undefined":
        data = with_undefined_lengths(data)
    mutated = bytearray(data)
    for at, value in damage:
        mutated[132 + at % (len(data) - 132)] = value
    try:
        directory = decode(bytes(mutated))
    except LedgerError:
        return
    tree = link(directory)
    in_use = [r for r in directory.records if r.in_use]
    assert len(flat(tree.roots)) + len(tree.orphans) <= len(in_use)


@settings(max_examples=200)
@given(st.binary(max_size=300))
@pytest.mark.filterwarnings("ignore")
def test_noise_is_read_or_is_an_error_of_ours(noise: bytes) -> None:
    whole = encode_dicomdir(IDENTITY, [])
    meta = whole[: 144 + int.from_bytes(whole[140:144], "little")]
    for data in (meta + noise, replace_sequence(whole, noise), whole[:132] + noise):
        try:
            link(decode(data))
        except LedgerError:
            continue


def test_an_offset_of_the_wrong_size_is_refused() -> None:
    item = encode([Element(0x00041400, "UL", bytes(8)), Element(0x00041430, "CS", b"IMAGE")])
    data = replace_sequence(encode_dicomdir(IDENTITY, []), encode_items([item]))
    for decoder in (decode, of_pydicom):
        with pytest.raises(DicomdirError, match=r"\(0004,1400\)"):
            decoder(data)


# --- the tree ----------------------------------------------------------------------------------


def record(offset: int, after: int = 0, below: int = 0, *, in_use: bool = True) -> DecodedRecord:
    return DecodedRecord(
        offset, after, below, in_use, "PRIVATE", Elements(b""), None, None, None, None
    )


def directory_of(*records: DecodedRecord, first: int = 1, last: int = 1) -> DecodedDirectory:
    return DecodedDirectory(IDENTITY, EXPLICIT, True, first, last, list(records))


def shape(nodes: list[DecodedNode]) -> list[tuple[int, int | None]]:
    return [(depth, r.offset) for depth, r in flat(nodes)]


def kinds(findings: list[DecodingFinding]) -> list[tuple[int | None, DecodingFindingKind]]:
    return [(f.offset, f.kind) for f in findings]


def test_records_are_linked_in_the_order_of_their_offsets_not_of_the_file() -> None:
    tree = link(directory_of(record(3), record(2, 0, 0), record(1, 2, 3), first=1, last=2))
    assert shape(tree.roots) == [(0, 1), (1, 3), (0, 2)]
    assert not tree.findings


def test_a_record_that_leads_to_itself_is_taken_once() -> None:
    tree = link(directory_of(record(1, after=1, below=1)))
    assert shape(tree.roots) == [(0, 1)]
    assert kinds(tree.findings) == [(1, DecodingFindingKind.CYCLE)] * 2


def test_a_cycle_of_siblings_ends() -> None:
    tree = link(directory_of(record(1, 2), record(2, 3), record(3, 1), last=3))
    assert shape(tree.roots) == [(0, 1), (0, 2), (0, 3)]
    assert kinds(tree.findings) == [(3, DecodingFindingKind.CYCLE)]


def test_a_cycle_over_levels_ends() -> None:
    tree = link(directory_of(record(1, 0, 2), record(2, 0, 3), record(3, 0, 1)))
    assert shape(tree.roots) == [(0, 1), (1, 2), (2, 3)]
    assert kinds(tree.findings) == [(3, DecodingFindingKind.CYCLE)]


def test_a_record_below_two_parents_goes_to_the_first() -> None:
    tree = link(directory_of(record(1, 2, 3), record(2, 0, 3), record(3), last=2))
    assert shape(tree.roots) == [(0, 1), (1, 3), (0, 2)]
    assert kinds(tree.findings) == [(2, DecodingFindingKind.CYCLE)]


def test_an_offset_that_leads_nowhere_is_found_and_leaves_orphans() -> None:
    tree = link(directory_of(record(1, 7, 8), record(2)))
    assert shape(tree.roots) == [(0, 1)]
    assert kinds(tree.findings) == [(1, DecodingFindingKind.BAD_OFFSET)] * 2
    assert [r.offset for r in tree.orphans] == [2]


def test_a_wrong_first_offset_leaves_orphans() -> None:
    tree = link(directory_of(record(1), first=5, last=1))
    assert kinds(tree.findings)[0] == (None, DecodingFindingKind.BAD_OFFSET)
    assert [r.offset for r in tree.orphans] == [1]


def test_a_missing_first_offset_leaves_orphans() -> None:
    tree = link(directory_of(record(1), record(2), first=0, last=0))
    assert kinds(tree.findings) == [(None, DecodingFindingKind.NO_FIRST_OFFSET)]
    assert [r.offset for r in tree.orphans] == [1, 2]


def test_a_wrong_last_offset_is_found() -> None:
    tree = link(directory_of(record(1, 2), record(2), last=1))
    assert kinds(tree.findings) == [(None, DecodingFindingKind.LAST_OFFSET)]
    assert shape(tree.roots) == [(0, 1), (0, 2)]


def test_a_record_not_in_use_is_left_out_with_all_below_it() -> None:
    tree = link(
        directory_of(
            record(1, 2), record(2, 3, 4, in_use=False), record(3), record(4, 0, 5), record(5),
            record(6, 0, 7, in_use=False), record(7),
            last=3,
        )
    )  # fmt: skip
    assert shape(tree.roots) == [(0, 1), (0, 3)]
    assert not tree.orphans
    assert kinds(tree.findings) == [
        (2, DecodingFindingKind.NOT_IN_USE),
        (6, DecodingFindingKind.NOT_IN_USE),
    ]


def test_a_record_in_use_is_kept_though_one_not_in_use_leads_to_it() -> None:
    tree = link(directory_of(record(1, 2, 3, in_use=False), record(2, 0, 3), record(3), last=2))
    assert shape(tree.roots) == [(0, 2), (1, 3)]
    assert (1, DecodingFindingKind.NOT_IN_USE) in kinds(tree.findings)


def test_records_with_one_offset_are_found() -> None:
    one, two = record(1), record(1)._replace(type="IMAGE")
    tree = link(directory_of(one, two))
    assert [node.record for node in tree.roots] == [two]
    assert tree.orphans == [one]
    assert kinds(tree.findings) == [(1, DecodingFindingKind.SAME_OFFSET)]


def test_a_chain_deeper_than_pythons_stack() -> None:
    records = [DirectoryRecord(depth, "PRIVATE", Elements(b"")) for depth in range(100_000)]

    directory = decode(encode_dicomdir(IDENTITY, records))
    tree = link(directory)

    assert len(flat(tree.roots)) == 100_000
    assert not tree.findings
    assert "PRIVATE" in repr(tree.roots[0])


def test_twenty_thousand_records() -> None:
    image = encode([Element(0x00200013, "IS", b"1")])
    records = [DirectoryRecord(0, "PATIENT", Elements(b""))]
    records += [
        DirectoryRecord(1, "IMAGE", image, Reference(f"A/I{i:07d}", CT, f"1.2.{i}", EXPLICIT))
        for i in range(1, 20_001)
    ]
    assert again(decode(encode_dicomdir(IDENTITY, records))) == records


def test_an_undefined_length_is_no_length() -> None:
    data = encode_dicomdir(IDENTITY, SMALL)
    with pytest.raises(LedgerError):
        decode(replace_sequence(data, b"", UNDEFINED_LENGTH))
