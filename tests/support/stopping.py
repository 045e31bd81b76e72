"""Stopping an action at its nth step on files or on the journal: by an error, or by a kill."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

import pytest

from ledger.journal.sqlite import SqliteJournal

SOME_POINTS = pytest.mark.parametrize("stride", [5, pytest.param(1, marks=pytest.mark.soak)])
"""For a test that stops an action at one point after the other: all of them take long."""

_OPERATIONS = ("pwrite", "fsync", "unlink", "rename", "replace", "truncate", "ftruncate", "chmod")


def stop_at(
    nth: int,
    stop: Callable[[], None],
    patch: pytest.MonkeyPatch,
    *,
    operations: Iterable[str] = _OPERATIONS,
    statements: bool = True,
) -> Callable[[], int]:
    """Have the `nth` operation on files, or `statements` to the journal, call `stop` before it."""
    count = 0

    def step(*_: object) -> None:
        nonlocal count
        count += 1
        if count == nth:
            stop()

    def counted(call: Callable[..., object]) -> Callable[..., object]:
        def wrapper(*args: object, **options: object) -> object:
            step()
            return call(*args, **options)

        return wrapper

    for name in operations:
        patch.setattr(os, name, counted(getattr(os, name)))
    opened = SqliteJournal.__init__

    def traced(self: SqliteJournal, *args: Any, **options: Any) -> None:
        opened(self, *args, **options)
        self._connection.set_trace_callback(step)
        self._connection.set_progress_handler(step, 2000)

    if statements:
        patch.setattr(SqliteJournal, "__init__", traced)
    return lambda: count


def killed_at(nth: int, act: Callable[[], object], **options: Any) -> bool:
    """Do it in a child that is killed at its `nth` step; return whether it came to the end."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of threads of the test runner
        child = os.fork()
    if child == 0:
        with suppress(BaseException), pytest.MonkeyPatch.context() as patch:
            stop_at(nth, lambda: os._exit(9), patch, **options)
            act()
            os._exit(0)
        os._exit(1)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9)
    return code == 0
