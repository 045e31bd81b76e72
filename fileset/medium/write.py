"""Writing a File-set: the plan, what has to be true before, and the events around it."""

from __future__ import annotations

import os
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from fileset.errors import RefusedError
from fileset.interrupts import deferred_interrupts
from fileset.medium.check import is_as_written
from fileset.medium.damage import MediumDamage
from fileset.medium.dicomdir import dicomdir_digest, read_dicomdir
from fileset.medium.errors import MediumError, WriteFailedError
from fileset.medium.guards import (
    changed_since,
    collisions,
    is_explicit,
    is_moved,
    is_present,
    is_same_place,
    one_of,
    refuse_altered,
    refuse_another,
    refuse_changed,
    refuse_linked_dicomdir,
    refuse_medium_left,
    refuse_place,
    refuse_replaced,
    whole,
    why_left,
)
from fileset.medium.keep import keep_dropped, keep_medium, record_unread, refuse_lost
from fileset.medium.materializer import Materializer
from fileset.medium.paths import lexists
from fileset.medium.repair import Repairer, clear_leftovers
from fileset.profiles.recording import ProfileRecorder, prepare_icons, warn_unread
from fileset.progress import Progress
from fileset.repository.repository import Repository
from ledger.digest import Digest, digest_of
from ledger.events import MediumLeft, WriteAbandoned, WriteCompleted, WriteStarted
from projections.dicomdir.definitions import DICOMDIR
from projections.medium.pending import changed_metadata, changed_records
from projections.medium.plan import Plan, plan_resumed, plan_write
from projections.state.fold import after
from projections.state.state import FileSetState, Writing, Written

_ROUNDS: Final = 100  # of looking for free File IDs; each learns a whole folder's names


@frozen
class WriteResult:
    """What a write did at `root`.

    `plan` and `dicomdir` are `None` where nothing was written: there was nothing to do, or some of
    the `damage` that a repair found is left.
    """

    root: str
    plan: Plan | None = None
    dicomdir: Digest | None = None
    damage: MediumDamage | None = None


