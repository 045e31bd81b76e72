"""The scanner reads what pydicom reads, only faster, and takes no truncated file for whole."""

from __future__ import annotations

import os
import struct
import zlib
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scans import (
    BIG_ENDIAN,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    RLE,
    WANTED,
    file_of,
    outcome,
    scan_as_file,
)

from ledger.elements import MAX_DEPTH, encode_element, encode_items, pad
from ledger.errors import InstanceError, NotDicomError, TruncatedError
from ledger.instances import scanner
from ledger.instances.deflated import inflate
from ledger.instances.file_meta import read_meta
from ledger.instances.record_keys import ENCAPSULATED_DOCUMENT
from ledger.instances.scanner import Scan, Wanted, scan, scan_generally, scan_head

DATA = Path(pydicom.__file__).parent / "data"
SHIPPED = sorted(p for p in DATA.rglob("*") if p.is_file() and not p.suffix.startswith(".py"))
ITEM = struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
ITEM_END = struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
SEQUENCE_END = struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)


def undefined(tag: int, vr: str, content: bytes) -> bytes:
    head = struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, vr.encode(), 0, 0xFFFFFFFF)
    return head + content + SEQUENCE_END


def implicit(tag: int, value: bytes) -> bytes:
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def big(tag: int, vr: str, value: bytes) -> bytes:
    return struct.pack(">HH2sH", tag >> 16, tag & 0xFFFF, vr.encode(), len(value)) + value


NAME = encode_element(0x00100010, "PN", b"Doe^Jane")
ROWS = encode_element(0x00280010, "US", b"\x10\x00")
CODE = encode_element(0x00080100, "SH", b"113000")
PIXELS = encode_element(0x7FE00010, "OW", bytes(32))
FRAGMENTS = undefined(0x7FE00010, "OB", encode_items([b"", b"\xfe\xff\xdd\xe0" * 3]))
CONCEPT = undefined(0x0040A043, "SQ", ITEM + CODE + ITEM_END + encode_items([CODE]))


def is_whole(data: bytes) -> bool:
    return isinstance(outcome(scan, data), Scan)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: str(p.relative_to(DATA)))
def test_both_ways_of_reading_give_the_same(path: Path) -> None:
    data = path.read_bytes()
    assert outcome(scan, data) == outcome(scan_generally, data) == outcome(scan_as_file, data)


def test_nearly_all_shipped_files_are_read_the_fast_way() -> None:
    left = {p.name for p in SHIPPED if p.read_bytes()[128:132] == b"DICM"}
    for path in SHIPPED:
        try:
            meta, start = read_meta(data := path.read_bytes())
            if meta.transfer_syntax_uid == DEFLATED:
                data, start = inflate(data[start:]), 0
            if scanner._scan_fast(scanner._File(meta, data, start), WANTED) is not None:
                left.discard(path.name)
        except InstanceError:
            left.discard(path.name)
    big_endian = {n for n in left if "big" in n.lower() or "expb" in n}
    assert left - big_endian == {
        "MR_truncated.dcm", "rtplan_truncated.dcm", "SC_rgb_jpeg.dcm", "UN_sequence.dcm",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (
            "MR_truncated.dcm",
            "the file ends within (7FE0,0010) Pixel Data: 8130 of 8192 bytes are there",
        ),
        (
            "rtplan_truncated.dcm",
            "the file ends within (300A,00B0) Beam Sequence: 711 of 976 bytes are there",
        ),
    ],
)
def test_a_truncated_file_is_refused_by_the_element_it_ends_in(name: str, message: str) -> None:
    with pytest.raises(TruncatedError) as caught:
        scan((DATA / "test_files" / name).read_bytes(), WANTED)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("syntax", "elements"),
    [
        (EXPLICIT, [NAME, ROWS, CONCEPT, PIXELS]),
        (RLE, [NAME, CONCEPT, FRAGMENTS]),
        (EXPLICIT, [NAME, undefined(0x00091001, "UN", ITEM + implicit(0x91002, b"ab") + ITEM_END)]),
        (
            IMPLICIT,
            [
                implicit(0x00100010, b"Doe^Jane"),
                struct.pack("<HHI", 0x40, 0xA168, 0xFFFFFFFF)
                + ITEM + implicit(0x00080100, b"113000") + ITEM_END + SEQUENCE_END,
                implicit(0x7FE00010, bytes(32)),
            ],
        ),
        (BIG_ENDIAN, [big(0x00100010, "PN", b"Doe^Jane"), big(0x00280010, "US", b"\0\x10")]),
    ],
)  # fmt: skip
def test_a_file_cut_anywhere_but_between_elements_is_refused(
    syntax: str, elements: list[bytes]
) -> None:
    whole = file_of(syntax, *elements)
    ends = {len(file_of(syntax, *elements[:n])) for n in range(len(elements) + 1)}
    assert is_whole(whole)
    accepted = {cut for cut in range(len(whole) + 1) if is_whole(whole[:cut])}
    assert accepted == ends


