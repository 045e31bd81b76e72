"""Writing a File-set: the plan, what has to be true before, and the events around it."""

from __future__ import annotations

import os
import stat
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from fileset.contents import Contents, take_in
from fileset.damage import Damage
from fileset.errors import RefusedError
from fileset.interrupts import deferred_interrupts
from fileset.repairing import Repairer, clear_leftovers
from fileset.repository import Repository
from fileset.repository_folder import find_repository
from ledger.digest import Digest, digest_of
from ledger.disk import make_folders, new_folder
from ledger.errors import ContentMissingError, LedgerError
from ledger.events import (
    ContentRecorded,
    MediumLost,
    Placement,
    StrangerKept,
    WriteAbandoned,
    WriteCompleted,
    WriteExported,
)
from ledger.files import file_content
from ledger.journal import Change, Recorded
from projections.dicomdir import EXPLICIT_VR_LITTLE_ENDIAN
from projections.dicomdir_decoder import decode_dicomdir
from projections.hierarchy import Leaf
from projections.materializer import (
    Materializer,
    MediumError,
    Progress,
    collisions,
    is_carried_out,
    read_dicomdir,
)
from projections.pending import changed_metadata
from projections.plan import Plan, plan_export, plan_resumed, plan_write
from projections.state import FileSetState, Written

