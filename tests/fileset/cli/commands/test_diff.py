"""diff: what differs between two states, or between a state and a medium."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, changed, copy_of_example, run
from pydicom.uid import generate_uid


def slices(folder: Path, count: int, source: Path = CT, **elements: object) -> Path:
    """Put `count` instances of one series into a new folder."""
    folder.mkdir()
    for number in range(count):
        own = {"SOPInstanceUID": generate_uid(), "InstanceNumber": number + 10}
        changed(source, folder / f"{number}.dcm", **own, **elements)
    return folder


def test_two_positions_are_compared(cli: Cli) -> None:
    cli("add", CT)
    cli("add", MR)
    cli("remove", "PatientID=1CT1")
    cli("set", "id=DISC")
    document = cli.json("diff", 2)
    assert (document["from"], document["to"], document["root"]) == (2, 5, None)
    assert [i["sop_class"] for i in document["added"]] == ["MR Image Storage"]
    assert [i["sop_class"] for i in document["removed"]] == ["CT Image Storage"]
    assert document["identity"] == {"id": {"from": None, "to": "DISC"}}
    assert document["counts"]["patients"] == {"added": 1, "removed": 1, "changed": 0}
    assert [(r["record_type"], r["key"], r["change"]) for r in document["records"]] == [
        ("PATIENT", "1CT1", "removed"),
        ("PATIENT", "4MR1", "added"),
    ]
    back = cli.json("diff", 5, 2)
    assert (back["added"], back["removed"]) == (document["removed"], document["added"])
    assert back["identity"] == {"id": {"from": "DISC", "to": None}}


def test_what_differs_is_a_tree_for_people(cli: Cli) -> None:
    cli("add", CT)
    cli("add", MR)
    cli("remove", "PatientID=1CT1")
    cli("set", "id=DISC")
    each = "1 patient, 1 study, 1 series and 1 instance"
    within = "1 study, 1 series, 1 instance"
    assert cli("diff", 2).out.splitlines() == [
        "File-set ID: (no value) -> 'DISC'",
        f"Position 2 to 5: {each} added; {each} removed",
        f"├── - PATIENT: PatientID='1CT1', PatientName='CompressedSamples^CT1': {within}",
        f"└── + PATIENT: PatientID='4MR1', PatientName='CompressedSamples^MR1': {within}",
    ]
    assert cli("diff", 4, 5).out.splitlines()[-1] == "Position 4 to 5: the same instances"
    assert cli("diff", 4, 4).out == "Position 4 to 4: no difference\n"


def test_a_new_series_is_one_line_and_so_are_many_instances_unless_all_are_asked_for(
    cli: Cli, tmp_path: Path
) -> None:
    cli("add", CT)
    new_series = {"SeriesInstanceUID": generate_uid(), "SeriesNumber": 7}
    cli("add", "-r", slices(tmp_path / "new", 8, **new_series))
    cli("add", "-r", slices(tmp_path / "more", 6))
    lines = cli("diff", 2).out.splitlines()
    assert lines[0] == "Position 2 to 16: 1 series and 14 instances added"
    assert [line.lstrip("│├└─ ") for line in lines[3:]] == [
        "SERIES: Modality=CT, SeriesNumber=1",
        "+ IMAGE: 6 instances",
        "+ SERIES: Modality=CT, SeriesNumber=7: 8 instances",
    ]
    full = cli("diff", 2, "--all").out
    assert full.count("+ IMAGE: InstanceNumber=") == 14


def test_another_content_of_one_instance_is_a_change_that_is_told(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    cli("remove", "PatientID=1CT1")
    cli("add", changed(CT, tmp_path / "other.dcm", PatientName="X", InstanceNumber=5))
    document = cli.json("diff", 2)
    assert (document["added"], document["removed"]) == ([], [])
    ((pair),) = document["changed"]
    assert pair["from"]["sop_instance_uid"] == pair["to"]["sop_instance_uid"]
    assert pair["from"]["digest"] != pair["to"]["digest"]
    (patient,) = document["records"]
    assert patient["elements"] == {
        "00100010": {
            "keyword": "PatientName",
            "from": {"vr": "PN", "Value": [{"Alphabetic": "CompressedSamples^CT1"}]},
            "to": {"vr": "PN", "Value": [{"Alphabetic": "X"}]},
        }
    }
    out = cli("diff", 2).out
    assert "~ PATIENT: PatientID='1CT1', PatientName='X'" in out
    assert "PatientName: 'CompressedSamples^CT1' -> 'X'" in out
    assert "content: sha256:" in out
    assert "InstanceNumber: '1' -> '5'" in out


def test_changes_tags_and_dates_name_what_is_compared(cli: Cli) -> None:
    cli("add", CT)
    cli("tag", "sent")
    cli("add", MR)
    by_position = cli.json("diff", 2, 4)
    add = cli.json("log")["changes"][1]["id"]
    for named in ("sent", add, add[:8]):
        assert cli.json("diff", named, 4) == by_position
    assert cli.json("diff", "sent", "2999-01-01") == by_position


def test_what_names_no_position_is_a_usage_error(cli: Cli, tmp_path: Path) -> None:
    assert "positions 1 to 1, not 9" in cli("diff", 9, code=2).err
    cli("diff", 0, code=2)
    cli("diff", "nothing", code=2)
    assert "Name what to compare" in cli("diff", code=2).err
    assert "give no B" in cli("diff", 1, 1, "--root", tmp_path, code=2).err


def test_undo_and_redo_are_gone_back_over_as_any_other_change(cli: Cli) -> None:
    cli("add", CT)
    cli("add", MR)
    cli("remove", "PatientID=1CT1")
    cli("undo", 2)
    cli("redo")
    for position in range(1, 8):
        leaves = cli.json("diff", position)
        there = {leaf["handle"] for leaf in leaves["added"]}
        gone = {leaf["handle"] for leaf in leaves["removed"]}
        assert ({2, 3} - there) | gone == _live(cli, position)


def _live(cli: Cli, position: int) -> set[int]:
    from fileset import Repository

    repository = Repository.open(cli.repository)
    try:
        return {leaf.handle for leaf in repository.at(position).live.values()}
    finally:
        repository.close()


# --- a medium ------------------------------------------------------------------------------------


def test_a_medium_that_was_written_does_not_differ_from_what_was_written(tmp_path: Path) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    run("init", tmp_path / "r", "--from", dicomdir)
    cli = Cli(tmp_path / "r")
    assert cli("diff", "--root", tmp_path / "cd").out.endswith(": no difference\n")
    cli("add", CT, MR)
    cli("write", "--layout", "existing")
    assert cli("diff", "--root", tmp_path / "cd").out.endswith(": no difference\n")
    assert cli("diff", "--root", dicomdir).out.endswith(": no difference\n")
    assert cli.json("diff", 32, "--root", tmp_path / "cd")["counts"]["patients"]["added"] == 2


def test_what_is_staged_is_what_the_medium_lacks(cli: Cli, tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    cli("add", CT)
    cli("write", medium)
    cli("add", MR)
    cli("set", "id=NEW")
    document = cli.json("diff", "--root", medium)
    assert (document["to"], document["root"]) == (None, str(medium))
    assert [leaf["sop_class"] for leaf in document["removed"]] == ["MR Image Storage"]
    assert document["identity"] == {"id": {"from": "NEW", "to": None}}
    assert cli.json("diff", 2, "--root", medium)["removed"] == []


def test_a_dicomdir_that_someone_edited_differs_where_they_did(cli: Cli, tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    cli("add", CT)
    cli("write", medium)
    dicomdir = medium / "DICOMDIR"
    dicomdir.write_bytes(dicomdir.read_bytes().replace(b"Samples^CT1", b"Samples^CT9"))
    out = cli("diff", "--root", medium).out
    assert "1 patient changed" in out
    assert "PatientName: 'CompressedSamples^CT1' -> 'CompressedSamples^CT9'" in out
    (patient,) = cli.json("diff", "--root", medium)["records"]
    assert (patient["change"], patient["records"]) == ("changed", [])


def test_a_folder_without_a_dicomdir_is_refused(cli: Cli, tmp_path: Path) -> None:
    assert "There is no DICOMDIR at" in cli("diff", "--root", tmp_path, code=3).err
    (tmp_path / "DICOMDIR").write_bytes(b"no DICOM at all")
    assert "DICOMDIR" in cli("diff", "--root", tmp_path, code=3).err
    cli("diff", "--root", tmp_path / "nowhere", code=2)


def test_a_folder_or_a_dicomdir_in_the_place_of_b_or_alone_is_a_medium(
    cli: Cli, tmp_path: Path
) -> None:
    medium = tmp_path / "medium"
    cli("add", CT)
    cli("write", medium)
    cli("add", MR)
    for named in (medium, medium / "DICOMDIR"):
        assert cli.json("diff", named) == cli.json("diff", "--root", medium)
        assert cli.json("diff", 2, named) == cli.json("diff", 2, "--root", medium)
    assert "neither a folder nor a DICOMDIR" in cli("diff", CT, code=2).err


def test_what_names_a_moment_is_none_though_there_is_a_folder_of_that_name(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("add", CT)
    cli("tag", "disc")
    for name in ("disc", "2"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert cli.json("diff", "disc")["root"] is None
    assert cli.json("diff", "2", "now")["root"] is None
