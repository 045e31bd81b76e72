"""Icons are what an image looks like, only small: also by DCMTK's judgement."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from angiography import PROFILE, angiogram, losslessly_compressed

np: Any = pytest.importorskip("numpy")
pytest.importorskip("PIL")

from pydicom import dcmread, examples  # noqa: E402
from pydicom.data import get_testdata_file  # noqa: E402

from fileset import FileSet  # noqa: E402
from fileset.pictures.icon import icon  # noqa: E402
from fileset.pictures.picture import NotInstalledError, PictureError, picture  # noqa: E402
from ledger.files import viewed  # noqa: E402

HAS_DCMTK = shutil.which("dcmmkdir") is not None and shutil.which("dcmcjpeg") is not None


def scene(shift: int = 0) -> bytes:
    """Return 128 by 128 tones with a dark vessel on a bright ground."""
    rows, columns = np.mgrid[0:128, 0:128]
    vessel = 120 * np.exp(-(((columns - 64 - shift - 20 * np.sin(rows / 20)) / 5) ** 2))
    return bytes(np.uint8(200 - vessel + rows / 4).tobytes())


@pytest.mark.parametrize("size", [64, 128])
def test_a_square_image_fills_its_icon(size: int) -> None:
    tones = np.frombuffer(icon(examples.get_path("ct"), size), np.uint8).reshape(size, size)
    shown = np.asarray(picture(examples.get_path("ct")).resize((size, size)))
    assert np.abs(tones.astype(int) - shown).mean() < 2


def test_an_image_that_is_not_square_keeps_its_shape_on_black() -> None:
    wide = get_testdata_file("examples_rgb_color.dcm")
    ds = dcmread(wide)
    assert ds.Rows < ds.Columns
    tones = np.frombuffer(icon(Path(str(wide)), 64), np.uint8).reshape(64, 64)
    assert not tones[0].any()
    assert not tones[-1].any()
    assert tones[32].any()


@pytest.mark.parametrize("name", ["JPEG2000.dcm", "SC_rgb_rle_2frame.dcm", "image_dfl.dcm"])
def test_a_view_of_a_file_gives_the_same_icon_as_the_file(name: str) -> None:
    path = Path(str(get_testdata_file(name)))
    with viewed(path) as view:
        assert icon(view, 64) == icon(path, 64) == icon(path.read_bytes(), 64)


def test_what_has_no_pixels_has_no_icon() -> None:
    with pytest.raises(PictureError, match="not an image") as caught:
        icon(Path(str(get_testdata_file("rtplan.dcm"))), 64)
    assert not isinstance(caught.value, NotInstalledError)


@pytest.mark.skipif(not HAS_DCMTK, reason="needs dcmmkdir and dcmcjpeg of DCMTK")
def test_the_records_of_angiograms_are_those_that_dcmmkdir_makes(tmp_path: Path) -> None:
    fs = FileSet(repository=tmp_path / "archive")
    fs.profile = PROFILE
    for number in range(2):
        frames = scene() if number else b"".join(scene(5 * n - 30) for n in range(12))
        fs.add(losslessly_compressed(angiogram(tmp_path / f"{number}", frames=frames)))
    fs.write(tmp_path / "ours")
    assert fs.repository.state.misfits() == ()
    theirs = tmp_path / "theirs"
    shutil.copytree(tmp_path / "ours", theirs)
    (theirs / "DICOMDIR").unlink()
    subprocess.run(
        ["dcmmkdir", "+r", "-Pbc", "+id", ".", "+D", "DICOMDIR"], cwd=theirs, check=True,
        capture_output=True,
    )  # fmt: skip
    found: list[dict[str, Any]] = []
    for root in (tmp_path / "ours", theirs):
        records = dcmread(root / "DICOMDIR").DirectoryRecordSequence
        found.append(
            {each.ReferencedSOPInstanceUIDInFile: each.IconImageSequence[0]
             for each in records if each.DirectoryRecordType == "IMAGE"}
        )  # fmt: skip
    assert found[0].keys() == found[1].keys()
    for uid, ours in found[0].items():
        other = found[1][uid]
        for each in ours:
            if each.keyword != "PixelData":
                assert each.value == other[each.tag].value, each.keyword
        a, b = (np.frombuffer(x.PixelData, np.uint8).astype(float) for x in (ours, other))
        assert np.corrcoef(a, b)[0, 1] > 0.99, "the same frame, and the same tones"


def test_an_instance_whose_pixels_are_damaged_is_named(tmp_path: Path) -> None:
    fs = FileSet(repository=tmp_path / "archive")
    fs.profile = PROFILE
    with pytest.warns(UserWarning, match="needs an icon, and its pixels can't be decoded"):
        fs.add(angiogram(tmp_path / "1"))
    assert len(fs.repository.state.misfits()) == 1
