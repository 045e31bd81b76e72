"""Where audit messages go."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from fileset.audit.message import AuditMessage
from ledger.errors import LedgerError


class DeliveryError(LedgerError):
    """Messages could not be delivered; the error says why, and they are to be sent again."""


class Destination(Protocol):
    """What takes messages."""

    @property
    def name(self) -> str:
        """What it is called, the same at each start."""
        ...

    def deliver(self, messages: Sequence[AuditMessage]) -> None:
        """Deliver the messages in their order; DeliveryError unless all of them have arrived."""
        ...
