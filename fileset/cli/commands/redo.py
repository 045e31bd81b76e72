"""`redo`: what was undone, done again."""

from __future__ import annotations

from fileset.cli.command import DRY_RUN, command, pass_session
from fileset.cli.screen.output import Answer
from fileset.cli.session import Session
from fileset.cli.stepping import COUNT, SHOW_ALL, shape, step
from fileset.repository.undo import redoing


@command("redo", shape("redone"), changes=True)
@COUNT
@DRY_RUN
@SHOW_ALL
@pass_session
def redo(
    session: Session, number: int, dry_run: bool, show_all: bool, reason: str | None
) -> Answer:
    """Do again the change that was undone last, or the last N.

    After any other change, nothing can be redone.
    """
    return step(session, "redo", redoing(number), dry_run, show_all, reason)
