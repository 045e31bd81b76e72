"""Counting what a function does, where a time would say less.

Files touched, functions called, system calls.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from attrs import define, field, frozen

_EVENTS: Final = {"os.remove": "unlinked", "os.rename": "renamed", "os.link": "linked"}


@define
class Touched:
    """The paths that were opened for reading or writing, linked, renamed or unlinked."""

    read: list[str] = field(factory=list)
    written: list[str] = field(factory=list)
    linked: list[str] = field(factory=list)
    renamed: list[str] = field(factory=list)
    unlinked: list[str] = field(factory=list)


def files_touched(below: Path, function: Callable[[], object]) -> Touched:
    """Return the files below a folder that Python's audit events tell of while `function` runs.

    An audit hook stays for the life of the process: to be called in one of its own.
    """
    touched = Touched()
    watching = True

    def note(event: str, arguments: tuple[Any, ...]) -> None:
        if not watching or not (event == "open" or event in _EVENTS):
            return
        path, flags = arguments[0], arguments[2] if event == "open" else 0
        if not isinstance(path, str | bytes | os.PathLike):
            return  # an open file
        name = os.fsdecode(path)
        if not Path(name).is_relative_to(below) or (event == "open" and Path(name).is_dir()):
            return
        if event == "os.remove" and not os.path.lexists(name):
            return  # tried in vain
        writing = flags & (os.O_WRONLY | os.O_RDWR)
        kind = _EVENTS.get(event) or ("written" if writing else "read")
        getattr(touched, kind).append(name)

    sys.addaudithook(note)
    function()
    watching = False
    return touched


class _EnoughError(Exception):
    pass


def calls_made(function: Callable[[], object], at_most: int) -> int:
    """Return how many functions, Python's and C's, are called while `function` runs.

    It is stopped at `at_most`.
    """
    calls = 0

    def note(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}
        if calls >= at_most:
            raise _EnoughError

    sys.setprofile(note)
    try:
        function()
    except _EnoughError:
        pass
    finally:
        sys.setprofile(None)
    return min(calls, at_most)


BEGIN: Final = "/where counting begins"
END: Final = "/where counting ends"
_FLUSH: Final = re.compile(r"\d+ +(fsync|fdatasync|syncfs|sync_file_range|msync)\(")


@frozen
class Asked:
    """How often the system was asked for anything, and for a flush."""

    calls: int
    flushes: int


def asked_of_system(module: str, function: str, *arguments: object) -> Asked:
    """Return what a function asks the system for between `BEGIN` and `END`, by strace.

    It looks for files of these names, and is run in a new interpreter, with the arguments as texts,
    by a user whose name is in the environment. OSError or CalledProcessError where that fails.
    """
    script = f"import sys; from {module} import {function}; {function}(*sys.argv[1:])"
    with tempfile.NamedTemporaryFile("r", errors="replace") as log:
        subprocess.run(
            ["strace", "-f", "-qq", f"-o{log.name}", sys.executable, "-c", script]
            + [os.fspath(each) if isinstance(each, Path) else str(each) for each in arguments],
            cwd=Path(__file__).parents[1],
            env={**os.environ, "LOGNAME": "user"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=True,
        )
        lines = log.read().splitlines()
    begin, end = (
        next(number for number, line in enumerate(lines) if f'"{mark}"' in line)
        for mark in (BEGIN, END)
    )
    counted = lines[begin + 1 : end]
    return Asked(len(counted), sum(_FLUSH.match(line) is not None for line in counted))
