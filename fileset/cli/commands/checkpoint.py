"""`checkpoint`: the end of the journal, signed."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from fileset.cli.command import PathType, command, pass_session, text_for_journal
from fileset.cli.new_files import PUBLIC_MODE, refuse_if_there, write_signing_file
from fileset.cli.screen.output import Answer, Span
from fileset.cli.screen.progress import spinner
from fileset.cli.session import Session, absolute
from ledger.files import read_file
from ledger.journal import checkpoint as checkpoints
from ledger.journal.chain import verify_journal
from ledger.journal.signing import PrivateKey

_OPEN_TO_OTHERS: Final = 0o077
_FILE: Final = PathType(dir_okay=False)


@command(
    "checkpoint",
    {
        "checkpoint": "the signed statement: {format, version, journal, position, hash, signed_at, "
        "note, key, signature}",
        "out": "the path of its file, or null",
    },
)
@click.option(
    "--key", "key_file", type=_FILE, metavar="FILE", required=True, help="The key to sign with."
)
@click.option(
    "--out",
    type=_FILE,
    metavar="FILE",
    help="A new file for the checkpoint.  [default: standard output]",
)
@click.option("--note", callback=text_for_journal, help="A note that is signed, too.")
@pass_session
def checkpoint(session: Session, key_file: Path, out: Path | None, note: str | None) -> Answer:
    """Sign the journal's id, last position and hash, after checking its chain.

    Keep the checkpoint, with the public key, where those who can change the repository can't reach
    it: `fileset verify --checkpoint` shows later whether the journal still has this history. The
    journal itself stays as it is.
    """
    key = PrivateKey.load(read_file(key_file), str(key_file))
    if key_file.stat().st_mode & _OPEN_TO_OTHERS:
        session.warnings.append(f"{key_file} can be read by others: `chmod 600` it.")
    path = absolute(out) if out else None
    if path:
        refuse_if_there(path)
    journal = session.repository(newer_too=True).journal
    with spinner("Checking the journal"):
        head = verify_journal(journal)
    made = checkpoints.sign(journal.id, head, key, note=note)
    document = {"checkpoint": made.to_plain(), "out": str(path) if path else None}
    if path is None:
        return Answer(document, made.to_json().decode("utf-8").splitlines())
    write_signing_file(path, made.to_json(), PUBLIC_MODE)
    title = f"Signed the journal up to position {head.position}: {path}"
    return Answer(document, [(Span(title, "title"),), f"Hash: {made.hash}", f"Key: {made.key}"])
