"""What is left of a journal: whether it is whole, and what still holds its events."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path
from typing import Final, Self

from fileset.repository.folder import PASSING
from ledger.errors import JournalDamagedError, JournalError, LedgerError, UnknownFormatError
from ledger.events import FileSetCreated, FileSetImported
from ledger.journal import codec
from ledger.journal.chain import verify_journal
from ledger.journal.protocol import Journal
from ledger.journal.sqlite import SqliteJournal
from ledger.salvage.histories import events_at
from ledger.salvage.proof import Proof, prove
from ledger.salvage.witnesses import (
    ExportedJournal,
    SalvagedDatabase,
    SalvagedEvent,
    last_position,
    roll_back,
)
from projections.state.fold import fold

LOGS: Final = ("-wal", "-journal")
"""How the names of the logs end that SQLite has beside a database."""

_DATABASE: Final = "the damaged journal"


def journal_damage(path: Path) -> str | None:
    """Return what is wrong with the journal at `path`, `None` if it is whole."""
    if not path.is_file():
        return f"There is no journal at {path}."
    with ExitStack() as stack:
        copy = path
        if logs_of(path):  # opened for reading alone, SQLite could not play them back
            copy = stack.enter_context(_rolled_back(path, path.parent))
        try:
            journal = stack.enter_context(closing(SqliteJournal(copy, read_only=True)))
            verify_journal(journal)
            journal.check()
        except JournalError as exc:
            if isinstance(exc, JournalDamagedError) or _is_unreadable(exc.__cause__):
                return str(exc).replace(str(copy), str(path))
            raise
        try:
            fold(journal.read())
        except UnknownFormatError:
            return None  # it is whole; only a newer version can fold it
        except JournalDamagedError as exc:
            return str(exc).replace(str(copy), str(path))
    return None


def _is_unreadable(cause: BaseException | None) -> bool:
    code = getattr(cause, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_IOERR


def logs_of(path: Path) -> list[Path]:
    """Return the logs beside the database at `path` that hold anything."""
    logs = [path.with_name(f"{path.name}{end}") for end in LOGS]
    return [log for log in logs if log.is_file() and log.stat().st_size]


@contextmanager
def _rolled_back(path: Path, within: Path) -> Iterator[Path]:
    """Yield a copy of the database at `path` with its logs played back; it goes with the block."""
    with tempfile.TemporaryDirectory(prefix=PASSING, dir=within) as folder:
        for each in (path, *logs_of(path)):
            shutil.copyfile(each, Path(folder, each.name))
        copy = Path(folder, path.name)
        roll_back(copy)
        yield copy


class Evidence:
    """What holds a journal's events: what is left of its database, and exported journals."""

    def __init__(self, database: Path, exports: Sequence[ExportedJournal], within: Path) -> None:
        """Look through the file `database`, if there is one; a copy of it lies in `within`."""
        self.exports = exports
        self.databases: list[SalvagedDatabase] = []
        self._database = database
        with ExitStack() as stack:
            if database.is_file():
                if logs_of(database):
                    self._database = stack.enter_context(_rolled_back(database, within))
                for path in dict.fromkeys((self._database, database)):
                    salvaged = SalvagedDatabase(path, _DATABASE)
                    self.databases.append(stack.enter_context(salvaged))
            self._stack = stack.pop_all()

    def __enter__(self) -> Self:
        """Return itself, to be closed at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._stack.close()

    def ids(self) -> list[str]:
        """Return the ids that the database may have."""
        return list(dict.fromkeys(id_ for each in self.databases for id_ in each.ids))

    def prove(self, journal_id: str) -> Proof:
        """Return what all of it proves of the journal with an id; the database's can be damaged."""
        of_it = (each for each in self.exports if each.journal_id == journal_id)
        return prove(journal_id, [*self.databases, *of_it])

    def has_events_of(self, journal_id: str) -> bool:
        """Whether the database's own events follow from an id."""
        return prove(journal_id, self.databases).last > 0

    def known(self, journal: Journal) -> int:
        """Return the last position of `journal` whose event the database holds, 0 if none is.

        So the database had all up to there: its hash covers what came before.
        """
        known = 0
        for stored in journal.stored():
            found = (each.hash for one in self.databases for each in one.events(stored.position))
            if stored.hash in found:
                known = stored.position
        return known

    def end(self) -> int | None:
        """Return where the database ends, by what leads to its last event."""
        return last_position(self._database) if self.databases else None

    def first_event(self) -> FileSetCreated | None:
        """Return a File-set like the one that began the journal, if its first event is there."""
        for database in self.databases:
            for found in database.events(1):
                with suppress(LedgerError):
                    event = codec.decode(found.type, found.version, found.payload)
                    if isinstance(event, FileSetCreated | FileSetImported):
                        return FileSetCreated(uid=event.uid, id=event.id)
        return None

    def beyond(self, position: int) -> Iterator[tuple[int, SalvagedEvent]]:
        """Yield what the database holds of events beyond `position`, each with its position."""
        for each in sorted({at for one in self.databases for at in one.positions(position)}):
            found: dict[bytes, SalvagedEvent] = {}
            for event in events_at(each, self.databases):
                found.setdefault(event.hash, event)
            yield from ((each, event) for event in found.values())