_SHOWN: Final = 5  # instances that a message names
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
        self,
        root: Path | None,
        layout: str = "pydicom",
        *,
        implicit_vr: bool = False,
        new_medium: bool = False,
        repair: bool = False,
    ) -> Plan:
        """Return what :meth:`write` would do, after checking that it may.

        With `repair` the medium may have another DICOMDIR, or none.

        Raises
        ------
        RefusedError
            If there is no root, or the one given is not the one that was written before.
        MediumError
            If the root holds another File-set, was changed since, or has files in the way.
        """
        state = self._repository.refresh()
        if new_medium and state.written is not None:
            _refuse_present(state.written)
            state = self._without_medium()
        chosen = self._root(state.written, root, repair=repair)
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
            f"such as {_example(clashes, plan)}: move them away, or write to an empty folder."
        )

    def _root(self, written: Written | None, given: Path | None, *, repair: bool) -> Path:
        """Return the root to write to, having made sure that it holds what it should."""
        root = whole(given) if given is not None else None
        if root is not None:
            _refuse_repository(root)
        if written is None:
            if root is None:
                raise RefusedError("Name the root folder: this File-set was never written.")
            _refuse_another(root)
            return root
        there = Path(written.root)
        if repair and root in (None, there):
            return there
        dicomdir = read_dicomdir(root or there)
        if _is_that(dicomdir, written):
            return root or there  # a medium that is mounted elsewhere today is still the same
        if root is not None and root != there:
            raise RefusedError(
                f"The File-set is written to {there}, not to {root}: leave the root out, or "
                "export a copy with `--at`."
            )
        if dicomdir is None:
            how = "is gone (is the medium there?)"
        else:
            how = "is not the one that was loaded or written last"
        raise MediumError(
            f"The DICOMDIR at {there} {how}, so what else is there is not known. "
            "`fileset verify` tells what differs; `fileset write --repair` puts that right; "
            "`fileset write ROOT --new-medium` gives that medium up and writes everything to "
            "another one."
        )

    def _without_medium(self) -> FileSetState:
        """Return the state as it will be once the medium is given up."""
        journal = self._repository.journal
        state = FileSetState.fold(journal.read())
        position = state.position
        for event in _giving_up(state):
            position += 1
            state.apply(Recorded(position, Change("", position, 1, "", "", "", None), event))
        return state

    def write(
        self,
        root: Path | None = None,
        layout: str = "pydicom",
        *,
        implicit_vr: bool = False,
        new_medium: bool = False,
        afresh: bool = False,
        repaired: Damage | None = None,
        reason: str | None = None,
        progress: Progress | None = None,
    ) -> WriteResult:
        """Bring the medium to the state of the File-set and record that.

        An interrupted write is completed first. With `new_medium`, the one that was written before
        is given up, with what may have been interrupted there, and everything goes to `root`. With
        `afresh`, the DICOMDIR is written even if nothing is staged. `repaired` is what
        :meth:`repair` has found, and leaves it to this to put the DICOMDIR right.

        Raises as :meth:`plan`; :class:`~projections.materializer.WriteFailedError` if the medium
        can't be written; :class:`~ledger.errors.ContentMissingError` if with `new_medium` the bytes
        of some instances, which it names, were on that medium only.
        """
        repository = self._repository
        repository.outside_changes("A write")
        with repository.exclusively():
            if new_medium:
                with suppress(MediumError, OSError):  # what is not there can't be tidied
                    self.abandon()
            else:
                self.resume(progress=progress, repair=repaired is not None)
                self.clear_leftovers()
            with repository.change(reason):
                if new_medium:
                    self._give_up_medium()
                plan = self.plan(root, layout, implicit_vr=implicit_vr, repair=repaired is not None)
                afresh = afresh or (repaired is not None and repaired.of_dicomdir)
                if not afresh and self._is_done(plan):
                    return WriteResult(plan, None)
                there = read_dicomdir(Path(plan.root))
                _refuse_altered(plan)
                self._secure(plan)
                plan = evolve(plan, base=repository.state.position)
                started = repository.emit(plan.started())
            dicomdir = self._carry_out(plan, started, there, progress=progress)
            return WriteResult(plan, dicomdir)

    def damage(self, root: Path | None = None, *, progress: Progress | None = None) -> Damage:
        """Return what :meth:`repair` would put right, and what it can't; raises as it does."""
        state = self._repository.refresh()
        there = self._root(state.written, root, repair=True)
        return Repairer(self._repository).look(there, state, progress=progress)

    def repair(
        self,
        root: Path | None = None,
        *,
        reason: str | None = None,
        progress: Progress | None = None,
    ) -> Damage:
        """Put right what was lost or damaged on the medium, and return what was wrong.

        An interrupted write is completed first. The DICOMDIR is left to :meth:`write`, which has to
        be told of the damage. Do that only if nothing is ``left``, since it would name that.

        Raises as :meth:`plan`; :class:`~fileset.errors.RefusedError` if the medium holds another
        File-set, or a DICOMDIR with more than the journal knows.
        """
        repository = self._repository
        repository.outside_changes("A repair")
        with repository.exclusively():
            self.resume(progress=progress, repair=True)
            damage = self.damage(root, progress=progress)
            Repairer(repository).mend(damage, reason=reason, progress=progress)
        return damage

    def clear_leftovers(self) -> None:
        """Delete what a repair that was killed has left on the medium, if that is there."""
        state = self._repository.refresh()
        if state.written is not None:
            clear_leftovers(Path(state.written.root), state)

    def _is_done(self, plan: Plan) -> bool:
        state = self._repository.state
        written = state.written
        if written is None or written.dicomdir is None or plan.placed or plan.dropped:
            return False
        if written.dicomdir == digest_of(plan.dicomdir):
            return True
        # An adopted DICOMDIR may be put together in another way than ours, but is no less right.
        adopted = (
            written.position == 1
            and not written.mends
            and not plan.implicit_vr
            and not changed_metadata(state)
        )
        return adopted and _is_explicit(Path(plan.root))

    def _give_up_medium(self) -> None:
        """Record that the last medium is no more, after taking in what is left of it."""
        state = self._repository.refresh()
        if state.written is not None:
            _refuse_present(state.written)
            self._take_in_medium(state)
        for event in _giving_up(state):
            self._repository.emit(event)

    def _take_in_medium(self, state: FileSetState) -> None:
        """Put what only the medium has, whole, into the vault; refuse if it is gone with it."""
        lost: list[str] = []
        with self._repository.vault.batch() as batch:
            for leaf in (*state.live.values(), *state.removals.values()):
                path = self._contents.on_medium(leaf)
                if path is None or self._is_elsewhere(leaf, path):
                    continue
                try:
                    content = take_in(path, batch)
                except OSError:
                    content = None
                if content is not None and leaf.content in (None, content):
                    if leaf.placement is not Placement.VAULT:
                        self._repository.emit(
                            ContentRecorded(leaf.handle, content, Placement.VAULT)
                        )
                elif leaf.is_live and leaf.placement is Placement.ROOT:
                    lost.append(f"{leaf.uid} ({path})")
        if lost:
            more = f" and {len(lost) - _SHOWN:,} more" if len(lost) > _SHOWN else ""
            raise ContentMissingError(
                f"The bytes of {len(lost):,} instances were on the medium only, and are not there: "
                f"{', '.join(lost[:_SHOWN])}{more}. Remove them first, or bring the medium back."
            )

    def _is_elsewhere(self, leaf: Leaf, path: Path) -> bool:
        """Whether the instance's bytes, perhaps at `path`, need not be taken in from there."""
        content = leaf.content
        if content is None or leaf.placement is Placement.ROOT:
            return False
        if not os.path.exists(path):
            return True
        if leaf.placement is Placement.VAULT or leaf.source is None:
            return self._repository.vault.is_sound(content.digest)
        try:
            return file_content(leaf.source) == content
        except OSError:
            return False

    def resume(self, *, progress: Progress | None = None, repair: bool = False) -> bool:
        """Complete a write that was interrupted; ``False`` if there is none.

        With `repair`, the medium may have another DICOMDIR of this File-set, or none.
        """
        repository = self._repository
        with repository.exclusively():
            writing = repository.refresh().writing
            if writing is None:
                return False
            base = repository.at(writing.event.base)
            plan = plan_resumed(base, writing.event)
            try:
                _refuse_changed(plan, base.written)
            except MediumError:
                if not repair or base.written is None:
                    raise
                Repairer(repository).look(Path(plan.root), base)  # which refuses another one
            there = read_dicomdir(Path(plan.root))
            self._carry_out(plan, writing.position, there, resume=True, progress=progress)
        return True

    def abandon(self, *, reason: str | None = None) -> bool:
        """Give up a write that was interrupted; ``False`` if there is none.

        What it made on the medium is taken back. Raises
        :class:`~projections.materializer.MediumError` if its DICOMDIR is in place already, or
        another one is, and OSError if something can't be deleted.
        """
        repository = self._repository
        repository.outside_changes("Giving up a write")
        with repository.exclusively():
            writing = repository.refresh().writing
            if writing is None:
                return False
            base = repository.at(writing.event.base)
            plan = plan_resumed(base, writing.event)
            _refuse_changed(plan, base.written)
            Materializer(plan, repository.vault, resume=True).take_back()
            with repository.change(reason):
                repository.emit(WriteAbandoned(writing.position, "given up"))
        return True

    def plan_resume(self) -> Plan | None:
        """Return what :meth:`resume` would complete, ``None`` if nothing was interrupted."""
        writing = self._repository.refresh().writing
        if writing is None:
            return None
        return plan_resumed(self._repository.at(writing.event.base), writing.event)

    def _carry_out(
        self,
        plan: Plan,
        started: int,
        there: bytes | None,
        *,
        resume: bool = False,
        progress: Progress | None,
    ) -> Digest:
        """Write `plan` to the medium whose DICOMDIR is the one `there`, until the end."""
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
                progress=advance,
                check=lambda: _refuse_replaced(Path(plan.root), there),
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
        first, and so is what someone has put in its place. A file that moves is known by its digest
        should the write be interrupted.
        """
        emit, root = self._repository.emit, Path(plan.root)
        with self._repository.vault.batch() as batch:
            for leaf in plan.dropped:
                path = root / (leaf.file_id or "")
                if not path.exists():
                    continue
                if (
                    leaf.placement is Placement.VAULT
                    and leaf.content is not None
                    and batch.has(leaf.content.digest)  # whole: this may be the last good copy
                    and file_content(path) == leaf.content
                ):
                    continue
                content = take_in(path, batch)
                if leaf.content == content and leaf.placement is Placement.VAULT:
                    continue  # the vault had lost it, or never had it
                if leaf.content in (None, content):
                    emit(ContentRecorded(leaf.handle, content, Placement.VAULT))
                else:
                    emit(StrangerKept(leaf.handle, content))
                    warnings.warn(
                        f"{path} has changed since it was added: as it is, {content.size:,} bytes, "
                        f"it was kept in the vault under its digest {content.digest}",
                        stacklevel=3,
                    )
        for leaf in plan.placed:
            if leaf.content is None:
                if leaf.file_id is None:
                    raise ContentMissingError(
                        f"The instance {leaf.uid} was lost before it was read"
                    )
                path = root / leaf.file_id
                try:
                    content = file_content(path)
                except FileNotFoundError as exc:
                    raise MediumError(
                        f"{path} is missing: put it back, or remove the instance {leaf.uid} from "
                        "the File-set."
                    ) from exc
                emit(ContentRecorded(leaf.handle, content, leaf.placement))

    def plan_export(self, root: Path, state: FileSetState, *, implicit_vr: bool = False) -> Plan:
        """Return what :meth:`export` would do, after checking that it may; raises as it does."""
        root = root.absolute()
        now = self._repository.state
        try:
            plan = plan_export(state, os.fspath(root), now=now, implicit_vr=implicit_vr)
        except KeyError as exc:
            raise ContentMissingError(
                "An instance of that state was erased since: look at it anew."
            ) from exc
        if not is_carried_out(plan):
            _refuse_another(root)
        if clashes := collisions(plan):
            raise MediumError(
                f"{root} holds files where new ones have to go, such as "
                f"{_example(set(clashes), plan)}."
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

        A `root` that doesn't exist yet is there whole in the end, or not at all. One that holds
        just that copy, from an attempt that was killed, is taken as it is. What is pending stays
        pending. Raises as :meth:`write`.
        """
        repository = self._repository
        repository.outside_changes("A copy")
        plan = self.plan_export(root, state, implicit_vr=implicit_vr)
        now = repository.state

        def copy_to(building: Path | None) -> Digest:
            medium = Path(now.written.root) if now.written else None
            return Materializer(
                plan,
                repository.vault,
                medium=medium,
                building=building,
                resume=building is None and is_carried_out(plan),
                progress=progress,
            ).run()

        new = Path(plan.root)
        if os.path.lexists(new):
            dicomdir = copy_to(None)
        else:
            make_folders(new.parent)
            with new_folder(new) as building:
                dicomdir = copy_to(building)
        with repository.change(reason):
            repository.emit(
                WriteExported(root=plan.root, layout=plan.layout, base=plan.base, dicomdir=dicomdir)
            )
        return WriteResult(plan, dicomdir)