@pytest.mark.parametrize("name", ["charset_files/chrFren.dcm", "palettes/spring.dcm"])
def test_a_real_file_cut_anywhere_but_between_elements_is_refused(name: str) -> None:
    whole = (DATA / name).read_bytes()
    elements = pydicom.dcmread(DATA / name)
    accepted = [cut for cut in range(len(whole) + 1) if is_whole(whole[:cut])]
    # One cut after each element, and those within the meta information after its transfer syntax.
    assert len(elements) < len(accepted) <= len(elements) + len(elements.file_meta)


def test_a_deflated_data_set_is_read_and_its_truncation_refused() -> None:
    body = encode_element(0x00020010, "UI", DEFLATED.encode())
    deflater = zlib.compressobj(wbits=-15)
    stream = deflater.compress(NAME + CONCEPT + PIXELS) + deflater.flush()
    whole = bytes(128) + b"DICM" + body + stream
    assert set(scan(whole, WANTED).elements) == {0x00100010, 0x0040A043}
    assert scan(whole, WANTED) == scan_generally(whole, WANTED)
    assert is_whole(whole + b"\0")
    for cut in range(len(whole) - len(stream), len(whole)):
        assert outcome(scan, whole[:cut])[0] is TruncatedError


def test_a_deflated_data_set_that_is_cut_inside_is_refused() -> None:
    deflater = zlib.compressobj(wbits=-15)
    stream = deflater.compress((NAME + PIXELS)[:-1]) + deflater.flush()
    with pytest.raises(TruncatedError, match=r"31 of 32 bytes"):
        scan(file_of(DEFLATED, stream), WANTED)


@pytest.mark.parametrize(
    "data", [b"", b"hello", bytes(132), b"PK\x03\x04" + bytes(200), NAME * 20], ids=range(5)
)
def test_what_is_no_dicom_file_is_refused_as_such(data: bytes) -> None:
    with pytest.raises(NotDicomError, match=r"no DICM prefix after a 128-byte preamble"):
        scan(data, WANTED)


def test_a_file_without_a_transfer_syntax_is_refused() -> None:
    with pytest.raises(InstanceError, match=r"\(0002,0010\) Transfer Syntax UID is missing"):
        scan(bytes(128) + b"DICM" + NAME, WANTED)


def test_meta_information_in_implicit_vr_is_read() -> None:
    meta = implicit(0x00020010, pad("UI", IMPLICIT.encode()))
    data = bytes(128) + b"DICM" + meta + implicit(0x00100010, b"Doe^Jane")
    assert scan(data, WANTED).transfer_syntax_uid == IMPLICIT
    assert scan(data, WANTED).elements[0x00100010].value == b"Doe^Jane"


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_a_wrong_transfer_syntax_is_seen_through(syntax: str) -> None:
    body = NAME + ROWS if syntax == IMPLICIT else implicit(0x00100010, b"Doe^Jane")
    found = scan(file_of(syntax, body), WANTED)
    assert found.elements[0x00100010] == (0x00100010, "PN", b"Doe^Jane")


def test_a_wanted_sequence_in_implicit_vr_becomes_explicit() -> None:
    concept = implicit(0x0040A043, encode_items([implicit(0x00080100, b"113000")]))
    found = scan(file_of(IMPLICIT, concept), WANTED)
    assert found.elements[0x0040A043] == (0x0040A043, "SQ", encode_items([CODE]))


