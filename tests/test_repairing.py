"""``write --repair``: what was lost or damaged on the medium comes back from the vault."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runs import Cli, run
from pydicom import dcmread, examples
from pydicom.data import get_testdata_file
from pydicom.fileset import FileSet as PydicomFileSet

from fileset import FileSet
from fileset.contents import Contents
from fileset.errors import RefusedError
from fileset.repairing import Fault
from fileset.repository import Repository
from fileset.verification import FindingKind, verify
from fileset.writing import Writer
from ledger.digest import digest_of
from ledger.events import DamageNoted, StrangerKept
from projections.materializer import MediumError

CT, MR, OVERLAY = (Path(examples.get_path(name)) for name in ("ct", "mr", "overlay"))


class Medium:
    """A File-set of three instances, written to `root`, and what was there then."""

    def __init__(self, folder: Path) -> None:
        self.path, self.root = folder / "repo", folder / "root"
        with FileSet(repository=self.path) as made:
            made.add_many([CT, MR, OVERLAY])
            made.write(self.root)
        self.before = self.files()
        self.open()

    def open(self) -> None:
        self.repository = Repository.open(self.path)
        self.writer = Writer(self.repository, Contents(self.repository))

    def files(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file()
        }

    def instances(self) -> list[Path]:
        """Return the paths of the instances' files."""
        return [self.root / name for name in sorted(self.before) if name != "DICOMDIR"]

    def events(self, kind: type) -> list[object]:
        found = (recorded.event for recorded in self.repository.journal.read())
        return [event for event in found if type(event) is kind]


@pytest.fixture
def medium(tmp_path: Path) -> Iterator[Medium]:
    found = Medium(tmp_path)
    yield found
    found.repository.close()


def test_a_missing_and_a_changed_file_come_back_and_the_medium_is_as_it_was(
    medium: Medium,
) -> None:
    first, second, _ = medium.instances()
    first.unlink()
    second.write_bytes(b"scratched")

    result = medium.writer.write(repair=True)

    assert medium.files() == medium.before
    assert result.damage is not None
    assert [(each.path, each.fault) for each in result.damage.mended] == [
        (first, Fault.MISSING),
        (second, Fault.CHANGED),
    ]
    assert not list(verify(medium.repository))


def test_the_damage_is_recorded_and_what_lay_in_the_place_is_kept(medium: Medium) -> None:
    first, second, _ = medium.instances()
    first.unlink()
    second.write_bytes(b"scratched")

    medium.writer.write(repair=True, reason="a bad stick")

    (noted,) = medium.events(DamageNoted)
    handles = {
        leaf.file_id: leaf.handle for leaf in medium.repository.state.hierarchy.walk_leaves()
    }
    assert noted == DamageNoted(
        root=str(medium.root),
        missing=(handles[first.relative_to(medium.root).as_posix()],),
        changed=(handles[second.relative_to(medium.root).as_posix()],),
    )
    (kept,) = medium.events(StrangerKept)
    assert isinstance(kept, StrangerKept)
    assert medium.repository.vault.read(kept.content.digest) == b"scratched"
    assert medium.repository.changes()[-1].reason == "a bad stick"


def test_a_folder_that_is_gone_comes_back_with_its_files(medium: Medium) -> None:
    shutil.rmtree(next(path for path in medium.root.iterdir() if path.is_dir()))

    medium.writer.write(repair=True)

    assert medium.files() == medium.before


@pytest.mark.parametrize("damaged", [None, b"", b"scratched"])
def test_a_dicomdir_that_is_gone_or_damaged_is_made_anew(
    medium: Medium, damaged: bytes | None
) -> None:
    dicomdir = medium.root / "DICOMDIR"
    dicomdir.unlink()
    if damaged is not None:
        dicomdir.write_bytes(damaged)

    medium.writer.write(repair=True)

    assert medium.files() == medium.before
    (noted,) = medium.events(DamageNoted)
    assert isinstance(noted, DamageNoted)
    assert noted.no_dicomdir is (damaged is None)
    assert noted.dicomdir == (None if damaged is None else digest_of(damaged))


