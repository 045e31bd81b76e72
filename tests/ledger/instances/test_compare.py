"""In what two files of one SOP Instance differ, however each encodes its data set."""

from __future__ import annotations

import tracemalloc
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread, dcmwrite
from pydicom.data import get_testdata_file
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from ledger.files import FileView
from ledger.instances.compare import differs


def sample(name: str) -> bytes:
    return Path(str(get_testdata_file(name))).read_bytes()


CT = sample("CT_small.dcm")
SYNTAXES = [
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]
WORDS = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8, "OB": 1}


def with_values(syntax: str) -> bytes:
    """Return an instance with a value of each VR of bytes and words, in a sequence and outside."""
    ds = dcmread(BytesIO(CT))
    for target in (ds, Dataset()):
        little = syntax != ExplicitVRBigEndian
        for number, (vr, word) in enumerate(WORDS.items()):
            value = bytes(range(16))
            words = [value[at : at + word] for at in range(0, 16, word)]
            data = value if little else b"".join(each[::-1] for each in words)
            target.add_new(0x00091010 + number, vr, data)
        if target is not ds:
            ds.WaveformSequence = [target]
    pixels = ds.PixelData
    if not little:
        pixels = b"".join(pixels[at : at + 2][::-1] for at in range(0, len(pixels), 2))
    ds["PixelData"].value = pixels
    ds["PixelData"].VR = "OW"
    ds.file_meta.TransferSyntaxUID = syntax
    buffer = BytesIO()
    dcmwrite(buffer, ds, implicit_vr=syntax == ImplicitVRLittleEndian, little_endian=little)
    return buffer.getvalue()


def test_files_differ_in_nothing_metadata_or_pixel_data() -> None:
    other_name = CT.replace(b"CompressedSamples^CT1", b"CompressedSamples^CT2")
    pixels = bytearray(CT)
    pixels[-200] ^= 1
    assert differs(CT, CT) == "nothing"
    assert differs(CT, other_name) == "metadata"
    assert differs(CT, bytes(pixels)) == "pixel data"


def test_what_tells_of_the_file_alone_does_not_count() -> None:
    assert differs(CT, b"\x01" + CT[1:]) == "nothing"  # the preamble


@pytest.mark.parametrize(
    "names",
    [
        ("liver_1frame.dcm", "liver_expb_1frame.dcm"),
        ("MR_small.dcm", "MR_small_expb.dcm"),
        ("MR_small.dcm", "MR_small_bigendian.dcm"),
        ("MR_small.dcm", "MR_small_implicit.dcm"),
    ],
    ids=" and ".join,
)
def test_one_instance_in_two_encodings_is_the_same(names: tuple[str, str]) -> None:
    first, second = map(sample, names)
    assert differs(first, second) == differs(second, first) == "nothing"


@pytest.mark.parametrize("syntax", SYNTAXES, ids=lambda uid: uid.name)
def test_values_of_words_are_swapped_in_big_endian_and_bytes_are_not(syntax: str) -> None:
    assert differs(with_values(ExplicitVRLittleEndian), with_values(syntax)) == "nothing"


@pytest.mark.parametrize("where", ["pixel data", "metadata"])
def test_words_that_are_not_swapped_in_big_endian_are_other_values(where: str) -> None:
    little, big = with_values(ExplicitVRLittleEndian), with_values(ExplicitVRBigEndian)
    ds = dcmread(BytesIO(big))
    element = ds["PixelData"] if where == "pixel data" else ds[0x00091010]
    element.value = dcmread(BytesIO(little))[element.tag].value
    buffer = BytesIO()
    ds.save_as(buffer)
    assert differs(little, buffer.getvalue()) == where


def test_an_unreadable_file_may_differ_in_anything() -> None:
    assert differs(CT, CT[:-1]) == "pixel data"
    assert differs(b"", b"hello") == "pixel data"
    assert differs(b"hello", b"hello") == "nothing"


def test_pixel_data_is_compared_in_pieces(tmp_path: Path) -> None:
    size = 40 << 20
    for name, syntax in (("a", ExplicitVRLittleEndian), ("b", ExplicitVRBigEndian)):
        ds = dcmread(BytesIO(CT))
        del ds[0xFFFCFFFC]
        ds.file_meta.TransferSyntaxUID = syntax
        ds.PixelData = bytes(size)
        ds["PixelData"].VR = "OW"
        dcmwrite(tmp_path / name, ds, implicit_vr=False, little_endian=name == "a")
    with (tmp_path / "a").open("rb") as one, (tmp_path / "b").open("rb") as other:
        views = [
            FileView(f.fileno(), (tmp_path / n).stat().st_size)
            for f, n in ((one, "a"), (other, "b"))
        ]
        tracemalloc.start()
        assert differs(*views) == "nothing"
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < 16 << 20
