"""`export-journal`: the journal as JSON Lines."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path
from typing import Final

import click

from fileset.cli.command import PathType, command, pass_session
from fileset.cli.running import OutputError
from fileset.cli.screen.output import Answer, Span
from fileset.cli.screen.progress import spinner
from fileset.cli.session import Session, absolute
from fileset.recovery.export_journal import export_journal as export_to
from ledger.digest import from_raw
from ledger.files import write_stream
from ledger.journal.lines import write_journal
from ledger.phrases import count

_STANDARD: Final = "-"


@command(
    "export-journal",
    {
        "file": "the path of the file",
        "journal": "the journal's id",
        "events": "how many it has",
        "head": "the hash of the last one",
    },
)
@click.argument("file", metavar="[FILE|-]", default=_STANDARD, type=PathType())
@pass_session
def export_journal(session: Session, file: Path) -> Answer:
    """Write the whole journal to the new file FILE, or to standard output: JSON Lines.

    Each line is an event with all that is stored of it, so that the chain can be checked and an
    equal repository made with `fileset import-journal`. The chain is checked on the way; if the
    journal is damaged, no file is left. The content of instances is not included.
    """
    to_standard = str(file) == _STANDARD
    if to_standard and session.as_json:
        raise click.UsageError("The journal itself goes to standard output: name a FILE.")
    journal = session.repository(newer_too=True).journal
    if to_standard:
        stream = sys.stdout.buffer
        try:
            write_journal(journal, partial(write_stream, stream))
            stream.flush()
        except BrokenPipeError as exc:
            raise OutputError from exc
        return Answer({})
    path = absolute(file)
    with spinner("Writing the journal"):
        head = export_to(journal, path)
    title = f"Exported {count(head.position, 'event')} of the journal {journal.id} to {path}."
    return Answer(
        {
            "file": str(path),
            "journal": journal.id,
            "events": head.position,
            "head": from_raw(head.hash),
        },
        [(Span(title, "title"),), f"Head: {from_raw(head.hash)}"],
    )
