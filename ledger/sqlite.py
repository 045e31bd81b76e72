"""The embedded journal: one SQLite database.

Events and changes can't be updated or deleted (triggers), positions are given inside the writing
transaction, and a commit is on the disk when :meth:`SqliteJournal.append` returns.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import sqlite3
import struct
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Any

from ledger import codec
from ledger.disk import fsync
from ledger.erasures import TYPES, Erasures
from ledger.errors import (
    ConflictError,
    JournalDamagedError,
    JournalError,
    UnknownFormatError,
)
from ledger.events import Erased, Event, PayloadErased
from ledger.journal import (
    Change,
    Clock,
    Draft,
    Head,
    Recorded,
    Stored,
    chain_hash,
    change_digest,
    change_of,
    checked,
    genesis,
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
INSERT INTO journal VALUES (its_id());
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
    hash BLOB NOT NULL
) STRICT;
"""
# INSERT OR REPLACE deletes without a DELETE trigger, so that each key it might meet is refused
# before: a position or a change's first one that is not the next, an id there is, a second journal.
_TRIGGERS = """
CREATE TRIGGER event_is_next BEFORE INSERT ON event
    WHEN NEW.position <> (SELECT ifnull(max(position), 0) + 1 FROM event)
    BEGIN SELECT RAISE(ABORT, 'positions are contiguous'); END;
CREATE TRIGGER change_is_next BEFORE INSERT ON change
    WHEN NEW.first <> (SELECT ifnull(max(position), 0) + 1 FROM event)
    OR NEW.first <= (SELECT max(first) FROM change)
    BEGIN SELECT RAISE(ABORT, 'positions are contiguous'); END;
CREATE TRIGGER change_is_new BEFORE INSERT ON change
    WHEN EXISTS (SELECT 1 FROM change WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'there is a change of this id'); END;
CREATE TRIGGER journal_is_one BEFORE INSERT ON journal
    BEGIN SELECT RAISE(ABORT, 'the journal has its id'); END;
"""
_APPEND_ONLY = """
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
"""
# A payload goes when a row says so here, which takes an event that names its position: appending
# that event and erasing are one transaction. Nothing else ever changes an event.
_ERASURE = f"""
CREATE TABLE erased (position INTEGER PRIMARY KEY, digest BLOB NOT NULL) STRICT;
CREATE INDEX event_of_erasure ON event (position) WHERE type IN {TYPES!r};
CREATE TRIGGER erased_is_named BEFORE INSERT ON erased
    WHEN EXISTS (SELECT 1 FROM erased WHERE position = NEW.position)
    OR NOT EXISTS (
        SELECT 1 FROM event, json_each(CAST(event.payload AS TEXT), '$.positions') AS run
        WHERE event.type IN {TYPES!r} AND event.type = '{PayloadErased.TYPE}'
        AND event.position > NEW.position AND NEW.position
        BETWEEN json_extract(run.value, '$[0]') AND json_extract(run.value, '$[1]'))
    BEGIN SELECT RAISE(ABORT, 'no event says that it is erased'); END;
CREATE TRIGGER erased_is_gone AFTER INSERT ON erased
    BEGIN UPDATE event SET payload = x'' WHERE position = NEW.position; END;
DROP TRIGGER IF EXISTS event_no_UPDATE;
CREATE TRIGGER event_no_UPDATE BEFORE UPDATE ON event
    WHEN NOT (
        NEW.payload IS x'' AND NEW.position IS OLD.position AND NEW.type IS OLD.type
        AND NEW.version IS OLD.version AND NEW.hash IS OLD.hash
        AND EXISTS (SELECT 1 FROM erased WHERE position = OLD.position))
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
"""  # noqa: S608 - our own names
# After these SQLite has rolled back and knows what is on the disk; after any other it may not.
_HARMLESS = frozenset(
    (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG)
)
# What SQLite says of a file that is no database, or not one with our tables.
_DAMAGE = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR))


