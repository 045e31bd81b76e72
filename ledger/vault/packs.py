"""Packs: append-only files of framed content, from which the index can be rebuilt.

A pack is a run of entries and nothing else. An entry is a header of 52 bytes, then the content:

======  ====  =====================================
offset  size  what (numbers are big-endian)
======  ====  =====================================
0       4     magic, `FSLP`
4       1     version of this format, 1
5       3     zero
8       32    SHA-256 of the content
40      8     length of the content in bytes
48      4     CRC-32 of the 48 bytes before
======  ====  =====================================

Only the last pack grows. A full one is made durable, then *sealed*: its mode becomes 0400 and it
never changes again; to drop some of its content, the rest is copied to another pack
(`ledger.vault.repacking`). So the headers of a sealed pack can be believed without reading the
content, while the end of an unsealed one may have been torn by a crash and is believed byte by
byte.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from attrs import frozen

from ledger.digest import from_raw
from ledger.disk import fsync
from ledger.errors import ContentDamagedError, ContentMissingError, VaultError
from ledger.files import open_regular, write_all

CHUNK: Final = 1 << 20
"""Bytes that are read, hashed and written at a time."""

REMEDY: Final = (
    "add its file again, or have `fileset write --repair` store it again from a medium that is "
    "whole, or restore the pack from a backup"
)
"""What to do about content that a pack no longer has as it was."""

_MAGIC: Final = b"FSLP"
_VERSION: Final = 1
_FRAME: Final = struct.Struct(">4sB3x32sQ")
HEADER_SIZE: Final = _FRAME.size + 4

_NAME: Final = re.compile(r"pack-([0-9]{8})\.pack")


class PackEntry(NamedTuple):
    """One content in one pack: its SHA-256, where its header begins, and its length in bytes."""

    raw: bytes
    pack: int
    offset: int
    length: int

    @property
    def end(self) -> int:
        """The offset of the first byte after the entry."""
        return self.offset + HEADER_SIZE + self.length


@frozen
class Pack:
    """A pack as it was found; two findings are equal as long as the file did not change."""

    number: int
    path: Path
    size: int
    sealed: bool
    inode: int
    modified: int


def pack_path(folder: Path, number: int) -> Path:
    """Return the path of pack `number` in `folder`."""
    return folder / f"pack-{number:08}.pack"


def is_pack(name: str) -> bool:
    """Whether a file of that name is a pack."""
    return _NAME.fullmatch(name) is not None


def list_packs(folder: Path) -> list[Pack]:
    """Return the packs in `folder`, the oldest first; none where there is no such folder."""
    try:
        with os.scandir(folder) as found:
            packs = [
                _found(int(item.name[5:13]), Path(item.path), item.stat())
                for item in found
                if is_pack(item.name)
            ]
    except FileNotFoundError:
        return []
    return sorted(packs, key=lambda pack: pack.number)


def find_pack(folder: Path, number: int) -> Pack:
    """Return the pack in `folder` that has this number; OSError if there is none."""
    path = pack_path(folder, number)
    return _found(number, path, path.stat())


def _found(number: int, path: Path, status: os.stat_result) -> Pack:
    return Pack(
        number=number,
        path=path,
        size=status.st_size,
        sealed=not status.st_mode & 0o222,
        inode=status.st_ino,
        modified=status.st_mtime_ns,
    )


class PackReader:
    """Reads entries of the packs in `folder`; the pack read last is kept open.

    `following` is the entry behind the one read last: content is mostly asked for in the order in
    which it came, and need not be looked up then.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder
        self._number = self._fd = -1
        self.following: PackEntry | None = None

    def close(self) -> None:
        """Close the pack; reading again opens it again."""
        if self._fd >= 0:
            with suppress(OSError):  # it was only read
                os.close(self._fd)
            self._fd = -1

    def chunks(self, entry: PackEntry) -> Iterator[bytes | memoryview]:
        """Yield the content of `entry` in pieces of up to `CHUNK` bytes, and check it.

        Raises ContentMissingError where the pack is gone or ends too early, and
        ContentDamagedError where the header is wrong or, after the last piece, where the digest is;
        a single piece is checked before.
        """
        if entry.pack != self._number:
            self.close()
            self._number, self._path = entry.pack, pack_path(self._folder, entry.pack)
        with _reading(self._path):
            fd = self._opened()
            # With the header of the entry behind it.
            size = HEADER_SIZE + min(entry.length, CHUNK) + HEADER_SIZE
            first = memoryview(os.pread(fd, size, entry.offset))
            if first[:HEADER_SIZE] != header(entry.raw, entry.length):
                raise _flaw(fd, entry, self._path, "header")
            content = first[HEADER_SIZE : HEADER_SIZE + entry.length]
            self.following = _entry_in(first[HEADER_SIZE + entry.length :], entry.pack, entry.end)
            hasher = hashlib.sha256(content)
            if len(content) < entry.length:
                yield content
                for chunk in _pieces(fd, entry, len(content)):
                    hasher.update(chunk)
                    yield chunk
                content = content[:0]
            if hasher.digest() != entry.raw:
                raise _flaw(fd, entry, self._path, "content")
            yield content

    def follow(self, raw: bytes) -> PackEntry | None:
        """Return the entry behind the one read last if it is that of the digest `raw`.

        Large content has to be looked up: if it is damaged here and was stored anew elsewhere, that
        shows only when most of it is given away.
        """
        entry = self.following
        if entry is None or entry.raw != raw or entry.length > CHUNK:
            return None
        if entry.pack != self._number or self._fd < 0:
            return None
        # It may have been part of a batch that was taken back since.
        with _reading(self._path):
            head = os.pread(self._fd, HEADER_SIZE, entry.offset)
        return entry if head == header(raw, entry.length) else None

    def _opened(self) -> int:
        # A pack that was deleted meanwhile is gone, though its bytes could still be read.
        if self._fd >= 0 and not os.fstat(self._fd).st_nlink:
            self.close()
        if self._fd < 0:
            self._fd = open_regular(self._path)
        return self._fd


