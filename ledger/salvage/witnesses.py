"""The witnesses of a damaged journal's events: its database, and exported journals.

Nothing of the database as a whole is trusted: every page of the file is looked at, also those that
no other leads to any more. What is read so is only evidence; `ledger.salvage.proof` decides.
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, Final, Protocol, Self, TypeAlias

from attrs import frozen

from ledger.errors import JournalError
from ledger.events import PayloadErased
from ledger.journal.entries import Change, Stored
from ledger.journal.lines import JournalFile
from ledger.salvage.pages import BAD, EMPTY, Pages, cells, head, is_exact

_HASH: Final = 32  # bytes
_MOST: Final = 16  # rows of one table and position: there is one
_Places: TypeAlias = dict[int, list[tuple[int, int]]]
"""By row id: a hash of each row's cell, to know copies by, and where it is."""


@frozen
class SalvagedEvent:
    """What one witness holds of the event at a position; the `payload` is empty if it was erased.

    The `digest` is that of the payload as it was, empty where it is not known.
    """

    type: str
    version: int
    payload: bytes
    digest: bytes
    hash: bytes


class Witness(Protocol):
    """Something that holds events of a journal; asked with rising positions, several times over."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def events(self, position: int) -> Sequence[SalvagedEvent]:
        """Return what it holds of the event at `position`."""
        ...

    def changes(self, first: int) -> Sequence[Change]:
        """Return what it holds of the change that begins at `first`."""
        ...

    def is_erased(self, position: int) -> bool:
        """Whether anything in it shows that the payload at `position` was erased."""
        ...

    def tombstones(self) -> Iterator[tuple[int, SalvagedEvent]]:
        """Yield the events that erase others, with their positions."""
        ...


# --- the database --------------------------------------------------------------------------------


class SalvagedDatabase:
    """The rows of a database, of what its leaf pages still hold.

    Attributes
    ----------
    ids : list of str
        The ids that the journal may have.
    last : int
        The last position at which an event was found.
    """

    def __init__(self, path: Path, name: str) -> None:
        """Look through the database at `path`, and the write-ahead or rollback log beside it.

        OSError if it can't be read.
        """
        self.name = name
        self.ids: list[str] = []
        self.last = 0
        self._pages = Pages(path)
        self._events: _Places = {}
        self._changes: _Places = {}
        self._erased: _Places = {}
        self._emptied: set[int] = set()
        self._tombstones: set[int] = set()  # judged by the length of their type
        try:
            for offset in self._pages.offsets():
                self._look_through(offset)
        except BaseException:
            self.close()
            raise
        self.last = max(self._events, default=0)

    def close(self) -> None:
        """Close the files."""
        self._pages.close()

    def __enter__(self) -> Self:
        """Return itself, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self.close()

    def _look_through(self, offset: int) -> None:
        page = self._pages.read(offset)
        for cell in sorted(set(cells(page))):
            try:
                rowid, types = head(page, cell)
                kind = _kind(types)
                if kind == "journal":
                    self._take_id(offset + cell)
                elif kind and 0 < rowid <= self._pages.most_rows:
                    self._take(getattr(self, f"_{kind}"), rowid, offset + cell)
                    if kind == "events":
                        self._look_for_erasure(rowid, types, page, cell)
            except BAD:
                continue

    def _take_id(self, place: int) -> None:
        (id_,) = self._pages.values(place)
        if id_ not in self.ids and len(self.ids) < _MOST:
            self.ids.append(id_)

    def _take(self, places: _Places, rowid: int, place: int) -> None:
        """Note where a row is, unless a copy of it is noted, as a log has many."""
        there = places.setdefault(rowid, [])
        if len(there) < _MOST:
            cell, overflow = self._pages.cell(place)
            mark = hash(cell)
            if all(mark != each for each, _ in there) and self._pages.claim(overflow):
                there.append((mark, place))

    def _look_for_erasure(self, position: int, types: list[int], page: bytes, cell: int) -> None:
        _, type_name, _, payload, _ = types
        if payload == EMPTY and is_exact(page, cell, types):
            self._emptied.add(position)
        if type_name == 13 + 2 * len(PayloadErased.TYPE):
            self._tombstones.add(position)

    def events(self, position: int) -> Sequence[SalvagedEvent]:
        """Return the rows of the event at `position`, erased ones with each digest they may be."""
        found: list[SalvagedEvent] = []
        for _, type_name, version, payload, link in self._rows(self._events, position):
            if payload:
                digests = [hashlib.sha256(payload).digest()]
            else:
                digests = [digest for _, digest in self._rows(self._erased, position)] or [b""]
            found += (
                SalvagedEvent(type_name, version, payload, digest, link) for digest in digests
            )
        return found

    def changes(self, first: int) -> Sequence[Change]:
        """Return the rows of the change that begins at `first`."""
        return [
            Change(id_, first, count, recorded_at, actor, origin, reason)
            for _, count, id_, recorded_at, actor, origin, reason in self._rows(
                self._changes, first
            )
        ]

    def positions(self, after: int) -> list[int]:
        """Return the positions beyond `after` at which an event was found."""
        return sorted(position for position in self._events if position > after)

    def is_erased(self, position: int) -> bool:
        """Whether any row, proven or not, shows that the payload at `position` was erased."""
        return position in self._emptied or position in self._erased

    def tombstones(self) -> Iterator[tuple[int, SalvagedEvent]]:
        """Yield the events that erase others, with their positions."""
        for position in sorted(self._tombstones):
            for found in self.events(position):
                if found.type == PayloadErased.TYPE:
                    yield position, found

    def _rows(self, places: _Places, rowid: int) -> Iterator[list[Any]]:
        for _, place in places.get(rowid, ()):
            with suppress(*BAD):
                yield self._pages.values(place)


