"""`revert`: one change taken back, keeping later ones."""

from __future__ import annotations

import click

from fileset.cli.command import DRY_RUN, command, pass_session
from fileset.cli.moments import usage_of_moments
from fileset.cli.running import REFUSED
from fileset.cli.screen.documents import change_document
from fileset.cli.screen.output import Answer, Span
from fileset.cli.screen.wording import Wording
from fileset.cli.session import Session
from fileset.cli.stepping import SHOW_ALL, change_line, shape, step
from fileset.errors import RevertRefusedError
from fileset.repository.find_change import change_of
from fileset.repository.repository import Repository
from fileset.repository.undo import reverting
from ledger.journal.entries import Change
from ledger.phrases import count


@command("revert", shape("reverted"), changes=True)
@click.argument("id_", metavar="CHANGE")
@DRY_RUN
@SHOW_ALL
@pass_session
def revert(session: Session, id_: str, dry_run: bool, show_all: bool, reason: str | None) -> Answer:
    """Take back one change and keep those after it; CHANGE is its id, the beginning of it, or a
    position.

    This is recorded as a separate change, which can be undone and reverted. It is refused while
    later changes stand in the way; they are listed (with --json as `error.in_the_way`). For
    example, the instance was removed since, another with that SOP Instance UID was added, a removed
    patient was added again, or the ID was set again.
    """
    repository = session.repository()
    with usage_of_moments():
        change = change_of(repository.journal, id_)
    try:
        return step(
            session, "revert", reverting(repository.journal, change), dry_run, show_all, reason
        )
    except RevertRefusedError as exc:
        return _refusal(repository, change, exc)


def _refusal(repository: Repository, change: Change, exc: RevertRefusedError) -> Answer:
    """Return the error that lists the changes in the way, newest first."""
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
            *(("  ", *change_line(other, wording)) for other in later),
            "Revert the newest of them first, if they are to go, too.",
        ],
        status=REFUSED,
    )
