"""Reading many files on several processors, in their order.

Helper processes read files and make their records. A helper only does what goes well: a file that
gives rise to an error or a warning, or is large, is left to the process itself, so that what is
told of it is the same whoever read it first.

Helpers are forked, which is safe as long as the process has one thread; with more, and where there
is one processor only, all is read here. A helper ends when its pipe does, so none outlives the
process, however that ends. A `ProcessPoolExecutor` is no faster, and its processes do stay behind
when this one is killed.
"""

from __future__ import annotations

import os
import signal
import threading
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from fileset.adding.candidate import Candidate, absolute, read_path
from fileset.adding.find import FoundFile
from ledger.events import Record
from ledger.instances.instance import Instance

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

WORTH: Final = 3000
"""Files from which the helpers save more time than they take to start."""

_TOGETHER: Final = 64  # files that a helper is given at a time
_HELPERS: Final = 3  # more could read faster than one process can record
_LARGE: Final = 1 << 18  # bytes of a file that costs less to read here than to hand over

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
    waiting = chain(first, waiting)
    helpers: list[_Helper] = []
    try:
        with suppress(OSError):  # no more processes or files are to be had: those there are will do
            for _ in range(_helpers() if len(first) == WORTH else 0):
                helpers.append(
                    _Helper(partial(_read, complete=complete, contents=contents), helpers)
                )
        for batch, answers in _share_out(waiting, helpers):
            for file, answer in zip(batch, answers, strict=True):
                yield file, None if answer is None else _candidate(file.path, answer)
        yield from ((file, None) for file in waiting)
    finally:
        for helper in helpers:
            helper.dismiss()


def _helpers() -> int:
    """Return how many helpers there can be."""
    processors = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if processors < 2 or not hasattr(os, "fork") or threading.active_count() > 1:
        return 0
    return min(processors, _HELPERS)


def _share_out(
    waiting: Iterator[FoundFile], helpers: list[_Helper]
) -> Iterator[tuple[list[FoundFile], list[_Answer]]]:
    """Yield batch after batch with what was made of its files, `None` for what wasn't."""
    busy: deque[tuple[_Helper, list[FoundFile]]] = deque()

    def give(helper: _Helper) -> None:
        if batch := list(islice(waiting, _TOGETHER)):
            helper.ask([file.path for file in batch if _is_plain(file)])
            busy.append((helper, batch))

    for helper in helpers:
        give(helper)
    while busy:
        helper, batch = busy.popleft()
        answers = iter(helper.answer())
        give(helper)  # it goes on while what it found is recorded
        yield batch, [next(answers, None) if _is_plain(f) else None for f in batch]


def _is_plain(file: FoundFile) -> bool:
    return file.skipped is None and not file.is_archive


def _read(path: str, *, complete: bool, contents: bool) -> _Answer:
    """Return what `_candidate` makes a candidate of; any trouble is an exception."""
    if contents and os.stat(path).st_size > _LARGE:
        return None
    found = read_path(path, complete=complete, contents=contents, recorders={})
    instance = found.instance
    return (
        (instance.sop_instance_uid, instance.sop_class_uid, instance.transfer_syntax_uid),
        (instance.media_storage_class_uid, instance.media_storage_instance_uid, instance.misfit),
        tuple([(record.type, record.elements, record.unwritten) for record in found.records]),
        dict(found.invented),
        found.data if contents else None,
    )


def _candidate(path: str, answer: tuple[Any, ...]) -> Candidate:
    uids, meta, records, invented, data = answer
    sop, sop_class, syntax = uids
    return Candidate(
        path,
        absolute(path),
        data,
        Instance(sop, sop_class, syntax, {}, *meta),
        tuple([_record(*record) for record in records]),
        invented,
    )


class _Helper:
    """One process, which is asked and answers in turns: so neither ever waits for the other."""

    def __init__(self, task: Callable[[str], _Answer], others: list[_Helper]) -> None:
        from multiprocessing import Pipe  # noqa: PLC0415 - most commands read few files

        self._pipe, theirs = Pipe()
        try:
            self._pid = os.fork()
        except BaseException:
            self._pipe.close()
            raise
        else:
            if not self._pid:
                _serve(task, theirs, (self, *others))
        finally:
            theirs.close()

    def ask(self, paths: list[str]) -> None:
        """Give it `paths` to begin with."""
        with suppress(OSError):  # it has ended: there will be no answer
            self._pipe.send(paths)

    def answer(self) -> list[_Answer]:
        """Return what it has made of the paths: nothing if it has ended."""
        try:
            answers: list[_Answer] = self._pipe.recv()
        except (EOFError, OSError):
            return []
        return answers

    def let_go(self) -> None:
        """Close our end of its pipe."""
        self._pipe.close()

    def dismiss(self) -> None:
        """End it, and wait until it has ended."""
        self.let_go()
        with suppress(ChildProcessError):  # someone else has waited for all children
            os.waitpid(self._pid, 0)


def _serve(task: Callable[[str], _Answer], pipe: Connection, helpers: Iterable[_Helper]) -> None:
    """Do `task` for whatever paths come, and end the process when none come any more."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is the other process's to decide
        warnings.simplefilter("error")
        for helper in helpers:  # with our end of its pipe in its hands, none would ever end
            helper.let_go()
        while True:
            pipe.send([_tried(task, path) for path in pipe.recv()])
    finally:
        os._exit(0)


def _tried(task: Callable[[str], _Answer], path: str) -> _Answer:
    try:
        return task(path)
    except Exception:  # noqa: BLE001 - it is met again, and told, where the file is read again
        return None
