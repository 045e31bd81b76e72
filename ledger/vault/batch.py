"""A batch of content that is added to a vault of packs."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

from ledger.digest import Digest, from_raw, to_raw
from ledger.errors import VaultError
from ledger.events import Content
from ledger.vault.appender import Appender
from ledger.vault.packs import CHUNK, PackEntry, PackReader

_PLACE: Final = struct.Struct("<QQQ")  # pack, offset, length


class Added:
    """Entries that a batch has added, which may be a million, in few bytes each."""

    def __init__(self) -> None:
        self._places: dict[bytes, bytes] = {}

    def add(self, entry: PackEntry) -> None:
        raw, *place = entry
        self._places[raw] = _PLACE.pack(*place)

    def __contains__(self, raw: bytes) -> bool:
        return raw in self._places

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[PackEntry]:
        """Yield the entries in the order of their digests."""
        for raw in sorted(self._places):
            yield PackEntry(raw, *_PLACE.unpack(self._places[raw]))


class PackBatch:
    """A batch of a `PackVault`; the vault syncs and records what it added."""

    def __init__(
        self, find: Callable[[bytes], PackEntry | None], appender: Appender, folder: Path
    ) -> None:
        self._appender = appender
        self._reader = PackReader(folder)
        self._find = find
        self.index_failed = False
        self.supersedes = False
        """Whether anything was stored anew that the vault has damaged."""
        self.added = Added()
        self._buffer: memoryview | None = None  # a new one for each file would cost page faults

    def has(self, digest: Digest) -> bool:
        """Return whether the vault has the content whole, or this batch has it."""
        return self._has(to_raw(digest))

    def add(self, data: bytes | memoryview) -> Content:
        """Add `data`, unless the vault or this batch has it; return what it is."""
        view = memoryview(data).cast("B")
        raw = hashlib.sha256(view).digest()
        if not self._has(raw):
            self.added.add(self._appender.append(raw, view))
        return Content(from_raw(raw), len(view))

    def add_file(self, fd: int, *, size: int | None = None) -> Content:
        """Add what an open file holds from its position to its end; see `Batch.add_file`."""
        if self._buffer is None:
            self._buffer = memoryview(bytearray(CHUNK))
        first = _read_into(self._buffer, fd)
        if len(first) < CHUNK:
            return self.add(first)
        expected = os.fstat(fd).st_size if size is None else size
        return self._add_stream(_read_on(first, fd), expected)

    def add_chunks(self, chunks: Iterable[bytes], *, size: int) -> Content:
        """Add the content of `size` bytes that `chunks` make up; see `Batch.add_chunks`."""
        return self.add(b"".join(chunks)) if size < CHUNK else self._add_stream(chunks, size)

    def _add_stream(self, chunks: Iterable[bytes | memoryview], expected: int) -> Content:
        entry = self._appender.append_stream(chunks, expected)
        if self._has(entry.raw):
            self._appender.withdraw(entry)
        else:
            self.added.add(entry)
        return Content(from_raw(entry.raw), entry.length)

    def close(self) -> None:
        """Close the packs that were read."""
        self._reader.close()

    def _has(self, raw: bytes) -> bool:
        if raw in self.added:
            return True
        try:
            entry = self._find(raw)
        except sqlite3.Error:
            # The index is repaired after the batch. To store content once more does no harm.
            self.index_failed = True
            return False
        if entry is None:
            return False
        if not self._is_sound(entry):
            self.supersedes = True
            return False
        return True

    def _is_sound(self, entry: PackEntry) -> bool:
        """Whether what is stored is what it was: else it is stored anew."""
        try:
            for _ in self._reader.chunks(entry):
                pass
        except VaultError:
            return False
        return True


def _read_into(buffer: memoryview, fd: int) -> memoryview:
    """Return what there is to read of an open file, up to all that `buffer` holds."""
    size = 0
    while size < len(buffer) and (more := os.readv(fd, [buffer[size:]])):
        size += more
    return buffer[:size]


def _read_on(piece: memoryview, fd: int) -> Iterator[memoryview]:
    """Yield `piece` and then, in its place, what follows in an open file."""
    buffer = piece
    while piece:
        yield piece
        piece = _read_into(buffer, fd)
