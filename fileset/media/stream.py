"""Writing an image: from its layout and the content of its files, in one pass, to any output.

    time = CivilTime.of(change.recorded_at)
    files = [ImageFile("DICOMDIR", 3052, time), ImageFile("PT000000/...", 38_792, time), ...]
    layout = plan_iso(files, Volume("TEACHING", time))      # layout.size is what it will take
    with open("disc.iso", "wb") as output:
        content = write_image(layout, read, output)         # digest and size of the image

`read(number)` returns the content of `files[number]` in chunks; a generator can so open a file when
it is asked for, check what it reads, and close it. For a ZIP, a large file is read twice. Nothing
is sought in the output, so a pipe and a device do as well as a file. Flushing, names and what
becomes of an output that was not completed are the caller's.
"""

from __future__ import annotations

import hashlib
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO, Final, TypeAlias

from fileset.media.errors import SourceChangedError
from fileset.progress import Progress
from ledger.digest import from_raw
from ledger.events import Content
from ledger.files import write_stream
from projections.medium.images.layout import Layout

Read: TypeAlias = Callable[[int], Iterable[bytes]]
"""Returns the content of the file of that number, in chunks."""

_CHUNK: Final = 1 << 20
_LARGE: Final = 256 << 10  # bytes that cost more to copy once more than to write on their own
_HELD: Final = 8 << 20  # bytes of a file at most that is read once though its CRC comes before it
_BATCH: Final = 4 << 20  # bytes that are hashed at a time: to change threads often is slow
_AHEAD: Final = 2  # batches that were written and not yet hashed


def write_image(
    layout: Layout, read: Read, output: BinaryIO, *, progress: Progress | None = None
) -> Content:
    """Write an image to `output`; return its digest and size.

    `progress` is told of bytes. Raises SourceChangedError if a file is not as planned, OSError of
    the output, and whatever `read` raises; what is in the output then is no image.
    """
    hasher = hashlib.sha256()
    batch: list[bytes] = []
    waiting = 0
    unhashed: deque[Future[None]] = deque()
    done = 0

    def hash_all(chunks: list[bytes]) -> None:
        for chunk in chunks:
            hasher.update(chunk)

    # Hashing and writing both let go of the interpreter's lock: each has a processor.
    with ThreadPoolExecutor(1) as beside:
        for chunk in image_chunks(layout, read):
            batch.append(chunk)
            waiting += len(chunk)
            if waiting >= _BATCH:
                unhashed.append(beside.submit(hash_all, batch))
                batch, waiting = [], 0
            write_stream(output, chunk)
            if len(unhashed) > _AHEAD:
                unhashed.popleft().result()
            done += len(chunk)
            if progress is not None:
                progress(done, layout.size)
    hash_all(batch)
    return Content(from_raw(hasher.digest()), done)


def image_chunks(layout: Layout, read: Read) -> Iterator[bytes]:
    """Yield the bytes of an image in chunks of at most 1 MiB.

    Raises SourceChangedError if a file is not as planned, and whatever `read` raises.
    """
    return _joined(layout.encode(_parts(layout, _Sources(layout, read))))


class _Sources:
    """The files of an image, each checked for its size, and for its CRC if that was asked for."""

    def __init__(self, layout: Layout, read: Read) -> None:
        self._files = layout.files
        self._read = read
        self._held: tuple[int, bytes] | None = None
        self._known: tuple[int, int] | None = None

    def checksum(self, number: int) -> int:
        """Return the CRC-32 of a file, which is asked for next: a small one is held until then."""
        crc = 0
        chunks: Iterable[bytes] = self._whole(number)
        if self._files[number].size <= _HELD:
            data = b"".join(chunks)
            self._held = number, data
            chunks = (data,)
        for chunk in chunks:
            crc = zlib.crc32(chunk, crc)
        self._known = number, crc
        return crc

    def chunks(self, number: int) -> Iterator[bytes]:
        """Yield the content of a file."""
        if self._held is not None and self._held[0] == number:
            data, self._held = self._held[1], None
            yield data
            return
        expected = self._known[1] if self._known is not None and self._known[0] == number else None
        crc = 0
        for chunk in self._whole(number):
            if expected is not None:
                crc = zlib.crc32(chunk, crc)
            yield chunk
        if expected is not None and crc != expected:
            raise SourceChangedError(
                f"{self._files[number].path}: the file has changed while it was read; try again"
            )

    def _whole(self, number: int) -> Iterator[bytes]:
        path, size, _ = self._files[number]
        got = 0
        for chunk in self._read(number):
            got += len(chunk)
            if got > size:
                break
            yield chunk
        if got != size:
            found = f"{got:,} bytes" if got < size else "more"
            raise SourceChangedError(
                f"{path}: the file should have {size:,} bytes and has {found}; nothing that was "
                "written is of use"
            )


def _parts(layout: Layout, sources: _Sources) -> Iterator[bytes]:
    for piece in layout.pieces(sources.checksum):
        if isinstance(piece, bytes):
            yield piece
        else:
            yield from sources.chunks(piece)


def _joined(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the same bytes in chunks of at most 1 MiB: small parts together, large ones as is."""
    waiting: list[bytes] = []
    size = 0
    for part in parts:
        if waiting and (len(part) >= _LARGE or size + len(part) > _CHUNK):
            yield b"".join(waiting)
            waiting, size = [], 0
        if len(part) < _LARGE:
            waiting.append(part)
            size += len(part)
        elif len(part) <= _CHUNK:
            yield part
        else:
            yield from (part[at : at + _CHUNK] for at in range(0, len(part), _CHUNK))
    if waiting:
        yield b"".join(waiting)
