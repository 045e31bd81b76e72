"""The rows of the embedded journal: changes and events as they go into its tables and come out."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeAlias

from ledger.errors import JournalDamagedError
from ledger.journal.chain import chain_hash, change_digest
from ledger.journal.entries import Change, Stored
from ledger.journal.gathering import Payload

EventRow: TypeAlias = tuple[int, str, int, bytes, bytes]
"""Position, type, version, payload, hash."""

BATCH = 2000  # rows a read transaction holds the database for

SELECT_CHANGE = "SELECT id, first, count, recorded_at, actor, origin, reason FROM change"

# What SQLite gives where a row is whole; the types of a damaged one are not checked in reading.
EVENT_TYPES = (int, str, int, bytes, bytes)
CHANGE_TYPES = tuple((str, int, int, str, str, str, each) for each in (str, type(None)))


def insert_change(connection: sqlite3.Connection, change: Change) -> None:
    """Insert a change; the events before it have to be there, and its own not yet."""
    connection.execute(
        "INSERT INTO change (id, first, count, recorded_at, actor, origin, reason)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (
            change.id, change.first, change.count, change.recorded_at, change.actor,
            change.origin, change.reason,
        ),
    )  # fmt: skip


def insert_events(connection: sqlite3.Connection, rows: Iterable[EventRow]) -> None:
    """Insert events, whose change has to be there."""
    connection.executemany(
        "INSERT INTO event (position, type, version, payload, hash) VALUES (?, ?, ?, ?, ?)", rows
    )


def insert_erased(connection: sqlite3.Connection, rows: Sequence[tuple[int, bytes]]) -> None:
    """Erase the payloads at these positions, and keep their digests."""
    connection.executemany("INSERT INTO erased VALUES (?, ?)", rows)


def insert_stored(connection: sqlite3.Connection, batch: Sequence[Stored]) -> None:
    """Insert `batch` as it was stored elsewhere; each of its changes with their first event."""
    waiting: list[EventRow] = []
    for stored in batch:
        if stored.position == stored.change.first:
            insert_events(connection, waiting)
            waiting.clear()
            try:
                insert_change(connection, stored.change)
            except (sqlite3.IntegrityError, OverflowError) as exc:
                raise JournalDamagedError(
                    f"The journal is damaged: the change at position {stored.position} can't be "
                    f"one: {exc}.",
                    position=stored.position,
                ) from exc
        waiting.append((stored.position, stored.type, stored.version, stored.payload, stored.hash))
    insert_events(connection, waiting)


def event_rows(payloads: Iterable[Payload], change: Change, previous: bytes) -> Iterator[EventRow]:
    """Yield the rows of the events of a change, each linked to the one before."""
    of_change = change_digest(change)
    for position, (cls, payload) in enumerate(payloads, change.first):
        digest = hashlib.sha256(payload).digest()
        previous = chain_hash(previous, of_change, position, cls.TYPE, cls.VERSION, digest)
        yield position, cls.TYPE, cls.VERSION, payload, previous


def batches(events: Iterable[Stored]) -> Iterator[list[Stored]]:
    """Yield `events` in lists of `BATCH`."""
    events = iter(events)
    while batch := list(islice(events, BATCH)):
        yield batch
