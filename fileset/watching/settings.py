"""What a watcher is told to do."""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable
from enum import Enum
from pathlib import Path
from typing import Final

from attrs import field, frozen
from attrs.converters import optional
from attrs.validators import ge, gt, instance_of
from attrs.validators import optional as if_given

IGNORED: Final = (
    ".*",
    "*~",
    "*.part",
    "*.partial",
    "*.filepart",
    "*.tmp",
    "*.temp",
    "*.crdownload",
    "*.download",
    "~$*",
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


def _number(value: float) -> float:
    """Return `value`; TypeError if it is no number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is no number")
    return float(value)


def _whole(value: int) -> int:
    """Return `value`; TypeError if it is no whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is no whole number")
    return value


def _after(value: After | str) -> After:
    """Return `value`, which may be what the command line calls it."""
    return After(value)


def _path(value: str | os.PathLike[str]) -> Path:
    return Path(value)


def _patterns(value: str | Iterable[str]) -> tuple[str, ...]:
    """Return `value` as patterns, a single one too."""
    return _texts([value] if isinstance(value, str) else value)


def _command(value: str | Iterable[str]) -> tuple[str, ...]:
    """Return `value` as a program and its arguments, split as a shell does if it is a text."""
    if not isinstance(value, str):
        return _texts(value)
    if not (command := tuple(shlex.split(value))):
        raise ValueError("A command to run is empty")
    return command


def _texts(values: Iterable[str]) -> tuple[str, ...]:
    texts = tuple(values)
    for text in texts:
        if not isinstance(text, str):
            raise TypeError(f"{text!r} is no text")
    return texts


@frozen(kw_only=True)
class Settings:
    """How folders are watched. TypeError or ValueError for what can't be meant.

    Attributes
    ----------
    settle : float
        Seconds between the two looks over which a file has to stay the same.
    quiet : float
        Seconds without a new file after which what came of a study is committed; after ten times
        as long, and ten minutes at least, it is even if files still come.
    max_study : int
        Files of a study that are committed without waiting any longer.
    poll : float or None
        Look at the folders every so many seconds, with no help of the system. ``None``: do so only
        where that can't help, as on network file systems.
    after : After or str
        What becomes of files that were taken, or put in the quarantine.
    move_to : path or None
        The folder for ``After.MOVE``.
    ignore : str or strs
        Patterns (:mod:`fnmatch`, in any case) of names to pass over besides :data:`IGNORED`; one
        with a ``/`` is of a path below the watched folder.
    complete : bool
        Invent values that directory records must have and an instance lacks.
    tries : int
        How often a file that can't be taken is read before it goes into the quarantine.
    write : path or None
        Write the File-set to this root after each study, with `once` when all is taken.
    write_every : float
        Seconds between two such writes, at least.
    on_study : str or strs
        A program and its arguments, to be run after each study.
    hook_timeout : float
        Seconds after which it is ended.
    once : bool
        Take what is there, without waiting for quiet, and end.
    wait : bool
        Wait for folders that are not there at the start, as for those that go later.
    rescan : float
        Seconds between two looks at everything, at least: more where a look takes long.
    max_pending : int
        Files that are kept in mind at a time; more are met again by a later look.
    max_hints : int
        Hints of the system kept at a time; with more, everything is looked at.
    """

    settle: float = field(default=5.0, converter=_number, validator=ge(0))
    quiet: float = field(default=60.0, converter=_number, validator=ge(0))
    max_study: int = field(default=20_000, converter=_whole, validator=gt(0))
    poll: float | None = field(default=None, converter=optional(_number), validator=if_given(gt(0)))
    after: After = field(default=After.KEEP, converter=_after)
    move_to: Path | None = field(default=None, converter=optional(_path))
    ignore: tuple[str, ...] = field(default=(), converter=_patterns)
    complete: bool = field(default=False, validator=instance_of(bool))
    tries: int = field(default=4, converter=_whole, validator=gt(0))
    write: Path | None = field(default=None, converter=optional(_path))
    write_every: float = field(default=0.0, converter=_number, validator=ge(0))
    on_study: tuple[str, ...] = field(default=(), converter=_command)
    hook_timeout: float = field(default=60.0, converter=_number, validator=gt(0))
    once: bool = field(default=False, validator=instance_of(bool))
    wait: bool = field(default=False, validator=instance_of(bool))
    rescan: float = field(default=300.0, converter=_number, validator=gt(0))
    max_pending: int = field(default=200_000, converter=_whole, validator=gt(0))
    max_hints: int = field(default=10_000, converter=_whole, validator=gt(0))

    def __attrs_post_init__(self) -> None:
        """Refuse what makes no sense together."""
        if (self.after is After.MOVE) != (self.move_to is not None):
            raise ValueError("A folder to move files to goes with After.MOVE, and only with that")


def real(path: str | os.PathLike[str]) -> str:
    """Return the absolute path of a folder, links resolved: what the system tells of it."""
    return os.path.realpath(path)
