"""Pictures of instances, compared with DCMTK's and with the formulas of the Standard."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from fileset.pictures import NoImageError, PictureError, picture
from fileset.pictures.frames import frame_to_show

np = pytest.importorskip("numpy", reason="needs the extra [pictures]: nox --session pictures")
Image = pytest.importorskip("PIL.Image")
ImageChops = pytest.importorskip("PIL.ImageChops")

DATA = Path(pydicom.__file__).parent / "data"
FILES = sorted(
    path
    for path in DATA.rglob("*")
    if path.is_file() and path.name != "DICOMDIR" and path.read_bytes()[128:132] == b"DICM"
)


def image(values: Any, **elements: Any) -> bytes:
    """Return a file of an image with these stored values, frame by frame."""
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID = CTImageStorage, "1.2.3"
    values = np.asarray(values)
    ds.Rows, ds.Columns = values.shape[-2:]
    if values.ndim == 3:
        ds.NumberOfFrames = values.shape[0]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = values.dtype.itemsize * 8
    ds.HighBit, ds.PixelRepresentation = ds.BitsStored - 1, int(values.dtype.kind == "i")
    ds.PixelData = values.tobytes() + b"\0" * (values.nbytes % 2)
    ds["PixelData"].VR = "OW"
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    buffer = BytesIO()
    ds.file_meta = pydicom.dataset.FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def tones(data: bytes, **how: Any) -> list[list[int]]:
    shown: list[list[int]] = np.asarray(picture(data, **how)).tolist()
    return shown


def item(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def test_every_file_is_shown_or_says_why_not() -> None:
    shown, refused = 0, {}
    for path in FILES:
        try:
            found = picture(path, longest=64)
        except PictureError as exc:
            refused[path.name] = str(exc)
        else:
            shown += 1
            assert found.mode in {"L", "RGB"}
            assert max(found.size) <= 64
    assert shown >= 100
    assert all(text.startswith(("it ", "its ")) for text in refused.values()), refused
    assert refused["reportsi.dcm"] == "it is not an image"


@pytest.mark.parametrize(
    ("lacking", "changes", "why"),
    [
        ("BitsAllocated", {}, "it lacks what describes its pixels: BitsAllocated"),
        ("Rows", {}, "it lacks what describes its pixels: Rows"),
        ("BitsStored PixelRepresentation", {}, ": BitsStored, PixelRepresentation"),
        ("PixelData", {}, "it has no pixels"),
        ("PixelData Rows", {}, "it is not an image"),
        ("", {"SamplesPerPixel": 3}, "it lacks what describes its pixels: PlanarConfiguration"),
        ("", {"Rows": [2, 3]}, "it has no single number as its Rows"),
        ("", {"Rows": 0}, "it has no rows or no columns"),
        ("", {"Rows": 9}, "it has 4 bytes of pixels, and 1 frames of 9 rows and 2 columns"),
        ("", {"NumberOfFrames": "2147483647"}, "its number of frames is '2147483647'"),
        ("", {"NumberOfFrames": "999999"}, "and 999999 frames of 2 rows and 2 columns take more"),
        ("", {"BitsStored": 0}, "its pixels can't be shown: they are damaged, or not"),
        ("", {"PhotometricInterpretation": "X"}, "not as the elements that describe them say"),
    ],
)
def test_what_does_not_fit_together_is_told_in_plain_words(
    lacking: str, changes: dict[str, Any], why: str, tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = pydicom.dcmread(BytesIO(image(np.array([[1, 2], [3, 4]], np.uint8), **changes)))
        for keyword in lacking.split():
            del ds[keyword]
        ds.save_as(tmp_path / "odd.dcm", enforce_file_format=True)
    for source in (tmp_path / "odd.dcm", (tmp_path / "odd.dcm").read_bytes()):
        with pytest.raises(PictureError) as caught:
            picture(source)
        assert why in str(caught.value)
        assert isinstance(caught.value, NoImageError) is (why == "it is not an image")


@pytest.mark.parametrize("odd", [b"LO\2\0\2\0", b"US\1\0\2"])
def test_a_number_that_is_none_is_told_in_plain_words(odd: bytes) -> None:
    whole, rows = image(np.array([[1, 2], [3, 4]], np.uint8)), b"\x28\0\x10\0"
    assert whole.count(rows + b"US\2\0\2\0") == 1
    with pytest.raises(PictureError, match=r"^it has no single number as its Rows"):
        picture(whole.replace(rows + b"US\2\0\2\0", rows + odd))


def test_a_place_that_no_file_has_is_the_instance_s_fault_and_a_broken_disk_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = image(np.array([[1, 2]], np.uint8))
    for code, error in ((errno.EINVAL, PictureError), (errno.EIO, OSError)):

        def fails(*_: Any, code: int = code, **__: Any) -> None:
            raise OSError(code, os.strerror(code))

        monkeypatch.setattr("pydicom.pixels.utils.pixel_array", fails)
        with pytest.raises(error) as caught:
            picture(data)
        assert "Invalid argument" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "off"),
    [
        ("CT_small.dcm", 1),
        ("ExplVR_BigEnd.dcm", 0),
        ("JPGExtended.dcm", 2),
        ("MR_small.dcm", 1),
        ("MR_small_RLE.dcm", 1),
        ("SC_rgb_jpeg_dcmtk.dcm", 0),
        ("SC_rgb_small_odd.dcm", 0),
        ("examples_overlay.dcm", 1),
        ("examples_palette.dcm", 0),
        ("examples_rgb_color.dcm", 0),
        ("examples_ybr_color.dcm", 3),
        ("liver_1frame.dcm", 0),
        ("rtdose.dcm", 1),
    ],
)
def test_dcmtk_shows_the_same(name: str, off: int, tmp_path: Path) -> None:
    if shutil.which("dcmj2pnm") is None:
        pytest.skip("DCMTK is not installed")
    [path] = [path for path in FILES if path.name == name]
    ds = pydicom.dcmread(path, stop_before_pixels=True)
    window = ["+Wm"] if "MONO" in ds.PhotometricInterpretation else []
    window = ["+Wi", "1"] if ds.get("WindowCenter") is not None else window
    argv = ["dcmj2pnm", "--write-png", "--no-overlays", *window, path, tmp_path / "theirs.png"]
    subprocess.run(argv, check=True)
    ours = picture(path, frame=0)
    with Image.open(tmp_path / "theirs.png") as theirs:
        difference = ImageChops.difference(theirs.convert(ours.mode), ours)
    extrema = np.asarray(difference)
    assert extrema.max() <= off


def test_a_window_gives_the_tones_of_the_standard() -> None:
    # PS3.3 Section C.11.2.1.2.1: with centre 2048 and width 4096, 0 and 4095 are the ends.
    data = image(
        np.array([[0, 1024, 2048, 4095]], np.uint16), WindowCenter="2048", WindowWidth="4096"
    )
    assert tones(data) == [[0, 64, 128, 255]]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("LINEAR_EXACT", [0, 64, 128, 255]),
        ("SIGMOID", [30, 69, 128, 225]),
        ("LINEAR", [0, 63, 128, 255]),
    ],
)
def test_each_voi_lut_function_has_its_formula(function: str, expected: list[int]) -> None:
    data = image(
        np.array([[0, 25, 50, 100]], np.uint8),
        WindowCenter="50",
        WindowWidth="100",
        VOILUTFunction=function,
    )
    assert tones(data)[0] == pytest.approx(expected, abs=2)


def test_a_window_of_width_one_is_a_threshold() -> None:
    data = image(np.array([[4, 5, 6]], np.uint8), WindowCenter="5.5", WindowWidth="1")
    assert tones(data) == [[0, 0, 255]]


def test_values_are_rescaled_before_the_window() -> None:
    data = image(
        np.array([[0, 1000, 2000]], np.int16),
        RescaleSlope="1",
        RescaleIntercept="-1000",
        WindowCenter="0.5",
        WindowWidth="2001",
    )
    assert tones(data) == [[0, 128, 255]]


def test_monochrome1_is_shown_inverted() -> None:
    values = np.array([[0, 255]], np.uint8)
    assert tones(image(values)) == [[0, 255]]
    assert tones(image(values, PhotometricInterpretation="MONOCHROME1")) == [[255, 0]]
    assert tones(image(values, PresentationLUTShape="INVERSE")) == [[255, 0]]


def test_padding_does_not_count_where_there_is_no_window() -> None:
    data = image(np.array([[-2000, 0, 100]], np.int16), PixelPaddingValue=-2000)
    assert tones(data) == [[0, 0, 255]]
    assert tones(image(np.array([[7, 7]], np.int16), PixelPaddingValue=7)) == [[255, 255]]


def test_a_frame_has_the_window_of_its_functional_groups() -> None:
    def group(centre: int) -> Dataset:
        return item(FrameVOILUTSequence=[item(WindowCenter=str(centre), WindowWidth="1")])

    data = image(
        np.array([[[5, 15]], [[5, 15]]], np.uint8),
        SharedFunctionalGroupsSequence=[
            item(PixelMeasuresSequence=[item(PixelSpacing=["1", "2"])])
        ],
        PerFrameFunctionalGroupsSequence=[group(3), group(10)],
    )
    assert tones(data, frame=0)[0][-1] == tones(data, frame=0)[0][0] == 255
    assert picture(data, frame=1).size == (4, 1)
    assert tones(data, frame=1)[0][0] < 32
    assert tones(data, frame=1)[0][-1] > 224


def test_the_frame_shown_is_the_representative_one_or_one_a_third_of_the_way_in() -> None:
    frames = np.arange(10, dtype=np.uint8).reshape(10, 1, 1).repeat(2, axis=2)
    frames[..., 1] = 100
    assert frame_to_show(item(NumberOfFrames="10")) == 3
    assert frame_to_show(item(NumberOfFrames="10", RepresentativeFrameNumber=10)) == 9
    assert frame_to_show(item(NumberOfFrames="10", RepresentativeFrameNumber=11)) == 3
    assert frame_to_show(item()) == 0
    data = image(frames, WindowCenter="5.5", WindowWidth="11")
    assert tones(data) == tones(data, frame=3) != tones(data, frame=4)
    with pytest.raises(PictureError, match="it has no frame 10: it has 10, counted from 0"):
        picture(data, frame=10)


def test_pixels_that_are_not_square_are_shown_square() -> None:
    values = np.zeros((10, 10), np.uint8)
    assert picture(image(values, PixelSpacing=["0.5", "1"])).size == (20, 10)
    assert picture(image(values, PixelAspectRatio=["2", "1"])).size == (10, 20)
    assert picture(image(values, PixelSpacing=["0", "1"])).size == (10, 10)
    assert picture(image(values, PixelSpacing=["0.5", "1"]), longest=10).size == (10, 5)


def test_a_file_and_its_bytes_give_the_same_picture() -> None:
    for name in ("CT_small.dcm", "image_dfl.dcm", "SC_rgb_rle_2frame.dcm"):
        [path] = [path for path in FILES if path.name == name]
        try:
            expected = picture(path).tobytes()
        except PictureError as exc:
            with pytest.raises(PictureError, match=str(exc)):
                picture(path.read_bytes())
        else:
            assert picture(path.read_bytes()).tobytes() == expected


@pytest.mark.parametrize(
    "elements",
    [
        {"Rows": 65535, "Columns": 65535},
        {"BitsAllocated": 7},
        {"PhotometricInterpretation": "PALETTE COLOR"},
        {"SamplesPerPixel": 3},
        {"NumberOfFrames": "9"},
        {"WindowCenter": "nan", "WindowWidth": "nan"},
        {"RescaleSlope": "1e300", "RescaleIntercept": "0"},
    ],
)
def test_what_does_not_fit_together_is_one_error(elements: dict[str, Any]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data = image(np.array([[0, 255]], np.uint8), **elements)
    said = ""
    try:
        picture(data)
    except PictureError as exc:
        said = str(exc)
    assert "\n" not in said


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "MR_small_RLE.dcm"])
def test_pixels_that_are_damaged_are_told_without_the_words_of_plugins(
    tmp_path: Path, name: str
) -> None:
    ds = pydicom.dcmread(get_testdata_file(name))
    ds.PixelData = ds.PixelData[:40] + bytes(len(ds.PixelData) - 60) + ds.PixelData[-20:]
    ds.save_as(tmp_path / "a.dcm")
    with pytest.raises(PictureError) as caught:
        picture(tmp_path / "a.dcm")
    assert str(caught.value) == (
        "its pixels can't be decoded: they are damaged, or not as their transfer syntax says"
    )


def test_decoders_that_are_missing_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "Unable to decompress 'X' pixel data because all plugins are missing dependencies:"

    def no_decoder(*_: object, **__: object) -> None:
        raise RuntimeError(f"{text}\n\tgdcm - requires gdcm>=3.0.10\n\tx - requires y")

    monkeypatch.setattr("pydicom.pixels.utils.pixel_array", no_decoder)
    with pytest.raises(PictureError) as caught:
        picture(Path(get_testdata_file("CT_small.dcm")))
    assert str(caught.value) == (
        "its pixels can't be decoded: no decoder of their transfer syntax is installed "
        "(gdcm - requires gdcm>=3.0.10; x - requires y)"
    )


def test_a_file_that_is_none_says_so(tmp_path: Path) -> None:
    with pytest.raises(PictureError):
        picture(b"not DICOM")
    with pytest.raises(FileNotFoundError):
        picture(tmp_path / "gone")


def test_what_pydicom_says_of_broken_fragments_is_told_in_plain_words() -> None:
    data = Path(str(get_testdata_file("examples_jpeg2k.dcm"))).read_bytes()
    at = data.index(b"\xe0\x7f\x10\x00OB\0\0\xff\xff\xff\xff") + 12
    with pytest.raises(PictureError) as caught:
        picture(data[:at] + b"\x01\x00\x01\x00" + data[at + 4 :])
    assert str(caught.value) == (
        "its pixels can't be shown: they are damaged, or not as the elements that describe them say"
    )
