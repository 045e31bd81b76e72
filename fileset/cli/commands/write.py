"""`write`: from what is staged to files and a DICOMDIR."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

import click
from attrs import define

from fileset.cli.command import DRY_RUN, PathType, command, pass_session
from fileset.cli.exporting import (
    SHOW_PATHS,
    WRITTEN,
    export_copy,
    warn_of_descriptor,
    with_errors,
    write_document,
)
from fileset.cli.moments import AT
from fileset.cli.running import INCOMPLETE, OK
from fileset.cli.screen.output import Answer, Line, Span
from fileset.cli.screen.progress import bar
from fileset.cli.screen.writing import (
    damage_lines,
    file_ids,
    plan_document,
    plan_lines,
    written_lines,
)
from fileset.cli.session import Session, absolute
from fileset.errors import RefusedError
from fileset.medium.damage import MediumDamage
from fileset.medium.write import Writer
from fileset.repository.repository import Repository
from ledger.events import Handle
from projections.medium.layouts import LAYOUTS, usual_layout
from projections.medium.pending import pending, staged
from projections.medium.plan import Plan
from projections.state.state import FileSetState

_FIRST: Final = "pydicom"
"""The layout of a first write, unless one is configured."""


@command("write", WRITTEN, changes=True)
@click.argument("root", required=False, type=PathType(file_okay=False))
@click.option(
    "--layout",
    type=click.Choice(list(LAYOUTS)),
    help="Where the files go. pydicom: as pydicom would number them, so files after a removed one "
    "move up. existing: nothing that is on the medium moves, and new files get free "
    "names. conformant: the same, but files whose names are not File IDs are renamed.  "
    "[default: as the last write; conformant after `fileset init --from`, else pydicom; with --at "
    "pydicom]",
)
@AT
@click.option(
    "--new-medium",
    is_flag=True,
    help="Leave the medium that was written before as it is, and write everything to ROOT.",
)
@click.option(
    "--abandon",
    is_flag=True,
    help="Give up an interrupted write that can't be completed, and take back what it did.",
)
@click.option(
    "--repair",
    is_flag=True,
    help="Repair first what was lost or damaged on the medium since the last write.",
)
@DRY_RUN
@SHOW_PATHS
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

    ROOT is remembered: later writes need none. A write that was interrupted is completed first. A
    root that only an imported journal names is left alone until it is given here as ROOT. With
    --at, a copy of a past state, or of the present one with what is staged (--at now), goes to a
    separate ROOT, and what is staged stays staged.

    With --repair, every file on the medium is read, and those that are not as they were written are
    restored from the vault. What was found in their place is kept there. The exit code is 1 if the
    bytes of some are lost.

    A study of two patients or a series of two studies is written as it is, and reported; the exit
    code is then 1.
    """
    root = absolute(root) if root is not None else None
    if abandon:
        if layout or moment is not None or new_medium or dry_run or repair:
            raise click.UsageError("--abandon writes nothing: give it alone.")
        return _abandon(session, root, reason)
    if new_medium and (root is None or moment is not None):
        raise click.UsageError("--new-medium needs the ROOT to write to, and no --at.")
    if repair and (new_medium or moment is not None):
        raise click.UsageError("--repair is for the medium that was written before.")
    if moment is not None:
        if root is None:
            raise click.UsageError("--at writes a copy: name the ROOT for it.")
        return export_copy(session, root, layout, moment, dry_run, show_all, reason)
    repository = session.repository()
    configured = session.setting("layout")
    wanted = _Wanted(repository, root, layout, new_medium, repair, configured)
    if not dry_run and (renamed := wanted.renamed()):
        them = "a file" if renamed == 1 else f"{renamed:,} files"
        session.tell(
            f"This renames {them} of the adopted File-set: `--layout existing` would leave their "
            "names as they are."
        )
    answer = wanted.foresee(show_all) if dry_run else wanted.write(reason)
    state = repository.refresh()
    warn_of_descriptor(session, answer, state)
    return with_errors(answer, state)