def test_a_sequence_of_undefined_length_comes_back_canonical() -> None:
    found = scan(file_of(EXPLICIT, CONCEPT, ROWS), WANTED).elements
    assert found[0x0040A043].value == encode_items([CODE, CODE])
    assert found[0x00280010].value == b"\x10\x00"


def test_an_encapsulated_document_is_noted_and_not_copied() -> None:
    document = encode_element(ENCAPSULATED_DOCUMENT, "OB", b"%PDF" * 1000)
    for data in (
        file_of(EXPLICIT, document), file_of(IMPLICIT, implicit(ENCAPSULATED_DOCUMENT, b"%PDF")),
    ):  # fmt: skip
        assert scan(data, WANTED).elements[ENCAPSULATED_DOCUMENT].value == b""
        assert scan_generally(data, WANTED) == scan(data, WANTED)


def test_of_an_element_that_comes_twice_the_last_one_counts() -> None:
    data = file_of(EXPLICIT, NAME, encode_element(0x00100010, "PN", b"Roe^Rick"))
    assert scan(data, WANTED).elements[0x00100010].value == b"Roe^Rick"
    assert scan(data, WANTED) == scan_generally(data, WANTED)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("padding", [b"\0", bytes(7)])
def test_a_few_zero_bytes_at_the_end_are_padding(syntax: str, padding: bytes) -> None:
    assert is_whole(file_of(syntax, implicit(0x00100010, b"Doe^Jane"), padding))


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("tail", [ITEM_END, SEQUENCE_END, implicit(0xFFFEE000, b"")])
def test_delimiters_between_elements_are_refused(syntax: str, tail: bytes) -> None:
    element = NAME if syntax == EXPLICIT else implicit(0x00100010, b"Doe^Jane")
    with pytest.raises(InstanceError, match="can't stand at byte"):
        scan(file_of(syntax, element, tail), WANTED)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
@pytest.mark.parametrize("fill", [b"\0", b" ", b"\xff", b"\x1a"])
@pytest.mark.parametrize("length", [8, 9, 12, 14, 512, 2048])
def test_one_byte_again_and_again_behind_the_last_element_is_padding(
    syntax: str, fill: bytes, length: int
) -> None:
    name = NAME if syntax == EXPLICIT else implicit(0x00100010, b"Doe^Jane")
    data = file_of(syntax, name, fill * length)
    assert scan(data, WANTED) == scan(file_of(syntax, name), WANTED)
    assert scan_generally(data, WANTED) == scan(data, WANTED)
    assert not is_whole(data + b"x" * 8)


def test_more_than_fills_up_a_block_is_no_padding() -> None:
    assert is_whole(file_of(EXPLICIT, NAME, bytes(1 << 20)))
    with pytest.raises(InstanceError, match="was not fully written"):
        scan(file_of(EXPLICIT, NAME, bytes((1 << 20) + 1)), WANTED)


def test_padding_follows_pixels_that_end_with_zeros_and_sequences_of_undefined_length() -> None:
    black = encode_element(0x7FE00010, "OW", bytes(64))
    assert is_whole(file_of(EXPLICIT, NAME, black, bytes(512)))
    assert is_whole(file_of(EXPLICIT, NAME, CONCEPT, bytes(512)))


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_zeros_that_begin_within_an_element_are_no_padding(syntax: str) -> None:
    name = b"Doe^Jane^Elisabeth^Dr"
    encoded = encode_element(0x00100010, "PN", name) if syntax == EXPLICIT else (
        implicit(0x00100010, name + b" ")
    )  # fmt: skip
    whole = file_of(syntax, implicit(0x00100020, b"1234") if syntax == IMPLICIT else NAME, encoded)
    for end in range(len(whole) - len(encoded) + 1, len(whole) - 1):
        with pytest.raises(InstanceError):
            scan(whole[:end] + bytes(len(whole) - end + 512), WANTED)


