"""What a repository keeps beside its journal: never needed, never wrong, never in the way."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from cli_runs import CT, Cli, copy_of_example, run, spawn
from models import Author, Command

from fileset import FileSet
from fileset.repository import caches as module
from fileset.repository.repository import Repository
from fileset.repository.states import States
from ledger.errors import JournalError
from ledger.events import EVENT_TYPES, Event, InstanceRejected
from projections.kept import snapshot, summary
from projections.kept.snapshot import to_plain
from projections.kept.summarise import summarise
from projections.state import fold as folding
from projections.state import version
from projections.state.fold import fold
from projections.state.state import FileSetState

NAMES = ("snapshot", "summary.json")


def new(path: Path) -> Repository:
    return Repository.create(path, lambda repository: repository.begin("1.2.3"))


def note(repository: Repository, events: int) -> None:
    """Make a change of so many events that change nothing."""
    with repository.change():
        for number in range(events):
            repository.emit(InstanceRejected(f"/in/{number}", "none"))


def cached(path: Path) -> set[str]:
    return {file.name for file in (path / "cache").iterdir()} & set(NAMES)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have snapshots made from ten events on."""
    monkeypatch.setattr(module, "_SNAPSHOT_EVERY", 10)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[Repository]:
    with_it = new(tmp_path / "r")
    yield with_it
    with_it.close()


# --- when they are kept --------------------------------------------------------------------------


