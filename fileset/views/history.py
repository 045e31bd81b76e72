"""What happened and what is staged, as people look at it through a `FileSet`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from attrs import Factory, frozen

from fileset.repository.repository import Repository
from fileset.views.instance import FileInstance
from fileset.views.records import RecordNode
from fileset.views.view import View
from ledger.events import Event
from ledger.journal.entries import Change
from projections.medium.pending import Pending


class HistoryEntry:
    """A change in the journal: who made it, when and why, and its events."""

    def __init__(self, repository: Repository, change: Change) -> None:
        """Make the view of `change`; File-sets do this."""
        self._repository = repository
        self._change = change

    @property
    def id(self) -> str:
        """The change's id."""
        return self._change.id

    @property
    def position(self) -> int:
        """The position of the change's last event: the state right after it."""
        return self._change.last

    @property
    def recorded_at(self) -> str:
        """When it was recorded: RFC 3339, UTC."""
        return self._change.recorded_at

    @property
    def actor(self) -> str:
        """Who made it."""
        return self._change.actor

    @property
    def origin(self) -> str:
        """The program and host that it was made with."""
        return self._change.origin

    @property
    def reason(self) -> str | None:
        """Why it was made, where that was said."""
        return self._change.reason

    @property
    def events(self) -> list[Event]:
        """The events that it consists of, read from the journal."""
        return [recorded.event for recorded in self._repository.events_of(self._change)]

    def __repr__(self) -> str:
        """Return the change's id, position and time."""
        return f"<change {self.id} at {self.position}, {self.recorded_at} by {self.actor}>"


def entries_of(repository: Repository, ids: Iterable[str]) -> list[HistoryEntry]:
    """Return the changes with these ids."""
    return [HistoryEntry(repository, repository.find_change(id_)) for id_ in ids]


@frozen
class PendingChanges:
    """What the next write would do.

    `metadata` maps the fields of the File-set's identity that differ from the medium's to the
    pair of their values, there and here. `mends`: the DICOMDIR there was mended on adoption, and is
    still the old one. `records`: the nodes of records whose values there are not those of now.
    `corrections`: what is on the medium, with what corrects it and takes its place; they are not
    among the additions and removals.
    """

    creation: bool
    metadata: Mapping[str, tuple[Any, Any]]
    additions: list[FileInstance]
    removals: list[FileInstance]
    moves: list[FileInstance]
    summary: str
    mends: bool = False
    records: list[RecordNode] = Factory(list)
    corrections: list[tuple[FileInstance, FileInstance]] = Factory(list)

    @classmethod
    def of(cls, view: View, pending: Pending) -> PendingChanges:
        """Return `pending` in terms of `view`."""
        state = view.state
        there = state.written.identity if state.written else state.identity
        return cls(
            creation=pending.creation,
            metadata={
                name: (getattr(there, name), getattr(state.identity, name))
                for name in pending.metadata
            },
            additions=[view.instance(leaf.handle) for leaf in pending.additions],
            removals=[view.instance(leaf.handle) for leaf in pending.removals],
            moves=[view.instance(leaf.handle) for leaf in pending.moves if leaf.is_live],
            summary=pending.summary(),
            mends=pending.mends,
            records=[view.node(branch) for branch in pending.records],
            corrections=[
                (view.instance(old.handle), view.instance(new.handle))
                for old, new in pending.corrections
            ],
        )

    def __bool__(self) -> bool:
        """Whether anything is staged."""
        return bool(self.summary)
