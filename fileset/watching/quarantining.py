"""Putting files that can't be taken into the quarantine, and recording that."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from attrs import define, field

from fileset.quarantine.quarantine import Quarantine, Quarantined, SourceChangedError
from fileset.watching import log
from fileset.watching.account import MISMATCHED, UNCOERCED
from fileset.watching.folders import Folder, folder_of
from fileset.watching.ingesting import Ingester
from fileset.watching.intake import Intake
from fileset.watching.leaving import Leaver
from fileset.watching.settings import After, Settings
from fileset.watching.settling import FailedAttempt, Observation
from fileset.watching.watcher_status import Status
from ledger.files import file_content, stamp_of

_LATER: Final = 30.0  # seconds until what the disk was in the way of is tried again
_RECORDED: Final = frozenset(("conflicting", MISMATCHED, UNCOERCED))
"""What adding has recorded already."""

_TRIES_ONCE: Final = 5  # where there is no end of trying otherwise


@define(eq=False)
class Quarantiner:
    """Puts files into the quarantine, and takes out what is outdated."""

    _settings: Settings
    _status: Status
    _clock: Callable[[], float]
    _quarantine: Quarantine
    _ingester: Ingester
    _intake: Intake
    _leaver: Leaver
    _failures: int = field(default=0, init=False)  # times that it could not be written

    def put_aside_given_up(self) -> None:
        """Put aside what was given up since the last time, as one change for each folder."""
        self.put_aside(self._intake.take_given_up())

    def put_aside(self, attempts: Sequence[FailedAttempt]) -> None:
        """Put files into the quarantine, record that, and then do with them as with others."""
        kept: list[tuple[FailedAttempt, Quarantined]] = []
        for attempt in attempts:
            if attempt.outcome == "rejected" and self._is_in_file_set(attempt.file):
                self._status.duplicates += 1
                self._leaver.leave(self._folder_of(attempt), [attempt.file])
            elif (entry := self._keep(attempt)) is not None:
                kept.append((attempt, entry))
        for folder in self._status.folders if kept else ():
            self._record(folder, [each for each in kept if self._folder_of(each[0]) is folder])

    def _folder_of(self, attempt: FailedAttempt) -> Folder:
        return folder_of(attempt.file.path, self._status.folders)

    def _is_in_file_set(self, file: Observation) -> bool:
        """Whether the File-set has a file that can't be taken: it was added in another way."""
        try:
            return self._ingester.has(file_content(file.path).digest)
        except log.FAILURES:
            return False

    def _keep(self, attempt: FailedAttempt) -> Quarantined | None:
        """Copy a file into the quarantine; if that can't be now, see to it that it is later."""
        file = attempt.file
        try:
            entry = self._quarantine.keep(
                file.path,
                file.stamp,
                folder=self._folder_of(attempt).path,
                outcome=attempt.outcome,
                reason=attempt.reason,
                tries=attempt.tried,
                sop_instance_uid=attempt.sop_instance_uid,
            )
        except SourceChangedError:
            if (found := stamp_of(file.path)) is not None:
                self._intake.settling.see_again(file, found, self._clock())
            else:
                self._status.vanished += 1
        except log.FAILURES as exc:
            self._status.keep_failing("quarantine failed", log.reason_of(exc))
            self._failures += 1
            if self._settings.once and self._failures >= _TRIES_ONCE:
                self._status.give_up()
            self._postpone([attempt])
        else:
            self._status.recovered("quarantine failed")
            return entry
        return None

    def _postpone(self, attempts: Iterable[FailedAttempt]) -> None:
        for attempt in attempts:
            self._intake.retries.postpone(attempt, self._clock() + _LATER)

    def _record(self, folder: Folder, kept: Sequence[tuple[FailedAttempt, Quarantined]]) -> None:
        """Record that files of `folder` were put aside, and leave their sources."""
        new = [(attempt, entry) for attempt, entry in kept if not entry.recorded]
        unrecorded: set[str] = set()
        try:
            unrecorded = self._withhold(folder, new)
            # Of what adding has refused there is an event already.
            rejected = [
                attempt
                for attempt, entry in new
                if attempt.outcome not in _RECORDED and not entry.is_withheld
            ]
            if rejected:
                self._ingester.record_rejections(
                    folder.path,
                    folder.origin,
                    [(attempt.file.path, attempt.reason) for attempt in rejected],
                )
            # Somebody may have dropped one just now; its source is there still.
            unrecorded |= {
                entry.id
                for _, entry in new
                if entry.id not in unrecorded and not self._quarantine.record(entry)
            }
            if new:
                self._status.recovered("rejection not recorded")
        except Exception as exc:  # noqa: BLE001 - as for any commit
            self._status.keep_failing("rejection not recorded", log.reason_of(exc))
            self._ingester.close()
            unrecorded = {entry.id for _, entry in new}
        self._postpone(attempt for attempt, entry in new if entry.id in unrecorded)
        kept = [(attempt, entry) for attempt, entry in kept if entry.id not in unrecorded]
        for attempt, entry in kept:
            if entry.is_withheld:
                self._status.taken_back += 1
            else:
                self._status.quarantined += 1
            log.warning("quarantined", id=entry.id, outcome=attempt.outcome, tries=attempt.tried)
        # What could not be copied is left alone.
        self._leaver.remember(folder, [each.file for each, entry in kept if entry.digest is None])
        copied = [(each.file, entry) for each, entry in kept if entry.digest is not None]
        # Should the instance be erased, a file that is touched must not come for a new one.
        contents = {
            file.path: entry.content.digest
            for file, entry in copied
            if self._settings.after is After.KEEP
            and entry.content is not None
            and (entry.is_withheld or entry.outcome == "conflicting")
        }
        self._leaver.leave(folder, [file for file, _ in copied], contents)

    def _withhold(
        self, folder: Folder, new: Sequence[tuple[FailedAttempt, Quarantined]]
    ) -> set[str]:
        """Record what is withheld; return the ids of what is not any more, which is dropped."""
        withheld = [
            (attempt.file.path, entry.sop_instance_uid or "", content, entry)
            for attempt, entry in new
            if entry.is_withheld and (content := entry.content) is not None
        ]
        if not withheld:
            return set()
        done = self._ingester.record_withheld(
            folder.path, folder.origin, [each[:3] for each in withheld]
        )
        taken = [each[3] for each, was in zip(withheld, done, strict=True) if not was]
        for entry in taken:
            self._quarantine.drop(entry)
        return {entry.id for entry in taken}

    def drop_outdated(self, files: Iterable[Observation]) -> None:
        """Take out of the quarantine what came of files that were not complete then."""
        for file in files:
            for entry in self._quarantine.outdated_by(file.path):
                with suppress(OSError):
                    self._quarantine.drop(entry)
                    log.info("quarantine outdated", id=entry.id, why="the file is complete now")
