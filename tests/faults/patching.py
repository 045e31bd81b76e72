"""Faults at the functions of Python that touch files, where no system call can be traced.

What C code does by itself is one step here: a statement of SQLite, the writing of a file object.
"""

from __future__ import annotations

import builtins
import errno
import gc
import io
import json
import os
import signal
import sqlite3
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final
from unittest import mock
from urllib.parse import unquote, urlsplit

from attrs import asdict, define, field

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

_CHANGE: Final = names(
    "write pwrite rename replace unlink remove mkdir rmdir link symlink truncate "
    "ftruncate chmod fchmod utime fsync sendfile"
)
_READ: Final = names("open stat lstat fstat listdir scandir readlink read readv pread close")
_TAKE_SPACE: Final = names(
    "write pwrite rename replace mkdir link symlink ftruncate fsync sendfile"
)
_SQL_READS: Final = ("select", "pragma", "explain")
_ERRNO: Final = {Kind.EIO: errno.EIO, Kind.ENOSPC: errno.ENOSPC}


class Patching:
    """Faults at functions."""

    name = "python"

    def calls(self, scenario: Scenario, folder: Path) -> list[Call]:
        """See `Form`."""
        watch = _Watch(folder)
        told, calls = _acted(scenario, watch)
        if not told.done:
            raise HarnessError(f"{scenario.name} fails without a fault: {told}")
        return calls

    def act(self, scenario: Scenario, folder: Path, point: Point) -> Told:
        """See `Form`."""
        told, calls = _acted(scenario, _Watch(folder, point))
        if calls[-1:] != [point.call]:
            raise HarnessError(f"{point}: it did not come to pass: {told}")
        if (point.kind is Kind.KILL) != told.killed:
            raise HarnessError(f"{point}: it was {told}")
        return told


@define
class _Watch:
    """What is done in `folder`, told to `report`; at `point` the fault comes to pass."""

    folder: Path
    point: Point | None = None
    report: Callable[[Call], object] = print
    numbers: Counter[str] = field(factory=Counter)
    such: Counter[tuple[str, str]] = field(factory=Counter)
    paths: dict[int, str] = field(factory=dict)
    """Which file each open descriptor is of."""

    def meet(
        self, name: str, things: Sequence[object], *, changes: bool, takes_space: bool
    ) -> None:
        """Take note of a call, and kill or raise where that is the one."""
        text = without_random(" ".join(filter(None, map(self._below, things))))
        if not text:
            return
        self.numbers[name] += 1
        number = self.numbers[name]
        call = Call(name, number, text, changes, takes_space, self.such[name, text])
        self.such[name, text] += 1
        if not concerns(text):
            return
        if self.point is None:
            self.report(call)
        elif (name, number) == (self.point.call.name, self.point.call.number):
            self.report(call)
            if self.point.kind is Kind.KILL:
                os.kill(os.getpid(), signal.SIGKILL)
            if name.startswith("sqlite"):
                full = self.point.kind is Kind.ENOSPC
                raise sqlite3.OperationalError(
                    "database or disk is full" if full else "disk I/O error"
                )
            code = _ERRNO[self.point.kind]
            path = next((t for t in things if isinstance(t, str | os.PathLike)), None)
            raise OSError(code, os.strerror(code), *([os.fspath(path)] if path else []))

    def _below(self, thing: object) -> str:
        if isinstance(thing, int) and not isinstance(thing, bool):
            thing = self.paths.get(thing, "")
        if not isinstance(thing, str | os.PathLike):
            return ""
        path, folder = str(os.fspath(thing)), str(self.folder)
        if path == folder:
            return "/"
        return path.removeprefix(folder) if path.startswith(f"{folder}/") else ""


def _acted(scenario: Scenario, watch: _Watch) -> tuple[Told, list[Call]]:
    """Act in a process of its own; return what was told and the calls that were met."""
    met, report = os.pipe()
    write, close = os.write, os.close

    def act() -> Told:
        close(met)
        gc.collect()
        gc.disable()  # what it closes, it would close at another time in another run
        watch.report = lambda call: write(report, json.dumps(asdict(call)).encode() + b"\n")
        with _patched(watch):
            return told_by(partial(scenario.act, watch.folder))

    child = Child(act)
    os.close(report)
    child.let_go()
    with os.fdopen(met, "rb") as file:
        calls = [Call(**json.loads(line)) for line in file]
    return child.result(), calls


@contextmanager
def _patched(watch: _Watch) -> Iterator[None]:
    with ExitStack() as stack:
        for name in sorted(_CHANGE | _READ):
            patched = _wrapped(name, getattr(os, name), watch)
            stack.enter_context(mock.patch.object(os, name, patched))
        opened = _opened(io.open, watch)
        stack.enter_context(mock.patch.object(io, "open", opened))
        stack.enter_context(mock.patch.object(builtins, "open", opened))
        connect = partial(sqlite3.connect, factory=_connection(watch))
        stack.enter_context(mock.patch.object(sqlite3, "connect", connect))
        yield


def _wrapped(name: str, original: Callable[..., Any], watch: _Watch) -> Callable[..., Any]:
    def call(*args: Any, **kwargs: Any) -> Any:
        makes = name == "open" and bool(args[1] & (os.O_CREAT | os.O_TRUNC))
        things = args[:2] if name in {"rename", "replace", "link", "sendfile"} else args[:1]
        watch.meet(
            name, things, changes=name in _CHANGE or makes, takes_space=name in _TAKE_SPACE or makes
        )
        result = original(*args, **kwargs)
        if name == "open":
            watch.paths[result] = os.fspath(args[0])
        elif name == "close":
            watch.paths.pop(args[0], None)
        return result

    return call


def _opened(original: Callable[..., Any], watch: _Watch) -> Callable[..., Any]:
    def call(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if not isinstance(file, int):
            makes = bool(set(mode) & set("wxa+"))
            watch.meet("io.open", [file], changes=makes, takes_space=makes)
        result = original(file, mode, *args, **kwargs)
        if not isinstance(file, int):
            watch.paths[result.fileno()] = os.fspath(file)
        return result

    return call


def _connection(watch: _Watch) -> type[sqlite3.Connection]:
    """Return a kind of connection whose statements are met as calls on its file."""

    class Connection(sqlite3.Connection):
        def __init__(self, database: Any, *args: Any, **kwargs: Any) -> None:
            self.file = str(database)
            if self.file.startswith("file:"):
                self.file = unquote(urlsplit(self.file).path)
            self._meet("connect", "create")
            super().__init__(database, *args, **kwargs)

        def _meet(self, what: str, sql: str) -> None:
            reads = sql.lstrip().lower().startswith(_SQL_READS)
            watch.meet(f"sqlite {what}", [self.file], changes=not reads, takes_space=not reads)

        def execute(self, sql: str, *args: Any) -> sqlite3.Cursor:
            self._meet("execute", sql)
            return super().execute(sql, *args)

        def executemany(self, sql: str, *args: Any) -> sqlite3.Cursor:
            self._meet("executemany", sql)
            return super().executemany(sql, *args)

        def executescript(self, sql: str) -> sqlite3.Cursor:
            self._meet("executescript", sql)
            return super().executescript(sql)

        def commit(self) -> None:
            self._meet("commit", "commit")
            super().commit()

    return Connection