@pytest.mark.usefixtures("soon")
def test_all_snapshots_together_cost_no_more_than_a_few_times_the_last(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    def pieces(state: FileSetState, _: str) -> list[bytes]:
        sizes.append(state.position)
        return []

    monkeypatch.setattr(snapshot, "pieces", pieces)
    for _ in range(150):
        note(repository, 20)

    assert len(sizes) < 40
    assert sum(sizes) < 10 * repository.state.position
    gaps = [after - before for before, after in pairwise(sizes)]
    assert all(gap <= max(10, at // 8) + 20 for gap, at in zip(gaps, sizes[1:], strict=True))


@pytest.mark.usefixtures("soon")
def test_the_state_is_the_same_with_and_without_caches(tmp_path: Path) -> None:
    repository = new(tmp_path / "r")
    for number in range(4):
        repository.set_identity("id", f"ID{number}")
        note(repository, 10)
    repository.undo(2)
    folded = to_plain(fold(repository.journal.read()))
    repository.close()
    assert cached(tmp_path / "r") == set(NAMES)

    for name in (None, *NAMES):
        if name:
            (tmp_path / "r" / "cache" / name).unlink()
        again = Repository.open(tmp_path / "r")
        told = again.summary()
        assert to_plain(again.state) == folded
        assert told == summarise(again.state)
        again.close()


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("missing", [False, True], ids=["there", "gone"])
def test_caches_of_another_journal_are_not_believed(tmp_path: Path, missing: bool) -> None:
    one, other = new(tmp_path / "one"), new(tmp_path / "other")
    for repository, name in ((one, "ONE"), (other, "OTHER")):
        repository.set_identity("id", name)
        note(repository, 20)
        repository.close()
    shutil.rmtree(tmp_path / "one" / "cache")
    if not missing:
        shutil.copytree(tmp_path / "other" / "cache", tmp_path / "one" / "cache")

    again = Repository.open(tmp_path / "one")
    assert again.summary().identity.id == "ONE"
    assert again.state.identity.id == "ONE"
    again.close()


def test_what_a_killed_process_left_is_cleared_away(repository: Repository) -> None:
    assert repository.path is not None
    left = repository.path / "cache" / ".summary.json.killed"
    left.write_bytes(b"half")

    repository.set_identity("id", "X")
    repository.summary()

    assert not left.exists()
    assert cached(repository.path) == {"summary.json"}


# --- the past ------------------------------------------------------------------------------------


@pytest.fixture
def folded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The positions of the events that were folded."""
    positions: list[int] = []
    apply = folding.apply

    def counting(state: FileSetState, event: Event, change: str) -> None:
        positions.append(state.position + 1)
        apply(state, event, change)

    monkeypatch.setattr(folding, "apply", counting)
    return positions


@pytest.mark.usefixtures("soon")
def test_the_past_after_the_snapshot_is_folded_from_there(
    repository: Repository, folded: list[int]
) -> None:
    note(repository, 50)  # after which a snapshot is made
    for number in range(5):
        repository.set_identity("id", f"ID{number}")
    folded.clear()

    for position in range(51, 57):
        state = repository.at(position)
        assert folded == list(range(52, position + 1))
        folded.clear()
        assert to_plain(state) == to_plain(fold(repository.journal.read(0, position)))
        folded.clear()


@pytest.mark.usefixtures("soon")
def test_a_snapshot_beyond_the_past_is_not_read_for_it(
    repository: Repository, folded: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    note(repository, 50)

    def fail(_: bytes) -> None:
        raise AssertionError("it is of no use")

    monkeypatch.setattr(snapshot, "load", fail)
    folded.clear()
    assert repository.at(50).position == 50
    assert folded == list(range(1, 51))


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    "data", [b"", b"no snapshot", b'0000{"position":1}', b'0000{"position": 99999999999999999999}']
)
def test_the_past_is_the_same_when_the_snapshot_is_damaged(
    repository: Repository, data: bytes
) -> None:
    repository.set_identity("id", "X")
    note(repository, 50)
    assert repository.path is not None
    (repository.path / "cache" / "snapshot").write_bytes(data)
    for position in (1, 2, 30, 52):
        expected = fold(repository.journal.read(upto=position))
        assert to_plain(repository.at(position)) == to_plain(expected)


def test_a_state_of_the_past_is_untouched_by_what_comes_after(repository: Repository) -> None:
    past = repository.at(repository.state.position)
    repository.set_identity("id", "LATER")
    assert (past.position, past.identity.id) == (1, None)


# --- when they can't be --------------------------------------------------------------------------


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("error", [JournalError, OSError, TypeError, MemoryError])
@pytest.mark.parametrize("where", ["_hash_at", "pieces", "write"])
def test_a_change_that_was_recorded_never_looks_failed_for_want_of_a_snapshot(
    repository: Repository, error: type[Exception], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error("none today")

    owner = {
        "_hash_at": repository._states.caches,
        "pieces": snapshot,
        "write": repository.store.blobs,
    }[where]
    monkeypatch.setattr(owner, where, fail)

    note(repository, 50)

    assert repository.state.position == 51
    assert repository.journal.head().position == 51


@pytest.mark.usefixtures("soon")
def test_a_snapshot_that_failed_is_not_tried_again_at_every_change(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []

    def fail(state: FileSetState, _: str) -> bytes:
        tried.append(state.position)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshot, "pieces", fail)
    for _ in range(30):
        note(repository, 1)

    assert len(tried) <= 3


@pytest.mark.usefixtures("soon")
def test_nothing_is_kept_while_another_process_changes_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    repository = new(tmp_path / "r")
    note(repository, 50)
    repository.close()
    shutil.rmtree(tmp_path / "r" / "cache")
    (tmp_path / "r" / "cache").mkdir()

    with (tmp_path / "r" / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        reader = Repository.open(tmp_path / "r")
        assert reader.state.position == reader.summary().position == 51
        reader.close()
        assert not cached(tmp_path / "r")
        assert not waits

    reader = Repository.open(tmp_path / "r")
    assert reader.state.position == reader.summary().position == 51
    reader.close()
    assert cached(tmp_path / "r") == set(NAMES)


def in_a_child(task: Callable[[], object]) -> int:
    """Run `task` in a process that may not pass over permissions; return its exit code."""
    child = os.fork()
    if child == 0:
        try:
            if os.geteuid() == 0:
                os.setgid(65534)
                os.setuid(65534)
            task()
        except BaseException:  # noqa: BLE001 - told by the exit code
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_repository_that_may_only_be_read_can_be_read() -> None:
    folder = Path(tempfile.mkdtemp())
    try:
        path = folder / "r"
        repository = new(path)
        note(repository, 1200)
        repository.close()
        for name in NAMES:
            (path / "cache" / name).unlink(missing_ok=True)

        def read() -> None:
            reader = Repository.open(path)
            assert reader.state.position == reader.summary().position == 1201
            reader.close()

        everything = [folder, path, *path.rglob("*")]
        for item in everything:
            item.chmod(0o555 if item.is_dir() else 0o444)
        assert in_a_child(read) == 0
        assert not cached(path)
    finally:
        for item in (folder, *folder.rglob("*")):
            item.chmod(item.stat().st_mode | stat.S_IRWXU)
        shutil.rmtree(folder)


# --- status --------------------------------------------------------------------------------------


def test_status_reads_the_same_from_state_and_summary(tmp_path: Path) -> None:
    run("init", tmp_path / "r", "--from", copy_of_example(tmp_path / "cd"))
    cli = Cli(tmp_path / "r")
    for step in (
        (),
        ("add", CT),
        ("set", "id=OTHER", "descriptor=README", "charset=ISO_IR 100"),
        ("remove", "PatientID=77654033"),
        ("undo",),
        ("write", "--layout", "existing"),
    ):
        if step:
            cli(*step)
        first, document = cli("status"), cli.json("status")
        for name in NAMES:
            (tmp_path / "r" / "cache" / name).unlink(missing_ok=True)
        assert cli("status") == first
        assert cli.json("status") == document
        fs = FileSet.open(tmp_path / "r")
        assert _without_staged(first.out) == _without_staged(f"{fs}\n")
        fs.close()


def _without_staged(text: str) -> list[str]:
    """Leave out what is staged: the command and pydicom write in layouts of their own."""
    return [line for line in text.splitlines() if "Changes staged for write" not in line]


def test_status_of_an_unchanged_repository_reads_neither_events_nor_snapshots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("init", tmp_path / "r")
    cli = Cli(tmp_path / "r")
    cli("add", CT)
    before = cli("status")

    def fail(*_: object, **__: object) -> None:
        raise AssertionError("the state is not needed")

    monkeypatch.setattr(States, "load", fail)

    assert cli("status") == before


def test_status_starts_without_pydicom(tmp_path: Path) -> None:
    run("init", tmp_path / "r")
    script = (
        "import sys; from fileset.cli import main;"
        f"main(['--repo', {str(tmp_path / 'r')!r}, 'status'], standalone_mode=False);"
        "sys.exit('pydicom' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=False,
        cwd=Path(__file__).parents[3],
    )  # fmt: skip

    assert done.stderr == ""
    assert done.returncode == 0
    assert "DICOMDIR creation" in done.stdout
    assert spawn("--repo", tmp_path / "r", "status").stdout == done.stdout


def test_a_summary_made_otherwise_is_void(monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[Command] = [("add", 0, 0, 0), ("write",), ("set", "id", None)]
    told = summarise(Author().run(commands).state)
    data = summary.dump(told, "ab")

    assert summary.load(data, "ab") == told
    assert summary.load(data, "cd") is None
    assert summary.load(data[:-1], "ab") is None
    assert summary.load(b"", "ab") is None
    for of in (summary, version):
        with monkeypatch.context() as patch:
            patch.setattr(of, "VERSION", 99)
            assert summary.load(data, "ab") is None


def test_what_was_made_of_events_unknown_here_is_void(monkeypatch: pytest.MonkeyPatch) -> None:
    state = Author().run([("add", 0, 0, 0)]).state
    with monkeypatch.context() as later:
        later.setitem(EVENT_TYPES, "of-a-later-version", InstanceRejected)
        kept, told = snapshot.dump(state, "ab"), summary.dump(summarise(state), "ab")
        assert snapshot.load(kept)
        assert summary.load(told, "ab")

    assert snapshot.load(kept) is None
    assert summary.load(told, "ab") is None
