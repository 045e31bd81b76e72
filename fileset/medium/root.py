"""Searching a File-set's root for what its directory records don't name.

Whoever looks for instances there, to tell of them or to take them in, leaves the same things alone:
File-sets that lie in folders of this one, what interrupted writes left, and repositories.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from enum import Enum
from os.path import isfile
from typing import NamedTuple

from fileset.repository.folder import SETTINGS
from ledger.files import dicomdirs
from projections.dicomdir.definitions import DICOMDIR, LEFTOVER


class RootEntryKind(Enum):
    """What lies at a place below the root."""

    FILE = "file"
    LINK = "link"
    """To a file or a folder; it is not followed."""
    LEFTOVER = "leftover"
    """A file or folder that a write makes and takes away, and an interrupted one leaves."""
    FILE_SET = "file-set"
    """A folder with a DICOMDIR of its own: the root of another File-set, which is not entered."""
    UNREADABLE = "unreadable"
    """A folder that can't be read, for `error`."""


class RootEntry(NamedTuple):
    """Something below the root, `file_id` being the names of its folders and its own."""

    file_id: tuple[str, ...]
    path: str
    kind: RootEntryKind
    error: OSError | None = None

    @property
    def is_hidden(self) -> bool:
        """Whether its name, or that of a folder above, begins with a full stop.

        No File ID does (PS3.10 Section 8.2): programs name so what is not meant to be found.
        """
        return any(name.startswith(".") for name in self.file_id)

    @property
    def name(self) -> str:
        """Its path below the root, with `/` on every system."""
        return "/".join(self.file_id)


def walk_root(root: str | os.PathLike[str]) -> Iterator[RootEntry]:
    """Yield what lies below the folder `root`, folder by folder, each in the order of its names.

    The DICOMDIR of `root` itself is passed over, and so are repositories, sockets and the like.
    """
    top = os.fspath(root)
    pending: list[tuple[str, ...]] = [()]
    while pending:
        folder = pending.pop()
        path = "/".join((top, *folder))
        try:
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as exc:
            yield RootEntry(folder, path, RootEntryKind.UNREADABLE, exc)
            continue
        names = {entry.name for entry in entries}
        if folder and dicomdirs(entries):
            yield RootEntry(folder, path, RootEntryKind.FILE_SET)
            continue
        if SETTINGS in names and isfile(f"{path}/{SETTINGS}"):  # a repository
            continue
        folders = []
        for entry in entries:
            file_id, kind = (*folder, entry.name), _kind(entry)
            if kind is None and entry.is_dir(follow_symlinks=False):
                folders.append(file_id)
            elif kind is not None and file_id != (DICOMDIR,):
                yield RootEntry(file_id, entry.path, kind)
        pending += reversed(folders)


def _kind(entry: os.DirEntry[str]) -> RootEntryKind | None:
    """Return what `entry` is, `None` for a folder to be entered and for no file at all."""
    if entry.name.startswith(LEFTOVER):
        return RootEntryKind.LEFTOVER
    if entry.is_symlink():
        return RootEntryKind.LINK
    return RootEntryKind.FILE if entry.is_file(follow_symlinks=False) else None
