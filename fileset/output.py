"""Where what is made goes: a file, there whole or not at all, a device, a pipe, or a folder."""

from __future__ import annotations

import errno
import fcntl
import glob
import os
import secrets
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from attrs import define

from fileset.errors import RefusedError
from ledger.disk import fsync, give_name, new_folder
from ledger.files import write_stream

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_MODE: Final = 0o666  # less what the user's mask takes away


class Output(Protocol):
    """Where the bytes of an image go; `name` is what messages call it."""

    name: str
    file: BinaryIO

    def finish(self) -> None:
        """Have all that was written be durable, where it can be."""

    def keep(self) -> None:
        """Give what is finished its place."""


@define
class _Direct:
    """A pipe or a device: what was written is there."""

    name: str
    file: BinaryIO

    def finish(self) -> None:
        self.file.flush()
        with suppress(OSError, ValueError):  # a pipe has nothing to flush to
            os.fsync(self.file.fileno())

    def keep(self) -> None:
        pass


@define
class _Beside:
    """A file: written beside its place under another name."""

    name: str
    file: BinaryIO
    path: Path
    temporary: Path
    replace: bool

    def finish(self) -> None:
        self.file.flush()
        os.fsync(self.file.fileno())

    def keep(self) -> None:
        if self.replace:
            self.temporary.replace(self.path)
        else:
            give_name(self.temporary, self.path)
            self.temporary.unlink(missing_ok=True)
        fsync(self.path.parent)


def is_direct(path: Path) -> bool:
    """Whether `path` is a device or a pipe, which is written to as it is."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISBLK(mode) or stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def refuse_taken(path: Path, *, replace: bool) -> None:
    """Raise `RefusedError` if something is at `path` that a new file may not replace."""
    if not os.path.lexists(path):
        if not path.parent.is_dir():
            raise RefusedError(f"There is no folder {path.parent}: make it, or name another file.")
        return
    if path.is_dir():
        raise RefusedError(f"{path} is a folder: name a file, or give --format folder.")
    if path.is_block_device() and not replace:
        raise RefusedError(
            f"All that is on the device {path} would go: --replace says that it may."
        )
    if not is_direct(path) and not replace:
        raise RefusedError(f"{path} is there already: name another file, or give --replace.")


def refuse_without_room(path: Path, size: int) -> None:
    """Raise `RefusedError` if the disk that `path` is to be on has fewer than `size` bytes free."""
    if is_direct(path):
        has = _size_of_device(path)
        if has is not None and has < size:
            raise RefusedError(f"The device {path} has {has:,} bytes, and the medium {size:,}.")
        return
    found = os.statvfs(path.parent)
    free = found.f_bavail * found.f_frsize
    if found.f_blocks and free < size:
        raise RefusedError(
            f"The medium takes {size:,} bytes, and the disk of {path.parent} has {free:,} free."
        )


def _size_of_device(path: Path) -> int | None:
    """Return how many bytes a disk has, `None` for a device that has no size."""
    if not path.is_block_device():
        return None
    with path.open("rb") as file:
        return file.seek(0, os.SEEK_END) or None


@contextmanager
def opened(path: Path | BinaryIO, *, replace: bool) -> Iterator[Output]:
    """Open where an image goes: a path, or a stream as it is. Raises as `refuse_taken`.

    An error in the block leaves no file.
    """
    if not isinstance(path, Path):
        yield _Direct("the output", path)
        return
    refuse_taken(path, replace=replace)
    if is_direct(path):
        with path.open("r+b" if path.is_block_device() else "wb", buffering=0) as file:
            yield _Direct(os.fspath(path), file)
        return
    temporary = path.with_name(f"{_beginning(path)}{secrets.token_hex(4)}")
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _MODE)
    try:
        with os.fdopen(fd, "wb", buffering=0) as file:
            with suppress(OSError):  # a file system without locks
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield _Beside(os.fspath(path), file, path, temporary, replace)
    finally:
        temporary.unlink(missing_ok=True)


def write_together(
    made: Iterable[tuple[Path, Iterable[bytes]]], what: str, *, replace: bool
) -> list[Path]:
    """Write files, which get their names once all are there; return their paths.

    `made` gives each with what is in it, made as it is written. Raises as `refuse_taken`, and
    `RefusedError` if one can't be written, which says that no `what` was made.
    """
    place = Path()
    try:
        with ExitStack() as stack:
            outputs = []
            for place, chunks in made:
                output = stack.enter_context(opened(place, replace=replace))
                for chunk in chunks:
                    write_stream(output.file, chunk)
                output.finish()
                outputs.append(output)
            for output in outputs:
                place = Path(output.name)
                output.keep()
            return [Path(output.name) for output in outputs]
    except OSError as exc:
        raise RefusedError(f"No {what} was made: {in_words(exc, str(place))}") from exc


def _beginning(path: Path) -> str:
    return f".{path.name[:32]}.fileset-"


def clear_leftovers(path: Path | BinaryIO) -> None:
    """Delete what processes that were killed have left of files for `path`."""
    if not isinstance(path, Path):
        return
    for left in path.parent.glob(f"{glob.escape(_beginning(path))}*"):
        with suppress(OSError):
            fd = os.open(left, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                left.unlink()
            finally:
                os.close(fd)


def in_words(exc: OSError, name: str) -> str:
    """Return why writing to `name` failed, and what to do."""
    if isinstance(exc, BrokenPipeError):
        return f"Nobody reads {name} any more."
    if exc.errno in _FULL:
        return (
            f"{name} can't be written, as its disk or device is full: make room, or name another "
            "place."
        )
    return f"{name} can't be written: {exc.strerror or exc}."


@contextmanager
def new_medium_folder(path: Path) -> Iterator[tuple[Path, Callable[[], None]]]:
    """Make a folder: yield where to put its files, and what then gives it its place.

    An error in the block leaves nothing.
    """
    with ExitStack() as stack:
        building = stack.enter_context(new_folder(path))

        def keep() -> None:
            stack.pop_all().close()

        yield building, keep
