"""The media of a repository, as its journal tells of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import takewhile
from typing import Final

from fileset.errors import RefusedError
from fileset.repository.repository import Repository
from ledger.events import MediumAddressed, MediumFilled, MediumStarted, OtherFile
from ledger.journal.entries import Recorded, Stored
from ledger.journal.protocol import decoded
from projections.past.media import TYPES, Medium, media_of

_SAID: Final = frozenset((MediumAddressed.TYPE, MediumFilled.TYPE))


def media(repository: Repository) -> list[Medium]:
    """Return the media by number, with how many of the instances on each were erased since."""
    found = media_of(
        Recorded(stored.position, stored.change, decoded(stored))
        for stored in repository.journal.stored()
        if stored.type in TYPES
    )
    if found:
        known = repository.refresh().hierarchy.leaves
        for each in found:
            each.erased = sum(handle not in known for handle in each.started.handles())
    return found


def medium(repository: Repository, number: int) -> Medium:
    """Return the medium of that number; `RefusedError` if there is none."""
    found = media(repository)
    if not 1 <= number <= len(found):
        raise RefusedError(
            f"There is no medium {number}: `fileset media list` lists {len(found):,}."
        )
    return found[number - 1]


def other_files(repository: Repository, medium: Medium) -> tuple[OtherFile, ...]:
    """Return what is on a medium besides instances, as far as that was not erased."""
    events = (decoded(stored) for stored in _said(repository, medium) if stored.payload)
    return tuple(
        file
        for event in events
        if isinstance(event, MediumAddressed | MediumFilled)
        for file in event.files
    )


def is_described(repository: Repository, medium: Medium) -> bool:
    """Whether the journal still has all that was said of a medium: for whom, and with which files.

    It is erased with the persons whom it tells of.
    """
    return all(stored.payload for stored in _said(repository, medium))


def is_listed(repository: Repository, medium: Medium) -> bool:
    """Whether the journal still has all that tells of files on a medium besides instances."""
    return all(
        stored.payload or (stored.type == MediumAddressed.TYPE and stored.version > 1)
        for stored in _said(repository, medium)
    )


def _said(repository: Repository, medium: Medium) -> Iterator[Stored]:
    """Yield the events for whom a medium is, and what is on it besides instances."""
    change = repository.journal.stored(medium.position, medium.change.last)
    of_medium = takewhile(lambda stored: stored.type != MediumStarted.TYPE, change)
    return (stored for stored in of_medium if stored.type in _SAID)
