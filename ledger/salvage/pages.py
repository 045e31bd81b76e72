"""The leaf pages of an SQLite database, read without SQLite.

Each can be read by itself, whatever the rest of the file is like. The numbers of Sections are
those of SQLite's file format, https://www.sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import os
import struct
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

BAD: Final = (IndexError, ValueError, struct.error, RecursionError)
"""What is raised where bytes are no row."""

EMPTY: Final = 12
"""The serial type of a blob of no bytes."""

_PAGE_SIZE: Final = 16384  # of every journal that was made so far, should the header be damaged
_LEAF: Final = 0x0D
# A database and the logs that may be beside it (Sections 3 and 4): where the first page begins, and
# what is between two of them.
_FILES: Final = (("", 0, 0), ("-wal", 32 + 24, 24), ("-journal", 512 + 4, 4 + 4))
_NUMBERS: Final = {1: 1, 2: 2, 3: 3, 4: 4, 5: 6, 6: 8}  # bytes of an integer, by its serial type
_MOST: Final = 16  # rows on one overflow page: there is one


class Pages:
    """The pages of a database and of the logs beside it, by an offset that counts through all.

    Attributes
    ----------
    most_rows : int
        How many rows the files have room for.
    """

    def __init__(self, path: Path) -> None:
        """Open the database at `path`, and the logs beside it; OSError if it can't be read."""
        self._files: list[tuple[int, int, int, int]] = []
        self._page = (-1, b"")
        self._claims: Counter[int] = Counter()
        try:
            for name, start, frame in _FILES:
                each = path.with_name(f"{path.name}{name}")
                if not name or each.is_file():
                    fd = os.open(each, os.O_RDONLY | os.O_CLOEXEC)
                    self._files.append((fd, os.fstat(fd).st_size, start, frame))
            header = self._bytes(0, 100)
        except BaseException:
            self.close()
            raise
        self._total = sum(size for _, size, _, _ in self._files)
        self.most_rows = self._total // 32
        size = int.from_bytes(header[16:18], "big")
        self._size = size if size >= 512 and size & (size - 1) == 0 else _PAGE_SIZE

    def close(self) -> None:
        """Close the files."""
        while self._files:
            os.close(self._files.pop()[0])

    def offsets(self) -> Iterator[int]:
        """Yield where pages begin."""
        base = 0
        for _, size, start, frame in self._files:
            for offset in range(start, size, self._size + frame):
                yield base + offset
            base += size

    def read(self, offset: int) -> bytes:
        """Return the page at an offset, zeros for what is missing of it."""
        if self._page[0] != offset:
            self._page = (offset, self._bytes(offset, self._size).ljust(self._size, b"\0"))
        return self._page[1]

    def values(self, place: int) -> list[Any]:
        """Return the values of the row at a place; an error of `BAD` if there is none."""
        page, at, length, local = self._extent(place)
        data = page[at : at + local]
        if local < length:
            data += b"".join(
                self._bytes(each, self._size)[4:]
                for each in self._overflow(page, at, length, local)
            )
        data = data[:length]
        types, at = _serial_types(data, 0)
        values = []
        for kind in types:
            value, at = _value(data, at, kind)
            values.append(value)
        return values

    def cell(self, place: int) -> tuple[bytes, list[int]]:
        """Return the bytes of the cell at a place, and where its overflow pages begin."""
        page, at, length, local = self._extent(place)
        start = place - self._start(place)
        if local == length:
            return page[start : at + local], []
        return page[start : at + local + 4], list(self._overflow(page, at, length, local))

    def claim(self, pages: list[int]) -> bool:
        """Take overflow pages for a row; `False` if too many rows have one of them.

        So all rows together are not much larger than the files, even where these were crafted.
        """
        if any(self._claims[page] >= _MOST for page in pages):
            return False
        self._claims.update(pages)
        return True

    def _bytes(self, offset: int, length: int) -> bytes:
        for fd, size, _, _ in self._files:
            if offset < size:
                try:
                    return os.pread(fd, length, offset)
                except OSError:  # the disk can't read that part
                    return b""
            offset -= size
        return b""

    def _start(self, place: int) -> int:
        """Return where the page of a place begins."""
        base = 0
        for _, size, start, frame in self._files:
            if place < base + size:
                step = self._size + frame
                return base + start + (place - base - start) // step * step
            base += size
        raise IndexError(place)

    def _extent(self, place: int) -> tuple[bytes, int, int, int]:
        """Return a cell's page, where in it the record begins, its length, and what is in it."""
        start = self._start(place)
        page = self.read(start)
        length, at = _varint(page, place - start)
        _, at = _varint(page, at)
        if not 0 <= length <= self._total:
            raise ValueError(length)
        return page, at, length, _local(length, self._size)

    def _overflow(self, page: bytes, at: int, length: int, local: int) -> Iterator[int]:
        """Yield where the overflow pages begin that hold the rest of a record."""
        number = int.from_bytes(page[at + local : at + local + 4], "big")
        left = length - local
        seen: set[int] = set()
        while number and left > 0:
            start = (number - 1) * self._size
            head = self._bytes(start, 4)
            if len(head) < 4 or number in seen:
                raise ValueError(number)
            seen.add(number)
            yield start
            left -= self._size - 4
            number = int.from_bytes(head, "big")