@define
class _Wanted:
    """A write that was asked for."""

    repository: Repository
    root: Path | None
    layout: str | None
    new_medium: bool
    repair: bool
    configured: str | None
    """The layout of a first write, if one is configured."""

    @property
    def writer(self) -> Writer:
        writer = Writer(self.repository)
        writer.name(self.root)
        return writer

    def renamed(self) -> int:
        """Return how many files of an adopted File-set the first write of it renames."""
        state = self.repository.refresh()
        if self.new_medium or self.repair or state.written is None or not state.written.is_adopted:
            return 0
        return sum(leaf.is_live for leaf in pending(state, self._layout() or "pydicom").moves)

    def foresee(self, show_all: bool) -> Answer:
        """Return what it would do."""
        writer = self.writer
        resumed = self._resumed(writer)
        if resumed is not None:
            plan = plan_document(resumed, file_ids(resumed.placed))
            hint = (Span("A write was interrupted and would be completed first:", "careful"),)
            return Answer(write_document(plan, dry_run=True), [hint, *plan_lines(plan, show_all)])
        damage = None
        if self.repair:
            with bar("Reading") as advance:
                damage = writer.damage(self.root, progress=advance)
        planned = self._plan()
        plan = plan_document(planned, self._before())
        lines, status = damage_lines(damage, dry_run=True), _status(damage)
        if not self._has_to_write() and not self.writer.is_untrue(planned):
            return _nothing(planned.root, lines, dry_run=True)
        document = write_document(plan, dry_run=True, damage=damage)
        return Answer(document, [*lines, *plan_lines(plan, show_all)], status=status)

    def write(self, reason: str | None) -> Answer:
        """Carry it out, and return what was done."""
        writer = self.writer
        resumed = self._resumed(writer)
        completed = resumed.root if resumed is not None else None
        done: list[Line] = [f"Completed the interrupted write to {completed}."] if completed else []
        with bar("Writing") as advance:
            if resumed is not None:
                writer.resume(progress=advance, repair=self.repair)
                self.new_medium = False  # it was written just now
            before = self._before()
            if not self._has_to_write() and not writer.is_untrue(planned := self._plan()):
                writer.keep_named()
                writer.clear_leftovers()
                return _nothing(planned.root, done, completed=completed)
            result = writer.write(
                self.root,
                self._layout(),
                new_medium=self.new_medium,
                repair=self.repair,
                reason=reason,
                progress=advance,
            )
        damage = result.damage
        done += damage_lines(damage, dry_run=False)
        if damage is not None and damage.unrepairable:
            return _left(damage, done, completed)
        if result.plan is None:
            return _nothing(result.root, done, completed=completed, damage=damage)
        plan = plan_document(result.plan, before)
        return Answer(
            write_document(plan, dicomdir=result.dicomdir, completed=completed, damage=damage),
            [*done, *written_lines(plan, result.dicomdir)],
        )

    def _has_to_write(self) -> bool:
        state = self.repository.refresh()
        if self.new_medium or self.repair or self.writer.is_moved(self.root):
            return True
        return _is_staged(state, self._layout())

    def _before(self) -> Mapping[Handle, str]:
        return (
            {} if self.new_medium else file_ids(self.repository.refresh().hierarchy.walk_leaves())
        )

    def _plan(self) -> Plan:
        """Return what is to be done, which checks the root, too."""
        return self.writer.plan(
            self.root, self._layout(), new_medium=self.new_medium, repair=self.repair
        )

    def _layout(self) -> str | None:
        """Return the layout asked for, else that of the last write; a repair has its own."""
        if self.layout is not None or self.repair:
            return self.layout
        state = self.repository.refresh()
        usual = usual_layout(state)
        return self.configured or usual if state.written is None and usual == _FIRST else usual

    def _resumed(self, writer: Writer) -> Plan | None:
        """Return the plan of an interrupted write that has to be completed first.

        If a new medium is asked for, that is one to there; any other is not in its way.
        """
        if self.new_medium and self.root is not None and not writer.can_resume_at(self.root):
            return None
        return writer.plan_resume()


def _status(damage: MediumDamage | None) -> int:
    return INCOMPLETE if damage and damage.unrepairable else OK


def _left(damage: MediumDamage, done: Sequence[Line], completed: str | None) -> Answer:
    """Return the answer where damage is left, so that nothing more was written."""
    advice = "put these files back or remove their instances, and repair again"
    root = os.fspath(damage.root)
    return Answer(
        write_document(None, root=root, completed=completed, damage=damage),
        [*done, f"Nothing else was written: {advice}."],
        status=INCOMPLETE,
    )


def _nothing(
    root: str,
    done: Sequence[Line],
    *,
    dry_run: bool = False,
    completed: str | None = None,
    damage: MediumDamage | None = None,
) -> Answer:
    """Return the answer where there was nothing to write, or nothing more."""
    more = "more " if completed or (damage and damage.repairable) else ""
    return Answer(
        write_document(None, root=root, dry_run=dry_run, completed=completed, damage=damage),
        [*done, f"Nothing {more}to write to {root}."],
    )


def _abandon(session: Session, root: Path | None, reason: str | None) -> Answer:
    repository = session.repository()
    writer = Writer(repository)
    interrupted = repository.refresh().writing
    if root is not None:
        if interrupted is None or repository.roots.knows(interrupted.event.root):
            raise click.UsageError(
                "--abandon writes nothing: give it alone, or with the ROOT that an imported "
                "journal names."
            )
        writer.name(root)
    if interrupted is None or not writer.abandon(reason=reason):
        raise RefusedError("No write was interrupted: there is none to give up.")
    at = interrupted.event.root
    return Answer(
        write_document(None, root=at, abandoned=at),
        [
            (Span(f"Gave up the interrupted write to {at}.", "good"),),
            "What was staged is still staged.",
        ],
    )


def _is_staged(state: FileSetState, layout: str | None) -> bool:
    """Whether a write in `layout` would do anything."""
    return bool(staged(state, layout or "pydicom"))
