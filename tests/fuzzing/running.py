"""Running the fuzzers for a time, and keeping what they find."""

from __future__ import annotations

import hashlib
import signal
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random
from types import FrameType

from attrs import define, field

from fuzzing.mutations import mutated
from fuzzing.targets import TARGETS

FINDS = Path(__file__).parent / "finds"
SECONDS = 20
"""How long one input may take: the machine may have other things to do."""


class TooLongError(Exception):
    """An input takes too long."""


@define
class Outcome:
    """What a run has tried, and found: the name of the target, the error's text, the input."""

    executions: dict[str, int] = field(factory=dict)
    finds: list[tuple[str, str, bytes]] = field(factory=list)


@contextmanager
def alarm(seconds: int = SECONDS) -> Iterator[None]:
    """Raise `TooLongError` in the block after some time."""

    def ring(_: int, __: FrameType | None) -> None:
        raise TooLongError(f"not done in {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def fuzz(seconds: float, seed: int, names: list[str] | None = None) -> Outcome:
    """Try mutations of the corpus on the targets in turns, for some `seconds` together.

    What is tried follows from the `seed`, how much of it from the time. Each way to fail, by
    where it fails, is found once.
    """
    outcome = Outcome()
    known: set[tuple[str, ...]] = set()
    chosen = names or list(TARGETS)
    randoms = {name: Random(f"{seed} {name}") for name in chosen}  # noqa: S311 - to be repeatable
    for name in chosen:
        TARGETS[name].seeds()
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for name in chosen:
            turn = time.monotonic() + min(0.5, seconds / len(chosen))
            while time.monotonic() < min(turn, end):
                data = mutated(randoms[name], TARGETS[name].seeds())
                outcome.executions[name] = outcome.executions.get(name, 0) + 1
                failure = failure_of(name, data)
                if failure is not None and failure[0] not in known:
                    known.add(failure[0])
                    outcome.finds.append((name, failure[1], data))
    return outcome


def failure_of(name: str, data: bytes) -> tuple[tuple[str, ...], str] | None:
    """Return where and how a target fails on an input, `None` if it doesn't."""
    try:
        with alarm():
            TARGETS[name].check(data)
    except Exception as exc:  # noqa: BLE001 - whatever it is, it is a find
        frames = traceback.extract_tb(exc.__traceback__)
        where = (name, type(exc).__name__, *(f"{f.filename}:{f.lineno}" for f in frames[-3:]))
        return where, "".join(traceback.format_exception(exc))[-3000:]
    return None


def keep(name: str, data: bytes) -> Path:
    """Keep an input that a target failed on, for the tests."""
    FINDS.mkdir(exist_ok=True)
    path = FINDS / f"{name}-{hashlib.sha256(data).hexdigest()[:12]}.bin"
    path.write_bytes(data)
    return path
