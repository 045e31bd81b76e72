"""Undo, redo and revert: which changes they take back or do again, by which events.

Nothing is changed here: `Repository.step` records what these
functions return, and `Repository.foresee` tells what it would
lead to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import chain, islice
from typing import Any, Literal, TypeAlias

from attrs import frozen

from fileset.errors import NothingToUndoError, RefusedError, RevertRefusedError
from fileset.repository.origin import is_arrival
from ledger.events import ChangeRedone, ChangeReverted, ChangeUndone, Erased, Event, Handle
from ledger.journal.entries import Change
from ledger.journal.protocol import Journal
from ledger.phrases import count, some
from projections.errors import MisfitError
from projections.state.revert import inverse, net
from projections.state.state import FileSetState
from projections.state.undo import Effect, Undoable


@frozen
class UndoStep:
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


UndoPlan: TypeAlias = Callable[[FileSetState], UndoStep]
"""What to do, given the state that it is done to."""


Verb: TypeAlias = Literal["undo", "redo"]


def newest(state: FileSetState, verb: Verb, n: int) -> list[str]:
    """Return the ids of the newest `n` changes that can be undone or redone, as far as there are.

    The oldest comes first.
    """
    return [entry.change for entry in _stack(state, verb)[-n:]] if n > 0 else []


def what_came_between(verb: Verb, now: Sequence[str]) -> str:
    """Return what to tell of changes that others made before an undo or redo; `now` is `newest`."""
    found = f"the change to {verb} is now {now[-1]}" if now else f"nothing is left to {verb}"
    return (
        f"Others have changed the File-set meanwhile, and {found}. This object now shows their "
        f"changes, and nothing else was done: look at them, and {verb} again if that is what you "
        f"want."
    )


def undoing(n: int) -> UndoPlan:
    """Return the plan to take back the newest `n` changes."""

    def plan(state: FileSetState) -> UndoStep:
        taken = _taken(state, n, "undo")
        effects = chain.from_iterable(entry.effects for entry in reversed(taken))
        return _step(taken, tuple(ChangeUndone(e.change) for e in taken), effects, back=True)

    return plan


def undoing_by(journal: Journal, find: Callable[[str], Change], by: str, n: int = 1) -> UndoPlan:
    """Return the plan to take back the newest `n` changes that `by` made, each found by its id.

    These are the changes with that actor, other than arrivals, or with that origin, but none that
    was reverted. Where others came later, one is reverted; `RefusedError` for several, and if there
    are not as many.
    """

    def plan(state: FileSetState) -> UndoStep:
        stack = state.history.undo
        newest_first = (find(entry.change) for entry in reversed(stack))
        found = (
            change
            for change in newest_first
            if _is_by(change, by) and not _is_reverted(journal, find, state, change)
        )
        theirs = list(islice(found, n))
        if len(theirs) < n:
            there = f"only {count(len(theirs), 'change')}" if theirs else "no change"
            raise NothingToUndoError(f"{by} made {there} that can be undone.")
        if [change.id for change in theirs[::-1]] == newest(state, "undo", n):
            return undoing(n)(state)
        if n > 1:
            raise RefusedError(
                f"Others have changed something between these {n:,} changes: take them back one "
                "at a time."
            )
        return reverting(journal, theirs[0])(state)

    return plan


def _is_reverted(
    journal: Journal, find: Callable[[str], Change], state: FileSetState, change: Change
) -> bool:
    """Whether a revert took back `change`, which then stands in the way of another one."""
    return any(
        ChangeReverted(change.id)
        in (recorded.event for recorded in journal.read(at.first - 1, at.last))
        for at in map(find, inverse(state, change.id).in_the_way)
    )


def _is_by(change: Change, name: str) -> bool:
    """Whether somebody called `name` made a change by hand, or it came from there."""
    return change.origin == name or (change.actor == name and not is_arrival(change.origin))


def redoing(n: int) -> UndoPlan:
    """Return the plan to do again the `n` changes undone last."""

    def plan(state: FileSetState) -> UndoStep:
        taken = _taken(state, n, "redo")
        effects = chain.from_iterable(entry.effects for entry in taken)
        return _step(taken, tuple(ChangeRedone(e.change) for e in taken), effects)

    return plan


def reverting(journal: Journal, change: Change) -> UndoPlan:
    """Return the plan to take back `change` of `journal`, in the middle of the others.

    It raises `RevertRefusedError` if later changes stand in the way,
    `RefusedError` if there is nothing to take back.
    """

    def plan(state: FileSetState) -> UndoStep:
        try:
            found = inverse(state, change.id)
        except MisfitError:
            raise RefusedError(_why_not(journal, state, change)) from None
        if found.in_the_way:
            raise RevertRefusedError(_in_the_way(change.id, found.in_the_way), found.in_the_way)
        if not found.effects:
            raise RefusedError(
                f"Change {change.id} left everything as it was before: there is nothing to revert."
            )
        return _step([Undoable(change.id)], (ChangeReverted(change.id),), found.effects)

    return plan


def _stack(state: FileSetState, verb: Verb) -> Sequence[Undoable]:
    return state.history.undo if verb == "undo" else state.history.redo


def _taken(state: FileSetState, n: int, verb: Verb) -> Sequence[Undoable]:
    stack = _stack(state, verb)
    if n < 1:
        raise ValueError(f"The number of changes to {verb} is at least 1")
    if len(stack) < n:
        are = "is" if len(stack) == 1 else "are"
        there = f"{are} only {count(len(stack), 'change')}" if stack else "is nothing"
        why = "; what changes did to erased data stays erased" if state.erasures else ""
        raise NothingToUndoError(f"There {there} to {verb}{why}.")
    return stack[: -n - 1 : -1]


def _step(
    taken: Sequence[Undoable],
    events: tuple[Event, ...],
    effects: Iterable[Effect],
    *,
    back: bool = False,
) -> UndoStep:
    changed = net(effects)
    if back:  # those of an undo come as they were done once, the oldest first
        changed = {target: (after, before) for target, (before, after) in changed.items()}
    handles = {target: v for target, v in changed.items() if isinstance(target, int)}
    return UndoStep(
        changes=tuple(entry.change for entry in taken),
        events=events,
        added=tuple(sorted(h for h, (before, after) in handles.items() if after and not before)),
        removed=tuple(sorted(h for h, (before, after) in handles.items() if before and not after)),
        identity={target: v for target, v in changed.items() if isinstance(target, str)},
    )


def _in_the_way(change: str, later: tuple[str, ...]) -> str:
    stand = "a later change stands" if len(later) == 1 else f"{len(later):,} later changes stand"
    return (
        f"Change {change} can't be reverted, {stand} in the way: {some(later[::-1])}. Revert "
        "the newest of them first."
    )


def _why_not(journal: Journal, state: FileSetState, change: Change) -> str:
    """Return why there is no inverse of `change`, which is not in force."""
    if any(entry.change == change.id for entry in state.history.redo):
        return f"Change {change.id} is undone: `fileset redo` would do it again."
    events = [recorded.event for recorded in journal.read(change.first - 1, change.last)]
    if any(isinstance(event, ChangeUndone) for event in events):
        return f"Change {change.id} is an undo: `fileset redo` takes it back."
    if any(isinstance(event, ChangeRedone) for event in events):
        return f"Change {change.id} is a redo: `fileset undo` takes it back."
    adopted = change.first == 1
    if any(isinstance(event, Erased) for event in events):
        return f"What change {change.id} did was erased, and nothing brings it back."
    if not adopted and any(event.UNDOABLE for event in events):
        return f"Change {change.id} is not in force any more: it was undone."
    return (
        f"Change {change.id} is not one that can be reverted: it added, removed and set nothing in "
        "the File-set."
        if not adopted
        else f"Change {change.id} is how the File-set began: it can't be reverted."
    )
