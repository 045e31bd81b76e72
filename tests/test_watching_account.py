"""What a watcher is told to do, what it tells of itself, and what it leaves undone."""

from __future__ import annotations

import errno
import json
import logging
import os
import signal
import socket
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR, PROJECT, RT_DOSE, Cli, command_line
from watched import House, added, drop, house, instance, until

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.watching import After, Settings, looking, pixels, rounds, taking
from fileset.watching.log import reason_of
from fileset.watching.looking import Listed
from fileset.watching.metrics import MetricsServer, render
from fileset.watching.quarantine import Quarantine
from fileset.watching.settling import Settling
from fileset.watching.signature import Signature, signature
from fileset.watching.status import HEARTBEAT, SILENCE, Status, StatusFile, statuses, what_is_wrong
from projections.materializer import MediumError


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> House:
    monkeypatch.setattr(rounds, "_TEND", 0.05)
    monkeypatch.setattr(rounds, "_TELL", 0.02)
    return house(tmp_path)


def adds_up(status: dict[str, Any]) -> bool:
    parts = ("ingested", "duplicates", "taken_back", "quarantined", "vanished", "pending")
    return bool(status["seen"] == sum(status[part] for part in parts))


# --- settings -------------------------------------------------------------------------------------


def test_settings_are_taken_as_they_are_written() -> None:
    made = Settings(
        after="move",
        move_to="done",
        ignore="*.dcm",
        on_study="run -x 'a b'",
        settle=1,
        write="disc",
    )
    assert (made.after, made.move_to, made.write) == (After.MOVE, Path("done"), Path("disc"))
    assert (made.ignore, made.on_study) == (("*.dcm",), ("run", "-x", "a b"))
    assert Settings(ignore=["*.a"], on_study=["true"]).on_study == ("true",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"after": "burn"},
        {"settle": "5"},
        {"quiet": True},
        {"tries": 2.5},
        {"poll": "often"},
        {"poll": -1},
        {"once": "no"},
        {"complete": 1},
        {"wait": None},
        {"ignore": [1]},
        {"on_study": ""},
        {"on_study": [None]},
        {"move_to": 3, "after": "move"},
        {"write": b"x" * 3 + b"\0", "settle": "1"},
        {"max_hints": "many"},
    ],
)
def test_settings_that_can_not_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Settings(**wrong)


def test_a_text_keeps_the_sources_if_it_says_so(home: House) -> None:
    drop(home.inbox, "a", CT.read_bytes())
    home.drain(after="keep")
    assert home.names() == ["a"]


def test_names_are_passed_over_in_any_case(home: House) -> None:
    for name in ("X.TMP", "AUTORUN.INF", "thumbs.DB"):
        drop(home.inbox, name, b"x")
    assert home.drain(ignore="autorun.inf")["seen"] == 0


def test_a_program_that_is_not_there_is_refused_at_the_start(home: House) -> None:
    with pytest.raises(RefusedError, match="no/such"):
        home.watcher(on_study=("/no/such/program",))
    Cli(home.repository)("watch", home.inbox, "--once", "--on-study", "", code=2)


def test_a_watcher_is_started_once(home: House) -> None:
    with home.watched() as watcher:
        with pytest.raises(RefusedError, match="was started"):
            watcher.start()
        with pytest.raises(RefusedError, match="watched already"):
            home.watcher().start()
        drop(home.inbox, "a", CT.read_bytes())
        until(lambda: watcher.status["ingested"] == 1)


# --- the numbers ----------------------------------------------------------------------------------


def test_a_file_that_changes_while_it_is_pending_is_seen_once(home: House) -> None:
    with home.watched(quiet=1000.0, tries=100) as watcher:
        waiting = drop(home.inbox, "waiting", CT.read_bytes())
        retrying = drop(home.inbox, "retrying", MR.read_bytes()[:4000])
        until(lambda: watcher.status["waiting"] == watcher.status["retrying"] == 1)
        waiting.write_bytes(instance(1))
        retrying.write_bytes(instance(2))
        until(lambda: watcher.status["waiting"] == 2)
        assert adds_up(watcher.status)
        assert watcher.status["seen"] == 2


def test_a_file_that_changes_while_it_waits_has_been_pending_since_it_was_seen() -> None:
    settling = Settling(5)
    settling.see("a", Signature(1, 1, 1, 1), 10, first=3)
    assert settling.oldest() == 3


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
    assert adds_up(status)


def test_a_file_that_fails_when_it_is_committed_is_tried_so_often_and_no_more(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pixels, "lacks_pixels", lambda data: len(data) == len(CT.read_bytes()))
    monkeypatch.setattr(taking, "_SMALL", 0)  # so that it is seen not before
    drop(home.inbox, "a", CT.read_bytes())
    status = home.drain(tries=3)
    assert status["quarantined"] == 1
    assert adds_up(status)


