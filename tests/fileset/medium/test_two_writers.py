"""Two who write to one folder at once, and what somebody puts there meanwhile."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from models import Author
from pydicom import examples
from pydicom.fileset import FileSet as PydicomFileSet

from fileset import FileSet
from fileset.medium import dicomdir, freeing
from fileset.medium.errors import WriteFailedError
from fileset.medium.export import Exporter
from fileset.medium.made_files import MadeFiles
from fileset.medium.materializer import Materializer
from ledger.disk import abandoned_folder, held_folder
from ledger.vault.vault import PackVault

EXAMPLE = examples.get_path("dicomdir").parent
CT = tuple(str(EXAMPLE / "77654033/CT2" / name) for name in ("17106", "17136", "17166"))
MR = str(EXAMPLE / "98892003/MR1/15820")


def files(root: Path) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


@pytest.fixture
def fs(tmp_path: Path) -> FileSet:
    made = FileSet(repository=tmp_path / "repository")
    made.add_many(CT)
    return made


@pytest.fixture
def swapping(fs: FileSet, tmp_path: Path) -> FileSet:
    """A File-set on a medium, whose next write gives the File ID of one to another."""
    fs.add(MR)
    fs.write(tmp_path / "medium")
    fs.remove(fs.find(InstanceNumber=next(iter(fs)).InstanceNumber))
    return fs


# --- names of one's own --------------------------------------------------------------------------


def test_two_writers_of_the_same_have_no_private_name_in_common(
    fs: FileSet, tmp_path: Path
) -> None:
    shutil.copytree(tmp_path / "repository", tmp_path / "other")
    seen: list[set[str]] = []
    for name in ("repository", "other"):
        root = tmp_path / "medium"
        own: set[str] = set()

        def look(_: int, __: int, own: set[str] = own, root: Path = root) -> None:
            own |= {path.name for path in root.glob(".DICOMDIR*")}

        with FileSet.open(tmp_path / name) as each:
            each.write(root, progress=look)
        seen.append(own)
        shutil.rmtree(root)
    assert seen[0]
    assert seen[1]
    assert not seen[0] & seen[1]


@pytest.mark.parametrize("is_there", [True, False])
def test_of_two_copies_into_one_folder_at_once_both_are_done(
    fs: FileSet, tmp_path: Path, *, is_there: bool
) -> None:
    target, others = tmp_path / "copy", FileSet.open(tmp_path / "repository")
    if is_there:
        target.mkdir()
    done: list[int] = []

    def meanwhile(number: int, _: int) -> None:
        if number == 1:
            Exporter(others.repository).export(target, others.state)
            done.append(number)

    try:
        Exporter(fs.repository).export(target, fs.state, progress=meanwhile)
    except WriteFailedError as exc:
        assert "someone else has put" in str(exc)  # noqa: PT017 - either is right
        assert "Nothing was changed" in str(exc)  # noqa: PT017
    assert done
    assert len(PydicomFileSet(target / "DICOMDIR")) == 3
    assert not list(target.glob(".DICOMDIR*"))


def test_many_copies_into_one_folder_never_fail_for_want_of_a_file(
    fs: FileSet, tmp_path: Path
) -> None:
    told: list[str] = []

    def copy(target: Path) -> None:
        with FileSet.open(tmp_path / "repository") as each:
            try:
                each.copy(target)
            except Exception as exc:  # noqa: BLE001 - whatever it is, it is told
                told.append(str(exc))

    for number in range(6):
        target = tmp_path / f"copy{number}"
        if number % 2:
            target.mkdir()
        threads = [threading.Thread(target=copy, args=(target,)) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(PydicomFileSet(target / "DICOMDIR")) == 3
    assert not [each for each in told if "No such file" in each or "Errno" in each], told


def test_an_export_stays_off_a_dicomdir_that_somebody_puts_in_its_place(
    fs: FileSet, tmp_path: Path
) -> None:
    target, theirs = tmp_path / "copy", (EXAMPLE / "DICOMDIR").read_bytes()
    target.mkdir()

    def meanwhile(_: int, __: int) -> None:
        (target / "DICOMDIR").write_bytes(theirs)

    with pytest.raises(WriteFailedError, match="someone else has put another DICOMDIR"):
        Exporter(fs.repository).export(target, fs.state, progress=meanwhile)
    assert files(target) == {"DICOMDIR": theirs}


def test_a_copy_that_was_killed_is_cleared_and_one_at_work_is_not(
    fs: FileSet, tmp_path: Path
) -> None:
    target = tmp_path / "copy"
    target.mkdir()

    def killed(_: MadeFiles, __: Any = ()) -> bool:
        return False

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(MadeFiles, "roll_back", killed)
        patch.setattr(Materializer, "_commit", lambda *_: (_ for _ in ()).throw(OSError()))
        with pytest.raises(WriteFailedError):
            Exporter(fs.repository).export(target, fs.state)
    (left,) = target.glob(".DICOMDIR*")
    with held_folder(left):
        Exporter(fs.repository).export(target, fs.state)
        assert left.exists()
    Exporter(fs.repository).export(target, fs.state)
    assert not left.exists()


def test_a_folder_taken_for_abandoned_before_it_was_locked_is_made_again(tmp_path: Path) -> None:
    made, real, left = tmp_path / "made", os.open, [1]

    def removed_first(path: Any, *arguments: Any, **options: Any) -> int:
        if left and Path(path) == made:
            left.pop()
            made.rmdir()
        return real(path, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "open", removed_first)
        with held_folder(made):
            patch.undo()
            assert made.is_dir()
            with abandoned_folder(made) as is_abandoned:
                assert not is_abandoned
    with abandoned_folder(made) as is_abandoned:
        assert is_abandoned


# --- between the interim and the final DICOMDIR --------------------------------------------------


@pytest.mark.parametrize("what", ["another", "none"])
def test_a_dicomdir_that_somebody_puts_in_place_of_the_interim_one_stays(
    swapping: FileSet, tmp_path: Path, what: str
) -> None:
    root, theirs = tmp_path / "medium", (EXAMPLE / "DICOMDIR").read_bytes()
    settle = Materializer._place_contested

    def meanwhile(self: Materializer) -> None:
        settle(self)
        (root / "DICOMDIR").unlink()
        if what == "another":
            (root / "DICOMDIR").write_bytes(theirs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Materializer, "_place_contested", meanwhile)
        with pytest.raises(WriteFailedError, match="someone else has put another DICOMDIR") as told:
            swapping.write()
    assert "fileset write --repair" in str(told.value)
    assert (root / "DICOMDIR").exists() == (what == "another")
    if what == "another":
        assert (root / "DICOMDIR").read_bytes() == theirs
        (root / "DICOMDIR").unlink()
    swapping.write(repair=True)
    assert swapping.verify() == []
    assert not list(root.glob("STG*"))


# --- what a rollback leaves ----------------------------------------------------------------------


def test_a_file_that_a_dicomdir_names_in_another_case_is_not_rolled_back(tmp_path: Path) -> None:
    made = MadeFiles(str(tmp_path), str(tmp_path / "tree"), durable=False, resume=False)
    for name in ("im1", "im2", "im3"):
        with made.created(str(tmp_path / name)):
            pass
    # Two names of one file stand for a medium that does not tell cases apart.
    (tmp_path / "IM1").hardlink_to(tmp_path / "im1")
    (tmp_path / "IM2").write_bytes(b"a file of its own, where cases are told apart")
    made.roll_back({str(tmp_path / name) for name in ("IM1", "IM2", "im3")})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["IM1", "IM2", "im1", "im3"]


# --- File IDs that are freed ---------------------------------------------------------------------

STRANGER = b"somebody's only copy"


def arriving(path: Path, when: Callable[[str], bool]) -> Callable[..., None]:
    """Have somebody put a file at `path` right before that is taken away."""
    real, left = os.rename, [1]

    def rename(source: Any, target: Any) -> None:
        if left and os.fspath(source) == os.fspath(path) and when(os.fspath(target)):
            left.pop()
            path.unlink()
            path.write_bytes(STRANGER)
        real(source, target)

    return rename


def is_freed(target: str) -> bool:
    return "/freed/" in target


@pytest.mark.parametrize("links", [True, False])
def test_a_file_put_at_a_file_id_right_before_it_is_freed_comes_back(
    swapping: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, links: bool
) -> None:
    instance = next(i for i in swapping.pending.removals)
    path = tmp_path / "medium" / str(instance.FileID)
    monkeypatch.setattr(os, "rename", arriving(path, is_freed))
    if not links:
        monkeypatch.setattr(os, "link", no_links)
    swapping.write(layout="existing")
    assert path.read_bytes() == STRANGER
    assert not list((tmp_path / "medium").glob(".DICOMDIR*"))


def no_links(*_: Any, **__: Any) -> None:
    raise OSError(errno.EPERM, "no links")


def test_a_file_put_where_a_staged_one_belongs_comes_back_and_the_write_can_be_completed(
    swapping: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = next(i for i in swapping.pending.removals)
    path = tmp_path / "medium" / str(instance.FileID)
    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", arriving(path, is_freed))
        with pytest.raises(WriteFailedError, match=f"{path} is not part of the File-set"):
            swapping.write()
    assert path.read_bytes() == STRANGER
    path.rename(tmp_path / "moved away")
    swapping.write()
    assert swapping.verify() == []


def test_a_kill_before_a_file_was_looked_at_loses_nothing(
    swapping: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    instance = next(i for i in swapping.pending.removals)
    path = tmp_path / "medium" / str(instance.FileID)

    class _Killed(BaseException):
        pass

    def killed(*_: Any) -> bool:
        raise _Killed

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", arriving(path, is_freed))
        patch.setattr(freeing.FreedFiles, "_is_kept", killed)
        patch.setattr(freeing, "is_file_at", lambda *_: False)
        with pytest.raises(_Killed):
            swapping.write(layout="existing")
    assert not path.exists()
    swapping.write(layout="existing")
    assert path.read_bytes() == STRANGER
    assert not list((tmp_path / "medium").glob(".DICOMDIR*"))


def test_a_file_that_is_at_its_place_and_taken_away_is_freed_by_the_next_write(
    tmp_path: Path,
) -> None:
    """As a kill leaves it while it is put back, and a power failure while it is taken away.

    Both names are of one file then, and to rename one to the other does nothing.
    """
    root, folder = tmp_path / "medium", tmp_path / "freed"
    path, freed = root / "A" / "B", folder / "A" / "B"
    for each in (path, freed):
        each.parent.mkdir(parents=True)
    path.write_bytes(b"an instance that the vault lacks")
    os.link(path, freed)
    os.link(path, root / "C")
    author = Author().run([("add", 0, 0, 0)])
    (leaf,) = author.state.live.values()
    with closing(PackVault(tmp_path / "vault", tmp_path / "index")) as vault:
        files = freeing.FreedFiles(str(root), str(folder), vault)
        files.put_all_back()
        assert path.exists()
        assert not freed.exists()
        assert files.free("A/B", leaf, [str(root / "C")])
    assert not path.exists()
    assert not freed.exists()
    assert (root / "C").exists()


def test_a_file_of_somebody_that_can_not_be_put_back_is_never_overwritten(tmp_path: Path) -> None:
    path, freed = tmp_path / "medium" / "A", tmp_path / "freed" / "A"
    for each in (path, freed):
        each.parent.mkdir()
    freed.write_bytes(b"of somebody, taken away when the write was killed")
    path.write_bytes(b"of somebody else, put there since")
    (leaf,) = Author().run([("add", 0, 0, 0)]).state.live.values()
    with closing(PackVault(tmp_path / "vault", tmp_path / "index")) as vault:
        files = freeing.FreedFiles(str(path.parent), str(freed.parent), vault)
        with pytest.warns(UserWarning, match="another file has its name now"):
            files.put_all_back()
        assert not files.free("A", leaf)
    assert freed.read_bytes() == b"of somebody, taken away when the write was killed"
    assert path.read_bytes() == b"of somebody else, put there since"


@pytest.mark.parametrize("has_folder", [True, False])
@pytest.mark.parametrize("torn", ["not", "empty", "zeros", "head", "end", "other"])
def test_what_a_power_failure_left_of_a_new_dicomdir_is_deleted_and_nothing_else_is(
    tmp_path: Path, torn: str, *, has_folder: bool
) -> None:
    whole = examples.get_path("dicomdir").read_bytes()
    left = tmp_path / f"{dicomdir.new_name(whole)}-0123456789abcdef"
    if has_folder:
        left.with_name(f"{left.name}.files").mkdir()
    left.write_bytes(
        {
            "not": whole,
            "empty": b"",
            "zeros": bytes(len(whole)),
            "head": bytes(512) + whole[512:],
            "end": whole[:512] + bytes(len(whole) - 512),
            "other": b"somebody's notes",
        }[torn]
    )
    others = {".DICOMDIR-notes", f"{dicomdir.new_name(whole)}-mine"}
    for name in others:
        (tmp_path / name).write_bytes(bytes(1000))

    dicomdir.remove_leftovers(tmp_path)

    stays = {*others, *([left.name] if torn == "other" else [])}
    assert {path.name for path in tmp_path.iterdir()} == stays
