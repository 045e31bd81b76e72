"""Whether another program still has a file open for writing.

Linux tells by leases (fcntl(2), "Leases"): one for reading is granted while nobody has the file
open for writing, and refused with EAGAIN otherwise. They are for the owner of the file, and for
processes with CAP_LEASE; network file systems and some others know none.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from typing import Final

_LEASE: Final[int | None] = getattr(fcntl, "F_SETLEASE", None)


def is_being_written(path: str, *, folder: int | None = None) -> bool | None:
    """Return whether any program has the file at `path` open for writing, ``None`` if unknown.

    With `folder`, an open folder, `path` is the name of a file in it. Links are not followed.
    FileNotFoundError if it is not there.
    """
    if _LEASE is None:
        return None
    flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        fd = os.open(path, flags, dir_fd=folder)
    except FileNotFoundError:
        raise
    except OSError:
        return None
    try:
        # Who opens it meanwhile waits for us, and we get a signal: one that does nothing.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, _LEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, _LEASE, fcntl.F_UNLCK)
    except OSError as exc:
        return True if exc.errno == errno.EAGAIN else None
    else:
        return False
    finally:
        os.close(fd)
