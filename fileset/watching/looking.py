"""Looking at folders: a scan is the truth, and what the system tells of changes are hints.

Hints get lost. The kernel's queue is bounded, and watchdog tells its handlers nothing of an
overflow; a file in a new folder can come before that is watched. So a hint only says where to look
first; too many of them, or a burst, mean that everything has to be looked at.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
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

from fileset.repository_folder import is_repository
from fileset.watching.ignoring import Ignored
from fileset.watching.signature import Signature, of_stat
from projections.materializer import DICOMDIR

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
_TOGETHER: Final = 500  # files that are listed at a time


class Taken(NamedTuple):
    """What was hinted at since the last time.

    `files` are paths to look at. `folders` tells whether any folder came, so that files in it may
    have gone unnoticed; `overflown` whether there were more hints than are kept.
    """

    files: set[str]
    folders: set[str]
    overflown: bool


class Hints(FileSystemEventHandler):
    """A bounded set of paths at which something happened, filled by watchdog's threads."""

    def __init__(self, limit: int, ring: Callable[[], None]) -> None:
        self._limit = limit
        self._ring = ring
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
            self._ring()

    def take(self) -> Taken:
        """Return the hints and begin anew."""
        with self._lock:
            taken = Taken(self._files, self._folders, self._overflown)
            self._files, self._folders, self._overflown = set(), set(), False
        return taken


class Observation:
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


class Listed(NamedTuple):
    """Some files in a folder that may be taken, by name; `error` says what can't be looked at."""

    folder: str
    files: dict[str, Signature]
    error: OSError | None = None


def scan(top: str, root: str, ignored: Ignored) -> Iterator[Listed]:
    """Yield what is in the folder `top` and below it; `root` is the watched folder it lies in.

    Links are not followed, and repositories not gone into. However many files there are, few are
    in memory at a time. OSError if `top` itself can't be read.
    """
    pending = [top]
    while pending:
        folder = pending.pop()
        try:
            yield from _list(folder, root, ignored, pending)
        except OSError as exc:
            if folder == top:
                raise
            if not isinstance(exc, FileNotFoundError | NotADirectoryError):
                yield Listed(folder, {}, exc)


def _list(folder: str, root: str, ignored: Ignored, pending: list[str]) -> Iterator[Listed]:
    files: dict[str, Signature] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if ignored.name(entry.name) or ignored.path(below(entry.path, root)):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    pending += [] if is_repository(Path(entry.path)) else [entry.path]
                elif (found := _file(entry)) is not None:
                    files[entry.name] = found
            except FileNotFoundError:  # it went while it was looked at
                continue
            except OSError as exc:  # as on a share that fails: what else there is can be taken
                yield Listed(folder, {}, exc)
            if len(files) == _TOGETHER:
                yield Listed(folder, files)
                files = {}
    if files:
        yield Listed(folder, files)


def _file(entry: os.DirEntry[str]) -> Signature | None:
    """Return the signature of a regular file that may be an instance."""
    if entry.name == DICOMDIR or not entry.is_file(follow_symlinks=False):
        return None
    return of_stat(entry.stat(follow_symlinks=False))


class Ways:
    """Tells, for a moment, whether a scan of the watched folder `root` would come by a path."""

    def __init__(self, root: str, ignored: Ignored) -> None:
        self._root = root
        self._ignored = ignored
        self._folders: dict[str, bool] = {root: True}
        self.is_unsure = False
        """Whether a folder could not be looked at: a scan tells of it, or comes by it later."""

    def lead_to(self, path: str) -> bool:
        """Whether they lead to the file at `path`."""
        folder, _, name = path.rpartition("/")
        return name != DICOMDIR and self._is_named_well(path, name) and self.lead_into(folder)

    def lead_into(self, folder: str) -> bool:
        """Whether they lead into a folder."""
        known = self._folders.get(folder)
        if known is None:
            above, _, name = folder.rpartition("/")
            known = self._folders[folder] = (
                self._is_named_well(folder, name)
                and self.lead_into(above)
                and self._is_open(folder)
            )
        return known

    def _is_open(self, folder: str) -> bool:
        try:
            return not is_repository(Path(folder))
        except OSError:
            self.is_unsure = True
            return False

    def _is_named_well(self, path: str, name: str) -> bool:
        inner = below(path, self._root)
        return bool(inner) and not (self._ignored.name(name) or self._ignored.path(inner))


def below(path: str, root: str) -> str:
    """Return the path below `root`, empty for itself and what is not below it."""
    prefix = os.path.join(root, "")
    return path[len(prefix) :] if path.startswith(prefix) else ""
