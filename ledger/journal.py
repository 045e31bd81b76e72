"""The journal: an append-only list of changes, each an atomic group of events.

:class:`Journal` is the protocol that every store of events follows; :mod:`ledger.sqlite` is the
embedded one. This module also holds what all of them share: the hash chain and its check.

The chain: each event's hash covers the one before it, the digest of its change (who, when, why,
how many events) and the *digest* of its payload. So a payload can one day be erased while the
chain still verifies; the stored bytes are hashed as they are and never serialised again.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Protocol

from attrs import frozen

from ledger import codec
from ledger.errors import JournalDamagedError, UnknownFormatError
from ledger.events import Event, PayloadErased


@frozen
class Draft:
    """What the author of a change says about it, before it has a place in the journal."""

    id: str
    actor: str
    origin: str
    reason: str | None = None


@frozen
class Change:
    """One user command in the journal: the events ``first`` to ``first + count - 1``.

    `recorded_at` is UTC in RFC 3339 and only informs; the order of things is by position.
    """

    id: str
    first: int
    count: int
    recorded_at: str
    actor: str
    origin: str
    reason: str | None

    @property
    def last(self) -> int:
        """The position of the change's last event."""
        return self.first + self.count - 1


@frozen
class Recorded:
    """An event in its place."""

    position: int
    change: Change
    event: Event


@frozen
class Stored:
    """An event as the bytes that the journal keeps; `digest` and `hash` are raw SHA-256.

    The `digest` is that of the payload: a journal need not keep it as long as it has the payload.
    An erased `payload` is empty; the `digest` is still that of what it was.
    """

    position: int
    change: Change
    type: str
    version: int
    payload: bytes
    digest: bytes
    hash: bytes


@frozen
class Head:
    """The end of the journal: its last position (0 when empty) and that event's hash."""

    position: int
    hash: bytes


class Journal(Protocol):
    """What every store of events does. Errors are :class:`~ledger.errors.JournalError`."""

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

    def append(self, events: Sequence[Event], draft: Draft, *, expected: int) -> list[Recorded]:
        """Append `events` as one change, all or none, durable on return.

        Positions run on from `expected`; :class:`~ledger.errors.ConflictError` if that is not
        the last position any more. TypeError or ValueError, of which
        :class:`~ledger.errors.ElementsError` is one, if an event can't be written.

        A :class:`~ledger.events.PayloadErased` among them erases the payloads that it names, of
        earlier changes, in the same step: all is done or nothing.
        """
        ...

    def scrub(self) -> None:
        """Leave nothing of erased payloads in what the store itself keeps, as free space.

        Nobody else may be reading for long: :class:`~ledger.errors.JournalError` then, and the
        payloads stay erased while something of them may be left.
        """
        ...

    def read(self, after: int = 0, upto: int | None = None) -> Iterator[Recorded]:
        """Yield the events of the positions ``after + 1`` to `upto` (default: the last).

        :class:`~ledger.events.Erased` stands for one whose payload was erased.
        :class:`~ledger.errors.JournalDamagedError` where a position is missing, an event is not
        what its type says, or does not follow from the one before it. What comes before `after` is
        not looked at: that is done by :func:`verify_journal`.
        """
        ...

    def stored(self, after: int = 0, upto: int | None = None) -> Iterator[Stored]:
        """Yield what is kept of the same events, undecoded and unchecked."""
        ...

    def changes(self, after: int = 0) -> Iterator[Change]:
        """Yield the changes whose first position is greater than `after`."""
        ...

    def find_change(self, start: str) -> Change | None:
        """Return the change whose id begins with `start`, ``None`` unless there is just one.

        A whole id is looked up by itself.
        """
        ...

    def check(self) -> None:
        """Check the store itself; JournalDamagedError if it is not whole."""
        ...

    def close(self) -> None:
        """Let go of the store."""
        ...


Clock = Callable[[], datetime]


def utc_now() -> datetime:
    """Return the present time in UTC: the default clock of a journal."""
    return datetime.now(UTC)


def timestamp(clock: Clock) -> str:
    """Return the clock's time in RFC 3339, in UTC, to the microsecond."""
    return clock().astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def change_of(draft: Draft, *, first: int, count: int, clock: Clock) -> Change:
    """Return the change that a draft becomes at its place; every journal makes it in this way."""
    return Change(
        id=_storable(draft.id),
        first=first,
        count=count,
        recorded_at=timestamp(clock),
        actor=_storable(draft.actor),
        origin=_storable(draft.origin),
        reason=None if draft.reason is None else _storable(draft.reason),
    )


