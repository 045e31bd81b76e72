"""The status, the metrics, the log and the live view: what a watcher tells of itself."""

from __future__ import annotations

import errno
import json
import logging
import os
import socket
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cli_runs import CT, Cli
from watched import House, drop, instance, until

from fileset import FileSet
from fileset.cli.screen.live_watcher import view
from fileset.medium.errors import MediumError
from fileset.watching import scanning
from fileset.watching.host import HostState
from fileset.watching.ingesting import Ingester
from fileset.watching.log import JsonLines, Lines, reason_of
from fileset.watching.metrics import MetricsServer, render
from fileset.watching.studies import Study
from fileset.watching.watcher_status import HEARTBEAT, SILENCE, Status, what_is_wrong


def test_the_status_is_in_the_repository_while_it_runs_and_afterwards(home: House) -> None:
    drop(home.inbox, "a", CT.read_bytes())
    with home.watched(quiet=1000.0) as watcher:
        until(lambda: watcher.status["waiting"] == 1)
        until(lambda: next(HostState(home.repository).statuses())["lag"] > 0)
        assert next(HostState(home.repository).statuses())["running"]
    (after,) = HostState(home.repository).statuses()
    assert not after["running"]
    assert (after["seen"], after["pending"]) == (1, 1)


def test_an_idle_watcher_writes_its_status_every_minute(home: House) -> None:
    (home.repository / "watch").mkdir()
    watcher = home.watcher()
    file = HostState(home.repository).status_file(watcher._folders[0])
    status = Status(last_turn="2020-01-01T00:00:00+00:00")
    assert file.keep(status, 100.0) == 100.0 + HEARTBEAT
    status.last_turn = "2020-01-01T00:01:00+00:00"
    assert file.keep(status, 101.0) == 100.0 + HEARTBEAT
    (path,) = (home.repository / "watch").glob("*.json")
    assert json.loads(path.read_text())["last_turn"] == "2020-01-01T00:00:00+00:00"
    assert file.keep(status, 100.0 + HEARTBEAT) == 100.0 + 2 * HEARTBEAT
    assert json.loads(path.read_text())["last_turn"] == "2020-01-01T00:01:00+00:00"


def test_what_is_wrong_with_a_watcher_is_told() -> None:
    now = datetime.now(UTC)
    fine: dict[str, Any] = {
        "running": True,
        "ended": None,
        "folders": [],
        "updated": now.isoformat(),
    }
    assert what_is_wrong(fine, now) is None
    late = now + timedelta(seconds=SILENCE + 1)
    assert "no sign of life" in (what_is_wrong(fine, late) or "")
    assert "killed" in (what_is_wrong({**fine, "running": False}) or "")
    assert what_is_wrong({**fine, "running": False, "ended": "now"}, late) is None
    away = {"path": "/in", "state": "away", "trouble": "it is not there"}
    assert what_is_wrong({**fine, "folders": [away]}, now) == "/in: it is not there"


def test_a_status_that_can_not_be_written_is_an_error_that_is_told_once(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("fileset.watching.watcher_status.replace_file", full)
    clock = [0.0]
    watcher = home.watcher(clock=lambda: clock[0])
    for clock[0] in (0.0, 20.0, 40.0):
        watcher._rounds.turn()
    watcher._rounds.close()
    error = watcher.status["last_error"]
    assert (error["event"], error["reason"]) == ("status not written", "No space left on device")
    assert watcher.status["errors"] == 1
    assert "fileset_watch_errors_total 1\n" in render(watcher.status)


def test_a_turn_that_fails_is_in_the_status_file(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(scanning.Scanner, "follow_hints", failing)
    watcher = home.watcher(clock=lambda: 10.0)
    watcher._rounds.turn()
    (told,) = HostState(home.repository).statuses()
    assert told["last_error"]["reason"] == "ZeroDivisionError"
    assert told["last_turn"] is None
    watcher._rounds.close()


def test_the_status_of_a_killed_watcher_fails(home: House) -> None:
    cli = Cli(home.repository)
    home.drain()
    assert cli.json("watch", "--status")["watchers"][0]["ended"]
    (path,) = (home.repository / "watch").glob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "ended": None}))
    assert "killed" in cli("watch", "--status", code=1).out


def test_when_it_went_through_all_last_is_a_number_for_prometheus() -> None:
    text = render(Status(last_turn="1970-01-01T00:01:40+00:00").document())
    assert "\nfileset_watch_last_turn_timestamp_seconds 100\n" in text


def test_the_numbers_are_told_as_prometheus_reads_them() -> None:
    text = render(Status(ingested=3).document())
    assert "# TYPE fileset_watch_files_ingested_total counter" in text
    assert "\nfileset_watch_files_ingested_total 3\n" in text


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


