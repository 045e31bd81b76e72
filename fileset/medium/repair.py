"""Repairing the medium: what was lost or damaged since the last write.

The bytes come from the vault, from where they were left, or from the medium itself, if the file is
there under a name that systems and people make of its own. Whatever is in the place of a file or of
the DICOMDIR is kept in the vault first, and the damage recorded, before the medium is touched. Each
file is completed in a private folder and takes its place in one step, so an interrupted repair can
be run again. Files that were removed, but are on an older copy of the medium, are removed again.
The DICOMDIR is left to the write that follows. In turn, what the vault has lost and the medium
still has goes back into the vault.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

from attrs import evolve

from fileset.medium.check import Fault
from fileset.medium.damage import DamagedFile, MediumDamage, find_damage, stamp_at
from fileset.medium.errors import MediumError
from fileset.medium.other_names import OtherNames
from fileset.medium.paths import is_within
from fileset.progress import Progress
from fileset.repository.contents import take_in
from fileset.repository.garbage import needed
from fileset.repository.repository import Repository
from ledger.disk import fsync, fsync_all, give_name
from ledger.errors import ContentMissingError, LedgerError
from ledger.events import DamageNoted, DamageRepaired, Handle, Placement, StrangerKept
from ledger.files import copy_file, file_content, naming
from projections.state.nodes import Leaf
from projections.state.state import FileSetState

_FOLDER: Final = ".DICOMDIR-repair"
_OURS: Final = re.compile(r"[0-9a-f]{64}")
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Repairer:
    """Finds what is wrong with the medium of a repository, and repairs it."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def look(
        self, root: Path, state: FileSetState, *, progress: Progress | None = None
    ) -> MediumDamage:
        """Return what is wrong; see `find_damage`."""
        names = OtherNames(root)

        def has_bytes(leaf: Leaf) -> bool:
            return self._source(leaf, names) is not None

        return find_damage(root, state, has_bytes, self._is_kept, progress=progress)

    def repair(
        self, damage: MediumDamage, *, reason: str | None = None, progress: Progress | None = None
    ) -> None:
        """Record the `damage`, and repair what can be.

        What could not be is told in `damage` then. The caller keeps others out.
        """
        repository, root = self._repository, damage.root
        names = OtherNames(root)
        clear_leftovers(root, repository.state)
        with repository.change(reason):
            self._keep(damage)
            noted = repository.emit(_noted(damage)) if damage.is_on_medium else 0
        if not noted:
            return
        folder = root / _FOLDER
        done: list[Path] = []
        repairable = damage.repairable
        for number, each in enumerate(repairable):
            try:
                self._put_back(each, root, folder, names)
            except (OSError, LedgerError) as exc:
                why = (isinstance(exc, OSError) and exc.strerror) or str(exc).rstrip(".")
                damage.files[damage.files.index(each)] = evolve(each, why=why)
            else:
                done.append(each.path)
            if progress:
                progress(number + 1, len(repairable))
        done += [path for leaf, path in damage.returned if _take_off(path, leaf, root)]
        folders = {folder for path in done for folder in _up_to(path.parent, root)}
        fsync_all((), sorted(folders | {root}), root)
        clear_leftovers(root, repository.state)
        if done:
            put_back = tuple(each.leaf.handle for each in damage.repairable)
            taken_off = tuple(leaf.handle for leaf, path in damage.returned if path in done)
            with repository.change(reason):
                repository.emit(DamageRepaired(noted, put_back, taken_off))

    # --- the vault -------------------------------------------------------------------------------

    def _is_kept(self, leaf: Leaf) -> bool:
        """Whether the vault has an instance's bytes as they were, where it is to have them."""
        if leaf.placement is not Placement.VAULT or leaf.content is None:
            return True
        return self._repository.vault.is_sound(leaf.content.digest)

    def _source(self, leaf: Leaf, names: OtherNames) -> Callable[[int], None] | None:
        """Return what copies an instance's bytes to an open file; `None` if they are lost."""
        content = leaf.content
        if content is None:
            return None
        vault, digest = self._repository.vault, content.digest
        if vault.is_sound(digest):
            return lambda fd: vault.copy_to(digest, fd)
        for source in _elsewhere(leaf, names):
            with suppress(OSError):
                if file_content(source) == content:
                    return partial(copy_file, source, expected=content)
        return None

    def _keep(self, damage: MediumDamage) -> None:
        """Put what lies in the place of what will be put back into the vault.

        A link holds nothing of its own, and what it leads to is not on the medium.
        """
        with self._repository.vault.batch() as batch:
            # One that the journal names can be made again from it, and isn't erased with a person.
            if damage.replaced is not None and damage.dicomdir not in needed(
                self._repository.journal
            ):
                batch.add(damage.replaced)
            for each in damage.repairable:
                if each.fault is not Fault.CHANGED or each.path.is_symlink():
                    continue
                self._repository.emit(StrangerKept(each.leaf.handle, take_in(each.path, batch)))
            for _, path in (*damage.returned, *damage.unkept):
                take_in(path, batch)

    # --- the medium ------------------------------------------------------------------------------

    def _put_back(self, faulty: DamagedFile, root: Path, folder: Path, names: OtherNames) -> None:
        """Put the instance's bytes at its File ID, in the place of what was seen there."""
        copy, path, content = self._source(faulty.leaf, names), faulty.path, faulty.leaf.content
        if copy is None or content is None:
            raise ContentMissingError("its bytes are no longer available")
        if not is_within(path, root):
            raise MediumError("a link on the way to it leads elsewhere: remove that")
        if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
            raise MediumError(f"{folder} is in the way: remove it")
        folder.mkdir(exist_ok=True)
        whole = folder / content.digest.partition(":")[2]
        fd = os.open(whole, _CREATE, 0o666)
        try:
            copy(fd)
            with naming(whole):
                os.fsync(fd)
        finally:
            os.close(fd)
        path.parent.mkdir(parents=True, exist_ok=True)
        found = stamp_at(path)
        if (found and found.of_content) != (faulty.seen and faulty.seen.of_content):
            raise MediumError("it has changed in the meantime: repair again")
        if faulty.seen is None:
            give_name(whole, path)
            whole.unlink(missing_ok=True)
        else:
            whole.replace(path)


