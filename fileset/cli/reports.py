"""The account of files that were offered, for people and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from fileset.cli.output import Line, Span
from fileset.cli.text import count
from fileset.ingest import Outcome, Report, Result
from projections.state import FileSetState

RESULTS: Final = "[{path, outcome, reason, note, invented, sop_instance_uid}], one for each file"
"""What the results in a document are."""


def key_of(outcome: Outcome) -> str:
    """Return the name of `outcome` in a document."""
    return outcome.value.lower().replace(" ", "_")


def report_document(
    report: Report, state: FileSetState, outcomes: Sequence[Outcome]
) -> dict[str, Any]:
    """Return the account as JSON: how many of each of `outcomes`, and each file's."""
    counts = report.counts
    return {
        "found": len(report.results),
        **{key_of(outcome): counts[outcome] for outcome in outcomes},
        "results": [_result(result, state) for result in report],
    }


def _result(result: Result, state: FileSetState) -> dict[str, Any]:
    return {
        "path": result.source,
        "outcome": key_of(result.outcome),
        "reason": result.reason,
        "note": result.note,
        "invented": dict(result.invented),
        "sop_instance_uid": None if result.handle is None else state.leaf(result.handle).uid,
    }


def report_notes(report: Report) -> list[Line]:
    """Return a line for each file that is not simply added or there already."""
    notes: list[Line] = []
    for result in report:
        if result.outcome.is_failure:
            notes.append((Span(result.source, "bad"), f": {result.reason}"))
        elif result.outcome in {Outcome.SKIPPED, Outcome.EXCLUDED}:
            why = f": {result.outcome.value}: {result.reason}"
            notes.append((Span(result.source, "careful"), why))
        elif result.note:
            notes.append((Span(result.source, "careful"), f": {result.note}"))
        if result.invented:
            values = ", ".join(f"{keyword}={value}" for keyword, value in result.invented.items())
            notes.append((Span(result.source, "careful"), f": invented {values}"))
    return notes


def reconciled(report: Report, outcomes: Sequence[Outcome]) -> list[Line]:
    """Return the account of all files, found N = A added + ..., and a way out if there is one."""
    lines: list[Line] = [_sum(report, outcomes)]
    if lacking := sum(result.completable for result in report):
        lines.append(
            f"{count(lacking, 'file')} rejected over values that directory records must have: "
            "--complete invents them where it can, in the DICOMDIR only"
        )
    return lines


def _sum(report: Report, outcomes: Sequence[Outcome]) -> Line:
    parts: list[str | Span] = [Span(f"found {len(report.results):,}", "title"), " = "]
    counts = report.counts
    for index, outcome in enumerate(outcomes):
        number = counts[outcome]
        text = f"{number:,} {outcome.value}"
        style = "bad" if outcome.is_failure else "good" if outcome is Outcome.ADDED else "careful"
        parts += [" + "] if index else []
        parts.append(Span(text, style) if number else text)
    return tuple(parts)
