"""ZIP files (APPNOTE 6.3) as PS3.12 Annex V has them, their files stored as they are.

Sizes and checksums are in front of each file, so one can be unpacked from a pipe, too. What 32 bits
can't hold is in ZIP64 extra fields, which are only there where they are needed.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator, Sequence
from typing import Final

from projections.medium.images.layout import Checksums, Layout, Piece
from projections.medium.images.tree import ImageFile, Volume, dos_time, tree_of

FORMAT: Final = "zip"
VERSION: Final = 1
"""Raise it with any change to the bytes of an image, and keep the former writer."""

_FULL: Final = 0xFFFFFFFF
_FULL16: Final = 0xFFFF
_STORED: Final = 10
_ZIP64: Final = 45
"""What has to be understood to unpack: version 1.0, or 4.5."""
_UNIX: Final = 3 << 8
_REGULAR_FILE: Final = 0o100644 << 16


def plan_zip(files: Sequence[ImageFile], volume: Volume) -> Layout:
    """Return the layout of a ZIP of `files`, the DICOMDIR first, the others as they follow.

    Raises ImageError for names that not every medium can have. The volume has no place in a ZIP,
    but a File-set that could not go to a disc is refused all the same.
    """
    tree_of(files, volume)
    size, directory = 0, 0
    for file in files:
        directory += len(_entry(file, 0, size))
        size += len(_header(file, 0)) + file.size
    end = _end(len(files), directory, size)

    def pieces(checksum: Checksums) -> Iterator[Piece]:
        checksums = array("I")
        for number, file in enumerate(files):
            checksums.append(checksum(number))
            yield _header(file, checksums[-1])
            yield number
        offset = 0
        for crc, file in zip(checksums, files, strict=True):
            yield _entry(file, crc, offset)
            offset += len(_header(file, 0)) + file.size
        yield end

    return Layout(FORMAT, VERSION, size + directory + len(end), files, pieces)


def _header(file: ImageFile, crc: int) -> bytes:
    """Return what is in front of a file (APPNOTE 4.3.7)."""
    name = file.path.encode("ascii")
    extra = struct.pack("<HHQQ", 1, 16, file.size, file.size) if file.size >= _FULL else b""
    size = min(file.size, _FULL)
    head = struct.pack(
        "<4sHHHHHIIIHH", b"PK\3\4", _ZIP64 if extra else _STORED, 0, 0, *dos_time(file.modified),
        crc, size, size, len(name), len(extra),
    )  # fmt: skip
    return head + name + extra


def _entry(file: ImageFile, crc: int, offset: int) -> bytes:
    """Return what the directory at the end has of a file that begins at `offset` (4.3.12)."""
    name = file.path.encode("ascii")
    extra = struct.pack("<QQ", file.size, file.size) if file.size >= _FULL else b""
    if offset >= _FULL:
        extra += struct.pack("<Q", offset)
    if extra:
        extra = struct.pack("<HH", 1, len(extra)) + extra
    needed, size = _ZIP64 if extra else _STORED, min(file.size, _FULL)
    head = struct.pack(
        "<4sHHHHHHIIIHHHHHII", b"PK\1\2", _UNIX | needed, needed, 0, 0, *dos_time(file.modified),
        crc, size, size, len(name), len(extra), 0, 0, 0, _REGULAR_FILE, min(offset, _FULL),
    )  # fmt: skip
    return head + name + extra


def _end(count: int, size: int, offset: int) -> bytes:
    """Return the end of a ZIP whose directory is `size` bytes at `offset` (4.3.14 to 4.3.16)."""
    ends = b""
    if count >= _FULL16 or size >= _FULL or offset >= _FULL:
        ends = struct.pack(
            "<4sQHHIIQQQQ", b"PK\6\6", 44, _UNIX | _ZIP64, _ZIP64, 0, 0, count, count, size, offset
        ) + struct.pack("<4sIQI", b"PK\6\7", 0, offset + size, 1)
    count = min(count, _FULL16)
    return ends + struct.pack(
        "<4sHHHHIIH", b"PK\5\6", 0, 0, count, count, min(size, _FULL), min(offset, _FULL), 0
    )
