"""Locks that tell who is at work on a file or folder, and that asking never takes.

These are Linux's open file description locks (fcntl(2)): F_OFD_GETLK tells of a lock without having
it for an instant, as trying with flock(2) would, which could keep a watcher from starting. A folder
can be locked with others only, since it can't be open for writing.
"""

from __future__ import annotations

import fcntl
import struct
from typing import Final

_SET: Final[int | None] = getattr(fcntl, "F_OFD_SETLK", None)
_GET: Final[int | None] = getattr(fcntl, "F_OFD_GETLK", None)
_FLOCK: Final = struct.Struct("hhqqi4x")  # type, whence, start, length and pid, as on 64 bits


def lock(fd: int, *, shared: bool = False) -> bool:
    """Lock the open file or, `shared`, folder; whether nobody else has it.

    It is held until `fd` is closed. OSError where there are no such locks.
    """
    try:
        _call(_SET, fd, fcntl.F_RDLCK if shared else fcntl.F_WRLCK)
    except (BlockingIOError, PermissionError):
        return False
    return True


def is_locked(fd: int) -> bool:
    """Whether anybody else has the open file or folder locked; OSError as for :func:`lock`."""
    return _call(_GET, fd, fcntl.F_WRLCK) != fcntl.F_UNLCK


def _call(command: int | None, fd: int, kind: int) -> int:
    if command is None:
        raise OSError("The system knows no locks of open file descriptions")
    answer = fcntl.fcntl(fd, command, _FLOCK.pack(kind, 0, 0, 0, 0))
    return int(_FLOCK.unpack(answer)[0])