def _elsewhere(leaf: Leaf, names: OtherNames) -> Iterator[str]:
    """Yield the files that may have an instance's bytes, beside the one at its File ID."""
    if leaf.placement is Placement.REFERENCE and leaf.source is not None:
        yield leaf.source
    other = names.find((leaf.file_id or "").split("/"))
    if other is not None:
        path = os.path.join(names.root, other)
        if is_within(path, names.root) and not os.path.islink(path):
            yield path


def clear_leftovers(root: Path, state: FileSetState) -> None:
    """Delete what a repair that was killed has left on the medium at `root`.

    Its files are called by the digests of instances; any others are somebody else's.
    """
    folder = root / _FOLDER
    if folder.is_symlink() or not folder.is_dir():
        return
    known = _digests(state)
    for path in folder.iterdir():
        if _OURS.fullmatch(path.name) and f"sha256:{path.name}" in known:
            path.unlink()
    with suppress(OSError):  # somebody else's file is in it
        folder.rmdir()
        fsync(root)


def _digests(state: FileSetState) -> Container[str]:
    leaves = state.hierarchy.leaves.values()
    return {leaf.content.digest for leaf in leaves if leaf.content is not None}


def _take_off(path: Path, leaf: Leaf, root: Path) -> bool:
    """Take a file off that a write had taken off before; return whether it went."""
    if not is_within(path, root) or path.is_symlink() or file_content(path) != leaf.content:
        return False
    path.unlink()
    for folder in _up_to(path.parent, root):
        try:
            folder.rmdir()
        except OSError:
            break
    return True


def _up_to(folder: Path, root: Path) -> Sequence[Path]:
    """Return `folder` and those above it below `root`, those that are there."""
    below = [folder, *folder.parents]
    return [each for each in below[: below.index(root)] if each.is_dir()]


def _noted(damage: MediumDamage) -> DamageNoted:
    def handles(*faults: Fault) -> tuple[Handle, ...]:
        return tuple(each.leaf.handle for each in damage.files if each.fault in faults)

    return DamageNoted(
        root=os.fspath(damage.root),
        missing=handles(Fault.MISSING),
        changed=handles(Fault.CHANGED, Fault.OUTSIDE, Fault.OTHERS),
        unreadable=handles(Fault.UNREADABLE),
        returned=tuple(leaf.handle for leaf, _ in damage.returned),
        dicomdir=damage.dicomdir,
        no_dicomdir=damage.no_dicomdir,
    )
