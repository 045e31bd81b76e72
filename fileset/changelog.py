"""Changes with their events, from either end of the journal.

From its newer end they cost what they are, however long the journal is.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from fileset.repository import Repository
from ledger.errors import UnknownFormatError
from ledger.journal import Change, Journal, Stored, decoded
from projections.standing import STEPS, Stand, Standings, Step

_FIRST_WINDOW: Final = 64  # positions that are looked at at once, from the newer end
_MANY: Final = 1000  # changes in a window, beyond which windows don't grow


class Entry(NamedTuple):
    """A change, its events as they are kept, and where it stands, if that was to be told."""

    change: Change
    events: list[Stored]
    stand: Stand = Stand()

    def types(self) -> list[str]:
        """Return the types of its events, each once, in their order."""
        return list(dict.fromkeys(stored.type for stored in self.events))


def oldest_first(repository: Repository) -> Iterator[Entry]:
    """Yield every change, without where it stands: what came after it is not read yet."""
    return _grouped(repository.journal.stored())


def newest_first(repository: Repository) -> Iterator[Entry]:
    """Yield every change and where it stands."""
    journal = repository.journal
    standings = Standings(lambda: repository.refresh().history)
    for changes in _windows(journal):
        stored = journal.stored(after=changes[0].first - 1, upto=changes[-1].last)
        for entry in reversed(list(_grouped(stored))):
            stand = standings.take(entry.change.id, entry.types(), steps_of(entry.events))
            yield entry._replace(stand=stand)


def steps_of(events: Iterable[Stored]) -> list[Step]:
    """Return the events among `events` that name another change, those of newer versions apart."""
    found: list[Step] = []
    for stored in events:
        if stored.type in STEPS:
            try:
                event = decoded(stored)
            except UnknownFormatError:
                continue
            if isinstance(event, Step):
                found.append(event)
    return found


def _grouped(stored: Iterable[Stored]) -> Iterator[Entry]:
    events: list[Stored] = []
    for event in stored:
        events.append(event)
        if event.position == event.change.last:
            yield Entry(event.change, events)
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
