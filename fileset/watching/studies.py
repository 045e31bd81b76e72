"""Grouping what has arrived into changes, one for each study; pure.

Times are seconds of one clock that only goes forward; the caller gives them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from attrs import define, field

from fileset.watching.settling import Observation

_TIMES: Final = 10
_LONGEST: Final = 600.0  # seconds


class StudyKey(NamedTuple):
    """The watched folder and the Study Instance UID, empty for instances of no study."""

    folder: str
    uid: str


@define
class Study:
    """What has arrived of a study and is not committed yet.

    `begun` is when the first came, `last` when the newest did, `tried` how often committing it
    failed, and `due` when that is to be tried again.
    """

    key: StudyKey
    begun: float
    last: float
    files: dict[str, Observation] = field(factory=dict)
    tried: int = 0
    due: float = 0.0


class Studies:
    """Studies that wait until nothing more of them arrives for `quiet` seconds, or are full.

    A study whose files keep arriving waits ten times as long, and at least ten minutes.
    """

    def __init__(self, quiet: float, limit: int) -> None:
        self._quiet = quiet
        self._longest = max(_TIMES * quiet, _LONGEST)
        self._limit = limit
        self._studies: dict[StudyKey, Study] = {}
        self._homes: dict[str, StudyKey] = {}

    def __len__(self) -> int:
        """Return how many files wait."""
        return len(self._homes)

    @property
    def count(self) -> int:
        """How many studies wait."""
        return len(self._studies)

    @property
    def is_any_failing(self) -> bool:
        """Whether one waits that could not be committed."""
        return any(study.tried for study in self._studies.values())

    def get(self, path: str) -> Observation | None:
        """Return the file at `path` as it waits."""
        key = self._homes.get(path)
        return None if key is None else self._studies[key].files[path]

    def arrive(self, key: StudyKey, file: Observation, now: float) -> None:
        """Remember that a file of the study has arrived."""
        self.forget(file.path)
        study = self._studies.get(key)
        if study is None:
            study = self._studies[key] = Study(key, now, now)
        study.last = now
        study.files[file.path] = file
        self._homes[file.path] = key

    def forget(self, path: str) -> None:
        """Forget a file that has changed or is gone."""
        key = self._homes.pop(path, None)
        if key is not None:
            study = self._studies[key]
            del study.files[path]
            if not study.files:
                del self._studies[key]

    def take_due(
        self, now: float, *, at_once: bool = False, full: bool = False, most: int = 100
    ) -> list[Study]:
        """Return, and let go of, studies that are due, at most so many, the longest due first.

        With `at_once` none has to be quiet; with `full` only those that have become too large.
        """
        due = [s for s in self._studies.values() if (s.due if at_once else self._due(s)) <= now]
        due = [s for s in due if not full or len(s.files) >= self._limit]
        due = sorted(due, key=lambda study: study.last)[:most]
        for study in due:
            del self._studies[study.key]
            for path in study.files:
                del self._homes[path]
        return due

    def put_back(self, studies: Iterable[Study]) -> None:
        """Have studies wait again that were not tried."""
        for study in studies:
            for file in study.files.values():
                self.arrive(study.key, file, study.last)
            waiting = self._studies[study.key]
            waiting.begun, waiting.tried, waiting.due = study.begun, study.tried, study.due

    def postpone(self, study: Study, now: float, wait: float) -> None:
        """Let a study that could not be committed wait for at least `wait` seconds."""
        for file in study.files.values():
            self.arrive(study.key, file, now)
        if (waiting := self._studies.get(study.key)) is not None:
            waiting.tried, waiting.due = study.tried + 1, now + wait

    def _due(self, study: Study) -> float:
        if len(study.files) >= self._limit:
            return max(study.due, study.last)
        return max(study.due, min(study.last + self._quiet, study.begun + self._longest))

    def next_due(self, *, at_once: bool = False) -> float | None:
        """Return when there is something to commit."""
        return min(
            (s.due if at_once else self._due(s) for s in self._studies.values()), default=None
        )

    def oldest(self) -> float | None:
        """Return when the file was seen that has waited longest."""
        return min(
            (file.first for study in self._studies.values() for file in study.files.values()),
            default=None,
        )
