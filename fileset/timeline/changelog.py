"""Changes with their events, from either end of the journal.

From its newer end they cost what they are, however long the journal is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Final, NamedTuple

from fileset.repository.repository import Repository
from ledger.errors import UnknownFormatError
from ledger.events import EVENT_TYPES, ChangeStep, Event
from ledger.journal.clocks import time_back
from ledger.journal.entries import Change, Stored
from ledger.journal.protocol import Journal, decoded
from projections.past.standing import ChangeStanding, Standings

_FIRST_WINDOW: Final = 64  # positions that are looked at at once, from the newer end
_MANY: Final = 1000  # changes in a window, beyond which windows don't grow


class ChangeEntry(NamedTuple):
    """A change, its events as they are kept, and where it stands, if that was asked for."""

    change: Change
    events: list[Stored]
    stand: ChangeStanding = ChangeStanding()
    back: timedelta | None = None
    """By how much the clock had gone back since the change before, if it had."""

    def types(self) -> list[str]:
        """Return the types of its events, each once, in their order."""
        return list(dict.fromkeys(stored.type for stored in self.events))


def oldest_first(repository: Repository) -> Iterator[ChangeEntry]:
    """Yield every change, without where it stands: what came after it is not read yet."""
    before: Change | None = None
    for entry in _grouped(repository.journal.stored()):
        yield entry._replace(back=time_back(before, entry.change))
        before = entry.change


def newest_first(repository: Repository) -> Iterator[ChangeEntry]:
    """Yield every change and where it stands."""
    journal = repository.journal
    standings = Standings(lambda: repository.refresh().history)
    later: ChangeEntry | None = None  # told when the change before it is known
    for entry in _backwards(journal):
        stand = standings.take(entry.change.id, entry.types(), steps_of(entry.events))
        if later is not None:
            yield later._replace(back=time_back(entry.change, later.change))
        later = entry._replace(stand=stand)
    if later is not None:
        yield later


def _backwards(journal: Journal) -> Iterator[ChangeEntry]:
    for changes in _windows(journal):
        stored = journal.stored(after=changes[0].first - 1, upto=changes[-1].last)
        yield from reversed(list(_grouped(stored)))


def steps_of(events: Iterable[Stored]) -> list[ChangeStep]:
    """Return the events among `events` that name another change, those of newer versions apart."""
    found: list[ChangeStep] = []
    for stored in events:
        if issubclass(EVENT_TYPES.get(stored.type, Event), ChangeStep):
            try:
                event = decoded(stored)
            except UnknownFormatError:
                continue
            if isinstance(event, ChangeStep):
                found.append(event)
    return found


def _grouped(stored: Iterable[Stored]) -> Iterator[ChangeEntry]:
    events: list[Stored] = []
    for event in stored:
        events.append(event)
        if event.position == event.change.last:
            yield ChangeEntry(event.change, events)
            events = []


def _windows(journal: Journal) -> Iterator[list[Change]]:
    """Yield the changes in runs, the newest run first, each run oldest first."""
    upper, size = journal.position, _FIRST_WINDOW
    while upper > 0:
        lower = max(upper - size, 0)
        changes = []
        for change in journal.changes(after=lower):
            if change.first > upper:
                break
            changes.append(change)
        if changes:
            yield changes
        if len(changes) < _MANY:
            size *= 2
        upper = lower
