"""The embedded journal: one SQLite database.

Events and changes can't be updated or deleted (triggers), positions are given inside the writing
transaction, and a commit is on the disk when `SqliteJournal.append` returns.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ledger.disk import fsync
from ledger.errors import ConflictError, JournalDamagedError, JournalError, UnknownFormatError
from ledger.events import PayloadErased
from ledger.journal import codec
from ledger.journal.chain import checked, genesis
from ledger.journal.clocks import Clock, utc_now
from ledger.journal.database import (
    BATCH,
    DatabaseJournal,
    EventRow,
    batches,
    event_rows,
    payloads_in,
    refuse_unusable,
)
from ledger.journal.entries import Change, Draft, Head, Stored
from ledger.journal.erasures import TYPES, Erasures
from ledger.journal.gathering import Events
from ledger.journal.protocol import change_of
from ledger.journal.sqlite_connection import code, connect, make_durable, why
from ledger.journal.sqlite_schema import APPLICATION_ID, FORMAT, lay_out, making, room_to_rebuild
from ledger.owner import Owner

# After these SQLite has rolled back and knows what is on the disk; after any other it may not.
_HARMLESS = frozenset(
    (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG)
)
# What SQLite says of a file that is no database, or not one with our tables.
_DAMAGE = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR))

_SELECT_CHANGE = "SELECT id, first, count, recorded_at, actor, origin, reason FROM change"

# What SQLite gives where a row is whole; the types of a damaged one are not checked in reading.
_EVENT_TYPES = (int, str, int, bytes, bytes)
_CHANGE_TYPES = tuple((str, int, int, str, str, str, each) for each in (str, type(None)))


class SqliteJournal(DatabaseJournal):
    """A `Journal` in the file at `path`.

    A new journal is made with `create`. Several threads can use an object: it does one thing
    after another. A forked process can't, since a database's locks stay with who took them.
    """

    def __init__(self, path: Path, *, clock: Clock = utc_now, read_only: bool = False) -> None:
        """Open an existing journal.

        Raises `JournalError` if there is none at `path`,
        `JournalDamagedError` if the file is no journal, and
        `UnknownFormatError` if a newer version made it.
        """
        self._path = path
        self.name = f"The journal at {path}"
        self.clock = clock
        self._read_only = read_only
        self._failed = self._closed = False
        self._turn = threading.RLock()
        self._owner = Owner()
        self._connection = connect(path, read_only=read_only)
        try:
            with self._guarded():
                self.id: str = self._check_format()
                if not read_only:
                    make_durable(self._connection)
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(cls, path: Path, *, clock: Clock = utc_now) -> SqliteJournal:
        """Make a new, empty journal; JournalError if `path` exists already."""
        with making(path) as connection:
            lay_out(connection, secrets.token_hex(16))
        return cls(path, clock=clock)

    @classmethod
    def restore(
        cls, path: Path, journal_id: str, events: Iterable[Stored], *, clock: Clock = utc_now
    ) -> SqliteJournal:
        """Make a journal again, as it was, of all that another one of the same id had stored.

        The chain is checked on the way: `JournalDamagedError` with the first
        position that is bad. Then, and where `events` raises, there is no journal. JournalError if
        `path` exists already.
        """
        with making(path) as connection:
            # What is half-made goes when it fails, so that nothing has to be rolled back.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            lay_out(connection, journal_id)
            connection.execute("BEGIN")
            erased: list[tuple[int, bytes]] = []
            for batch in batches(checked(journal_id, events)):
                _insert_stored(connection, batch)
                erased += ((each.position, each.digest) for each in batch if not each.payload)
            _insert_erased(connection, erased)
            connection.execute("COMMIT")
        fsync(path)
        return cls(path, clock=clock)

    def _check_format(self) -> str:
        """Return the journal's id, if the database is a journal of a known format."""
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID or version == 0:
            raise JournalDamagedError(f"{self._path} is not a journal of fileset-ledger.")
        if version > FORMAT:
            raise UnknownFormatError(
                f"{self._path} has the format {version}; this version of fileset-ledger knows "
                f"formats up to {FORMAT}. Open it with the version that made it, or a later one."
            )
        rows = self._connection.execute("SELECT id FROM journal").fetchall()
        if len(rows) != 1 or type(rows[0][0]) is not str:
            raise JournalDamagedError(f"{self.name} has lost its id.")
        if self._is_cut():
            raise JournalDamagedError(f"{self.name} is damaged: its end is missing.")
        return str(rows[0][0])

    def _is_cut(self) -> bool:
        """Whether the file ends within its last page, which SQLite itself does not mind."""
        (mode,) = self._connection.execute("PRAGMA journal_mode").fetchone()
        if mode != "delete":  # with a WAL, what is missing may still be there
            return False
        self._connection.execute("BEGIN")
        try:
            (pages,) = self._connection.execute("PRAGMA page_count").fetchone()
            (size,) = self._connection.execute("PRAGMA page_size").fetchone()
            return bool(self._path.stat().st_size < pages * size)
        finally:
            self._connection.execute("ROLLBACK")

    def head(self) -> Head:
        """Return the last position and hash."""
        with self._guarded():
            return self._head()

    def _head(self) -> Head:
        row = self._connection.execute(
            "SELECT position, hash FROM event ORDER BY position DESC LIMIT 1"
        ).fetchone()
        if row is None:
            return Head(0, genesis(self.id))
        position, link = row
        if type(position) is not int or type(link) is not bytes:
            raise self._damaged(None, "its last event is malformed")
        return Head(position, link)

    def hash_at(self, position: int) -> bytes | None:
        if not position:
            return genesis(self.id)
        with self._guarded():
            row = self._connection.execute(
                "SELECT hash FROM event WHERE position = ?", (position,)
            ).fetchone()
        if row is not None and type(row[0]) is not bytes:
            raise self._damaged(position, "is malformed")
        return row[0] if row else None

    def append(self, events: Events, draft: Draft, *, expected: int) -> Change:
        if not len(events):
            raise ValueError("A change has at least one event")
        if self._failed:
            raise JournalError(
                "An earlier write to the journal failed: open it again before anything is added."
            )
        change = change_of(draft, first=expected + 1, count=len(events), clock=self.clock)
        with self._guarded():
            try:
                self._append(events, change)
            except (ConflictError, sqlite3.IntegrityError):
                from ledger.journal.repeated import repeated  # noqa: PLC0415 - hardly ever

                if (known := repeated(self, events, draft)) is not None:
                    return known
                raise
        return change

    def _append(self, events: Events, change: Change) -> None:
        erasing: list[PayloadErased] = []
        with self._transaction():
            head = self._head()
            if head.position != change.first - 1:
                raise ConflictError(change.first - 1, head.position)
            self._refuse_damaged_end(head)
            rows = event_rows(payloads_in(events, erasing), change, head.hash)
            try:
                _insert_change(self._connection, change)
                _insert_events(self._connection, rows)
            except sqlite3.IntegrityError as exc:
                if "contiguous" not in str(exc):
                    raise
                # The tables say otherwise than the last event that was found in them.
                raise self._damaged(change.first, f"can't be appended: {exc}") from exc
            for event in erasing:
                self._erase(event)

    def _erase(self, event: PayloadErased) -> None:
        """Erase what `event`, just inserted, names; the triggers see to that it may."""
        query = "SELECT position, payload FROM event WHERE position BETWEEN ? AND ?"
        for first, last in event.positions:
            for start in range(first, last + 1, BATCH):
                stop = min(start + BATCH - 1, last)
                rows = self._connection.execute(query, (start, stop)).fetchall()
                if len(rows) != stop - start + 1:
                    raise JournalError(f"There is nothing to be erased at position {stop}.")
                digests = [(position, hashlib.sha256(data).digest()) for position, data in rows]
                _insert_erased(self._connection, digests)

    def make_durable(self) -> None:
        """Make durable what others have appended, as the protocol says.

        The last that SQLite does is to delete its rollback journal, or to sync its WAL. The
        database itself is not opened: closing it would let go of SQLite's locks.
        """
        if self._read_only:
            return
        wal = self._path.with_name(f"{self._path.name}-wal")
        try:
            if wal.exists():
                fsync(wal)
            fsync(self._path.parent)
        except OSError as exc:
            raise JournalError(
                f"{self.name} can't be made durable ({exc.strerror}): check the disk."
            ) from exc

    def scrub(self) -> None:
        with self._guarded(when_full=" To go on,"):
            self._connection.execute("VACUUM")
            (busy, *_) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise JournalError(
                f"{self.name} is being read by others: try again when they are done."
            )

    def scrub_room(self) -> Mapping[Path, int]:
        return room_to_rebuild(self._path)

    def _erasures(self) -> Erasures:
        """Return what the journal says of its erased events, as it is now."""
        with self._guarded():
            rows = self._connection.execute(
                f"SELECT type, version, payload FROM event WHERE type IN {TYPES!r}"  # noqa: S608
                " AND payload <> x'' ORDER BY position"
            ).fetchall()
        return Erasures(codec.decode(*row) for row in rows)

    def _erased_digest(self, position: int) -> bytes:
        """Return the digest of a payload that was erased; of nothing where none is known."""
        with self._guarded(), suppress(sqlite3.OperationalError):  # nothing was ever erased
            query = "SELECT digest FROM erased WHERE position = ?"
            for (digest,) in self._connection.execute(query, (position,)).fetchall():
                return bytes(digest)
        return hashlib.sha256(b"").digest()

    def stored(self, after: int = 0, upto: int | None = None) -> Iterator[Stored]:
        limit = upto if upto is not None else self.head().position
        change: Change | None = None
        while after < limit:
            with self._guarded():
                rows = self._connection.execute(
                    "SELECT position, type, version, payload, hash FROM event"
                    " WHERE position > ? AND position <= ? ORDER BY position LIMIT ?",
                    (after, limit, BATCH),
                ).fetchall()
            if not rows:
                if after < self.head().position:
                    raise self._damaged(after + 1, "is missing")
                return
            for row in rows:
                if tuple(map(type, row)) != _EVENT_TYPES:
                    raise self._damaged(row[0], "is malformed")
                position, type_name, version, payload, link = row
                if change is None or position > change.last:
                    change = self._change_at(position)
                digest = (
                    hashlib.sha256(payload).digest() if payload else self._erased_digest(position)
                )
                yield Stored(position, change, type_name, version, payload, digest, link)
            after = rows[-1][0]

    def _change_at(self, position: int) -> Change:
        with self._guarded():
            row = self._connection.execute(
                f"{_SELECT_CHANGE} WHERE first <= ? ORDER BY first DESC LIMIT 1", (position,)
            ).fetchone()
        if row is None:
            raise self._damaged(position, "belongs to no change")
        return self._change(row)

    def _change(self, row: tuple[Any, ...]) -> Change:
        if tuple(map(type, row)) not in _CHANGE_TYPES:
            first = row[1] if type(row[1]) is int else None
            raise self._damaged(first, "begins a malformed change")
        return Change(*row)

    def changes(self, after: int = 0) -> Iterator[Change]:
        while True:
            with self._guarded():
                rows = self._connection.execute(
                    f"{_SELECT_CHANGE} WHERE first > ? ORDER BY first LIMIT ?", (after, BATCH)
                ).fetchall()
            if not rows:
                return
            yield from map(self._change, rows)
            after = rows[-1][1]

    def find_change(self, start: str) -> Change | None:
        with self._guarded():
            rows = self._connection.execute(
                f"{_SELECT_CHANGE} WHERE id >= ? AND id < ? ORDER BY id LIMIT 2",
                (start, start + chr(0x10FFFF)),
            ).fetchall()
        if not rows or (len(rows) > 1 and rows[0][0] != start):
            return None
        return self._change(rows[0])

    def check(self) -> None:
        with self._guarded():
            (found,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise JournalDamagedError(
                f"The database at {self._path} is damaged: {found}. `fileset recover` makes a "
                "whole one of what can be proven."
            )

    def close(self) -> None:
        """Close the database; a forked process leaves that to the one that opened it."""
        if self._owner.is_this_process:
            self._connection.close()
            self._closed = True

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Hold the database's write lock; commit at the end, or leave no trace."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException as exc:
            # What reached the disk is unknown after a failed write or sync: SQLite rolls back by
            # its own journal when the database is opened again.
            if isinstance(exc, sqlite3.Error) and code(exc) not in _HARMLESS:
                self._failed = True
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._connection.in_transaction:
            try:
                self._connection.execute("ROLLBACK")
            except sqlite3.Error:
                self._failed = True

    @contextmanager
    def _guarded(self, when_full: str = " Nothing was recorded:") -> Iterator[None]:
        """Use the connection alone, and turn SQLite's errors into ours, naming the file."""
        refuse_unusable(self.name, self._owner, is_closed=self._closed)
        try:
            with self._turn:
                yield
        except UnicodeDecodeError as exc:  # in SQLite's own message about a damaged schema
            raise JournalDamagedError(f"{self.name} is damaged: {exc}.") from exc
        except sqlite3.Error as exc:
            # Text that is no UTF-8 makes Python itself raise an error, one without a code.
            if code(exc) in _DAMAGE or "decode to UTF-8" in str(exc):
                raise JournalDamagedError(f"{self.name} is damaged: {exc}.") from exc
            # Whatever was under way is rolled back.
            full = code(exc) == sqlite3.SQLITE_FULL
            hint = f"{when_full} free some space and try again." if full else ""
            raise JournalError(f"{self.name} can't be used: {why(self._path, exc)}.{hint}") from exc


def _insert_change(connection: sqlite3.Connection, change: Change) -> None:
    """Insert a change; the events before it have to be there, and its own not yet."""
    connection.execute(
        "INSERT INTO change (id, first, count, recorded_at, actor, origin, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            change.id, change.first, change.count, change.recorded_at, change.actor,
            change.origin, change.reason,
        ),
    )  # fmt: skip


