"""Reading FAT12, FAT16 and FAT32: an image of a stick, in its first partition or without any.

Files are known by their short names, which are File IDs on a conformant medium (PS3.12 Annex R).
Each cluster belongs to one file or folder only, so nothing goes in circles or counts twice.
"""

from __future__ import annotations

import heapq
import sys
from array import array
from collections.abc import Iterator
from functools import partial
from struct import unpack_from
from typing import Final, NamedTuple, TypeAlias

from attrs import define, field, frozen

from fileset.media.errors import UnreadableMediumError
from fileset.media.reading.medium import (
    DEEPEST,
    MOST_FOLDER_BYTES,
    MediumFile,
    ReadMedium,
    checked_name,
)
from fileset.media.reading.source import Source

_SECTOR: Final = 512
_PARTITION_TYPES: Final = frozenset({0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E})
_MOST_TABLE_BYTES: Final = 48 << 20  # a table is held in memory: 64 GB in clusters of 4 KiB or so
_MOST_12, _MOST_16 = 4084, 65_524  # clusters
_ENTRY: Final = 32
_DELETED: Final = 0xE5
_IS_LABEL, _IS_FOLDER = 0x08, 0x10

_Run: TypeAlias = tuple[int, int]
"""The first of some clusters in a row, and how many they are."""


class _Entry(NamedTuple):
    """An entry of a folder: its name, what it is, its first cluster and its size in bytes."""

    name: str
    attributes: int
    cluster: int
    size: int


@frozen
class _Geometry:
    """Where the parts of a volume are, in bytes; `root` is the folder of FAT12 and FAT16."""

    bits: int
    table: int
    table_size: int
    root: int
    root_size: int
    root_cluster: int
    data: int
    cluster: int
    clusters: int


def is_fat(head: bytes) -> bool:
    """Whether an image that begins with `head` may be one of a stick."""
    return head[510:512] == b"\x55\xaa"


def read_fat(source: Source) -> ReadMedium:
    """Return the files of an image of a stick; UnreadableMediumError for the first thing wrong."""
    shape = _geometry(source)
    end = shape.data + shape.clusters * shape.cluster
    if source.size is not None and end > source.size:
        raise UnreadableMediumError(
            f"{source.name}: its volume ends at byte {end:,}, and there are {source.size:,}: "
            "the image was cut off, or is not one"
        )
    volume = _Volume(source, shape)
    files = list(volume.files())
    return ReadMedium("usb", volume.label, files, source.content)


def _geometry(source: Source) -> _Geometry:
    """Return the shape of the first partition, or of the whole where there are no partitions."""
    head = source.head[:_SECTOR]
    if _is_boot_sector(head):
        return _shape(head, 0, source.name)
    kind, start = unpack_from("<4xB3xI", head, 446)
    if kind not in _PARTITION_TYPES:
        raise UnreadableMediumError(
            f"{source.name}: the first partition is not FAT (its type is {kind:#04x}), so it is no "
            "stick by PS3.12 Annex R"
        )
    boot = source.read(start * _SECTOR, _SECTOR)
    if not _is_boot_sector(boot):
        raise UnreadableMediumError(f"{source.name}: no FAT volume in the first partition")
    return _shape(boot, start * _SECTOR, source.name)


def _is_boot_sector(sector: bytes) -> bool:
    size, cluster, reserved, tables = unpack_from("<HBHB", sector, 11)
    return (
        sector[0] in {0xEB, 0xE9}
        and size in {512, 1024, 2048, 4096}
        and cluster > 0
        and cluster & (cluster - 1) == 0
        and reserved > 0
        and tables in {1, 2}
    )


