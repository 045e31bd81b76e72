"""What became of the files of a study: of each, and in numbers."""

from __future__ import annotations

from typing import Final, NamedTuple

from attrs import define, field, frozen

from fileset.adding.outcome import Outcome
from fileset.watching.settling import Observation
from ledger.digest import Digest
from ledger.errors import InstanceError, RecordError

MISMATCHED: Final = "mismatched"
"""The outcome of what may be of another person than others with its Patient ID."""

UNCOERCED: Final = "not coerced"
"""The outcome of what the rules for arrivals can't be applied to."""


class Refusal(NamedTuple):
    """Why a file could not be added: `outcome` as in an account of files, and the reason."""

    outcome: str
    reason: str

    @classmethod
    def of(cls, exc: InstanceError) -> Refusal:
        """Return why a file could not be read, and what may help."""
        hint = "; `fileset quarantine retry ID --complete` invents it"
        return cls(Outcome.of(exc).value, exc.reason + hint * isinstance(exc, RecordError))

    @classmethod
    def unread(cls, exc: OSError) -> Refusal:
        """Return that a file could not be read."""
        return cls(Outcome.REJECTED.value, f"can't be read: {exc.strerror}")


@frozen
class Committed:
    """What was made of the files of one study, in numbers.

    `change` is the id of the change, `None` if nothing was recorded. `late` is whether the study
    had been written to the medium before. Of those that were added or refused, `mismatched` may be
    of another person than others with their Patient ID; with the `faulty` ones that were added the
    File-set breaks the Standard, and the `coerced` ones got other values on arrival. Of the
    `taken_back` files, instances were undone or removed, or erased while the file stayed where it
    lies: they are not added again.
    """

    change: str | None
    folder: str
    study: str
    added: int
    already_there: int
    taken_back: int
    conflicting: int
    late: bool
    mismatched: int = 0
    faulty: int = 0
    coerced: int = 0


@define
class Account:
    """What became of each file of a study."""

    settled: list[Observation] = field(factory=list)
    """Those that are part of the File-set, or need not be."""
    referenced: list[Observation] = field(factory=list)
    """Those whose bytes the vault may not have: nothing may become of them."""
    conflicts: list[tuple[Observation, Refusal]] = field(factory=list)
    withheld: list[tuple[Observation, Refusal, str]] = field(factory=list)
    """Those of instances that were withdrawn, with the SOP Instance UID."""
    failed: list[tuple[Observation, Refusal]] = field(factory=list)
    changed: list[Observation] = field(factory=list)
    """Those that are no longer what they were when they had settled."""
    contents: dict[str, Digest] = field(factory=dict)
    """What files that are kept hold, by path."""
