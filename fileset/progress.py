"""How long-running work reports progress: it calls one of these, if it is given one."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

Progress: TypeAlias = Callable[[int, int], None]
"""Called with how many are done, and of how many."""

PhasedProgress: TypeAlias = Callable[[str, int, int], None]
"""Called with what is being done, how many are done, and of how many."""


def no_progress(what: str, done: int, total: int) -> None:
    """Report to nobody: a `PhasedProgress`."""