class SqliteJournal:
    """A :class:`~ledger.journal.Journal` in the file at `path`.

    A new journal is made with :meth:`create`. Several threads can use an object: it does one thing
    after another. A forked process can't, since a database's locks stay with who took them.
    """

    def __init__(self, path: Path, *, clock: Clock = utc_now, read_only: bool = False) -> None:
        """Open an existing journal.

        Raises :class:`~ledger.errors.JournalError` if there is none at `path`,
        :class:`~ledger.errors.JournalDamagedError` if the file is no journal, and
        :class:`~ledger.errors.UnknownFormatError` if a newer version made it.
        """
        self._path = path
        self._clock = clock
        self._failed = False
        self._sound_head = b""  # of the end that was found to be good
        self._turn = threading.RLock()
        self._pid = os.getpid()
        self._connection = _connect(path, read_only=read_only)
        try:
            with self._guarded():
                self.id: str = self._check_format()
                if not read_only:
                    _make_durable(self._connection)
        except BaseException:
            self._connection.close()
            raise

    @classmethod
    def create(cls, path: Path, *, clock: Clock = utc_now) -> SqliteJournal:
        """Make a new, empty journal; JournalError if `path` exists already."""
        with _making(path) as connection:
            _lay_out(connection, secrets.token_hex(16))
        return cls(path, clock=clock)

    @classmethod
    def restore(
        cls, path: Path, journal_id: str, events: Iterable[Stored], *, clock: Clock = utc_now
    ) -> SqliteJournal:
        """Make a journal again, as it was, of all that another one of the same id had stored.

        The chain is checked on the way: :class:`~ledger.errors.JournalDamagedError` with the first
        position that is bad. Then, and where `events` raises, there is no journal. JournalError if
        `path` exists already.
        """
        with _making(path) as connection:
            # What is half-made goes when it fails, so that nothing has to be rolled back.
            connection.execute("PRAGMA journal_mode = OFF")
            connection.execute("PRAGMA synchronous = OFF")
            _lay_out(connection, journal_id)
            connection.execute("BEGIN")
            erased: list[tuple[int, bytes]] = []
            for batch in _batches(checked(journal_id, events)):
                _take(connection, batch)
                erased += ((each.position, each.digest) for each in batch if not each.payload)
            _insert_erased(connection, erased)
            connection.execute("COMMIT")
        fsync(path)
        return cls(path, clock=clock)

    def _check_format(self) -> str:
        """Return the journal's id, if the database is a journal of a known format."""
        (application,) = self._connection.execute("PRAGMA application_id").fetchone()
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if application != _APPLICATION_ID or version == 0:
            raise JournalDamagedError(f"{self._path} is not a journal of fileset-ledger.")
        if version > FORMAT:
            raise UnknownFormatError(
                f"{self._path} has the format {version}; this version of fileset-ledger knows "
                f"formats up to {FORMAT}. Open it with the version that made it, or a later one."
            )
        rows = self._connection.execute("SELECT id FROM journal").fetchall()
        if len(rows) != 1 or type(rows[0][0]) is not str:
            raise JournalDamagedError(f"The journal at {self._path} has lost its id.")
        if self._is_cut():
            raise JournalDamagedError(
                f"The journal at {self._path} is damaged: its end is missing."
            )
        journal_id: str = rows[0][0]
        return journal_id

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

    @property
    def position(self) -> int:
        """The last position, 0 when empty."""
        return self.head().position

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
            raise self._damaged(None, "its last event is no row of ours")
        return Head(position, link)

    def append(self, events: Sequence[Event], draft: Draft, *, expected: int) -> list[Recorded]:
        """Append `events` as one change; see :class:`~ledger.journal.Journal`."""
        if not events:
            raise ValueError("A change has at least one event")
        if self._failed:
            raise JournalError(
                "The journal failed to write before and takes nothing more until it is reopened."
            )
        change = change_of(draft, first=expected + 1, count=len(events), clock=self._clock)
        nonces = secrets.token_hex(8 * len(events))
        payloads = [
            codec.encode(event, nonces[16 * i : 16 * i + 16]) for i, event in enumerate(events)
        ]
        with self._guarded(), self._transaction():
            head = self._head()
            if head.position != expected:
                raise ConflictError(expected, head.position)
            self._refuse_damaged_end(head)
            try:
                self._connection.execute(_INSERT_CHANGE, _change_row(change))
                rows = _rows(events, payloads, change, head.hash)
                self._connection.executemany(_INSERT_EVENT, rows)
            except sqlite3.IntegrityError as exc:
                if "contiguous" not in str(exc):
                    raise
                # The tables say otherwise than the last event that was found in them.
                raise self._damaged(change.first, f"can't be appended: {exc}") from exc
            for event in events:
                if isinstance(event, PayloadErased):
                    self._erase(event)
        return [Recorded(change.first + i, change, event) for i, event in enumerate(events)]

    def _refuse_damaged_end(self, head: Head) -> None:
        """Raise JournalDamagedError if the last event isn't what was appended: nothing follows it.

        What lies before is not looked at, which would cost more than appending does.
        """
        if head.hash == self._sound_head or not head.position:
            return
        (last,) = self.stored(head.position - 1, head.position)
        if not self._link_after(head.position - 1).take(last):
            raise self._unlinked(head.position)
        if last.change.last != head.position:
            raise self._damaged(head.position, "is not the last one of its change")
        self._sound_head = head.hash

    def _link_after(self, position: int) -> _Link:
        """Return the link of the chain that the event after `position` has to follow from."""
        with self._guarded():
            row = self._connection.execute(
                "SELECT hash FROM event WHERE position = ?", (position,)
            ).fetchone()
        return _Link(row[0] if row else genesis(self.id))

    def _unlinked(self, position: int) -> JournalDamagedError:
        return self._damaged(position, "does not follow from the one before it")

    def _damaged(self, position: int | None, what: str) -> JournalDamagedError:
        where = "" if position is None else f"the event at position {position} "
        return JournalDamagedError(
            f"The journal at {self._path} is damaged: {where}{what}.", position=position
        )

    def _erase(self, event: PayloadErased) -> None:
        """Erase what `event`, just inserted, names; the triggers see to that it may."""
        query = "SELECT position, payload FROM event WHERE position BETWEEN ? AND ?"
        for first, last in event.positions:
            for start in range(first, last + 1, _BATCH):
                stop = min(start + _BATCH - 1, last)
                rows = self._connection.execute(query, (start, stop)).fetchall()
                if len(rows) != stop - start + 1:
                    raise JournalError(f"There is nothing to be erased at position {stop}.")
                digests = [(position, hashlib.sha256(data).digest()) for position, data in rows]
                _insert_erased(self._connection, digests)

    def scrub(self) -> None:
        """Build the database anew without its free space; see :class:`~ledger.journal.Journal`."""
        with self._guarded():
            self._connection.execute("VACUUM")
            (busy, *_) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise JournalError(
                f"The journal at {self._path} is being read by others: try again when they are "
                "done."
            )

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

    def read(self, after: int = 0, upto: int | None = None) -> Iterator[Recorded]:
        """Yield decoded events; see :class:`~ledger.journal.Journal`."""
        erasures = Erasures(())
        link = self._link_after(after)
        for stored in self.stored(after, upto):
            after += 1
            if stored.position != after:
                raise JournalDamagedError(
                    f"The journal at {self._path} is damaged: position {after} is missing.",
                    position=after,
                )
            try:
                event = codec.decode(stored.type, stored.version, stored.payload)
            except UnknownFormatError as exc:
                if not link.take(stored):  # damaged, it can look like one of another kind
                    raise self._unlinked(after) from exc
                exc.position = after
                raise
            except JournalDamagedError as exc:
                raise JournalDamagedError(
                    f"The journal at {self._path} is damaged at position {after}: {exc}",
                    position=after,
                ) from exc
            if isinstance(event, Erased):
                if after not in erasures:
                    erasures = self._erasures()
                if after not in erasures:
                    raise JournalDamagedError(
                        f"The journal at {self._path} is damaged: position {after} has lost its "
                        "payload, and no event says that it was erased.",
                        position=after,
                    )
                event = erasures.in_place_of(after, stored.type)
            if not link.take(stored):
                raise self._unlinked(after)
            yield Recorded(stored.position, stored.change, event)

    def stored(self, after: int = 0, upto: int | None = None) -> Iterator[Stored]:
        """Yield events as they are kept; see :class:`~ledger.journal.Journal`."""
        limit = upto if upto is not None else self.head().position
        change: Change | None = None
        while after < limit:
            with self._guarded():
                rows = self._connection.execute(
                    "SELECT position, type, version, payload, hash FROM event"
                    " WHERE position > ? AND position <= ? ORDER BY position LIMIT ?",
                    (after, limit, _BATCH),
                ).fetchall()
            if not rows:
                if after < self.head().position:
                    raise self._damaged(after + 1, "is missing")
                return
            for row in rows:
                if tuple(map(type, row)) != _EVENT_TYPES:
                    raise self._damaged(row[0], "is no row of ours")
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
            raise JournalDamagedError(
                f"The event at position {position} belongs to no change.", position=position
            )
        return self._change(row)

    def _change(self, row: tuple[Any, ...]) -> Change:
        if tuple(map(type, row)) not in _CHANGE_TYPES:
            first = row[1] if type(row[1]) is int else None
            raise self._damaged(first, "begins a change that is no row of ours")
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
            yield from map(self._change, rows)
            after = rows[-1][1]

    def find_change(self, start: str) -> Change | None:
        """Return a change by the beginning of its id; see :class:`~ledger.journal.Journal`."""
        with self._guarded():
            rows = self._connection.execute(
                f"{_SELECT_CHANGE} WHERE id >= ? AND id < ? ORDER BY id LIMIT 2",
                (start, start + chr(0x10FFFF)),
            ).fetchall()
        if not rows or (len(rows) > 1 and rows[0][0] != start):
            return None
        return self._change(rows[0])

    def check(self) -> None:
        """Check the database, its indexes included; see :class:`~ledger.journal.Journal`."""
        with self._guarded():
            (found,) = self._connection.execute("PRAGMA integrity_check(1)").fetchone()
        if found != "ok":
            raise JournalDamagedError(
                f"The database at {self._path} is damaged: {found}. `fileset recover` makes a "
                "whole one of what can be proven."
            )

    def close(self) -> None:
        """Close the database; a forked process leaves that to the one that opened it."""
        if os.getpid() == self._pid:
            self._connection.close()

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
            if isinstance(exc, sqlite3.Error) and _code(exc) not in _HARMLESS:
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
    def _guarded(self) -> Iterator[None]:
        """Use the connection alone, and turn SQLite's errors into ours, naming the file."""
        if os.getpid() != self._pid:
            raise JournalError(
                f"The journal at {self._path} was opened by process {self._pid}, of which this "
                "one was forked: open it anew here."
            )
        try:
            with self._turn:
                yield
        except UnicodeDecodeError as exc:  # in SQLite's own message about a damaged schema
            raise JournalDamagedError(f"The journal at {self._path} is damaged: {exc}.") from exc
        except sqlite3.Error as exc:
            # Text that is no UTF-8 makes Python itself raise an error, one without a code.
            if _code(exc) in _DAMAGE or "decode to UTF-8" in str(exc):
                raise JournalDamagedError(
                    f"The journal at {self._path} is damaged: {exc}."
                ) from exc
            # Whatever was under way is rolled back.
            full = _code(exc) == sqlite3.SQLITE_FULL
            told = " Nothing was recorded: free some space and try again." if full else ""
            raise JournalError(f"The journal at {self._path} can't be used: {exc}.{told}") from exc


