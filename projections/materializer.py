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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from ledger.digest import Digest, digest_of
from ledger.disk import fsync_all, replace_file
from ledger.errors import ContentMissingError, LedgerError
from ledger.events import Content, Placement
from ledger.files import copy_file, file_content
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
    looks for free names.
    """
    root = Path(plan.root)
    targets = [path for leaf, path in plan.placed.items() if leaf not in plan.contested]
    if plan.contested:
        targets += sorted({path.partition("/")[0] for path in plan.contested.values()})
    found: list[str] = []
    for target in targets:
        if os.path.lexists(root / target):
            folder = target.rpartition("/")[0]
            names = os.listdir(root / folder)  # noqa: PTH208 - names, not paths
            found += [f"{folder}/{name}" if folder else name for name in names]
    return found


class Materializer:
    """Writes one plan. `vault` gives the bytes of what is in it."""

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
        self._folders: set[Path] = set()
        self._committed = False

    def run(self) -> Digest:
        """Carry the plan out and return the digest of the DICOMDIR that is now in place.

        Raises :class:`WriteFailedError`, chained from its cause.
        """
        plan = self._plan
        with self._failures():
            self._folder(self._root)
            # Resuming after the last commit, only the cleaning up is left.
            if not (self._resume and read_dicomdir(self._root) == plan.dicomdir):
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
                self._roll_back()
            if not isinstance(exc, (OSError, LedgerError)):
                raise
            rolled_back = not self._committed and not self._resume
            told = "Nothing was changed." if rolled_back else "Write again to complete it."
            raise WriteFailedError(
                f"Writing to {self._root} failed: {exc}. {told}".replace("..", "."),
                rolled_back=rolled_back,
            ) from exc

    def _roll_back(self) -> None:
        for path in self._made_files:
            path.unlink(missing_ok=True)
        for folder in reversed(self._made_folders):
            try:
                folder.rmdir()
            except OSError:
                continue  # someone has put something there since

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
        for leaf, staged in plan.contested.items():
            target = self._root / plan.placed[leaf]
            self._folder(target.parent)
            if self._resume and self._holds(target, leaf):
                continue
            temporary = target.with_name(f".{target.name}.new")
            temporary.unlink(missing_ok=True)
            self._link_or_copy(self._root / staged, temporary, leaf)
            temporary.replace(target)
            self._made_files[-1] = target
        self._flush()

    def _commit(self, dicomdir: bytes) -> None:
        self._committed = True
        replace_file(self._root / DICOMDIR, dicomdir, durable=self._durable)

    def _clean_up(self) -> None:
        plan = self._plan
        obsolete = [self._root / path for path in (*plan.obsolete, *plan.contested.values())]
        for path in obsolete:
            path.unlink(missing_ok=True)
        self._prune({path.parent for path in obsolete})
        if self._durable and obsolete:
            fsync_all((), [self._root], self._root)

    def _prune(self, folders: set[Path]) -> None:
        """Remove those of `folders` that are empty now, and the empty ones above them."""
        for folder in folders:
            current = folder
            while current != self._root:
                try:
                    current.rmdir()
                except FileNotFoundError:
                    pass  # a folder beside it took it along
                except OSError:
                    break
                current = current.parent

    def _flush(self) -> None:
        if self._durable:
            folders = self._folders | {folder.parent for folder in self._made_folders}
            fsync_all(self._made_files, sorted(folders), self._root)

    # --- files and folders -----------------------------------------------------------------------

    def _folder(self, folder: Path) -> None:
        """Make `folder` and those above it; refuse one that leads out of the root."""
        if folder in self._folders:
            return
        missing = []
        current = folder
        while not current.exists():
            missing.append(current)
            current = current.parent
        for path in reversed(missing):
            path.mkdir()
            self._made_folders.append(path)
        if folder.resolve() != self._root.resolve() / folder.relative_to(self._root):
            raise MediumError(f"{folder} is a link: files put there would lie elsewhere")
        self._folders.add(folder)

    def _put(self, leaf: Leaf, target: Path) -> None:
        """Make `target` hold the instance's bytes, from where they are."""
        self._folder(target.parent)
        if self._resume and os.path.lexists(target):
            if self._holds(target, leaf):
                return
            target.unlink()
        if self._medium != self._root and leaf.placement is Placement.VAULT:
            self._copy_in(leaf, target)
            return
        sources = [] if leaf.file_id is None else [self._medium / leaf.file_id]
        if self._resume:
            sources.append(self._root / self._plan.placed[leaf])
        if not any(self._link_or_copy(source, target, leaf) for source in sources):
            self._copy_in(leaf, target)

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
        if not source.exists() or (self._resume and not self._holds(source, leaf)):
            return False
        if self._links:
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

    def _holds(self, path: Path, leaf: Leaf) -> bool:
        """Whether the file at `path` has the instance's content."""
        try:
            found: Content = file_content(path)
        except OSError:
            return False
        return found == leaf.content
