"""Native pixels come out as they are stored, in every encoding, and always the same."""

from __future__ import annotations

import hashlib
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from fileset.media.viewer.native import VERSION, native
from fileset.media.viewer.scripts import data_script
from ledger.errors import InstanceError
from ledger.files import viewed

DATA = Path(pydicom.__file__).parent / "data"


def file(pixels: bytes, syntax: str = ExplicitVRLittleEndian, **elements: Any) -> bytes:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, "1.2.3"
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows, ds.Columns, ds.BitsAllocated, ds.BitsStored, ds.HighBit = 1, 1, 8, 8, 7
    ds.PixelRepresentation = 0
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    ds.PixelData = pixels + b"\0" * (len(pixels) % 2)
    ds["PixelData"].VR = "OB" if ds.BitsAllocated == 8 else "OW"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def frames_of(data: bytes) -> list[bytes]:
    with native(data) as found:
        assert found is not None
        return [b"".join(found.chunks(number, number + 1)) for number in range(found.frames)]


def test_pixels_of_real_files_are_those_that_pydicom_reads() -> None:
    seen = 0
    for path in sorted(DATA.rglob("*.dcm")):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = pydicom.dcmread(path, force=True)
        syntax = ds.file_meta.get("TransferSyntaxUID")
        if path.read_bytes()[128:132] != b"DICM" or not syntax or "PixelData" not in ds:
            continue
        try:
            with viewed(path) as view, native(view) as found:
                assert (found is None) is (syntax.is_encapsulated or "Rows" not in ds)
                if found is None:
                    continue
                got = b"".join(found.chunks(0, found.frames))
                size = found.size * found.frames
        except InstanceError:
            continue
        expected = ds.PixelData[:size]
        if syntax == ExplicitVRBigEndian and ds["PixelData"].VR == "OW":
            step = max(ds.BitsAllocated // 8, 2)
            expected = ds.PixelData[: size + size % step]
            expected = b"".join(
                expected[at : at + step][::-1] for at in range(0, len(expected), step)
            )[:size]
        assert got == expected, path
        seen += 1
    assert seen > 25


@pytest.mark.parametrize(
    ("big", "little"),
    [
        ("MR_small_expb.dcm", "MR_small.dcm"),
        ("MR_small_bigendian.dcm", "MR_small.dcm"),
        ("rtdose_expb.dcm", "rtdose.dcm"),
        ("liver_expb_1frame.dcm", "liver_1frame.dcm"),
        ("SC_rgb_small_odd_big_endian.dcm", "SC_rgb_small_odd.dcm"),
    ],
)
def test_big_endian_is_shown_as_little_endian_is(big: str, little: str) -> None:
    found = []
    for name in (big, little):
        path = Path(str(get_testdata_file(name)))
        with viewed(path) as view, native(view) as pixels:
            assert pixels is not None
            chunks = (pixels.chunks(number, number + 1) for number in range(pixels.frames))
            found.append((pixels.told, [b"".join(frame) for frame in chunks]))
    assert found[0] == found[1]


def test_big_endian_has_the_pixels_of_pydicom() -> None:
    pytest.importorskip("numpy", reason="needs the extra [pictures]: nox --session pictures")
    for name in ("ExplVR_BigEnd.dcm", "MR_small_expb.dcm", "SC_rgb_small_odd_big_endian.dcm"):
        path = Path(str(get_testdata_file(name)))
        values = pydicom.dcmread(path).pixel_array
        with viewed(path) as view, native(view) as pixels:
            assert pixels is not None
            if pixels.told["planar"]:
                values = values.transpose(2, 0, 1)
            got = b"".join(pixels.chunks(0, pixels.frames))
        assert got == values.astype(values.dtype.newbyteorder("<")).tobytes(), name


@pytest.mark.parametrize(
    "syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian]
)
def test_every_encoding_gives_the_same(syntax: str) -> None:
    pixels = bytes(range(48))
    data = file(
        pixels, syntax, Rows=2, Columns=4, BitsAllocated=16, BitsStored=16, HighBit=15,
        NumberOfFrames="3",
    )  # fmt: skip
    assert frames_of(data) == [pixels[:16], pixels[16:32], pixels[32:]]


@given(
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    bits=st.lists(st.booleans(), min_size=75, max_size=75),
)
def test_frames_of_single_bits_begin_with_a_byte_of_their_own(
    rows: int, columns: int, bits: list[bool]
) -> None:
    count = rows * columns
    number = sum(bit << place for place, bit in enumerate(bits[: 3 * count]))
    packed = number.to_bytes(-(-3 * count // 8), "little")
    data = file(
        packed, Rows=rows, Columns=columns, BitsAllocated=1, BitsStored=1, HighBit=0,
        NumberOfFrames="3",
    )  # fmt: skip
    for place, frame in enumerate(frames_of(data)):
        value = int.from_bytes(frame, "little")
        assert [bool(value >> n & 1) for n in range(count)] == bits[place * count :][:count]


def test_what_describes_the_pixels_is_told() -> None:
    data = file(
        bytes(4), Rows=1, Columns=2, BitsAllocated=16, BitsStored=12, HighBit=11,
        PixelRepresentation=1, WindowCenter=["40", "300"], WindowWidth="80.5",
        RescaleIntercept="-1024", RescaleSlope="1.0", PixelPaddingValue=-2000,
        PhotometricInterpretation="MONOCHROME1",
    )  # fmt: skip
    with native(data) as found:
        assert found is not None
        assert found.told == {
            "samples": 1, "planar": 0, "signed": 1, "rows": 1, "columns": 2, "allocated": 16,
            "stored": 12, "high": 11, "padding": -2000, "centre": [40, 300], "width": [80.5],
            "intercept": [-1024], "slope": [1], "frames": 1, "photometric": "MONOCHROME1",
            "function": "LINEAR", "inverse": False,
        }  # fmt: skip


@pytest.mark.parametrize(
    ("elements", "why"),
    [
        ({"NumberOfFrames": "9"}, "and 9 frames of 1 rows and 1 columns take more"),
        ({"NumberOfFrames": "-1"}, "its number of frames is '-1'"),
        ({"NumberOfFrames": "999999999999"}, "its number of frames is '999999999999'"),
        ({"Rows": 0}, "no rows or no columns"),
        ({"BitsAllocated": 64}, "64 bits of MONOCHROME2 are not shown"),
        ({"PhotometricInterpretation": "YBR_RCT"}, "8 bits of YBR_RCT are not shown"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "its palette is not there"),
    ],
)
def test_what_does_not_fit_together_says_so(elements: dict[str, Any], why: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = file(b"\1\2", **elements)
    with pytest.raises(InstanceError, match=why), native(data):
        pass


def test_a_number_of_frames_beyond_all_numbers_is_refused() -> None:
    data = file(b"\1\2", NumberOfFrames="77777").replace(b"77777", b"1e400")
    with pytest.raises(InstanceError, match="its number of frames is '1e400'"), native(data):
        pass


def test_a_script_is_the_same_for_ever() -> None:
    path = Path(str(get_testdata_file("CT_small.dcm")))
    with viewed(path) as view, native(view) as found:
        assert found is not None
        made = b"".join(data_script("D0000001.JS", found.told, found.chunks(0, 1)))
    assert (VERSION, len(made), hashlib.sha256(made).hexdigest()[:16]) == (
        1,
        43974,
        "506334b7e2203890",
    )
