"""What was corrected between two states, as the journal tells."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from fileset.repository.repository import Repository
from ledger.events import ElementCorrected, Handle, InstancesCorrected
from projections.past.diff import Side


def corrected_between(
    repository: Repository, before: Side, after: Side
) -> list[tuple[ElementCorrected, int]]:
    """Return which elements were corrected, and in how many instances of both sides.

    `after` is the later side. Corrections that were undone by then are not among them.
    """
    replaced = repository.state.hierarchy.replaced
    if not replaced or None in (before.position, after.position):
        return []
    corrections = list(_corrections(before, after, replaced))
    former = {replaced[each] for each in corrections}
    counts: Counter[ElementCorrected] = Counter()
    for event in _events(repository, corrections):
        number = len(former.intersection(event.instances))
        counts.update(dict.fromkeys(event.elements, number))
    return [(element, number) for element, number in counts.items() if number]


def _corrections(before: Side, after: Side, replaced: Mapping[Handle, Handle]) -> Iterator[Handle]:
    """Yield the instances that took the places of others on the way from one side to the other."""
    was = {leaf.handle for leaf in before.live.values()}
    for leaf in after.live.values():
        steps = []
        handle = leaf.handle
        while handle in replaced and handle not in was:
            steps.append(handle)
            handle = replaced[handle]
        if handle in was:
            yield from steps


def _events(repository: Repository, handles: Iterable[Handle]) -> Iterator[InstancesCorrected]:
    """Yield the events of the changes that the events at `handles` belong to."""
    last = 0
    for handle in sorted(handles):
        if handle <= last:
            continue
        (stored,) = repository.journal.stored(after=handle - 1, upto=handle)
        last = stored.change.last
        for recorded in repository.events_of(stored.change):
            if isinstance(recorded.event, InstancesCorrected):
                yield recorded.event
