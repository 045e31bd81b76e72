"""`gc`: what the vault no longer needs."""

from __future__ import annotations

import click

from fileset.cli.command import command, pass_session
from fileset.cli.screen.output import Answer
from fileset.cli.screen.progress import spinner
from fileset.cli.screen.reports import EXCESS, excess_document, excess_line
from fileset.cli.session import Session
from fileset.repository.garbage import collect


@command("gc", {"dry_run": "whether nothing was done, and this only shows what would be", **EXCESS})
@click.option("--apply", is_flag=True, help="Drop it; without this it is only listed.")
@pass_session
def gc(session: Session, apply: bool) -> Answer:
    """List what the vault holds that no event names, and with --apply drop it.

    This is left by interrupted adds, and by damaged copies that were stored again. Whatever undo
    and time travel need is named by events, and stays.
    """
    repository = session.repository()
    with spinner("Looking through the vault"):
        excess = collect(repository, dry_run=not apply)
    line = (
        excess_line(excess, dry_run=not apply)
        if excess
        else "The vault holds only what events name."
    )
    return Answer({"dry_run": not apply, **excess_document(excess)}, [line])
