"""``write``: from what is staged to files and a DICOMDIR."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
from attrs import define, evolve

from fileset.cli.command import Command, PathType, command, pass_session
from fileset.cli.documents import damage_document, file_ids, plan_document, short
from fileset.cli.moments import AT, state_at
from fileset.cli.output import Answer, Line, Span
from fileset.cli.progress import bar
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.session import Session, absolute
from fileset.cli.text import count
from fileset.contents import Contents
from fileset.damage import Damage
from fileset.errors import RefusedError
from fileset.repository import Repository
from fileset.writing import Writer
from ledger.digest import Digest
from ledger.events import Handle
from projections.layouts import LAYOUTS
from projections.pending import pending
from projections.plan import Plan
from projections.state import FileSetState

_SHOWN: Final = 20
"""Paths of each kind that a dry run lists without ``--all``."""


@command(
    "write",
    {
        "root": "a path",
        "written": "whether anything was written",
        "dry_run": "whether this only tells what would be",
        "export": "whether it is a copy of a past state, which leaves what is staged as it was",
        "completed": "the root of an interrupted write that this one completed first, or null",
        "abandoned": "the root of an interrupted write that was given up, or null",
        "dicomdir": "sha256:... of the DICOMDIR that was written, or null",
        "damage": "with --repair, what was found on the medium, see below; else null",
        "plan": "what was or would be done, see below; null if nothing is staged",
    },
    changes=True,
)
@click.argument("root", required=False, type=PathType(file_okay=False))
@click.option(
    "--layout",
    type=click.Choice(list(LAYOUTS)),
    help="Where the files go: as pydicom numbers them, or moving nothing that is on the medium.  "
    "[default: pydicom]",
)
@AT
@click.option(
    "--new-medium",
    is_flag=True,
    help="The medium that was written before is gone: write everything to ROOT, a new one.",
)
@click.option(
    "--abandon",
    is_flag=True,
    help="Give up an interrupted write that can't be completed, and take back what it did.",
)
@click.option(
    "--repair",
    is_flag=True,
    help="Put right first what was lost or damaged on the medium since the last write.",
)
@click.option("--dry-run", is_flag=True, help="Tell what it would do, and stop.")
@click.option("--all", "show_all", is_flag=True, help="Have a dry run list every path.")
@pass_session
def write(
    session: Session,
    root: Path | None,
    layout: str | None,
    moment: str | None,
    new_medium: bool,
    abandon: bool,
    repair: bool,
    dry_run: bool,
    show_all: bool,
    reason: str | None,
) -> Answer:
    """Write what is staged to the folder ROOT, with a DICOMDIR.

    ROOT is remembered: later writes need none. A write that was interrupted is completed first.
    With --at, a copy of a past state goes to a ROOT of its own, and what is staged stays staged.

    With --repair, every file on the medium is read, and those that are not as they were written
    come back from the vault. What lay in their place is kept there. The exit code is 1 if the bytes
    of some are lost.
    """
    root = absolute(root) if root is not None else None
    if abandon:
        if root is not None or layout or moment is not None or new_medium or dry_run or repair:
            raise click.UsageError("--abandon writes nothing: give it alone.")
        return _abandon(session, reason)
    if new_medium and (root is None or moment is not None):
        raise click.UsageError("--new-medium needs the ROOT to write to, and no --at.")
    if repair and (new_medium or moment is not None):
        raise click.UsageError("--repair is for the medium that was written before.")
    if moment is not None:
        return _export(session, root, layout, moment, dry_run, show_all, reason)
    repository = session.repository()
    wanted = _Wanted(repository, root, _layout(repository, layout, repair), new_medium, repair)
    return wanted.foresee(show_all) if dry_run else wanted.write(reason)


def _layout(repository: Repository, layout: str | None, repair: bool) -> str:
    """Return the layout to write in: a repair moves nothing unless it is told to."""
    written = repository.refresh().written
    return layout or (written.layout if repair and written is not None else "pydicom")


@define
class _Wanted:
    """A write that was asked for."""

    repository: Repository
    root: Path | None
    layout: str
    new_medium: bool
    repair: bool

    @property
    def writer(self) -> Writer:
        return Writer(self.repository, Contents(self.repository))

    def foresee(self, show_all: bool) -> Answer:
        """Tell what it would do."""
        writer = self.writer
        resumed = None if self.new_medium else writer.plan_resume()
        if resumed is not None:
            plan = plan_document(resumed, file_ids(self.repository.at(resumed.base)))
            hint = (Span("A write was interrupted and would be completed first:", "careful"),)
            return Answer(_document(plan, dry_run=True), [hint, *_plan_lines(plan, show_all)])
        damage = None
        if self.repair:
            with bar("Reading") as advance:
                damage = writer.damage(self.root, progress=advance)
        planned = self._plan()
        plan = plan_document(planned, self._before())
        told, status = _damage_lines(damage, dry_run=True), _status(damage)
        if not self._has_to_write():
            return _nothing(planned.root, told, dry_run=True)
        document = _document(plan, dry_run=True, damage=damage)
        return Answer(document, [*told, *_plan_lines(plan, show_all)], status=status)

    def write(self, reason: str | None) -> Answer:
        """Do it, and tell what was done."""
        writer = self.writer
        resumed = None if self.new_medium else writer.plan_resume()
        completed = resumed.root if resumed is not None else None
        done: list[Line] = [f"Completed the interrupted write to {completed}."] if completed else []
        with bar("Writing") as advance:
            if resumed is not None:
                writer.resume(progress=advance, repair=self.repair)
            before = self._before()
            if not self._has_to_write():
                writer.clear_leftovers()
                return _nothing(self._plan().root, done, completed=completed)
            damage = None
            if self.repair:
                damage = writer.repair(self.root, reason=reason, progress=advance)
                done += _damage_lines(damage, dry_run=False)
                if damage.left:
                    return _left(damage, done, completed)
            result = writer.write(
                self.root,
                self.layout,
                new_medium=self.new_medium,
                repaired=damage,
                reason=reason,
                progress=advance,
            )
        if result.dicomdir is None:
            return _nothing(result.plan.root, done, completed=completed, damage=damage)
        plan = plan_document(result.plan, before)
        return Answer(
            _document(plan, dicomdir=result.dicomdir, completed=completed, damage=damage),
            [*done, *_written_lines(plan, result.dicomdir)],
        )

    def _has_to_write(self) -> bool:
        state = self.repository.refresh()
        return self.new_medium or self.repair or _is_staged(state, self.layout)

    def _before(self) -> Mapping[Handle, str]:
        return {} if self.new_medium else file_ids(self.repository.refresh())

    def _plan(self) -> Plan:
        """Return what is to be done, which checks the root, too."""
        return self.writer.plan(
            self.root, self.layout, new_medium=self.new_medium, repair=self.repair
        )


def _status(damage: Damage | None) -> int:
    return INCOMPLETE if damage and damage.left else OK


def _left(damage: Damage, done: Sequence[Line], completed: str | None) -> Answer:
    """Tell that some damage is left, for which nothing more was written."""
    told = "put these files back or remove their instances, and repair again"
    root = os.fspath(damage.root)
    return Answer(
        _document(None, root=root, completed=completed, damage=damage),
        [*done, f"Nothing else was written: {told}."],
        status=INCOMPLETE,
    )


def _nothing(
    root: str,
    done: Sequence[Line],
    *,
    dry_run: bool = False,
    completed: str | None = None,
    damage: Damage | None = None,
) -> Answer:
    """Tell that there was nothing to write, or nothing more."""
    more = "more " if completed or (damage and damage.mended) else ""
    return Answer(
        _document(None, root=root, dry_run=dry_run, completed=completed, damage=damage),
        [*done, f"Nothing {more}to write to {root}."],
    )


def _damage_lines(damage: Damage | None, *, dry_run: bool) -> list[Line]:
    if damage is None:
        return []
    would, was = ("Would put", "is") if dry_run else ("Put", "was")
    lines: list[Line] = []
    if damage.of_dicomdir:
        what = "There was no DICOMDIR" if damage.no_dicomdir else "The DICOMDIR was another one"
        lines.append((Span(f"{what}: it is made anew.", "careful"),))
    mended, left = damage.mended, damage.left
    lines += [
        (Span(f"{would} back", "good"), f" {each.path}, which {was} {each.fault.value}")
        for each in mended[:_SHOWN]
    ]
    if len(mended) > _SHOWN:
        lines.append(f"  ... and {len(mended) - _SHOWN:,} more")
    if damage.returned:
        told = count(len(damage.returned), "file")
        verb = "Would take" if dry_run else "Took"
        lines.append(f"{verb} {told} off again that an older copy of the medium has.")
    if damage.unkept:
        verb = "Would store" if dry_run else "Stored"
        lines.append(f"{verb} {count(len(damage.unkept), 'content')} anew in the vault.")
    lines += [(Span(f"Not put back: {each.path}", "bad"), f": {each.why}.") for each in left]
    return lines or ["The medium is as it was written."]


def _abandon(session: Session, reason: str | None) -> Answer:
    repository = session.repository()
    writer = Writer(repository, Contents(repository))
    interrupted = repository.refresh().writing
    if interrupted is None or not writer.abandon(reason=reason):
        raise RefusedError("No write was interrupted: there is none to give up.")
    root = interrupted.event.root
    return Answer(
        _document(None, root=root, abandoned=root),
        [(Span(f"Gave up the interrupted write to {root}.", "good"),), "What was staged still is."],
    )


def _export(
    session: Session,
    root: Path | None,
    layout: str | None,
    moment: str,
    dry_run: bool,
    show_all: bool,
    reason: str | None,
) -> Answer:
    if root is None:
        raise click.UsageError("--at writes a copy: name the ROOT for it.")
    if layout == "existing":
        raise click.UsageError("--at writes a new copy, which has no existing layout.")
    repository = session.repository()
    writer = Writer(repository, Contents(repository))
    state = state_at(repository, moment)
    if dry_run:
        plan = plan_document(writer.plan_export(root, state), {})
        return Answer(_document(plan, dry_run=True, export=True), _plan_lines(plan, show_all))
    with bar("Writing") as advance:
        result = writer.export(root, state, reason=reason, progress=advance)
    plan = plan_document(result.plan, {})
    return Answer(
        _document(plan, dicomdir=result.dicomdir, export=True),
        [f"The File-set as of position {state.position}:", *_written_lines(plan, result.dicomdir)],
    )


def _is_staged(state: FileSetState, layout: str) -> bool:
    """Whether a write in `layout` would do anything: the existing one has no moves."""
    staged = pending(state)
    return bool(evolve(staged, moves=()) if layout == "existing" else staged)


def _document(
    plan: dict[str, Any] | None,
    *,
    root: str | None = None,
    abandoned: str | None = None,
    dicomdir: Digest | None = None,
    dry_run: bool = False,
    export: bool = False,
    completed: str | None = None,
    damage: Damage | None = None,
) -> dict[str, Any]:
    return {
        "root": plan["root"] if plan else root,
        "written": dicomdir is not None,
        "dry_run": dry_run,
        "export": export,
        "completed": completed,
        "abandoned": abandoned,
        "dicomdir": str(dicomdir) if dicomdir else None,
        "damage": damage_document(damage) if damage else None,
        "plan": plan,
    }


def _written_lines(plan: dict[str, Any], dicomdir: Digest | None) -> list[Line]:
    return [
        (Span(f"Wrote {count(plan['instances'], 'instance')} to {plan['root']}.", "good"),),
        f"{_figures(plan)} ({short(dicomdir)})",
    ]


def _figures(plan: dict[str, Any]) -> str:
    return (
        f"{count(len(plan['placed']), 'file')} placed, {len(plan['moved']):,} moved, "
        f"{len(plan['removed']):,} removed; DICOMDIR of {count(plan['dicomdir_size'], 'byte')}"
    )


def _plan_lines(plan: dict[str, Any], show_all: bool) -> list[Line]:
    lines: list[Line] = [
        (Span(f"Would write to {plan['root']}", "title"), f", layout {plan['layout']}:")
    ]
    placed = [("  + ", "good", item["file_id"]) for item in plan["placed"]]
    moved = [("  > ", "careful", f"{item['from']} -> {item['to']}") for item in plan["moved"]]
    removed = [("  - ", "bad", item["file_id"] or "") for item in plan["removed"]]
    for kind in (placed, moved, removed):
        shown = kind if show_all else kind[:_SHOWN]
        lines += [(Span(sign, style), path) for sign, style, path in shown]
        if more := len(kind) - len(shown):
            lines.append(f"  ... and {more:,} more: --all lists them")
    return [*lines, _figures(plan)]


COMMANDS: Final[dict[str, Command]] = {"write": write}
