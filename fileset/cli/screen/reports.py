"""What became of files to be added, and what is dropped from the vault: in words and as JSON."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, Final

from fileset.adding.outcome import IGNORED_NAME, Outcome, Result
from fileset.cli.screen.output import Line, Shape, Span
from fileset.cli.screen.text import in_commands
from fileset.repository.named_roots import unnamed
from ledger.phrases import count, some
from projections.kept.summary import MismatchSummary

if TYPE_CHECKING:
    from fileset.adding.report import AddReport
    from ledger.vault.protocol import Excess
    from projections.state.state import FileSetState

_SETTLING: Final = "`fileset status` shows them, `fileset settle PatientID=...` accepts them"

UNNAMED_ROOTS: Final = "the roots that only an imported journal names, and that are left alone"
"""What the list of unnamed roots in a document is."""

MISMATCHED: Final = (
    "how many of those added may belong to a different person from others with their Patient ID"
)
"""What the number of mismatches in a document is."""

MISMATCHES: Final = "[{patient_id, values: {keyword: [value]}}]: several persons with one ID"
"""What the list of mismatches in a document is."""

FAULTY: Final = "how many of those added break the Standard, as their notes say"
"""What the number of faulty ones in a document is."""

RESULTS: Final = (
    "[{path, outcome, reason, note, mismatch, faulty, coerced, invented, sop_instance_uid}], one "
    "for each file; coerced is false for one that can't be, and null for one that needn't"
)
"""What the results in a document are."""


SHOWN: Final = 5
"""How many files are listed of which the same is told."""

_OWN: Final = re.compile(r"'[^']*'|[0-9]+")


def key_of(outcome: Outcome) -> str:
    """Return the name of `outcome` in a document."""
    return outcome.value.lower().replace(" ", "_")


def report_document(
    report: AddReport, state: FileSetState, outcomes: Sequence[Outcome]
) -> dict[str, Any]:
    """Return the account as JSON: how many of each of `outcomes`, and each file's."""
    counts = report.counts
    return {
        "found": len(report.results),
        **{key_of(outcome): counts[outcome] for outcome in outcomes},
        "mismatched": report.mismatched,
        "faulty": report.faulty,
        "results": (_result(result, state) for result in report),
    }


def _result(result: Result, state: FileSetState) -> dict[str, Any]:
    return {
        "path": result.source,
        "outcome": key_of(result.outcome),
        "reason": _reason(result),
        "note": result.note,
        "mismatch": result.mismatch,
        "faulty": result.faulty,
        "coerced": result.coerced,
        "invented": dict(result.invented),
        "sop_instance_uid": None if result.handle is None else state.leaf(result.handle).uid,
    }


def _reason(result: Result) -> str | None:
    return None if result.reason is None else in_commands(result.reason)


def report_notes(report: AddReport) -> list[Line]:
    """Return a line for each file that is not simply added or there already.

    Of many that are told the same, the first ones have one, and the others are counted.
    """
    ignored: list[str] = []
    told: list[tuple[Result, str, str]] = []
    for result in report.remarkable:
        if result.reason == IGNORED_NAME:
            ignored.append(PurePath(result.source).name)
        else:
            told += [(result, style, text) for style, text in _told(result)]
    counts = Counter(_kind(text) for _, _, text in told)
    shown: Counter[str] = Counter()
    lines: list[Line] = []
    for result, style, text in told:
        kind = _kind(text)
        shown[kind] += 1
        if shown[kind] <= SHOWN or counts[kind] == SHOWN + 1:  # a line that hides one saves none
            lines.append((Span(result.source, style), f": {text}"))
        elif shown[kind] == SHOWN + 1:
            more = count(counts[kind] - SHOWN, "more file")
            lines.append((Span(f"  ... and {more} like this one", style), ": --json lists them"))
    if ignored:
        names = some(list(dict.fromkeys(ignored)))
        lines.append((Span(f"Passed over {len(ignored):,} by name", "careful"), f": {names}"))
    return lines


def _kind(text: str) -> str:
    """Return what is told of a file but for what differs from file to file."""
    return _OWN.sub("", text)


