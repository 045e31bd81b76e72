"""The vault: the bytes of instances, kept by their SHA-256, added to and never changed.

:class:`Vault` is what the rest of the project leans on; :class:`PackVault` keeps content in packs
(:mod:`ledger.packs`) in a folder. Its promises:

- Bytes are durable when a batch is left, and a batch is kept whole or not at all.
- The packs are the only truth. The index is a cache: lost, stale or damaged, it is built again.
- Only a batch changes a pack, and only by appending; dropping content puts another pack in the
  place of an old one. A torn tail, beyond the last whole entry, is
  cut by the next batch; what may be more than that, a damaged entry, is copied to a file
  ``PACK.cut-OFFSET`` before. A pack that lost bytes is left alone, sealed, as evidence.
- A reader needs no lock. What it gets has the digest that it asked for, or it gets an error.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

from attrs import evolve, frozen

from ledger.digest import Digest, from_raw, to_raw
from ledger.errors import ContentMissingError, VaultError
from ledger.events import Content
from ledger.pack_index import PackIndex, ScannedPacks, journal_of, remove_database
from ledger.packs import (
    CHUNK,
    Appender,
    Entry,
    Pack,
    PackReader,
    entry_pieces,
    gaps,
    io_trouble,
    is_torn,
    keep_tail,
    list_cuts,
    list_packs,
    scan,
    seal,
    sync_folder,
    sync_pack,
    write_all,
)
from ledger.repacking import Excess, Survey, copy_kept, packs_to_append_to, survey

T = TypeVar("T")

PACK_LIMIT: Final = 1 << 30
"""Bytes beyond which a pack takes no further entry."""


class Batch(Protocol):
    """Adds content to a vault. What was added can be read once the batch was left."""

    def has(self, digest: Digest) -> bool:
        """Return whether the vault has the content whole, which is read, or this batch has it."""

    def add(self, data: bytes | memoryview) -> Content:
        """Add `data`, unless the vault or this batch has it; return what it is."""

    def add_file(self, fd: int, *, size: int | None = None) -> Content:
        """Add what an open file holds from its position to its end, never all of it in memory.

        `size` is about how many bytes to expect; it defaults to the size of the file. An error in
        reading the file is passed on, and leaves the batch as it was.
        """


@frozen
class Damage:
    """Something wrong that a vault found in itself.

    `digest` is what can't be had because of it; None where that can't be told. `problem` says
    where, and what to do.
    """

    digest: Digest | None
    problem: str


class Vault(Protocol):
    """Keeps content by its digest.

    Methods raise VaultError where the store fails, ContentMissingError for a digest that it does
    not have, and ContentDamagedError for content that no longer is what it was.
    """

    def batch(self) -> AbstractContextManager[Batch]:
        """Return a context in which to add content: all of it is kept when the context is left.

        An exception leaves the vault as it was. One batch at a time, in one process at a time: the
        caller holds a lock.
        """

    def __contains__(self, digest: Digest) -> bool:
        """Return whether the vault has the content. Its bytes are not looked at."""

    def is_sound(self, digest: Digest) -> bool:
        """Return whether the content can be read and is what it was: all of it is read."""

    def content(self, digest: Digest) -> Content:
        """Return the digest together with the size of the content in bytes."""

    def contents(self) -> Iterator[Content]:
        """Yield all content, ordered by digest."""

    def read(self, digest: Digest) -> bytes:
        """Return the content, checked."""

    def copy_to(self, digest: Digest, fd: int) -> None:
        """Write the content to an open file; syncing is left to the caller.

        It is checked on the way: after an error the file holds bytes that must not be used.
        """

    def verify(self) -> Iterator[Damage]:
        """Read everything, and yield what is wrong."""

    def excess(self, needed: Container[Digest], *, scraps: bool = False) -> Excess:
        """Return how much :meth:`drop_excess` would drop."""

    def drop_excess(self, needed: Container[Digest], *, scraps: bool = False) -> Excess:
        """Drop all content that is not `needed`, and copies; return how much that was.

        With `scraps` that includes bytes of which no one can tell what they were. Killed or failed
        at any point, all that is needed is still there. The caller holds a lock; readers in other
        processes read on.
        """

    def rebuild_index(self) -> None:
        """Build anew what the vault keeps besides the content itself; the caller holds a lock."""

    def close(self) -> None:
        """Let go of open files. Using the vault again takes them up again."""


class PackVault:
    """A vault in a local folder: see :class:`Vault`.

    `folder` holds the packs and `index` is the path of the index, which can be deleted at any
    time; both are made by the first batch. Without `durable` nothing waits for the disk. Without
    `writable` only reading is allowed, and nothing at all is written. A pack is sealed when an
    entry would take it beyond `pack_limit` bytes; a larger entry has a pack of its own.

    An object may be handed from thread to thread, and used by one at a time.
    """

    def __init__(
        self,
        folder: Path,
        index: Path,
        *,
        durable: bool = True,
        writable: bool = True,
        pack_limit: int = PACK_LIMIT,
    ) -> None:
        self._folder = folder
        self._index_path = index
        self._durable = durable
        self._writable = writable
        self._pack_limit = pack_limit
        self._index: PackIndex | None = None  # the writer's, from the first batch on
        self._view: PackIndex | None = None  # the same file, for reading
        self._scanned = ScannedPacks(folder)
        self._reader = PackReader(folder)
        self._in_batch = False
        self._unsafe = False

    @contextmanager
    def batch(self) -> Iterator[Batch]:
        """Return a context in which to add content; see :meth:`Vault.batch`.

        After a failed sync, further batches are refused with VaultError until the vault is opened
        anew.
        """
        self._refuse_unless_writable()
        index = self._settled_index()
        index.hold()
        appender = Appender(
            self._folder, list_packs(self._folder), limit=self._pack_limit, durable=self._durable
        )
        batch = _PackBatch(index, appender, self._folder)
        self._in_batch = True
        try:
            yield batch
            appender.sync()
        except BaseException:
            appender.roll_back()
            raise
        finally:
            batch.close()
            index.let_go()
            self._in_batch = False
            self._unsafe = appender.unsafe
        # From here on the batch is kept, whatever happens to the index.
        ends = appender.ends()
        appender.seal()
        self._record(batch, ends)

    def __contains__(self, digest: Digest) -> bool:
        """Return whether the vault has the content. Its bytes are not looked at."""
        return self._find(to_raw(digest)) is not None

    def is_sound(self, digest: Digest) -> bool:
        """Return whether the content can be read and is what it was: all of it is read."""
        try:
            for _ in self._chunks(digest):
                pass
        except VaultError:
            return False
        return True

    def content(self, digest: Digest) -> Content:
        """Return the digest together with the size of the content in bytes."""
        return Content(digest, self._entry(digest).length)

    def contents(self) -> Iterator[Content]:
        """Yield all content, ordered by digest."""
        complete = self._index_is_complete()
        after, page = b"", self._page(b"", complete)
        while page:
            for after, length in page:
                yield Content(from_raw(after), length)
            page = self._page(after, complete)

    def read(self, digest: Digest) -> bytes:
        """Return the content, checked."""
        return b"".join(self._chunks(digest))

    def copy_to(self, digest: Digest, fd: int) -> None:
        """Write the content to an open file; see :meth:`Vault.copy_to`."""
        for chunk in self._chunks(digest):
            write_all(fd, chunk)

    def verify(self) -> Iterator[Damage]:
        """Read everything, and yield what is wrong; the end of the pack in use is left out."""
        packs = {pack.number: pack for pack in list_packs(self._folder)}
        ends = self._ask(PackIndex.ends)
        for number in sorted(packs.keys() | ends.keys()):
            entries = self._ask(partial(PackIndex.entries_in, pack=number))
            if number in packs:
                pack, end = packs[number], ends.get(number, 0)
                # What came behind the last batch, a crash may have torn: it is cut by the next one.
                entries += scan(pack, end, trusted=pack.sealed)
                upto = pack.size if pack.sealed else end
                yield from _verify_between(pack, entries, upto, self._is_superseded)
            yield from self._verify_entries(entries)

    def excess(self, needed: Container[Digest], *, scraps: bool = False) -> Excess:
        """Return how much would be dropped; see :meth:`Vault.excess`."""
        return survey(list_packs(self._folder), needed, scraps=scraps).excess

    def drop_excess(self, needed: Container[Digest], *, scraps: bool = False) -> Excess:
        """Drop what is not `needed`; see :meth:`Vault.drop_excess`."""
        self._refuse_unless_writable()
        index = self._settled_index()
        packs = list_packs(self._folder)
        found = survey(packs, needed, scraps=scraps)
        if found.packs:
            self._repack(index, packs, found)
        if scraps:
            for cut in list_cuts(self._folder):
                cut.unlink()
        self._rebuild()  # an index may hold in its free space what was dropped
        return found.excess

    def _repack(self, index: PackIndex, packs: list[Pack], found: Survey) -> None:
        appender = Appender(
            self._folder,
            packs_to_append_to(packs, found),
            limit=self._pack_limit,
            durable=self._durable,
        )
        try:
            if found.goes(packs[-1]):
                appender.begin_pack()
            copies = copy_kept(found, appender)
            appender.sync()
        except BaseException:
            appender.roll_back()
            self._unsafe = appender.unsafe
            raise
        ends = appender.ends()
        appender.seal()
        # Readers find the copies in it at once. Of several it knew one, perhaps one that goes.
        with suppress(sqlite3.Error), index.changing():
            index.keep(())
            for pack in packs:
                if not found.goes(pack):
                    index.add(scan(pack, trusted=pack.sealed), {pack.number: pack.size})
            index.add(copies, ends)
        self._reader.close()
        self._reader.following = None
        for pack, _ in found.packs:
            try:
                pack.path.unlink()
            except OSError as error:
                raise VaultError(
                    f"{pack.path} can't be deleted ({error.strerror}), though what is needed of it "
                    "was copied: check its permissions and try again"
                ) from error
        if self._durable:
            try:
                sync_folder(self._folder)
            except OSError as error:
                raise VaultError(
                    f"{self._folder}: making durable that packs are gone failed "
                    f"({error.strerror}): check the disk and try again"
                ) from error

    def rebuild_index(self) -> None:
        """Build the index anew from the headers in the packs, and put it in place in one step."""
        self._refuse_unless_writable()
        self._rebuild()

    def close(self) -> None:
        """Let go of the index. Using the vault again takes it up again."""
        for index in (self._index, self._view):
            if index is not None:
                index.close()
        self._index = self._view = None
        self._scanned.close()
        self._reader.close()

    def _chunks(self, digest: Digest) -> Iterator[bytes | memoryview]:
        entry = self._entry(digest)
        chunks = self._reader.chunks(entry)
        try:
            yield next(chunks)
        except VaultError:
            # Its pack may have gone while what else it held was copied to another one.
            moved = self._found_elsewhere(entry)
            if moved is None:
                raise
            chunks = self._reader.chunks(moved)
        yield from chunks

    def _found_elsewhere(self, entry: Entry) -> Entry | None:
        self._drop_view()
        self._reader.following = None
        for found in (self._find(entry.raw), self._scanned.index().find(entry.raw)):
            if found is not None and found != entry:
                return found
        return None

    def _is_superseded(self, entry: Entry) -> bool:
        """Whether `entry`, not the one in use, is a copy of content that was stored anew."""
        known = self._find(entry.raw)
        return known is not None and known != entry

    # --- Looking things up: the index file where it serves, else the packs themselves

    def _entry(self, digest: Digest) -> Entry:
        raw = to_raw(digest)
        if (following := self._reader.follow(raw)) is not None:
            return following
        # Whatever became of the index, the packs still have what they have.
        entry = self._find(raw) or self._scanned.index().find(raw)
        if entry is None:
            raise ContentMissingError(f"{self._folder} has no content {digest}")
        return entry

    def _find(self, raw: bytes) -> Entry | None:
        entry = self._ask(lambda index: index.find(raw))
        if entry is None and not self._index_is_complete():
            entry = self._scanned.index().find(raw)
        return entry

    def _ask(self, question: Callable[[PackIndex], T]) -> T:
        try:
            if self._view is None:
                self._view = PackIndex.view(self._index_path)
            return question(self._view)
        except sqlite3.Error:
            self._drop_view()
            return question(self._scanned.index())

    def _drop_view(self) -> None:
        if self._view is not None:
            self._view.close()
            self._view = None

    def _index_is_complete(self) -> bool:
        ends = self._ask(PackIndex.ends)
        if ends == {pack.number: pack.size for pack in list_packs(self._folder)}:
            return True
        # Perhaps another file has taken its place: take that one the next time.
        self._drop_view()
        return False

    def _page(self, after: bytes, complete: bool) -> list[tuple[bytes, int]]:
        if complete:
            return self._ask(lambda index: index.page(after))
        return self._scanned.index().page(after)

    def _verify_entries(self, entries: Iterable[Entry]) -> Iterator[Damage]:
        for entry in entries:
            try:
                for _ in self._reader.chunks(entry):
                    pass
            except VaultError as error:
                yield Damage(from_raw(entry.raw), str(error))

    # --- Keeping the index: only ever inside a batch or rebuild_index, where no one else writes

    def _refuse_unless_writable(self) -> None:
        if not self._writable:
            raise VaultError(f"{self._folder} was opened for reading only")
        if self._in_batch:
            raise VaultError(f"{self._folder}: a batch is open: leave it first")
        if self._unsafe:
            raise VaultError(
                f"{self._folder}: the disk failed in an earlier batch: check it, and open the "
                "vault again"
            )

    def _settled_index(self) -> PackIndex:
        try:
            if self._index is not None and not self._index.is_in_place():
                self.close()
            if self._index is None:
                self._index = PackIndex.create(self._index_path, durable=self._durable)
            self._settle(self._index)
        except sqlite3.Error:
            return self._rebuild()
        return self._index

    def _rebuild(self) -> PackIndex:
        self.close()
        try:
            self._index = self._rebuilt_file()
        except (sqlite3.Error, OSError):
            with suppress(OSError):
                remove_database(self._beside_index())
            # A place that can't be written costs time at every opening, but nothing else.
            self._index = PackIndex.in_memory()
            self._settle(self._index)
        return self._index

    def _beside_index(self) -> Path:
        return self._index_path.with_name(f"{self._index_path.name}.new")

    def _rebuilt_file(self) -> PackIndex:
        path, beside = self._index_path, self._beside_index()
        remove_database(beside)
        index = PackIndex.create(beside, durable=self._durable)
        try:
            self._settle(index)
        finally:
            index.close()
        if journal_of(path).exists():
            # Left by a crash: SQLite would play it back into the new file; and without it the old
            # file is wrong. So one after the other.
            for each in (path, journal_of(path)):
                each.unlink(missing_ok=True)
                self._sync_beside(each)
        beside.replace(path)
        self._sync_beside(path)
        return PackIndex.create(path, durable=self._durable)

    def _sync_beside(self, path: Path) -> None:
        if self._durable:
            sync_folder(path.parent)

    def _settle(self, index: PackIndex) -> None:
        """Bring the index and the packs together: see the promises at the top."""
        packs = list_packs(self._folder)
        ends = index.ends()
        with index.changing():
            index.keep({pack.number for pack in packs})
            for pack in packs:
                self._settle_pack(index, pack, ends)
        for pack in packs[:-1]:
            self._seal(pack)

    def _settle_pack(self, index: PackIndex, pack: Pack, ends: Mapping[int, int]) -> None:
        end = ends.get(pack.number, 0)
        if pack.size < end:
            index.forget_beyond(pack.number, pack.size)
            index.add((), {pack.number: pack.size})
            self._seal(pack)
        elif pack.size > end:
            entries = list(scan(pack, end, trusted=pack.sealed))
            if not pack.sealed:
                run = _end_of_run(entries, end)
                if ends and (apart := [entry for entry in entries if entry.offset >= run]):
                    # An index that knows anything knows all batches that were finished: these
                    # entries are of another one, and not behind what was damaged later.
                    self._move(index, pack, apart)
                    entries = [entry for entry in entries if entry.offset < run]
                end = entries[-1].end if entries else end
                self._secure(pack, end)
            index.add(entries, {pack.number: pack.size if pack.sealed else end})

    def _move(self, index: PackIndex, pack: Pack, entries: Sequence[Entry]) -> None:
        """Copy `entries` of `pack`, whole ones beyond a torn one, to a new pack.

        A power failure can keep the end of what was written and not its beginning.
        """
        last = evolve(list_packs(self._folder)[-1], sealed=True)
        appender = Appender(self._folder, [last], limit=self._pack_limit, durable=self._durable)
        try:
            copies = [appender.append_copy(e, entry_pieces(pack, e)) for e in entries]
            appender.sync()
        except BaseException:
            appender.roll_back()
            self._unsafe = appender.unsafe
            raise
        index.add(copies, appender.ends())
        appender.seal()

    def _secure(self, pack: Pack, end: int) -> None:
        """Cut what a crash left beyond `end`, and make the rest durable: it may not have been."""
        try:
            if end < pack.size:
                if not is_torn(pack, end):
                    keep_tail(pack, end)
                os.truncate(pack.path, end)
            if self._durable:
                sync_pack(pack.path)
        except OSError as error:
            self._unsafe = True
            raise io_trouble(pack.path, "mending", error) from error

    def _seal(self, pack: Pack) -> None:
        if not pack.sealed:
            self._secure(pack, pack.size)
            seal(pack.path)

    def _record(self, batch: _PackBatch, ends: Mapping[int, int]) -> None:
        try:
            with batch.index.changing():
                batch.index.add(batch.added.values(), ends)
        except sqlite3.Error:
            batch.index_failed = True
        if batch.index_failed:
            self._rebuild()


def _end_of_run(entries: Iterable[Entry], start: int) -> int:
    """Return where the entries end that follow on each other from the offset `start` on."""
    end = start
    for entry in entries:
        if entry.offset != end:
            break
        end = entry.end
    return end


def _verify_between(
    pack: Pack, entries: Iterable[Entry], upto: int, is_superseded: Callable[[Entry], bool]
) -> Iterator[Damage]:
    """Yield the bytes of `pack` outside the `entries`, `upto` an offset, that are no whole entry.

    A damaged one that was stored anew is no loss.
    """
    position = 0
    for entry in entries:
        if entry.offset > upto:
            return
        yield from _verify_gap(pack, position, entry.offset, is_superseded)
        position = entry.end
    if pack.sealed:
        yield from _verify_gap(pack, position, pack.size, is_superseded)


def _verify_gap(
    pack: Pack, start: int, stop: int, is_superseded: Callable[[Entry], bool]
) -> Iterator[Damage]:
    if start >= stop:
        return
    try:
        position = start
        for entry in filter(is_superseded, scan(pack, start, stop, trusted=True)):
            yield from _verify_scraps(pack, position, entry.offset)
            position = entry.end
        yield from _verify_scraps(pack, position, stop)
    except VaultError as error:
        yield Damage(None, str(error))


def _verify_scraps(pack: Pack, start: int, stop: int) -> Iterator[Damage]:
    for first, end in gaps(pack, start, stop):
        problem = f"{end - first} bytes are no whole entry: restore the pack from a backup"
        yield Damage(None, f"{pack.path}, offset {first}: {problem}")


class _PackBatch:
    """A batch of a :class:`PackVault`; the vault syncs and records what it added."""

    def __init__(self, index: PackIndex, appender: Appender, folder: Path) -> None:
        self._appender = appender
        self._reader = PackReader(folder)
        self.index = index
        self.index_failed = False
        self.added: dict[bytes, Entry] = {}

    def has(self, digest: Digest) -> bool:
        """Return whether the vault has the content whole, or this batch has it."""
        return self._has(to_raw(digest))

    def add(self, data: bytes | memoryview) -> Content:
        """Add `data`, unless the vault or this batch has it; return what it is."""
        view = memoryview(data).cast("B")
        raw = hashlib.sha256(view).digest()
        if not self._has(raw):
            self.added[raw] = self._appender.append(raw, view)
        return Content(from_raw(raw), len(view))

    def add_file(self, fd: int, *, size: int | None = None) -> Content:
        """Add what an open file holds from its position to its end; see :meth:`Batch.add_file`."""
        first = _read_up_to(fd, CHUNK)
        if len(first) < CHUNK:
            return self.add(first)
        expected = os.fstat(fd).st_size if size is None else size
        entry = self._appender.append_stream(_read_on(first, fd), expected)
        if self._has(entry.raw):
            self._appender.withdraw(entry)
        else:
            self.added[entry.raw] = entry
        return Content(from_raw(entry.raw), entry.length)

    def close(self) -> None:
        """Let go of the packs that were read."""
        self._reader.close()

    def _has(self, raw: bytes) -> bool:
        if raw in self.added:
            return True
        try:
            entry = self.index.find(raw)
            return entry is not None and self._is_sound(entry)
        except sqlite3.Error:
            # The index is mended after the batch. To store content once more does no harm.
            self.index_failed = True
            return False

    def _is_sound(self, entry: Entry) -> bool:
        """Whether what is stored is what it was: else it is stored anew."""
        try:
            for _ in self._reader.chunks(entry):
                pass
        except VaultError:
            return False
        return True


def _read_up_to(fd: int, size: int) -> bytes:
    parts: list[bytes] = []
    while size and (part := os.read(fd, size)):
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _read_on(first: bytes, fd: int) -> Iterator[bytes]:
    piece = first
    while piece:
        yield piece
        piece = os.read(fd, CHUNK)
