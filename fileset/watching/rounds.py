"""The rounds of a watcher: looking, waiting, reading and committing, a step after the other.

Nothing that is kept in mind here is needed to go on after a kill: what was not committed is found
by the first look again, and what was committed is known by its content.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, NamedTuple

from fileset.errors import RefusedError
from fileset.watching import log
from fileset.watching.folders import STATE, Folder
from fileset.watching.hooks import Hooks
from fileset.watching.ignoring import Ignored
from fileset.watching.looking import Hints, Observation, Ways, scan
from fileset.watching.mounts import is_below
from fileset.watching.quarantine import Quarantine, Quarantined, SourceChangedError
from fileset.watching.remembered import Remembered
from fileset.watching.settings import POLL, After, Settings
from fileset.watching.settling import Look, Retries, Settling, Trouble, delays
from fileset.watching.signature import Signature, signature
from fileset.watching.sources import delete, move
from fileset.watching.status import Status, StatusFile, now
from fileset.watching.studies import Studies, Study, StudyKey
from fileset.watching.taking import Account, Committed, Refusal, Taker, refusal_of
from fileset.watching.writers import is_being_written
from ledger.digest import Digest
from ledger.errors import InstanceError, LedgerError
from ledger.files import file_content

OnChange = Callable[[Committed], object]
"""Called, in the watcher's thread, with what was made of each study."""

OnStatus = Callable[[dict[str, Any]], object]
"""Called there with the status document, at most some times a second."""

_TEND: Final = 2.0  # seconds between two looks whether the folders are still there
_SLICE: Final = 0.5  # seconds of reading after which other things get a turn
_BURST: Final = 500  # hints: the kernel drops some only when many more than that are waiting
_COSTS: Final = 20  # how many times longer than a look takes it is to the next one
_SURELY_HINTED: Final = 5 * 10**9  # ns after which the hint of a change has come, if any does
_TOGETHER: Final = 500  # files that are looked up at a time
_TRIES_ONCE: Final = 5  # of committing a study, where there is no end of trying otherwise
_CHANGING_ONCE: Final = 300.0  # seconds for others to complete a file, where there is an end
_PATIENCE: Final = 2.0  # seconds to wait for others who are changing the repository
_BEHIND: Final = 120.0  # seconds for which files that are to be read may hold back changes
_PAUSE: Final = 5.0  # seconds after an error that nobody thought of
_LATEST: Final = 3600.0  # seconds, the longest wait before a source is tried again
_LATER: Final = 30.0  # seconds until what the disk was in the way of is tried again
_TELL: Final = 0.5  # seconds between two accounts to whoever looks on
_TROUBLES: Final = (LedgerError, OSError, sqlite3.Error)


class _Debt(NamedTuple):
    """A source that is to be deleted or moved: as it was, when, and how long after a failure."""

    known: Signature
    due: float = 0.0
    wait: float = _LATER

    def later(self, clock: float) -> _Debt:
        return _Debt(self.known, clock + self.wait, min(self.wait * 2, _LATEST))


