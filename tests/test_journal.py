"""The journal: one suite for every store of events, and what SQLite's alone has to promise."""

from __future__ import annotations

import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from strategies import drafts, events

from ledger import codec
from ledger.elements import Elements
from ledger.errors import (
    ConflictError,
    ElementsError,
    JournalDamagedError,
    JournalError,
    UnknownFormatError,
)
from ledger.events import (
    Event,
    FileSetCreated,
    FileSetIDChanged,
    InstanceAdded,
    InstanceRejected,
    InstanceRemoved,
    Record,
)
from ledger.journal import (
    Change,
    Clock,
    Draft,
    Head,
    Journal,
    Recorded,
    genesis,
    utc_now,
    verify_journal,
)
from ledger.memory import MemoryJournal
from ledger.sqlite import FORMAT, SqliteJournal

BATCH = 20
"""How many rows the journals under test read at a time."""

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
UNWRITABLE = InstanceAdded("1", "2", "3", Record("IMAGE", Elements(b"no elements")))


class Store(Protocol):
    """Where a journal under test lives: made once, opened as often as its kind allows."""

    def create(self, clock: Clock = utc_now) -> Journal: ...

    def open(self) -> Journal: ...


class OnDisk:
    """An embedded journal in a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.sqlite"

    def create(self, clock: Clock = utc_now) -> Journal:
        return SqliteJournal.create(self.path, clock=clock)

    def open(self) -> Journal:
        return SqliteJournal(self.path)


class InMemory:
    """A journal that goes with its object."""

    def __init__(self, _: Path) -> None: ...

    def create(self, clock: Clock = utc_now) -> Journal:
        return MemoryJournal(clock=clock)

    def open(self) -> Journal:
        raise NotImplementedError


LASTING: list[Callable[[Path], Store]] = [OnDisk]
STORES: list[Callable[[Path], Store]] = [*LASTING, InMemory]


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ledger.sqlite._BATCH", BATCH)


@pytest.fixture(params=STORES, ids=lambda store: store.__name__)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Every store there is: the tests that take this are the journal's contract."""
    made: Store = request.param(tmp_path)
    return made