def _told(result: Result) -> Iterator[tuple[str, str]]:
    """Yield what is to be told of a file, each with its style."""
    if result.outcome.is_failure:
        yield "bad", _reason(result) or ""
    elif result.outcome in {Outcome.SKIPPED, Outcome.EXCLUDED}:
        yield "careful", f"{result.outcome.value}: {_reason(result)}"
    elif result.note:
        yield "bad" if result.faulty else "careful", result.note
    if result.invented:
        values = ", ".join(f"{keyword}={value}" for keyword, value in result.invented.items())
        yield "careful", f"invented {values}"


def reconciled(
    report: AddReport, outcomes: Sequence[Outcome], settling: str = _SETTLING
) -> list[Line]:
    """Return the account of all files, found N = A added + ..., and a way out if there is one.

    `settling` is the one where instances may be of other persons.
    """
    lines: list[Line] = [_sum(report, outcomes)]
    if lacking := report.completable:
        lines.append(
            f"{count(lacking, 'file')} rejected over values that directory records must have: "
            "--complete invents them where it can, in the DICOMDIR only"
        )
    if report.mismatched:
        lines.append((Span(mismatched_line(report.mismatched), "careful"), settling))
    if report.faulty:
        lines.append((Span(in_commands(faulty_line(report.faulty)), "careful"),))
    return lines


def mismatched_line(number: int) -> str:
    """Return that so many instances may be of another person."""
    instances = count(number, "instance")
    return f"{instances} may belong to a different person from others with the same Patient ID: "


def faulty_line(number: int) -> str:
    """Return that so many instances were added that break the Standard."""
    return f"{count(number, 'instance')} added with an error, which `fileset verify ROOT` will find"


def values_line(found: MismatchSummary) -> str:
    """Return the values of the persons with one Patient ID, by keyword."""
    return "; ".join(
        f"{keyword} {some(list(map(repr, values)))}" for keyword, values in found.values.items()
    )


def unnamed_line(root: str) -> Line:
    """Return what to do about a root that only a journal made elsewhere names."""
    return (Span("Not looked at: ", "careful"), unnamed(root))


def mismatch_document(found: MismatchSummary) -> dict[str, Any]:
    """Return the values of the persons with one Patient ID as JSON."""
    return {"patient_id": found.patient_id, "values": found.values}


def mismatch_line(found: MismatchSummary) -> Line:
    """Return the values of the persons with one Patient ID, and how that is settled."""
    query = shlex.quote(f"PatientID={found.patient_id}")
    return (
        Span(f"Mismatch: several persons have the Patient ID {found.patient_id}: ", "bad"),
        in_commands(f"{values_line(found)}. `fileset settle {query}` accepts that."),
    )


def error_line(sentence: str) -> Line:
    """Return in what the File-set breaks the Standard."""
    return (Span("Error: ", "bad"), sentence)


def _sum(report: AddReport, outcomes: Sequence[Outcome]) -> Line:
    parts: list[str | Span] = [Span(f"found {len(report.results):,}", "title")]
    counts = report.counts
    for outcome in filter(counts.__getitem__, outcomes):
        style = "bad" if outcome.is_failure else "good" if outcome is Outcome.ADDED else "careful"
        parts.append(" = " if len(parts) == 1 else " + ")
        parts.append(Span(f"{counts[outcome]:,} {outcome.value}", style))
    return tuple(parts)


EXCESS: Final[Shape] = {
    "entries": "how many contents are dropped from the vault",
    "bytes": "how large they are in its packs",
    "scraps": "bytes of incomplete content in the packs, which are dropped, too",
}


def excess_document(excess: Excess) -> dict[str, int]:
    """Return what goes from the vault, in numbers."""
    return {"entries": excess.entries, "bytes": excess.bytes, "scraps": excess.scraps}


def excess_line(excess: Excess, *, dry_run: bool) -> str:
    """Return what goes from the vault, in words."""
    verb = "Would drop" if dry_run else "Dropped"
    size = f"the content of {count(excess.entries, 'file')}, {count(excess.bytes, 'byte')}"
    scraps = f", and {count(excess.scraps, 'byte')} of incomplete content" if excess.scraps else ""
    return f"{verb} {size}{scraps}, from the vault."
