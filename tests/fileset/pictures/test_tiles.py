"""Which instances a contact sheet shows, and what it says of them."""

from __future__ import annotations

from pathlib import Path

from cli_runs import CT, MR, changed
from pydicom.data import get_testdata_file

from fileset import FileSet
from fileset.pictures.tiles import Tile, tiles
from projections.state.contents import contents_of

SR = get_testdata_file("reportsi.dcm")


def of(fs: FileSet, each: str) -> list[Tile]:
    return list(tiles(contents_of(fs.state.hierarchy.walk_leaves()), each))


def test_a_series_is_shown_by_its_middle_image_in_the_order_of_instance_number(
    tmp_path: Path,
) -> None:
    with FileSet() as fs:
        for number in (10, 9, 3, 1, 2):
            uid = f"1.2.{number}"
            fs.add(changed(CT, tmp_path / str(number), SOPInstanceUID=uid, InstanceNumber=number))
        (tile,) = of(fs, "series")
        assert (tile.leaf.uid, tile.what) == ("1.2.3", "5 instances")
        assert [tile.leaf.uid for tile in of(fs, "instance")] == [
            f"1.2.{number}" for number in (1, 2, 3, 9, 10)
        ]
        assert of(fs, "instance")[0].what == "IMAGE 1"


def test_a_tile_says_whose_it_is_as_people_write_it(tmp_path: Path) -> None:
    told = {
        "PatientName": "Yamada^Tarou=\u5c71\u7530^\u592a\u90ce",
        "SpecificCharacterSet": "ISO_IR 192",
        "StudyDescription": "Head \u202eevil\u202c",
    }
    with FileSet() as fs:
        fs.add(changed(MR, tmp_path / "a", **told))
        (tile,) = of(fs, "series")
    assert tile.patient == "Yamada, Tarou (\u5c71\u7530, \u592a\u90ce) (4MR1)"
    assert tile.study == "2004-08-26 Head evil"
    assert tile.series == "MR 1"


def test_what_is_no_image_has_a_tile_as_well(tmp_path: Path) -> None:
    with FileSet() as fs:
        fs.add(
            changed(
                SR,
                tmp_path / "sr",
                PatientID="1",
                StudyDate="20040101",
                StudyTime="12",
                StudyID="1",
            )
        )
        (tile,) = of(fs, "instance")
        assert tile.what.startswith("SR DOCUMENT")
