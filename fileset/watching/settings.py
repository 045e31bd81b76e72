"""How a watcher works: its settings."""

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

from fileset.adding.coercing import Coercer
from fileset.correcting.coercion import coercer


class After(Enum):
    """What becomes of a file once the event that adds it is durable."""

    KEEP = "keep"
    DELETE = "delete"
    MOVE = "move"


POLL: Final = 10.0
"""Seconds between two scans of a folder whose changes the system does not report."""


def _number(value: float) -> float:
    """Return `value`; TypeError if it is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{value!r} is not a number")
    return float(value)


def _whole(value: int) -> int:
    """Return `value`; TypeError if it is not a whole number."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{value!r} is not a whole number")
    return value


def _after(value: After | str) -> After:
    """Return `value`, which may be what the command line calls it."""
    return After(value)


def _path(value: str | os.PathLike[str]) -> Path:
    return Path(value)


def _coercer(value: str | os.PathLike[str] | Coercer) -> Coercer:
    """Return what coerces by the rules in a file; `CorrectionError` if they are wrong."""
    return coercer(Path(value)) if isinstance(value, str | os.PathLike) else value


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
            raise TypeError(f"{text!r} is not a string")
    return texts


@frozen(kw_only=True)
class Settings:
    """How folders are watched. TypeError or ValueError for values that make no sense.

    Attributes
    ----------
    settle : float
        Seconds between the two looks over which a file has to stay the same.
    quiet : float
        Seconds without a new file after which what has arrived of a study is committed. If files
        keep coming, it is committed after ten times as long, and at least ten minutes.
    max_study : int
        Number of files of a study that are committed without waiting any longer.
    poll : float or None
        Scan the folders every so many seconds, without relying on notifications of the system.
        `None`: do so only where there are none, as on network file systems.
    after : After or str
        What becomes of files that were taken, or put in the quarantine.
    move_to : path or None
        The folder for `After.MOVE`.
    ignore : str or strs
        Patterns (`fnmatch`, in any case) of names to pass over besides `IGNORED`; one
        with a `/` is of a path below the watched folder.
    complete : bool
        Invent values that directory records require and an instance lacks.
    reject_mismatched : bool
        Put into the quarantine what may be of another person than others with its Patient ID.
    coerce : path or Coercer, optional
        Correct what arrives by the rules in this file, which is read once, as
        `FileSet.add_many` does; what they can't be applied to goes into the quarantine.
    tries : int
        How often a file that can't be taken is read before it goes into the quarantine.
    write : path or None
        Write the File-set to this root after each study, with `once` when all is taken.
    write_every : float
        Seconds between two such writes, at least.
    on_study : str or strs
        A program and its arguments, to be run after each study.
    hook_timeout : float
        Seconds after which that program is ended.
    once : bool
        Take what is there, without waiting until studies are quiet, and end.
    wait : bool
        Wait for folders that are not there at the start, as for those that disappear later.
    rescan : float
        Seconds between two scans of everything, at least: more where a scan takes long.
    max_pending : int
        Number of pending files in memory; others are found again by a later scan.
    max_hints : int
        Number of notifications in memory; with more, everything is scanned.
    """

    settle: float = field(default=5.0, converter=_number, validator=ge(0))
    quiet: float = field(default=60.0, converter=_number, validator=ge(0))
    max_study: int = field(default=20_000, converter=_whole, validator=gt(0))
    poll: float | None = field(default=None, converter=optional(_number), validator=if_given(gt(0)))
    after: After = field(default=After.KEEP, converter=_after)
    move_to: Path | None = field(default=None, converter=optional(_path))
    ignore: tuple[str, ...] = field(default=(), converter=_patterns)
    complete: bool = field(default=False, validator=instance_of(bool))
    reject_mismatched: bool = field(default=False, validator=instance_of(bool))
    coerce: Coercer | None = field(default=None, converter=optional(_coercer))
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
            raise ValueError(
                "A folder to move files to is needed for After.MOVE and for nothing else"
            )
