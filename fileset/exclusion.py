"""Who may change a repository: one process at a time, in it one object, and of that one thread.

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

from filelock import FileLock, Timeout

from fileset.errors import RefusedError, RepositoryError
from fileset.repository_folder import CACHE, HOLDER, JOURNAL, LOCK
from ledger.disk import private
from ledger.files import naming
from ledger.journal import timestamp, utc_now

PATIENCE: Final = 60.0
"""Seconds to wait for others who are changing a repository."""

_POLL_SECONDS: Final = 0.01  # with more, who makes many small changes leaves no gap for others

_changing: dict[tuple[int, str], int] = {}
"""Which thread of a process is changing the repository at a path."""


class Exclusion:
    """Keeps others from changing the repository at `path`; ``None`` for one that has no folder.

    `patience` is how many seconds to wait for them. With `any_journal` it is about the folder
    alone, whichever journal is in it: for who puts another one there.
    """

    def __init__(self, path: Path | None, *, any_journal: bool = False) -> None:
        self._path = path
        self._any_journal = any_journal
        self.patience = PATIENCE
        self._lock = FileLock(path / LOCK, mode=0o600) if path else None
        self._turn = threading.RLock()
        self._pid = os.getpid()
        self._inode = _inode(path / JOURNAL) if path else None

    @contextmanager
    def own_turn(self) -> Iterator[None]:
        """Have no other thread use the object for a change; it can be entered again.

        Raises :class:`~fileset.errors.RefusedError` if another thread is not done in time,
        :class:`~fileset.errors.RepositoryError` if this process was forked.
        """
        if os.getpid() != self._pid:
            raise RepositoryError(
                f"{self._name()} was opened by process {self._pid}, of which this one, "
                f"{os.getpid()}, was forked: open it anew here."
            )
        if not self._turn.acquire(timeout=self.patience):
            raise RefusedError(
                f"Another thread has been changing {self._name()} for {self.patience:g} s: "
                "try again when it is done."
            )
        try:
            yield
        finally:
            self._turn.release()

    @contextmanager
    def alone(self, origin: str) -> Iterator[None]:
        """Have nobody else change the repository; it can be entered again.

        `origin` is told to those who wait. Raises as :meth:`own_turn`, for other processes, too;
        :class:`~fileset.errors.RepositoryError` also if the folder was moved, deleted or replaced.
        """
        with self.own_turn():
            if self._lock is None or self._path is None or self._lock.is_locked:
                yield
            else:
                with self._locked(self._lock, self._path, origin):
                    yield

    @contextmanager
    def _locked(self, lock: FileLock, path: Path, origin: str) -> Iterator[None]:
        mine = (self._pid, os.path.realpath(path))
        if _changing.get(mine) == threading.get_ident():
            raise RefusedError(
                f"A change of {path} is open, which was begun with another object: make both with "
                "the same one, or this one after that."
            )
        self.refuse_if_moved()
        try:
            with naming(path / LOCK):
                lock.acquire(timeout=self.patience, poll_interval=_POLL_SECONDS)
        except Timeout as exc:
            holder = self._holder()
            raise RefusedError(
                f"Another process has been changing {path} for {self.patience:g} s"
                f"{f' ({holder})' if holder else ''}: try again when it is done."
            ) from exc
        try:
            self.refuse_if_moved()  # it may have been meanwhile
            _changing[mine] = threading.get_ident()
            with suppress(OSError):  # it only informs
                told = f"process {self._pid}, {origin}, since {timestamp(utc_now)}"
                with open(path / CACHE / HOLDER, "w", encoding="utf-8", opener=private) as file:
                    file.write(told)
            try:
                yield
            finally:
                del _changing[mine]
        finally:
            with naming(path / LOCK):
                lock.release()

    @contextmanager
    def if_nobody_else(self) -> Iterator[bool]:
        """Keep others out without waiting, and yield whether that could be done.

        It can't where somebody changes the repository, one may not write, the folder was moved, or
        this process was forked. OSError where the lock can't be had for another reason.
        """
        if self._lock is None or os.getpid() != self._pid:
            yield False
            return
        self.refuse_if_moved()
        try:
            self._lock.acquire(timeout=0)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            self._lock.release()

    def last_holder(self) -> str | None:
        """Return who changed the repository last, and when; ``None`` while someone else does.

        As long as that is the same, all that was seen was whole.
        """
        if self._lock is None:
            return ""
        try:
            with self.if_nobody_else() as alone:
                return self._holder() if alone else None
        except OSError:  # where one may not write, there is no telling
            return ""

    def refuse_if_moved(self) -> None:
        """Refuse to go on where another folder, or none, is by now.

        The lock would be another one, and asking for it would make the folder again.
        """
        if self._path is None or self._any_journal:
            return
        if self._inode is None or _inode(self._path / JOURNAL) != self._inode:
            raise RepositoryError(
                f"The repository that was opened at {self._path} is not there any more: it was "
                "moved, deleted or replaced. Open it again where it is now."
            )

    def _holder(self) -> str:
        """Return who holds the lock, or held it last, as far as that is known."""
        try:
            return ((self._path or Path()) / CACHE / HOLDER).read_text("utf-8", errors="replace")
        except OSError:
            return ""

    def _name(self) -> str:
        return os.fspath(self._path) if self._path else "the File-set"


def _inode(path: Path) -> tuple[int, int] | None:
    """Return what the file at `path` is, however it is called; ``None`` where there is none."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
