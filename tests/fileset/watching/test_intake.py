"""The intake: files on their way in change, go, can't be read, or are stopped."""

from __future__ import annotations

import errno
from contextlib import AbstractContextManager

import pytest
from cli_runs import CT, MR, RT_DOSE
from no_room import CAUSES, deflated, no_room
from watched import CUT_SHORT, House, added, adds_up, digests, drop, instance, until

from fileset.adding import candidate
from fileset.watching import ingesting, intake
from fileset.watching.settling import Observation
from ledger.errors import InstanceError
from ledger.files import FileView
from ledger.instances.instance import Instance


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
        assert (len(turns.intake.settling), len(turns.intake.studies)) == (settling, waiting), at
    turns.close()
    assert added(home.repository) == digests([bytes(contents[2])])


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


def test_a_file_that_can_not_be_read_for_a_while_is_not_given_up(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    study_of, left = ingesting.Ingester.study_of, [2]

    def failing(self: ingesting.Ingester, file: Observation) -> str:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EIO, "Input/output error")
        return study_of(self, file)

    monkeypatch.setattr(ingesting.Ingester, "study_of", failing)
    drop(home.inbox, "a", CT.read_bytes())
    status = home.drain(tries=3)
    assert (status["ingested"], status["quarantined"]) == (1, 0)


def test_a_file_waits_for_room_in_the_temporary_folder_and_is_never_given_up(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake, "_PUT_OFF", 0.1)
    with home.watched(tries=1) as watcher:
        with no_room("gone"):
            drop(home.inbox, "a", deflated(CT, home.path / "a").read_bytes())
            until(lambda: watcher.status["errors"] > 3)
            assert "TMPDIR" in watcher.status["failing"]["reading failed"]["reason"]
            drop(home.inbox, "b", MR.read_bytes())
            until(lambda: watcher.status["ingested"] == 1 and adds_up(watcher.status))
        until(lambda: watcher.status["ingested"] == 2)
        until(lambda: not watcher.status["failing"])
    assert home.quarantined() == {}


@pytest.mark.parametrize("cause", CAUSES)
def test_where_there_is_an_end_a_file_without_room_is_left_for_the_next_time(
    home: House, cause: str
) -> None:
    deflated(CT, home.inbox / "a")
    with no_room(cause):
        status = home.drain(tries=1)
    assert (status["ingested"], home.quarantined()) == (0, {})
    assert status["last_error"]["event"] == "file left"
    assert "TMPDIR" in status["last_error"]["reason"]
    assert home.drain()["ingested"] == 1


def test_a_study_without_room_is_committed_later(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    deflated(CT, home.inbox / "a")
    watcher = home.watcher(settle=0.0, quiet=0.0, tries=1)
    turns = watcher._rounds
    with no_room("gone"), monkeypatch.context() as patch:
        patch.setattr(ingesting.Ingester, "study_of", lambda *_: "1.2.3")
        until(lambda: turns.turn() or "commit failed" in turns.status.failing)
    until(lambda: turns.turn() or turns.status.ingested == 1)
    turns.close()
    assert home.quarantined() == {}


def test_a_file_that_fails_when_it_is_committed_is_tried_so_often_and_no_more(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise InstanceError("can't be read")

    monkeypatch.setattr(candidate.LargeFile, "view", fail)
    drop(home.inbox, "a", CT.read_bytes())
    status = home.drain(tries=3)
    assert status["quarantined"] == 1
    assert adds_up(status)


def test_each_file_is_scanned_for_its_records_once(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    scanned, read_instance = [], candidate.read_instance

    def counted(data: bytes, name: str | None = None) -> Instance:
        scanned.append(name)
        return read_instance(data, name)

    monkeypatch.setattr(candidate, "read_instance", counted)
    paths = [str(drop(home.inbox, f"{number}", instance(number))) for number in range(5)]
    assert home.drain()["ingested"] == 5
    assert sorted(filter(None, scanned)) == paths


def test_what_was_read_of_a_file_is_not_taken_for_another_that_came_in_its_place(
    home: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = drop(home.inbox, "a", instance(1))
    view = candidate.LargeFile.view

    def replaced(self: candidate.LargeFile) -> AbstractContextManager[FileView]:
        path.write_bytes(instance(2))
        monkeypatch.undo()
        return view(self)

    monkeypatch.setattr(candidate.LargeFile, "view", replaced)
    assert home.drain()["ingested"] == 1
    assert added(home.repository) == digests([instance(2)])


def test_a_stop_between_two_studies_leaves_the_others_pending(home: House) -> None:
    for number in range(3):
        drop(home.inbox, f"{number}", instance(number, study=number))
    watcher = home.watcher(once=True)
    watcher._rounds.publisher.on_change = lambda _: watcher.stop(wait=False)
    assert not watcher.run()
    assert (watcher.status["ingested"], watcher.status["pending"]) == (1, 2)
    assert adds_up(watcher.status)


@pytest.mark.parametrize("bad", [b"no DICOM at all", CUT_SHORT, b""], ids=["text", "cut", "empty"])
def test_a_bad_file_that_stays_as_it_is_holds_nobody_up_for_minutes(
    home: House, bad: bytes
) -> None:
    clock = [0.0]
    watcher = home.watcher(clock=lambda: clock[0], once=True, settle=5.0, tries=4)
    drop(home.inbox, "bad", bad)
    drop(home.inbox, "good", instance(1))
    turns = watcher._rounds
    while not turns.is_drained and clock[0] < 300.0:
        turns.turn()
        clock[0] += 1.0
    turns.close()
    assert clock[0] <= 25.0
    assert [*home.quarantined()] == ["bad"]
    assert len(added(home.repository)) == 1


@pytest.mark.parametrize("pause", [4.0, 9.0, 14.0, 17.0])
def test_a_file_that_is_written_with_pauses_is_no_bad_one(home: House, pause: float) -> None:
    """Its writer closes it and opens it again, so that only the pauses tell."""
    clock = [0.0]
    watcher = home.watcher(clock=lambda: clock[0], once=True, settle=5.0, tries=4)
    whole, parts, written = instance(1), 4, 1
    path = drop(home.inbox, "slow", whole[: len(whole) // parts])
    turns = watcher._rounds
    while not turns.is_drained and clock[0] < 300.0:
        turns.turn()
        clock[0] += 1.0
        if written < parts and clock[0] >= pause * written:
            written += 1
            path.write_bytes(whole[: len(whole) * written // parts])
    turns.close()
    assert home.quarantined() == {}
    assert len(added(home.repository)) == 1


def test_a_stop_between_two_tries_leaves_the_others_pending(home: House) -> None:
    clock = [0.0]
    watcher = home.watcher(clock=lambda: clock[0], settle=1.0, tries=3, poll=1e9)
    for name in "abc":
        drop(home.inbox, name, name.encode())
    turns = watcher._rounds
    for clock[0] in (0.0, 1.0, 2.0):
        turns.turn()
    assert len(turns.intake.retries) == 3
    clock[0] = 100.0
    turns.status.stopping = True
    turns.intake.read_again()
    assert len(turns.intake.retries) == 3
    turns.close()


def test_stopping_leaves_what_is_pending_for_the_next_start(home: House) -> None:
    drop(home.inbox, "a", CT.read_bytes())
    with home.watched(quiet=1000.0) as watcher:
        until(lambda: watcher.status["waiting"] == 1)
    assert added(home.repository) == []
    assert home.drain()["ingested"] == 1


def test_complete_invents_what_records_must_have(home: House) -> None:
    drop(home.inbox, "dose", RT_DOSE.read_bytes())
    assert home.drain(complete=True)["ingested"] == 1
