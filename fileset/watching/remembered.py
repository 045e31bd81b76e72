"""What is remembered of files that lie in a watched folder and have been dealt with.

A restart would have to read them all again otherwise. Of each there is its signature, and whether
what is to become of it (``--after``) is still owed. The names of files and folders are kept as
keyed hashes, since modalities put names of patients into them; erasing a person leaves no name
here. What was ingested is never looked up here but in the journal, so that all of this can be
thrown away at the cost of reading the files once more.
"""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Iterable
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from typing import Final, NamedTuple

from fileset.watching.signature import Signature

_VERSION: Final = 1
_SCHEMA: Final = """
CREATE TABLE key (secret BLOB NOT NULL);
CREATE TABLE file (
    folder BLOB NOT NULL,
    name BLOB NOT NULL,
    signature BLOB NOT NULL,
    owed INTEGER NOT NULL,
    PRIMARY KEY (folder, name)
) WITHOUT ROWID;
"""


class Memory(NamedTuple):
    """What is known of a file: its packed signature, and whether it is still to be dealt with."""

    signature: bytes
    owed: bool


class Remembered:
    """The files that have been dealt with, in an SQLite database at `path`.

    A database that is damaged or of another version is thrown away. One that is deleted by someone
    else is made anew. sqlite3.Error where the disk fails.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._open()

    def _open(self) -> None:
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self._db = self._connect()
        except sqlite3.DatabaseError as exc:
            if isinstance(exc, sqlite3.OperationalError):
                raise
            for left in self._path.parent.glob(f"{self._path.name}*"):
                left.unlink()
            self._db = self._connect()
        (self._secret,) = self._db.execute("SELECT secret FROM key").fetchone()
        self._inode = self._path.stat().st_ino

    def _connect(self) -> sqlite3.Connection:
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
                db.execute("INSERT INTO key VALUES (?)", (secrets.token_bytes(32),))
                db.execute(f"PRAGMA user_version = {_VERSION}")
            db.execute("COMMIT")
            if version not in {0, _VERSION}:
                raise sqlite3.DatabaseError("another version made it")  # noqa: TRY301 - as damage
        except BaseException:
            db.close()
            raise
        return db

    def refresh(self) -> None:
        """Begin anew if somebody has deleted the database."""
        try:
            same = self._path.stat().st_ino == self._inode
        except OSError:
            same = False
        if not same:
            self.close()
            self._open()

    def of_names(self, folder: str, names: Iterable[str]) -> dict[str, Memory]:
        """Return what is known of the files in `folder` with these `names`, 500 at most."""
        by_hash = {self.hash(name): name for name in names}
        marks = ",".join("?" * len(by_hash))
        rows = self._db.execute(
            f"SELECT name, signature, owed FROM file WHERE folder = ? AND name IN ({marks})",  # noqa: S608
            (self.hash(folder), *by_hash),
        )
        return {by_hash[name]: Memory(signature, bool(owed)) for name, signature, owed in rows}

    def remember(self, files: Iterable[tuple[str, Signature]], *, owed: bool = False) -> None:
        """Remember the files at these paths as they are now."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?)",
                ((*self._key(path), found.packed(), owed) for path, found in files),
            )

    def forget(self, paths: Iterable[str]) -> None:
        """Forget the files at these paths."""
        with self._db:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(
                "DELETE FROM file WHERE folder = ? AND name = ?", map(self._key, paths)
            )

    def hash(self, text: str) -> bytes:
        """Return what stands for a name."""
        data = os.fsencode(text)
        return blake2b(data, key=self._secret, digest_size=16).digest()

    def _key(self, path: str) -> tuple[bytes, bytes]:
        folder, name = os.path.split(path)
        return self.hash(folder), self.hash(name)

    def close(self) -> None:
        """Let go of the database."""
        with suppress(sqlite3.Error):
            self._db.close()
