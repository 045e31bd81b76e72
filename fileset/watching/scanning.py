"""What lies in the watched folders: a scan is the truth, and hints say where to look first.

A folder may go, as a share that is not mounted, and come back. One whose changes the system does
not report is polled: scanned again and again.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import define, field

from fileset.adding.ignoring import Ignored
from fileset.errors import RefusedError
from fileset.watching import log
from fileset.watching.folders import Folder
from fileset.watching.hints import FolderWatch, Hints
from fileset.watching.intake import Intake
from fileset.watching.known_files import KnownFile
from fileset.watching.leaving import Leaver
from fileset.watching.listing import Listing, Reach, walk
from fileset.watching.settings import POLL, Settings
from fileset.watching.watcher_status import Status
from ledger.files import stamp_of

_TEND: Final = 2.0  # seconds between two looks whether the folders are still there
_BURST: Final = 500  # hints: the kernel drops some only when many more than that are waiting
_COSTS: Final = 20  # how many times longer than a scan takes it is to the next one
_SURELY_HINTED: Final = 5 * 10**9  # ns after which the hint of a change has come, if any does
_TOGETHER: Final = 500  # files that are looked up at a time


@define(eq=False)
class Scanner:
    """Watches the folders, and tells the intake of what is in them."""

    _settings: Settings
    _status: Status
    _clock: Callable[[], float]
    _intake: Intake
    _leaver: Leaver
    _wake: Callable[[], None]
    _hints: Hints = field(init=False)
    _ignored: Ignored = field(init=False)
    _next_tend: float = field(default=0.0, init=False)

    def __attrs_post_init__(self) -> None:
        """Take hints of the system."""
        self._hints = Hints(self._settings.max_hints, self._wake)
        self._ignored = Ignored(self._settings.ignore)

    @property
    def _folders(self) -> list[Folder]:
        return self._status.folders

    def next_due(self) -> list[float]:
        """Return when there is a folder to look at, of each."""
        present = (folder.next_scan for folder in self._folders if folder.identity is not None)
        return [self._next_tend, *present]

    def close(self) -> None:
        """End the system's watch."""
        for folder in self._folders:
            folder.unwatch()

    # --- the folders -----------------------------------------------------------------------------

    def tend(self) -> None:
        """See whether the folders are there and watched."""
        if self._clock() < self._next_tend:
            return
        self._next_tend = self._clock() + _TEND
        for folder in self._folders:
            identity = folder.look()
            if identity is None:
                if folder.identity is not None or folder.trouble is None:
                    self._leave(folder)
            elif identity != folder.identity or not folder.is_watched:
                self._watch(folder, identity)

    def _leave(self, folder: Folder) -> None:
        """Wait for a folder that is not there: nothing else follows from that."""
        folder.unwatch()
        folder.lock.release()
        folder.identity = None
        folder.trouble = folder.absence
        self._status.failed |= self._settings.once
        self._status.fail("folder away", folder.trouble, folder=folder.path)

    def _watch(self, folder: Folder, identity: tuple[int, int]) -> None:
        """Watch a folder first; the scan that follows finds what came before."""
        has_returned = folder.identity is not None or folder.trouble is not None
        folder.unwatch()
        if has_returned and not self._lock(folder):
            return
        settings = self._settings
        folder.find_network()
        folder.polled = settings.once or settings.poll is not None or folder.network is not None
        if not folder.polled:
            try:
                folder.watch = FolderWatch(folder.path, self._hints)
            except OSError as exc:  # no watches left: fs.inotify.max_user_watches
                folder.polled = True
                self._status.fail("folder polled", log.reason_of(exc), folder=folder.path)
        folder.identity, folder.trouble, folder.scan_seconds = identity, None, 0.0
        folder.next_scan = self._clock()
        log.info("folder watched", folder=folder.path, state=folder.state, type=folder.network)

    def _lock(self, folder: Folder) -> bool:
        """Lock a folder that has returned; return whether that could be done."""
        try:
            folder.lock.acquire()
        except (RefusedError, OSError) as exc:
            is_others = isinstance(exc, RefusedError)
            reason = "another watcher has it" if is_others else log.reason_of(exc)
            if folder.trouble != reason:
                self._status.fail("folder not watched", reason, folder=folder.path)
            folder.identity, folder.trouble = None, reason
            return False
        return True

    # --- hints -----------------------------------------------------------------------------------

    def follow_hints(self) -> None:
        """Look at the files that there are hints of."""
        taken = self._hints.take()
        self._status.overflows += taken.overflown
        for folder in self._folders:
            reach = Reach(folder.path, self._ignored)
            by_place: dict[str, list[str]] = defaultdict(list)
            for path in filter(reach.has_file, taken.files):
                folder.hints += 1
                place, _, name = path.rpartition("/")
                by_place[place].append(name)
            for place, names in by_place.items():
                for start in range(0, len(names), _TOGETHER):
                    self._look_at(folder, place, names[start : start + _TOGETHER])
            # A new folder may hold what came before it was watched.
            is_new = any(map(reach.has_folder, taken.folders))
            if is_new or taken.overflown or folder.hints > _BURST or reach.is_unsure:
                folder.scan_soon(self._clock())

    def _look_at(self, folder: Folder, place: str, names: Sequence[str]) -> None:
        """Look at some files in the folder `place` that were hinted at."""
        known = self._leaver.known.of_names(place, names)
        gone: list[str] = []
        for name in names:
            path = f"{place}/{name}"
            try:
                stamp = stamp_of(path)
            except OSError:
                continue  # a scan comes by it again
            if stamp is None:
                self._intake.forget(path)
                self._leaver.release(path)
                gone.append(path)
            elif (done := known.get(name)) is None or done.stamp != stamp.packed():
                is_new = self._intake.see(path, stamp)
                if is_new:
                    self._leaver.release(path)
                elif is_new is None:
                    folder.has_more = True
                    folder.next_scan = min(folder.next_scan, self._clock() + POLL)
        if gone and folder.look() is not None:
            self._leaver.known.forget(gone)

    # --- scans -----------------------------------------------------------------------------------

    def scan_due(self) -> None:
        """Scan the folders whose time has come."""
        for folder in self._folders:
            if folder.identity is not None and folder.next_scan <= self._clock():
                self._scan(folder)
        status = self._status
        present = [folder for folder in self._folders if folder.identity is not None]
        if not status.ready and all(folder.scan_seconds for folder in present):
            status.ready = True
            log.info("ready", pending=len(self._intake.settling), seconds=status.scan_seconds)

    def _scan(self, folder: Folder) -> None:
        """Look at everything in a folder: what this finds is what there is."""
        self._leaver.known.refresh()
        self._leaver.follows_journal()
        begun = self._clock()
        scan = _Scan(folder, self._intake, self._leaver, self._status)
        try:
            scan.run(self._ignored)
        except OSError as exc:
            scan.fail(exc)
            self._next_tend = 0.0
        self._take_note(folder, scan)
        took = max(self._clock() - begun, 1e-6)
        folder.scan_seconds = self._status.scan_seconds = took
        self._status.scans += 1
        every = (self._settings.poll or POLL) if folder.polled else self._settings.rescan
        if folder.trouble is not None or folder.has_more:
            every = min(every, POLL)
        folder.next_scan = self._clock() + max(every, took * _COSTS)
        log.debug("scanned", folder=folder.path, seconds=took)

    def _take_note(self, folder: Folder, scan: _Scan) -> None:
        """Remember what a scan found besides files, and poll a folder that needs it."""
        trouble, before = scan.trouble, folder.trouble
        was_hinted = folder.scan_seconds and folder.hints <= _BURST
        was_hinted = was_hinted and not (folder.has_more or folder.polled)
        folder.hints, folder.trouble, folder.has_more = 0, trouble, scan.has_more
        if trouble is not None:
            self._status.failed |= self._settings.once
            if trouble != before:
                self._status.fail(
                    "look failed", trouble, folder=folder.path, folders=scan.unreadable
                )
        if before is not None and trouble is None:
            # What could not be looked at could not be watched, either.
            folder.unwatch()
            self._next_tend = 0.0
        elif scan.unhinted and was_hinted:
            # Other machines change the folder, or the threads that listen have died, or there are
            # more folders in it than can be watched.
            folder.polled = True
            self._status.fail("folder polled", "changes are not told of", folder=folder.path)


