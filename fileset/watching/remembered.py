"""What is remembered of files that lie in a watched folder and have been dealt with.

A restart would have to read them all again otherwise. Of each there is its signature, and whether
what is to become of it (``--after``) is still owed. The names of files and folders are kept as
keyed hashes, since modalities put names of patients into them; erasing a person leaves no name
here. Of a file that is kept there is a keyed hash of its digest, too, by which it is known again
when only its status or its time has changed: that tells nothing to who does not have the file, and
goes when the file goes. What was ingested is never looked up here but in the journal, so that all
of this can be thrown away at the cost of reading the files once more.

It stands for what the journal said, and only as long as that goes on from there: the last position
and its hash are kept as a mark. A recovery that has lost events ends what is remembered; an erasure
leaves the hashes as they are.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable, Collection, Iterable, Mapping
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from fileset.watching.signature import Signature
from ledger.digest import Digest

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
_STALE: Final = 10  # one of so many rows may be of a file that is no more, before they are deleted

_T = TypeVar("_T")


class Memory(NamedTuple):
    """What is known of a file: its packed signature, and whether it is still to be dealt with."""

    signature: bytes
    owed: bool


class Mark(NamedTuple):
    """A place in a journal: its id, a position, and the raw hash of the event there."""

    journal: str
    position: int
    hash: bytes


class Remembered:
    """The files that have been dealt with, in an SQLite database at `path`.

    A database that is damaged or of another version is thrown away, whenever that shows. One that
    is deleted by someone else is made anew. sqlite3.Error where the disk fails.
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
        self._inode = self._path.stat().st_ino

    def _connect(self) -> None:
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
                db.execute("INSERT INTO key (secret, scan) VALUES (?, 0)", (_new_secret(),))
                db.execute(f"PRAGMA user_version = {_VERSION}")
            db.execute("COMMIT")
            if version not in {0, _VERSION}:
                raise sqlite3.DatabaseError("another version made it")  # noqa: TRY301 - as damage
            if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("it is damaged")  # noqa: TRY301 - as what SQLite meets
            keys = db.execute("SELECT secret FROM key").fetchall()
            if len(keys) != 1 or not isinstance(keys[0][0], bytes) or not keys[0][0]:
                raise sqlite3.DatabaseError("its key is lost")  # noqa: TRY301 - as damage
        except BaseException:
            db.close()
            raise
        self._db, self._secret = db, keys[0][0]

    def _discard(self) -> None:
        for end in ("", "-journal", "-wal", "-shm"):
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

    def _do(self, action: Callable[[], _T]) -> _T:
        """Return what `action` does, with a new database if this one turns out to be damaged."""
        try:
            return action()
        except sqlite3.DatabaseError as exc:
            if not _is_damage(exc):
                raise
            self.begin_anew()
            return action()

    def _write(self, *steps: tuple[str, Iterable[tuple[object, ...]]]) -> None:
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            for statement, rows in steps:
                self._db.executemany(statement, rows)

    @property
    def mark(self) -> Mark | None:
        """The place in the journal that all this comes from, ``None`` if there is nothing."""
        row = self._do(
            lambda: self._db.execute("SELECT journal, position, hash FROM key").fetchone()
        )
        return None if row[0] is None else Mark(*row)

    def of_names(self, folder: str, names: Iterable[str]) -> dict[str, Memory]:
        """Return what is known of the files in `folder` with these `names`, 500 at most."""
        names = list(names)

        def look() -> dict[str, Memory]:
            by_hash = {self.hash(name): name for name in names}
            marks = ",".join("?" * len(by_hash))
            rows = self._db.execute(
                f"SELECT name, signature, owed FROM file WHERE folder = ? AND name IN ({marks})",  # noqa: S608
                (self.hash(folder), *by_hash),
            )
            return {by_hash[name]: Memory(signature, bool(owed)) for name, signature, owed in rows}

        return self._do(look)

    def had(self, path: str, digest: Callable[[], Digest]) -> bool:
        """Whether the file that was kept at `path` had the content with that digest.

        That is asked for only if one is known.
        """

        def look() -> bool:
            row = self._db.execute(
                "SELECT content FROM file WHERE folder = ? AND name = ?", self._key(path)
            ).fetchone()
            return row is not None and row[0] is not None and row[0] == self.hash(digest())

        return self._do(look)

    def remember(
        self,
        files: Iterable[tuple[str, Signature]],
        *,
        owed: bool = False,
        root: str = "",
        contents: Mapping[str, Digest] | None = None,
        mark: Mark | None = None,
    ) -> None:
        """Remember the files at these paths, below the watched folder `root`, as they are now.

        `contents` are the digests of those that are to be known by it, `mark` is the end of the
        journal that says what became of them.
        """
        files, contents = list(files), contents or {}

        def write() -> None:
            top = self.hash(root)
            rows = (
                (*self._key(path), found.packed(), owed, self._content(contents.get(path)), top)
                for path, found in files
            )
            self._write(
                ("INSERT OR IGNORE INTO root (hash) VALUES (?)", [(top,)]),
                (
                    _INSERT,
                    rows,
                ),
                (
                    "UPDATE key SET journal = ?, position = ?, hash = ?",
                    [] if mark is None else [mark],
                ),
            )

        self._do(write)

    def forget(self, paths: Iterable[str]) -> None:
        """Forget the files at these paths."""
        paths = list(paths)
        self._do(
            lambda: self._write(
                ("DELETE FROM file WHERE folder = ? AND name = ?", map(self._key, paths))
            )
        )

    def sweep(self, root: str) -> Sweep:
        """Return what a scan of the watched folder `root` is to tell of the files that it meets."""
        return Sweep(self, root)

    def hash(self, text: str) -> bytes:
        """Return what stands for a name."""
        data = os.fsencode(text)
        return blake2b(data, key=self._secret, digest_size=16).digest()

    def _content(self, digest: Digest | None) -> bytes | None:
        return None if digest is None else self.hash(digest)

    def _key(self, path: str) -> tuple[bytes, bytes]:
        folder, name = os.path.split(path)
        return self.hash(folder), self.hash(name)

    def close(self) -> None:
        """Let go of the database."""
        with suppress(sqlite3.Error):
            self._db.close()


