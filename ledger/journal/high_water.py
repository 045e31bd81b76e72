"""The highest position that this host has seen of a journal on a server, and the hash there.

A server that failed over to one which lagged behind, or that was restored from a backup, has lost
what was recorded last, and its hash chain is whole none the less. Who has seen more knows.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

from ledger.errors import JournalDamagedError
from ledger.files import read_file, write_regular
from ledger.journal.entries import Head


class HighWater:
    """The highest head that was seen of the journal with the id `journal_id`.

    In the folder `kept_in`, if there is one, it outlives the object: in a file that is named for
    the journal, and that nothing depends on but this.
    """

    def __init__(self, journal_id: str, kept_in: Path | None = None) -> None:
        self._path = kept_in / f"seen-{journal_id}.json" if kept_in else None
        self.head = Head(0, b"")
        with suppress(OSError, ValueError, KeyError, TypeError):  # as if nothing had been seen
            if self._path is not None:
                seen = json.loads(read_file(self._path))
                self.head = Head(int(seen["position"]), bytes.fromhex(seen["hash"]))

    def check(self, name: str, hash_there: bytes | None) -> None:
        """Raise JournalDamagedError unless the journal called `name` has what was seen.

        `hash_there` is what it has at that position, `None` for nothing.
        """
        if self.head.position and hash_there != self.head.hash:
            hint = f" If the loss is accepted, delete {self._path}." if self._path else ""
            raise JournalDamagedError(
                f"{name} has lost changes: this host has seen its position {self.head.position}, "
                "and the server no longer has that event. It was restored from a backup, or "
                "failed over to a server that lagged behind: let its administrator look for "
                f"what is missing.{hint}",
                position=self.head.position,
            )

    def rise(self, head: Head) -> None:
        """Remember `head` if it is higher than what was seen before."""
        if head.position <= self.head.position:
            return
        self.head = head
        if self._path is not None:
            body = {"position": head.position, "hash": head.hash.hex()}
            with suppress(OSError):  # it only guards
                write_regular(self._path, json.dumps(body).encode("ascii"))
