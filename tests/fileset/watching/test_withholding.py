"""What was withdrawn does not come back by itself, whatever it is called when it arrives again."""

from __future__ import annotations

import errno
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Cli, run
from watched import House, adds_up, drop, instance, synthetic, until

from fileset.quarantine.quarantine import Quarantine
from fileset.repository.repository import Repository
from fileset.watching import After
from fileset.watching.ingesting import Ingester
from fileset.watching.withheld_before import WithheldBefore
from ledger.digest import digest_of
from ledger.errors import JournalError
from ledger.events import ArrivalWithheld, Content
from ledger.files import file_content


def corrected(data: bytes) -> bytes:
    """Return a file with one byte changed, in a pixel."""
    at = data.index(b"\xe0\x7f\x10\x00OW") + 20
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.fixture
def cli(home: House) -> Cli:
    """A File-set of which the watched folder brought one instance, which was then withdrawn."""
    cli = Cli(home.repository)
    drop(home.inbox, "first", instance(1)).touch()
    home.drain()
    arrived = cli.json("log", "--kind", "instance-added")["changes"][0]["id"]
    cli("revert", arrived)
    return cli


def withheld(cli: Cli) -> dict[str, int]:
    return dict(cli.json("status")["withheld"])


def outcomes(home: House) -> dict[str, str]:
    return {name: outcome for name, (outcome, _) in home.quarantined().items()}


@pytest.mark.parametrize("how", ["undo", "revert", "remove", "remove and write"])
@pytest.mark.parametrize("name", ["first", "another name", "a/folder/of/another/sender"])
def test_what_was_withdrawn_in_any_way_is_withheld_under_any_name(
    home: House, how: str, name: str
) -> None:
    cli = Cli(home.repository)
    path = drop(home.inbox, "first", instance(1))
    drop(home.inbox, "second", instance(2))
    home.drain()
    path.unlink()
    change = cli.json("log", "--kind", "instance-added")["changes"][0]["id"]
    if how == "undo":
        cli("undo", "--by", "watch:inbox")
    elif how == "revert":
        cli("revert", change)
    else:
        if "write" in how:
            cli("write", home.path / "medium")
        cli("remove", "SOPInstanceUID=2.25.3000000001")
        if "write" in how:
            cli("write")
    drop(home.inbox, name, instance(1))
    status = home.drain()
    assert "2.25.3000000001" not in cli.uids()
    assert outcomes(home)[name] == "withheld"
    assert (status["taken_back"], status["quarantined"], status["ingested"]) == (1, 0, 0)
    assert adds_up(status)


def test_withholding_is_an_event_that_names_the_uid_the_content_and_the_path(
    home: House, cli: Cli
) -> None:
    path = drop(home.inbox, "again", instance(1))
    home.drain()
    (event,) = home.events(ArrivalWithheld)
    assert event.sop_instance_uid == "2.25.3000000001"
    assert event.content.digest == digest_of(instance(1))
    assert event.source == str(path)
    assert "1 arrival withheld" in cli("log").out
    assert f"withheld, as it arrived again from {path}" in cli("blame", "PatientID=1CT1").out
    cli("verify")


def test_a_file_that_is_touched_again_is_withheld_once(home: House, cli: Cli) -> None:
    path = drop(home.inbox, "again", instance(1))
    home.drain()
    path.chmod(0o600)
    path.chmod(0o640)
    assert home.drain()["taken_back"] == 1
    assert len(home.events(ArrivalWithheld)) == 1


@pytest.mark.parametrize("after", ["delete", "move"])
def test_a_source_that_may_go_is_withheld_with_its_bytes(home: House, cli: Cli, after: str) -> None:
    changed = corrected(instance(1))
    path = drop(home.inbox, "again", changed)
    move_to = home.path / "moved" if after == "move" else None
    status = home.drain(after=After(after), move_to=move_to)
    assert status["ingested"] == 0
    assert not path.exists()
    (entry,) = Quarantine(home.repository)
    assert Quarantine(home.repository).bytes_of(entry).read_bytes() == changed
    assert "may be the only one" in cli("quarantine", "drop", entry.id, code=3).err


