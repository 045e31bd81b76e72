"""Writes as a File-set has them: what is interrupted, given up or refused, and what comes of it."""

from __future__ import annotations

import errno
import os
import re
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread, examples

from fileset import FileSet
from fileset.checking.repository import verify
from fileset.errors import RefusedError
from fileset.medium import dicomdir as medium_dicomdir
from fileset.medium.errors import MediumError, WriteFailedError
from fileset.medium.export import Exporter
from fileset.medium.made_files import MadeFiles
from fileset.medium.materializer import Materializer
from fileset.medium.write import Writer
from fileset.repository.repository import Repository
from ledger.errors import ContentMissingError
from ledger.events import MediumLeft, StrangerKept, WriteAbandoned, WriteCompleted
from ledger.vault.packs import CHUNK
from projections.state.fold import fold

CT, MR = (Path(examples.get_path(name)) for name in ("ct", "mr"))
EXAMPLE = Path(examples.get_path("dicomdir"))


class Bench:
    """A repository on disk with a root to write to."""

    def __init__(self, folder: Path) -> None:
        self.path, self.root = folder / "repo", folder / "root"
        self.repository = Repository.create(self.path, lambda _: None)
        self.files = FileSet(repository=self.repository)

    def writer(self) -> Writer:
        return Writer(self.repository)

    def reopen(self) -> None:
        self.repository.close()
        self.repository = Repository.open(self.path)
        self.files = FileSet(repository=self.repository)

    def killed_write(self, at: str = "replace") -> None:
        """Write in a child process that is killed when it would first call os.`at`."""
        self.repository.close()
        child = os.fork()
        if not child:  # pragma: no cover - no coverage leaves a process that kills itself
            try:
                self.repository = Repository.open(self.path)
                setattr(os, at, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
                self.writer().write(self.root)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        self.reopen()

    def last_events(self) -> list[type]:
        return [type(recorded.event) for recorded in self.repository.journal.read()]

    def written(self) -> set[str]:
        return {p.relative_to(self.root).as_posix() for p in self.root.rglob("*") if p.is_file()}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    found.files.add(CT)
    yield found
    found.repository.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork beside threads of the test runner
def test_an_interrupted_write_is_completed_by_the_next_one(bench: Bench) -> None:
    bench.killed_write()
    assert bench.repository.state.writing is not None
    bench.files.add(MR)

    bench.writer().write(bench.root)

    assert bench.last_events().count(WriteCompleted) == 2
    assert len(bench.written()) == 3
    assert bench.repository.state.writing is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("other", ["another", "gone"])
def test_an_interrupted_write_is_not_completed_on_another_medium(bench: Bench, other: str) -> None:
    bench.writer().write(bench.root)
    bench.files.add(MR)
    bench.killed_write()
    kept = bench.root.with_name("kept")
    bench.root.rename(kept)
    if other == "another":
        bench.root.mkdir()
        shutil.copyfile(examples.get_path("dicomdir"), bench.root / "DICOMDIR")
    before = bench.written() if bench.root.exists() else None

    with pytest.raises(MediumError, match="put the medium back to complete the write"):
        bench.writer().write()

    assert (bench.written() if bench.root.exists() else None) == before
    shutil.rmtree(bench.root, ignore_errors=True)
    kept.rename(bench.root)
    bench.writer().write()
    assert len(bench.written()) == 3


def test_a_write_that_failed_and_was_rolled_back_is_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", fail)
        with pytest.raises(WriteFailedError, match="Nothing was changed"):
            bench.writer().write(bench.root)

    assert bench.last_events()[-1] is WriteAbandoned
    assert bench.repository.state.writing is None
    assert not bench.root.exists()


def test_a_write_that_the_user_interrupts_is_over_once_it_is_rolled_back(bench: Bench) -> None:
    def interrupt(_: int, __: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.writer().write(bench.root, progress=interrupt)

    assert bench.last_events()[-1] is WriteAbandoned
    assert not bench.root.exists()
    bench.writer().write(bench.root)
    assert len(bench.written()) == 2


def test_a_file_of_others_in_the_way_is_named(bench: Bench) -> None:
    path = "PT000000/ST000000/SE000000/IM000000"
    (bench.root / path).parent.mkdir(parents=True)
    (bench.root / path).write_bytes(b"not ours")

    with pytest.raises(MediumError, match=f"such as {path}: move them away"):
        bench.writer().write(bench.root)

    assert (bench.root / path).read_bytes() == b"not ours"


def test_a_file_where_a_folder_has_to_be_is_named(bench: Bench) -> None:
    bench.root.mkdir()
    (bench.root / "PT000000").write_bytes(b"not ours")

    with pytest.raises(MediumError, match="such as PT000000: move them away"):
        bench.writer().write(bench.root)


def test_a_staging_folder_of_others_is_kept_clear_of(bench: Bench) -> None:
    (bench.root / "STG00000").mkdir(parents=True)
    (bench.root / "STG00000" / "theirs").write_bytes(b"theirs")
    bench.files.add(MR)
    bench.writer().write(bench.root)
    bench.files.remove(next(iter(bench.files)))

    bench.writer().write()

    assert (bench.root / "STG00000" / "theirs").read_bytes() == b"theirs"
    assert len(bench.written()) == 3


# --- giving up an interrupted write --------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("written", [False, True])
def test_a_write_that_can_not_be_completed_is_given_up(
    bench: Bench, tmp_path: Path, *, written: bool
) -> None:
    if written:
        bench.writer().write(bench.root)
    before = bench.written()
    source = tmp_path / "source"
    shutil.copyfile(MR, source)
    bench.files.add_many([source], reference=True)
    bench.killed_write("rename")
    source.unlink()
    shutil.rmtree(next(bench.root.glob(".DICOMDIR-*.files")))
    with pytest.raises(WriteFailedError, match="fileset write --abandon"):
        bench.writer().write()

    assert bench.writer().abandon()

    assert bench.written() == before
    assert bench.repository.state.writing is None
    assert bench.last_events()[-1] is WriteAbandoned
    assert not bench.writer().abandon()
    bench.files.remove(bench.files.find(PatientID="4MR1"))
    bench.writer().write(bench.root)
    assert len(bench.written()) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_a_killed_write_has_placed_goes_when_it_is_given_up(bench: Bench) -> None:
    bench.files.add(MR)
    bench.killed_write()
    assert len(bench.written()) > 2

    bench.writer().abandon()

    assert bench.written() == set()
    assert len(bench.files) == 2


def test_a_write_whose_dicomdir_is_in_place_is_not_given_up(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt_clean_up(bench, monkeypatch)

    with pytest.raises(MediumError, match="too far to be given up"):
        bench.writer().abandon()

    bench.writer().write()
    assert verify_kinds(bench) == []


def interrupt_clean_up(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: Materializer) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Materializer, "_clean_up", interrupt)
        with pytest.raises(KeyboardInterrupt):
            bench.writer().write(bench.root)


def verify_kinds(bench: Bench) -> list[str]:
    return [finding.kind.value for finding in verify(bench.repository)]


# --- another medium ------------------------------------------------------------------------------


@pytest.mark.parametrize("what", ["folder", "DICOMDIR"])
def test_after_the_medium_was_lost_everything_is_written_to_a_new_one(
    bench: Bench, tmp_path: Path, what: str
) -> None:
    bench.writer().write(bench.root)
    bench.files.add(MR)
    if what == "folder":
        shutil.rmtree(bench.root)
    else:
        (bench.root / "DICOMDIR").unlink()
    with pytest.raises(MediumError, match="--new-medium"):
        bench.writer().write()
    new = tmp_path / "new"
    planned = bench.writer().plan(new, new_medium=True)

    result = bench.writer().write(new, new_medium=True)

    assert list(result.plan.files) == list(planned.files)
    assert len(result.plan.placed) == len(planned.placed) == 2
    assert bench.last_events()[-2:] == [MediumLeft, WriteCompleted]
    assert bench.repository.state.written is not None
    assert bench.repository.state.written.root == str(new)
    assert len(FileSet(new / "DICOMDIR")) == 2
    assert verify_kinds(bench) == []
    folded = fold(bench.repository.journal.read())
    assert [leaf.file_id for leaf in folded.hierarchy.walk_leaves()] == list(result.plan.files)
    bench.files.remove(bench.files.find(PatientID="4MR1"))
    bench.files.undo(2)
    bench.writer().write()
    assert verify_kinds(bench) == []


def test_the_folder_of_a_lost_dicomdir_may_be_the_new_medium(bench: Bench) -> None:
    bench.writer().write(bench.root)
    inode = (bench.root / "PT000000/ST000000/SE000000/IM000000").stat().st_ino
    (bench.root / "DICOMDIR").unlink()

    bench.writer().write(bench.root, new_medium=True)

    assert (bench.root / "PT000000/ST000000/SE000000/IM000000").stat().st_ino == inode
    assert verify_kinds(bench) == []


def test_a_medium_that_is_there_is_handed_out_as_it_is(adopted: Bench, tmp_path: Path) -> None:
    identity = adopted.repository.state.identity
    before = {path: path.read_bytes() for path in adopted.root.rglob("*") if path.is_file()}

    adopted.writer().write(tmp_path / "new", new_medium=True)

    assert {p: p.read_bytes() for p in adopted.root.rglob("*") if p.is_file()} == before
    (left,) = (
        recorded.event
        for recorded in adopted.repository.journal.read()
        if isinstance(recorded.event, MediumLeft)
    )
    assert left == MediumLeft(str(adopted.root), "handed out")
    assert adopted.repository.state.identity == identity
    shutil.rmtree(adopted.root)
    assert verify_kinds(adopted) == []
    shutil.rmtree(tmp_path / "new")
    adopted.writer().write(tmp_path / "third", new_medium=True)  # all of it is in the vault
    assert len(FileSet(tmp_path / "third" / "DICOMDIR")) == 2


@pytest.mark.parametrize("fault", ["gone", "a folder", "changed"])
def test_a_removed_file_that_the_medium_that_is_left_has_not_any_more_is_told(
    adopted: Bench, tmp_path: Path, fault: str
) -> None:
    files = FileSet(repository=adopted.repository)
    adopted.writer().write()
    gone, _ = files
    path = Path(gone.path)
    files.remove(gone)
    data = path.read_bytes()
    path.unlink()
    if fault == "a folder":
        path.mkdir()
    elif fault == "changed":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))

    with pytest.warns(UserWarning, match=f"undo would bring back.*{gone.SOPInstanceUID}.*{path}"):
        adopted.writer().write(tmp_path / "new", new_medium=True)

    assert len(FileSet(tmp_path / "new" / "DICOMDIR")) == 1


