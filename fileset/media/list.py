"""The media of a repository, as its journal tells of them."""

from __future__ import annotations

from fileset.errors import RefusedError
from fileset.repository.repository import Repository
from ledger.events import MediumAddressed
from ledger.journal.entries import Recorded
from ledger.journal.protocol import decoded
from projections.past.media import TYPES, Medium, media_of


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


def is_described(repository: Repository, medium: Medium) -> bool:
    """Whether the journal still has all that was said of a medium: for whom, and with which files.

    It is erased with the persons whom it tells of.
    """
    return all(
        stored.payload or stored.type != MediumAddressed.TYPE
        for stored in repository.journal.stored(medium.position, medium.change.last)
    )
