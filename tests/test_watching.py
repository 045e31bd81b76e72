"""Watched folders, with a watcher in a thread and real files."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR, RT_DOSE, Cli, changed, run
from watched import House, added, digests, drop, house, instance, synthetic, until

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.watching import After, Settings, Watcher, looking, rounds, taking
from fileset.watching.metrics import MetricsServer
from fileset.watching.quarantine import Quarantine
from fileset.watching.status import statuses
from ledger.digest import digest_of
from ledger.events import ConflictNoted, InstanceRejected

WRITERS = Path(__file__).parent / "arrivals.py"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(rounds, "_TEND", 0.05)
    monkeypatch.setattr(rounds, "_TELL", 0.02)
    return house(tmp_path)


def events(home: House, kind: type) -> list[Any]:
    with home.file_set() as fs:
        found = [recorded.event for recorded in fs.repository.journal.read()]
    return [event for event in found if isinstance(event, kind)]


def quarantined(home: House) -> dict[str, tuple[str, str]]:
    return {
        os.path.relpath(entry.source, home.inbox): (entry.outcome, entry.reason)
        for entry in Quarantine(home.repository)
    }


# --- files that arrive in every way ---------------------------------------------------------------


def test_whatever_way_files_arrive_each_is_taken_whole_and_once(home: House) -> None:
    """A process of its own writes slowly, renames, links, rewrites and moves folders in."""
    with home.watched(settle=0.15, quiet=0.3, tries=3) as watcher:
        subprocess.run([sys.executable, WRITERS, home.inbox], check=True, timeout=120)
        until(lambda: watcher.status["pending"] == 0 and not home_is_behind(home))
    told = json.loads((home.path / "inbox.expected").read_text())
    with home.file_set() as fs:
        there = {leaf.content.digest for leaf in fs.state.live.values() if leaf.content}
    assert there == set(told["taken"])
    assert sorted(added(home.repository)) == sorted(told["taken"])
    assert {name: outcome for name, (outcome, _) in quarantined(home).items()} == told["bad"]
    assert not any("unfinished" in event.source for event in events(home, InstanceRejected))


def home_is_behind(home: House) -> bool:
    told = json.loads((home.path / "inbox.expected").read_text())
    return set(told["taken"]) - set(added(home.repository)) != set() or len(
        quarantined(home)
    ) < len(told["bad"])


def test_what_is_there_before_the_start_is_taken_as_well(home: House) -> None:
    files = synthetic(3)
    for number, data in enumerate(files):
        drop(home.inbox, f"a/b/{number}", data)
    with home.watched():
        until(lambda: home.committed)
    assert sorted(added(home.repository)) == sorted(digests(files))


def test_a_burst_of_which_most_hints_are_lost_is_taken_whole(home: House) -> None:
    count = 2500
    with home.watched(max_hints=20, settle=0.2, quiet=0.5) as watcher:
        for number, data in enumerate(synthetic(count)):
            path = home.inbox / f"{number % 7}" / f"{number}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        until(lambda: watcher.status["ingested"] == count)
        assert watcher.status["overflows"] > 0
    assert len(set(added(home.repository))) == len(added(home.repository)) == count


def test_hints_alone_bring_a_file_in_long_before_the_next_look(home: House) -> None:
    with home.watched(rescan=10_000.0) as watcher:
        scans = watcher.status["scans"]
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)
        assert watcher.status["scans"] == scans


def test_without_any_hint_a_look_finds_what_came(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking.Hints, "on_any_event", lambda *_: None)
    with home.watched(rescan=0.2) as watcher:
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)


def test_a_folder_that_the_system_can_not_watch_is_polled(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    monkeypatch.setattr(rounds, "Observation", refuse)
    monkeypatch.setattr(rounds, "POLL", 0.1)
    with home.watched() as watcher:
        assert watcher.status["folders"][0]["state"] == "polling"
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)


def test_network_file_systems_are_polled_by_themselves(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileset.watching.folders.network_file_system", lambda _: "nfs4")
    monkeypatch.setattr(rounds, "POLL", 0.1)
    with home.watched() as watcher:
        (folder,) = watcher.status["folders"]
        assert (folder["state"], folder["file_system"]) == ("polling", "nfs4")
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)


def test_links_devices_ignored_names_and_other_repositories_are_passed_over(home: House) -> None:
    (home.inbox / "link.dcm").symlink_to(CT)
    (home.inbox / "linked").symlink_to(CT.parent)
    os.mkfifo(home.inbox / "pipe")
    for name in ("a.part", ".b", "c.bak", "logs/d", "DICOMDIR"):
        drop(home.inbox, name, CT.read_bytes())
    FileSet(repository=home.inbox / "other").close()
    drop(home.inbox, "other/e", CT.read_bytes())
    drop(home.inbox, "good", MR.read_bytes())
    assert home.drain(ignore=("*.bak", "logs"))["seen"] == 1
    assert added(home.repository) == digests([MR.read_bytes()])


def test_a_folder_whose_changes_nobody_tells_of_is_polled_from_then_on(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(looking.Hints, "on_any_event", lambda *_: None)
    monkeypatch.setattr(rounds, "_SURELY_HINTED", 0)
    with home.watched(rescan=0.2) as watcher:
        assert watcher.status["folders"][0]["state"] == "watching"
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["folders"][0]["state"] == "polling")


# --- folders that come and go ---------------------------------------------------------------------


def test_a_folder_that_vanishes_removes_nothing_and_is_watched_again_when_it_returns(
    home: House,
) -> None:
    drop(home.inbox, "a", CT.read_bytes())
    with home.watched() as watcher:
        until(lambda: watcher.status["ingested"] == 1)
        home.inbox.rename(home.path / "unmounted")
        until(lambda: watcher.status["folders"][0]["state"] == "away")
        assert watcher.status["last_error"]["reason"] == "the folder is not there"
        (home.path / "unmounted" / "b").write_bytes(MR.read_bytes())
        (home.path / "unmounted").rename(home.inbox)
        until(lambda: watcher.status["ingested"] == 2)
        drop(home.inbox, "c/d", instance(1))
        until(lambda: watcher.status["ingested"] == 3)
    with home.file_set() as fs:
        assert len(fs) == 3


def test_a_folder_that_another_one_takes_the_place_of_is_that_one(home: House) -> None:
    with home.watched() as watcher:
        home.inbox.rename(home.path / "old")
        shutil.copytree(home.path / "old", home.inbox)
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)


def test_a_file_that_goes_before_it_is_taken_is_let_go_of(home: House) -> None:
    with home.watched(quiet=1000.0) as watcher:
        path = drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["waiting"] == 1)
        path.unlink()
        until(lambda: watcher.status["vanished"] == 1 and watcher.status["pending"] == 0)


def test_a_file_that_changes_while_it_waits_settles_again(home: House) -> None:
    contents = [bytearray(CT.read_bytes()) for _ in range(4)]
    for number, data in enumerate(contents):
        data[-200] = number  # as large, whole and of the same instance: its status alone tells
    time = 0.0
    watcher = home.watcher(clock=lambda: time, settle=1.0, quiet=60.0, poll=1e9)
    turns = watcher._rounds
    path = drop(home.inbox, "a", contents[0])
    turns.turn()
    for at, content, (settling, waiting) in (
        (1.0, contents[1], (1, 0)),  # changed between the two looks
        (2.0, None, (0, 1)),
        (3.0, contents[2], (0, 1)),
        (62.0, None, (1, 0)),  # changed before its study was quiet
        (63.0, None, (0, 1)),
        (123.0, None, (0, 0)),
    ):
        time = at
        if content is not None:
            path.write_bytes(content)
        assert added(home.repository) == []
        turns.turn()
        assert (len(turns._settling), len(turns._studies)) == (settling, waiting), at
    turns.close()
    assert added(home.repository) == digests([bytes(contents[2])])


# --- one study, one change ------------------------------------------------------------------------


def test_each_study_is_one_change_that_undo_takes_back(home: House) -> None:
    for study in (1, 2):
        for number in range(3):
            name = f"{study}-{number}"
            drop(home.inbox, name, instance(10 * study + number, study=study))
    home.drain()
    with home.file_set() as fs:
        first, second = fs.history[-2:]
        assert {first.reason, second.reason} == {f"watch: {home.inbox}"}
        assert {entry.origin for entry in (first, second)} == {"watch:inbox"}
        assert len(fs) == 6
        fs.undo()
        assert len(fs) == 3
    assert [(c.added, c.late) for c in home.committed] == [(3, False), (3, False)]


def test_a_study_is_one_change_however_slowly_it_is_read(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_SLICE", 0.0)  # a file a turn
    for number, data in enumerate(synthetic(5)):
        drop(home.inbox, f"{number}", data)
    with home.watched(quiet=0.0) as watcher:
        until(lambda: watcher.status["ingested"] == 5)
    assert [committed.added for committed in home.committed] == [5]


def test_a_study_is_committed_in_parts_when_it_gets_too_large(home: House) -> None:
    with home.watched(max_study=4, quiet=1000.0) as watcher:
        for number, data in enumerate(synthetic(4)):
            drop(home.inbox, f"{number}", data)
        until(lambda: watcher.status["ingested"] == 4)


def test_more_files_than_are_kept_in_mind_come_in_all_the_same(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "POLL", 0.1)
    for number in range(12):
        drop(home.inbox, f"{number}", instance(number, study=number))
    with home.watched(max_pending=5) as watcher:
        until(lambda: watcher.status["ingested"] == 12)
    assert len(added(home.repository)) == 12


def test_instances_without_a_study_are_taken_too(home: House) -> None:
    palette = shutil.copy(CT, home.path / "palette.dcm")
    changed(
        Path(palette), Path(palette), SOPClassUID="1.2.840.10008.5.1.4.39.1", ContentLabel="LABEL",
        ContentDescription="", InstanceNumber=1, PaletteColorLookupTableUID="1.2.3",
    )  # fmt: skip
    drop(home.inbox, "a", Path(palette).read_bytes())
    assert home.drain()["ingested"] == 1


def test_names_that_are_not_utf8_are_taken_set_aside_and_told(home: House) -> None:
    folder = os.fsdecode(b"Patient \xff\x1b[31m")
    drop(home.inbox, f"{folder}/good", CT.read_bytes())
    drop(home.inbox, f"{folder}/bad", CT.read_bytes()[:5000])
    assert (home.drain()["ingested"], len(Quarantine(home.repository))) == (1, 1)
    with home.file_set() as fs:
        fs.undo()
    assert home.drain()["seen"] == 0


def test_two_watchers_of_one_repository_have_a_folder_each(home: House) -> None:
    other = home.path / "other"
    other.mkdir()
    with (
        home.watched() as first,
        Watcher(home.file_set(), other, Settings(settle=0.05, quiet=0.1)) as second,
    ):
        drop(home.inbox, "a", CT.read_bytes())
        drop(other, "b", MR.read_bytes())
        until(lambda: first.status["ingested"] == second.status["ingested"] == 1)
        assert [told["running"] for told in statuses(home.repository)] == [True, True]


# --- what was ingested once -----------------------------------------------------------------------


def test_a_restart_reads_nothing_again_that_was_kept(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, data in enumerate(synthetic(5)):
        drop(home.inbox, f"{number}", data)
    assert home.drain()["ingested"] == 5
    monkeypatch.setattr(taking.Taker, "study_of", None)  # reading would fail
    assert home.drain()["seen"] == 0


def test_an_arrival_that_was_undone_does_not_come_back_by_itself(home: House) -> None:
    path = drop(home.inbox, "a", CT.read_bytes())
    home.drain()
    with home.file_set() as fs:
        fs.undo()
    assert home.drain()["seen"] == 0
    path.touch()  # as a backup or a chmod does
    assert home.drain()["taken_back"] == 1
    shutil.rmtree(home.repository / "watch")
    assert home.drain()["taken_back"] == 1
    with home.file_set() as fs:
        assert len(fs) == 0
    drop(home.inbox, "again", CT.read_bytes())  # someone means it
    assert home.drain()["ingested"] == 1


def test_what_the_quarantine_has_of_a_person_is_erased_with_the_rest(home: House) -> None:
    drop(home.inbox, "ct", CT.read_bytes())
    drop(home.inbox, "cut-ct", CT.read_bytes()[:-100])
    drop(home.inbox, "cut-mr", MR.read_bytes()[:-100])
    drop(home.inbox, "notes", b"who knows")
    home.watcher(tries=1, once=True).run()
    assert len(Quarantine(home.repository)) == 3

    with FileSet.open(home.repository) as files:
        foreseen = files.erase(PatientID="1CT1", reason="request 17", dry_run=True)
        done = files.erase(PatientID="1CT1", reason="request 17", take_off=True)

    cut = str(home.inbox / "cut-ct")
    assert foreseen.quarantined == done.quarantined == (cut,)
    assert foreseen.unclear == done.unclear == 1
    left = {Path(entry.source).name for entry in Quarantine(home.repository)}
    assert left == {"cut-mr", "notes"}
    kept = b"".join(p.read_bytes() for p in home.repository.rglob("*") if p.is_file())
    assert b"1CT1" not in kept


def test_a_person_who_was_erased_does_not_come_back_from_what_was_kept(home: House) -> None:
    drop(home.inbox, "a", CT.read_bytes())
    home.drain()
    with home.file_set() as fs:
        fs.erase(reason="the person asked for it", take_off=True, PatientID="1CT1")
    assert home.drain()["seen"] == 0


def test_losing_what_is_remembered_doubles_nothing(home: House) -> None:
    for number, data in enumerate(synthetic(3)):
        drop(home.inbox, f"{number}", data)
    home.drain()
    shutil.rmtree(home.repository / "watch")
    assert home.drain()["duplicates"] == 3
    assert len(added(home.repository)) == 3


def test_a_kept_file_with_a_new_content_is_a_conflict_that_is_kept_aside(home: House) -> None:
    path = drop(home.inbox, "a", CT.read_bytes())
    home.drain()
    before = path.stat()
    data = bytearray(CT.read_bytes())
    data[-200] ^= 1
    with path.open("r+b") as file:  # the same size, inode and time
        file.write(data)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert home.drain()["quarantined"] == 1
    assert quarantined(home)["a"][0] == "conflicting"
    (entry,) = Quarantine(home.repository)
    assert Quarantine(home.repository).bytes_of(entry).read_bytes() == data
    assert len(events(home, ConflictNoted)) == 1
    assert events(home, InstanceRejected) == []
    home.drain()
    assert len(events(home, ConflictNoted)) == 1


# --- what becomes of the sources ------------------------------------------------------------------


def test_files_are_deleted_once_they_are_in_the_journal(home: House) -> None:
    drop(home.inbox, "a/b", CT.read_bytes())
    drop(home.inbox, "bad", CT.read_bytes()[:5000])
    home.drain(after=After.DELETE)
    assert home.names() == []
    assert added(home.repository) == digests([CT.read_bytes()])
    assert list(quarantined(home)) == ["bad"]


def test_files_are_moved_to_the_same_place_elsewhere(home: House) -> None:
    drop(home.inbox, "a/b", CT.read_bytes())
    home.drain(after=After.MOVE, move_to=home.path / "done")
    assert home.names() == []
    assert (home.path / "done" / "a" / "b").read_bytes() == CT.read_bytes()


def test_what_could_not_be_deleted_is_deleted_after_a_restart(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", "/in/Smith")

    drop(home.inbox, "a", CT.read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(rounds, "delete", refuse)
        status = home.drain(after=After.DELETE)
    assert status["owed"] == 1
    assert status["last_error"]["reason"] == "Permission denied"
    assert home.names() == ["a"]
    home.drain(after=After.DELETE)
    assert home.names() == []
    assert len(added(home.repository)) == 1


def test_a_file_that_is_written_again_before_it_is_deleted_is_not(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop(home.inbox, "a", CT.read_bytes())
    commit = taking.Taker.commit

    def commit_and_write(*arguments: Any) -> Any:
        account = commit(*arguments)
        if path.read_bytes() == CT.read_bytes():
            path.write_bytes(MR.read_bytes())
        return account

    monkeypatch.setattr(taking.Taker, "commit", commit_and_write)
    home.drain(after=After.DELETE)
    assert added(home.repository) == digests([CT.read_bytes(), MR.read_bytes()])
    assert home.names() == []


def test_a_file_that_the_file_set_has_by_reference_alone_is_never_deleted(home: House) -> None:
    path = drop(home.inbox, "a", CT.read_bytes())
    with home.file_set() as fs:
        fs.add_many(path, reference=True)
    assert home.drain(after=After.DELETE)["duplicates"] == 1
    assert home.names() == ["a"]
    assert home.drain(after=After.DELETE)["seen"] == 0


# --- bad files ------------------------------------------------------------------------------------


def test_bad_files_are_set_aside_with_their_reasons_and_recorded_once(home: House) -> None:
    drop(home.inbox, "cut", CT.read_bytes()[:5000])
    drop(home.inbox, "notes.txt", b"no DICOM")
    drop(home.inbox, "empty", b"")
    drop(home.inbox, "dose", RT_DOSE.read_bytes())
    drop(home.inbox, "good", CT.read_bytes())
    status = home.drain()
    assert (status["ingested"], status["quarantined"]) == (1, 4)
    found = quarantined(home)
    assert {name: outcome for name, (outcome, _) in found.items()} == {
        "cut": "rejected",
        "notes.txt": "not DICOM",
        "empty": "not DICOM",
        "dose": "rejected",
    }
    assert "the file ends within" in found["cut"][1]
    assert "Instance Number" in found["dose"][1]
    assert len(events(home, InstanceRejected)) == 4
    for entry in Quarantine(home.repository):
        path = Quarantine(home.repository).bytes_of(entry)
        assert path.parent == home.repository / "quarantine"
        assert digest_of(path.read_bytes()) == entry.digest
        told = json.loads((path.parent / f"{entry.id}.json").read_text())
        assert told["reason"] == entry.reason
    assert len(home.names()) == 5
    assert home.drain()["seen"] == 0
    shutil.rmtree(home.repository / "watch")  # what is remembered is lost
    assert home.drain()["quarantined"] == 4
    assert len(events(home, InstanceRejected)) == len(Quarantine(home.repository)) == 4


def test_complete_invents_what_records_must_have(home: House) -> None:
    drop(home.inbox, "dose", RT_DOSE.read_bytes())
    assert home.drain(complete=True)["ingested"] == 1


def test_a_file_that_can_not_be_read_for_a_while_is_not_given_up(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_of, left = taking.Taker.study_of, [2]

    def failing(self: taking.Taker, path: str) -> str:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EIO, "Input/output error")
        return study_of(self, path)

    monkeypatch.setattr(taking.Taker, "study_of", failing)
    drop(home.inbox, "a", CT.read_bytes())
    status = home.drain(tries=3)
    assert (status["ingested"], status["quarantined"]) == (1, 0)


def test_what_can_never_be_read_is_told_in_the_quarantine_and_left_alone(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(taking.Taker, "study_of", refuse)
    monkeypatch.setattr("fileset.watching.quarantine.file_content", refuse)
    drop(home.inbox, "a", CT.read_bytes())
    assert home.drain(after=After.DELETE)["quarantined"] == 1
    assert home.names() == ["a"]
    (entry,) = Quarantine(home.repository)
    assert (entry.digest, entry.reason) == (None, "can't be read: Permission denied")


def test_a_full_disk_keeps_the_sources_and_is_got_over(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit, left = taking.Taker.commit, [1]

    def failing(*arguments: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device", "/repo/Smith")
        return commit(*arguments)

    monkeypatch.setattr(taking.Taker, "commit", failing)
    drop(home.inbox, "a", CT.read_bytes())
    with home.watched(after=After.DELETE) as watcher:
        until(lambda: watcher.status["errors"] == 1)
        assert home.names() == ["a"]
        error = watcher.status["last_error"]
        assert (error["event"], error["reason"]) == ("commit failed", "No space left on device")
        until(lambda: watcher.status["ingested"] == 1)
    assert home.names() == []


def test_a_full_disk_under_the_quarantine_is_got_over(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep, left = Quarantine.keep, [1]

    def failing(*arguments: Any, **options: Any) -> Any:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.ENOSPC, "No space left on device")
        return keep(*arguments, **options)

    monkeypatch.setattr(Quarantine, "keep", failing)
    monkeypatch.setattr(rounds, "_LATER", 0.1)
    drop(home.inbox, "a", b"no DICOM")
    assert home.drain(after=After.DELETE)["quarantined"] == 1
    assert home.names() == []


def test_an_error_nobody_thought_of_does_not_end_the_watch(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    tend, left = rounds.Rounds._take_hints, [1]

    def failing(self: rounds.Rounds) -> None:
        if left[0]:
            left[0] -= 1
            raise ZeroDivisionError
        tend(self)

    monkeypatch.setattr(rounds.Rounds, "_take_hints", failing)
    monkeypatch.setattr(rounds, "_PAUSE", 0.1)
    drop(home.inbox, "a", CT.read_bytes())
    with home.watched() as watcher:
        until(lambda: watcher.status["ingested"] == 1)
        assert watcher.status["last_error"]["reason"] == "ZeroDivisionError"


def test_a_repository_that_can_not_be_written_to_makes_nobody_spin(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(rounds, "Remembered", refuse)
    watcher = home.watcher(clock=lambda: 0.0)
    watcher._rounds.turn()
    watcher._rounds.turn()
    assert watcher._rounds.next_due() == rounds._PAUSE
    assert watcher.status["errors"] == 1
    assert watcher.status["last_error"]["reason"] == "OperationalError: database or disk is full"
    watcher._rounds.close()


# --- together with others -------------------------------------------------------------------------


def test_the_file_set_is_changed_written_and_collected_while_it_is_watched(home: House) -> None:
    with home.watched() as watcher, home.file_set() as fs:
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)
        fs.refresh()
        assert len(fs) == 1
        fs.add(MR)
        fs.gc(dry_run=False)
        fs.write(home.path / "disc")
        drop(home.inbox, "b", instance(1))
        until(lambda: watcher.status["ingested"] == 2)
        fs.refresh()
        fs.undo()
        assert len(fs) == 2
        assert fs.verify() == []


def test_folders_that_the_watcher_itself_writes_to_are_refused(home: House) -> None:
    with home.file_set() as fs:
        fs.add(CT)
        fs.write(home.inbox / "disc")
        inside = home.repository / "inside"
        inside.mkdir()
        for folder, settings in (
            (home.repository, Settings()),
            (inside, Settings()),
            (home.path, Settings()),
            (home.inbox, Settings()),  # the medium is in it
        ):
            with pytest.raises(RefusedError, match="overlaps"):
                Watcher(fs, folder, settings)
    with pytest.raises(RefusedError, match="no folder"):
        Watcher(fs, home.path / "none")


@pytest.mark.parametrize(
    "settings",
    [{"write": "inbox/disc"}, {"after": After.MOVE, "move_to": "inbox/done"}, {"write": "."}],
)
def test_targets_in_a_watched_folder_are_refused(home: House, settings: dict[str, Any]) -> None:
    for name in {"write", "move_to"} & set(settings):
        settings = {**settings, name: home.path / settings[name]}
    with pytest.raises(RefusedError, match="overlaps"):
        home.watcher(**settings)


def test_a_folder_has_one_watcher_whatever_the_repository(home: House, tmp_path: Path) -> None:
    other = house(tmp_path / "other")
    inner = home.inbox / "inner"
    inner.mkdir()
    with home.watched():
        with pytest.raises(RefusedError, match="watched already"):
            home.watcher().start()
        with (
            FileSet.open(other.repository) as fs,
            pytest.raises(RefusedError, match="watched already"),
        ):
            Watcher(fs, home.inbox).start()
        with (
            FileSet.open(other.repository) as fs,
            pytest.raises(RefusedError, match="watched already"),
        ):
            Watcher(fs, inner).start()
    assert home.names() == []  # nothing was put there
    home.drain()


def test_a_file_set_without_a_repository_is_refused(home: House) -> None:
    with pytest.raises(RefusedError, match="repository"):
        Watcher(FileSet(), home.inbox)


# --- writing, hooks, telling ----------------------------------------------------------------------


def test_each_study_is_written_and_late_arrivals_are_marked(home: House) -> None:
    disc = home.path / "disc"
    with home.watched(write=disc) as watcher:
        for number, data in enumerate(synthetic(2)):
            drop(home.inbox, f"{number}", data)
        until(lambda: watcher.status["writes"] == 1)
        drop(home.inbox, "late", instance(2))
        until(lambda: watcher.status["writes"] == 2)
        assert watcher.status["late"] == 1
    assert len(FileSet(disc / "DICOMDIR")) == 3
    with home.file_set() as fs:
        reasons = [entry.reason for entry in fs.history if entry.origin == "watch:inbox"]
        assert f"watch: {home.inbox}; late: the study has been written" in reasons
        assert not fs.is_staged
    drop(home.inbox, "later", instance(3))
    home.drain()
    with home.file_set() as fs:
        assert tuple(fs.repository.summary().late) == (1, 1)


def test_what_a_killed_watcher_had_not_written_is_written_by_the_next(home: House) -> None:
    drop(home.inbox, "a", CT.read_bytes())
    home.drain()
    home.drain(write=home.path / "disc")
    assert len(FileSet(home.path / "disc" / "DICOMDIR")) == 1


def test_a_medium_that_can_not_be_written_is_tried_again(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    write, left = FileSet.write, [1]

    def failing(*arguments: Any) -> None:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EIO, "Input/output error")
        write(*arguments)

    monkeypatch.setattr(FileSet, "write", failing)
    monkeypatch.setattr(rounds, "_LATER", 0.1)
    drop(home.inbox, "a", CT.read_bytes())
    with home.watched(write=home.path / "disc") as watcher:
        until(lambda: watcher.status["writes"] == 1)
        assert watcher.status["last_error"]["event"] == "write failed"


def test_a_program_is_told_of_each_study_without_a_shell(home: House) -> None:
    told = home.path / "told"
    script = "import sys, os; open(sys.argv[1], 'a').write(sys.stdin.read() + sys.argv[2])"
    drop(home.inbox, "a", CT.read_bytes())
    status = home.drain(on_study=(sys.executable, "-c", script, os.fspath(told), "$(id); #"))
    assert (status["hooks"], status["hooks_failed"]) == (1, 0)
    document, _, rest = told.read_text().partition("\n")
    assert json.loads(document)["added"] == 1
    assert json.loads(document)["folder"] == os.fspath(home.inbox)
    assert rest == "$(id); #"


@pytest.mark.parametrize(
    "command", [("./empty",), ("false",), ("sleep", "60")], ids=["none", "fails", "hangs"]
)
def test_a_hook_that_fails_is_counted_and_changes_nothing(
    home: House, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home.path)
    Path("empty").touch(0o700)  # which nothing can run
    drop(home.inbox, "a", CT.read_bytes())
    status = home.drain(on_study=command, hook_timeout=0.2)
    assert (status["ingested"], status["hooks"], status["hooks_failed"]) == (1, 1, 1)


def test_a_callback_that_raises_does_not_end_the_watch(home: House) -> None:
    def callback(_: object) -> None:
        raise ValueError("Smith^John")

    fs = home.file_set()
    with Watcher(fs, home.inbox, Settings(settle=0, quiet=0), on_change=callback) as watcher:
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["errors"] == 1)
        assert watcher.status["last_error"]["reason"] == "ValueError"
        drop(home.inbox, "b", MR.read_bytes())
        until(lambda: watcher.status["ingested"] == 2)


def test_the_status_is_in_the_repository_while_it_runs_and_afterwards(home: House) -> None:
    drop(home.inbox, "a", CT.read_bytes())
    with home.watched(quiet=1000.0) as watcher:
        until(lambda: watcher.status["waiting"] == 1)
        until(lambda: next(statuses(home.repository))["lag"] > 0)
        assert next(statuses(home.repository))["running"]
    (after,) = statuses(home.repository)
    assert not after["running"]
    assert (after["seen"], after["pending"]) == (1, 1)


def test_the_numbers_are_served_on_the_loopback_interface(home: House) -> None:
    with home.watched() as watcher:
        server = MetricsServer(0, lambda: watcher.status)
        try:
            url = f"http://127.0.0.1:{server.port}/metrics"
            with urllib.request.urlopen(url, timeout=10) as answer:
                text = answer.read().decode()
        finally:
            server.close()
    assert "fileset_watch_files_seen_total 0" in text
    assert f'fileset_watch_folder_up{{folder="{home.inbox}"}} 1' in text


def test_stopping_leaves_what_is_pending_for_the_next_start(home: House) -> None:
    drop(home.inbox, "a", CT.read_bytes())
    with home.watched(quiet=1000.0) as watcher:
        until(lambda: watcher.status["waiting"] == 1)
    assert added(home.repository) == []
    assert home.drain()["ingested"] == 1


def test_polling_is_asked_for_without_taking_the_folder_for_a_number(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    shutil.copy(CT, folder)
    run("init", tmp_path / "repo")
    cli = Cli(tmp_path / "repo")

    cli("watch", "--poll", folder, "--once", "--settle", "0.05")

    assert len(cli.uids()) == 1
    cli("watch", folder, "--poll-every", "2", code=2)
