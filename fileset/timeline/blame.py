"""Who did what to a patient, study, series or instance, and where it went."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache

from fileset.repository.repository import Repository
from fileset.values import has_value, known_tag, readable_element
from ledger.events import Handle, InstanceAdded
from ledger.journal.entries import Recorded
from ledger.journal.protocol import decoded
from projections.medium.layouts import pydicom_layout
from projections.past.diff import above
from projections.past.provenance import Provenance, Touch
from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState

_OWN = {
    "SOPInstanceUID": "uid",
    "SOPClassUID": "sop_class_uid",
    "TransferSyntaxUID": "transfer_syntax_uid",
}


def ever_known(state: FileSetState, query: Mapping[str, str]) -> list[Leaf]:
    """Return the instances, also those removed long since, whose records have all the values.

    With them come those that they correct, and those that they were corrected to. Values are
    compared whole, and letters by case. Raises `NoSuchKeywordError`.
    """
    tests = [_test(keyword, text) for keyword, text in query.items()]
    leaves, versions = state.hierarchy.leaves, state.hierarchy.versions
    found = [leaf for leaf in leaves.values() if all(test(leaf) for test in tests)]
    if not state.hierarchy.replaced:
        return found
    return [leaves[each] for each in sorted({h for leaf in found for h in versions(leaf.handle)})]


def _test(keyword: str, text: str) -> Callable[[Leaf], bool]:
    """Return what tells whether the lowest record of an instance that has an element has `text`."""
    if keyword in _OWN:
        return lambda leaf: getattr(leaf, _OWN[keyword]) == text
    tag = known_tag(keyword)

    @cache  # for each record above instances once
    def above_has(branch: Branch) -> bool:
        for record in reversed(above(branch)):
            if (element := readable_element(record.record.elements, tag)) is not None:
                return has_value(element, text)
        return False

    def has(leaf: Leaf) -> bool:
        own = readable_element(leaf.record.elements, tag)
        return has_value(own, text) if own is not None else above_has(leaf.home)

    return has


def blame(
    repository: Repository, handles: Collection[Handle], upto: int | None = None
) -> Iterator[Touch]:
    """Yield how events, up to a position, touched the instances `handles`, in their order."""
    handles = frozenset(handles)

    @cache
    def file_ids_at(position: int) -> Mapping[Handle, str]:
        placed = pydicom_layout(repository.at(position), ())
        return {leaf.handle: path for leaf, path in placed.items() if leaf.handle in handles}

    provenance = Provenance(handles, file_ids_at)
    for stored in repository.journal.stored(upto=upto):
        if stored.type == InstanceAdded.TYPE and stored.position not in handles:
            continue
        event = decoded(stored)
        yield from provenance.touches(Recorded(stored.position, stored.change, event))
