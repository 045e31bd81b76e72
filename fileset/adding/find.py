"""Finding the files to read: those that are named, and those in folders."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from os.path import basename, isdir, islink
from pathlib import Path
from typing import Final, NamedTuple

from fileset.adding.ignoring import Ignored
from fileset.adding.members import DICOMDIR_FOUND, number_in
from fileset.adding.outcome import IGNORED_NAME
from fileset.adding.paths import Paths
from fileset.archives.opening import kind_of
from fileset.repository.folder import is_repository
from ledger.files import dicomdirs
from ledger.names import is_of_dicomdir
from projections.dicomdir.definitions import LEFTOVER

_LINK: Final = "a link to a folder, which is not followed"
_REPOSITORY: Final = "a repository of fileset-ledger"
_FILE_SET: Final = "a File-set of its own: it has a DICOMDIR, which names its files where they are"
_LEFTOVER: Final = "what an interrupted write left"


class FoundFile(NamedTuple):
    """A file to be read, or what is passed over on the way, and then why.

    Of an archive what is in it is to be read.
    """

    path: str
    skipped: str | None = None
    is_archive: bool = False

    def __fspath__(self) -> str:
        """Return the path."""
        return self.path


class FoundFiles:
    """Found files that are gone through more than once, in few bytes each.

    `number` is how many there are, with those in archives.
    """

    def __init__(self, files: Iterable[FoundFile]) -> None:
        self._paths = Paths()
        self._skipped: dict[int, str] = {}
        self._archives: set[int] = set()
        self.number = 0
        for path, skipped, is_archive in files:
            if skipped is not None:
                self._skipped[len(self._paths)] = skipped
            if is_archive:
                self._archives.add(len(self._paths))
            self.number += number_in(path) if is_archive else 1
            self._paths.append(path)

    def __len__(self) -> int:
        return len(self._paths)

    def __iter__(self) -> Iterator[FoundFile]:
        numbers = range(len(self))
        are_archives = map(self._archives.__contains__, numbers)
        return map(FoundFile, self._paths, map(self._skipped.get, numbers), are_archives)


def find_files(
    paths: Iterable[str | os.PathLike[str]],
    *,
    recursive: bool,
    in_place: bool = False,
    ignored: Ignored | None = None,
) -> Iterator[FoundFile]:
    """Yield the files at `paths`, and with `recursive` those in their folders, in a fixed order.

    Every folder that is not gone into is yielded as it is: any without `recursive`, and then one
    that can't be read, a link to a folder (unless it is one of `paths`), and a repository. Only
    archives that are among `paths` are to be looked into, and none in folders. Where
    files are to be listed `in_place`, so are the File-sets that lie in folders of `paths`, and
    what interrupted writes left. What is `ignored` in folders is yielded as passed over; a path
    that is named is not.
    """
    for given in paths:
        if isinstance(given, FoundFile):
            yield given
            continue
        path = os.fspath(given)
        if path and not isinstance(given, Path):
            path = os.fspath(Path(path))
        if not isdir(path):
            skipped = DICOMDIR_FOUND if is_of_dicomdir(basename(path)) else None
            yield FoundFile(path, skipped, skipped is None and kind_of(path) is not None)
        elif recursive and not _is_repository(path):
            yield from _walk(path, in_place=in_place, ignored=ignored)
        else:
            yield FoundFile(path, _why_not_entered(path))


def archives_among(paths: Iterable[str | os.PathLike[str]]) -> list[str]:
    """Return those of the `paths` of which what is in them would be added."""
    return [
        os.fspath(path)
        for path in paths
        if (path.is_archive if isinstance(path, FoundFile) else kind_of(path) is not None)
    ]


def _walk(top: str, *, in_place: bool, ignored: Ignored | None) -> Iterator[FoundFile]:
    pending = [top]
    while pending:
        folder = pending.pop()
        try:
            with os.scandir(folder) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError:
            yield FoundFile(folder)  # reading it says why
            continue
        if in_place:
            if folder != top and dicomdirs(entries):
                yield FoundFile(folder, _FILE_SET)
                continue
            leftovers = [entry for entry in entries if entry.name.startswith(LEFTOVER)]
            yield from (FoundFile(entry.path, _LEFTOVER) for entry in leftovers)
            entries = [entry for entry in entries if entry not in leftovers]
        if ignored is not None:
            passed = {entry.path for entry in entries if _is_ignored(entry, top, ignored)}
            yield from (
                FoundFile(entry.path, IGNORED_NAME) for entry in entries if entry.path in passed
            )
            entries = [entry for entry in entries if entry.path not in passed]
        folders = [entry for entry in entries if _is_folder(entry)]
        skipped = {entry.path: _why_not_entered(entry.path) for entry in folders}
        yield from (FoundFile(path, why) for path, why in skipped.items() if why is not None)
        for entry in entries:
            if entry.path not in skipped:
                yield FoundFile(entry.path, DICOMDIR_FOUND if is_of_dicomdir(entry.name) else None)
        pending += reversed([path for path, why in skipped.items() if why is None])


def _is_ignored(entry: os.DirEntry[str], top: str, ignored: Ignored) -> bool:
    return ignored.name(entry.name) or ignored.path(entry.path.removeprefix(top).lstrip("/"))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads nowhere: reading it says why
        return False


def _why_not_entered(path: str) -> str | None:
    """Return why a folder is passed over on the way, `None` if it isn't."""
    if islink(path):
        return _LINK
    return _REPOSITORY if _is_repository(path) else None


def _is_repository(path: str) -> bool:
    try:
        return is_repository(Path(path))
    except OSError:  # a folder that can't be looked into: reading it says why
        return False