class Writer:
    """Writes the File-set of a repository to its medium."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._roots = repository.roots

    def name(self, root: Path | None) -> None:
        """Accept `root`, which a person gave, as a place to write to."""
        if root is not None:
            refuse_place(whole(root), None)
            self._roots.name(whole(root))

    def keep_named(self) -> None:
        """Remember the roots that were named, even if nothing is written."""
        if self._roots.are_to_be_kept:
            with self._repository.exclusively():
                self._roots.keep()

    def plan(
        self,
        root: Path | None,
        layout: str | None = None,
        *,
        implicit_vr: bool = False,
        new_medium: bool = False,
        repair: bool = False,
    ) -> Plan:
        """Return what `write` would do, after checking that it may.

        With `repair` the medium may have another DICOMDIR, or none. Without a `layout`, a repair
        moves nothing, and any other write goes by the default one.

        Raises
        ------
        RefusedError
            If there is no root, or the one given is not the one that was written before.
        MediumError
            If the root holds another File-set, was changed since, or has files in the way.
        ContentMissingError
            If with `new_medium` some bytes are neither in the repository nor on the medium.
        """
        self.name(root)
        state = self._repository.refresh()
        if not new_medium:
            self._tell_moved(root)
        if new_medium and state.written is not None and not self._is_home(root):
            self._refuse_left(root, state)
            refuse_lost(self._repository, state)
            why = self._why_left(state.written)
            if state.writing is not None:
                state = after(state, (_given_up(state.writing),))
            state = _left(state, why)
        return self._plan(state, root, layout, implicit_vr=implicit_vr, repair=repair)

    def _plan(
        self,
        state: FileSetState,
        root: Path | None,
        layout: str | None,
        *,
        implicit_vr: bool,
        repair: bool = False,
    ) -> Plan:
        """Return the plan of `state`, which is on the medium that it is to be written to."""
        if layout is None:
            layout = state.written.layout if repair and state.written is not None else "pydicom"
        chosen = self._root(state.written, root, repair=repair)
        found: set[str] = set()
        for _ in range(_ROUNDS):
            plan = plan_write(
                state,
                os.fspath(chosen),
                layout,
                occupied=found,
                implicit_vr=implicit_vr,
                icons=self._repository.vault.read,
            )
            clashes = set(collisions(plan))
            if not clashes:
                return plan
            if clashes <= found:
                break
            found |= clashes
        raise MediumError(
            f"{chosen} holds files that are not part of the File-set where new ones have to go, "
            f"such as {one_of(clashes, plan)}: move them away, or write to an empty folder."
        )

    def _root(self, written: Written | None, given: Path | None, *, repair: bool) -> Path:
        """Return the root to write to, having made sure that it holds what it should."""
        root = whole(given) if given is not None else None
        if written is None:
            if root is None:
                raise RefusedError("Name the root folder of a first write: `fileset write ROOT`.")
            refuse_place(root, self._repository.path)
            refuse_another(root, self._repository.state)
            return root
        there = Path(written.root)
        if root is None:
            self._roots.refuse_unnamed(written.root)
        if repair and (root is None or is_same_place(root, written.root)):
            return there
        if root is not None and not is_same_place(root, written.root):
            if not self.is_moved(root):
                raise self._not_there(root, written)
            there = root
        if not repair:
            refuse_linked_dicomdir(there, is_ours=True)
        dicomdir = read_dicomdir(there)
        if is_as_written(dicomdir, written):
            return there
        raise changed_since(there, dicomdir, self._repository.state)

    def _not_there(self, root: Path, written: Written) -> RefusedError:
        """Return the error of a `root` that is not where the File-set is written to."""
        leave_out = "leave the root out, " if self._roots.knows(written.root) else ""
        there = "in another folder" if lexists(os.fspath(root / DICOMDIR)) else "there"
        return RefusedError(
            f"The File-set is written to {written.root}, not to {root}: {leave_out}give it a new "
            f"home {there} with `--new-medium`, or write a copy with `--at now`."
        )

    def is_moved(self, root: Path | None) -> bool:
        """Whether the medium is at `root` now, and no longer where it was last written."""
        state = self._repository.refresh()
        if root is None or state.written is None:
            return False
        is_known = self._roots.knows(state.written.root)
        return is_moved(whole(root), state, is_known=is_known)

    def _tell_moved(self, root: Path | None) -> None:
        written = self._repository.state.written
        if root is not None and written is not None and self.is_moved(root):
            is_known = self._roots.knows(written.root)
            then = "and no longer at {}" if is_known else "and {}, named elsewhere, is left alone"
            warnings.warn(
                f"The medium is at {whole(root)} now, {then.format(written.root)}", stacklevel=3
            )

    def write(
        self,
        root: Path | None = None,
        layout: str | None = None,
        *,
        implicit_vr: bool = False,
        new_medium: bool = False,
        repair: bool = False,
        afresh: bool = False,
        reason: str | None = None,
        progress: Progress | None = None,
    ) -> WriteResult:
        """Bring the medium to the state of the File-set and record that.

        An interrupted write is completed first. With `new_medium`, the one that was written before
        is left as it is, once the vault has what only that had, and everything goes to `root`. With
        `repair`, what was lost or damaged on the medium is repaired; nothing else is written while
        some of it is left, since the DICOMDIR would name that. With `afresh`, the DICOMDIR is
        written even if nothing is staged.

        Raises as `plan`; `WriteFailedError` if the medium can't be written; `ContentMissingError`
        if with `new_medium` the bytes of some instances, which it names, were on that medium only;
        `RefusedError` if with `repair` it holds another File-set, or more than the journal knows.
        """
        repository = self._repository
        repository.outside_changes("A repair" if repair else "A write")
        damage = None
        self.name(root)
        prepare_icons(repository)
        with repository.exclusively():
            self._roots.keep()
            if new_medium:
                self._end_interrupted(root, progress)
                new_medium = not self._is_home(root)
            else:
                self.resume(progress=progress, repair=repair)
                self._tell_moved(root)
                if repair:
                    damage = self.damage(root, progress=progress)
                    Repairer(repository).repair(damage, reason=reason, progress=progress)
                    if damage.unrepairable:
                        return WriteResult(os.fspath(damage.root), damage=damage)
                self.clear_leftovers()
            with repository.change(reason):
                warn_unread(ProfileRecorder(repository).complete())
                state, leaving = self._leave_medium(root) if new_medium else (None, None)
                state = state or repository.refresh()
                plan = self._plan(state, root, layout, implicit_vr=implicit_vr, repair=repair)
                afresh = afresh or (damage is not None and damage.of_dicomdir)
                if not afresh and self._is_done(plan):
                    return WriteResult(plan.root, damage=damage)
                there = dicomdir_digest(Path(plan.root))
                refuse_altered(plan)
                keep_dropped(repository, plan)
                record_unread(repository, plan)
                plan = evolve(plan, base=repository.state.position)
                started = repository.emit(plan.started(leaving))
            dicomdir = self._carry_out(plan, started, there, leaving=leaving, progress=progress)
            return WriteResult(plan.root, plan, dicomdir, damage)

    def damage(self, root: Path | None = None, *, progress: Progress | None = None) -> MediumDamage:
        """Return what a repair would repair, and what it can't; raises as `write` does."""
        self.name(root)
        state = self._repository.refresh()
        there = self._root(state.written, root, repair=True)
        return Repairer(self._repository).look(there, state, progress=progress)

    def clear_leftovers(self) -> None:
        """Delete what a repair that was killed has left on the medium, if that is there."""
        state = self._repository.refresh()
        if state.written is not None and self._roots.knows(state.written.root):
            clear_leftovers(Path(state.written.root), state)

    def _is_done(self, plan: Plan) -> bool:
        state = self._repository.state
        written = state.written
        if written is None or written.dicomdir is None or plan.placed or plan.dropped:
            return False
        if Path(plan.root) != Path(written.root):
            return False  # a new medium, which an empty File-set gets as well
        if written.dicomdir == digest_of(plan.dicomdir):
            return True
        # An adopted DICOMDIR may be put together in another way than ours, but is no less right.
        adopted = (
            written.is_adopted
            and not written.mends
            and not plan.implicit_vr
            and not changed_metadata(state)
            and not changed_records(state)
        )
        return adopted and is_explicit(Path(plan.root))

    def is_untrue(self, plan: Plan) -> bool:
        """Whether the last write left a DICOMDIR that is not what the events amount to.

        `plan` is what a write would do. So it is after a write that trusted a forged snapshot.
        """
        written = self._repository.state.written
        if written is None or written.is_adopted or plan.placed or plan.dropped:
            return False  # an adopted DICOMDIR is as it was found
        other = self.plan(None, plan.layout, implicit_vr=not plan.implicit_vr)
        return written.dicomdir not in (digest_of(plan.dicomdir), digest_of(other.dicomdir))

    def _is_home(self, root: Path | None) -> bool:
        """Whether the medium is at `root`, as the last write left it."""
        written = self._repository.refresh().written
        if written is None or root is None or not is_same_place(whole(root), written.root):
            return False
        return is_present(written)

    def can_resume_at(self, root: Path) -> bool:
        """Whether a write to `root` was interrupted, and what it left there is as it left it."""
        writing = self._repository.refresh().writing
        if writing is None or whole(root) != Path(writing.event.root):
            return False
        base = self._begun_at(writing.event)
        try:
            refuse_changed(self._resumed(base, writing.event), base, self._repository.path)
        except (MediumError, OSError):
            return False
        return True

    def _end_interrupted(self, root: Path | None, progress: Progress | None) -> None:
        """End a write that was interrupted before the File-set gets a new home at `root`.

        One that goes there is completed; another one is taken back where it can be, or else
        completed. Of a medium that is not there, or that nobody has named, neither can be done.
        """
        writing = self._repository.refresh().writing
        if writing is not None and not self._roots.knows(writing.event.root):
            return
        if root is not None and self.can_resume_at(root):
            self.resume(progress=progress)
            return
        with suppress(MediumError, OSError):
            self.abandon()
            return
        with suppress(MediumError, OSError):
            self.resume(progress=progress)

    def _leave_medium(self, root: Path | None) -> tuple[FileSetState, str | None]:
        """Store what only the old medium has; return the state without it, and why it is left.

        It is the File-set's home until the write to another one is completed.
        """
        repository = self._repository
        state = repository.refresh()
        if state.writing is not None:
            repository.emit(_given_up(state.writing))
        if state.written is None:
            return repository.refresh(), None
        self._refuse_left(root, state)
        keep_medium(repository, state)
        why = self._why_left(state.written)
        return _left(repository.refresh(), why), why

    def _begun_at(self, event: WriteStarted) -> FileSetState:
        """Return the state that a write began with, on the medium that it goes to or on none."""
        state = self._repository.at(event.base)
        return state if event.leaving is None else _left(state, event.leaving)

    def _refuse_left(self, root: Path | None, state: FileSetState) -> None:
        if root is not None and state.written is not None:
            is_known = self._roots.knows(state.written.root)
            refuse_medium_left(whole(root), state, is_known=is_known)

    def _why_left(self, written: Written) -> str:
        return why_left(written, is_known=self._roots.knows(written.root))

    def resume(self, *, progress: Progress | None = None, repair: bool = False) -> bool:
        """Complete a write that was interrupted; `False` if there is none.

        With `repair`, the medium may have another DICOMDIR of this File-set, or none. RefusedError
        if only a journal that was made elsewhere names its root.
        """
        repository = self._repository
        with repository.exclusively():
            writing = repository.refresh().writing
            if writing is None:
                return False
            self._roots.refuse_unnamed(writing.event.root)
            self._roots.keep()
            base = self._begun_at(writing.event)
            plan = self._resumed(base, writing.event)
            try:
                refuse_changed(plan, base, repository.path)
            except MediumError:
                if not repair or base.written is None:
                    raise
                Repairer(repository).look(Path(plan.root), base)  # which refuses another one
            there = dicomdir_digest(Path(plan.root))
            self._carry_out(
                plan,
                writing.position,
                there,
                leaving=writing.event.leaving,
                resume=True,
                progress=progress,
            )
        return True

    def abandon(self, *, reason: str | None = None) -> bool:
        """Give up a write that was interrupted; `False` if there is none.

        What it made on the medium is taken back. Raises `MediumError` if its DICOMDIR is in place
        already, or another one is, OSError if something can't be deleted, and `RefusedError` if
        only a journal that was made elsewhere names its root.
        """
        repository = self._repository
        repository.outside_changes("Giving up a write")
        with repository.exclusively():
            writing = repository.refresh().writing
            if writing is None:
                return False
            self._roots.refuse_unnamed(writing.event.root)
            self._roots.keep()
            base = self._begun_at(writing.event)
            plan = self._resumed(base, writing.event)
            refuse_changed(plan, base, repository.path)
            owner = self._owner(writing.position)
            Materializer(plan, repository.vault, resume=True, owner=owner).take_back()
            with repository.change(reason):
                repository.emit(WriteAbandoned(writing.position, "given up"))
        return True

    def _owner(self, started: int) -> str:
        """Return what tells a write, by the position of its beginning, from those of all others."""
        return (self._repository.journal.hash_at(started) or b"").hex()[:16]

    def plan_resume(self) -> Plan | None:
        """Return what `resume` would complete, `None` if nothing was; `RefusedError` as there."""
        writing = self._repository.refresh().writing
        if writing is None:
            return None
        self._roots.refuse_unnamed(writing.event.root)
        return self._resumed(self._begun_at(writing.event), writing.event)

    def _resumed(self, base: FileSetState, started: WriteStarted) -> Plan:
        return plan_resumed(base, started, icons=self._repository.vault.read)

    def _carry_out(
        self,
        plan: Plan,
        started: int,
        there: Digest | None,
        *,
        leaving: str | None,
        resume: bool = False,
        progress: Progress | None,
    ) -> Digest:
        """Write `plan` to the medium whose DICOMDIR is that of `there`, until the end."""
        repository = self._repository
        with deferred_interrupts() as let_through:

            def advance(done: int, total: int) -> None:
                if progress:
                    progress(done, total)
                let_through()

            materializer = Materializer(
                plan,
                repository.vault,
                resume=resume,
                owner=self._owner(started),
                progress=advance,
                check=lambda new: refuse_replaced(Path(plan.root), there, new),
            )
            try:
                dicomdir = materializer.run()
            except BaseException as exc:
                if materializer.rolled_back:
                    cause = (isinstance(exc, WriteFailedError) and exc.__cause__) or exc
                    why = str(cause).rstrip(".") or type(cause).__name__
                    with repository.change():
                        repository.emit(WriteAbandoned(started, why))
                raise
            with repository.change():
                if leaving is not None and (written := repository.state.written) is not None:
                    repository.emit(MediumLeft(written.root, leaving))
                repository.emit(WriteCompleted(started, dicomdir))
            return dicomdir


def _given_up(writing: Writing) -> WriteAbandoned:
    return WriteAbandoned(writing.position, "its medium was given up")


def _left(state: FileSetState, why: str) -> FileSetState:
    """Return `state` as it is once the medium that it is on was left."""
    root = state.written.root if state.written is not None else ""
    return after(state, (MediumLeft(root, why),))
