"""`undo`: the newest changes, taken back."""

from __future__ import annotations

from fileset.cli.command import DRY_RUN, command, pass_session
from fileset.cli.screen.output import Answer
from fileset.cli.session import Session
from fileset.cli.stepping import COUNT, SHOW_ALL, shape, step
from fileset.repository.undo import undoing


@command("undo", shape("undone"), changes=True)
@COUNT
@DRY_RUN
@SHOW_ALL
@pass_session
def undo(
    session: Session, number: int, dry_run: bool, show_all: bool, reason: str | None
) -> Answer:
    """Take back the newest change, or the newest N.

    That is recorded as a change of its own: nothing is erased, and `fileset redo` does it again.
    What was written already is staged to be taken off.
    """
    return step(session, "undo", undoing(number), dry_run, show_all, reason)
