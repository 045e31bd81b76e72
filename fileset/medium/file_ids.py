"""Where the File IDs of directory records lead: to files below the root, and nowhere else."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Final, NamedTuple, TypeAlias

from ledger.journal.placing import outside
from ledger.names import one_name

_ODD: Final = frozenset(("", ".", ".."))  # components that name no file in their folder
_NOTHING_THERE: Final = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG))
_MANY: Final = 8  # files asked for in a folder from which listing it costs less


FileKey: TypeAlias = tuple[tuple[int, int] | None, str]
"""What tells a file of the medium from all others there."""


class ReferencedFile(NamedTuple):
    """What a File ID leads to.

    `path` is where it leads as written, `resolved` the same without links, and `file_id` the
    former below the root. `identity` tells the file from all others whatever its name; it is
    `None` where there is no file.
    """

    path: str
    resolved: str
    file_id: str
    identity: tuple[int, int] | None
    is_regular: bool

    @property
    def key(self) -> FileKey:
        """Its identity and name: hard links are files apart.

        Names that some media take for one are one where the file is one.
        """
        return self.identity, one_name(self.resolved)


class RootFolder:
    """The root folder of a File-set, to which no link leads, nor to a folder above it.

    Folders are looked at once: a File-set has few of them, and many files in each.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folders: dict[tuple[str, ...], _Folder | None] = {}

    def find(self, components: tuple[str, ...]) -> ReferencedFile:
        """Return the file whose File ID has these components, which is not opened.

        Raises PermissionError if it leads out of the root.
        """
        if any("\0" in name for name in components):  # a name that no file can have
            file_id = "/".join(components)
            return ReferencedFile(f"{self._root}/{file_id}", "", file_id, None, False)
        folder = self._folder(components[:-1])
        name = components[-1] if components else ""
        if folder is None or name in _ODD or "/" in name:
            return self._follow(components)
        identity, mode = folder.look_up(name)
        if stat.S_ISLNK(mode):
            return self._follow(components)
        path = f"{folder.path}/{name}"
        return ReferencedFile(path, path, "/".join(components), identity, stat.S_ISREG(mode))

    def has_files(self, folder: tuple[str, ...], names: Sequence[str]) -> bool:
        """Whether all `names` in a folder are those of regular files, and no link leads to them.

        `False` also if that takes a closer look.
        """
        try:
            looked_at = self._folder(folder)
            if looked_at is None or not _ODD.isdisjoint(names):
                return False
            return not any("/" in name or "\0" in name for name in names) and looked_at.has(names)
        except OSError:
            return False

    def presume(self, components: tuple[str, ...]) -> ReferencedFile:
        """Return as `find`, presuming that there is a file where that can't be looked at.

        Who reads it is told why it can't be.
        """
        try:
            return self.find(components)
        except OSError as exc:
            if exc.errno is None:  # it leads out of the root
                raise
        file_id = PurePosixPath(*components).as_posix()
        path = f"{self._root}/{file_id}"
        return ReferencedFile(path, path, file_id, (0, 0), is_regular=True)

    def _folder(self, components: tuple[str, ...]) -> _Folder | None:
        try:
            return self._folders[components]
        except KeyError:
            folder = self._folders[components] = self._plain_folder(components)
            return folder

    def _plain_folder(self, components: tuple[str, ...]) -> _Folder | None:
        """Return the folder, `None` if a link leads to it or its name is no plain one."""
        path = os.path.join(self._root, *components)
        plain = not any(name in _ODD or "/" in name for name in components)
        return _Folder(path) if plain and os.path.realpath(path) == path else None

    def _follow(self, components: tuple[str, ...]) -> ReferencedFile:
        """Find a file by whatever way its File ID takes."""
        relative = PurePosixPath(*components)
        path = self._root / relative
        resolved = os.path.realpath(path)
        within = not outside(relative.as_posix()) and Path(resolved).is_relative_to(self._root)
        if not within:
            raise PermissionError(
                f"ReferencedFileID ('{relative}') must be inside the DICOMDIR root path"
            )
        name = os.fspath(path)
        identity, mode = _look_at(name, follow=True)
        return ReferencedFile(name, resolved, relative.as_posix(), identity, stat.S_ISREG(mode))


_Look = tuple[tuple[int, int] | None, int]  # device and inode, and the mode; None and 0 for nothing


class _Folder:
    """A folder that no link leads to; `path` is where it is."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._asked: Counter[str] = Counter()
        self._listed: dict[str, _Look] | None = None

    def look_up(self, name: str) -> _Look:
        """Return what the folder has as `name`, a link itself and not where it leads."""
        if self._listed is None:
            self._asked[name] += 1
            if len(self._asked) > _MANY:
                self._listed = self._list()
        found = (self._listed or {}).get(name)
        # A file may have another name in the list than it answers to.
        return _look_at(f"{self.path}/{name}", follow=False) if found is None else found

    def has(self, names: Sequence[str]) -> bool:
        """Whether it has a regular file of each name."""
        if self._listed is None and len(names) > _MANY:
            self._listed = self._list()
        if self._listed is not None and self._listed.keys() >= set(names):
            return True  # only such are listed
        return all(stat.S_ISREG(self.look_up(name)[1]) for name in names)

    def _list(self) -> dict[str, _Look]:
        """Return what is in the folder, as far as that is known without a look at each file."""
        listed: dict[str, _Look] = {}
        try:
            device = os.stat(self.path).st_dev
            with os.scandir(self.path) as entries:
                for entry in entries:
                    if entry.is_file(follow_symlinks=False):
                        listed[entry.name] = ((device, entry.inode()), stat.S_IFREG)
        except OSError:
            return {}
        return listed


def _look_at(path: str, *, follow: bool) -> _Look:
    try:
        status = os.stat(path, follow_symlinks=follow)
    except OSError as exc:
        if exc.errno not in _NOTHING_THERE:
            raise  # it may be there: what a record references is not left out for that
        return None, 0
    return (status.st_dev, status.st_ino), status.st_mode
