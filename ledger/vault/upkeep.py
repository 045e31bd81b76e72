"""What the one writer of a vault does besides adding: bringing index and packs into line.

It is only ever done before a batch, in repacking and in rebuilding the index, where no one else
writes.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from heapq import merge
from pathlib import Path

from attrs import evolve

from ledger.disk import fsync
from ledger.errors import VaultError
from ledger.vault.appender import NOTHING_ADDED, Appender, io_trouble, seal
from ledger.vault.batch import Added
from ledger.vault.index import PackIndex, journal_of, remove_database
from ledger.vault.lookup import Lookup
from ledger.vault.packs import (
    Pack,
    PackEntry,
    entry_pieces,
    find_pack,
    is_torn,
    keep_tail,
    list_packs,
    scan,
)
from ledger.vault.tail import Tail, behind_index, end_of_run, is_short, read_tail


class Upkeep:
    """The index of the packs in `folder`, at the path `index`, as their writer keeps it.

    Whenever it is another file, `lookup` lets go of the old one.
    """

    def __init__(
        self, folder: Path, index: Path, lookup: Lookup, *, durable: bool, pack_limit: int
    ) -> None:
        self._folder = folder
        self._path = index
        self._lookup = lookup
        self._durable = durable
        self._pack_limit = pack_limit
        self._index: PackIndex | None = None
        self._tail = Tail()
        self._is_empty = False  # whether there are no packs, as of `reconciled`
        self._waiting: Path | None = None  # the pack that `make_durable` is to make durable
        self._unsafe = False  # a sync or a roll-back has failed: the state of the disk is unknown

    def refuse_if_unsafe(self) -> None:
        """Raise VaultError if the disk has failed before."""
        if self._unsafe:
            raise VaultError(
                f"{self._folder}: the disk failed in an earlier batch: check it, and open the "
                "vault again"
            )

    @contextmanager
    def appending(
        self,
        packs: list[Pack],
        *,
        outcome: str = NOTHING_ADDED,
        may_wait: Callable[[], bool] = lambda: False,
    ) -> Iterator[Appender]:
        """Append to the last one of `packs` in the block: all of it is kept, or nothing.

        `outcome` is what an error says that this means. It is durable in the end, unless that
        `may_wait`.
        """
        appender = Appender(
            self._folder, packs, limit=self._pack_limit, durable=self._durable, outcome=outcome
        )
        try:
            yield appender
            if may_wait():
                appender.write_out()
                tail = self._tail
                if appender.ends() or (tail.pack is not None and not tail.is_durable):
                    self._waiting = packs[-1].path  # what is short ends the last pack
            else:
                appender.sync()
                self._sync_tail(appender)
        except BaseException:
            appender.roll_back()
            raise
        finally:
            self._unsafe |= appender.unsafe
        appender.seal()

    def find(self, raw: bytes) -> PackEntry | None:
        """Return where the content of a digest is as of `reconciled`, `None` where it is not known.

        Raises sqlite3.Error.
        """
        if (entry := self._tail.entries.get(raw)) is not None:
            return entry
        if self._index is None or self._is_empty:
            return None  # the database would have to be asked for each file that is added
        return self._index.find(raw)

    def record(self, added: Added, ends: Mapping[int, int], *, at_once: bool = False) -> None:
        """Take in what a batch has `added` to packs, by digest, which it left with the `ends`.

        The index file has it if it is much, a pack is new or full, or it must be found `at_once`.
        Raises sqlite3.Error.
        """
        index, tail = self._index, self._tail
        if index is None or not ends:
            return
        if not at_once and self.is_short(added, ends):
            last = find_pack(self._folder, max(ends))
            tail.pack, tail.start = last, index.ends()[last.number]
            tail.entries |= {entry.raw: entry for entry in added}
            tail.is_durable = last.path != self._waiting
        else:
            with index.changing():
                known_before = sorted(tail.entries.values())
                index.add_in_order(merge(known_before, added), {**tail.ends(), **ends})
            tail.clear()

    def is_short(self, added: Added, ends: Mapping[int, int]) -> bool:
        """Whether what a batch has `added` may be left out of the index file for now.

        It left packs with the `ends`.
        """
        if self._index is None or not self._durable:  # then nothing waits for the disk
            return False
        try:
            known = self._index.ends()
        except sqlite3.Error:
            return False
        if not ends:
            return True
        last = max(ends)
        return (
            ends.keys() == {last}
            and last in known
            and ends[last] < self._pack_limit
            and is_short(len(self._tail.entries) + len(added), known[last], ends[last])
        )

    def make_durable(self) -> None:
        """Make durable what could wait until now."""
        if self._waiting is None:
            return
        self.refuse_if_unsafe()
        try:
            fsync(self._waiting)
        except OSError as error:
            self._unsafe = True
            raise io_trouble(self._waiting, "making durable", error) from error
        self._waiting, self._tail.is_durable = None, True

    def reconciled(self, *, whole: bool = False) -> tuple[PackIndex, list[Pack]]:
        """Return the index and the packs in step: a torn tail is cut, what is lost forgotten.

        The index may lack the short end of the last pack, which `find` has; not if it is to be
        `whole`. It is held, as far as that goes.
        """
        try:
            if self._index is not None and not self._index.is_in_place():
                self.close()
            if self._index is None:
                if not self._path.exists() and list_packs(self._folder):
                    # In one step: else it might be taken for one of no batch.
                    return self.rebuild(), list_packs(self._folder)
                self._index = PackIndex.create(self._path, durable=self._durable)
            return self._index, self._reconcile(self._index, whole=whole)
        except sqlite3.Error:
            return self.rebuild(), list_packs(self._folder)

    def rebuild(self) -> PackIndex:
        """Return the index, built anew from the packs and put in place in one step."""
        self.close()
        try:
            self._index = self._rebuilt_file()
        except (sqlite3.Error, OSError):
            with suppress(OSError):
                remove_database(self._beside)
            # A place that can't be written costs time at every opening, but nothing else.
            self._index = PackIndex.in_memory()
            self._reconcile(self._index, anew=True)
        return self._index

    def close(self) -> None:
        """Close the index."""
        self._lookup.close()
        self._tail.clear()
        if self._index is not None:
            self._index.close()
            self._index = None

    @property
    def _beside(self) -> Path:
        return self._path.with_name(f"{self._path.name}.new")

    def _rebuilt_file(self) -> PackIndex:
        remove_database(self._beside)
        index = PackIndex.create(self._beside, durable=self._durable)
        try:
            self._reconcile(index, anew=True)
        finally:
            index.close()
        if journal_of(self._path).exists():
            # Left by a crash: SQLite would play it back into the new file; and without it the old
            # file is wrong. So one after the other.
            for each in (self._path, journal_of(self._path)):
                each.unlink(missing_ok=True)
                self._sync_folder(each.parent)
        self._beside.replace(self._path)
        self._sync_folder(self._path.parent)
        return PackIndex.create(self._path, durable=self._durable)

    def _sync_folder(self, folder: Path) -> None:
        if self._durable:
            fsync(folder)

    # --- the packs

    def delete(self, packs: Iterable[Pack]) -> None:
        """Delete packs whose needed content was copied elsewhere; durable on return."""
        for pack in packs:
            try:
                pack.path.unlink()
            except OSError as error:
                raise VaultError(
                    f"{pack.path} can't be deleted ({error.strerror}), though what is needed of it "
                    "was copied: check its permissions and try again"
                ) from error
        try:
            self._sync_folder(self._folder)
        except OSError as error:
            raise VaultError(
                f"{self._folder}: making durable that packs are gone failed ({error.strerror}): "
                "check the disk and try again"
            ) from error

    def _reconcile(
        self, index: PackIndex, *, whole: bool = False, anew: bool = False
    ) -> list[Pack]:
        """Bring `index` and the packs into line, and return these.

        An index is there before the first pack is, so what it lacks is of batches that were not
        finished, or that came to little. One that is built `anew` does not tell: then all that lies
        between whole entries stays, as evidence of damage.
        """
        index.hold()
        packs = list_packs(self._folder)
        ends = index.ends()
        self._is_empty = not packs and not ends
        if not whole and self._knows_tail(index, packs, ends):
            return packs
        self._tail.clear()
        with index.changing():
            index.keep({pack.number for pack in packs})
            for pack in packs:
                self._reconcile_pack(index, pack, ends.get(pack.number, 0), anew=anew)
        for pack in packs[:-1]:
            self._seal(pack)
        return list_packs(self._folder)

    def _knows_tail(self, index: PackIndex, packs: Sequence[Pack], ends: Mapping[int, int]) -> bool:
        """Whether all that the index lacks is a short, whole end of the last pack, now known."""
        behind = behind_index(packs, ends)
        if behind is None or not all(pack.sealed for pack in packs[:-1]):
            return False
        last, start = behind
        if last.size == start:
            self._tail.clear()
            return True
        if last.sealed or not is_short(0, start, last.size):
            return False
        if self._tail.is_of(last, start):
            return True
        tail = read_tail(last, start, trusted=False)
        if tail is None or not is_short(len(tail.entries), start, last.size):
            return False
        if any(map(index.find, tail.entries)):
            return False
        self._tail = tail
        return True

    def _sync_tail(self, appender: Appender) -> None:
        """Make the tail durable: a process that was killed may not have."""
        tail = self._tail
        if tail.pack is None or tail.is_durable:
            return
        if self._durable and tail.pack.number not in appender.ends():
            appender.sync_other(tail.pack.path)
        tail.is_durable = True

    def _reconcile_pack(self, index: PackIndex, pack: Pack, end: int, *, anew: bool) -> None:
        if pack.size < end:
            index.forget_beyond(pack.number, pack.size)
            index.add((), {pack.number: pack.size})
            self._seal(pack)
        elif pack.size > end:
            entries = list(scan(pack, end, trusted=pack.sealed))
            if not pack.sealed:
                run = end_of_run(entries, end)
                if not anew and (apart := [entry for entry in entries if entry.offset >= run]):
                    # Those of a batch that a power failure tore, or behind an entry that was
                    # damaged later: all that is whole stays.
                    self._move(index, pack, apart)
                    entries = [entry for entry in entries if entry.offset < run]
                end = entries[-1].end if entries else end
                self._secure(pack, end)
            index.add(entries, {pack.number: pack.size if pack.sealed else end})

    def _move(self, index: PackIndex, pack: Pack, entries: Sequence[PackEntry]) -> None:
        """Copy `entries` of `pack`, whole ones beyond a torn one, to a new pack.

        A power failure can keep the end of what was written and not its beginning.
        """
        last = evolve(list_packs(self._folder)[-1], sealed=True)
        with self.appending([last]) as appender:
            copies = [appender.append_copy(each, entry_pieces(pack, each)) for each in entries]
        index.add(copies, appender.ends())

    def _secure(self, pack: Pack, end: int) -> None:
        """Cut what a crash left beyond `end`, and make the rest durable: it may not have been."""
        try:
            if end < pack.size:
                if not is_torn(pack, end):
                    keep_tail(pack, end)
                os.truncate(pack.path, end)
            if self._durable:
                fsync(pack.path)
                fsync(pack.path.parent)
        except OSError as error:
            self._unsafe = True
            raise io_trouble(pack.path, "repairing", error) from error

    def _seal(self, pack: Pack) -> None:
        if not pack.sealed:
            self._secure(pack, pack.size)
            seal(pack.path)
