"""Packs: append-only files of framed content, from which all that is known of them can be rebuilt.

A pack is a run of entries and nothing else. An entry is a header of 52 bytes, then the content:

======  ====  =====================================
offset  size  what (numbers are big-endian)
======  ====  =====================================
0       4     magic, ``FSLP``
4       1     version of this format, 1
5       3     zero
8       32    SHA-256 of the content
40      8     length of the content in bytes
48      4     CRC-32 of the 48 bytes before
======  ====  =====================================

Only the last pack grows. A full one is made durable, then *sealed*: its mode becomes 0400 and it
never changes again, until what is to be dropped of it goes with all of it
(:mod:`ledger.repacking`). So the headers of a sealed pack can be believed without reading the
content, while the end of an unsealed one may have been torn by a crash and is believed byte by
byte.
"""

from __future__ import annotations

import errno
import hashlib
import os
import re
import struct
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, NamedTuple

from attrs import define, frozen

from ledger.digest import from_raw
from ledger.errors import ContentDamagedError, ContentMissingError, VaultError

CHUNK: Final = 1 << 20
"""Bytes that are read, hashed and written at a time."""

REMEDY: Final = (
    "add its file again, or have `fileset write --repair` store it anew from a medium that is "
    "whole, or restore the pack from a backup"
)
"""What to do about content that a pack no longer has as it was."""

_MAGIC: Final = b"FSLP"
_VERSION: Final = 1
_FRAME: Final = struct.Struct(">4sB3x32sQ")
HEADER_SIZE: Final = _FRAME.size + 4

_NAME: Final = re.compile(r"pack-([0-9]{8})\.pack")


class Entry(NamedTuple):
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


def list_packs(folder: Path) -> list[Pack]:
    """Return the packs in `folder`, the oldest first; none where there is no such folder."""
    try:
        with os.scandir(folder) as found:
            packs = [_found(item) for item in found if _NAME.fullmatch(item.name)]
    except FileNotFoundError:
        return []
    return sorted(packs, key=lambda pack: pack.number)


def _found(item: os.DirEntry[str]) -> Pack:
    status = item.stat()
    return Pack(
        number=int(item.name[5:13]),
        path=Path(item.path),
        size=status.st_size,
        sealed=not status.st_mode & 0o222,
        inode=status.st_ino,
        modified=status.st_mtime_ns,
    )


# --- Reading ---------------------------------------------------------------------------------


class PackReader:
    """Reads entries of the packs in `folder`; the pack read last is kept open.

    `following` is the entry behind the one read last: content is mostly asked for in the order in
    which it came, and need not be looked up then.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._path = folder
        self._number = self._fd = -1
        self.following: Entry | None = None

    def close(self) -> None:
        """Let go of the pack; reading again opens it again."""
        if self._fd >= 0:
            with suppress(OSError):  # it was only read
                os.close(self._fd)
            self._fd = -1

    def chunks(self, entry: Entry) -> Iterator[bytes | memoryview]:
        """Yield the content of `entry` in pieces of up to :data:`CHUNK` bytes, and check it.

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
            if first[:HEADER_SIZE] != _header(entry.raw, entry.length):
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

    def follow(self, raw: bytes) -> Entry | None:
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
        return entry if head == _header(raw, entry.length) else None

    def _opened(self) -> int:
        # A pack that was deleted meanwhile is gone, though its bytes could still be read.
        if self._fd >= 0 and not os.fstat(self._fd).st_nlink:
            self.close()
        if self._fd < 0:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        return self._fd


def scan(
    pack: Pack, start: int = 0, stop: int | None = None, *, trusted: bool = False
) -> Iterator[Entry]:
    """Yield the entries of `pack` that lie between the offsets `start` and `stop` (its size).

    What is no whole entry is passed over. With `trusted`, headers are believed as long as they
    follow on each other; else, and after bytes passed over, content must match its digest.
    """
    stop = pack.size if stop is None else stop
    with _opened(pack.path) as fd:
        position, believed = start, trusted
        while position < stop:
            entry = _entry_at(fd, pack, position, stop)
            if entry is not None and (believed or _is_intact(fd, entry)):
                yield entry
                position, believed = entry.end, trusted
            else:
                position, believed = _next_magic(fd, position + 1, stop), False


def entry_pieces(pack: Pack, entry: Entry) -> Iterator[bytes]:
    """Yield the content of `entry` of `pack` as it is, unchecked."""
    with _opened(pack.path) as fd:
        yield from _pieces(fd, entry)


def is_sound(pack: Pack, entry: Entry) -> bool:
    """Whether the content of `entry` of `pack` has its digest."""
    with _opened(pack.path) as fd:
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
    with _opened(pack.path) as fd:
        if pack.size - start < HEADER_SIZE:
            return True
        entry = _entry_in(os.pread(fd, HEADER_SIZE, start), pack.number, start)
        if entry is not None:
            return entry.end > pack.size
        rest = Entry(b"", pack.number, start - HEADER_SIZE, pack.size - start)
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
            pack, Entry(b"", pack.number, start - HEADER_SIZE, pack.size - start)
        ):
            write_all(fd, piece)
        os.fsync(fd)
    finally:
        os.close(fd)
    sync_folder(path.parent)


