"""Where the File IDs of directory records lead: to files below the root, and nowhere else."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import NamedTuple


class ReferencedFile(NamedTuple):
    """What a File ID leads to.

    `path` is where it leads by its letter, `resolved` the same without links, and `file_id` the
    former below the root. `status` is that of the file, ``None`` where there is none.
    """

    path: str
    resolved: str
    file_id: str
    status: os.stat_result | None

    @property
    def is_regular(self) -> bool:
        """Whether it is a regular file, perhaps behind a link."""
        return self.status is not None and stat.S_ISREG(self.status.st_mode)


class RootFolder:
    """The root folder of a File-set, to which no link leads, nor to a folder above it.

    Folders are looked at once: a File-set has few of them, and many files in each.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[tuple[str, ...], str | None] = {}

    def find(self, components: tuple[str, ...]) -> ReferencedFile:
        """Return the file whose File ID has these components, which is not opened.

        Raises PermissionError if it leads out of the root.
        """
        folder = self._folder(components[:-1])
        if folder is None or not _is_plain(components[-1:]):
            return self._follow(components)
        path = f"{folder}/{components[-1]}"
        status = _status(path, follow=False)
        if status is not None and stat.S_ISLNK(status.st_mode):
            return self._follow(components)
        return ReferencedFile(path, path, "/".join(components), status)

    def _folder(self, components: tuple[str, ...]) -> str | None:
        """Return the path of a folder that no link leads to, ``None`` where one does."""
        try:
            return self._folders[components]
        except KeyError:
            path = os.path.join(self._root, *components)
            plain = _is_plain(components) and os.path.realpath(path) == path
            return self._folders.setdefault(components, path if plain else None)

    def _follow(self, components: tuple[str, ...]) -> ReferencedFile:
        """Find a file by whatever way its File ID takes."""
        relative = PurePosixPath(*components)
        path = self._root / relative
        resolved = os.path.realpath(path)
        if relative.is_absolute() or not Path(resolved).is_relative_to(self._root):
            raise PermissionError(
                f"ReferencedFileID ('{relative}') must be inside the DICOMDIR root path"
            )
        name = os.fspath(path)
        return ReferencedFile(name, resolved, relative.as_posix(), _status(name, follow=True))


def _is_plain(components: tuple[str, ...]) -> bool:
    """Whether each component is a name in its folder."""
    return not any(name in {"", ".", ".."} or "/" in name for name in components)


def _status(path: str, *, follow: bool) -> os.stat_result | None:
    try:
        return os.stat(path, follow_symlinks=follow)
    except (OSError, ValueError):  # ValueError: a name that no file can have
        return None
