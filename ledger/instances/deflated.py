"""Inflating a deflated data set (PS3.5 Section A.5), but no decompression bomb."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from typing import Final

from ledger.errors import InstanceError, TruncatedError
from ledger.instances.walker import Buffer

MAX_INFLATED: Final = 1 << 30
"""Bytes beyond which a deflated data set is refused."""

_MAX_RATIO: Final = 1000
_RATIO_FROM: Final = 64 << 20
_CHUNK: Final = 1 << 22  # bytes that are inflated at a time


def inflate(data: Buffer) -> bytes:
    """Return the data set that the deflated stream `data` holds (PS3.5 Section A.5).

    Refuses, with `InstanceError`, to unfold more than 1 GiB or what only a
    decompression bomb holds: over 64 MiB at more than a thousand times the stream's size.
    """
    try:
        return b"".join(inflating([data], len(data)))
    except MemoryError as exc:
        raise InstanceError("the deflated data set unfolds to more than the memory holds") from exc


def inflating(pieces: Iterable[Buffer], size: int) -> Iterator[bytes]:
    """Yield what the `pieces` of a deflated stream of `size` bytes unfold to, as `inflate` does."""
    limit = min(MAX_INFLATED, max(_RATIO_FROM, _MAX_RATIO * size))
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    total = 0
    rest = iter(pieces)
    pending = b""
    try:
        while not stream.eof:
            pending = pending or bytes(next(rest, b""))
            chunk = stream.decompress(pending, min(_CHUNK, limit + 1 - total))
            is_over = not pending
            pending = stream.unconsumed_tail
            yield chunk
            total += len(chunk)
            if total > limit:
                raise InstanceError(
                    f"the deflated data set unfolds to over {limit} bytes from {size}: "
                    "it looks like a decompression bomb"
                )
            if is_over and not chunk and not stream.eof:
                raise TruncatedError("the file ends within its deflated data set")
    except zlib.error as exc:
        raise InstanceError(f"the deflated data set can't be inflated: {exc}") from exc
