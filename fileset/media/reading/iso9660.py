"""Reading ISO 9660 (ECMA-119), levels 1 to 3: what the primary descriptor leads to.

Joliet and Rock Ridge are passed over: they only give other names to the same files. Every place is
checked before it is read, and no two files may share one.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from struct import unpack_from
from typing import Final, TypeAlias

from attrs import frozen

from fileset.media.errors import UnreadableMediumError
from fileset.media.reading.medium import (
    DEEPEST,
    MOST_FOLDER_BYTES,
    MediumFile,
    ReadMedium,
    checked_name,
)
from fileset.media.reading.source import Source

_SECTOR: Final = 2048
_DESCRIPTORS: Final = range(16 * _SECTOR, 32 * _SECTOR, _SECTOR)
_PRIMARY: Final = b"\x01CD001\x01"
_TERMINATOR: Final = b"\xffCD001"
_SHORTEST: Final = 34  # bytes of a Directory Record
_IS_FOLDER, _IS_ASSOCIATED, _GOES_ON = 0x02, 0x04, 0x80

_Extent: TypeAlias = tuple[int, int]
"""Offset and size in bytes."""


@frozen
class _Entry:
    """A Directory Record: a folder, a file, or a part of a file that the next one goes on with."""

    name: str
    flags: int
    extent: _Extent


def is_iso9660(head: bytes) -> bool:
    """Whether an image that begins with `head` is one of a disc."""
    return head[_DESCRIPTORS[0] + 1 :].startswith(_PRIMARY[1:6])


def read_iso9660(source: Source) -> ReadMedium:
    """Return the files of an image of a disc; UnreadableMediumError for the first thing wrong."""
    descriptor = _primary_descriptor(source)
    root = _entry(descriptor[156:190], "the root")
    files = _files(source, root.extent)
    name = descriptor[40:72].decode("latin-1").rstrip(" \0")
    return ReadMedium("iso", name, files, source.content)


def _primary_descriptor(source: Source) -> bytes:
    for at in _DESCRIPTORS:
        descriptor = source.read(at, _SECTOR)
        if descriptor.startswith(_PRIMARY):
            if unpack_from("<H", descriptor, 128) != (_SECTOR,):
                raise UnreadableMediumError(f"{source.name}: blocks that are not of 2,048 bytes")
            return descriptor
        if descriptor.startswith(_TERMINATOR) or descriptor[1:6] != _PRIMARY[1:6]:
            break
    raise UnreadableMediumError(f"{source.name}: no primary volume descriptor: no image of a disc")


def _files(source: Source, root: _Extent) -> list[MediumFile]:
    """Return all files by their places; folders are read by theirs, so from front to end."""
    found: list[tuple[int, int, str, list[_Extent]]] = []
    waiting: list[tuple[int, int, str, int]] = [(*root, "", 1)]
    seen: set[int] = set()
    room = MOST_FOLDER_BYTES
    while waiting:
        at, size, path, depth = heapq.heappop(waiting)
        room -= size
        if at in seen:
            raise UnreadableMediumError(f"{source.name}: the folder {path} is in a circle")
        if depth > DEEPEST or room < 0:
            raise UnreadableMediumError(
                f"{source.name}: the folder {path} is too deep or too large to be one of a File-set"
            )
        seen.add(at)
        names: set[str] = set()
        extents: list[_Extent] = []
        for entry in _entries(source.read(at, size), path or source.name):
            inner = checked_name(entry.name, path)
            extents.append(_within(source, inner, entry.extent))
            if entry.flags & _GOES_ON:
                continue
            if entry.name in names:
                raise UnreadableMediumError(f"{source.name}: two entries {inner}")
            names.add(entry.name)
            if entry.flags & _IS_FOLDER:
                heapq.heappush(waiting, (*entry.extent, inner, depth + 1))
            else:
                found.append((extents[0][0], sum(part for _, part in extents), inner, extents))
            extents = []
    found.sort()
    _refuse_overlap(found, source.name)
    return [
        MediumFile(path, size, partial(_chunks, source, parts)) for _, size, path, parts in found
    ]


def _chunks(source: Source, extents: list[_Extent]) -> Iterator[bytes]:
    for at, size in extents:
        yield from source.chunks(at, size)


def _refuse_overlap(found: list[tuple[int, int, str, list[_Extent]]], name: str) -> None:
    places = sorted(
        (at, at + size, path) for *_, path, parts in found for at, size in parts if size
    )
    for (_, end, path), (start, _, other) in pairwise(places):
        if start < end:
            raise UnreadableMediumError(f"{name}: {path} and {other} lie in the same place")


def _within(source: Source, path: str, extent: _Extent) -> _Extent:
    if source.size is not None and extent[1] and sum(extent) > source.size:
        raise UnreadableMediumError(
            f"{source.name}: {path} ends at byte {sum(extent):,}, and there are {source.size:,}: "
            "the image was cut off, or is not one"
        )
    return extent


def _entries(data: bytes, path: str) -> Iterator[_Entry]:
    """Yield what is in a folder, less itself and the one above."""
    at, number = 0, 0
    while at < len(data):
        size = data[at]
        if size == 0:  # none of them is in two sectors
            at += _SECTOR - at % _SECTOR
            continue
        if size < _SHORTEST or at % _SECTOR + size > _SECTOR or at + size > len(data):
            raise UnreadableMediumError(f"{path}: an entry has a wrong length")
        record = data[at : at + size]
        if number >= 2 and not record[25] & _IS_ASSOCIATED:
            yield _entry(record, path)
        at += size
        number += 1


def _entry(record: bytes, path: str) -> _Entry:
    length = record[32]
    if not 1 <= length <= len(record) - 33:
        raise UnreadableMediumError(f"{path}: an entry without a whole name")
    attributes, at, size = unpack_from("<xBI4xI", record)
    flags, unit, gap = record[25:28]
    name = record[33 : 33 + length].decode("latin-1").partition(";")[0].rstrip(".")
    if unit or gap:
        raise UnreadableMediumError(f"{path}: {name} is interleaved with other files")
    return _Entry(name, flags, ((at + attributes) * _SECTOR, size))
