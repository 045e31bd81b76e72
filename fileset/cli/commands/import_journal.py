"""`import-journal`: a repository made from an exported journal."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import BinaryIO, Final

import click

from fileset.cli.command import PathType, command, pass_session
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.output import Answer, Line, Span
from fileset.cli.screen.progress import spinner
from fileset.cli.session import Session, absolute, origin
from fileset.recovery.import_journal import Imported, source_of
from fileset.recovery.import_journal import import_journal as import_from
from ledger.digest import from_raw
from ledger.files import naming
from ledger.phrases import count

_STANDARD: Final = "-"
_BUFFER: Final = 1 << 20


@command(
    "import-journal",
    {
        "repository": "the path of its folder",
        "journal": "the journal's id",
        "events": "how many it has",
        "head": "the hash of the last one",
        "content_needed": "how many events name content that should be in the vault",
        "content_lacking": "how many of these it lacks",
        "unknown_events": "how many a newer version wrote, so that only it can tell the state",
    },
    repository=False,
)
@click.argument("file", metavar="FILE|-", type=PathType())
@click.argument("path", metavar="REPO", type=PathType())
@click.option(
    "--vault",
    type=PathType(exists=True, file_okay=False),
    metavar="DIR",
    help="Copy the instances' content from this repository, vault, or folder of files.",
)
@pass_session
def import_journal(session: Session, file: Path, path: Path, vault: Path | None) -> Answer:
    """Make a repository in the new folder REPO from the exported journal FILE, or standard input.

    It has the same journal: id, events, times, hashes. FILE is checked on the way; if it is damaged
    or truncated, no repository is made. The content of instances comes from the folder that --vault
    names; without it they can be listed but not written. `fileset verify` lists what is missing.
    """
    path = absolute(path)
    content = source_of(absolute(vault)) if vault else nullcontext()
    with content as source, _opened(file) as stream, spinner("Reading the journal"):
        name = "standard input" if str(file) == _STANDARD else str(file)
        imported = import_from(path, stream, name, source=source, origin=origin())
    session.use(imported.repository)
    journal = imported.repository.journal
    head = journal.head()
    title = (
        f"Made the repository {path}: {count(head.position, 'event')} of the journal {journal.id}."
    )
    return Answer(
        {
            "repository": str(path),
            "journal": journal.id,
            "events": head.position,
            "head": from_raw(head.hash),
            "content_needed": imported.needed,
            "content_lacking": imported.lacking,
            "unknown_events": imported.unknown,
        },
        [(Span(title, "title"),), f"Head: {from_raw(head.hash)}", *_content_lines(imported)],
        status=INCOMPLETE if vault and imported.lacking else OK,
    )


@contextmanager
def _opened(file: Path) -> Iterator[BinaryIO]:
    if str(file) == _STANDARD:
        yield sys.stdin.buffer
        return
    with naming(file), file.open("rb", buffering=_BUFFER) as stream:
        yield stream


def _content_lines(imported: Imported) -> Iterator[Line]:
    files = count(imported.needed, "file")
    if imported.lacking:
        lacking = f"The vault lacks the content of {imported.lacking:,} of {files}"
        yield (Span(f"{lacking}: `fileset verify` lists them.", "careful"),)
    elif imported.needed:
        yield f"The vault has the content of {files}."
    if imported.unknown:
        events = count(imported.unknown, "event")
        yield (Span(f"{events} that a newer version wrote: it can only be read.", "careful"),)
