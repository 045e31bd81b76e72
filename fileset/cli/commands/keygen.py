"""`keygen`: a key to sign checkpoints with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from fileset.cli.command import PathType, command, pass_session
from fileset.cli.new_files import PRIVATE_MODE, PUBLIC_MODE, refuse_if_there, write_signing_file
from fileset.cli.screen.output import Answer, Span
from fileset.cli.session import Session, absolute
from ledger.journal.signing import PrivateKey

_FILE: Final = PathType(dir_okay=False)


@command(
    "keygen",
    {
        "private_key": "the path of the file to sign with",
        "public_key": "the path of the file to check with",
        "key": "sha256:... of the public key, which checkpoints name",
    },
    repository=False,
)
@click.argument("file", metavar="FILE", type=_FILE)
@pass_session
def keygen(session: Session, file: Path) -> Answer:
    """Make an Ed25519 key: FILE, to sign with and to keep secret, and FILE.pub, to check with.

    Both are PEM files, as other tools write and read them. Keep FILE where those who can change the
    repository can't read it. Nothing is overwritten.
    """
    del session
    private = absolute(file)
    public = private.with_name(f"{private.name}.pub")
    key = PrivateKey.generate()
    for path in (private, public):
        refuse_if_there(path)
    write_signing_file(private, key.to_pem(), PRIVATE_MODE)
    try:
        write_signing_file(public, key.public.to_pem(), PUBLIC_MODE)
    except BaseException:
        private.unlink()
        raise
    fingerprint = key.public.fingerprint
    return Answer(
        {"private_key": str(private), "public_key": str(public), "key": fingerprint},
        [
            (Span(f"Made the key {fingerprint}.", "title"),),
            f"To sign with, and to be kept secret: {private}",
            f"To check with: {public}",
        ],
    )
