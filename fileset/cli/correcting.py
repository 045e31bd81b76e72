"""Correcting instances: what `correct`, `merge` and `move` share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import click

from fileset.cli.command import Command
from fileset.cli.matching import Search, parse_query
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.differences import (
    CORRECTED,
    correction_lines,
    corrections_document,
    counted,
    nodes,
)
from fileset.cli.screen.documents import staged_document, staged_line
from fileset.cli.screen.output import Answer, Line, Node, Shape, Span
from fileset.cli.screen.progress import counter
from fileset.cli.screen.reports import MISMATCHES, mismatch_document, values_line
from fileset.cli.session import Session
from fileset.correcting.correct import (
    CorrectionOutcome,
    CorrectionReport,
    CorrectionResult,
    Corrector,
)
from fileset.correcting.correction import Correction
from fileset.correcting.persons import values_of_patient
from fileset.correcting.wanted import corrections_of
from fileset.fileset import FileSet
from fileset.repository.repository import Repository
from ledger.phrases import count
from projections.kept.summarise import mismatch_summary
from projections.kept.summary import MismatchSummary
from projections.past.diff import Diff, Side, compare
from projections.past.diff_tree import tree
from projections.state.fold import after
from projections.state.nodes import Leaf
from projections.state.persons import mismatches
from projections.state.state import FileSetState

SHAPE: Final[Shape] = {
    "corrected": "how many instances",
    "unchanged": "how many have these values already",
    "failed": "how many can't be corrected, and are as they were",
    "elements": CORRECTED,
    "size": "how many bytes the corrected instances have, which the vault keeps besides",
    "results": "[{sop_instance_uid, outcome, reason, notes, handle, corrected}], the last two "
    "being the handles of the instance as it was, and of what took its place",
    "mismatches": f"those that there would not be without this, {MISMATCHES}",
    "dry_run": "whether nothing was done, and this only shows what would be",
    "change": "the id of the change, or null if nothing was recorded",
    "staged": "what is staged afterwards, see below",
}

REMOVE_SIGNATURES: Final = click.option(
    "--drop-signatures",
    is_flag=True,
    help="Remove digital signatures over what is corrected: they no longer fit.",
)
ORIGINAL_ATTRIBUTES: Final = click.option(
    "--original-attributes",
    type=click.Choice(["keep", "omit"]),
    help="Whether corrected instances say in an Original Attributes Sequence what was there "
    "before. Without it they do, unless they get another Patient ID: then the one patient's medium "
    "would tell of the other. The journal tells either way.",
)
FULL: Final = click.option(
    "--full", is_flag=True, help="Make a dry run list every record and instance."
)

KEPT: Final = {"keep": True, "omit": False, None: None}
"""What the values of `--original-attributes` mean."""

COERCE: Final = click.option(
    "--coerce", is_flag=True, help="The new values are your own rather than right: COERCE."
)


class ToAtTheEnd(Command):
    """A command whose `--to` and what goes with it come last: nothing after them is a selector."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse an argument behind an option that says what is to become of the instances."""
        with_value = {
            name
            for param in self.params
            if isinstance(param, click.Option) and not param.is_flag
            for name in (*param.opts, *param.secondary_opts)
        }
        is_to, is_value = False, False
        for arg in args:
            if is_value:
                is_value = False
            elif arg.startswith("-") and arg != "-":
                name = arg.partition("=")[0]
                is_to = is_to or name in {"--to", "--into"}
                is_value = name in with_value and "=" not in arg
            elif is_to:
                raise click.UsageError(
                    f"'{arg}' stands behind --to: name the instances first, and give each new "
                    "value a --to of its own.",
                    ctx,
                )
        return super().parse_args(ctx, args)


@contextmanager
def held(session: Session) -> Iterator[FileSet]:
    """Give the File-set as it is: nothing comes between what is asked for and what is done."""
    fs = session.file_set()
    with fs.repository.exclusively():
        fs.repository.refresh()
        yield fs


