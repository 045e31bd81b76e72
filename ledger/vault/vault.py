"""A vault in a local folder: `PackVault` keeps content in packs.

What it promises:

- Bytes are durable when a batch is left, and a batch is kept whole or not at all.
- The packs are the only truth. The index is a cache: lost, stale or damaged, it is built again.
- Only a batch changes a pack, and only by appending; dropping content puts another pack in the
  place of an old one. A torn tail, beyond the last whole entry, is cut by the next batch; what may
  be more than that, a damaged entry, is copied to a file `PACK.cut-OFFSET` before. A pack that lost
  bytes is left alone, sealed, as evidence.
- A reader needs no lock. What it gets has the digest that it asked for, or it gets an error.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Container, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from ledger.digest import Digest, from_raw, to_raw
from ledger.errors import ContentMissingError, VaultError
from ledger.events import Content
from ledger.files import FileView, write_all
from ledger.vault.appender import NOTHING_LOST
from ledger.vault.batch import PackBatch
from ledger.vault.index import PackIndex
from ledger.vault.lookup import Lookup
from ledger.vault.packs import (
    HEADER_SIZE,
    Pack,
    PackEntry,
    PackReader,
    gaps,
    list_cuts,
    list_packs,
    opened_pack,
    pack_path,
    scan,
)
from ledger.vault.protocol import Batch, ContentDamage, Excess
from ledger.vault.repacking import Survey, copy_kept, packs_to_append_to, survey
from ledger.vault.tail import end_of_run
from ledger.vault.upkeep import Upkeep

_REBUILD: Final = "`fileset rebuild` builds it again"
PACK_LIMIT: Final = 1 << 30
"""Bytes beyond which a pack takes no further entry."""


class PackVault:
    """A vault in a local folder: see `Vault`.

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
        self._folder, self._index = folder, index
        self._writable = writable
        self._lookup = Lookup(folder, index)
        self._reader = PackReader(folder)
        self._upkeep = Upkeep(folder, index, self._lookup, durable=durable, pack_limit=pack_limit)
        self._in_batch = False

    # --- adding

    @contextmanager
    def batch(self, *, later: bool = False) -> Iterator[Batch]:
        """Return a context in which to add content; see `Vault.batch`.

        After a failed sync, further batches are refused with VaultError until the vault is opened
        anew.
        """
        self._refuse_unless_writable()
        index, packs = self._upkeep.reconciled()
        index.hold()
        self._in_batch = True
        try:
            with (
                self._upkeep.appending(
                    packs,
                    may_wait=lambda: (
                        later
                        and not batch.supersedes
                        and self._upkeep.is_short(batch.added, appender.ends())
                    ),
                ) as appender,
                closing(PackBatch(self._upkeep.find, appender, self._folder)) as batch,
            ):
                yield batch
            # From here on the batch is kept, whatever happens to the index.
            try:
                self._upkeep.record(batch.added, appender.ends(), at_once=batch.supersedes)
            except (sqlite3.Error, OSError):
                batch.index_failed = True
        finally:
            index.let_go()
            self._in_batch = False
        if batch.index_failed:
            self._upkeep.rebuild()

    def make_durable(self) -> None:
        """Make durable what batches have left for later; see `Vault.make_durable`."""
        self._upkeep.make_durable()

    def _refuse_unless_writable(self) -> None:
        if not self._writable:
            raise VaultError(f"{self._folder} was opened for reading only")
        if self._in_batch:
            raise VaultError(f"{self._folder}: a batch is open: leave it first")
        self._upkeep.refuse_if_unsafe()

    # --- reading

    def __contains__(self, digest: Digest) -> bool:
        """Return whether the vault has the content. Its bytes are not looked at."""
        return self._lookup.find(to_raw(digest)) is not None

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
        for raw, length in self._lookup.lengths():
            yield Content(from_raw(raw), length)

    def read(self, digest: Digest) -> bytes:
        """Return the content, checked."""
        return b"".join(self._chunks(digest))

    def copy_to(self, digest: Digest, fd: int) -> None:
        """Write the content to an open file; see `Vault.copy_to`."""
        for chunk in self._chunks(digest):
            write_all(fd, chunk)

    @contextmanager
    def view(self, digest: Digest) -> Iterator[FileView]:
        """Give the content as it is; see `Vault.view`."""
        entry = self._entry(digest)
        path = pack_path(self._folder, entry.pack)
        with opened_pack(path) as fd:
            yield FileView(fd, entry.length, entry.offset + HEADER_SIZE)

    def _chunks(self, digest: Digest) -> Iterator[bytes | memoryview]:
        entry = self._entry(digest)
        chunks = self._reader.chunks(entry)
        try:
            yield next(chunks)
        except VaultError:
            # Its pack may have gone while what else it held was copied to another one.
            self._reader.following = None
            moved = self._lookup.find_elsewhere(entry)
            if moved is None:
                raise
            chunks = self._reader.chunks(moved)
        yield from chunks

    def _entry(self, digest: Digest) -> PackEntry:
        raw = to_raw(digest)
        if (following := self._reader.follow(raw)) is not None:
            return following
        # Whatever became of the index, the packs still have what they have.
        entry = self._lookup.find(raw) or self._lookup.find_in_packs(raw)
        if entry is None:
            raise ContentMissingError(f"{self._folder} has no content {digest}")
        return entry

    # --- checking

    def verify(self) -> Iterator[ContentDamage]:
        """Read everything, and yield what is wrong.

        Of the end of the last pack, which the index lacks, only entries count: a crash may have
        left other bytes there, which the next batch cuts.
        """
        packs = {pack.number: pack for pack in list_packs(self._folder)}
        told = [self._is_indexed(pack) for pack in packs.values()]
        if False in told:
            yield ContentDamage(None, f"{self._index} is not what the packs hold: {_REBUILD}")
        if not all(told):
            self._lookup.distrust()
        ends = self._lookup.ends()
        for number in sorted(packs.keys() | ends.keys()):
            entries, tail = self._lookup.entries_in(number), None
            if number in packs:
                pack, end = packs[number], ends.get(number, 0)
                entries += scan(pack, end, trusted=True)
                upto = pack.size if pack.sealed else end
                yield from _verify_between(pack, entries, upto, self._lookup.is_superseded)
                tail = None if pack.sealed else end
            yield from self._verify_entries(entries, tail)

    def _is_indexed(self, pack: Pack) -> bool | None:
        """Whether what the index has of `pack` is there, `None` if it lacks some, as after a crash.

        Of a damaged pack the index may know more.
        """
        end = min(self._lookup.ends().get(pack.number, 0), pack.size)
        try:
            entries = list(scan(pack, 0, end, trusted=True))
        except VaultError:
            return True
        if end_of_run(entries, 0) != end:
            return True
        held = set(entries)
        indexed = set(self._lookup.entries_in(pack.number))
        if not indexed <= held:
            return False
        return all(map(self._lookup.is_superseded, held - indexed)) or None

    def _verify_entries(
        self, entries: Iterable[PackEntry], tail: int | None
    ) -> Iterator[ContentDamage]:
        for entry in entries:
            try:
                for _ in self._reader.chunks(entry):
                    pass
            except VaultError as error:
                may_be_torn = tail is not None and entry.offset >= tail
                yield ContentDamage(from_raw(entry.raw), str(error), may_be_torn)

    # --- dropping

    def excess(self, needed: Container[Digest], *, scraps: bool = False) -> Excess:
        """Return how much would be dropped; see `Vault.excess`."""
        return survey(list_packs(self._folder), needed, scraps=scraps).excess

    def drop_excess(self, needed: Container[Digest], *, scraps: bool = False) -> Excess:
        """Drop what is not `needed`; see `Vault.drop_excess`."""
        self._refuse_unless_writable()
        index, packs = self._upkeep.reconciled(whole=True)
        found = survey(packs, needed, scraps=scraps)
        if found.packs:
            self._know_kept(index, packs, found)
        for pack, kept in found.packs:
            self._repack(index, pack, kept, found)
        if scraps:
            for cut in list_cuts(self._folder):
                cut.unlink()
        self._upkeep.rebuild()  # an index may hold in its free space what was dropped
        return found.excess

    def _know_kept(self, index: PackIndex, packs: list[Pack], found: Survey) -> None:
        """Have the index know what stays: of several copies it knew one, perhaps one that goes."""
        kept = {pack.number: entries for pack, entries in found.packs}
        with suppress(sqlite3.Error), index.changing():
            index.keep(())
            for pack in packs:
                entries = kept.get(pack.number)
                if entries is None:
                    entries = list(scan(pack, trusted=pack.sealed))
                index.add(entries, {pack.number: pack.size})

    def _repack(self, index: PackIndex, pack: Pack, kept: list[PackEntry], found: Survey) -> None:
        packs = list_packs(self._folder)
        with self._upkeep.appending(
            packs_to_append_to(packs, found), outcome=NOTHING_LOST
        ) as appender:
            if pack.number == packs[-1].number:
                appender.begin_pack()
            copies = copy_kept(pack, kept, appender)
        # Readers find the copies in it at once.
        with suppress(sqlite3.Error), index.changing():
            index.add(copies, appender.ends())
            index.keep(each.number for each in list_packs(self._folder) if each != pack)
        self._reader.close()
        self._reader.following = None
        self._upkeep.delete([pack])

    # --- the index

    def rebuild_index(self) -> None:
        """Build the index anew from the headers in the packs, and put it in place in one step."""
        self._refuse_unless_writable()
        self._upkeep.reconciled(whole=True)  # the old one tells what a power failure tore
        self._upkeep.rebuild()

    def close(self) -> None:
        """Close the index. Using the vault again takes it up again."""
        self._upkeep.close()
        self._reader.close()


def _verify_between(
    pack: Pack, entries: Iterable[PackEntry], upto: int, is_superseded: Callable[[PackEntry], bool]
) -> Iterator[ContentDamage]:
    """Yield the bytes of `pack` outside `entries` that are not a whole entry; `upto` an offset.

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
    pack: Pack, start: int, stop: int, is_superseded: Callable[[PackEntry], bool]
) -> Iterator[ContentDamage]:
    if start >= stop:
        return
    try:
        position = start
        for entry in filter(is_superseded, scan(pack, start, stop, trusted=True)):
            yield from _verify_scraps(pack, position, entry.offset)
            position = entry.end
        yield from _verify_scraps(pack, position, stop)
    except VaultError as error:
        yield ContentDamage(None, str(error))


def _verify_scraps(pack: Pack, start: int, stop: int) -> Iterator[ContentDamage]:
    for first, end in gaps(pack, start, stop):
        problem = f"{end - first} bytes are not a whole entry: restore the pack from a backup"
        yield ContentDamage(None, f"{pack.path}, offset {first}: {problem}")
