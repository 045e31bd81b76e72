"""The embedded journal: one SQLite database.

Events and changes can't be updated or deleted (triggers), positions are given inside the writing
transaction, and a commit is on the disk when `SqliteJournal.append` returns.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from ledger.disk import fsync
from ledger.errors import ConflictError, JournalDamagedError, JournalError, UnknownFormatError
from ledger.events import Erased, PayloadErased
from ledger.journal import codec
from ledger.journal.chain import Link, checked, genesis
from ledger.journal.clocks import Clock, utc_now
from ledger.journal.entries import Change, Draft, Head, Recorded, Stored
from ledger.journal.erasures import TYPES, Erasures
from ledger.journal.gathering import AsPayloads, Events, Gathering, Payload, payloads_of
from ledger.journal.protocol import change_of
from ledger.journal.sqlite_connection import code, connect, make_durable, why
from ledger.journal.sqlite_rows import (
    BATCH,
    CHANGE_TYPES,
    EVENT_TYPES,
    SELECT_CHANGE,
    batches,
    event_rows,
    insert_change,
    insert_erased,
    insert_events,
    insert_stored,
)
from ledger.journal.sqlite_schema import APPLICATION_ID, FORMAT, lay_out, making, room_to_rebuild
from ledger.owner import Owner

# After these SQLite has rolled back and knows what is on the disk; after any other it may not.
_HARMLESS = frozenset(
    (sqlite3.SQLITE_FULL, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_TOOBIG)
)
# What SQLite says of a file that is no database, or not one with our tables.
_DAMAGE = frozenset((sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR))


class SqliteJournal:
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
        self.clock = clock
        self._read_only = read_only
        self._failed = self._closed = False
        self._sound_head = b""  # of the end that was found to be good
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
                insert_stored(connection, batch)
                erased += ((each.position, each.digest) for each in batch if not each.payload)
            insert_erased(connection, erased)
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
            raise JournalDamagedError(f"The journal at {self._path} has lost its id.")
        if self._is_cut():
            raise JournalDamagedError(
                f"The journal at {self._path} is damaged: its end is missing."
            )
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

    def gather(self) -> Gathering:
        return AsPayloads()

    def append(self, events: Events, draft: Draft, *, expected: int) -> Change:
        if not len(events):
            raise ValueError("A change has at least one event")
        if self._failed:
            raise JournalError(
                "An earlier write to the journal failed: open it again before anything is added."
            )
        change = change_of(draft, first=expected + 1, count=len(events), clock=self.clock)
        payloads = events.payloads() if isinstance(events, AsPayloads) else payloads_of(events)
        erasing: list[bytes] = []
        with self._guarded(), self._transaction():
            head = self._head()
            if head.position != expected:
                raise ConflictError(expected, head.position)
            self._refuse_damaged_end(head)
            try:
                insert_change(self._connection, change)
                insert_events(
                    self._connection, event_rows(_noting(erasing, payloads), change, head.hash)
                )
            except sqlite3.IntegrityError as exc:
                if "contiguous" not in str(exc):
                    raise
                # The tables say otherwise than the last event that was found in them.
                raise self._damaged(change.first, f"can't be appended: {exc}") from exc
            for payload in erasing:
                self._erase(payload)
        return change

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

    def _link_after(self, position: int) -> Link:
        """Return the link of the chain that the event after `position` has to follow from."""
        return Link(self.hash_at(position) or genesis(self.id))

    def _unlinked(self, position: int) -> JournalDamagedError:
        return self._damaged(position, "does not follow from the one before it")

    def _damaged(self, position: int | None, what: str) -> JournalDamagedError:
        where = "" if position is None else f"the event at position {position} "
        return JournalDamagedError(
            f"The journal at {self._path} is damaged: {where}{what}.", position=position
        )

    def _erase(self, payload: bytes) -> None:
        """Erase what a `PayloadErased`, just inserted, names; the triggers see to that it may."""
        event = codec.decode(PayloadErased.TYPE, PayloadErased.VERSION, payload)
        assert isinstance(event, PayloadErased)  # noqa: S101 - its type says so
        query = "SELECT position, payload FROM event WHERE position BETWEEN ? AND ?"
        for first, last in event.positions:
            for start in range(first, last + 1, BATCH):
                stop = min(start + BATCH - 1, last)
                rows = self._connection.execute(query, (start, stop)).fetchall()
                if len(rows) != stop - start + 1:
                    raise JournalError(f"There is nothing to be erased at position {stop}.")
                digests = [(position, hashlib.sha256(data).digest()) for position, data in rows]
                insert_erased(self._connection, digests)

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
                f"The journal at {self._path} can't be made durable ({exc.strerror}): check the "
                "disk."
            ) from exc

    def scrub(self) -> None:
        with self._guarded(when_full=" To go on,"):
            self._connection.execute("VACUUM")
            (busy, *_) = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise JournalError(
                f"The journal at {self._path} is being read by others: try again when they are "
                "done."
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

    def read(self, after: int = 0, upto: int | None = None) -> Iterator[Recorded]:
        erasures = Erasures(())
        link = self._link_after(after)
        for stored in self.stored(after, upto):
            after += 1
            if stored.position != after:
                raise self._damaged(after, "is missing")
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
                    what = "has lost its payload, and no event says that it was erased"
                    raise self._damaged(after, what)
                event = erasures.in_place_of(after, stored.type)
            if not link.take(stored):
                raise self._unlinked(after)
            yield Recorded(stored.position, stored.change, event)

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
                if tuple(map(type, row)) != EVENT_TYPES:
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
                f"{SELECT_CHANGE} WHERE first <= ? ORDER BY first DESC LIMIT 1", (position,)
            ).fetchone()
        if row is None:
            raise self._damaged(position, "belongs to no change")
        return self._change(row)

    def _change(self, row: tuple[Any, ...]) -> Change:
        if tuple(map(type, row)) not in CHANGE_TYPES:
            first = row[1] if type(row[1]) is int else None
            raise self._damaged(first, "begins a malformed change")
        return Change(*row)

    def changes(self, after: int = 0) -> Iterator[Change]:
        while True:
            with self._guarded():
                rows = self._connection.execute(
                    f"{SELECT_CHANGE} WHERE first > ? ORDER BY first LIMIT ?", (after, BATCH)
                ).fetchall()
            if not rows:
                return
            yield from map(self._change, rows)
            after = rows[-1][1]

    def find_change(self, start: str) -> Change | None:
        with self._guarded():
            rows = self._connection.execute(
                f"{SELECT_CHANGE} WHERE id >= ? AND id < ? ORDER BY id LIMIT 2",
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
        if not self._owner.is_this_process:
            raise JournalError(
                f"The journal at {self._path} was opened by process {self._owner.pid}, and this "
                "process was forked from it: open the journal again here."
            )
        if self._closed:
            raise JournalError(f"The journal at {self._path} is closed: open it again.")
        try:
            with self._turn:
                yield
        except UnicodeDecodeError as exc:  # in SQLite's own message about a damaged schema
            raise JournalDamagedError(f"The journal at {self._path} is damaged: {exc}.") from exc
        except sqlite3.Error as exc:
            # Text that is no UTF-8 makes Python itself raise an error, one without a code.
            if code(exc) in _DAMAGE or "decode to UTF-8" in str(exc):
                raise JournalDamagedError(
                    f"The journal at {self._path} is damaged: {exc}."
                ) from exc
            # Whatever was under way is rolled back.
            full = code(exc) == sqlite3.SQLITE_FULL
            hint = f"{when_full} free some space and try again." if full else ""
            raise JournalError(
                f"The journal at {self._path} can't be used: {why(self._path, exc)}.{hint}"
            ) from exc


def _noting(erasing: list[bytes], payloads: Iterable[Payload]) -> Iterator[Payload]:
    """Yield `payloads`, with those that erase others noted."""
    for cls, payload in payloads:
        if cls is PayloadErased:
            erasing.append(payload)
        yield cls, payload
