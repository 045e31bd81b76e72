"""As of when: positions, tags, changes, dates and times, each to the position that is meant."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import chain, repeat
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, run

from fileset import FileSet
from fileset.errors import NoSuchMomentError
from fileset.repository.repository import Repository
from fileset.timeline.moments import Moment, position_of
from fileset.views.history import HistoryEntry
from ledger.events import InstanceRejected, PositionTagged
from ledger.journal.entries import Change
from ledger.journal.memory import MemoryJournal

TIMES = [
    datetime(2026, 3, 1, 12, 0, 0, 250_000, UTC),
    datetime(2026, 3, 1, 23, 30, 15, 0, UTC),
    datetime(2026, 3, 2, 0, 30, 0, 0, UTC),
    datetime(2026, 3, 29, 1, 0, 0, 0, UTC),  # when Central Europe's clocks go forward
]
ENDS = [1, 3, 4, 5]
"""The last positions of the changes at these times."""


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], None]]:
    """Sets the time zone that the program runs in."""

    def set_zone(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield set_zone
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def repository(zone: Callable[[str], None]) -> Iterator[Repository]:
    """A repository with changes at known times, the second of which has two events."""
    zone("UTC")
    clock = chain(TIMES, repeat(TIMES[-1] + timedelta(days=1)))
    made = Repository.ephemeral(clock=lambda: next(clock))
    made.begin("1.2.3")
    for count in (2, 1, 1):
        with made.change():
            for _ in range(count):
                made.emit(InstanceRejected("/a", "none"))
    yield made
    made.close()


# --- dates and times -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("2026-03-01", 3),
        ("2026-03-02", 4),
        ("2026-03-28", 4),
        ("2999-12-31", 5),
        ("2026-03-01T12", 1),
        ("2026-03-01T12:00", 1),
        ("2026-03-01 12:00:00", 1),
        ("2026-03-01T12:00:00Z", 1),
        ("2026-03-01T12:00:00.2", 1),
        ("2026-03-01T12:00:00,250", 1),
        ("2026-03-01T12:00:00.250000Z", 1),
        ("2026-03-01T23:30:15", 3),
        ("2026-03-01T23:30:14.999999", 1),
        ("2026-03-02T00:30:15+01:00", 3),
        ("2026-03-02T01:30+01", 4),
        ("2026-03-01T18:30:15-0500", 3),
    ],
)
def test_a_date_or_time_is_the_last_change_recorded_by_its_end(
    repository: Repository, text: str, position: int
) -> None:
    assert position_of(repository, text) == position


@pytest.mark.parametrize(
    ("name", "day", "position"),
    [
        ("UTC", "2026-03-01", 3),
        ("Europe/Berlin", "2026-03-01", 1),
        ("Europe/Berlin", "2026-03-02", 4),
        ("America/New_York", "2026-03-01", 4),
        ("Europe/Berlin", "2026-03-28", 4),
        ("Europe/Berlin", "2026-03-29", 5),
        ("Europe/Berlin", "2026-03-29T03:00", 5),
        ("Europe/Berlin", "2026-03-29T01:59", 4),
    ],
)
def test_a_date_without_a_time_zone_is_local(
    repository: Repository, zone: Callable[[str], None], name: str, day: str, position: int
) -> None:
    if not Path("/usr/share/zoneinfo", name).exists():
        pytest.skip("this machine does not know that time zone")
    zone(name)
    assert position_of(repository, day) == position
    if "T" not in day:
        assert position_of(repository, date.fromisoformat(day)) == position


@pytest.mark.parametrize(
    ("moment", "position"),
    [
        (TIMES[0], 1),
        (TIMES[1] - timedelta(microseconds=1), 1),
        (TIMES[1], 3),
        (TIMES[1].astimezone(timezone(timedelta(hours=9))), 3),
        (TIMES[1].replace(tzinfo=None), 3),
        (date(2026, 3, 1), 3),
    ],
)
def test_a_datetime_is_that_instant_and_a_date_all_of_its_day(
    repository: Repository, moment: Moment, position: int
) -> None:
    assert position_of(repository, moment) == position


def test_the_times_that_the_log_prints_find_their_changes(repository: Repository) -> None:
    for change, end in zip(repository.changes(), ENDS, strict=True):
        assert position_of(repository, change.recorded_at) == end
        assert position_of(repository, f"{change.recorded_at[:19]}Z") == end


def test_a_clock_that_was_set_back_leaves_the_order_to_the_positions() -> None:
    clock = iter([TIMES[0], TIMES[2], TIMES[1]])
    repository = Repository.ephemeral(clock=lambda: next(clock))
    repository.begin("1.2.3")
    repository.set_identity("id", "A")
    repository.set_identity("id", "B")
    assert position_of(repository, TIMES[1]) == 3
    assert position_of(repository, TIMES[0]) == 1


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2026-02-28", "Nothing was recorded up to 2026-02-28: the journal begins at 2026-03-01T"),
        ("2026-02-30", "'2026-02-30' is not a date or time: day is out of range"),
        ("2026-03-01T25:00", "is not a date or time: hour must be in"),
        ("9999-12-31", "is not a valid day"),
        ("9999-12-31T23:59:59-12:00", "is not a date or time"),
        ("2026-3-1", "no tag of that name, and no change"),
        ("2026-03-01T", "no tag of that name, and no change"),
    ],
)
def test_a_date_that_is_none_or_too_early_is_refused(
    repository: Repository, text: str, why: str
) -> None:
    with pytest.raises(NoSuchMomentError, match=why):
        position_of(repository, text)


# --- positions, tags and changes -----------------------------------------------------------------


@pytest.mark.parametrize("moment", [0, -1, 6, "0", "6", "9" * 30, "00007"])
def test_a_position_that_there_is_not_is_refused(repository: Repository, moment: Moment) -> None:
    with pytest.raises(NoSuchMomentError, match="positions 1 to 5, not"):
        position_of(repository, moment)


def test_a_change_is_the_state_right_after_it(repository: Repository) -> None:
    for change, end in zip(repository.changes(), ENDS, strict=True):
        assert position_of(repository, change.id) == end


def with_ids(monkeypatch: pytest.MonkeyPatch, repository: Repository, *ids: str) -> None:
    """Give the changes of a repository other ids."""
    changes = [
        Change(id_, change.first, change.count, change.recorded_at, "", "", None)
        for id_, change in zip(ids, repository.changes(), strict=True)
    ]

    def find_change(_: object, start: str) -> Change | None:
        found = [change for change in changes if change.id.startswith(start)]
        return found[0] if len(found) == 1 else None

    monkeypatch.setattr(MemoryJournal, "find_change", find_change)
    monkeypatch.setattr(MemoryJournal, "changes", lambda _, after=0: iter(changes[after:]))


def test_what_could_be_several_things_is_taken_in_one_order(
    repository: Repository, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_ids(
        monkeypatch, repository, "4aaaaaaaaaaa", "bee000000000", "bef000000000", "123456789012"
    )
    assert position_of(repository, "4") == 4  # a number is a position, if it begins an id or not
    assert position_of(repository, "4a") == 1
    assert position_of(repository, "123456789012") == 5  # unless there is no such position
    assert position_of(repository, "1234567") == 5
    with pytest.raises(NoSuchMomentError, match="positions 1 to 5, not 123456"):
        position_of(repository, "123456")  # which is more likely to be a mistake
    assert position_of(repository, "bee") == 3
    with pytest.raises(NoSuchMomentError, match=r"2 changes .* begin with 'be': bee0.*, bef0"):
        position_of(repository, "be")
    FileSet(repository=repository).tag("bee", 2)
    assert position_of(repository, "bee") == 2  # a tag goes before a change
    assert position_of(repository, "bee0") == 3


def test_what_is_not_known_is_told_with_the_tags_that_there_are(repository: Repository) -> None:
    with pytest.raises(NoSuchMomentError, match=r"'nowhere'.*there are no tags\."):
        position_of(repository, "nowhere")
    fs = FileSet(repository=repository)
    for number in range(7):
        fs.tag(f"step-{number}", 1)
    with pytest.raises(NoSuchMomentError, match=r"the tags are step-0, .*, step-4 and 2 more"):
        position_of(repository, "nowhere")
    with pytest.raises(NoSuchMomentError):
        position_of(repository, "")


# --- what takes them -----------------------------------------------------------------------------


def test_a_file_set_of_the_past_is_found_in_every_way() -> None:
    fs = FileSet()
    fs.add(CT)
    then = fs.history[-1]
    fs.tag("one-instance")
    fs.add(MR)
    moments: list[Moment | HistoryEntry] = [
        then.position,
        str(then.position),
        then.id,
        then.id[:9],
        "one-instance",
    ]
    moments += [then, then.recorded_at.isoformat(), then.recorded_at]
    for moment in moments:
        past = fs.at(moment)
        assert [i.PatientID for i in past] == ["1CT1"]
        assert past.history[-1].id == then.id
    assert len(fs.at(datetime.now(UTC))) == len(fs.at(date(2999, 1, 1))) == 2


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    run("init", tmp_path / "archive", "--id", "OLD")
    cli = Cli(tmp_path / "archive")
    cli("add", CT)
    cli("tag", "sent")
    cli("remove", "PatientID=1CT1")
    cli("add", MR)
    cli("set", "id=NEW")
    return cli


def test_every_command_that_looks_can_look_at_the_past(cli: Cli, tmp_path: Path) -> None:
    now = cli.json("tree")
    past = cli.json("tree", "--at", "sent")
    assert (past["position"], now["position"]) == (2, 6)
    assert past["records"][0]["key"] == "1CT1"
    assert cli("tree", "--at", "sent").out.startswith("OLD, as of position 2: 1 instance\n")
    assert len(cli.json("find", "PatientID=1CT1", "--at", "sent")["instances"]) == 1
    assert cli.json("find", "PatientID=1CT1")["instances"] == []
    for load in ([], ["--load"]):
        found = cli.json("values", "PatientID", "--at", "sent", *load)["values"]
        assert found == {"PatientID": ["1CT1"]}
    status = cli.json("status", "--at", "sent")
    assert (status["id"], status["position"], status["undo"]) == ("OLD", 2, 1)
    assert cli("status", "--at", "sent").out.startswith("As of position 2:\nDICOM File-set\n")
    assert cli.json("status")["id"] == "NEW"
    exported = cli.json("write", tmp_path / "copy", "--at", "sent")
    assert (exported["export"], exported["plan"]["base"]) == (True, 2)
    assert "as of position 2:" in cli("write", tmp_path / "other", "--at", "sent").out
    assert cli.json("diff", "sent")["identity"] == {"id": {"from": "OLD", "to": "NEW"}}


@pytest.mark.parametrize("command", ["tree", "status", "find PatientID=1", "values PatientID"])
def test_a_moment_that_there_is_not_is_a_usage_error(cli: Cli, command: str) -> None:
    assert "positions 1 to 6, not 99." in cli(*command.split(), "--at", "99", code=2).err
    assert "the tags are sent." in cli(*command.split(), "--at", "never", code=2).err
    assert "Nothing was recorded up to" in cli(*command.split(), "--at", "1999-01-01", code=2).err


def test_now_is_the_last_position_and_what_is_staged_with_it(tmp_path: Path) -> None:
    with FileSet(repository=tmp_path / "r") as fs:
        fs.add(CT)
        assert fs.at("now").state.position == fs.state.position
        fs.add(MR)
        assert len(fs.at("now")) == 2


def test_a_tag_from_before_now_had_a_meaning_keeps_its_own(repository: Repository) -> None:
    with repository.change():
        repository.emit(PositionTagged("now", 1))
    assert position_of(repository, "now") == 1
