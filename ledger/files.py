"""Reading files: their content, verified copies, and how to recognise one without reading it.

Only regular files are read: opening a FIFO would wait for a writer, and a device never ends.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from io import RawIOBase
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple, TypeAlias

from ledger.digest import from_raw
from ledger.errors import ContentDamagedError
from ledger.events import Content
from ledger.names import is_of_dicomdir

StrPath: TypeAlias = str | os.PathLike[str]

LARGE: Final = 1 << 24
"""Bytes from which a file is not held in memory: it is read where it lies, piece by piece."""

_CHUNK: Final = 1 << 20
_PAGE: Final = 1 << 12
_PACKED: Final = struct.Struct("<QqQq")


class FileStamp(NamedTuple):
    """What a file is known by without reading it.

    Its size (bytes), the times (ns) of the last change of its content and of its status, and its
    inode number. The time of status can't be set by programs, so that a rewrite which keeps size
    and time shows.
    """

    size: int
    mtime_ns: int
    inode: int
    ctime_ns: int

    @classmethod
    def of(cls, found: os.stat_result) -> FileStamp:
        """Return the stamp in what the system says about a file."""
        return cls(found.st_size, found.st_mtime_ns, found.st_ino, found.st_ctime_ns)

    @property
    def of_content(self) -> tuple[int, int, int]:
        """All but the time of status, which another link to the file changes as well."""
        return self[:3]

    def packed(self) -> bytes:
        """Return it as 32 bytes."""
        return _PACKED.pack(
            self.size, self.mtime_ns, self.inode & 0xFFFFFFFFFFFFFFFF, self.ctime_ns
        )


def stamp_of(path: StrPath, *, folder: int | None = None) -> FileStamp | None:
    """Return the stamp of the regular file at `path`, `None` where there is none.

    With `folder`, an open folder, `path` is the name of a file in it. Links are not followed.
    OSError if the file can't be looked at.
    """
    try:
        found = os.stat(path, dir_fd=folder, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return FileStamp.of(found) if stat.S_ISREG(found.st_mode) else None


@contextmanager
def naming(path: StrPath) -> Iterator[None]:
    """Give an OSError that leaves the block the path of the file.

    The system gives it when a file is opened, but not when it is read, flushed or closed.
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


class FileView:
    """The bytes of an open file, sliced as `bytes` are; only what is asked for is read.

    It is of the `size` bytes from the offset `begin` on.

    So a file of any size takes next to no memory. It is read, never mapped: on a medium that goes,
    or while another program writes it, it may end at any time. OSError if it can't be read.
    """

    __slots__ = ("_begin", "_fd", "_page", "_size", "_start")

    def __init__(self, fd: int, size: int, begin: int = 0) -> None:
        self._fd = fd
        self._size = size
        self._begin = begin
        self._start = 0
        self._page = b""

    def __len__(self) -> int:
        """Return the size of the file in bytes."""
        return self._size

    def __getitem__(self, part: slice) -> bytes:
        """Return the bytes of a slice without a step; fewer where the file ends before."""
        start, stop, _ = part.indices(self._size)
        if stop - start > _PAGE:
            return b"".join(self._pieces(start, stop))
        if not (self._start <= start and stop <= self._start + len(self._page)):
            self._start, self._page = start, self._read(start, min(start + _PAGE, self._size))
        return self._page[start - self._start : max(start, stop) - self._start]

    def pieces(self) -> Iterator[bytes]:
        """Yield all of it in pieces."""
        return self._pieces(0, self._size)

    def _read(self, start: int, stop: int) -> bytes:
        return os.pread(self._fd, min(stop - start, _CHUNK), self._begin + start)

    def _pieces(self, start: int, stop: int) -> Iterator[bytes]:
        while start < stop and (piece := self._read(start, stop)):
            yield piece
            start += len(piece)


