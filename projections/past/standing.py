"""Which changes are in force, which were undone, and what undo and redo come to next.

Worked out backwards from the newest change, so that only the changes asked for are read.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from enum import Enum

from attrs import define, field, frozen

from ledger.events import (
    EVENT_TYPES,
    ChangeRedone,
    ChangeReverted,
    ChangeStep,
    ChangeUndone,
    FileSetImported,
    InstanceAdded,
    PayloadErased,
)
from projections.state.undo import UndoHistory


class Standing(Enum):
    """What has become of a change."""

    APPLIED = "applied"
    """It is in force."""

    UNDONE = "undone"
    """It was undone, and can be redone."""

    DISCARDED = "discarded"
    """It was undone, and a change after that ended what could be redone."""

    REVERTED = "reverted"
    """A later change, itself in force, took it back."""

    ERASED = "erased"
    """What it did was erased, and nothing brings that back."""


@frozen
class ChangeStanding:
    """What has become of a change, `None` if it did nothing that could be undone.

    `next` is `"undo"` or `"redo"` for the change that this would come to first.
    """

    standing: Standing | None = None
    next: str | None = None


@define
class Standings:
    """Tells where changes stand, one after the other from the newest to the oldest.

    Where data was erased, `history` has to tell which changes are left to be undone and redone.
    """

    history: Callable[[], UndoHistory] = UndoHistory
    _undone: dict[str, Standing] = field(factory=dict)
    _reverted: set[str] = field(factory=set)
    _next: dict[str, str] = field(factory=dict)
    _overtaken: bool = False
    _redo_known: bool = False
    _undo_known: bool = False
    _left: frozenset[str] | None = None

    def take(
        self, change: str, types: Collection[str], steps: Iterable[ChangeStep]
    ) -> ChangeStanding:
        """Return the standing of the next older `change`.

        `types` are those of its events; `steps` its events that name other changes, in order.
        """
        if PayloadErased.TYPE in types and self._left is None:
            history = self.history()
            self._left = frozenset(entry.change for entry in (*history.undo, *history.redo))
        own = self._undone.get(change, Standing.APPLIED)
        for step in reversed(list(steps)):
            match step:
                case ChangeUndone(change=id_) if id_ not in self._undone:
                    self._note_undone(id_)
                case ChangeRedone(change=id_):
                    self._undone.setdefault(id_, Standing.APPLIED)
                case ChangeReverted(change=id_) if own is Standing.APPLIED:
                    self._reverted.add(id_)
        if not _is_undoable(types):
            return ChangeStanding()
        self._overtaken = True
        if own is not Standing.DISCARDED and self._is_erased(change):
            return ChangeStanding(Standing.ERASED)
        if own is not Standing.APPLIED:
            return ChangeStanding(own, self._next.get(change))
        first, self._undo_known = not self._undo_known, True
        reverted = change in self._reverted
        return ChangeStanding(Standing.REVERTED if reverted else own, "undo" if first else None)

    def _note_undone(self, change: str) -> None:
        self._undone[change] = Standing.DISCARDED if self._overtaken else Standing.UNDONE
        if not self._overtaken and not self._redo_known and not self._is_erased(change):
            self._redo_known = True
            self._next[change] = "redo"

    def _is_erased(self, change: str) -> bool:
        return self._left is not None and change not in self._left


def _is_undoable(types: Collection[str]) -> bool:
    """Whether a change with events of these `types` did anything that undo takes back."""
    undoable = {name for name in types if name in EVENT_TYPES and EVENT_TYPES[name].UNDOABLE}
    if FileSetImported.TYPE in types:  # the instances came with their medium
        undoable.discard(InstanceAdded.TYPE)
    return bool(undoable)
