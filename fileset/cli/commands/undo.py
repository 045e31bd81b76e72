"""`undo`: the newest changes, taken back."""

from __future__ import annotations

import shlex

import click

from fileset.cli.command import DRY_RUN, command, pass_session
from fileset.cli.screen.output import Answer
from fileset.cli.screen.text import instant
from fileset.cli.screen.wording import Wording
from fileset.cli.session import Session
from fileset.cli.stepping import COUNT, SHOW_ALL, is_of_another, shape, step
from fileset.errors import RefusedError
from fileset.repository.origin import default_actor, is_arrival
from fileset.repository.repository import Repository
from fileset.repository.undo import UndoPlan, UndoStep, undoing, undoing_by
from projections.state.state import FileSetState


@command("undo", shape("undone"), changes=True)
@COUNT
@click.option(
    "--by",
    metavar="NAME",
    help="Only changes that NAME made, or that came from there, such as watch:ward.",
)
@DRY_RUN
@SHOW_ALL
@pass_session
def undo(
    session: Session, number: int, by: str | None, dry_run: bool, show_all: bool, reason: str | None
) -> Answer:
    """Take back the newest change, or the newest N, whoever made them.

    This is recorded as a separate change, and `fileset redo` does it again; only `fileset erase`
    erases data. If the change was written already, the next write takes it off the medium.

    What has arrived in a watched folder is not taken back unseen: that is refused, and the message
    tells what it is. With --by, the newest change that NAME made by hand is taken back. If others
    have changed something since, it is reverted, as by `fileset revert`, and theirs stays.
    """
    repository = session.repository()
    plan = (
        _seen(repository, undoing(number), session.actor or default_actor())
        if by is None
        else undoing_by(repository.journal, repository.find_change, by, number)
    )
    answer = step(session, "undo", plan, dry_run, show_all, reason)
    others = any(is_of_another(session, change["actor"]) for change in answer.document["undone"])
    if by is None and others:
        hint = "`fileset undo --by NAME` takes back what NAME changed last, and nothing of others."
        answer.lines = [*answer.lines, hint]
    return answer


def _seen(repository: Repository, plan: UndoPlan, actor: str) -> UndoPlan:
    """Return `plan`, which then refuses to take back what has arrived and nobody has looked at."""

    def checked(state: FileSetState) -> UndoStep:
        found = plan(state)
        for change in map(repository.find_change, found.changes):
            if is_arrival(change.origin):
                raise RefusedError(
                    f"Change {change.id} arrived by itself ({change.origin}), at "
                    f"{instant(change.recorded_at)}: {Wording(repository).change(change)}. "
                    f"`fileset revert {change.id}` takes it back; `fileset undo --by "
                    f"{shlex.quote(actor)}` takes back what {actor} changed last."
                )
        return found

    return checked
