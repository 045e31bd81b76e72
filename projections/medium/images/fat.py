"""An image for a USB stick (PS3.12 Annex R): one partition with FAT32, or FAT16 where it is small.

A stick of less than about 33 MB has too few clusters for FAT32. Each file lies in one run of
clusters: first the folders, then the files in the order given.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from typing import Final

from attrs import frozen

from projections.medium.images.layout import Checksums, Layout, Piece, zeros
from projections.medium.images.tree import (
    CivilTime,
    ImageError,
    ImageFile,
    ImageFolder,
    Volume,
    dos_time,
    refuse_large,
    tree_of,
)

FORMAT: Final = "usb"
VERSION: Final = 1
"""Raise it with any change to the bytes of an image, and keep the former writer."""

LARGEST_FILE: Final = (1 << 32) - (1 << 16)
"""Bytes of a file at most: its length has 32 bits, and fsck counts those of whole clusters so."""

SECTOR: Final = 512
_MIB: Final = 1 << 20
_PARTITION: Final = 2048  # its first sector: 1 MiB, which blocks of flash memory divide
_HEADS, _TRACK = 255, 63
_HARD_DISK: Final = 0xF8
_MOST_SECTORS: Final = 0xFFFFFFFF
_SPARE: Final = _MIB  # systems put files of their own on a stick as soon as they see it
_ALIGNMENT: Final = 8  # sectors: the clusters begin where 4 KiB do

_MARGIN: Final = 16  # systems differ in where they draw the lines between kinds of FAT, by a few
_FEWEST_16: Final = 4085 + _MARGIN
_MOST_16: Final = 65_524 - _MARGIN
_FEWEST_32: Final = 65_525 + _MARGIN
_CLUSTERS: Final = ((532_480, 1), (16_777_216, 8), (33_554_432, 16), (67_108_864, 32))
"""Sectors of a FAT32 volume up to which a cluster has so many, as Windows formats them."""
_LARGEST_CLUSTER: Final = 64

_ENTRY: Final = 32
_ROOT_16: Final = 512  # entries of the root folder of FAT16, unless it needs more
_MOST_ENTRIES: Final = 65_536  # of a folder
_NOTHING_TO_START: Final = b"\xcd\x18\xeb\xfe"
"""Code: tell the firmware that this is no system, and wait."""
_IS_LABEL, _IS_FOLDER, _IS_FILE = 0x08, 0x10, 0x20


@frozen
class _Shape:
    """Where the parts of a volume are, in sectors; `root_entries` is 0 for FAT32."""

    bits: int
    cluster: int
    reserved: int
    fat: int
    root_entries: int
    clusters: int

    @property
    def root(self) -> int:
        """The sectors of the root folder of FAT16."""
        return self.root_entries * _ENTRY // SECTOR

    @property
    def cluster_size(self) -> int:
        """The bytes of a cluster."""
        return self.cluster * SECTOR

    @property
    def sectors(self) -> int:
        """All of the volume."""
        return self.reserved + 2 * self.fat + self.root + self.clusters * self.cluster


def plan_usb(files: Sequence[ImageFile], volume: Volume, size: int | None = None) -> Layout:
    """Return the layout of an image of `files`, the DICOMDIR first, the others as they follow.

    It has `size` bytes, those of the stick, or as many as are needed and a little to spare. Raises
    ImageError for what the format or the size can't hold.
    """
    refuse_large(files, LARGEST_FILE, "FAT")
    content = _Content(files, tree_of(files, volume))
    if size is None:
        size, shape = _fitting(content, _SPARE)
    else:
        shape = _given(content, size)
    image = _Image(content, volume, shape, size)
    return Layout(FORMAT, VERSION, size, files, image.pieces)


class _Content:
    """The files and folders, and how much room they take."""

    def __init__(self, files: Sequence[ImageFile], folders: list[ImageFolder]) -> None:
        self.files = files
        self.folders = folders
        for folder in folders:
            if _entries(folder) > _MOST_ENTRIES:
                raise ImageError(
                    f"{_entries(folder):,} entries in one folder, {folder.name or 'the root'}: "
                    f"FAT has at most {_MOST_ENTRIES:,}"
                )
        self.root_entries: Final = min(
            max(_ROOT_16, _up(_entries(folders[0]), SECTOR // _ENTRY)), _MOST_ENTRIES - 16
        )

    def runs(self, shape: _Shape) -> Iterator[int]:
        """Yield how many clusters each folder takes, and then each file."""
        for folder in self.folders:
            is_apart = folder.parent is None and shape.root_entries > 0
            yield 0 if is_apart else -(-_entries(folder) * _ENTRY // shape.cluster_size)
        for file in self.files:
            yield -(-file.size // shape.cluster_size)

    def clusters(self, shape: _Shape) -> int:
        """Return how many clusters everything takes."""
        return sum(self.runs(shape))


def _fitting(content: _Content, spare: int) -> tuple[int, _Shape]:
    """Return the size in whole MiB of an image with `spare` bytes free, and its shape."""
    size = _up(sum(file.size for file in content.files), _MIB) + 2 * _MIB
    while True:
        shape = _shape(size, content.root_entries)
        missing = 0
        if shape is not None:
            needed = content.clusters(shape) + -(-spare // shape.cluster_size)
            missing = (needed - shape.clusters) * shape.cluster_size
            if missing <= 0:
                return size, shape
        size += _up(max(missing, 1), _MIB)
        if size > _MOST_SECTORS * SECTOR:
            raise ImageError(
                f"{size:,} bytes are needed for these files, and a stick with FAT has at most "
                f"{_MOST_SECTORS * SECTOR:,}: hand out less"
            )


def _given(content: _Content, size: int) -> _Shape:
    """Return the shape of an image of `size` bytes."""
    shape = _shape(size, content.root_entries)
    if shape is None or content.clusters(shape) > shape.clusters:
        least, _ = _fitting(content, 0)
        raise ImageError(
            f"{least:,} bytes are needed for these files, and {size:,} are there: take a larger "
            "stick, or hand out less"
        )
    return shape


def _shape(size: int, root_entries: int) -> _Shape | None:
    """Return the shape of the volume in an image of `size` bytes, `None` if that is too small."""
    sectors = min(size // SECTOR, _MOST_SECTORS) - _PARTITION
    cluster = next((each for most, each in _CLUSTERS if sectors <= most), _LARGEST_CLUSTER)
    shape = _filled(sectors, 32, cluster, 0)
    if shape is not None and shape.clusters >= _FEWEST_32:
        return shape
    shape = _filled(sectors, 16, 1, root_entries)
    return shape if shape is not None and shape.clusters >= _FEWEST_16 else None


def _filled(sectors: int, bits: int, cluster: int, root_entries: int) -> _Shape | None:
    """Return the shape of a volume with as many clusters as there is room for."""
    root = root_entries * _ENTRY // SECTOR
    fat = 1
    while True:
        reserved = 32 if bits == 32 else 1
        start = _up(reserved + 2 * fat + root, max(cluster, _ALIGNMENT))
        clusters = (sectors - start) // cluster
        if bits == 16:
            clusters = min(clusters, _MOST_16)
        if clusters < 1:
            return None
        needed = -(-(clusters + 2) * bits // 8 // SECTOR)
        if needed <= fat:
            return _Shape(bits, cluster, start - 2 * fat - root, fat, root_entries, clusters)
        fat = needed


class _Image:
    """An image of `size` bytes, with the first cluster of each folder and file."""

    def __init__(self, content: _Content, volume: Volume, shape: _Shape, size: int) -> None:
        self._content = content
        self._volume = volume
        self._shape = shape
        self._size = size
        self._label = volume.file_set_id[:11].encode("ascii")
        starts: list[int] = []
        self._ends = array("I")
        cluster = 2
        for run in content.runs(shape):
            starts.append(cluster if run else 0)
            cluster += run
            if run:
                self._ends.append(cluster - 1)
        self._next = cluster
        folders = len(content.folders)
        self._folder_at = dict(zip(content.folders, starts[:folders], strict=True))
        self._file_at = starts[folders:]

    def pieces(self, _: Checksums) -> Iterator[Piece]:
        """Yield the image."""
        shape = self._shape
        yield self._partition_table()
        yield from zeros((_PARTITION - 1) * SECTOR)
        yield self._reserved()
        for _copy in range(2):
            yield from self._table()
        for folder in self._content.folders:
            entries = self._directory(folder)
            is_apart = folder.parent is None and shape.root_entries > 0
            size = shape.root * SECTOR if is_apart else _up(len(entries), shape.cluster_size)
            yield entries.ljust(size, b"\0")
        for number, file in enumerate(self._content.files):
            yield number
            yield from zeros(-file.size % shape.cluster_size)
        yield from zeros((shape.clusters + 2 - self._next) * shape.cluster_size)
        yield from zeros(self._size - (_PARTITION + shape.sectors) * SECTOR)

    def _partition_table(self) -> bytes:
        """Return the first sector of the stick."""
        last = _PARTITION + self._shape.sectors - 1
        partition = struct.pack(
            "<B3sB3sII", 0, _place(_PARTITION), 0x0C if self._shape.bits == 32 else 0x0E,
            _place(last), _PARTITION, self._shape.sectors,
        )  # fmt: skip
        head = _NOTHING_TO_START.ljust(440, b"\0") + struct.pack("<IH", self._volume.serial, 0)
        return _signed(head + partition)

    def _reserved(self) -> bytes:
        """Return what is before the tables: for FAT32 also what is free, and all of it twice."""
        shape = self._shape
        boot = self._boot_sector()
        if shape.bits == 32:
            free = shape.clusters + 2 - self._next
            info = struct.pack(
                "<4s480x4sII12x", b"RRaA", b"rrAa", free, self._next if free else 0xFFFFFFFF
            )
            boot = (boot + _signed(info) + _signed(b"")).ljust(6 * SECTOR, b"\0")
            boot += boot[: 3 * SECTOR]
        return boot.ljust(shape.reserved * SECTOR, b"\0")

    def _boot_sector(self) -> bytes:
        """Return the first sector of the volume: its BIOS Parameter Block."""
        shape, is_16 = self._shape, self._shape.bits == 16
        fits_16 = is_16 and shape.sectors < 0x10000
        block = struct.pack(
            "<8sHBHBHHBHHHII", b"MSWIN4.1", SECTOR, shape.cluster, shape.reserved, 2,
            shape.root_entries, shape.sectors if fits_16 else 0, _HARD_DISK,
            shape.fat if is_16 else 0, _TRACK, _HEADS, _PARTITION, 0 if fits_16 else shape.sectors,
        )  # fmt: skip
        if not is_16:  # version 0, the root folder in the first cluster, FSInfo and the copy
            block += struct.pack("<IHHIHH12x", shape.fat, 0, 0, 2, 1, 6)
        block += struct.pack(
            "<BBBI11s8s", 0x80, 0, 0x29, self._volume.serial, (self._label or b"NO NAME").ljust(11),
            f"FAT{shape.bits}".ljust(8).encode("ascii"),
        )  # fmt: skip
        jump = bytes((0xEB, len(block) + 1, 0x90))
        return _signed(jump + block + _NOTHING_TO_START)

    def _table(self) -> Iterator[bytes]:
        """Yield a File Allocation Table: each cluster names the next one, but for the last."""
        code, end, width = ("H", 0xFFFF, 2) if self._shape.bits == 16 else ("I", 0x0FFFFFFF, 4)
        ended = 0
        for start in range(0, self._next, _MIB // 4):
            stop = min(start + _MIB // 4, self._next)
            entries = array(code, range(start + 1, stop + 1))
            if start == 0:
                entries[:2] = array(code, (end & ~0xFF | _HARD_DISK, end))
            while ended < len(self._ends) and self._ends[ended] < stop:
                entries[self._ends[ended] - start] = end
                ended += 1
            if sys.byteorder == "big":
                entries.byteswap()
            yield entries.tobytes()
        yield from zeros(self._shape.fat * SECTOR - self._next * width)

    def _directory(self, folder: ImageFolder) -> bytes:
        """Return the entries of a folder."""
        made: list[bytes] = []
        created = self._volume.created
        if folder.parent is not None:
            # The root is cluster 0 here, wherever it is.
            above = self._folder_at[folder.parent] if folder.parent.parent is not None else 0
            made.append(_entry(b".", _IS_FOLDER, self._folder_at[folder], 0, created))
            made.append(_entry(b"..", _IS_FOLDER, above, 0, created))
        elif self._label:
            made.append(_entry(self._label, _IS_LABEL, 0, 0, created))
        for name, entry in folder.entries():
            stem, _, extension = name.partition(".")
            short = f"{stem:8}{extension}".encode("ascii")
            if isinstance(entry, ImageFolder):
                made.append(_entry(short, _IS_FOLDER, self._folder_at[entry], 0, created))
            else:
                _, size, time = self._content.files[entry]
                made.append(_entry(short, _IS_FILE, self._file_at[entry], size, time))
        return b"".join(made)


def _entries(folder: ImageFolder) -> int:
    """Return how many entries a folder has: with itself and the one above, the root with a name."""
    own = 2 if folder.parent is not None else 1
    return own + len(folder.folders) + len(folder.files)


def _entry(name: bytes, attributes: int, cluster: int, size: int, time: CivilTime) -> bytes:
    """Return an entry of a folder."""
    clock, date = dos_time(time)
    return struct.pack(
        "<11sBBBHHHHHHHI", name.ljust(11), attributes, 0, 0, clock, date, date, cluster >> 16,
        clock, date, cluster & 0xFFFF, size,
    )  # fmt: skip


def _signed(sector: bytes) -> bytes:
    return sector.ljust(SECTOR - 2, b"\0") + b"\x55\xaa"


def _place(sector: int) -> bytes:
    """Return cylinder, head and sector, the last that there are if it is beyond them."""
    track, number = divmod(sector, _TRACK)
    cylinder, head = divmod(track, _HEADS)
    if cylinder > 1023:
        return b"\xfe\xff\xff"
    return bytes((head, number + 1 | cylinder >> 2 & 0xC0, cylinder & 0xFF))


def _up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple
