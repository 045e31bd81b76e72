"""The watcher, as programs use it."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from fileset.errors import RefusedError
from fileset.fileset import FileSet
from fileset.watching import log
from fileset.watching.folders import open_folders, refuse_overlap
from fileset.watching.host import HostState
from fileset.watching.locks import WatcherLock
from fileset.watching.mounts import overlap
from fileset.watching.publishing import OnChange, OnStatus
from fileset.watching.rounds import Rounds
from fileset.watching.settings import Settings
from fileset.watching.wakeup import WakeUp

_GATHER = 0.02  # seconds, in which more hints come where one came


class Watcher:
    """Watches folders and adds what arrives there to the File-set kept in a repository.

    It opens the repository separately: `file_set` can be used meanwhile, and sees what arrived
    after each `refresh`. In a `with` block, it watches in a thread until the block ends.

    Parameters
    ----------
    file_set : FileSet
        One that is kept in a repository.
    folders : path or paths
        Folders that are there, none within another.
    settings : Settings, optional
        How they are watched.
    on_change, on_status : optional
        Called in the watcher's thread with a `Committed` for each
        study, and some times a second with the `status`. What they raise is logged.
    clock : optional
        Seconds that only go forward.

    Raises
    ------
    RefusedError
        For folders that can't be watched: those of the repository or the medium, and, when it is
        started, those that another watcher has.
    """

    def __init__(
        self,
        file_set: FileSet,
        folders: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
        settings: Settings | None = None,
        *,
        on_change: OnChange | None = None,
        on_status: OnStatus | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        repository = file_set.repository
        if repository.path is None:
            raise RefusedError("What arrives can only be added to a File-set in a repository.")
        self._repository = repository
        self._path = repository.path
        self._settings = settings or Settings()
        self._clock = clock
        self._wakeup = WakeUp()
        self._locks: list[WatcherLock] = []
        self._thread: threading.Thread | None = None
        self._was_started = False
        given = [folders] if isinstance(folders, str | os.PathLike) else folders
        self._folders = open_folders(given, wait=self._settings.wait)
        self._refuse_own_folders()
        self._refuse_missing_program()
        self._host = HostState(self._path)
        self._rounds = Rounds(
            self._path,
            self._host,
            repository.actor,
            self._folders,
            self._settings,
            clock,
            self._wakeup.wake,
        )
        self._status = self._rounds.status
        publisher = self._rounds.publisher
        publisher.on_change, publisher.on_status = on_change, on_status

    def _refuse_own_folders(self) -> None:
        """Refuse folders that the watcher itself, or a write, puts files into."""
        settings, root = self._settings, self._repository.summary().root
        write = None if settings.write is None else os.path.realpath(settings.write)
        if write is not None and root is not None and os.path.realpath(root) != write:
            raise RefusedError(f"The File-set is written to {root}, not {write}: name that root.")
        own: list[tuple[str | Path | None, str]] = [
            (self._path, "the repository"),
            (write, "the medium"),
            (root, "the medium"),
            (settings.move_to, "the folder to move files to"),
        ]
        refuse_overlap(
            self._folders, ((os.fspath(path), what) for path, what in own if path is not None)
        )

    def _refuse_missing_program(self) -> None:
        command = self._settings.on_study
        if command and shutil.which(command[0]) is None:
            raise RefusedError(
                f"{command[0]} can't be run after each study: there is no such program."
            )

    def start(self) -> None:
        """Begin to watch, in a thread of its own.

        RefusedError if another watcher has a folder, or this one was started before.
        """
        self._lock()
        self._thread = threading.Thread(target=self._run, name="fileset-watch", daemon=True)
        self._thread.start()

    def run(self) -> bool:
        """Watch until `stop`, or with `once` until everything is added.

        Return whether every file that was seen, except pending ones, was added, none may belong to
        a different person from others with its Patient ID, and with `once` none is pending.
        RefusedError as for `start`.
        """
        self._lock()
        self._run()
        return self.went_well

    def stop(self, *, wait: bool = True) -> None:
        """Stop after the current change; what is pending is found again later.

        It may be called from any thread, and from a signal handler if it does not `wait`; from a
        callback it never waits. A watcher that was stopped can't be started again.
        """
        self._status.stopping = True
        self._wakeup.wake()
        if wait and self._thread not in {None, threading.current_thread()}:
            assert self._thread is not None  # noqa: S101 - as was asked
            self._thread.join()

    def __enter__(self) -> Self:
        """Begin to watch."""
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop."""
        self.stop()

    @property
    def status(self) -> dict[str, Any]:
        """The status document: numbers, folders and the last error."""
        return self._status.document()

    @property
    def went_well(self) -> bool:
        """Whether nothing has to be looked at: quarantined, mismatched, faulty, given up."""
        status = self._status
        return not (status.quarantined or status.mismatched or status.faulty or status.failed)

    def _lock(self) -> None:
        if self._was_started:
            raise RefusedError("This watcher was started before: make another one.")
        self._refuse_others()
        self._host.refuse_other()
        try:
            for folder in self._folders:
                self._locks.append(self._host.lock(folder))
                if not self._settings.wait or os.path.isdir(folder.path):
                    folder.lock.acquire()
        except BaseException:
            self._unlock()
            raise

        self._was_started = True

    def _refuse_others(self) -> None:
        """Refuse folders that hold one that another watcher of the repository has."""
        running = [status for status in self._host.statuses() if status["running"]]
        for other in (folder["path"] for status in running for folder in status["folders"]):
            for folder in self._folders:
                if overlap(folder.path, other):
                    overlap_ = "" if other == folder.path else f", which overlaps {folder.path},"
                    raise RefusedError(f"{other}{overlap_} is being watched already.")

    def _unlock(self) -> None:
        for folder in self._folders:
            folder.lock.release()
        while self._locks:
            self._locks.pop().close()

    def _run(self) -> None:
        rounds, status = self._rounds, self._status
        log.info("started", pid=os.getpid(), folders=[folder.path for folder in self._folders])
        try:
            while not status.stopping:
                rounds.turn()
                if self._settings.once and rounds.is_drained:
                    break
                if not status.stopping and self._wakeup.wait(rounds.next_due() - self._clock()):
                    time.sleep(_GATHER)
        finally:
            if self._settings.once and not rounds.is_drained:
                status.failed = True
            try:
                rounds.close()
            finally:
                self._unlock()
        log.info("stopped", ingested=status.ingested, pending=status.pending)
