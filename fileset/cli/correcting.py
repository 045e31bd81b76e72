"""Correcting instances: what `correct`, `merge` and `move` share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import click

from fileset.cli.command import Command
from fileset.cli.matching import (
    MATCHED,
    advice,
    matched,
    matched_lines,
    none_matches,
    refuse_ambiguous,
    tell_nothing,
)
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.differences import (
    CORRECTED,
    correction_lines,
    corrections_document,
    foreseen,
)
from fileset.cli.screen.documents import staged_document, staged_line
from fileset.cli.screen.output import Answer, Line, Node, Shape, Span
from fileset.cli.screen.progress import counter
from fileset.cli.screen.reports import MISMATCHES, error_line, mismatch_document, values_line
from fileset.cli.screen.text import in_commands
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
from fileset.criteria import Query
from fileset.fileset import FileSet
from fileset.views.search import Search
from ledger.phrases import count, some
from projections.kept.summarise import mismatch_summary
from projections.kept.summary import MismatchSummary
from projections.state.fold import after
from projections.state.namesakes import namesakes
from projections.state.nodes import Leaf
from projections.state.persons import mismatches
from projections.state.state import FileSetState

SHAPE: Final[Shape] = {
    "corrected": "how many instances",
    **MATCHED,
    "unchanged": "how many already had these values",
    "failed": "how many can't be corrected, and stay as they were",
    "elements": CORRECTED,
    "uids": "the UIDs that were replaced wherever they occurred: {old: new}",
    "size": "how many bytes the corrected instances have; the vault keeps the originals as well",
    "results": "[{sop_instance_uid, outcome, reason, notes, handle, corrected}], the last two "
    "being the handles of the original and of the corrected instance",
    "mismatches": f"those that this causes, {MISMATCHES}",
    "errors": "what this makes wrong with patients, studies and series, in words",
    "dry_run": "whether nothing was done, and this only shows what would be",
    "change": "the id of the change, or null if nothing was recorded",
    "staged": "what is staged afterwards, see below",
}

REMOVE_SIGNATURES: Final = click.option(
    "--drop-signatures",
    is_flag=True,
    help="Remove digital signatures that the correction makes invalid.",
)
ORIGINAL_ATTRIBUTES: Final = click.option(
    "--original-attributes",
    type=click.Choice(["keep", "omit"]),
    help="Whether corrected instances record the former values in their Original Attributes "
    "Sequence. By default they do, unless they get another Patient ID: the medium of one patient "
    "must not name another. The journal records them either way.",
)
FULL: Final = click.option(
    "--all", "full", is_flag=True, help="With --dry-run: list every record and instance."
)

_FAILED: Final = 3  # instances that are named of those that fail alike

KEPT: Final = {"keep": True, "omit": False, None: None}
"""What the values of `--original-attributes` mean."""

COERCE: Final = click.option(
    "--coerce",
    is_flag=True,
    help="Give COERCE as the reason in the Original Attributes Sequence, not CORRECT: the new "
    "values are those of your own institution.",
)


class ToAtTheEnd(Command):
    """A command whose `--to` and what goes with it come last: nothing after them is a selector."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Refuse an argument after an option that says what is to become of the instances."""
        with_value = {
            name
            for param in self.params
            if isinstance(param, click.Option) and not param.is_flag
            for name in (*param.opts, *param.secondary_opts)
        }
        to, is_value = None, False
        for arg in args:
            if is_value:
                is_value = False
            elif arg.startswith("-") and arg != "-":
                name = arg.partition("=")[0]
                to = name if name in {"--to", "--into"} else to
                is_value = name in with_value and "=" not in arg
            elif to is not None:
                each = ", and repeat --to for each new value" if self.name == "correct" else ""
                raise click.UsageError(
                    f"'{arg}' comes after {to}: name the instances first{each}.", ctx
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
    told: Sequence[dict[str, Any]] = (),
) -> Answer:
    """Correct instances, or tell what that would do; `told` is what patterns stood for."""
    repository = session.repository()
    ids = {each.patient_id for each in mismatches(repository.state)}
    known = set(_errors(repository.state))
    with counter("Correcting", len(wanted)) as one_more:
        report = Corrector(repository).correct(
            wanted, reason=reason, progress=one_more, dry_run=dry_run
        )
    now = repository.state
    state = after(now, report.events, "foreseen") if dry_run else now
    new = [mismatch_summary(m) for m in mismatches(state) if m.patient_id not in ids]
    errors = [each for each in _errors(state) if each not in known]
    done = report.of(CorrectionOutcome.CORRECTED)
    document = {
        **{outcome.value: len(report.of(outcome)) for outcome in CorrectionOutcome},
        "matched": list(told),
        "elements": corrections_document(report.elements),
        "uids": dict(report.uids),
        "size": report.size,
        "results": [_result(result) for result in report.results],
        "mismatches": [mismatch_document(each) for each in new],
        "errors": errors,
        "dry_run": dry_run,
        "change": report.change,
        "staged": staged_document(state),
    }
    lines: list[Line | Node] = [
        _title(report, dry_run=dry_run),
        *matched_lines(told),
        *correction_lines(report.elements, len(report.uids)),
    ]
    if dry_run and done:
        lines.append(foreseen(now, state, full=full))
    lines.append(staged_line(state))
    is_done = report.results and not (report.is_incomplete or new or errors)
    notes = [*_notes(report, new), *map(error_line, errors)]
    return Answer(document, lines, notes, OK if is_done else INCOMPLETE)


