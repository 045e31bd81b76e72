"""The files and folders that a write makes: made durable together, or taken back."""

from __future__ import annotations

import errno
import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from os.path import dirname, join
from typing import Final

from fileset.medium.errors import MediumError
from fileset.medium.paths import is_straight, isdir, islink, lexists
from ledger.disk import fsync_all, held_folder
from ledger.files import naming
from ledger.names import one_name

_NO_LINKS: Final = frozenset(
    (errno.EPERM, errno.EACCES, errno.EXDEV, errno.EMLINK, errno.ENOSYS, errno.EOPNOTSUPP)
)
_TAKEN: Final = frozenset((errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR))
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class MadeFiles:
    """Makes files and folders below `root`, and remembers which.

    `tree` is the folder, apart from those of the medium, where top folders are filled before
    `place_folder` gives them their place. Unless `durable`, nothing is flushed to the disk. With
    `resume`, an interrupted attempt may have made some of it already.
    """

    def __init__(self, root: str, tree: str, *, durable: bool, resume: bool) -> None:
        self._root = root
        self._tree = tree
        self._durable = durable
        self._resume = resume
        self._links = True
        self._files: dict[str, int | None] = {}
        self._made_folders: list[str] = []
        self._placed: set[str] = set()
        self._unflushed: list[str] = []
        self._folders: set[str] = set()

    # --- making ----------------------------------------------------------------------------------

    def folder(self, folder: str) -> None:
        """Make `folder` and those above it; refuse one that leads out of the root."""
        if folder in self._folders:
            return
        missing = []
        current = folder
        while not lexists(current):
            missing.append(current)
            current = dirname(current)
        is_below = f"{current}/".startswith(join(self._root, ""))
        if is_below and not is_straight(current, self._root):
            raise MediumError(f"{current} is a link: files put there would lie elsewhere")
        for path in reversed(missing):
            os.mkdir(path)
            self._made_folders.append(path)
        self._folders.add(folder)

    @contextmanager
    def held(self, folder: str) -> Iterator[None]:
        """Make `folder`, unless it is there, as one that this writer is at work in."""
        if not lexists(folder):
            self._made_folders.append(folder)
        with held_folder(folder):
            self._folders.add(folder)
            yield

    @contextmanager
    def created(self, target: str) -> Iterator[int]:
        """Make the file `target`, which must not exist, and yield its descriptor."""
        fd = os.open(target, _CREATE, 0o666)
        try:
            with naming(target):
                status = os.fstat(fd)
        except OSError:  # what it is could not be told from another's later
            os.close(fd)
            os.unlink(target)
            raise
        self._files[target] = _identity(status)
        with naming(target):
            try:
                yield fd
            finally:
                os.close(fd)

    def link(self, source: str, target: str) -> bool:
        """Give the file `source` the name `target` as well; `False` where that can't be."""
        # A link to a symbolic link would lead elsewhere from another folder.
        if not self._links or islink(source):
            return False
        made = identity_of(source)  # known before there is anything to be taken back
        try:
            os.link(source, target, follow_symlinks=False)
        except OSError as exc:
            if exc.errno not in _NO_LINKS:
                raise
            self._links = False  # FAT, for one, has none
            return False
        self._files[target] = made
        return True

    def place(self, private: str, target: str) -> None:
        """Move the whole file at `private` to `target`, where nothing may be."""
        try:
            if self.link(private, target):
                return
        except FileExistsError as exc:
            raise _taken(target) from exc
        if lexists(target):
            raise _taken(target)
        made = identity_of(private)
        os.rename(private, target)
        self._files[target] = made

    def place_folder(self, top: str) -> None:
        """Move the folder `top` of the tree, with all that belongs in it, to its place."""
        made, target = join(self._tree, top), join(self._root, top)
        # Two names that differ in case only are one folder on many media.
        if lexists(made) or not lexists(target):
            try:
                os.rename(made, target)
            except OSError as exc:
                if exc.errno in _TAKEN:
                    raise _taken(target) from exc
                raise
        self._placed.add(top)

    # --- making durable --------------------------------------------------------------------------

    def flush_later(self, path: str) -> None:
        """Include the file at `path`, whoever made it, in the next flush."""
        self._unflushed.append(path)

    def flush_files(self) -> None:
        """Flush the files that came since the last time."""
        if self._durable:
            fsync_all(self._unflushed, (), self._root)
        self._unflushed = []

    def flush(self) -> None:
        """Flush the files that came since the last time, and the folders that name them."""
        if self._durable:
            folders = self._folders | {dirname(folder) for folder in self._made_folders}
            if self._resume:  # folders that are there need not last: a kill may have been fast
                folders |= {above for folder in folders for above in self._up_to_root(folder)}
                folders.add(dirname(self._root))
            fsync_all(self._unflushed, sorted(map(self._now_at, folders)), self._root)
        self._unflushed = []

    def flush_folders(self, folders: Iterable[str]) -> None:
        """Make durable which files those of `folders` have that are still there."""
        left = list(filter(isdir, sorted(folders)))
        if self._durable and left:
            fsync_all((), left, left[0])

    def _up_to_root(self, folder: str) -> Iterator[str]:
        """Yield the folders above `folder` that are on the medium."""
        while folder.startswith(join(self._root, "")):
            folder = dirname(folder)
            yield folder

    # --- taking back -----------------------------------------------------------------------------

    def roll_back(self, named: Collection[str] = ()) -> bool:
        """Delete what was made and return whether all of it is gone.

        A file that someone else has put there since is not ours, and one at a path of those
        `named` is left: a DICOMDIR in place names it by now, if in another case where the medium
        has one file for both.
        """
        gone = True
        names: dict[str, set[str]] = {}
        for name in named:
            names.setdefault(one_name(name), set()).add(name)
        for path, made in reversed(self._files.items()):
            there = self._now_at(path)
            try:
                alike = names.get(one_name(there), set())
                if identity_of(there) != made or made in map(identity_of, alike):
                    continue
                os.unlink(there)
            except FileNotFoundError:
                pass
            except OSError:
                gone = False
        for folder in reversed(self._made_folders):
            with suppress(OSError):  # someone may have put something there since
                os.rmdir(self._now_at(folder))
        places = map(self._now_at, (*self._files, *self._made_folders))
        try:
            self.flush_folders(set(map(dirname, places)))
        except OSError:
            gone = False
        return gone

    def _now_at(self, path: str) -> str:
        """Return where what was made at `path` is, since its folder may have got its place."""
        if not path.startswith(f"{self._tree}/"):
            return path
        below = path[len(self._tree) + 1 :]
        return join(self._root, below) if below.partition("/")[0] in self._placed else path

    def prune(self, folders: Iterable[str]) -> set[str]:
        """Remove those of `folders` that are empty now, and the empty ones above them.

        Return those that are left, or that something was removed from.
        """
        left = set()
        for folder in sorted(folders, reverse=True):  # one below another first
            current = folder
            while current != self._root and current.startswith(join(self._root, "")):
                try:
                    os.rmdir(current)
                except (FileNotFoundError, NotADirectoryError):
                    pass  # a folder beside it took it along
                except OSError:
                    break
                current = dirname(current)
            left.add(current)
        return set(filter(lexists, sorted(left)))  # one may have gone with another


def _taken(target: str) -> MediumError:
    return MediumError(f"someone else has put {target} there since the write began")


def identity_of(path: str) -> int | None:
    """Return a number for what is at `path`, a link as itself; `None` for nothing.

    It is made of device and inode, in less memory than two.
    """
    try:
        status = os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return _identity(status)


def _identity(status: os.stat_result) -> int:
    return status.st_dev << 64 | status.st_ino


def clear(paths: Iterable[str]) -> None:
    """Delete the files at `paths`; where a folder lies by now, there is no file of ours."""
    for path in paths:
        with suppress(FileNotFoundError, NotADirectoryError, IsADirectoryError):
            os.unlink(path)