@contextmanager
def viewed(path: StrPath) -> Iterator[FileView]:
    """Give the bytes of the regular file at `path`; OSError if it can't be read."""
    with naming(path), open(open_regular(path), "rb", buffering=0) as file:
        yield FileView(file.fileno(), os.fstat(file.fileno()).st_size)


def read_file(path: StrPath) -> bytes:
    """Return the bytes of the regular file at `path`; OSError if it can't be read."""
    with naming(path), open(open_regular(path), "rb", buffering=0) as file:
        return file.read()


def write_regular(path: StrPath, data: bytes) -> None:
    """Write `data` to the file at `path`, for the owner alone if it is new; OSError if it can't.

    What is not a regular file is taken away first.
    """
    with suppress(FileNotFoundError):
        if not stat.S_ISREG(os.lstat(path).st_mode):
            Path(path).unlink()
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC
    with naming(path):
        fd = os.open(path, flags, 0o600)
        try:
            write_all(fd, data)
        finally:
            os.close(fd)


def read_start(path: StrPath, size: int) -> bytes:
    """Return the first bytes of the regular file at `path`; OSError if it can't be read."""
    with naming(path), open(open_regular(path), "rb", buffering=0) as file:
        return file.read(size)


def file_content(path: StrPath) -> Content:
    """Return the digest and size (bytes) of the file at `path`; OSError if it can't be read."""
    with naming(path), open(open_regular(path), "rb", buffering=0) as file:
        return open_content(file.fileno())


def open_content(fd: int) -> Content:
    """Return the digest and size (bytes) of an open file, which is read from its beginning."""
    with open(fd, "rb", buffering=0, closefd=False) as file:
        file.seek(0)
        hasher = hashlib.file_digest(file, "sha256")
        return Content(from_raw(hasher.digest()), file.tell())


def joined(parts: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Yield the same bytes in fewer chunks, of at most `most` unless a part is longer."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        if waiting and size + len(part) > most:
            yield b"".join(waiting)
            waiting, size = [], 0
        waiting.append(part)
        size += len(part)
    if waiting:
        yield b"".join(waiting)


def content_of(chunks: Iterable[bytes]) -> Content:
    """Return the digest and size (bytes) of what `chunks` make up; raises as these do."""
    hasher, size = hashlib.sha256(), 0
    for chunk in chunks:
        hasher.update(chunk)
        size += len(chunk)
    return Content(from_raw(hasher.digest()), size)


def _read(file: RawIOBase, path: StrPath) -> bytes:
    with naming(path):
        return file.read(_CHUNK) or b""


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of `data` to an open file, however little of it the system takes at a time."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def write_stream(output: BinaryIO, data: bytes | memoryview) -> None:
    """Write all of `data`, also to a stream without a buffer, which may take little at a time."""
    view = memoryview(data)
    while view:
        view = view[output.write(view) :]


def copy_file(source: StrPath, target: int, *, expected: Content | None) -> None:
    """Copy the file `source` to the open file descriptor `target`, hashing on the way.

    Raises `ContentDamagedError` if it is not the `expected` content;
    `None` takes whatever it is.
    """
    hasher = hashlib.sha256()
    size = 0
    with open(open_regular(source), "rb", buffering=0) as file:
        while chunk := _read(file, source):
            hasher.update(chunk)
            size += len(chunk)
            write_all(target, chunk)
            if expected is not None and size > expected.size:
                break  # it may be growing, and without an end
    if expected is not None and Content(from_raw(hasher.digest()), size) != expected:
        raise ContentDamagedError(
            f"{source} has changed since it was added: it had {expected.size} bytes and the digest "
            f"{expected.digest}."
        )


def dicomdirs(entries: Iterable[os.DirEntry[str]]) -> list[str]:
    """Return the names of those in a folder that make it the root of a File-set.

    Links are not followed: one with that name may lead anywhere, and round in a circle.
    """
    return sorted(e.name for e in entries if is_of_dicomdir(e.name) and not _is_folder(e))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir(follow_symlinks=False)
    except OSError:  # it can't be looked at
        return False
