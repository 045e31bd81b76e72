"""What changes did, worked out from their events alone: no state has to be folded.

That is enough to go back from a state to one before it at the cost of the events between, and to
say what an undo did to an instance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from attrs import define, field

from ledger.events import (
    ChangeRedone,
    ChangeReverted,
    ChangeUndone,
    Erased,
    Event,
    Handle,
    IdentityChanged,
    InstanceAdded,
    InstanceCorrected,
    InstanceRemoved,
    InstanceRestored,
)
from ledger.journal.entries import Stored


@define
class Effects:
    """What events amount to together.

    `members` says for each instance they touched whether it was part of the File-set before and
    whether it is after; `identity` holds the values of the fields they set, before and after.
    """

    members: dict[Handle, tuple[bool, bool]] = field(factory=dict)
    identity: dict[str, tuple[Any, Any]] = field(factory=dict)

    def inverse(self) -> Effects:
        """Return what takes these effects back."""
        return Effects(
            {handle: (after, before) for handle, (before, after) in self.members.items()},
            {name: (after, before) for name, (before, after) in self.identity.items()},
        )

    def extend(self, later: Effects) -> None:
        """Have these effects followed by `later` ones."""
        _extend(self.members, later.members)
        _extend(self.identity, later.identity)


def _extend(effects: dict[Any, tuple[Any, Any]], later: dict[Any, tuple[Any, Any]]) -> None:
    for key, (before, after) in later.items():
        effects[key] = (effects[key][0] if key in effects else before, after)


def effects_of(
    events: Iterable[Stored],
    decoded: Callable[[Stored], Event],
    of_change: Callable[[str], Effects],
) -> Effects:
    """Return what `events` amount to; `of_change` tells it of a whole change, by its id.

    Those that added an instance, which are most of them, need not be `decoded`.
    """
    effects = Effects()
    for stored in events:
        if stored.type == InstanceAdded.TYPE:
            effects.members[stored.position] = (False, True)
        else:
            found = effects_of_event(stored.position, decoded(stored), of_change)
            effects.extend(found)
    return effects


def effects_of_event(position: int, event: Event, of_change: Callable[[str], Effects]) -> Effects:
    """Return what one event amounts to."""
    match event:
        case (
            InstanceCorrected(replaces=replaced)
            | Erased(type=InstanceCorrected.TYPE, replaces=replaced)
        ):
            return Effects({replaced: (True, False), position: (False, True)})
        case InstanceAdded() | Erased(type=InstanceAdded.TYPE):
            return Effects({position: (False, True)})
        case InstanceRemoved(instance=handle):
            return Effects({handle: (True, False)})
        case InstanceRestored(instance=handle):
            return Effects({handle: (False, True)})
        case ChangeUndone(change=id_) | ChangeReverted(change=id_):
            return of_change(id_).inverse()
        case ChangeRedone(change=id_):
            return of_change(id_)
        case IdentityChanged():
            return Effects(identity={event.FIELD: (event.previous, event.value)})
    return Effects()
