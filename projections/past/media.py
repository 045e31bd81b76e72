"""The media that were handed out, by number: the first one that a journal tells of is number 1."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar, Final

from attrs import define, field

from ledger.events import (
    AboutMedium,
    Event,
    MediumAddressed,
    MediumBurnt,
    MediumFilled,
    MediumProduced,
    MediumStarted,
    MediumVerified,
)
from ledger.journal.entries import Change, Recorded

TYPES: Final = frozenset(
    (
        MediumStarted.TYPE,
        MediumAddressed.TYPE,
        MediumProduced.TYPE,
        MediumVerified.TYPE,
        MediumBurnt.TYPE,
    )
)
"""The types of the events that tell of media: no other has to be read for a `Medium`.

What is on media besides instances can be very much, and is read only where it is asked for.
"""


@define
class Medium:
    """A medium that was begun.

    Attributes
    ----------
    number : int
        What people know it by.
    position : int
        That of the event that began it, and `change` the change that this was part of.
    addressed : MediumAddressed or None
        For whom it is, and what was asked for; `None` where nothing was said, or it was erased.
    produced, produced_by : MediumProduced and Change, or None
        What was finished, and in which change; `None` if it was not.
    verified, burnt : list of pairs of Change and event
        When it was read back, and burnt, the oldest first.
    erased : int
        How many of the instances on it were erased since, as far as somebody has looked.
    """

    number: int
    position: int
    change: Change
    started: MediumStarted
    addressed: MediumAddressed | None = None
    produced: MediumProduced | None = None
    produced_by: Change | None = None
    verified: list[tuple[Change, MediumVerified]] = field(factory=list)
    burnt: list[tuple[Change, MediumBurnt]] = field(factory=list)
    erased: int = 0

    @property
    def recipient(self) -> str | None:
        """For whom it is, as far as that was said."""
        return self.addressed.recipient if self.addressed else None

    def _take_addressed(self, event: MediumAddressed, _: Change) -> None:
        self.addressed = event

    def _take_filled(self, event: MediumFilled, _: Change) -> None:
        pass

    def _take_produced(self, event: MediumProduced, change: Change) -> None:
        self.produced, self.produced_by = event, change

    def _take_verified(self, event: MediumVerified, change: Change) -> None:
        self.verified.append((change, event))

    def _take_burnt(self, event: MediumBurnt, change: Change) -> None:
        self.burnt.append((change, event))

    _HANDLERS: ClassVar[dict[type[Event], Callable[[Medium, Any, Change], None]]] = {
        MediumAddressed: _take_addressed,
        MediumFilled: _take_filled,
        MediumProduced: _take_produced,
        MediumVerified: _take_verified,
        MediumBurnt: _take_burnt,
    }

    def take(self, event: AboutMedium, change: Change) -> None:
        """Take in what an event says of it."""
        self._HANDLERS[type(event)](self, event, change)


@define
class Media:
    """Follows the media in a journal, event by event, from the first."""

    _by_position: dict[int, Medium] = field(factory=dict)

    def take(self, recorded: Recorded) -> Medium | None:
        """Take the next event, and return the medium that it is about, if it is about one."""
        event = recorded.event
        if isinstance(event, MediumStarted):
            medium = Medium(len(self._by_position) + 1, recorded.position, recorded.change, event)
            self._by_position[recorded.position] = medium
            return medium
        if isinstance(event, AboutMedium):
            known = self._by_position.get(event.started)
            if known is not None:
                known.take(event, recorded.change)
            return known
        return None

    def all(self) -> list[Medium]:
        """Return the media by number."""
        return list(self._by_position.values())


def media_of(events: Iterable[Recorded]) -> list[Medium]:
    """Return the media that `events` tell of, all of the types `TYPES` of a journal, by number."""
    media = Media()
    for recorded in events:
        media.take(recorded)
    return media.all()
