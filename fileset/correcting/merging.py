"""Directory records of a corrected instance whose records somebody else made."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from ledger import elements
from ledger.elements import Elements
from ledger.events import Record


def merged(
    before: Sequence[Record], standing: Sequence[Record], after: Sequence[Record]
) -> tuple[Record, ...]:
    """Return the `standing` records of an instance with what a correction changes in them.

    `before` and `after` are those that its file gives before and after. What an adopted DICOMDIR
    says besides stays, unless it is in another character set. Where the types of the records
    differ, the result is `after`.
    """
    if [record.type for record in standing] != [record.type for record in after]:
        return tuple(after)
    if [record.type for record in before] != [record.type for record in after]:
        return tuple(after)
    return tuple(map(_merged, before, standing, after))


def _merged(before: Record, standing: Record, after: Record) -> Record:
    return evolve(
        after,
        elements=_merged_elements(before.elements, standing.elements, after.elements),
        unwritten=_merged_elements(before.unwritten, standing.unwritten, after.unwritten),
    )


def _merged_elements(before: Elements, standing: Elements, after: Elements) -> Elements:
    if before == standing or elements.character_set(standing) != elements.character_set(after):
        return after
    was = {each.tag: each for each in elements.iterate(before)}
    is_ = {each.tag: each for each in elements.iterate(after)}
    kept = {each.tag: each for each in elements.iterate(standing)}
    for tag in was.keys() | is_.keys():
        if was.get(tag) == is_.get(tag):
            continue
        if tag in is_:
            kept[tag] = is_[tag]
        else:
            kept.pop(tag, None)
    return elements.encode([kept[tag] for tag in sorted(kept)])
