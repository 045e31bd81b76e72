"""What a file is known by without reading it."""

from __future__ import annotations

import os
import stat
import struct
from typing import Final, NamedTuple

_PACKED: Final = struct.Struct("<QqQq")


class Signature(NamedTuple):
    """Size in bytes, inode number, and the times (ns) of the last change of content and of status.

    The time of status can't be set by programs, so that a rewrite which keeps size and time shows.
    """

    size: int
    mtime_ns: int
    inode: int
    ctime_ns: int

    def packed(self) -> bytes:
        """Return it as 32 bytes."""
        return _PACKED.pack(
            self.size, self.mtime_ns, self.inode & 0xFFFFFFFFFFFFFFFF, self.ctime_ns
        )


def signature(path: str) -> Signature | None:
    """Return the signature of the regular file at `path`, ``None`` where there is none.

    Links are not followed. OSError where that can't be told.
    """
    try:
        return of_stat(os.lstat(path))
    except (FileNotFoundError, NotADirectoryError):
        return None


def of_stat(found: os.stat_result) -> Signature | None:
    """Return the signature in what the system tells of a file, ``None`` if it is not regular."""
    if not stat.S_ISREG(found.st_mode):
        return None
    return Signature(found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns)
