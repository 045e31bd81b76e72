"""The stores that the tests of the journal run on, and what they put into them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import pytest

from ledger.elements import Elements
from ledger.events import Event, InstanceAdded, InstanceRemoved, Record
from ledger.journal.clocks import Clock, utc_now
from ledger.journal.entries import Change, Draft, Recorded, Stored
from ledger.journal.memory import MemoryJournal
from ledger.journal.protocol import Journal
from ledger.journal.sqlite import SqliteJournal

BATCH = 20
"""How many rows the journals under test read at a time."""

NOON = datetime(2024, 2, 29, 12, tzinfo=UTC)
UNWRITABLE = InstanceAdded("1", "2", "3", Record("IMAGE", Elements(b"no elements")))


class Store(Protocol):
    """Where a journal under test lives: made once, opened as often as its kind allows."""

    def create(self, clock: Clock = utc_now) -> Journal: ...

    def open(self) -> Journal: ...

    def restore(self, journal_id: str, events: Iterable[Stored]) -> Journal: ...


class OnDisk:
    """An embedded journal in a file."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "journal.sqlite"

    def create(self, clock: Clock = utc_now) -> Journal:
        return SqliteJournal.create(self.path, clock=clock)

    def open(self) -> Journal:
        return SqliteJournal(self.path)

    def restore(self, journal_id: str, events: Iterable[Stored]) -> Journal:
        return SqliteJournal.restore(self.path, journal_id, events)


class InMemory:
    """A journal that goes with its object."""

    def __init__(self, _: Path) -> None: ...

    def create(self, clock: Clock = utc_now) -> Journal:
        return MemoryJournal(clock=clock)

    def open(self) -> Journal:
        raise NotImplementedError

    def restore(self, journal_id: str, events: Iterable[Stored]) -> Journal:
        return MemoryJournal.restore(journal_id, events)


class OnServer:
    """A journal in PostgreSQL, among those of other tests."""

    def __init__(self, _: Path) -> None:
        from postgres_server import shared_database

        self.database = shared_database()
        self.title = secrets.token_hex(8)

    def create(self, clock: Clock = utc_now) -> Journal:
        from ledger.journal.postgres import PostgresJournal

        return PostgresJournal.create(self.database, self.title, clock=clock)

    def open(self) -> Journal:
        from ledger.journal.postgres import PostgresJournal

        return PostgresJournal(self.database, self.title)

    def restore(self, journal_id: str, events: Iterable[Stored]) -> Journal:
        from ledger.journal.postgres import PostgresJournal

        return PostgresJournal.restore(self.database, self.title, journal_id, events)


ON_SERVER = pytest.param(OnServer, marks=pytest.mark.services, id="OnServer")
LASTING = [OnDisk, ON_SERVER]
STORES = [*LASTING, InMemory]


def draft(change_id: str = "change", reason: str | None = None) -> Draft:
    return Draft(change_id, "someone", "a-host fileset", reason)


def removals(count: int, first: int = 1) -> list[Event]:
    return [InstanceRemoved(i) for i in range(first, first + count)]


def append(journal: Journal, *events: Event) -> list[Recorded]:
    expected = journal.head().position
    change = journal.append(events, draft(f"change-{expected + 1}"), expected=expected)
    return recorded(change, events)


def recorded(change: Change, events: Sequence[Event]) -> list[Recorded]:
    return [Recorded(change.first + i, change, event) for i, event in enumerate(events)]


def positions(recorded: Iterator[Recorded]) -> list[int]:
    return [each.position for each in recorded]
