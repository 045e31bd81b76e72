"""What happened and what is staged, as people look at it through a `FileSet`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from attrs import Factory, frozen

from fileset.repository.repository import Repository
from fileset.views import notebook
from fileset.views.instance import FileInstance
from fileset.views.records import RecordNode
from fileset.views.view import View
from ledger.errors import LedgerError
from ledger.events import Event
from ledger.journal.entries import Change
from ledger.phrases import count
from projections.medium.pending import Pending

if TYPE_CHECKING:
    from fileset.timeline.wording import Wording

_SHOWN: Final = 20
"""Changes of a history that are printed: what each did is read from the journal."""


class HistoryEntry:
    """A change in the journal: who made it, when and why, what it did, and its events."""

    def __init__(self, repository: Repository, change: Change, words: Words | None = None) -> None:
        """Make the view of `change`; File-sets do this."""
        self._repository = repository
        self._change = change
        self._words = words or Words(repository)

    @property
    def id(self) -> str:
        """The change's id."""
        return self._change.id

    @property
    def position(self) -> int:
        """The position of the change's last event: the state right after it."""
        return self._change.last

    @property
    def recorded_at(self) -> datetime:
        """When it was recorded, in UTC."""
        return datetime.fromisoformat(self._change.recorded_at)

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

    @cached_property
    def summary(self) -> str:
        """What it did, in the words of `fileset log`; its events are read for that."""
        return self._words.wording.change(self._change)

    @property
    def what(self) -> str:
        """What it did and why, or, where that can't be read, why not."""
        try:
            summary = self.summary
        except LedgerError as exc:
            summary = str(exc)
        return f"{summary} ({self.reason})" if self.reason else summary

    def __repr__(self) -> str:
        """Return the change's id, position, time, and what it did."""
        when = f"{self.recorded_at:%Y-%m-%dT%H:%M:%SZ}"
        return f"<change {self.id} at {self.position}, {when} by {self.actor}: {self.what}>"

    def _repr_html_(self) -> str:
        return notebook.table(["change", "position", "time (UTC)", "by", "what"], [self._cells()])

    def _cells(self) -> list[object]:
        when = f"{self.recorded_at:%Y-%m-%d %H:%M:%S}"
        return [self.id, self.position, when, self.actor, self.what]


class Words:
    """What tells what changes did: the same for all of a history, which remembers names."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    @cached_property
    def wording(self) -> Wording:
        """What tells it, made when it is first asked."""
        from fileset.timeline.wording import Wording  # noqa: PLC0415 - mostly it isn't asked

        return Wording(self._repository)


class History(list[HistoryEntry]):
    """Changes, oldest first; of many, only the newest are printed."""

    def __repr__(self) -> str:
        """Return a line for each of the newest changes."""
        return "\n".join(
            [f"<{count(len(self), 'change')}, the newest last>", *map(repr, self._newest())]
        )

    def _newest(self) -> Iterator[HistoryEntry]:
        yield from self[-_SHOWN:]

    def _repr_html_(self) -> str:
        rows = [entry._cells() for entry in self._newest()]  # noqa: SLF001 - of this module
        head = ["change", "position", "time (UTC)", "by", "what"]
        return notebook.table(head, rows, title=f"{count(len(self), 'change')}, the newest last")


def entries_of(repository: Repository, ids: Iterable[str]) -> History:
    """Return the changes with these ids."""
    return history_of(repository, map(repository.find_change, ids))


def history_of(repository: Repository, changes: Iterable[Change]) -> History:
    """Return `changes` as a history, in their order."""
    words = Words(repository)
    return History(HistoryEntry(repository, change, words) for change in changes)


@frozen(repr=False)
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

    def __repr__(self) -> str:
        """Return what is staged, in a line."""
        return f"<pending: {self.summary or 'nothing'}>"

    def _repr_html_(self) -> str:
        return notebook.table(["", "what", "", ""], self._rows(), title=repr(self)[1:-1])

    def _rows(self) -> Iterator[tuple[object, ...]]:
        for name, (was, is_) in self.metadata.items():
            yield "to be set", f"File-set {name}", was, is_
        for what, some in (
            ("to be added", self.additions),
            ("to be removed", self.removals),
            ("to be corrected", [new for _, new in self.corrections]),
            ("to be moved", self.moves),
        ):
            for each in some:
                yield what, *each.in_short()
