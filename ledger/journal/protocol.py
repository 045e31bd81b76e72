"""The journal: an append-only list of changes, each an atomic group of events.

`Journal` is the protocol that every store of events follows; `ledger.journal.sqlite` is the
embedded one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

from ledger.errors import JournalDamagedError, UnknownFormatError
from ledger.events import Event
from ledger.journal import codec
from ledger.journal.clocks import Clock, timestamp
from ledger.journal.entries import Change, Draft, Head, Recorded, Stored
from ledger.journal.gathering import Events, Gathering
from ledger.phrases import storable


class Journal(Protocol):
    """What every store of events does. Errors are `JournalError`.

    Its `clock` gives the times at which changes are recorded.

    Each kind also has a class method `restore`, which takes the id and the stored events of a
    journal and makes that journal again; where it does so differs from kind to kind.
    """

    clock: Clock

    @property
    def id(self) -> str:
        """The journal's own random identifier, which the chain begins with."""
        ...

    @property
    def position(self) -> int:
        """The last position, 0 when empty."""
        ...

    def head(self) -> Head:
        """Return the last position and hash."""
        ...

    def hash_at(self, position: int) -> bytes | None:
        """Return the hash of the event at `position`, of the journal's id at 0.

        `None` if there is no such position.
        """
        ...

    def gather(self) -> Gathering:
        """Return no events yet, to put those of a change into: with `append` in the end."""
        ...

    def append(self, events: Events, draft: Draft, *, expected: int) -> Change:
        """Append `events` as one change, all or none, durable on return; return the change.

        Positions run on from `expected`; `ConflictError` if that is not
        the last position any more. TypeError or ValueError (`ElementsError` among them) if an event
        can't be written.

        Where the draft's id is that of a change which was recorded, by the same actor, for the same
        reason and of equal events, that one is returned and nothing is appended, whatever was
        `expected`. So what may have been recorded can be appended again. JournalError if it is
        another change.

        A `PayloadErased` among them erases the payloads that it names, of
        earlier changes, in the same step: all is done or nothing.
        """
        ...

    def make_durable(self) -> None:
        """Make durable what others have appended, before anything is made to rest on it.

        A process that was killed may have appended a change and not have waited for the disk.
        """
        ...

    def scrub(self) -> None:
        """Leave nothing of erased payloads in what the store itself keeps, as free space.

        Nobody else may be reading for long: `JournalError` then, and the
        payloads stay erased while something of them may be left.
        """
        ...

    def scrub_room(self) -> Mapping[Path, int]:
        """Return how many bytes have to be free for `scrub`, by a folder on the disk in question.

        Those of folders on one disk add up.
        """
        ...

    def read(self, after: int = 0, upto: int | None = None) -> Iterator[Recorded]:
        """Yield the events of the positions `after + 1` to `upto` (default: the last).

        `Erased` stands for one whose payload was erased.
        `JournalDamagedError` where a position is missing, an event is not
        what its type says, or does not follow from the one before it. What comes before `after` is
        not looked at: that is done by `verify_journal`.
        """
        ...

    def stored(self, after: int = 0, upto: int | None = None) -> Iterator[Stored]:
        """Yield what is kept of the same events, undecoded and unchecked."""
        ...

    def changes(self, after: int = 0) -> Iterator[Change]:
        """Yield the changes whose first position is greater than `after`."""
        ...

    def find_change(self, start: str) -> Change | None:
        """Return the change whose id begins with `start`, `None` unless there is just one.

        A whole id is looked up by itself.
        """
        ...

    def check(self) -> None:
        """Check the store itself; JournalDamagedError if it is not whole."""
        ...

    def close(self) -> None:
        """Close the store."""
        ...


def change_of(draft: Draft, *, first: int, count: int, clock: Clock) -> Change:
    """Return the change that a draft becomes at its place; every journal makes it in this way."""
    return Change(
        id=storable(draft.id),
        first=first,
        count=count,
        recorded_at=timestamp(clock),
        actor=storable(draft.actor),
        origin=storable(draft.origin),
        reason=None if draft.reason is None else storable(draft.reason),
    )


def decoded(stored: Stored) -> Event:
    """Return the event, a bare `Erased` of an erased one.

    Raises what `ledger.journal.codec.decode` raises, with the position.
    """
    try:
        return codec.decode(stored.type, stored.version, stored.payload)
    except UnknownFormatError as exc:
        exc.position = stored.position
        raise
    except JournalDamagedError as exc:
        raise JournalDamagedError(
            f"The journal is damaged at position {stored.position}: {exc}", position=stored.position
        ) from exc


def body_of(stored: Stored) -> dict[str, Any]:
    """Return the JSON object of a payload; JournalDamagedError with the position if it is none."""
    try:
        return codec.parse(stored.payload)
    except ValueError as exc:
        raise JournalDamagedError(
            f"The journal is damaged: the event at position {stored.position} has a payload that "
            "is malformed.",
            position=stored.position,
        ) from exc
