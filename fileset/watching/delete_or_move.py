"""Deleting or moving a source file once its event is durable: exactly that file, nothing else.

Its stamp is compared right before. Links are never followed: the folder it lies in is opened
first, and the file named in that. A file that another program has open for writing is left alone:
BlockingIOError.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Final

from fileset.watching.mounts import below
from fileset.watching.unfinished import is_being_written
from ledger.disk import fsync, make_folders, new_file
from ledger.errors import ContentDamagedError
from ledger.events import Content
from ledger.files import FileStamp, copy_file, file_content, stamp_of

_NAMES: Final = 1000  # that are tried for a file that is moved
_LONGEST: Final = 255  # bytes of a name, on most file systems
_NO_LINK: Final = frozenset({errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS})


def delete(path: str, known: FileStamp) -> bool:
    """Delete the file at `path` if it is as `known`; return whether it is gone now."""
    with _in_folder(path) as (folder, name):
        if not _is(folder, name, known):
            return _is_gone(folder, name)
        _refuse_written(folder, name)
        os.unlink(name, dir_fd=folder)
    return True


def move(path: str, known: FileStamp, root: str, target: Path) -> bool:
    """Move the file at `path`, below `root`, to the same place below `target`.

    Nothing there is overwritten: a file with other content has a number put behind its name, one
    with the same content is the file. Returns whether it is gone from `path` now. FileExistsError
    if a thousand such names are taken.
    """
    place = target / below(path, root)
    make_folders(place.parent)
    with _in_folder(path) as (folder, name):
        if not _is(folder, name, known):
            return _is_gone(folder, name)
        _refuse_written(folder, name)
        source = _Source(path, folder, name, known)
        try:
            for candidate in _places(place):
                if source.link(candidate) or source.is_at(candidate):
                    return source.let_go(candidate)
        except ContentDamagedError:  # it has changed while it was copied
            return False
    raise FileExistsError(errno.EEXIST, f"{_NAMES} files of that name are there", str(place))


class _Source:
    """A file that is being moved, in the open folder `folder`; it is read for its content once."""

    def __init__(self, path: str, folder: int, name: str, known: FileStamp) -> None:
        self._path = path
        self._folder = folder
        self._name = name
        self._known = known
        self._made = False

    @cached_property
    def _content(self) -> Content:
        return file_content(self._path)

    def _stat(self) -> os.stat_result:
        return os.stat(self._name, dir_fd=self._folder, follow_symlinks=False)

    def link(self, place: Path) -> bool:
        """Link the file at `place`, too; `False` if something is there."""
        try:
            os.link(self._name, place, src_dir_fd=self._folder, follow_symlinks=False)
        except FileExistsError:
            return False
        except OSError as exc:
            if exc.errno not in _NO_LINK:
                raise
            try:
                self._copy(place)
            except FileExistsError:
                return False
        self._made = True
        return True

    def _copy(self, place: Path) -> None:
        with new_file(place, stat.S_IMODE(self._stat().st_mode) & 0o777) as file:
            copy_file(self._path, file.fileno(), expected=self._content)
            os.utime(file.fileno(), ns=(self._known.mtime_ns, self._known.mtime_ns))

    def is_at(self, place: Path) -> bool:
        """Whether what is at `place` has the same content: it is read only if the size is."""
        try:
            there = stamp_of(place)
            if there is None or there.size != self._known.size:
                return False
            return file_content(place) == self._content
        except FileNotFoundError:
            return False

    def let_go(self, place: Path) -> bool:
        """Delete the file, which is at `place`; `False` if it has changed meanwhile."""
        try:
            # Linking has changed the time of the status, and nothing else may have.
            if FileStamp.of(self._stat()).of_content != self._known.of_content:
                self._withdraw(place)
                return False
            fsync(place.parent)
            _refuse_written(self._folder, self._name)
        except OSError:
            self._withdraw(place)
            raise
        os.unlink(self._name, dir_fd=self._folder)
        return True

    def _withdraw(self, place: Path) -> None:
        if self._made:
            place.unlink()


def _places(place: Path) -> Iterator[Path]:
    yield place
    name = os.fsencode(place.name)
    for number in range(1, _NAMES):
        end = f".{number}"
        yield place.with_name(os.fsdecode(name[: _LONGEST - len(end)]) + end)


@contextmanager
def _in_folder(path: str) -> Iterator[tuple[int, str]]:
    parent, name = os.path.split(path)
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd, name
    finally:
        os.close(fd)


def _is(folder: int, name: str, known: FileStamp) -> bool:
    return stamp_of(name, folder=folder) == known


def _refuse_written(folder: int, name: str) -> None:
    if is_being_written(name, folder=folder):
        raise BlockingIOError(errno.EBUSY, "another program has it open for writing")


def _is_gone(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return True
    return False
