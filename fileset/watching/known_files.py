"""The files in watched folders that have been dealt with, so that a restart need not read them.

For each there is its stamp, and whether it is still to be deleted or moved (`--after`). The names
of files and folders are kept as keyed hashes, since modalities put names of patients into them:
when a person is erased, no name is left here. For a file that stays there is a keyed hash of its
digest, too, by which it is recognised when only its time or its status has changed. That reveals
nothing to anybody who does not have the file, and is deleted when the file is. Whether something is
part of the File-set is looked up only in the journal, so all of this can be discarded: the files
are then read once more.

What is here is valid as long as the journal continues from where it was: its last position and the
hash there are kept as a mark. After a recovery that lost events, everything is forgotten; an
erasure leaves the hashes as they are.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
import stat
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar

from fileset.errors import RefusedError
from ledger.digest import Digest
from ledger.files import FileStamp

_VERSION: Final = 2
_SCHEMA: Final = """
CREATE TABLE key (
    secret BLOB NOT NULL,
    scan INTEGER NOT NULL,
    journal TEXT,
    position INTEGER,
    hash BLOB
);
CREATE TABLE root (
    id INTEGER PRIMARY KEY,
    hash BLOB NOT NULL UNIQUE,
    stale INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE file (
    folder BLOB NOT NULL,
    name BLOB NOT NULL,
    signature BLOB NOT NULL,
    owed INTEGER NOT NULL,
    content BLOB,
    root INTEGER NOT NULL,
    scan INTEGER NOT NULL,
    PRIMARY KEY (folder, name)
) WITHOUT ROWID;
"""
_INSERT: Final = """
INSERT OR REPLACE INTO file
VALUES (?, ?, ?, ?, ?, (SELECT id FROM root WHERE hash = ?), (SELECT scan FROM key))
"""
_ENDS: Final = ("", "-journal", "-wal", "-shm")  # of the names of its files
_STALE: Final = 10  # one of so many rows may be of a file that is gone, before they are deleted

_T = TypeVar("_T")


class KnownFile(NamedTuple):
    """What is known of a file: its packed stamp, and whether it is still to be dealt with."""

    stamp: bytes
    owed: bool


class JournalMark(NamedTuple):
    """A place in a journal: its id, a position, and the raw hash of the event there."""

    journal: str
    position: int
    hash: bytes


def refuse_other(path: Path) -> None:
    """Refuse anything but a file where the database at `path`, or a file of it, should be.

    SQLite would wait for it, or say that the disk fails. A link is refused as well: it leads
    elsewhere.
    """
    for end in _ENDS:
        part = path.with_name(path.name + end)
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(part.lstat().st_mode):
                raise RefusedError(
                    f"{part} is not a regular file: move it away, and a new one is made. Files in "
                    "watched folders are then read once more."
                )


class KnownFiles:
    """The files that have been dealt with, in an SQLite database at `path`.

    sqlite3.Error where the disk fails, RefusedError where something else is in its place.
    """

    def __init__(self, path: Path) -> None:
        self._db = _Database(path)

    def refresh(self) -> None:
        """Begin anew if somebody has deleted the database."""
        self._db.refresh()

    def begin_anew(self) -> None:
        """Forget everything."""
        self._db.begin_anew()

    @property
    def mark(self) -> JournalMark | None:
        """The place in the journal that all this comes from, `None` if there is nothing."""
        row = self._db.row("SELECT journal, position, hash FROM key")
        return None if row is None or row[0] is None else JournalMark(*row)

    def of_names(self, folder: str, names: Iterable[str]) -> dict[str, KnownFile]:
        """Return what is known of the files in `folder` with these `names`, 500 at most."""
        names = list(names)

        def look(db: sqlite3.Connection) -> dict[str, KnownFile]:
            by_hash = {self._db.hash(name): name for name in names}
            marks = ",".join("?" * len(by_hash))
            rows = db.execute(
                f"SELECT name, signature, owed FROM file WHERE folder = ? AND name IN ({marks})",  # noqa: S608
                (self._db.hash(folder), *by_hash),
            )
            return {by_hash[name]: KnownFile(stamp, bool(owed)) for name, stamp, owed in rows}

        return self._db.run(look)

    def had(self, path: str, digest: Callable[[], Digest]) -> bool:
        """Whether the file that was kept at `path` had the content with that digest.

        That is asked for only if one is known.
        """

        def look(db: sqlite3.Connection) -> bool:
            row = db.execute(
                "SELECT content FROM file WHERE folder = ? AND name = ?", self._key(path)
            ).fetchone()
            return row is not None and row[0] is not None and row[0] == self._db.hash(digest())

        return self._db.run(look)

    def remember(
        self,
        files: Iterable[tuple[str, FileStamp]],
        *,
        owed: bool = False,
        root: str = "",
        contents: Mapping[str, Digest] | None = None,
        mark: JournalMark | None = None,
    ) -> None:
        """Remember the files at these paths, below the watched folder `root`, as they are now.

        `contents` are the digests of those that are to be known by it, `mark` is the end of the
        journal that says what became of them.
        """
        files, contents = list(files), contents or {}

        def write(db: sqlite3.Connection) -> None:
            top = self._db.hash(root)
            db.execute("INSERT OR IGNORE INTO root (hash) VALUES (?)", (top,))
            rows = (
                (*self._key(path), stamp.packed(), owed, self._content(contents.get(path)), top)
                for path, stamp in files
            )
            db.executemany(_INSERT, rows)
            if mark is not None:
                db.execute("UPDATE key SET journal = ?, position = ?, hash = ?", mark)

        self._db.write(write)

    def forget(self, paths: Iterable[str]) -> None:
        """Forget the files at these paths."""
        paths = list(paths)

        def write(db: sqlite3.Connection) -> None:
            keys = map(self._key, paths)
            db.executemany("DELETE FROM file WHERE folder = ? AND name = ?", keys)

        self._db.write(write)

    def sweep(self, root: str) -> Sweep:
        """Return what a scan of the watched folder `root` is to tell of the files that it meets."""
        return Sweep(self._db, root)

    def _content(self, digest: Digest | None) -> bytes | None:
        return None if digest is None else self._db.hash(digest)

    def _key(self, path: str) -> tuple[bytes, bytes]:
        folder, name = os.path.split(path)
        return self._db.hash(folder), self._db.hash(name)

    def close(self) -> None:
        """Close the database."""
        self._db.close()


class Sweep:
    """Finds what is remembered of files that are gone, while a scan goes over all that there are.

    Counting is cheap. Only after a scan has met far fewer files than there are rows, the next one
    writes its number into the rows of those that it meets, and the others are deleted.
    """

    def __init__(self, db: _Database, root: str) -> None:
        self._db = db
        self._root = root
        self._met = 0
        self._number: int | None = None
        if self._number_of("SELECT stale FROM root WHERE hash = ?", self._root_hash):
            self._number = self._number_of("UPDATE key SET scan = scan + 1 RETURNING scan")

    def meet(self, folder: str, names: Collection[str]) -> None:
        """Remember that the files in `folder` with these `names`, which are known, are there."""
        number, hash_of = self._number, self._db.hash
        self._met += len(names)
        if number is None or not names:
            return

        def write(db: sqlite3.Connection) -> None:
            db.executemany(
                "UPDATE file SET scan = ? WHERE folder = ? AND name = ?",
                ((number, hash_of(folder), hash_of(name)) for name in names),
            )

        self._db.write(write)

    def end(self) -> None:
        """Remember that the scan was of everything, and nothing was in the way."""
        of_root = "FROM file WHERE root = (SELECT id FROM root WHERE hash = ?)"
        if self._number is not None:
            self._db.row(f"DELETE {of_root} AND scan <> ?", self._root_hash, self._number)
        rows = self._number_of(f"SELECT count(*) {of_root}", self._root_hash) or 0
        is_stale = self._number is None and (rows - self._met) * _STALE > rows
        self._db.row("UPDATE root SET stale = ? WHERE hash = ?", is_stale, self._root_hash)

    @property
    def _root_hash(self) -> bytes:
        return self._db.hash(self._root)

    def _number_of(self, statement: str, *values: object) -> int | None:
        row = self._db.row(statement, *values)
        return None if row is None else int(row[0])


class _Database:
    """An SQLite database at `path` that is thrown away when it is damaged, whenever that shows.

    So is one of another version. One that somebody has deleted is made anew.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._connect()
        except sqlite3.DatabaseError as exc:
            if not _is_damage(exc):
                raise
            self._discard()
            self._connect()

    def _connect(self) -> None:
        refuse_other(self._path)
        self._path.touch(mode=0o600)
        db = sqlite3.connect(self._path, timeout=30, isolation_level=None)
        try:
            # Losing it costs time and nothing else.
            db.execute("PRAGMA journal_mode=TRUNCATE")
            db.execute("PRAGMA synchronous=OFF")
            db.execute("BEGIN IMMEDIATE")
            (version,) = db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    db.execute(statement)
                db.execute(
                    "INSERT INTO key (secret, scan) VALUES (?, 0)", (secrets.token_bytes(32),)
                )
                db.execute(f"PRAGMA user_version = {_VERSION}")
            db.execute("COMMIT")
            if version not in {0, _VERSION}:
                raise sqlite3.DatabaseError("another version made it")  # noqa: TRY301 - as damage
            if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("it is damaged")  # noqa: TRY301 - as what SQLite meets
            keys = db.execute("SELECT secret FROM key").fetchall()
            if len(keys) != 1 or not isinstance(keys[0][0], bytes) or not keys[0][0]:
                raise sqlite3.DatabaseError("its key is lost")  # noqa: TRY301 - as damage
            self._inode = self._path.stat().st_ino
        except BaseException:
            db.close()
            raise
        self._db, self._secret = db, keys[0][0]

    def _discard(self) -> None:
        for end in _ENDS:
            self._path.with_name(self._path.name + end).unlink(missing_ok=True)

    def refresh(self) -> None:
        """Begin anew if somebody has deleted the database."""
        try:
            same = self._path.stat().st_ino == self._inode
        except OSError:
            same = False
        if not same:
            self.close()
            self._open()

    def begin_anew(self) -> None:
        """Forget everything."""
        self.close()
        self._discard()
        self._open()

    def close(self) -> None:
        """Let go of it."""
        with suppress(sqlite3.Error):
            self._db.close()

    def hash(self, text: str) -> bytes:
        """Return what stands for a name; another one when it was begun anew."""
        return blake2b(os.fsencode(text), key=self._secret, digest_size=16).digest()

    def run(self, action: Callable[[sqlite3.Connection], _T]) -> _T:
        """Return what `action` does, with a new database if this one turns out to be damaged."""
        try:
            return action(self._db)
        except sqlite3.DatabaseError as exc:
            if not _is_damage(exc):
                raise
            self.begin_anew()
            return action(self._db)

    def row(self, statement: str, *values: object) -> tuple[Any, ...] | None:
        """Return the first row that one statement gives."""

        def ask(db: sqlite3.Connection) -> tuple[Any, ...] | None:
            row: tuple[Any, ...] | None = db.execute(statement, values).fetchone()
            return row

        return self.run(ask)

    def write(self, action: Callable[[sqlite3.Connection], object]) -> None:
        """Do `action` in one transaction."""

        def write(db: sqlite3.Connection) -> None:
            with db:
                db.execute("BEGIN IMMEDIATE")
                action(db)

        self.run(write)


def _is_damage(exc: sqlite3.DatabaseError) -> bool:
    """Whether the database is not what it should be, rather than busy, or the disk full."""
    if isinstance(exc, sqlite3.OperationalError):
        # Of that kind is also what SQLite says where a table is missing.
        return getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    return True
