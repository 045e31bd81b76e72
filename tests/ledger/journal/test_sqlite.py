"""The journal in SQLite: what it alone has to promise."""

from __future__ import annotations

import errno
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest
from journals import append, draft, positions, removals

from ledger.errors import ConflictError, JournalDamagedError, JournalError, UnknownFormatError
from ledger.events import InstanceRejected, InstanceRemoved
from ledger.journal import codec
from ledger.journal.chain import verify_journal
from ledger.journal.entries import Recorded
from ledger.journal.sqlite import SqliteJournal
from ledger.journal.sqlite_schema import FORMAT

pytestmark = pytest.mark.usefixtures("small_batches")


# --- SQLite: what it refuses ---------------------------------------------------------------------


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.sqlite"


@pytest.fixture
def kept(path: Path) -> list[Recorded]:
    """A journal at `path` of two changes, closed."""
    with closing(SqliteJournal.create(path)) as journal:
        return append(journal, *removals(3)) + append(journal, *removals(2))


def test_a_journal_that_may_not_be_read_is_told_by_its_permission(
    path: Path, kept: list[Recorded], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        exc = sqlite3.OperationalError("unable to open database file")
        exc.sqlite_errorcode = sqlite3.SQLITE_CANTOPEN
        raise exc

    monkeypatch.setattr(sqlite3, "connect", refuse)
    with pytest.raises(JournalError, match=r"can't be opened: unable to open database file\.$"):
        SqliteJournal(path)
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(JournalError, match=r"can't be opened: Permission denied\. `chmod u\+rw`"):
        SqliteJournal(path)


def test_a_journal_that_was_closed_says_so(path: Path, kept: list[Recorded]) -> None:
    journal = SqliteJournal(path)
    journal.close()
    journal.close()
    for use in (lambda: journal.position, lambda: list(journal.read()), journal.head):
        with pytest.raises(JournalError, match=r"journal\.sqlite is closed: open it again\.$"):
            use()


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
        patch.setattr("ledger.journal.sqlite_schema._SCHEMA", "CREATE TABLE;")
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
        with pytest.raises(JournalError, match="open it again"):
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
    monkeypatch.setattr("ledger.journal.sqlite_connection._BUSY_SECONDS", 0.05)
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
            patch.setattr("ledger.journal.database.chain_hash", interrupt)
            with pytest.raises(KeyboardInterrupt):
                append(journal, *removals(1))
        assert list(journal.read()) == kept
        append(journal, *removals(1))


def test_the_payloads_of_a_change_are_not_all_in_memory_at_once(path: Path) -> None:
    events = [InstanceRejected("a", "x" * 10_000)] * 500
    with closing(SqliteJournal.create(path)) as journal:
        tracemalloc.start()
        try:
            journal.append(events, draft(), expected=0)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert peak < 1_000_000  # all payloads have 5 MB


APPENDER = """
import sys
from pathlib import Path
from ledger.events import InstanceRemoved
from ledger.journal.entries import Draft
from ledger.journal.memory import MemoryJournal
from ledger.journal.sqlite import SqliteJournal
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


@pytest.mark.parametrize("kills", [8, pytest.param(100, marks=pytest.mark.soak)])
def test_a_kill_at_any_moment_leaves_whole_changes_and_all_that_were_acknowledged(
    path: Path, kills: int
) -> None:
    SqliteJournal.create(path).close()
    randomly = random.Random(7)  # noqa: S311 - not for secrets
    for _ in range(kills):
        command = [sys.executable, "-c", APPENDER, str(path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            acknowledged = int(process.stdout.readline())
            if randomly.random() < 0.8:  # else perhaps not one is appended
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


# --- SQLite: settling what others appended --------------------------------------------------------


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    paths: list[Path] = []
    monkeypatch.setattr("ledger.journal.sqlite.fsync", paths.append)
    return paths


def test_what_others_appended_is_made_durable_by_flushing_the_log_and_the_folder(
    path: Path, flushed: list[Path]
) -> None:
    with closing(SqliteJournal.create(path)) as journal:
        append(journal, *removals(1))
        log = path.with_name("journal.sqlite-wal")
        log.touch()
        journal.make_durable()
        assert flushed == [log, path.parent]
    log.unlink(missing_ok=True)
    flushed.clear()
    with closing(SqliteJournal(path, read_only=True)) as journal:
        journal.make_durable()
    assert flushed == []


def test_a_journal_that_can_t_be_made_durable_says_so(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with closing(SqliteJournal.create(path)) as journal:
        monkeypatch.setattr("ledger.journal.sqlite.fsync", refuse)
        with pytest.raises(JournalError, match=r"can't be made durable \(Input/output error\)"):
            journal.make_durable()
