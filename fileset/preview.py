"""What an undo, a redo or a revert would do, as a value to look at before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from fileset.history import HistoryEntry, PendingChanges
from fileset.instance import FileInstance

if TYPE_CHECKING:
    from fileset.fileset import FileSet


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
    after: FileSet = field(repr=False)

    @property
    def pending(self) -> PendingChanges:
        """What the next write would do then."""
        return self.after.pending
