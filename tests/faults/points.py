"""What a fault is: a call of an operation, and what becomes of it."""

from __future__ import annotations

import json
import os
import re
import select
import signal
import traceback
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Final, Protocol

from attrs import asdict, frozen

from ledger.errors import LedgerError

from .scenarios import ACKNOWLEDGED, PartlyError, Scenario

_RANDOM: Final = re.compile(r"(?<=[.-])(?:[a-z0-9_]{4}){2,4}(?=[./ ]|$)")


class HarnessError(Exception):
    """A fault did not come to pass where it was meant: nothing can be told from what followed."""


class Kind(Enum):
    """What becomes of a call."""

    KILL = "KILL"
    """The process is killed instead of it."""

    EIO = "EIO"
    """It fails: the disk has a fault."""

    ENOSPC = "ENOSPC"
    """It fails: the disk is full."""


@frozen
class Call:
    """A file system call of an operation.

    `name` and `number` tell which one it is in one run: the `number`-th of that name, from 1.
    `text` is which paths below the scenario's folder it concerns, without what differs from run to
    run. `name`, `text` and `before`, how many of that name and text came before it, tell which one
    it is in any run.
    """

    name: str
    number: int
    text: str
    changes: bool
    """Whether it changes anything on a disk. A kill before one that only reads is a kill before the
    next one that changes something, for nothing on the disk tells them apart."""
    takes_space: bool
    before: int = 0

    def is_same(self, other: Call) -> bool:
        """Whether it is `other`, in another run perhaps."""
        return (self.name, self.text, self.before) == (other.name, other.text, other.before)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """The faults that it can have."""
        found = [Kind.EIO]
        if self.changes:
            found.append(Kind.KILL)
        if self.takes_space:
            found.append(Kind.ENOSPC)
        return tuple(found)


@frozen
class Point:
    """A fault: what becomes of a call."""

    call: Call
    kind: Kind

    def __str__(self) -> str:
        """Return it for people."""
        return f"{self.kind.value} at {self.call.name} {self.call.number}: {self.call.text}"


@frozen
class Told:
    """What an operation told its user: nothing if it was killed, or an error, or that it is done.

    `problem` is what is wrong with the error, if anything is.
    """

    killed: bool = False
    error: str | None = None
    partly: bool = False
    problem: str | None = None

    @property
    def done(self) -> bool:
        """Whether all was done, as far as the user knows."""
        return not self.killed and self.error is None


class Form(Protocol):
    """A way to have faults."""

    name: str

    def calls(self, scenario: Scenario, folder: Path) -> list[Call]:
        """Act without a fault, and return the calls that concern `folder`."""

    def act(self, scenario: Scenario, folder: Path, point: Point) -> Told:
        """Act with a fault; HarnessError if it did not come to pass at the call it is for."""


def concerns(text: str) -> bool:
    """Whether a call is about a scenario's folder, but for what the scenario itself writes."""
    return text != "" and f"/{ACKNOWLEDGED}" not in text


def names(text: str) -> frozenset[str]:
    """Return the words of a text as names of calls."""
    return frozenset(text.split())


def without_random(text: str) -> str:
    """Return the text of a call without the random parts of temporary names."""
    return _RANDOM.sub("*", text)


# --- processes that act --------------------------------------------------------------------------


def told_by(act: Callable[[], object]) -> Told:
    """Act, and return what that tells the user."""
    try:
        act()
    except Exception as exc:  # noqa: BLE001 - which ones are right is what is asked
        text = f"{type(exc).__name__}: {exc}"
        return Told(error=text, partly=isinstance(exc, PartlyError), problem=_problem(exc))
    return Told()


def _problem(exc: Exception) -> str | None:
    """Return why a user could do nothing with an error, `None` if it is a good one."""
    if isinstance(exc, LedgerError) and str(exc):
        return None
    if isinstance(exc, OSError) and exc.filename is not None:
        return None  # the command prints what is wrong with which file
    return "".join(traceback.format_exception(exc))


class Child:
    """A forked process that acts once it is let go, and tells what it told.

    It has done `first` when the object is made.
    """

    def __init__(self, act: Callable[[], Told], first: Callable[[], object] = lambda: None) -> None:
        go, self._go = os.pipe()
        self._told, told = os.pipe()
        self.pid = os.fork()
        if self.pid:
            os.close(go)
            os.close(told)
            os.read(self._told, 1)
            return
        try:  # nothing of this process's own may run to its end in the child
            os.close(self._go)
            os.close(self._told)
            first()
            os.write(told, b" ")
            select.select([go], [], [])  # no call of those that are counted
            os.write(told, json.dumps(asdict(act())).encode())
        except BaseException:  # noqa: BLE001 - as above
            os.write(told, json.dumps(asdict(Told(problem=traceback.format_exc()))).encode())
        finally:
            os._exit(0)

    def let_go(self) -> None:
        """Have it act."""
        os.write(self._go, b"!")
        os.close(self._go)

    def result(self) -> Told:
        """Wait for its end, and return what it told."""
        with os.fdopen(self._told, "rb") as file:
            data = file.read()
        _, status = os.waitpid(self.pid, 0)
        if os.WIFSIGNALED(status):
            if os.WTERMSIG(status) != signal.SIGKILL:
                raise HarnessError(f"It ended with signal {os.WTERMSIG(status)}")
            return Told(killed=True)
        return Told(**json.loads(data))
