"""Directory records of a corrected instance whose records somebody else made."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import evolve

from ledger import elements
from ledger.elements import Element, Elements
from ledger.events import Record
from ledger.tags import SPECIFIC_CHARACTER_SET


def merged(
    before: Sequence[Record], standing: Sequence[Record], after: Sequence[Record]
) -> tuple[Record, ...]:
    """Return the `standing` records of an instance with what a correction changes in them.

    `before` and `after` are those that its file gives before and after. What an adopted DICOMDIR
    says besides stays, but for text in another character set. Where the types of the records
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
    if before == standing:
        return after
    was = {each.tag: each for each in elements.iterate(before)}
    is_ = {each.tag: each for each in elements.iterate(after)}
    kept = {each.tag: each for each in elements.iterate(standing)}
    anew: set[int] = set()
    if elements.character_set(standing) != elements.character_set(after):
        anew = {SPECIFIC_CHARACTER_SET, *(t for t, e in kept.items() if not _is_in_any_set(e))}
        kept = {tag: each for tag, each in kept.items() if tag not in anew}
    for tag in was.keys() | is_.keys():
        if was.get(tag) == is_.get(tag) and tag not in anew:
            continue
        if tag in is_:
            kept[tag] = is_[tag]
        else:
            kept.pop(tag, None)
    return elements.encode([kept[tag] for tag in sorted(kept)])


def _is_in_any_set(element: Element) -> bool:
    """Whether an element has the same value in every character set: its text is ASCII."""
    if element.vr == "SQ":
        items = elements.iterate_items(element.value)
        return all(_is_in_any_set(each) for item in items for each in elements.iterate(item))
    is_text = element.vr in elements.CHARSET_VRS
    return not is_text or (element.value.isascii() and b"\x1b" not in element.value)
