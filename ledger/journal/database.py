"""What journals in databases have in common: events as rows, and reading them with checks."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, TypeAlias

from ledger.errors import JournalDamagedError, JournalError, UnknownFormatError
from ledger.events import Erased, PayloadErased
from ledger.journal import codec
from ledger.journal.chain import Link, chain_hash, change_digest, genesis
from ledger.journal.clocks import Clock
from ledger.journal.entries import Change, Head, Recorded, Stored
from ledger.journal.erasures import Erasures
from ledger.journal.gathering import AsPayloads, Events, Gathering, Payload, payloads_of
from ledger.owner import Owner

EventRow: TypeAlias = tuple[int, str, int, bytes, bytes]
"""Position, type, version, payload, hash."""

BATCH: Final = 2000
"""How many rows are read in one transaction, or written with one statement."""


class DatabaseJournal(ABC):
    """A journal whose events are rows with payloads.

    `name` is what messages call it: "The journal at" and where it is.
    """

    id: str
    clock: Clock
    name: str
    _sound_head = b""  # the hash of the end that was found to be good

    @property
    def position(self) -> int:
        """The last position, 0 when empty."""
        return self.head().position

    @abstractmethod
    def head(self) -> Head:
        """Return the last position and hash."""

    @abstractmethod
    def hash_at(self, position: int) -> bytes | None:
        """Return the hash of the event at `position`, as the protocol says."""

    @abstractmethod
    def stored(self, after: int = 0, upto: int | None = None) -> Iterator[Stored]:
        """Yield what is kept of events, as the protocol says."""

    @abstractmethod
    def _erasures(self) -> Erasures:
        """Return what the journal says of its erased events, as it is now."""

    def gather(self) -> Gathering:
        return AsPayloads()

    def read(self, after: int = 0, upto: int | None = None) -> Iterator[Recorded]:
        erasures = Erasures(())
        link = self._link_after(after)
        for stored in self.stored(after, upto):
            after += 1
            if stored.position != after:
                raise self._damaged(after, "is missing")
            try:
                event = codec.decode(stored.type, stored.version, stored.payload)
            except UnknownFormatError as exc:
                if not link.take(stored):  # damaged, it can look like one of another kind
                    raise self._unlinked(after) from exc
                exc.position = after
                raise
            except JournalDamagedError as exc:
                raise JournalDamagedError(
                    f"{self.name} is damaged at position {after}: {exc}", position=after
                ) from exc
            if isinstance(event, Erased):
                if after not in erasures:
                    erasures = self._erasures()
                if after not in erasures:
                    what = "has lost its payload, and no event says that it was erased"
                    raise self._damaged(after, what)
                event = erasures.in_place_of(after, stored.type)
            if not link.take(stored):
                raise self._unlinked(after)
            yield Recorded(stored.position, stored.change, event)

    def _refuse_damaged_end(self, head: Head) -> None:
        """Raise JournalDamagedError if the last event isn't what was appended: nothing follows it.

        What lies before is not looked at, which would cost more than appending does.
        """
        if head.hash == self._sound_head or not head.position:
            return
        last = next(self.stored(head.position - 1, head.position), None)
        if last is None:
            raise self._damaged(head.position, "is missing")
        if last.hash != head.hash or not self._link_after(head.position - 1).take(last):
            raise self._unlinked(head.position)
        if last.change.last != head.position:
            raise self._damaged(head.position, "is not the last one of its change")
        self._sound_head = head.hash

    def _link_after(self, position: int) -> Link:
        """Return the link of the chain that the event after `position` has to follow from."""
        return Link(self.hash_at(position) or genesis(self.id))

    def _unlinked(self, position: int) -> JournalDamagedError:
        return self._damaged(position, "does not follow from the one before it")

    def _damaged(self, position: int | None, what: str) -> JournalDamagedError:
        where = "" if position is None else f"the event at position {position} "
        return JournalDamagedError(f"{self.name} is damaged: {where}{what}.", position=position)


def refuse_unusable(name: str, owner: Owner, *, is_closed: bool) -> None:
    """Raise JournalError where a forked process, or one that has closed it, uses what `name` is."""
    if not owner.is_this_process:
        raise JournalError(
            f"{name} was opened by process {owner.pid}, and this process was forked from it: open "
            "the journal again here."
        )
    if is_closed:
        raise JournalError(f"{name} is closed: open it again.")


def event_rows(payloads: Iterable[Payload], change: Change, previous: bytes) -> Iterator[EventRow]:
    """Yield the rows of the events of a change, each linked to the one before."""
    of_change = change_digest(change)
    for position, (cls, payload) in enumerate(payloads, change.first):
        digest = hashlib.sha256(payload).digest()
        previous = chain_hash(previous, of_change, position, cls.TYPE, cls.VERSION, digest)
        yield position, cls.TYPE, cls.VERSION, payload, previous


def payloads_in(events: Events, erasing: list[PayloadErased]) -> Iterator[Payload]:
    """Yield the payloads of `events`, and put those that erase others into `erasing`."""
    made = events.payloads() if isinstance(events, AsPayloads) else payloads_of(events)
    for cls, payload in made:
        if cls is PayloadErased:
            event = codec.decode(cls.TYPE, cls.VERSION, payload)
            assert isinstance(event, PayloadErased)  # noqa: S101 - its type says so
            erasing.append(event)
        yield cls, payload


def batches(events: Iterable[Stored]) -> Iterator[list[Stored]]:
    """Yield `events` in lists of `BATCH`."""
    events = iter(events)
    while batch := list(islice(events, BATCH)):
        yield batch
