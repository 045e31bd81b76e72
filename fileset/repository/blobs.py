"""Where a repository keeps what can be rebuilt: a few bytes under each name."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from ledger.disk import fsync
from ledger.files import read_file


class Blobs(Protocol):
    """What keeps bytes by name. Who changes any keeps others out."""

    def read(self, name: str) -> bytes:
        """Return what is kept under `name`, nothing where nothing is or it can't be read."""
        ...

    def write(self, name: str, pieces: Iterable[bytes | bytearray | memoryview]) -> None:
        """Keep `pieces` as one under `name`, or not at all; OSError if that can't be done."""
        ...

    def delete(self, name: str) -> None:
        """Keep nothing under `name` any more."""
        ...

    def clear(self) -> None:
        """Keep nothing any more, durably."""
        ...


class FolderBlobs:
    """Keeps bytes in the files of a folder, in which others may keep what is disposable, too."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes:
        try:
            return read_file(self._folder / name)
        except OSError:
            return b""

    def write(self, name: str, pieces: Iterable[bytes | bytearray | memoryview]) -> None:
        path = self._folder / name
        for left in self._folder.glob(f".{name}.*"):  # by a process that was killed
            left.unlink()
        fd, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=self._folder)
        try:
            with os.fdopen(fd, "wb") as file:
                file.writelines(pieces)
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def delete(self, name: str) -> None:
        """Delete the file `name`."""
        (self._folder / name).unlink(missing_ok=True)

    def clear(self) -> None:
        """Delete all that is in the folder."""
        for path in self._folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        fsync(self._folder)
