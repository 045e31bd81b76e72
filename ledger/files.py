"""Reading files of instances: their content, and verified copies."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Final

from ledger.digest import from_raw
from ledger.errors import ContentDamagedError
from ledger.events import Content

_CHUNK: Final = 1 << 20


def file_content(path: Path) -> Content:
    """Return the digest and size (bytes) of the file at `path`; OSError if it can't be read."""
    with path.open("rb", buffering=0) as file:
        hasher = hashlib.file_digest(file, "sha256")
        return Content(from_raw(hasher.digest()), file.tell())


def copy_file(source: Path, target: int, *, expected: Content | None) -> None:
    """Copy the file `source` to the open file descriptor `target`, hashing on the way.

    Raises :class:`~ledger.errors.ContentDamagedError` if it is not the `expected` content;
    ``None`` takes whatever it is.
    """
    hasher = hashlib.sha256()
    size = 0
    with source.open("rb", buffering=0) as file:
        while chunk := file.read(_CHUNK):
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
