"""``add``, ``remove`` and ``set``: staging changes of the File-set."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click

from fileset.cli.command import Command, PathType, command, pass_session
from fileset.cli.documents import (
    identity_difference,
    identity_lines,
    instance_document,
    staged_document,
    staged_line,
)
from fileset.cli.identity import parse_settings
from fileset.cli.listing import instance_lines
from fileset.cli.matching import Search, parse_query
from fileset.cli.output import Answer, Line, Span
from fileset.cli.progress import bar
from fileset.cli.reports import RESULTS, key_of, reconciled, report_document, report_notes
from fileset.cli.running import INCOMPLETE, INTERRUPTED, OK
from fileset.cli.session import Session
from fileset.cli.text import count
from fileset.finding import find_files
from fileset.ingest import Outcome, Report, Result
from fileset.interrupts import stop_at_interrupt
from fileset.repository import Repository
from projections.state import FileSetState

_OUTCOMES: Final = [outcome for outcome in Outcome if outcome is not Outcome.EXCLUDED]


@command(
    "add",
    {
        "found": "how many files were looked at; the sum of the six counts that follow",
        **dict.fromkeys((key_of(outcome) for outcome in _OUTCOMES), "how many"),
        "left": "how many files were not looked at because of an interrupt",
        "change": "the id of the change, or null if nothing was recorded",
        "results": RESULTS,
        "staged": "what is staged now, see below",
    },
    changes=True,
)
@click.argument("paths", metavar="PATH...", nargs=-1, required=True, type=PathType())
@click.option("--recursive", "-r", is_flag=True, help="Add what is in folders, too.")
@click.option(
    "--place",
    type=click.Choice(["copy", "reference"]),
    default="copy",
    show_default=True,
    help="Copy the files into the repository, or leave them where they are until they are written.",
)
@click.option(
    "--complete",
    is_flag=True,
    help="Invent values that directory records must have and an instance lacks: in the DICOMDIR "
    "only, and told in the report.",
)
@pass_session
def add(
    session: Session,
    paths: tuple[Path, ...],
    recursive: bool,
    place: str,
    complete: bool,
    reason: str | None,
) -> Answer:
    """Stage DICOM files to be added, all as one change.

    A file that can't be added is reported on standard error and the others are added; the exit code
    is then 1. A DICOMDIR met on the way is skipped. Ctrl-C ends it: what was added by then is
    staged, and the exit code is 130.
    """
    fs = session.file_set()
    files = list(find_files(paths, recursive=recursive))
    with (
        stop_at_interrupt() as stopped,
        bar("Adding") as advance,
        _Recording(fs.repository, reason) as change,
    ):
        done = 0

        def progress(_: Result) -> None:
            nonlocal done
            done += 1
            advance(done, len(files))

        report = fs.add_many(
            files,
            recursive=False,
            reference=place == "reference",
            complete=complete,
            progress=progress,
            stop=stopped,
        )
    left = len(files) - len(report.results) if stopped() else 0
    return _add_answer(report, fs.state, change.id, left)


def _add_answer(report: Report, state: FileSetState, change: str | None, left: int) -> Answer:
    notes = report_notes(report)
    if left:
        told = f"Interrupted: {count(left, 'file')} not looked at; the others are accounted for."
        notes.append((Span(told, "careful"),))
    return Answer(
        {
            **report_document(report, state, _OUTCOMES),
            "left": left,
            "change": change,
            "staged": staged_document(state),
        },
        [*reconciled(report, _OUTCOMES), staged_line(state)],
        notes,
        INTERRUPTED if left else INCOMPLETE if report.has_failures else OK,
    )


class _Recording:
    """One change; `id` is ``None`` afterwards if nothing was recorded in it."""

    def __init__(self, repository: Repository, reason: str | None) -> None:
        self._repository = repository
        self._change = repository.change(reason)
        self.id: str | None = None

    def __enter__(self) -> _Recording:
        self.id = self._change.__enter__()
        self._position = self._repository.state.position
        return self

    def __exit__(self, *exc: Any) -> bool | None:
        if self._repository.state.position == self._position:
            self.id = None
        return self._change.__exit__(*exc)


@command(
    "remove",
    {
        "removed": "the instances, see below",
        "change": "the id of the change, or null if no instance matches",
        "staged": "what is staged now, see below",
    },
    changes=True,
)
@click.argument("query", metavar="KEYWORD=VALUE...", nargs=-1, required=True)
@pass_session
def remove(session: Session, query: tuple[str, ...], reason: str | None) -> Answer:
    """Stage the instances to be removed whose directory records have all the values.

    As in `fileset remove PatientID=98890234 Modality=MR`; `fileset find` shows what matches. If
    nothing does, the exit code is 1.
    """
    fs = session.file_set()
    wanted = parse_query(query)
    search = Search(load=False)
    with _Recording(fs.repository, reason) as change:
        found = search.find(fs, wanted)
        if found:
            fs.remove(found)
    session.warnings += search.advice(wanted)
    leaves = [fs.state.leaf(instance.handle) for instance in found]
    document = {
        "removed": [instance_document(leaf, fs.state) for leaf in leaves],
        "change": change.id,
        "staged": staged_document(fs.state),
    }
    if not found:
        return Answer(document, notes=["No instance matches."], status=INCOMPLETE)
    title = f"{count(len(found), 'instance')} removed:"
    return Answer(
        document,
        [(Span(title, "title"),), *instance_lines(leaves, fs.state), staged_line(fs.state)],
    )


@command(
    "set",
    {
        "changed": "what was set to another value: {name: {from, to}}",
        "change": "the id of the change, or null if all had its value already",
        "staged": "what is staged now, see below",
    },
    changes=True,
)
@click.argument(
    "settings", metavar="id=... uid=... descriptor=... charset=...", nargs=-1, required=True
)
@pass_session
def set_(session: Session, settings: tuple[str, ...], reason: str | None) -> Answer:
    """Set the File-set ID or UID, or the descriptor file's ID or character set.

    All that is given is one change. An empty value, as in `id=`, clears; only the UID can't be.
    A descriptor file in folders is written DOCS/README.
    """
    values = parse_settings(settings)
    repository = session.repository()
    before = repository.refresh().identity
    with _Recording(repository, reason) as change:
        for name, value in values.items():
            repository.set_identity(name, value)
    changed = identity_difference(before, repository.state.identity)
    lines: list[Line] = [*identity_lines(changed)] or ["That is so already."]
    return Answer(
        {"changed": changed, "change": change.id, "staged": staged_document(repository.state)},
        [*lines, staged_line(repository.state)],
    )


COMMANDS: Final[dict[str, Command]] = {"add": add, "remove": remove, "set": set_}
