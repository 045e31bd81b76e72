"""Writing a File-set: the plan, what has to be true before, and the events around it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from fileset.contents import Contents
from fileset.errors import RefusedError
from fileset.repository import Repository
from ledger.digest import Digest, digest_of
from ledger.errors import ContentDamagedError, LedgerError
from ledger.events import (
    Content,
    ContentRecorded,
    Placement,
    WriteAbandoned,
    WriteCompleted,
    WriteExported,
)
from ledger.vault import Batch
from projections.dicomdir_decoder import decode_dicomdir
from projections.materializer import (
    Materializer,
    MediumError,
    Progress,
    collisions,
    read_dicomdir,
)
from projections.plan import Plan, plan_export, plan_resumed, plan_write
from projections.state import FileSetState, Written

_ROUNDS: Final = 100  # of looking for free File IDs; each learns a whole folder's names


@frozen
class WriteResult:
    """What a write did. `dicomdir` is ``None`` where there was nothing to do."""

    plan: Plan
    dicomdir: Digest | None


class Writer:
    """Writes the File-set of a repository to its medium, or a copy of it elsewhere."""

    def __init__(self, repository: Repository, contents: Contents) -> None:
        self._repository = repository
        self._contents = contents

    def plan(
        self, root: Path | None, layout: str = "pydicom", *, implicit_vr: bool = False
    ) -> Plan:
        """Return what :meth:`write` would do, after checking that it may.

        Raises
        ------
        RefusedError
            If there is no root, or the one given is not the one that was written before.
        MediumError
            If the root holds another File-set, was changed since, or has files in the way.
        """
        state = self._repository.refresh()
        chosen = self._root(state.written, root)
        found: set[str] = set()
        for _ in range(_ROUNDS):
            plan = plan_write(
                state, os.fspath(chosen), layout, occupied=found, implicit_vr=implicit_vr
            )
            clashes = set(collisions(plan))
            if not clashes:
                return plan
            if clashes <= found:
                break
            found |= clashes
        raise MediumError(
            f"{chosen} holds files that are not part of the File-set where new ones have to go, "
            f"such as {min(clashes & set(plan.files), default=min(clashes))}: move them away, or "
            "write to an empty folder."
        )

    def _root(self, written: Written | None, given: Path | None) -> Path:
        """Return the root to write to, having made sure that it holds what it should."""
        root = given.absolute() if given is not None else None
        if written is None:
            if root is None:
                raise RefusedError("Name the root folder: this File-set was never written.")
            _refuse_another(root)
            return root
        there = Path(written.root)
        dicomdir = read_dicomdir(root or there)
        if _is_that(dicomdir, written):
            return root or there  # a medium that is mounted elsewhere today is still the same
        if root is not None and root != there:
            raise RefusedError(
                f"The File-set is written to {there}, not to {root}: leave the root out, or "
                "export a copy with `--at`."
            )
        how = "is gone" if dicomdir is None else "is not the one that was written last"
        raise MediumError(
            f"The DICOMDIR at {there} {how}, so what else is there is not known. "
            "`fileset verify` tells what differs; `fileset write ROOT --at` writes a whole copy."
        )

    def write(
        self,
        root: Path | None = None,
        layout: str = "pydicom",
        *,
        implicit_vr: bool = False,
        reason: str | None = None,
        progress: Progress | None = None,
    ) -> WriteResult:
        """Bring the medium to the state of the File-set and record that.

        An interrupted write is completed first. Raises as :meth:`plan`, and
        :class:`~projections.materializer.WriteFailedError` if the medium can't be written.
        """
        repository = self._repository
        repository.outside_changes("A write")
        with repository.exclusively():
            self.resume(progress=progress)
            plan = self.plan(root, layout, implicit_vr=implicit_vr)
            if self._is_done(plan):
                return WriteResult(plan, None)
            with repository.change(reason):
                self._secure(plan)
                plan = evolve(plan, base=repository.state.position)
                started = repository.emit(plan.started())
            return WriteResult(plan, self._carry_out(plan, started, progress=progress))

    def _is_done(self, plan: Plan) -> bool:
        written = self._repository.state.written
        return (
            written is not None
            and not plan.placed
            and not plan.dropped
            and written.dicomdir == digest_of(plan.dicomdir)
        )

    def resume(self, *, progress: Progress | None = None) -> bool:
        """Complete a write that was interrupted; ``False`` if there is none."""
        repository = self._repository
        with repository.exclusively():
            writing = repository.refresh().writing
            if writing is None:
                return False
            base = repository.at(writing.event.base)
            plan = plan_resumed(base, writing.event)
            _refuse_changed(plan, base.written)
            self._carry_out(plan, writing.position, resume=True, progress=progress)
        return True

    def plan_resume(self) -> Plan | None:
        """Return what :meth:`resume` would complete, ``None`` if nothing was interrupted."""
        writing = self._repository.refresh().writing
        if writing is None:
            return None
        return plan_resumed(self._repository.at(writing.event.base), writing.event)

    def _carry_out(
        self, plan: Plan, started: int, *, resume: bool = False, progress: Progress | None
    ) -> Digest:
        repository = self._repository
        materializer = Materializer(
            plan,
            repository.vault,
            resume=resume,
            progress=progress,
        )
        try:
            dicomdir = materializer.run()
        except BaseException as exc:
            if materializer.rolled_back:
                why = str(exc) or type(exc).__name__
                with repository.change():
                    repository.emit(WriteAbandoned(started, why))
            raise
        with repository.change():
            repository.emit(WriteCompleted(started, dicomdir))
        return dicomdir

    def _secure(self, plan: Plan) -> None:
        """Record the content of adopted files before they move, and keep those that go.

        Undo brings back what a write took off the medium, so its bytes are put in the vault
        first. A file that moves is known by its digest should the write be interrupted.
        """
        emit = self._repository.emit
        with self._repository.vault.batch() as batch:
            for leaf in plan.dropped:
                path = self._contents.on_medium(leaf)
                if leaf.placement is Placement.VAULT or path is None or not path.exists():
                    continue
                content = _take_in(path, leaf.content, batch)
                emit(ContentRecorded(leaf.handle, content, Placement.VAULT))
        for leaf in plan.placed:
            if leaf.content is None:
                emit(ContentRecorded(leaf.handle, self._contents.content(leaf), leaf.placement))

    def plan_export(self, root: Path, state: FileSetState, *, implicit_vr: bool = False) -> Plan:
        """Return what :meth:`export` would do, after checking that it may; raises as it does."""
        root = root.absolute()
        _refuse_another(root)
        now = self._repository.state
        plan = plan_export(state, os.fspath(root), now=now, implicit_vr=implicit_vr)
        if clashes := collisions(plan):
            raise MediumError(
                f"{root} holds files where new ones have to go, such as {clashes[0]}."
            )
        return plan

    def export(
        self,
        root: Path,
        state: FileSetState,
        *,
        implicit_vr: bool = False,
        reason: str | None = None,
        progress: Progress | None = None,
    ) -> WriteResult:
        """Write all of `state`, one of the repository's, to `root`, a new folder of its own.

        What is pending stays pending. Raises as :meth:`write`.
        """
        repository = self._repository
        plan = self.plan_export(root, state, implicit_vr=implicit_vr)
        now = repository.state
        materializer = Materializer(
            plan,
            repository.vault,
            medium=Path(now.written.root) if now.written else None,
            progress=progress,
        )
        dicomdir = materializer.run()
        with repository.change(reason):
            repository.emit(
                WriteExported(root=plan.root, layout=plan.layout, base=plan.base, dicomdir=dicomdir)
            )
        return WriteResult(plan, dicomdir)


def _refuse_changed(plan: Plan, written: Written | None) -> None:
    """Refuse to complete `plan` where neither it nor the write before it left the DICOMDIR."""
    root = Path(plan.root)
    dicomdir = read_dicomdir(root)
    if dicomdir is not None and dicomdir in (plan.interim, plan.dicomdir):
        return
    if written is None:
        _refuse_another(root)
    elif not _is_that(dicomdir, written):
        raise MediumError(
            f"A write to {root} was interrupted, and the DICOMDIR there is not that File-set's: "
            "put the medium back to complete it."
        )


def _is_that(dicomdir: bytes | None, written: Written) -> bool:
    """Whether `dicomdir`, that of the medium now, is what the last write left there."""
    return (digest_of(dicomdir) if dicomdir is not None else None) == written.dicomdir


def _refuse_another(root: Path) -> None:
    """Refuse a root that holds a File-set already, unless that one has no instances."""
    dicomdir = read_dicomdir(root)
    if dicomdir is None:
        return
    try:
        is_empty = not decode_dicomdir(dicomdir, name=os.fspath(root)).records
    except LedgerError:
        is_empty = False
    if not is_empty:
        raise MediumError(
            f"{root} holds another File-set: write to another folder, or adopt that one with "
            f"`fileset init REPO --from {root / 'DICOMDIR'}`."
        )


def _take_in(path: Path, expected: Content | None, batch: Batch) -> Content:
    """Put the file at `path` into the vault; refuse one that is not the `expected` content."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        content = batch.add_file(fd)
    finally:
        os.close(fd)
    if expected is not None and content != expected:
        raise ContentDamagedError(f"{path} has changed since it was added; it was left alone.")
    return content