def test_a_stop_between_two_studies_leaves_the_others_pending(home: House) -> None:
    for number in range(3):
        drop(home.inbox, f"{number}", instance(number, study=number))
    watcher = home.watcher(once=True)
    watcher._rounds.on_change = lambda _: watcher.stop(wait=False)
    assert not watcher.run()
    assert (watcher.status["ingested"], watcher.status["pending"]) == (1, 2)
    assert adds_up(watcher.status)


def test_a_stop_between_two_tries_leaves_the_others_pending(home: House) -> None:
    clock = [0.0]
    watcher = home.watcher(clock=lambda: clock[0], settle=1.0, tries=3, poll=1e9)
    for name in "abc":
        drop(home.inbox, name, name.encode())
    turns = watcher._rounds
    for clock[0] in (0.0, 1.0, 2.0):
        turns.turn()
    assert len(turns._retries) == 3
    clock[0] = 100.0
    turns.stop()
    turns._try_again()
    assert len(turns._retries) == 3
    turns.close()


# --- what --once leaves undone --------------------------------------------------------------------


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


def test_once_fails_if_it_may_not_look_into_a_folder(
    home: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    scan = looking.scan

    def refusing(*arguments: Any) -> Any:
        yield from scan(*arguments)
        yield Listed(os.fspath(home.inbox / "Smith"), {}, PermissionError(13, "Permission denied"))

    monkeypatch.setattr(rounds, "scan", refusing)
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


def test_a_folder_that_may_be_looked_into_again_is_watched_and_not_polled(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    scan, refused = looking.scan, [True]

    def refusing(top: str, root: str, ignored: Any) -> Any:
        for listed in scan(top, root, ignored):
            inner = listed.folder.endswith("inner")
            denied = PermissionError(13, "Permission denied")
            yield Listed(listed.folder, {}, denied) if inner and refused[0] else listed

    monkeypatch.setattr(rounds, "scan", refusing)
    monkeypatch.setattr(rounds, "POLL", 0.1)
    monkeypatch.setattr(rounds, "_SURELY_HINTED", 0)
    drop(home.inbox, "inner/a", CT.read_bytes())
    with home.watched(rescan=0.2) as watcher:
        assert watcher.status["folders"][0]["trouble"] == "Permission denied"
        refused[0] = False
        until(lambda: watcher.status["ingested"] == 1)
        scans = watcher.status["scans"]
        until(lambda: watcher.status["scans"] > scans + 2)
        assert watcher.status["folders"][0]["state"] == "watching"


def test_once_fails_if_a_source_can_not_be_deleted(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(rounds, "delete", refuse)
    drop(home.inbox, "a", CT.read_bytes())
    watcher = home.watcher(once=True, after=After.DELETE)
    assert not watcher.run()
    assert len(added(home.repository)) == 1


def test_once_writes_at_the_end_whatever_the_interval(home: House) -> None:
    for number in range(3):
        drop(home.inbox, f"{number}", instance(number, study=number))
    for expected in (3, 4):
        status = home.drain(write=home.path / "disc", write_every=3600.0)
        assert status["writes"] == 1
        assert len(FileSet(home.path / "disc" / "DICOMDIR")) == expected
        drop(home.inbox, "more", instance(10, study=0))


# --- signs of life --------------------------------------------------------------------------------


def test_an_idle_watcher_writes_its_status_every_minute(home: House) -> None:
    (home.repository / "watch").mkdir()
    watcher = home.watcher()
    file = StatusFile(home.repository, watcher._rounds._folders[0])
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


def test_the_status_of_a_killed_watcher_fails(home: House) -> None:
    cli = Cli(home.repository)
    home.drain()
    assert cli.json("watch", "--status")["watchers"][0]["ended"]
    (path,) = (home.repository / "watch").glob("*.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), "ended": None}))
    assert "killed" in cli("watch", "--status", code=1).out


def test_a_status_that_can_not_be_written_is_an_error_that_is_told_once(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("fileset.watching.status.replace_file", full)
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

    monkeypatch.setattr(rounds.Rounds, "_take_hints", failing)
    watcher = home.watcher(clock=lambda: 10.0)
    watcher._rounds.turn()
    (told,) = statuses(home.repository)
    assert told["last_error"]["reason"] == "ZeroDivisionError"
    assert told["last_turn"] is None
    watcher._rounds.close()


def test_when_it_went_through_all_last_is_a_number_for_prometheus() -> None:
    text = render(Status(last_turn="1970-01-01T00:01:40+00:00").document())
    assert "\nfileset_watch_last_turn_timestamp_seconds 100\n" in text


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
    cli("undo")
    cli("add", path)
    assert len(cli.uids()) == 1


# --- together with others -------------------------------------------------------------------------


def test_while_others_have_the_repository_it_answers_and_loses_nothing(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_PATIENCE", 0.05)
    for number in range(5):
        drop(home.inbox, f"{number}", instance(number, study=number))
    watcher = home.watcher(settle=0.0, quiet=0.0)
    turns = watcher._rounds
    with home.file_set() as fs, fs.repository.change("long"):
        turns.turn()
        turns.turn()
        assert len(turns._studies) == 5
        assert turns.status.errors == 2  # one a turn
    turns.close()
    assert home.drain()["ingested"] == 5


def test_a_study_that_is_full_does_not_wait_for_all_to_be_read(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_SLICE", 0.0)  # a file a turn
    for number in range(6):
        drop(home.inbox, f"{number}", instance(number))
    watcher = home.watcher(settle=0.0, quiet=0.0, max_study=2)
    turns = watcher._rounds
    while not turns.status.ingested:
        turns.turn()
    assert len(turns._settling) > 0
    turns.close()


def test_files_that_are_to_be_read_do_not_hold_back_changes_for_ever(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_SLICE", 0.0)
    clock = [0.0]
    for number in range(6):
        drop(home.inbox, f"{number}", instance(number, study=number))
    watcher = home.watcher(clock=lambda: clock[0], settle=0.0, quiet=1.0)
    turns = watcher._rounds
    turns.turn()
    turns.turn()
    assert turns.status.ingested == 0
    clock[0] = rounds._BEHIND + 1
    turns.turn()
    assert turns.status.ingested > 0
    assert len(turns._settling) > 0
    turns.close()


def test_a_callback_may_stop_the_watcher(home: House) -> None:
    drop(home.inbox, "a", CT.read_bytes())
    watcher = home.watcher()
    watcher._rounds.on_change = lambda _: watcher.stop()
    with watcher:
        until(lambda: watcher._rounds.is_stopping)
    assert watcher.status["errors"] == 0


def test_a_file_that_can_not_be_looked_at_does_not_hold_back_its_study(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusing(path: str) -> Signature | None:
        if path.endswith("bad"):
            raise OSError(errno.EIO, "Input/output error")
        return signature(path)

    monkeypatch.setattr(taking, "signature", refusing)
    for name, number in (("good", 1), ("bad", 2)):
        drop(home.inbox, name, instance(number))
    assert home.drain()["ingested"] == 1


def test_the_change_of_a_study_is_its_own_though_others_come_between(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    is_late, left = taking.Taker._is_late, [1]

    def others_first(repository: Any, uid: str) -> bool:
        late = is_late(repository, uid)
        if left[0]:
            left[0] -= 1
            with FileSet.open(home.repository) as fs:
                fs.repository.patience = 0.05
                with pytest.raises(RefusedError):
                    fs.add(MR)
        return late

    monkeypatch.setattr(taking.Taker, "_is_late", staticmethod(others_first))
    drop(home.inbox, "a", CT.read_bytes())
    assert home.drain()["ingested"] == 1
    assert left == [0]


def test_many_sources_that_stay_are_told_of_in_one_line(
    home: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_: object) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(rounds, "delete", refuse)
    for number in range(5):
        drop(home.inbox, f"{number}", instance(number))
    with caplog.at_level(logging.INFO, "fileset.watching"):
        assert home.drain(after=After.DELETE)["owed"] == 5
    (told,) = (r for r in caplog.records if r.getMessage() == "sources not removed")
    assert vars(told)["fields"]["files"] == 5


def test_a_chmod_does_not_have_the_folder_polled(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "_SURELY_HINTED", 0)
    path = drop(home.inbox, "a", CT.read_bytes())
    with home.watched(rescan=0.1) as watcher:
        until(lambda: watcher.status["ingested"] == 1)
        path.chmod(0o600)
        until(lambda: watcher.status["duplicates"] == 1)
        assert watcher.status["folders"][0]["state"] == "watching"


@pytest.mark.parametrize("what", ["grows", "quarantine"])
def test_once_ends_whatever_others_do(
    home: House, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = drop(home.inbox, "a", b"no DICOM")
    monkeypatch.setattr(rounds, "_CHANGING_ONCE", 0.2)
    monkeypatch.setattr(rounds, "_LATER", 0.01)
    if what == "quarantine":
        monkeypatch.setattr(Quarantine, "keep", full)
    else:
        look = rounds.Rounds._is_still

        def grown(self: rounds.Rounds, *arguments: Any) -> bool:
            with path.open("ab") as file:
                file.write(b"more")
            return look(self, *arguments)

        monkeypatch.setattr(rounds.Rounds, "_is_still", grown)
    watcher = home.watcher(once=True)
    assert not watcher.run()
    assert watcher.status["pending"] == 1


def test_the_reason_of_a_write_that_failed_is_told() -> None:
    assert reason_of(MediumError("/disc was changed by others")) == "/disc was changed by others"


def test_the_reason_that_keys_are_missing_names_the_way_out(home: House) -> None:
    drop(home.inbox, "dose", RT_DOSE.read_bytes())
    home.drain()
    assert "`fileset quarantine retry ID --complete`" in home.quarantined()["dose"][1]
