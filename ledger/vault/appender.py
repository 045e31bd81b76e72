"""Appending to packs: all of a batch, or none of it."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from attrs import define

from ledger.disk import begin_to_flush, fsync
from ledger.errors import VaultError
from ledger.vault.packs import CHUNK, HEADER_SIZE, Pack, PackEntry, header, pack_path

_COPIED: Final = 1 << 16  # bytes of content that costs less to write at once than to collect
_TO_DISK: Final = 8 << 20  # bytes of a pack from which the disk begins with them


def seal(path: Path) -> None:
    """Make a pack read-only. The caller has made it durable."""
    # Some file systems have no modes. The seal spares work and accidents; nothing hangs on it.
    with suppress(OSError):
        path.chmod(0o400)


NOTHING_ADDED: Final = "Nothing was added"
NOTHING_LOST: Final = "All that it holds is still there"


def io_trouble(path: Path, doing: str, error: OSError, outcome: str = NOTHING_ADDED) -> VaultError:
    """Return the error to raise where `doing` something to the pack at `path` failed."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    remedy = "free some space and try again" if full else "check the disk and open the vault again"
    return VaultError(f"{path}: {doing} failed ({error.strerror}). {outcome}: {remedy}.")


@define
class _Target:
    """A pack that is appended to. `start` was its size before; `end` counts what is buffered.

    What lies before `begun` is on its way to the disk.
    """

    number: int
    path: Path
    fd: int
    start: int
    end: int
    begun: int
    created: bool


class Appender:
    """Appends entries to the last pack, and to new ones as each is full: all of them or none.

    After the entries comes either `sync` and `seal`, or `roll_back`. The methods
    raise VaultError where the disk fails, with the `outcome` of it; from then on only `roll_back`
    will do.
    """

    def __init__(
        self,
        folder: Path,
        packs: list[Pack],
        *,
        limit: int,
        durable: bool,
        outcome: str = NOTHING_ADDED,
    ) -> None:
        self._folder = folder
        self._outcome = outcome
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

    def append(self, raw: bytes, data: memoryview) -> PackEntry:
        """Append `data`, whose SHA-256 is `raw`."""
        target = self._room_for(len(data))
        entry = PackEntry(raw, target.number, target.end, len(data))
        self._put(target, header(raw, len(data)))
        self._put(target, data)
        return entry

    def append_stream(self, pieces: Iterable[bytes | memoryview], expected: int) -> PackEntry:
        """Append the content that `pieces` make up, of about `expected` bytes.

        A piece is not used once the next one is asked for. An error that `pieces` raise is passed
        on, and nothing of the content stays.
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
            entry = PackEntry(
                hasher.digest(), target.number, start, target.end - start - HEADER_SIZE
            )
            self._flush()
            self._write(target, header(entry.raw, entry.length), start)
        except BaseException:
            if not self._over:
                self._cut(target, start)
            raise
        return entry

    def append_copy(self, entry: PackEntry, pieces: Iterable[bytes]) -> PackEntry:
        """Append `entry` of another pack, whose content `pieces` are, even if that is damaged.

        The pack is sealed in the end, so that a damaged one is not taken for a torn tail.
        """
        target = self._room_for(entry.length)
        copy = PackEntry(entry.raw, target.number, target.end, entry.length)
        self._put(target, header(entry.raw, entry.length))
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

    def withdraw(self, entry: PackEntry) -> None:
        """Take back the entry that was appended last."""
        self._cut(self._targets[-1], entry.offset)

    def write_out(self) -> None:
        """Write out what is buffered."""
        self._refuse_if_over()
        self._flush()

    def sync(self) -> None:
        """Write out what is buffered and, in a durable vault, wait until the disk has it."""
        self.write_out()
        if not self._durable:
            return
        for target in self._targets:
            with self._syncing(target.path):
                os.fsync(target.fd)
        with self._syncing(self._folder):
            if any(target.created for target in self._targets):
                fsync(self._folder)
            if self._folder_is_new:
                fsync(self._folder.parent)

    def sync_other(self, path: Path) -> None:
        """Wait until the disk has a pack that nothing was appended to."""
        with self._syncing(path):
            fsync(path)

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
                # The error that led here is the one to report. The next opening reconciles it all.
                self.unsafe = True
        self._close()

    def _close(self) -> None:
        self._over = True
        self._buffer = bytearray()
        for target in self._targets:
            with suppress(OSError):  # what was synced is on the disk, whatever comes of this
                os.close(target.fd)

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
        target = _Target(last.number, last.path, fd, last.size, last.size, last.size, created=False)
        self._targets.append(target)
        return target

    def _create(self, number: int) -> _Target:
        path = pack_path(self._folder, number)
        with self._trouble(path, "creating"):
            if not self._folder.exists():
                self._folder.mkdir(mode=0o700, parents=True)
                self._folder_is_new = True
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._targets.append(_Target(number, path, fd, 0, 0, 0, created=True))
        return self._targets[-1]

    def _put(self, target: _Target, data: bytes | memoryview) -> None:
        if len(data) >= _COPIED or len(self._buffer) + len(data) > CHUNK:
            self._flush()
        if len(data) < _COPIED:
            self._buffer += data
        else:
            self._write(target, data, target.end)
        target.end += len(data)
        if self._durable and target.end - target.begun >= _TO_DISK:
            written = target.end - len(self._buffer)
            begin_to_flush(target.fd, target.begun, written)
            target.begun = written

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
            raise io_trouble(path, doing, error, self._outcome) from error

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
