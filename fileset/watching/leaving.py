"""What becomes of source files once the journal has recorded them: kept, deleted or moved."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from attrs import define, field

from fileset.watching import log
from fileset.watching.delete_or_move import delete, move
from fileset.watching.folders import Folder, folder_of
from fileset.watching.host import HostState
from fileset.watching.ingesting import Ingester
from fileset.watching.intake import Intake
from fileset.watching.known_files import KnownFiles
from fileset.watching.settings import After, Settings
from fileset.watching.settling import Observation
from fileset.watching.watcher_status import Status
from ledger.digest import Digest
from ledger.files import FileStamp, stamp_of

_LATER: Final = 30.0  # seconds until a source that could not be removed is tried again
_LATEST: Final = 3600.0  # seconds, the longest such wait


class _Removal(NamedTuple):
    """A source that is to be deleted or moved: as it was, when, and how long after a failure."""

    stamp: FileStamp
    due: float = 0.0
    wait: float = _LATER

    def later(self, now: float) -> _Removal:
        return _Removal(self.stamp, now + self.wait, min(self.wait * 2, _LATEST))


@define(eq=False)
class Leaver:
    """Remembers files that were dealt with, and removes those that are not to be kept."""

    _settings: Settings
    _status: Status
    _clock: Callable[[], float]
    _host: HostState
    _ingester: Ingester
    _intake: Intake
    _known: KnownFiles | None = field(default=None, init=False)
    _removals: dict[str, _Removal] = field(factory=dict, init=False)

    def open(self) -> None:
        """Open the memory of files, if it isn't; sqlite3.Error or OSError if it can't be."""
        if self._known is None:
            self._known = self._host.known_files()

    @property
    def known(self) -> KnownFiles:
        """The files that were dealt with."""
        assert self._known is not None  # noqa: S101 - whoever uses it has opened it
        return self._known

    def close(self) -> None:
        """Close the memory of files."""
        if self._known is not None:
            self._known.close()

    def count(self) -> None:
        """Write into the status how many sources are to be removed yet."""
        self._status.owed = len(self._removals)
        if not any(removal.due for removal in self._removals.values()):
            self._status.recovered("sources not removed")

    def owe(self, path: str, stamp: FileStamp) -> None:
        """Remove a file later that an earlier run has taken."""
        self._removals.setdefault(path, _Removal(stamp))

    def release(self, path: str) -> None:
        """Give up removing a file: it is gone, or another one by now."""
        self._removals.pop(path, None)

    def follows_journal(self) -> bool:
        """Whether what is known of files is what the journal says; if that lost events, forget it.

        Then all files are read again, and nothing becomes of those that it has no event of.
        """
        mark = self.known.mark
        try:
            goes_on = mark is None or self._ingester.goes_on_from(mark)
        except log.FAILURES as exc:
            self._status.keep_failing("journal not read", log.reason_of(exc))
            return False
        self._status.recovered("journal not read")
        if goes_on:
            return True
        log.warning("all is read again", why="the journal has lost events since")
        self.known.begin_anew()
        self._removals.clear()
        self._ingester.close()
        for folder in self._status.folders:
            folder.scan_soon(self._clock())
        return False

    def leave(
        self,
        folder: Folder,
        files: Sequence[Observation],
        contents: Mapping[str, Digest] | None = None,
    ) -> None:
        """Keep, delete or move files whose event is durable."""
        is_owed = self._settings.after is not After.KEEP
        self.remember(folder, files, is_owed=is_owed, contents=contents)
        if is_owed:
            for file in files:
                self._removals[file.path] = _Removal(file.stamp)
            self.remove_due()

    def remember(
        self,
        folder: Folder,
        files: Sequence[Observation],
        *,
        is_owed: bool = False,
        contents: Mapping[str, Digest] | None = None,
    ) -> None:
        """Remember files as they are; `is_owed` if they are to be removed yet."""
        if not files:
            return
        try:
            self.known.remember(
                [(file.path, file.stamp) for file in files],
                owed=is_owed,
                root=folder.path,
                contents=contents,
                mark=self._ingester.mark(),
            )
        except log.FAILURES as exc:  # they are read again after a restart, and known then
            self._status.keep_failing("not remembered", log.reason_of(exc))
        else:
            self._status.recovered("not remembered")

    def remove_due(self) -> None:
        """Delete or move what was taken."""
        now = self._clock()
        due = {path: removal for path, removal in self._removals.items() if removal.due <= now}
        if not due:
            return
        if not self.follows_journal():
            self._postpone(due, now)
            return
        failed: dict[str, OSError] = {}
        for path, removal in due.items():
            try:
                self._remove(path, removal.stamp)
            except OSError as exc:
                failed[path] = exc
                log.debug("source not removed", path=path, reason=log.reason_of(exc))
            else:
                del self._removals[path]
        if failed:
            self._postpone({path: due[path] for path in failed}, now)
            reason = log.reason_of(next(iter(failed.values())))
            self._status.keep_failing("sources not removed", reason, files=len(failed))
            self._status.failed |= self._settings.once
        if done := due.keys() - failed.keys():
            self.known.forget(done)

    def _postpone(self, removals: Mapping[str, _Removal], now: float) -> None:
        for path, removal in removals.items():
            if path in self._removals:
                self._removals[path] = removal.later(now)

    def _remove(self, path: str, stamp: FileStamp) -> None:
        """Delete or move a file that is as `stamp`; another one by now is taken anew."""
        settings = self._settings
        if settings.after is After.KEEP:  # owed by an earlier run that was told otherwise
            return
        try:
            if settings.move_to is not None:
                root = folder_of(path, self._status.folders).path
                is_gone = move(path, stamp, root, settings.move_to)
            else:
                is_gone = delete(path, stamp)
        except FileNotFoundError:
            return
        if not is_gone and (found := stamp_of(path)) is not None:
            self._intake.see(path, found)