def test_a_dicomdir_that_another_tool_has_edited_gives_way_and_its_files_stay(
    medium: Medium,
) -> None:
    edited = PydicomFileSet(medium.root / "DICOMDIR")
    edited.add(get_testdata_file("liver_1frame.dcm"))
    edited.write()

    with pytest.raises(MediumError, match="--repair"):
        medium.writer.write()
    medium.writer.write(repair=True)

    assert not list(verify(medium.repository))
    assert medium.before.items() <= medium.files().items()
    assert len(medium.files()) == len(medium.before) + 1


def test_what_is_staged_is_written_with_the_repair(medium: Medium) -> None:
    FileSet(repository=medium.repository).add(get_testdata_file("liver_1frame.dcm"))
    (medium.root / "DICOMDIR").unlink()

    medium.writer.write(repair=True)

    assert len(medium.files()) == len(medium.before) + 1
    assert not list(verify(medium.repository))


def test_a_sound_medium_is_left_alone_and_nothing_recorded(medium: Medium) -> None:
    position = medium.repository.journal.position

    result = medium.writer.write(repair=True)

    assert result.dicomdir is None
    assert medium.repository.journal.position == position


def test_without_repair_a_damaged_file_is_not_touched(medium: Medium) -> None:
    path = medium.instances()[0]
    path.write_bytes(b"scratched")

    medium.writer.write()

    assert path.read_bytes() == b"scratched"


def test_a_medium_that_is_not_there_is_not_made_anew(medium: Medium) -> None:
    """An unmounted stick is an empty folder."""
    shutil.rmtree(medium.root)
    medium.root.mkdir()

    with pytest.raises(MediumError, match="Nothing of the File-set is at"):
        medium.writer.write(repair=True)
    assert not list(medium.root.iterdir())


def test_the_medium_of_another_file_set_is_left_alone(medium: Medium, tmp_path: Path) -> None:
    """Somebody else's stick can be mounted in the same place."""
    shutil.rmtree(medium.root)
    other = FileSet()
    other.add(CT)
    other.write(medium.root)
    there = medium.files()

    with pytest.raises(RefusedError, match="that of another File-set"):
        medium.writer.write(repair=True)
    assert medium.files() == there


def test_a_file_whose_bytes_are_lost_is_told_and_the_others_come_back(tmp_path: Path) -> None:
    source = tmp_path / "adopted"
    made = FileSet()
    made.add_many([CT, MR])
    made.write(source)
    with FileSet(source / "DICOMDIR", repository=tmp_path / "repo") as adopted:
        adopted.add(OVERLAY)
        adopted.write()
        paths = [_path_of(each, adopted) for each in (OVERLAY, CT)]
        for path in paths:
            path.unlink()

        with pytest.warns(UserWarning, match="was not put right: its bytes are neither"):
            adopted.write(repair=True)

    assert paths[0].exists()
    assert not paths[1].exists()


def _path_of(source: Path, files: FileSet) -> Path:
    (found,) = files.find(SOPInstanceUID=dcmread(source).SOPInstanceUID)
    return Path(found.path)


def test_a_file_that_was_added_by_reference_comes_back_from_where_it_was_left(
    tmp_path: Path,
) -> None:
    source, root = tmp_path / "ct.dcm", tmp_path / "root"
    shutil.copy(CT, source)
    with FileSet(repository=tmp_path / "repo") as files:
        files.add_many([source], reference=True)
        files.write(root)
        (path,) = (Path(each.path) for each in files)
        path.write_bytes(b"scratched")

        files.write(repair=True)

    assert path.read_bytes() == CT.read_bytes()


def test_a_folder_in_the_place_of_a_file_is_told_and_left(medium: Medium) -> None:
    path = medium.instances()[0]
    path.unlink()
    path.mkdir()

    damage = medium.writer.write(repair=True).damage

    assert damage is not None
    assert [each.path for each in damage.left] == [path]
    assert path.is_dir()


