"""The events of a change that is being made, in little memory however many they become.

A journal whose entries are bytes takes them as payloads. These are made as the events come, some
hundred at a time, and compressed: of a million instances they take a tenth of what the events do.
"""

from __future__ import annotations

import secrets
import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, Protocol, TypeAlias, overload

from ledger.events import EVENT_TYPES, Event
from ledger.journal import codec

Payload: TypeAlias = tuple[type[Event], bytes]
"""The class of an event, and its payload in the present version."""

_TOGETHER: Final = 512
_LEVEL: Final = 1  # more takes twice the time and saves a tenth
_NONCE: Final = 8  # bytes


class Events(Protocol):
    """So many events, in their order."""

    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[Event]: ...


class Gathering(Events, Protocol):
    """Events that become more, until a journal appends them."""

    def append(self, event: Event) -> None:
        """Add an event; TypeError or ValueError where it, or one before, can't be written."""
        ...

    def defer(self, events: Sequence[Event]) -> None:
        """Add `events`, of which one that can be made when it is asked for need not be kept."""
        ...

    def cut(self, count: int) -> None:
        """Drop all but the first `count` events."""
        ...


class AsTheyAre(Sequence[Event]):
    """Events for a journal that keeps them as they are, or knows who makes them."""

    def __init__(self) -> None:
        self._events: list[Event | None] = []  # `None` for one that is made when it is asked for
        self._firsts: list[int] = []
        self._makers: list[Sequence[Event]] = []

    def __len__(self) -> int:
        return len(self._events)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        event = self._events[index]
        if event is None:
            index %= len(self)
            maker = bisect_right(self._firsts, index) - 1
            event = self._makers[maker][index - self._firsts[maker]]
        return event

    def __setitem__(self, index: int, event: Event) -> None:
        self._events[index] = event

    def append(self, event: Event) -> None:
        self._events.append(event)

    def defer(self, events: Sequence[Event]) -> None:
        self._firsts.append(len(self))
        self._makers.append(events)
        self._events += [None] * len(events)

    def extend(self, events: Events) -> None:
        """Add `events`; those that are yet to be made stay so."""
        if isinstance(events, AsTheyAre):
            begun = len(self)
            self._firsts += [begun + first for first in events._firsts]  # noqa: SLF001 - its own
            self._makers += events._makers  # noqa: SLF001
            self._events += events._events  # noqa: SLF001
        else:
            self._events += events

    def kept(self) -> Iterator[Event]:
        """Yield those that are kept, in their order."""
        return (event for event in self._events if event is not None)

    def cut(self, count: int) -> None:
        del self._events[count:]
        makers = bisect_left(self._firsts, count)
        del self._firsts[makers:], self._makers[makers:]


class AsPayloads:
    """Events for a journal that keeps payloads, of which these are made but for the last ones."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._last: list[Event] = []

    def __len__(self) -> int:
        return len(self._blocks) * _TOGETHER + len(self._last)

    def __iter__(self) -> Iterator[Event]:
        for block in self._blocks:
            yield from map(_event, _opened(block))
        yield from self._last

    def append(self, event: Event) -> None:
        self._last.append(event)
        if len(self._last) >= _TOGETHER:
            lines = (
                b"%b %b" % (cls.TYPE.encode("ascii"), payload)
                for cls, payload in payloads_of(self._last[:_TOGETHER])
            )
            self._blocks.append(zlib.compress(b"\n".join(lines), _LEVEL))
            del self._last[:_TOGETHER]

    def defer(self, events: Sequence[Event]) -> None:
        for event in events:
            self.append(event)

    def cut(self, count: int) -> None:
        if count >= len(self):
            return
        whole, rest = divmod(count, _TOGETHER)
        if whole < len(self._blocks):
            self._last = list(map(_event, _opened(self._blocks[whole])))
            del self._blocks[whole:]
        del self._last[rest:]

    def payloads(self) -> Iterator[Payload]:
        """Yield the events as their payloads."""
        for block in self._blocks:
            yield from _opened(block)
        yield from payloads_of(self._last)


def payloads_of(events: Events) -> Iterator[Payload]:
    """Yield the payloads of `events`, each with a nonce of its own."""
    nonces = secrets.token_hex(_NONCE * len(events))
    for index, event in enumerate(events):
        start = index * 2 * _NONCE
        yield type(event), codec.encode(event, nonces[start : start + 2 * _NONCE])


def _event(payload: Payload) -> Event:
    cls, data = payload
    return codec.decode(cls.TYPE, cls.VERSION, data)


def _opened(block: bytes) -> list[Payload]:
    # JSON has its line breaks escaped, and no type a space.
    pairs = (line.split(b" ", 1) for line in zlib.decompress(block).split(b"\n"))
    return [(EVENT_TYPES[name.decode("ascii")], payload) for name, payload in pairs]