def test_trailing_padding_is_an_ordinary_element() -> None:
    padding = encode_element(0xFFFCFFFC, "OB", bytes(64))
    assert is_whole(file_of(EXPLICIT, NAME, padding))
    assert not is_whole(file_of(EXPLICIT, NAME, padding[:-1]))


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_nesting_has_a_limit(syntax: str) -> None:
    def nested(depth: int) -> bytes:
        head = (
            struct.pack("<HH2sHI", 8, 0x1115, b"SQ", 0, 0xFFFFFFFF)
            if syntax == EXPLICIT
            else struct.pack("<HHI", 8, 0x1115, 0xFFFFFFFF)
        )
        return file_of(syntax, (head + ITEM) * depth + (ITEM_END + SEQUENCE_END) * depth)

    assert is_whole(nested(MAX_DEPTH // 2))
    with pytest.raises(InstanceError, match="nested more than 64 deep"):
        scan(nested(20_000), WANTED)


def test_a_value_that_is_no_row_of_fragments_ends_at_its_delimiter() -> None:
    data = file_of(RLE, undefined(0x7FE00010, "OB", b"not fragments at all"), NAME)
    assert scan(data, WANTED).elements[0x00100010].value == b"Doe^Jane"
    assert scan(data, WANTED) == scan_generally(data, WANTED)


def test_a_view_is_read_like_bytes() -> None:
    data = file_of(EXPLICIT, NAME, CONCEPT, PIXELS)
    assert scan(memoryview(data), WANTED) == scan(data, WANTED)
    assert scan_generally(memoryview(data), WANTED) == scan(data, WANTED)


def test_of_a_large_file_only_the_headers_of_its_elements_and_fragments_are_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fragments = undefined(0x7FE00010, "OB", encode_items([b"", *[bytes(1 << 20)] * 8]))
    data = file_of(RLE, NAME, CONCEPT, fragments)
    read = []
    pread = os.pread

    def counted(fd: int, size: int, offset: int) -> bytes:
        piece = pread(fd, size, offset)
        read.append(len(piece))
        return piece

    monkeypatch.setattr(os, "pread", counted)

    assert scan_as_file(data, WANTED) == scan(data, WANTED)
    assert sum(read) < len(data) // 50


SEEDS = [
    file_of(EXPLICIT, NAME, ROWS, CONCEPT, PIXELS),
    file_of(RLE, NAME, CONCEPT, FRAGMENTS),
    file_of(IMPLICIT, implicit(0x00100010, b"Doe^Jane"), implicit(0x0040A043, CODE)),
    file_of(BIG_ENDIAN, big(0x00100010, "PN", b"Doe^Jane"), big(0x00280010, "US", b"\0\x10")),
    (DATA / "charset_files/chrFren.dcm").read_bytes(),
    (DATA / "test_files/UN_sequence.dcm").read_bytes(),
]


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.integers(132, 2000), st.integers(0, 255)), max_size=6),
    st.integers(0, 40),
)
def test_damaged_files_are_read_or_refused_and_nothing_else(
    seed: bytes, changes: list[tuple[int, int]], cut: int
) -> None:
    data = bytearray(seed)
    for position, byte in changes:
        if position < len(data):
            data[position] = byte
    whole = bytes(data[: len(data) - cut])
    outcome(scan_generally, whole)
    assert outcome(scan_as_file, whole) == outcome(scan, whole)


@pytest.mark.parametrize("byte", [0x00, 0x01, 0x20, 0x7F, 0xFF, 0xFE, 0xE0])
@pytest.mark.parametrize("seed", SEEDS, ids=range(len(SEEDS)))
def test_a_file_is_scanned_alike_from_memory_and_from_disk_whatever_byte_is_wrong(
    seed: bytes, byte: int
) -> None:
    for position in range(132, min(len(seed), 700)):
        data = seed[:position] + bytes([byte]) + seed[position + 1 :]
        assert outcome(scan_as_file, data) == outcome(scan, data), position


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([EXPLICIT, IMPLICIT, BIG_ENDIAN, DEFLATED]), st.binary(max_size=200))
def test_any_bytes_after_the_prefix_are_read_or_refused(syntax: str, tail: bytes) -> None:
    outcome(scan_generally, file_of(syntax, tail))
    assert outcome(scan_as_file, file_of(syntax, tail)) == outcome(scan, file_of(syntax, tail))


