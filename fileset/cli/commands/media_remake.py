"""`media remake`: a medium once more, byte for byte."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from fileset.cli.command import PathType, WholeNumber, command, pass_session
from fileset.cli.running import piped
from fileset.cli.screen.media import medium_document
from fileset.cli.screen.output import Answer, Span
from fileset.cli.screen.progress import bar
from fileset.cli.session import Session, absolute
from fileset.media.remake import remake
from ledger.digest import short


@command("remake", {"medium": "the medium, see below", "out": "where it is now"})
@click.argument("number", metavar="MEDIUM", type=WholeNumber(min=1))
@click.argument("out", type=PathType(allow_dash=True))
@click.option("--replace", is_flag=True, help="Replace a file, or what is on a device.")
@pass_session
def media_remake(session: Session, number: int, out: Path, replace: bool) -> Answer:
    """Make a medium again from the journal, with the same bytes, and check that it has its digest.

    MEDIUM is a number that `fileset media list` gives, and OUT is as in `fileset media make`.
    Nothing is recorded: to hand out the same once more, make a medium with its own recipient. It is
    refused, with the reason, if the medium was not finished, or data on it was erased since.
    """
    is_stream = str(out) == "-"
    if is_stream and session.as_json:
        raise click.UsageError("Standard output can't take both the medium and --json.")
    place = sys.stdout.buffer if is_stream else absolute(out)
    with piped(is_stream=is_stream), bar("Writing") as advance:
        medium = remake(session.repository(), number, place, replace=replace, progress=advance)
    assert medium.produced is not None  # noqa: S101 - others are refused
    image = medium.produced.image
    line = (
        f"Medium {number} made again at ",
        Span("standard output" if is_stream else str(place), "command"),
        f": {image.size:,} bytes, {short(image.digest)}, as it was.",
    )
    document = {"medium": medium_document(medium), "out": str(place)}
    return Answer(document, [] if is_stream else [line], [line] if is_stream else [])
