"""``export-journal`` and ``import-journal``: a journal as JSON Lines, and a repository from it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

import click

from fileset.cli.command import Command, PathType, command, pass_session
from fileset.cli.output import Answer, Line, Span
from fileset.cli.progress import spinner
from fileset.cli.running import INCOMPLETE, OK, OutputError
from fileset.cli.session import Session, absolute, origin
from fileset.cli.text import count
from fileset.errors import RefusedError
from fileset.exchange import Imported, import_journal, source_of
from ledger.digest import from_raw
from ledger.disk import new_file
from ledger.files import naming
from ledger.journal import Head
from ledger.journal_lines import write_journal

_STANDARD: Final = "-"
_BUFFER: Final = 1 << 20


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
    equal repository be made with `fileset import-journal`. The chain is checked on the way; of a
    damaged journal no file is left. The content of instances is no part of it.
    """
    to_standard = str(file) == _STANDARD
    if to_standard and session.as_json:
        raise click.UsageError("The journal itself goes to standard output: name a FILE.")
    journal = session.repository(newer_too=True).journal
    if to_standard:
        stream = sys.stdout.buffer
        try:
            write_journal(journal, stream.write)
            stream.flush()
        except BrokenPipeError as exc:
            raise OutputError from exc
        return Answer({})
    path = absolute(file)
    with spinner("Writing the journal"), _new(path) as out:
        head = write_journal(journal, out.write)
    title = f"Exported {count(head.position, 'event')} of the journal {journal.id} to {path}."
    return Answer(
        {"file": str(path), "journal": journal.id, "events": head.position, "head": _hash(head)},
        [(Span(title, "title"),), f"Head: {_hash(head)}"],
    )


@contextmanager
def _new(path: Path) -> Iterator[BinaryIO]:
    try:
        with naming(path), new_file(path) as out:
            yield out
    except FileExistsError:
        raise RefusedError(f"There is something at {path} already: name a new file.") from None


def _hash(head: Head) -> str:
    return from_raw(head.hash)


@command(
    "import-journal",
    {
        "repository": "the path of its folder",
        "journal": "the journal's id",
        "events": "how many it has",
        "head": "the hash of the last one",
        "content_needed": "how many events name content that the vault is to have",
        "content_lacking": "of how many of them it has none",
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
def import_(session: Session, file: Path, path: Path, vault: Path | None) -> Answer:
    """Make a repository in the new folder REPO of the exported journal FILE, or standard input.

    It has the same journal: id, events, times, hashes. FILE is checked on the way, and if it is
    damaged or cut there is no repository. The content of instances comes from the folder that
    --vault names; without it they can be listed but not written. `fileset verify` tells what lacks.
    """
    path = absolute(path)
    source = source_of(absolute(vault)) if vault else None
    with _opened(file) as stream, spinner("Reading the journal"):
        name = "standard input" if str(file) == _STANDARD else str(file)
        imported = import_journal(path, stream, name, source=source, origin=origin())
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
            "head": _hash(head),
            "content_needed": imported.needed,
            "content_lacking": imported.lacking,
            "unknown_events": imported.unknown,
        },
        [(Span(title, "title"),), f"Head: {_hash(head)}", *_content_lines(imported)],
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


COMMANDS: Final[dict[str, Command]] = {
    "export-journal": export_journal,
    "import-journal": import_,
}
