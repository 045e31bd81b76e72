"""`fileset index`: a DICOMDIR for a folder of instances, where they lie."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from cli_runs import run
from click.testing import CliRunner, Result
from folding_disk import folding
from pydicom import dcmread, examples
from pydicom.fileset import FileSet as PydicomFileSet
from stopping import killed_at

from fileset import FileSet
from fileset.adoption.index_journal import indexing
from fileset.cli import main
from fileset.medium.dicomdir import dicomdirs_at

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
    assert "ct.dcm: 'ct.dcm' is not a File ID" in result.stderr
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


def tree(root: Path) -> dict[str, bytes]:
    return {p.relative_to(root).as_posix(): p.read_bytes() for p in root.rglob("*") if p.is_file()}


NAMES = ("DICOMDIR", "dicomdir", "DICOMDIR;1", "DICOMDIR.", "DICOMDIR.dcm", "dicomdir.;1")


@pytest.mark.parametrize("how", ["--repo", "FILESET_REPO", "upwards"])
@pytest.mark.parametrize("has_dicomdir", [True, False])
def test_the_medium_of_the_repository_at_hand_is_not_indexed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, has_dicomdir: bool
) -> None:
    archive, medium = tmp_path / "archive", tmp_path / "medium"
    run("init", archive)
    run("--repo", archive, "add", CT)
    run("--repo", archive, "write", medium)
    if not has_dicomdir:
        (medium / "DICOMDIR").unlink()
    before = sorted(medium.rglob("*"))
    if how == "FILESET_REPO":
        monkeypatch.setenv("FILESET_REPO", str(archive))
    elif how == "upwards":
        monkeypatch.chdir(archive / "vault")
    options = ["--repo", archive] if how == "--repo" else []
    told = run(*options, "index", medium, "--replace", code=3).err
    assert f"{medium} is the medium of the repository {archive}" in told
    assert sorted(medium.rglob("*")) == before
    (tmp_path / "other").mkdir()
    shutil.copyfile(CT, tmp_path / "other" / "CT")
    run("index", tmp_path / "other")


@pytest.mark.parametrize("rename", [[], ["--rename"]])
@pytest.mark.parametrize("where", ["Patient CD", "CD1", "x/y z/cd"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_set_in_a_folder_of_this_one_is_left_alone_and_told(
    folder: Path, tmp_path: Path, where: str, name: str, rename: list[str]
) -> None:
    root = tmp_path / "desk"
    nested = root / where
    shutil.copytree(folder, nested)
    index(nested)
    (nested / "DICOMDIR").rename(nested / name)
    shutil.copyfile(MR, root / ("MR" if not rename else "loose one.dcm"))
    before = tree(nested)
    told = index(root, *rename)
    assert (told.exit_code, tree(nested)) == (0, before)
    assert f"{nested}: skipped: a File-set of its own" in told.stderr
    assert "found 2 = 1 added" in told.stdout
    assert len(PydicomFileSet(root / "DICOMDIR")) == 1


def test_the_medium_of_a_repository_in_a_folder_of_this_one_is_left_alone(tmp_path: Path) -> None:
    root, repository = tmp_path / "desk", tmp_path / "r"
    run = partial(CliRunner().invoke, main)
    run(["init", str(repository)])
    run(["--repo", str(repository), "add", str(CT)])
    run(["--repo", str(repository), "write", str(root / "my medium")])
    shutil.copyfile(MR, root / "loose one.dcm")
    assert index(root, "--rename").exit_code == 0
    assert run(["--repo", str(repository), "verify"]).exit_code == 0


@pytest.mark.parametrize("name", NAMES)
def test_a_file_set_is_not_taken_apart_where_its_own_dicomdir_has_another_name(
    folder: Path, name: str
) -> None:
    index(folder)
    (folder / "DICOMDIR").rename(folder / name)
    (folder / "77654033" / "CR1" / "6154").rename(folder / "77654033" / "CR1" / "6154.dcm")
    before = tree(folder)
    told = index(folder, "--rename")
    assert (told.exit_code, tree(folder)) == (3, before)
    assert f"--from {folder / name}" in told.stderr
    assert index(folder, "--rename", "--replace").exit_code == 0


def test_a_folder_called_dicomdir_is_no_dicomdir(folder: Path) -> None:
    inner = folder / "X" / "DICOMDIR" / "SCANS"
    inner.mkdir(parents=True)
    shutil.copyfile(MR, inner / "one.dcm")
    assert index(inner, "--rename").exit_code == 0
    (inner / "DICOMDIR").unlink()
    told = index(folder)
    assert (told.exit_code, told.stderr) == (0, "")


@pytest.mark.parametrize("options", [[], ["--rename"], ["--rename", "--keep"]])
def test_files_in_a_folder_that_some_media_take_for_the_dicomdir_are_rejected(
    tmp_path: Path, options: list[str]
) -> None:
    root = tmp_path / "root"
    for folder, file in (("dicomdir", CT), ("DICOMDIR.DCM", MR)):
        (root / folder).mkdir(parents=True)
        shutil.copyfile(file, root / folder / "IM1")
    shutil.copyfile(RT_DOSE, root / "RT")
    kept = [str(tmp_path / "repository")] if "--keep" in options else []
    told = index(root, "--complete", *options, *kept)
    assert told.exit_code == 1
    assert "dicomdir/IM1: it is in a folder that some media take for the DICOMDIR" in told.stderr
    assert len(PydicomFileSet(root / "DICOMDIR")) == 1 + bool(options)
    assert (root / "dicomdir" / "IM1").read_bytes() == CT.read_bytes()
    for repository in kept:
        with FileSet.open(repository) as fs:
            assert fs.verify() == []


LINKS = {"a loop": "DICOMDIR", "nowhere": "x" * 300, "a folder": "."}


@pytest.mark.parametrize("target", LINKS.values(), ids=LINKS)
def test_a_link_called_dicomdir_in_a_folder_ends_nothing(folder: Path, target: str) -> None:
    (folder / "X").mkdir()
    (folder / "X" / "DICOMDIR").symlink_to(target)
    (folder / "Y").mkdir()
    (folder / "Y" / "repository.toml").symlink_to(target)
    assert "Indexed 31 instances" in index(folder).stdout
    told = CliRunner().invoke(main, ["verify", str(folder)])
    assert told.exit_code == 0
    assert "31 referenced files checked: 0 errors" in told.stdout


@pytest.mark.parametrize("name", NAMES)
def test_a_folder_of_another_file_set_is_not_renamed_from_under_its_dicomdir(
    folder: Path, name: str
) -> None:
    (folder / "77654033" / "CR1" / "6154").rename(folder / "77654033" / "CR1" / "6154.dcm")
    index(folder)
    (folder / "DICOMDIR").rename(folder / name)
    before = tree(folder)
    told = index(folder / "77654033", "--rename")
    assert (told.exit_code, tree(folder)) == (3, before)
    assert "is in the File-set at" in told.stderr


def test_a_folder_that_no_dicomdir_above_names_files_of_is_renamed(folder: Path) -> None:
    index(folder)
    (folder / "new ones").mkdir()
    shutil.copyfile(CT, folder / "new ones" / "ct one.dcm")
    assert index(folder / "new ones", "--rename").exit_code == 0


RENAMING = [
    ("link", 1),
    ("link", 2),
    ("replace", 1),
    ("rename", 1),
    ("rename", 2),
    ("unlink", 1),
    ("unlink", 2),
]


def killed(call: str, number: int, *arguments: object) -> bool:
    """Index in a process that dies at the `number`th `call` on the root; whether it did."""
    real = getattr(os, call)

    def die(*given: object, **options: object) -> object:
        nonlocal number
        number -= "root" in str(given[-1])
        if not number:
            os._exit(9)
        return real(*given, **options)

    def act() -> None:
        setattr(os, call, die)
        index(*arguments)

    return not killed_at(0, act)


@pytest.mark.parametrize("option", ["", "--replace", "--keep"])
@pytest.mark.parametrize(("call", "number"), RENAMING)
def test_a_renaming_that_was_killed_is_completed_when_it_is_given_again(
    tmp_path: Path, call: str, number: int, option: str
) -> None:
    root, keep = tmp_path / "root", tmp_path / "repository"
    (root / "a scan").mkdir(parents=True)
    shutil.copyfile(CT, root / "a scan" / "ct one.dcm")
    shutil.copyfile(MR, root / "a scan" / "mr one.dcm")
    shutil.copyfile(EXAMPLE.parent / "77654033" / "CR1" / "6154", root / "CR")
    if option == "--replace":
        index(root)
    options = {"": [], "--replace": ["--replace"], "--keep": ["--keep", keep]}[option]
    assert killed(call, number, root, "--rename", *options)
    told = document(root, "--rename", *options)
    assert (told["added"], len(told["renamed"])) == (3, 2)  # type: ignore[arg-type]
    assert CliRunner().invoke(main, ["verify", str(root)]).exit_code == 0
    assert len([path for path in root.rglob("*") if path.is_file()]) == 4
    if option == "--keep":
        with FileSet.open(keep) as fs:
            assert len(fs) == 3
            assert fs.verify() == []


@pytest.mark.parametrize("option", [[], ["--rename"]])
def test_a_folder_is_indexed_by_one_at_a_time(folder: Path, option: list[str]) -> None:
    before = stats(folder)
    with indexing(folder):
        told = index(folder, *option)
    assert told.exit_code == 3
    assert f"Another `fileset index` is at work in {folder}" in told.stderr
    assert stats(folder) == before
    assert index(folder, *option).exit_code == 0


def test_a_repository_that_is_no_interrupted_index_is_refused_as_ever(
    folder: Path, tmp_path: Path
) -> None:
    keep = tmp_path / "repository"
    index(folder, "--keep", keep)
    for options in ([], ["--rename"]):
        told = index(folder, "--keep", keep, *options)
        assert told.exit_code == 3


def test_what_an_interrupted_write_left_is_not_indexed(folder: Path) -> None:
    left = folder / ".DICOMDIR-0123456789abcdef.files" / "files"
    left.mkdir(parents=True)
    shutil.copyfile(CT, left / "00000002")
    told = index(folder, "--rename")
    assert "skipped: what an interrupted write left" in told.stderr
    assert (left / "00000002").read_bytes() == CT.read_bytes()


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


@pytest.mark.parametrize("both", [False, True])
@pytest.mark.parametrize("options", [[], ["--rename"]])
@pytest.mark.parametrize("name", NAMES[1:])
def test_replace_leaves_one_dicomdir_whatever_form_the_name_of_the_other_one_had(
    folder: Path, name: str, options: list[str], *, both: bool
) -> None:
    index(folder, "--id", "FIRST")
    (folder / "DICOMDIR").rename(folder / name)
    if both:
        shutil.copyfile(folder / name, folder / "DICOMDIR")
    assert index(folder, "--id", "SECOND", "--replace", *options).exit_code == 0
    assert dicomdirs_at(folder) == ["DICOMDIR"]
    assert dcmread(folder / "DICOMDIR").FileSetID == "SECOND"
    told = CliRunner().invoke(main, ["verify", str(folder)])
    assert (told.exit_code, "stray-dicomdir" in told.stdout) == (0, False)


def test_what_only_has_a_name_of_the_dicomdir_is_not_replaced(tmp_path: Path) -> None:
    shutil.copyfile(CT, tmp_path / "A")
    shutil.copyfile(MR, tmp_path / "dicomdir.dcm")
    (tmp_path / "dicomdir.").write_text("notes")
    assert index(tmp_path, "--replace").exit_code == 0
    assert (tmp_path / "dicomdir.dcm").read_bytes() == MR.read_bytes()
    assert (tmp_path / "dicomdir.").read_text() == "notes"


def test_where_no_instance_is_found_the_other_dicomdir_stays(tmp_path: Path) -> None:
    shutil.copyfile(EXAMPLE, tmp_path / "dicomdir")
    assert index(tmp_path, "--replace").exit_code == 1
    assert (tmp_path / "dicomdir").read_bytes() == EXAMPLE.read_bytes()


def test_replace_on_a_disk_where_such_names_are_one_replaces_the_one_file(tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    shutil.copyfile(CT, root / "A")
    shutil.copyfile(EXAMPLE, root / "dicomdir")
    with folding(root):
        assert index(root, "--replace").exit_code == 0
    (there,) = dicomdirs_at(root)
    assert (root / there).read_bytes() != EXAMPLE.read_bytes()


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
    assert "OUT: it is a link that leads out of the folder" in result.stderr
    assert [Path(i.path).name for i in FileSet(root / "DICOMDIR")] == ["CT", "LINK"]


def test_wrong_use_is_told(tmp_path: Path) -> None:
    assert index(tmp_path / "missing").exit_code == 2
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


@pytest.mark.parametrize("options", [[], ["--rename"]])
def test_a_folder_that_can_t_be_written_to_is_refused_with_what_to_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and real(path, mode))
    told = index(folder, *options)
    assert told.exit_code == 3
    assert f"{folder} can't be written to" in told.stderr
    assert "`fileset write`" in told.stderr


def test_indexing_passes_over_what_the_system_leaves_in_folders(tmp_path: Path) -> None:
    root = tmp_path / "stick"
    root.mkdir()
    shutil.copy(examples.get_path("ct"), root / "CT")
    for name in (".DS_Store", "Thumbs.db", "NOTES"):
        (root / name).write_bytes(b"no DICOM")
    told = run("index", root, "--ignore", "notes")
    assert told.err == "Passed over 3 by name: .DS_Store, NOTES, Thumbs.db\n"
    assert [Path(each.path).name for each in PydicomFileSet(root / "DICOMDIR")] == ["CT"]
    assert (
        run("index", root, "--replace", "--no-ignore", "--json", code=1).document["not_dicom"] == 3
    )
