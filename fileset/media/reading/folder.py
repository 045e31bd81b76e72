"""Reading a folder as a medium: all regular files in it, the DICOMDIR first."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from fileset.media.errors import UnreadableMediumError
from fileset.media.reading.medium import MediumFile, ReadMedium
from ledger.files import viewed
from ledger.names import is_of_dicomdir


def read_folder(root: Path) -> ReadMedium:
    """Return the files in a folder; UnreadableMediumError where a folder in it can't be read."""
    return ReadMedium("folder", "", list(_files(root)), None)


def _files(root: Path) -> Iterator[MediumFile]:
    for folder, names, files in os.walk(root, onerror=_refuse):
        names.sort()
        is_root = folder == os.fspath(root)
        for name in sorted(files, key=lambda name: (not (is_root and is_of_dicomdir(name)), name)):
            path = Path(folder, name)
            size = path.lstat().st_size
            yield MediumFile(path.relative_to(root).as_posix(), size, partial(_chunks, path))


def _chunks(path: Path) -> Iterator[bytes]:
    if path.is_symlink() or not path.is_file():
        raise UnreadableMediumError(f"{path} is not a regular file")
    try:
        with viewed(path) as view:
            yield from view.pieces()
    except OSError as exc:
        raise UnreadableMediumError(f"{path}: can't be read: {exc.strerror or exc}") from exc


def _refuse(error: OSError) -> None:
    raise UnreadableMediumError(f"{error.filename}: can't be read: {error.strerror}") from error
