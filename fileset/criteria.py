"""What is asked of instances: criteria, each an element and what its values are to be.

The types of matching are those of a query (PS3.4 Section C.2.2.2), see `projections.matching.keys`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, time
from functools import cached_property, partial
from typing import Any, Final, Self, TypeAlias

from attrs import define, field, frozen
from pydicom.datadict import (
    dictionary_has_tag,
    dictionary_VM,
    dictionary_VR,
    keyword_for_tag,
    tag_for_keyword,
)
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag

from fileset.values import known_tag, text_of
from projections.matching.keys import Key, Kind, key_of, literally

LookUp: TypeAlias = Callable[[int], DataElement | None]
"""Returns an instance's element with a tag, `None` if it has none."""

_TAG: Final = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")
_TEXTS: Final = frozenset(("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"))
"""What identifies an instance and the records above it: their values are plain text."""


def path_named(name: str) -> tuple[int, ...]:
    """Return the tags by which an element is reached, from the outermost sequence inwards.

    `name` is a keyword, a tag such as 0010,0010, (0010,0010) or 00100010, or several of them with
    dots between. Raises `NoSuchKeywordError`.
    """
    return tuple(
        int(found[1] + found[2], 16) if (found := _TAG.fullmatch(step)) else known_tag(step)
        for step in name.split(".")
    )


def name_of(path: Iterable[int]) -> str:
    """Return the keywords of what `path_named` returns, tags where there are none."""
    return ".".join(keyword_for_tag(tag) or f"{tag >> 16:04X},{tag & 0xFFFF:04X}" for tag in path)


@frozen
class Criterion:
    """An element, by its name and the tags that lead to it, and the texts of which one will do."""

    name: str
    path: tuple[int, ...]
    texts: tuple[str, ...]
    is_literal: bool = False
    _keys: dict[str, tuple[Key, ...]] = field(factory=dict, init=False, repr=False, eq=False)

    @property
    def text(self) -> str:
        """What is asked for, as it was typed."""
        return "\\".join(self.texts)

    @property
    def keyword(self) -> str:
        """The keywords that lead to the element."""
        return name_of(self.path)

    @cached_property
    def vr(self) -> str:
        """The VR of the element, the first that it can have; `""` for an unknown one."""
        tag = self.path[-1]
        return dictionary_VR(tag).split()[0] if dictionary_has_tag(tag) else ""

    @cached_property
    def may_have_several(self) -> bool:
        """Whether the element may have several values, or is unknown."""
        tag = self.path[-1]
        return not dictionary_has_tag(tag) or dictionary_VM(tag) != "1"

    def keys(self, vr: str = "") -> tuple[Key, ...]:
        """Return what is asked, of which one will do; `vr` is that of an unknown element."""
        vr = self.vr or vr
        if vr not in self._keys:
            key = literally if self.is_literal else partial(key_of, several=self.may_have_several)
            self._keys[vr] = tuple(key(vr, text) for text in self.texts)
        return self._keys[vr]

    @cached_property
    def _time(self) -> tuple[int, tuple[Key, ...]] | None:
        """The tag of the time beside a date, and what is asked of both; `None` if nothing is.

        That is the combined matching of C.2.2.2.5, for a date that is given with a time.
        """
        keyword = keyword_for_tag(self.path[-1])
        partner = tag_for_keyword(keyword.replace("Date", "Time"))
        if self.vr != "DA" or self.is_literal or partner is None or partner == self.path[-1]:
            return None
        if all(key.doubt is None for key in self.keys()):
            return None
        combined = tuple(key_of("DT", text) for text in self.texts)
        return None if any(key.doubt for key in combined) else (partner, combined)

    @property
    def doubt(self) -> str | None:
        """Why what is asked for can't be the value of such an element, if so."""
        if self._time is not None or not self.vr:
            return None
        return next((key.doubt for key in self.keys() if key.doubt), None)

    @property
    def is_single(self) -> bool:
        """Whether this asks for one value, so that what it finds is known before."""
        keys = self.keys("LO")
        return len(keys) == 1 and keys[0].kind is Kind.SINGLE and self._time is None

    @property
    def literals(self) -> tuple[str, ...] | None:
        """The values of which one will do, if nothing else does."""
        found = [key.literals for key in self.keys("LO")]
        return tuple(text for each in found for text in each) if all(found) else None

    def matches(self, look_up: LookUp) -> bool:
        """Whether the element that `look_up` finds has one of the values."""
        element = look_up(self.path[-1])
        if element is None:
            return False
        if self._time is not None:
            tag, keys = self._time
            clock = look_up(tag)
            days, times = values_of(element), values_of(clock) if clock is not None else []
            values = [day + "".join(times[:1]) for day in days[:1]]
        else:
            keys, values = self.keys(element.VR), values_of(element)
        return any(key.matches(values) for key in keys)


