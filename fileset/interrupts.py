"""Ctrl-C while many files are read or written: noticed between two files, not within one."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred_interrupts() -> Iterator[Callable[[], None]]:
    """Hold back KeyboardInterrupt in the block; yield a function that lets one through.

    What was begun can so be registered, and rolled back if it has to be, before anything else
    happens. One that comes after the last chance is raised at the end of the block. Only Python's
    own handling is deferred, and only in the main thread, the only one that it happens in.
    """
    pending = False

    def remember(_: int, __: FrameType | None) -> None:
        nonlocal pending
        pending = True

    def let_through() -> None:
        nonlocal pending
        if pending:
            pending = False
            raise KeyboardInterrupt

    with _handled_by(remember):
        yield let_through
    let_through()


@contextmanager
def stop_at_interrupt() -> Iterator[Callable[[], bool]]:
    """Yield a function that tells whether there was an interrupt: what it asks for is to stop.

    A second one in the block is a KeyboardInterrupt as ever.
    """
    stopped = False

    def stop(number: int, frame: FrameType | None) -> None:
        nonlocal stopped
        if stopped:
            signal.default_int_handler(number, frame)
        stopped = True

    with _handled_by(stop):
        yield lambda: stopped


@contextmanager
def _handled_by(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have `handler` take interrupts where Python itself would."""
    if (
        threading.current_thread() is not threading.main_thread()
        or signal.getsignal(signal.SIGINT) is not signal.default_int_handler
    ):
        yield
        return
    signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
