"""The account of all files that were offered, in few bytes for each that simply was added."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Final, overload

from attrs import define, field

from fileset.adding.outcome import Outcome, Result
from fileset.adding.paths import Paths
from ledger.events import ElementCorrected
from projections.state.state import FileSetState

_SIGNS: Final = {Outcome.ADDED: 1, Outcome.ALREADY_THERE: -1}


class Results(Sequence[Result]):
    """The results in the order of the files.

    Of one that says no more than which instance it is, the path and the handle are kept.
    """

    def __init__(self) -> None:
        self.counts: Counter[Outcome] = Counter()
        self._sources = Paths()
        self._handles = array("q")  # negative for an instance that was there; 0 for the others
        self._others: dict[int, Result] = {}

    def append(self, result: Result) -> None:
        """Add the result for one more file."""
        self.counts[result.outcome] += 1
        sign = _SIGNS.get(result.outcome)
        if sign is None or result.handle is None or _says_more(result):
            self._others[len(self._handles)] = result
            self._sources.append("")
            self._handles.append(0)
        else:
            self._sources.append(result.source)
            self._handles.append(sign * result.handle)

    @property
    def others(self) -> Collection[Result]:
        """Those that say more, or of which there is no instance."""
        return self._others.values()

    def __len__(self) -> int:
        return len(self._handles)

    @overload
    def __getitem__(self, index: int) -> Result: ...
    @overload
    def __getitem__(self, index: slice) -> list[Result]: ...
    def __getitem__(self, index: int | slice) -> Result | list[Result]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        handle = self._handles[index]
        if not handle:
            return self._others[index % len(self)]
        outcome = Outcome.ADDED if handle > 0 else Outcome.ALREADY_THERE
        return Result(self._sources[index], outcome, abs(handle))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # as a list's


def _says_more(result: Result) -> bool:
    return (
        result.note is not None
        or result.reason is not None
        or bool(result.invented)
        or result.mismatch
        or result.faulty
        or result.completable
        or result.coerced is not None
    )


@define(repr=False)
class AddReport:
    """The account of everything that was offered: found = the sum of all outcomes.

    `elements` says what was coerced on arrival in how many instances. If all was only tried,
    `foreseen` is what the File-set would be, and the handles are those that instances would have.
    """

    results: Results = field(factory=Results)
    elements: tuple[tuple[ElementCorrected, int], ...] = ()
    foreseen: FileSetState | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        """Return how many files were found, and what became of them."""
        counts = " + ".join(f"{number} {outcome.value}" for outcome, number in self.counts.items())
        return f"<AddReport: found {len(self.results)} = {counts or 0}>"

    def __iter__(self) -> Iterator[Result]:
        """Yield the results in the order of the files."""
        return iter(self.results)

    @property
    def remarkable(self) -> Collection[Result]:
        """The results that say more than that an instance was added or there already."""
        return self.results.others

    @property
    def counts(self) -> Mapping[Outcome, int]:
        """How many files had each outcome."""
        return self.results.counts

    @property
    def has_failures(self) -> bool:
        """Whether any file was offered and is not part of the File-set now."""
        return any(outcome.is_failure for outcome in self.counts)

    @property
    def is_incomplete(self) -> bool:
        """Whether the user has to look at any file: also at one that was added."""
        return self.has_failures or self.mismatched > 0 or self.faulty > 0

    @property
    def mismatched(self) -> int:
        """How many were added and may be of another person than others with their Patient ID."""
        return sum(result.mismatch and not result.outcome.is_failure for result in self.remarkable)

    @property
    def faulty(self) -> int:
        """How many were added with which the File-set breaks the Standard."""
        return sum(result.faulty for result in self.remarkable)

    @property
    def completable(self) -> int:
        """How many were rejected over values that may be invented."""
        return sum(result.completable for result in self.remarkable)

    @property
    def coerced(self) -> int:
        """How many were added with other values than they arrived with."""
        return sum(result.coerced is True for result in self.remarkable)

    def of(self, outcome: Outcome) -> list[Result]:
        """Return the results with `outcome`."""
        return [result for result in self.results if result.outcome is outcome]