class Sweep:
    """Finds what is remembered of files that are no more, while a scan goes over all there is.

    Counting is cheap. Only after a scan has met far fewer files than there are rows, the next one
    writes its number into the rows of those that it meets, and the others are deleted.
    """

    def __init__(self, memory: Remembered, root: str) -> None:
        self._memory = memory
        self._root = root
        self._met = 0
        self._number: int | None = None
        if self._query("SELECT stale FROM root WHERE hash = ?", self._root_hash):
            self._number = self._query("UPDATE key SET scan = scan + 1 RETURNING scan")

    def meet(self, folder: str, names: Collection[str]) -> None:
        """Take note that the files in `folder` with these `names`, which are known, are there."""
        memory, number = self._memory, self._number
        self._met += len(names)
        if number is not None and names:
            memory._do(  # noqa: SLF001 - a part of it
                lambda: memory._write(  # noqa: SLF001 - as above
                    (
                        "UPDATE file SET scan = ? WHERE folder = ? AND name = ?",
                        ((number, memory.hash(folder), memory.hash(name)) for name in names),
                    )
                )
            )

    def end(self) -> None:
        """Take note that the scan was of everything, and nothing was in the way."""
        of_root = "FROM file WHERE root = (SELECT id FROM root WHERE hash = ?)"
        if self._number is not None:
            self._query(f"DELETE {of_root} AND scan <> ?", self._root_hash, self._number)
        rows = self._query(f"SELECT count(*) {of_root}", self._root_hash) or 0
        is_stale = self._number is None and (rows - self._met) * _STALE > rows
        self._query("UPDATE root SET stale = ? WHERE hash = ?", is_stale, self._root_hash)

    @property
    def _root_hash(self) -> bytes:
        return self._memory.hash(self._root)

    def _query(self, statement: str, *values: object) -> int | None:
        memory = self._memory

        def ask() -> int | None:
            row = memory._db.execute(statement, values).fetchone()  # noqa: SLF001 - a part of it
            return None if row is None else int(row[0])

        return memory._do(ask)  # noqa: SLF001 - as above


def _new_secret() -> bytes:
    return secrets.token_bytes(32)


def _is_damage(exc: sqlite3.DatabaseError) -> bool:
    """Whether the database is not what it should be, rather than busy, or the disk full."""
    if isinstance(exc, sqlite3.OperationalError):
        # Of that kind is also what SQLite says where a table is missing.
        return getattr(exc, "sqlite_errorcode", None) == sqlite3.SQLITE_ERROR
    return True
