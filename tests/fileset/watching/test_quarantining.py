"""Quarantining: files that can't be taken are put aside with their reasons, and recorded once."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from archives import zipped
from cli_runs import CT, MR, RT_DOSE, Cli
from watched import CUT_SHORT, House, adds_up, drop, until

from fileset.quarantine.quarantine import Quarantine
from fileset.watching import After, ingesting, quarantining
from fileset.watching.wakeup import WakeUp
from ledger.digest import digest_of
from ledger.events import InstanceRejected


def test_bad_files_are_set_aside_with_their_reasons_and_recorded_once(home: House) -> None:
    drop(home.inbox, "cut", CT.read_bytes()[:5000])
    drop(home.inbox, "notes.txt", b"no DICOM")
    drop(home.inbox, "empty", b"")
    drop(home.inbox, "dose", RT_DOSE.read_bytes())
    drop(home.inbox, "good", CT.read_bytes())
    status = home.drain()
    assert (status["ingested"], status["quarantined"]) == (1, 4)
    found = home.quarantined()
    assert {name: outcome for name, (outcome, _) in found.items()} == {
        "cut": "rejected",
        "notes.txt": "not DICOM",
        "empty": "not DICOM",
        "dose": "rejected",
    }
    assert "the file ends within" in found["cut"][1]
    assert "Instance Number" in found["dose"][1]
    assert len(home.events(InstanceRejected)) == 4
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
    assert len(home.events(InstanceRejected)) == len(Quarantine(home.repository)) == 4


def test_an_archive_is_set_aside_with_what_to_do(home: House) -> None:
    drop(home.inbox, "study", zipped(home.repository.parent / "z", {"a": b""}).read_bytes())
    home.drain()
    outcome, reason = home.quarantined()["study"]
    assert outcome == "not DICOM"
    assert reason == "a ZIP file, which is looked into only if it is named: `fileset add FILE`"


def test_what_can_never_be_read_is_told_in_the_quarantine_and_left_alone(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(ingesting.Ingester, "study_of", refuse)
    monkeypatch.setattr("fileset.quarantine.quarantine.file_content", refuse)
    drop(home.inbox, "a", CT.read_bytes())
    assert home.drain(after=After.DELETE)["quarantined"] == 1
    assert home.names() == ["a"]
    (entry,) = Quarantine(home.repository)
    assert (entry.digest, entry.reason) == (None, "can't be read: Permission denied")


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
    monkeypatch.setattr(quarantining, "_LATER", 0.1)
    drop(home.inbox, "a", b"no DICOM")
    assert home.drain(after=After.DELETE)["quarantined"] == 1
    assert home.names() == []


def test_a_file_that_goes_before_it_is_put_aside_has_vanished(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = Quarantine.keep

    def gone(self: Any, path: str, *arguments: Any, **options: Any) -> Any:
        os.unlink(path)  # noqa: PTH108 - a path as the watcher has it
        return keep(self, path, *arguments, **options)

    monkeypatch.setattr(Quarantine, "keep", gone)
    drop(home.inbox, "a", b"no DICOM")
    status = home.drain()
    assert status["vanished"] == 1
    assert status["errors"] == 0
    assert adds_up(status)


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(b"")])
def test_a_quarantined_file_whose_bytes_are_lost_is_copied_again(
    home: House, damage: Callable[[Path], Any]
) -> None:
    drop(home.inbox, "bad", CUT_SHORT)
    home.drain(after=After.KEEP)
    (stored,) = (home.repository / "quarantine").glob("*.file")
    damage(stored)
    (home.inbox / "bad").unlink()
    drop(home.inbox, "bad", CUT_SHORT)
    home.drain(after=After.DELETE)
    assert (home.names(), stored.read_bytes()) == ([], CUT_SHORT)


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
    drop(home.inbox, "bad", CUT_SHORT)
    with home.watched(after=After.DELETE, tries=1) as watcher:
        until(lambda: kept)
        until(lambda: watcher.status["retrying"])
    assert home.names() == ["bad"]
    assert list((home.repository / "quarantine").iterdir()) == []


def test_what_was_put_aside_of_a_copy_that_is_complete_by_now_is_dropped(home: House) -> None:
    path = drop(home.inbox, "a", CT.read_bytes()[:5000])
    drop(home.inbox, "b", b"something else")
    assert home.drain()["quarantined"] == 2
    path.write_bytes(CT.read_bytes())
    drop(home.inbox, "b", MR.read_bytes())  # no other part of what was put aside
    assert home.drain()["ingested"] == 2
    assert list(home.quarantined()) == ["b"]


def test_a_file_that_was_added_by_hand_is_not_put_aside_again(home: House) -> None:
    path = drop(home.inbox, "dose", RT_DOSE.read_bytes())
    home.drain()
    assert "retry ID --complete" in home.quarantined()["dose"][1]
    Cli(home.repository)("quarantine", "retry", "--all", "--complete")
    path.chmod(0o600)
    status = home.drain()
    assert (status["duplicates"], status["quarantined"]) == (1, 0)
    assert home.quarantined() == {}


def test_files_that_are_given_up_together_are_rejected_in_one_change(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = [0.0]  # which stands still but while the watcher waits

    def wait(_: WakeUp, seconds: float) -> bool:
        clock[0] += max(seconds, 0.1)
        return False

    monkeypatch.setattr(WakeUp, "wait", wait)
    for name in "abc":
        drop(home.inbox, name, name.encode())
    home.watcher(clock=lambda: clock[0], once=True).run()
    with home.file_set() as fs:
        assert sum(entry.origin == "watch:inbox" for entry in fs.history) == 1


def test_files_that_are_put_aside_are_moved_like_others(home: House) -> None:
    drop(home.inbox, "a/bad", b"no DICOM")
    home.drain(after=After.MOVE, move_to=home.path / "done")
    assert home.names() == []
    assert (home.path / "done" / "a" / "bad").read_bytes() == b"no DICOM"
