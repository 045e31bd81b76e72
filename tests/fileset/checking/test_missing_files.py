"""Files that a check misses: whose they are, and the names that they may have instead."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_runs import run
from media_damage import Medium
from pydicom import examples

from fileset.checking.conformance import examine_root
from projections.dicomdir.findings import FindingKind


@pytest.fixture
def medium(tmp_path: Path) -> Medium:
    """A copy of the File-set that pydicom ships."""
    there = Path(examples.get_path("dicomdir")).parent
    for folder in ("77654033", "98892001", "98892003"):
        shutil.copytree(there / folder, tmp_path / "medium" / folder)
    shutil.copy(there / "DICOMDIR", tmp_path / "medium")
    return Medium(tmp_path / "medium")


def test_a_missing_file_is_told_with_its_patient_and_series(medium: Medium) -> None:
    (medium.root / "77654033" / "CR1" / "6154").unlink()
    (found,) = examine_root(medium.root).findings
    assert "of patient '77654033' (Doe^Archibald), series '1' (CR)" in found.message
    assert "There is" not in found.message


@pytest.mark.parametrize(
    ("there", "advice"),
    [
        ("6154.dcm", "There is 77654033/CR1/6154.dcm: if it is that file, rename it."),
        ("6154.DCM;1", "There is 77654033/CR1/6154.DCM;1: if it is that file"),
        ("6154;1", "There is 77654033/CR1/6154;1: if it is that file"),
        ("6154.;1", "There is 77654033/CR1/6154.;1: if it is that file"),
        ("6154.", "There is 77654033/CR1/6154.: if it is that file"),
        ("6154..", "There is 77654033/CR1/6154..: if it is that file"),
        ("../cr1/6154", "There is 77654033/cr1/6154: mount the medium so that names keep"),
        ("../Cr1.;1/6154.dcm", "There is 77654033/Cr1.;1/6154.dcm: if it is that file"),
        ("61541", None),
        ("6154.txt", None),
        ("6154.dcm.exe", None),
    ],
)
def test_a_missing_file_that_has_another_name_is_hinted_at(
    medium: Medium, there: str, advice: str | None
) -> None:
    folder = medium.root / "77654033" / "CR1"
    other = folder / there
    if there.startswith(".."):
        folder.rename(folder.parent / there.split("/")[1])
        other = folder.parent / there[3:]
        (other.parent / "6154").rename(other)
    else:
        (folder / "6154").rename(other)
    (found,) = [f for f in examine_root(medium.root).findings if f.kind is FindingKind.FILE_MISSING]
    if advice is None:
        assert "There is" not in found.message
    else:
        assert advice in found.message


def test_of_two_files_that_may_be_the_missing_one_none_is_hinted_at(medium: Medium) -> None:
    folder = medium.root / "77654033" / "CR1"
    shutil.copy(folder / "6154", folder / "6154.dcm")
    (folder / "6154").rename(folder / "6154.;1")
    (found,) = [f for f in examine_root(medium.root).findings if f.kind is FindingKind.FILE_MISSING]
    assert "There is" not in found.message


@pytest.mark.parametrize("name", ["dicomdir", "DICOMDIR.;1", "Dicomdir.", "DICOMDIR;1"])
def test_a_dicomdir_that_has_another_name_is_hinted_at(medium: Medium, name: str) -> None:
    medium.dicomdir.rename(medium.root / name)
    (found,) = examine_root(medium.root).findings
    assert f"There is {name}: " in found.message


def test_the_check_of_a_repository_tells_whose_a_missing_file_is_and_what_may_be_it(
    medium: Medium, tmp_path: Path
) -> None:
    run("init", tmp_path / "r", "--from", medium.dicomdir)
    file = medium.root / "77654033" / "CR1" / "6154"
    file.rename(file.with_name("6154.dcm"))
    told = run("--repo", tmp_path / "r", "verify", code=1).out
    assert "6154 is missing, of patient '77654033' (Doe^Archibald), series '1' (CR)." in told
    assert "There is 77654033/CR1/6154.dcm: if it is that file, rename it." in told