def test_no_file_is_put_where_a_link_leads_out_of_the_medium(
    medium: Medium, tmp_path: Path
) -> None:
    folder = medium.instances()[0].parent
    shutil.rmtree(folder)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    folder.symlink_to(elsewhere)

    damage = medium.writer.write(repair=True).damage

    assert damage is not None
    assert damage.left
    assert not list(elsewhere.iterdir())


def test_an_interrupted_write_whose_medium_was_damaged_meanwhile_is_completed(
    medium: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    FileSet(repository=medium.repository).add(get_testdata_file("liver_1frame.dcm"))

    def fails(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("projections.materializer.Materializer._clean_up", fails)
        with pytest.raises(KeyboardInterrupt):
            medium.writer.write()
    (medium.root / "DICOMDIR").write_bytes(b"scratched")
    medium.instances()[0].unlink()

    with pytest.raises(MediumError):
        medium.writer.write()
    medium.writer.write(repair=True)

    assert not list(verify(medium.repository))
    assert medium.repository.state.writing is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork beside threads of the test runner
@pytest.mark.parametrize("call", ["open", "fsync", "replace", "unlink", "rename"])
def test_killed_at_any_point_a_repair_is_done_by_doing_it_again(medium: Medium, call: str) -> None:
    first, second, _ = medium.instances()
    medium.repository.close()
    for nth in range(100):
        first.unlink(missing_ok=True)
        second.write_bytes(b"scratched")
        (medium.root / "DICOMDIR").write_bytes(b"scratched")
        was_killed = _killed_at(nth, call, medium)
        medium.open()
        medium.writer.write(repair=True)
        assert medium.files() == medium.before
        assert not list(verify(medium.repository))
        medium.repository.close()
        if not was_killed:
            break
    else:
        pytest.fail("the repair never came to its end")


def _killed_at(nth: int, call: str, medium: Medium) -> bool:
    """Repair in a child process that is killed at its `nth` call; whether it was."""
    child = os.fork()
    if not child:  # pragma: no cover - no coverage leaves a process that kills itself
        try:
            medium.open()
            left, real = [nth], getattr(os, call)

            def killing(*args: object, **keywords: object) -> object:
                if not left[0]:
                    os.kill(os.getpid(), signal.SIGKILL)
                left[0] -= 1
                return real(*args, **keywords)

            setattr(os, call, killing)
            medium.writer.write(repair=True)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


# --- the command ---------------------------------------------------------------------------------


def test_the_command_tells_what_it_puts_back(medium: Medium) -> None:
    path = medium.instances()[0]
    path.unlink()

    told = Cli(medium.path)("write", "--repair").out

    assert f"Put back {path}, which was missing" in told
    assert medium.files() == medium.before


def test_a_dry_run_of_the_command_puts_nothing_back(medium: Medium) -> None:
    path = medium.instances()[0]
    path.unlink()

    told = Cli(medium.path).json("write", "--repair", "--dry-run")

    assert told["damage"]["files"][0]["fault"] == "missing"
    assert not path.exists()


def test_the_command_ends_with_1_where_bytes_are_lost(tmp_path: Path) -> None:
    made = FileSet()
    made.add_many([CT, MR])
    made.write(tmp_path / "root")
    run("init", tmp_path / "repo", "--from", tmp_path / "root" / "DICOMDIR")
    lost = Path(next(iter(made)).path)
    lost.unlink()

    told = Cli(tmp_path / "repo")("write", "--repair", code=1).out

    assert f"Not put back: {lost}" in told
    kinds = {finding.kind for finding in verify(Repository.open(tmp_path / "repo"))}
    assert kinds == {FindingKind.FILE_MISSING}


def test_the_log_and_the_blame_tell_of_the_damage(medium: Medium) -> None:
    path = medium.instances()[0]
    path.unlink()
    cli = Cli(medium.path)

    cli("write", "--repair")

    assert f"damage found on the medium at {medium.root}: 1 file missing" in cli("log").out
    told = cli("blame", f"SOPInstanceUID={dcmread(path).SOPInstanceUID}").out
    assert f"found damaged at {medium.root}" in told
