"""What can still be read of a damaged journal, and how much of that is proven to be the journal's.

Nothing of the database as a whole is trusted. Its rows lie in *leaf pages*, each of which can be
read by itself (SQLite's file format, https://www.sqlite.org/fileformat2.html, Sections 1.6 and
2.1); every page of the file is looked at, also those that no other leads to any more. What is read
so is only :class:`evidence <Found>`. The hash chain decides: an event is proven if its hash follows
from the journal's id and all the events before it, wherever each of these was found, in the
database or in an exported journal.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from itertools import chain
from pathlib import Path
from typing import Any, Final, Protocol, TypeAlias, TypeVar

from attrs import define, field, frozen

from ledger import codec
from ledger.errors import JournalError, LedgerError
from ledger.events import PayloadErased
from ledger.journal import Change, Stored, chain_hash, change_digest, genesis
from ledger.journal_lines import JournalFile

T = TypeVar("T")

_PAGE_SIZE: Final = 16384  # of every journal that was made so far, should the header be damaged
_LEAF: Final = 0x0D
# A database and the logs that may be beside it (Sections 3 and 4): where the first page begins, and
# what is between two of them.
_FILES: Final = (("", 0, 0), ("-wal", 32 + 24, 24), ("-journal", 512 + 4, 4 + 4))
_NUMBERS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # bytes of an integer, by its serial type
_HASH: Final = 32
_MANY: Final = 16  # histories that are followed at once; there is one, or two after a fork
_MOST: Final = 16  # rows of one table and position, and rows on one overflow page: there is one


@frozen
class Found:
    """What one witness tells of the event at a position; the `payload` is empty if it was erased.

    The `digest` is that of the payload as it was, empty where it is not known.
    """

    type: str
    version: int
    payload: bytes
    digest: bytes
    hash: bytes


class Witness(Protocol):
    """Something that tells of a journal's events; asked with rising positions, again from 1."""

    @property
    def name(self) -> str:
        """What people call it."""
        ...

    def events(self, position: int) -> Sequence[Found]:
        """Return what it tells of the event at `position`."""
        ...

    def changes(self, first: int) -> Sequence[Change]:
        """Return what it tells of the change that begins at `first`."""
        ...

    def is_erased(self, position: int) -> bool:
        """Whether anything in it tells that the payload at `position` was erased."""
        ...

    def tombstones(self) -> Iterator[tuple[int, Found]]:
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
        The last position of which an event was found.
    """

    def __init__(self, path: Path, name: str) -> None:
        """Look through the database at `path`, and the write-ahead or rollback log beside it.

        OSError if it can't be read.
        """
        self.name = name
        self.ids: list[str] = []
        self.last = 0
        self._pages = _Pages(path)
        self._events: _Places = {}
        self._changes: _Places = {}
        self._erased: _Places = {}
        self._emptied: set[int] = set()
        self._tombstones: set[int] = set()  # as far as the length of their type tells
        try:
            for offset in self._pages.offsets():
                self._look_through(offset)
        except BaseException:
            self.close()
            raise
        self.last = max(self._events, default=0)

    def close(self) -> None:
        """Let go of the files."""
        self._pages.close()

    def __enter__(self) -> SalvagedDatabase:
        """Return itself, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the files."""
        self.close()

    def _look_through(self, offset: int) -> None:
        page = self._pages.read(offset)
        for cell in sorted(set(_cells(page))):
            try:
                rowid, types = _head(page, cell)
                kind = _kind(types)
                if kind == "journal":
                    self._take_id(offset + cell)
                elif kind and 0 < rowid <= self._pages.most:
                    self._take(getattr(self, f"_{kind}"), rowid, offset + cell)
                    if kind == "events":
                        self._look_for_erasure(rowid, types, page, cell)
            except _BAD:
                continue

    def _take_id(self, place: int) -> None:
        (id_,) = self._pages.row(place)[1]
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
        if payload == _EMPTY and _is_exact(page, cell, types):
            self._emptied.add(position)
        if type_name == 13 + 2 * len(PayloadErased.TYPE):
            self._tombstones.add(position)

    def events(self, position: int) -> Sequence[Found]:
        """Return the rows of the event at `position`, erased ones with each digest they may be."""
        found: list[Found] = []
        for _, type_name, version, payload, link in self._rows(self._events, position):
            if payload:
                digests = [hashlib.sha256(payload).digest()]
            else:
                digests = [digest for _, digest in self._rows(self._erased, position)] or [b""]
            found += (Found(type_name, version, payload, digest, link) for digest in digests)
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
        """Return the positions greater than `after` of which an event was found."""
        return sorted(position for position in self._events if position > after)

    def is_erased(self, position: int) -> bool:
        """Whether a row, whatever its hash, tells that the payload at `position` was erased."""
        return position in self._emptied or position in self._erased

    def tombstones(self) -> Iterator[tuple[int, Found]]:
        """Yield the events that erase others, with their positions."""
        for position in sorted(self._tombstones):
            for found in self.events(position):
                if found.type == PayloadErased.TYPE:
                    yield position, found

    def _rows(self, places: _Places, rowid: int) -> Iterator[list[Any]]:
        for _, place in places.get(rowid, ()):
            with suppress(*_BAD):
                yield self._pages.row(place)[1]


_BAD: Final = (IndexError, ValueError, struct.error, RecursionError)
_EMPTY: Final = 12  # the serial type of a blob of no bytes
_Places: TypeAlias = dict[int, list[tuple[int, int]]]
"""By row id: a hash of each row's cell, to know copies by, and where it is."""


