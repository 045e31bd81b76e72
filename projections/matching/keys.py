"""Keys: what is asked of an element, as a text, and whether the values of one are that.

The types of matching are those of PS3.4 Section C.2.2.2. What differs is for people, who type such
texts: nothing at all asks for no value, where the Standard has every value match, and `*` for any
value; dates and times are written in more ways, numbers have ranges, and commas separate values
where none can be part of one.
"""

from __future__ import annotations

import fnmatch
import math
import re
import struct
import unicodedata
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal, InvalidOperation
from enum import Enum
from functools import partial
from typing import Final, TypeAlias

from attrs import field, frozen

from projections.errors import UnreadableKeyError
from projections.matching.moments import Span, span

Matcher: TypeAlias = Callable[[Sequence[str]], bool]
"""Tells whether the values of an element, none of one without a value, are what is asked."""

NUMBERS: Final = frozenset(("DS", "FD", "FL", "IS", "SL", "SS", "SV", "UL", "US", "UV"))
"""VRs whose values are numbers (PS3.5 Section 6.2)."""

MOMENTS: Final = frozenset(("DA", "DT", "TM"))
"""VRs whose values are dates and times."""

_BINARY: Final = {"FL": "<f", "FD": "<d"}
"""VRs whose values are binary fractions, to which few decimal ones are equal, and how long."""

_WILD: Final = frozenset(("AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UI", "UR", "UT"))
"""VRs in which * and ? stand for others: those of C.2.2.2.4, and UIDs, which have neither."""

_LISTED: Final = frozenset(("AS", "CS", "UI", *NUMBERS, *MOMENTS))
"""VRs whose values have no comma in them, so that it can stand between several."""

_NARRATIVE: Final = frozenset(("LT", "ST", "UT"))
"""VRs in which leading spaces mean something (PS3.5 Section 6.2)."""

_BOUND: Final = re.compile(r"(?P<sign>[<>]=?)\s*(?P<bound>.*)", re.DOTALL)
_FULL_NAME: Final = 5  # components of a name (PS3.5 Section 6.2.1)
_WRITTEN: Final = {
    "DA": "a date, such as 2026-03-01, 2026-03 for that month, or 2026-03-01..2026-03-31",
    "TM": "a time, such as 14:30, 14:30:05, or 14:30..15:00",
    "DT": "a date or time, such as 2026-03-01, 2026-03-01T14:30, or 2026-03-01..2026-03-31",
}


class Kind(Enum):
    """The types of matching."""

    SINGLE = "single value"
    WILDCARD = "wildcard"
    RANGE = "range"
    LIST = "list"
    EMPTY = "no value"
    PRESENT = "any value"


@frozen
class Key:
    """What is asked of an element.

    Attributes
    ----------
    kind : Kind
        The type of matching.
    literals : tuple of str
        The values of which one has to be there, if no other will do; none of other kinds.
    doubt : str or None
        Why only the very text matches: it is not written as something of its VR.
    """

    kind: Kind
    _matches: Matcher = field(repr=False, eq=False)
    literals: tuple[str, ...] = ()
    doubt: str | None = None

    def matches(self, values: Sequence[str]) -> bool:
        """Whether the values of an element, none of one without a value, are what is asked."""
        return self._matches(values)


def key_of(vr: str, text: str, *, several: bool = False) -> Key:
    r"""Return what `text` asks of an element with a `vr`, which may have `several` values.

    Of one that may, one value is enough, and what has backslashes is all of its values; of others
    backslashes stand between values of which each would do. The very text of the values matches,
    whatever else it could mean.
    """
    if text in {"", '""'}:  # the latter by C.2.2.2.7
        return Key(Kind.EMPTY, lambda values: not any(values))
    if text == "*":
        return Key(Kind.PRESENT, any)
    try:
        kind, matches, literals = _asked(vr, text, several=several)
    except UnreadableKeyError as exc:
        return Key(Kind.SINGLE, lambda values: "\\".join(values) == text, (text,), str(exc))
    return Key(kind, lambda values: "\\".join(values) == text or matches(values), literals)


def literally(vr: str, text: str) -> Key:
    """Return what asks for the values `text`, joined by backslashes, or the same numbers."""
    return Key(Kind.SINGLE, lambda values: _same(vr, "\\".join(values), text), (text,))


