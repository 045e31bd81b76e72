"""Choosing changes: by patient, actor, kind of event and time."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from functools import cache
from typing import Final

import click
from attrs import frozen

from fileset.cli.moments import usage_of_moments
from fileset.cli.screen.text import did_you_mean
from fileset.repository.repository import Repository
from fileset.timeline.changelog import ChangeEntry
from fileset.timeline.times import span
from ledger.errors import UnknownFormatError
from ledger.events import EVENT_TYPES, ChangeStep, Handle, InstanceAdded, WriteEnded
from ledger.journal.clocks import timestamp
from ledger.journal.entries import Change, Stored
from ledger.journal.protocol import decoded
from projections.state.nodes import Branch
from projections.state.state import FileSetState

_WORDS: Final = (
    "create", "adopt", "add", "correct", "remove", "set", "undo", "redo", "revert", "tag", "write",
    "medium", "reject", "erase", "recover", "settle", "note",
)  # fmt: skip
KINDS: Final = {
    word: tuple(name for name, cls in EVENT_TYPES.items() if word == cls.GROUP) for word in _WORDS
}
"""Words for event types, as people type them."""


@frozen
class Selection:
    """What is asked for: a change is wanted if it has all that is given."""

    patient: str | None = None
    actors: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None

    def judge(self, repository: Repository) -> Callable[[ChangeEntry], bool]:
        """Return what tells whether a change is wanted; a usage error if it can't be told."""
        types = {name for kind in self.kinds for name in _types_of(kind)}
        first = None if self.since is None else _stamp(_span(self.since)[0])
        end = None if self.until is None else _stamp(_span(self.until)[1])
        concerns = None if self.patient is None else _concerning(repository, self.patient)

        def wanted(entry: ChangeEntry) -> bool:
            change = entry.change
            return (
                (not self.actors or change.actor in self.actors)
                and (first is None or change.recorded_at >= first)
                and (end is None or change.recorded_at < end)
                and (not types or any(stored.type in types for stored in entry.events))
                and (concerns is None or concerns(change, entry.events))
            )

        return wanted


def _types_of(kind: str) -> tuple[str, ...]:
    if kind in EVENT_TYPES:
        return (kind,)
    if kind in KINDS:
        return KINDS[kind]
    raise click.UsageError(
        f"There is no kind of event '{kind}': a kind is an event type or one of {', '.join(KINDS)}."
        f"{did_you_mean(kind, (*KINDS, *EVENT_TYPES))}"
    )


def _span(text: str) -> tuple[datetime, datetime]:
    """Return the beginning and end of the date or time `text`."""
    with usage_of_moments():
        found = span(text)
    if found is None:
        raise click.UsageError(
            f"'{text}' is not a date or time: write YYYY-MM-DD, or YYYY-MM-DDTHH:MM, followed by "
            f"seconds or a time zone if they matter."
        )
    return found


def _stamp(moment: datetime) -> str:
    return timestamp(lambda: moment)


# --- a patient -----------------------------------------------------------------------------------


def _concerning(
    repository: Repository, patient: str
) -> Callable[[Change, Collection[Stored]], bool]:
    """Return what tells whether a change concerns a patient's instances.

    It does if an event of its names one of them, if it was or ends a write that placed one or took
    one off, or if it undoes, redoes or reverts such a change.
    """
    handles = _handles_of(repository.refresh(), patient)
    journal = repository.journal

    def touches(stored: Stored) -> bool:
        if stored.type == InstanceAdded.TYPE:
            return stored.position in handles
        try:
            event = decoded(stored)
        except UnknownFormatError:
            return False
        match event:
            case ChangeStep(change=id_):
                return concerns(id_)
            case WriteEnded(started=started):
                return any(map(touches, journal.stored(after=started - 1, upto=started)))
        return stored.position in handles or any(h in handles for h in event.handles())

    @cache
    def concerns(id_: str) -> bool:
        change = repository.find_change(id_)
        return any(map(touches, journal.stored(after=change.first - 1, upto=change.last)))

    return lambda _, events: any(map(touches, events))


def _handles_of(state: FileSetState, patient: str) -> frozenset[Handle]:
    """Return the instances that were ever below a record of that Patient ID."""

    @cache
    def is_below(branch: Branch) -> bool:
        if branch.record.type == "PATIENT" and branch.key.strip() == patient.strip():
            return True
        return branch.home is not None and is_below(branch.home)

    leaves = state.hierarchy.leaves.values()
    return frozenset(leaf.handle for leaf in leaves if is_below(leaf.home))