# --- what looks as it did in a file before -------------------------------------------------------


def of_series(number: int, *, padded: bool, name: str, extra: bool) -> bytes:
    """Return one of many files that differ in values, in some lengths and in an element or two."""
    ds = pydicom.dcmread(DATA / "test_files/CT_small.dcm")
    ds.InstanceNumber = number
    ds.PatientName = name
    ds.SliceLocation = f"-{number}.5" if padded else "1"
    if extra:
        ds.StudyDescription, ds.NumberOfFrames = "extra", 1
    buffer = BytesIO()
    ds.file_meta.TransferSyntaxUID = IMPLICIT if padded else EXPLICIT
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


SERIES = [
    of_series(number, padded=padded, name=name, extra=extra)
    for number in (1, 2, 123)
    for padded in (False, True)
    for name in ("Doe", "Longer^Name")
    for extra in (False, True)
]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*SERIES, *SEEDS]),
            st.lists(st.tuples(st.integers(132, 6000), st.integers(0, 255)), max_size=2),
            st.sampled_from([0, 0, 0, 1, 8, 5000]),
        ),
        max_size=20,
    )
)
def test_what_was_scanned_before_changes_nothing_that_is_found(
    files: list[tuple[bytes, list[tuple[int, int]], int]],
) -> None:
    experienced = Wanted(WANTED.vrs, WANTED.presence_only)
    for seed, changes, cut in files:
        data = bytearray(seed)
        for position, byte in changes:
            if position < len(data):
                data[position] = byte
        whole = bytes(data[: len(data) - cut])
        fresh = outcome(scan, whole, Wanted(WANTED.vrs, WANTED.presence_only))
        assert outcome(scan, whole, experienced) == fresh


def test_files_of_a_series_are_stepped_over_in_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    experienced = Wanted(WANTED.vrs, WANTED.presence_only)
    for data in SERIES * 3:
        scan(data, experienced)

    def fail(*_: object) -> None:
        raise AssertionError("walked")

    monkeypatch.setattr(scanner, "_walk_explicit", fail)
    monkeypatch.setattr(scanner, "_walk_implicit", fail)
    assert scan(SERIES[-1], experienced).elements


# --- the beginning of a file --------------------------------------------------------------------


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: str(p.relative_to(DATA)))
@pytest.mark.parametrize("share", [0.3, 0.7, 0.95])
def test_a_head_tells_what_the_file_does_or_nothing(path: Path, share: float) -> None:
    data = path.read_bytes()
    found = scan_head(data[: int(len(data) * share)], len(data), WANTED)
    assert found is None or found == outcome(scan, data)


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(SERIES), st.integers(4096, 60_000), st.integers(0, 60_000), st.integers(-3, 3)
)
def test_a_head_of_any_length_tells_what_the_file_does_or_nothing(
    seed: bytes, more: int, cut: int, short: int
) -> None:
    whole = seed + encode_element(0x7FE10010, "OW", bytes(more & ~1))
    found = scan_head(whole[:cut], len(whole) + short, Wanted(WANTED.vrs, WANTED.presence_only))
    assert found is None or (short == 0 and found == scan(whole, WANTED))


def test_a_header_in_the_head_is_enough_for_a_large_file() -> None:
    whole = file_of(EXPLICIT, NAME, ROWS, encode_element(0x7FE00010, "OW", bytes(100_000)))
    for _ in range(3):
        assert scan_head(whole[:20_000], len(whole), WANTED) == scan(whole, WANTED)
        assert scan_head(whole[:20_000], len(whole) - 2, WANTED) is None
        assert scan_head(whole[:20_000], len(whole) + 2, WANTED) is None


@pytest.mark.parametrize("length", [2000, 40_000])
def test_a_wanted_value_that_the_head_cuts_off_is_not_taken(length: int) -> None:
    description = encode_element(0x0040E001, "ST", b"x" * length)
    whole = file_of(EXPLICIT, NAME, description)
    for cut in (4300, 5000, 30_000, len(whole) - 2):
        assert cut >= len(whole) or scan_head(whole[:cut], len(whole), WANTED) is None
