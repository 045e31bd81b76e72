"""The rounds: a watcher is started once, goes on whatever happens, and with `once` ends."""

from __future__ import annotations

import errno
import os
import signal
import sqlite3
import subprocess
from typing import Any

import pytest
from cli_runs import CT, PROJECT, Cli, command_line
from watched import House, drop, until

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.quarantine.quarantine import Quarantine
from fileset.watching import Watcher, host, intake, quarantining, rounds, scanning


def test_a_watcher_is_started_once(home: House) -> None:
    with home.watched() as watcher:
        with pytest.raises(RefusedError, match="was started"):
            watcher.start()
        with pytest.raises(RefusedError, match="watched already"):
            home.watcher().start()
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)


def test_a_file_set_without_a_repository_is_refused(home: House) -> None:
    with pytest.raises(RefusedError, match="repository"):
        Watcher(FileSet(), home.inbox)


def test_a_program_that_is_not_there_is_refused_at_the_start(home: House) -> None:
    with pytest.raises(RefusedError, match="no/such"):
        home.watcher(on_study=("/no/such/program",))
    Cli(home.repository)("watch", home.inbox, "--once", "--on-study", "", code=2)


def test_an_error_nobody_thought_of_does_not_end_the_watch(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    tend, left = scanning.Scanner.follow_hints, [1]

    def failing(self: scanning.Scanner) -> None:
        if left[0]:
            left[0] -= 1
            raise ZeroDivisionError
        tend(self)

    monkeypatch.setattr(scanning.Scanner, "follow_hints", failing)
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

    monkeypatch.setattr(host, "KnownFiles", refuse)
    watcher = home.watcher(clock=lambda: 0.0)
    watcher._rounds.turn()
    watcher._rounds.turn()
    assert watcher._rounds.next_due() == rounds._PAUSE
    assert watcher.status["errors"] == 1
    assert watcher.status["last_error"]["reason"] == "OperationalError: database or disk is full"
    watcher._rounds.close()


def test_once_fails_if_it_was_stopped_before_all_was_taken(home: House) -> None:
    path = home.path / "log"
    drop(home.inbox, "a", CT.read_bytes())
    line = command_line("--repo", home.repository, "watch", home.inbox, "--once", "--settle", "60")
    environment = {**os.environ, "PYTHONPATH": os.fspath(PROJECT)}
    with (
        path.open("wb") as file,
        subprocess.Popen(line, stdout=subprocess.PIPE, stderr=file, env=environment) as process,
    ):
        until(lambda: "ready" in path.read_text() or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 1


@pytest.mark.parametrize("what", ["grows", "quarantine"])
def test_once_ends_whatever_others_do(
    home: House, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = drop(home.inbox, "a", b"no DICOM")
    monkeypatch.setattr(intake, "_CHANGING_ONCE", 0.2)
    monkeypatch.setattr(quarantining, "_LATER", 0.01)
    if what == "quarantine":
        monkeypatch.setattr(Quarantine, "keep", full)
    else:
        look = intake.Intake.is_unchanged

        def grown(self: intake.Intake, *arguments: Any) -> bool:
            with path.open("ab") as file:
                file.write(b"more")
            return look(self, *arguments)

        monkeypatch.setattr(intake.Intake, "is_unchanged", grown)
    watcher = home.watcher(once=True)
    assert not watcher.run()
    assert watcher.status["pending"] == 1
