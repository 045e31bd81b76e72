"""Committing studies: which are due, one change for each, and what follows for its files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import define, field

from fileset.watching import log
from fileset.watching.account import Account, Committed
from fileset.watching.folders import Folder
from fileset.watching.ingesting import Ingester
from fileset.watching.intake import Intake
from fileset.watching.leaving import Leaver
from fileset.watching.publishing import Publisher
from fileset.watching.quarantining import Quarantiner
from fileset.watching.settings import Settings
from fileset.watching.settling import FailedAttempt
from fileset.watching.studies import Study
from fileset.watching.watcher_status import Status, now

_TRIES_ONCE: Final = 5  # of committing a study, where there is no end of trying otherwise
_BEHIND: Final = 120.0  # seconds for which files that are to be read may hold back changes


@define(eq=False)
class Committer:
    """Commits the studies of the intake when they are due."""

    _settings: Settings
    _status: Status
    _clock: Callable[[], float]
    _ingester: Ingester
    _intake: Intake
    _leaver: Leaver
    _quarantiner: Quarantiner
    _publisher: Publisher
    _behind_since: float | None = field(default=None, init=False)

    def commit_due(self) -> None:
        """Commit what is due, until something fails."""
        self._tell_recovery()
        at_once, full = self._intake.at_once, self._is_behind()
        while due := self._intake.studies.take_due(self._clock(), at_once=at_once, full=full):
            for number, study in enumerate(due):
                if self._status.stopping:
                    self._intake.studies.put_back(due[number:])
                    return
                if not self._commit(study):
                    # Others may have the repository: the next one would wait for them as well.
                    self._intake.studies.put_back(due[number + 1 :])
                    return
                self._status.last_turn = now()
                self._publisher.tell()

    def _tell_recovery(self) -> None:
        if not self._intake.studies.is_any_failing:
            self._status.recovered("commit failed")

    def _is_behind(self) -> bool:
        """Whether files have settled that are not read yet: of studies that seem quiet, maybe."""
        due = self._intake.settling.next_due()
        if due is None or due > self._clock():
            self._behind_since = None
            return False
        if self._behind_since is None:
            self._behind_since = self._clock()
        elif self._clock() - self._behind_since > max(_BEHIND, 2 * self._settings.quiet):
            self._behind_since = None
            return False
        return len(self._intake.studies) < self._settings.max_pending // 2

    def _commit(self, study: Study) -> bool:
        """Commit a study, or put it back; return whether that went well."""
        folder = next(each for each in self._status.folders if each.path == study.key.folder)
        try:
            had = self._leaver.known.had
            committed, account = self._ingester.commit(study, folder.origin, had)
        except Exception as exc:  # noqa: BLE001 - nothing is lost: it is tried again
            self._status.keep_failing("commit failed", log.reason_of(exc), files=len(study.files))
            log.LOGGER.debug("commit failed", exc_info=True)
            self._ingester.close()
            if self._settings.once and study.tried + 1 >= _TRIES_ONCE:
                self._status.give_up()
            self._intake.studies.postpone(study, self._clock(), min(60.0, 2.0**study.tried))
            return False
        self._tell_recovery()
        self._count(committed)
        self._status.taken_back += committed.taken_back - len(account.withheld)
        self._status.mismatched += committed.mismatched
        self._status.faulty += committed.faulty
        self._follow_up(folder, account)
        self._publisher.announce(committed)
        return True

    def _count(self, committed: Committed) -> None:
        status = self._status
        status.ingested += committed.added
        status.duplicates += committed.already_there
        if committed.change is not None:
            status.changes += 1
            status.late += committed.late
            status.last_change_at = now()

    def _follow_up(self, folder: Folder, account: Account) -> None:
        """Do with each file what follows from what became of it."""
        intake, leaver, quarantiner = self._intake, self._leaver, self._quarantiner
        quarantiner.drop_outdated([*account.settled, *account.referenced])
        leaver.leave(folder, account.settled, account.contents)
        leaver.remember(folder, account.referenced, contents=account.contents)
        for file in account.changed:
            if intake.is_unchanged(file):
                intake.settle_again(file, file.stamp)
        for file, refusal in account.failed:
            if intake.is_unchanged(file):
                intake.refuse(file, refusal, file.tried)
        quarantiner.put_aside_given_up()
        quarantiner.put_aside(
            [FailedAttempt(file, 1, *refusal, 0.0) for file, refusal in account.conflicts]
        )
        # If one can't be put aside now, it is read again, and looked up again whether it is
        # withheld: somebody may have taken it meanwhile.
        quarantiner.put_aside(
            [FailedAttempt(file, 0, *refusal, 0.0, uid) for file, refusal, uid in account.withheld]
        )
