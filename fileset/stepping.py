"""Undo, redo and revert: which changes they take back or do again, by which events, to what effect.

Nothing is changed here: :meth:`~fileset.repository.Repository.step` records what these functions
return, and :meth:`~fileset.repository.Repository.foresee` tells what it would lead to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from attrs import frozen

from fileset.errors import NothingToUndoError, RefusedError, RevertRefusedError
from ledger.events import (
    ChangeRedone,
    ChangeReverted,
    ChangeUndone,
    DescriptorCharacterSetChanged,
    DescriptorFileIDChanged,
    Erased,
    Event,
    FileSetIDChanged,
    FileSetUIDChanged,
    Handle,
    InstanceAdded,
    InstanceRemoved,
    InstanceRestored,
)
from ledger.journal import Change
from projections.errors import MisfitError
from projections.history import Effect, Undoable
from projections.reverting import inverse, net
from projections.state import FileSetState

if TYPE_CHECKING:
    from fileset.repository import Repository

_NAMED: Final = 5  # changes in the way that a message names
_UNDOABLE: Final = (
    ChangeReverted,
    DescriptorCharacterSetChanged,
    DescriptorFileIDChanged,
    FileSetIDChanged,
    FileSetUIDChanged,
    InstanceAdded,
    InstanceRemoved,
    InstanceRestored,
)


@frozen
class Step:
    """Changes that are taken back or done again.

    Attributes
    ----------
    changes : tuple of str
        Their ids, in the order in which it is done.
    events : tuple of Event
        The events that do it.
    added, removed : tuple of int
        The handles of the instances that become part of the File-set, and that no longer are.
    identity : dict of str to tuple
        The fields of the identity that are set: the value before and the value after.
    """

    changes: tuple[str, ...]
    events: tuple[Event, ...]
    added: tuple[Handle, ...]
    removed: tuple[Handle, ...]
    identity: dict[str, tuple[Any, Any]]


Plan: TypeAlias = Callable[[FileSetState], Step]
"""What to do, given the state that it is done to."""


def undoing(n: int) -> Plan:
    """Return the plan to take back the newest `n` changes."""

    def plan(state: FileSetState) -> Step:
        taken = _newest(state, n, "undo")
        effects = chain.from_iterable(entry.effects for entry in reversed(taken))
        return _step(taken, tuple(ChangeUndone(e.change) for e in taken), effects, back=True)

    return plan


def redoing(n: int) -> Plan:
    """Return the plan to do again the `n` changes undone last."""

    def plan(state: FileSetState) -> Step:
        taken = _newest(state, n, "redo")
        effects = chain.from_iterable(entry.effects for entry in taken)
        return _step(taken, tuple(ChangeRedone(e.change) for e in taken), effects)

    return plan


def reverting(repository: Repository, change: Change) -> Plan:
    """Return the plan to take back `change`, in the middle of the others.

    It raises :class:`~fileset.errors.RevertRefusedError` if later changes stand in the way,
    :class:`~fileset.errors.RefusedError` if there is nothing to take back.
    """

    def plan(state: FileSetState) -> Step:
        try:
            found = inverse(state, change.id)
        except MisfitError:
            raise RefusedError(_why_not(repository, state, change)) from None
        if found.in_the_way:
            raise RevertRefusedError(_in_the_way(change.id, found.in_the_way), found.in_the_way)
        if not found.effects:
            raise RefusedError(
                f"Change {change.id} left everything as it was before: there is nothing to revert."
            )
        return _step([Undoable(change.id)], (ChangeReverted(change.id),), found.effects)

    return plan


def _newest(state: FileSetState, n: int, verb: str) -> list[Undoable]:
    stack = state.history.undo if verb == "undo" else state.history.redo
    if n < 1:
        raise ValueError(f"The number of changes to {verb} is at least 1")
    if len(stack) < n:
        there = f"only {len(stack)}" if stack else "nothing"
        why = "; what changes did to erased data stays erased" if state.erasures else ""
        raise NothingToUndoError(f"There is {there} to {verb}{why}.")
    return stack[: -n - 1 : -1]


def _step(
    taken: list[Undoable],
    events: tuple[Event, ...],
    effects: Iterable[Effect],
    *,
    back: bool = False,
) -> Step:
    changed = net(effects)
    if back:  # those of an undo come as they were done once, the oldest first
        changed = {target: (after, before) for target, (before, after) in changed.items()}
    handles = {target: v for target, v in changed.items() if not isinstance(target, str)}
    return Step(
        changes=tuple(entry.change for entry in taken),
        events=events,
        added=tuple(sorted(h for h, (before, after) in handles.items() if after and not before)),
        removed=tuple(sorted(h for h, (before, after) in handles.items() if before and not after)),
        identity={target: v for target, v in changed.items() if isinstance(target, str)},
    )


def _in_the_way(change: str, later: tuple[str, ...]) -> str:
    named = ", ".join(later[-1 : -_NAMED - 1 : -1])
    more = f" and {len(later) - _NAMED:,} more" if len(later) > _NAMED else ""
    stand = "a later change stands" if len(later) == 1 else f"{len(later):,} later changes stand"
    return (
        f"Change {change} can't be reverted, {stand} in the way: {named}{more}. Revert the newest "
        "of them first."
    )


def _why_not(repository: Repository, state: FileSetState, change: Change) -> str:
    """Return why there is no inverse of `change`, which is not in force."""
    if any(entry.change == change.id for entry in state.history.redo):
        return f"Change {change.id} is undone: `fileset redo` would do it again."
    events = [recorded.event for recorded in repository.events_of(change)]
    if any(isinstance(event, ChangeUndone) for event in events):
        return f"Change {change.id} is an undo: `fileset redo` takes it back."
    if any(isinstance(event, ChangeRedone) for event in events):
        return f"Change {change.id} is a redo: `fileset undo` takes it back."
    adopted = change.first == 1
    if any(isinstance(event, Erased) for event in events):
        return f"What change {change.id} did was erased, and nothing brings it back."
    if not adopted and any(isinstance(event, _UNDOABLE) for event in events):
        return f"Change {change.id} is not in force any more: it was undone."
    return (
        f"Change {change.id} is not one that can be reverted: it added, removed and set nothing in "
        "the File-set."
        if not adopted
        else f"Change {change.id} is how the File-set began: it can't be reverted."
    )
