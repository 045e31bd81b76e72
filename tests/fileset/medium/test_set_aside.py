"""`write(path, replace=True)`: what lies at the path is set aside, whatever it is."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest
from cli_runs import CT, MR, beside, copy_of_example

from fileset import ContentMissingError, FileSet, MediumError
from ledger.errors import LedgerError


def files(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in root.rglob("*") if p.is_file()}


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """Another File-set, and a file of somebody else's on it."""
    root = copy_of_example(tmp_path / "medium").parent
    (root / "README.TXT").write_text("not ours")
    return root


def test_another_file_set_is_set_aside_whole(other: Path, tmp_path: Path) -> None:
    before = files(other)
    fs = FileSet()
    fs.add(CT)
    with pytest.raises(MediumError, match="holds another File-set"):
        fs.write(other)
    aside = tmp_path / "medium.replaced-1"
    with pytest.warns(UserWarning, match=f"^What was at {other} is at {aside} now"):
        fs.write(other, replace=True)
    assert files(aside) == before
    assert set(files(other)) == {"DICOMDIR", "PT000000/ST000000/SE000000/IM000000"}
    assert fs.verify() == []
    fs.add(MR)
    fs.write(replace=True)  # it is this File-set's by now
    assert len(FileSet(other / "DICOMDIR")) == 2
    assert beside(other) == {"medium", "medium.replaced-1"}


def test_a_script_that_writes_to_the_same_folder_each_night_can_be_run_again(
    tmp_path: Path,
) -> None:
    for _ in range(3):
        fs = FileSet()
        fs.add(CT)
        with warnings.catch_warnings(action="ignore"):
            fs.write(tmp_path / "medium", replace=True)
    assert beside(tmp_path / "medium") == {"medium", "medium.replaced-1", "medium.replaced-2"}


@pytest.mark.parametrize("there", ["nothing", "an empty folder"])
def test_where_nothing_lies_nothing_is_set_aside(there: str, tmp_path: Path) -> None:
    root = tmp_path / "medium"
    if there == "an empty folder":
        root.mkdir()
    fs = FileSet()
    fs.add(CT)
    fs.write(root, replace=True)
    assert beside(root) == {"medium"}


def test_files_that_are_no_file_set_are_set_aside_as_well(tmp_path: Path) -> None:
    root = tmp_path / "medium"
    (root / "PT000000").mkdir(parents=True)
    (root / "PT000000" / "note").write_text("not ours")
    fs = FileSet()
    fs.add(CT)
    with pytest.warns(UserWarning, match="What was at"):
        fs.write(root, replace=True)
    assert files(tmp_path / "medium.replaced-1") == {"PT000000/note": b"not ours"}


def test_a_new_home_can_take_the_place_of_something(other: Path, tmp_path: Path) -> None:
    fs = FileSet()
    fs.add(CT)
    fs.write(tmp_path / "first")
    with pytest.warns(UserWarning, match="What was at"):
        fs.write(other, new_medium=True, replace=True)
    assert (tmp_path / "first" / "DICOMDIR").is_file()
    assert fs.path == str(other)


def test_a_write_that_fails_puts_it_back(
    other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = files(other)
    fs = FileSet()
    fs.add(CT)

    def fail(*_: object, **__: object) -> None:
        raise ContentMissingError("gone")

    with monkeypatch.context() as broken:
        broken.setattr("fileset.medium.write.Writer.write", fail)
        with pytest.raises(ContentMissingError):
            fs.write(other, replace=True)
    assert files(other) == before
    assert beside(other) == {"medium"}

    def half(*_: object, **__: object) -> None:
        other.mkdir()
        (other / "something").touch()
        fail()

    with monkeypatch.context() as broken:
        broken.setattr("fileset.medium.write.Writer.write", half)
        with pytest.raises(ContentMissingError) as told:
            fs.write(other, replace=True)
    aside = tmp_path / "medium.replaced-1"
    assert told.value.__notes__ == [f"What was at {other} before is at {aside}."]
    assert files(aside) == before


@pytest.mark.parametrize("what", ["a link", "the top", "a file", "a repository", "own medium"])
def test_what_can_t_be_set_aside_stays_and_is_told(other: Path, tmp_path: Path, what: str) -> None:
    fs = FileSet()
    fs.add(CT)
    root = {"the top": Path("/"), "a file": other / "README.TXT"}.get(what, tmp_path / "linked")
    if what == "a link":
        root.symlink_to(other)
    if what == "a repository":
        root = tmp_path
        fs = FileSet(repository=tmp_path / "kept")
        fs.add(CT)
    if what == "own medium":
        fs.write(tmp_path / "linked" / "inner")
    before = files(tmp_path)
    with pytest.raises(LedgerError, match=r"link|top of|is not a folder|handed out|overlap"):
        fs.write(root, replace=True, new_medium=what == "own medium")
    assert files(tmp_path).keys() == before.keys()


@pytest.mark.parametrize("below", ["", "inner", "inner/deep"])
@pytest.mark.parametrize("what", ["works in", "home folder", "the repository"])
def test_where_people_and_programs_find_what_is_theirs_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, below: str
) -> None:
    theirs = tmp_path / "root" / below
    if what == "the repository":
        FileSet(repository=theirs).close()  # not the one that is written
    else:
        theirs.mkdir(parents=True)
        (theirs / "note").touch()
    if what == "works in":
        monkeypatch.chdir(theirs)
    if what == "home folder":
        monkeypatch.setenv("HOME", str(theirs))
    before = files(tmp_path)
    fs = FileSet()
    fs.add(CT)
    for root in (tmp_path / "root", Path(os.path.relpath(tmp_path / "root"))):
        with pytest.raises(MediumError, match=what):
            fs.write(root, replace=True)
    assert files(tmp_path) == before
    assert beside(tmp_path / "root") == {"root"}


def test_an_interrupted_write_is_completed_and_not_set_aside(
    other: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise KilledError

    fs = FileSet(repository=tmp_path / "kept")
    fs.add(CT)
    with monkeypatch.context() as killed, warnings.catch_warnings(action="ignore"):
        killed.setattr("fileset.medium.materializer.Materializer.run", kill)
        with pytest.raises(KilledError):
            fs.write(other, replace=True)
    with warnings.catch_warnings(action="ignore"):
        fs.write(other, replace=True)
    assert fs.verify() == []
    assert len(FileSet(other / "DICOMDIR")) == 1
    assert beside(other) == {"kept", "medium", "medium.replaced-1"}