def _errors(state: FileSetState) -> list[str]:
    """Return what is wrong with patients, studies and series by the Standard."""
    return [each.sentence for each in namesakes(state) if each.is_error]


def nothing_matches(
    session: Session,
    search: Search,
    fs: FileSet,
    asked: Query,
    *,
    dry_run: bool,
    is_table: bool = False,
) -> Answer:
    """Answer that there is nothing to correct: no instance has what was `asked` for.

    What is asked by a table is told of its lines.
    """
    session.warnings += advice(search, asked, "`fileset find --load`")
    if is_table:
        why = none_matches(asked.tags.values())
    else:
        why = tell_nothing(session, search, fs, asked)
    state = session.repository().state
    document: dict[str, Any] = {
        **dict.fromkeys((outcome.value for outcome in CorrectionOutcome), 0),
        "matched": [],
        "elements": [],
        "uids": {},
        "size": 0,
        "results": [],
        "mismatches": [],
        "errors": [],
        "dry_run": dry_run,
        "change": None,
        "staged": staged_document(state),
    }
    return Answer(document, notes=[why], status=INCOMPLETE)


def _result(result: CorrectionResult) -> dict[str, Any]:
    return {
        "sop_instance_uid": result.uid,
        "outcome": result.outcome.value,
        "reason": None if result.reason is None else in_commands(result.reason),
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
        parts.append(f"{unchanged:,} already with these values")
    return (Span(", ".join(parts), "title"), f" ({count(report.size, 'byte')})" if number else "")


def _notes(report: CorrectionReport, new: list[MismatchSummary]) -> Iterator[Line]:
    failed: dict[str, list[str]] = {}
    for result in report.of(CorrectionOutcome.FAILED):
        failed.setdefault(in_commands(result.reason or ""), []).append(result.uid)
    for reason, uids in failed.items():
        yield (Span(some(uids, _FAILED), "bad"), f": not corrected: {reason}")
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
    wanted_by: Query,
    into: str,
    *,
    is_same: bool = False,
    original_attributes: str | None,
    drop_signatures: bool,
    dry_run: bool,
    full: bool,
    reason: str | None,
) -> Answer:
    """Correct instances to those of the patient `into`, or tell what that would do.

    See `values_of_patient` for `is_same`.
    """
    keyword, equals, patient_id = into.partition("=")
    if keyword != "PatientID" or not equals or not patient_id.strip():
        raise click.UsageError("Name the patient they belong to: PatientID=VALUE.")
    how = Correction(original_attributes=KEPT[original_attributes], drop_signatures=drop_signatures)
    with held(session) as fs:
        values = values_of_patient(fs.state, patient_id, is_same=is_same)
        search = Search()
        instances = search.find(fs, wanted_by)
        if not instances:
            return nothing_matches(session, search, fs, wanted_by, dry_run=dry_run)
        refuse_ambiguous(fs, wanted_by, instances)
        leaves = [fs.state.leaf(instance.handle) for instance in instances]
        wanted = corrections_of(Corrector(fs.repository), fs.state, leaves, values, how)
        told = matched(wanted_by, instances)
        return correct(session, wanted, reason=reason, dry_run=dry_run, full=full, told=told)
