"""When events were recorded, as the files on media have it."""

from __future__ import annotations

from bisect import bisect_right

from ledger.journal.protocol import Journal
from projections.medium.images.tree import CivilTime


class Times:
    """When the events of a journal were recorded."""

    def __init__(self, journal: Journal) -> None:
        self._firsts: list[int] = []
        self._times: list[CivilTime] = []
        for change in journal.changes():
            self._firsts.append(change.first)
            self._times.append(CivilTime.of(change.recorded_at))

    def at(self, position: int) -> CivilTime:
        """Return when the event at `position` was recorded, in UTC."""
        return self._times[bisect_right(self._firsts, position) - 1]