def _header(raw: bytes, length: int) -> bytes:
    frame = _FRAME.pack(_MAGIC, _VERSION, raw, length)
    return frame + _checksum(frame)


def _checksum(frame: bytes | memoryview) -> bytes:
    return zlib.crc32(frame).to_bytes(4, "big")


def _entry_in(head: bytes | memoryview, pack: int, offset: int) -> Entry | None:
    """Return the entry whose header `head` is, ``None`` where it is none of this version."""
    frame = head[: _FRAME.size]
    if len(head) != HEADER_SIZE or head[_FRAME.size :] != _checksum(frame):
        return None
    magic, version, raw, length = _FRAME.unpack(frame)
    return Entry(raw, pack, offset, length) if (magic, version) == (_MAGIC, _VERSION) else None


def _entry_at(fd: int, pack: Pack, offset: int, stop: int) -> Entry | None:
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
    entry = Entry(raw, pack.number, offset, length)
    return entry if entry.end <= stop else None


def _is_intact(fd: int, entry: Entry) -> bool:
    hasher = hashlib.sha256()
    for chunk in _pieces(fd, entry):
        hasher.update(chunk)
    return hasher.digest() == entry.raw


def _pieces(fd: int, entry: Entry, start: int = 0) -> Iterator[bytes]:
    position = entry.offset + HEADER_SIZE + start
    while position < entry.end:
        chunk = os.pread(fd, min(CHUNK, entry.end - position), position)
        if not chunk:
            return
        yield chunk
        position += len(chunk)


def _flaw(fd: int, entry: Entry, path: Path, part: str) -> VaultError:
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
def _opened(path: Path) -> Iterator[int]:
    with _reading(path):
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
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


# --- Writing ---------------------------------------------------------------------------------


def write_all(fd: int, data: bytes | bytearray | memoryview) -> None:
    """Write all of `data` to an open file; a short write is carried on with."""
    with memoryview(data) as view:
        written = 0
        while written < len(view):
            written += os.write(fd, view[written:])


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    _sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def sync_pack(path: Path) -> None:
    """Make the bytes of a pack and its name durable."""
    _sync(path, os.O_RDONLY)
    sync_folder(path.parent)


def _sync(path: Path, flags: int) -> None:
    fd = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def seal(path: Path) -> None:
    """Make a pack read-only. The caller has made it durable."""
    # Some file systems have no modes. The seal spares work and accidents; nothing hangs on it.
    with suppress(OSError):
        path.chmod(0o400)