def _shape(boot: bytes, start: int, name: str) -> _Geometry:
    sector, cluster, reserved, tables, root, small, _, table = unpack_from("<HBHBHHBH", boot, 11)
    large, table_32 = unpack_from("<II", boot, 32)
    table_size = (table or table_32) * sector
    root_at = start + reserved * sector + tables * table_size
    data = root_at + -(-root * _ENTRY // sector) * sector
    clusters = (start + (small or large) * sector - data) // (cluster * sector)
    bits = 12 if clusters <= _MOST_12 else 16 if clusters <= _MOST_16 else 32
    if not 0 < (clusters + 2) * bits <= table_size * 8 or (bits == 32) != (root == 0):
        raise UnreadableMediumError(f"{name}: the sizes in the boot sector of its FAT are wrong")
    return _Geometry(
        bits=bits,
        table=start + reserved * sector,
        table_size=-(-(clusters + 2) * bits // 8),
        root=root_at,
        root_size=root * _ENTRY,
        root_cluster=unpack_from("<I", boot, 44)[0] if bits == 32 else 0,
        data=data,
        cluster=cluster * sector,
        clusters=clusters,
    )


@define
class _Volume:
    """A volume with its table, and which clusters were met."""

    _source: Source
    _shape: _Geometry
    label: str = ""
    _next: array[int] = field(init=False)
    _met: bytearray = field(init=False)

    def __attrs_post_init__(self) -> None:
        shape = self._shape
        if shape.table_size > _MOST_TABLE_BYTES:
            raise UnreadableMediumError(
                f"{self._source.name}: its table has {shape.table_size:,} bytes, and no more than "
                f"{_MOST_TABLE_BYTES:,} can be read"
            )
        self._next = _numbers(self._source.read(shape.table, shape.table_size), shape.bits)
        self._met = bytearray(shape.clusters + 2)

    def files(self) -> Iterator[MediumFile]:
        """Yield all files by their places; folders are read by theirs, so from front to end."""
        shape = self._shape
        found: list[tuple[int, str, int, list[_Run]]] = []
        waiting: list[tuple[int, str, int]] = [(shape.root_cluster, "", 1)]
        room = MOST_FOLDER_BYTES
        while waiting:
            cluster, path, depth = heapq.heappop(waiting)
            data = self._folder(cluster, path, room)
            room -= len(data)
            if depth > DEEPEST:
                raise self._wrong(f"the folder {path} is too deep to be one of a File-set")
            names: set[str] = set()
            for entry in self._entries(data, path):
                inner = checked_name(entry.name, path)
                if entry.name in names:
                    raise self._wrong(f"two entries {inner}")
                names.add(entry.name)
                if entry.attributes & _IS_FOLDER:
                    heapq.heappush(waiting, (entry.cluster, inner, depth + 1))
                else:
                    runs = self._file(entry, inner)
                    place = runs[0][0] if runs else shape.clusters + 2
                    found.append((place, inner, entry.size, runs))
        found.sort()
        for _, path, size, runs in found:
            yield MediumFile(path, size, partial(self._chunks, runs, size))

    def _folder(self, cluster: int, path: str, room: int) -> bytes:
        """Return all entries of a folder, which may take `room` bytes."""
        shape = self._shape
        if not path and shape.bits != 32:
            return self._source.read(shape.root, shape.root_size)
        runs = list(self._runs(cluster, path or "the root", room // shape.cluster + 1))
        size = sum(count for _, count in runs) * shape.cluster
        if size > room:
            raise self._wrong(f"the folder {path} is too large to be one of a File-set")
        return b"".join(self._chunks(runs, size))

    def _file(self, entry: _Entry, path: str) -> list[_Run]:
        if not entry.size:
            return []
        needed = -(-entry.size // self._shape.cluster)
        runs = list(self._runs(entry.cluster, path, needed))
        if sum(count for _, count in runs) < needed:
            raise self._wrong(f"{path} has {entry.size:,} bytes, and not as many clusters")
        return runs

    def _runs(self, cluster: int, path: str, most: int) -> Iterator[_Run]:
        """Yield the runs of a chain of clusters, as far as the first `most` of these."""
        if cluster < 2:
            raise self._wrong(f"{path} has no first cluster")
        first, count = cluster, 0
        while most and cluster < self._shape.clusters + 2:
            if cluster < 2 or self._met[cluster]:
                raise self._wrong(f"the cluster {cluster} of {path} is free or belongs to others")
            self._met[cluster] = True
            most -= 1
            if cluster != first + count:
                yield first, count
                first, count = cluster, 0
            count += 1
            cluster = self._next[cluster] & 0x0FFFFFFF
        if count:
            yield first, count

    def _chunks(self, runs: list[_Run], size: int) -> Iterator[bytes]:
        shape = self._shape
        for first, count in runs:
            part = min(size, count * shape.cluster)
            yield from self._source.chunks(shape.data + (first - 2) * shape.cluster, part)
            size -= part

    def _entries(self, data: bytes, path: str) -> Iterator[_Entry]:
        """Yield what is in a folder, less itself, the one above, long names and deleted ones."""
        for at in range(0, len(data) - _ENTRY + 1, _ENTRY):
            stem, extension, attributes, high, low, size = unpack_from("<8s3sB8xH4xHI", data, at)
            if stem[0] == 0:
                break
            if stem[0] == _DELETED or stem.startswith(b"."):
                continue
            if attributes & _IS_LABEL:
                if not path and attributes & 0x3F == _IS_LABEL:
                    self.label = (stem + extension).decode("cp437").rstrip()
                continue
            name = stem.replace(b"\x05", b"\xe5", 1).rstrip() if stem[0] == 5 else stem.rstrip()
            if extension := extension.rstrip():
                name += b"." + extension
            cluster = low | high << 16 if self._shape.bits == 32 else low
            yield _Entry(name.decode("cp437"), attributes, cluster, size)

    def _wrong(self, what: str) -> UnreadableMediumError:
        return UnreadableMediumError(f"{self._source.name}: {what}; nothing more was read")


def _numbers(table: bytes, bits: int) -> array[int]:
    """Return a File Allocation Table as numbers; those of FAT12 as the ones of FAT32 would be."""
    if bits == 12:
        table += bytes(-len(table) % 3)
        numbers = array("I")
        for at in range(0, len(table), 3):
            pair = int.from_bytes(table[at : at + 3], "little")
            numbers.extend((pair & 0xFFF, pair >> 12))
        return numbers
    numbers = array("H" if bits == 16 else "I", table)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers
