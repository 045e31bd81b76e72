"""Sending audit messages: at least once, in the journal's order, and in nobody's way."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from fileset.audit.cursors import HeldCursor
from fileset.audit.destination import DeliveryError, Destination
from fileset.audit.message import AuditMessage
from fileset.audit.trail import audit_messages
from fileset.repository.repository import Repository
from fileset.repository.store import open_journal
from ledger.errors import LedgerError

_BATCH: Final = 100  # messages after which the cursor moves; those of one change stay together
_POLL: Final = 2.0  # seconds between two looks at the journal
_LONGEST_PAUSE: Final = 60.0  # seconds between two attempts


class Sender:
    """Sends what a journal has after a cursor to a destination.

    The cursor moves when messages were delivered, so one that is killed at any time sends some of
    them again, and loses none. Of the repository it only reads. `say` is called with what people
    should know.
    """

    def __init__(
        self,
        destination: Destination,
        cursor: HeldCursor,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._destination, self._cursor, self._say = destination, cursor, say
        self.sent = 0
        """How many messages were delivered."""

    def send(self, repository: Repository) -> None:
        """Send all that there is; DeliveryError if that fails, which the cursor remembers."""
        if (why := self._cursor.resume(repository.journal)) is not None:
            self._say(why)
        batch: list[AuditMessage] = []
        last = after = self._cursor.now.position
        for change, messages in audit_messages(repository, after):
            batch += messages
            last = change.last
            if len(batch) >= _BATCH:
                self._deliver(repository, batch, last)
                batch = []
        if batch or last > self._cursor.now.position or self._cursor.now.error:
            self._deliver(repository, batch, last)

    def _deliver(self, repository: Repository, batch: list[AuditMessage], last: int) -> None:
        try:
            if batch:
                self._destination.deliver(batch)
        except DeliveryError as exc:
            self._cursor.save(error=str(exc))
            raise
        self._cursor.move(repository.journal, last, len(batch))
        self.sent += len(batch)

    def follow(self, path: Path, sleep: Callable[[float], object] = time.sleep) -> None:
        """Send what the repository in the folder `path` has and what comes, without end.

        It is opened whenever there is something to send, so that a journal which was recovered in
        the meantime is seen. After a failure it tries again, first after a second and at last every
        minute.
        """
        pause, failure = 1.0, ""
        while True:
            try:
                if self._is_behind(path):
                    with closing(Repository.open(path)) as repository:
                        self.send(repository)
            except (LedgerError, OSError) as exc:
                if str(exc) != failure:
                    failure = str(exc)
                    self._say(f"{failure} It is tried again.")
                with suppress(OSError):
                    self._cursor.save(error=failure)
                sleep(pause)
                pause = min(2 * pause, _LONGEST_PAUSE)
                continue
            if failure:
                self._say(f"{self._destination.name} has got everything.")
            pause, failure = 1.0, ""
            sleep(_POLL)

    def _is_behind(self, path: Path) -> bool:
        now = self._cursor.now
        with closing(open_journal(path)) as journal:
            return now.error is not None or not now.is_at_end(journal)
