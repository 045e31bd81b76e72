"""The journal in PostgreSQL: what it alone has to promise."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import psycopg
import pytest
from journals import append, draft, positions, removals
from postgres_server import Relay, Server, conninfo, new_database, own_server, shared_database
from psycopg.sql import SQL, Identifier

from ledger.errors import (
    ConflictError,
    JournalDamagedError,
    JournalError,
    UnknownFormatError,
    UnknownOutcomeError,
)
from ledger.events import InstanceRejected, InstanceRemoved, PayloadErased
from ledger.journal import postgres, postgres_schema
from ledger.journal.chain import verify_journal
from ledger.journal.postgres import PostgresJournal, set_up
from ledger.journal.postgres_connection import Connection, Database

pytestmark = [pytest.mark.services, pytest.mark.usefixtures("small_batches")]


@pytest.fixture
def database() -> Database:
    """Return a database with tables of its own."""
    return new_database()


@pytest.fixture
def server() -> Server:
    """Return a server that may be stopped, and set otherwise."""
    return own_server()


@pytest.fixture
def relay(server: Server) -> Iterator[Relay]:
    with (
        tempfile.TemporaryDirectory(prefix="relay-") as folder,
        closing(Relay(server, Path(folder))) as relay,
    ):
        yield relay


# --- what the tables refuse ----------------------------------------------------------------------

NEW_CHANGE = "INSERT INTO {{s}}.change VALUES (1, 6, {}, 'new', '', '', '')"
NEW_EVENT = "INSERT INTO {{s}}.event VALUES (1, {}, 'x', 1, '', '')"
STATEMENTS = [
    "UPDATE {s}.event SET payload = '{{}}' WHERE position = 2",
    "UPDATE {s}.event SET payload = '' WHERE position = 2",
    "UPDATE {s}.event SET position = 99 WHERE position = 5",
    "UPDATE {s}.event SET sid = sid + 1",
    "UPDATE {s}.event_0 SET payload = ''; UPDATE {s}.event_1 SET payload = ''",
    "DELETE FROM {s}.event",
    "DELETE FROM {s}.event WHERE position = 5",
    "DELETE FROM {s}.event_0",
    "TRUNCATE {s}.event",
    "TRUNCATE {s}.event_1",
    NEW_EVENT.format(2),
    f"{NEW_EVENT.format(5)} ON CONFLICT (sid, position) DO UPDATE SET payload = ''",
    NEW_EVENT.format(6),
    NEW_EVENT.format(7),
    NEW_EVENT.format(0),
    NEW_EVENT.format(-1),
    "INSERT INTO {s}.event VALUES (99, 1, 'x', 1, '', '')",
    "INSERT INTO {s}.event_0 VALUES (1, 6, 'x', 1, '', '')",
    "INSERT INTO {s}.event_1 VALUES (1, 6, 'x', 1, '', '')",
    f"{NEW_CHANGE.format(3)}; {NEW_EVENT.format(6)}, (1, 8, 'x', 1, '', '')",
    f"{NEW_CHANGE.format(2)}; {NEW_EVENT.format(6)}",
    f"{NEW_CHANGE.format(1)}; {NEW_EVENT.format(6)}",
    NEW_CHANGE.format(1),
    "INSERT INTO {s}.change VALUES (1, 5, 1, 'new', '', '', '')",
    "INSERT INTO {s}.change VALUES (1, 7, 1, 'new', '', '', '')",
    "INSERT INTO {s}.change VALUES (1, 6, 0, 'new', '', '', '')",
    "INSERT INTO {s}.change VALUES (1, 6, 1, 'change-1', '', '', '')",
    "INSERT INTO {s}.change VALUES (99, 1, 1, 'new', '', '', '')",
    "UPDATE {s}.change SET reason = 'another'",
    "DELETE FROM {s}.change",
    "TRUNCATE {s}.change",
    "UPDATE {s}.journal SET id = 'another'",
    "UPDATE {s}.journal SET name = 'another'",
    "UPDATE {s}.journal SET hash = ''",
    "UPDATE {s}.journal SET position = 3",
    "UPDATE {s}.journal SET position = 6",
    "UPDATE {s}.journal SET epoch = -1",
    "DELETE FROM {s}.journal",
    "TRUNCATE {s}.journal CASCADE",
    "INSERT INTO {s}.journal (name, id, hash, position) VALUES ('new', 'new', '', 1)",
    "INSERT INTO {s}.journal (name, id, hash) VALUES ('journal', 'new', '')",
    "INSERT INTO {s}.erased VALUES (1, 2, '')",
    "INSERT INTO {s}.erased VALUES (1, 99, '')",
    "INSERT INTO {s}.erased VALUES (1, 1, '')",
    "UPDATE {s}.erased SET digest = ''",
    "DELETE FROM {s}.erased",
    "TRUNCATE {s}.erased",
]


@pytest.fixture(scope="module")
def kept() -> Database:
    """Return a database with a journal of three changes, the last of which erases an event."""
    database = new_database()
    with closing(PostgresJournal.create(database, "journal")) as journal:
        append(journal, *removals(3))
        append(journal, InstanceRemoved(4))
        append(journal, PayloadErased(((1, 1),)))
    return database


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_tables_refuse_to_change_what_was_appended(kept: Database, statement: str) -> None:
    with closing(kept.connect()) as connection:
        before = dump(connection, kept)
        with pytest.raises(psycopg.errors.IntegrityError), connection.transaction():
            connection.execute(SQL(statement).format(s=Identifier(kept.schema)))
        assert dump(connection, kept) == before
    with closing(PostgresJournal(kept, "journal")) as journal:
        journal.check()
        assert verify_journal(journal).position == 5


def dump(connection: Connection, database: Database) -> list[Any]:
    return [
        connection.execute(
            SQL("SELECT * FROM {}.{} ORDER BY 1, 2").format(
                Identifier(database.schema), Identifier(table)
            )
        ).fetchall()
        for table in ("journal", "change", "event", "erased")
    ]


def test_events_that_are_copied_past_a_gap_are_refused(kept: Database) -> None:
    with closing(kept.connect()) as connection:
        copy = SQL("COPY {}.event FROM STDIN").format(Identifier(kept.schema))
        with (
            pytest.raises(psycopg.errors.RestrictViolation),
            connection.cursor() as cursor,
            cursor.copy(copy) as copying,
        ):
            copying.write_row((1, 9, "x", 1, b"", b""))


def test_a_client_s_own_operators_do_not_let_it_change_anything(kept: Database) -> None:
    with closing(kept.connect()) as connection:
        connection.execute("CREATE SCHEMA IF NOT EXISTS own")
        connection.execute(
            "CREATE FUNCTION own.never(bigint, bigint) RETURNS boolean LANGUAGE sql"
            " RETURN false;"
            "CREATE OPERATOR own.<> (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = own.never);"
            "SET search_path = own, pg_catalog"
        )
        insert = SQL("INSERT INTO {}.change VALUES (1, 9, 1, 'new', '', '', '')")
        with pytest.raises(psycopg.errors.RestrictViolation, match="contiguous"):
            connection.execute(insert.format(Identifier(kept.schema)))
        connection.execute("DROP SCHEMA own CASCADE")


@pytest.mark.parametrize("table", ["event", "change", "journal", "erased"])
def test_tables_without_their_triggers_are_told(database: Database, table: str) -> None:
    with closing(PostgresJournal.create(database, "journal")) as journal:
        journal.check()
        with closing(database.connect()) as connection:
            connection.execute(
                SQL("ALTER TABLE {}.{} DISABLE TRIGGER USER").format(
                    Identifier(database.schema), Identifier(table)
                )
            )
        with pytest.raises(JournalDamagedError, match=f"{table}_is_append_only"):
            journal.check()


# --- many journals, and their tables -------------------------------------------------------------


def test_the_journals_of_one_database_do_not_meet(database: Database) -> None:
    with (
        closing(PostgresJournal.create(database, "one")) as one,
        closing(PostgresJournal.create(database, "two")) as two,
    ):
        append(one, *removals(3))
        append(two, *removals(2))
        append(one, PayloadErased(((2, 2),)))
        assert [len(list(each.read())) for each in (one, two)] == [4, 2]
        assert [len(list(each.changes())) for each in (one, two)] == [2, 1]
        assert two.find_change("change-4") is None
        for each in (one, two):
            verify_journal(each)
            each.check()


def test_a_title_or_an_id_is_used_once(database: Database) -> None:
    with closing(PostgresJournal.create(database, "one")) as one:
        for title, id_ in (("one", "another"), ("two", one.id)):
            with pytest.raises(JournalError, match="a journal called"):
                PostgresJournal.restore(database, title, id_, ())
    with pytest.raises(JournalError, match="no journal called two"):
        PostgresJournal(database, "two")


def test_tables_are_set_up_once_and_those_of_a_newer_version_left_alone(database: Database) -> None:
    set_up(database)
    PostgresJournal.create(database, "journal").close()
    with closing(database.connect()) as connection:
        connection.execute(
            SQL("INSERT INTO {}.layout VALUES ({})").format(
                Identifier(database.schema), postgres_schema.FORMAT + 1
            )
        )
    for use in (
        lambda: set_up(database),
        lambda: PostgresJournal(database, "journal"),
        lambda: PostgresJournal.create(database, "new"),
    ):
        with pytest.raises(UnknownFormatError, match=r"have the format 2.*up to 1\."):
            use()


def test_a_schema_without_tables_is_told() -> None:
    database = Database(conninfo(), "nothing_there")
    for use in (PostgresJournal, PostgresJournal.create):
        with pytest.raises(
            JournalError, match="no tables for journals in the schema nothing_there of the"
        ):
            use(database, "journal")


def test_a_set_up_that_fails_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    database = Database(conninfo(), "half_made")
    with monkeypatch.context() as patch:
        patch.setattr(postgres_schema, "_TRIGGERS", SQL("CREATE NONSENSE"))
        with pytest.raises(JournalError, match="syntax error"):
            set_up(database)
    with closing(database.connect()) as connection:
        found = connection.execute("SELECT FROM pg_namespace WHERE nspname = 'half_made'")
        assert not found.fetchall()


# --- opening, and what is told -------------------------------------------------------------------


def test_no_message_has_the_password(tmp_path: Path) -> None:
    secret = "hunter2"  # noqa: S105 - none
    for text in (
        f"postgresql://user:{secret}@localhost:1/there",
        f"host={tmp_path} user=a password={secret} dbname=there",
        f"host=localhost password={secret} nonsense",
        f"postgresql://user:{secret}@[nonsense/there",
    ):
        with pytest.raises(JournalError) as caught:
            PostgresJournal(Database(text), "journal")
        assert secret not in str(caught.value)
        assert secret not in repr(Database(text))


def test_without_psycopg_it_is_told_how_to_get_it() -> None:
    script = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from ledger.errors import JournalError\n"
        "try: import ledger.journal.postgres\n"
        "except JournalError as exc: print(exc)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout == (
        "PostgreSQL needs the extra [cloud] (psycopg): in the folder of fileset-ledger, "
        f"`{sys.executable} -m pip install '.[cloud]'` installs it.\n"
    )


def test_a_forked_process_is_told_to_open_the_journal_again() -> None:
    with closing(PostgresJournal.create(shared_database(), "forked")) as journal:
        append(journal, *removals(1))
        child = os.fork()
        if not child:
            with suppress(BaseException):
                with pytest.raises(JournalError, match="forked from it"):
                    journal.head()
                journal.close()
                os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        append(journal, *removals(1))


def test_a_journal_that_was_closed_says_so() -> None:
    journal = PostgresJournal.create(shared_database(), "closed")
    journal.close()
    journal.close()
    with pytest.raises(JournalError, match="is closed: open it again"):
        journal.head()


# --- other writers -------------------------------------------------------------------------------


def test_who_waits_in_vain_for_another_writer_is_told(database: Database) -> None:
    with closing(PostgresJournal.create(database, "journal")) as journal:
        with closing(database.connect()) as other, other.transaction():
            other.execute(
                SQL("SELECT FROM {}.journal FOR UPDATE").format(Identifier(database.schema))
            )
            journal.patience = 0.01
            with pytest.raises(JournalError, match=r"writer for 0\.01 s: .*Nothing was"):
                append(journal, *removals(1))
            assert journal.head().position == 0
        append(journal, *removals(1))


@pytest.mark.parametrize("level", ["serializable", "repeatable read"])
def test_a_server_s_own_idea_of_isolation_does_not_matter(database: Database, level: str) -> None:
    PostgresJournal.create(database, "journal").close()
    options = f" options='-c default_transaction_isolation={level.replace(' ', chr(92) * 2 + ' ')}'"
    there = Database(database.conninfo + options, database.schema)

    def write(name: str) -> None:
        with closing(PostgresJournal(there, "journal")) as journal:
            for number in range(10):
                while True:
                    with suppress(ConflictError):
                        expected = journal.position
                        journal.append(removals(1), draft(f"{name}{number}"), expected=expected)
                        break

    with ThreadPoolExecutor() as pool:
        list(pool.map(write, "abc"))
    with closing(PostgresJournal(there, "journal")) as journal:
        assert verify_journal(journal).position == 30


def test_who_was_taken_over_from_appends_nothing_more(database: Database) -> None:
    with closing(PostgresJournal.create(database, "journal")) as late:
        assert late.take_over() == 1
        append(late, *removals(1))
        with closing(PostgresJournal(database, "journal")) as other:
            append(other, *removals(1))  # who claims no epoch only comes before
            append(late, *removals(1))
            assert other.take_over() == 2
            with pytest.raises(JournalError, match="was taken over by another writer"):
                append(late, *removals(1))
            append(other, *removals(1))
        assert positions(late.read()) == [1, 2, 3, 4]
        with closing(PostgresJournal(database, "journal")) as again:
            append(again, *removals(1))


HELD_UP = """
import sys
from journals import draft, removals
from ledger.errors import ConflictError
from ledger.journal import postgres
from ledger.journal.postgres_connection import Database

