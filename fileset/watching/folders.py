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

from attrs import define

from fileset.errors import RefusedError
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
    _lock: int | None = None

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
        repository tells.
        """
        self.unlock()
        self._refuse_within_watched()
        fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(fd)
            raise RefusedError(
                f"{self.path} is being watched already: a folder has one watcher."
            ) from None
        except OSError as exc:
            os.close(fd)
            if exc.errno not in {errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL}:
                raise
        else:
            self._lock = fd

    def _refuse_within_watched(self) -> None:
        for parent in Path(self.path).parents:
            try:
                fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except OSError:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                raise RefusedError(
                    f"{self.path} lies in {parent}, which is being watched already."
                ) from None
            except OSError:
                continue
            finally:
                os.close(fd)

    def unlock(self) -> None:
        """Let others have it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def open_folders(
    paths: Iterable[str | os.PathLike[str]], *, wait: bool = False
) -> list[Folder]:
    """Return the folders at `paths`; RefusedError for what is none, or lies in another.

    With `wait`, there may be nothing yet.
    """
    folders: list[Folder] = []
    for given in paths:
        path = os.path.realpath(given)
        if not os.path.isdir(path) and (os.path.lexists(path) or not wait):
            waiting = "" if os.path.lexists(path) else " To wait until it is there: --wait."
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
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._fd)
            raise RefusedError(
                f"{folder.path} is being watched already: a folder has one watcher."
            ) from None

    def close(self) -> None:
        """Let go of it."""
        os.close(self._fd)


def is_held(lock: Path) -> bool:
    """Whether a watcher that holds the lock at `lock` runs."""
    try:
        fd = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
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
