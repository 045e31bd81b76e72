"""The embedded journal: one SQLite database.

Events and changes can't be updated or deleted (triggers), positions are given inside the writing
transaction, and a commit is on the disk when :meth:`SqliteJournal.append` returns.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ledger import codec
from ledger.errors import (
    ConflictError,
    JournalDamagedError,
    JournalError,
    UnknownFormatError,
)
from ledger.events import Event
from ledger.journal import (
    Change,
    Clock,
    Draft,
    Head,
    Recorded,
    Stored,
    chain_hash,
    change_digest,
    genesis,
    timestamp,
    utc_now,
)

FORMAT = 1
"""The version of the database's layout, kept as its ``user_version``."""

_APPLICATION_ID = 0x46534C47  # "FSLG": what `file` and this module know the database by
_WAL_SINCE = (3, 51, 3)  # before, WAL could lose a commit when several connections reset it
_PAGE_SIZE = 16384  # some 27 events fill one with little left over
_BATCH = 2000  # rows a read transaction holds the database for
_BUSY_SECONDS = 60

_SCHEMA = """
CREATE TABLE journal (id TEXT NOT NULL) STRICT;
CREATE TABLE change (
    first INTEGER PRIMARY KEY,
    count INTEGER NOT NULL CHECK (count > 0),
    id TEXT NOT NULL UNIQUE,
    recorded_at TEXT NOT NULL,
    actor TEXT NOT NULL,
    origin TEXT NOT NULL,
    reason TEXT
) STRICT;
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    type TEXT NOT NULL,
    version INTEGER NOT NULL,
    payload BLOB NOT NULL,
    digest BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE TRIGGER event_is_next BEFORE INSERT ON event
    WHEN NEW.position <> (SELECT ifnull(max(position), 0) + 1 FROM event)
    BEGIN SELECT RAISE(ABORT, 'positions are contiguous'); END;
CREATE TRIGGER change_is_next BEFORE INSERT ON change
    WHEN NEW.first <> (SELECT ifnull(max(position), 0) + 1 FROM event)
    BEGIN SELECT RAISE(ABORT, 'positions are contiguous'); END;
"""
_APPEND_ONLY = """
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
"""


