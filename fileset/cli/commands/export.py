"""`export`: a plain copy of the File-set, as it is or was."""

from __future__ import annotations

from pathlib import Path

import click

from fileset.cli.command import DRY_RUN, PathType, command, pass_session
from fileset.cli.exporting import SHOW_PATHS, WRITTEN, export_copy
from fileset.cli.moments import AT
from fileset.cli.screen.output import Answer
from fileset.cli.session import Session, absolute
from projections.medium.layouts import LAYOUTS


@command("export", WRITTEN, changes=True)
@click.argument("folder", metavar="DIR", type=PathType(file_okay=False))
@click.option(
    "--layout",
    type=click.Choice(list(LAYOUTS)),
    help="Where the files go, as `fileset write` takes it.  [default: pydicom]",
)
@AT
@DRY_RUN
@SHOW_PATHS
@pass_session
def export(
    session: Session,
    folder: Path,
    layout: str | None,
    moment: str | None,
    dry_run: bool,
    show_all: bool,
    reason: str | None,
) -> Answer:
    """Write a copy of the File-set to the folder DIR, with what is staged, or with --at as it was.

    What is staged stays staged, and later writes go where they went before. The copy is recorded as
    an export, which `fileset blame` lists. What leaves the house is better made by `fileset media
    make`, which records for whom, and can check an application profile.

    The exit code is 1 if a study of two patients or a series of two studies was written.
    """
    return export_copy(
        session, absolute(folder), layout, moment or "now", dry_run, show_all, reason
    )
