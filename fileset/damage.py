"""How the medium differs from what the last write left there: files, the DICOMDIR, or another one.

A medium that is mounted in the place of the right one must not be put right. It is taken for that
of the File-set if its DICOMDIR has the File-set UID, or none can be read and most of the files that
are there have the content that they should have.
"""

from __future__ import annotations

import errno
import os
import warnings
from collections.abc import Callable, Iterator
from enum import Enum
from pathlib import Path
from typing import Final

from attrs import define, field, frozen

from fileset.errors import RefusedError
from ledger.digest import Digest, digest_of
from ledger.errors import LedgerError
from ledger.files import file_content
from projections.hierarchy import Leaf
from projections.materializer import DICOMDIR, MediumError, read_dicomdir
from projections.mending import salvage
from projections.state import FileSetState, Written

_GONE: Final = (errno.ENOENT, errno.ENOTDIR)
_SHOWN: Final = 3

Progress = Callable[[int, int], None]
"""Called with the number of files done and to do."""

Signature = tuple[int, int, int, int]
"""What a file is known by without reading it: device, inode, size (bytes) and time (ns)."""


class Fault(Enum):
    """What is wrong with a file of the medium."""

    MISSING = "missing"
    CHANGED = "changed"
    UNREADABLE = "unreadable"


@frozen
class Faulty:
    """An instance whose file is not what the last write left.

    `why` it isn't put right; ``None`` where it can be, and has been after a repair. `seen` is what
    was in its place, ``None`` for nothing.
    """

    leaf: Leaf
    path: Path
    fault: Fault
    why: str | None = None
    seen: Signature | None = None


@define
class Damage:
    """What is wrong with the medium at `root`.

    Attributes
    ----------
    files : list of Faulty
        The files that are not as they were written.
    replaced : bytes or None
        Another DICOMDIR that is there.
    no_dicomdir : bool
        Whether there is none.
    returned : list of tuple of Leaf and Path
        Instances that a write had taken off the medium, and an older copy of it has again.
    unkept : list of tuple of Leaf and Path
        Instances whose copy in the vault is damaged or gone, and that the medium still has.
    """

    root: Path
    files: list[Faulty] = field(factory=list)
    replaced: bytes | None = field(default=None, repr=False)
    no_dicomdir: bool = False
    returned: list[tuple[Leaf, Path]] = field(factory=list)
    unkept: list[tuple[Leaf, Path]] = field(factory=list)

    @property
    def dicomdir(self) -> Digest | None:
        """The digest of the other DICOMDIR, if there is one."""
        return None if self.replaced is None else digest_of(self.replaced)

    @property
    def of_dicomdir(self) -> bool:
        """Whether the DICOMDIR is not the one that was written last."""
        return self.no_dicomdir or self.replaced is not None

    @property
    def is_on_medium(self) -> bool:
        """Whether the medium is not as it should be."""
        return bool(self.files or self.returned or self.of_dicomdir)

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


def signature_of(path: Path) -> Signature | None:
    """Return what is at `path`, a link as itself; ``None`` where nothing is."""
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def leads_out(path: Path, root: Path) -> bool:
    """Whether a link leads from `root` to the folder of `path`, or to the nearest there is."""
    folder = path.parent
    while not os.path.lexists(folder):
        folder = folder.parent
    return folder.resolve() != root.resolve() / folder.relative_to(root)


def find_damage(
    root: Path,
    state: FileSetState,
    has_bytes: Callable[[Leaf], bool],
    is_kept: Callable[[Leaf], bool],
    *,
    progress: Progress | None = None,
) -> Damage:
    """Return how the medium at `root` differs from what the last write in `state` left there.

    Every file is read; if nothing was ever written, nothing is wrong. `has_bytes` tells whether an
    instance's bytes can be had, `is_kept` whether the vault has them where it should.

    Raises :class:`~fileset.errors.RefusedError` if another File-set is there, or a DICOMDIR that
    lists what the journal doesn't know, :class:`~projections.materializer.MediumError` if nothing
    of this one is.
    """
    if state.written is None:
        return Damage(root)
    if not root.is_dir():
        raise _not_there(root)
    damage = _damage_of_dicomdir(root, state.written)
    is_ours = _is_ours(damage, root, state.written, state)
    there = [leaf for leaf in state.hierarchy.walk_leaves() if leaf.file_id]
    sound = 0
    for number, leaf in enumerate(there):
        path = root / (leaf.file_id or "")
        found = fault_of(path, leaf)
        if found is None:
            sound += 1
            if not is_kept(leaf):
                damage.unkept.append((leaf, path))
        elif leaf.is_live:  # the next write takes off any other
            fault, error = found
            why = _why_not(path, root, error, has_bytes=has_bytes(leaf))
            damage.files.append(Faulty(leaf, path, fault, why, signature_of(path)))
        if progress:
            progress(number + 1, len(there))
    changed = sum(each.fault is not Fault.MISSING for each in damage.files)
    is_another = not sound or changed > sound if there else any(root.iterdir())
    if not is_ours and is_another:
        raise _not_there(root, "Little" if sound else "Nothing")
    if damage.replaced is not None and is_ours:
        damage.returned = list(_returned(root, damage.replaced, state))
    return damage


