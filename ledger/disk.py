"""Making file system changes durable."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from ledger.files import StrPath, naming

_MANY: Final = 64  # files from which one syncfs costs less than an fsync of each

_NOT_FOLDERS: Final = {errno.EINVAL, errno.ENOTSUP}
"""What fsync(2) says of a folder where only files can be flushed."""


def fsync(path: StrPath) -> None:
    """Flush a file or folder to the disk; OSError where that fails.

    Some file systems of networks and in user space have nothing to flush of a folder.
    """
    with naming(path):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        except OSError as exc:
            if exc.errno not in _NOT_FOLDERS or not stat.S_ISDIR(os.fstat(fd).st_mode):
                raise
        finally:
            os.close(fd)


def begin_to_flush(fd: int, start: int, stop: int) -> None:
    """Have the disk begin with what was written to an open file between two offsets.

    So a flush in the end waits for less. It is only an advice, and nothing fails by it.
    """
    # Linux starts to write what is dirty in the range. Only what was clean leaves the cache.
    advise = getattr(os, "posix_fadvise", None)
    if advise is not None:
        with suppress(OSError):  # the flush meets it
            advise(fd, start, stop - start, os.POSIX_FADV_DONTNEED)


def fsync_all(files: Iterable[StrPath], folders: Iterable[StrPath], root: StrPath) -> None:
    """Flush `files` and `folders`, all on the file system of `root`, to the disk."""
    paths = [*files, *folders]
    if len(paths) >= _MANY and _syncfs(root):
        return
    for path in paths:
        fsync(path)


def make_folders(path: Path) -> None:
    """Make the folder `path` and those above it, where they are missing, durably."""
    missing = [folder for folder in (path, *path.parents) if not folder.exists()]
    path.mkdir(parents=True, exist_ok=True)
    for folder in reversed(missing):
        fsync(folder.parent)


def _syncfs(root: StrPath) -> bool:
    """Flush the whole file system of `root` (Linux); `False` where there is no such call."""
    import ctypes  # noqa: PLC0415 - most commands write few files

    try:
        call = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return False
    fd = os.open(root, os.O_RDONLY)
    try:
        if call(fd) != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(root))
    finally:
        os.close(fd)
    return True


@contextmanager
def new_file(path: Path, mode: int = 0o600) -> Iterator[BinaryIO]:
    """Make the file at `path` in the block: it is there whole, durable, or not at all.

    FileExistsError if something is at `path`, now or at the end: nothing is overwritten.
    """
    if os.path.lexists(path):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), os.fspath(path))
    try:
        fd, temporary = tempfile.mkstemp(prefix=f".{path.name[:32]}.", dir=path.parent)
    except OSError as exc:
        raise type(exc)(exc.errno, exc.strerror, os.fspath(path)) from exc
    try:
        with naming(path), os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fchmod(fd, mode)
            os.fsync(fd)
        give_name(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108 - a name as mkstemp gave it
    fsync(path.parent)


def give_name(temporary: StrPath, path: Path) -> None:
    """Give the file `temporary` the name `path`; FileExistsError if something has that name.

    Where the file system has hard links, the file keeps its own name as well.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        Path(temporary).rename(path)


def private(path: str, flags: int) -> int:
    """Open a file that is only for its owner, if it is made: an `opener` for `open`."""
    return os.open(path, flags | os.O_CLOEXEC, 0o600)


def replace_file(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Put `data` in the place of `path` in one step: at any instant it is the old or the new.

    It is only for its owner. OSError where that fails; `path` then is as it was, and nothing is
    left beside it.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        with naming(path), open(temporary, "wb", opener=private) as file:
            file.write(data)
            if durable:
                file.flush()
                os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        raise
    if durable:
        fsync(path.parent)


@contextmanager
def new_folder(path: Path, mode: int = 0o777) -> Iterator[Path]:
    """Make the folder at `path`: the block fills another one beside it, which then takes its place.

    So it is there whole or not at all; to make its files durable is left to the block. `path` may
    be an empty folder before. What a process that was killed left of such a folder is deleted; one
    that is at work holds a lock on its own. OSError where anything fails.
    """
    _remove_abandoned(path)
    building = path.with_name(f"{_building(path)}{secrets.token_hex(4)}")
    with held_folder(building, mode):
        try:
            yield building
            building.rename(path)
        except BaseException:
            shutil.rmtree(building, ignore_errors=True)
            raise
    fsync(path.parent)


@contextmanager
def held_folder(path: StrPath, mode: int = 0o777) -> Iterator[None]:
    """Make the folder `path`, unless it is there, and hold a lock on it in the block.

    So `abandoned_folder` tells it from one of a process that was killed.
    """
    while True:
        with suppress(FileExistsError):
            Path(path).mkdir(mode)
        with suppress(FileNotFoundError):  # somebody took it for abandoned before it was locked
            fd = _opened(path)
            with suppress(OSError):  # a file system without locks
                fcntl.flock(fd, fcntl.LOCK_EX)
            try:
                with naming(path):
                    if os.path.samestat(os.fstat(fd), os.lstat(path)):
                        break
            except OSError:
                os.close(fd)
                raise
            os.close(fd)
    try:
        yield
    finally:
        with suppress(OSError):  # the folder may be gone, and the lock with it
            os.close(fd)


@contextmanager
def abandoned_folder(path: StrPath) -> Iterator[bool]:
    """Yield whether there is a folder `path` that no process holds; in the block, none does.

    On a file system without locks, no folder is known to be abandoned.
    """
    with ExitStack() as stack:
        try:
            fd = _opened(path)
            stack.callback(os.close, fd)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_abandoned = True
        except OSError:
            is_abandoned = False
        yield is_abandoned


def _opened(folder: StrPath) -> int:
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def _building(path: Path) -> str:
    return f".{path.name}.fileset-"


def _remove_abandoned(path: Path) -> None:
    for left in path.parent.glob(f"{glob.escape(_building(path))}*"):
        with abandoned_folder(left) as is_abandoned:
            if is_abandoned:
                shutil.rmtree(left, ignore_errors=True)