def scan(
    pack: Pack, start: int = 0, stop: int | None = None, *, trusted: bool = False
) -> Iterator[PackEntry]:
    """Yield the entries of `pack` that lie between the offsets `start` and `stop` (its size).

    What is no whole entry is passed over. With `trusted`, headers are believed as long as they
    follow on each other; else, and after bytes passed over, content must match its digest.
    """
    stop = pack.size if stop is None else stop
    with opened_pack(pack.path) as fd:
        position, believed = start, trusted
        while position < stop:
            entry = _entry_at(fd, pack, position, stop)
            if entry is not None and (believed or _is_intact(fd, entry)):
                yield entry
                position, believed = entry.end, trusted
            else:
                position, believed = _next_magic(fd, position + 1, stop), False


def entry_pieces(pack: Pack, entry: PackEntry) -> Iterator[bytes]:
    """Yield the content of `entry` of `pack` as it is, unchecked."""
    with opened_pack(pack.path) as fd:
        yield from _pieces(fd, entry)


def is_sound(pack: Pack, entry: PackEntry) -> bool:
    """Whether the content of `entry` of `pack` has its digest."""
    with opened_pack(pack.path) as fd:
        return _is_intact(fd, entry)


def gaps(pack: Pack, start: int, stop: int) -> Iterator[tuple[int, int]]:
    """Yield where bytes of `pack` between two offsets belong to no whole entry: from, to."""
    if start >= stop:
        return
    position = start
    for entry in scan(pack, start, stop):
        if entry.offset > position:
            yield position, entry.offset
        position = entry.end
    if position < stop:
        yield position, stop


def is_torn(pack: Pack, start: int) -> bool:
    """Whether what `pack` has from `start` to its end can only be an entry that was never finished.

    That is part of a header, an entry that the pack ends within, or zeros.
    """
    with opened_pack(pack.path) as fd:
        if pack.size - start < HEADER_SIZE:
            return True
        entry = _entry_in(os.pread(fd, HEADER_SIZE, start), pack.number, start)
        if entry is not None:
            return entry.end > pack.size
        rest = PackEntry(b"", pack.number, start - HEADER_SIZE, pack.size - start)
        return not any(piece.strip(b"\0") for piece in _pieces(fd, rest))


def cut_path(pack: Pack, start: int) -> Path:
    """Return the path of the copy of what was cut off `pack` from `start` on."""
    return pack.path.with_name(f"{pack.path.name}.cut-{start}")


