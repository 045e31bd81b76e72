"""Reading many files on several processors, in their order.

Helper processes read files and make their records; what they find comes back through pipes. A
helper only does what goes well: a file that gives rise to an error or a warning, or is large, is
left to the process itself, so that what is told of it is the same whoever read it first.

Helpers are forked, which is safe as long as the process has one thread; with more, and where there
is one processor only, all is read here. A helper ends when its pipe does, so none outlives the
process, however that ends.
"""

from __future__ import annotations

import marshal
import os
import signal
import struct
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from itertools import chain, islice
from typing import Any, Final, TypeAlias

from fileset.finding import FoundFile
from fileset.ingest import Candidate, absolute, read_path
from ledger.events import Record
from ledger.instance import Instance

WORTH: Final = 3000
"""Files from which the helpers save more time than they take to start."""

_TOGETHER: Final = 64  # files that a helper is given at a time
_HELPERS: Final = 3  # more could read faster than one process can record
_LARGE: Final = 1 << 18  # bytes of a file that costs less to read here than to hand over

_LENGTH: Final = struct.Struct("<Q")
_Answer: TypeAlias = "tuple[Any, ...] | None"

_record = lru_cache(maxsize=4096)(Record)


def read_ahead(
    files: Iterable[FoundFile], *, complete: bool, contents: bool
) -> Iterator[tuple[FoundFile, Candidate | None]]:
    """Yield each file, with the instance in it where a helper could read it.

    The caller reads the others. Without `contents` the candidates hold no bytes: they read them
    again if they are asked for. They hold no header either.
    """
    waiting = iter(files)
    first = list(islice(waiting, WORTH))
    helpers = _helpers() if len(first) == WORTH else 0
    if not helpers:
        yield from ((file, None) for file in chain(first, waiting))
        return
    task = partial(_read, complete=complete, contents=contents)
    with _Team(task, helpers) as team:
        for batch, answers in team.work(chain(first, waiting)):
            for file, answer in zip(batch, answers, strict=True):
                yield file, None if answer is None else _candidate(file.path, answer)


def _helpers() -> int:
    """Return how many helpers there can be."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if processors < 2 or not hasattr(os, "fork") or threading.active_count() > 1:
        return 0
    return min(processors, _HELPERS)


def _read(path: str, *, complete: bool, contents: bool) -> _Answer:
    """Return what :func:`_candidate` makes a candidate of; any trouble is an exception."""
    if contents and os.stat(path).st_size > _LARGE:
        return None
    found = read_path(path, complete=complete, contents=contents, recorders={})
    instance = found.instance
    return (
        instance.sop_instance_uid,
        instance.sop_class_uid,
        instance.transfer_syntax_uid,
        tuple([(record.type, record.elements) for record in found.records]),
        dict(found.invented),
        found.data if contents else None,
    )


def _candidate(path: str, answer: tuple[Any, ...]) -> Candidate:
    uid, sop_class, syntax, records, invented, data = answer
    return Candidate(
        path,
        absolute(path),
        data,
        Instance(uid, sop_class, syntax, {}),
        tuple([_record(*record) for record in records]),
        invented,
    )


class _Team:
    """Helper processes that do `task` for paths, each a batch at a time."""

    def __init__(self, task: Callable[[str], _Answer], size: int) -> None:
        self._task = task
        self._size = size
        self._members: list[_Helper] = []

    def __enter__(self) -> _Team:
        try:
            for _ in range(self._size):
                self._members.append(_Helper(self._task, self._members))
        except OSError:  # no more processes or files are to be had: those there are will do
            pass
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for member in self._members:
            member.dismiss()

    def work(self, files: Iterable[FoundFile]) -> Iterator[tuple[list[FoundFile], list[_Answer]]]:
        """Yield batch after batch with what was made of its files, ``None`` for what wasn't."""
        waiting = iter(files)
        busy: deque[tuple[_Helper, list[FoundFile]]] = deque()

        def give(member: _Helper) -> None:
            if batch := list(islice(waiting, _TOGETHER)):
                member.ask([file.path for file in batch if file.skipped is None])
                busy.append((member, batch))

        for member in self._members:
            give(member)
        while not self._members and (batch := list(islice(waiting, _TOGETHER))):
            nothing: list[_Answer] = [None] * len(batch)
            yield batch, nothing
        while busy:
            member, batch = busy.popleft()
            answers = iter(member.answer())
            give(member)  # it goes on while what it found is recorded
            yield batch, [None if f.skipped is not None else next(answers, None) for f in batch]


class _Helper:
    """One process, which is asked and answers in turns: so neither ever waits for the other."""

    def __init__(self, task: Callable[[str], _Answer], others: list[_Helper]) -> None:
        ends: list[int] = []
        try:
            ends += os.pipe()
            ends += os.pipe()
            self._pid = os.fork()
        except BaseException:
            for end in ends:
                os.close(end)
            raise
        theirs_in, ours_out, ours_in, theirs_out = ends
        if not self._pid:
            # With another's end of a pipe in its hands, it would keep that one from ending.
            for other in others:
                other.let_go()
            os.close(ours_out)
            os.close(ours_in)
            _serve(task, theirs_in, theirs_out)
        os.close(theirs_in)
        os.close(theirs_out)
        self._in, self._out = ours_in, ours_out

    def ask(self, paths: list[str]) -> None:
        """Have it begin with `paths`."""
        with suppress(BrokenPipeError):  # it has ended: there will be no answer
            _send(self._out, paths)

    def answer(self) -> list[_Answer]:
        """Return what it has made of the paths: nothing if it has ended."""
        answers: list[_Answer] | None = _receive(self._in)
        return answers or []

    def let_go(self) -> None:
        """Close our ends of its pipes."""
        os.close(self._in)
        os.close(self._out)

    def dismiss(self) -> None:
        """Have it end."""
        self.let_go()
        with suppress(ChildProcessError):  # someone else has waited for all children
            os.waitpid(self._pid, 0)


def _serve(task: Callable[[str], _Answer], source: int, target: int) -> None:
    """Do `task` for whatever paths come, and end the process when none come any more."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the other process's to decide
        warnings.simplefilter("error")
        while (paths := _receive(source)) is not None:
            _send(target, [_tried(task, path) for path in paths])
    finally:
        os._exit(0)


def _tried(task: Callable[[str], _Answer], path: str) -> _Answer:
    try:
        return task(path)
    except Exception:  # noqa: BLE001 - it is met again, and told, where the file is read again
        return None


def _send(fd: int, message: list[Any]) -> None:
    data = marshal.dumps(message)
    view = memoryview(_LENGTH.pack(len(data)) + data)
    while view:
        view = view[os.write(fd, view) :]


def _receive(fd: int) -> Any | None:
    """Return the next message, ``None`` where the other end was closed."""
    head = _read_exactly(fd, _LENGTH.size)
    if head is None:
        return None
    data = _read_exactly(fd, *_LENGTH.unpack(head))
    return None if data is None else marshal.loads(data)  # noqa: S302 - our own process sent it


def _read_exactly(fd: int, size: int) -> bytes | None:
    parts = []
    while size:
        part = os.read(fd, min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