class SqliteJournal:
    """A :class:`~ledger.journal.Journal` in the file at `path`, or in memory for ``None``.

    A new journal is made with :meth:`create`. An object belongs to one thread.
    """

    def __init__(
        self, path: Path | None, *, clock: Clock = utc_now, read_only: bool = False
    ) -> None:
        """Open an existing journal.

        Raises :class:`~ledger.errors.JournalError` if there is none at `path`,
        :class:`~ledger.errors.JournalDamagedError` if the file is no journal, and
        :class:`~ledger.errors.UnknownFormatError` if a newer version made it.
        """
        self._path = path
        self._clock = clock
        self._failed = False
        self._connection = _connect(path, read_only=read_only)
        with self._guarded():
            self._check_format()
            self.id: str = self._connection.execute("SELECT id FROM journal").fetchone()[0]

    @classmethod
    def create(cls, path: Path | None, *, clock: Clock = utc_now) -> SqliteJournal:
        """Make a new, empty journal; JournalError if `path` exists already."""
        if path is None:
            return cls(None, clock=clock)
        if path.exists():
            raise JournalError(f"There is a journal at {path} already.")
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            _lay_out(connection)
        except sqlite3.Error as exc:
            raise JournalError(f"The journal at {path} can't be made: {exc}.") from exc
        finally:
            connection.close()
        return cls(path, clock=clock)

    def _check_format(self) -> None:
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if application != _APPLICATION_ID or version == 0:
            raise JournalDamagedError(f"{self._path} is not a journal of fileset-ledger.")
        if version > FORMAT:
            raise UnknownFormatError(
                f"{self._path} has the format {version}; this version of fileset-ledger knows "
                f"formats up to {FORMAT}. Open it with the version that made it, or a later one."
            )

    def head(self) -> Head:
        """Return the last position and hash."""
        with self._guarded():
            return self._head()

    def _head(self) -> Head:
        row = self._connection.execute(
            "SELECT position, hash FROM event ORDER BY position DESC LIMIT 1"
        ).fetchone()
        return Head(*row) if row else Head(0, genesis(self.id))

    def append(self, events: Sequence[Event], draft: Draft, *, expected: int) -> list[Recorded]:
        """Append `events` as one change; see :class:`~ledger.journal.Journal`."""
        if not events:
            raise ValueError("A change has at least one event")
        if self._failed:
            raise JournalError(
                "The journal failed to write before and takes nothing more until it is reopened."
            )
        change = Change(
            id=draft.id,
            first=expected + 1,
            count=len(events),
            recorded_at=timestamp(self._clock),
            actor=draft.actor,
            origin=draft.origin,
            reason=draft.reason,
        )
        nonces = secrets.token_hex(8 * len(events))
        payloads = [
            codec.encode(event, nonces[16 * i : 16 * i + 16]) for i, event in enumerate(events)
        ]
        with self._guarded(), self._transaction():
            head = self._head()
            if head.position != expected:
                raise ConflictError(expected, head.position)
            self._connection.execute(
                "INSERT INTO change (first, count, id, recorded_at, actor, origin, reason)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (change.first, change.count, change.id, change.recorded_at, change.actor,
                 change.origin, change.reason),
            )  # fmt: skip
            self._connection.executemany(
                "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?)",
                _rows(events, payloads, change, head.hash),
            )
        return [Recorded(change.first + i, change, event) for i, event in enumerate(events)]

    def read(self, after: int = 0, upto: int | None = None) -> Iterator[Recorded]:
        """Yield decoded events; see :class:`~ledger.journal.Journal`."""
        for stored in self.stored(after, upto):
            try:
                event = codec.decode(stored.type, stored.version, stored.payload)
            except JournalDamagedError as exc:
                raise JournalDamagedError(
                    f"{exc} (position {stored.position})", position=stored.position
                ) from exc
            yield Recorded(stored.position, stored.change, event)

    def stored(self, after: int = 0, upto: int | None = None) -> Iterator[Stored]:
        """Yield events as they are kept; see :class:`~ledger.journal.Journal`."""
        limit = upto if upto is not None else self.head().position
        change: Change | None = None
        while after < limit:
            with self._guarded():
                rows = self._connection.execute(
                    "SELECT position, type, version, payload, digest, hash FROM event"
                    " WHERE position > ? AND position <= ? ORDER BY position LIMIT ?",
                    (after, limit, _BATCH),
                ).fetchall()
            if not rows:
                return
            for position, *rest in rows:
                if change is None or position > change.last:
                    change = self._change_at(position)
                yield Stored(position, change, *rest)
            after = rows[-1][0]

    def _change_at(self, position: int) -> Change:
        with self._guarded():
            row = self._connection.execute(
                f"{_SELECT_CHANGE} WHERE first <= ? ORDER BY first DESC LIMIT 1", (position,)
            ).fetchone()
        if row is None:
            raise JournalDamagedError(
                f"The event at position {position} belongs to no change.", position=position
            )
        return Change(*row)

    def changes(self, after: int = 0) -> Iterator[Change]:
        """Yield changes in order; see :class:`~ledger.journal.Journal`."""
        while True:
            with self._guarded():
                rows = self._connection.execute(
                    f"{_SELECT_CHANGE} WHERE first > ? ORDER BY first LIMIT ?", (after, _BATCH)
                ).fetchall()
            if not rows:
                return
            yield from (Change(*row) for row in rows)
            after = rows[-1][1]

    def close(self) -> None:
        """Close the database."""
        self._connection.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        """Hold the database's write lock; commit at the end, or leave no trace."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException as exc:
            # What reached the disk is unknown after a failed commit: SQLite rolls back by its
            # own journal when the database is opened again.
            if isinstance(exc, sqlite3.Error):
                self._failed = True
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        """Turn SQLite's errors into ours, naming the file."""
        try:
            yield
        except sqlite3.OperationalError as exc:
            raise JournalError(f"The journal at {self._path} can't be used: {exc}.") from exc
        except sqlite3.DatabaseError as exc:
            raise JournalDamagedError(f"The journal at {self._path} is damaged: {exc}.") from exc


def _connect(path: Path | None, *, read_only: bool) -> sqlite3.Connection:
    """Return a connection that commits durably (unless in memory) and starts no transaction."""
    if path is None:
        connection = sqlite3.connect(":memory:", isolation_level=None)
        _lay_out(connection)
        return connection
    if not path.is_file():
        raise JournalError(f"There is no journal at {path}.")
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=_BUSY_SECONDS)
    if not read_only:
        wal = sqlite3.sqlite_version_info >= _WAL_SINCE
        try:
            connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
            connection.execute(f"PRAGMA synchronous = {'FULL' if wal else 'EXTRA'}")
        except sqlite3.DatabaseError as exc:
            connection.close()
            raise JournalDamagedError(f"{path} is not a journal: {exc}.") from exc
    return connection


def _lay_out(connection: sqlite3.Connection) -> None:
    """Make the tables and triggers of an empty journal."""
    triggers = "".join(
        _APPEND_ONLY.format(table=table, verb=verb)
        for table in ("event", "change", "journal")
        for verb in ("UPDATE", "DELETE")
    )
    connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.executescript(f"BEGIN; {_SCHEMA} {triggers}")
    connection.execute("INSERT INTO journal VALUES (?)", (secrets.token_hex(16),))
    connection.execute(f"PRAGMA user_version = {FORMAT}")
    connection.execute("COMMIT")


_SELECT_CHANGE = "SELECT id, first, count, recorded_at, actor, origin, reason FROM change"


def _rows(
    events: Sequence[Event], payloads: Sequence[bytes], change: Change, previous: bytes
) -> Iterator[tuple[int, str, int, bytes, bytes, bytes]]:
    """Yield the table's rows of `events`, each linked to the one before."""
    of_change = change_digest(change)
    position = change.first
    for event, payload in zip(events, payloads, strict=True):
        digest = hashlib.sha256(payload).digest()
        previous = chain_hash(previous, of_change, position, event.TYPE, event.VERSION, digest)
        yield position, event.TYPE, event.VERSION, payload, digest, previous
        position += 1