class _Link:
    """Where a walk along the hash chain is."""

    def __init__(self, previous: bytes) -> None:
        self._previous = previous
        self._change: Change | None = None
        self._of_change = b""

    def take(self, event: Stored) -> bool:
        """Go on to the next event; ``False`` if it doesn't follow."""
        try:
            if event.change is not self._change:
                self._change, self._of_change = event.change, change_digest(event.change)
            link = chain_hash(
                self._previous, self._of_change, event.position, event.type, event.version,
                event.digest,
            )  # fmt: skip
        except (TypeError, UnicodeEncodeError, struct.error):
            return False
        self._previous = event.hash
        return link == event.hash


def _connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
    """Return a connection, which nothing was asked of yet and which starts no transaction."""
    if not path.is_file():
        raise JournalError(
            f"There is no journal at {path}: restore a backup, or see what `fileset recover` can "
            "do."
        )
    uri = f"{path.absolute().as_uri()}?mode={'ro' if read_only else 'rw'}"
    try:
        return sqlite3.connect(
            uri,
            uri=True,
            isolation_level=None,
            timeout=_BUSY_SECONDS,
            check_same_thread=False,  # the journal takes turns
        )
    except sqlite3.Error as exc:
        raise JournalError(f"The journal at {path} can't be opened: {exc}.") from exc


