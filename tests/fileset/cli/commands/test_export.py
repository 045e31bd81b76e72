"""`export`: a plain copy of now or then, which changes nothing of what is staged."""

from __future__ import annotations

from pathlib import Path

from cli_runs import CT, MR, Cli
from pydicom.fileset import FileSet as PydicomFileSet


def test_it_is_the_copy_that_write_makes_with_at(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    cli("write", tmp_path / "medium")
    cli("add", MR)
    before = cli.status()
    document = cli.json("export", tmp_path / "copy")
    assert (document["export"], document["unwritten"]) == (True, "DICOMDIR update, 1 addition")
    cli("write", tmp_path / "same", "--at", "now")
    for name in ("copy", "same"):
        assert len(PydicomFileSet(tmp_path / name / "DICOMDIR")) == 2
    assert (tmp_path / "copy/DICOMDIR").read_bytes() == (tmp_path / "same/DICOMDIR").read_bytes()
    assert cli.status() == before
    assert cli.json("status")["root"] == str(tmp_path / "medium")
    assert (
        "position 5 exported to" in cli("blame", "PatientID=1CT1").out
        or "exported" in cli("log").out
    )


def test_a_copy_of_then_has_what_there_was(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    cli("tag", "sent")
    cli("add", MR)
    told = cli("export", tmp_path / "then", "--at", "sent", "--dry-run").out
    assert "Would write to" in told
    assert not (tmp_path / "then").exists()
    cli("export", tmp_path / "then", "--at", "sent")
    assert len(PydicomFileSet(tmp_path / "then" / "DICOMDIR")) == 1


def test_it_needs_a_folder_of_its_own(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    cli("write", tmp_path / "medium")
    assert "Missing argument 'DIR'" in cli("export", code=2).err
    cli("export", tmp_path / "medium", code=3)
