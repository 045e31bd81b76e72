"""A lock on a file, by flock(2): the system lets go of it when its process ends, however that ends.

The package filelock does the same with some fifty system calls more for each lock that is taken,
and takes longer to import than a small change to record.
"""

from __future__ import annotations

import fcntl
import os
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_POLL_SECONDS: Final = 0.01  # with more, who makes many small changes leaves no gap for others
_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC

_held: Final[set[int]] = set()
"""The descriptors of the files that this process has locked."""


def _let_go_in_child() -> None:
    """Close what was inherited: else the lock would last as long as the forked process."""
    while _held:
        with suppress(OSError):
            os.close(_held.pop())


os.register_at_fork(after_in_child=_let_go_in_child)


class FileLock:
    """A lock on the file at `path`, for one thread at a time, which can take it again.

    The file is made, for its owner alone, and stays.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread: int | None = None
        self._fd = -1
        self._times = 0

    @property
    def is_mine(self) -> bool:
        """Whether this thread has it."""
        return self._thread == threading.get_ident()

    def acquire(self, seconds: float) -> bool:
        """Take it, and return whether it could be had within so many seconds.

        OSError where that fails for any other reason.
        """
        if not self.is_mine:
            end = time.monotonic() + seconds
            while (fd := self._locked()) is None:
                if time.monotonic() >= end:
                    return False
                time.sleep(_POLL_SECONDS)
            _held.add(fd)
            self._fd, self._thread = fd, threading.get_ident()
        self._times += 1
        return True

    def release(self) -> None:
        """Let go of it, once for each time that it was taken."""
        self._times -= 1
        if not self._times:
            self._thread = None
            if self._fd in _held:  # and not closed, as in a forked process
                _held.remove(self._fd)
                try:
                    # A process that is being forked has the same open file for an instant.
                    fcntl.flock(self._fd, fcntl.LOCK_UN)
                finally:
                    os.close(self._fd)

    def _locked(self) -> int | None:
        """Return the open file if nobody else has locked it."""
        fd = os.open(self._path, _FLAGS, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # It may have been deleted since it was opened, and another one made.
            if os.path.samestat(os.fstat(fd), self._path.stat()):
                return fd
        except (BlockingIOError, FileNotFoundError):
            pass
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)
        return None
