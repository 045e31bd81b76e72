"""The index of a vault's packs: where content is, kept as a cache that the packs can replace.

`PackIndex` is the file; `ScannedPacks` takes its place where it can't be used.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any, Final, Self

from ledger.errors import ContentMissingError
from ledger.vault.packs import Pack, PackEntry, list_packs, scan

_FORMAT: Final = 1
_PAGE: Final = 10_000
_ENTRY: Final = (bytes, int, int, int)
_SCHEMA: Final = f"""
BEGIN IMMEDIATE;
CREATE TABLE entries (
    digest BLOB PRIMARY KEY, pack INTEGER NOT NULL, offset INTEGER NOT NULL, length INTEGER NOT NULL
) WITHOUT ROWID;
CREATE TABLE packs (pack INTEGER PRIMARY KEY, end INTEGER NOT NULL);
PRAGMA user_version = {_FORMAT};
COMMIT;
"""


class DamagedIndexError(sqlite3.DatabaseError):
    """The index holds what no index does."""


class PackIndex:
    """Where content is: digest -> pack, offset, length; and how far each pack is indexed.

    A SQLite file, as durable as the packs: nothing would show that pages which a power failure left
    half written are wrong. Each statement is read to its end at once, since an open one would keep
    the writer waiting.
    """

    def __init__(self, path: Path | None, db: sqlite3.Connection) -> None:
        self._path = path
        self._db = db
        self._inode = _inode(path)

    @classmethod
    def create(cls, path: Path, *, durable: bool) -> Self:
        """Open the index at `path` for writing; make it if there is none.

        Where it is not `durable` nothing waits for the disk.
        """
        with suppress(OSError):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
        return cls._opened(path, str(path), durable=durable)

    @classmethod
    def in_memory(cls) -> Self:
        """Return an empty index that is never written anywhere."""
        return cls._opened(None, ":memory:")

    @classmethod
    def view(cls, path: Path) -> Self:
        """Open the index at `path` for reading only."""
        return cls._opened(path, f"{path.absolute().as_uri()}?mode=ro")

    @classmethod
    def _opened(cls, path: Path | None, database: str, *, durable: bool = False) -> Self:
        read_only = database.startswith("file:")
        if path is not None and path.exists() and not path.is_file():
            raise sqlite3.OperationalError(f"{path} is not a file")  # a FIFO would wait for ever
        db = sqlite3.connect(database, uri=read_only, check_same_thread=False)
        try:
            _set_up(db, read_only=read_only, durable=durable)
        except BaseException as exc:
            db.close()
            if isinstance(exc, UnicodeDecodeError):
                raise DamagedIndexError("the index is damaged") from exc
            raise
        return cls(path, db)

    def is_in_place(self) -> bool:
        """Return whether the file is still the one at its path, and not deleted or replaced."""
        return _inode(self._path) == self._inode

    def close(self) -> None:
        self._db.close()

    def hold(self) -> None:
        """Lock the file for now: finding then costs no locking each time."""
        with suppress(sqlite3.Error):
            self._db.execute("BEGIN")

    def let_go(self) -> None:
        """Undo `hold`."""
        with suppress(sqlite3.Error):
            self._db.rollback()

    def find(self, raw: bytes) -> PackEntry | None:
        """Return where the content of a digest is, `None` where it is not known."""
        rows = self._rows("SELECT * FROM entries WHERE digest = ?", (raw,), _ENTRY)
        return PackEntry(*rows[0]) if rows else None

    def ends(self) -> dict[int, int]:
        """Return up to which offset each pack is indexed."""
        return dict(self._rows("SELECT pack, end FROM packs", (), (int, int)))

    def entries_in(self, pack: int) -> list[PackEntry]:
        """Return the entries in `pack` by their offset."""
        query = "SELECT * FROM entries WHERE pack = ? ORDER BY offset"
        return [PackEntry(*row) for row in self._rows(query, (pack,), _ENTRY)]

    def page(self, after: bytes) -> list[tuple[bytes, int]]:
        """Return some digests beyond `after` in their order, each with the content's length."""
        query = "SELECT digest, length FROM entries WHERE digest > ? ORDER BY digest LIMIT ?"
        return self._rows(query, (after, _PAGE), (bytes, int))

    def _rows(self, query: str, values: tuple[object, ...], types: tuple[type, ...]) -> list[Any]:
        """Return the rows of a query; sqlite3.Error also where they are not of these types."""
        try:
            rows = self._db.execute(query, values).fetchall()
        except UnicodeDecodeError as exc:  # a name or a message of a damaged file
            raise DamagedIndexError("the index is damaged") from exc
        if any(tuple(map(type, row)) != types for row in rows):
            raise DamagedIndexError("the index is damaged")
        return rows

    def changing(self) -> AbstractContextManager[object]:
        """Return a context in which changes are made together, or not at all."""
        return self._db

    def add(self, entries: Iterable[PackEntry], ends: Mapping[int, int]) -> None:
        self.add_in_order(sorted(entries), ends)

    def add_in_order(self, entries: Iterable[PackEntry], ends: Mapping[int, int]) -> None:
        """Add entries that come in the order of their digests; with `ends`, as far as packs go."""
        # So neighbours go into the same page of the tree.
        self._db.executemany("INSERT OR REPLACE INTO entries VALUES (?, ?, ?, ?)", entries)
        self._db.executemany("INSERT OR REPLACE INTO packs VALUES (?, ?)", ends.items())

    def keep(self, packs: Iterable[int]) -> None:
        """Forget all packs but these."""
        for pack in self.ends().keys() - set(packs):
            self._db.execute("DELETE FROM entries WHERE pack = ?", (pack,))
            self._db.execute("DELETE FROM packs WHERE pack = ?", (pack,))

    def forget_beyond(self, pack: int, end: int) -> None:
        """Forget the entries of `pack` that reach beyond `end`."""
        for entry in self.entries_in(pack):
            if entry.end > end:
                self._db.execute("DELETE FROM entries WHERE digest = ?", (entry.raw,))


