"""Putting the medium right: files that were lost or damaged since the last write.

The bytes come from the vault, or from where they were left. What lies in a file's place instead is
kept in the vault first, and both are recorded before the medium is touched. Each file takes its
place by rename, so a repair that was interrupted is done again.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from fileset.errors import RefusedError
from fileset.repository import Repository
from ledger.digest import Digest, digest_of
from ledger.disk import fsync_all
from ledger.errors import ContentMissingError, LedgerError
from ledger.events import DamageNoted, Placement, StrangerKept
from ledger.files import copy_file, file_content, open_regular
from projections.dicomdir_decoder import decode_dicomdir
from projections.hierarchy import Leaf
from projections.materializer import DICOMDIR, MediumError, read_dicomdir
from projections.state import FileSetState, Written

_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_GONE: Final = (errno.ENOENT, errno.ENOTDIR)
_REFUSED: Final = (errno.EACCES, errno.EPERM)  # there is nothing wrong with such a file

Progress = Callable[[int, int], None]
"""Called with the number of files done and to do."""


class Fault(Enum):
    """What is wrong with a file of the medium."""

    MISSING = "missing"
    CHANGED = "changed"
    UNREADABLE = "unreadable"


@frozen
class Faulty:
    """An instance whose file is not what the last write left.

    `why` it isn't put right; ``None`` where it can be, and has been after a repair.
    """

    leaf: Leaf
    path: Path
    fault: Fault
    why: str | None = None


@define
class Damage:
    """What is wrong with the medium at `root`.

    `dicomdir` is what another DICOMDIR there holds; with `no_dicomdir` there is none.
    """

    root: Path
    files: list[Faulty] = field(factory=list)
    dicomdir: Digest | None = None
    no_dicomdir: bool = False

    @property
    def of_dicomdir(self) -> bool:
        """Whether the DICOMDIR is not the one that was written last."""
        return self.no_dicomdir or self.dicomdir is not None

    @property
    def mended(self) -> list[Faulty]:
        """The files that are, or can be, put right."""
        return [each for each in self.files if each.why is None]

    @property
    def left(self) -> list[Faulty]:
        """The files that can't be put right."""
        return [each for each in self.files if each.why is not None]


def fault_of(path: Path, leaf: Leaf) -> tuple[Fault, OSError | None] | None:
    """Return what is wrong with an instance's file, and the error that told it if one did."""
    try:
        content = file_content(path)
    except OSError as exc:
        return (Fault.MISSING if exc.errno in _GONE else Fault.UNREADABLE), exc
    if leaf.content is None or content == leaf.content:
        return None
    return Fault.CHANGED, None