def test_the_new_home_has_no_part_in_the_medium_that_is_left(bench: Bench, tmp_path: Path) -> None:
    bench.writer().write(bench.root)
    shutil.copytree(bench.root, tmp_path / "copy")
    position = bench.repository.state.position
    for new in (bench.root / "sub", tmp_path / "copy"):
        with pytest.raises(RefusedError, match="write to another folder"):
            bench.writer().write(new, new_medium=True)
    assert bench.writer().write(bench.root, new_medium=True).plan is None  # it is that already
    assert bench.repository.refresh().position == position


def test_content_that_the_vault_lost_keeps_the_file_set_where_it_is(
    bench: Bench, tmp_path: Path
) -> None:
    bench.writer().write(bench.root)
    position = bench.repository.state.position
    for pack in (bench.path / "vault").rglob("*.pack"):
        pack.write_bytes(bytes(pack.stat().st_size))
    shutil.rmtree(bench.root)

    with pytest.raises(ContentMissingError, match="neither in the repository nor on"):
        bench.writer().write(tmp_path / "new", new_medium=True)

    assert bench.repository.refresh().position == position


def test_a_write_to_a_new_medium_that_was_killed_is_completed_by_the_same_command(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.writer().write(bench.root)
    new = tmp_path / "new"

    def interrupt(_: Materializer) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Materializer, "_clean_up", interrupt)
        with pytest.raises(KeyboardInterrupt):
            bench.writer().write(new, new_medium=True)
    assert (new / "DICOMDIR").exists()
    assert bench.repository.refresh().writing is not None

    bench.writer().write(new, new_medium=True)

    assert bench.last_events()[-1] is WriteCompleted
    assert bench.repository.state.written.root == str(new)
    assert verify_kinds(bench) == []