def _giving_up(state: FileSetState) -> list[WriteAbandoned | MediumLost]:
    """Return the events that part the File-set from its medium."""
    events: list[WriteAbandoned | MediumLost] = []
    if state.writing is not None:
        events.append(WriteAbandoned(state.writing.position, "its medium was given up"))
    if state.written is not None:
        events.append(MediumLost(state.written.root))
    return events


def _refuse_present(written: Written) -> None:
    """Refuse to give up a medium that is there."""
    if written.dicomdir is not None and _is_that(read_dicomdir(Path(written.root)), written):
        raise RefusedError(
            f"The medium at {written.root} is there, as it was written last: export a copy with "
            "`--at`, or move it away to give it up."
        )


def _refuse_changed(plan: Plan, written: Written | None) -> None:
    """Refuse to complete `plan` where neither it nor the write before it left the DICOMDIR."""
    root = Path(plan.root)
    dicomdir = read_dicomdir(root)
    if dicomdir is not None and dicomdir in (plan.interim, plan.dicomdir):
        return
    if written is None:
        _refuse_another(root)
    elif not _is_that(dicomdir, written):
        there = "there is none" if dicomdir is None else "another one is there"
        raise MediumError(
            f"A write to {root} was interrupted, and of the DICOMDIRs that it began and ends with "
            f"{there}: put the medium back to complete it, complete it with `fileset write "
            "--repair` if that is the medium, or give it up with `fileset write ROOT --new-medium`."
        )