def list_cuts(folder: Path) -> list[Path]:
    """Return the copies in `folder` of what was cut off packs."""
    return sorted(path for path in folder.glob("pack-*.pack.cut-*") if path.is_file())


def keep_tail(pack: Pack, start: int) -> None:
    """Copy what `pack` has from `start` to its end to a file beside it; OSError where that fails.

    The copy is durable on return.
    """
    path = cut_path(pack, start)
    path.unlink(missing_ok=True)  # of a run that was killed
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
    try:
        for piece in entry_pieces(
            pack, PackEntry(b"", pack.number, start - HEADER_SIZE, pack.size - start)
        ):
            write_all(fd, piece)
        os.fsync(fd)
    finally:
        os.close(fd)
    fsync(path.parent)


def header(raw: bytes, length: int) -> bytes:
    """Return the header of an entry: of the SHA-256 of its content, and its length."""
    frame = _FRAME.pack(_MAGIC, _VERSION, raw, length)
    return frame + _checksum(frame)


def _checksum(frame: bytes | memoryview) -> bytes:
    return zlib.crc32(frame).to_bytes(4, "big")


def _entry_in(head: bytes | memoryview, pack: int, offset: int) -> PackEntry | None:
    """Return the entry whose header `head` is, `None` where it is none of this version."""
    frame = head[: _FRAME.size]
    if len(head) != HEADER_SIZE or head[_FRAME.size :] != _checksum(frame):
        return None
    magic, version, raw, length = _FRAME.unpack(frame)
    return PackEntry(raw, pack, offset, length) if (magic, version) == (_MAGIC, _VERSION) else None


def _entry_at(fd: int, pack: Pack, offset: int, stop: int) -> PackEntry | None:
    head = os.pread(fd, HEADER_SIZE, offset)
    frame = head[: _FRAME.size]
    if not head.startswith(_MAGIC) or head[_FRAME.size :] != _checksum(frame):
        return None
    _, version, raw, length = _FRAME.unpack(frame)
    if version != _VERSION:
        # Taken for a torn tail, it would be cut.
        raise VaultError(
            f"{pack.path}, offset {offset}: the entry has version {version} of the format, which "
            "is unknown here: use the newer version of this program that wrote it"
        )
    entry = PackEntry(raw, pack.number, offset, length)
    return entry if entry.end <= stop else None


def _is_intact(fd: int, entry: PackEntry) -> bool:
    hasher = hashlib.sha256()
    for chunk in _pieces(fd, entry):
        hasher.update(chunk)
    return hasher.digest() == entry.raw


def _pieces(fd: int, entry: PackEntry, start: int = 0) -> Iterator[bytes]:
    position = entry.offset + HEADER_SIZE + start
    while position < entry.end:
        chunk = os.pread(fd, min(CHUNK, entry.end - position), position)
        if not chunk:
            return
        yield chunk
        position += len(chunk)


def _flaw(fd: int, entry: PackEntry, path: Path, part: str) -> VaultError:
    where = f"{path}, offset {entry.offset}"
    digest = from_raw(entry.raw)
    if os.fstat(fd).st_size < entry.end:
        return ContentMissingError(f"{where}: the pack ends before {digest} does: {REMEDY}")
    return ContentDamagedError(f"{where}: the {part} of {digest} is damaged: {REMEDY}")


def _next_magic(fd: int, position: int, stop: int) -> int:
    while position < stop:
        block = os.pread(fd, CHUNK, position)
        found = block.find(_MAGIC)
        if found >= 0:
            return min(position + found, stop)
        if len(block) < len(_MAGIC):
            break
        # The magic may straddle two blocks.
        position += len(block) - len(_MAGIC) + 1
    return stop


@contextmanager
def opened_pack(path: Path) -> Iterator[int]:
    """Give the pack at `path`, open to be read; VaultError where that fails."""
    with _reading(path):
        fd = open_regular(path)
        try:
            yield fd
        finally:
            os.close(fd)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turn the system's errors about a pack into ours."""
    try:
        yield
    except FileNotFoundError as error:
        raise ContentMissingError(f"{path} is gone: restore it from a backup") from error
    except OSError as error:
        raise VaultError(
            f"{path} can't be read ({error.strerror}): check the disk and its permissions"
        ) from error
