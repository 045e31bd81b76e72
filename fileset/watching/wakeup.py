"""Waking a thread that waits: from another thread, and from a signal handler.

An `Event` would not do: a handler that sets it while the same thread is about to wait for it
can wait for ever.
"""

from __future__ import annotations

import os
import select
from contextlib import suppress


class WakeUp:
    """`wake` ends the `wait` that is going on, or else the next one."""

    def __init__(self) -> None:
        self._source, self._target = os.pipe()
        os.set_blocking(self._source, False)
        os.set_blocking(self._target, False)

    def wake(self) -> None:
        """End the wait."""
        with suppress(OSError):  # full: it is awake already; closed: nobody waits any more
            os.write(self._target, b"!")

    def wait(self, seconds: float) -> bool:
        """Wait until somebody wakes us, or `seconds` at most; return whether somebody did."""
        poller = select.poll()
        poller.register(self._source, select.POLLIN)
        if not poller.poll(max(0, int(seconds * 1000 + 1))):
            return False
        with suppress(BlockingIOError):
            while os.read(self._source, 4096):
                pass
        return True

    def __del__(self) -> None:
        """Close the pipe."""
        for end in (self._source, self._target):
            with suppress(OSError):
                os.close(end)
