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

    This is recorded as a separate change: nothing is erased, and `fileset redo` does it again. If
    the change was written already, the next write takes it off the medium.
    """
    return step(session, "undo", undoing(number), dry_run, show_all, reason)
