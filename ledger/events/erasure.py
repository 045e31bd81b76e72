"""Erased payloads, and a journal that was recovered."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import frozen

from ledger.digest import Digest
from ledger.events.event import Event, Handle, Naming, Record, RecordRef
from ledger.phrases import count, some


@frozen
class Erased(Event):
    """What a journal gives in the place of an event whose payload was erased; none is appended.

    `type` is what the event was. Of one that added an instance, `parents` are the records that
    others stand under, below `under`, and `adopted` says whether the instance came with a medium.
    One that corrected another one `replaces` that, else 0, and stands in the `stead` of it.
    """

    TYPE = "erased"
    STORED = False
    COUNTED = ("event", "erased since")

    type: str
    parents: tuple[Record, ...] = ()
    under: RecordRef | None = None
    adopted: bool = False
    replaces: Handle = 0
    stead: int = 0

    def line(self, naming: Naming, position: int) -> str:
        return f"erased: {self.type}"


@frozen
class RecordsKept(Event):
    """Of the records that the event at `of` introduced, those that others still stand under.

    That event's payload is erased in the same change: these `parents`, the first ones of its own,
    stand below `under` in its place, under the same `RecordRef`.
    """

    TYPE = "records-kept"
    VERSION = 2
    GROUP = "erase"
    COUNTED = ("record group", "carried on")

    of: int
    parents: tuple[Record, ...]
    under: RecordRef | None = None

    def line(self, naming: Naming, position: int) -> str:
        return f"records of the erased event {self.of} kept: {len(self.parents)}"


@frozen
class PayloadErased(Event):
    """The payloads at `positions`, runs of first and last, are erased, with what they held.

    This event's change says who did it and why; it tells nothing of what was erased. Of the
    instances added there, the `adopted` ones came with a medium, and those `corrected`, given with
    what each of them replaces and whose stead it takes, took the place of others. `records` gives,
    for each event that introduced records which go, its position and how many of them stay: the
    first ones, which a `RecordsKept` carries on. Appending this event is what erases: both happen
    or neither.
    """

    TYPE = "payload-erased"
    VERSION = 2
    GROUP = "erase"

    positions: tuple[tuple[int, int], ...]
    adopted: tuple[tuple[int, int], ...] = ()
    records: tuple[tuple[int, int], ...] = ()
    corrected: tuple[tuple[Handle, Handle, int], ...] = ()

    def each(self) -> Iterator[int]:
        """Yield the positions one by one."""
        for first, last in self.positions:
            yield from range(first, last + 1)

    def summary(self, naming: Naming) -> str:
        return f"{count(sum(b - a + 1 for a, b in self.positions), 'event')} erased"

    def line(self, naming: Naming, position: int) -> str:
        runs = [f"{a} to {b}" if b > a else f"{a}" for a, b in self.positions]
        return f"erased: the events at {some(runs, 10)}"


@frozen
class ErasureCompleted(Event):
    """What the event at `started` erased is gone from vault, caches and free space as well."""

    TYPE = "erasure-completed"
    GROUP = "erase"

    started: int

    def summary(self, naming: Naming) -> str:
        return f"erasure at position {self.started} completed"


@frozen
class JournalRecovered(Event):
    """The journal was damaged, and recovered up to the position `base`: what followed is lost.

    `last` is the last position that is known to be lost, `None` where none is known, and
    `damaged` the SHA-256 of the damaged database, `None` if there was none.
    """

    TYPE = "journal-recovered"
    GROUP = "recover"

    base: int
    last: int | None = None
    damaged: Digest | None = None

    def summary(self, naming: Naming) -> str:
        lost = f"; the events after it, at least up to {self.last}, were lost" if self.last else ""
        return f"journal recovered up to position {self.base}{lost}"
