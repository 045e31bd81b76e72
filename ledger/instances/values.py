"""Values against their VR: characters, form, length and number (PS3.5 Sections 6.2 and 6.4).

These are the rules of the check and of what is told when an instance is added: one function says
what is wrong with a value, whoever asks.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from typing import Final

from ledger.elements import CHARSET_VRS, TEXT_VRS, Element, character_set, iterate, iterate_items
from ledger.instances.character_sets import decoded
from ledger.instances.record_keys import KEYS, SOP_INSTANCE_UID
from ledger.instances.walker import describe

_SIZES: Final = {
    "US": 2, "SS": 2, "UL": 4, "SL": 4, "FL": 4, "AT": 4, "FD": 8, "SV": 8, "UV": 8,
    "OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8,
}  # fmt: skip
_LENGTHS: Final = {"AE": 16, "CS": 16, "DS": 16, "IS": 12, "SH": 16, "LO": 64, "UI": 64}
_WHOLE_LENGTHS: Final = {"ST": 1024, "LT": 10240, "UT": None, "UR": None}
_SINGLE: Final = frozenset(_WHOLE_LENGTHS)
_OTHER: Final = frozenset(("OB", "OW", "OF", "OL", "OD", "OV", "UN", "SQ"))
_SHORT: Final = 256  # bytes of a value that is remembered
_COMPONENTS, _GROUPS, _GROUP_LENGTH = 5, 3, 64

_LINE: Final = re.compile(r"[^\x00-\x1f\x7f]*")
_TEXT: Final = re.compile(r"[^\x00-\x08\x0b\x0e-\x1f\x7f]*")
_TIME: Final = r"([01]\d|2[0-3])([0-5]\d(([0-5]\d|60)(\.\d{1,6})?)?)?"
_DATE_TIME: Final = re.compile(
    rf"(?P<date>\d{{4}}((0[1-9]|1[0-2])((0[1-9]|[12]\d|3[01])({_TIME})?)?)?)([+-][01]\d[0-5]\d)?",
    re.ASCII,
)
_UID: Final = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")

_FORMS: Final[dict[str, tuple[re.Pattern[str], str]]] = {
    "AE": (re.compile(r"[ -\[\]-~]*"), "AE takes printable ASCII characters"),
    "AS": (re.compile(r"\d{3}[DWMY]", re.ASCII), "AS takes an age such as 018M"),
    "CS": (re.compile(r"[A-Z0-9 _]*"), "CS takes A-Z, 0-9, blank and _"),
    "DA": (re.compile(r"\d{8}", re.ASCII), "DA takes a date as YYYYMMDD"),
    "DS": (
        re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII),
        "DS takes a decimal number",
    ),
    "DT": (_DATE_TIME, "DT takes a date and time as YYYYMMDDHHMMSS.FFFFFF&ZZXX"),
    "IS": (re.compile(r"[+-]?\d+", re.ASCII), "IS takes an integer"),
    "TM": (re.compile(_TIME, re.ASCII), "TM takes a time as HHMMSS.FFFFFF"),
    "UI": (_UID, "UI takes numbers without leading zeros, with dots between them"),
    "UR": (re.compile(r"[!-~]*"), "UR takes a URI"),
    **dict.fromkeys(("LO", "SH", "PN", "UC"), (_LINE, "{vr} takes no control characters")),
    **dict.fromkeys(
        ("ST", "LT", "UT"), (_TEXT, "{vr} takes no control characters but tabs and new lines")
    ),
}


def faults_of_values(elements: Iterable[Element], charset: str = "") -> Iterator[str]:
    """Yield which of `elements`, and of those in their sequences, have an invalid value and why.

    `charset` is their Specific Character Set.
    """
    for element in elements:  # nested no deeper than the decoder lets pass
        if element.vr == "SQ":
            for item in iterate_items(element.value):
                yield from faults_of_values(iterate(item), character_set(item) or charset)
        elif (why := fault_of_value(element, charset)) is not None:
            yield in_words(element.tag, why)


def in_words(tag: int, why: str) -> str:
    """Return that an element has an invalid value, to be read after what it is in."""
    return f"has an invalid value in {describe(tag)}: {why}"


def fault_of_value(element: Element, charset: str = "") -> str | None:
    """Return why an element's value is none of its VR, `None` if it is one or is empty.

    Of text that is not of its character set nothing is said: that is another fault.
    """
    if element.vr == "UN" and element.tag in KEYS:
        element = element._replace(vr=KEYS[element.tag].vr)
    if element.vr not in TEXT_VRS:
        return fault_of_size(element.tag, element.vr, len(element.value))
    find = _known_fault if len(element.value) <= _SHORT else _fault_of_text
    return find(element, charset)


def fault_of_size(tag: int, vr: str, length: int) -> str | None:
    """Return why a value of `length` bytes is none of a `vr` that is no text, `None` if it may."""
    size = _SIZES.get(vr, 1)
    if length % size:
        return f"{vr} takes {size} bytes for each value, and it has {length}"
    return None if vr in _OTHER else _fault_of_number(tag, length // size)


def _fault_of_text(element: Element, charset: str) -> str | None:
    tag, vr, value = element
    if vr in CHARSET_VRS:
        text = decoded(value.rstrip(b"\0 "), charset)
    else:
        text = value.rstrip(b"\0 ").decode("latin-1")
    if not text:
        return None
    parts = [text] if vr in _SINGLE else text.split("\\")
    faults = (_fault_of_part(vr, part) for part in parts)
    why = next(filter(None, faults), None) or _fault_of_number(tag, len(parts))
    if why is None and vr != "UI" and value.endswith(b"\0"):
        return f"{vr} is padded with blanks, and it ends with a NUL"
    return why


# The records of a series have nearly all their values in common.
_known_fault: Final = lru_cache(maxsize=1 << 14)(_fault_of_text)


def fault_of_uid(text: str) -> str | None:
    """Return why `text` is not one UID, `None` if it is."""
    if not text:
        return "it is missing"
    # Most are of one instance alone, so nothing is remembered.
    return _fault_of_text(
        Element(SOP_INSTANCE_UID, "UI", text.encode("utf-8", "surrogateescape")), ""
    )


def _fault_of_part(vr: str, part: str) -> str | None:
    """Return why one value is none of `vr`."""
    length = _WHOLE_LENGTHS.get(vr) if vr in _SINGLE else _LENGTHS.get(vr)
    text = part.rstrip(" ")
    if length is not None and len(text) > length:
        return f"{vr} takes up to {length} characters, and it has {len(text)}"
    if vr in {"CS", "DS", "IS"}:
        text = text.lstrip(" ")
    if not text:
        return None
    form, rule = _FORMS[vr]
    if not form.fullmatch(text):
        return rule.format(vr=vr)
    more = _MORE.get(vr)
    return None if more is None else more(text)


def _fault_of_date(text: str) -> str | None:
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:8])
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    days = (31, 28 + is_leap, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
    is_there = year > 0 and 0 < month <= len(days) and 0 < day <= days[month - 1]
    return None if is_there else "there is no such date"


def _fault_of_date_time(text: str) -> str | None:
    found = _DATE_TIME.fullmatch(text)
    digits = found["date"] if found else ""
    return _fault_of_date(digits) if len(digits) >= 8 else None


def _fault_of_integer(text: str) -> str | None:
    return None if -(1 << 31) <= int(text) < 1 << 31 else "IS takes an integer of 32 bits"


def _fault_of_name(text: str) -> str | None:
    groups = text.split("=")
    if len(groups) > _GROUPS:
        return f"PN takes up to {_GROUPS} groups of components, and it has {len(groups)}"
    if (most := max(map(len, groups))) > _GROUP_LENGTH:
        return f"PN takes up to {_GROUP_LENGTH} characters in a group, and it has {most}"
    if (most := max(group.count("^") for group in groups) + 1) > _COMPONENTS:
        return f"PN takes up to {_COMPONENTS} components in a group, and it has {most}"
    return None


def _fault_of_uid(text: str) -> str | None:
    return None if text.strip("0.") else "a UID of zeros identifies nothing"


_MORE: Final[dict[str, Callable[[str], str | None]]] = {
    "DA": _fault_of_date,
    "DT": _fault_of_date_time,
    "IS": _fault_of_integer,
    "PN": _fault_of_name,
    "UI": _fault_of_uid,
}


def _fault_of_number(tag: int, number: int) -> str | None:
    """Return that an element has more values than PS3.6 says, if it does."""
    most = 1 if number <= 1 else _most(tag)
    if most is None or number <= most:
        return None
    allowed = "only one is" if most == 1 else f"at most {most} are"
    return f"it has {number} values, and {allowed} allowed"


@lru_cache(maxsize=4096)
def _most(tag: int) -> int | None:
    """Return how many values the element may have, `None` if any number or that is not known."""
    from pydicom.datadict import dictionary_VM  # noqa: PLC0415 - hardly a record has several values

    if tag >> 16 & 1:
        return None
    try:
        text = dictionary_VM(tag).rpartition("-")[2]
    except KeyError:
        return None
    return int(text) if text.isdigit() else None