def _same(vr: str, shown: str, text: str) -> bool:
    if shown == text:
        return True
    if vr not in NUMBERS:
        return False
    mine, theirs = ([_number(vr, one) for one in each.split("\\")] for each in (shown, text))
    return None not in mine and mine == theirs


def parts_of(vr: str, text: str) -> list[str]:
    """Return the values in `text` of which one would do, between backslashes or commas."""
    return [each for part in text.split("\\") for each in _listed(vr, part)]


# --- several -------------------------------------------------------------------------------------


def _asked(vr: str, text: str, *, several: bool) -> tuple[Kind, Matcher, tuple[str, ...]]:
    """Return what is asked, what matches that, and the values of which only these would do."""
    parts = text.split("\\")
    if several and len(parts) > 1 and vr != "UI":
        asked = [_any_of(vr, _listed(vr, part)) for part in parts]
        kinds = {kind for kind, _ in asked} - {Kind.SINGLE, Kind.EMPTY}
        kind = kinds.pop() if kinds else Kind.SINGLE
        tests = [test for _, test in asked]
        return kind, partial(_all_values, tests), () if kinds else (text,)
    texts = parts_of(vr, text)
    kind, test = _any_of(vr, texts)
    are_literal = all(_one(vr, each)[0] is Kind.SINGLE for each in texts)
    return (
        kind,
        lambda values: any(map(test, values or ("",))),
        tuple(texts) if are_literal else (),
    )


