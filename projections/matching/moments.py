"""Dates and times of elements, and those that people type: each stands for all that it may be.

`20260301` and `2026-03-01` are the same day, `2026-03` is that month and `14:30` that minute.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final, TypeAlias

from attrs import frozen

from projections.errors import UnreadableKeyError

_DATE: Final = re.compile(
    r"(?P<year>\d{4})(?:(?P<dash>[-.])?(?P<month>\d\d)(?:(?(dash)(?P=dash))(?P<day>\d\d))?)?"
    r"|(?P<day_>\d\d?)\.(?P<month_>\d\d?)\.(?P<year_>\d{4})",
    re.ASCII,
)
_TIME: Final = re.compile(
    r"(?P<hour>\d\d)(?:(?P<colon>:)?(?P<minute>\d\d)"
    r"(?:(?(colon):)(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?)?)?",
    re.ASCII,
)
_OFFSET: Final = re.compile(r"(?:(?P<sign>[+-])(?P<hours>\d\d):?(?P<minutes>\d\d)|Z)$", re.ASCII)
_DAYS: Final = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_MINUTE: Final = 60_000_000


Place: TypeAlias = tuple[int | Decimal, ...]
"""Year, month, day, hour, minute, second and microsecond, or a number."""


@frozen
class Span:
    """A stretch of time, or a number, both ends included.

    Of a time of day year, month and day are 0. `offset` is that from UTC in minutes, if known.
    """

    begin: Place
    end: Place
    offset: int | None = None

    def is_before(self, other: Span) -> bool:
        """Whether this begins before `other` does."""
        return _less(self.begin, self.offset, other.begin, other.offset)

    def ends_before(self, other: Span) -> bool:
        """Whether `other` begins after the end of this."""
        return _less(self.end, self.offset, other.begin, other.offset)


def _less(a: Place, a_offset: int | None, b: Place, b_offset: int | None) -> bool:
    """Whether `a` is before `b`: as clocks show them, unless both say how far from UTC they are."""
    if a_offset is None or b_offset is None or a_offset == b_offset:
        return a < b
    return _microseconds(a) - a_offset * _MINUTE < _microseconds(b) - b_offset * _MINUTE


def _microseconds(moment: Place) -> int:
    """Return the microseconds since the first day of a year 0 that begins in March."""
    year, month, day, hour, minute, second, fraction = map(int, moment)
    # So a leap day is the last of its year.
    year, month = (year, month - 3) if month > 2 else (year - 1, month + 9)
    days = 365 * year + year // 4 - year // 100 + year // 400 + (153 * month + 2) // 5 + day
    return ((days * 24 + hour) * 60 + minute) * _MINUTE + second * 1_000_000 + fraction


def span(vr: str, text: str) -> Span | None:
    """Return what `text` stands for as a DA, TM or DT; `None` if it is not written as one.

    `UnreadableKeyError` for a day or time that there is not, such as 2026-02-30.
    """
    if vr == "DA":
        return _dated(text)
    if vr == "TM":
        found = _timed(text)
        return found and Span((0, 0, 0, *found[0]), (0, 0, 0, *found[1]))
    return _dated(text) or _date_and_time(text)


def _dated(text: str) -> Span | None:
    found = _DATE.fullmatch(text)
    if found is None:
        return None
    year, month, day = (
        int(found[name] or found[f"{name}_"] or 0) for name in ("year", "month", "day")
    )
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    last = _DAYS[month - 1] + leap if 1 <= month <= 12 else 31
    if month > 12 or day > last or (found["month"] or found["month_"], month) == ("00", 0):
        raise UnreadableKeyError(f"there is no date {text}")
    begin = (year, month or 1, day or 1, 0, 0, 0, 0)
    return Span(begin, (year, month or 12, day or (last if month else 31), 23, 59, 59, 999_999))


def _timed(text: str) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    found = _TIME.fullmatch(text)
    if found is None:
        return None
    hour, minute, second = (found[name] for name in ("hour", "minute", "second"))
    if int(hour) > 23 or int(minute or 0) > 59 or int(second or 0) > 60:  # 60 in a leap second
        raise UnreadableKeyError(f"there is no time {text}")
    fraction = found["fraction"] or ""
    return (
        (int(hour), int(minute or 0), int(second or 0), int(fraction.ljust(6, "0"))),
        (int(hour), int(minute or 59), int(second or 59), int(fraction.ljust(6, "9"))),
    )


def _date_and_time(text: str) -> Span | None:
    """Return what a date with a time stands for: `2026-03-01T14:30+01:00`, `202603011430+0100`."""
    offset = None
    if (at_end := _OFFSET.search(text)) and at_end.start() > 3:
        minutes = int(at_end["hours"] or 0) * 60 + int(at_end["minutes"] or 0)
        if minutes > 14 * 60:
            return None
        offset = -minutes if at_end["sign"] == "-" else minutes
        text = text[: at_end.start()]
    day, divider, time = text.partition("T")
    if not divider:
        day, divider, time = text.partition(" ")
    if not divider:
        day, time = (text[:8], text[8:]) if text[:8].isdecimal() else (text, "")
    date = _dated(day)
    clock = _timed(time) if time else ((0,) * 4, (23, 59, 59, 999_999))
    if date is None or clock is None or (time and date.begin[:3] != date.end[:3]):
        return None
    return Span((*date.begin[:3], *clock[0]), (*date.end[:3], *clock[1]), offset)
