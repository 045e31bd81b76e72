"""What goes into an image: files with their names and times, in the folders that the names make.

Every format here takes the same names, those of ISO 9660 level 1 (ECMA-119 Section 10.1): up to
eight letters, digits and underscores, for files also an extension of up to three, in up to eight
levels. File IDs are such names (PS3.10 Section 8.2), and so are those of IHE PDI.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, NamedTuple

from attrs import define, field, frozen

from ledger.errors import LedgerError
from ledger.phrases import count

_LEVELS: Final = 8  # the root is the first one of folders, and a File ID has as many components
_DICOMDIR: Final = "DICOMDIR"

_FOLDER: Final = re.compile(r"[A-Z0-9_]{1,8}")
_FILE: Final = re.compile(r"[A-Z0-9_]{1,8}(?:\.[A-Z0-9_]{1,3})?")
_SET_ID: Final = re.compile(r"[A-Z0-9_]{0,16}")


class ImageError(LedgerError, ValueError):
    """An image of that kind can't hold these files: the message names the file, and what to do."""


class CivilTime(NamedTuple):
    """A time in UTC, to the second."""

    year: int
    month: int
    day: int
    hour: int = 0
    minute: int = 0
    second: int = 0

    @classmethod
    def of(cls, recorded_at: str) -> CivilTime:
        """Return the time that a journal has as `recorded_at`; ValueError if it is none."""
        match = re.match(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?Z$", recorded_at)
        if match is None:
            raise ValueError(f"not a time of a journal: {recorded_at!r}")
        return cls(*map(int, match.groups()))

    def within(self, first: int, last: int) -> CivilTime:
        """Return this time, or the nearest one in the years from `first` to `last`."""
        if self.year < first:
            return CivilTime(first, 1, 1)
        if self.year > last:
            return CivilTime(last, 12, 31, 23, 59, 58)
        return self


class ImageFile(NamedTuple):
    """A file of an image: its path below the root, with slashes, and its size in bytes."""

    path: str
    size: int
    modified: CivilTime


@frozen
class Volume:
    """What an image says of itself.

    Attributes
    ----------
    file_set_id : str
        The File-set ID, which may be empty: the name of the volume.
    created : CivilTime
        When the File-set became what the image holds; the time of folders, too.
    serial : int
        32 bits by which systems tell sticks apart: any number that is always the same.
    """

    file_set_id: str
    created: CivilTime
    serial: int = 0


@define(eq=False)
class ImageFolder:
    """A folder with the folders and files in it, by their names; files by their numbers."""

    name: str
    parent: ImageFolder | None
    folders: dict[str, ImageFolder] = field(factory=dict)
    files: dict[str, int] = field(factory=dict)

    def entries(self) -> list[tuple[str, ImageFolder | int]]:
        """Return what is in the folder, by name as ECMA-119 Section 9.3 orders them."""
        found: list[tuple[str, ImageFolder | int]] = [*self.folders.items(), *self.files.items()]
        return sorted(found, key=lambda entry: entry[0].partition(".")[::2])


def tree_of(files: Sequence[ImageFile], volume: Volume) -> list[ImageFolder]:
    """Return the folders of an image of `files`: the root, then level by level, in order of name.

    Raises ImageError for names that not every medium can have, for two files of one name, and if
    the DICOMDIR is not the first file.
    """
    if not files or files[0].path != _DICOMDIR:
        raise ImageError("the first file of an image has to be the DICOMDIR of its File-set")
    if _SET_ID.fullmatch(volume.file_set_id) is None:
        raise ImageError(
            f"the File-set ID {volume.file_set_id!r} can't be the name of a volume: that has up to "
            "16 of A-Z, 0-9 and _ (PS3.10 Section 8.5). Set another one with `fileset set id=ID`"
        )
    root = ImageFolder("", None)
    known: dict[str, ImageFolder] = {}
    for number, file in enumerate(files):
        above, slash, name = file.path.rpartition("/")
        folder = known.get(above + slash)
        if folder is None:
            folder = known[above + slash] = _make_folders(root, above) if slash else root
        _check_name(name, _FILE, file.path)
        if name in folder.files or name in folder.folders:
            raise ImageError(f"{file.path}: two files, or a file and a folder, have this name")
        folder.files[name] = number
    return _by_level(root)


def check_path(path: str) -> None:
    """Raise ImageError if a file on a medium can't have the `path` from the root."""
    above, _, name = path.rpartition("/")
    if above:
        _make_folders(ImageFolder("", None), above)
    _check_name(name, _FILE, path)


def refuse_large(files: Sequence[ImageFile], most: int, what: str) -> None:
    """Raise ImageError if a file has more than `most` bytes; `what` is the format in words."""
    large = [file for file in files if file.size > most]
    if large:
        others = f" (and {count(len(large) - 1, 'other file')})" if len(large) > 1 else ""
        raise ImageError(
            f"{large[0].path}{others} has {large[0].size:,} bytes, and a file on {what} has at "
            f"most {most:,}: leave it out, or make a ZIP or a folder"
        )


def dos_time(time: CivilTime) -> tuple[int, int]:
    """Return a time as MS-DOS has it, in steps of two seconds, and its date: for FAT and ZIP."""
    year, month, day, hour, minute, second = time.within(1980, 2107)
    return hour << 11 | minute << 5 | second // 2, (year - 1980) << 9 | month << 5 | day


def _make_folders(root: ImageFolder, path: str) -> ImageFolder:
    folder = root
    names = path.split("/")
    if len(names) >= _LEVELS:
        raise ImageError(
            f"{path}: folders go down to level {len(names) + 1}, the root being the first, and "
            f"{_LEVELS} are allowed"
        )
    for name in names:
        below = folder.folders.get(name)
        if below is None:
            _check_name(name, _FOLDER, path)
            if name in folder.files:
                raise ImageError(f"{path}: a file and a folder have this name")
            below = folder.folders[name] = ImageFolder(name, folder)
        folder = below
    return folder


def _check_name(name: str, allowed: re.Pattern[str], path: str) -> None:
    if allowed.fullmatch(name) is None:
        raise ImageError(
            f"{path}: {name!r} is not a name that every medium can have: up to 8 of A-Z, 0-9 and _,"
            " and for a file an extension of up to 3 (ISO 9660 level 1)"
        )


def _by_level(root: ImageFolder) -> list[ImageFolder]:
    """Return all folders as ECMA-119 Section 6.9.1 orders them in a path table."""
    found = [root]
    for folder in found:
        found.extend(below for _, below in sorted(folder.folders.items()))
    return found
