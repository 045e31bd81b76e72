"""Moments: the ways to say as of when, and the position of the journal that each comes to.

A moment is a position (a number), a tag, a date or a time in ISO 8601, or a change by its id or
the beginning of it. Text is taken for, in this order:

1. a tag of that name;
2. digits alone: a position, or, if they are seven or more and the journal has no such position, a
   change whose id begins so;
3. what begins with ``YYYY-MM-DD``: a date or a time, local unless it has a time zone;
4. a change whose id begins so, if there is just one: the state right after it.

A tag begins with a letter, so no number and no date is one.

A date or time comes to the last change that was recorded by then. It stands for all of itself:
``2026-11-22`` is the end of that day, ``2026-11-22T14:30`` the end of that minute. So the times
that ``fileset log`` prints, which leave out fractions, find their changes. A ``datetime`` is that
instant.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Final, TypeAlias

from fileset.errors import NoSuchMomentError
from ledger.journal import Change, timestamp

if TYPE_CHECKING:
    from fileset.repository import Repository

Moment: TypeAlias = int | str | date
"""A position, the text of a tag, change or time, or a ``date`` or ``datetime``."""

_LONGEST_NUMBER: Final = 18
_ID_DIGITS: Final = 7  # that are taken for the beginning of an id: fewer are a mistaken position
_SHOWN: Final = 5
_TIME: Final = re.compile(
    r"(?P<day>\d{4}-\d\d-\d\d)"
    r"([T ](?P<hour>\d\d)(:(?P<minute>\d\d)(:(?P<second>\d\d)([.,](?P<fraction>\d{1,6}))?)?)?"
    r"(?P<zone>Z|[+-]\d\d(:?\d\d)?)?)?",
    re.ASCII,
)
_INSTANT: Final = timedelta(microseconds=1)


def position_of(repository: Repository, moment: Moment) -> int:
    """Return the position that `moment` comes to.

    Raises :class:`~fileset.errors.NoSuchMomentError` if it comes to none, or to several.
    """
    if isinstance(moment, datetime):
        return _position_before(repository, moment.astimezone(UTC) + _INSTANT, str(moment))
    if isinstance(moment, date):
        return _position_before(repository, _end_of_day(moment), str(moment))
    if isinstance(moment, int):
        return _checked(repository, moment)
    if not isinstance(moment, str):
        raise TypeError(f"A moment is a position, text or a date, not {type(moment).__name__}")
    if moment[:1].isalpha():  # else it is no tag, and the state need not be known
        tagged = repository.refresh().tags.get(unicodedata.normalize("NFC", moment))
        if tagged is not None:
            return tagged
    if moment.isascii() and moment.isdecimal():
        return _numbered(repository, moment)
    if (parts := _TIME.fullmatch(moment)) is not None:
        return _position_before(repository, _end_of(parts), moment)
    return _change(repository, moment, "no tag of that name, and no change").last


def change_of(repository: Repository, named: str) -> Change:
    """Return the change with the id `named`, or the beginning of it, or one of its positions.

    Digits are a position as they are elsewhere. Raises
    :class:`~fileset.errors.NoSuchMomentError` unless there is just one.
    """
    if named.isascii() and named.isdecimal():
        number = int(named[: _LONGEST_NUMBER + 1])
        if 1 <= number <= repository.journal.position:
            return change_at(repository, number)
        if repository.journal.find_change(named) is None:
            return change_at(repository, _numbered(repository, named))
    return _change(repository, named, "no change")


def change_at(repository: Repository, position: int) -> Change:
    """Return the change that the event at `position` is of."""
    (recorded,) = repository.journal.stored(after=position - 1, upto=position)
    return recorded.change


def _change(repository: Repository, start: str, none: str) -> Change:
    found = repository.journal.find_change(start) if start else None
    if found is not None:
        return found
    beginning = [c.id for c in repository.journal.changes() if start and c.id.startswith(start)]
    if beginning:
        raise NoSuchMomentError(
            f"{len(beginning)} changes have ids that begin with '{start}': {_some(beginning)}."
        )
    tags = list(repository.refresh().tags)
    there = f"the tags are {_some(tags)}" if tags else "there are no tags"
    raise NoSuchMomentError(
        f"There is {none} whose id begins so: '{start}'. `fileset log` lists the changes; {there}."
        if "tag" in none
        else f"No change has an id that begins with '{start}': see `fileset log`."
    )


def _some(names: list[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(names[:_SHOWN]) + (f" and {more:,} more" if more > 0 else "")


def _numbered(repository: Repository, digits: str) -> int:
    try:
        return _checked(repository, int(digits[: _LONGEST_NUMBER + 1]))
    except NoSuchMomentError:
        change = repository.journal.find_change(digits) if len(digits) >= _ID_DIGITS else None
        if change is None:
            raise
        return change.last


def _checked(repository: Repository, position: int) -> int:
    last = repository.journal.position
    if not 1 <= position <= last:
        raise NoSuchMomentError(f"The journal has the positions 1 to {last}, not {position}.")
    return position


# --- dates and times -----------------------------------------------------------------------------


def _position_before(repository: Repository, end: datetime, told: str) -> int:
    """Return the last position of the last change that was recorded before `end`.

    The order of things is by position: a clock that was set back is not noticed.
    """
    limit = timestamp(lambda: end)
    found = first = None
    for change in repository.journal.changes():
        first = first or change
        if change.recorded_at < limit:
            found = change
    if found is None:
        begins = f": the journal begins at {first.recorded_at}" if first else ""
        raise NoSuchMomentError(f"Nothing was recorded up to {told}{begins}.")
    return found.last


def _end_of(parts: re.Match[str]) -> datetime:
    """Return the end of the day, hour, minute, second or fraction that was written."""
    given = parts.groupdict()
    try:
        if given["hour"] is None:
            return _end_of_day(date.fromisoformat(given["day"]))
        fraction = given["fraction"] or ""
        begin = datetime.fromisoformat(
            f"{given['day']}T{given['hour']}:{given['minute'] or '00'}:{given['second'] or '00'}."
            f"{fraction:0<6}{given['zone'] or ''}"
        )
        if fraction:
            width = timedelta(microseconds=10 ** (6 - len(fraction)))
        elif given["second"]:
            width = timedelta(seconds=1)
        else:
            width = timedelta(minutes=1) if given["minute"] else timedelta(hours=1)
        return begin.astimezone(UTC) + width
    except (ValueError, OverflowError, OSError) as exc:
        raise NoSuchMomentError(f"'{parts[0]}' is no date or time: {exc}.") from exc


def _end_of_day(day: date) -> datetime:
    """Return the midnight that ends `day` where this program runs."""
    try:
        return datetime.combine(day + timedelta(days=1), datetime.min.time()).astimezone(UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise NoSuchMomentError(f"'{day}' is no day that can be told: {exc}.") from exc
