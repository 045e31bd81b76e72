"""Dates and times as people type them, in ISO 8601: a date stands for the whole day.

`2026-11-22` is that day, `2026-11-22T14:30` that minute, local unless it has a time zone. So the
times that `fileset log` prints, which leave out fractions, find their changes. `today`, `yesterday`
and `tuesday`, the last one there was, are days as well.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import Final

from fileset.errors import NoSuchMomentError

_TIME: Final = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"([T ](?P<hour>\d\d)(:(?P<minute>\d\d)(:(?P<second>\d\d)([.,](?P<fraction>\d{1,6}))?)?)?"
    r"(?P<zone>Z|[+-]\d\d(:?\d\d)?)?)?",
    re.ASCII,
)

_DAYS: Final = ("today", "yesterday")
_WEEK: Final = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def span(text: str) -> tuple[datetime, datetime] | None:
    """Return when `text` begins and ends (UTC), `None` if it is not written as a date or time.

    NoSuchMomentError for one that there is not, such as 2026-02-30.
    """
    if (back := _days_back(text.lower())) is not None:
        return day_span(_today() - timedelta(days=back))
    parts = _TIME.fullmatch(text)
    if parts is None:
        return None
    given = parts.groupdict()
    try:
        if given["hour"] is None:
            return day_span(date.fromisoformat(given["day"]))
        fraction = given["fraction"] or ""
        begin = datetime.fromisoformat(
            f"{given['day']}T{given['hour']}:{given['minute'] or '00'}:{given['second'] or '00'}."
            f"{fraction:0<6}{given['zone'] or ''}"
        ).astimezone(UTC)
        if fraction:
            width = timedelta(microseconds=10 ** (6 - len(fraction)))
        elif given["second"]:
            width = timedelta(seconds=1)
        else:
            width = timedelta(minutes=1) if given["minute"] else timedelta(hours=1)
        return begin, begin + width
    except (ValueError, OverflowError, OSError) as exc:
        raise NoSuchMomentError(f"'{text}' is not a date or time: {exc}.") from exc


def _today() -> date:
    return datetime.now().astimezone().date()


def _days_back(word: str) -> int | None:
    """Return how many days ago the day was that is called so, `None` if none is."""
    if word in _DAYS:
        return _DAYS.index(word)
    return (_today().weekday() - _WEEK.index(word)) % 7 if word in _WEEK else None


def day_span(day: date) -> tuple[datetime, datetime]:
    """Return the midnights (UTC) that `day` is between where this program runs."""
    try:
        midnights = (day, day + timedelta(days=1))  # a day may have 23 hours
        begin, end = (datetime.combine(each, datetime.min.time()) for each in midnights)
        return begin.astimezone(UTC), end.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise NoSuchMomentError(f"'{day}' is not a valid day: {exc}.") from exc
