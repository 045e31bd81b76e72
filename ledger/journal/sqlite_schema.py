"""The tables of the embedded journal, what they refuse, and making a database of them."""

from __future__ import annotations

import os
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from ledger.errors import JournalError
from ledger.events import PayloadErased
from ledger.journal.erasures import TYPES

FORMAT = 1
"""The version of the database's layout, kept as its `user_version`."""

APPLICATION_ID = 0x46534C47  # "FSLG": what `file` and this module know the database by
_PAGE_SIZE = 16384  # some 27 events fill one with little left over

_SCHEMA = """
CREATE TABLE journal (id TEXT NOT NULL) STRICT;
INSERT INTO journal VALUES (its_id());
CREATE TABLE change (
    first INTEGER PRIMARY KEY,
    count INTEGER NOT NULL CHECK (count > 0),
    id TEXT NOT NULL UNIQUE,
    recorded_at TEXT NOT NULL,
    actor TEXT NOT NULL,
    origin TEXT NOT NULL,
    reason TEXT
) STRICT;
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    type TEXT NOT NULL,
    version INTEGER NOT NULL,
    payload BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT;
"""
# INSERT OR REPLACE deletes without a DELETE trigger, so that each key it might meet is refused
# before: a position or a change's first one that is not the next, an id there is, a second journal.
_TRIGGERS = """
CREATE TRIGGER event_is_next BEFORE INSERT ON event
    WHEN NEW.position <> (SELECT ifnull(max(position), 0) + 1 FROM event)
    BEGIN SELECT RAISE(ABORT, 'positions are contiguous'); END;
CREATE TRIGGER change_is_next BEFORE INSERT ON change
    WHEN NEW.first <> (SELECT ifnull(max(position), 0) + 1 FROM event)
    OR NEW.first <= (SELECT max(first) FROM change)
    BEGIN SELECT RAISE(ABORT, 'positions are contiguous'); END;
CREATE TRIGGER change_is_new BEFORE INSERT ON change
    WHEN EXISTS (SELECT 1 FROM change WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'there is a change of this id'); END;
CREATE TRIGGER journal_is_one BEFORE INSERT ON journal
    BEGIN SELECT RAISE(ABORT, 'the journal has its id'); END;
"""
_APPEND_ONLY = """
CREATE TRIGGER {table}_no_{verb} BEFORE {verb} ON {table}
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
"""
# A payload goes when a row says so here, which takes an event that names its position: appending
# that event and erasing are one transaction. Nothing else ever changes an event.
_ERASURE = f"""
CREATE TABLE erased (position INTEGER PRIMARY KEY, digest BLOB NOT NULL) STRICT;
CREATE INDEX event_of_erasure ON event (position) WHERE type IN {TYPES!r};
CREATE TRIGGER erased_is_named BEFORE INSERT ON erased
    WHEN EXISTS (SELECT 1 FROM erased WHERE position = NEW.position)
    OR NOT EXISTS (
        SELECT 1 FROM event, json_each(CAST(event.payload AS TEXT), '$.positions') AS run
        WHERE event.type IN {TYPES!r} AND event.type = '{PayloadErased.TYPE}'
        AND event.position > NEW.position AND NEW.position
        BETWEEN json_extract(run.value, '$[0]') AND json_extract(run.value, '$[1]'))
    BEGIN SELECT RAISE(ABORT, 'no event says that it is erased'); END;
CREATE TRIGGER erased_is_gone AFTER INSERT ON erased
    BEGIN UPDATE event SET payload = x'' WHERE position = NEW.position; END;
DROP TRIGGER IF EXISTS event_no_UPDATE;
CREATE TRIGGER event_no_UPDATE BEFORE UPDATE ON event
    WHEN NOT (
        NEW.payload IS x'' AND NEW.position IS OLD.position AND NEW.type IS OLD.type
        AND NEW.version IS OLD.version AND NEW.hash IS OLD.hash
        AND EXISTS (SELECT 1 FROM erased WHERE position = OLD.position))
    BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END;
"""  # noqa: S608 - our own names


@contextmanager
def making(path: Path) -> Iterator[sqlite3.Connection]:
    """Make a new database at `path` in the block; if that fails there is none."""
    try:
        path.touch(mode=0o600, exist_ok=False)
    except FileExistsError:
        raise JournalError(f"There is something at {path} already.") from None
    except OSError as exc:
        raise JournalError(f"The journal at {path} can't be made: {exc.strerror}.") from exc
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            yield connection
    except BaseException as exc:
        path.unlink()
        if isinstance(exc, sqlite3.Error):
            raise JournalError(f"The journal at {path} can't be made: {exc}.") from exc
        raise


def lay_out(connection: sqlite3.Connection, journal_id: str) -> None:
    """Make the tables and triggers of an empty journal."""
    triggers = "".join(
        _APPEND_ONLY.format(table=table, verb=verb)
        for table in ("event", "change", "journal")
        for verb in ("UPDATE", "DELETE")
    )
    erasure = _ERASURE + "".join(
        _APPEND_ONLY.format(table="erased", verb=verb) for verb in ("UPDATE", "DELETE")
    )
    connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.create_function("its_id", 0, lambda: journal_id)  # a script takes no parameters
    connection.executescript(
        f"BEGIN; {_SCHEMA} {_TRIGGERS} {triggers} {erasure} PRAGMA user_version = {FORMAT}; COMMIT;"
    )


def room_to_rebuild(path: Path) -> Mapping[Path, int]:
    """Return how many bytes VACUUM takes of the disk of each of some folders.

    It makes the new database where temporary files go, and copies it over the old one: what was
    there before is in the WAL or the rollback journal meanwhile.
    """
    size = path.stat().st_size
    needed = Counter({path.parent: size + size // 8})
    needed[_temporary_folder()] += size
    return needed


def _temporary_folder() -> Path:
    """Return where SQLite puts temporary files: https://sqlite.org/tempfiles.html, Section 5."""
    named = (os.environ.get(name) for name in ("SQLITE_TMPDIR", "TMPDIR"))
    for folder in filter(None, (*named, "/var/tmp", "/usr/tmp", "/tmp")):  # noqa: S108
        if Path(folder).is_dir() and os.access(folder, os.W_OK | os.X_OK):
            return Path(folder)
    return Path.cwd()
