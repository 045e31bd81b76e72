"""`view`: a File-set on the terminal, to look around in."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import click

from fileset.cli.command import PathType, command, pass_session
from fileset.cli.moments import AT, file_set_at
from fileset.cli.roots import dicomdir_at
from fileset.cli.screen.documents import change_document
from fileset.cli.screen.output import Answer
from fileset.cli.screen.wording import Wording
from fileset.cli.session import Session, absolute
from fileset.cli.stepping import change_line
from fileset.errors import MissingExtraError, RefusedError
from fileset.repository.folder import is_repository
from ledger.phrases import needs

INSTALL: Final = needs("The browser needs", "textual", "view")


@command(
    "view",
    {"changes": "the changes that were recorded while looking around, see below"},
    changes=True,
)
@click.argument("root", required=False, type=PathType(exists=True, readable=False))
@AT
@pass_session
def view(session: Session, root: Path | None, moment: str | None, reason: str | None) -> Answer:
    """Look around in the File-set: its hierarchy, values, pictures, what is staged, its history.

    ROOT is a repository; or any File-set, which is only looked at: its folder, its DICOMDIR, a ZIP
    file or a disc image. Undo, redo and revert ask first, and show what they would do. The keys are
    at the bottom, and ? explains them. --reason is proposed as the reason of changes.

    It needs the extra [view], and for pictures [pictures]. What others record meanwhile is told,
    and shown when it is asked for; nobody has to wait for somebody who looks.
    """
    _refuse_without_terminal()
    try:
        from fileset.cli.browser.app import Browser, Subject  # noqa: PLC0415 - an extra
    except ModuleNotFoundError as exc:
        if not (exc.name or "").startswith("textual"):
            raise
        raise MissingExtraError(INSTALL) from exc
    fixed = ""
    if root is not None and not is_repository(root):
        if moment is not None:
            raise click.UsageError("--at is a moment of a repository, and ROOT is none.")
        session.disc, fixed = dicomdir_at(absolute(root)), "Only to look at"
    elif root is not None:
        session.path = root
    fs = file_set_at(session, moment)
    if moment is not None:
        fixed = f"As of position {fs.state.position}, only to look at"
    browser = Browser(Subject(session, fs, fixed), reason or "")
    browser.run()
    if browser.return_code:
        raise RefusedError("The browser had to end: see above.")
    wording = Wording(fs.repository)
    changes = [fs.repository.find_change(id_) for id_ in browser.recorded]
    return Answer(
        {"changes": [change_document(change, wording.change(change)) for change in changes]},
        [("Recorded ", *change_line(change, wording)) for change in changes],
    )


def _refuse_without_terminal() -> None:
    streams = (sys.stdin, sys.stdout, sys.stderr)
    if not all(stream.isatty() for stream in streams) or os.environ.get("TERM") == "dumb":
        raise click.UsageError(
            "`fileset view` needs a terminal: `fileset tree`, `find` and `log` print the same."
        )
