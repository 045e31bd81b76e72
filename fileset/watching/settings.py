"""What a watcher is told to do."""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Final

from attrs import field, frozen
from attrs.validators import ge, gt

IGNORED: Final = (
    ".*",
    "*~",
    "*.part",
    "*.partial",
    "*.filepart",
    "*.tmp",
    "*.temp",
    "*.crdownload",
    "*.swp",
    "@eaDir",
    "lost+found",
    "Thumbs.db",
    "desktop.ini",
    "$RECYCLE.BIN",
    "System Volume Information",
)
"""Names that are never taken: of files that others are still writing, and of no instances."""


class After(Enum):
    """What becomes of a file once the event that adds it is durable."""

    KEEP = "keep"
    DELETE = "delete"
    MOVE = "move"


POLL: Final = 10.0
"""Seconds between two looks at a folder of whose changes the system does not tell."""


@frozen(kw_only=True)
class Settings:
    """How folders are watched.

    Attributes
    ----------
    settle : float
        Seconds between the two looks over which a file has to stay the same.
    quiet : float
        Seconds without a new file after which what came of a study is committed.
    max_study : int
        Files of a study that are committed without waiting any longer.
    poll : float or None
        Look at the folders every so many seconds, with no help of the system. ``None``: do so only
        where that can't help, as on network file systems.
    after : After
        What becomes of files that were taken, or put in the quarantine.
    move_to : Path or None
        The folder for ``After.MOVE``.
    ignore : tuple of str
        Patterns (:mod:`fnmatch`) of names to pass over besides :data:`IGNORED`; one with a ``/``
        is of a path below the watched folder.
    complete : bool
        Invent values that directory records must have and an instance lacks.
    tries : int
        How often a file that can't be taken is read before it goes into the quarantine.
    write : Path or None
        Write the File-set to this root after each study.
    write_every : float
        Seconds between two such writes, at least.
    on_study : tuple of str
        A program and its arguments, to be run after each study.
    hook_timeout : float
        Seconds after which it is ended.
    once : bool
        Take what is there, without waiting for quiet, and end.
    rescan : float
        Seconds between two looks at everything, at least: more where a look takes long.
    max_pending : int
        Files that are kept in mind at a time; more are met again by a later look.
    max_hints : int
        Hints of the system kept at a time; with more, everything is looked at.
    """

    settle: float = field(default=5.0, validator=ge(0))
    quiet: float = field(default=60.0, validator=ge(0))
    max_study: int = field(default=20_000, validator=gt(0))
    poll: float | None = None
    after: After = After.KEEP
    move_to: Path | None = None
    ignore: tuple[str, ...] = ()
    complete: bool = False
    tries: int = field(default=4, validator=gt(0))
    write: Path | None = None
    write_every: float = field(default=0.0, validator=ge(0))
    on_study: tuple[str, ...] = ()
    hook_timeout: float = field(default=60.0, validator=gt(0))
    once: bool = False
    rescan: float = field(default=300.0, validator=gt(0))
    max_pending: int = field(default=200_000, validator=gt(0))
    max_hints: int = field(default=10_000, validator=gt(0))

    def __attrs_post_init__(self) -> None:
        """Refuse what makes no sense together."""
        if (self.after is After.MOVE) != (self.move_to is not None):
            raise ValueError("A folder to move files to goes with After.MOVE, and only with that")


def real(path: str | os.PathLike[str]) -> str:
    """Return the absolute path of a folder, links resolved: what the system tells of it."""
    return os.path.realpath(path)
