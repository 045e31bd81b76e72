"""Icons of records: where they are, and that others read them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset

from ledger.elements import Element, encode, encode_items, is_canonical
from projections.dicomdir.profiles.catalogue import PROFILES
from projections.dicomdir.profiles.icons import (
    ICON_IMAGE_SEQUENCE,
    icon_sequence,
    icon_sides,
    icon_size,
)

XA, SC, CT = (f"1.2.840.10008.5.1.4.1.1.{end}" for end in ("12.1", "7", "2"))


@pytest.mark.parametrize(
    ("name", "sop_class", "required", "asked"),
    [
        ("STD-XABC-CD", XA, 128, 128),
        ("STD-XA1K-CD", SC, 128, 128),
        ("STD-XA1K-DVD", XA, 128, 128),
        ("STD-CTMR-CD", CT, None, 64),
        ("STD-GEN-CD", XA, None, 64),
        (None, CT, None, 64),
    ],
)
def test_images_have_icons_where_the_profile_says_so_and_on_request(
    name: str | None, sop_class: str, required: int | None, asked: int
) -> None:
    profile = PROFILES.get(name or "")
    assert icon_size(profile, "IMAGE", sop_class, asked=False) == required
    assert icon_size(profile, "IMAGE", sop_class, asked=True) == asked
    assert icon_size(profile, "PRESENTATION", sop_class, asked=True) is None


@given(st.integers(1, 20).flatmap(lambda n: st.binary(min_size=n * n, max_size=n * n)))
def test_pydicom_reads_an_icon_as_an_image(pixels: bytes) -> None:
    size = int(len(pixels) ** 0.5)
    elements = encode([icon_sequence(size, pixels)])
    assert is_canonical(elements)
    ds = read_dataset(DicomBytesIO(elements), is_implicit_VR=False, is_little_endian=True)
    (icon,) = ds.IconImageSequence
    assert isinstance(icon, Dataset)
    assert (icon.Rows, icon.Columns, icon.BitsAllocated, icon.HighBit) == (size, size, 8, 7)
    assert icon.PhotometricInterpretation == "MONOCHROME2"
    assert icon.PixelData[: len(pixels)] == pixels
    assert icon_sides(elements) == (size, size)


@pytest.mark.parametrize(
    "value", [b"", encode_items([b"\x28\x00\x10\x00US\x04\x00\x01\x00\x01\x00"]), b"torn"]
)
def test_a_damaged_icon_has_unknown_sides_and_none_has_no_sides(value: bytes) -> None:
    assert icon_sides(encode([Element(ICON_IMAGE_SEQUENCE, "SQ", value)])) == (0, 0)
    assert icon_sides(b"") is None