def test_other_content_under_a_withheld_uid_is_on_top_of_the_status(home: House, cli: Cli) -> None:
    drop(home.inbox, "same", instance(1))
    home.drain()
    assert withheld(cli) == {"files": 1, "other_content": 0}
    assert not cli("status").out.startswith("Withheld")
    drop(home.inbox, "corrected", corrected(instance(1)))
    home.drain()
    assert withheld(cli) == {"files": 2, "other_content": 1}
    assert cli("status").out.startswith(
        "Withheld: 1 file of withdrawn instances with different content"
    )
    assert outcomes(home)["corrected"] == "withheld, other content"


@pytest.mark.parametrize("how", ["add", "redo", "retry"])
def test_whoever_wants_it_takes_it(home: House, how: str) -> None:
    cli = Cli(home.repository)
    drop(home.inbox, "first", instance(1))
    home.drain()
    cli("undo", "--by", "watch:inbox")
    path = drop(home.inbox, "again", instance(1))
    home.drain()
    if how == "add":
        cli("add", path)
    elif how == "redo":
        cli("redo")
    else:
        (entry,) = Quarantine(home.repository)
        cli("quarantine", "retry", entry.id)
        assert not home.quarantined()
    assert cli.uids() == {"2.25.3000000001"}
    assert withheld(cli) == {"files": 0, "other_content": 0}
    drop(home.inbox, "third", instance(1))
    assert home.drain()["duplicates"] == 1


def test_a_corrected_file_is_taken_from_the_quarantine(home: House, cli: Cli) -> None:
    drop(home.inbox, "corrected", corrected(instance(1)))
    home.drain(after=After.DELETE)
    cli("quarantine", "retry", "--all")
    (entry,) = cli.json("find", "PatientID=1CT1")["instances"]
    assert entry["digest"] == digest_of(corrected(instance(1)))


def touch(path: Path) -> None:
    path.chmod(0o600)
    path.chmod(0o640)


@pytest.mark.parametrize("other", [False, True])
def test_what_was_dropped_from_the_quarantine_is_not_withheld_again(
    home: House, cli: Cli, *, other: bool
) -> None:
    path = drop(home.inbox, "again", corrected(instance(1)) if other else instance(1))
    home.drain()
    cli("quarantine", "drop", "--all")
    touch(path)
    assert home.drain()["taken_back"] == 1
    assert not home.quarantined()
    assert len(home.events(ArrivalWithheld)) == 1
    assert cli.uids() == set()
    assert path.exists()


def test_a_dropped_file_that_is_to_be_deleted_is_withheld_again_if_nobody_else_has_it(
    home: House, cli: Cli
) -> None:
    for name, data in (("same", instance(1)), ("other", corrected(instance(1)))):
        drop(home.inbox, name, data)
    home.drain(after=After.DELETE)
    cli("quarantine", "drop", "--all", "--only-copies")
    for name, data in (("same", instance(1)), ("other", corrected(instance(1)))):
        drop(home.inbox, name, data)
    home.drain(after=After.DELETE)
    assert outcomes(home) == {"other": "withheld, other content"}
    assert home.names() == ["first"]


@pytest.mark.parametrize("how", ["add", "redo"])
def test_what_was_taken_after_it_was_dropped_and_is_withdrawn_again_is_withheld(
    home: House, how: str
) -> None:
    cli = Cli(home.repository)
    path = drop(home.inbox, "first", instance(1))
    home.drain()
    cli("undo", "--by", "watch:inbox")
    touch(path)
    home.drain()
    cli("quarantine", "drop", "--all")
    if how == "add":
        cli("add", path)
        cli("undo")
    else:
        cli("redo")
        cli("undo", "--by", "watch:inbox")
    touch(path)
    home.drain()
    assert outcomes(home) == {"first": "withheld"}


