"""Carrying out a plan on a medium, so that a kill at any instant does no harm.

The order of things is what makes it safe:

1. New files are made under File IDs that the DICOMDIR in place does not use. A file whose File ID
   another instance still holds goes to a staging folder first.
2. They are flushed to the disk. If any went to the staging folder, a DICOMDIR that names them
   there takes the old one's place, and the files are then put where they belong.
3. The final DICOMDIR takes its place, by rename.
4. Only now are files that it does not name deleted.

So the DICOMDIR on the medium names the right content at every instant, on any file system with an
atomic rename. Until the first DICOMDIR is replaced a failure is rolled back; after that the
write has to be resumed, which repeats the same steps and finds some of them done.

What is made on the way, and goes before the end, has names that nobody else's files have: the
staging folder is one that wasn't there, and a new DICOMDIR is written beside the old one under
the digest of what it holds.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from ledger.digest import Digest, digest_of
from ledger.disk import fsync, fsync_all
from ledger.errors import ContentMissingError, LedgerError
from ledger.events import Placement
from ledger.files import copy_file, file_content
from ledger.packs import write_all
from ledger.vault import Vault
from projections.hierarchy import Leaf
from projections.plan import Plan

DICOMDIR: Final = "DICOMDIR"
"""The name of a File-set's index at its root (PS3.10 Section 8.6)."""

_NO_LINKS: Final = frozenset(
    (errno.EPERM, errno.EACCES, errno.EXDEV, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP)
)
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

Progress = Callable[[int, int], None]
"""Called with the number of files done and to do."""


class MediumError(LedgerError):
    """The medium is not in a state to be written to."""


class WriteFailedError(LedgerError):
    """A write failed. If `rolled_back`, the medium is as before, else the write can be resumed."""

    def __init__(self, message: str, *, rolled_back: bool) -> None:
        super().__init__(message)
        self.rolled_back = rolled_back


def read_dicomdir(root: Path) -> bytes | None:
    """Return the DICOMDIR at `root`, ``None`` if there is none."""
    try:
        return (root / DICOMDIR).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None


def collisions(plan: Plan) -> list[str]:
    """Return the paths, relative to the root, where `plan` would put a file and another lies.

    Where one does, its neighbours in the same folder are returned with it, for a layout that
    looks for free names. A file that is just the one to be put there is no obstacle.
    """
    root = Path(plan.root)
    goes = {path.upper() for path in plan.obsolete}
    blocked: set[str] = set()
    for leaf, path in plan.placed.items():
        folder = path.rpartition("/")[0]
        if leaf in plan.contested or folder in blocked:
            continue
        if (blocker := _file_above(root, folder)) is not None:
            blocked.add(blocker.rpartition("/")[0])
        # Names that differ only in case are one on many media: that file will be deleted.
        elif os.path.lexists(root / path) and (
            path.upper() in goes or not _is_in_place(root / path, leaf)
        ):
            blocked.add(folder)
    if plan.staging is not None and os.path.lexists(root / plan.staging):
        blocked.add("")
    return sorted(
        f"{folder}/{name}" if folder else name
        for folder in blocked
        for name in os.listdir(root / folder)  # noqa: PTH208 - names, not paths
    )


def _file_above(root: Path, folder: str) -> str | None:
    """Return what is no folder of the components of `folder`, ``None`` if nothing is."""
    while folder:
        if os.path.lexists(root / folder):
            return None if (root / folder).is_dir() else folder
        folder = folder.rpartition("/")[0]
    return None


def _holds(path: Path, leaf: Leaf) -> bool:
    """Whether the file at `path` can be read and has the instance's content, which is known."""
    try:
        return leaf.content is not None and file_content(path) == leaf.content
    except OSError:
        return False


def _is_in_place(path: Path, leaf: Leaf) -> bool:
    """Whether `path` is a file of its own with the instance's content."""
    return not path.is_symlink() and path.is_file() and _holds(path, leaf)


