"""Connections to the database of a journal: how they are made, and what their errors say."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from ledger.errors import JournalError

_WAL_SINCE = (3, 51, 3)  # before, WAL could lose a commit when several connections reset it
_BUSY_SECONDS = 60


def connect(path: Path, *, read_only: bool) -> sqlite3.Connection:
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
        raise JournalError(f"The journal at {path} can't be opened: {why(path, exc)}.") from exc


def why(path: Path, exc: sqlite3.Error) -> str:
    """Return what went wrong: SQLite has one text for a file that is gone and for a closed one."""
    if code(exc) == sqlite3.SQLITE_CANTOPEN and not os.access(path, os.R_OK):
        return "Permission denied. `chmod u+rw` lets its owner use it"
    return str(exc).rstrip(".")


def make_durable(connection: sqlite3.Connection) -> None:
    """Have commits reach the disk. This writes to the database: it must be known to be ours."""
    wal = sqlite3.sqlite_version_info >= _WAL_SINCE
    connection.execute(f"PRAGMA journal_mode = {'WAL' if wal else 'DELETE'}")
    connection.execute(f"PRAGMA synchronous = {'FULL' if wal else 'EXTRA'}")


def code(exc: sqlite3.Error) -> int | None:
    """Return SQLite's primary result code, `None` for an error of Python's own."""
    code: int | None = getattr(exc, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF
