"""Events on record: the changes they belong to, their positions, and their stored form."""

from __future__ import annotations

from attrs import frozen

from ledger.events import Event


@frozen
class Draft:
    """What the author of a change says about it, before it has a place in the journal."""

    id: str
    actor: str
    origin: str
    reason: str | None = None


@frozen
class Change:
    """One user command in the journal: the events `first` to `first + count - 1`.

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
