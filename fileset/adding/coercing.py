"""Coercing instances while they are added: what an `Adder` asks of whoever does that."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Protocol, TypeAlias

from attrs import frozen

from fileset.adding.candidate import Candidate
from fileset.repository.repository import Repository
from ledger.events import ElementCorrected, Handle, InstanceCorrected
from ledger.vault.protocol import Batch


@frozen
class Coerced:
    """An instance with the receiver's own values, whose bytes are in the vault's batch.

    `correct` returns the event by which it takes the place of the instance that has just arrived,
    and `notes` say what else there is to know of it.
    """

    candidate: Candidate
    correct: Callable[[Handle], InstanceCorrected]
    notes: tuple[str, ...] = ()


class Coercing(Protocol):
    """Coerces the instances of one change."""

    def coerced(self, candidate: Candidate) -> AbstractContextManager[Coerced | None]:
        """Give `candidate` coerced, `None` if it stays as it is.

        Raises `CorrectionError` if it can't be, or another InstanceError if it can't be read.
        """

    def complete(self) -> tuple[tuple[ElementCorrected, int], ...]:
        """Record what was coerced alike in which instances; return what in how many."""


Coercer: TypeAlias = Callable[[Repository, Batch], Coercing]
"""Begins to coerce the instances of a change of the repository, whose bytes go into the batch."""
