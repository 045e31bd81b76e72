"""How the medium differs from what the last write left there, or whether it is another medium.

A medium that is mounted in place of the right one must not be repaired. A medium is recognised as
the right one if its DICOMDIR has the File-set UID, or if none can be read and most of the files on
it have the content that they should have.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from attrs import define, field, frozen

from fileset.errors import RefusedError
from fileset.medium.check import (
    GONE,
    Fault,
    check_files,
    is_as_written,
    loaded_from,
    not_loaded,
    owner_of,
)
from fileset.medium.dicomdir import leads_out, read_dicomdir
from fileset.medium.errors import MediumError
from fileset.medium.paths import is_within
from fileset.progress import Progress
from ledger.digest import Digest, digest_of
from ledger.events import Content, Placement
from ledger.files import FileStamp, file_content
from ledger.phrases import count, some
from projections.dicomdir.definitions import DICOMDIR, NotDicomdirError
from projections.dicomdir.mending import decode_damaged
from projections.state.nodes import Leaf
from projections.state.state import FileSetState, Written


@frozen
class DamagedFile:
    """An instance whose file is not what the last write left.

    `why` it isn't repaired; `None` where it can be, and has been after a repair. `seen` is what
    was in its place, `None` for nothing.
    """

    leaf: Leaf
    path: Path
    fault: Fault
    why: str | None = None
    seen: FileStamp | None = None


@define
class MediumDamage:
    """What is wrong with the medium at `root`.

    Attributes
    ----------
    files : list of DamagedFile
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
    files: list[DamagedFile] = field(factory=list)
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
    def repairable(self) -> list[DamagedFile]:
        """The files that are, or can be, repaired."""
        return [each for each in self.files if each.why is None]

    @property
    def unrepairable(self) -> list[DamagedFile]:
        """The files that can't be repaired."""
        return [each for each in self.files if each.why is not None]


