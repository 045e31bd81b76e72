"""What an undo, a redo or a revert would do, as a value to look at first."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, cast

from attrs import field, frozen

from fileset.repository.undo import UndoStep
from fileset.views.history import HistoryEntry, PendingChanges, entries_of
from fileset.views.instance import FileInstance
from fileset.views.view import View


@frozen
class Preview:
    """What would be done; nothing was.

    Attributes
    ----------
    changes : list of HistoryEntry
        The changes that would be taken back or done again, in that order.
    added, removed : list of FileInstance
        The instances that would become part of the File-set, and that no longer would be.
    identity : mapping
        The fields of the File-set's identity that would be set: the pair of the value now and then.
    after : FileSet
        The File-set as it would be, read-only.
    """

    changes: list[HistoryEntry]
    added: list[FileInstance]
    removed: list[FileInstance]
    identity: Mapping[str, tuple[Any, Any]]
    after: Any = field(repr=False)

    @classmethod
    def of(cls, step: UndoStep, now: View, after: View) -> Preview:
        """Return what `step` would do to what is looked at `now`."""
        return cls(
            changes=entries_of(now.repository, step.changes),
            added=[after.instance(handle) for handle in step.added],
            removed=[now.instance(handle) for handle in step.removed],
            identity=MappingProxyType(step.identity),
            after=after.file_set,
        )

    @property
    def pending(self) -> PendingChanges:
        """What the next write would do then."""
        return cast("PendingChanges", self.after.pending)
