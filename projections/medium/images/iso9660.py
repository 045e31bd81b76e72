"""ISO 9660 level 1 (ECMA-119) as PS3.12 Annexes F and P have it: an image for CD and for DVD.

No Joliet, no Rock Ridge, no extended attributes. The folders come first, then the files in the
order given, so that a drive reads a DICOMDIR and what it lists in one go.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from projections.medium.images.layout import Checksums, Layout, Piece, zeros
from projections.medium.images.tree import (
    CivilTime,
    ImageError,
    ImageFile,
    ImageFolder,
    Volume,
    refuse_large,
    tree_of,
)

FORMAT: Final = "iso"
VERSION: Final = 1
"""Raise it with any change to the bytes of an image, and keep the former writer."""

LARGEST_FILE: Final = (1 << 32) - 1
"""Bytes of a file at most: its length has 32 bits, and level 1 has one extent for a file."""

SECTOR: Final = 2048
_DESCRIPTORS: Final = 16  # the sector of the first one; what is before belongs to systems
_PATH_TABLES: Final = 18
_PADDING: Final = 150  # sectors: drives read ahead, and some fail at the end of a track
_MOST_FOLDERS: Final = 0xFFFF
_MOST_SECTORS: Final = 0xFFFFFFFF
_IS_FOLDER: Final = 2


def plan_iso(files: Sequence[ImageFile], volume: Volume) -> Layout:
    """Return the layout of an image of `files`, the DICOMDIR first, the others as they follow.

    Raises ImageError for what the format can't hold.
    """
    refuse_large(files, LARGEST_FILE, "ISO 9660 level 1")
    image = _Image(files, volume)
    return Layout(FORMAT, VERSION, image.sectors * SECTOR, files, image.pieces)


class _Image:
    """The places of everything, in sectors."""

    def __init__(self, files: Sequence[ImageFile], volume: Volume) -> None:
        self._files = files
        self._volume = volume
        self._folders = tree_of(files, volume)
        if len(self._folders) > _MOST_FOLDERS:
            raise ImageError(
                f"{len(self._folders):,} folders, and ISO 9660 has at most {_MOST_FOLDERS:,}: "
                "hand out fewer studies or series at a time"
            )
        self._table_size = sum(len(_table_entry(f, 0, 0, ">")) for f in self._folders)
        at = _PATH_TABLES + 2 * _sectors(self._table_size)
        self._folder_sizes: dict[ImageFolder, int] = {}
        self._folder_at: dict[ImageFolder, int] = {}
        for folder in self._folders:
            self._folder_sizes[folder] = size = SECTOR * _packed(_record_sizes(folder))
            self._folder_at[folder] = at
            at += size // SECTOR
        self._file_at: list[int] = []
        for file in files:
            self._file_at.append(at)
            at += _sectors(file.size)
        self.sectors: Final = at + _PADDING
        if self.sectors > _MOST_SECTORS:
            raise ImageError(
                f"the files have {self.sectors * SECTOR:,} bytes together, and ISO 9660 has at "
                f"most {_MOST_SECTORS * SECTOR:,}"
            )

    def pieces(self, _: Checksums) -> Iterator[Piece]:
        """Yield the image."""
        yield bytes(_DESCRIPTORS * SECTOR)
        yield self._primary_descriptor()
        yield (b"\xffCD001\x01").ljust(SECTOR, b"\0")
        for order in "<>":
            table = self._path_table(order)
            yield table + bytes(-len(table) % SECTOR)
        for folder in self._folders:
            yield self._directory(folder)
        for number, file in enumerate(self._files):
            yield number
            if padding := -file.size % SECTOR:
                yield bytes(padding)
        yield from zeros(_PADDING * SECTOR)

    def _primary_descriptor(self) -> bytes:
        """Return the Primary Volume Descriptor (ECMA-119 Section 8.4)."""
        root = self._folders[0]
        table = _sectors(self._table_size)
        created = _long_time(self._volume.created)
        unspecified = b"0" * 16 + b"\0"
        descriptor = b"".join(
            (
                b"\x01CD001\x01\0",
                b" " * 32,
                self._volume.file_set_id.encode("ascii").ljust(32),
                bytes(8),
                _both(self.sectors),
                bytes(32),
                _both16(1),  # of one volume
                _both16(1),
                _both16(SECTOR),
                _both(self._table_size),
                struct.pack("<II", _PATH_TABLES, 0),
                struct.pack(">II", _PATH_TABLES + table, 0),
                self._record(b"\0", root),
                b" " * (4 * 128 + 3 * 37),  # who made it, and files that tell
                created,
                created,
                unspecified,  # when it expires
                unspecified,  # and from when on it may be used
                b"\x01",
            )
        )
        return descriptor.ljust(SECTOR, b"\0")

    def _path_table(self, order: str) -> bytes:
        """Return a Path Table (ECMA-119 Section 9.4): `<` is that of Type L, `>` of Type M."""
        numbers = {folder: number for number, folder in enumerate(self._folders, 1)}
        return b"".join(
            _table_entry(folder, self._folder_at[folder], numbers[folder.parent or folder], order)
            for folder in self._folders
        )

    def _directory(self, folder: ImageFolder) -> bytes:
        """Return the records of a folder; none of them is in two sectors."""
        made = bytearray()
        records = [self._record(b"\0", folder), self._record(b"\x01", folder.parent or folder)]
        for name, entry in folder.entries():
            records.append(self._record(_identifier(name, entry), entry))
        for record in records:
            if len(made) % SECTOR + len(record) > SECTOR:
                made += bytes(-len(made) % SECTOR)
            made += record
        made += bytes(-len(made) % SECTOR)
        return bytes(made)

    def _record(self, identifier: bytes, entry: ImageFolder | int) -> bytes:
        """Return a Directory Record (ECMA-119 Section 9.1).

        Its flags 3 and 4 are zero, and so is the length of extended attributes (PS3.12 F.1.3).
        """
        if isinstance(entry, ImageFolder):
            at, size = self._folder_at[entry], self._folder_sizes[entry]
            time, flags = self._volume.created, _IS_FOLDER
        else:
            at, size = self._file_at[entry], self._files[entry].size
            time, flags = self._files[entry].modified, 0
        return b"".join(
            (
                struct.pack("BB", _record_size(len(identifier)), 0),
                _both(at),
                _both(size),
                _short_time(time),
                struct.pack("BBB", flags, 0, 0),
                _both16(1),
                struct.pack("B", len(identifier)),
                identifier,
                bytes(1 - len(identifier) % 2),
            )
        )


def _identifier(name: str, entry: ImageFolder | int) -> bytes:
    """Return the name of a file with its full stop and version, or that of a folder."""
    if isinstance(entry, ImageFolder):
        return name.encode("ascii")
    return (f"{name};1" if "." in name else f"{name}.;1").encode("ascii")


def _record_size(identifier_size: int) -> int:
    return 34 + identifier_size - identifier_size % 2


def _record_sizes(folder: ImageFolder) -> Iterator[int]:
    yield from (34, 34)  # the folder itself, and the one above it
    for name, entry in folder.entries():
        yield _record_size(len(_identifier(name, entry)))


def _packed(sizes: Iterable[int]) -> int:
    """Return how many sectors records of these sizes take, none of them in two."""
    sectors, used = 1, 0
    for size in sizes:
        if used + size > SECTOR:
            sectors, used = sectors + 1, 0
        used += size
    return sectors


def _table_entry(folder: ImageFolder, at: int, parent: int, order: str) -> bytes:
    name = folder.name.encode("ascii") or b"\0"
    head = struct.pack(f"{order}BBIH", len(name), 0, at, parent)
    return head + name + bytes(len(name) % 2)


def _sectors(size: int) -> int:
    return -(-size // SECTOR)


def _both(number: int) -> bytes:
    """Return 32 bits in both byte orders (ECMA-119 Section 7.3.3)."""
    return struct.pack("<I", number) + struct.pack(">I", number)


def _both16(number: int) -> bytes:
    return struct.pack("<H", number) + struct.pack(">H", number)


def _short_time(time: CivilTime) -> bytes:
    """Return a time of a Directory Record, in UTC (ECMA-119 Section 9.1.5)."""
    time = time.within(1900, 2155)
    return bytes((time.year - 1900, *time[1:], 0))


def _long_time(time: CivilTime) -> bytes:
    """Return a time of a Volume Descriptor, in UTC (ECMA-119 Section 8.4.26.1)."""
    year, *rest = time
    return f"{year:04}{''.join(f'{part:02}' for part in rest)}00".encode("ascii") + b"\0"
