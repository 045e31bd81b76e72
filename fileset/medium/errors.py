"""What can go wrong with a medium."""

from __future__ import annotations

from ledger.errors import LedgerError


class MediumError(LedgerError):
    """The medium is not in a state to be written to."""


class DicomdirReplacedError(MediumError):
    """Another DICOMDIR is in place than the write has put or found there."""


class WriteFailedError(LedgerError):
    """A write failed. If `rolled_back`, the medium is as before, else the write can be resumed."""

    def __init__(self, message: str, *, rolled_back: bool) -> None:
        super().__init__(message)
        self.rolled_back = rolled_back
