"""How ``verify ROOT`` tells what it found."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from fileset.cli.command import Shape
from fileset.cli.output import Answer, Line, Span
from fileset.cli.progress import phases
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.text import count
from fileset.conformance import Finding, Report, Severity, examine_root

SHAPE: Final[Shape] = {
    "root": "the path of ROOT, or null without; so are the keys that follow",
    "records": "how many directory records the DICOMDIR has",
    "files": "how many files they reference",
    "counts": "{kind: how many findings}",
    "errors": "how many findings are errors, and no mere warnings",
}
"""What the document has of a check of a folder, besides `findings`."""

SHOWN: Final = 5
"""How many findings of a kind are listed unless all are asked for."""

_STYLES: Final = {Severity.ERROR: "bad", Severity.WARNING: "careful"}


def verify_root(root: Path, *, show_all: bool) -> Answer:
    """Return what a check of the File-set at `root` gives; its status is 1 if any is an error."""
    with phases() as show:
        report = examine_root(
            root, lambda done, total: show("Checking the referenced files", done, total)
        )
    return Answer(
        {
            "root": str(report.root),
            "records": report.records,
            "files": report.files,
            "findings": [_document(each) for each in report.findings],
            "counts": {kind.value: number for kind, number in report.counts.items()},
            "errors": sum(each.severity is Severity.ERROR for each in report.findings),
            "events": None,
            "instances": None,
            "checkpoints": [],
        },
        _lines(report, show_all=show_all),
        status=INCOMPLETE if report.has_errors else OK,
    )


def more(kind: str, number: int, style: str) -> Line:
    """Return the line that tells how many findings of a kind, of `number`, were not listed."""
    return (Span(kind, style), f": and {number - SHOWN:,} more: see them with --all.")


def _document(finding: Finding) -> dict[str, Any]:
    return {
        "kind": finding.kind.value,
        "severity": finding.severity.value,
        "where": finding.where,
        "offset": finding.offset,
        "message": finding.message,
    }


def _lines(report: Report, *, show_all: bool) -> Iterator[Line]:
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
                yield more(kind, len(findings), _STYLES[severity])
    records, files = count(report.records, "record"), count(report.files, "referenced file")
    checked = f"{records} and {files} checked"
    errors = sum(each.severity is Severity.ERROR for each in report.findings)
    warnings = len(report.findings) - errors
    if not report.findings:
        yield (Span(f"{checked}: all is well.", "good"),)
        return
    style = _STYLES[Severity.ERROR if errors else Severity.WARNING]
    yield (Span(f"{checked}: {count(errors, 'error')}, {count(warnings, 'warning')}.", style),)