@pytest.mark.parametrize("ended", ["failed", "given up"])
def test_a_write_to_a_new_medium_that_came_to_nothing_leaves_the_old_one_as_the_home(
    adopted: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    new, home = tmp_path / "new", str(adopted.root)

    def end(*_: Any) -> None:
        if ended == "failed":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Materializer, "_commit", end)
        if ended == "given up":
            patch.setattr(MadeFiles, "roll_back", lambda *_: False)
        with pytest.raises((WriteFailedError, KeyboardInterrupt)):
            adopted.writer().write(new, new_medium=True)
    if ended == "given up":
        assert adopted.repository.refresh().written.root == home
        assert adopted.writer().abandon()
    assert not list(new.rglob("*"))
    assert adopted.repository.refresh().written.root == home
    assert MediumLeft not in adopted.last_events()
    assert verify_kinds(adopted) == []
    adopted.writer().write(layout="conformant")
    adopted.writer().write(new, new_medium=True)
    assert verify_kinds(adopted) == []


def test_a_write_to_a_new_medium_that_was_killed_is_completed_by_a_plain_write(
    adopted: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(_: Materializer) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Materializer, "_clean_up", interrupt)
        with pytest.raises(KeyboardInterrupt):
            adopted.writer().write(tmp_path / "new", new_medium=True)
    adopted.reopen()
    assert adopted.writer().resume()
    assert adopted.last_events()[-2:] == [MediumLeft, WriteCompleted]
    assert adopted.repository.refresh().written.root == str(tmp_path / "new")
    assert verify_kinds(adopted) == []


