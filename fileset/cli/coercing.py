"""Coercing what arrives: the option that `add`, `watch` and `quarantine retry` share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from fileset.adding.report import AddReport
from fileset.cli.command import PathType
from fileset.cli.screen.differences import CORRECTED, correction_lines, corrections_document
from fileset.cli.screen.output import Line, Shape, Span
from ledger.errors import CorrectionError
from ledger.phrases import count

if TYPE_CHECKING:
    from fileset.adding.coercing import Coercer

COERCE: Final = click.option(
    "--coerce",
    type=PathType(),
    metavar="RULES",
    help="Correct what arrives by the rules in a TOML file, which give it your own IDs, issuers, "
    "UIDs and other values. A file to which they can't be applied is not added.",
)

COERCED: Final[Shape] = {
    "coerced": "how many of those added got other values by the rules",
    "elements": CORRECTED,
}


def read_coercer(path: Path) -> Coercer:
    """Return what coerces instances by the rules at `path`; a usage error if they are wrong."""
    from fileset.correcting.coercion import coercer  # noqa: PLC0415 - most do without

    try:
        return coercer(path)
    except CorrectionError as exc:
        raise click.UsageError(f"Nothing was added: {exc}") from exc


def coerced_document(report: AddReport) -> dict[str, Any]:
    """Return what was coerced as JSON."""
    return {"coerced": report.coerced, "elements": corrections_document(report.elements)}


def coerced_lines(report: AddReport) -> Iterator[Line]:
    """Yield what was coerced in how many instances, if anything was."""
    if report.coerced:
        yield (Span(f"{count(report.coerced, 'instance')} coerced", "title"),)
        yield from correction_lines(report.elements)
