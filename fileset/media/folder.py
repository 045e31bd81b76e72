"""The files of a medium that lies in a folder: a copy, or a disc that a system has mounted."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from ledger.files import naming, stamp_of, viewed


@frozen
class FoundFile:
    """A file at `path` below the root, with slashes, and its size in bytes.

    `place` is where it is on this system.
    """

    path: str
    size: int
    place: Path

    def chunks(self) -> Iterator[bytes]:
        """Yield its bytes; OSError if it can't be read."""
        with viewed(self.place) as view, naming(self.place):
            yield from view.pieces()


def files_in(root: Path) -> Iterator[FoundFile]:
    """Yield the files below `root`, in the order of their names; links are not followed.

    A link, or another thing that is no regular file, has the size -1. OSError if a folder can't be
    listed.
    """

    def failed(exc: OSError) -> None:
        raise exc

    for folder, folders, names in os.walk(root, onerror=failed):
        links = [name for name in folders if Path(folder, name).is_symlink()]
        folders[:] = sorted(set(folders).difference(links))
        for name in sorted((*names, *links)):
            place = Path(folder, name)
            stamp = stamp_of(place)
            path = place.relative_to(root).as_posix()
            yield FoundFile(path, -1 if stamp is None else stamp.size, place)
