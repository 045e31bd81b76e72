"""Whole changes taken back or done again, and names for positions."""

from __future__ import annotations

from typing import ClassVar

from attrs import frozen

from ledger.events.event import Event, Naming


@frozen
class ChangeStep(Event):
    """A whole change was taken back or done again; `change` is its id."""

    VERB: ClassVar[str]

    change: str

    def summary(self, naming: Naming) -> str:
        return f"{self.VERB} {self.change}: {naming.change_by_id(self.change)}"


@frozen
class ChangeUndone(ChangeStep):
    """The newest change still in force was taken back; `change` is its id."""

    TYPE = "change-undone"
    GROUP = "undo"
    VERB = "undid"
    TOUCH = "undone"


@frozen
class ChangeRedone(ChangeStep):
    """The change undone last was done again; `change` is its id."""

    TYPE = "change-redone"
    GROUP = "redo"
    VERB = "redid"
    TOUCH = "redone"


@frozen
class ChangeReverted(ChangeStep):
    """A change that later ones may stand upon was taken back; `change` is its id.

    What it left must still be so. The inverse follows from the events before, and is itself part
    of the change that this event belongs to, which can be undone as any other.
    """

    TYPE = "change-reverted"
    GROUP = "revert"
    VERB = "reverted"
    UNDOABLE = True
    TOUCH = "reverted"


@frozen
class PositionTagged(Event):
    """A `position` of the journal got a name, which stood for the `previous` one until then."""

    TYPE = "position-tagged"
    GROUP = "tag"

    name: str
    position: int
    previous: int | None = None

    def told(self) -> tuple[str | None, ...]:
        return (self.name,)

    def summary(self, naming: Naming) -> str:
        return f"position {self.position} tagged '{self.name}'"


@frozen
class TagDeleted(Event):
    """The tag `name` was deleted; it stood for `position`."""

    TYPE = "tag-deleted"
    GROUP = "tag"

    name: str
    position: int

    def told(self) -> tuple[str | None, ...]:
        return (self.name,)

    def summary(self, naming: Naming) -> str:
        return f"tag '{self.name}' deleted"
