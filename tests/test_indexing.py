"""`fileset index`: a DICOMDIR for a folder of instances, where they lie."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from pydicom import dcmread, examples
from pydicom.fileset import FileSet as PydicomFileSet

from fileset import FileSet
from fileset.cli import main

EXAMPLE = examples.get_path("dicomdir")
CT, MR, RT_DOSE = (examples.get_path(name) for name in ("ct", "mr", "rt_dose"))


def index(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["index", *map(str, arguments)])


def document(*arguments: object) -> dict[str, object]:
    result = index(*arguments, "--json")
    found: dict[str, object] = json.loads(result.stdout)
    return found


def stats(root: Path) -> dict[str, tuple[int, int]]:
    return {
        os.fspath(p.relative_to(root)): (p.stat().st_ino, p.stat().st_mtime_ns)
        for p in root.rglob("*")
        if p.is_file() and p.name != "DICOMDIR"
    }


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Pydicom's example instances without their DICOMDIR."""
    root = tmp_path / "folder"
    for name in ("77654033", "98892001", "98892003"):
        shutil.copytree(EXAMPLE.parent / name, root / name)
    return root


def test_nothing_is_moved_or_copied_and_others_read_what_is_indexed(folder: Path) -> None:
    before = stats(folder)
    result = index(folder)
    assert (result.exit_code, result.stderr) == (0, "")
    assert stats(folder) == before
    theirs = PydicomFileSet(folder / "DICOMDIR")
    assert len(theirs) == 31
    assert sorted(os.path.relpath(i.path, folder) for i in theirs) == sorted(before)
    for instance in theirs:
        assert instance.load().SOPInstanceUID == instance.SOPInstanceUID


def test_the_independent_checkers_find_no_more_than_in_pydicoms_dicomdir(folder: Path) -> None:
    index(folder)
    ours, theirs = (
        subprocess.run(
            [Path(sys.executable).parent / "dciodvfy", "-new", root / "DICOMDIR"],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        ).stderr.count("Error")
        for root in (folder, EXAMPLE.parent)
    )
    assert ours <= theirs


def test_files_whose_names_are_no_file_ids_are_named_one_by_one(tmp_path: Path) -> None:
    shutil.copyfile(CT, tmp_path / "ct.dcm")
    shutil.copyfile(MR, tmp_path / "MR")
    result = index(tmp_path)
    assert result.exit_code == 1
    assert "ct.dcm: 'ct.dcm' is no File ID" in result.stderr
    assert "--rename" in result.stderr
    assert "found 2 = 1 added" in result.stdout
    (instance,) = PydicomFileSet(tmp_path / "DICOMDIR")
    assert instance.path == str(tmp_path / "MR")


def test_with_rename_they_get_conformant_names_as_a_recorded_change(tmp_path: Path) -> None:
    root = tmp_path / "root"
    (root / "scans").mkdir(parents=True)
    shutil.copyfile(CT, root / "scans" / "ct one.dcm")
    shutil.copyfile(MR, root / "MR")
    (root / "notes.txt").write_text("mine")
    kept = tmp_path / "repository"
    told = document(root, "--rename", "--keep", kept)
    assert told["renamed"] == {"scans/ct one.dcm": "PT000000/ST000000/SE000000/IM000000"}
    assert (root / "PT000000/ST000000/SE000000/IM000000").read_bytes() == CT.read_bytes()
    assert not (root / "scans").exists()
    assert (root / "notes.txt").read_text() == "mine"
    assert len(PydicomFileSet(root / "DICOMDIR")) == 2
    fs = FileSet.open(kept)
    assert fs.verify() == []
    assert [entry.events[-1].TYPE for entry in fs.history[-2:]] == [
        "write-started",
        "write-completed",
    ]


