"""``undo``, ``redo`` and ``revert``: taking back changes, and doing them again."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import click
from attrs import evolve

from fileset.cli.command import Command, Shape, command, pass_session
from fileset.cli.documents import (
    change_document,
    identity_difference,
    identity_lines,
    instance_document,
    staged_document,
    staged_line,
)
from fileset.cli.listing import instance_lines
from fileset.cli.moments import usage_of_moments
from fileset.cli.output import Answer, Line, Span
from fileset.cli.running import REFUSED
from fileset.cli.session import Session
from fileset.cli.text import count
from fileset.cli.wording import Wording
from fileset.errors import RevertRefusedError
from fileset.moments import change_of
from fileset.repository import Repository
from fileset.stepping import Plan, redoing, reverting, undoing
from ledger.events import Handle
from ledger.journal import Change
from projections.pending import pending
from projections.state import FileSetState

_SHOWN: Final = 20
"""Instances of each kind that a dry run lists without ``--all``."""

_COUNT: Final = click.argument(
    "number", metavar="[N]", type=click.IntRange(min=1), default=1, required=False
)
_DRY_RUN: Final = click.option("--dry-run", is_flag=True, help="Tell what it would do, and stop.")
_ALL: Final = click.option(
    "--all", "show_all", is_flag=True, help="Have a dry run list every instance."
)
_DONE: Final = {"undo": "undone", "redo": "redone", "revert": "reverted"}


def _shape(done: str) -> Shape:
    return {
        done: "the changes in the order in which it was done, see below",
        "dry_run": "whether this only tells what would be",
        "change": "the id of the change that records it, or null",
        "added": "the instances that became part of the File-set, see below",
        "removed": "the instances that no longer are, see below",
        "identity": "what was set to another value: {name: {from, to}}",
        "staged": "what is staged afterwards, see below",
    }


@command("undo", _shape("undone"), changes=True)
@_COUNT
@_DRY_RUN
@_ALL
@pass_session
def undo(
    session: Session, number: int, dry_run: bool, show_all: bool, reason: str | None
) -> Answer:
    """Take back the newest change, or the newest N.

    That is recorded as a change of its own: nothing is erased, and `fileset redo` does it again.
    What was written already is staged to be taken off.
    """
    return _step(session, "undo", undoing(number), dry_run, show_all, reason)


@command("redo", _shape("redone"), changes=True)
@_COUNT
@_DRY_RUN
@_ALL
@pass_session
def redo(
    session: Session, number: int, dry_run: bool, show_all: bool, reason: str | None
) -> Answer:
    """Do again the change that was undone last, or the last N.

    A new change ends what can be redone.
    """
    return _step(session, "redo", redoing(number), dry_run, show_all, reason)


@command("revert", _shape("reverted"), changes=True)
@click.argument("id_", metavar="CHANGE")
@_DRY_RUN
@_ALL
@pass_session
def revert(session: Session, id_: str, dry_run: bool, show_all: bool, reason: str | None) -> Answer:
    """Take back one change and keep those after it; CHANGE is its id, the beginning of it, or a
    position.

    That is recorded as a change of its own, which can be undone and reverted. It is refused while
    later changes stand in the way, which are then listed (with --json as `error.in_the_way`): the
    instance was removed since, another of that SOP Instance UID was added, a removed patient was
    added anew, the ID was set again.
    """
    repository = session.repository()
    with usage_of_moments():
        change = change_of(repository, id_)
    try:
        return _step(session, "revert", reverting(repository, change), dry_run, show_all, reason)
    except RevertRefusedError as exc:
        return _refusal(repository, change, exc)


def _step(
    session: Session, verb: str, plan: Plan, dry_run: bool, show_all: bool, reason: str | None
) -> Answer:
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
            *((f"{title} ", *_told(change, wording)) for change in changes),
            *effects,
            _staged_then(state) if dry_run else staged_line(state),
        ],
    )


def _staged_then(state: FileSetState) -> str:
    summary = pending(state).summary()
    return f"Staged then: {summary}" if summary else "Nothing would be staged."


def _told(change: Change, wording: Wording) -> Line:
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
            yield (Span(f"  {sign} ", style), *((line,) if isinstance(line, str) else line))
    if more := len(leaves) - len(shown):
        yield f"  ... and {more:,} more: --all lists them"


def _refusal(repository: Repository, change: Change, exc: RevertRefusedError) -> Answer:
    """Tell which changes stand in the way, newest first."""
    wording = Wording(repository)
    later = [repository.find_change(id_) for id_ in reversed(exc.in_the_way)]
    stand = (
        "a later change stands" if len(later) == 1 else f"{count(len(later), 'later change')} stand"
    )
    error = {
        "kind": "refused",
        "type": type(exc).__name__,
        "message": str(exc),
        "exit_code": REFUSED,
        "in_the_way": [change_document(other, wording.change(other)) for other in later],
    }
    return Answer(
        {"error": error},
        notes=[
            (Span("error: ", "bad"), f"Change {change.id} can't be reverted, {stand} in the way:"),
            *(("  ", *_told(other, wording)) for other in later),
            "Revert the newest of them first, if they are to go, too.",
        ],
        status=REFUSED,
    )


COMMANDS: Final[dict[str, Command]] = {"undo": undo, "redo": redo, "revert": revert}
