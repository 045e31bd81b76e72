"""Which process opened something: one that was forked from it may not use it."""

from __future__ import annotations

import os
from typing import Final

from attrs import field, frozen

_forks = 0
"""How often this process or those that it was forked from were: asking costs no system call."""


def _count_fork() -> None:
    global _forks  # noqa: PLW0603 - it is the process that is counted
    _forks += 1


os.register_at_fork(after_in_child=_count_fork)


@frozen
class Owner:
    """The process with the id `pid`, this one when the object is made."""

    pid: Final[int] = field(factory=os.getpid, init=False)
    _forks: Final[int] = field(factory=lambda: _forks, init=False)

    @property
    def is_this_process(self) -> bool:
        """Whether this is the process itself, and not one that was forked from it."""
        return self._forks == _forks