def test_a_choice_leaves_out_what_was_not_asked_for_and_says_so(folder: Path) -> None:
    told = document(
        folder,
        "--include",
        "PatientID=98890234",
        "--exclude",
        "Modality=CT",
        "--min-instances",
        "3",
    )
    assert told["found"] == 31
    assert told["added"] == 13
    assert told["excluded"] == 18
    fs = FileSet(folder / "DICOMDIR")
    assert fs.find_values("Modality") == ["MR"]
    assert fs.find_values("PatientID") == ["98890234"]


def test_a_choice_may_ask_for_elements_that_no_directory_record_has(folder: Path) -> None:
    told = document(folder, "--include", "PhotometricInterpretation=MONOCHROME1")
    assert told["added"] == 3


def test_missing_values_are_invented_only_when_asked_for(tmp_path: Path) -> None:
    shutil.copyfile(RT_DOSE, tmp_path / "DOSE")
    assert document(tmp_path)["rejected"] == 1
    assert not (tmp_path / "DICOMDIR").exists()
    told = document(tmp_path, "--complete")
    assert told["added"] == 1
    assert told["results"][0]["invented"] == {"InstanceNumber": "0"}  # type: ignore[index]
    assert (tmp_path / "DOSE").read_bytes() == RT_DOSE.read_bytes()


def test_a_dicomdir_that_is_there_stays_unless_it_is_to_be_replaced(folder: Path) -> None:
    index(folder, "--id", "FIRST")
    before = (folder / "DICOMDIR").read_bytes()
    result = index(folder, "--id", "SECOND")
    assert result.exit_code == 3
    assert "has a DICOMDIR already" in result.stderr
    assert (folder / "DICOMDIR").read_bytes() == before
    assert index(folder, "--id", "SECOND", "--replace").exit_code == 0
    assert dcmread(folder / "DICOMDIR").FileSetID == "SECOND"


def test_the_same_instance_twice_is_listed_once(tmp_path: Path) -> None:
    shutil.copyfile(CT, tmp_path / "A")
    shutil.copyfile(CT, tmp_path / "B")
    told = document(tmp_path)
    assert (told["added"], told["already_there"]) == (1, 1)
    (instance,) = PydicomFileSet(tmp_path / "DICOMDIR")
    assert instance.path == str(tmp_path / "A")


def test_a_folder_without_instances_gets_no_dicomdir(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing here")
    result = index(tmp_path)
    assert result.exit_code == 1
    assert "no DICOMDIR was made" in result.stdout
    assert not (tmp_path / "DICOMDIR").exists()


def test_a_link_that_leads_out_of_the_folder_is_rejected(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    shutil.copyfile(CT, root / "CT")
    (root / "LINK").symlink_to(root / "hidden")
    shutil.copyfile(MR, root / "hidden")
    shutil.copyfile(RT_DOSE, tmp_path / "outside")
    (root / "OUT").symlink_to(tmp_path / "outside")
    result = index(root, "--complete")
    assert "OUT: it is a link that leads elsewhere" in result.stderr
    assert [Path(i.path).name for i in FileSet(root / "DICOMDIR")] == ["CT", "LINK"]


def test_wrong_use_is_told(tmp_path: Path) -> None:
    assert index(tmp_path / "missing").exit_code == 3
    assert index(tmp_path, "--keep", tmp_path / "inside").exit_code == 2
    assert index(tmp_path, "--include", "PatientsID=1").exit_code == 2
    assert not (tmp_path / "inside").exists()


def test_what_is_indexed_can_be_edited_afterwards(folder: Path, tmp_path: Path) -> None:
    index(folder, "--keep", tmp_path / "repository")
    fs = FileSet.open(tmp_path / "repository")
    fs.remove(fs.find(PatientID="77654033"))
    fs.write(layout="existing")
    assert len(PydicomFileSet(folder / "DICOMDIR")) == 24
    fs.undo()
    fs.write(layout="existing")
    assert len(PydicomFileSet(folder / "DICOMDIR")) == 31
    assert fs.verify() == []
