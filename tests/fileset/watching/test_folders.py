"""Watched folders: which may be watched, and that each has one watcher."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR
from watched import CUT_SHORT, House, drop, house, instance, until

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.quarantine.quarantine import Quarantine
from fileset.watching import After, Settings, Watcher
from fileset.watching.folders import Folder
from fileset.watching.host import HostState
from fileset.watching.locks import WatcherLock, is_held
from fileset.watching.mounts import file_system, overlap

MOUNTS = [
    "22 1 8:1 / / rw - ext4 /dev/sda1 rw",
    "40 22 0:50 / /mnt/pacs\\040in rw shared:1 - nfs4 server:/x rw",
    "41 40 8:2 / /mnt/pacs\\040in/local rw - ext4 /dev/sdb1 rw",
]


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
        assert [told["running"] for told in HostState(home.repository).statuses()] == [True, True]


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
        with pytest.raises(RefusedError, match="is not a folder"):
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


def test_a_folder_that_holds_a_watched_one_is_refused(home: House) -> None:
    outer = home.inbox
    inner = home.inbox / "inner"
    inner.mkdir()
    with Watcher(home.file_set(), inner) as watcher:
        until(lambda: watcher.status["ready"])
        with pytest.raises(RefusedError, match="watched already"):
            Watcher(home.file_set(), outer).start()


@pytest.mark.parametrize("inner_first", [True, False])
def test_of_two_folders_that_lie_in_each_other_one_is_watched(
    home: House, *, inner_first: bool
) -> None:
    inner, outer = Folder(str(home.inbox / "inner")), Folder(str(home.inbox))
    beside = Folder(str(home.inbox / "beside"))
    for folder in (inner, beside):
        Path(folder.path).mkdir()
    first, second = (inner, outer) if inner_first else (outer, inner)
    first.lock.acquire()
    with pytest.raises(RefusedError, match="is being watched already"):
        second.lock.acquire()
    if inner_first:
        beside.lock.acquire()
        beside.lock.release()
    first.lock.release()
    second.lock.acquire()
    second.lock.release()


def test_asking_whether_a_watcher_runs_keeps_none_from_starting(home: House) -> None:
    folder = Folder(str(home.inbox))
    lock = home.repository / "watch" / f"{folder.key}.lock"
    HostState(home.repository).lock(folder).close()
    done = threading.Event()

    def ask() -> None:
        while not done.is_set():
            is_held(lock)

    asking = [threading.Thread(target=ask) for _ in range(3)]
    for thread in asking:
        thread.start()
    try:
        for _ in range(300):
            held = HostState(home.repository).lock(folder)
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
    (folder / "bad").write_bytes(CUT_SHORT)
    settings = Settings(settle=0.05, quiet=0.1, once=True, tries=1)
    watcher = Watcher(FileSet.open(home.repository), folder, settings)
    watcher.run()
    assert (watcher.status["ingested"], watcher.status["quarantined"]) == (1, 1)
    (entry,) = Quarantine(home.repository)
    assert entry.folder.endswith("in\\udcff")
    with home.file_set() as fs:
        assert {change.origin for change in fs.repository.changes()} >= {"watch:in\\udcff"}


def test_the_innermost_mount_says_what_file_system_a_folder_is_on() -> None:
    assert file_system("/home", MOUNTS) == "ext4"
    assert file_system("/mnt/pacs in/a", MOUNTS) == "nfs4"
    assert file_system("/mnt/pacs in/local/a", MOUNTS) == "ext4"
    assert file_system("/mnt/pacs inside", MOUNTS) == "ext4"


def test_folders_overlap_if_one_holds_the_other() -> None:
    assert overlap("/a", "/a/b")
    assert overlap("/a/b", "/a")
    assert overlap("/", "/a")
    assert not overlap("/a", "/ab")


def test_a_lock_that_the_disk_refuses_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr("fileset.watching.locks.fcntl.fcntl", fail)
    with pytest.raises(OSError, match="Input/output error") as told:
        WatcherLock(tmp_path / "x.lock", "a folder")
    assert str(told.value.filename) == str(tmp_path / "x.lock")