def cells(page: bytes) -> Iterator[int]:
    """Yield where the cells of a page begin; nothing if it is no leaf of a table."""
    if page[0] != _LEAF:
        return
    count = int.from_bytes(page[3:5], "big")
    for at in range(8, min(8 + 2 * count, len(page) - 1), 2):
        cell = int.from_bytes(page[at : at + 2], "big")
        if 8 <= cell < len(page):
            yield cell


def head(page: bytes, cell: int) -> tuple[int, list[int]]:
    """Return the row id of a cell and the serial types of its columns."""
    _, at = _varint(page, cell)
    rowid, at = _varint(page, at)
    return rowid, _serial_types(page, at)[0]


def is_exact(page: bytes, cell: int, types: list[int]) -> bool:
    """Whether a cell is as long as columns of these types are: a damaged one hardly is."""
    length, at = _varint(page, cell)
    _, at = _varint(page, at)
    header = _serial_types(page, at)[1] - at
    return length == header + sum(map(_length, types))


def _local(length: int, usable: int) -> int:
    """Return how many bytes of a row's payload are in its leaf page (Section 1.6)."""
    most = usable - 35
    if length <= most:
        return length
    least = (usable - 12) * 32 // 255 - 23
    local = least + (length - least) % (usable - 4)
    return local if local <= most else least


def _serial_types(data: bytes, start: int) -> tuple[list[int], int]:
    """Return the serial types that a record's header gives, and where its values begin."""
    size, at = _varint(data, start)
    if not 1 < size <= 64:  # none of our tables has more columns than seven
        raise ValueError(size)
    types = []
    while at < start + size:
        kind, at = _varint(data, at)
        types.append(kind)
    return types, start + size


def _length(kind: int) -> int:
    """Return how many bytes a value of a serial type has (Section 2.1)."""
    return (kind - 12) // 2 if kind >= 12 else _NUMBERS.get(kind, 0)


def _value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    """Return the value of a serial type at an offset, and where it ends (Section 2.1)."""
    end = at + _length(kind)
    if end > len(data):
        raise ValueError(end)
    raw = data[at:end]
    if kind >= 12:
        return (raw.decode("utf-8") if kind % 2 else raw), end
    if kind in _NUMBERS:
        return int.from_bytes(raw, "big", signed=True), end
    if kind in (8, 9):
        return kind - 8, end
    if kind == 0:
        return None, end
    raise ValueError(kind)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return the number at an offset, of up to nine bytes, and where it ends (Section 1.6)."""
    value = 0
    for count in range(9):
        byte = data[at + count]
        if count == 8:
            value = value << 8 | byte
            return (value - (1 << 64) if value >> 63 else value), at + 9
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, at + count + 1
    raise ValueError(at)
