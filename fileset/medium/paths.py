"""Looking at the files of a medium: a failing disk is not mistaken for a missing file.

Paths are plain text here: of every file there are several, and pathlib takes longer over them than
the system over the files.
"""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Iterator
from os.path import dirname, join, realpath, samefile, split
from pathlib import Path
from stat import S_ISDIR, S_ISLNK, S_ISREG

from ledger.files import StrPath, file_content
from projections.dicomdir.definitions import LEFTOVER
from projections.state.nodes import Leaf


def mode_of(path: str, *, follow: bool = True) -> int:
    """Return the mode of what is at `path`, 0 if nothing is; OSError where the disk fails.

    For the functions of os.path, that the disk fails means that nothing is there.
    """
    try:
        return os.stat(path, follow_symlinks=follow).st_mode
    except OSError as exc:
        if exc.errno == errno.EIO:
            raise
        return 0


def lexists(path: str) -> bool:
    """Whether anything is at `path`, if only a link that leads nowhere."""
    return mode_of(path, follow=False) != 0


def isdir(path: str) -> bool:
    """Whether a folder is at `path`."""
    return S_ISDIR(mode_of(path))


def isfile(path: str) -> bool:
    """Whether a regular file is at `path`."""
    return S_ISREG(mode_of(path))


def islink(path: str) -> bool:
    """Whether a symbolic link is at `path`."""
    return S_ISLNK(mode_of(path, follow=False))


def walk(folder: str) -> Iterator[tuple[str, list[str], list[str]]]:
    """Yield what os.walk() does, nothing where there is no `folder`; OSError where that fails."""

    def failed(exc: OSError) -> None:
        if not isinstance(exc, FileNotFoundError | NotADirectoryError):
            raise exc

    return os.walk(folder, onerror=failed)


def holds(path: str, leaf: Leaf) -> bool:
    """Whether the file at `path` can be read and has the instance's content, which is known.

    OSError where the disk fails: what a file holds that can't be read for now is not known.
    """
    try:
        return leaf.content is not None and file_content(path) == leaf.content
    except OSError as exc:
        if exc.errno == errno.EIO:
            raise
        return False


def is_in_place(path: str, leaf: Leaf) -> bool:
    """Whether `path` is a file of its own with the instance's content."""
    return not islink(path) and isfile(path) and holds(path, leaf)


def is_same_name(path: str, other: str) -> bool:
    """Whether both are one name of a file, and not just two names that it has."""
    return realpath(path) == realpath(other)


def are_one(path: str, other: str, root: str) -> bool:
    """Whether two names below `root` lead to one entry of a folder there.

    A file system that tells names apart lists both, and then they are two, of one file maybe.
    """
    try:
        first, second = os.lstat(path), os.lstat(other)
    except OSError:
        return False
    if (first.st_dev, first.st_ino) != (second.st_dev, second.st_ino):
        return False
    return not (_is_listed(path, root) and _is_listed(other, root))


def tells_apart(folder: str) -> bool:
    """Whether names in `folder` that differ in case only are two; a file is made to see it."""
    fd, path = tempfile.mkstemp(prefix=f"{LEFTOVER}-case-", dir=folder)
    os.close(fd)
    try:
        return not lexists(join(folder, split(path)[1].swapcase()))
    finally:
        os.unlink(path)


def _is_listed(path: str, root: str) -> bool:
    """Whether each name from `root` to `path` is one that its folder lists."""
    while path != root and path.startswith(join(root, "")):
        folder, name = split(path)
        if name not in os.listdir(folder):
            return False
        path = folder
    return True


def is_in(path: StrPath, folder: StrPath) -> bool:
    """Whether `path` is the `folder` or in it, whatever links or names in other case lead there."""
    real, folder = Path(realpath(path)), Path(realpath(folder))
    return any(above == folder or _is_one(above, folder) for above in (real, *real.parents))


def _is_one(path: Path, other: Path) -> bool:
    try:
        return samefile(path, other)
    except OSError:
        return False


def is_straight(folder: str, root: str) -> bool:
    """Whether no link leads from `root` to `folder`, or to as much of it as there is."""
    below = folder[len(root) :].strip("/")
    return realpath(folder) == (join(realpath(root), below).rstrip("/") or "/")


def link_above(path: StrPath, root: StrPath) -> str | None:
    """Return the first link on the way from `root` to the folder of `path`, `None` if none is."""
    way = os.fspath(root)
    for name in dirname(os.path.relpath(path, root)).split("/"):
        way = join(way, name)
        if islink(way):
            return way
    return None


def is_within(path: StrPath, root: StrPath) -> bool:
    """Whether `path`, below `root`, is where it says, so that nothing else is changed there."""
    path, root = os.fspath(path), os.fspath(root)
    return ".." not in path[len(root) :].split("/") and is_straight(dirname(path), root)
