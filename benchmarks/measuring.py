"""Measuring: a function in this process, a function in a fresh one, a whole command."""

from __future__ import annotations

import gc
import math
import multiprocessing
import os
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import pairwise
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from typing import Any, TypeVar

from attrs import frozen

T = TypeVar("T")


@frozen
class Cost:
    """Seconds by the clock, and of CPU: user and system, of the process and its children."""

    wall: float
    user: float
    system: float

    @property
    def cpu(self) -> float:
        """Seconds of CPU together."""
        return self.user + self.system


@frozen
class Figure:
    """A measured value; `samples` are all that were taken, of which it is the least."""

    value: float
    unit: str
    samples: tuple[float, ...] = ()

    @classmethod
    def least(cls, samples: Sequence[float], unit: str = "s") -> Figure:
        """Return the least of `samples`: what disturbs a measurement only ever adds."""
        return cls(min(samples), unit, tuple(samples))


def timed(function: Callable[[], T]) -> tuple[Cost, T]:
    """Return what calling `function` costs in this process, and what it returns."""
    gc.collect()
    (user, system), wall = _cpu_used(), time.perf_counter()
    result = function()
    took, (user_then, system_then) = time.perf_counter() - wall, _cpu_used()
    return Cost(took, user_then - user, system_then - system), result


def passes(instances: Iterable[Any], keywords: Sequence[str], times: int) -> list[Cost]:
    """Return what each of so many passes over the attributes of all `instances` costs."""

    def go_through() -> None:
        for instance in instances:
            for keyword in keywords:
                getattr(instance, keyword)

    return [timed(go_through)[0] for _ in range(times)]


def _cpu_used() -> tuple[float, float]:
    own, children = getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN)
    return own.ru_utime + children.ru_utime, own.ru_stime + children.ru_stime


def in_child(function: Callable[..., T], *arguments: Any) -> T:
    """Return what `function`, of a module's top level, returns in a new interpreter."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def command(argv: Sequence[str | os.PathLike[str]], cwd: Path | None = None) -> Cost:
    """Return what a whole command costs, its start included; CalledProcessError if it fails.

    Python may keep what it compiles, as pip does for all that it installs: so a checkout is not
    compiled anew each time.
    """
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    wall = time.perf_counter()
    with subprocess.Popen(
        argv,
        cwd=cwd,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stderr is not None
        stderr = process.stderr.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    cost = Cost(time.perf_counter() - wall, usage.ru_utime, usage.ru_stime)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, list(argv), stderr=stderr)
    return cost


def alternate(
    repeat: int, ours: Callable[[], Cost], peer: Callable[[], Cost] | None
) -> tuple[list[Cost], list[Cost]]:
    """Return the costs of `ours` and of `peer`, run in turns so that a disturbance meets both."""
    of_ours: list[Cost] = []
    of_peer: list[Cost] = []
    for _ in range(repeat):
        os.sync()  # nobody pays for what was written before
        of_ours.append(ours())
        if peer is not None:
            os.sync()
            of_peer.append(peer())
    return of_ours, of_peer


def resident() -> int:
    """Return how many bytes of memory this process holds, after collecting garbage."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak() -> int:
    """Return the most bytes of memory that this process has held.

    What getrusage tells of a new process is at least what the one had that started it.
    """
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) << 10


def exponents(costs: dict[int, float]) -> dict[int, float]:
    """Return how costs grow up to each size from the one before: the slope of logarithms.

    One slope over all sizes would hide what happens at the largest.
    """
    sizes = sorted(costs)
    return {
        size: math.log(costs[size] / costs[before]) / math.log(size / before)
        for before, size in pairwise(sizes)
    }
