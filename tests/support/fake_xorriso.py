"""A program that behaves as xorriso does, and fails as it is told to."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

_PROGRAM = """\
#!{python}
import os, shutil, signal, sys, time

arguments = dict(each.split("=", 1) for each in sys.argv[1:] if "=" in each)
with open({calls!r}, "a") as calls:
    print(*sys.argv[1:], file=calls)
{begin}
if "-data" in sys.argv:
    image = sys.argv[-1]
    size = os.path.getsize(image)
    for done in (0, size // 2, size):
        written = f"{{done >> 20:4}} of {{size >> 20:4}} MB written [buf 50%]"
        sys.stderr.write(f"\\rxorriso : UPDATE : {{written}}")
        sys.stderr.flush()
    place = arguments["dev"].removeprefix("stdio:")
    shutil.copyfile(image, place)
    with open(place, "ab") as file:
        file.write(bytes(300 << 10))
{end}
"""


def fail(*messages: str, code: int = 5) -> str:
    """Return what has it say messages of xorriso and fail."""
    said = "".join(f"xorriso : FAILURE : {message}\n" for message in messages)
    return f"sys.stderr.write({said!r}); sys.exit({code})"


def install(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *, begin: str = "", end: str = ""
) -> Path:
    """Make it the first xorriso on the path; return the file with the arguments of its calls.

    `begin` and `end` are what it does before and after it burns, in Python.
    """
    programs, calls = folder / "programs", folder / "calls"
    programs.mkdir(exist_ok=True)
    calls.touch()
    program = programs / "xorriso"
    program.write_text(
        _PROGRAM.format(python=sys.executable, calls=str(calls), begin=begin, end=end)
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    return calls