class _Pages:
    """The pages of a database and of the logs beside it, by an offset that counts through all."""

    def __init__(self, path: Path) -> None:
        self._files: list[tuple[int, int, int, int]] = []
        self._page = (-1, b"")
        self._claims: Counter[int] = Counter()
        try:
            for name, start, frame in _FILES:
                each = path.with_name(f"{path.name}{name}")
                if not name or each.is_file():
                    fd = os.open(each, os.O_RDONLY | os.O_CLOEXEC)
                    self._files.append((fd, os.fstat(fd).st_size, start, frame))
            head = self._bytes(0, 100)
        except BaseException:
            self.close()
            raise
        size = int.from_bytes(head[16:18], "big")
        self.most = sum(size for _, size, _, _ in self._files) // 32  # rows that there is room for
        self._size = size if size >= 512 and size & (size - 1) == 0 else _PAGE_SIZE

    def close(self) -> None:
        while self._files:
            os.close(self._files.pop()[0])

    def offsets(self) -> Iterator[int]:
        """Yield where pages begin."""
        base = 0
        for _, size, start, frame in self._files:
            for offset in range(start, size, self._size + frame):
                yield base + offset
            base += size

    def read(self, offset: int) -> bytes:
        """Return the page at an offset, zeros for what is missing of it."""
        if self._page[0] != offset:
            self._page = (offset, self._bytes(offset, self._size).ljust(self._size, b"\0"))
        return self._page[1]

    def _bytes(self, offset: int, length: int) -> bytes:
        for fd, size, _, _ in self._files:
            if offset < size:
                try:
                    return os.pread(fd, length, offset)
                except OSError:  # the disk can't read that part
                    return b""
            offset -= size
        return b""

    def row(self, place: int) -> tuple[int, list[Any]]:
        """Return row id and values of the cell at a place; an error of `_BAD` if it is none."""
        page, at, length, local = self._extent(place)
        rowid = _varint(page, _varint(page, place - self._start(place))[1])[0]
        data = page[at : at + local]
        if local < length:
            first = int.from_bytes(page[at + local : at + local + 4], "big")
            pages = self._chain(first, length - local)
            data += b"".join(self._bytes(each, self._size)[4:] for each in pages)
        data = data[:length]
        types, at = _serial_types(data, 0)
        values = []
        for kind in types:
            value, at = _value(data, at, kind)
            values.append(value)
        return rowid, values

    def _start(self, place: int) -> int:
        """Return where the page of a place begins."""
        base = 0
        for _, size, start, frame in self._files:
            if place < base + size:
                step = self._size + frame
                return base + start + (place - base - start) // step * step
            base += size
        raise IndexError(place)

    def cell(self, place: int) -> tuple[bytes, list[int]]:
        """Return the bytes of the cell at a place, and where its overflow pages begin."""
        page, at, length, local = self._extent(place)
        start = place - self._start(place)
        if local == length:
            return page[start : at + local], []
        first = int.from_bytes(page[at + local : at + local + 4], "big")
        return page[start : at + local + 4], list(self._chain(first, length - local))

    def claim(self, pages: list[int]) -> bool:
        """Take overflow pages for a row; ``False`` if too many rows have one of them.

        So all rows together are not much larger than the files, whatever these say.
        """
        if any(self._claims[page] >= _MOST for page in pages):
            return False
        self._claims.update(pages)
        return True

    def _extent(self, place: int) -> tuple[bytes, int, int, int]:
        """Return a cell's page, where in it the record begins, its length, and what is in it."""
        start = self._start(place)
        page = self.read(start)
        length, at = _varint(page, place - start)
        _, at = _varint(page, at)
        if not 0 <= length <= sum(size for _, size, _, _ in self._files):
            raise ValueError(length)
        return page, at, length, _local(length, self._size)

    def _chain(self, page: int, length: int) -> Iterator[int]:
        """Yield where the overflow pages from number `page` on begin, for `length` bytes."""
        seen: set[int] = set()
        while page and length > 0:
            start = (page - 1) * self._size
            head = self._bytes(start, 4)
            if len(head) < 4 or page in seen:
                raise ValueError(page)
            seen.add(page)
            yield start
            length -= self._size - 4
            page = int.from_bytes(head, "big")


def _local(length: int, usable: int) -> int:
    """Return how many bytes of a row's payload are in its leaf page (Section 1.6)."""
    most = usable - 35
    if length <= most:
        return length
    least = (usable - 12) * 32 // 255 - 23
    local = least + (length - least) % (usable - 4)
    return local if local <= most else least


def _cells(page: bytes) -> Iterator[int]:
    """Yield where the cells of a page begin; nothing if it is no leaf of a table."""
    if page[0] != _LEAF:
        return
    count = int.from_bytes(page[3:5], "big")
    for at in range(8, min(8 + 2 * count, len(page) - 1), 2):
        cell = int.from_bytes(page[at : at + 2], "big")
        if 8 <= cell < len(page):
            yield cell


def _head(page: bytes, cell: int) -> tuple[int, list[int]]:
    """Return the row id of a cell and the serial types of its columns."""
    _, at = _varint(page, cell)
    rowid, at = _varint(page, at)
    return rowid, _serial_types(page, at)[0]


def _is_exact(page: bytes, cell: int, types: list[int]) -> bool:
    """Whether a cell is as long as columns of these types are: a damaged one hardly is."""
    length, at = _varint(page, cell)
    _, at = _varint(page, at)
    header = _serial_types(page, at)[1] - at
    return length == header + sum(
        (kind - 12) // 2 if kind >= 12 else _NUMBERS.get(kind, 0) for kind in types
    )


def _serial_types(data: bytes, start: int) -> tuple[list[int], int]:
    """Return the serial types that a record's header gives, and where its values begin."""
    size, at = _varint(data, start)
    if not 1 < size <= 64:  # none of our tables has more columns than seven
        raise ValueError(size)
    types = []
    while at < start + size:
        kind, at = _varint(data, at)
        types.append(kind)
    return types, start + size


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


