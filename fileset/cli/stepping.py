"""Taking back changes and doing them again: what `undo`, `redo` and `revert` share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import click
from attrs import evolve

from fileset.cli.command import WholeNumber
from fileset.cli.screen.documents import (
    change_document,
    identity_difference,
    identity_lines,
    instance_document,
    staged_document,
    staged_line,
)
from fileset.cli.screen.listing import instance_lines
from fileset.cli.screen.output import ALL_LISTS_THEM, Answer, Line, Parts, Shape, Span
from fileset.cli.screen.wording import Wording
from fileset.cli.session import Session
from fileset.repository.origin import default_actor
from fileset.repository.undo import UndoPlan
from ledger.events import Handle
from ledger.journal.entries import Change
from projections.medium.pending import usually_staged
from projections.state.state import FileSetState

_SHOWN: Final = 20
"""Instances of each kind that a dry run lists without `--all`."""

COUNT: Final = click.argument(
    "number", metavar="[N]", type=WholeNumber(min=1), default=1, required=False
)
SHOW_ALL: Final = click.option(
    "--all", "show_all", is_flag=True, help="Make a dry run list every instance."
)
_DONE: Final = {"undo": "undone", "redo": "redone", "revert": "reverted"}


def shape(done: str) -> Shape:
    """Return what the JSON document holds of a command that has `done` that to changes."""
    return {
        done: "the changes, in the order in which this was done, see below",
        "dry_run": "whether nothing was done, and this only shows what would be",
        "change": "the id of the change that records it, or null",
        "added": "the instances that became part of the File-set, see below",
        "removed": "the instances that no longer are, see below",
        "identity": "what was set to another value: {name: {from, to}}",
        "staged": "what is staged afterwards, see below",
    }


def step(
    session: Session, verb: str, plan: UndoPlan, dry_run: bool, show_all: bool, reason: str | None
) -> Answer:
    """Carry out `plan`, or tell what it would do, for the command `verb`."""
    repository = session.repository()
    recorded = None
    if dry_run:
        step, state = repository.foresee(plan)
    else:
        step, recorded = repository.step(plan, reason=reason)
        state = repository.state
    wording = Wording(repository)
    changes = [repository.find_change(id_) for id_ in step.changes]
    before = evolve(state.identity, **{name: was for name, (was, _) in step.identity.items()})
    identity = identity_difference(before, state.identity)
    title = f"Would {verb}" if dry_run else _DONE[verb].capitalize()
    effects: list[Line] = []
    if dry_run:
        effects += _instances("+", "good", step.added, state, show_all)
        effects += _instances("-", "bad", step.removed, state, show_all)
        effects += [f"  {line}" for line in identity_lines(identity)]
    return Answer(
        {
            _DONE[verb]: [change_document(change, wording.change(change)) for change in changes],
            "dry_run": dry_run,
            "change": recorded,
            "added": _documents(session, step.added, state),
            "removed": _documents(session, step.removed, state),
            "identity": identity,
            "staged": staged_document(state),
        },
        [
            *(
                (f"{title} ", *change_line(change, wording), *_made_by(session, change))
                for change in changes
            ),
            *effects,
            _staged_then(state) if dry_run else staged_line(state),
        ],
    )


def is_of_another(session: Session, actor: str) -> bool:
    """Whether a change that `actor` made is of somebody else than who works now."""
    return actor != (session.actor or default_actor())


def _made_by(session: Session, change: Change) -> Parts:
    if not is_of_another(session, change.actor):
        return ()
    return (Span(f", made by {change.actor}", "careful"),)


def _staged_then(state: FileSetState) -> str:
    summary = usually_staged(state).summary()
    return f"Staged then: {summary}" if summary else "Nothing would be staged."


def change_line(change: Change, wording: Wording) -> Parts:
    """Return a change as a line: its id, what it did, and why."""
    parts: list[str | Span] = [Span(change.id, "command"), f": {wording.change(change)}"]
    if change.reason:
        parts.append(Span(f" ({change.reason})", "faint"))
    return tuple(parts)


def _documents(
    session: Session, handles: Iterable[Handle], state: FileSetState
) -> list[dict[str, Any]]:
    """Return instances, which may be many, where they are asked for."""
    if not session.as_json:
        return []
    return [instance_document(state.leaf(handle), state) for handle in handles]


def _instances(
    sign: str, style: str, handles: Iterable[Handle], state: FileSetState, show_all: bool
) -> Iterator[Line]:
    leaves = [state.leaf(handle) for handle in handles]
    shown = leaves if show_all else leaves[:_SHOWN]
    if shown:
        for line in instance_lines(shown, state):
            yield (Span(f"  {sign} ", style), *line)
    if left := len(leaves) - len(shown):
        yield ALL_LISTS_THEM.format(left)