def _not_there(root: Path, how_much: str = "Nothing") -> MediumError:
    return MediumError(
        f"{how_much} of the File-set is at {root}: bring the medium back, or give it up with "
        "`fileset write ROOT --new-medium`."
    )


def _why_not(path: Path, root: Path, error: OSError | None, *, has_bytes: bool) -> str | None:
    """Return why an instance's file can't be put right, ``None`` if it can."""
    if leads_out(path, root):
        return "a link on the way to it leads elsewhere: remove that"
    if path.is_dir() and not path.is_symlink():
        return "a folder is in its place: move it away"
    if error is not None and error.errno not in _GONE and not path.is_symlink():
        # It may be whole, and nothing of it could be kept.
        return f"it can't be read ({error.strerror}): make it readable, or move it away"
    if not has_bytes:
        return (
            "its bytes are neither in the vault nor where it was added from: put it back, or "
            "remove the instance"
        )
    return None


# --- the DICOMDIR --------------------------------------------------------------------------------


def _damage_of_dicomdir(root: Path, written: Written) -> Damage:
    try:
        dicomdir = read_dicomdir(root)
    except OSError as exc:
        raise MediumError(
            f"{root / DICOMDIR} can't be read ({exc.strerror}): move it away, or mend the disk."
        ) from exc
    if dicomdir is None:
        return Damage(root, no_dicomdir=written.dicomdir is not None)
    return Damage(root, replaced=dicomdir if digest_of(dicomdir) != written.dicomdir else None)


def _is_ours(damage: Damage, root: Path, written: Written, state: FileSetState) -> bool:
    """Whether the DICOMDIR says that this is the medium; refuse that of another File-set."""
    if not damage.of_dicomdir:
        return True
    if damage.replaced is None:
        return False
    uid = _uid_in(damage.replaced, root)
    if not uid:
        return False
    ours = {written.identity.uid, state.identity.uid}
    if state.writing is not None:
        ours.add(state.writing.identity.uid)
    if uid not in ours:
        raise RefusedError(
            f"The DICOMDIR at {root} is that of another File-set, {uid}: bring the right medium, "
            "or give it up with `fileset write ROOT --new-medium`."
        )
    return True


def _uid_in(dicomdir: bytes, root: Path) -> str:
    """Return the File-set UID in a DICOMDIR, however damaged; ``""`` if it can't be read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return salvage(dicomdir, name=os.fspath(root))[0].identity.uid
        except LedgerError:
            return ""


def _returned(root: Path, dicomdir: bytes, state: FileSetState) -> Iterator[tuple[Leaf, Path]]:
    """Yield the instances that another DICOMDIR lists and a write had taken off.

    Refuse one that lists what the journal doesn't know: that medium is newer, or another tool has
    added to it, and its index would be lost.
    """
    held = {leaf.file_id for leaf in state.hierarchy.leaves.values() if leaf.file_id}
    known = {leaf.content: leaf for leaf in state.hierarchy.leaves.values() if leaf.content}
    unknown: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        records = salvage(dicomdir, name=os.fspath(root))[0].records
    for file_id in {"/".join(record.file_id): None for record in records if record.file_id}:
        path = root / file_id
        if file_id in held or not path.is_file() or path.is_symlink() or leads_out(path, root):
            continue
        leaf = known.get(file_content(path))
        if leaf is None:
            unknown.append(str(path))
        elif not leaf.is_addition and leaf.source != str(path):  # nobody's source is deleted
            yield leaf, path
    if unknown:
        more = f" and {len(unknown) - _SHOWN:,} more" if len(unknown) > _SHOWN else ""
        raise RefusedError(
            f"The DICOMDIR at {root} lists {len(unknown):,} files that the journal does not know: "
            f"{', '.join(unknown[:_SHOWN])}{more}. The medium is newer than the journal, or "
            f"another tool has added them. Add them first (`fileset add {root} --recursive`), or "
            "keep that medium and write another one with `fileset write ROOT --new-medium`."
        )
