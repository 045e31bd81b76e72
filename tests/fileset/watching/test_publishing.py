"""Publishing: the medium is written, programs are run and callbacks called after each study."""

from __future__ import annotations

import errno
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR
from watched import House, drop, instance, synthetic, until

from fileset import FileSet
from fileset.watching import Committed, Settings, Watcher, publishing
from fileset.watching.hooks import Hooks
from ledger.events import WriteCompleted


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


def test_what_is_added_and_what_is_written_come_from_the_watched_folder(home: House) -> None:
    drop(home.inbox, "a", instance(1))
    home.drain(write=home.path / "disc")
    with home.file_set() as fs:
        assert {entry.origin for entry in fs.history if entry.position > 1} == {"watch:inbox"}
        assert WriteCompleted in {type(event) for entry in fs.history for event in entry.events}


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
    monkeypatch.setattr(publishing, "_LATER", 0.1)
    drop(home.inbox, "a", CT.read_bytes())
    with home.watched(write=home.path / "disc") as watcher:
        until(lambda: watcher.status["writes"] == 1)
        assert watcher.status["last_error"]["event"] == "write failed"


def test_once_writes_at_the_end_whatever_the_interval(home: House) -> None:
    for number in range(3):
        drop(home.inbox, f"{number}", instance(number, study=number))
    for expected in (3, 4):
        status = home.drain(write=home.path / "disc", write_every=3600.0)
        assert status["writes"] == 1
        assert len(FileSet(home.path / "disc" / "DICOMDIR")) == expected
        drop(home.inbox, "more", instance(10, study=0))


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


def test_a_callback_may_stop_the_watcher(home: House) -> None:
    drop(home.inbox, "a", CT.read_bytes())
    watcher = home.watcher()
    watcher._rounds.publisher.on_change = lambda _: watcher.stop()
    with watcher:
        until(lambda: watcher._rounds.status.stopping)
    assert watcher.status["errors"] == 0


@pytest.mark.parametrize("once", [False, True])
def test_a_hook_that_hangs_does_not_keep_the_watcher_from_stopping(home: House, once: bool) -> None:
    """It is ended soon, with what it has started."""
    begun = home.path / "begun"
    script = f"sleep 600 & echo $! > {begun}; wait"
    drop(home.inbox, "a", CT.read_bytes())
    watcher = home.watcher(once=once, on_study=("sh", "-c", script), hook_timeout=600.0)
    watcher.start()
    until(lambda: begun.exists() and begun.read_text().endswith("\n"))
    at = time.monotonic()
    watcher.stop()
    assert time.monotonic() - at < 30
    assert watcher.status["hooks_failed"] == 1
    assert watcher.status["failing"] == {}  # it was no fault of the program
    child = Path(f"/proc/{begun.read_text().strip()}/stat")
    until(lambda: not child.exists() or child.read_text().split()[2] == "Z")


def test_no_more_programs_are_begun_when_the_watcher_was_told_to_stop() -> None:
    troubles: list[str | None] = []
    hooks = Hooks(("sleep", "600"), "/repository", 600.0, troubles.append)
    for number in range(3):
        hooks.call(Committed(f"{number}", "/in", "", 1, 0, 0, 0, late=False))
    hooks.close(is_hurried=lambda: True)
    assert troubles == ["the watcher was stopped"] * 3
