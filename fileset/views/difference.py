"""What differs between two moments of a File-set, as a program looks at it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from attrs import frozen

from fileset.views import notebook
from fileset.views.instance import FileInstance
from ledger.events import Handle
from ledger.phrases import count
from projections.past.diff import RecordDifference, Side, compare


@frozen(repr=False)
class Difference:
    """What differs between two positions of the journal.

    Attributes
    ----------
    before, after : int
        The positions.
    identity : mapping
        The fields of the File-set's identity that differ: the pair of their values.
    added, removed : list of FileInstance
        The instances that are part of the later File-set only, or of the earlier one only.
    changed : list of tuple of FileInstance
        Those that both have in different forms, as after a correction.
    records : tuple of RecordDifference
        The records of patients, studies and series that differ.
    """

    before: int
    after: int
    identity: Mapping[str, tuple[Any, Any]]
    added: list[FileInstance]
    removed: list[FileInstance]
    changed: list[tuple[FileInstance, FileInstance]]
    records: tuple[RecordDifference, ...]

    @classmethod
    def between(
        cls, before: Side, after: Side, instance: Callable[[Handle], FileInstance]
    ) -> Difference:
        """Return how `after` differs from `before`; `instance` gives what stands for a handle."""
        found = compare(before, after)
        return cls(
            before=before.position or 0,
            after=after.position or 0,
            identity=found.identity,
            added=[instance(leaf.handle) for leaf in found.added],
            removed=[instance(leaf.handle) for leaf in found.removed],
            changed=[(instance(old.handle), instance(new.handle)) for old, new in found.changed],
            records=found.records,
        )

    def __bool__(self) -> bool:
        """Whether anything differs."""
        return bool(self.identity or self.records or self.added or self.removed or self.changed)

    @property
    def summary(self) -> str:
        """What differs, in numbers; empty if nothing does."""
        amounts = {
            "added": len(self.added),
            "removed": len(self.removed),
            "changed": len(self.changed),
        }
        parts = [f"{count(n, 'instance')} {what}" for what, n in amounts.items() if n]
        parts += [f"{count(len(self.records), 'record')} above them"] if self.records else []
        parts += [f"File-set {name}" for name in self.identity]
        return ", ".join(parts)

    def __repr__(self) -> str:
        """Return the positions and what differs, in a line."""
        return f"<difference from {self.before} to {self.after}: {self.summary or 'nothing'}>"

    def _repr_html_(self) -> str:
        return notebook.table(["", "what", "", ""], self._rows(), title=repr(self)[1:-1])

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for name, (was, is_) in self.identity.items():
            yield "changed", f"File-set {name}", was, is_
        for what, some in (("added", self.added), ("removed", self.removed)):
            for each in some:
                yield what, *each.in_short()
        for _, new in self.changed:
            yield "changed", *new.in_short()
