"""Contact sheets with pictures: what is on them, what is not, and that they are the same again."""

from __future__ import annotations

import base64
import importlib
import re
import shutil
from io import BytesIO
from pathlib import Path

import pytest
from cli_runs import CT, MR, changed
from pydicom import dcmread
from pydicom.data import get_testdata_file

from fileset import FileSet
from fileset.errors import EndingError, RefusedError
from fileset.pictures import picture, sheet

np = pytest.importorskip("numpy", reason="needs the extra [pictures]: nox --session pictures")
Image = pytest.importorskip("PIL.Image")
ImageFont = pytest.importorskip("PIL.ImageFont")

SR, RGB, MONO1, JPEG, FRAMES = map(
    get_testdata_file,
    (
        "reportsi.dcm",
        "examples_ybr_color.dcm",
        "MR_small_expb.dcm",
        "SC_rgb_jpeg_dcmtk.dcm",
        "rtdose.dcm",
    ),
)


SAID = {
    "StudyDate": "20040101",
    "StudyTime": "12",
    "StudyID": "1",
    "SeriesNumber": 1,
    "InstanceNumber": 1,
}


@pytest.fixture
def fs(tmp_path: Path) -> FileSet:
    fs = FileSet(repository=tmp_path / "r")
    for number, path in enumerate((CT, MR, RGB, JPEG, FRAMES)):
        fs.add(changed(path, tmp_path / f"{number}.dcm", PatientID=str(number), **SAID))
    return fs


def pictures_in(page: Path) -> list[bytes]:
    found = re.findall(r'src="data:image/jpeg;base64,([^"]*)"', page.read_text("utf-8"))
    return [base64.b64decode(each) for each in found]


def broken(path: Path) -> Path:
    ds = dcmread(get_testdata_file("JPEG2000.dcm"))
    ds.PixelData = ds.PixelData[:40] + bytes(len(ds.PixelData) - 60) + ds.PixelData[-20:]
    ds.save_as(path)
    return path


def test_a_page_has_a_picture_of_each_series(fs: FileSet, tmp_path: Path) -> None:
    made = fs.picture(tmp_path / "a.html")
    assert made.files == [tmp_path / "a.html"]
    assert not made.unshown
    shown = [Image.open(BytesIO(data)) for data in pictures_in(tmp_path / "a.html")]
    assert len(shown) == len(made.tiles) == 5
    assert all(max(image.size) <= 192 for image in shown)


def test_a_png_has_the_pictures_where_they_belong(fs: FileSet, tmp_path: Path) -> None:
    fs.picture(tmp_path / "a.png", fs.find(Modality="CT"), size=64)
    with Image.open(tmp_path / "a.png") as made:
        box = made.convert("L").crop((12, 36, 12 + 64, 36 + 64))
    expected = picture(Path(CT), longest=64)
    assert np.abs(np.asarray(box).astype(int) - np.asarray(expected)).max() == 0


@pytest.mark.parametrize("name", ["a.html", "a.png"])
def test_the_same_instances_give_the_same_bytes(fs: FileSet, tmp_path: Path, name: str) -> None:
    fs.picture(tmp_path / name)
    first = (tmp_path / name).read_bytes()
    with FileSet.open(tmp_path / "r") as again:
        again.picture(tmp_path / name, replace=True)
    assert (tmp_path / name).read_bytes() == first


def test_what_cannot_be_shown_has_a_tile_with_the_reason(fs: FileSet, tmp_path: Path) -> None:
    fs.add(changed(SR, tmp_path / "sr.dcm", PatientID="SR", **SAID))
    fs.add(broken(tmp_path / "broken.dcm"))
    made = fs.picture(tmp_path / "a.html")
    assert sorted(made.unshown.values()) == [
        "it is not an image",
        "its pixels can't be decoded: they are damaged, or not as their transfer syntax says",
    ]
    assert [made.unshown[tile] for tile in made.failed] == [sorted(made.unshown.values())[1]]
    text = (tmp_path / "a.html").read_text("utf-8")
    assert "it is not an image" in text
    assert "they are damaged" in text
    fs.picture(tmp_path / "a.png")