def _listed(vr: str, text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if vr in _LISTED else [text]


def _any_of(vr: str, texts: Sequence[str]) -> tuple[Kind, Callable[[str], bool]]:
    asked = [_one(vr, text) for text in texts]
    if len(asked) == 1:
        return asked[0]
    return Kind.LIST, lambda value: any(test(value) for _, test in asked)


def _all_values(tests: Sequence[Callable[[str], bool]], values: Sequence[str]) -> bool:
    """Whether each value passes the test for its place."""
    return len(values) == len(tests) and all(
        test(value) for test, value in zip(tests, values, strict=True)
    )


# --- one value -----------------------------------------------------------------------------------


def _one(vr: str, text: str) -> tuple[Kind, Callable[[str], bool]]:
    """Return what matches a value that `text` asks for."""
    if not text:
        return Kind.EMPTY, lambda value: not value
    if vr == "SQ":
        raise UnreadableKeyError("it is a sequence: name an element of its items, behind a dot")
    if vr in MOMENTS or vr in NUMBERS:
        return _ranged(vr, text)
    wild = vr in _WILD and not {"*", "?"}.isdisjoint(text)
    if vr == "PN":
        return (Kind.WILDCARD if wild else Kind.SINGLE), _name(text, wild=wild)
    tidy = _tidied(vr, text)
    if wild:
        pattern = _pattern(tidy)
        return Kind.WILDCARD, lambda value: pattern(_tidied(vr, value))
    return Kind.SINGLE, lambda value: _tidied(vr, value) == tidy


def _tidied(vr: str, text: str) -> str:
    """Return a text without what means nothing: spaces around it, and how letters are composed."""
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return text.rstrip(" \0") if vr in _NARRATIVE else text.strip(" \0")


def _pattern(text: str) -> Callable[[str], bool]:
    """Return what matches `text`, in which * stands for any characters and ? for any one."""
    # Without the ranges in brackets that it else knows; it takes no longer on many asterisks.
    compiled = re.compile(fnmatch.translate(text.replace("[", "[[]")))
    return lambda value: compiled.match(value) is not None


# --- names of persons ----------------------------------------------------------------------------


def _name(text: str, *, wild: bool) -> Callable[[str], bool]:
    """Return what matches a name in any case, by C.2.2.2.1.

    What is asked is that of any component group, and where it has several, that of each.
    """
    asked = [_group(group) for group in text.split("=")]
    tests = [(_pattern(group) if wild else group.__eq__) for group in asked]

    def fits(test: Callable[[str], bool], group: str) -> bool:
        if test(group):
            return True
        return wild and test(group + "^" * (_FULL_NAME - 1 - group.count("^")))

    def matches(value: str) -> bool:
        groups = [_group(group) for group in value.split("=")]
        if len(tests) == 1:
            return any(group and fits(tests[0], group) for group in groups)
        groups += [""] * (len(tests) - len(groups))
        pairs = zip(asked, tests, groups, strict=False)  # of more groups nothing is asked
        return all(not wanted or fits(test, group) for wanted, test, group in pairs)

    return matches


def _group(text: str) -> str:
    """Return a component group as names are compared: in no case, without empty ends."""
    components = [component.strip() for component in _tidied("PN", text).casefold().split("^")]
    return "^".join(components).rstrip("^")


# --- ranges --------------------------------------------------------------------------------------

_COMPARED: Final[dict[str, Callable[[Span, Span], bool]]] = {
    "<": lambda value, bound: value.is_before(bound),
    "<=": lambda value, bound: not bound.ends_before(value),
    ">": lambda value, bound: bound.ends_before(value),
    ">=": lambda value, bound: not value.is_before(bound),
}


def _ranged(vr: str, text: str) -> tuple[Kind, Callable[[str], bool]]:
    """Return what matches values that are what `text` names, or in its range."""
    tests: list[Callable[[Span], bool]] = []
    if (found := _BOUND.fullmatch(text)) is not None:
        tests.append(partial(_compare, found["sign"], _typed(vr, found["bound"])))
    elif (ends := _ends(vr, text)) is not None:
        low, high = (_typed(vr, end) if end else None for end in ends)
        if low is not None and high is not None and high.is_before(low):
            raise UnreadableKeyError(f"{text} ends before it begins")
        tests += [] if low is None else [partial(_compare, ">=", low)]
        tests += [] if high is None else [partial(_compare, "<=", high)]
    else:
        only = _typed(vr, text)
        tests += [partial(_compare, sign, only) for sign in (">=", "<=")]

    def matches(value: str) -> bool:
        held = _held(vr, value)
        return held is not None and all(test(held) for test in tests)

    return (Kind.SINGLE if found is None and ends is None else Kind.RANGE), matches


def _compare(sign: str, bound: Span, value: Span) -> bool:
    return _COMPARED[sign](value, bound)


def _ends(vr: str, text: str) -> tuple[str, str] | None:
    """Return the ends of a range, `""` for one that is open; `None` if `text` is no range.

    They have `..` between them or, of dates and times, a hyphen, as in C.2.2.2.5.
    """
    if ".." in text:
        first, _, last = (part.strip() for part in text.partition(".."))
        if not first and not last:
            raise UnreadableKeyError(f"{text} has neither a beginning nor an end")
        return first, last
    if vr in NUMBERS or _held(vr, text) is not None:
        return None
    for at in (place for place, char in enumerate(text) if char == "-"):
        first, last = text[:at].strip(), text[at + 1 :].strip()
        if (first or last) and all(not end or _held(vr, end) for end in (first, last)):
            return first, last
    return None


def _typed(vr: str, text: str) -> Span:
    """Return what people mean by `text`; `UnreadableKeyError` if it is not written as that."""
    found = _number(vr, text) if vr in NUMBERS else span(vr, text)
    if found is None:
        raise UnreadableKeyError(f"{text!r} is not {_WRITTEN.get(vr, 'a number')}")
    return found


def _held(vr: str, value: str) -> Span | None:
    """Return what the value of an element is; `None` if its VR forbids it."""
    try:
        return _number(vr, value) if vr in NUMBERS else span(vr, value.strip(" \0"))
    except UnreadableKeyError:
        return None


def is_plain(text: str) -> bool:
    """Whether a number is written as one, and not as Python alone reads it: `1_0` is not 10."""
    return text.isascii() and "_" not in text


def _number(vr: str, text: str) -> Span | None:
    if not is_plain(text):
        return None
    try:
        number = Decimal(text.strip(" \0"))
    except InvalidOperation:
        return None
    if not number.is_finite():
        return None
    if vr in _BINARY:
        number = _as_held(_BINARY[vr], number)
    return Span((number,), (number,))


def _as_held(how: str, number: Decimal) -> Decimal:
    """Return the nearest number that a value can be; one beyond them all is as it is."""
    with suppress(OverflowError):
        (near,) = struct.unpack(how, struct.pack(how, float(number)))
        if math.isfinite(near):
            return Decimal(near)
    return number