class Repairer:
    """Finds what is wrong with the medium of a repository, and puts it right."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def look(self, root: Path, state: FileSetState, *, progress: Progress | None = None) -> Damage:
        """Return how the medium at `root` differs from what the last write in `state` left.

        Every file is read; if nothing was ever written, nothing is wrong. Raises
        :class:`~fileset.errors.RefusedError` if another File-set is there,
        :class:`~projections.materializer.MediumError` if nothing of this one is.
        """
        written = state.written
        if written is None:
            return Damage(root)
        damage = _damage_of_dicomdir(root, written, state)
        leaves = [leaf for leaf in state.hierarchy.walk_leaves() if leaf.file_id and leaf.is_live]
        for number, leaf in enumerate(leaves):
            damage.files += self._look_at(root / (leaf.file_id or ""), leaf)
            if progress:
                progress(number + 1, len(leaves))
        missing = sum(each.fault is Fault.MISSING for each in damage.files)
        if damage.no_dicomdir and missing == len(leaves):
            raise MediumError(
                f"Nothing of the File-set is at {root}: bring the medium back, or give it up with "
                "`fileset write ROOT --new-medium`."
            )
        return damage

    def _look_at(self, path: Path, leaf: Leaf) -> Iterator[Faulty]:
        found = fault_of(path, leaf)
        if found is not None:
            fault, error = found
            yield Faulty(leaf, path, fault, self._why_not(path, leaf, error))

    def _why_not(self, path: Path, leaf: Leaf, error: OSError | None) -> str | None:
        """Return why an instance's file can't be put right, ``None`` if it can."""
        if error is not None and error.errno in _REFUSED:
            return f"it can't be read: {error.strerror}"
        if path.is_dir():
            return "a folder is in its place: move it away"
        if self._source(leaf) is None:
            return (
                "its bytes are neither in the vault nor where it was added from: put it back, or "
                "remove the instance"
            )
        return None

    def _source(self, leaf: Leaf) -> Callable[[int], None] | None:
        """Return what copies an instance's bytes to an open file; ``None`` if they are lost."""
        content, source = leaf.content, leaf.source
        if content is None:
            return None
        vault, digest = self._repository.vault, content.digest
        if digest in vault:
            return lambda fd: vault.copy_to(digest, fd)
        if leaf.placement is Placement.REFERENCE and source is not None:
            with suppress(OSError):
                if file_content(source) == content:
                    return lambda fd: copy_file(source, fd, expected=content)
        return None

    def mend(
        self, damage: Damage, *, reason: str | None = None, progress: Progress | None = None
    ) -> None:
        """Record the `damage`, and put right what can be; the DICOMDIR is left to a write.

        What could not be put right is told in `damage`. The caller keeps others out.
        """
        if not damage.files and not damage.of_dicomdir:
            return
        with self._repository.change(reason):
            self._keep_strangers(damage)
            self._repository.emit(_noted(damage))
        mended = damage.mended
        for number, each in enumerate(mended):
            try:
                self._put_back(each, damage.root)
            except (OSError, LedgerError) as exc:
                why = exc.strerror if isinstance(exc, OSError) else str(exc)
                at = damage.files.index(each)
                damage.files[at] = Faulty(each.leaf, each.path, each.fault, why or str(exc))
            if progress:
                progress(number + 1, len(mended))
        paths = [each.path for each in damage.mended]
        fsync_all(paths, sorted({path.parent for path in paths}), damage.root)

    def _keep_strangers(self, damage: Damage) -> None:
        """Put what lies in the place of the files that will be put back into the vault."""
        with self._repository.vault.batch() as batch:
            for each in damage.mended:
                if each.fault is not Fault.CHANGED:
                    continue
                fd = open_regular(each.path)
                try:
                    kept = batch.add_file(fd)
                finally:
                    os.close(fd)
                self._repository.emit(StrangerKept(each.leaf.handle, kept))

    def _put_back(self, faulty: Faulty, root: Path) -> None:
        """Have the instance's bytes be at its File ID, whatever was there."""
        copy, path = self._source(faulty.leaf), faulty.path
        if copy is None:
            raise ContentMissingError("its bytes are gone meanwhile")
        _make_folder(path.parent, root)
        temporary = path.with_name(f".{path.name}.new")
        temporary.unlink(missing_ok=True)  # left by a repair that was interrupted
        try:
            fd = os.open(temporary, _CREATE, 0o666)
            try:
                copy(fd)
                os.fsync(fd)
            finally:
                os.close(fd)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise


def _make_folder(folder: Path, root: Path) -> None:
    """Make `folder`, below `root`; refuse one that a link leads to."""
    folder.mkdir(parents=True, exist_ok=True)
    if folder.resolve() != root.resolve() / folder.relative_to(root):
        raise MediumError(f"{folder} is a link: a file put there would lie elsewhere")


def _damage_of_dicomdir(root: Path, written: Written, state: FileSetState) -> Damage:
    """Return what is wrong with the DICOMDIR; refuse that of another File-set."""
    if (root / DICOMDIR).is_dir():
        raise MediumError(f"{root / DICOMDIR} is a folder: move it away.")
    dicomdir = read_dicomdir(root)
    if dicomdir is None:
        return Damage(root, no_dicomdir=written.dicomdir is not None)
    digest = digest_of(dicomdir)
    if digest == written.dicomdir:
        return Damage(root)
    try:
        uid = decode_dicomdir(dicomdir, name=os.fspath(root)).identity.uid
    except LedgerError:  # it is damaged
        uid = written.identity.uid
    if uid not in (written.identity.uid, state.identity.uid):
        raise RefusedError(
            f"The DICOMDIR at {root} is that of another File-set, {uid}: bring the right medium, "
            "or give it up with `fileset write ROOT --new-medium`."
        )
    return Damage(root, dicomdir=digest)


def _noted(damage: Damage) -> DamageNoted:
    def handles(fault: Fault) -> Sequence[int]:
        return tuple(each.leaf.handle for each in damage.files if each.fault is fault)

    return DamageNoted(
        root=os.fspath(damage.root),
        missing=tuple(handles(Fault.MISSING)),
        changed=tuple(handles(Fault.CHANGED)),
        unreadable=tuple(handles(Fault.UNREADABLE)),
        dicomdir=damage.dicomdir,
        no_dicomdir=damage.no_dicomdir,
    )
