"""When a file is complete, and when one that could not be added is tried again; pure.

Times are seconds of one clock that only goes forward; the caller gives them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ledger.files import FileStamp


class Observation(NamedTuple):
    """A file as it was when it was looked at: `at` then, and `first` of all.

    `tried` is how often it was read as it is, and could not be taken.
    """

    path: str
    stamp: FileStamp
    first: float
    at: float
    tried: int = 0


class Settling:
    """Files that were seen and may still be changing.

    A file has settled when it is the same at two looks, `delay` seconds or more apart.
    """

    def __init__(self, delay: float) -> None:
        self._delay = delay
        # By the time of the look, since all wait equally long. Plain dicts are slow at the front.
        self._files: OrderedDict[str, Observation] = OrderedDict()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._files)

    def __contains__(self, path: str) -> bool:
        """Return whether the file at `path` is one of them."""
        return path in self._files

    def see(self, path: str, stamp: FileStamp, now: float, first: float | None = None) -> bool:
        """Remember how the file at `path` looks; return whether it is a new one.

        `first` is when it was seen first, if it has been elsewhere meanwhile.
        """
        known = self._files.get(path)
        if known is None:
            self._files[path] = Observation(path, stamp, now if first is None else first, now)
            return True
        if known.stamp != stamp:
            del self._files[path]
            self._files[path] = Observation(path, stamp, known.first, now)
        return False

    def take_due(self, now: float) -> Iterator[Observation]:
        """Yield, and let go of, files that it is time to look at again.

        One that looks as it did has settled; any other is to be seen anew.
        """
        while self._files:
            path, file = self._files.popitem(last=False)
            if now - file.at < self._delay:
                self._files[path] = file
                self._files.move_to_end(path, last=False)
                return
            yield file

    def see_again(self, file: Observation, stamp: FileStamp, now: float) -> None:
        """Remember that the file of `file` has changed since."""
        self._files[file.path] = Observation(file.path, stamp, file.first, now)

    def forget(self, path: str) -> None:
        """Forget a file that is gone."""
        self._files.pop(path, None)

    def next_due(self) -> float | None:
        """Return when there is something to look at again."""
        for file in self._files.values():
            return file.at + self._delay
        return None

    def oldest(self) -> float | None:
        """Return when the one was seen that has been here longest."""
        return min((file.first for file in self._files.values()), default=None)


class FailedAttempt(NamedTuple):
    """A file that could not be taken: how often it was tried, why not, when it is tried again."""

    file: Observation
    tried: int
    outcome: str
    reason: str
    due: float
    sop_instance_uid: str | None = None


class Retries:
    """Files to be tried again, each time after a longer wait."""

    def __init__(self, delays: Sequence[float]) -> None:
        self._delays = delays
        self._waiting: dict[str, FailedAttempt] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._waiting)

    def get(self, path: str) -> FailedAttempt | None:
        """Return what there is about the file at `path`."""
        return self._waiting.get(path)

    def fail(
        self, file: Observation, outcome: str, reason: str, now: float, before: int
    ) -> FailedAttempt | None:
        """Count one more failure after `before` others.

        Returns what to do about the file if it is not to be tried any more, else `None`.
        """
        attempt = FailedAttempt(file, before + 1, outcome, reason, now)
        if before >= len(self._delays):
            return attempt
        self._waiting[file.path] = attempt._replace(due=now + self._delays[before])
        return None

    def postpone(self, attempt: FailedAttempt, due: float) -> None:
        """Let a file wait again whose time was up, because it could not be dealt with."""
        self._waiting[attempt.file.path] = attempt._replace(due=due)

    def take_due(self, now: float) -> list[FailedAttempt]:
        """Return, and let go of, what is to be tried now."""
        due = [attempt for attempt in self._waiting.values() if attempt.due <= now]
        for attempt in due:
            del self._waiting[attempt.file.path]
        return due

    def forget(self, path: str) -> None:
        """Forget a file that has changed or is gone."""
        self._waiting.pop(path, None)

    def next_due(self) -> float | None:
        """Return when there is something to try again."""
        return min((attempt.due for attempt in self._waiting.values()), default=None)

    def oldest(self) -> float | None:
        """Return when the one was seen that has been here longest."""
        return min((attempt.file.first for attempt in self._waiting.values()), default=None)


def delays(settle: float, tries: int, *, once: bool = False) -> list[float]:
    """Return the waits before each further try: twice the quiet delay, then four times longer.

    With `once`, somebody is waiting for the end, and a file that looks the same so many times won't
    change in minutes: each wait is one quiet delay.
    """
    return [settle if once else settle * 2 * 4**n for n in range(tries - 1)]
