"""Searching instances by the elements of their directory records, or by all they have."""

from __future__ import annotations

import difflib
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, Final, Protocol

from attrs import define, field
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag, Tag

from fileset.criteria import Criterion, LookUp, Query, element_of, name_of, path_named
from fileset.errors import MatchingError
from fileset.values import value_text
from fileset.views.instance import LARGE_VALUE, FileInstance, is_of_reference
from ledger.errors import LedgerError
from ledger.events import Handle
from ledger.phrases import count
from projections.state.search import all_in_order, candidates, one_by_one, telling
from projections.state.state import FileSetState

_LOOKED_THROUGH: Final = 10_000  # instances whose values are compared with what nothing matched
_NOT_NEAR: Final = frozenset(("", "DA", "DT", "TM", "UI", "SQ"))

_ADVICE = (
    "consider using the 'load' parameter to expand the search to the corresponding SOP instances"
)


def find(
    instances: Iterable[FileInstance],
    query: Mapping[str, Any],
    *,
    load: bool,
    known: list[FileInstance] | None = None,
) -> list[FileInstance]:
    """Return those of `instances` that have every value of `query`, by keyword.

    Those are among the `known` ones, where an index tells. Warns if none of all has all the
    elements, and so none could have matched, and of elements that can't be read.
    """
    if not query:
        return list(instances)
    matches = []
    any_has_all = False
    for instance in instances if known is None else known:
        elements = loaded(instance) if load else instance
        if all(keyword in elements for keyword in query):
            any_has_all = True
            if all(elements[keyword].value == value for keyword, value in query.items()):
                matches.append(instance)
    if known is not None and not any_has_all:
        any_has_all = any(all(keyword in instance for keyword in query) for instance in instances)
    if not load and not any_has_all:
        warnings.warn(
            "None of the records in the DICOMDIR dataset contain all the query elements, "
            f"{_ADVICE}",
            stacklevel=3,
        )
    elif not matches and (meant := [key for key, value in query.items() if _means_more(value)]):
        warnings.warn(
            f"No instance has exactly that as {', '.join(meant)}: search({meant[0]}=...) finds one "
            "of several values, and what matches * and ?",
            stacklevel=3,
        )
    return matches


def _means_more(value: Any) -> bool:
    """Whether a value would stand for others, if it were searched for."""
    if isinstance(value, str):
        return not {"*", "?"}.isdisjoint(value)
    return isinstance(value, list | tuple | set | MultiValue)


def find_values(
    elements: str | int | list[str | int], instances: Iterable[FileInstance], *, load: bool
) -> list[Any] | dict[str | int, list[Any]]:
    """Return the distinct values of `elements` in the order in which they are met.

    Warns of elements that none of the instances has, and of those that can't be read.
    """
    wanted = elements if isinstance(elements, list) else [elements]
    found: dict[str | int, list[Any]] = {element: [] for element in wanted}
    met = set()
    for instance in instances:
        source = loaded(instance) if load else instance
        for element in wanted:
            if element not in source:
                continue
            met.add(element)
            value = source[element].value
            if value not in found[element]:
                found[element].append(value)
    missing = [element for element in found if element not in met]
    if missing and not load:
        warnings.warn(
            f"None of the records in the DICOMDIR dataset contain {missing}, {_ADVICE}",
            stacklevel=3,
        )
    return found if isinstance(elements, list) else found[wanted[0]]


class Loaded:
    """What a file has, element by element: one that can't be read is as none, and is told.

    pydicom makes values of bytes when they are asked for, and a value of a wrong length, or of what
    its VR forbids, is found out only then.
    """

    def __init__(self, dataset: Dataset, tell: Callable[[str], None]) -> None:
        self._dataset, self._tell = dataset, tell
        self._bad: set[BaseTag] = set()

    def __getitem__(self, key: str | int) -> DataElement:
        """Return the element with a keyword or tag; KeyError without one that can be read."""
        tag = Tag(key)
        if tag in self._bad or tag not in self._dataset:
            raise KeyError(tag)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # they would not say of which file they are
                element = self._dataset[tag]
                if not isinstance(element.value, bytes):
                    value_text(element)  # of items, and of texts that are decoded late, too
        except Exception as exc:  # pydicom raises many things on such values
            self._bad.add(tag)
            why = str(exc).partition(". ")[0]  # what follows is for programmers
            self._tell(f"{name_of((tag,))}: {' '.join(why.split()) or type(exc).__name__}")
            raise KeyError(tag) from exc
        return element

    def __contains__(self, key: str | int) -> bool:
        """Whether there is such an element that can be read."""
        if key not in self._dataset:  # which may be a keyword that pydicom doesn't know
            return False
        try:
            self[key]
        except KeyError:
            return False
        return True


def loaded(instance: FileInstance) -> Loaded:
    """Return what the file of an instance has; a warning tells what can't be read."""

    def tell(reason: str) -> None:
        warnings.warn(f"{instance.SOPInstanceUID}: can't be read: {reason}", stacklevel=2)

    return Loaded(instance.load(defer_size=LARGE_VALUE), tell)


class Searched(Protocol):
    """The File-set that is searched."""

    @property
    def state(self) -> FileSetState:
        """Its state."""

    def instance(self, handle: Handle) -> FileInstance:
        """Return one of its instances."""


