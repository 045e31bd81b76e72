"""What becomes of a source file once the event is durable: exactly that file, and nothing else.

Its signature is compared right before. Links are never followed: the folder it lies in is opened
first, and the file named in that. A file that another program has open for writing is left alone:
BlockingIOError.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from fileset.watching.looking import below
from fileset.watching.signature import Signature, of_stat
from fileset.watching.writers import is_being_written
from ledger.disk import fsync
from ledger.files import copy_file, file_content


def delete(path: str, known: Signature) -> bool:
    """Delete the file at `path` if it is as `known`; return whether it is gone now."""
    with _in_folder(path) as (folder, name):
        if not _is(folder, name, known):
            return _is_gone(folder, name)
        _refuse_written(folder, name)
        os.unlink(name, dir_fd=folder)
    return True


def move(path: str, known: Signature, root: str, target: Path) -> bool:
    """Move the file at `path`, below `root`, to the same place below `target`.

    Nothing there is overwritten: a file with other content has a number put behind its name, one
    with the same content is the file. Returns whether it is gone from `path` now.
    """
    place = target / below(path, root)
    place.parent.mkdir(parents=True, exist_ok=True)
    with _in_folder(path) as (folder, name):
        if not _is(folder, name, known):
            return _is_gone(folder, name)
        _refuse_written(folder, name)
        for candidate in _places(place):
            if _put(path, folder, name, candidate, known):
                return True
    return False


def _put(path: str, folder: int, name: str, place: Path, known: Signature) -> bool:
    """Have the file at `place`; ``False`` if something else is there, or it has changed."""
    made = True
    try:
        os.link(name, place, src_dir_fd=folder, follow_symlinks=False)
    except FileExistsError:
        made = False
        if file_content(place) != file_content(path):
            return False
    except OSError as exc:
        if exc.errno not in {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}:
            raise
        if not _copy(path, place, known):
            return False
    found = of_stat(os.stat(name, dir_fd=folder, follow_symlinks=False))
    # Linking has changed the time of the status, and nothing else may have.
    if found is None or found[:3] != known[:3]:
        if made:
            place.unlink()
        return False
    fsync(place.parent)
    try:
        _refuse_written(folder, name)
    except BlockingIOError:
        if made:
            place.unlink()
        raise
    os.unlink(name, dir_fd=folder)
    return True


def _copy(path: str, place: Path, known: Signature) -> bool:
    temporary = place.with_name(f".{place.name}.new")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        copy_file(path, fd, expected=file_content(path))
        os.utime(fd, ns=(known.mtime_ns, known.mtime_ns))
        os.fsync(fd)
        if os.path.lexists(place):
            return False
        temporary.rename(place)
    finally:
        os.close(fd)
        with suppress(FileNotFoundError):
            temporary.unlink()
    return True


def _places(place: Path) -> Iterator[Path]:
    yield place
    for number in range(1, 1000):
        yield place.with_name(f"{place.name}.{number}")


@contextmanager
def _in_folder(path: str) -> Iterator[tuple[int, str]]:
    parent, name = os.path.split(path)
    fd = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        yield fd, name
    finally:
        os.close(fd)


def _is(folder: int, name: str, known: Signature) -> bool:
    try:
        return of_stat(os.stat(name, dir_fd=folder, follow_symlinks=False)) == known
    except FileNotFoundError:
        return False


def _refuse_written(folder: int, name: str) -> None:
    if is_being_written(name, folder=folder):
        raise BlockingIOError(errno.EBUSY, "another program has it open for writing")


def _is_gone(folder: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return True
    return False
