# ruff: noqa: S311, T201 - chance is no secret here; figures are printed
"""When the power fails: what was acknowledged is there, and nothing is half there.

The states that a disk may be in are those of `faults.simulated_disk`. The default run tries a
sample of them; all with `pytest -m soak tests/faults/test_power_loss.py`, or, as a table, with
`python -m tests.faults.power`.
"""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from faults.power import HEADING, Recording, Tried, after_kill, recorded, try_all, workplace
from faults.replay import record, why_not
from faults.scenarios import MEDIUM, REPOSITORY, SCENARIOS
from faults.simulated_disk import SIMPLE, Chance, Disk, Plate, Tree, tree_of
from fileset.medium import made_files, materializer
from fileset.repository.repository import Repository
from ledger import disk
from ledger.errors import JournalError, VaultError
from ledger.events import FileSetIDChanged
from ledger.journal import sqlite
from ledger.journal.chain import verify_journal
from ledger.journal.entries import Draft
from ledger.journal.sqlite import SqliteJournal
from ledger.vault import packs
from ledger.vault.index import PackIndex
from ledger.vault.vault import PackVault

pytestmark = pytest.mark.skipif(
    (reason := why_not()) is not None, reason=reason or "it can be traced"
)

KILLED = (  # where the command, given again, records no more than it would have
    "undo", "write-new", "write-onto", "write-changed", "write-swap", "write-removal",
    "write-restructure", "write-existing", "gc",
)  # fmt: skip
SAMPLE = ("add", "undo", "write-new", "write-swap", "gc", "import-journal")


@pytest.fixture
def place() -> Iterator[Path]:
    with workplace() as folder:
        yield folder


def shown(tried: Tried, capsys: pytest.CaptureFixture[str]) -> None:
    """Print what was tried; all has to be as promised."""
    with capsys.disabled():
        print(f"\n{HEADING}\n{tried.row()}")
    assert tried.states
    assert not tried.failures, tried.failures[0]


