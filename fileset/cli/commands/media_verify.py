"""`media verify`: a medium, read back and compared with the journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from attrs import asdict

from fileset.cli.command import PathType, command, pass_session
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.media import kind_in_words, medium_document
from fileset.cli.screen.output import ALL_LISTS_THEM, Answer, Line, Span, first
from fileset.cli.screen.progress import bar
from fileset.cli.screen.text import instant
from fileset.cli.session import Session, absolute
from fileset.media.verify import Verified, Verifier
from ledger.phrases import count

_SHOWN = 10


@command(
    "verify",
    {
        "where": "what was read",
        "medium": "which medium it is, see below; null if it is none of this journal",
        "sound": "whether it is one that was finished, as it was made",
        "same_image": "whether it has the bytes of the image that was made, and so every file",
        "compared": "how many files were compared one by one",
        "unreadable": "why it could not be read, or not to its end; or null",
        "problems": '[{path, what}] of files: "missing", "different", "unreadable" or "extra"',
    },
    changes=True,
)
@click.argument("where", metavar="FILE|DEVICE|FOLDER|ZIP", type=PathType(exists=True))
@click.option("--all", "show_all", is_flag=True, help="List all that differs.")
@pass_session
def media_verify(session: Session, where: Path, show_all: bool, reason: str | None) -> Answer:
    """Read back a medium, tell which one it is, and compare it with the journal.

    An image, or the device that it was written to, is compared as a whole; what follows it on a
    device does not matter. If it differs, or in a folder, every file is compared, and those that
    are missing, different or extra are listed, the first one in the order of the medium first. The
    exit code is then 1. That it was verified is recorded. A mail that was sent has other bytes than
    the one that was made: verify the ZIP in it.
    """
    with bar("Reading") as advance:
        found = Verifier(session.repository()).verify(
            absolute(where), reason=reason, progress=advance
        )
    return Answer(
        {
            "where": found.where,
            "medium": medium_document(found.medium) if found.medium else None,
            "sound": found.is_sound,
            "same_image": found.same_image,
            "compared": found.compared,
            "unreadable": "why it could not be read, or not to its end; or null",
            "problems": [asdict(problem) for problem in found.problems],
        },
        _lines(found, show_all),
        status=OK if found.is_sound else INCOMPLETE,
    )


def _lines(found: Verified, show_all: bool) -> Iterator[Line]:
    medium = found.medium
    if medium is None:
        yield (Span("This medium is not in the journal.", "bad"),)
        yield from _unreadable(found)
        return
    recipient = f" for {medium.recipient}" if medium.recipient else ""
    made = instant(medium.change.recorded_at)
    yield (
        Span(f"Medium {medium.number}", "title"),
        f": {kind_in_words(medium)}{recipient}, made {made}",
    )
    if medium.produced is None:
        yield (Span("It was not finished, as far as the journal knows.", "bad"),)
    if found.same_image:
        yield (Span("It has the same bytes as the image that was made.", "good"),)
    elif not found.problems and found.unreadable is None:
        files = count(found.compared, "file")
        yield (Span(f"{files} compared: all are as they were made.", "good"),)
    elif found.problems:
        yield (Span(f"{count(len(found.problems), 'file')} not as made:", "bad"),)
        lines: list[Line] = [f"  {each.what}: {each.path}" for each in found.problems]
        yield from first(lines, None if show_all else _SHOWN, ALL_LISTS_THEM)
    yield from _unreadable(found)


def _unreadable(found: Verified) -> Iterator[Line]:
    if found.unreadable is not None:
        yield (Span(found.unreadable, "bad"),)
