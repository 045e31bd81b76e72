"""`media verify`: a medium, read back and compared with the journal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click
from attrs import asdict

from fileset.cli.command import PathType, WholeNumber, command, pass_session
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.media import kind_in_words, medium_document
from fileset.cli.screen.output import ALL_LISTS_THEM, Answer, Line, Span, first
from fileset.cli.screen.progress import bar
from fileset.cli.screen.text import instant
from fileset.cli.session import Session, absolute
from fileset.media.verify import Verified, Verifier
from ledger.phrases import count
from projections.past.media import Medium

_SHOWN = 10


@command(
    "verify",
    {
        "where": "what was read",
        "medium": "which medium it is, see below; null if it is none of this journal",
        "also": "[{number, recipient}] of others that it is as well: same bytes, or same files",
        "sound": "whether it is one that was finished, and all of it as it was made",
        "same_image": "whether it has the bytes of the image that was made, and so every file",
        "compared": "how many files were compared one by one",
        "differs_outside": "whether the image differs, and no file does that was compared",
        "erased": "whether data on it was erased since: not all can be compared, and it must go",
        "unreadable": "why it could not be read, or not to its end; or null",
        "problems": '[{path, what}] of files: "missing", "different", "unreadable" or "extra"',
    },
    changes=True,
)
@click.argument("where", metavar="FILE|DEVICE|FOLDER|ZIP", type=PathType(exists=True))
@click.option(
    "--medium", "number", type=WholeNumber(min=1), metavar="N",
    help="Which medium it is, of several with the same files.  [default: the newest]",
)  # fmt: skip
@click.option("--all", "show_all", is_flag=True, help="List all that differs.")
@pass_session
def media_verify(
    session: Session, where: Path, number: int | None, show_all: bool, reason: str | None
) -> Answer:
    """Read back a medium, tell which one it is, and compare it with the journal.

    An image, or the device that it was written to, is compared as a whole; what follows it on a
    device does not matter. If it differs, or in a folder, every file is compared, and those that
    are missing, different or extra are listed, the first one in the order of the medium first. The
    exit code is then 1, as it is if an image differs outside its files. Which medium it is, its
    DICOMDIR says or its SHA256.TXT; the one that matches best is taken. That it was verified is
    recorded. If data on it was erased since, what is left is compared; the exit code is 1 unless
    the image has the same bytes, and nothing is recorded if nothing differs then. A mail that was
    sent has other bytes than the one that was made: verify the ZIP in it.
    """
    with bar("Reading") as advance:
        found = Verifier(session.repository()).verify(
            absolute(where), number=number, reason=reason, progress=advance
        )
    return Answer(
        {
            "where": found.where,
            "medium": medium_document(found.medium) if found.medium else None,
            "also": [{"number": m.number, "recipient": m.recipient} for m in found.also],
            "sound": found.is_sound,
            "same_image": found.same_image,
            "compared": found.compared,
            "differs_outside": found.differs_outside,
            "erased": found.erased,
            "unreadable": found.unreadable,
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
    made = instant(medium.change.recorded_at)
    yield (
        Span(f"Medium {medium.number}", "title"),
        f": {kind_in_words(medium)}{_recipient(medium)}, made {made}",
    )
    if found.also:
        others = ", ".join(f"medium {each.number}{_recipient(each)}" for each in found.also)
        same = "bytes" if found.same_image else "files"
        yield f"Also {others}: the {same} are the same, and --medium N says which one is meant."
    if medium.produced is None:
        yield (Span("It was not finished, as far as the journal knows.", "bad"),)
    if found.same_image:
        yield (Span("It has the same bytes as the image that was made.", "good"),)
    elif found.problems:
        yield (Span(f"{count(len(found.problems), 'file')} not as made:", "bad"),)
        lines: list[Line] = [f"  {each.what}: {each.path}" for each in found.problems]
        yield from first(lines, None if show_all else _SHOWN, ALL_LISTS_THEM)
    elif found.unreadable is None:
        files = count(found.compared, "file")
        yield (Span(f"{files} compared: all are as they were made.", "good"),)
    if found.differs_outside:
        where = "" if found.erased else ", outside its files"
        yield (Span(f"The image differs from the one that was made{where}.", "bad"),)
    if found.erased:
        can = "" if found.same_image else ", so its files can't all be compared"
        yield (Span(f"Data on it was erased since{can}: destroy it, and all copies.", "bad"),)
    yield from _unreadable(found)


def _recipient(medium: Medium) -> str:
    return f" for {medium.recipient}" if medium.recipient else ""


def _unreadable(found: Verified) -> Iterator[Line]:
    if found.unreadable is not None:
        yield (Span(found.unreadable, "bad"),)