def _value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind >= 12:
        end = at + (kind - 12) // 2
        if end > len(data):
            raise ValueError(end)
        return (data[at:end].decode("utf-8") if kind % 2 else data[at:end]), end
    if kind in _NUMBERS:
        end = at + _NUMBERS[kind]
        if end > len(data):
            raise ValueError(end)
        return int.from_bytes(data[at:end], "big", signed=True), end
    if kind in (8, 9):
        return kind - 8, at
    if kind == 0:
        return None, at
    raise ValueError(kind)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at an offset, of up to nine bytes, and where it ends (Section 1.6)."""
    value = 0
    for count in range(9):
        byte = data[at + count]
        if count == 8:
            value = value << 8 | byte
            return (value - (1 << 64) if value >> 63 else value), at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count + 1
    raise ValueError(at)


def roll_back(path: Path) -> None:
    """Have SQLite play the log beside the database at `path` back into it, if it can.

    This changes the files: they are to be copies.
    """
    with suppress(sqlite3.Error, UnicodeDecodeError), closing(sqlite3.connect(path)) as connection:
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()


def last_position(path: Path) -> int | None:
    """Return the last position that the database at `path` leads to; ``None`` if it can't be told.

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
        """Open the file at `path`; what :class:`~ledger.journal_lines.JournalFile` raises."""
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
        """Let go of the file."""
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

    def events(self, position: int) -> Sequence[Found]:
        """Return the event at `position`."""
        found = self._seek(position)
        if found is None:
            return ()
        digest = hashlib.sha256(found.payload).digest() if found.payload else found.digest
        return (Found(found.type, found.version, found.payload, digest, found.hash),)

    def changes(self, first: int) -> Sequence[Change]:
        """Return the change that begins at `first`."""
        found = self._seek(first)
        return () if found is None or found.change.first != first else (found.change,)

    def is_erased(self, position: int) -> bool:
        """Whether it tells that the payload at `position` was erased."""
        found = self._seek(position)
        return found is not None and not found.payload

    def tombstones(self) -> Iterator[tuple[int, Found]]:
        """Yield the events that erase others, with their positions; this reads all of it."""
        position = 0
        while True:
            position += 1
            stored = self._seek(position)
            if stored is None:
                return
            if stored.type == PayloadErased.TYPE:
                yield from ((position, each) for each in self.events(position))


# --- the proof -----------------------------------------------------------------------------------


@define
class _History:
    """One way that the journal may have gone: the hash of each position, up to its last change.

    Of `own` events the database has the hash, the last of them at `own_at`, where `sure` was the
    end of the last whole change.
    """

    hashes: bytearray
    change: Change | None = None
    of_change: bytes = b""
    whole: int = 0
    own: int = 0
    own_at: int = 0
    sure: int = 0

    @property
    def position(self) -> int:
        return len(self.hashes) // _HASH - 1

    @property
    def head(self) -> bytes:
        return bytes(self.hashes[-_HASH:])