class Materializer:
    """Writes one plan. `vault` gives the bytes of what is in it.

    `rolled_back` tells, after a failure, whether the medium is as it was before.
    """

    def __init__(
        self,
        plan: Plan,
        vault: Vault,
        *,
        medium: Path | None = None,
        durable: bool = True,
        resume: bool = False,
        progress: Progress | None = None,
    ) -> None:
        """Prepare to carry out `plan`.

        `medium` is the root that the instances' present File IDs are relative to, where that is
        not the plan's own root: files are then copied and never linked or taken away. With
        `resume`, what an interrupted attempt has done is looked at, checked by its digest and
        kept; files in the way are known to be its leftovers.
        """
        self._plan = plan
        self._root = Path(plan.root)
        self._medium = medium or self._root
        self._vault = vault
        self._durable = durable
        self._resume = resume
        self._progress = progress
        self._links = self._medium == self._root
        self._made_files: list[Path] = []
        self._made_folders: list[Path] = []
        self._unflushed: list[Path] = []
        self._folders: set[Path] = set()
        self._committed = False
        self.rolled_back = False

    def run(self) -> Digest:
        """Carry the plan out and return the digest of the DICOMDIR that is now in place.

        Raises :class:`WriteFailedError`, chained from its cause.
        """
        plan = self._plan
        with self._failures():
            self._refuse_unread()
            self._folder(self._root)
            if not self._is_done():
                self._put_new_files()
                if plan.interim is not None:
                    self._commit(plan.interim)
                    self._settle_contested()
                self._commit(plan.dicomdir)
            self._clean_up()
        return digest_of(plan.dicomdir)

    @contextmanager
    def _failures(self) -> Iterator[None]:
        """Roll back what can be, and say whether it was."""
        try:
            yield
        except BaseException as exc:
            if not self._committed and not self._resume:
                self.rolled_back = self._roll_back()
            if not isinstance(exc, (OSError, LedgerError)):
                raise
            told = "Nothing was changed." if self.rolled_back else "Write again to complete it."
            raise WriteFailedError(
                f"Writing to {self._root} failed: {str(exc).rstrip('.')}. {told}",
                rolled_back=self.rolled_back,
            ) from exc

    def _roll_back(self) -> bool:
        """Delete what was made and return whether all of it is gone."""
        gone = True
        for path in reversed(self._made_files):
            try:
                path.unlink(missing_ok=True)
            except OSError:
                gone = False
        for folder in reversed(self._made_folders):
            with suppress(OSError):  # someone may have put something there since
                folder.rmdir()
        return gone

    def _refuse_unread(self) -> None:
        """Refuse to move what an interrupted write could not tell from anything else."""
        for leaf in self._plan.placed:
            if leaf.content is None and self._medium == self._root:
                raise ContentMissingError(
                    f"What the instance {leaf.uid} holds has to be recorded before it is moved"
                )

    def _is_done(self) -> bool:
        """Whether an interrupted attempt got as far as to its last DICOMDIR."""
        plan = self._plan
        if not self._resume or read_dicomdir(self._root) != plan.dicomdir:
            return False
        # A DICOMDIR doesn't tell an instance from another one of the same UID and File ID, so the
        # last one may be byte for byte the one that was there before.
        return not plan.contested or all(
            _is_in_place(self._root / path, leaf) for leaf, path in plan.placed.items()
        )

    # --- the steps -------------------------------------------------------------------------------

    def _put_new_files(self) -> None:
        plan = self._plan
        total = len(plan.placed)
        for done, (leaf, path) in enumerate(plan.placed.items()):
            self._put(leaf, self._root / plan.contested.get(leaf, path))
            if self._progress:
                self._progress(done + 1, total)
        self._flush()

    def _settle_contested(self) -> None:
        """Put the files of the staging folder where they belong, over what lies there.

        The DICOMDIR in place names them in the staging folder, so they stay there as well.
        """
        plan = self._plan
        for leaf, path in plan.contested.items():
            staged, target = self._root / path, self._root / plan.placed[leaf]
            self._folder(target.parent)
            temporary = staged.with_suffix(".new")
            temporary.unlink(missing_ok=True)
            if not (self._resume and _is_in_place(target, leaf)):
                if not self._link_or_copy(staged, temporary, leaf):
                    raise ContentMissingError(f"{staged} is gone")
                temporary.replace(target)
                temporary.unlink(missing_ok=True)  # two links to one file are not replaced
            self._unflushed.append(target)
        self._flush()

    def _commit(self, dicomdir: bytes) -> None:
        """Put `dicomdir` in place, in one step."""
        temporary = self._beside(dicomdir)
        temporary.unlink(missing_ok=True)
        with self._created(temporary) as fd:
            write_all(fd, dicomdir)
            if self._durable:
                os.fsync(fd)
        before, self._committed = self._committed, True
        try:
            temporary.replace(self._root / DICOMDIR)
        except OSError:
            self._committed = before or not os.path.lexists(temporary)
            raise
        if self._durable:
            fsync(self._root)

    def _beside(self, dicomdir: bytes) -> Path:
        """Return where `dicomdir` is written first: a file there is a part of the same bytes."""
        return self._root / f".{DICOMDIR}-{digest_of(dicomdir).partition(':')[2][:16]}"

    def _clean_up(self) -> None:
        plan = self._plan
        gone = [path for path in map(self._root.joinpath, plan.obsolete) if self._is_within(path)]
        gone += map(self._root.joinpath, plan.contested.values())
        for path in gone:
            # Where a folder lies by now, there is no file of ours any more.
            with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
                path.unlink()
        changed = self._prune({path.parent for path in gone})
        if self._durable:
            fsync_all((), sorted(changed), self._root)

    def _prune(self, folders: Iterable[Path]) -> set[Path]:
        """Remove those of `folders` that are empty now, and the empty ones above them.

        Return those that are left, or that something was removed from.
        """
        left = set()
        for folder in folders:
            current = folder
            while self._root in current.parents:
                try:
                    current.rmdir()
                except (FileNotFoundError, NotADirectoryError):
                    pass  # a folder beside it took it along
                except OSError:
                    break
                current = current.parent
            left.add(current)
        return {folder for folder in left if folder.exists()}  # one may have gone with another

    def _flush(self) -> None:
        """Flush the files that came since the last time, and the folders that name them."""
        if self._durable:
            folders = self._folders | {folder.parent for folder in self._made_folders}
            fsync_all(self._unflushed, sorted(folders), self._root)
        self._unflushed = []

    # --- files and folders -----------------------------------------------------------------------

    def _folder(self, folder: Path) -> None:
        """Make `folder` and those above it; refuse one that leads out of the root."""
        if folder in self._folders:
            return
        missing = []
        current = folder
        while not os.path.lexists(current):
            missing.append(current)
            current = current.parent
        if current.is_relative_to(self._root) and not self._is_straight(current):
            raise MediumError(f"{current} is a link: files put there would lie elsewhere")
        for path in reversed(missing):
            path.mkdir()
            self._made_folders.append(path)
        self._folders.add(folder)

    def _is_straight(self, folder: Path) -> bool:
        """Whether no link leads from the root to `folder`."""
        return folder.resolve() == self._root.resolve() / folder.relative_to(self._root)

    def _is_within(self, path: Path) -> bool:
        """Whether `path` is where it says, so that deleting it deletes nothing else."""
        return ".." not in path.parts and self._is_straight(path.parent)

    def _put(self, leaf: Leaf, target: Path) -> None:
        """Make `target` hold the instance's bytes, from where they are."""
        self._folder(target.parent)
        if os.path.lexists(target):
            if _is_in_place(target, leaf):
                # From an interrupted attempt, or by chance. Not ours to roll back.
                self._unflushed.append(target)
                return
            if self._resume:
                target.unlink()
        source = None if leaf.file_id is None else self._medium / leaf.file_id
        if self._medium != self._root and leaf.placement is Placement.VAULT:
            source = None  # the vault's copy is nearer than another medium's
        if source is None or not self._link_or_copy(source, target, leaf):
            self._copy_in(leaf, target)
        self._unflushed.append(target)

    def _copy_in(self, leaf: Leaf, target: Path) -> None:
        """Copy the instance's bytes from the vault or from where they were left."""
        content = leaf.content
        if content is None:
            raise ContentMissingError(
                f"The instance {leaf.uid} is not at its File ID {leaf.file_id} and was never read"
            )
        with self._created(target) as fd:
            if leaf.placement is Placement.REFERENCE and leaf.event.source is not None:
                copy_file(Path(leaf.event.source), fd, expected=content)
            else:
                self._vault.copy_to(content.digest, fd)

    @contextmanager
    def _created(self, target: Path) -> Iterator[int]:
        """Make the file `target`, which must not exist, and yield its descriptor."""
        fd = os.open(target, _CREATE, 0o666)
        self._made_files.append(target)
        try:
            yield fd
        finally:
            os.close(fd)

    def _link_or_copy(self, source: Path, target: Path, leaf: Leaf) -> bool:
        """Make `target` hold what `source` holds; ``False`` if there is no such file."""
        if not source.is_file() or (self._resume and not _holds(source, leaf)):
            return False
        # A link to a symbolic link would lead elsewhere from another folder.
        if self._links and not source.is_symlink():
            try:
                os.link(source, target, follow_symlinks=False)
            except OSError as exc:
                if exc.errno not in _NO_LINKS:
                    raise
                self._links = False  # FAT, for one, has none
            else:
                self._made_files.append(target)
                return True
        with self._created(target) as fd:
            copy_file(source, fd, expected=leaf.content)
        return True
