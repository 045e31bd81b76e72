"""The pager: what is long is shown a screen at a time, as git does it."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import IO, Final

VARIABLE: Final = "FILESET_PAGER"
"""The environment variable that names the pager of this command alone."""

_USUAL: Final = "less"
_OPTIONS: Final = {"LESS": "FRSX", "LV": "-c"}
"""What pagers are told unless the environment does: end where all fits, take colours, cut lines."""


def pager_named(environment: Mapping[str, str], configured: str | None = None) -> str | None:
    """Return the command of the pager, for a shell; `None` if there is to be none.

    The first of these counts: FILESET_PAGER, what is `configured`, PAGER, and less. An empty one
    and `cat` stand for none. UserWarning if the program that is named is not there.
    """
    is_dumb = environment.get("TERM", "dumb") == "dumb"  # less would ask for a key each time
    named = {VARIABLE: environment.get(VARIABLE)}
    if not is_dumb:
        named |= {"The configuration": configured, "PAGER": environment.get("PAGER")}
    for who, command in named.items():
        if command is not None:
            return _checked(command, who)
    return None if is_dumb or shutil.which(_USUAL) is None else _USUAL


def _checked(command: str, who: str) -> str | None:
    if command.strip() in {"", "cat"}:
        return None
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    program = next((word for word in words if not re.match(r"\w+=", word)), None)
    if program is not None and shutil.which(program) is not None:
        return command
    import warnings  # noqa: PLC0415 - most pagers are there

    warnings.warn(f"{who} names the pager '{command}', which can't be run", stacklevel=3)
    return None


@contextmanager
def paging(command: str) -> Iterator[IO[str]]:
    """Run a pager while the block writes to what it is given, and until the person has read it.

    The block ends where nobody reads any further. Ctrl-C is the pager's: it does not end us.
    """
    import subprocess  # noqa: PLC0415 - as this is for a person at a terminal

    # Not ignored, which the pager would inherit.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        pager = subprocess.Popen(  # noqa: S602 - the person's own, which may have options and pipes
            command,
            shell=True,
            stdin=subprocess.PIPE,
            env={**_OPTIONS, **os.environ},
            encoding=sys.stdout.encoding,
            errors="backslashreplace",
        )
        assert pager.stdin is not None  # noqa: S101 - it is a pipe
        try:
            with suppress(BrokenPipeError):
                yield pager.stdin
        finally:
            with suppress(BrokenPipeError):
                pager.stdin.close()
            pager.wait()
    finally:
        signal.signal(signal.SIGINT, before)
