"""status: the File-set as pydicom prints it, and what is staged."""

from __future__ import annotations

from pathlib import Path

from cli_runs import CT, MR, Cli, changed

from fileset import FileSet


def test_status_prints_the_file_set_as_pydicom_does_but_for_what_python_programs_call(
    adopted: Cli,
) -> None:
    with FileSet.open(adopted.repository) as fs:
        theirs = f"{fs}\n"
    # pydicom's write would move what is on the medium; the command's goes by valid names.
    staged = "  Changes staged for write(): DICOMDIR update, directory structure update\n"
    assert adopted("status").out == theirs.replace(staged, "")
    assert staged in theirs


def test_status_tells_what_is_staged(cli: Cli) -> None:
    cli("add", CT)
    assert "Changes staged for write: DICOMDIR creation, 1 addition\n" in cli("status").out
    document = cli.json("status")
    assert document["repository"] == str(cli.repository)
    assert (document["position"], document["instances"]) == (2, 1)
    assert (document["undo"], document["redo"], document["write_interrupted"]) == (1, 0, None)
    assert document["staged"] == {
        "summary": "DICOMDIR creation, 1 addition",
        "creation": True,
        "metadata": {},
        "corrections": 0,
        "additions": 1,
        "removals": 0,
        "moves": 0,
    }


def test_in_short_it_is_a_line_for_scripts_or_nothing(cli: Cli, tmp_path: Path) -> None:
    assert cli("status", "--short").out == "new\n"
    cli("add", CT, MR)
    assert cli("status", "--short").out == "new +2\n"
    cli("write", tmp_path / "medium")
    assert cli("status", "--short").out == ""
    cli("remove", "PatientID=1CT1")
    cli("set", "uid=new", "descriptor=README")
    assert cli("status", "--short").out == "-1 set:uid,descriptor\n"
    cli("correct", "PatientID=4MR1", "--to", "PatientName=X")
    assert cli("status", "--short").out == "-1 ~1 set:uid,descriptor\n"
    assert cli("status", "--short", "--at", "1").out == "new\n"
    other = changed(CT, tmp_path / "other.dcm", PatientName="Y", SOPInstanceUID="1.2.3")
    cli("undo", 3)
    cli("add", other, code=1)
    assert cli("status", "--short", code=1).out == "+1 late:1 mismatched:1\n"