def _storable(text: str) -> str:
    """Return text that a database takes: bytes of an argument that are no text as ``\\udcXX``."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def decoded(stored: Stored) -> Event:
    """Return the event, a bare ``Erased`` of an erased one.

    Raises what :func:`ledger.codec.decode` raises, with the position.
    """
    try:
        return codec.decode(stored.type, stored.version, stored.payload)
    except UnknownFormatError as exc:
        exc.position = stored.position
        raise
    except JournalDamagedError as exc:
        raise JournalDamagedError(
            f"The journal is damaged at position {stored.position}: {exc}",
            position=stored.position,
        ) from exc


def body_of(stored: Stored) -> dict[str, Any]:
    """Return the JSON object of a payload; JournalDamagedError with the position if it is none."""
    try:
        return codec.parse(stored.payload)
    except ValueError as exc:
        raise _damage(stored.position, "has a payload that is malformed") from exc


# --- the hash chain ------------------------------------------------------------------------------


def genesis(journal_id: str) -> bytes:
    """Return the hash that stands before the first event."""
    return hashlib.sha256(b"fileset-ledger journal 1\0" + journal_id.encode()).digest()


def change_digest(change: Change) -> bytes:
    """Return the digest of what is said of a change, its fields framed by their lengths."""
    fields = (change.id, change.recorded_at, change.actor, change.origin, change.reason)
    hasher = hashlib.sha256(struct.pack(">QQ", change.first, change.count))
    for text in fields:
        raw = None if text is None else text.encode("utf-8", "surrogatepass")
        hasher.update(struct.pack(">q", -1 if raw is None else len(raw)) + (raw or b""))
    return hasher.digest()


def chain_hash(
    previous: bytes, of_change: bytes, position: int, type_name: str, version: int, digest: bytes
) -> bytes:
    """Return the hash of an event: of all that identifies it and the hash before it."""
    framed = struct.pack(">QII", position, version, len(type_name)) + type_name.encode("ascii")
    return hashlib.sha256(previous + of_change + framed + digest).digest()


def verify_journal(
    journal: Journal, visit: Callable[[Stored], object] = lambda stored: None
) -> Head:
    """Check all of a journal: the chain, and that its list of changes is whole.

    Each event is handed to `visit` when it was found to be good. Raises
    :class:`~ledger.errors.JournalDamagedError` with the first position that is bad. What no
    journal can tell by itself is that its last changes, as wholes, were taken away.
    """
    changes = list(journal.changes())  # first: what is appended meanwhile is no damage
    try:
        head = verify_chain(journal.id, journal.stored(), visit)
    except JournalDamagedError:
        if journal.position == (changes[-1].last if changes else 0):
            raise
        # What was erased since is named by an event that came since.
        changes = list(journal.changes())
        head = verify_chain(journal.id, journal.stored(), visit)
    position = 0
    for change in changes:
        if change.first != position + 1:
            raise _damage(min(change.first, position + 1), "has not one change that it belongs to")
        position = change.last
    if position > head.position:
        raise _damage(head.position + 1, "is missing: its change is not whole")
    return head


def verify_chain(
    journal_id: str,
    events: Iterable[Stored],
    visit: Callable[[Stored], object] = lambda stored: None,
) -> Head:
    """Check `events`, all of a journal from position 1, and return the head they lead to.

    Each event is handed to `visit`. Raises what :func:`checked` raises.
    """
    last: Stored | None = None
    for last in checked(journal_id, events):
        visit(last)
    return Head(last.position, last.hash) if last else Head(0, genesis(journal_id))


def checked(journal_id: str, events: Iterable[Stored]) -> Iterator[Stored]:
    """Yield `events`, all of a journal from position 1, each when it was found to be good.

    Raises :class:`~ledger.errors.JournalDamagedError` at the first position where the bytes
    are not what was appended, a position is missing, or a change is not whole.
    """
    last, previous = 0, genesis(journal_id)
    erasure = _ErasureCheck()
    change: Change | None = None
    of_change = b""
    for event in events:
        position = last + 1
        if event.position != position:
            raise _damage(position, "is missing")
        if change is None or (event.change is not change and event.change != change):
            if event.change.first != position or (change and change.last != last):
                raise _damage(position, "is not within its change")
            change, of_change = event.change, _digest_of(event.change)
        elif position > change.last:
            raise _damage(position, "is beyond the end of its change")
        if event.payload and hashlib.sha256(event.payload).digest() != event.digest:
            raise _damage(position, "has a payload that was altered")
        try:
            link = chain_hash(
                previous, of_change, position, event.type, event.version, event.digest
            )
        except (UnicodeEncodeError, struct.error):
            raise _damage(position, "has a type or version that none ever had") from None
        if link != event.hash:
            raise _damage(position, "does not follow from the one before it")
        last, previous = position, link
        erasure.take(event)
        yield event
    if change is not None and change.last != last:
        raise _damage(last + 1, "is missing: its change is not whole")
    erasure.finish()


class _ErasureCheck:
    """Compares the payloads that are gone with those that later events say were erased."""

    def __init__(self) -> None:
        self._gone: set[int] = set()
        self._named: set[int] = set()
        self._told = True  # whether this version understands all events that say so

    def take(self, event: Stored) -> None:
        if not event.payload:
            self._gone.add(event.position)
        elif event.type == PayloadErased.TYPE:
            try:
                tombstone = codec.decode(event.type, event.version, event.payload)
            except UnknownFormatError:
                self._told = False
                return
            except JournalDamagedError:
                raise _damage(event.position, "is malformed") from None
            if isinstance(tombstone, PayloadErased):
                for first, last in tombstone.positions:
                    if not 0 < first <= last < event.position:
                        raise _damage(event.position, "names positions that can't be erased")
                    self._named.update(range(first, last + 1))

    def finish(self) -> None:
        """Raise JournalDamagedError with the first position where the two differ."""
        if not self._told:
            return
        position = min(self._gone ^ self._named, default=None)
        if position in self._gone:
            raise _damage(position, "has lost its payload, and no event says that it was erased")
        if position is not None:
            raise _damage(position, "was erased, and has a payload")


def _digest_of(change: Change) -> bytes:
    try:
        return change_digest(change)
    except struct.error:
        raise _damage(change.first, "is not within its change") from None


def _damage(position: int, what: str) -> JournalDamagedError:
    return JournalDamagedError(
        f"The journal is damaged: the event at position {position} {what}.", position=position
    )
