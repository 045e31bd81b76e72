"""Bytes with parts of them replaced: as chunks, of a size that is known before any are read."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from ledger.errors import CorrectionError, TruncatedError
from ledger.files import joined
from ledger.instances.correcting.structure import LengthField
from ledger.instances.walker import Sliced

Piece: TypeAlias = bytes | slice
"""Some bytes, or the offsets of those that stay or are repeated."""

_Splice: TypeAlias = tuple[int, int, int, int, Sequence[Piece]]
"""Offset, depth below 0, tag, end, and what is put there: in the order of the file."""

_CHUNK: Final = 1 << 20
_MOST: Final = 0xFFFFFFFE  # a length field holds this, and one more means that there is none


class Splices:
    """What replaces what in the bytes `data`, and the length fields that follow."""

    def __init__(self, data: Sliced, *, big_endian: bool) -> None:
        self._data = data
        self._length = struct.Struct(">I" if big_endian else "<I")
        self._found: list[_Splice] = []
        self._fields: dict[int, LengthField] = {}

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._found)

    def put(
        self,
        start: int,
        stop: int,
        pieces: Sequence[Piece],
        enclosing: Iterable[LengthField],
        *,
        tag: int,
        depth: int,
    ) -> None:
        """Put `pieces` in the place of what is from `start` to `stop`, an element `tag`.

        The `enclosing` lengths follow. `depth` is that of the element's data set: what is inserted
        at the end of an item is before what comes at the same offset outside.
        """
        self._found.append((start, -depth, tag, stop, pieces))
        change = size_of(pieces) - (stop - start)
        for field in enclosing:
            self._fields.setdefault(field.at, field).change += change

    def pieces(self, begin: int) -> list[Piece]:
        """Return what the bytes from `begin` on become."""
        lengths: list[_Splice] = [
            (field.at, 0, 0, field.at + 4, [self._changed(field)])
            for field in self._fields.values()
            if field.change
        ]
        made: list[Piece] = []
        offset = begin
        for start, _, _, stop, pieces in sorted(self._found + lengths, key=lambda each: each[:3]):
            if start < offset:
                raise CorrectionError(f"the elements around byte {start} overlap each other")
            made += [slice(offset, start), *pieces]
            offset = stop
        return [*made, slice(offset, len(self._data))]

    def _changed(self, field: LengthField) -> bytes:
        length = field.value + field.change
        if length > _MOST:
            raise CorrectionError("a sequence would be longer than its length field can say")
        return self._length.pack(length)


def size_of(pieces: Iterable[Piece]) -> int:
    """Return the size of `pieces` in bytes."""
    return sum(len(p) if isinstance(p, bytes) else p.stop - p.start for p in pieces)


def chunks_of(data: Sliced, pieces: Iterable[Piece]) -> Iterator[bytes]:
    """Return `pieces` in chunks of at most 1 MiB.

    Raises `TruncatedError` where `data` has become shorter.
    """
    return joined(_parts(data, pieces), _CHUNK)


def _parts(data: Sliced, pieces: Iterable[Piece]) -> Iterator[bytes]:
    for piece in pieces:
        if isinstance(piece, bytes):
            yield piece
            continue
        offset = piece.start
        while offset < piece.stop:
            part = bytes(data[offset : min(offset + _CHUNK, piece.stop)])
            if not part:
                raise TruncatedError("the file has become shorter while it was read")
            yield part
            offset += len(part)