@define
class Proof:
    """The beginning of a journal that its witnesses prove: whole changes, from position 1.

    Attributes
    ----------
    journal_id : str
        The journal's id.
    last : int
        The last position that is proven, 0 if nothing is.
    sources : dict of str to int
        How many events come from each witness, the first one that has them.
    forks : dict of str to int
        The exported journals that tell another history, and from which position on.
    erasures_lost : bool
        Whether more would be proven, but for an erased event of which nothing says that it was.
    """

    journal_id: str
    last: int
    sources: dict[str, int]
    forks: dict[str, int]
    erasures_lost: bool = field(init=False, default=False)
    _witnesses: Sequence[Witness]
    _hashes: bytearray
    _strays: Mapping[int, set[bytes]]
    _named: set[int] = field(init=False, factory=set)
    _ends: list[int] = field(init=False, factory=lambda: [0])

    def events(self) -> Iterator[Stored]:
        """Yield the proven events; the payload of one that was erased is empty."""
        for position, change, found in self._walk():
            best = next((each for each in found if each.payload), found[0])
            payload = b"" if position in self._named else best.payload
            yield Stored(position, change, best.type, best.version, payload, best.digest, best.hash)

    def end_before(self, position: int) -> None:
        """Prove no more than the whole changes before `position`."""
        self.last = max(end for end in self._ends if end < position)
        self._count()

    def look_for_erasures(self) -> None:
        """End before the first payload that is erased, of which no proven event says so.

        Whatever tells that a payload was erased is enough, be it proven or not: an empty one under
        any hash, what the database keeps of an erased one, and an event that names it.
        """
        self._look_for_forks()
        gone: set[int] = set()
        named: dict[int, set[int]] = {}
        for position, change, found in self._walk():
            if position == change.last:
                self._ends.append(position)
            if any(each.is_erased(position) for each in self._on_it(position)):
                gone.add(position)
            if found[0].type == PayloadErased.TYPE:
                named[position] = set().union(*(_named_by(each, self.last) for each in found))
        for witness in self._witnesses:
            for position, tombstone in witness.tombstones():
                if position < self.forks.get(witness.name, position + 1):
                    gone |= _named_by(tombstone, self.last)
        while True:
            self._named = {
                each for at, positions in named.items() if at <= self.last for each in positions
            }
            unknown = min((at for at in gone - self._named if at <= self.last), default=None)
            if unknown is None:
                break
            self.erasures_lost = True
            self.last = max(end for end in self._ends if end < unknown)
        self._count()

    def _on_it(self, position: int) -> Iterator[Witness]:
        """Yield the witnesses that tell of the same event at `position`, not of another history.

        A hash can be damaged, so that it is the one before that has to be the same.
        """
        for witness in self._witnesses:
            if position <= self.forks.get(witness.name, position):
                yield witness

    def _look_for_forks(self) -> None:
        """Find the exported journals that tell another history."""
        exports = [each for each in self._witnesses if isinstance(each, ExportedJournal)]
        end = len(self._hashes) // _HASH
        beyond = sorted(position for position in self._strays if position >= end)
        for position in chain(range(1, end), beyond) if exports else ():
            right = _slice(self._hashes, position)
            wrong = self._strays.get(position, ())
            for export in exports:
                for found in export.events(position):
                    if found.hash in wrong or (right and found.hash != right):
                        self.forks.setdefault(export.name, position)

    def _count(self) -> None:
        """Tell whose events are taken."""
        self.sources = {witness.name: 0 for witness in self._witnesses}
        for position, _, proven in self._walk():
            for witness in self._witnesses:
                if any(each in proven for each in witness.events(position)):
                    self.sources[witness.name] += 1
                    break

    def _walk(self) -> Iterator[tuple[int, Change, list[Found]]]:
        """Yield each proven position, its change, and what proves it."""
        change: Change | None = None
        previous = genesis(self.journal_id)
        for position in range(1, self.last + 1):
            link = _slice(self._hashes, position)
            if change is None or position > change.last:
                change = self._change(position, previous, link)
            yield position, change, self._found(position, previous, change, link)
            previous = link

    def _told(self, position: int) -> list[Found]:
        """Return all that is told of an event with the hash that is proven."""
        link = _slice(self._hashes, position)
        found = _all(self._witnesses, lambda witness: witness.events(position))
        return [each for each in found if each.hash == link]

    def _change(self, position: int, previous: bytes, link: bytes) -> Change:
        for change in _all(self._witnesses, lambda witness: witness.changes(position)):
            if self._found(position, previous, change, link):
                return change
        raise AssertionError(position)  # it was proven

    def _found(self, position: int, previous: bytes, change: Change, link: bytes) -> list[Found]:
        """Return what the witnesses tell of an event, as far as it has the hash that is proven."""
        of_change = _digest_of(change)
        told = self._told(position)
        return [each for each in told if _link(previous, of_change, position, each) == link]


def prove(journal_id: str, witnesses: Sequence[Witness]) -> Proof:
    """Return the beginning of the journal `journal_id` that `witnesses` prove together.

    It is the history that the database's own events are on, of these the one with most of them;
    what others tell only fills its gaps and extends it. Without a database it is the longest.

    What was erased stays so: a payload that one witness tells to be erased is taken from none. As
    far as the event that says so is lost, the beginning ends before the erased event.
    """
    best, strays = _best(journal_id, witnesses)
    proof = Proof(journal_id, best.whole, {}, {}, witnesses, best.hashes, strays)
    proof.look_for_erasures()
    return proof


