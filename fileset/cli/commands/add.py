"""`add`: files staged to be added."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from fileset.adding.find import FoundFiles, archives_among, find_files
from fileset.adding.ignoring import Ignored
from fileset.adding.outcome import Outcome
from fileset.adding.report import AddReport
from fileset.cli.coercing import COERCE, COERCED, coerced_document, coerced_lines, read_coercer
from fileset.cli.command import (
    COMPLETE,
    DRY_RUN,
    IGNORE,
    NO_IGNORE,
    ON_MISMATCH,
    REJECT,
    PathType,
    chosen_patterns,
    command,
    pass_session,
)
from fileset.cli.running import INCOMPLETE, INTERRUPTED, OK
from fileset.cli.screen.documents import staged_document, staged_line
from fileset.cli.screen.output import Answer, Line, Node, Span
from fileset.cli.screen.progress import counter
from fileset.cli.screen.reports import (
    FAULTY,
    MISMATCHED,
    RESULTS,
    key_of,
    reconciled,
    report_document,
    report_notes,
)
from fileset.cli.session import Recording, Session
from fileset.interrupts import stop_at_interrupt
from ledger.phrases import count
from projections.state.state import FileSetState

_OUTCOMES: Final = [outcome for outcome in Outcome if outcome is not Outcome.EXCLUDED]


@command(
    "add",
    {
        "found": "how many files were looked at; the sum of the six counts that follow",
        **dict.fromkeys((key_of(outcome) for outcome in _OUTCOMES), "how many"),
        "mismatched": MISMATCHED,
        "faulty": FAULTY,
        **COERCED,
        "dry_run": "whether nothing was done, and this only shows what would be",
        "left": "how many files were not looked at because of an interrupt",
        "change": "the id of the change, or null if nothing was recorded",
        "results": RESULTS,
        "staged": "what is staged afterwards, see below",
    },
    changes=True,
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=PathType(readable=False))
@click.option("--recursive", "-r", is_flag=True, help="Go into folders; this is always done.")
@click.option(
    "--place",
    type=click.Choice(["copy", "reference"]),
    default="copy",
    show_default=True,
    help="Copy the files into the repository, or leave them where they are until they are written.",
)
@COMPLETE
@ON_MISMATCH
@COERCE
@IGNORE
@NO_IGNORE
@DRY_RUN
@pass_session
def add(
    session: Session,
    paths: tuple[Path, ...],
    recursive: bool,
    place: str,
    complete: bool,
    on_mismatch: str,
    coerce: Path | None,
    ignore: tuple[str, ...],
    no_ignore: bool,
    dry_run: bool,
    reason: str | None,
) -> Answer:
    """Stage DICOM files, and those in folders, to be added, all as one change.

    If a PATH is a ZIP file or a disc image, what is in it is added, without unpacking it. An
    archive in a folder is not looked into.

    A file that can't be added is reported on standard error and the others are added; the exit code
    is then 1. It is also 1 if a file may belong to a different person from others with its Patient
    ID. If a PATH doesn't exist, nothing is added. A DICOMDIR found on the way is skipped, and so is
    what has a name in folders that a watcher passes over: one line counts these. Ctrl-C ends it:
    what was added by then is staged, and the exit code is 130.

    With --coerce, the instances get your own values in the same change. The files are kept as they
    arrived, and undo takes both back. What can't be coerced is not added. --dry-run shows what
    would become of them.
    """
    if coerce is not None and place == "reference":
        raise click.UsageError("--coerce keeps the files as they arrived: it needs --place copy.")
    del recursive  # scripts give it
    for path in paths:
        if not _is_there(path):
            raise click.UsageError(f"'{path}' does not exist: nothing was added.")
    if place == "reference" and (archives := archives_among(paths)):
        raise click.UsageError(
            f"'{archives[0]}' is an archive, and what is in it can't be left there: leave out "
            "--place reference, or unpack it and name the folder."
        )
    rules = None if coerce is None else read_coercer(coerce)
    fs = session.file_set()
    patterns = chosen_patterns(ignore, no_ignore)
    ignored = None if patterns is None else Ignored(patterns)
    files = FoundFiles(find_files(paths, recursive=True, ignored=ignored))
    with (
        stop_at_interrupt() as stopped,
        counter("Adding", files.number) as one_more,
        Recording(fs.repository, reason) as change,
    ):
        report = fs.add_many(
            files,
            recursive=False,
            reference=place == "reference",
            complete=complete,
            reject_mismatched=on_mismatch == REJECT,
            coerce=rules,
            ignore=patterns,
            dry_run=dry_run,
            progress=one_more,
            stop=stopped,
        )
    left = files.number - len(report.results) if stopped() else 0
    return _add_answer(report, fs.state, change.id, left)


def _is_there(path: Path) -> bool:
    """Whether something is at `path`, as far as can be told."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:  # reading it says why
        pass
    return True


def _add_answer(report: AddReport, state: FileSetState, change: str | None, left: int) -> Answer:
    notes = report_notes(report)
    now, state = state, report.foreseen or state
    then: list[Line | Node] = []
    if report.foreseen is not None:
        from fileset.cli.screen.differences import foreseen  # noqa: PLC0415 - few need it

        then = ["Nothing was added: this is what would be.", foreseen(now, state)]
    if left:
        left_out = f"{count(left, 'file')} not looked at; the others are accounted for"
        notes.append((Span(f"Interrupted: {left_out}.", "careful"),))
    return Answer(
        {
            **report_document(report, state, _OUTCOMES),
            **coerced_document(report),
            "dry_run": report.foreseen is not None,
            "left": left,
            "change": change,
            "staged": staged_document(state),
        },
        [*reconciled(report, _OUTCOMES), *coerced_lines(report), *then, staged_line(state)],
        notes,
        INTERRUPTED if left else INCOMPLETE if report.is_incomplete else OK,
    )
