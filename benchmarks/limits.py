"""The limits: the same bytes read, hashed, written and flushed, and nothing else.

All goes through one buffer, since a new one for each file would cost more than the reading. The
functions that return a cost are run in a process of their own.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from benchmarks.measuring import Cost, timed
from ledger.disk import fsync_all

_CHUNK: Final = 1 << 20
_IN_FOLDER: Final = 200  # files that are made in each


def files_below(folder: Path) -> list[Path]:
    """Return the files in a folder and those in it, in their order."""
    return sorted(path for path in folder.rglob("*") if path.is_file())


def forget(files: Iterable[Path]) -> None:
    """Have the system forget what it has in memory of files that are on the disk."""
    for path in files:
        with path.open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def append_all(files: Iterable[Path], pack: Path) -> None:
    """Read and hash files, append them to a new one, and flush that."""
    buffer = memoryview(bytearray(_CHUNK))
    with pack.open("xb", buffering=0) as target:
        for path in files:
            _copy(path, target.fileno(), buffer)
        os.fsync(target.fileno())


def make_all(files: Iterable[Path], folder: Path) -> None:
    """Read and hash files, write each to a new one, and flush them together."""
    buffer = memoryview(bytearray(_CHUNK))
    for number, path in enumerate(files):
        below = folder / f"{number // _IN_FOLDER:06}"
        if number % _IN_FOLDER == 0:
            below.mkdir(parents=True)
        with (below / f"{number:08}").open("xb", buffering=0) as target:
            _copy(path, target.fileno(), buffer)
    fsync_all([folder] * 64, (), folder)


def _copy(path: Path, target: int, buffer: memoryview) -> None:
    hasher = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while size := file.readinto(buffer):
            hasher.update(buffer[:size])
            os.write(target, buffer[:size])
    hasher.digest()


def appending(source: Path, pack: Path) -> Cost:
    """Return what `append_all` of a folder costs."""
    files = files_below(source)
    return timed(lambda: append_all(files, pack))[0]


def making(source: Path, folder: Path) -> Cost:
    """Return what `make_all` of a folder costs."""
    files = files_below(source)
    return timed(lambda: make_all(files, folder))[0]
