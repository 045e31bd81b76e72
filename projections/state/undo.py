"""Undo and redo: two stacks of changes, folded from the journal.

Nothing is ever rewritten: an undo is an event, and folding it plays a change's effects backwards.
An effect knows the value before and after, so that taking back a change costs what the change
cost, whatever the size of the File-set.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

from attrs import define, field

from ledger.events import Handle, RecordRef
from projections.errors import MisfitError


class AdditionEffect(NamedTuple):
    """Instances that were new became part: those of the handles from `first` up to `last`."""

    first: Handle
    last: Handle


class MembershipEffect(NamedTuple):
    """The rank of an instance went from `before` to `after`; 0 means not part of the File-set."""

    handle: Handle
    before: int
    after: int


class IdentityEffect(NamedTuple):
    """A field of the File-set's identity went from `before` to `after`."""

    name: str
    before: Any
    after: Any


class SettlementEffect(NamedTuple):
    """The persons of a PATIENT record were settled up to `before`, and then up to `after`."""

    record: RecordRef
    before: int
    after: int


Effect: TypeAlias = AdditionEffect | MembershipEffect | IdentityEffect | SettlementEffect


@define
class Undoable:
    """A change that can be undone or redone, by its id, with its effects in order."""

    change: str
    effects: list[Effect] = field(factory=list)


@define
class UndoHistory:
    """The changes that undo would take back and that redo would bring back, newest last."""

    undo: list[Undoable] = field(factory=list)
    redo: list[Undoable] = field(factory=list)

    def copy(self) -> UndoHistory:
        """Return the same history as an object of its own."""
        return UndoHistory(
            *(
                [Undoable(e.change, list(e.effects)) for e in stack]
                for stack in (self.undo, self.redo)
            )
        )

    def record(self, change: str, effect: Effect) -> None:
        """Note an effect of a change; the first effect of a new one ends what could be redone."""
        if not self.undo or self.undo[-1].change != change:
            self.undo.append(Undoable(change))
            self.redo.clear()
        effects = self.undo[-1].effects
        if isinstance(effect, AdditionEffect) and effects:
            before = effects[-1]
            if isinstance(before, AdditionEffect) and before.last + 1 == effect.first:
                effects[-1] = AdditionEffect(before.first, effect.last)
                return
        effects.append(effect)

    def forget(
        self,
        handles: Container[Handle],
        records: Container[RecordRef],
        replaced: Mapping[Handle, Handle],
    ) -> None:
        """Take the effects on erased instances out of all changes, which never come back.

        So do those on all but the `records` that are left. A correction of what goes can't be taken
        back either: `replaced` gives what each corrected instance took the place of. A change that
        has no other effects can't be undone or redone any more.
        """
        for stack in (self.undo, self.redo):
            for entry in stack:
                entry.effects = [
                    effect
                    for effect in _without(_uncorrected(entry.effects, handles, replaced), handles)
                    if not isinstance(effect, SettlementEffect) or effect.record in records
                ]
            stack[:] = [entry for entry in stack if entry.effects]

    def take_undo(self, change: str) -> Undoable:
        """Move the newest change, which must be `change`, over to what can be redone."""
        return _move(self.undo, self.redo, change)

    def take_redo(self, change: str) -> Undoable:
        """Move the change undone last, which must be `change`, back to what can be undone."""
        return _move(self.redo, self.undo, change)


def _uncorrected(
    effects: Iterable[Effect], handles: Container[Handle], replaced: Mapping[Handle, Handle]
) -> Iterator[Effect]:
    """Yield `effects` but for those by which an instance took the place of one of `handles`."""
    went: Handle | None = None
    for effect in effects:
        if isinstance(effect, MembershipEffect):
            handle, before, _ = effect
            if before or went is None or replaced.get(handle) != went:
                yield effect
            went = handle if before and handle in handles else None
        else:
            yield effect


def _without(effects: Iterable[Effect], handles: Container[Handle]) -> Iterator[Effect]:
    for effect in effects:
        if isinstance(effect, MembershipEffect) and effect.handle in handles:
            continue
        if not isinstance(effect, AdditionEffect):
            yield effect
            continue
        first = None
        for handle in range(effect.first, effect.last + 1):
            if handle in handles:
                if first is not None:
                    yield AdditionEffect(first, handle - 1)
                first = None
            elif first is None:
                first = handle
        if first is not None:
            yield AdditionEffect(first, effect.last)


def _move(source: list[Undoable], target: list[Undoable], change: str) -> Undoable:
    if not source or source[-1].change != change:
        raise MisfitError(f"Change {change} is not the next one to undo or redo")
    target.append(source.pop())
    return target[-1]
