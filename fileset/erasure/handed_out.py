"""Media that were handed out with what is erased: whom to ask for them, and what goes with it."""

from __future__ import annotations

from collections.abc import Container, Iterator

from attrs import frozen

from fileset.erasure.traces import Traces
from ledger.digest import Digest


@frozen
class HandedOut:
    """A medium that has some of what is erased, or was said to be for the person.

    It is told before that is erased, and recorded nowhere.

    Attributes
    ----------
    number, kind : int, str
        What it is known by, and its kind.
    finished_at : str
        When it was finished, in UTC.
    instances : int
        How many of the instances are on it.
    recipient : str or None
        For whom it is; `None` where that was not recorded, or was erased before.
    is_forgotten : bool
        Whether what was said of it is erased as well, such as the recipient and the label.
    can_be_remade : bool
        Whether it can be made again afterwards.
    """

    number: int
    kind: str
    finished_at: str
    instances: int
    recipient: str | None
    is_forgotten: bool
    can_be_remade: bool


@frozen
class OtherFiles:
    """What goes from the vault of the files on media besides instances, such as pages.

    There are `files` with `bytes` in all, and they were on the media with the numbers `media`.
    """

    files: int = 0
    bytes: int = 0
    media: tuple[int, ...] = ()


def handed_out(found: Traces) -> Iterator[HandedOut]:
    """Yield the media that were finished with the instances in `found`, or tell of the person."""
    forgotten = {
        medium.number for position, medium in found.addressed if position in found.positions
    }
    lacking = {medium.number for at, medium, _ in found.filled if at in found.positions}
    for medium in found.handed_out.all():
        instances = len(found.gone.intersection(medium.started.handles()))
        is_forgotten = medium.number in forgotten
        is_concerned = instances or is_forgotten or medium.number in lacking
        if medium.produced_by is None or not is_concerned:
            continue
        yield HandedOut(
            medium.number,
            medium.started.kind,
            medium.produced_by.recorded_at,
            instances,
            medium.recipient,
            is_forgotten,
            can_be_remade=not instances and medium.number not in lacking,
        )


def other_files(found: Traces, needed: Container[Digest]) -> OtherFiles:
    """Return which other files of media go, since no event that stays has `needed` them."""
    contents = {
        (content, medium.number)
        for position, medium, kept in found.filled
        if position in found.positions
        for content in kept
        if content.digest not in needed
    }
    distinct = {content for content, _ in contents}
    media = tuple(sorted({number for _, number in contents}))
    return OtherFiles(len(distinct), sum(content.size for content in distinct), media)