@pytest.mark.parametrize("name", SAMPLE)
def test_a_power_failure_takes_nothing_that_was_acknowledged(
    name: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown(try_all(recorded(SCENARIOS[name], place), chances=1, points=6), capsys)


@pytest.mark.soak
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_power_failure_at_any_call_takes_nothing_that_was_acknowledged(
    name: str, place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown(try_all(recorded(SCENARIOS[name], place), chances=12), capsys)


@pytest.mark.soak
@pytest.mark.parametrize("name", KILLED)
def test_a_power_failure_after_a_kill_takes_nothing_that_was_acknowledged(
    name: str, place: Path
) -> None:
    recording = recorded(SCENARIOS[name], place)
    points = recording.changing()
    for point in random.Random(0).sample(points, min(20, len(points))):
        again = after_kill(recording, point)
        if again.changing():
            tried = try_all(again, chances=3, points=10)
            assert not tried.failures, (point, tried.failures[0])


def test_no_call_is_missed_when_strace_is_slow_to_attach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = shutil.which("strace")
    late = "--trace=ptrace --inject=ptrace:delay_exit=100000"
    slow = tmp_path / "strace"
    slow.write_text(f'#!/bin/sh\nexec {real} -qq -o /dev/null {late} {real} "$@"\n')
    slow.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    calls = record(lambda: os.close(os.open(os.devnull, os.O_RDONLY)))
    assert [call.name for call in calls if call.name != "read"] == ["openat", "close"]


# --- the simulation can fail ---------------------------------------------------------------------


def nothing(*_: object) -> None:
    """Stands for an fsync that was forgotten."""


def forget_disk(patch: pytest.MonkeyPatch) -> None:
    for module, name in (
        (disk, "fsync"),
        (disk, "fsync_all"),
        (made_files, "fsync_all"),
        (materializer, "fsync"),
        (materializer, "fsync_all"),
    ):
        patch.setattr(module, name, nothing)


def forget_packs(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(packs.os, "fsync", nothing)


def forget_journal(patch: pytest.MonkeyPatch) -> None:
    def unsafe(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = OFF")

    patch.setattr(sqlite, "make_durable", unsafe)


def forget_folder_of_journal(patch: pytest.MonkeyPatch) -> None:
    def unsafe(connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("PRAGMA synchronous = FULL")

    patch.setattr(sqlite, "make_durable", unsafe)


def forget_index(patch: pytest.MonkeyPatch) -> None:
    create = PackIndex.create.__func__  # type: ignore[attr-defined]
    patch.setattr(
        PackIndex, "create", classmethod(lambda cls, path, *, durable: create(cls, path, durable=0))
    )


@pytest.mark.parametrize(
    ("forget", "name", "points"),
    [
        (forget_disk, "write-new", 30),
        (forget_packs, "add", 12),
        (forget_journal, "undo", 12),
        (forget_folder_of_journal, "undo", 12),
        (forget_index, "gc", 30),
    ],
)
def test_without_a_sync_the_simulation_finds_what_is_lost(
    forget: Callable[[pytest.MonkeyPatch], None],
    name: str,
    points: int,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as patch:
        forget(patch)
        recording = recorded(SCENARIOS[name], place)

    assert try_all(recording, chances=2, points=points, first=True).failures


# --- cases that the simulation found -------------------------------------------------------------


def after_power_failure(root: Path, act: Callable[[], object], loss: str = "all lost") -> Tree:
    """Return what is left in `root` when the power fails right after `act` has returned."""
    start = tree_of(root)
    simulated = Disk(root, start, tells="nothing is told")
    for call in record(act):
        simulated.apply(call)
    return simulated.after(SIMPLE[loss])


def test_a_new_repository_in_new_folders_is_there_with_them(place: Path) -> None:
    path = place / "new" / "deep" / "archive"

    def make() -> None:
        Repository.create(path, lambda new: new.begin("1.2.3", "NEW")).close()

    assert "new/deep/archive/journal.sqlite" in after_power_failure(place, make)


def kill_behind(
    recording: Recording, name: str, ending: str, points: int | None = 6
) -> list[Tried]:
    """Try a power failure after the same command, given again after a kill behind such calls."""
    kills = [
        number
        for number, call in enumerate(recording.calls)
        if call.name == name
        and any(
            isinstance(each, bytes) and each.endswith(ending.encode()) for each in call.arguments
        )
    ]
    assert kills
    return [try_all(after_kill(recording, kill), chances=0, points=points) for kill in kills]


@pytest.mark.parametrize(
    ("scenario", "name", "ending", "points"),
    [
        # committed, and the rollback journal's deletion not yet durable
        ("write-removal", "unlink", f"{REPOSITORY}/journal.sqlite-journal", 6),
        # the DICOMDIR in place, and the rename not yet durable
        ("write-removal", "rename", f"{MEDIUM}/DICOMDIR", None),
        # a folder made, and its name not yet durable
        ("write-new", "rename", f"{MEDIUM}/PT000000", 6),
    ],
)
def test_what_a_killed_process_had_not_synced_is_synced_by_the_next_one(
    scenario: str, name: str, ending: str, points: int | None, place: Path
) -> None:
    for tried in kill_behind(recorded(SCENARIOS[scenario], place), name, ending, points):
        assert not tried.failures, tried.failures[0]


def test_what_was_given_up_does_not_come_back(place: Path) -> None:
    recording = recorded(SCENARIOS["write-abandon"], place)
    tried = try_all(recording, chances=0, points=8)
    assert not tried.failures, tried.failures[0]


def test_a_killed_drop_of_content_leaves_an_index_that_is_right(place: Path) -> None:
    recording = recorded(SCENARIOS["gc"], place)
    for tried in kill_behind(recording, "unlink", "vault-index.sqlite-journal"):
        assert not tried.failures, tried.failures[0]


def test_an_unsynced_batch_that_is_torn_is_no_damage(place: Path) -> None:
    folder, index = place / "vault", place / "index"

    def add(*contents: bytes) -> None:
        with closing(PackVault(folder, index)) as vault, vault.batch() as batch:
            for content in contents:
                batch.add(content)

    add(b"kept" * 1000)
    simulated = Disk(place, tree_of(place), tells="nothing is told")
    calls = record(lambda: add(b"one" * 1000, b"two" * 1000))
    (written,) = (n for n, call in enumerate(calls) if call.data.startswith(b"FSLP"))
    for call in calls[: written + 1]:
        simulated.apply(call)
    torn = 0
    plate = Plate(place)
    for seed in range(120):
        tree = simulated.after(Chance(random.Random(seed)))
        torn += len(tree["vault/pack-00000001.pack"].data or b"") > len(b"kept" * 1000) + 52
        plate.put(tree)
        with closing(PackVault(folder, index)) as vault:
            assert all(damage.may_be_torn for damage in vault.verify())
        add(b"next")
        with closing(PackVault(folder, index)) as vault:
            assert not list(vault.verify())
            assert len(list(vault.contents())) >= 2
    assert torn


# --- an fsync that fails -------------------------------------------------------------------------


def failing(calls: str, when: int) -> tuple[str, str]:
    """Return the options of strace that have the call of that number fail, from 1."""
    return "-e", f"inject={calls}:error=EIO:when={when}"


def change(journal: SqliteJournal) -> None:
    event = FileSetIDChanged(value="NEW", previous="OLD")
    draft = Draft(id=os.urandom(6).hex(), actor="a", origin="o", reason=None)
    journal.append([event], draft, expected=journal.position)


def test_after_a_failed_sync_the_journal_takes_nothing_until_it_is_reopened(place: Path) -> None:
    path, done = place / "journal", place / "done"
    with closing(SqliteJournal.create(path)) as journal:
        change(journal)
    pristine, plate = tree_of(place), Plate(place)

    def act() -> None:
        with closing(SqliteJournal(path)) as journal:
            try:
                change(journal)
            except JournalError:
                for _ in range(2):
                    with pytest.raises(JournalError, match="open it again"):
                        change(journal)
            else:
                done.touch()

    found = []
    for number in range(1, 7):
        plate.put(pristine)
        record(act, *failing("fdatasync", number))
        with closing(SqliteJournal(path)) as journal:
            position = verify_journal(journal).position
            found.append((done.exists(), position))
            change(journal)
            assert verify_journal(journal).position == position + 1

    # The last but one is that of the rollback journal's deletion, by which a change is committed:
    # it is there, though nobody was told. The last one never came to be.
    assert found == [
        (False, 1),  # the rollback journal
        (True, 2),  # its name, of which SQLite itself does not want to know
        (False, 1),  # its header
        (False, 1),  # the database
        (False, 2),
        (True, 2),
    ]


def test_after_a_failed_sync_the_vault_takes_nothing_until_it_is_opened_anew(place: Path) -> None:
    folder, index, done = place / "vault", place / "index", place / "done"
    contents = [b"kept" * 1000, b"new" * 1000]
    with closing(PackVault(folder, index)) as vault, vault.batch() as batch:
        kept = batch.add(contents[0])
    pristine, plate = tree_of(place), Plate(place)

    def act() -> None:
        with closing(PackVault(folder, index)) as vault:
            try:
                with vault.batch() as batch:
                    batch.add(contents[1])
            except VaultError:
                with pytest.raises(VaultError, match="open the vault again"):
                    vault.batch().__enter__()
            else:
                done.touch()

    tried = 0
    while not done.exists():
        tried += 1
        plate.put(pristine)
        record(act, *failing("fsync", tried))
        with closing(PackVault(folder, index)) as vault:
            assert not list(vault.verify())
            assert kept.digest in vault
            with vault.batch() as batch:
                added = batch.add(contents[1])
            assert vault.read(added.digest) == contents[1]
    assert tried > 1


def test_an_index_that_cant_be_synced_costs_no_content(place: Path) -> None:
    folder, index = place / "vault", place / "index"

    def act() -> None:
        with closing(PackVault(folder, index)) as vault:
            for content in (b"one", b"two"):
                with vault.batch() as batch:
                    added = batch.add(content)
                assert vault.read(added.digest) == content

    record(act, "-e", "inject=fdatasync:error=EIO")
    with closing(PackVault(folder, index)) as vault:
        assert len(list(vault.contents())) == 2
        assert not list(vault.verify())
