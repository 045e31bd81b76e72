"""Reading files of instances: their content, and verified copies.

Only regular files are read: opening a FIFO would wait for a writer, and a device never ends.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from io import RawIOBase
from typing import Final, TypeAlias

from ledger.digest import from_raw
from ledger.errors import ContentDamagedError
from ledger.events import Content

StrPath: TypeAlias = str | os.PathLike[str]

_CHUNK: Final = 1 << 20


@contextmanager
def naming(path: StrPath) -> Iterator[None]:
    """Have an OSError that comes out of the block tell the path of the file.

    The system tells it where a file is opened, and not where one is read, flushed or closed.
    """
    try:
        yield
    except OSError as exc:
        if exc.filename is None:
            exc.filename = os.fspath(path)
        raise


def open_regular(path: StrPath) -> int:
    """Return a descriptor to read the regular file at `path`; OSError if there is none."""
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        with naming(path):
            mode = os.fstat(fd).st_mode
    except OSError:
        os.close(fd)
        raise
    if stat.S_ISREG(mode):
        return fd
    os.close(fd)
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
    raise OSError(errno.EINVAL, "Not a regular file", os.fspath(path))


def read_file(path: StrPath) -> bytes:
    """Return the bytes of the regular file at `path`; OSError if it can't be read."""
    with naming(path), open(open_regular(path), "rb", buffering=0) as file:
        return file.read()


def file_content(path: StrPath) -> Content:
    """Return the digest and size (bytes) of the file at `path`; OSError if it can't be read."""
    with naming(path), open(open_regular(path), "rb", buffering=0) as file:
        hasher = hashlib.file_digest(file, "sha256")
        return Content(from_raw(hasher.digest()), file.tell())


def _read(file: RawIOBase, path: StrPath) -> bytes:
    with naming(path):
        return file.read(_CHUNK) or b""


def copy_file(source: StrPath, target: int, *, expected: Content | None) -> None:
    """Copy the file `source` to the open file descriptor `target`, hashing on the way.

    Raises :class:`~ledger.errors.ContentDamagedError` if it is not the `expected` content;
    ``None`` takes whatever it is.
    """
    hasher = hashlib.sha256()
    size = 0
    with open(open_regular(source), "rb", buffering=0) as file:
        while chunk := _read(file, source):
            hasher.update(chunk)
            size += len(chunk)
            view = memoryview(chunk)
            while view:
                view = view[os.write(target, view) :]
            if expected is not None and size > expected.size:
                break  # it may be growing, and without an end
    if expected is not None and Content(from_raw(hasher.digest()), size) != expected:
        raise ContentDamagedError(
            f"{source} has changed since it was added: it had {expected.size} bytes and the digest "
            f"{expected.digest}."
        )
