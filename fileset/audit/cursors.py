"""How far each destination has got the audit messages of a journal.

One small file for each is in the folder `audit` of the repository. It tells no more than positions,
and can be deleted: everything is then sent once more.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from attrs import asdict, frozen

from fileset.errors import RefusedError
from fileset.repository.file_lock import FileLock
from ledger.disk import make_folders, replace_file
from ledger.events import JournalRecovered
from ledger.files import naming, read_start
from ledger.journal.clocks import timestamp, utc_now
from ledger.journal.protocol import Journal, decoded

_FOLDER: Final = "audit"
_MOST: Final = 1 << 16  # bytes of a file that are read: what we write is far shorter
_PATIENCE: Final = 1.0  # seconds


@frozen
class Cursor:
    """How far a destination is.

    Attributes
    ----------
    destination : str
        Its name.
    journal, position, hash : str, int, str
        The id of the journal, the last position that it was told of, and the hash there in hex.
    sent : int
        How many messages it has got so far, those that came twice included.
    updated : str or None
        When that was last known, in UTC.
    error : str or None
        Why the last attempt failed, if it did.
    """

    destination: str
    journal: str = ""
    position: int = 0
    hash: str = ""
    sent: int = 0
    updated: str | None = None
    error: str | None = None

    def is_at_end(self, journal: Journal) -> bool:
        """Whether the destination was told of all that the journal has."""
        head = journal.head()
        return (self.journal, self.position, self.hash) == (
            journal.id,
            head.position,
            head.hash.hex(),
        )

    def is_in(self, journal: Journal) -> bool:
        """Whether the journal still is what the destination was told of."""
        found = journal.hash_at(self.position)
        return self.journal == journal.id and found is not None and found.hex() == self.hash


class Cursors:
    """The cursors of the repository in the folder `repository`."""

    def __init__(self, repository: Path) -> None:
        self._folder = repository / _FOLDER

    def __iter__(self) -> Iterator[Cursor]:
        """Yield them all, by the names of the destinations."""
        found = (_read(path) for path in self._folder.glob("*.json"))
        yield from sorted((each for each in found if each), key=lambda each: each.destination)

    @contextmanager
    def alone(self, destination: str) -> Iterator[HeldCursor]:
        """Keep other senders from the destination; RefusedError if there is one."""
        make_folders(self._folder)
        self._folder.chmod(0o700)
        path = self._folder / f"{sha256(destination.encode()).hexdigest()[:16]}.json"
        lock = FileLock(held := path.with_suffix(".lock"))
        with naming(held):
            is_ours = lock.acquire(_PATIENCE)
        if not is_ours:
            raise RefusedError(
                f"Audit messages are being sent to {destination} already: one sender is enough."
            )
        try:
            yield HeldCursor(path, _read(path) or Cursor(destination))
        finally:
            with naming(held):
                lock.release()


class HeldCursor:
    """A cursor that nobody else moves, in the file at `path`."""

    def __init__(self, path: Path, cursor: Cursor) -> None:
        self._path = path
        self.now = cursor

    def save(self, **changes: Any) -> None:
        """Change it, durably; OSError if that fails."""
        self.now = Cursor(**asdict(self.now) | {"updated": timestamp(utc_now), **changes})
        replace_file(self._path, json.dumps(asdict(self.now), indent=1).encode("utf-8"))

    def resume(self, journal: Journal) -> str | None:
        """Go back to where the journal still is what was told of; return why, if that is elsewhere.

        A recovery may have replaced what came after some position.
        """
        at = self.now
        if at.is_in(journal):
            return None
        if not at.journal:
            self.move(journal, 0)
            return None
        if at.journal != journal.id:
            self.move(journal, 0)
            return "The journal is another one than before: all of it is sent."
        base = min(_bases(journal), default=0)
        self.move(journal, min(base, at.position))
        return (
            f"The journal no longer has what was sent as position {at.position}: it was recovered, "
            f"and everything after position {self.now.position} is sent, perhaps once more."
        )

    def move(self, journal: Journal, position: int, sent: int = 0) -> None:
        """Take in that the destination was told of everything up to `position`, by `sent` more."""
        self.save(
            journal=journal.id,
            position=position,
            hash=(journal.hash_at(position) or b"").hex(),
            sent=self.now.sent + sent,
            error=None,
        )


def _bases(journal: Journal) -> Iterator[int]:
    """Yield the positions after which recoveries have lost events."""
    for stored in journal.stored():
        if stored.type == JournalRecovered.TYPE:
            event = decoded(stored)
            if isinstance(event, JournalRecovered):
                yield event.base


def _read(path: Path) -> Cursor | None:
    """Return the cursor in a file, `None` if there is none or it is damaged."""
    try:
        held = json.loads(read_start(path, _MOST))
        cursor = Cursor(**held)
        types = (str, str, int, str, int, str | None, str | None)
        values = asdict(cursor, recurse=False).values()
        whole = all(isinstance(each, type_) for each, type_ in zip(values, types, strict=True))
    except (OSError, ValueError, TypeError, RecursionError):
        return None
    return cursor if whole and cursor.position >= 0 else None
