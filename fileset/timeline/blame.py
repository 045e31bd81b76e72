"""Who did what to a patient, study, series or instance, and where it went."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cache, partial

from pydicom.dataelem import DataElement

from fileset.criteria import LookUp, Query
from fileset.repository.repository import Repository
from fileset.values import readable_element
from ledger.events import Handle, InstanceAdded, MediumFilled
from ledger.journal.entries import Recorded
from ledger.journal.protocol import decoded
from projections.medium.layouts import pydicom_layout
from projections.past.diff import above
from projections.past.provenance import Provenance, Touch
from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState

_OWN = {0x00080018: "uid", 0x00080016: "sop_class_uid", 0x00020010: "transfer_syntax_uid"}


def ever_known(state: FileSetState, query: Query) -> list[Leaf]:
    """Return the instances, also those removed long since, that `query` asks for.

    With them come those that they correct, and those that they were corrected to.
    """
    leaves, versions = state.hierarchy.leaves, state.hierarchy.versions
    look_up = _elements()
    uids = query.indexed().get("SOPInstanceUID")
    known = (leaf for leaf in leaves.values() if uids is None or leaf.uid in uids)
    found = [leaf for leaf in known if query.matches(look_up(leaf))]
    if not state.hierarchy.replaced:
        return found
    return [leaves[each] for each in sorted({h for leaf in found for h in versions(leaf.handle)})]


def _elements() -> Callable[[Leaf], LookUp]:
    """Return what looks up the element of the lowest record of an instance that has one."""

    @cache  # for each record above instances once
    def above_has(branch: Branch, tag: int) -> DataElement | None:
        for record in reversed(above(branch)):
            if (element := readable_element(record.record.elements, tag)) is not None:
                return element
        return None

    def of(leaf: Leaf, tag: int) -> DataElement | None:
        if tag in _OWN:
            return DataElement(tag, "UI", getattr(leaf, _OWN[tag]))
        own = readable_element(leaf.record.elements, tag)
        return own if own is not None else above_has(leaf.home, tag)

    return lambda leaf: partial(of, leaf)


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
        if stored.type == MediumFilled.TYPE:  # there can be much of it, and it touches nothing
            continue
        event = decoded(stored)
        yield from provenance.touches(Recorded(stored.position, stored.change, event))
