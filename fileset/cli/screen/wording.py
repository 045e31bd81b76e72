"""Changes and events in the words of the command line."""

from __future__ import annotations

from typing import Final

from fileset.cli.screen.output import Parts, Span
from fileset.cli.screen.text import in_commands, instant
from fileset.timeline import wording
from ledger.journal.entries import Change, Stored

DIGITS: Final = 6  # of a position, so that the columns of a log of a million events stand


def time_of(change: Change) -> str:
    """Return when a change was recorded, to the second."""
    return instant(change.recorded_at)


def told_of(change: Change) -> dict[str, str]:
    """Return what is known of a change besides what it did, by what people call it."""
    return {
        "Recorded at": time_of(change),
        "Actor": change.actor,
        "Origin": change.origin,
        "Reason": change.reason or "(none given)",
        "Positions": f"{change.first} to {change.last}" if change.count > 1 else str(change.last),
    }


class Wording(wording.Wording):
    """Tells what the changes of a repository did, from the journal alone."""

    def event(self, stored: Stored) -> str:
        """Return one line on an event."""
        return in_commands(super().event(stored))

    def event_line(self, stored: Stored) -> Parts:
        """Return the same behind the event's position."""
        return (Span(f"{stored.position:>{DIGITS}}", "faint"), f"  {self.event(stored)}")
