"""What a watcher remembers, and that a source goes only if its content is surely kept."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from watched import House, drop, house, instance, until

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.recovery import recover
from fileset.watching import After, Settings, Watcher, looking, rounds, sources
from fileset.watching.folders import STATE, Folder, StateLock, is_held
from fileset.watching.ignoring import Ignored
from fileset.watching.looking import Ways
from fileset.watching.quarantine import Quarantine
from fileset.watching.remembered import Mark, Remembered
from fileset.watching.settling import Look
from fileset.watching.signature import Signature, signature
from fileset.watching.sources import move
from fileset.watching.studies import Studies, StudyKey
from ledger.files import copy_file, file_content

BAD = instance(1)[:5000]  # the end is in the middle of an element


@pytest.fixture
def home(tmp_path: Path) -> House:
    return house(tmp_path)


def instances(home: House) -> int:
    with home.file_set() as fs:
        return len(fs)


def findings(home: House) -> list[str]:
    with home.file_set() as fs:
        return [str(finding) for finding in fs.verify()]


def rows(home: House) -> int:
    with sqlite3.connect(memory_of(home)) as db:
        return int(db.execute("SELECT count(*) FROM file").fetchone()[0])


def memory_of(home: House) -> Path:
    return home.repository / STATE / "remembered.sqlite"


def lose_events_of(home: House, name: str) -> None:
    """Damage the journal where it tells of the file `name`, and recover what comes before."""
    journal = home.repository / "journal.sqlite"
    data, told = journal.read_bytes(), f"inbox/{name}".encode()
    assert told in data
    journal.write_bytes(data.replace(told, told[:-1] + b"X"))
    recover(home.repository)


# --- a source goes only if its content is kept ----------------------------------------------------


def test_a_duplicate_mends_what_is_damaged_in_the_vault_before_it_is_deleted(home: House) -> None:
    drop(home.inbox, "a", instance(1))
    home.drain(after=After.DELETE)
    for pack in (home.repository / "vault").iterdir():
        data = bytearray(pack.read_bytes())
        data[len(data) // 2] ^= 0xFF
        pack.chmod(0o600)
        pack.write_bytes(data)
    assert findings(home)
    drop(home.inbox, "again", instance(1))
    assert home.drain(after=After.DELETE)["duplicates"] == 1
    assert (home.names(), findings(home)) == ([], [])


def test_a_duplicate_of_what_lies_on_the_medium_alone_is_kept(home: House, tmp_path: Path) -> None:
    drop(home.inbox, "a", instance(1))
    home.drain(write=tmp_path / "disc")
    (tmp_path / "other").mkdir()
    other = House(tmp_path / "other")
    FileSet(tmp_path / "disc" / "DICOMDIR", repository=other.repository).close()
    other.inbox.mkdir()
    (lost,) = (tmp_path / "disc").rglob("IM*")
    lost.unlink()
    drop(other.inbox, "sent again", instance(1))
    status = other.drain(after=After.DELETE)
    assert (status["duplicates"], other.names()) == (1, ["sent again"])


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_quarantined_file_whose_bytes_are_lost_is_copied_again(
    home: House, damage: Callable[[Path], Any]
) -> None:
    drop(home.inbox, "bad", BAD)
    home.drain(after=After.KEEP)
    (stored,) = (home.repository / "quarantine").glob("*.file")
    damage(stored)
    (home.inbox / "bad").unlink()
    drop(home.inbox, "bad", BAD)
    home.drain(after=After.DELETE)
    assert (home.names(), stored.read_bytes()) == ([], BAD)


def test_a_file_that_is_dropped_from_the_quarantine_meanwhile_stays_where_it_is(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, kept = Quarantine.keep, list[str]()

    def keep_and_drop(self: Quarantine, *args: Any, **kwargs: Any) -> Any:
        entry = keep(self, *args, **kwargs)
        Quarantine(home.repository).drop(entry)
        kept.append(entry.id)
        return entry

    monkeypatch.setattr(Quarantine, "keep", keep_and_drop)
    drop(home.inbox, "bad", BAD)
    with home.watched(after=After.DELETE, tries=1) as watcher:
        until(lambda: kept)
        until(lambda: watcher.status["retrying"])
    assert home.names() == ["bad"]
    assert list((home.repository / "quarantine").iterdir()) == []


# --- the journal has lost events ------------------------------------------------------------------


def test_files_whose_events_a_recovery_lost_are_taken_again(home: House) -> None:
    for number in range(4):
        drop(home.inbox, f"file{number}", instance(number, study=number))
        home.drain()
    lose_events_of(home, "file2")
    assert instances(home) == 2
    status = home.drain()
    assert (status["ingested"], status["duplicates"], instances(home)) == (2, 2, 4)


def test_what_is_owed_is_not_deleted_if_the_journal_has_lost_it(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise PermissionError(errno.EACCES, "no")

    drop(home.inbox, "first", instance(0))
    home.drain(after=After.DELETE)
    with monkeypatch.context() as patch:
        patch.setattr(rounds, "delete", refuse)
        drop(home.inbox, "file1", instance(1, study=1))
        assert home.drain(after=After.DELETE)["owed"] == 1
    lose_events_of(home, "file1")
    assert instances(home) == 1
    assert home.drain(after=After.DELETE)["ingested"] == 1
    assert (instances(home), home.names()) == (2, [])


def test_what_is_remembered_outlives_an_erasure(home: House) -> None:
    drop(home.inbox, "a", instance(1))
    drop(home.inbox, "b", instance(2, study=2))
    home.drain()
    with home.file_set() as fs:
        fs.erase(reason="asked for", take_off=True, StudyInstanceUID="2.25.1000000002")
    assert home.drain()["seen"] == 0


@pytest.mark.parametrize("touch", ["chmod", "link", "utime"])
def test_an_erased_person_does_not_come_back_when_a_kept_file_is_touched(
    home: House, touch: str
) -> None:
    path = drop(home.inbox, "a", instance(1))
    home.drain()
    with home.file_set() as fs:
        (found,) = fs
        fs.erase(reason="asked for", take_off=True, PatientID=str(found.PatientID))
    for _ in range(2):
        if touch == "chmod":
            path.chmod(0o640 if path.stat().st_mode & 0o777 != 0o640 else 0o600)
        elif touch == "link":
            os.link(path, home.path / f"backup{path.stat().st_nlink}")
        else:
            os.utime(path)
        status = home.drain()
        assert (status["seen"], status["taken_back"], instances(home)) == (1, 1, 0)
    drop(home.inbox, "a", instance(7))
    assert home.drain()["ingested"] == 1


# --- the memory itself ----------------------------------------------------------------------------


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def lose_key(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DELETE FROM key")


def lose_table(path: Path) -> None:
    with sqlite3.connect(path) as db:
        db.execute("DROP TABLE file")


def scramble(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for offset in range(2 * 4096, len(data)):
        data[offset] = (data[offset] * 7 + 13) & 0xFF
    path.write_bytes(data)


DAMAGES = pytest.mark.parametrize("damage", [cut, lose_key, lose_table, scramble])
SOME = Signature(1, 2, 3, 4)
MARK = Mark("journal", 1, b"hash")


def filled(path: Path) -> Remembered:
    memory = Remembered(path)
    memory.remember([(f"/in/{n}", SOME) for n in range(500)], root="/in", mark=MARK)
    return memory


@DAMAGES
def test_a_damaged_memory_is_begun_anew(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "remembered.sqlite"
    filled(path).close()
    damage(path)
    memory = Remembered(path)
    assert (memory.of_names("/in", ["1"]), memory.mark) == ({}, None)
    memory.remember([("/in/1", SOME)])
    assert list(memory.of_names("/in", ["1"])) == ["1"]


def test_a_memory_that_is_damaged_while_it_is_used_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "remembered.sqlite"
    memory = filled(path)
    lose_table(path)
    assert memory.of_names("/in", ["1"]) == {}
    scramble(path)
    path.write_bytes(b"no database" * 1000)
    memory.remember([("/in/1", SOME)])
    assert list(memory.of_names("/in", ["1"])) == ["1"]
    memory.forget(["/in/1"])
    assert memory.mark is None


def test_a_full_disk_does_not_cost_the_memory(tmp_path: Path) -> None:
    path = tmp_path / "remembered.sqlite"
    memory = filled(path)
    memory._db.execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        memory.remember([(f"/in/more{n}", SOME) for n in range(5000)])
    assert list(memory.of_names("/in", ["1"])) == ["1"]


def test_files_that_are_no_more_are_forgotten_by_looks_at_everything(home: House) -> None:
    for number in range(4):
        drop(home.inbox, f"a{number}", instance(number))
    home.drain()
    for number in range(3):
        (home.inbox / f"a{number}").unlink()
    assert rows(home) == 4
    home.drain()  # finds that
    assert home.drain()["seen"] == 0
    assert rows(home) == 1


def test_a_look_that_something_was_in_the_way_of_forgets_nothing(tmp_path: Path) -> None:
    memory = filled(tmp_path / "remembered.sqlite")
    for _ in range(3):
        memory.sweep("/in")  # and no end of it
    assert list(memory.of_names("/in", ["1"])) == ["1"]
    for _ in range(2):
        memory.sweep("/elsewhere").end()
    assert list(memory.of_names("/in", ["1"])) == ["1"]
    for _ in range(2):
        sweep = memory.sweep("/in")
        sweep.meet("/in", ["1"])
        sweep.end()
    assert list(memory.of_names("/in", ["1", "2"])) == ["1"]


# --- folders --------------------------------------------------------------------------------------


def test_a_folder_that_may_not_be_read_keeps_nothing_else_waiting(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = looking.is_repository

    def guarded(path: Path) -> bool:
        if path.name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return known(path)

    monkeypatch.setattr(looking, "is_repository", guarded)
    ways = Ways("/in", Ignored())
    assert ways.lead_to("/in/open/a")
    assert not ways.is_unsure
    assert not ways.lead_to("/in/closed/a")
    assert ways.is_unsure
    with home.watched() as watcher:
        (home.inbox / "closed").mkdir()
        drop(home.inbox, "a", instance(1))
        until(lambda: watcher.status["ingested"])
        error = watcher.status["last_error"]
        assert error is None or error["event"] == "look failed"


@pytest.mark.parametrize("inner_first", [True, False])
def test_of_two_folders_that_lie_in_each_other_one_is_watched(
    home: House, *, inner_first: bool
) -> None:
    inner, outer = Folder(str(home.inbox / "inner")), Folder(str(home.inbox))
    beside = Folder(str(home.inbox / "beside"))
    for folder in (inner, beside):
        Path(folder.path).mkdir()
    first, second = (inner, outer) if inner_first else (outer, inner)
    first.lock()
    with pytest.raises(RefusedError, match="is being watched already"):
        second.lock()
    if inner_first:
        beside.lock()
        beside.unlock()
    first.unlock()
    second.lock()
    second.unlock()


def test_asking_whether_a_watcher_runs_keeps_none_from_starting(home: House) -> None:
    folder = Folder(str(home.inbox))
    lock = home.repository / STATE / f"{folder.key}.lock"
    StateLock(home.repository, folder).close()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            is_held(lock)

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    try:
        for _ in range(300):
            held = StateLock(home.repository, folder)
            assert is_held(lock)
            held.close()
    finally:
        done.set()
        for thread in asking:
            thread.join()
    assert not is_held(lock)


def test_a_folder_whose_name_is_no_utf8_is_watched_as_any_other(home: House) -> None:
    folder = home.path / os.fsdecode(b"in\xff")
    folder.mkdir()
    (folder / "a").write_bytes(instance(1))
    (folder / "bad").write_bytes(BAD)
    settings = Settings(settle=0.05, quiet=0.1, once=True, tries=1)
    watcher = Watcher(FileSet.open(home.repository), folder, settings)
    watcher.run()
    assert (watcher.status["ingested"], watcher.status["quarantined"]) == (1, 1)
    (entry,) = Quarantine(home.repository)
    assert entry.folder.endswith("in\\udcff")
    with home.file_set() as fs:
        assert {change.origin for change in fs.repository.changes()} >= {"watch:in\\udcff"}


def test_names_of_unfinished_files_are_passed_over_in_any_case() -> None:
    ignored = Ignored()
    names = ["X.TMP", "a.PART", "THUMBS.DB", "a.download", "~$x", "A.Filepart"]
    assert [name for name in names if not ignored.name(name)] == []
    assert not ignored.name("IM000001.dcm")


def test_a_study_of_which_files_go_on_arriving_is_committed_nevertheless() -> None:
    studies = Studies(60, 10_000)
    key = StudyKey("/in", "1.2")
    taken: list[float] = []
    for number in range(100):
        at = number * 50.0
        studies.arrive(key, Look(f"/in/{number}", SOME, at, at), at)
        studies.leave([])
        taken += [at for _ in studies.take_due(at)]
    assert taken == [600.0 + 650 * n for n in range(7)]
    assert studies.next_due() is not None


# --- moving ---------------------------------------------------------------------------------------


def source(home: House, data: bytes = b"new") -> tuple[Path, Signature]:
    path = drop(home.inbox, "a", data)
    known = signature(str(path))
    assert known is not None
    return path, known


def test_a_file_is_moved_past_others_without_reading_them(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    monkeypatch.setattr(
        sources, "file_content", lambda p: (read.append(str(p)), file_content(p))[1]
    )
    target = home.path / "done"
    target.mkdir()
    (target / "a").write_bytes(b"old one")
    for number in range(1, 998):
        (target / f"a.{number}").write_bytes(b"another")
    path, known = source(home)
    (target / "a.7").write_bytes(b"odd")  # the same size
    assert move(str(path), known, str(home.inbox), target)
    assert (target / "a.998").read_bytes() == b"new"
    assert sorted(read) == sorted([str(target / "a.7"), str(path)])
    for number in (998, 999):
        (target / f"a.{number}").write_bytes(b"another")
    path, known = source(home)
    with pytest.raises(FileExistsError, match="1000 files of that name"):
        move(str(path), known, str(home.inbox), target)
    assert path.exists()


def test_a_file_with_a_long_name_is_moved_beside_another(home: House) -> None:
    name = "n" * 255
    target = home.path / "done"
    target.mkdir()
    (target / name).write_bytes(b"old one")
    path = home.inbox / name
    path.write_bytes(b"new")
    known = signature(str(path))
    assert known is not None
    assert move(str(path), known, str(home.inbox), target)
    assert (target / f"{name[:253]}.1").read_bytes() == b"new"


def test_a_target_folder_whose_name_a_file_has_is_an_error_that_names_it(home: House) -> None:
    (home.path / "done").mkdir()
    (home.path / "done" / "p").write_bytes(b"a file")
    path = drop(home.inbox, "p/a", b"new")
    known = signature(str(path))
    assert known is not None
    with pytest.raises(OSError, match="done/p"):
        move(str(path), known, str(home.inbox), home.path / "done")
    assert path.exists()


@pytest.fixture
def across(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the target on another file system."""
    link = os.link

    def refuse(source: Any, target: Any, **kwargs: Any) -> None:
        if kwargs:
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "there")
            raise OSError(errno.EXDEV, "another device")
        link(source, target)

    monkeypatch.setattr(os, "link", refuse)


@pytest.mark.usefixtures("across")
def test_a_file_that_moves_to_another_file_system_keeps_its_mode_and_time(home: House) -> None:
    path, _ = source(home)
    path.chmod(0o640)
    os.utime(path, ns=(10**18, 10**18))
    known = signature(str(path))
    assert known is not None
    assert move(str(path), known, str(home.inbox), home.path / "done" / "deep")
    found = (home.path / "done" / "deep" / "a").stat()
    assert (found.st_mode & 0o777, found.st_mtime_ns) == (0o640, 10**18)


@pytest.mark.usefixtures("across")
def test_a_file_that_grows_while_it_is_moved_is_left(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def grow(source: str, target: int, **kwargs: Any) -> None:
        with Path(source).open("ab") as file:
            file.write(b"more")
        copy_file(source, target, **kwargs)

    monkeypatch.setattr(sources, "copy_file", grow)
    path, known = source(home)
    assert not move(str(path), known, str(home.inbox), home.path / "done")
    assert path.read_bytes() == b"newmore"
    assert list((home.path / "done").iterdir()) == []
