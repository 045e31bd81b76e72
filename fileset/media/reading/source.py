"""The bytes of an image: in a file, on a device or from a pipe, hashed on the way.

An image that is read in order is read once, and then its digest is known as well.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator
from typing import Final

from fileset.media.errors import UnreadableMediumError
from ledger.digest import from_raw
from ledger.events import Content
from ledger.files import content_of

_CHUNK: Final = 1 << 20
_HEAD: Final = 64 << 10  # what tells the formats apart, which is looked at more than once
_GAP: Final = 16 << 20  # bytes at most that are read on the way rather than a second time


class Source:
    """The open file `fd`, which may be a device or a pipe; `name` is for messages."""

    def __init__(self, fd: int, name: str) -> None:
        self._fd = fd
        self.name = name
        mode = os.fstat(fd).st_mode
        self.can_seek: Final = stat.S_ISREG(mode) or stat.S_ISBLK(mode)
        self.size: Final = os.lseek(fd, 0, os.SEEK_END) if self.can_seek else None
        self._hasher = hashlib.sha256()
        self._done = 0
        self.head = b""
        while len(self.head) < _HEAD and (chunk := self._next(_HEAD - len(self.head))):
            self.head += chunk

    def read(self, offset: int, size: int) -> bytes:
        """Return so many bytes; UnreadableMediumError if they are not there."""
        return b"".join(self.chunks(offset, size))

    def chunks(self, offset: int, size: int) -> Iterator[bytes]:
        """Yield so many bytes in chunks of at most 1 MiB."""
        stop = offset + size
        if offset < len(self.head) and size:
            yield self.head[offset:stop]
            offset = len(self.head)
        if not self.can_seek or 0 < offset - self._done <= _GAP:
            self._skip(offset)
        while offset < stop:
            chunk = self._at(offset, min(stop - offset, _CHUNK))
            if not chunk:
                raise self._cut_off(offset, stop)
            yield chunk
            offset += len(chunk)

    def content(self, size: int | None = None) -> Content:
        """Return the digest of the first `size` bytes, or of all, and how many that were."""
        if size is not None and size < self._done:
            return content_of(self.chunks(0, size))
        while size is None or self._done < size:
            if not self._next(_CHUNK if size is None else min(_CHUNK, size - self._done)):
                break
        if size is not None and self._done < size:
            raise self._cut_off(self._done, size)
        return Content(from_raw(self._hasher.digest()), self._done)

    def _skip(self, offset: int) -> None:
        while self._done < offset:
            if not self._next(min(offset - self._done, _CHUNK)):
                raise self._cut_off(self._done, offset)

    def _at(self, offset: int, size: int) -> bytes:
        if offset == self._done:
            return self._next(size)
        if not self.can_seek:
            raise UnreadableMediumError(
                f"{self.name}: its parts are not in the order in which they are needed, so it can't"
                " be read from a pipe: save it to a file first"
            )
        return self._read(size, offset)

    def _next(self, size: int) -> bytes:
        """Return what follows what was hashed, and hash it."""
        chunk = self._read(size, self._done)
        self._hasher.update(chunk)
        self._done += len(chunk)
        return chunk

    def _read(self, size: int, offset: int) -> bytes:
        try:
            return os.pread(self._fd, size, offset) if self.can_seek else os.read(self._fd, size)
        except OSError as exc:
            raise UnreadableMediumError(
                f"{self.name}: can't be read at byte {offset:,}: {exc.strerror}"
            ) from exc

    def _cut_off(self, end: int, needed: int) -> UnreadableMediumError:
        return UnreadableMediumError(
            f"{self.name}: ends after {end:,} bytes, and {needed:,} are needed: it was cut off, or "
            "is not a whole image"
        )