def _insert_events(connection: sqlite3.Connection, rows: Iterable[EventRow]) -> None:
    """Insert events, whose change has to be there."""
    connection.executemany(
        "INSERT INTO event (position, type, version, payload, hash) VALUES (?, ?, ?, ?, ?)", rows
    )


def _insert_erased(connection: sqlite3.Connection, rows: Sequence[tuple[int, bytes]]) -> None:
    """Erase the payloads at these positions, and keep their digests."""
    connection.executemany("INSERT INTO erased VALUES (?, ?)", rows)


def _insert_stored(connection: sqlite3.Connection, batch: Sequence[Stored]) -> None:
    """Insert `batch` as it was stored elsewhere; each of its changes with their first event."""
    waiting: list[EventRow] = []
    for stored in batch:
        if stored.position == stored.change.first:
            _insert_events(connection, waiting)
            waiting.clear()
            try:
                _insert_change(connection, stored.change)
            except (sqlite3.IntegrityError, OverflowError) as exc:
                raise JournalDamagedError(
                    f"The journal is damaged: the change at position {stored.position} can't be "
                    f"one: {exc}.",
                    position=stored.position,
                ) from exc
        waiting.append((stored.position, stored.type, stored.version, stored.payload, stored.hash))
    _insert_events(connection, waiting)