def stamp_at(path: Path) -> FileStamp | None:
    """Return the stamp of what is at `path`, a link as itself; `None` where nothing is."""
    try:
        return FileStamp.of(path.lstat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def find_damage(
    root: Path,
    state: FileSetState,
    has_bytes: Callable[[Leaf], bool],
    is_kept: Callable[[Leaf], bool],
    *,
    progress: Progress | None = None,
) -> MediumDamage:
    """Return how the medium at `root` differs from what the last write in `state` left there.

    Every file is read; if nothing was ever written, nothing is wrong. `has_bytes` tells whether an
    instance's bytes can be had, `is_kept` whether the vault has them where it should.

    Raises `RefusedError` if another File-set is there, or a DICOMDIR that lists what the journal
    doesn't know, `MediumError` if nothing of this one is.
    """
    if state.written is None:
        return MediumDamage(root)
    if not root.is_dir():
        raise _not_there(root)
    damage = _damage_of_dicomdir(root, state.written)
    if damage.replaced is not None and (loaded := loaded_from(root, state)) is not None:
        raise RefusedError(not_loaded(loaded))
    is_ours = _is_ours(damage, root, state)
    sources = _referenced(state)
    there = sound = 0
    for leaf, path, fault, error in check_files(root, state, progress):
        there += 1
        if fault is None:
            sound += 1
            if not is_kept(leaf):
                damage.unkept.append((leaf, path))
        elif leaf.is_live:  # the next write takes off any other
            is_source = os.fspath(path) in sources
            why = _why_not(path, root, fault, error, has_bytes=has_bytes(leaf), is_source=is_source)
            damage.files.append(DamagedFile(leaf, path, fault, why, stamp_at(path)))
    changed = sum(each.fault is not Fault.MISSING for each in damage.files)
    is_another = not sound or changed > sound if there else any(root.iterdir())
    if not is_ours and is_another:
        raise _not_there(root, "Little" if sound else "Nothing")
    if damage.replaced is not None:
        damage.returned = list(_returned(root, damage.replaced, state))
    return damage


def _referenced(state: FileSetState) -> set[str]:
    """Return the paths of the files that are staged by reference, and so have to stay."""
    return {
        leaf.source
        for leaf in state.hierarchy.leaves.values()
        if leaf.is_addition and leaf.placement is Placement.REFERENCE and leaf.source
    }


def _not_there(root: Path, how_much: str = "Nothing") -> MediumError:
    return MediumError(
        f"{how_much} of the File-set is at {root}: bring the medium back, or give it up with "
        "`fileset write ROOT --new-medium`."
    )


def _why_not(
    path: Path, root: Path, fault: Fault, error: OSError | None, *, has_bytes: bool, is_source: bool
) -> str | None:
    """Return why an instance's file can't be repaired, `None` if it can."""
    if fault is Fault.OTHERS:
        return (
            "the file of another instance answers to that name there: `fileset write` with "
            "`--layout conformant` or `pydicom` gives each a name of its own"
        )
    if is_source:
        return (
            "the file there is another instance's, staged by reference: remove that one, and add "
            "it as a copy"
        )
    if not is_within(path, root):
        return "a link on the way to it leads elsewhere: remove that"
    if path.is_dir() and not path.is_symlink():
        return "a folder is in its place: move it away"
    if error is not None and error.errno not in GONE and not path.is_symlink():
        # It may be whole, and nothing of it could be kept.
        return f"it can't be read ({error.strerror}): make it readable, or move it away"
    if not has_bytes:
        return (
            "its bytes are neither in the vault nor where it was added from: put it back, or "
            "remove the instance"
        )
    return None


# --- the DICOMDIR --------------------------------------------------------------------------------


def _damage_of_dicomdir(root: Path, written: Written) -> MediumDamage:
    try:
        dicomdir = None if leads_out(root) else read_dicomdir(root)
    except OSError as exc:
        raise MediumError(
            f"{root / DICOMDIR} can't be read ({exc.strerror}): make it readable, or move it away."
        ) from exc
    if dicomdir is None:
        return MediumDamage(root, no_dicomdir=written.dicomdir is not None)
    return MediumDamage(root, replaced=None if is_as_written(dicomdir, written) else dicomdir)


def _is_ours(damage: MediumDamage, root: Path, state: FileSetState) -> bool:
    """Whether the DICOMDIR says that this is the medium; refuse that of another File-set."""
    if not damage.of_dicomdir:
        return True
    if damage.replaced is None:
        return False
    uid, is_ours = owner_of(damage.replaced, state)
    if uid and not is_ours:
        raise RefusedError(
            f"The DICOMDIR at {root} is that of another File-set, {uid}: bring the right medium, "
            "or give it up with `fileset write ROOT --new-medium`."
        )
    return is_ours


def _returned(root: Path, dicomdir: bytes, state: FileSetState) -> Iterator[tuple[Leaf, Path]]:
    """Yield the instances that another DICOMDIR lists and a write had taken off.

    Refuse one that lists what the journal doesn't know: that medium is newer, or another tool has
    added to it, and its index would be lost.
    """
    leaves = state.hierarchy.leaves.values()
    held = {leaf.file_id for leaf in leaves if leaf.file_id}
    known = {leaf.content: leaf for leaf in leaves if leaf.content}
    uids = {leaf.uid for leaf in leaves}
    unknown: list[str] = []
    for file_id, listed in _listed(root, dicomdir).items():
        path = root / file_id
        if not path.is_file() or path.is_symlink() or not is_within(path, root):
            continue
        if file_id in held:  # what is listed there by a UID of ours is replaced by what was written
            if (others := listed - uids) and _content_at(path) not in known:
                unknown.append(f"{path} ({', '.join(sorted(others))})")
            continue
        leaf = known.get(file_content(path))
        if leaf is None:
            unknown.append(str(path))
        elif not leaf.is_addition and leaf.source != str(path):  # nobody's source is deleted
            yield leaf, path
    if unknown:
        raise RefusedError(
            f"The DICOMDIR at {root} lists {count(len(unknown), 'file')} that the journal does "
            f"not know: {some(unknown, 3)}. The medium is newer than the journal, or another tool "
            f"has added to it. Add what is there first (`fileset add {root}`), or keep that medium "
            "and write another one with `fileset write ROOT --new-medium`."
        )


def _listed(root: Path, dicomdir: bytes) -> dict[str, set[str]]:
    """Return the File IDs in a DICOMDIR, however damaged, and the UIDs listed with each."""
    listed: dict[str, set[str]] = {}
    with warnings.catch_warnings(), suppress(NotDicomdirError):
        warnings.simplefilter("ignore")
        for record in decode_damaged(dicomdir, name=os.fspath(root))[0].records:
            if record.file_id:
                uids = listed.setdefault("/".join(record.file_id), set())
                uids.update(filter(None, (record.sop_instance_uid,)))
    return listed


def _content_at(path: Path) -> Content | None:
    """Return the content of the file at `path`, `None` if it can't be read."""
    with suppress(OSError):
        return file_content(path)
    return None