def _best(
    journal_id: str, witnesses: Sequence[Witness]
) -> tuple[_History, Mapping[int, set[bytes]]]:
    """Return the history to follow, and the first hashes of those that leave the database's."""
    databases = [each for each in witnesses if isinstance(each, SalvagedDatabase)]
    histories = [_History(bytearray(genesis(journal_id)))]
    ended: list[_History] = []
    strays: dict[int, set[bytes]] = {}
    links = _Links(databases)
    # One that says it is another's has no say in where this journal goes on.
    is_its = any(not each.ids or journal_id in each.ids for each in databases)
    position = 0
    while histories:
        position += 1
        links.go_to(position)
        events = _all(witnesses, lambda witness: witness.events(position))  # noqa: B023
        changes = _all(witnesses, lambda witness: witness.changes(position))  # noqa: B023
        following: list[_History] = []
        for history in histories:
            ways = _followed(history, position, events, changes)
            if not ways:
                ended.append(history)
            for way in ways:
                if way.head in links.hashes:
                    way.own, way.own_at, way.sure = way.own + 1, position, way.whole
                elif is_its and links.leads_on():  # the database goes on elsewhere
                    first = way.own_at + 1
                    strays.setdefault(first, set()).add(_slice(way.hashes, first))
                    way.whole = way.sure
                    ended.append(way)
                    continue
                following.append(way)
        following.sort(key=lambda history: -history.own)
        histories, dropped = following[:_MANY], following[_MANY:]
        ended += dropped
    return max(ended, key=lambda history: (history.own, history.whole)), strays


class _Links:
    """What databases tell of one event after another, proven from the beginning or not."""

    def __init__(self, databases: Sequence[SalvagedDatabase]) -> None:
        self._databases = databases
        self._position = 0
        self._events: list[Found] = []
        self._before: set[bytes] = set()
        self._changes: list[Change] = []
        self.hashes: set[bytes] = set()

    def go_to(self, position: int) -> None:
        """Go on to the next position."""
        self._position, self._before = position, self.hashes
        self._events = _all(self._databases, lambda each: each.events(position))
        self._changes += _all(self._databases, lambda each: each.changes(position))
        self._changes = [each for each in self._changes if each.last >= position][-_MANY:]
        self.hashes = {each.hash for each in self._events}

    def leads_on(self) -> bool:
        """Whether an event here follows from one before it, so that both are some journal's."""
        digests = [_digest_of(change) for change in self._changes]
        return any(
            _link(before, of_change, self._position, event) == event.hash
            for before in self._before
            for of_change in digests
            for event in self._events
        )


def _followed(
    history: _History, position: int, events: Sequence[Found], changes: Sequence[Change]
) -> list[_History]:
    """Return `history` with each event that can be its next."""
    known = history.change if history.change and position <= history.change.last else None
    found: dict[bytes, tuple[Change, bytes]] = {}
    for change in (known,) if known else changes:
        of_change = history.of_change if known else _digest_of(change)
        for event in events:
            if event.digest and _link(history.head, of_change, position, event) == event.hash:
                found.setdefault(event.hash, (change, of_change))
    following = []
    # Copied before they grow apart; the last one takes the list over.
    for number, (link, (change, of_change)) in enumerate(found.items(), 1):
        hashes = history.hashes if number == len(found) else history.hashes[:]
        whole = position if change.last == position else history.whole
        following.append(
            _History(hashes, change, of_change, whole, history.own, history.own_at, history.sure)
        )
        following[-1].hashes += link
    return following


def _named_by(found: Found, upto: int) -> set[int]:
    """Return the positions, up to one, whose payload an event says is erased."""
    try:
        event = codec.decode(found.type, found.version, found.payload)
    except LedgerError:  # of a newer version, perhaps: what it names can't be told
        return set()
    if not isinstance(event, PayloadErased):
        return set()
    return {
        position for first, last in event.positions
        for position in range(max(first, 1), min(last, upto) + 1)
    }  # fmt: skip


def _all(witnesses: Sequence[Witness], ask: Callable[[Witness], Sequence[T]]) -> list[T]:
    return [each for witness in witnesses for each in ask(witness)]


def _slice(hashes: bytearray, position: int) -> bytes:
    return bytes(hashes[_HASH * position : _HASH * (position + 1)])


def _digest_of(change: Change) -> bytes:
    try:
        return change_digest(change)
    except struct.error:
        return b""


def _link(previous: bytes, of_change: bytes, position: int, event: Found) -> bytes | None:
    if not of_change or not event.digest:
        return None
    try:
        return chain_hash(previous, of_change, position, event.type, event.version, event.digest)
    except (UnicodeEncodeError, struct.error):
        return None
