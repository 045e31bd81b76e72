"""Scanning: what lies in the folders is found, with hints and without, and folders come and go."""

from __future__ import annotations

import errno
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR, Cli, run
from watchdog.events import DirCreatedEvent, FileCreatedEvent, FileMovedEvent
from watched import House, added, digests, drop, instance, synthetic, until

from fileset.adding.ignoring import Ignored
from fileset.errors import RefusedError
from fileset.watching import folders, hints, listing, scanning
from fileset.watching.hints import Hints
from fileset.watching.listing import Listing, Reach
from ledger.events import InstanceRejected

ARRIVALS = Path(__file__).parents[2] / "support" / "arrivals.py"


def home_is_behind(home: House) -> bool:
    told = json.loads((home.path / "inbox.expected").read_text())
    return set(told["taken"]) - set(added(home.repository)) != set() or len(
        home.quarantined()
    ) < len(told["bad"])


def test_whatever_way_files_arrive_each_is_taken_whole_and_once(home: House) -> None:
    """A process of its own writes slowly, renames, links, rewrites and moves folders in."""
    with home.watched(settle=0.15, quiet=0.3, tries=3) as watcher:
        subprocess.run([sys.executable, ARRIVALS, home.inbox], check=True, timeout=120)
        until(lambda: watcher.status["pending"] == 0 and not home_is_behind(home))
    told = json.loads((home.path / "inbox.expected").read_text())
    with home.file_set() as fs:
        there = {leaf.content.digest for leaf in fs.state.live.values() if leaf.content}
    assert there == set(told["taken"])
    assert sorted(added(home.repository)) == sorted(told["taken"])
    assert {name: outcome for name, (outcome, _) in home.quarantined().items()} == told["bad"]
    assert not any("unfinished" in event.source for event in home.events(InstanceRejected))


def test_what_is_there_before_the_start_is_taken_as_well(home: House) -> None:
    files = synthetic(3)
    for number, data in enumerate(files):
        drop(home.inbox, f"a/b/{number}", data)
    with home.watched():
        until(lambda: home.committed)
    assert sorted(added(home.repository)) == sorted(digests(files))


@pytest.mark.parametrize(
    ("count", "hints"), [(1500, 20), pytest.param(30_000, 1000, marks=pytest.mark.soak)]
)
def test_a_burst_of_which_most_hints_are_lost_is_taken_whole(
    home: House, count: int, hints: int
) -> None:
    with home.watched(max_hints=hints, settle=0.2, quiet=0.5) as watcher:
        for number, data in enumerate(synthetic(count)):
            path = home.inbox / f"{number % 50}" / f"{number}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(data)
        until(lambda: watcher.status["ingested"] == count, patience=600)
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
    monkeypatch.setattr(hints.Hints, "on_any_event", lambda *_: None)
    with home.watched(rescan=0.2) as watcher:
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)


def test_more_hints_than_are_kept_mean_that_everything_is_to_be_looked_at() -> None:
    rung: list[None] = []
    hints = Hints(2, lambda: rung.append(None))
    hints.on_any_event(FileCreatedEvent("/in/a"))
    hints.on_any_event(FileMovedEvent("/in/b", "/in/c"))
    hints.on_any_event(DirCreatedEvent("/in/d"))
    taken = hints.take()
    assert len(taken.files) == 2
    assert taken.overflown
    assert len(rung) == 1
    assert hints.take() == (set(), set(), False)


def test_a_folder_that_the_system_can_not_watch_is_polled(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, "inotify watch limit reached")

    monkeypatch.setattr(scanning, "FolderWatch", refuse)
    monkeypatch.setattr(scanning, "POLL", 0.1)
    with home.watched() as watcher:
        assert watcher.status["folders"][0]["state"] == "polling"
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)


def test_network_file_systems_are_polled_by_themselves(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileset.watching.folders.network_file_system", lambda _: "nfs4")
    monkeypatch.setattr(scanning, "POLL", 0.1)
    with home.watched() as watcher:
        (folder,) = watcher.status["folders"]
        assert (folder["state"], folder["file_system"]) == ("polling", "nfs4")
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)


def test_polling_is_asked_for_without_taking_the_folder_for_a_number(tmp_path: Path) -> None:
    folder = tmp_path / "inbox"
    folder.mkdir()
    shutil.copy(CT, folder)
    run("init", tmp_path / "repo")
    cli = Cli(tmp_path / "repo")

    cli("watch", "--poll", folder, "--once", "--settle", "0.05")

    assert len(cli.uids()) == 1
    cli("watch", folder, "--poll-every", "2", code=2)


def test_a_folder_whose_changes_nobody_tells_of_is_polled_from_then_on(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hints.Hints, "on_any_event", lambda *_: None)
    monkeypatch.setattr(scanning, "_SURELY_HINTED", 0)
    with home.watched(rescan=0.2) as watcher:
        assert watcher.status["folders"][0]["state"] == "watching"
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["folders"][0]["state"] == "polling")


