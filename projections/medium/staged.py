"""How much is staged for a write, as numbers that can be kept and shown without a state."""

from __future__ import annotations

from typing import NamedTuple

from attrs import frozen


@frozen
class Staged:
    """How much is staged; see `Pending`."""

    creation: bool
    metadata: bool
    additions: int
    removals: int
    moves: int
    mends: bool = False
    records: int = 0
    corrections: int = 0

    def __bool__(self) -> bool:
        """Whether anything is staged."""
        return bool(
            self.creation
            or self.metadata
            or self.additions
            or self.removals
            or self.moves
            or self.mends
            or self.records
            or self.corrections
        )

    def summary(self) -> str:
        """Return what is staged in pydicom's words, `""` if nothing is."""
        if not self:
            return ""
        parts = ["DICOMDIR creation" if self.creation else "DICOMDIR update"]
        if self.moves:
            parts.append("directory structure update")
        if self.corrections:
            parts.append(_count(self.corrections, "correction"))
        if self.additions:
            parts.append(_count(self.additions, "addition"))
        if self.removals:
            parts.append(_count(self.removals, "removal"))
        return ", ".join(parts)


class LateAdditions(NamedTuple):
    """How many instances that are to be added came late, and to how many studies."""

    instances: int
    studies: int


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}"