def correct(
    session: Session,
    wanted: Mapping[Leaf, Correction],
    *,
    reason: str | None,
    dry_run: bool,
    full: bool = False,
) -> Answer:
    """Correct instances, or tell what that would do."""
    repository = session.repository()
    known = mismatches(repository.state)
    with counter("Correcting", len(wanted)) as one_more:
        report = Corrector(repository).correct(
            wanted, reason=reason, progress=one_more, dry_run=dry_run
        )
    now = repository.state
    state = after(now, report.events, "foreseen") if dry_run else now
    ids = {each.patient_id for each in known}
    new = [mismatch_summary(m) for m in mismatches(state) if m.patient_id not in ids]
    done = report.of(CorrectionOutcome.CORRECTED)
    document = {
        **{outcome.value: len(report.of(outcome)) for outcome in CorrectionOutcome},
        "elements": corrections_document(report.elements),
        "size": report.size,
        "results": [_result(result) for result in report.results],
        "mismatches": [mismatch_document(each) for each in new],
        "dry_run": dry_run,
        "change": report.change,
        "staged": staged_document(state),
    }
    lines: list[Line | Node] = [_title(report, dry_run=dry_run), *correction_lines(report.elements)]
    if dry_run and done:
        lines.append(_difference(compare(Side.of(now), Side.of(state)), state, full=full))
    lines.append(staged_line(state))
    status = INCOMPLETE if report.is_incomplete or new or not report.results else OK
    return Answer(document, lines, list(_notes(report, new)), status)


def nothing_matches(repository: Repository, *, dry_run: bool) -> Answer:
    """Answer that there is nothing to correct."""
    document: dict[str, Any] = {
        **dict.fromkeys((outcome.value for outcome in CorrectionOutcome), 0),
        "elements": [],
        "size": 0,
        "results": [],
        "mismatches": [],
        "dry_run": dry_run,
        "change": None,
        "staged": staged_document(repository.state),
    }
    return Answer(document, notes=["No instance matches."], status=INCOMPLETE)


def _result(result: CorrectionResult) -> dict[str, Any]:
    return {
        "sop_instance_uid": result.uid,
        "outcome": result.outcome.value,
        "reason": result.reason,
        "notes": list(result.notes),
        "handle": result.handle,
        "corrected": result.corrected,
    }


def _title(report: CorrectionReport, *, dry_run: bool) -> Line:
    number = len(report.of(CorrectionOutcome.CORRECTED))
    unchanged = len(report.of(CorrectionOutcome.UNCHANGED))
    instances = count(number, "instance")
    done = f"Would correct {instances}" if dry_run else f"{instances} corrected"
    parts = [done]
    if unchanged:
        parts.append(f"{unchanged:,} with these values already")
    return (Span(", ".join(parts), "title"), f" ({count(report.size, 'byte')})" if number else "")


def _difference(found: Diff, state: FileSetState, *, full: bool) -> Node:
    differences = tree(found)
    return Node(
        ("Then: ", *counted(differences.counted(), False)), nodes(differences, state, full=full)
    )


def _notes(report: CorrectionReport, new: list[MismatchSummary]) -> Iterator[Line]:
    for result in report.of(CorrectionOutcome.FAILED):
        yield (Span(result.uid, "bad"), f": not corrected: {result.reason}")
    told: dict[str, int] = {}
    for result in report.results:
        for note in result.notes:
            told[note] = told.get(note, 0) + 1
    for note, number in told.items():
        yield (Span(count(number, "instance"), "careful"), f": {note}")
    for each in new:
        yield (
            Span("Several persons: ", "careful"),
            f"with the Patient ID {each.patient_id}: {values_line(each)}",
        )


def to_patient(
    session: Session,
    query: tuple[str, ...],
    into: str,
    *,
    original_attributes: str | None,
    drop_signatures: bool,
    dry_run: bool,
    full: bool,
    reason: str | None,
) -> Answer:
    """Correct instances to those of the patient `into`, or tell what that would do."""
    keyword, equals, patient_id = into.partition("=")
    if keyword != "PatientID" or not equals or not patient_id.strip():
        raise click.UsageError("Name the patient whose the instances are: PatientID=VALUE.")
    how = Correction(original_attributes=KEPT[original_attributes], drop_signatures=drop_signatures)
    with held(session) as fs:
        values = values_of_patient(fs.state, patient_id)
        instances = Search(load=False).find(fs, parse_query(query))
        if not instances:
            return nothing_matches(fs.repository, dry_run=dry_run)
        leaves = [fs.state.leaf(instance.handle) for instance in instances]
        wanted = corrections_of(Corrector(fs.repository), fs.state, leaves, values, how)
        return correct(session, wanted, reason=reason, dry_run=dry_run, full=full)