def _kind(types: list[int]) -> str | None:
    """Return which of our tables a row with columns of these types is of."""
    texts = [kind >= 13 and kind % 2 == 1 for kind in types]
    match types:
        case [_]:
            return "journal" if texts[0] else None
        case [0, digest] if digest == 12 + 2 * _HASH:
            return "erased"
        case [0, _, version, payload, link] if link == 12 + 2 * _HASH:
            good = texts[1] and version <= 9 and payload >= 12 and not texts[3]
            return "events" if good else None
        case [0, count, _, _, _, _, reason]:
            return (
                "changes" if count <= 9 and all(texts[2:6]) and (texts[6] or not reason) else None
            )
    return None


def roll_back(path: Path) -> None:
    """Have SQLite play the log beside the database at `path` back into it, if it can.

    This changes the files, so it must be given copies.
    """
    with suppress(sqlite3.Error, UnicodeDecodeError), closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def last_position(path: Path) -> int | None:
    """Return the last position that the database at `path` leads to; `None` if it can't be read.

    SQLite goes down to the end of the table for this, so that pages that are missing there show.
    """
    with suppress(sqlite3.Error, UnicodeDecodeError):
        uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            row = connection.execute("SELECT max(position) FROM event").fetchone()
            return row[0] if isinstance(row[0], int) else None
    return None


# --- an exported journal -------------------------------------------------------------------------


class ExportedJournal:
    """The events of an exported journal, as far as it can be read.

    Attributes
    ----------
    journal_id : str
        The journal's id.
    trouble : str or None
        Why it could not be read any further.
    last : int
        The last position that was read so far.
    """

    def __init__(self, path: Path) -> None:
        """Open the file at `path`; what `JournalFile` raises."""
        self.name = str(path)
        self._file = path.open("rb")
        self.trouble: str | None = None
        self.last = 0
        try:
            self._begin()
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _begin(self) -> None:
        self._file.seek(0)
        lines = JournalFile(self._file, self.name)
        self.journal_id = lines.journal_id
        self._lines = lines.events()
        self._next: Stored | None = None
        self._at = 0

    def _seek(self, position: int) -> Stored | None:
        if position < self._at:
            self._begin()
        while self._at < position:
            try:
                self._next = next(self._lines, None)
            except JournalError as exc:
                self.trouble, self._next = str(exc), None
            if self._next is None:
                self._at = position
                break
            if self._next.position != self._at + 1:
                self.trouble = f"{self.name} has no position {self._at + 1}."
                self._next, self._lines, self._at = None, iter(()), position
                break
            self._at = self._next.position
            self.last = max(self.last, self._at)
        found = self._next
        return found if found is not None and found.position == position else None

    def events(self, position: int) -> Sequence[SalvagedEvent]:
        """Return the event at `position`."""
        found = self._seek(position)
        if found is None:
            return ()
        digest = hashlib.sha256(found.payload).digest() if found.payload else found.digest
        return (SalvagedEvent(found.type, found.version, found.payload, digest, found.hash),)

    def changes(self, first: int) -> Sequence[Change]:
        """Return the change that begins at `first`."""
        found = self._seek(first)
        return () if found is None or found.change.first != first else (found.change,)

    def is_erased(self, position: int) -> bool:
        """Whether it shows that the payload at `position` was erased."""
        found = self._seek(position)
        return found is not None and not found.payload

    def tombstones(self) -> Iterator[tuple[int, SalvagedEvent]]:
        """Yield the events that erase others, with their positions; this reads all of it."""
        position = 0
        while True:
            position += 1
            stored = self._seek(position)
            if stored is None:
                return
            if stored.type == PayloadErased.TYPE:
                yield from ((position, each) for each in self.events(position))
