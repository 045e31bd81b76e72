"""Locks that give a folder one watcher, and asking for them without taking them.

A folder itself is locked with flock(2), so that nothing has to be put into it. All others are
Linux's open file description locks (fcntl(2)): F_OFD_GETLK tells of a lock without having it for an
instant, as trying with flock(2) would, which could keep a watcher from starting. A folder can be
locked in that way with others only, since it can't be open for writing.
"""

from __future__ import annotations

import errno
import fcntl
import os
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final

from fileset.errors import RefusedError
from ledger.files import naming

_SET: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None)
_GET: Final[int | None] = getattr(fcntl, "F_OFD_GETLK", None)
_FLOCK: Final = struct.Struct("hhqqi4x")  # type, whence, start, length and pid, as on 64 bits
_NO_SUCH_LOCKS: Final = frozenset({errno.EBADF, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL})


class WatchedFolderLock:
    """The lock of a watcher on the folder at `path`, held in it and in those above it."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fds: list[int] = []

    def acquire(self) -> None:
        """Take the folder for ourselves; RefusedError if another watcher has it.

        Where the file system knows no locks on folders, as NFS does not, only the lock in the
        repository tells. On the folders above, as far as they may be read, is a shared lock, which
        tells those that would watch one of them.
        """
        self.release()
        try:
            self._lock_own()
            self._lock_above()
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Let others have it."""
        while self._fds:
            with suppress(OSError):  # the lock goes all the same
                os.close(self._fds.pop())

    def _open(self, path: str | Path) -> int:
        self._fds.append(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
        return self._fds[-1]

    def _lock_own(self) -> None:
        fd = self._open(self._path)
        try:
            with naming(self._path):
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _refusal(self._path) from None
        except OSError as exc:
            if exc.errno not in _NO_SUCH_LOCKS:
                raise

    def _lock_above(self) -> None:
        """Tell the folders above first, and then ask: of two that start, one sees the other."""
        path, parents = self._path, Path(self._path).parents
        for parent in parents:
            with suppress(OSError):
                _lock(self._open(parent), fcntl.F_RDLCK)
        for parent in parents:
            if _is_watched(parent):
                raise RefusedError(f"{path} lies in {parent}, which is being watched already.")
        with suppress(OSError):
            if _is_locked(self._fds[0]):
                raise RefusedError(
                    f"A folder in {path} is being watched already: `fileset watch --status` of "
                    f"its repository shows which."
                )


class WatcherLock:
    """The lock on the file `lock` that the watcher of `folder` holds while it runs.

    RefusedError if another one holds it.
    """

    def __init__(self, lock: Path, folder: str) -> None:
        self._fd = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            with naming(lock):
                is_ours = _lock(self._fd, fcntl.F_WRLCK)
        except BaseException:
            os.close(self._fd)
            raise
        if not is_ours:
            os.close(self._fd)
            raise _refusal(folder)

    def close(self) -> None:
        """Let go of it."""
        with suppress(OSError):  # the lock goes all the same, and there is nothing to lose
            os.close(self._fd)


def is_held(lock: Path) -> bool:
    """Whether a watcher that holds the lock at `lock` runs; asking is in nobody's way."""
    with suppress(OSError):
        fd = os.open(lock, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return _is_locked(fd)
        finally:
            os.close(fd)
    return False


def _refusal(folder: str) -> RefusedError:
    return RefusedError(f"{folder} is being watched already: a folder has one watcher.")


def _is_watched(folder: Path) -> bool:
    """Whether anybody has locked `folder` as its own."""
    with suppress(OSError):
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(fd)
    return False


def _lock(fd: int, kind: int) -> bool:
    """Lock an open file or folder until `fd` is closed; return whether nobody else has it.

    OSError where there are no such locks.
    """
    try:
        _call(_SET, fd, kind)
    except (BlockingIOError, PermissionError):
        return False
    return True


def _is_locked(fd: int) -> bool:
    """Whether anybody else has the open file or folder locked; OSError as for `_lock`."""
    return _call(_GET, fd, fcntl.F_WRLCK) != fcntl.F_UNLCK


def _call(command: int | None, fd: int, kind: int) -> int:
    if command is None:
        raise OSError("The system knows no locks of open file descriptions")
    answer = fcntl.fcntl(fd, command, _FLOCK.pack(kind, 0, 0, 0, 0))
    return int(_FLOCK.unpack(answer)[0])