def held_up(connection, statement, sid, rows):
    rows = list(rows)
    insert(connection, statement, sid, rows[:5])
    print("in the middle", flush=True)
    sys.stdin.readline()
    insert(connection, statement, sid, rows[5:])

insert, postgres.insert_events, postgres._IDLE = postgres.insert_events, held_up, 1
journal = postgres.PostgresJournal(Database(*sys.argv[1:]), "journal")
try:
    journal.append(removals(10), draft("held up"), expected=1)
except ConflictError as exc:
    print("conflict", exc.actual, flush=True)
"""
"""A writer that stands still within a change, and goes on when it reads a line."""


@contextmanager
def held_up(database: Database) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HELD_UP, database.conninfo, database.schema]
    tests = Path(__file__).parents[2]
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{tests.parent}{os.pathsep}{tests / 'support'}"},
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "in the middle\n"
        try:
            yield process
        finally:
            process.kill()


def test_a_writer_that_is_killed_leaves_nothing_and_holds_up_nobody(database: Database) -> None:
    with closing(PostgresJournal.create(database, "journal")) as journal:
        append(journal, *removals(1))
        with held_up(database) as writer:
            journal.patience = 0.05
            with pytest.raises(JournalError, match="by another writer"):
                append(journal, *removals(1))
            writer.kill()
            writer.wait()
            journal.patience = 60
            append(journal, *removals(2))
        assert [change.count for change in journal.changes()] == [1, 2]
        assert verify_journal(journal).position == 3


def test_a_writer_that_stands_still_within_a_change_is_overtaken(database: Database) -> None:
    with closing(PostgresJournal.create(database, "journal")) as journal:
        append(journal, *removals(1))
        with held_up(database) as writer:
            append(journal, *removals(2))  # after a second, when the server has had enough
            told, _ = writer.communicate("go on\n", timeout=60)
        assert told == "conflict 3\n"
        assert [change.count for change in journal.changes()] == [1, 2]
        assert verify_journal(journal).position == 3


# --- a server that loses commits -----------------------------------------------------------------


@pytest.mark.parametrize("setting", ["fsync", "full_page_writes", "synchronous_commit"])
def test_a_server_that_may_lose_commits_is_not_used(server: Server, setting: str) -> None:
    database = new_database(server.conninfo)
    told = rf"may lose what it has confirmed\. Have its administrator switch on {setting}\.$"
    with closing(PostgresJournal.create(database, "journal")) as journal:
        append(journal, *removals(1))
        server.configure(f"ALTER SYSTEM SET {setting} = off")
        try:
            with pytest.raises(JournalError, match=told):
                append(journal, *removals(1))
            with pytest.raises(JournalError, match=told):
                PostgresJournal(database, "journal")
        finally:
            server.configure(f"ALTER SYSTEM RESET {setting}")
        append(journal, *removals(1))
        assert verify_journal(journal).position == 2


@pytest.mark.parametrize("goes_on", [False, True], ids=["shorter", "with another history"])
def test_a_server_that_rolled_back_is_found_out(
    server: Server, tmp_path: Path, goes_on: bool
) -> None:
    database = new_database(server.conninfo)
    PostgresJournal.create(database, "journal").close()
    with closing(PostgresJournal(database, "journal", seen_in=tmp_path)) as journal:
        append(journal, *removals(2))
        with server.rolled_back():
            append(journal, *removals(3))
        if goes_on:
            with closing(PostgresJournal(database, "journal")) as elsewhere:
                append(elsewhere, *removals(7))
                verify_journal(elsewhere)
        told = "has lost changes: this host has seen its position 5"
        for use in (
            journal.head,
            lambda: append(journal, *removals(1)),
            lambda: list(journal.read()),
            lambda: PostgresJournal(database, "journal", seen_in=tmp_path),
        ):
            with pytest.raises(JournalDamagedError, match=told) as caught:
                use()
            assert str(tmp_path) in str(caught.value)
        for path in tmp_path.iterdir():
            path.unlink()
        PostgresJournal(database, "journal", seen_in=tmp_path).close()


def test_what_another_thread_records_meanwhile_is_no_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(PostgresJournal.create(new_database(), "journal")) as journal:
        append(journal, *removals(2))
        ask = journal._ask

        def slowly(*asked: Any) -> Any:
            rows = ask(*asked)
            monkeypatch.undo()
            append(journal, *removals(1))
            return rows

        monkeypatch.setattr(journal, "_ask", slowly)
        assert journal.head().position == 2
        assert journal.head().position == 3


# --- a connection that is lost -------------------------------------------------------------------


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_change_whose_confirmation_is_lost_is_recorded_once(
    server: Server, relay: Relay, cut: str
) -> None:
    database = new_database(server.conninfo)
    PostgresJournal.create(database, "journal").close()
    there = Database(relay.conninfo, database.schema)
    with closing(PostgresJournal(there, "journal")) as journal:
        append(journal, *removals(2))
        for number in range(3):
            relay.cuts = cut
            append(journal, *removals(2, first=number))
            assert relay.number == number + 1
    with closing(PostgresJournal(database, "journal")) as journal:
        assert verify_journal(journal).position == 8
        assert len(list(journal.changes())) == 4


def test_a_change_of_which_nothing_is_known_can_be_appended_again(
    server: Server, relay: Relay
) -> None:
    database = new_database(server.conninfo)
    PostgresJournal.create(database, "journal").close()
    with closing(PostgresJournal(Database(relay.conninfo, database.schema), "journal")) as journal:
        journal.patience = 0.2
        relay.cuts = "after"
        relay.refuses = True
        with pytest.raises(UnknownOutcomeError, match="Whether the change one was recorded is not"):
            journal.append(removals(2), draft("one"), expected=0)
        relay.refuses = False
        change = journal.append(removals(2), draft("one"), expected=0)
        assert list(journal.changes()) == [change]
        with pytest.raises(ConflictError):
            journal.append(removals(2), draft("two"), expected=0)


@pytest.mark.parametrize(
    "failure",
    [
        JournalError("Its disk is full. Nothing was recorded."),
        JournalDamagedError("It has lost changes"),
        OSError("The events can't be read again"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_nothing_that_fails_later_says_that_a_change_of_which_nothing_is_known_is_not_there(
    server: Server, relay: Relay, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    database = new_database(server.conninfo)
    PostgresJournal.create(database, "journal").close()
    with closing(PostgresJournal(Database(relay.conninfo, database.schema), "journal")) as journal:
        with monkeypatch.context() as patch:
            turns = Mock(side_effect=[journal.head(), failure])
            patch.setattr(journal, "_lock_head", turns)
            relay.cuts = "after"
            with pytest.raises(UnknownOutcomeError, match="Whether the change one was recorded is"):
                journal.append(removals(2), draft("one"), expected=0)
        change = journal.append(removals(2), draft("one"), expected=0)
        assert list(journal.changes()) == [change]
        monkeypatch.setattr(journal, "_lock_head", Mock(side_effect=failure))
        with pytest.raises(type(failure), match=str(failure)):  # of which all is known
            journal.append(removals(2), draft("two"), expected=2)


def test_reading_goes_on_after_the_connection_was_lost(server: Server) -> None:
    database = new_database(server.conninfo)
    with closing(PostgresJournal.create(database, "journal")) as journal:
        append(journal, *removals(50))
        reading = journal.read()
        next(reading)
        server.stop()
        with pytest.raises(JournalError, match=r"can't be reached|was lost"):
            journal.head()
        server.start()
        assert positions(reading) == list(range(2, 51))
        append(journal, *removals(1))


def test_a_connection_that_stands_still_within_a_message_is_given_up(
    server: Server, relay: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "_IDLE", 1)
    database = new_database(server.conninfo)
    PostgresJournal.create(database, "journal").close()
    with closing(PostgresJournal(Database(relay.conninfo, database.schema), "journal")) as journal:
        append(journal, *removals(1))
        relay.stalls = True
        append(journal, *removals(500))
        assert not relay.stalls
        assert [change.count for change in journal.changes()] == [1, 500]
        verify_journal(journal)


def test_a_session_that_the_server_ended_is_begun_anew(server: Server) -> None:
    database = new_database(server.conninfo)
    with closing(PostgresJournal.create(database, "a title\udce9")) as journal:
        for use in (journal.head, lambda: append(journal, *removals(2)), journal.check):
            server.configure(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            use()
        assert positions(journal.read()) == [1, 2]


def test_a_server_that_crashes_under_writers_loses_and_doubles_nothing(server: Server) -> None:
    database = new_database(server.conninfo)
    PostgresJournal.create(database, "journal").close()
    acknowledged: list[str] = []
    done = threading.Event()

    def write(name: str) -> None:
        number = 0
        while not done.is_set():
            with suppress(JournalError), closing(PostgresJournal(database, "journal")) as journal:
                journal.patience = 5
                while not done.is_set():
                    with suppress(ConflictError):
                        id_ = f"{name}-{number}"
                        journal.append(removals(3), draft(id_), expected=journal.position)
                        acknowledged.append(id_)
                        number += 1

    writers = [threading.Thread(target=write, args=(name,), daemon=True) for name in "abcd"]
    for writer in writers:
        writer.start()
    try:
        for crash in range(3):
            wait_for(lambda: len(acknowledged) > 20 * (crash + 1))  # noqa: B023 - called at once
            server.stop("immediate")
            server.start()
        before = len(acknowledged)
        wait_for(lambda: len(acknowledged) > before + 20)
    finally:
        done.set()
        for writer in writers:
            writer.join(60)
    assert not any(writer.is_alive() for writer in writers)
    with closing(PostgresJournal(database, "journal")) as journal:
        assert verify_journal(journal).position == 3 * len(list(journal.changes()))
        ids = [change.id for change in journal.changes()]
    assert len(set(acknowledged)) == len(acknowledged)
    assert set(acknowledged) <= set(ids)
    # What wasn't acknowledged is at most the one that each writer was at.
    assert len(ids) <= len(acknowledged) + len(writers)


def wait_for(happened: Callable[[], bool]) -> None:
    for _ in range(3000):
        if happened():
            return
        time.sleep(0.01)
    raise AssertionError("it did not happen")


# --- erasing -------------------------------------------------------------------------------------


def test_the_server_is_rid_of_what_was_erased(server: Server) -> None:
    database = new_database(server.conninfo)
    mark = "Somebody^Whose^Name^Is^Found"
    with closing(PostgresJournal.create(database, "journal")) as journal:
        append(journal, *[InstanceRejected("a", f"{mark} {n}") for n in range(50)])
        assert server.holds(mark)
        append(journal, PayloadErased(((1, 50),)))
        journal.scrub()
        assert not server.holds(mark)
        assert verify_journal(journal).position == 51


def test_only_the_owner_of_the_tables_is_rid_of_what_was_erased(server: Server) -> None:
    database = new_database(server.conninfo)
    with closing(PostgresJournal.create(database, "journal")) as journal:
        append(journal, *removals(2))
        server.configure("CREATE ROLE someone LOGIN")
        for text in (
            "GRANT USAGE ON SCHEMA {} TO someone",
            "GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA {} TO someone",
        ):
            with closing(database.connect()) as connection:
                connection.execute(SQL(text).format(Identifier(database.schema)))
    other = Database(server.conninfo.replace("user=fileset", "user=someone"), database.schema)
    with closing(PostgresJournal(other, "journal")) as journal:
        append(journal, PayloadErased(((1, 1),)))
        with pytest.raises(JournalError, match=r"only the owner of its tables .*VACUUM \(FULL\)"):
            journal.scrub()
        assert verify_journal(journal).position == 3
