"""Changes and events in the words of the command line."""

from __future__ import annotations

from typing import Final

from fileset.cli.screen.text import in_commands, instant
from fileset.timeline import wording
from ledger.journal.entries import Change, Stored

DIGITS: Final = 6  # of a position, so that the columns of a log of a million events stand


def time_of(change: Change) -> str:
    """Return when a change was recorded, to the second."""
    return instant(change.recorded_at)


class Wording(wording.Wording):
    """Tells what the changes of a repository did, from the journal alone."""

    def event(self, stored: Stored) -> str:
        """Return one line on an event."""
        return in_commands(super().event(stored))
