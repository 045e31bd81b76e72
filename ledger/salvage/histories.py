"""The histories that a journal may have had, followed from its id along what its witnesses hold."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import define

from ledger.journal.chain import chain_hash, change_digest, genesis
from ledger.journal.entries import Change
from ledger.salvage.witnesses import SalvagedDatabase, SalvagedEvent, Witness

_HASH: Final = 32  # bytes
_MANY: Final = 16  # histories that are followed at once; there is one, or two after a fork


@define
class History:
    """One history that the journal may have had: the hash at each position, up to its last change.

    Of `own` events the database has the hash, the last of them at `own_at`, where `sure` was the
    end of the last whole change.
    """

    hashes: bytearray
    change: Change | None = None
    of_change: bytes = b""
    whole: int = 0
    own: int = 0
    own_at: int = 0
    sure: int = 0

    @property
    def position(self) -> int:
        """The last position."""
        return len(self.hashes) // _HASH - 1

    def hash_at(self, position: int) -> bytes:
        """Return the hash at a position, nothing beyond the last."""
        return bytes(self.hashes[_HASH * position : _HASH * (position + 1)])


def best_history(
    journal_id: str, witnesses: Sequence[Witness]
) -> tuple[History, Mapping[int, set[bytes]]]:
    """Return the history to follow, and the first hashes of those that leave the database's."""
    databases = [each for each in witnesses if isinstance(each, SalvagedDatabase)]
    histories = [History(bytearray(genesis(journal_id)))]
    ended: list[History] = []
    strays: dict[int, set[bytes]] = {}
    links = _Links(databases)
    # A database that names another journal does not decide where this one goes on.
    is_its = any(not each.ids or journal_id in each.ids for each in databases)
    position = 0
    while histories:
        position += 1
        links.go_to(position)
        events = events_at(position, witnesses)
        changes = changes_from(position, witnesses)
        following: list[History] = []
        for history in histories:
            longer = _followed(history, events, changes)
            if not longer:
                ended.append(history)
            for each in longer:
                if each.hash_at(position) in links.hashes:
                    each.own, each.own_at, each.sure = each.own + 1, position, each.whole
                elif is_its and links.leads_on():  # the database goes on elsewhere
                    first = each.own_at + 1
                    strays.setdefault(first, set()).add(each.hash_at(first))
                    each.whole = each.sure
                    ended.append(each)
                    continue
                following.append(each)
        following.sort(key=lambda history: -history.own)
        histories, dropped = following[:_MANY], following[_MANY:]
        ended += dropped
    return max(ended, key=lambda history: (history.own, history.whole)), strays


class _Links:
    """What databases hold of one event after another, proven from the beginning or not."""

    def __init__(self, databases: Sequence[SalvagedDatabase]) -> None:
        self._databases = databases
        self._position = 0
        self._events: list[SalvagedEvent] = []
        self._before: set[bytes] = set()
        self._changes: list[Change] = []
        self.hashes: set[bytes] = set()

    def go_to(self, position: int) -> None:
        """Go on to the next position."""
        self._position, self._before = position, self.hashes
        self._events = events_at(position, self._databases)
        self._changes += changes_from(position, self._databases)
        self._changes = [each for each in self._changes if each.last >= position][-_MANY:]
        self.hashes = {each.hash for each in self._events}

    def leads_on(self) -> bool:
        """Whether an event here follows from one before it, so that both are of one journal."""
        return any(
            follows(before, of_change, self._position, event)
            for of_change in map(digest_of, self._changes)
            for before in self._before
            for event in self._events
        )


def _followed(
    history: History, events: Sequence[SalvagedEvent], changes: Sequence[Change]
) -> list[History]:
    """Return `history` continued by each event that can be its next."""
    position = history.position + 1
    previous = history.hash_at(history.position)
    known = history.change if history.change and position <= history.change.last else None
    found: dict[bytes, tuple[Change, bytes]] = {}
    for change in (known,) if known else changes:
        of_change = history.of_change if known else digest_of(change)
        for event in events:
            if follows(previous, of_change, position, event):
                found.setdefault(event.hash, (change, of_change))
    following = []
    # Copied before they grow apart; the last one takes the list over.
    for number, (link, (change, of_change)) in enumerate(found.items(), 1):
        hashes = history.hashes if number == len(found) else history.hashes[:]
        whole = position if change.last == position else history.whole
        following.append(
            History(hashes, change, of_change, whole, history.own, history.own_at, history.sure)
        )
        following[-1].hashes += link
    return following


def events_at(position: int, witnesses: Sequence[Witness]) -> list[SalvagedEvent]:
    """Return what all of `witnesses` hold of the event at `position`."""
    return [event for witness in witnesses for event in witness.events(position)]


def changes_from(first: int, witnesses: Sequence[Witness]) -> list[Change]:
    """Return what all of `witnesses` hold of the change that begins at `first`."""
    return [change for witness in witnesses for change in witness.changes(first)]


def digest_of(change: Change) -> bytes:
    """Return the digest of a change, empty if it can't be one."""
    try:
        return change_digest(change)
    except struct.error:
        return b""


def follows(previous: bytes, of_change: bytes, position: int, event: SalvagedEvent) -> bool:
    """Whether an event's hash is right at `position`, after the hash before and in its change."""
    if not of_change or not event.digest:
        return False
    try:
        link = chain_hash(previous, of_change, position, event.type, event.version, event.digest)
    except (UnicodeEncodeError, struct.error):
        return False
    return link == event.hash