def _set_up(db: sqlite3.Connection, *, read_only: bool, durable: bool) -> None:
    if not read_only:
        db.execute(f"PRAGMA synchronous = {'EXTRA' if durable else 'OFF'}")
        if db.execute("SELECT count(*) FROM sqlite_master").fetchall() == [(0,)]:
            db.executescript(_SCHEMA)
    if db.execute("PRAGMA user_version").fetchall() != [(_FORMAT,)]:
        raise sqlite3.DatabaseError("the index has another format")


def _inode(path: Path | None) -> int | None:
    try:
        return path.stat().st_ino if path else None
    except OSError:
        return None


def journal_of(database: Path) -> Path:
    """Return the path of SQLite's rollback journal of a database."""
    return database.with_name(f"{database.name}-journal")


def remove_database(path: Path) -> None:
    """Remove a SQLite file, if there is one, and what a crash may have left beside it."""
    path.unlink(missing_ok=True)
    journal_of(path).unlink(missing_ok=True)


class ScannedPacks:
    """What the packs hold according to their headers, for when the index has no answer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index: PackIndex | None = None
        self._packs: dict[int, Pack] = {}

    def index(self) -> PackIndex:
        """Return an index of the packs as they are now, having scanned those that changed."""
        if self._index is None:
            self._index = PackIndex.in_memory()
        packs = {pack.number: pack for pack in list_packs(self._folder)}
        with self._index.changing():
            self._index.keep(
                number for number, pack in packs.items() if self._packs.get(number) == pack
            )
            # In their order: content that was stored anew is in a later one.
            for number in sorted(packs.keys() - self._index.ends().keys()):
                with suppress(ContentMissingError):
                    self._index.add(scan(packs[number], trusted=True), {number: packs[number].size})
        self._packs = packs
        return self._index

    def close(self) -> None:
        if self._index is not None:
            self._index.close()
        self._index = None
        self._packs = {}
