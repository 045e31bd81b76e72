"""Moments: the ways to name a point in time, and the journal position that each stands for.

A moment is a position (a number), a tag, a date or a time in ISO 8601, or a change by its id or
the beginning of it. Text is taken for, in this order:

1. a tag of that name;
2. `now`: the last position, with all that is staged;
3. digits alone: a position, or, if they are seven or more and the journal has no such position, a
   change whose id begins so;
4. what begins with `YYYY-MM-DD`: a date or a time, local unless it has a time zone;
5. a change whose id begins so, if there is just one: the state right after it.

A tag begins with a letter, so no number and no date is one.

A date or time comes to the last change that was recorded by its end (`fileset.timeline.times`). A
`datetime` is that instant.
"""

from __future__ import annotations

import unicodedata
from datetime import UTC, date, datetime, timedelta
from typing import Final, TypeAlias

from fileset.errors import NoSuchMomentError
from fileset.repository.find_change import change_beginning, checked_position, numbered_position
from fileset.repository.repository import Repository
from fileset.timeline.times import day_span, span
from ledger.journal.clocks import timestamp
from ledger.phrases import some

Moment: TypeAlias = int | str | date
"""A position, the text of a tag, change or time, or a `date` or `datetime`."""

NOW: Final = "now"
"""The moment that is the last position: no tag is called so."""

_INSTANT: Final = timedelta(microseconds=1)


def position_of(repository: Repository, moment: Moment) -> int:
    """Return the position that `moment` comes to.

    Raises `NoSuchMomentError` if it comes to none, or to several.
    """
    if isinstance(moment, datetime):
        return _position_before(repository, moment.astimezone(UTC) + _INSTANT, str(moment))
    if isinstance(moment, date):
        return _position_before(repository, day_span(moment)[1], str(moment))
    if isinstance(moment, int):
        return checked_position(repository.journal, moment)
    if not isinstance(moment, str):
        raise TypeError(f"A moment is a position, text or a date, not {type(moment).__name__}")
    return _position_of_text(repository, moment)


def _position_of_text(repository: Repository, moment: str) -> int:
    if moment[:1].isalpha():  # else it is no tag, and the state need not be known
        tagged = repository.refresh().tags.get(unicodedata.normalize("NFC", moment))
        if tagged is not None:
            return tagged
        if moment == NOW:
            return repository.state.position
    if moment.isascii() and moment.isdecimal():
        return numbered_position(repository.journal, moment)
    if (time := span(moment)) is not None:
        return _position_before(repository, time[1], moment)
    change = change_beginning(repository.journal, moment)
    if change is None:
        raise _no_moment(repository, moment)
    return change.last


def _no_moment(repository: Repository, text: str) -> NoSuchMomentError:
    tags = list(repository.refresh().tags)
    there = f"the tags are {some(tags)}" if tags else "there are no tags"
    return NoSuchMomentError(
        f"There is no tag of that name, and no change whose id begins so: '{text}'. "
        f"`fileset log` lists the changes; {there}."
    )


def _position_before(repository: Repository, end: datetime, named: str) -> int:
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
        raise NoSuchMomentError(f"Nothing was recorded up to {named}{begins}.")
    return found.last