def test_a_plan_of_a_new_home_tells_of_bytes_that_are_nowhere(
    adopted: Bench, tmp_path: Path
) -> None:
    first, _ = adopted.files
    Path(first.path).unlink()
    with pytest.raises(ContentMissingError, match=str(first.SOPInstanceUID)):
        adopted.writer().plan(tmp_path / "new", new_medium=True)


def test_a_first_write_may_say_that_its_medium_is_new(bench: Bench) -> None:
    bench.writer().write(bench.root, new_medium=True)

    assert MediumLeft not in bench.last_events()
    assert verify_kinds(bench) == []


def test_a_medium_lost_with_an_interrupted_write_is_given_up_with_it(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.writer().write(bench.root)
    bench.files.add(MR)
    interrupt_clean_up(bench, monkeypatch)
    shutil.rmtree(bench.root)

    bench.writer().write(tmp_path / "new", new_medium=True)

    assert len(FileSet(tmp_path / "new" / "DICOMDIR")) == 2
    assert verify_kinds(bench) == []


@pytest.fixture
def adopted(bench: Bench, tmp_path: Path) -> Iterator[Bench]:
    """A repository that has adopted a medium of two files, which it has no copies of."""
    bench.files.add(MR)
    bench.writer().write(bench.root)
    bench.repository.close()
    bench.path = tmp_path / "adopting"
    bench.files = FileSet(bench.root / "DICOMDIR", repository=bench.path)
    bench.repository = bench.files.repository
    yield bench
    bench.repository.close()


def test_what_was_on_the_lost_medium_only_is_named_and_the_rest_taken_in(
    adopted: Bench, tmp_path: Path
) -> None:
    (adopted.root / "DICOMDIR").unlink()
    ct, mr = adopted.files
    Path(ct.path).unlink()
    position = adopted.repository.state.position
    with pytest.raises(ContentMissingError, match=f"1 instance are neither .*{ct.SOPInstanceUID}"):
        adopted.writer().write(tmp_path / "new", new_medium=True)
    assert adopted.repository.refresh().position == position
    assert not (tmp_path / "new").exists()
    adopted.files.remove(ct)

    with pytest.warns(UserWarning, match=f"undo would bring back.*{ct.SOPInstanceUID}"):
        adopted.writer().write(tmp_path / "new", new_medium=True)

    (left,) = FileSet(tmp_path / "new" / "DICOMDIR")
    assert left.SOPInstanceUID == mr.SOPInstanceUID
    assert verify_kinds(adopted) == []


# --- files that are not what was adopted ---------------------------------------------------------


@pytest.mark.parametrize("secured", [False, True])
def test_a_changed_file_can_be_removed_and_is_kept_as_it_is(
    adopted: Bench, *, secured: bool
) -> None:
    if secured:  # its bytes are in the vault
        adopted.files.remove(adopted.files.find(PatientID="1CT1"))
        adopted.writer().write(layout="existing")
        adopted.files.undo()
        adopted.writer().write(layout="existing")
    instance = adopted.files.find(PatientID="1CT1")[0]
    path = Path(instance.path)
    path.write_bytes(b"damaged")
    adopted.files.remove(instance)

    with pytest.warns(UserWarning, match=f"{path} has changed"):
        adopted.writer().write(layout="existing")

    (event,) = (
        recorded.event
        for recorded in adopted.repository.journal.read()
        if isinstance(recorded.event, StrangerKept)
    )
    assert adopted.repository.vault.read(event.content.digest) == b"damaged"
    assert not path.exists()
    adopted.files.undo()
    if secured:
        adopted.writer().write(layout="existing")
        assert path.read_bytes() == CT.read_bytes()
    else:
        assert verify_kinds(adopted) == ["content-missing"]
        with pytest.raises(WriteFailedError, match="vault has no content"):
            adopted.writer().write(layout="existing")


def test_a_missing_file_can_be_removed_and_is_named_where_it_is_needed(adopted: Bench) -> None:
    ct, mr = adopted.files
    missing = Path(mr.path)
    missing.unlink()
    adopted.files.remove(ct)
    with pytest.raises(MediumError, match=f"{missing} is missing"):
        adopted.writer().write()
    adopted.files.undo()
    adopted.files.remove(mr)

    adopted.writer().write()

    assert len(FileSet(adopted.root / "DICOMDIR")) == 1
    assert verify_kinds(adopted) == []


def test_a_missing_file_that_was_never_read_is_named_where_it_has_to_move(bench: Bench) -> None:
    bench.files.add(MR)
    bench.writer().write(bench.root)
    fs = FileSet(bench.root / "DICOMDIR")
    ct, mr = fs
    missing = Path(mr.path)
    missing.unlink()
    fs.remove(ct)

    with pytest.raises(MediumError, match=f"{missing} is missing: put it back"):
        fs.write()


def test_a_fifo_in_the_place_of_a_file_that_goes_is_refused_by_name(adopted: Bench) -> None:
    instance = next(iter(adopted.files))
    path = Path(instance.path)
    path.unlink()
    os.mkfifo(path)
    assert [finding.where for finding in verify(adopted.repository)] == [str(path)]
    adopted.files.remove(instance)

    with pytest.raises(OSError, match="Not a regular file"):
        adopted.writer().write(layout="existing")


def test_what_goes_from_a_medium_mounted_elsewhere_is_kept_all_the_same(
    adopted: Bench, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "elsewhere"
    adopted.root.rename(elsewhere)
    adopted.files.remove(next(iter(adopted.files)))

    with pytest.warns(UserWarning, match="The medium is at"):
        adopted.writer().write(elsewhere, "existing")

    adopted.files.undo()
    adopted.writer().write(None, "existing")
    assert verify_kinds(adopted) == []
    assert len(FileSet(elsewhere / "DICOMDIR")) == 2


@pytest.mark.parametrize("how", ["folder", "all but the folder", "another's DICOMDIR"])
def test_a_root_is_taken_for_the_medium_once_that_is_no_longer_where_it_was(
    bench: Bench, tmp_path: Path, how: str
) -> None:
    bench.writer().write(bench.root)
    now = tmp_path / "now"
    shutil.copytree(bench.root, now)
    if how == "another's DICOMDIR":
        shutil.copy(EXAMPLE, bench.root / "DICOMDIR")
    else:
        shutil.rmtree(bench.root)
        if how != "folder":
            bench.root.mkdir()

    told = f"The medium is at {now} now, and no longer at {bench.root}"
    with pytest.warns(UserWarning, match=re.escape(told)):
        bench.writer().write(now)

    assert bench.repository.state.written is not None
    assert bench.repository.state.written.root == str(now)
    assert verify_kinds(bench) == []


@pytest.mark.parametrize(
    "there", ["as written", "edited", "damaged", "closed to us", "without a DICOMDIR"]
)
def test_a_copy_is_no_medium_while_the_medium_is_where_it_was(
    bench: Bench, tmp_path: Path, there: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.writer().write(bench.root)
    copy = tmp_path / "copy"
    shutil.copytree(bench.root, copy)
    dicomdir = bench.root / "DICOMDIR"
    if there == "edited":
        dicomdir.write_bytes(dicomdir.read_bytes().replace(b"CT_small", b"CT_SMALL") + bytes(2))
    elif there == "damaged":
        dicomdir.write_bytes(b"DICM")
    elif there == "without a DICOMDIR":
        dicomdir.unlink()
    elif there == "closed to us":
        read = medium_dicomdir.read_file

        def refusing(path: Path) -> bytes:
            if path == dicomdir:
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
            return read(path)

        monkeypatch.setattr(medium_dicomdir, "read_file", refusing)
    before = bench.repository.state.position

    for staged in (False, True):
        if staged:
            bench.files.add(MR)
            before += 1
        for options in ({}, {"repair": True}):
            with pytest.raises(RefusedError, match=f"written to {bench.root}, not to {copy}"):
                bench.writer().write(copy, **options)
        with pytest.raises(RefusedError, match=f"{copy} is a copy of the medium at {bench.root}"):
            bench.writer().write(copy, new_medium=True)
    assert bench.repository.refresh().position == before


def test_a_link_to_the_medium_is_the_medium(bench: Bench, tmp_path: Path) -> None:
    bench.writer().write(bench.root)
    (tmp_path / "link").symlink_to(bench.root)
    bench.files.add(MR)

    result = bench.writer().write(tmp_path / "link")

    assert result.root == str(bench.root)
    assert bench.writer().write(tmp_path / "link", new_medium=True).plan is None


def test_a_removal_that_was_written_is_undone_under_the_adopted_name(bench: Bench) -> None:
    bench.writer().write(bench.root)
    moved = bench.root / "SCANS"
    (bench.root / "PT000000").rename(moved)
    data = (bench.root / "DICOMDIR").read_bytes()
    (bench.root / "DICOMDIR").write_bytes(data.replace(b"PT000000", b"SCANS   "))
    fs = FileSet(bench.root / "DICOMDIR")
    before = bench.written()
    assert "SCANS/ST000000/SE000000/IM000000" in before
    fs.remove(list(fs))
    fs.write(use_existing=True)
    fs.undo()

    fs.write(layout="existing")

    assert bench.written() == before


def test_an_adopted_dicomdir_is_not_rewritten_for_nothing(tmp_path: Path) -> None:
    example = Path(examples.get_path("dicomdir"))
    for name in ("77654033", "98892001", "98892003"):
        shutil.copytree(example.parent / name, tmp_path / "root" / name)
    shutil.copyfile(example, tmp_path / "root" / "DICOMDIR")
    fs = FileSet(tmp_path / "root" / "DICOMDIR")
    position = fs.repository.state.position

    result = Writer(fs.repository).write(None, "existing")

    assert result.dicomdir is None
    assert fs.repository.refresh().position == position
    assert (tmp_path / "root" / "DICOMDIR").read_bytes() == example.read_bytes()


# --- copies --------------------------------------------------------------------------------------


def test_a_copy_is_there_whole_or_not_at_all(bench: Bench, tmp_path: Path) -> None:
    copy = tmp_path / "not" / "there" / "copy"
    seen: list[bool] = []

    Exporter(bench.repository).export(
        copy, bench.repository.state, progress=lambda _, __: seen.append(copy.exists())
    )

    assert seen == [False]
    assert len(FileSet(copy / "DICOMDIR")) == 1
    assert [path.name for path in copy.parent.iterdir()] == ["copy"]


@pytest.mark.parametrize("step", ["replace", "rename", "open", "mkdir"])
def test_a_copy_that_fails_leaves_nothing_at_all(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    copy = tmp_path / "not" / "copy"
    position = bench.repository.state.position

    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, step, fail)
        with pytest.raises(
            (WriteFailedError, OSError), match=r"failed: its disk is full\. N|No space"
        ):
            Exporter(bench.repository).export(copy, bench.repository.state)

    assert not list(tmp_path.glob("not/*"))
    assert bench.repository.refresh().position == position


def test_a_copy_goes_into_an_empty_folder_that_is_there(bench: Bench, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    inode = copy.stat().st_ino

    Exporter(bench.repository).export(copy, bench.repository.state)

    assert copy.stat().st_ino == inode
    assert len(FileSet(copy / "DICOMDIR")) == 1


def test_a_copy_is_no_part_of_another_change(bench: Bench, tmp_path: Path) -> None:
    with bench.repository.change(), pytest.raises(RefusedError, match="A copy can't be part of"):
        Exporter(bench.repository).export(tmp_path / "copy", bench.repository.state)

    assert not (tmp_path / "copy").exists()


def test_a_root_that_goes_up_from_a_folder_is_cleared_of_what_was_removed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = bench.path.parent / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    bench.files.add(MR)
    bench.files.write("../disc")
    bench.files.remove(bench.files.find(PatientID="4MR1"))
    bench.files.write()
    disc = bench.path.parent / "disc"
    assert len([path for path in disc.rglob("*") if path.is_file()]) == 2


def test_the_file_in_the_way_of_a_folder_is_named_and_not_the_dicomdir(bench: Bench) -> None:
    bench.files.write(bench.root)
    bench.files.add(MR)
    (bench.root / "PT000001").write_bytes(b"a stranger's")
    with pytest.raises(MediumError, match="such as PT000001: move them away"):
        bench.files.write()


def copy_in_vault(bench: Bench, data: bytes) -> tuple[Path, int]:
    """Return the pack that has `data`, and where in it."""
    packs = ((pack, pack.read_bytes().find(data)) for pack in (bench.path / "vault").glob("*.pack"))
    return next((pack, at) for pack, at in packs if at >= 0)


def flip_a_bit(bench: Bench, data: bytes) -> None:
    pack, at = copy_in_vault(bench, data)
    held = bytearray(pack.read_bytes())
    held[at + len(data) // 2] ^= 1
    pack.write_bytes(held)


def cut_the_pack(bench: Bench, data: bytes) -> None:
    pack, at = copy_in_vault(bench, data)
    os.truncate(pack, at + len(data) // 2)


def take_the_pack_away(bench: Bench, data: bytes) -> None:
    copy_in_vault(bench, data)[0].unlink()


SPOILED = [flip_a_bit, cut_the_pack, take_the_pack_away]


@pytest.mark.parametrize("spoil", SPOILED)
@pytest.mark.parametrize("chunk", [CHUNK, 4096], ids=["small", "large"])
def test_the_last_good_copy_goes_into_the_vault_before_it_leaves_the_medium(
    bench: Bench, spoil: Callable[[Bench, bytes], None], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.vault.batch.CHUNK", chunk)
    bench.files.add(MR)
    bench.writer().write(bench.root)
    data = MR.read_bytes()
    spoil(bench, data)
    (gone,) = (each for each in bench.files if Path(each.path).read_bytes() == data)
    uid = gone.SOPInstanceUID

    bench.files.remove(gone)
    bench.writer().write()
    bench.files.undo()
    bench.writer().write()

    (back,) = (each for each in bench.files if each.SOPInstanceUID == uid)
    assert Path(back.path).read_bytes() == data


def test_a_copy_in_a_pack_that_cannot_be_read_is_not_relied_on(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.writer().write(bench.root)
    pack, _ = copy_in_vault(bench, CT.read_bytes())
    pack.chmod(0)
    bench.reopen()
    opened = os.open

    def refuse(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
        if os.fspath(path) == os.fspath(pack):  # also to root, who runs the tests here and there
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return opened(path, flags, *args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        bench.files.remove(list(bench.files))
        bench.writer().write()
    pack.unlink()
    bench.files.undo()
    bench.writer().write()

    (back,) = bench.files
    assert Path(back.path).read_bytes() == CT.read_bytes()


@pytest.mark.parametrize("spoil", SPOILED)
def test_what_is_damaged_in_the_vault_is_taken_in_from_a_medium_that_is_given_up(
    bench: Bench, tmp_path: Path, spoil: Callable[[Bench, bytes], None]
) -> None:
    bench.writer().write(bench.root)
    spoil(bench, CT.read_bytes())
    (bench.root / "DICOMDIR").unlink()

    bench.writer().write(tmp_path / "new", new_medium=True)

    (there,) = bench.files
    assert Path(there.path).is_relative_to(tmp_path / "new")
    assert Path(there.path).read_bytes() == CT.read_bytes()


def test_a_referenced_file_that_is_gone_is_taken_in_from_a_medium_that_is_given_up(
    bench: Bench, tmp_path: Path
) -> None:
    source = tmp_path / "mr"
    shutil.copyfile(MR, source)
    bench.files.add_many([source], reference=True)
    bench.writer().write(bench.root)
    source.unlink()
    (bench.root / "DICOMDIR").unlink()

    bench.writer().write(tmp_path / "new", new_medium=True)

    written = {Path(each.path).read_bytes() for each in bench.files}
    assert written == {CT.read_bytes(), MR.read_bytes()}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_write_that_is_given_up_leaves_the_last_good_copy_of_an_instance(
    bench: Bench, tmp_path: Path
) -> None:
    data = MR.read_bytes()
    source = tmp_path / "mr"
    source.write_bytes(data)
    bench.files.add(source)
    source.unlink()
    bench.killed_write()
    files = (path for path in bench.root.rglob("*") if path.is_file())
    (placed,) = (path for path in files if path.read_bytes() == data)
    flip_a_bit(bench, data)

    bench.writer().abandon()

    assert placed.read_bytes() == data
    assert sum(path.is_file() for path in bench.root.rglob("*")) == 1


def test_all_that_cannot_be_written_is_named_with_what_to_do(bench: Bench) -> None:
    bench.files.add(MR)
    bench.files.add(examples.get_path("overlay"))
    for path in (CT, MR):
        flip_a_bit(bench, path.read_bytes())
    uids = {dcmread(path, specific_tags=["SOPInstanceUID"]).SOPInstanceUID for path in (CT, MR)}

    with pytest.raises(WriteFailedError) as failure:
        bench.writer().write(bench.root)

    assert all(uid in str(failure.value) for uid in uids)
    assert "add their files again" in str(failure.value)
    assert not bench.root.exists() or not list(bench.root.iterdir())


def test_a_full_medium_says_what_to_do(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("ledger.vault.vault.PackVault.copy_to", fail)

    with pytest.raises(WriteFailedError, match=r"Nothing was changed\. Free some space there"):
        bench.writer().write(bench.root)