def io_trouble(path: Path, doing: str, error: OSError) -> VaultError:
    """Return the error to raise where `doing` something to the pack at `path` failed."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    remedy = "free some space and try again" if full else "check the disk and open the vault again"
    return VaultError(f"{path}: {doing} failed ({error.strerror}). Nothing was added: {remedy}.")


@define
class _Target:
    """A pack that is appended to. `start` was its size before; `end` counts what is buffered."""

    number: int
    path: Path
    fd: int
    start: int
    end: int
    created: bool


class Appender:
    """Appends entries to the last pack, and to new ones as each is full: all of them or none.

    After the entries comes either :meth:`sync` and :meth:`seal`, or :meth:`roll_back`. The methods
    raise VaultError where the disk fails; from then on only :meth:`roll_back` will do.
    """

    def __init__(self, folder: Path, packs: list[Pack], *, limit: int, durable: bool) -> None:
        self._folder = folder
        self._last = packs[-1] if packs else None
        self._limit = limit
        self._durable = durable
        self._targets: list[_Target] = []
        self._buffer = bytearray()
        self._folder_is_new = False
        self._over = False
        self._seal_all = False
        self.unsafe = False
        """Whether the state of the disk is unknown: a sync or a roll-back has failed."""

    def ends(self) -> dict[int, int]:
        """Return where each pack that was appended to now ends."""
        return {target.number: target.end for target in self._targets}

    def append(self, raw: bytes, data: memoryview) -> Entry:
        """Append `data`, whose SHA-256 is `raw`."""
        target = self._room_for(len(data))
        entry = Entry(raw, target.number, target.end, len(data))
        self._put(target, _header(raw, len(data)))
        self._put(target, data)
        return entry

    def append_stream(self, pieces: Iterable[bytes], expected: int) -> Entry:
        """Append the content that `pieces` make up, of about `expected` bytes.

        An error that `pieces` raise is passed on, and nothing of the content stays.
        """
        target = self._room_for(expected)
        start = target.end
        hasher = hashlib.sha256()
        try:
            # Until the digest is known, the entry has no header that could be taken for one.
            self._put(target, bytes(HEADER_SIZE))
            for piece in pieces:
                hasher.update(piece)
                self._put(target, piece)
            entry = Entry(hasher.digest(), target.number, start, target.end - start - HEADER_SIZE)
            self._flush()
            self._write(target, _header(entry.raw, entry.length), start)
        except BaseException:
            if not self._over:
                self._cut(target, start)
            raise
        return entry

    def append_copy(self, entry: Entry, pieces: Iterable[bytes]) -> Entry:
        """Append `entry` of another pack, whose content `pieces` are, even if that is damaged.

        The pack is sealed in the end, so that a damaged one is not taken for a torn tail.
        """
        target = self._room_for(entry.length)
        copy = Entry(entry.raw, target.number, target.end, entry.length)
        self._put(target, _header(entry.raw, entry.length))
        hasher = hashlib.sha256()
        for piece in pieces:
            hasher.update(piece)
            self._put(target, piece)
        if target.end != copy.end:
            self._over = True
            raise VaultError(f"{target.path}: what was to be copied there ended early: try again")
        self._seal_all |= hasher.digest() != entry.raw
        return copy

    def begin_pack(self) -> None:
        """Begin a new pack, though nothing may come into it."""
        self._refuse_if_over()
        self._flush()
        last = self._targets[-1].number if self._targets else self._last and self._last.number
        self._create((last or 0) + 1)

    def withdraw(self, entry: Entry) -> None:
        """Take back the entry that was appended last."""
        self._cut(self._targets[-1], entry.offset)

    def sync(self) -> None:
        """Write out what is buffered and, in a durable vault, wait until the disk has it."""
        self._refuse_if_over()
        self._flush()
        if not self._durable:
            return
        for target in self._targets:
            with self._syncing(target.path):
                os.fsync(target.fd)
        with self._syncing(self._folder):
            if any(target.created for target in self._targets):
                sync_folder(self._folder)
            if self._folder_is_new:
                sync_folder(self._folder.parent)

    def seal(self) -> None:
        """Seal the packs that are full, and let go of all."""
        for target in self._targets:
            is_last = target is self._targets[-1]
            if not is_last or target.end >= self._limit or self._seal_all:
                seal(target.path)
        self._close()

    def roll_back(self) -> None:
        """Leave the packs as they were, as far as the disk lets us."""
        for target in self._targets:
            try:
                if target.created:
                    target.path.unlink()
                else:
                    os.ftruncate(target.fd, target.start)
            except OSError:
                # The error that led here is the one to tell. The next opening settles the rest.
                self.unsafe = True
        self._close()

    def _close(self) -> None:
        self._over = True
        self._buffer = bytearray()
        while self._targets:
            with suppress(OSError):  # what was synced is on the disk, whatever comes of this
                os.close(self._targets.pop().fd)

    def _room_for(self, length: int) -> _Target:
        self._refuse_if_over()
        target = self._targets[-1] if self._targets else self._resume()
        if target.end and target.end + HEADER_SIZE + length > self._limit:
            self._flush()
            target = self._create(target.number + 1)
        return target

    def _resume(self) -> _Target:
        last = self._last
        if last is None or last.sealed:
            return self._create(last.number + 1 if last else 1)
        with self._trouble(last.path, "opening"):
            fd = os.open(last.path, os.O_RDWR | os.O_CLOEXEC)
        target = _Target(last.number, last.path, fd, last.size, last.size, created=False)
        self._targets.append(target)
        return target

    def _create(self, number: int) -> _Target:
        path = pack_path(self._folder, number)
        with self._trouble(path, "creating"):
            if not self._folder.exists():
                self._folder.mkdir(mode=0o700, parents=True)
                self._folder_is_new = True
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._targets.append(_Target(number, path, fd, 0, 0, created=True))
        return self._targets[-1]

    def _put(self, target: _Target, data: bytes | memoryview) -> None:
        if len(self._buffer) + len(data) > CHUNK:
            self._flush()
        if len(data) < CHUNK:
            self._buffer += data
        else:
            self._write(target, data, target.end)
        target.end += len(data)

    def _flush(self) -> None:
        if self._buffer:
            target = self._targets[-1]
            self._write(target, self._buffer, target.end - len(self._buffer))
            self._buffer = bytearray()

    def _write(self, target: _Target, data: bytes | bytearray | memoryview, offset: int) -> None:
        with self._trouble(target.path, "writing"), memoryview(data) as view:
            written = 0
            while written < len(view):
                written += os.pwrite(target.fd, view[written:], offset + written)

    def _cut(self, target: _Target, end: int) -> None:
        self._flush()
        with self._trouble(target.path, "cutting back"):
            os.ftruncate(target.fd, end)
        target.end = end

    def _refuse_if_over(self) -> None:
        if self._over:
            raise VaultError(f"{self._folder}: this batch has failed or ended: begin another")

    @contextmanager
    def _trouble(self, path: Path, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            self._over = True
            raise io_trouble(path, doing, error) from error

    @contextmanager
    def _syncing(self, path: Path) -> Iterator[None]:
        # After a failed fsync the kernel may forget which pages it didn't write, so a second one
        # that succeeds proves nothing: no more is added until the packs were looked at anew.
        with self._trouble(path, "making durable"):
            try:
                yield
            except OSError:
                self.unsafe = True
                raise
