"""The watched folders: which may be watched, and what is known of each."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable
from contextlib import suppress

from attrs import Factory, define, field

from fileset.errors import RefusedError
from fileset.repository.origin import WATCHED
from fileset.watching.hints import FolderWatch
from fileset.watching.locks import WatchedFolderLock
from fileset.watching.mounts import is_below, mount_point, network_file_system, overlap


@define
class Folder:
    """A watched folder.

    Attributes
    ----------
    path : str
        Where it is, links resolved.
    identity : tuple or None
        Device and inode numbers of what is there, `None` while nothing is.
    network : str or None
        The type of its file system if that reports no changes.
    watch : FolderWatch or None
        The system's watch over it.
    trouble : str or None
        Why it can't be looked at.
    mounted_at : str or None
        Where the file system that it was last seen on is mounted.
    polled : bool
        Whether it is looked at again and again, because the system gives no hints.
    next_scan, scan_seconds : float
        When everything in it is looked at again; how long that took, 0 if it is to be the first.
    hints : int
        How many there were since.
    has_more : bool
        Whether files had to be left for a later look.
    lock : WatchedFolderLock
        That which keeps other watchers away.
    """

    path: str
    identity: tuple[int, int] | None = None
    network: str | None = None
    watch: FolderWatch | None = None
    trouble: str | None = None
    mounted_at: str | None = None
    polled: bool = False
    next_scan: float = 0.0
    scan_seconds: float = 0.0
    hints: int = 0
    has_more: bool = False
    lock: WatchedFolderLock = field(
        default=Factory(lambda self: WatchedFolderLock(self.path), takes_self=True)
    )

    @property
    def name(self) -> str:
        """What the journal calls it."""
        return os.path.basename(self.path) or "/"

    @property
    def origin(self) -> str:
        """The origin of changes that come from it."""
        return f"{WATCHED}{self.name}"

    @property
    def key(self) -> str:
        """A short name for files about it."""
        return hashlib.sha256(os.fsencode(self.path)).hexdigest()[:16]

    @property
    def state(self) -> str:
        """What the status says: `watching`, `polling` or `away`."""
        if self.identity is None:
            return "away"
        return "polling" if self.polled else "watching"

    @property
    def is_watched(self) -> bool:
        """Whether a change in it will be noticed."""
        return self.polled or (self.watch is not None and self.watch.is_alive)

    def look(self) -> tuple[int, int] | None:
        """Return the identity of what is there now, `None` for nothing.

        A mount point that nothing is mounted at any more is nothing.
        """
        try:
            found = os.stat(self.path)
            identity = found.st_dev, found.st_ino
            if not stat.S_ISDIR(found.st_mode):
                return None
            if identity != self.identity:
                at = mount_point(self.path)
                if self._was_below(at):
                    return None
                self.mounted_at = at
        except OSError:
            return None
        return identity

    def find_network(self) -> None:
        """Find out on what file system it is by now."""
        self.network = network_file_system(self.path)

    def _was_below(self, mounted_at: str) -> bool:
        known = self.mounted_at
        return known is not None and known != mounted_at and is_below(known, mounted_at)

    @property
    def absence(self) -> str:
        """Why it is away."""
        with suppress(OSError):
            if self._was_below(mount_point(self.path)):
                return f"nothing is mounted at {self.mounted_at}"
        return "the folder is not there"

    def unwatch(self) -> None:
        """End the system's watch over it."""
        if self.watch is not None:
            self.watch.close()
            self.watch = None

    def scan_soon(self, now: float) -> None:
        """Have everything in it looked at before long, but not one time after the other."""
        self.next_scan = min(self.next_scan, now + max(1.0, self.scan_seconds * 5))


def folder_of(path: str, folders: Iterable[Folder]) -> Folder:
    """Return that of `folders` which `path` lies in; StopIteration if it lies in none."""
    return next(folder for folder in folders if is_below(path, folder.path))


def open_folders(paths: Iterable[str | os.PathLike[str]], *, wait: bool = False) -> list[Folder]:
    """Return the folders at `paths`; RefusedError for what is not one, or overlaps another.

    With `wait`, a folder need not be there yet.
    """
    folders: list[Folder] = []
    for given in paths:
        path = os.path.realpath(given)
        if not os.path.isdir(path) and (os.path.lexists(path) or not wait):
            waiting = (
                "" if os.path.lexists(path) else " To wait for it: --await-folders (wait=True)."
            )
            raise RefusedError(f"{os.fspath(given)} is not a folder.{waiting}")
        for other in folders:
            if overlap(path, other.path):
                raise RefusedError(
                    f"{path} and {other.path} overlap: watch the one that holds the other."
                )
        folders.append(Folder(path, network=network_file_system(path)))
    if not folders:
        raise RefusedError("Name a folder to watch.")
    return folders


def refuse_overlap(folders: Iterable[Folder], others: Iterable[tuple[str, str]]) -> None:
    """Raise RefusedError if a folder overlaps one of `others`, each a path and what it is."""
    known = [(os.path.realpath(path), what) for path, what in others]
    for folder in folders:
        for path, what in known:
            if overlap(folder.path, path):
                raise RefusedError(
                    f"{folder.path} can't be watched: it overlaps {what}, {path}. What the watcher "
                    "itself writes would arrive as new files."
                )