@define
class Search:
    """The instances that were looked at, and those that could not be.

    Attributes
    ----------
    load : bool
        Whether all elements of the instances are searched, and not only those of their records.
    is_empty : bool
        Whether there were no instances to look at.
    met : set of int
        The tags of elements that were asked about and that any instance had.
    unreadable : list of tuple of str
        SOP Instance UID and reason of those whose file could not be read, or one of the elements
        that were asked about; the latter are searched as if they had none such.
    """

    load: bool = False
    met: set[int] = field(factory=set)
    is_empty: bool = False
    unreadable: list[tuple[str, str]] = field(factory=list)

    def matching(
        self, within: Searched, query: Query
    ) -> Iterator[tuple[FileInstance, Loaded | FileInstance]]:
        """Yield the instances that `query` asks for, each with what has its elements."""
        self.is_empty = not within.state.live
        leaves = None if self.load else candidates(within.state, query.indexed())
        for leaf in all_in_order(within.state) if leaves is None else leaves:
            instance = within.instance(leaf.handle)
            elements = self.elements_of(instance)
            if elements is not None and query.matches(self._look_up(elements)):
                yield instance, elements
        if leaves is not None:  # others may have what none of these has; mostly the first one tells
            for tag in query.tags.keys() - self.met:
                others = (within.instance(leaf.handle) for leaf in one_by_one(within.state))
                if any(tag in each for each in others):
                    self.met.add(tag)

    def find(self, within: Searched, query: Query) -> list[FileInstance]:
        """Return the instances that `query` asks for."""
        return [instance for instance, _ in self.matching(within, query)]

    def elements_of(self, instance: FileInstance) -> Loaded | FileInstance | None:
        """Return what has the elements of an instance; `None` if its file can't be read."""
        if not self.load:
            return instance
        uid = instance.SOPInstanceUID
        try:
            dataset = instance.load(defer_size=LARGE_VALUE)
        except OSError as exc:
            self.unreadable.append((uid, exc.strerror or str(exc)))
        except (LedgerError, InvalidDicomError) as exc:
            self.unreadable.append((uid, str(exc)))
        else:
            return Loaded(dataset, lambda reason: self.unreadable.append((uid, reason)))
        return None

    def _look_up(self, elements: Loaded | FileInstance) -> LookUp:
        def look_up(tag: int) -> DataElement | None:
            element = element_of(elements, tag)
            if element is not None:
                self.met.add(tag)
            return element

        return look_up

    def values(
        self, within: Searched, names: Iterable[str], query: Query | None = None
    ) -> dict[str, list[DataElement]]:
        """Return elements with the distinct values of what is called so, as they are met."""
        found: dict[str, dict[str, DataElement]] = {name: {} for name in names}
        tags = {name: path_named(name)[0] for name in found}
        self.is_empty = not within.state.live

        def look(elements: Loaded | FileInstance, names: Iterable[str]) -> None:
            for name in names:
                if (element := element_of(elements, tags[name])) is not None:
                    self.met.add(tags[name])
                    found[name].setdefault(value_text(element), element)

        if query or self.load:
            for _, elements in self.matching(within, query or Query()):
                look(elements, found)
        else:
            leaves = list(all_in_order(within.state))
            for name, tag in tags.items():
                for leaf in leaves if is_of_reference(tag) else telling(leaves, tag):
                    look(within.instance(leaf.handle), (name,))
        return {name: list(values.values()) for name, values in found.items()}

    def unmet(self, query: Query) -> list[str]:
        """Return the names of the elements that no directory record had, if these were searched."""
        return [] if self.load else [n for tag, n in query.tags.items() if tag not in self.met]

    def explain(self, within: Searched, query: Query) -> None:
        """Warn of what may be why nothing matched, or raise `MatchingError` where nothing can."""
        if (doubt := query.doubt()) is not None:
            raise MatchingError(doubt)
        if self.is_empty:
            warnings.warn("The File-set is empty", stacklevel=3)
        elif unmet := self.unmet(query):
            advice = "consider --load (load=True), which searches the instances themselves"
            warnings.warn(f"No directory record has {', '.join(unmet)}: {advice}", stacklevel=3)
        elif (near := self.near(within, query)) is not None:
            criterion, value, number = near
            there = f"{criterion.name}={value!r}: {count(number, 'instance')}"
            warnings.warn(f"No instance matches. Did you mean {there}?", stacklevel=3)

    def near(self, within: Searched, query: Query) -> tuple[Criterion, str, int] | None:
        """Return a value that is there and near to one that was asked for, where nothing matched.

        With the criterion that it would meet, and how many instances it would find, as far as
        they are looked through.
        """
        for criterion in query.criteria:
            if criterion.vr in _NOT_NEAR or not criterion.is_single or len(criterion.path) > 1:
                continue
            counts: Counter[str] = Counter()
            others = Search(self.load).matching(within, query.without(criterion))
            for _, elements in islice(others, _LOOKED_THROUGH):
                element = element_of(elements, criterion.path[-1])
                counts.update(() if element is None else {value_text(element)})
            if (found := _nearest(criterion.text, counts)) is not None:
                return criterion, found, counts[found]
        return None


def _nearest(text: str, counts: Counter[str]) -> str | None:
    """Return what is nearest to `text`, but for case, or with it in it."""
    lower: dict[str, str] = {}
    for value, _ in counts.most_common():
        lower.setdefault(value.casefold(), value)
    wanted = text.casefold().strip()
    near = difflib.get_close_matches(wanted, lower, n=1, cutoff=0.75)
    near += [value for value in lower if len(wanted) > 2 and wanted in value]
    return lower[near[0]] if near else None