@define(eq=False)
class _Scan:
    """One scan of a folder, and what it found besides files.

    `trouble` is what could not be looked at, in `unreadable` places; `has_more` whether files had
    to be left for a later scan; `unhinted` how many new files there was no hint of.
    """

    _folder: Folder
    _intake: Intake
    _leaver: Leaver
    _status: Status
    trouble: str | None = None
    unreadable: int = 0
    has_more: bool = False
    unhinted: int = 0
    _surely_hinted: int = field(factory=lambda: time.time_ns() - _SURELY_HINTED)

    def fail(self, exc: OSError) -> None:
        """Report a folder that can't be looked at."""
        self.trouble = log.reason_of(exc)
        self.unreadable += 1

    def run(self, ignored: Ignored) -> None:
        """Look at everything; OSError if the watched folder itself can't be read."""
        known = self._leaver.known
        sweep = known.sweep(self._folder.path)
        for listing in walk(self._folder.path, ignored):
            if self._status.stopping:
                return
            if listing.error is not None:
                self.fail(listing.error)
                log.debug("can't look", path=listing.folder, reason=self.trouble)
            done = known.of_names(listing.folder, listing.files)
            sweep.meet(listing.folder, done)
            self._see(listing, done)
        if self.trouble is None and not self._status.stopping:
            sweep.end()

    def _see(self, listing: Listing, done: Mapping[str, KnownFile]) -> None:
        prefix = os.path.join(listing.folder, "")
        for name, stamp in listing.files.items():
            path, known = prefix + name, done.get(name)
            if known is None or known.stamp != stamp.packed():
                is_new = self._intake.see(path, stamp)
                self.has_more |= is_new is None
                if is_new:
                    self._leaver.release(path)
                    # Of a new status alone, as after chmod, nothing tells.
                    self.unhinted += known is None and stamp.ctime_ns < self._surely_hinted
            elif known.owed:
                self._leaver.owe(path, stamp)
