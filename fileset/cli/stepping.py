"""``undo`` and ``redo``: going back and forth between changes."""

from __future__ import annotations

from typing import Final

import click

from fileset.cli.command import Command, Shape, command, pass_session
from fileset.cli.documents import change_document, staged_document, staged_line
from fileset.cli.output import Answer, Line, Span
from fileset.cli.session import Session
from fileset.cli.wording import Wording
from fileset.errors import NothingToUndoError
from fileset.repository import Repository
from ledger.events import ChangeRedone, ChangeUndone, Event
from ledger.journal import Change, Recorded
from projections.state import FileSetState

_COUNT: Final = click.argument(
    "number", metavar="[N]", type=click.IntRange(min=1), default=1, required=False
)
_DRY_RUN: Final = click.option("--dry-run", is_flag=True, help="Tell what it would do, and stop.")


def _shape(done: str) -> Shape:
    return {
        done: "the changes in the order in which it was done, see below",
        "dry_run": "whether this only tells what would be",
        "change": "the id of the change that records it, or null",
        "staged": "what is staged afterwards, see below",
    }


@command("undo", _shape("undone"), changes=True)
@_COUNT
@_DRY_RUN
@pass_session
def undo(session: Session, number: int, dry_run: bool, reason: str | None) -> Answer:
    """Take back the newest change, or the newest N.

    That is recorded as a change of its own: nothing is erased, and `fileset redo` does it again.
    What was written already is staged to be taken off.
    """
    return _step(session, "undo", number, dry_run, reason)


@command("redo", _shape("redone"), changes=True)
@_COUNT
@_DRY_RUN
@pass_session
def redo(session: Session, number: int, dry_run: bool, reason: str | None) -> Answer:
    """Do again the change that was undone last, or the last N.

    A new change ends what can be redone.
    """
    return _step(session, "redo", number, dry_run, reason)


_DONE: Final = {"undo": "undone", "redo": "redone"}


def _step(session: Session, verb: str, number: int, dry_run: bool, reason: str | None) -> Answer:
    repository = session.repository()
    if dry_run:
        ids, state = _foresee(repository, verb, number)
        recorded = None
    else:
        step = repository.undo if verb == "undo" else repository.redo
        ids, state = step(number, reason=reason), repository.state
        recorded = repository.changes()[-1].id
    wording = Wording(repository)
    changes = [repository.find_change(id_) for id_ in ids]
    title = f"Would {verb}" if dry_run else _DONE[verb].capitalize()
    return Answer(
        {
            _DONE[verb]: [change_document(change, wording.change(change)) for change in changes],
            "dry_run": dry_run,
            "change": recorded,
            "staged": staged_document(state),
        },
        [*(_line(title, change, wording) for change in changes), staged_line(state)],
    )


def _line(title: str, change: Change, wording: Wording) -> Line:
    parts: list[str | Span] = [
        f"{title} ",
        Span(change.id, "command"),
        f": {wording.change(change)}",
    ]
    if change.reason:
        parts.append(Span(f" ({change.reason})", "faint"))
    return tuple(parts)


def _foresee(repository: Repository, verb: str, number: int) -> tuple[list[str], FileSetState]:
    """Return which changes it would be, and the state that it would lead to."""
    state = FileSetState.fold(repository.journal.read())  # one of its own, to be played with
    stack = state.history.undo if verb == "undo" else state.history.redo
    if len(stack) < number:
        there = f"only {len(stack)}" if stack else "nothing"
        raise NothingToUndoError(f"There is {there} to {verb}.")
    ids = [entry.change for entry in reversed(stack[-number:])]
    first = state.position + 1
    foreseen = Change("foreseen", first, number, "", "", "", None)
    for index, id_ in enumerate(ids):
        event: Event = ChangeUndone(id_) if verb == "undo" else ChangeRedone(id_)
        state.apply(Recorded(first + index, foreseen, event))
    return ids, state


COMMANDS: Final[dict[str, Command]] = {"undo": undo, "redo": redo}