@pytest.fixture(params=LASTING, ids=lambda store: store.__name__)
def lasting(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """Every store that can be opened again, and twice at a time."""
    made: Store = request.param(tmp_path)
    return made


@pytest.fixture
def journal(store: Store) -> Iterator[Journal]:
    with closing(store.create()) as made:
        yield made


def draft(change_id: str = "change", reason: str | None = None) -> Draft:
    return Draft(change_id, "someone", "a-host fileset", reason)


def removals(count: int, first: int = 1) -> list[Event]:
    return [InstanceRemoved(i) for i in range(first, first + count)]


def append(journal: Journal, *events: Event) -> list[Recorded]:
    expected = journal.head().position
    return journal.append(events, draft(f"change-{expected + 1}"), expected=expected)


def positions(recorded: Iterator[Recorded]) -> list[int]:
    return [each.position for each in recorded]


# --- the contract of every journal ---------------------------------------------------------------


def test_a_new_journal_is_empty_and_starts_from_its_own_id(journal: Journal) -> None:
    assert journal.head() == Head(0, genesis(journal.id))
    assert not [*journal.read(), *journal.stored(), *journal.changes()]
    assert verify_journal(journal) == journal.head()


def test_no_two_journals_have_one_id(store: Store, tmp_path: Path) -> None:
    other = InMemory(tmp_path)
    with closing(store.create()) as one, closing(other.create()) as two:
        assert one.id != two.id


def test_what_was_appended_is_read_as_it_was_returned(journal: Journal) -> None:
    first = append(journal, FileSetCreated("1.2.3"), InstanceRemoved(1))
    second = append(journal, FileSetIDChanged("B", "A"))
    assert list(journal.read()) == first + second
    assert [each.event for each in first + second] == [
        FileSetCreated("1.2.3"), InstanceRemoved(1), FileSetIDChanged("B", "A"),
    ]  # fmt: skip
    assert list(journal.changes()) == [first[0].change, second[0].change]


@pytest.mark.parametrize("make", STORES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=st.lists(st.tuples(st.lists(events, min_size=1, max_size=4), drafts), max_size=4))
def test_any_events_and_any_drafts_are_read_as_they_were_returned(
    make: Callable[[Path], Store], changes: list[tuple[list[Event], Draft]]
) -> None:
    with TemporaryDirectory() as folder, closing(make(Path(folder)).create()) as journal:
        recorded: list[Recorded] = []
        for of_change, its_draft in changes:
            recorded += journal.append(of_change, its_draft, expected=len(recorded))
        assert list(journal.read()) == recorded
        assert [each.event for each in recorded] == [e for each, _ in changes for e in each]
        assert verify_journal(journal) == journal.head()


def test_a_change_says_who_when_why_and_how_many(store: Store) -> None:
    with closing(store.create(clock=lambda: NOON)) as journal:
        journal.append(removals(3), Draft("id", "actor", "origin", "reason"), expected=0)
        assert list(journal.changes()) == [
            Change("id", 1, 3, "2024-02-29T12:00:00.000000Z", "actor", "origin", "reason")
        ]
        assert next(journal.changes()).last == 3


def test_a_reason_may_be_missing_or_empty(journal: Journal) -> None:
    journal.append(removals(1), draft("1", None), expected=0)
    journal.append(removals(1), draft("2", ""), expected=1)
    assert [change.reason for change in journal.changes()] == [None, ""]


def test_text_of_a_draft_that_is_no_text_is_kept_readable(journal: Journal) -> None:
    (recorded,) = journal.append(
        removals(1), Draft("1", "caf\udce9", "é\0山", "\udc80"), expected=0
    )
    assert recorded.change.actor == "caf\\udce9"
    assert recorded.change.origin == "é\0山"
    assert list(journal.read()) == [recorded]
    verify_journal(journal)


@pytest.mark.parametrize(
    ("moment", "written"),
    [
        (NOON, "2024-02-29T12:00:00.000000Z"),
        (NOON.astimezone(timezone(timedelta(hours=5, minutes=45))), "2024-02-29T12:00:00.000000Z"),
        (NOON.replace(microsecond=7), "2024-02-29T12:00:00.000007Z"),
        (NOON.astimezone().replace(tzinfo=None), "2024-02-29T12:00:00.000000Z"),
    ],
    ids=["UTC", "elsewhere", "microseconds", "local, without a zone"],
)
def test_times_are_written_in_utc(store: Store, moment: datetime, written: str) -> None:
    with closing(store.create(clock=lambda: moment)) as journal:
        append(journal, *removals(1))
        assert next(journal.changes()).recorded_at == written


def test_a_clock_that_goes_back_changes_no_order(store: Store) -> None:
    moments = iter([NOON, NOON - timedelta(days=1)])
    with closing(store.create(clock=lambda: next(moments))) as journal:
        append(journal, InstanceRemoved(1))
        append(journal, InstanceRemoved(2))
        assert [each.event for each in journal.read()] == removals(2)


def test_positions_are_contiguous_over_changes_of_any_size(journal: Journal) -> None:
    for size in (1, 5, 2, 1):
        append(journal, *removals(size))
    assert positions(journal.read()) == list(range(1, 10))
    assert [(change.first, change.last) for change in journal.changes()] == [
        (1, 1), (2, 6), (7, 8), (9, 9),
    ]  # fmt: skip
    assert journal.head().position == 9


def test_the_head_has_the_hash_of_the_last_event(journal: Journal) -> None:
    assert journal.position == 0
    append(journal, *removals(3))
    *_, last = journal.stored()
    assert journal.head() == Head(3, last.hash) == verify_journal(journal)


@pytest.mark.parametrize("expected", [-1, 0, 1, 3, 10**9])
def test_an_append_after_another_position_is_a_conflict(journal: Journal, expected: int) -> None:
    append(journal, *removals(2))
    head = journal.head()
    with pytest.raises(ConflictError) as caught:
        journal.append(removals(1), draft("late"), expected=expected)
    assert (caught.value.expected, caught.value.actual) == (expected, 2)
    assert journal.head() == head
    assert len(list(journal.changes())) == 1


def test_a_conflict_leaves_the_journal_of_use(journal: Journal) -> None:
    append(journal, *removals(1))
    with pytest.raises(ConflictError):
        journal.append(removals(1), draft("again"), expected=0)
    journal.append(removals(1), draft("again"), expected=1)
    assert journal.head().position == 2


def test_a_change_of_no_events_is_refused(journal: Journal) -> None:
    with pytest.raises(ValueError, match="at least one event"):
        journal.append([], draft(), expected=0)
    assert list(journal.changes()) == []


@pytest.mark.parametrize("bad", [UNWRITABLE, InstanceRejected(object(), "")])  # type: ignore[arg-type]
def test_an_event_that_can_t_be_written_leaves_nothing(journal: Journal, bad: Event) -> None:
    with pytest.raises((ElementsError, TypeError)):
        journal.append([*removals(2), bad, *removals(2)], draft(), expected=0)
    assert not [*journal.stored(), *journal.changes()]
    append(journal, *removals(1))
    verify_journal(journal)


def test_an_id_used_twice_is_refused_and_does_no_harm(journal: Journal) -> None:
    journal.append(removals(1), draft("one"), expected=0)
    with pytest.raises(JournalError) as caught:
        journal.append(removals(1), draft("one"), expected=1)
    assert not isinstance(caught.value, JournalDamagedError)
    journal.append(removals(1), draft("two"), expected=1)
    assert [change.id for change in journal.changes()] == ["one", "two"]
    verify_journal(journal)


@pytest.mark.parametrize(
    ("after", "upto", "found"),
    [
        (0, None, [1, 2, 3, 4, 5, 6]),
        (2, None, [3, 4, 5, 6]),
        (0, 2, [1, 2]),
        (3, 4, [4]),
        (4, 4, []),
        (5, 3, []),
        (6, None, []),
        (99, None, []),
        (4, 99, [5, 6]),
        (0, 0, []),
    ],
)
def test_a_window_of_the_journal_is_read(
    journal: Journal, after: int, upto: int | None, found: list[int]
) -> None:
    for _ in range(2):
        append(journal, *removals(3))
    assert positions(journal.read(after, upto)) == found
    assert [each.position for each in journal.stored(after, upto)] == found
    assert {each.change.first for each in journal.read(after, upto)} <= {1, 4}
    assert all(
        each.change.first <= each.position <= each.change.last for each in journal.read(after, upto)
    )


def test_changes_are_read_from_a_position_on(journal: Journal) -> None:
    for _ in range(3):
        append(journal, *removals(2))
    found = {after: [c.first for c in journal.changes(after)] for after in range(7)}
    assert found == {0: [1, 3, 5], 1: [3, 5], 2: [3, 5], 3: [5], 4: [5], 5: [], 6: []}


def test_more_is_read_than_fits_one_batch(journal: Journal) -> None:
    append(journal, *removals(BATCH + 1))
    append(journal, *removals(2 * BATCH))
    append(journal, *removals(3))
    total = 3 * BATCH + 4
    assert positions(journal.read()) == list(range(1, total + 1))
    assert positions(journal.read(BATCH - 1, 2 * BATCH + 1)) == [*range(BATCH, 2 * BATCH + 2)]
    assert verify_journal(journal).position == total


def test_more_changes_are_read_than_fit_one_batch(journal: Journal) -> None:
    for i in range(BATCH + 3):
        journal.append([InstanceRemoved(1)], draft(str(i)), expected=i)
    assert [change.first for change in journal.changes()] == list(range(1, BATCH + 4))


def test_reading_goes_on_while_more_is_appended(journal: Journal) -> None:
    append(journal, *removals(BATCH + 5))
    reading = journal.read()
    assert next(reading).position == 1
    append(journal, *removals(5))
    assert positions(reading) == list(range(2, BATCH + 6))
    assert journal.head().position == BATCH + 10


# --- of every journal that lasts -----------------------------------------------------------------


def test_a_journal_is_the_same_when_it_is_opened_again(lasting: Store) -> None:
    with closing(lasting.create()) as journal:
        recorded = append(journal, *removals(3))
        head, journal_id = journal.head(), journal.id
    with closing(lasting.open()) as again:
        assert (again.head(), again.id, list(again.read())) == (head, journal_id, recorded)
        assert append(again, *removals(1))[0].position == 4
        verify_journal(again)


def test_one_connection_sees_what_the_other_appended(lasting: Store) -> None:
    with closing(lasting.create()) as one, closing(lasting.open()) as two:
        for writer, reader in ((one, two), (two, one), (one, two)):
            recorded = append(writer, *removals(2))
            assert reader.head() == writer.head()
            assert list(reader.read(recorded[0].position - 1)) == recorded


def test_a_second_writer_learns_that_it_was_overtaken(lasting: Store) -> None:
    with closing(lasting.create()) as one, closing(lasting.open()) as two:
        expected = two.head().position
        append(one, *removals(2))
        with pytest.raises(ConflictError):
            two.append(removals(1), draft("two"), expected=expected)
        two.append(removals(1), draft("two"), expected=two.head().position)
        assert positions(one.read()) == [1, 2, 3]
        verify_journal(one)


def test_writers_that_race_all_get_their_turn_and_lose_nothing(lasting: Store) -> None:
    lasting.create().close()
    won: list[str] = []

    def write(name: str) -> None:
        with closing(lasting.open()) as journal:
            for i in range(8):
                while True:
                    expected = journal.head().position
                    with suppress(ConflictError):
                        journal.append(removals(2), draft(f"{name}{i}"), expected=expected)
                        won.append(f"{name}{i}")
                        break

    in_threads(*(lambda name=name: write(name) for name in "abc"))
    with closing(lasting.open()) as journal:
        assert sorted(change.id for change in journal.changes()) == sorted(won)
        assert verify_journal(journal).position == 3 * 8 * 2


def test_a_reader_sees_whole_changes_only(lasting: Store) -> None:
    lasting.create().close()
    done = threading.Event()
    seen: set[int] = set()

    def write() -> None:
        with closing(lasting.open()) as journal:
            for _ in range(15):
                append(journal, *removals(300))
        done.set()

    def read() -> None:
        with closing(lasting.open()) as journal:
            writing = True
            while writing:
                writing = not done.is_set()
                *_, last = [None, *journal.read()]
                assert last is None or last.position == last.change.last
                *_, change = [None, *journal.changes()]
                assert change is None or journal.head().position >= change.last
                seen.add(last.position if last else 0)

    in_threads(write, read)
    assert seen <= set(range(0, 15 * 300 + 1, 300))
    assert max(seen) == 15 * 300


def in_threads(*calls: Callable[[], None]) -> None:
    """Run `calls` at once; raise what any of them raised."""
    errors: list[BaseException] = []

    def guarded(call: Callable[[], None]) -> None:
        try:
            call()
        except BaseException as exc:  # noqa: BLE001 - raised again in the test's own thread
            errors.append(exc)

    threads = [threading.Thread(target=guarded, args=(call,), daemon=True) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if errors:
        raise errors[0]
    assert not any(thread.is_alive() for thread in threads)


# --- SQLite: what it refuses ---------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def kept(path: Path) -> list[Recorded]:
    """A journal at `path` of two changes, closed."""
    with closing(SqliteJournal.create(path)) as journal:
        return append(journal, *removals(3)) + append(journal, *removals(2))


STATEMENTS = [
    "UPDATE event SET payload = x'7b7d' WHERE position = 2",
    "UPDATE event SET position = 99 WHERE position = 5",
    "UPDATE OR REPLACE event SET position = 1 WHERE position = 2",
    "DELETE FROM event",
    "DELETE FROM event WHERE position = 5",
    "INSERT INTO event VALUES (2, 'x', 1, x'', x'')",
    "INSERT INTO event VALUES (7, 'x', 1, x'', x'')",
    "INSERT INTO event VALUES (0, 'x', 1, x'', x'')",
    "INSERT INTO event VALUES (-1, 'x', 1, x'', x'')",
    "INSERT OR REPLACE INTO event VALUES (2, 'x', 1, x'', x'')",
    "INSERT OR REPLACE INTO event VALUES (5, 'x', 1, x'', x'')",
    "REPLACE INTO event VALUES (5, 'x', 1, x'', x'')",
    "INSERT INTO event VALUES (5, 'x', 1, x'', x'') ON CONFLICT DO UPDATE SET payload = x''",
    "INSERT INTO event VALUES (6, NULL, 1, x'', x'')",
    "INSERT INTO event VALUES (6, 'x', 'one', x'', x'')",
    "UPDATE change SET reason = 'another'",
    "UPDATE change SET count = 1 WHERE first = 1",
    "DELETE FROM change WHERE first = 4",
    "INSERT INTO change VALUES (5, 1, 'new', '', '', '', NULL)",
    "INSERT INTO change VALUES (7, 1, 'new', '', '', '', NULL)",
    "INSERT INTO change VALUES (6, 0, 'new', '', '', '', NULL)",
    "INSERT INTO change VALUES (6, 1, 'change-1', '', '', '', NULL)",
    "INSERT OR REPLACE INTO change VALUES (4, 1, 'new', '', '', '', NULL)",
    "INSERT OR REPLACE INTO change VALUES (6, 1, 'change-1', '', '', '', NULL)",
    "REPLACE INTO change VALUES (6, 1, 'change-4', '', '', '', NULL)",
    "INSERT INTO change VALUES (6, 1, 'change-1', '', '', '', '') ON CONFLICT DO UPDATE SET id = 1",
    "UPDATE journal SET id = 'another'",
    "DELETE FROM journal",
    "INSERT INTO journal VALUES ('another')",
    "INSERT OR REPLACE INTO journal (rowid, id) VALUES (1, 'another')",
    "INSERT INTO journal (rowid, id) VALUES (-1, 'another')",
]


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("recursive", ["OFF", "ON"])
@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_database_itself_refuses_to_change_what_was_appended(
    path: Path, statement: str, recursive: str
) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA recursive_triggers = {recursive}")
        before = list(other.iterdump())
        with pytest.raises(sqlite3.IntegrityError):
            other.execute(statement)
        other.commit()
        assert list(other.iterdump()) == before
    with closing(SqliteJournal(path)) as journal:
        assert verify_journal(journal).position == 5


@pytest.mark.usefixtures("kept")
@pytest.mark.parametrize("statement", [s for s in STATEMENTS if s.startswith("INSERT INTO")])
def test_a_refused_row_is_not_ignored_into_the_place_of_another(path: Path, statement: str) -> None:
    statement = statement.replace("INSERT INTO", "INSERT OR IGNORE INTO", 1)
    with closing(sqlite3.connect(path)) as other:
        before = list(other.iterdump())
        with suppress(sqlite3.IntegrityError):
            other.execute(statement)
        other.commit()
        assert list(other.iterdump()) == before


# --- SQLite: opening -----------------------------------------------------------------------------


def test_a_journal_opened_for_reading_takes_nothing(path: Path, kept: list[Recorded]) -> None:
    before = path.read_bytes()
    with closing(SqliteJournal(path, read_only=True)) as journal:
        assert list(journal.read()) == kept
        with pytest.raises(JournalError, match=f"{path} can't be used: .*readonly"):
            append(journal, *removals(1))
    assert path.read_bytes() == before


@pytest.mark.usefixtures("kept")
def test_a_journal_in_a_folder_that_can_t_be_written_is_read(path: Path) -> None:
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        with closing(SqliteJournal(path, read_only=True)) as journal:
            assert verify_journal(journal).position == 5
    finally:
        path.parent.chmod(0o700)


@pytest.mark.usefixtures("kept")
def test_a_journal_of_a_newer_format_is_left_alone(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute(f"PRAGMA user_version = {FORMAT + 1}")
    before = path.read_bytes()
    for read_only in (False, True):
        with pytest.raises(UnknownFormatError, match=f"{path} has the format 2.*up to 1.*later"):
            SqliteJournal(path, read_only=read_only)
    assert path.read_bytes() == before


def test_an_event_of_a_newer_version_stops_the_reader_and_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqliteJournal.create(path)) as journal:
        with monkeypatch.context() as newer:
            newer.setattr(InstanceRemoved, "VERSION", 2)
            append(journal, *removals(1))
        with pytest.raises(UnknownFormatError, match="'instance-removed' of version 2"):
            list(journal.read())
        assert verify_journal(journal).position == 1


def test_an_event_that_is_not_what_its_type_says_is_damage_at_its_position(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(SqliteJournal.create(path)) as journal:
        append(journal, *removals(1))
        monkeypatch.setattr(codec, "encode", lambda _, nonce: orjson.dumps({"nonce": nonce}))
        append(journal, *removals(1))
        with pytest.raises(JournalDamagedError, match=f"{path} is damaged at position 2") as caught:
            list(journal.read())
        assert caught.value.position == 2


def text_file(path: Path) -> None:
    path.write_text("This is no database, however long it may be. " * 100)


def other_database(path: Path) -> None:
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA journal_mode = WAL")
        other.execute("CREATE TABLE journal (id TEXT)")
        other.commit()


def journal_without_tables(path: Path) -> None:
    with closing(SqliteJournal.create(path)) as journal:
        journal._connection.execute("DROP TABLE journal")


def journal_without_id(path: Path) -> None:
    with closing(SqliteJournal.create(path)) as journal:
        journal._connection.execute("DROP TRIGGER journal_no_DELETE")
        journal._connection.execute("DELETE FROM journal")


@pytest.mark.parametrize("read_only", [False, True])
@pytest.mark.parametrize(
    "make", [Path.touch, text_file, other_database, journal_without_tables, journal_without_id]
)
def test_a_file_that_is_no_journal_is_refused_by_name_and_left_as_it_was(
    path: Path, make: Callable[[Path], None], read_only: bool
) -> None:
    make(path)
    before = path.read_bytes()
    with pytest.raises(JournalDamagedError, match=str(path)):
        SqliteJournal(path, read_only=read_only)
    assert path.read_bytes() == before


@pytest.mark.parametrize("make", [None, Path.mkdir])
def test_where_there_is_no_file_there_is_no_journal(
    path: Path, make: Callable[[Path], None] | None
) -> None:
    if make:
        make(path)
    with pytest.raises(JournalError, match=f"no journal at {path}"):
        SqliteJournal(path)
    assert path.exists() == bool(make)


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, text_file])
def test_nothing_is_overwritten_by_a_new_journal(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    before = path.stat()
    with pytest.raises(JournalError, match=f"at {path} already"):
        SqliteJournal.create(path)
    assert path.stat() == before


def test_a_journal_needs_a_folder_to_be_made_in(tmp_path: Path) -> None:
    path = tmp_path / "missing" / "journal"
    with pytest.raises(JournalError, match=f"{path} can't be made"):
        SqliteJournal.create(path)


def test_a_journal_that_could_not_be_made_leaves_nothing(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("ledger.sqlite._SCHEMA", "CREATE TABLE;")
        with pytest.raises(JournalError, match=f"{path} can't be made"):
            SqliteJournal.create(path)
    assert list(path.parent.iterdir()) == []
    SqliteJournal.create(path).close()


@pytest.mark.parametrize("name", ["a b?c#d%20.sqlite", "山田.sqlite", "caf\udce9.sqlite"])
def test_a_journal_may_have_any_name(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    with closing(SqliteJournal.create(path)) as journal:
        append(journal, *removals(1))
    with closing(SqliteJournal(path, read_only=True)) as journal:
        assert positions(journal.read()) == [1]
    assert list(tmp_path.iterdir()) == [path]


def test_a_closed_journal_is_an_error_of_use_and_no_damage(path: Path) -> None:
    journal = SqliteJournal.create(path)
    journal.close()
    journal.close()
    with pytest.raises(JournalError) as caught:
        journal.head()
    assert not isinstance(caught.value, JournalDamagedError)


def test_commits_reach_the_disk(path: Path) -> None:
    with closing(SqliteJournal.create(path)) as journal:
        (mode,) = journal._connection.execute("PRAGMA journal_mode").fetchone()
        (synchronous,) = journal._connection.execute("PRAGMA synchronous").fetchone()
    # WAL has lost commits before 3.51.3; the DELETE mode needs EXTRA for its folder's sync.
    wal = sqlite3.sqlite_version_info >= (3, 51, 3)
    assert (mode, synchronous) == (("wal", 2) if wal else ("delete", 3))


# --- SQLite: damage ------------------------------------------------------------------------------


@pytest.mark.usefixtures("kept")
def test_a_truncated_journal_is_an_error_that_names_it(path: Path) -> None:
    data = path.read_bytes()
    for size in [*range(1, 600, 37), *range(600, len(data), 4099), len(data) - 1]:
        path.write_bytes(data[:size])
        with pytest.raises(JournalDamagedError, match="journal"):
            check(path)


def check(path: Path) -> None:
    with closing(SqliteJournal(path, read_only=True)) as journal:
        verify_journal(journal)


def test_an_altered_byte_is_found_or_changes_nothing(path: Path, kept: list[Recorded]) -> None:
    with closing(SqliteJournal(path)) as journal:
        stored, changes, head = list(journal.stored()), list(journal.changes()), journal.head()
    data = path.read_bytes()
    randomly = random.Random(5)  # noqa: S311 - the same bytes in every run
    holding = [i for i in range(len(data)) if data[i]]
    found = 0
    for offset in [*range(100), *randomly.sample(holding, 400)]:
        altered = bytearray(data)
        altered[offset] ^= 1 << randomly.randrange(8)
        path.write_bytes(altered)
        try:
            with closing(SqliteJournal(path, read_only=True)) as journal:
                assert verify_journal(journal) == head
                assert list(journal.stored()) == stored
                assert list(journal.changes()) == changes
                assert list(journal.read()) == kept
        except JournalError:
            found += 1
    assert found > 100


# --- SQLite: failures while writing --------------------------------------------------------------


def test_a_full_database_leaves_nothing_half_and_can_go_on(path: Path) -> None:
    with closing(SqliteJournal.create(path)) as journal:
        recorded = append(journal, *removals(3))
        (pages,) = journal._connection.execute("PRAGMA page_count").fetchone()
        journal._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        for _ in range(2):
            with pytest.raises(JournalError, match=f"{path} can't be used: .*full. Nothing was"):
                append(journal, *removals(2000))
            assert list(journal.read()) == recorded
        journal._connection.execute("PRAGMA max_page_count = 1000000")
        append(journal, *removals(2000))
        assert verify_journal(journal).position == 2003


@contextmanager
def files_limited_to(size: int) -> Iterator[None]:
    """Have the system refuse to write a file beyond `size` bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_write_that_the_system_refuses_leaves_nothing_half(path: Path) -> None:
    with closing(SqliteJournal.create(path)) as journal:
        recorded = append(journal, *removals(3))
        with files_limited_to(path.stat().st_size + 70_000), pytest.raises(JournalError):
            append(journal, *removals(5000))
        assert list(journal.read()) == recorded
    with closing(SqliteJournal(path)) as journal:
        assert list(journal.read()) == recorded
        append(journal, *removals(5000))
        verify_journal(journal)


class Failing:
    """A connection of which one statement fails as SQLite would have it fail."""

    def __init__(self, connection: sqlite3.Connection, statement: str, code: int) -> None:
        self.connection, self.statement, self.code = connection, statement, code

    def __getattr__(self, name: str) -> Any:
        return getattr(self.connection, name)

    def execute(self, statement: str, *arguments: Any) -> sqlite3.Cursor:
        if statement.startswith(self.statement):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = self.code
            raise error
        return self.connection.execute(statement, *arguments)


@pytest.mark.parametrize("statement", ["COMMIT", "INSERT", "ROLLBACK"])
def test_after_an_input_output_error_nothing_is_taken_until_the_journal_is_reopened(
    path: Path, kept: list[Recorded], statement: str
) -> None:
    journal = SqliteJournal(path)
    failing = Failing(journal._connection, statement, sqlite3.SQLITE_IOERR_FSYNC)
    journal._connection = failing  # type: ignore[assignment]
    with closing(journal):
        bad = [InstanceRemoved(1)]
        expected = 0 if statement == "ROLLBACK" else 5  # a conflict makes it roll back
        with pytest.raises(JournalError):
            journal.append(bad, draft("fails"), expected=expected)
        journal._connection = failing.connection
        with pytest.raises(JournalError, match="until it is reopened"):
            journal.append(bad, draft("after"), expected=5)
    with closing(SqliteJournal(path)) as journal:
        assert list(journal.read()) == kept
        append(journal, *removals(1))
        verify_journal(journal)


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_BUSY_SNAPSHOT]
)
def test_after_an_error_that_sqlite_knows_the_end_of_the_journal_goes_on(
    path: Path, kept: list[Recorded], code: int
) -> None:
    with closing(SqliteJournal(path)) as journal:
        failing = Failing(journal._connection, "COMMIT", code)
        journal._connection = failing  # type: ignore[assignment]
        with pytest.raises(JournalError):
            append(journal, *removals(1))
        journal._connection = failing.connection
        assert list(journal.read()) == kept
        append(journal, *removals(1))
        verify_journal(journal)


@pytest.mark.usefixtures("kept")
def test_a_writer_that_waits_in_vain_says_so_and_goes_on_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.sqlite._BUSY_SECONDS", 0.05)
    with closing(SqliteJournal(path)) as journal, closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(JournalError, match=f"{path} can't be used: .*locked"):
            append(journal, *removals(1))
        other.rollback()
        append(journal, *removals(1))


@pytest.mark.usefixtures("kept")
def test_a_writer_that_waited_for_another_sees_what_that_one_appended(path: Path) -> None:
    caught: list[ConflictError] = []

    def write() -> None:
        with closing(SqliteJournal(path)) as journal:
            with pytest.raises(ConflictError) as conflict:
                journal.append(removals(1), draft("late"), expected=5)
            caught.append(conflict.value)

    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        writing = threading.Thread(target=write)
        writing.start()
        time.sleep(0.2)
        other.execute("INSERT INTO event VALUES (6, 'instance-removed', 1, x'', x'')")
        other.execute("COMMIT")
        writing.join()
    assert [conflict.actual for conflict in caught] == [6]


def test_an_interrupted_append_leaves_nothing(
    path: Path, kept: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> bytes:
        raise KeyboardInterrupt

    with closing(SqliteJournal(path)) as journal:
        with monkeypatch.context() as patch:
            patch.setattr("ledger.sqlite.chain_hash", interrupt)
            with pytest.raises(KeyboardInterrupt):
                append(journal, *removals(1))
        assert list(journal.read()) == kept
        append(journal, *removals(1))


APPENDER = """
import sys
from pathlib import Path
from ledger.events import InstanceRemoved
from ledger.journal import Draft
from ledger.memory import MemoryJournal
from ledger.sqlite import SqliteJournal
journal = SqliteJournal(Path(sys.argv[1]))
position = journal.head().position
print(position, flush=True)
while True:
    count = 1 + position * 7919 % 400
    events = [InstanceRemoved(position + i) for i in range(count)]
    journal.append(events, Draft(str(position), "actor", "origin"), expected=position)
    position += count
    print(position, flush=True)
"""


def test_a_kill_at_any_moment_leaves_whole_changes_and_all_that_were_acknowledged(
    path: Path,
) -> None:
    SqliteJournal.create(path).close()
    randomly = random.Random(7)  # noqa: S311 - not for secrets
    for _ in range(24):
        command = [sys.executable, "-c", APPENDER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            acknowledged = int(process.stdout.readline())
            time.sleep(randomly.uniform(0, 0.06))
            process.kill()
            for line in process.stdout:
                acknowledged = int(line) if line.endswith("\n") else acknowledged
        with closing(SqliteJournal(path)) as journal:
            head = verify_journal(journal)
            assert head.position >= acknowledged
            *_, change = [None, *journal.changes()]
            assert (change.last if change else 0) == head.position
    assert head.position > 1000


# --- damage that is met on the way ---------------------------------------------------------------


def tampered(path: Path, statement: str) -> None:
    """Change the tables of a journal behind its back, past its triggers and types."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type='trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_master SET sql = replace(sql, 'STRICT', '')")
        db.execute("UPDATE sqlite_master SET sql = replace(sql, ' NOT NULL', '')")
        db.execute("PRAGMA writable_schema = RESET")
        db.execute(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET payload = CAST(replace(payload,'nonce','n') AS BLOB) WHERE position = 3",
        "UPDATE event SET version = 2 WHERE position = 3",
        "UPDATE event SET type = 'instance-removee' WHERE position = 3",
        "UPDATE event SET hash = x'00' WHERE position = 3",
        "UPDATE event SET hash = NULL WHERE position = 3",
        "UPDATE event SET type = NULL WHERE position = 3",
        "UPDATE event SET payload = 'text' WHERE position = 3",
        "DELETE FROM event WHERE position = 3",
        "UPDATE change SET actor = 'nobody' WHERE first = 3",
        "UPDATE change SET count = NULL WHERE first = 3",
        "UPDATE change SET count = 'many' WHERE first = 3",
        "UPDATE change SET first = 9 WHERE first = 3",
    ],
)
def test_damage_is_refused_with_its_position_by_whoever_reads_it(
    path: Path, statement: str
) -> None:
    with closing(SqliteJournal.create(path)) as journal:
        for _ in range(5):
            append(journal, *removals(1))
    tampered(path, statement)
    with closing(SqliteJournal(path)) as journal:
        with pytest.raises(JournalDamagedError) as caught:
            list(journal.read())
        assert caught.value.position in {3, 4}
        with pytest.raises(JournalDamagedError) as caught:
            verify_journal(journal)
        assert caught.value.position in {3, 4}
        assert len(list(journal.read(upto=2))) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET payload = x'7b7d' WHERE position = 3",
        "UPDATE event SET hash = zeroblob(32) WHERE position = 3",
        "UPDATE event SET hash = NULL WHERE position = 3",
        "UPDATE change SET actor = 'nobody' WHERE first = 3",
        "UPDATE change SET count = 2 WHERE first = 3",
        "DELETE FROM change WHERE first = 3",
        "DELETE FROM event WHERE position = 2",
        "UPDATE event SET position = 9 WHERE position = 3",
    ],
)
def test_nothing_is_appended_behind_a_damaged_end(path: Path, statement: str) -> None:
    with closing(SqliteJournal.create(path)) as journal:
        for _ in range(3):
            append(journal, *removals(1))
    tampered(path, statement)
    before = path.read_bytes()
    with closing(SqliteJournal(path)) as journal:
        for expected in (3, 9):
            with pytest.raises((JournalDamagedError, ConflictError)):
                journal.append(removals(4), draft("new"), expected=expected)
    assert path.read_bytes() == before


def test_a_journal_whose_id_is_no_text_is_damaged(path: Path) -> None:
    SqliteJournal.create(path).close()
    tampered(path, "UPDATE journal SET id = NULL")
    with pytest.raises(JournalDamagedError, match="lost its id"):
        SqliteJournal(path)
