"""Who may change a repository: one process at a time, and in it one object and one thread.

Processes keep each other out by a lock on a file; who holds it is told in the cache. Threads that
share an object take turns. Two objects of one repository in one thread would wait for each other
for ever, so that is refused at once.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from fileset.errors import RefusedError, RepositoryError
from fileset.repository.file_lock import FileLock
from fileset.repository.folder import CACHE, HOLDER, JOURNAL, LOCK
from ledger.files import naming, read_file, write_regular
from ledger.journal.clocks import timestamp, utc_now
from ledger.owner import Owner

PATIENCE: Final = 60.0
"""Seconds to wait for others who are changing a repository."""

_changing: dict[tuple[int, str], int] = {}
"""Which thread of a process is changing the repository at a path."""


class WriterLock:
    """Has one thread at a time change what goes with an object, which no other process sees.

    `name` is what messages call it, and `patience` how many seconds to wait for others.
    """

    def __init__(self, name: str = "the File-set") -> None:
        self.patience = PATIENCE
        self._name = name
        self._turn = threading.RLock()
        self._owner = Owner()

    @contextmanager
    def own_turn(self) -> Iterator[None]:
        """Have no other thread use the object for a change; it can be entered again.

        Raises `RefusedError` if another thread is not done in time,
        `RepositoryError` if this process was forked.
        """
        if not self._owner.is_this_process:
            raise RepositoryError(
                f"{self._name} was opened by process {self._owner.pid}, of which this one, "
                f"{os.getpid()}, was forked: open it again here."
            )
        if not self._turn.acquire(timeout=self.patience):
            raise RefusedError(
                f"Another thread has been changing {self._name} for {self.patience:g} s: "
                "try again when it is done."
            )
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def alone(self, origin: str) -> Iterator[None]:
        """Have nobody else change the repository; it can be entered again.

        `origin` is told to those who wait. Raises as `own_turn`, for other processes, too;
        `RepositoryError` also if the repository was moved, deleted or replaced.
        """
        with self.own_turn():
            yield

    @contextmanager
    def if_nobody_else(self) -> Iterator[bool]:
        """Keep others out without waiting, and yield whether that could be done.

        It can't where somebody changes the repository, one may not write, it was moved, or
        this process was forked. OSError where the lock can't be had for another reason.
        """
        yield self._owner.is_this_process

    def last_holder(self) -> str | None:
        """Return who changed the repository last, and when; `None` while someone else does.

        As long as that is the same, all that was seen was whole.
        """
        return ""


class FolderLock(WriterLock):
    """Keeps other processes, too, from changing the repository in the folder `path`.

    With `any_journal` it is about the folder alone, whichever journal is in it: to put another one
    there.
    """

    def __init__(self, path: Path, *, any_journal: bool = False) -> None:
        super().__init__(os.fspath(path))
        self._path = path
        self._any_journal = any_journal
        self._real_path = os.path.realpath(path)
        self._lock = FileLock(path / LOCK)
        self._inode = _inode(path / JOURNAL)

    @contextmanager
    def alone(self, origin: str) -> Iterator[None]:
        """Have nobody else change the repository, as `WriterLock.alone` says."""
        with self.own_turn():
            if self._lock.is_mine:
                yield
            else:
                with self._locked(origin):
                    yield

    @contextmanager
    def _locked(self, origin: str) -> Iterator[None]:
        lock, path = self._lock, self._path
        mine = (self._owner.pid, self._real_path)
        if _changing.get(mine) == threading.get_ident():
            raise RefusedError(
                f"A change of {path} that was begun with another object is open: make both with "
                f"the same object, or this one afterwards."
            )
        self.refuse_if_moved()
        with naming(path / LOCK):
            is_mine = lock.acquire(self.patience)
        if not is_mine:
            holder = self._holder()
            raise RefusedError(
                f"Another process has been changing {path} for {self.patience:g} s"
                f"{f' ({holder})' if holder else ''}: try again when it is done."
            )
        try:
            self.refuse_if_moved()  # it may have been meanwhile
            _changing[mine] = threading.get_ident()
            with suppress(OSError):  # it only informs
                holder = f"process {self._owner.pid}, {origin}, since {timestamp(utc_now)}"
                write_regular(path / CACHE / HOLDER, holder.encode("utf-8", "backslashreplace"))
            try:
                yield
            finally:
                del _changing[mine]
        finally:
            with naming(path / LOCK):
                lock.release()

    @contextmanager
    def if_nobody_else(self) -> Iterator[bool]:
        """Keep others out if there are none, as `WriterLock.if_nobody_else` says."""
        if not self._owner.is_this_process:
            yield False
            return
        self.refuse_if_moved()
        if not self._lock.acquire(0):
            yield False
            return
        try:
            yield True
        finally:
            self._lock.release()

    def last_holder(self) -> str | None:
        """Return who changed the repository last, as `WriterLock.last_holder` says."""
        try:
            with self.if_nobody_else() as alone:
                return self._holder() if alone else None
        except OSError:  # where one may not write, there is no telling
            return ""

    def refuse_if_moved(self) -> None:
        """Refuse to go on where another folder, or none, is by now.

        The lock would be another one, and asking for it would make the folder again.
        """
        if self._any_journal:
            return
        if self._inode is None or _inode(self._path / JOURNAL) != self._inode:
            raise RepositoryError(
                f"The repository that was opened at {self._path} is not there any more: it was "
                "moved, deleted or replaced. Open it again where it is now."
            )

    def _holder(self) -> str:
        """Return who holds the lock, or held it last, as far as that is known."""
        try:
            return read_file(self._path / CACHE / HOLDER).decode("utf-8", errors="replace")
        except OSError:
            return ""


def _inode(path: Path) -> tuple[int, int] | None:
    """Return what the file at `path` is, however it is called; `None` where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
