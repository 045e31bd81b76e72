"""What was taken before: it is neither read nor added again, unless the journal has lost it."""

from __future__ import annotations

import errno
import logging
import os
import shutil
from typing import Any

import pytest
from cli_runs import CT, MR, Cli
from watched import House, added, drop, instance, synthetic

from fileset.quarantine.quarantine import Quarantine
from fileset.recovery.recover import recover
from fileset.watching import After, ingesting, leaving
from ledger.events import ConflictNoted, InstanceRejected


def instances(home: House) -> int:
    with home.file_set() as fs:
        return len(fs)


def lose_events_of(home: House, name: str) -> None:
    """Damage the journal where it tells of the file `name`, and recover what comes before."""
    journal = home.repository / "journal.sqlite"
    data, told = journal.read_bytes(), f"inbox/{name}".encode()
    assert told in data
    journal.write_bytes(data.replace(told, told[:-1] + b"X"))
    recover(home.repository)


def test_a_restart_reads_nothing_again_that_was_kept(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number, data in enumerate(synthetic(5)):
        drop(home.inbox, f"{number}", data)
    assert home.drain()["ingested"] == 5
    monkeypatch.setattr(ingesting.Ingester, "study_of", None)  # reading would fail
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
    drop(home.inbox, "again", CT.read_bytes())
    assert home.drain()["taken_back"] == 1


def test_what_was_taken_back_says_how_to_have_it_again(
    home: House, caplog: pytest.LogCaptureFixture
) -> None:
    cli = Cli(home.repository)
    path = drop(home.inbox, "a", CT.read_bytes())
    home.drain()
    cli("remove", "PatientID=1CT1")
    path.unlink()
    drop(home.inbox, "a", CT.read_bytes())
    with caplog.at_level(logging.INFO, "fileset.watching"):
        assert home.drain()["taken_back"] == 1
    (told,) = (r for r in caplog.records if r.getMessage() == "not added again")
    assert "fileset add FILE" in vars(told)["fields"]["how"]
    assert "fileset add FILE" in cli("watch", "--status").out
    cli("add", path)
    assert len(cli.uids()) == 1


def test_an_undone_arrival_can_be_had_again_whatever_came_since(home: House) -> None:
    cli = Cli(home.repository)
    drop(home.inbox, "a", CT.read_bytes())
    home.drain()
    arrived = cli.json("log", "--kind", "instance-added")["changes"][0]["id"]
    taken_back = cli.json("revert", arrived)["change"]
    drop(home.inbox, "b", MR.read_bytes())
    home.drain()
    cli("revert", taken_back)
    assert len(cli.uids()) == 2


def test_an_arrival_that_was_undone_is_added_by_hand(home: House) -> None:
    cli = Cli(home.repository)
    path = drop(home.inbox, "a", CT.read_bytes())
    home.drain()
    cli("undo", "--by", "watch:inbox")
    cli("add", path)
    assert len(cli.uids()) == 1


def test_a_person_who_was_erased_does_not_come_back_from_what_was_kept(home: House) -> None:
    drop(home.inbox, "a", CT.read_bytes())
    home.drain()
    with home.file_set() as fs:
        fs.erase(reason="the person asked for it", take_off=True, PatientID="1CT1")
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


def test_what_is_remembered_outlives_an_erasure(home: House) -> None:
    drop(home.inbox, "a", instance(1))
    drop(home.inbox, "b", instance(2, study=2))
    home.drain()
    with home.file_set() as fs:
        fs.erase(reason="asked for", take_off=True, StudyInstanceUID="2.25.1000000002")
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
    assert home.quarantined()["a"][0] == "conflicting"
    (entry,) = Quarantine(home.repository)
    assert Quarantine(home.repository).bytes_of(entry).read_bytes() == data
    assert len(home.events(ConflictNoted)) == 1
    assert home.events(InstanceRejected) == []
    home.drain()
    assert len(home.events(ConflictNoted)) == 1


def test_a_file_that_was_rewritten_is_told_to_be_the_same(home: House) -> None:
    path = drop(home.inbox, "a", CT.read_bytes())
    home.drain()
    data = bytearray(CT.read_bytes())
    data[-200] ^= 1
    path.write_bytes(data)
    home.drain()
    assert home.quarantined()["a"][1].startswith("the file was rewritten after it was added")


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
        patch.setattr(leaving, "delete", refuse)
        drop(home.inbox, "file1", instance(1, study=1))
        assert home.drain(after=After.DELETE)["owed"] == 1
    lose_events_of(home, "file1")
    assert instances(home) == 1
    assert home.drain(after=After.DELETE)["ingested"] == 1
    assert (instances(home), home.names()) == (2, [])


def test_nothing_is_deleted_if_the_journal_loses_it_just_before(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    drop(home.inbox, "first", instance(0))
    home.drain(after=After.DELETE)
    remember = leaving.Leaver.remember

    def remember_and_lose(self: leaving.Leaver, *arguments: Any, **options: Any) -> None:
        remember(self, *arguments, **options)
        if home.names() == ["file1"] and instances(home) == 2:
            self._ingester.close()
            lose_events_of(home, "file1")

    with monkeypatch.context() as patch:
        patch.setattr(leaving.Leaver, "remember", remember_and_lose)
        drop(home.inbox, "file1", instance(1, study=1))
        home.drain(after=After.DELETE)
    assert (instances(home), home.names()) in [(1, ["file1"]), (2, [])]
    home.drain(after=After.DELETE)
    assert (instances(home), home.names()) == (2, [])