def test_a_scraper_that_goes_away_leaves_no_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    asked: list[None] = []

    def slow() -> dict[str, Any]:
        time.sleep(0.2)  # it has gone by then
        document = Status().document()
        document["folders"] = [{"path": "/in" * 500_000, "state": "away", "trouble": None}]
        asked.append(None)
        return document

    server = MetricsServer(0, slow)
    try:
        with socket.create_connection(("127.0.0.1", server.port)) as scraper:
            scraper.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            scraper.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        until(lambda: asked)
        time.sleep(0.3)
    finally:
        server.close()
    assert "Traceback" not in capfd.readouterr().err


def test_the_live_view_escapes_what_could_act_on_a_terminal() -> None:
    document = Status().document()
    document["folders"] = [{"path": "/in/\x1b[31m", "state": "away", "trouble": "gone"}]
    document["quarantined"] = 2
    document["last_error"] = {"at": "now", "event": "commit failed", "reason": "No space"}
    assert view(document).row_count == 6


def test_log_lines_are_for_people_or_for_machines() -> None:
    record = logging.LogRecord("x", logging.INFO, "", 0, "committed", None, None)
    record.fields = {"added": 3, "late": True, "folder": "/in"}
    assert Lines().format(record).endswith('INFO    committed added=3 late=true folder="/in"')
    assert '"event": "committed", "added": 3' in JsonLines().format(record)


def test_the_reason_of_an_error_names_no_path() -> None:
    assert reason_of(OSError(28, "No space left", "/in/Smith")) == "No space left"
    assert reason_of(ValueError("Smith")) == "ValueError"


def test_the_reason_of_a_write_that_failed_is_told() -> None:
    assert reason_of(MediumError("/disc was changed by others")) == "/disc was changed by others"


def _failing(home: House) -> str:
    """Return what `watch --status` finds wrong, which makes it fail."""
    told = Cli(home.repository).json("watch", "--status", code=1)["watchers"][0]
    return str(told["wrong"])


def test_a_watcher_of_which_every_commit_fails_is_wrong_until_one_goes_well(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    drop(home.inbox, "a", instance(1, study=1))
    with monkeypatch.context() as patch:
        patch.setattr("fileset.watching.ingesting.Ingester.commit", full)
        with home.watched() as watcher:
            until(lambda: "commit failed" in watcher.status["failing"])
            until(lambda: next(HostState(home.repository).statuses())["failing"])
            assert "commit failed since" in _failing(home)
            assert "No space left on device" in _failing(home)
            patch.undo()
            until(lambda: watcher.status["ingested"] == 1)
            assert watcher.status["failing"] == {}
    assert Cli(home.repository).json("watch", "--status")["watchers"][0]["wrong"] is None


def test_one_study_that_fails_stays_wrong_though_others_are_committed(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = Ingester.commit

    def failing(self: Ingester, study: Study, *rest: Any) -> Any:
        if study.key.uid.endswith("1"):
            raise OSError(errno.EIO, "Input/output error")
        return commit(self, study, *rest)

    monkeypatch.setattr(Ingester, "commit", failing)
    for number in (1, 2, 3):
        drop(home.inbox, f"{number}", instance(number, study=number))
    with home.watched() as watcher:
        until(lambda: watcher.status["ingested"] == 2)
        until(lambda: "commit failed" in watcher.status["failing"])


def test_a_watcher_that_ended_without_its_write_is_wrong(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> None:
        raise MediumError("/disc can't be written")

    monkeypatch.setattr(FileSet, "write", failing)
    drop(home.inbox, "a", CT.read_bytes())
    home.drain(write=home.path / "disc")
    wrong = _failing(home)
    assert wrong.startswith("it ended before this was done: write failed since")
    assert wrong.endswith("/disc can't be written")
    monkeypatch.undo()
    home.drain(write=home.path / "disc")
    assert Cli(home.repository).json("watch", "--status")["watchers"][0]["wrong"] is None


def test_a_program_that_fails_is_wrong_until_it_does_not(home: House) -> None:
    for number, program in enumerate(("false", "true")):
        drop(home.inbox, f"{number}", instance(number, study=number))
        status = home.drain(on_study=(program,))
        assert ("hook failed" in status["failing"]) is (program == "false")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", "[" * 100_000, '{"updated": 3, "folders": []}', None]
)
def test_a_status_that_can_not_be_read_is_wrong_and_is_no_traceback(
    home: House, text: str | None
) -> None:
    home.drain()
    (path,) = (home.repository / "watch").glob("*.json")
    path.unlink()
    if text is None:
        os.mkfifo(path)
    else:
        path.write_text(text)
    assert _failing(home).startswith(f"{path} can't be read: ")
