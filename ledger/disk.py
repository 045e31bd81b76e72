"""Making file system changes durable."""

from __future__ import annotations

import ctypes
import errno
import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from ledger.files import StrPath

_MANY: Final = 64  # files from which one syncfs costs less than an fsync of each


def fsync(path: StrPath) -> None:
    """Flush a file or folder to the disk; OSError where that fails."""
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def fsync_all(files: Iterable[StrPath], folders: Iterable[StrPath], root: StrPath) -> None:
    """Flush `files` and `folders`, all on the file system of `root`, to the disk."""
    paths = [*files, *folders]
    if len(paths) >= _MANY and _syncfs(root):
        return
    for path in paths:
        fsync(path)


def _syncfs(root: StrPath) -> bool:
    """Flush the whole file system of `root` (Linux); ``False`` where there is no such call."""
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
        fd, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    except OSError as exc:
        raise type(exc)(exc.errno, exc.strerror, os.fspath(path)) from exc
    try:
        with os.fdopen(fd, "wb") as file:
            yield file
            file.flush()
            os.fchmod(fd, mode)
            os.fsync(fd)
        _name(temporary, path)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary)  # noqa: PTH108 - a name as mkstemp gave it
    fsync(path.parent)


def _name(temporary: str, path: Path) -> None:
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # a file system without hard links
        if os.path.lexists(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        Path(temporary).rename(path)


def replace_file(path: Path, data: bytes, *, durable: bool = True) -> None:
    """Put `data` in the place of `path` in one step: at any instant it is the old or the new.

    OSError where that fails; `path` then is as it was, and nothing is left beside it.
    """
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("wb") as file:
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