def _make_durable(connection: sqlite3.Connection) -> None:
    """Have commits reach the disk. This writes to the database: it must be known to be ours."""
    wal = sqlite3.sqlite_version_info >= _WAL_SINCE
    connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
    connection.execute(f"PRAGMA synchronous = {'FULL' if wal else 'EXTRA'}")


def _code(exc: sqlite3.Error) -> int | None:
    """Return SQLite's primary result code, ``None`` for an error of Python's own."""
    code: int | None = getattr(exc, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


@contextmanager
def _making(path: Path) -> Iterator[sqlite3.Connection]:
    """Make a new database at `path` in the block; if that fails there is none."""
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise JournalError(f"There is something at {path} already.") from None
    except OSError as exc:
        raise JournalError(f"The journal at {path} can't be made: {exc.strerror}.") from exc
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield connection
    except BaseException as exc:
        path.unlink()
        if isinstance(exc, sqlite3.Error):
            raise JournalError(f"The journal at {path} can't be made: {exc}.") from exc
        raise


def _lay_out(connection: sqlite3.Connection, journal_id: str) -> None:
    """Make the tables and triggers of an empty journal."""
    triggers = "".join(
        _APPEND_ONLY.format(table=table, verb=verb)
        for table in ("event", "change", "journal")
        for verb in ("UPDATE", "DELETE")
    )
    erasure = _ERASURE + "".join(
        _APPEND_ONLY.format(table="erased", verb=verb) for verb in ("UPDATE", "DELETE")
    )
    connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
    connection.execute(f"PRAGMA application_id = {_APPLICATION_ID}")
    connection.create_function("its_id", 0, lambda: journal_id)  # a script takes no parameters
    connection.executescript(
        f"BEGIN; {_SCHEMA} {_TRIGGERS} {triggers} {erasure} PRAGMA user_version = {FORMAT}; COMMIT;"
    )


def _insert_erased(connection: sqlite3.Connection, rows: Sequence[tuple[int, bytes]]) -> None:
    connection.executemany("INSERT INTO erased VALUES (?, ?)", rows)


def _batches(events: Iterable[Stored]) -> Iterator[list[Stored]]:
    events = iter(events)
    while batch := list(islice(events, _BATCH)):
        yield batch


def _take(connection: sqlite3.Connection, batch: Sequence[Stored]) -> None:
    """Insert `batch` as it was stored elsewhere; each of its changes with their first event.

    A change and the events before it have to be there before its own row.
    """
    waiting: list[tuple[int, str, int, bytes, bytes]] = []
    for stored in batch:
        if stored.position == stored.change.first:
            connection.executemany(_INSERT_EVENT, waiting)
            waiting.clear()
            _take_change(connection, stored.change)
        waiting.append((stored.position, stored.type, stored.version, stored.payload, stored.hash))
    connection.executemany(_INSERT_EVENT, waiting)


def _take_change(connection: sqlite3.Connection, change: Change) -> None:
    try:
        connection.execute(_INSERT_CHANGE, _change_row(change))
    except (sqlite3.IntegrityError, OverflowError) as exc:
        raise JournalDamagedError(
            f"The journal is damaged: the change at position {change.first} can't be one: {exc}.",
            position=change.first,
        ) from exc


_INSERT_CHANGE = (
    "INSERT INTO change (first, count, id, recorded_at, actor, origin, reason)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_INSERT_EVENT = "INSERT INTO event (position, type, version, payload, hash) VALUES (?, ?, ?, ?, ?)"


def _change_row(change: Change) -> tuple[int, int, str, str, str, str, str | None]:
    return (
        change.first, change.count, change.id, change.recorded_at, change.actor, change.origin,
        change.reason,
    )  # fmt: skip


# What SQLite gives where a row is whole; the types of a damaged one are not checked in reading.
_EVENT_TYPES = (int, str, int, bytes, bytes)
_CHANGE_TYPES = tuple((str, int, int, str, str, str, each) for each in (str, type(None)))
_SELECT_CHANGE = "SELECT id, first, count, recorded_at, actor, origin, reason FROM change"


def _rows(
    events: Sequence[Event], payloads: Sequence[bytes], change: Change, previous: bytes
) -> Iterator[tuple[int, str, int, bytes, bytes]]:
    """Yield the table's rows of `events`, each linked to the one before."""
    of_change = change_digest(change)
    position = change.first
    for event, payload in zip(events, payloads, strict=True):
        digest = hashlib.sha256(payload).digest()
        previous = chain_hash(previous, of_change, position, event.TYPE, event.VERSION, digest)
        yield position, event.TYPE, event.VERSION, payload, previous
        position += 1
