"""Handles as runs, which is how they come: instances are added many at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate

from ledger.events import Handle


def runs_of(handles: Iterable[Handle]) -> list[int]:
    """Return `handles` as runs: the first of each and how many there are, one after the other."""
    runs: list[int] = []
    next_one = None
    for handle in handles:
        if handle == next_one:
            runs[-1] += 1
        else:
            runs += (handle, 1)
        next_one = handle + 1
    return runs


def joined(runs: Sequence[int], more: Sequence[int]) -> list[int]:
    """Return the runs of the handles of `runs` and, behind them, of `more`."""
    if runs and more and runs[-2] + runs[-1] == more[0]:
        return [*runs[:-1], runs[-1] + more[1], *more[2:]]
    return [*runs, *more]


def unrolled(runs: Sequence[int]) -> Iterator[Handle]:
    """Yield the handles that `runs_of` was given."""
    for first, count in zip(runs[::2], runs[1::2], strict=True):
        yield from range(first, first + count)


class Handles:
    """Handles in ascending order, given as runs; the number of each is how many are before it."""

    def __init__(self, runs: Sequence[int]) -> None:
        self._firsts, counts = list(runs[::2]), list(runs[1::2])
        self._ends = list(accumulate(counts))
        lasts = [first + count for first, count in zip(self._firsts, counts, strict=True)]
        if any(count < 1 for count in counts) or any(map(int.__lt__, self._firsts[1:], lasts)):
            raise ValueError("handles are not in order")
        self.runs = runs

    def __len__(self) -> int:
        return self._ends[-1] if self._ends else 0

    def number(self, handle: Handle) -> int | None:
        """Return the number of `handle`, `None` if it is not one of these."""
        run = bisect_right(self._firsts, handle) - 1
        if run < 0:
            return None
        before = self._ends[run - 1] if run else 0
        number = before + handle - self._firsts[run]
        return number if number < self._ends[run] else None

    def __getitem__(self, number: int) -> Handle:
        run = bisect_right(self._ends, number)
        return self._firsts[run] + number - (self._ends[run - 1] if run else 0)

    def __iter__(self) -> Iterator[Handle]:
        return unrolled(self.runs)

    def __reversed__(self) -> Iterator[Handle]:
        for first, count in zip(self.runs[-2::-2], self.runs[::-2], strict=True):
            yield from range(first + count - 1, first - 1, -1)

    def items(self) -> Iterator[tuple[Handle, int]]:
        """Yield the handles with their numbers."""
        return zip(self, range(len(self)), strict=True)

    def has(self, runs: Sequence[int]) -> bool:
        """Whether the handles of other `runs` are among these, and each run in one of these."""
        for first, count in zip(runs[::2], runs[1::2], strict=True):
            number = self.number(first)
            if number is None or self.number(first + count - 1) != number + count - 1:
                return False
        return True
