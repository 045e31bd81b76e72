"""A journal in memory, for a File-set that lasts as long as its object.

Events are kept as they are. Their payloads and the hash chain are made when somebody asks for
them, which for most such File-sets is never: to look at a DICOMDIR costs no serialisation of it.
"""

from __future__ import annotations

import hashlib
import secrets
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import evolve

from ledger.errors import ConflictError, JournalDamagedError, JournalError
from ledger.events import Erased, PayloadErased
from ledger.journal import codec
from ledger.journal.chain import chain_hash, change_digest, checked, genesis
from ledger.journal.clocks import Clock, utc_now
from ledger.journal.entries import Change, Draft, Head, Recorded, Stored
from ledger.journal.erasures import Erasures
from ledger.journal.gathering import AsTheyAre, Events, Gathering
from ledger.journal.protocol import change_of, decoded
from ledger.phrases import storable


class MemoryJournal:
    """A `Journal` that nothing is left of in the end."""

    def __init__(self, *, clock: Clock = utc_now) -> None:
        """Make an empty journal."""
        self.id = secrets.token_hex(16)
        self.clock = clock
        self._events = AsTheyAre()
        self._changes: list[Change] = []
        self._firsts: list[int] = []  # the changes' first positions, to search in
        self._by_id: dict[str, Change] = {}
        self._stored: list[Stored] = []  # of the first events: as many as were asked for

    @classmethod
    def restore(
        cls, journal_id: str, events: Iterable[Stored], *, clock: Clock = utc_now
    ) -> MemoryJournal:
        """Make a journal again, as it was, of all that another one of the same id had stored.

        Raises `JournalDamagedError` with the first position that is bad, `UnknownFormatError` if a
        newer version wrote one of the events.
        """
        journal = cls(clock=clock)
        journal.id = journal_id
        for stored in checked(journal_id, events):
            if stored.position == stored.change.first:
                if stored.change.id in journal._by_id:
                    raise JournalDamagedError(
                        f"The journal is damaged: the change at position {stored.position} has the "
                        "id of another one.",
                        position=stored.position,
                    )
                journal._take(stored.change)
            journal._events.append(decoded(stored))
            journal._stored.append(stored)
        return journal

    @property
    def position(self) -> int:
        """The last position, 0 when empty."""
        return len(self._events)

    def head(self) -> Head:
        """Return the last position and hash."""
        self._store(len(self._events))
        return Head(len(self._stored), self._stored[-1].hash if self._stored else genesis(self.id))

    def hash_at(self, position: int) -> bytes | None:
        if not 0 < position <= len(self._events):
            return None if position else genesis(self.id)
        self._store(position)
        return self._stored[position - 1].hash

    def gather(self) -> Gathering:
        return AsTheyAre()

    def append(self, events: Events, draft: Draft, *, expected: int) -> Change:
        if not len(events):
            raise ValueError("A change has at least one event")
        # What is made when it is asked for is of the records of a DICOMDIR: it can be written.
        kept = list(events.kept() if isinstance(events, AsTheyAre) else events)
        for event in kept:
            codec.check(event)
        if storable(draft.id) in self._by_id:
            from ledger.journal.repeated import repeated  # noqa: PLC0415 - hardly ever

            if (known := repeated(self, events, draft)) is not None:
                return known
        if expected != len(self._events):
            raise ConflictError(expected, len(self._events))
        change = change_of(draft, first=expected + 1, count=len(events), clock=self.clock)
        erased = self._erasable(kept, expected)
        self._events.extend(events)
        self._take(change)
        self._erase(erased)
        return change

    def _take(self, change: Change) -> None:
        self._changes.append(change)
        self._firsts.append(change.first)
        self._by_id[change.id] = change

    def read(self, after: int = 0, upto: int | None = None) -> Iterator[Recorded]:
        erasures: Erasures | None = None
        for position, change in self._positions(after, upto):
            event = self._events[position - 1]
            if isinstance(event, Erased):
                erasures = erasures or Erasures(self._events)
                event = erasures.in_place_of(position, event.type)
            yield Recorded(position, change, event)

    def stored(self, after: int = 0, upto: int | None = None) -> Iterator[Stored]:
        for position, _ in self._positions(after, upto):
            self._store(position)
            yield self._stored[position - 1]

    def changes(self, after: int = 0) -> Iterator[Change]:
        yield from self._changes[bisect_right(self._firsts, after) :]

    def find_change(self, start: str) -> Change | None:
        if start in self._by_id:
            return self._by_id[start]
        found = [change for id_, change in self._by_id.items() if id_.startswith(start)]
        return found[0] if len(found) == 1 else None

    def make_durable(self) -> None:
        """Do nothing: there are no others, and nothing is durable."""

    def scrub(self) -> None:
        """Do nothing: what was erased is nowhere else."""

    def scrub_room(self) -> Mapping[Path, int]:
        """Return nothing: no disk has any of it."""
        return {}

    def _erasable(self, events: Events, expected: int) -> list[int]:
        """Return what `events` erase; JournalError if it is not there to be erased."""
        found = [p for event in events if isinstance(event, PayloadErased) for p in event.each()]
        for position in found:
            if not 1 <= position <= expected or isinstance(self._events[position - 1], Erased):
                raise JournalError(f"There is nothing to be erased at position {position}.")
        if len(set(found)) < len(found):
            raise JournalError("What is erased is named once.")
        return found

    def _erase(self, positions: Sequence[int]) -> None:
        if positions:  # the chain has to cover what the payloads were
            self._store(len(self._events))
        for position in positions:
            stored = self._stored[position - 1]
            self._stored[position - 1] = evolve(stored, payload=b"")
            self._events[position - 1] = Erased(stored.type)

    def check(self) -> None:
        """Do nothing: what is in memory is whole."""

    def close(self) -> None:
        """Do nothing: there is nothing to let go of."""

    def _positions(self, after: int, upto: int | None) -> Iterator[tuple[int, Change]]:
        """Yield the positions of a window, as it is now, each with its change."""
        last = len(self._events) if upto is None else min(upto, len(self._events))
        position = max(after, 0) + 1
        index = bisect_right(self._firsts, position) - 1
        while position <= last:
            change = self._changes[index]
            for each in range(position, min(change.last, last) + 1):
                yield each, change
            position, index = change.last + 1, index + 1

    def _store(self, upto: int) -> None:
        """Make what is stored of the events up to `upto`, where that was not done before."""
        begun = len(self._stored)
        previous = self._stored[-1].hash if self._stored else genesis(self.id)
        digested: Change | None = None
        of_change = b""
        for position, change in self._positions(begun, upto):
            if change is not digested:
                digested, of_change = change, change_digest(change)
            event = self._events[position - 1]
            payload = codec.encode(event, secrets.token_hex(8))
            digest = hashlib.sha256(payload).digest()
            previous = chain_hash(previous, of_change, position, event.TYPE, event.VERSION, digest)
            self._stored.append(
                Stored(position, change, event.TYPE, event.VERSION, payload, digest, previous)
            )
