"""Files in a folder that may be instances: a walk, and whether a walk would reach a path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from fileset.adding.ignoring import Ignored
from fileset.repository.folder import is_repository
from fileset.watching.mounts import below
from ledger.files import FileStamp
from projections.dicomdir.definitions import DICOMDIR

_TOGETHER: Final = 500  # files that are listed at a time


class Listing(NamedTuple):
    """Some files in a folder that may be taken, by name; `error` says what can't be looked at."""

    folder: str
    files: dict[str, FileStamp]
    error: OSError | None = None


def walk(root: str, ignored: Ignored) -> Iterator[Listing]:
    """Yield what is in the watched folder `root` and below it.

    Links are not followed, and repositories not gone into. However many files there are, few are
    in memory at a time. OSError if `root` itself can't be read.
    """
    pending = [root]
    while pending:
        folder = pending.pop()
        try:
            yield from _list(folder, root, ignored, pending)
        except OSError as exc:
            if folder == root:
                raise
            if not isinstance(exc, FileNotFoundError | NotADirectoryError):
                yield Listing(folder, {}, exc)


def _list(folder: str, root: str, ignored: Ignored, pending: list[str]) -> Iterator[Listing]:
    files: dict[str, FileStamp] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            if ignored.name(entry.name) or ignored.path(below(entry.path, root)):
                continue
            try:
                if entry.is_dir(follow_symlinks=False):
                    pending += [] if is_repository(Path(entry.path)) else [entry.path]
                elif entry.name != DICOMDIR and entry.is_file(follow_symlinks=False):
                    files[entry.name] = FileStamp.of(entry.stat(follow_symlinks=False))
            except FileNotFoundError:  # it went while it was looked at
                continue
            except OSError as exc:  # as on a share that fails: what else there is can be taken
                yield Listing(folder, {}, exc)
            if len(files) == _TOGETHER:
                yield Listing(folder, files)
                files = {}
    if files:
        yield Listing(folder, files)


class Reach:
    """Says, for a moment, whether a walk through the watched folder `root` comes by a path."""

    def __init__(self, root: str, ignored: Ignored) -> None:
        self._root = root
        self._ignored = ignored
        self._folders: dict[str, bool] = {root: True}
        self.is_unsure = False
        """Whether a folder could not be looked at: a walk tells of it, or comes by it later."""

    def has_file(self, path: str) -> bool:
        """Whether a walk comes by the file at `path`."""
        folder, _, name = path.rpartition("/")
        return name != DICOMDIR and self._is_named_well(path, name) and self.has_folder(folder)

    def has_folder(self, folder: str) -> bool:
        """Whether a walk goes into a folder."""
        known = self._folders.get(folder)
        if known is None:
            above, _, name = folder.rpartition("/")
            known = self._folders[folder] = (
                self._is_named_well(folder, name)
                and self.has_folder(above)
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
