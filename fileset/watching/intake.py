"""Files on their way in: settling, read for their study, waiting with it, or being retried.

All that is remembered of a file is where it is, and what it looked like when. None of this is
needed to go on after a kill: the first look at the folders finds it again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import define, field

from fileset.watching import log
from fileset.watching.account import Refusal
from fileset.watching.folders import folder_of
from fileset.watching.ingesting import Ingester
from fileset.watching.settings import Settings
from fileset.watching.settling import FailedAttempt, Observation, Retries, Settling, delays
from fileset.watching.studies import Studies, StudyKey
from fileset.watching.unfinished import is_being_written
from fileset.watching.watcher_status import Status
from ledger.errors import InstanceError, TemporaryFolderError
from ledger.files import FileStamp, stamp_of

_SLICE: Final = 0.5  # seconds of reading after which other things get a turn
_PUT_OFF: Final = 60.0  # seconds until there may be room again
_CHANGING_ONCE: Final = 300.0  # seconds for others to complete a file, where there is an end


@define(eq=False)
class Intake:
    """The files that were seen and are not taken, and what is to happen to each next.

    With `once`, those that others go on writing are left in the end, as are those that can't be
    read for a fault of the system.
    """

    _settings: Settings
    _status: Status
    _clock: Callable[[], float]
    _ingester: Ingester
    settling: Settling = field(init=False)
    retries: Retries = field(init=False)
    studies: Studies = field(init=False)
    _given_up: list[FailedAttempt] = field(factory=list, init=False)
    _left_over: dict[str, Observation] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        """Begin with nothing."""
        settings = self._settings
        self.settling = Settling(settings.settle)
        self.retries = Retries(delays(settings.settle, settings.tries, once=settings.once))
        self.studies = Studies(settings.quiet, settings.max_study)

    @property
    def is_empty(self) -> bool:
        """Whether all files are taken or given up."""
        return not (self._count or self._given_up)

    @property
    def _count(self) -> int:
        return len(self.settling) + len(self.studies) + len(self.retries)

    @property
    def at_once(self) -> bool:
        """Whether studies need not be quiet: all that there will be is known."""
        return self._settings.once and not len(self.settling)

    def next_due(self) -> list[float]:
        """Return when there is something to do, of each kind."""
        dues = (
            self.settling.next_due(),
            self.retries.next_due(),
            self.studies.next_due(at_once=self.at_once),
        )
        return [due for due in dues if due is not None]

    def count(self) -> None:
        """Write into the status how many files are where."""
        status = self._status
        status.settling = len(self.settling) + len(self._left_over)
        status.retrying = len(self.retries) + len(self._given_up)
        status.waiting, status.studies_waiting = len(self.studies), self.studies.count
        firsts = [self.settling.oldest(), self.studies.oldest(), self.retries.oldest()]
        first = min((each for each in firsts if each is not None), default=None)
        status.lag = 0.0 if first is None else self._clock() - first

    # --- what is seen ----------------------------------------------------------------------------

    def see(self, path: str, stamp: FileStamp) -> bool | None:
        """Remember a file as it is now; return whether it is a new one.

        `None`: there is no room for it, and it has to be met again later.
        """
        if path in self._left_over:
            return False
        attempt = self.retries.get(path)
        known = self.studies.get(path) or (attempt.file if attempt else None)
        if known is not None:
            if known.stamp != stamp:  # it is the same file all along, and counted once
                self.studies.forget(path)
                self.retries.forget(path)
                self.settling.see(path, stamp, self._clock(), known.first)
            return False
        if self._count >= self._settings.max_pending and path not in self.settling:
            return None
        is_new = self.settling.see(path, stamp, self._clock())
        self._status.seen += is_new
        return is_new

    def forget(self, path: str) -> None:
        """Forget a file that is gone."""
        is_left_over = self._left_over.pop(path, None) is not None
        pending = self.studies.get(path) or self.retries.get(path) or path in self.settling
        self._status.vanished += bool(pending or is_left_over)
        self.settling.forget(path)
        self.studies.forget(path)
        self.retries.forget(path)

    def settle_again(self, file: Observation, stamp: FileStamp) -> None:
        """Let a file settle again that others are writing; where there is an end, not for ever."""
        if self._settings.once and self._clock() - file.first >= _CHANGING_ONCE:
            self._leave(file, "another program is writing it")
        else:
            self.settling.see_again(file, stamp, self._clock())

    def _leave(self, file: Observation, reason: str) -> None:
        """Leave a file for another time, since there is an end."""
        self._left_over[file.path] = file
        self._status.failed = True
        self._status.fail("file left", reason)
        log.debug("file left", path=file.path)

    def is_unchanged(self, file: Observation) -> bool:
        """Whether a file is as it was; if not, it settles again or is let go of."""
        try:
            stamp = stamp_of(file.path)
        except OSError as exc:
            self.refuse(file, Refusal.unread(exc), 0)
            return False
        if stamp == file.stamp:
            return True
        if stamp is None:
            self._status.vanished += 1
        else:
            self.settle_again(file, stamp)
        return False

    def _is_closed(self, file: Observation) -> bool:
        """Whether no program has the file open for writing; if one has, it settles again."""
        try:
            if not is_being_written(file.path):
                return True
        except FileNotFoundError:
            self._status.vanished += 1
            return False
        self.settle_again(file, file.stamp)
        return False

    # --- reading ---------------------------------------------------------------------------------

    def read_settled(self) -> None:
        """Read the files that have settled, for a while."""
        end = self._clock() + _SLICE
        for file in self.settling.take_due(self._clock()):
            if self.is_unchanged(file) and self._is_closed(file):
                self._read(file, 0)
            if self._status.stopping or self._clock() >= end:
                break

    def read_again(self) -> None:
        """Read the files that could not be taken and are to be tried again."""
        for attempt in self.retries.take_due(self._clock()):
            if self._status.stopping:
                self.retries.postpone(attempt, attempt.due)
                continue
            if not self.is_unchanged(attempt.file):
                continue
            if attempt.tried >= self._settings.tries or attempt.outcome == "conflicting":
                self._given_up.append(attempt)  # which could not be put aside the last time
            elif self._is_closed(attempt.file):
                self._read(attempt.file, attempt.tried)

    def _read(self, file: Observation, tried: int) -> None:
        """Find out to which study a settled file belongs."""
        try:
            uid = self._ingester.study_of(file)
        except InstanceError as exc:
            refusal = Refusal.of(exc)
        except OSError as exc:
            refusal = Refusal.unread(exc)
        except TemporaryFolderError as exc:
            self._put_off(file, tried, log.reason_of(exc))
            return
        except Exception as exc:  # noqa: BLE001 - no file may end the watch
            refusal = Refusal("rejected", f"can't be read: {type(exc).__name__}")
        else:
            if self.is_unchanged(file):
                folder = folder_of(file.path, self._status.folders)
                key = StudyKey(folder.path, uid)
                self.studies.arrive(key, file._replace(tried=tried), self._clock())
            return
        if self.is_unchanged(file):
            self.refuse(file, refusal, tried)

    def _put_off(self, file: Observation, tried: int, reason: str) -> None:
        """Read a file again later, as often as it takes: the fault is the system's, not its own."""
        if self._settings.once:
            self._leave(file, reason)
            return
        self._status.keep_failing("reading failed", reason)
        attempt = FailedAttempt(file, tried, "rejected", reason, self._clock())
        self.retries.postpone(attempt, attempt.due + _PUT_OFF)

    def refuse(self, file: Observation, refusal: Refusal, tried: int) -> None:
        """Try a file again later that could not be taken, if it was not `tried` too often."""
        log.debug("not taken", path=file.path, outcome=refusal.outcome, reason=refusal.reason)
        attempt = self.retries.fail(file, *refusal, self._clock(), tried)
        if attempt is not None:
            self._given_up.append(attempt)

    def take_given_up(self) -> list[FailedAttempt]:
        """Return, and let go of, what is to go into the quarantine."""
        given_up, self._given_up = self._given_up, []
        return given_up