def values_of(element: DataElement) -> list[str]:
    """Return the values of an element as text, none of one that has no value; items as counts."""
    value = element.value
    if element.VR == "SQ":
        return [f"{len(value)} items"] if value else []
    if isinstance(value, MultiValue | list):
        return [str(each) for each in value]
    return [] if value is None or value == "" else [str(value)]


@define
class Query:
    """Criteria that all have to be met, those on one sequence by one of its items (C.2.2.2.6)."""

    criteria: tuple[Criterion, ...] = ()
    _plain: list[Criterion] = field(init=False)
    _within: dict[int, Query] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._plain = [each for each in self.criteria if len(each.path) == 1]
        below: dict[int, list[Criterion]] = {}
        for each in self.criteria:
            if len(each.path) > 1:
                inner = Criterion(each.name, each.path[1:], each.texts, each.is_literal)
                below.setdefault(each.path[0], []).append(inner)
        self._within = {tag: Query(tuple(inner)) for tag, inner in below.items()}

    def __bool__(self) -> bool:
        """Whether anything is asked."""
        return bool(self.criteria)

    @classmethod
    def of(cls, asked: Mapping[str, Any], *, literal: bool = False) -> Self:
        """Return what `asked` says by name, as Python programs give it; see `FileSet.search`.

        With `literal`, nothing in a text stands for anything else. Raises `NoSuchKeywordError`.
        """
        return cls(tuple(_criteria("", asked, literal=literal)))

    def without(self, criterion: Criterion) -> Query:
        """Return what else is asked."""
        return Query(tuple(each for each in self.criteria if each is not criterion))

    def matches(self, look_up: LookUp) -> bool:
        """Whether the elements that `look_up` finds meet all criteria; it is asked for each."""
        met = [each.matches(look_up) for each in self._plain]
        met += [_has_item(look_up(tag), inner) for tag, inner in self._within.items()]
        return all(met)

    @property
    def tags(self) -> dict[int, str]:
        """The tags of the elements that are asked about, or of the sequence, with their names."""
        return {each.path[0]: name_of(each.path[:1]) for each in self.criteria}

    def indexed(self) -> dict[str, tuple[str, ...]]:
        """Return the values that what identifies an instance must have, one of each."""
        found = {}
        for each in self._plain:
            if each.keyword in _TEXTS and (literals := each.literals):
                found[each.keyword] = literals
        return found

    def doubt(self) -> str | None:
        """Return what is asked for that can't be a value, and why, if anything is."""
        for each in self.criteria:
            if (why := each.doubt) is not None:
                return f"{each.name}: {why}."
        return None


def _has_item(element: DataElement | None, inner: Query) -> bool:
    if element is None or element.VR != "SQ":
        return False
    return any(inner.matches(_look_up_in(item)) for item in element.value)


def _look_up_in(item: Dataset) -> LookUp:
    return lambda tag: element_of(item, tag)


def element_of(elements: Any, tag: int) -> DataElement | None:
    """Return the element with `tag` of a data set or instance, `None` if there is none."""
    try:
        found: DataElement = elements[BaseTag(tag)]
    except KeyError:
        return None
    return found


def _criteria(above: str, asked: Mapping[str, Any], *, literal: bool) -> Iterator[Criterion]:
    for name, value in asked.items():
        full = f"{above}{name}"
        if isinstance(value, Mapping):
            yield from _criteria(f"{full}.", value, literal=literal)
        else:
            yield Criterion(full, path_named(full), _texts(value), literal)


def _texts(value: Any) -> tuple[str, ...]:
    """Return a value as people type it: of several one will do."""
    if isinstance(value, list | tuple | set | frozenset | MultiValue):
        return tuple(text for each in value for text in _texts(each)) or ("",)
    if isinstance(value, date | time):  # a datetime is a date
        return (value.isoformat(),)
    return ("",) if value is None else (text_of(value),)
