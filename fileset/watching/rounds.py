"""The rounds of a watcher: its parts do what is due, one after another."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from fileset.watching import log
from fileset.watching.committing import Committer
from fileset.watching.folders import Folder
from fileset.watching.hooks import STOPPED, Hooks
from fileset.watching.host import HostState
from fileset.watching.ingesting import Ingester
from fileset.watching.intake import Intake
from fileset.watching.leaving import Leaver
from fileset.watching.publishing import Publisher
from fileset.watching.quarantining import Quarantiner
from fileset.watching.scanning import Scanner
from fileset.watching.settings import After, Settings
from fileset.watching.watcher_status import Status, now

_PATIENCE: Final = 2.0  # seconds to wait for others who are changing the repository
_PAUSE: Final = 5.0  # seconds after an error that nobody thought of


class Rounds:
    """The parts of a watcher of `folders`; of one thread from `turn` on.

    `wake` ends the wait for the next turn.
    """

    def __init__(
        self,
        repository: Path,
        host: HostState,
        actor: str | None,
        folders: list[Folder],
        settings: Settings,
        clock: Callable[[], float],
        wake: Callable[[], None],
    ) -> None:
        self.status = status = Status(folders=folders)
        self._settings = settings
        self._clock = clock
        self._resume = 0.0
        self._ingester = Ingester(
            repository,
            actor=actor,
            complete=settings.complete,
            reject_mismatched=settings.reject_mismatched,
            coerce=settings.coerce,
            keeps=settings.after is After.KEEP,
            patience=None if settings.once else _PATIENCE,
        )
        hooks = Hooks(
            settings.on_study, os.fspath(repository), settings.hook_timeout, self._hook_done
        )
        shared = settings, status, clock
        self.intake = Intake(*shared, self._ingester)
        self._leaver = Leaver(*shared, host, self._ingester, self.intake)
        self._scanner = Scanner(*shared, self.intake, self._leaver, wake)
        on_way = self._ingester, self.intake, self._leaver
        self._quarantiner = Quarantiner(*shared, host.quarantine, *on_way)
        status_file = host.status_file(folders[0])
        self.publisher = Publisher(*shared, self._ingester, status_file, hooks, self._count)
        self._committer = Committer(*shared, *on_way, self._quarantiner, self.publisher)

    @property
    def is_drained(self) -> bool:
        """Whether all there was is taken or was given up.

        What could not be written or deleted is for the next time.
        """
        status = self.status
        if status.gave_up:
            return True
        has_more = any(folder.has_more for folder in status.folders)
        return status.ready and self.intake.is_empty and not has_more

    def close(self) -> None:
        """Let go of everything but the locks."""
        self.publisher.close()
        self._scanner.close()
        self._ingester.close()
        self._leaver.close()

    def turn(self) -> None:
        """Do all that is due now; no trouble ends it."""
        if self._clock() < self._resume:
            return
        try:
            self._turn()
        except Exception as exc:  # noqa: BLE001 - it is to go on for months, whatever happens
            self.status.keep_failing("turn failed", log.reason_of(exc))
            log.LOGGER.debug("turn failed", exc_info=True)
            self._resume = self._clock() + _PAUSE
            for folder in self.status.folders:  # whatever was lost on the way is found again
                folder.next_scan, folder.scan_seconds = self._resume, 0.0
            if self._settings.once:
                self.status.give_up()
            with suppress(Exception):
                self.publisher.tell()

    def _turn(self) -> None:
        self._leaver.open()
        self._scanner.tend()
        self._scanner.follow_hints()
        self._scanner.scan_due()
        self.intake.read_settled()
        self._quarantiner.put_aside_given_up()
        self.intake.read_again()
        self._quarantiner.put_aside_given_up()
        self._committer.commit_due()
        self._leaver.remove_due()
        if self.is_drained or not self._settings.once:
            self.publisher.write_due()
        self.status.recovered("turn failed")
        self.status.last_turn = now()
        self.publisher.tell()

    def next_due(self) -> float:
        """Return when there is something to do, if nothing comes before."""
        parts = (self._scanner, self.intake, self.publisher)
        return max(self._resume, min(due for part in parts for due in part.next_due()))

    def _count(self) -> None:
        self.intake.count()
        self._leaver.count()
        if not len(self.intake.retries):
            self.status.recovered("reading failed")
            self.status.recovered("quarantine failed")
            self.status.recovered("rejection not recorded")
        if self.status.hook_trouble is None:
            self.status.recovered("hook failed")
        else:
            self.status.still_failing("hook failed", self.status.hook_trouble)

    def _hook_done(self, trouble: str | None) -> None:
        self.status.hooks += 1
        self.status.hooks_failed += trouble is not None
        if trouble != STOPPED:
            self.status.hook_trouble = trouble
