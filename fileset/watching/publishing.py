"""Publishing: each change, by a write of the medium, and the watcher's status."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from attrs import define, field

from fileset.watching import log
from fileset.watching.account import Committed
from fileset.watching.hooks import Hooks
from fileset.watching.ingesting import Ingester
from fileset.watching.settings import Settings
from fileset.watching.watcher_status import Status, StatusFile, now

OnChange = Callable[[Committed], object]
"""Called, in the watcher's thread, with what was made of each study."""

OnStatus = Callable[[dict[str, Any]], object]
"""Called there with the status document, at most some times a second."""

_TELL: Final = 0.5  # seconds between two accounts to whoever looks on
_UNTOLD: Final = 10.0  # seconds until a status that could not be written is written again
_LATER: Final = 30.0  # seconds until a write that failed is tried again


@define(eq=False)
class Publisher:
    """Tells programs, callbacks and the status file, and writes the medium."""

    _settings: Settings
    _status: Status
    _clock: Callable[[], float]
    _ingester: Ingester
    _status_file: StatusFile
    _hooks: Hooks
    _count: Callable[[], None]
    on_change: OnChange | None = None
    on_status: OnStatus | None = None
    _is_untold: bool = field(default=False, init=False)  # the status could not be written
    _next_tell: float = field(default=0.0, init=False)
    _next_status: float = field(default=0.0, init=False)
    _next_write: float | None = field(init=False)
    _last_write: float = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Write the medium at once: what was committed before a kill may not be on it."""
        self._next_write = None if self._settings.write is None else 0.0
        self._last_write = -self._settings.write_every

    def next_due(self) -> list[float]:
        """Return when there is something to tell or to write."""
        dues = [max(self._next_status, self._next_tell)]
        if self._next_write is not None and not self._settings.once:
            dues.append(self._next_write)
        return dues

    def announce(self, committed: Committed) -> None:
        """Announce a change to everybody, and write it to the medium."""
        log.info(
            "committed",
            change=committed.change,
            folder=committed.folder,
            added=committed.added,
            already_there=committed.already_there,
            taken_back=committed.taken_back,
            conflicting=committed.conflicting,
            mismatched=committed.mismatched,
            faulty=committed.faulty,
            coerced=committed.coerced,
            late=committed.late,
        )
        if committed.mismatched:
            log.warning(
                "may be of another person",
                files=committed.mismatched,
                why="others with the Patient ID have another name, birth date, sex or issuer",
                how="`fileset status` shows them, `fileset settle PatientID=...` accepts them",
            )
        if committed.faulty:
            log.warning(
                "added with errors",
                files=committed.faulty,
                why="a study of two patients, a series of two studies, or a false transfer syntax",
                how="`fileset status` shows the first two, `fileset verify ROOT` all of them",
            )
        if committed.taken_back:
            log.warning(
                "not added again",
                files=committed.taken_back,
                why="the instances were undone, removed or erased before",
                how="`fileset quarantine retry ID` or `fileset add FILE` adds it all the same",
            )
        log.debug("study committed", change=committed.change, study=committed.study)
        if committed.added:
            if self._settings.write is not None and self._next_write is None:
                self._next_write = max(self._clock(), self._last_write + self._settings.write_every)
            self._hooks.call(committed)
        if self.on_change is not None:
            self._call(self.on_change, committed)

    def write_due(self) -> None:
        """Write the medium, if its time has come."""
        root, settings = self._settings.write, self._settings
        if root is None or self._next_write is None:
            return
        if self._next_write > self._clock() and not settings.once:  # which asks for it at the end
            return
        try:
            self._write(root)
        except Exception as exc:  # noqa: BLE001 - a stick that was pulled out comes back
            self._status.keep_failing("write failed", log.reason_of(exc))
            log.LOGGER.debug("write failed", exc_info=True)
            self._ingester.close()
            self._next_write = self._clock() + max(_LATER, settings.write_every)
            self._status.failed |= settings.once
        else:
            self._last_write, self._next_write = self._clock(), None
            self._status.recovered("write failed")

    def _write(self, root: Path) -> None:
        file_set = self._ingester.file_set()
        file_set.refresh()
        if file_set.is_staged and (len(file_set) or file_set.path is not None):
            path = file_set.path
            is_known = path is not None and file_set.repository.roots.knows(path)
            file_set.write(None if is_known else root)
            self._status.writes += 1
            log.info("written", instances=len(file_set))

    def tell(self) -> None:
        """Tell how the watcher is, unless that was just done."""
        clock = self._clock()
        if clock < self._next_tell:
            return
        self._next_tell = clock + _TELL
        self._count()
        try:
            self._status.recovered("status not written")
            self._next_status = self._status_file.keep(self._status, clock)
            self._is_untold = False
        except OSError as exc:  # as on a full disk: the log and the metrics tell of it
            if not self._is_untold:
                self._is_untold = True
                self._status.keep_failing("status not written", log.reason_of(exc))
            self._next_status = clock + _UNTOLD
        if self.on_status is not None:
            self._call(self.on_status, self._status.document())

    def close(self) -> None:
        """Wait for the programs, and tell that the watcher has ended."""
        self._hooks.close(is_hurried=self._is_hurried)
        self._count()
        self._status.ended = now()
        with suppress(OSError):
            self._status_file.keep(self._status, self._clock(), at_once=True)

    def _is_hurried(self) -> bool:
        """Whether the programs are not to be waited for: the watcher is to stop."""
        return self._status.stopping

    def _call(self, callback: Callable[[Any], object], value: object) -> None:
        try:
            callback(value)
        except Exception as exc:  # noqa: BLE001 - the caller's own affair
            self._status.fail("callback failed", type(exc).__name__)
            log.LOGGER.debug("callback failed", exc_info=True)
