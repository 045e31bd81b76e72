"""Who drops a File-set or fails to get one leaves no file open: pydicom's users never close one."""

from __future__ import annotations

import gc
from contextlib import suppress
from pathlib import Path

import pytest
from pydicom import examples

from fileset import FileSet
from fileset.errors import RepositoryError
from fileset.repository.repository import Repository

CT, MR = (Path(examples.get_path(name)) for name in ("ct", "mr"))
DESCRIPTORS = Path("/proc/self/fd")

pytestmark = pytest.mark.skipif(not DESCRIPTORS.exists(), reason="descriptors can't be named")


def opened_in(folder: Path) -> set[str]:
    """Return the files below `folder` that this process has open."""
    found = set()
    for descriptor in DESCRIPTORS.iterdir():
        with suppress(FileNotFoundError):  # the one that lists the folder
            found.add(str(descriptor.readlink()))
    return {path for path in found if path.startswith(str(folder))}


def use(files: FileSet, root: Path) -> None:
    """Have the journal, the index and a pack opened."""
    files.add_many([CT, MR])
    files.write(root)
    files.remove(next(iter(files)))
    files.write()
    files.undo()
    assert [len(instance.load().PatientID) > 0 for instance in files] == [True, True]


def test_a_file_set_that_is_dropped_leaves_no_file_open(tmp_path: Path) -> None:
    files = FileSet(repository=tmp_path / "repo")
    use(files, tmp_path / "root")
    assert len(opened_in(tmp_path / "repo")) > 1
    del files
    gc.collect()
    assert opened_in(tmp_path) == set()


def test_so_does_one_that_is_kept_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    files = FileSet()
    use(files, tmp_path / "root")
    assert opened_in(tmp_path) != set()
    del files
    gc.collect()
    assert opened_in(tmp_path) == set()
    assert [path.name for path in tmp_path.iterdir()] == ["root"]


def test_a_file_set_that_can_not_be_adopted_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with FileSet() as files:
        use(files, tmp_path / "root")

    def fail(*_: object) -> None:
        raise RuntimeError("something is wrong")

    monkeypatch.setattr("fileset.adoption.adopt.Adoption.run", fail)
    with pytest.raises(RuntimeError, match="wrong") as refused:
        FileSet(tmp_path / "root" / "DICOMDIR", repository=tmp_path / "repo")
    assert opened_in(tmp_path) == set()  # although the traceback still knows all that was made
    del refused


def test_a_repository_with_the_journal_of_another_leaves_no_file_open(tmp_path: Path) -> None:
    for name in ("one", "other"):
        FileSet(repository=tmp_path / name).close()
    (tmp_path / "other" / "journal.sqlite").replace(tmp_path / "one" / "journal.sqlite")
    with pytest.raises(RepositoryError, match="another repository's") as refused:
        Repository.open(tmp_path / "one")
    assert opened_in(tmp_path) == set()
    del refused


def test_a_file_set_that_fails_to_close_leaves_no_file_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = FileSet(repository=tmp_path / "repo")
    use(files, tmp_path / "root")

    def fail(_: object) -> None:
        raise RuntimeError("the summary can't be made")

    monkeypatch.setattr("fileset.repository.states.summarise", fail)
    with pytest.raises(RuntimeError, match="summary") as failed:
        files.close()
    assert opened_in(tmp_path) == set()
    del failed