UNRELATED = {
    "undo": [("undo", "--by", "watch:inbox")],
    "undo and redo": [("undo", "--by", "watch:inbox"), ("redo",)],
    "revert": [("revert", "newest")],
    "remove and restore": [("remove", "SOPInstanceUID=2.25.3000000002"), ("undo",)],
    "settings": [("set", "id=OTHER"), ("undo",), ("redo",)],
}


@pytest.mark.parametrize("steps", UNRELATED.values(), ids=UNRELATED)
def test_what_was_dropped_is_not_withheld_again_whatever_happens_to_others(
    home: House, cli: Cli, steps: list[tuple[str, ...]]
) -> None:
    path = drop(home.inbox, "again", instance(1))
    home.drain()
    cli("quarantine", "drop", "--all")
    drop(home.inbox, "other", instance(2))
    home.drain()
    newest = cli.json("log", "--kind", "instance-added")["changes"][-1]["id"]
    for step in steps:
        cli(*(newest if word == "newest" else word for word in step))
    touch(path)
    assert home.drain()["taken_back"] == 1
    assert not home.quarantined()
    assert len(home.events(ArrivalWithheld)) == 1


def test_of_two_that_were_dropped_the_one_that_was_brought_back_is_withheld_again(
    home: House,
) -> None:
    cli = Cli(home.repository)
    paths = []
    for name, number in (("first", 1), ("second", 2)):
        paths.append(drop(home.inbox, name, instance(number)))
        home.drain()
    for uid in ("2.25.3000000001", "2.25.3000000002"):
        cli("remove", f"SOPInstanceUID={uid}")
    for path in paths:
        touch(path)
    home.drain()
    cli("quarantine", "drop", "--all")
    cli("undo")
    cli("redo")
    for path in paths:
        touch(path)
    assert home.drain()["taken_back"] == 2
    assert outcomes(home) == {"second": "withheld"}


def test_reading_on_in_the_journal_tells_what_reading_it_from_the_start_tells(
    home: House, cli: Cli
) -> None:
    uid = "2.25.3000000001"
    with closing(Repository.open(home.repository)) as repository:
        before, told = WithheldBefore(repository), []
        for step in ("arrives", "undo", "redo", "arrives", "undo", "arrives"):
            if step == "arrives":
                drop(home.inbox, "again", instance(1))
                home.drain()
                cli("quarantine", "drop", "--all", "--only-copies")
            else:
                cli(step)
            repository.refresh()
            told.append(set(before.contents(uid)))
            assert told[-1] == WithheldBefore(repository).contents(uid)
        same = {digest_of(instance(1))}
        assert told == [same, set(), set(), same, set(), set()]


def test_others_of_the_study_are_added_as_ever(home: House, cli: Cli) -> None:
    for number, data in enumerate(synthetic(3)):
        drop(home.inbox, f"again{number}", data)
    status = home.drain()
    assert (status["ingested"], status["taken_back"]) == (2, 1)


def test_what_was_in_conflict_and_then_withdrawn_is_withheld_with_an_event(home: House) -> None:
    cli = Cli(home.repository)
    drop(home.inbox, "first", instance(1))
    home.drain()
    path = drop(home.inbox, "corrected", corrected(instance(1)))
    home.drain()
    assert outcomes(home) == {"corrected": "conflicting"}
    cli("remove", "PatientID=1CT1")
    path.chmod(0o600)
    path.chmod(0o640)
    home.drain()
    assert outcomes(home) == {"corrected": "withheld, other content"}
    assert len(home.events(ArrivalWithheld)) == 1


