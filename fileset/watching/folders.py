"""The watched folders: which may be watched, and that nobody else watches them."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from attrs import define, field

from fileset.errors import RefusedError
from fileset.watching import locks
from fileset.watching.looking import Observation
from fileset.watching.mounts import is_below, mount_point, network_file_system, overlap

STATE: Final = "watch"
"""The folder in the repository for locks, status and what is remembered."""


@define
class Folder:
    """A watched folder.

    Attributes
    ----------
    path : str
        Where it is, links resolved.
    identity : tuple or None
        Device and inode numbers of what is there, ``None`` while nothing is.
    network : str or None
        The type of its file system if that tells of no changes.
    observation : Observation or None
        The system's watch over it.
    trouble : str or None
        Why it can't be looked at.
    mounted_at : str or None
        Where the file system that it was last seen on is mounted.
    polled : bool
        Whether it is looked at again and again, because the system gives no hints.
    next_scan, scan_seconds : float
        When everything in it is looked at again; how long that took, 0 if it is to be the first.
    hints : int
        How many there were since.
    has_more : bool
        Whether files had to be left for a later look.
    """

    path: str
    identity: tuple[int, int] | None = None
    network: str | None = None
    observation: Observation | None = None
    trouble: str | None = None
    mounted_at: str | None = None
    polled: bool = False
    next_scan: float = 0.0
    scan_seconds: float = 0.0
    hints: int = 0
    has_more: bool = False
    _locks: list[int] = field(factory=list)

    @property
    def name(self) -> str:
        """What the journal calls it: the origin of a change is ``watch:NAME``."""
        return os.path.basename(self.path) or "/"

    @property
    def key(self) -> str:
        """A short name for files about it."""
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]

    @property
    def state(self) -> str:
        """What is to be told: ``watching``, ``polling`` or ``away``."""
        if self.identity is None:
            return "away"
        return "polling" if self.polled else "watching"

    def look(self) -> tuple[int, int] | None:
        """Return the identity of what is there now, ``None`` for nothing.

        A mount point that nothing is mounted at any more is nothing.
        """
        try:
            found = os.stat(self.path)
            identity = found.st_dev, found.st_ino
            if not stat.S_ISDIR(found.st_mode):
                return None
            if identity != self.identity:
                at = mount_point(self.path)
                if self._was_below(at):
                    return None
                self.mounted_at = at
        except OSError:
            return None
        return identity

    def find_network(self) -> None:
        """Find out on what file system it is by now."""
        self.network = network_file_system(self.path)

    def _was_below(self, mounted_at: str) -> bool:
        known = self.mounted_at
        return known is not None and known != mounted_at and is_below(known, mounted_at)

    @property
    def absence(self) -> str:
        """Why it is away."""
        with suppress(OSError):
            if self._was_below(mount_point(self.path)):
                return f"nothing is mounted at {self.mounted_at}"
        return "the folder is not there"

    def lock(self) -> None:
        """Have this folder to ourselves; RefusedError if another watcher has it.

        The lock is on the folder itself (flock(2)), so that nothing has to be put into it. Where
        the file system knows no such locks, as NFS does not for folders, only the lock in the
        repository tells. On the folders above, as far as they may be read, is a shared lock of
        another kind, which tells those that would watch one of them.
        """
        self.unlock()
        try:
            self._lock_own()
            self._lock_above()
        except BaseException:
            self.unlock()
            raise

    def _lock_own(self) -> None:
        fd = self._open(self.path)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RefusedError(
                f"{self.path} is being watched already: a folder has one watcher."
            ) from None
        except OSError as exc:
            if exc.errno not in {errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}:
                raise

    def _lock_above(self) -> None:
        """Tell the folders above first, and then ask: of two that start, one sees the other."""
        for parent in Path(self.path).parents:
            with suppress(OSError):
                locks.lock(self._open(parent), shared=True)
        for parent in Path(self.path).parents:
            if _is_watched(parent):
                raise RefusedError(f"{self.path} lies in {parent}, which is being watched already.")
        with suppress(OSError):
            if locks.is_locked(self._locks[0]):
                raise RefusedError(
                    f"A folder in {self.path} is being watched already: `fileset watch --status` "
                    "of its repository tells which."
                )

    def _open(self, path: str | Path) -> int:
        """Open a folder for as long as this one is ours."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._locks.append(fd)
        return fd

    def unlock(self) -> None:
        """Let others have it."""
        while self._locks:
            os.close(self._locks.pop())


def open_folders(paths: Iterable[str | os.PathLike[str]], *, wait: bool = False) -> list[Folder]:
    """Return the folders at `paths`; RefusedError for what is none, or lies in another.

    With `wait`, there may be nothing yet.
    """
    folders: list[Folder] = []
    for given in paths:
        path = os.path.realpath(given)
        if not os.path.isdir(path) and (os.path.lexists(path) or not wait):
            waiting = "" if os.path.lexists(path) else " To wait for it: --await-folders."
            raise RefusedError(f"{os.fspath(given)} is no folder that could be watched.{waiting}")
        for other in folders:
            if overlap(path, other.path):
                raise RefusedError(
                    f"{path} and {other.path} overlap: watch the one that holds the other."
                )
        folders.append(Folder(path, network=network_file_system(path)))
    if not folders:
        raise RefusedError("Name a folder to watch.")
    return folders


def refuse_overlap(folders: Iterable[Folder], others: Iterable[tuple[str, str]]) -> None:
    """Raise RefusedError if a folder overlaps one of `others`, each a path and what it is."""
    known = [(os.path.realpath(path), what) for path, what in others]
    for folder in folders:
        for path, what in known:
            if overlap(folder.path, path):
                raise RefusedError(
                    f"{folder.path} can't be watched: it overlaps {what}, {path}. What the watcher "
                    "itself writes would arrive as new files."
                )


class StateLock:
    """The lock in the repository that a watcher of a folder holds while it runs."""

    def __init__(self, repository: Path, folder: Folder) -> None:
        state = repository / STATE
        state.mkdir(mode=0o700, exist_ok=True)
        self._fd = os.open(
            state / f"{folder.key}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        try:
            is_ours = locks.lock(self._fd)
        except BaseException:
            os.close(self._fd)
            raise
        if not is_ours:
            os.close(self._fd)
            raise RefusedError(f"{folder.path} is being watched already: a folder has one watcher.")

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)


def is_held(lock: Path) -> bool:
    """Whether a watcher that holds the lock at `lock` runs; asking is in nobody's way."""
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return locks.is_locked(fd)
    except OSError:
        return False
    finally:
        os.close(fd)


def _is_watched(folder: Path) -> bool:
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(fd)
    return False
