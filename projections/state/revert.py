"""Revert: how to take back one change that others came after, and which of these prevent it.

Undo and redo are last in first out. A revert takes back any change in force, as long as what it
left is still so: an instance that it added is still part, one that it removed still isn't and no
other of that SOP Instance UID is, a field of the identity still has the value that it was given.
Nor may the patient, study or series of an instance that comes back have come anew since: it would
stand in the DICOMDIR twice, where PS3.3 Section F.5 has each once. Whatever else happened stays.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from attrs import frozen

from ledger.events import Handle, RecordRef
from projections.errors import MisfitError
from projections.state.nodes import Branch, Leaf
from projections.state.undo import (
    AdditionEffect,
    Effect,
    IdentityEffect,
    MembershipEffect,
    SettlementEffect,
)

if TYPE_CHECKING:
    from projections.state.state import FileSetState

Target: TypeAlias = Handle | str | RecordRef
"""What an effect is on: an instance, a field of the identity by its name, or a PATIENT record."""


@frozen
class Inverse:
    """The effects that take a change back, and the changes in their way, oldest first.

    With changes in the way the effects are none.
    """

    effects: tuple[Effect, ...]
    in_the_way: tuple[str, ...]


def net(effects: Iterable[Effect]) -> dict[Target, tuple[Any, Any]]:
    """Return what each thing was before and is after `effects`, where that differs."""
    found: dict[Target, tuple[Any, Any]] = {}
    for effect in effects:
        match effect:
            case AdditionEffect(first, last):
                for handle in range(first, last + 1):
                    found[handle] = (0, handle)
            case (
                MembershipEffect(target, before, after)
                | IdentityEffect(target, before, after)
                | SettlementEffect(target, before, after)
            ):
                found[target] = (found.get(target, (before,))[0], after)
    return {target: values for target, values in found.items() if values[0] != values[1]}


def inverse(state: FileSetState, change: str) -> Inverse:
    """Return what takes back `change` in `state`.

    Raises `MisfitError` if no change of that id is in force.
    """
    entries = state.history.undo
    index = next((i for i in range(len(entries) - 1, -1, -1) if entries[i].change == change), None)
    if index is None:
        raise MisfitError(f"Change {change} is not in force")
    leaving: list[Effect] = []
    coming: list[Effect] = []
    blocked: set[Target] = set()
    for target, (before, after) in reversed(net(entries[index].effects).items()):
        if isinstance(target, str):
            if getattr(state.identity, target) == after:
                coming.append(IdentityEffect(target, after, before))
            else:
                blocked.add(target)
            continue
        if isinstance(target, RecordRef):
            if state.settled.get(target, 0) == after:
                coming.append(SettlementEffect(target, after, before))
            else:
                blocked.add(target)
            continue
        rank = state.rank(target)
        if bool(rank) != bool(after):
            blocked.add(target)
        elif rank != before:
            # What leaves goes first: it may make way for an instance of the same UID.
            (coming if before else leaving).append(MembershipEffect(target, rank, before))
    came = [e.handle for e in coming if isinstance(e, MembershipEffect)]
    left = {e.handle for e in leaving if isinstance(e, MembershipEffect)}
    blocked |= _with_their_uids(state, came) - left
    beside = _below_their_namesakes(state, came) - left
    if not blocked and not beside:
        return Inverse((*leaving, *coming), ())
    since = [(entry.change, net(entry.effects).keys()) for entry in entries[index + 1 :]]
    # Records that stood beside each other before, as adopted media may have them, do so again.
    in_the_way = tuple(id_ for id_, targets in since if (blocked | beside) & targets)
    return Inverse((), in_the_way) if in_the_way else Inverse((*leaving, *coming), ())


def _with_their_uids(state: FileSetState, came: Iterable[Handle]) -> set[Target]:
    """Return the other instances that have the SOP Instance UIDs of those that come."""
    found: set[Target] = set()
    for handle in came:
        if handle not in state.ghosts:
            leaf = state.leaf(handle)
            other = state.live.get(leaf.uid, leaf)
            if other is not leaf:
                found.add(other.handle)
    return found


def _below_their_namesakes(state: FileSetState, came: Iterable[Handle]) -> set[Target]:
    """Return the instances below records that came in the place of those above the ones that come.

    They came because the old records were out of the tree by then, with all that was below them.
    """
    outside: dict[Branch, None] = {}
    for handle in came:
        if handle in state.ghosts:
            continue
        node: Branch | Leaf = state.leaf(handle)
        top: Branch | None = None
        while node.parent is None and node.home is not None:
            node = node.home
            if node.parent is None and node.home is not None:
                top = node
        if top is not None:
            outside[top] = None
    found: set[Target] = set()
    for top in outside:
        other = top.home.find(*top.name) if top.home is not None and top.key else None
        if other is not None:
            found.update(leaf.handle for leaf in other.leaves() if leaf.is_live)
    return found