def _refuse_altered(plan: Plan) -> None:
    """Refuse to write an index of files that are gone, or have another size than they had.

    That is told without reading them. `fileset verify` finds other content of the same size.
    """
    within = os.path.join(plan.root, "")
    for leaf in plan.files.values():
        if leaf.file_id is None:
            continue
        path = within + leaf.file_id
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            how = "is missing"
        else:
            if not stat.S_ISREG(status.st_mode):
                how = "is no file any more"
            elif leaf.content is not None and status.st_size != leaf.content.size:
                how = f"has {status.st_size:,} bytes instead of {leaf.content.size:,}"
            else:
                continue
        raise MediumError(
            f"{path} {how}: put it back as it was, as `fileset write --repair` does where it has "
            f"the bytes, or remove the instance {leaf.uid} from the File-set."
        )


def _refuse_replaced(root: Path, expected: bytes | None) -> None:
    """Refuse to put a DICOMDIR in the place of another one than was `expected` there."""
    if read_dicomdir(root) != expected:
        raise MediumError(
            f"someone else has put another DICOMDIR at {root}, or taken it away, since the write "
            "began"
        )


def _is_explicit(root: Path) -> bool:
    """Whether the DICOMDIR at `root` has the encoding that PS3.10 Section 8.6 asks for."""
    found = decode_dicomdir(read_dicomdir(root) or b"", name=str(root))
    return found.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN


def _is_that(dicomdir: bytes | None, written: Written) -> bool:
    """Whether `dicomdir`, that of the medium now, is what the last write left there."""
    return (digest_of(dicomdir) if dicomdir is not None else None) == written.dicomdir


def _example(clashes: set[str], plan: Plan) -> str:
    """Return one of the paths that are in the way, rather than a neighbour of theirs."""
    placed = set(plan.placed.values())
    above = {path[:end] for path in placed for end in range(len(path)) if path[end] == "/"}
    return min(clashes & placed, default=min(clashes & above, default=min(clashes)))


def whole(root: Path) -> Path:
    """Return `root` from the root of the file system, as it was given but without ``..``."""
    root = root.absolute()
    return root.resolve() if ".." in root.parts else root


def _refuse_repository(root: Path) -> None:
    """Refuse a root that is, or is within, a repository: its folders are not for others' files."""
    if (repository := find_repository(root)) is not None:
        raise MediumError(f"{root} is in the repository {repository}: write to another folder.")


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
