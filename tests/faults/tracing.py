"""Faults at the system calls of a process, by strace (Linux, where a process may trace its own)."""

from __future__ import annotations

import ctypes
import gc
import os
import re
import shutil
import subprocess
import tempfile
from collections import Counter
from functools import cache, partial
from pathlib import Path
from typing import Final

from attrs import evolve

from fileset.repository.origin import default_actor

from .points import (
    Call,
    Child,
    HarnessError,
    Kind,
    Point,
    Told,
    concerns,
    names,
    told_by,
    without_random,
)
from .scenarios import Scenario

_CHANGES: Final = names(
    "write pwrite64 writev pwritev pwritev2 rename renameat renameat2 unlink unlinkat "
    "mkdir mkdirat rmdir link linkat symlink symlinkat truncate ftruncate fallocate "
    "copy_file_range sendfile chmod fchmod fchmodat fchmodat2 utimensat fsync fdatasync "
    "syncfs"
)
_READS: Final = names(
    "read pread64 readv preadv preadv2 open openat openat2 creat stat lstat fstat "
    "newfstatat statx access faccessat faccessat2 readlink readlinkat getdents64 close "
    "flock fcntl statfs fstatfs"
)
_TAKE_SPACE: Final = names(
    "write pwrite64 writev pwritev pwritev2 rename renameat renameat2 mkdir mkdirat link "
    "linkat symlink symlinkat ftruncate fallocate copy_file_range sendfile fsync "
    "fdatasync syncfs"
)
_LINE: Final = re.compile(r"\d+ +(\w+)\((.*)")
_MAKES: Final = re.compile(r"\bO_(CREAT|TRUNC)\b")
_PR_SET_PTRACER: Final = 0x59616D61
_SECONDS: Final = 60


class Tracing:
    """Faults at system calls."""

    name = "strace"

    def calls(self, scenario: Scenario, folder: Path) -> list[Call]:
        """See `Form`."""
        told, calls, _ = _traced(scenario, folder)
        if not told.done:
            raise HarnessError(f"{scenario.name} fails without a fault: {told}")
        return [call for call in calls if concerns(call.text)]

    def act(self, scenario: Scenario, folder: Path, point: Point) -> Told:
        """See `Form`."""
        what = "signal=KILL" if point.kind is Kind.KILL else f"error={point.kind.value}"
        told, calls, lines = _traced(
            scenario, folder, f"--inject={point.call.name}:{what}:when={point.call.number}"
        )
        here = [
            line
            for call, line in zip(calls, lines, strict=True)
            if call.number == point.call.number and call.is_same(point.call)
        ]
        happened = told.killed if point.kind is Kind.KILL else "(INJECTED)" in "".join(here)
        if not here or not happened:
            raise HarnessError(f"{point}: it did not come to pass: {told}, {lines[-3:]}")
        if point.kind is Kind.KILL and here != lines[-1:]:
            raise HarnessError(f"{point}: it was killed elsewhere: {lines[-1]}")
        return told


@cache
def why_not() -> str | None:
    """Return why nothing can be traced here, `None` if it can."""
    if shutil.which("strace") is None:
        return "strace is not installed"
    try:
        child = Child(Told, first=_allow_tracing)
        try:
            tracer = _attach(child.pid, Path("/dev/null"))
        finally:
            child.let_go()
            child.result()
        tracer.wait(_SECONDS)
    except HarnessError as exc:
        return str(exc)
    return None


def _traced(scenario: Scenario, folder: Path, *options: str) -> tuple[Told, list[Call], list[str]]:
    """Act under strace; return what was told and the calls, each with its line of the log."""
    with tempfile.NamedTemporaryFile("r", prefix="strace-", errors="replace") as log:
        child = Child(partial(_act, scenario, folder), first=_make_ready)
        try:
            tracer = _attach(child.pid, Path(log.name), *options)
        finally:
            child.let_go()
            told = child.result()
        if tracer.wait(_SECONDS) not in (0, 137, -9):
            raise HarnessError(f"strace ended with {tracer.returncode}")
        calls, lines = _parsed(log.read().splitlines(), folder)
    return told, calls, lines


def _act(scenario: Scenario, folder: Path) -> Told:
    return told_by(partial(scenario.act, folder))


def _attach(pid: int, log: Path, *options: str) -> subprocess.Popen[bytes]:
    """Have strace follow a process that waits; from its next call on everything counts."""
    traced = ",".join(f"?{name}" for name in sorted(_CHANGES | _READS))
    tracer = subprocess.Popen(
        ["strace", "-f", "-y", "-s0", f"-o{log}", f"--trace={traced}", *options, f"-p{pid}"],
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert tracer.stderr is not None
    with tracer.stderr:
        told = tracer.stderr.readline().decode(errors="replace")
    if "attached" not in told:
        tracer.kill()
        tracer.wait()
        raise HarnessError(f"strace can't attach to a process: {told.strip()}")
    return tracer


def _make_ready() -> None:
    """Make a process ready to act as every other one does."""
    # What the collector closes, it would close at another time in another run.
    gc.collect()
    gc.disable()
    # Each hundredth time that it is asked for that, the C library closes a socket of its own.
    os.environ["LOGNAME"] = default_actor()
    _allow_tracing()


def _allow_tracing() -> None:
    """Let any process of the user trace this one (the Yama security module)."""
    ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1 & 0xFFFFFFFFFFFFFFFF), 0, 0, 0)


def _parsed(log: list[str], folder: Path) -> tuple[list[Call], list[str]]:
    calls, lines = [], []
    numbers: dict[str, int] = {}
    such: Counter[tuple[str, str]] = Counter()
    for line in log:
        found = _LINE.match(line)
        if found is None:
            continue
        name, rest = found.groups()
        numbers[name] = number = numbers.get(name, 0) + 1
        call = _call(name, number, rest, folder)
        calls.append(evolve(call, before=such[name, call.text]))
        such[name, call.text] += 1
        lines.append(line)
    return calls, lines


def _call(name: str, number: int, rest: str, folder: Path) -> Call:
    # What it returned, and what it was given to read into, is no part of which call it is.
    rest = rest.rpartition(") = ")[0] or rest
    paths = re.findall(rf'{re.escape(str(folder))}(?=[/">])([^">]*)', rest)
    flags = re.findall(r"\bO_CREAT\b|\bO_TRUNC\b|\bF_\w*LK\w*", rest) if paths else []
    text = without_random(" ".join([*(path or "/" for path in paths), *flags]))
    if name == "fcntl" and "LK" not in text:
        text = ""  # asks for flags of the descriptor: no disk is concerned
    makes = bool(_MAKES.search(rest)) or name == "creat"
    changes = name in _CHANGES or makes
    return Call(name, number, text, changes, name in _TAKE_SPACE or makes)
