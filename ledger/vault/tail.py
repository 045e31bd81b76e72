"""The end of the last pack that the index file does not have yet.

To bring the index up to date takes several flushes, so that is not done for each small batch: what
these add is remembered here, and found again by going through the end of the pack.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import define, field

from ledger.vault.packs import Pack, PackEntry, scan

MOST_BYTES: Final = 8 << 20
MOST_ENTRIES: Final = 250
"""How much there may be: all of it is read and hashed when another process adds something."""


@define
class Tail:
    """Whole entries of `pack`, one behind the other from the offset `start` to its end.

    `pack` is the pack as it was then, and `None` where the index has everything. None of the
    entries is of content that the index has elsewhere. `is_durable` tells whether they were synced.
    """

    pack: Pack | None = None
    start: int = 0
    entries: dict[bytes, PackEntry] = field(factory=dict)
    is_durable: bool = True

    def clear(self) -> None:
        """Forget it: the index has it, or is made anew."""
        self.pack, self.start, self.entries, self.is_durable = None, 0, {}, True

    def is_of(self, pack: Pack, start: int) -> bool:
        """Whether this is what `pack` has from `start` on."""
        return (self.pack, self.start) == (pack, start)

    def ends(self) -> Mapping[int, int]:
        """Return the offset at which it ends, by the number of its pack."""
        return {} if self.pack is None else {self.pack.number: self.pack.size}


def behind_index(packs: Sequence[Pack], ends: Mapping[int, int]) -> tuple[Pack, int] | None:
    """Return the last pack and its end in the index, if the index lacks nothing but what follows.

    `ends` are those in the index by the number of the pack.
    """
    if not packs or ends.keys() != {pack.number for pack in packs}:
        return None
    last, start = packs[-1], ends[packs[-1].number]
    if last.size < start or any(ends[pack.number] != pack.size for pack in packs[:-1]):
        return None
    return last, start


def read_tail(pack: Pack, start: int, *, trusted: bool) -> Tail | None:
    """Return what `pack` has from `start` on; `None` unless it is whole entries to its end.

    With `trusted`, headers are believed.
    """
    entries = list(scan(pack, start, trusted=trusted))
    if end_of_run(entries, start) != pack.size:
        return None
    return Tail(pack, start, {entry.raw: entry for entry in entries}, is_durable=False)


def end_of_run(entries: Iterable[PackEntry], start: int) -> int:
    """Return where the entries end that follow on each other from the offset `start` on."""
    end = start
    for entry in entries:
        if entry.offset != end:
            break
        end = entry.end
    return end


def is_short(entries: int, start: int, end: int) -> bool:
    """Whether so many, which lie between two offsets, may be left out of the index for now."""
    return entries <= MOST_ENTRIES and end - start <= MOST_BYTES
