"""status, tree, find and values show the File-set as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, copy_of_example, leaves, run

from fileset import FileSet


@pytest.fixture(scope="module")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A repository of the example File-set; nothing here changes it."""
    folder = tmp_path_factory.mktemp("looking")
    run("init", folder / "r", "--from", copy_of_example(folder / "cd"))
    return Cli(folder / "r")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    run("init", tmp_path / "archive")
    return Cli(tmp_path / "archive")


def test_status_prints_the_file_set_as_pydicom_does(adopted: Cli) -> None:
    fs = FileSet.open(adopted.repository)
    assert adopted("status").out == f"{fs}\n"
    fs.close()


def test_status_tells_what_is_staged(cli: Cli) -> None:
    cli("add", CT)
    assert "Changes staged for write(): DICOMDIR creation, 1 addition\n" in cli("status").out
    document = cli.json("status")
    assert document["repository"] == str(cli.repository)
    assert (document["position"], document["instances"]) == (2, 1)
    assert (document["undo"], document["redo"], document["write_interrupted"]) == (1, 0, None)
    assert document["staged"] == {
        "summary": "DICOMDIR creation, 1 addition",
        "creation": True,
        "metadata": {},
        "additions": 1,
        "removals": 0,
        "moves": 0,
    }


def test_the_tree_goes_down_to_the_instances(adopted: Cli) -> None:
    lines = adopted("tree").out.splitlines()
    assert lines[0].startswith("PYDICOM_TEST at ")
    assert lines[0].endswith(": 31 instances")
    (line,) = (line for line in lines if "98892003/MR700/4678" in line)
    assert "MR Image Storage" in line
    assert "sha256:" in line
    document = adopted.json("tree")
    assert len(leaves(document["records"])) == document["instances"] == 31
    patient = document["records"][0]
    assert (patient["record_type"], patient["key"]) == ("PATIENT", "77654033")


def test_lines_are_whole_however_long(cli: Cli, tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    cli("add", CT)
    cli("write", deep / "medium")
    assert f"at {deep / 'medium'}: 1 instance" in cli("tree").out.splitlines()[0]


def test_the_tree_marks_what_is_staged(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    cli("write", tmp_path / "medium")
    cli("remove", "PatientID=1CT1")
    cli("add", MR)
    out = cli("tree").out
    assert "to be removed" in out
    assert "to be added" in out
    assert [leaf["staged"] for leaf in leaves(cli.json("tree")["records"])] == [
        "removal",
        "addition",
    ]


def test_the_tree_tells_where_files_would_be_moved(adopted: Cli) -> None:
    assert "to be moved to PT000000/ST000000/SE000000/IM000000" in adopted("tree").out


def test_instances_are_found_by_text_and_by_number(adopted: Cli) -> None:
    assert len(adopted("find", "PatientID=77654033").out.splitlines()) == 7
    found = adopted.json("find", "PatientName=Doe^Peter", "Modality=MR", "SeriesNumber=2")
    assert len(found["instances"]) == 7
    assert adopted.json("find", "SeriesNumber=0700") == adopted.json("find", "SeriesNumber=700")
    (one,) = adopted.json("find", "ReferencedFileID=98892003\\MR700\\4678")["instances"]
    assert one["file_id"] == "98892003/MR700/4678"
    uid = one["sop_instance_uid"]
    assert adopted.json("find", f"SOPInstanceUID={uid}")["instances"] == [one]


def test_nothing_found_is_told_and_no_failure(adopted: Cli) -> None:
    result = adopted("find", "PatientID=nobody")
    assert (result.out, result.err) == ("", "No instance matches.\n")


def test_elements_beyond_the_records_are_searched_when_asked(cli: Cli) -> None:
    cli("add", CT, MR)
    assert "--load searches the instances" in cli("find", "KVP=120").err
    assert cli.json("find", "KVP=120")["warnings"] == [
        "no directory record has KVP: --load searches the instances themselves"
    ]
    assert len(cli.json("find", "KVP=120", "--load")["instances"]) == 1
    assert cli.json("values", "ImageType", "--load")["values"] == {
        "ImageType": [
            ["ORIGINAL", "PRIMARY", "AXIAL"],
            ["DERIVED", "SECONDARY", "OTHER"],
        ]
    }


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_searched(
    cli: Cli, tmp_path: Path
) -> None:
    cli("add", CT, MR)
    cli("write", tmp_path / "medium")
    (tmp_path / "medium" / "PT000000" / "ST000000" / "SE000000" / "IM000000").unlink()
    result = cli("values", "Modality", "--load", code=1)
    assert result.out == "Modality=MR\n"
    assert "can't be read: No such file" in result.err


def test_values_are_listed_the_way_find_takes_them(adopted: Cli) -> None:
    lines = adopted("values", "PatientID", "Modality").out.splitlines()
    assert lines == [
        "PatientID=77654033",
        "PatientID=98890234",
        "Modality=CR",
        "Modality=CT",
        "Modality=MR",
    ]
    assert sum(len(adopted("find", line).out.splitlines()) for line in lines[2:]) == 31
    document = adopted.json("values", "SeriesNumber", "PatientName")
    assert document["values"]["SeriesNumber"] == [1, 2, 3, 4, 5, 700]
    assert document["values"]["PatientName"] == ["Doe^Archibald", "Doe^Peter"]


def test_values_of_a_keyword_that_no_record_has_are_none_and_told(adopted: Cli) -> None:
    result = adopted("values", "KVP")
    assert result.out == ""
    assert "no directory record has KVP" in result.err
