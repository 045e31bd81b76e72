"""Writing: what `write` and `export` share, a copy of a state and the document of both."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import click
from attrs import evolve

from fileset.cli.moments import state_at
from fileset.cli.running import INCOMPLETE
from fileset.cli.screen.output import Answer, Shape
from fileset.cli.screen.progress import bar
from fileset.cli.screen.reports import error_line
from fileset.cli.screen.writing import damage_document, plan_document, plan_lines, written_lines
from fileset.cli.session import Session
from fileset.medium.check import missing_descriptor
from fileset.medium.damage import MediumDamage
from fileset.medium.export import Exporter
from fileset.repository.find_change import change_at
from ledger.digest import Digest
from projections.medium.pending import staged
from projections.state.namesakes import namesakes
from projections.state.state import FileSetState

WRITTEN: Final[Shape] = {
    "root": "a path",
    "written": "whether anything was written",
    "dry_run": "whether nothing was done, and this only shows what would be",
    "export": "whether it is a copy of the state at a moment, which leaves what is staged as "
    "it was",
    "unwritten": "for a copy, what it has that the medium did not have at that moment, such "
    "as 1 addition; null if nothing",
    "completed": "the root of an interrupted write that this one completed first, or null",
    "abandoned": "the root of an interrupted write that was given up, or null",
    "dicomdir": "sha256:... of the DICOMDIR that was written, or null",
    "damage": "with --repair, what was found on the medium, see below; else null",
    "errors": "what is wrong by the Standard with the patients, studies and series that were "
    "or would be written, in words",
    "plan": "what was or would be done, see below; null if nothing is staged",
}
"""What the document of a write or an export holds."""

SHOW_PATHS: Final = click.option(
    "--all", "show_all", is_flag=True, help="Make a dry run list every path."
)


def export_copy(
    session: Session,
    root: Path,
    layout: str | None,
    moment: str,
    dry_run: bool,
    show_all: bool,
    reason: str | None,
) -> Answer:
    """Write a copy of the File-set as of `moment` to `root`, or show what it would be."""
    layout = layout or session.setting("layout") or "pydicom"
    repository = session.repository()
    exporter = Exporter(repository)
    state = state_at(repository, moment)
    change = change_at(repository.journal, state.position)
    if state.position < change.last:
        session.warnings.append(
            f"position {state.position} is within the change {change.id}, positions "
            f"{change.first} to {change.last}: a copy has the first part of it"
        )
    unwritten = ""
    if state.written is not None:  # a copy has a layout of its own: what would move doesn't count
        unwritten = evolve(staged(state, layout), moves=0).summary()
    notes = [f"It has what the medium did not have then: {unwritten}."] if unwritten else []
    if dry_run:
        plan = plan_document(exporter.plan(root, state, layout), {})
        document = write_document(plan, dry_run=True, export=True, unwritten=unwritten)
        answer = Answer(document, [*plan_lines(plan, show_all), *notes])
        warn_of_descriptor(session, answer, state)
        return with_errors(answer, state)
    with bar("Writing") as advance:
        result = exporter.export(root, state, layout, reason=reason, progress=advance)
    plan = plan_document(result.plan, {})
    lines = written_lines(plan, result.dicomdir)
    answer = Answer(
        write_document(plan, dicomdir=result.dicomdir, export=True, unwritten=unwritten),
        [f"The File-set as of position {state.position}:", *lines, *notes],
    )
    warn_of_descriptor(session, answer, state)
    return with_errors(answer, state)


def warn_of_descriptor(session: Session, answer: Answer, state: FileSetState) -> None:
    """Warn where the descriptor file that a `state` names is not where that is written to."""
    if (plan := answer.document["plan"]) is not None:
        missing = missing_descriptor(Path(plan["root"]), state.identity)
        session.warnings += [missing] if missing is not None else []


def with_errors(answer: Answer, state: FileSetState) -> Answer:
    """Tell what of a `state` that was or would be written breaks the Standard."""
    if answer.document["plan"] is not None:
        errors = [each.sentence for each in namesakes(state) if each.is_error]
        answer.document["errors"] = errors
        answer.notes = [*answer.notes, *map(error_line, errors)]
        answer.status = INCOMPLETE if errors else answer.status
    return answer


def write_document(
    plan: dict[str, Any] | None,
    *,
    root: str | None = None,
    abandoned: str | None = None,
    dicomdir: Digest | None = None,
    dry_run: bool = False,
    export: bool = False,
    unwritten: str = "",
    completed: str | None = None,
    damage: MediumDamage | None = None,
) -> dict[str, Any]:
    """Return the document of a write or an export."""
    return {
        "root": plan["root"] if plan else root,
        "written": dicomdir is not None,
        "dry_run": dry_run,
        "export": export,
        "unwritten": unwritten or None,
        "completed": completed,
        "abandoned": abandoned,
        "dicomdir": str(dicomdir) if dicomdir else None,
        "damage": damage_document(damage) if damage else None,
        "errors": [],
        "plan": plan,
    }