def test_a_chmod_does_not_have_the_folder_polled(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "_SURELY_HINTED", 0)
    path = drop(home.inbox, "a", CT.read_bytes())
    with home.watched(rescan=0.1) as watcher:
        until(lambda: watcher.status["ingested"] == 1)
        path.chmod(0o600)
        until(lambda: watcher.status["duplicates"] == 1)
        assert watcher.status["folders"][0]["state"] == "watching"


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


def test_a_share_that_is_not_mounted_any_more_is_away(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    mounted = [os.fspath(home.path)]
    monkeypatch.setattr(folders, "mount_point", lambda _: mounted[0])
    with home.watched() as watcher:
        home.inbox.rename(home.path / "share")
        mounted[0] = "/"
        home.inbox.mkdir()  # the mount point below
        until(lambda: watcher.status["folders"][0]["state"] == "away")
        (told,) = watcher.status["folders"]
        assert told["trouble"] == f"nothing is mounted at {home.path}"
        drop(home.inbox, "a", CT.read_bytes())
        mounted[0] = os.fspath(home.path)
        home.inbox.rename(home.path / "point")
        (home.path / "share").rename(home.inbox)
        until(lambda: watcher.status["folders"][0]["state"] == "watching")
        drop(home.inbox, "b", MR.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)
    assert added(home.repository) == digests([MR.read_bytes()])


def test_a_folder_that_is_not_there_at_the_start_is_waited_for_if_asked(home: House) -> None:
    home.inbox.rmdir()
    with pytest.raises(RefusedError, match="--await-folders"):
        home.watcher()
    with home.watcher(wait=True) as watcher:
        until(lambda: watcher.status["folders"][0]["trouble"])
        home.inbox.mkdir()
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)
        with pytest.raises(RefusedError, match="watched already"):
            home.watcher().start()


def test_a_folder_that_may_be_looked_into_again_is_watched_and_not_polled(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    walk, refused = listing.walk, [True]

    def refusing(root: str, ignored: Any) -> Any:
        for listed in walk(root, ignored):
            inner = listed.folder.endswith("inner")
            denied = PermissionError(13, "Permission denied")
            yield Listing(listed.folder, {}, denied) if inner and refused[0] else listed

    monkeypatch.setattr(scanning, "walk", refusing)
    monkeypatch.setattr(scanning, "POLL", 0.1)
    monkeypatch.setattr(scanning, "_SURELY_HINTED", 0)
    drop(home.inbox, "inner/a", CT.read_bytes())
    with home.watched(rescan=0.2) as watcher:
        assert watcher.status["folders"][0]["trouble"] == "Permission denied"
        refused[0] = False
        until(lambda: watcher.status["ingested"] == 1)
        scans = watcher.status["scans"]
        until(lambda: watcher.status["scans"] > scans + 2)
        assert watcher.status["folders"][0]["state"] == "watching"


def test_a_folder_that_may_not_be_read_keeps_nothing_else_waiting(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = listing.is_repository

    def guarded(path: Path) -> bool:
        if path.name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return known(path)

    monkeypatch.setattr(listing, "is_repository", guarded)
    reach = Reach("/in", Ignored())
    assert reach.has_file("/in/open/a")
    assert not reach.is_unsure
    assert not reach.has_file("/in/closed/a")
    assert reach.is_unsure
    with home.watched() as watcher:
        (home.inbox / "closed").mkdir()
        drop(home.inbox, "a", instance(1))
        until(lambda: watcher.status["ingested"])
        error = watcher.status["last_error"]
        assert error is None or error["event"] == "look failed"


def test_once_fails_if_it_may_not_look_into_a_folder(
    home: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    walk = listing.walk

    def refusing(*arguments: Any) -> Any:
        yield from walk(*arguments)
        yield Listing(os.fspath(home.inbox / "Smith"), {}, PermissionError(13, "Permission denied"))

    monkeypatch.setattr(scanning, "walk", refusing)
    drop(home.inbox, "a", CT.read_bytes())
    watcher = home.watcher(once=True)
    with caplog.at_level(logging.DEBUG, "fileset.watching"):
        assert not watcher.run()
    assert watcher.status["ingested"] == 1
    told = {r.getMessage(): vars(r)["fields"] for r in caplog.records if hasattr(r, "fields")}
    assert told["look failed"] == {
        "reason": "Permission denied", "folder": os.fspath(home.inbox), "folders": 1
    }  # fmt: skip
    assert told["can't look"]["path"] == os.fspath(home.inbox / "Smith")


def test_more_files_than_are_kept_in_mind_come_in_all_the_same(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scanning, "POLL", 0.1)
    for number in range(12):
        drop(home.inbox, f"{number}", instance(number, study=number))
    with home.watched(max_pending=5) as watcher:
        until(lambda: watcher.status["ingested"] == 12)
    assert len(added(home.repository)) == 12
