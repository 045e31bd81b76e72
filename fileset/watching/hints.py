"""What the system reports of changes in a folder: hints of where to look first.

Hints get lost. The kernel's queue is bounded, and watchdog tells its handlers nothing of an
overflow; a file in a new folder can come before that folder is watched. So too many hints, or a
burst of them, mean that everything has to be looked at (`scanning`).
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Final, NamedTuple

from watchdog.events import (
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
    FileSystemEvent,
    FileSystemEventHandler,
)
from watchdog.observers import Observer

# Not what reading does, which would have us wake ourselves, nor every single write: a file that
# is being written is looked at until it has settled.
_WANTED: Final[list[type[FileSystemEvent]]] = [
    DirCreatedEvent,
    DirMovedEvent,
    FileClosedEvent,
    FileCreatedEvent,
    FileDeletedEvent,
    FileMovedEvent,
]
_KINDS: Final = tuple(_WANTED)


class TakenHints(NamedTuple):
    """What was hinted at since the last time.

    `files` are paths to look at. `folders` came to be, so that files in them may have gone
    unnoticed; `overflown` tells whether there were more hints than are kept.
    """

    files: set[str]
    folders: set[str]
    overflown: bool


class Hints(FileSystemEventHandler):
    """A bounded set of paths at which something happened, filled by watchdog's threads.

    `wake` is called when there is a first one.
    """

    def __init__(self, limit: int, wake: Callable[[], None]) -> None:
        self._limit = limit
        self._wake = wake
        self._lock = threading.Lock()
        self._files: set[str] = set()
        self._folders: set[str] = set()
        self._overflown = False

    def on_any_event(self, event: FileSystemEvent) -> None:
        """Take a hint."""
        if not isinstance(event, _KINDS):  # versions of watchdog that don't filter
            return
        moved = isinstance(event, FileMovedEvent | DirMovedEvent)
        for path in (event.src_path, event.dest_path if moved else ""):
            if path:
                self._add(os.fsdecode(path), is_folder=event.is_directory)

    def _add(self, path: str, *, is_folder: bool) -> None:
        with self._lock:
            was_empty = not (self._files or self._folders or self._overflown)
            if len(self._files) + len(self._folders) >= self._limit:
                self._overflown = True
            elif is_folder:
                self._folders.add(path)
            else:
                self._files.add(path)
        if was_empty:
            self._wake()

    def take(self) -> TakenHints:
        """Return the hints and begin anew."""
        with self._lock:
            taken = TakenHints(self._files, self._folders, self._overflown)
            self._files, self._folders, self._overflown = set(), set(), False
        return taken


class FolderWatch:
    """The system's watch over a folder and all below it.

    Raises OSError if the system can't watch it, as when it has no watches left.
    """

    def __init__(self, folder: str, hints: Hints) -> None:
        # It warns, with paths, of folders that it meets twice while they are being filled.
        warnings.filterwarnings("ignore", "Callback with id", RuntimeWarning)
        self._observer = Observer()
        self._observer.schedule(hints, folder, recursive=True, event_filter=_WANTED)
        self._observer.start()

    @property
    def is_alive(self) -> bool:
        """Whether it still goes on: it ends when the folder goes."""
        emitters = list(self._observer.emitters)
        return self._observer.is_alive() and bool(emitters) and all(e.is_alive() for e in emitters)

    def close(self) -> None:
        """End it."""
        with suppress(Exception):  # its threads may have died in any way
            self._observer.stop()
            self._observer.join(5)
