"""When a file is complete, and when one that could not be taken is tried again; pure.

Times are seconds of one clock that only goes forward; the caller gives them.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from fileset.watching.signature import Signature


class Look(NamedTuple):
    """A file as it was when it was looked at: `at` then, and `first` of all.

    `tried` is how often it was read as it is, and could not be taken.
    """

    path: str
    signature: Signature
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
        self._looks: OrderedDict[str, Look] = OrderedDict()

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._looks)

    def __contains__(self, path: str) -> bool:
        """Return whether the file at `path` is one of them."""
        return path in self._looks

    def see(self, path: str, signature: Signature, now: float, first: float | None = None) -> bool:
        """Take note that the file at `path` looks so; return whether it is a new one.

        `first` is when it was seen first, if it has been elsewhere meanwhile.
        """
        known = self._looks.get(path)
        if known is None:
            self._looks[path] = Look(path, signature, now if first is None else first, now)
            return True
        if known.signature != signature:
            del self._looks[path]
            self._looks[path] = Look(path, signature, known.first, now)
        return False

    def take_due(self, now: float) -> Iterator[Look]:
        """Yield, and let go of, files that it is time to look at again.

        One that looks as it did has settled; any other is to be seen anew.
        """
        while self._looks:
            path, look = self._looks.popitem(last=False)
            if now - look.at < self._delay:
                self._looks[path] = look
                self._looks.move_to_end(path, last=False)
                return
            yield look

    def see_again(self, look: Look, signature: Signature, now: float) -> None:
        """Take note that the file of `look` has changed since."""
        self._looks[look.path] = Look(look.path, signature, look.first, now)

    def forget(self, path: str) -> None:
        """Let go of a file that is no more."""
        self._looks.pop(path, None)

    def next_due(self) -> float | None:
        """Return when there is something to look at again."""
        for look in self._looks.values():
            return look.at + self._delay
        return None

    def oldest(self) -> float | None:
        """Return when the one was seen that has been here longest."""
        return min((look.first for look in self._looks.values()), default=None)


class Trouble(NamedTuple):
    """A file that could not be taken: how often it was tried, why not, when it is tried again."""

    look: Look
    tried: int
    outcome: str
    reason: str
    due: float


class Retries:
    """Files to be tried again, each time after a longer wait."""

    def __init__(self, delays: Sequence[float]) -> None:
        self._delays = delays
        self._waiting: dict[str, Trouble] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._waiting)

    def get(self, path: str) -> Trouble | None:
        """Return what there is about the file at `path`."""
        return self._waiting.get(path)

    def fail(
        self, look: Look, outcome: str, reason: str, now: float, before: int
    ) -> Trouble | None:
        """Take note of one more failure after `before` others.

        Returns what to do about the file if it is not to be tried any more, else ``None``.
        """
        trouble = Trouble(look, before + 1, outcome, reason, now)
        if before >= len(self._delays):
            return trouble
        self._waiting[look.path] = trouble._replace(due=now + self._delays[before])
        return None

    def postpone(self, trouble: Trouble, due: float) -> None:
        """Have a file wait whose time was up, because it could not be dealt with."""
        self._waiting[trouble.look.path] = trouble._replace(due=due)

    def take_due(self, now: float) -> list[Trouble]:
        """Return, and let go of, what is to be tried now."""
        due = [trouble for trouble in self._waiting.values() if trouble.due <= now]
        for trouble in due:
            del self._waiting[trouble.look.path]
        return due

    def forget(self, path: str) -> None:
        """Let go of a file that has changed or is no more."""
        self._waiting.pop(path, None)

    def next_due(self) -> float | None:
        """Return when there is something to try again."""
        return min((trouble.due for trouble in self._waiting.values()), default=None)

    def oldest(self) -> float | None:
        """Return when the one was seen that has been here longest."""
        return min((trouble.look.first for trouble in self._waiting.values()), default=None)


def delays(settle: float, tries: int) -> list[float]:
    """Return the waits before each further try: twice the quiet delay, then four times longer."""
    return [settle * 2 * 4**n for n in range(tries - 1)]
