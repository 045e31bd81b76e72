"""What a check found wrong with a repository, or with any File-set: for people and as JSON."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Final

from fileset.checking.conformance import ConformanceReport, Finding, FindingKind, Severity
from fileset.checking.findings import RepositoryFinding
from fileset.checking.journal import CheckpointProof
from fileset.checking.repository import VerificationReport
from fileset.cli.screen.output import Line, Shape, Span
from ledger.journal.checkpoint import Checkpoint
from ledger.phrases import count

FINDING: Final[Shape] = {
    "kind": "such as file-changed",
    "severity": "error, or warning",
    "where": "a position, path or digest",
    "position": "the first bad one, or that of the event that added the instance, or null",
    "message": "in words",
}

CONFORMANCE: Final[Shape] = {
    "root": "the path of ROOT, or null without; so are the keys that follow",
    "records": "how many directory records the DICOMDIR has",
    "files": "how many files they reference",
    "counts": "{kind: how many findings}",
    "errors": "how many findings are errors rather than warnings",
}
"""What the document has of a check of a folder, besides `findings`."""

SHOWN: Final = 5
"""How many findings of a kind are listed unless all are asked for."""

_STYLES: Final = {Severity.ERROR: "bad", Severity.WARNING: "careful"}


def conformance_document(report: ConformanceReport) -> dict[str, Any]:
    """Return what a check of a File-set found."""
    return {
        "root": str(report.root),
        "records": report.records,
        "files": report.files,
        "findings": [_document(each) for each in report.findings],
        "counts": {kind.value: number for kind, number in report.counts.items()},
        "errors": sum(each.severity is Severity.ERROR for each in report.findings),
    }


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        "severity": finding.severity.value,
        "where": finding.where,
        "offset": finding.offset,
        "message": finding.message,
    }


def conformance_lines(report: ConformanceReport, *, show_all: bool) -> Iterator[Line]:
    """Yield the findings, those of a kind together, errors first; of many only the first ones."""
    groups: dict[tuple[Severity, str], list[Finding]] = {}
    for finding in report.findings:
        groups.setdefault((finding.severity, finding.kind.value), []).append(finding)
    for severity in Severity:
        for (own, kind), findings in groups.items():
            if own is not severity:
                continue
            shown = findings if show_all else findings[:SHOWN]
            for finding in shown:
                yield (Span(kind, _STYLES[severity]), f": {finding.message}")
            if len(findings) > len(shown):
                yield _more_line(kind, len(findings), _STYLES[severity])
    records, files = count(report.records, "record"), count(report.files, "referenced file")
    checked = f"{records} and {files} checked"
    errors = sum(each.severity is Severity.ERROR for each in report.findings)
    warnings = len(report.findings) - errors
    if not report.findings:
        yield (Span(f"{checked}: all is well.", "good"),)
        return
    style = _STYLES[Severity.ERROR if errors else Severity.WARNING]
    yield (Span(f"{checked}: {count(errors, 'error')}, {count(warnings, 'warning')}.", style),)


_TOLD_OTHERWISE: Final = frozenset(
    (
        FindingKind.CONSISTENCY_FLAG,
        FindingKind.FIRST_OFFSET,
        FindingKind.BAD_OFFSET,
        FindingKind.OFFSET_CYCLE,
        FindingKind.ORPHAN_RECORD,
        FindingKind.NOT_IN_USE,
        FindingKind.COMPRESSED_ICON,
        FindingKind.DUPLICATE_INSTANCE,
        FindingKind.DUPLICATE_FILE,
    )
)
"""What an adoption tells in its own words, with what it makes of it."""

_REWRITTEN: Final = frozenset(
    (
        FindingKind.DICOMDIR_ENCODING,
        FindingKind.FILE_META,
        FindingKind.FILE_SET_UID,
        FindingKind.GROUP_LENGTH,
        FindingKind.MISSING_ELEMENT,
        FindingKind.LAST_OFFSET,
    )
)
"""What is right in every DICOMDIR that is written anew."""


def adoption_warnings(findings: Iterable[Finding], told: Collection[str]) -> Iterator[str]:
    """Yield what is wrong with a DICOMDIR that was adopted as it is, and what puts it right.

    Messages in `told` are left out.
    """
    kinds: dict[FindingKind, list[Finding]] = {}
    for finding in findings:
        if finding.kind not in _TOLD_OTHERWISE and finding.message not in told:
            kinds.setdefault(finding.kind, []).append(finding)
    for kind, found in kinds.items():
        yield from (each.message for each in found[:SHOWN])
        if len(found) > SHOWN:
            more = f"{len(found) - SHOWN:,} more"
            yield f"{kind.value}: and {more}: `fileset verify ROOT --all` lists them."
    errors = Counter(
        kind in _REWRITTEN
        for kind, found in kinds.items()
        for each in found
        if each.severity is Severity.ERROR
    )
    has = f"The DICOMDIR has {count(errors.total(), 'error')}"
    if errors[False]:
        yield f"{has}: `fileset init --repair` corrects what the files can tell."
    elif errors:
        it = "it" if errors.total() == 1 else "them"
        rewrite = f"`fileset init --repair` stages a write for {it}"
        yield f"{has}, which the next write of any change puts right; {rewrite}."


def verification_document(report: VerificationReport) -> dict[str, Any]:
    """Return what a check of a repository found."""
    return {
        "findings": [_finding(each) for each in report.findings],
        "events": report.events,
        "instances": report.instances,
        "checkpoints": [_proof(each) for each in report.proofs],
    }


def _finding(finding: RepositoryFinding) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        "severity": (Severity.WARNING if finding.is_warning else Severity.ERROR).value,
        "where": finding.where,
        "position": finding.position,
        "message": finding.message,
    }


def _proof(proof: CheckpointProof) -> dict[str, Any]:
    return {
        "file": proof.signed.name,
        "proven": proof.finding is None,
        **proof.signed.checkpoint.to_plain(),
    }


def verification_lines(report: VerificationReport, *, show_all: bool) -> Iterator[Line]:
    """Yield what is wrong with a repository, of many findings of a kind the first ones."""
    shown: Counter[str] = Counter()
    styles = {
        finding.kind.value: "careful" if finding.is_warning else "bad"
        for finding in report.findings
    }
    for finding in report.findings:
        kind = finding.kind.value
        shown[kind] += 1
        if show_all or shown[kind] <= SHOWN:
            yield (Span(kind, styles[kind]), f": {finding.message}")
    for kind, number in shown.items():
        if not show_all and number > SHOWN:
            yield _more_line(kind, number, styles[kind])
    proven = [proof.signed.checkpoint for proof in report.proofs if proof.finding is None]
    if proven:
        yield from _proven_lines(proven[-1], report.events)
    checked = f"{count(report.events, 'event')} and {count(report.instances, 'instance')} checked"
    if report.findings:
        style = "bad" if report.has_errors else "careful"
        yield (Span(f"{checked}: {count(len(report.findings), 'finding')}.", style),)
    else:
        yield (Span(f"{checked}: all is well.", "good"),)


def _proven_lines(newest: Checkpoint, events: int) -> Iterator[Line]:
    history = (
        f": the journal has exactly the history up to position {newest.position} that it had at "
        f"{newest.signed_at}, by the clock of whoever signed with the key {newest.key}."
    )
    yield (Span("Proven", "good"), history)
    if newest.note is not None:
        yield f"The checkpoint's note: {newest.note}"
    later = ""
    if events > newest.position:
        later = f"what came after position {newest.position} (up to {events}); "
    yield f"Not proven: {later}that actors and times are true; whose that key is."


def _more_line(kind: str, number: int, style: str) -> Line:
    """Return the line that tells how many findings of a kind, of `number`, were not listed."""
    return (Span(kind, style), f": and {number - SHOWN:,} more: see them with --all.")
