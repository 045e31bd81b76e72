"""Where a vault's content is: by the index file if it is usable, otherwise by the packs."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from ledger.errors import ContentMissingError
from ledger.vault.index import DamagedIndexError, PackIndex, ScannedPacks
from ledger.vault.packs import Pack, PackEntry, list_packs
from ledger.vault.tail import Tail, behind_index, read_tail

T = TypeVar("T")


class Lookup:
    """Finds content in the packs in `folder`; `index` is the path of their index file."""

    def __init__(self, folder: Path, index: Path) -> None:
        self._folder = folder
        self._path = index
        self._view: PackIndex | None = None
        self._scanned = ScannedPacks(folder)
        self._tail = Tail()
        self._is_trusted = True

    def find(self, raw: bytes) -> PackEntry | None:
        """Return where the content of a digest is, `None` where the vault has none."""
        entry = self._indexed(raw)
        if entry is not None:
            return entry
        ends, packs = self.ends(), list_packs(self._folder)
        if ends == {pack.number: pack.size for pack in packs}:
            # A batch may have brought the index up to date since it was asked.
            return self._indexed(raw)
        if (tail := self._tail_of(packs, ends)) is not None:
            return tail.entries.get(raw) or self._indexed(raw)
        self._drop_view()  # perhaps another file has taken its place
        return self.find_in_packs(raw)

    def _indexed(self, raw: bytes) -> PackEntry | None:
        return self._ask(lambda index: index.find(raw))

    def find_in_packs(self, raw: bytes) -> PackEntry | None:
        """Return where the content of a digest is, whatever became of the index."""
        return self._scanned.index().find(raw)

    def is_superseded(self, entry: PackEntry) -> bool:
        """Whether `entry`, not the one in use, is a copy of content that was stored anew."""
        known = self.find(entry.raw)
        return known is not None and known != entry

    def find_elsewhere(self, entry: PackEntry) -> PackEntry | None:
        """Return where the content of `entry` is now, if not where it was."""
        self._drop_view()
        for found in (self.find(entry.raw), self.find_in_packs(entry.raw)):
            if found is not None and found != entry:
                return found
        return None

    def ends(self) -> dict[int, int]:
        """Return up to which offset each pack is indexed."""
        return self._ask(PackIndex.ends)

    def entries_in(self, pack: int) -> list[PackEntry]:
        """Return the entries in `pack` that are indexed, by their offset."""
        return self._ask(lambda index: index.entries_in(pack))

    def lengths(self) -> Iterator[tuple[bytes, int]]:
        """Yield all digests in their order, each with the content's length in bytes."""
        complete = self._is_complete()
        after, page = b"", self._page(b"", complete)
        while page:
            yield from page
            after, _ = page[-1]
            page = self._page(after, complete)

    def distrust(self) -> None:
        """Ask the packs themselves from now on: what the index says is not so."""
        self._drop_view()
        self._is_trusted = False

    def close(self) -> None:
        """Close the index. Looking things up opens it again."""
        self._drop_view()
        self._scanned.close()

    def _page(self, after: bytes, complete: bool) -> list[tuple[bytes, int]]:
        if complete:
            return self._ask(lambda index: index.page(after))
        return self._scanned.index().page(after)

    def _ask(self, question: Callable[[PackIndex], T]) -> T:
        try:
            if not self._is_trusted:
                return question(self._scanned.index())
            if self._view is None:
                self._view = PackIndex.view(self._path)
            return question(self._view)
        except sqlite3.Error as exc:
            self._is_trusted = not isinstance(exc, DamagedIndexError)
            self._drop_view()
            return question(self._scanned.index())

    def _is_complete(self) -> bool:
        if self.ends() == {pack.number: pack.size for pack in list_packs(self._folder)}:
            return True
        # Perhaps another file has taken its place: take that one the next time.
        self._drop_view()
        return False

    def _tail_of(self, packs: Sequence[Pack], ends: Mapping[int, int]) -> Tail | None:
        """Return what the last pack has beyond its end in the index, if the index lacks no more."""
        behind = behind_index(packs, ends)
        if behind is not None and not self._tail.is_of(*behind):
            with suppress(ContentMissingError):  # it was deleted just now
                self._tail = read_tail(*behind, trusted=True) or Tail()
        return self._tail if behind is not None and self._tail.is_of(*behind) else None

    def _drop_view(self) -> None:
        if self._view is not None:
            self._view.close()
            self._view = None
