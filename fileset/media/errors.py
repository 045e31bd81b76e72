"""What can go wrong with a medium that is handed out."""

from __future__ import annotations

from ledger.errors import LedgerError


class SourceChangedError(LedgerError):
    """A file does not have the size or checksum with which it was planned: its name is said."""


class UnreadableMediumError(LedgerError):
    """A medium can't be read, or is not what it says it is: the first thing that is wrong."""
