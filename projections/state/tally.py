"""What is counted of the instances directly below a record, so that nobody has to go through them.

It is counted once, then kept up with each change: what is staged, and the outline, cost what the
change costs and not what the File-set does.
"""

from __future__ import annotations

from typing import Protocol

from attrs import define, field

from ledger.names import is_conformant


class Counted(Protocol):
    """An instance in the tree, as far as it is counted."""

    @property
    def record_type(self) -> str: ...

    rank: int
    adopted_as: str | None
    file_id: str | None


@define
class Tally:
    """How many instances there are directly below a record.

    Attributes
    ----------
    kinds : dict of str to list of int
        By record type: all in the tree, those to be added, and those to be removed.
    on_medium : int
        Those that lie on the medium as of the last completed write.
    adopted : int
        Those of the File-set that came with a medium.
    misnamed : int
        Those of the File-set that lie on the medium under a name that is no valid File ID.
    moved : dict of str to int
        Those on the medium that the default layout has elsewhere, by what that depends on besides
        their order and File IDs (`projections.medium.pending`), where somebody has asked.
    """

    kinds: dict[str, list[int]] = field(factory=dict)
    on_medium: int = 0
    adopted: int = 0
    misnamed: int = 0
    moved: dict[str, int] = field(factory=dict)

    def count(self, leaf: Counted, step: int) -> None:
        """Count `leaf` as it is now: 1 for one that came, -1 for one that goes."""
        live, there = leaf.rank > 0, leaf.file_id is not None
        counts = self.kinds.setdefault(leaf.record_type, [0, 0, 0])
        counts[0] += step
        if live != there:
            counts[1 if live else 2] += step
        if not counts[0]:
            del self.kinds[leaf.record_type]
        self.on_medium += there * step
        self.adopted += (live and leaf.adopted_as is not None) * step
        if live and leaf.file_id is not None and not is_conformant(leaf.file_id):
            self.misnamed += step

    @property
    def additions(self) -> int:
        """Those to be added."""
        return sum(added for _, added, _ in self.kinds.values())