class Rounds:
    """What a watcher does, and all that it has in mind; of one thread from :meth:`turn` on."""

    def __init__(
        self,
        repository: Path,
        actor: str | None,
        folders: Sequence[Folder],
        settings: Settings,
        clock: Callable[[], float],
        ring: Callable[[], None],
    ) -> None:
        self.settings = settings
        self.status = Status(folders=list(folders))
        self.failed = False
        """Whether something was given up."""
        self.on_change: OnChange | None = None
        self.on_status: OnStatus | None = None
        self._path = repository
        self._folders = folders
        self._clock = clock
        self._hints = Hints(settings.max_hints, ring)
        self._ignored = Ignored(settings.ignore)
        self._settling = Settling(settings.settle)
        self._retries = Retries(delays(settings.settle, settings.tries))
        self._studies = Studies(settings.quiet, settings.max_study)
        self._owed: dict[str, _Debt] = {}
        self._held: dict[str, Look] = {}  # left alone, with `once`: others have them open
        self._not_aside = 0  # times that the quarantine could not be written
        self._aside: list[Trouble] = []  # to be put into the quarantine at the end of a step
        self._remembered: Remembered | None = None
        self._quarantine = Quarantine(repository)
        self._status_file = StatusFile(repository, folders[0])
        self._taker = Taker(
            repository,
            actor=actor,
            complete=settings.complete,
            keeps=settings.after is After.KEEP,
            patience=None if settings.once else _PATIENCE,
        )
        self._hooks = Hooks(
            settings.on_study, os.fspath(repository), settings.hook_timeout, self._hook_done
        )
        self._stopping = False
        self._behind_since: float | None = None
        self._is_untold = False  # the status could not be written
        self._gave_up = False  # committing, where that has an end
        self._left = 0  # files that a look had to leave for a later one
        self._unreadable = 0  # folders that it could not look at
        self._unhinted = 0  # new files that it found and nothing had told of
        self._next_tend = self._next_tell = self._resume = 0.0
        self._next_status: float | None = 0.0
        # What was committed before a kill may not be written yet.
        self._next_write: float | None = None if settings.write is None else 0.0
        self._last_write = -settings.write_every

    def stop(self) -> None:
        """Have a turn that is going on end soon."""
        self._stopping = True

    @property
    def is_stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping

    @property
    def is_drained(self) -> bool:
        """Whether all there was is taken or was given up.

        What could not be written or deleted is for the next time.
        """
        pending = len(self._settling) or len(self._retries) or len(self._studies) or self._aside
        if self._gave_up:
            return True
        return self.status.ready and not pending and not any(f.has_more for f in self._folders)

    def close(self) -> None:
        """Let go of everything but the locks."""
        self._hooks.close(patient=self.settings.once)
        for folder in self._folders:
            self._unwatch(folder)
        self._update()
        self.status.ended = now()
        with suppress(OSError):
            self._status_file.keep(self.status, self._clock(), at_once=True)
        with suppress(*_TROUBLES):
            self._taker.close()
        if self._remembered is not None:
            self._remembered.close()

    # --- a turn ----------------------------------------------------------------------------------

    def turn(self) -> None:
        """Do all that is due now; no trouble ends it."""
        if self._clock() < self._resume:
            return
        try:
            self._turn()
        except Exception as exc:  # noqa: BLE001 - it is to go on for months, whatever happens
            self._fail("turn failed", log.reason_of(exc))
            log.LOGGER.debug("turn failed", exc_info=True)
            self._resume = self._clock() + _PAUSE
            for folder in self._folders:  # whatever was lost on the way is found again
                folder.next_scan, folder.scan_seconds = self._resume, 0.0
            if self.settings.once:
                self.failed = self._gave_up = True
            with suppress(Exception):
                self._tell()

    def _turn(self) -> None:
        if self._remembered is None:
            self._remembered = Remembered(self._path / STATE / "remembered.sqlite")
        self._tend()
        self._take_hints()
        self._scan_due()
        self._look_again()
        self._try_again()
        self._commit_due()
        self._settle_debts()
        self._write_due()
        self.status.last_turn = now()
        self._tell()

    def next_due(self) -> float:
        """Return when there is something to do, if nothing comes before."""
        at_once = self.settings.once and not len(self._settling)
        dues = [
            self._next_tend,
            None if self._next_status is None else max(self._next_status, self._next_tell),
            self._settling.next_due(),
            self._retries.next_due(),
            self._studies.next_due(at_once=at_once),
            None if self.settings.once else self._next_write,
            *(folder.next_scan for folder in self._folders if folder.identity is not None),
        ]
        return max(self._resume, min(due for due in dues if due is not None))

    def _fail(self, event: str, reason: str, **fields: Any) -> None:
        self.status.fail(event, reason)
        log.warning(event, reason=reason, **fields)

    def _memory(self) -> Remembered:
        assert self._remembered is not None  # noqa: S101 - a turn begins with opening it
        return self._remembered

    # --- the folders -----------------------------------------------------------------------------

    def _tend(self) -> None:
        """See whether the folders are there and watched: a share may go and come back."""
        if self._clock() < self._next_tend:
            return
        self._next_tend = self._clock() + _TEND
        for folder in self._folders:
            identity = folder.look()
            if identity is None:
                if folder.identity is not None or folder.trouble is None:
                    self._leave(folder)
            elif identity != folder.identity or not self._is_watched(folder):
                self._watch(folder, identity)

    def _is_watched(self, folder: Folder) -> bool:
        return folder.polled or (folder.observation is not None and folder.observation.is_alive)

    def _leave(self, folder: Folder) -> None:
        """The folder is not there: nothing follows from that but to wait for it."""
        self._unwatch(folder)
        folder.unlock()
        folder.identity = None
        folder.trouble = folder.absence
        self.failed = self.failed or self.settings.once
        self._fail("folder away", folder.trouble, folder=folder.path)

    def _watch(self, folder: Folder, identity: tuple[int, int]) -> None:
        """Watch the folder first; the look that follows finds what came before."""
        returned = folder.identity is not None or folder.trouble is not None
        self._unwatch(folder)
        if returned:
            try:
                folder.lock()
            except (RefusedError, OSError) as exc:
                told = log.reason_of(exc)
                told = "another watcher has it" if isinstance(exc, RefusedError) else told
                if folder.trouble != told:
                    self._fail("folder not watched", told, folder=folder.path)
                folder.identity, folder.trouble = None, told
                return
        settings = self.settings
        folder.find_network()
        folder.polled = settings.once or settings.poll is not None or folder.network is not None
        if not folder.polled:
            try:
                folder.observation = Observation(folder.path, self._hints)
            except OSError as exc:  # no watches left: fs.inotify.max_user_watches
                folder.polled = True
                self._fail("folder polled", log.reason_of(exc), folder=folder.path)
        folder.identity, folder.trouble, folder.scan_seconds = identity, None, 0.0
        folder.next_scan = self._clock()
        log.info("folder watched", folder=folder.path, state=folder.state, type=folder.network)

    @staticmethod
    def _unwatch(folder: Folder) -> None:
        if folder.observation is not None:
            folder.observation.close()
            folder.observation = None

    def _folder_of(self, path: str) -> Folder | None:
        return next((f for f in self._folders if is_below(path, f.path)), None)

    # --- looking ---------------------------------------------------------------------------------

    def _take_hints(self) -> None:
        taken = self._hints.take()
        ways = {folder.path: Ways(folder.path, self._ignored) for folder in self._folders}
        by_place: dict[str, list[str]] = {}
        for path in taken.files:
            folder = self._folder_of(path)
            if folder is not None and ways[folder.path].lead_to(path):
                folder.hints += 1
                place, _, name = path.rpartition("/")
                by_place.setdefault(place, []).append(name)
        for place, names in by_place.items():
            for start in range(0, len(names), _TOGETHER):
                self._look_at(place, names[start : start + _TOGETHER])
        for path in taken.folders:
            folder = self._folder_of(path)
            if folder is not None and ways[folder.path].lead_into(path):
                self._scan_soon(folder)  # what came before the new folder was watched
        for folder in self._folders:
            if taken.overflown or folder.hints > _BURST or ways[folder.path].is_unsure:
                self._scan_soon(folder)
        self.status.overflows += taken.overflown

    def _look_at(self, place: str, names: Sequence[str]) -> None:
        """Look at some files in the folder `place` that were hinted at."""
        known = self._memory().of_names(place, names)
        clock = self._clock()
        self._left = 0
        gone: list[str] = []
        for name in names:
            path = f"{place}/{name}"
            try:
                found = signature(path)
            except OSError:
                continue  # a look at everything comes by it again
            if found is None:
                self._forget(path)
                gone.append(path)
            elif (done := known.get(name)) is None or done.signature != found.packed():
                self._see(path, found, clock)
        folder = self._folder_of(place)
        if folder is not None and self._left:
            folder.has_more, folder.next_scan = True, min(folder.next_scan, clock + POLL)
        if gone and folder is not None and folder.look() is not None:
            self._memory().forget(gone)

    def _scan_soon(self, folder: Folder) -> None:
        due = self._clock() + max(1.0, folder.scan_seconds * 5)
        folder.next_scan = min(folder.next_scan, due)

    def _scan_due(self) -> None:
        for folder in self._folders:
            if folder.identity is not None and folder.next_scan <= self._clock():
                self._scan(folder)
        present = [folder for folder in self._folders if folder.identity is not None]
        if not self.status.ready and all(folder.scan_seconds for folder in present):
            self.status.ready = True
            log.info("ready", pending=len(self._settling), seconds=self.status.scan_seconds)

    def _scan(self, folder: Folder) -> None:
        """Look at everything in a folder: what this finds is what there is."""
        self._memory().refresh()
        self._is_true()
        begun = self._clock()
        hints, folder.hints = folder.hints, 0
        had_more, had_trouble = folder.has_more, folder.trouble is not None
        self._left = self._unhinted = self._unreadable = 0
        try:
            trouble = self._look(folder, folder.path)
        except OSError as exc:
            trouble = log.reason_of(exc)
            self._unreadable, self._next_tend = 1, 0.0
        if trouble is not None and trouble != folder.trouble:
            self._fail("look failed", trouble, folder=folder.path, folders=self._unreadable)
        self.failed = self.failed or (trouble is not None and self.settings.once)
        folder.trouble, folder.has_more = trouble, self._left > 0
        is_regular = folder.scan_seconds and hints <= _BURST and not (had_more or folder.polled)
        if had_trouble and trouble is None:
            # What could not be looked at could not be watched, either.
            self._unwatch(folder)
            self._next_tend = 0.0
        elif self._unhinted and is_regular:
            # Other machines change the folder, or the threads that listen have died, or there are
            # more folders in it than can be watched.
            folder.polled = True
            self._fail("folder polled", "changes are not told of", folder=folder.path)
        took = max(self._clock() - begun, 1e-6)
        folder.scan_seconds = self.status.scan_seconds = took
        self.status.scans += 1
        every = (self.settings.poll or POLL) if folder.polled else self.settings.rescan
        if trouble is not None or folder.has_more:
            every = min(every, POLL)
        folder.next_scan = self._clock() + max(every, took * _COSTS)
        log.debug("looked", folder=folder.path, seconds=took)

    def _look(self, folder: Folder, top: str) -> str | None:
        """Look at what is in `top` and below; return what was in the way."""
        trouble = None
        memory = self._memory()
        sweep = memory.sweep(folder.path)
        clock = self._clock()
        surely_hinted = time.time_ns() - _SURELY_HINTED
        for listed in scan(top, folder.path, self._ignored):
            if self._stopping:
                break
            if listed.error is not None:
                trouble = log.reason_of(listed.error)
                self._unreadable += 1
                log.debug("can't look", path=listed.folder, reason=trouble)
            known = memory.of_names(listed.folder, listed.files)
            sweep.meet(listed.folder, known)
            prefix = os.path.join(listed.folder, "")
            for name, found in listed.files.items():
                done = known.get(name)
                if done is None or done.signature != found.packed():
                    # Of a new status alone, as after chmod, nothing tells.
                    if self._see(prefix + name, found, clock) and done is None:
                        self._unhinted += found.ctime_ns < surely_hinted
                elif done.owed:
                    self._owed.setdefault(prefix + name, _Debt(found))
        if trouble is None and not self._stopping:
            sweep.end()
        return trouble

    def _is_true(self) -> bool:
        """Whether what is remembered is what the journal says; if that has lost events, forget it.

        Then all files are read again, and nothing becomes of those that it has no event of.
        """
        mark = self._memory().mark
        try:
            if mark is None or self._taker.goes_on_from(mark):
                return True
        except _TROUBLES as exc:
            self._fail("journal not read", log.reason_of(exc))
            return False
        log.warning("all is read again", why="the journal has lost events since")
        self._memory().begin_anew()
        self._owed.clear()
        with suppress(*_TROUBLES):
            self._taker.close()
        for folder in self._folders:
            self._scan_soon(folder)
        return False

    def _see(self, path: str, found: Signature, clock: float) -> bool:
        """Take note of a file as it is now; return whether it is a new one."""
        waiting = self._studies.get(path)
        trouble = self._retries.get(path)
        known = waiting or (trouble.look if trouble else None) or self._held.get(path)
        if known is not None:
            if known.signature == found or path in self._held:
                return False
            # It is the same file all along, and counted once.
            self._studies.forget(path)
            self._retries.forget(path)
            self._settling.see(path, found, clock, known.first)
            return False
        pending = len(self._settling) + len(self._studies) + len(self._retries)
        if pending >= self.settings.max_pending and path not in self._settling:
            self._left += 1
            return False
        self._owed.pop(path, None)
        is_new = self._settling.see(path, found, clock)
        self.status.seen += is_new
        return is_new

    def _forget(self, path: str) -> None:
        """Let go of a file that is no more. Nothing becomes of what was taken of it before."""
        pending = self._studies.get(path) or self._retries.get(path) or path in self._settling
        if pending or path in self._held:
            self.status.vanished += 1
        self._held.pop(path, None)
        self._settling.forget(path)
        self._studies.forget(path)
        self._retries.forget(path)
        self._owed.pop(path, None)

    # --- settling and reading --------------------------------------------------------------------

    def _look_again(self) -> None:
        end = self._clock() + _SLICE
        for look in self._settling.take_due(self._clock()):
            if self._is_still(look, look.signature) and self._is_closed(look):
                self._read(look, 0)
            if self._stopping or self._clock() >= end:
                break
        self._put_aside_together()

    def _is_closed(self, look: Look) -> bool:
        """Whether no program has the file open for writing; if one has, it settles again."""
        try:
            if not is_being_written(look.path):
                return True
        except FileNotFoundError:
            self.status.vanished += 1
            return False
        self._settle_again(look, look.signature)
        return False

    def _settle_again(self, look: Look, found: Signature) -> None:
        """Have a file settle that others are writing; where there is an end, not for ever."""
        if self.settings.once and self._clock() - look.first >= _CHANGING_ONCE:
            self._held[look.path] = look
            self.failed = True
            self._fail("file left", "another program is writing it")
            log.debug("file left", path=look.path)
        else:
            self._settling.see_again(look, found, self._clock())

    def _is_still(self, look: Look, known: Signature) -> bool:
        """Whether the file is as it was; if not, it settles again or is let go of."""
        try:
            found = signature(look.path)
        except OSError as exc:
            self._refuse(look, Refusal("rejected", f"can't be read: {exc.strerror}"), 0)
            return False
        if found == known:
            return True
        if found is None:
            self.status.vanished += 1
        else:
            self._settle_again(look, found)
        return False

    def _read(self, look: Look, before: int) -> None:
        """Find out of which study a file is that has settled."""
        folder = self._folder_of(look.path)
        assert folder is not None  # noqa: S101 - it was met below one
        try:
            uid = self._taker.study_of(look.path)
        except InstanceError as exc:
            refusal = refusal_of(exc)
        except OSError as exc:
            refusal = Refusal("rejected", f"can't be read: {exc.strerror}")
        except Exception as exc:  # noqa: BLE001 - no file may end the watch
            refusal = Refusal("rejected", f"can't be read: {type(exc).__name__}")
        else:
            if self._is_still(look, look.signature):
                read = look._replace(tried=before)
                self._studies.arrive(StudyKey(folder.path, uid), read, self._clock())
            return
        if self._is_still(look, look.signature):
            self._refuse(look, refusal, before)

    def _refuse(self, look: Look, refusal: Refusal, before: int) -> None:
        log.debug("not taken", path=look.path, outcome=refusal.outcome, reason=refusal.reason)
        trouble = self._retries.fail(look, *refusal, self._clock(), before)
        if trouble is not None:
            self._aside.append(trouble)

    def _try_again(self) -> None:
        for trouble in self._retries.take_due(self._clock()):
            if self._stopping:
                self._retries.postpone(trouble, trouble.due)
                continue
            if not self._is_still(trouble.look, trouble.look.signature):
                continue
            if trouble.tried >= self.settings.tries or trouble.outcome == "conflicting":
                self._aside.append(trouble)  # which could not be done the last time
            elif self._is_closed(trouble.look):
                self._read(trouble.look, trouble.tried)
        self._put_aside_together()

    def _put_aside_together(self) -> None:
        """Put what was given up since the last time into the quarantine, as one change."""
        if self._aside:
            troubles, self._aside = self._aside, []
            self._put_aside(troubles)

    # --- committing ------------------------------------------------------------------------------

    def _commit_due(self) -> None:
        at_once = self.settings.once and not len(self._settling)
        full = self._is_behind()
        while due := self._studies.take_due(self._clock(), at_once=at_once, full=full):
            for number, study in enumerate(due):
                if self._stopping:
                    self._studies.leave(due[number:])
                    return
                if not self._commit(study):
                    # Others may have the repository: the next one would wait for them as well.
                    self._studies.leave(due[number + 1 :])
                    return
                self.status.last_turn = now()
                self._tell()

    def _is_behind(self) -> bool:
        """Whether files have settled that are not read yet: of studies that seem quiet, maybe."""
        due = self._settling.next_due()
        if due is None or due > self._clock():
            self._behind_since = None
            return False
        if self._behind_since is None:
            self._behind_since = self._clock()
        elif self._clock() - self._behind_since > max(_BEHIND, 2 * self.settings.quiet):
            self._behind_since = None
            return False
        return len(self._studies) < self.settings.max_pending // 2

    def _commit(self, study: Study) -> bool:
        """Commit a study, or put it back; return whether that went well."""
        folder = next(folder for folder in self._folders if folder.path == study.key.folder)
        try:
            account = self._taker.commit(study, f"watch:{folder.name}", self._memory().had)
        except Exception as exc:  # noqa: BLE001 - nothing is lost: it is tried again
            self._fail("commit failed", log.reason_of(exc), files=len(study.files))
            log.LOGGER.debug("commit failed", exc_info=True)
            with suppress(*_TROUBLES):
                self._taker.close()
            if self.settings.once and study.tried + 1 >= _TRIES_ONCE:
                self.failed = self._gave_up = True
            wait = min(60.0, 2.0**study.tried)
            self._studies.put_back(study, self._clock(), wait)
            return False
        self._account_for(folder, account)
        return True

    def _account_for(self, folder: Folder, account: Account) -> None:
        status, committed = self.status, account.committed
        assert committed is not None  # noqa: S101 - a commit that ends gives an account
        status.ingested += committed.added
        status.duplicates += committed.already_there
        status.taken_back += committed.taken_back
        self._drop_outdated([*account.settled, *account.referenced])
        self._dispose(folder, account.settled, account.contents)
        self._remember(folder, account.referenced, contents=account.contents)
        for look in account.changed:
            if self._is_still(look, look.signature):
                self._settle_again(look, look.signature)
        for look, refusal in account.failed:
            if self._is_still(look, look.signature):
                self._refuse(look, refusal, look.tried)
        self._put_aside_together()
        self._put_aside([Trouble(look, 1, *why, 0.0) for look, why in account.conflicts])
        if committed.change is not None:
            status.changes += 1
            status.late += committed.late
            status.last_change_at = now()
        self._announce(committed)

    def _announce(self, committed: Committed) -> None:
        """Tell everybody of a change, and have it written."""
        log.info(
            "committed",
            change=committed.change,
            folder=committed.folder,
            added=committed.added,
            already_there=committed.already_there,
            taken_back=committed.taken_back,
            conflicting=committed.conflicting,
            late=committed.late,
        )
        if committed.taken_back:
            log.warning(
                "not added again",
                files=committed.taken_back,
                why="ingested from there before, and undone or removed since",
                how="`fileset add FILE` adds it all the same",
            )
        log.debug("study committed", change=committed.change, study=committed.study)
        if committed.added:
            if self.settings.write is not None and self._next_write is None:
                self._next_write = max(self._clock(), self._last_write + self.settings.write_every)
            if self.settings.on_study:
                self._hooks.call(committed)
        if self.on_change is not None:
            self._call(self.on_change, committed)

    def _drop_outdated(self, looks: Sequence[Look]) -> None:
        """Take out of the quarantine what came of files that were not complete then."""
        for look in looks:
            for entry in self._quarantine.outdated_by(look.path):
                with suppress(OSError):
                    self._quarantine.drop(entry)
                    log.info("quarantine outdated", id=entry.id, why="the file is complete now")

    def _call(self, callback: Callable[[Any], object], value: object) -> None:
        try:
            callback(value)
        except Exception as exc:  # noqa: BLE001 - the caller's own affair
            self._fail("callback failed", type(exc).__name__)
            log.LOGGER.debug("callback failed", exc_info=True)

    def _hook_done(self, went_well: bool) -> None:
        self.status.hooks += 1
        self.status.hooks_failed += not went_well

    # --- what becomes of the sources -------------------------------------------------------------

    def _dispose(
        self,
        folder: Folder,
        looks: Sequence[Look],
        contents: Mapping[str, Digest] | None = None,
    ) -> None:
        """Keep, delete or move files whose event is durable."""
        owed = self.settings.after is not After.KEEP
        self._remember(folder, looks, owed=owed, contents=contents)
        if owed:
            for look in looks:
                self._owed[look.path] = _Debt(look.signature)
            self._settle_debts()

    def _remember(
        self,
        folder: Folder,
        looks: Sequence[Look],
        *,
        owed: bool = False,
        contents: Mapping[str, Digest] | None = None,
    ) -> None:
        if not looks:
            return
        try:
            self._memory().remember(
                [(look.path, look.signature) for look in looks],
                owed=owed,
                root=folder.path,
                contents=contents,
                mark=self._taker.mark(),
            )
        except _TROUBLES as exc:  # it is read again after a restart, and known then
            self._fail("not remembered", log.reason_of(exc))

    def _settle_debts(self) -> None:
        """Delete or move what was taken."""
        clock = self._clock()
        done: list[str] = []
        failed: list[OSError] = []
        due = {path: debt for path, debt in self._owed.items() if debt.due <= clock}
        if due and not self._is_true():
            for path, debt in due.items():
                if path in self._owed:
                    self._owed[path] = debt.later(clock)
            return
        for path, debt in due.items():
            folder = self._folder_of(path)
            try:
                gone = folder is None or self._remove(path, debt.known, folder)
            except FileNotFoundError:
                gone = True
            except OSError as exc:
                self._owed[path] = debt.later(clock)
                failed.append(exc)
                log.debug("source not removed", path=path, reason=log.reason_of(exc))
                continue
            del self._owed[path]
            done.append(path)
            if not gone and (found := signature(path)) is not None:
                self._see(path, found, clock)  # it is another file by now
        if failed:
            self._fail("sources not removed", log.reason_of(failed[0]), files=len(failed))
            self.failed = self.failed or self.settings.once
        if done:
            self._memory().forget(done)

    def _remove(self, path: str, known: Signature, folder: Folder) -> bool:
        if self.settings.after is After.KEEP:  # owed by an earlier run that was told otherwise
            return True
        if self.settings.move_to is not None:
            return move(path, known, folder.path, self.settings.move_to)
        return delete(path, known)

    def _put_aside(self, troubles: Sequence[Trouble]) -> None:
        """Put files into the quarantine, record that, and then do with them as with others."""
        kept: list[tuple[Trouble, Folder, Quarantined]] = []
        for trouble in troubles:
            look = trouble.look
            folder = self._folder_of(look.path)
            assert folder is not None  # noqa: S101 - it was met below one
            if trouble.outcome == "rejected" and self._is_there(look):
                self.status.duplicates += 1
                self._dispose(folder, [look])
                continue
            try:
                entry = self._quarantine.keep(
                    look.path,
                    look.signature,
                    folder=folder.path,
                    outcome=trouble.outcome,
                    reason=trouble.reason,
                    tries=trouble.tried,
                )
            except SourceChangedError:
                if (found := signature(look.path)) is not None:
                    self._settling.see_again(look, found, self._clock())
                else:
                    self.status.vanished += 1
                continue
            except _TROUBLES as exc:
                self._fail("quarantine failed", log.reason_of(exc))
                self._not_aside += 1
                if self.settings.once and self._not_aside >= _TRIES_ONCE:
                    self.failed = self._gave_up = True
                self._retries.postpone(trouble, self._clock() + _LATER)
                continue
            kept.append((trouble, folder, entry))
        for folder in self._folders:
            self._record(folder, [(trouble, entry) for trouble, at, entry in kept if at is folder])

    def _is_there(self, look: Look) -> bool:
        """Whether the File-set has a file that can't be taken: it was added in another way."""
        try:
            return self._taker.has(file_content(look.path).digest)
        except _TROUBLES:
            return False

    def _record(self, folder: Folder, kept: Sequence[tuple[Trouble, Quarantined]]) -> None:
        new = [(trouble, entry) for trouble, entry in kept if not entry.recorded]
        # Of a conflict there is an event already.
        told = [trouble for trouble, _ in new if trouble.outcome != "conflicting"]
        try:
            if told:
                self._taker.record_rejections(
                    folder.path,
                    f"watch:{folder.name}",
                    [(trouble.look.path, trouble.reason) for trouble in told],
                )
            dropped = {entry.id for _, entry in new if not self._quarantine.record(entry)}
        except Exception as exc:  # noqa: BLE001 - as for any commit
            self._fail("rejection not recorded", log.reason_of(exc))
            with suppress(*_TROUBLES):
                self._taker.close()
            for trouble, _ in new:
                self._retries.postpone(trouble, self._clock() + _LATER)
            kept = [(trouble, entry) for trouble, entry in kept if entry.recorded]
        else:
            for trouble, entry in new:
                if entry.id in dropped:  # by somebody, just now; the source is there still
                    self._retries.postpone(trouble, self._clock() + _LATER)
            kept = [(trouble, entry) for trouble, entry in kept if entry.id not in dropped]
        for trouble, entry in kept:
            self.status.quarantined += 1
            log.warning("quarantined", id=entry.id, outcome=trouble.outcome, tries=trouble.tried)
        # What could not be copied is left alone.
        unread = [trouble.look for trouble, entry in kept if entry.digest is None]
        self._remember(folder, unread)
        self._dispose(folder, [trouble.look for trouble, entry in kept if entry.digest is not None])

    # --- writing and telling ---------------------------------------------------------------------

    def _write_due(self) -> None:
        root = self.settings.write
        if root is None or self._next_write is None:
            return
        if self.settings.once:
            # It is written at the end, once.
            if not self.is_drained:
                return
        elif self._next_write > self._clock():
            return
        try:
            file_set = self._taker.file_set()
            file_set.refresh()
            if file_set.is_staged and (len(file_set) or file_set.path is not None):
                file_set.write(None if file_set.path is not None else root)
                self.status.writes += 1
                log.info("written", instances=len(file_set))
        except Exception as exc:  # noqa: BLE001 - a stick that was pulled out comes back
            self._fail("write failed", log.reason_of(exc))
            log.LOGGER.debug("write failed", exc_info=True)
            with suppress(*_TROUBLES):
                self._taker.close()
            self._next_write = self._clock() + max(_LATER, self.settings.write_every)
            self.failed = self.failed or self.settings.once
        else:
            self._last_write, self._next_write = self._clock(), None

    def _tell(self) -> None:
        clock = self._clock()
        if clock < self._next_tell:
            return
        self._next_tell = clock + _TELL
        self._update()
        try:
            self._next_status = self._status_file.keep(self.status, clock)
            self._is_untold = False
        except OSError as exc:  # as on a full disk: the log and the metrics tell of it
            if not self._is_untold:
                self._is_untold = True
                self._fail("status not written", log.reason_of(exc))
            self._next_status = clock + 10.0
        if self.on_status is not None:
            self._call(self.on_status, self.status.document())

    def _update(self) -> None:
        status = self.status
        status.settling = len(self._settling) + len(self._held)
        status.retrying = len(self._retries) + len(self._aside)
        status.waiting, status.studies_waiting = len(self._studies), self._studies.count
        status.owed = len(self._owed)
        firsts = [self._settling.oldest(), self._studies.oldest(), self._retries.oldest()]
        first = min((each for each in firsts if each is not None), default=None)
        status.lag = 0.0 if first is None else self._clock() - first