def test_bytes_that_are_gone_are_a_reason(tmp_path: Path) -> None:
    with FileSet(repository=tmp_path / "r") as fs:
        shutil.copy(CT, tmp_path / "ct.dcm")
        fs.add_many(tmp_path / "ct.dcm", reference=True)
        (tmp_path / "ct.dcm").unlink()
        made = fs.picture(tmp_path / "a.html")
    assert list(made.unshown.values()) == ["its file can't be read: No such file or directory"]
    assert made.failed


def test_many_tiles_make_several_files_or_are_refused(
    fs: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileset.pictures.png_sheet._ROWS", 1)
    made = fs.picture(tmp_path / "a.png", columns=2, size=16)
    assert [path.name for path in made.files] == ["a_1OF3.png", "a_2OF3.png", "a_3OF3.png"]
    monkeypatch.setattr(sheet, "MOST", 4)
    with pytest.raises(RefusedError, match=r"up to 4 tiles, and this would have 5"):
        fs.picture(tmp_path / "b.png")
    assert not (tmp_path / "b.png").exists()


def test_a_file_that_is_there_stays(fs: FileSet, tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text("mine")
    with pytest.raises(RefusedError, match="there already"):
        fs.picture(tmp_path / "a.html")
    with pytest.raises(RefusedError, match="the repository"):
        fs.picture(tmp_path / "r" / "a.html")
    with pytest.raises(EndingError):
        fs.picture(tmp_path / "a.gif")
    assert (tmp_path / "a.html").read_text() == "mine"


def test_characters_are_drawn_by_a_font_that_has_them_or_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"PatientName": "\u5c71\u7530", "SpecificCharacterSet": "ISO_IR 192"}
    with FileSet() as fs:
        fs.add(changed(CT, tmp_path / "a", **told))
        monkeypatch.setattr("fileset.pictures.fonts.USUAL", ())
        monkeypatch.setattr("fileset.pictures.fonts._EAST_ASIAN", ())
        assert set(fs.picture(tmp_path / "a.png").lacking) == {"\u5c71", "\u7530"}
        assert not fs.picture(tmp_path / "a.html").lacking
        (tmp_path / "no.ttf").write_text("no font")
        with pytest.raises(RefusedError, match=r"no\.ttf is no font"):
            fs.picture(tmp_path / "b.png", fonts=[tmp_path / "no.ttf"])


def test_cyrillic_is_drawn_where_a_font_of_the_system_has_it(tmp_path: Path) -> None:
    from fileset.pictures.fonts import USUAL

    if not any(Path(each).is_file() for each in USUAL):
        pytest.skip("no font of the system is known")
    told = {"PatientName": "\u041b\u044e\u043ac\u0435\u043c\u0431\u0443\u0440\u0433"}
    with FileSet() as fs:
        fs.add(changed(CT, tmp_path / "a", SpecificCharacterSet="ISO_IR 192", **told))
        assert not fs.picture(tmp_path / "a.png").lacking


def test_an_instance_gives_its_picture(fs: FileSet) -> None:
    (ct,) = fs.find(Modality="CT")
    assert ct.picture().tobytes() == picture(Path(CT)).tobytes()
    assert ct.picture(longest=32).size == (32, 32)


def test_a_picture_of_many_pixels_is_made_in_strips_that_fit_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [Path(get_testdata_file(n)) for n in ("CT_small.dcm", "MR_small.dcm", "rtdose.dcm")]
    whole = [picture(path).tobytes() for path in paths]
    monkeypatch.setattr(importlib.import_module("fileset.pictures.picture"), "_AT_ONCE", 300)
    assert [picture(path).tobytes() for path in paths] == whole
