"""The highest position that this host has seen of a journal on a server, and the hash there.

A server that failed over to one which lagged behind, or that was restored from a backup, has lost
what was recorded last, and its hash chain is whole none the less. Who has seen more knows.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock
from typing import Final

from ledger.disk import replace_file
from ledger.errors import JournalDamagedError
from ledger.files import read_file
from ledger.journal.entries import Head

_ID: Final = re.compile(r"[0-9a-f]{1,64}", re.ASCII)
_NOTHING: Final = Head(0, b"")


class HighWater:
    """The highest head that was seen of the journal with the id `journal_id`.

    In the folder `kept_in`, if there is one, it outlives the object: in a file that is named for
    the journal, and that nothing depends on but this. Several processes may share it.
    JournalDamagedError then if the id is not hexadecimal.
    """

    def __init__(self, journal_id: str, kept_in: Path | None = None) -> None:
        if kept_in and _ID.fullmatch(journal_id) is None:  # the server's word is to be a name here
            raise JournalDamagedError(
                f"{journal_id[:80]!r} is not the id of a journal, which is hexadecimal: what the "
                "server has is damaged, or of somebody else's making."
            )
        self._path = kept_in / f"seen-{journal_id}.json" if kept_in else None
        self._turn = Lock()
        self.head = self._kept()

    def check(self, name: str, seen: Head, hash_there: bytes | None) -> None:
        """Raise JournalDamagedError unless the journal called `name` has `seen`, a head of before.

        `hash_there` is what it has at that position, `None` for nothing.
        """
        if seen.position and hash_there != seen.hash:
            hint = f" If the loss is accepted, delete {self._path}." if self._path else ""
            raise JournalDamagedError(
                f"{name} has lost changes: this host has seen its position {seen.position}, "
                "and the server no longer has that event. It was restored from a backup, or "
                "failed over to a server that lagged behind: let its administrator look for "
                f"what is missing.{hint}",
                position=seen.position,
            )

    def rise(self, head: Head) -> None:
        """Remember `head` if it is higher than what was seen before, also by others."""
        if head.position <= self.head.position:
            return
        with self._alone():
            seen = max(self.head, self._kept(), key=lambda each: each.position)
            if head.position <= seen.position:
                self.head = seen
                return
            self.head = head
            if self._path is not None:
                body = {"position": head.position, "hash": head.hash.hex()}
                with suppress(OSError):  # it only guards
                    replace_file(self._path, json.dumps(body).encode("ascii"), durable=False)

    def _kept(self) -> Head:
        with suppress(OSError, ValueError, KeyError, TypeError):  # as if nothing had been seen
            if self._path is not None:
                seen = json.loads(read_file(self._path))
                return Head(int(seen["position"]), bytes.fromhex(seen["hash"]))
        return _NOTHING

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Have no other thread or process remember anything in the block."""
        with self._turn:
            fd = -1
            if self._path is not None:
                with suppress(OSError):  # no such folder, or a file system without locks
                    fd = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
                    fcntl.flock(fd, fcntl.LOCK_EX)
            try:
                yield
            finally:
                if fd >= 0:
                    os.close(fd)