def test_withholding_that_can_not_be_recorded_is_tried_again(
    home: House, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    record, left = Ingester.record_withheld, [1]

    def failing(*arguments: Any) -> list[bool]:
        if left[0]:
            left[0] -= 1
            raise JournalError("The journal can't be used")
        return record(*arguments)

    monkeypatch.setattr(Ingester, "record_withheld", failing)
    monkeypatch.setattr("fileset.watching.quarantining._LATER", 0.05)
    path = drop(home.inbox, "again", instance(1))
    status = home.drain(after=After.DELETE)
    assert (status["taken_back"], status["errors"]) == (1, 1)
    assert len(home.events(ArrivalWithheld)) == 1
    assert not path.exists()
    assert adds_up(status)


def test_a_full_disk_withholds_nothing_without_its_copy(
    home: House, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("fileset.quarantine.quarantine.copy_file", full)
    path = drop(home.inbox, "again", instance(1))
    with home.watched(after=After.DELETE) as watcher:
        until(lambda: "quarantine failed" in watcher.status["failing"])
    assert path.exists()
    assert home.events(ArrivalWithheld) == []


def test_what_can_not_be_read_for_a_moment_is_withheld_once_it_can(
    home: House, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [1]

    def failing(path: str) -> Content:
        if left[0]:
            left[0] -= 1
            raise OSError(errno.EIO, "Input/output error", path)
        return file_content(path)

    monkeypatch.setattr("fileset.quarantine.quarantine.file_content", failing)
    monkeypatch.setattr("fileset.watching.quarantining._LATER", 0.05)
    path = drop(home.inbox, "again", instance(1))
    home.drain(after=After.DELETE)
    assert not path.exists()
    assert outcomes(home) == {"again": "withheld"}
    assert len(home.events(ArrivalWithheld)) == 1


def test_an_erased_person_is_not_withheld_and_nothing_of_what_was_is_kept(
    home: House, cli: Cli
) -> None:
    drop(home.inbox, "again", instance(1))
    home.drain(after=After.DELETE)
    told = b"2.25.3000000001"
    cli("erase", "PatientID=1CT1", "--reason", "asked for")
    assert home.events(ArrivalWithheld) == []
    assert not home.quarantined()
    for path in home.repository.rglob("*"):
        assert not path.is_file() or told not in path.read_bytes(), path
    cli("verify")
    drop(home.inbox, "third", instance(1))
    assert home.drain()["ingested"] == 1


def test_a_withheld_file_of_an_erased_person_that_is_touched_stays_out(
    home: House, cli: Cli
) -> None:
    path = drop(home.inbox, "again", instance(1))
    home.drain()
    cli("erase", "PatientID=1CT1", "--reason", "asked for")
    path.chmod(0o600)
    path.chmod(0o640)
    home.drain()
    assert cli.uids() == set()


def test_the_journal_with_what_was_withheld_is_exported_and_imported(
    home: House, cli: Cli, tmp_path: Path
) -> None:
    drop(home.inbox, "again", instance(1))
    home.drain()
    cli("export-journal", tmp_path / "j.jsonl")
    run("import-journal", tmp_path / "j.jsonl", tmp_path / "copy", "--vault", cli.repository)
    assert Cli(tmp_path / "copy").json("log") == cli.json("log")


class _Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize(
    ("where", "events"),
    [
        ("fileset.watching.ingesting.Ingester.record_withheld", 1),  # the copy is there, no event
        ("fileset.quarantine.quarantine.Quarantine.record", 2),  # the event is there, no mark of it
        ("fileset.watching.leaving.Leaver.leave", 1),  # all is there, and the source is not removed
    ],
)
def test_a_kill_while_withholding_loses_nothing_and_the_next_watcher_completes_it(
    home: House, cli: Cli, monkeypatch: pytest.MonkeyPatch, where: str, events: int
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise _Killed

    path = drop(home.inbox, "again", corrected(instance(1)))
    with monkeypatch.context() as patch:
        patch.setattr(where, killed)
        with pytest.raises(_Killed):
            home.drain(after=After.DELETE)
    assert path.read_bytes() == corrected(instance(1))
    home.drain(after=After.DELETE)
    assert not path.exists()
    (entry,) = Quarantine(home.repository)
    assert (entry.outcome, entry.recorded) == ("withheld, other content", True)
    assert Quarantine(home.repository).bytes_of(entry).read_bytes() == corrected(instance(1))
    assert len(home.events(ArrivalWithheld)) == events
    assert cli.uids() == set()
    cli("verify")
