"""The hash chain of a journal, and its check.

Each event's hash covers the one before it, the digest of its change (who, when, why, how many
events) and the *digest* of its payload. So a payload can be erased while the chain still verifies;
the stored bytes are hashed as they are and never serialised again.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Callable, Iterable, Iterator

from ledger.errors import JournalDamagedError, UnknownFormatError
from ledger.events import PayloadErased
from ledger.journal import codec
from ledger.journal.entries import Change, Head, Stored
from ledger.journal.protocol import Journal


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
    `JournalDamagedError` with the first position that is bad. A
    journal by itself cannot show that its last changes were removed as wholes.
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
            raise _damage(min(change.first, position + 1), "belongs to no change, or to several")
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

    Each event is handed to `visit`. Raises what `checked` raises.
    """
    last: Stored | None = None
    for last in checked(journal_id, events):
        visit(last)
    return Head(last.position, last.hash) if last else Head(0, genesis(journal_id))


def checked(journal_id: str, events: Iterable[Stored]) -> Iterator[Stored]:
    """Yield `events`, all of a journal from position 1, each when it was found to be good.

    Raises `JournalDamagedError` at the first position where the bytes
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
                raise _damage(position, "is outside its change")
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
            raise _damage(position, "has an impossible type or version") from None
        if link != event.hash:
            raise _damage(position, "does not follow from the one before it")
        last, previous = position, link
        erasure.take(event)
        yield event
    if change is not None and change.last != last:
        raise _damage(last + 1, "is missing: its change is not whole")
    erasure.finish()


class _ErasureCheck:
    """Compares the payloads that are missing with those that later events say were erased."""

    def __init__(self) -> None:
        self._gone: set[int] = set()
        self._named: set[int] = set()
        self._is_complete = True  # whether this version understands all events that say so

    def take(self, event: Stored) -> None:
        if not event.payload:
            self._gone.add(event.position)
        elif event.type == PayloadErased.TYPE:
            try:
                tombstone = codec.decode(event.type, event.version, event.payload)
            except UnknownFormatError:
                self._is_complete = False
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
        if not self._is_complete:
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
        raise _damage(change.first, "is outside its change") from None


def _damage(position: int, what: str) -> JournalDamagedError:
    return JournalDamagedError(
        f"The journal is damaged: the event at position {position} {what}.", position=position
    )


class Link:
    """Where a walk along the hash chain is."""

    def __init__(self, previous: bytes) -> None:
        self._previous = previous
        self._change: Change | None = None
        self._of_change = b""

    def take(self, event: Stored) -> bool:
        """Go on to the next event; `False` if it doesn't follow."""
        try:
            if event.change is not self._change:
                self._change, self._of_change = event.change, change_digest(event.change)
            link = chain_hash(
                self._previous, self._of_change, event.position, event.type, event.version,
                event.digest,
            )  # fmt: skip
        except (TypeError, UnicodeEncodeError, struct.error):
            return False
        self._previous = event.hash
        return link == event.hash
