"""Writing a copy of the File-set, as it is or was, to a folder that does not become its medium."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

from attrs import frozen

from fileset.errors import RefusedError
from fileset.medium.dicomdir import copy_owner, dicomdir_digest, killed_copies
from fileset.medium.errors import MediumError
from fileset.medium.guards import (
    collisions,
    is_carried_out,
    one_of,
    refuse_another,
    refuse_own_media,
    refuse_place,
    refuse_replaced,
    whole,
)
from fileset.medium.materializer import Materializer
from fileset.profiles.recording import record_lacking
from fileset.progress import Progress
from fileset.repository.named_roots import unnamed
from fileset.repository.repository import Repository
from ledger.digest import Digest, digest_of
from ledger.disk import make_folders, new_folder
from ledger.errors import ContentMissingError
from ledger.events import Placement, WriteExported
from projections.medium.plan import Plan, plan_export
from projections.state.state import FileSetState

_TAKEN: Final = (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR)  # what rename says
_NO_FILES: Final = Path(os.devnull)
"""Instead of a medium that nobody has named: there is nothing below it."""


@frozen
class Exported:
    """A copy that was written: what went where, and the digest of its DICOMDIR."""

    plan: Plan
    dicomdir: Digest


class Exporter:
    """Writes copies of a repository's File-set."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def plan(
        self, root: Path, state: FileSetState, layout: str = "pydicom", *, implicit_vr: bool = False
    ) -> Plan:
        """Return what `export` would do, after checking that it may.

        Raises `MediumError` if `root` is no place for a copy, holds another File-set or has files
        in the way, `ContentMissingError` if an instance of that state was erased, and
        `RefusedError` if one is only on a medium that nobody has named.
        """
        root = whole(root)
        now = self._repository.refresh()
        refuse_place(root, self._repository.path)
        media = filter(self._repository.roots.knows, now.roots())
        refuse_own_media(root, media)
        try:
            plan = plan_export(
                state,
                os.fspath(root),
                layout,
                now=now,
                implicit_vr=implicit_vr,
                icons=self._repository.vault.read,
            )
        except KeyError as exc:
            raise ContentMissingError(
                "An instance of that state has been erased since: open that state again."
            ) from exc
        self._refuse_unnamed(plan)
        if not is_carried_out(plan):
            refuse_another(root, now)
        if clashes := collisions(plan):
            raise MediumError(
                f"{root} holds files where new ones have to go, such as "
                f"{one_of(set(clashes), plan)}."
            )
        return plan

    def _refuse_unnamed(self, plan: Plan) -> None:
        """Refuse to copy what only a medium has that nobody has named."""
        written = self._repository.state.written
        if written is None or self._repository.roots.knows(written.root):
            return
        vault = self._repository.vault
        if any(
            leaf.file_id is not None
            and leaf.placement is not Placement.REFERENCE
            and (leaf.content is None or leaf.content.digest not in vault)
            for leaf in plan.placed
        ):
            raise RefusedError(unnamed(written.root))

    def export(
        self,
        root: Path,
        state: FileSetState,
        layout: str = "pydicom",
        *,
        implicit_vr: bool = False,
        reason: str | None = None,
        progress: Progress | None = None,
    ) -> Exported:
        """Write all of `state`, one of the repository's, to `root`, a new folder of its own.

        A `root` that doesn't exist yet is there whole in the end, or not at all. One that holds
        just that copy, from an attempt that was killed, is taken as it is. What is pending stays
        pending. Raises as `plan`; `WriteFailedError` if the copy can't be written.
        """
        repository = self._repository
        repository.outside_changes("A copy")
        state = record_lacking(repository, state)
        plan = self.plan(root, state, layout, implicit_vr=implicit_vr)
        now = repository.state

        new = Path(plan.root)
        there = dicomdir_digest(new)
        medium = Path(now.written.root) if now.written else None
        if medium is not None and not repository.roots.knows(medium):
            medium = _NO_FILES

        def carrying(owner: str, *, building: Path | None = None) -> Materializer:
            return Materializer(
                plan,
                repository.vault,
                medium=medium,
                building=building,
                resume=building is None and is_carried_out(plan),
                owner=owner,
                progress=progress,
                check=lambda dicomdir: refuse_replaced(building or new, there, dicomdir),
            )

        if os.path.lexists(new):
            for owner in killed_copies(new, plan.dicomdir):
                carrying(owner).clear_up()
            dicomdir = carrying(copy_owner()).run()
        else:
            make_folders(new.parent)
            try:
                with new_folder(new) as building:
                    dicomdir = carrying("", building=building).run()
            except OSError as exc:
                if exc.errno not in _TAKEN:
                    raise
                if not is_carried_out(plan):
                    raise MediumError(
                        f"Someone else has put something at {new} since the copy began: write to "
                        "another folder."
                    ) from exc
                dicomdir = digest_of(plan.dicomdir)  # who made the same copy was faster
        with repository.change(reason):
            repository.emit(
                WriteExported(root=plan.root, layout=plan.layout, base=plan.base, dicomdir=dicomdir)
            )
        return Exported(plan, dicomdir)
