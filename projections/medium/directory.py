"""The DICOMDIR of a state: its hierarchy as directory records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import evolve

from ledger.elements import EMPTY, Elements
from ledger.events import Record
from projections.dicomdir.definitions import Reference
from projections.dicomdir.encoder import DirectoryRecord, encode_dicomdir
from projections.dicomdir.profiles.catalogue import PROFILES
from projections.dicomdir.profiles.record_keys import with_extra
from projections.state.nodes import Branch, Leaf
from projections.state.state import FileSetState


def encode_directory(
    state: FileSetState, file_ids: Mapping[Leaf, str], *, implicit_vr: bool = False
) -> bytes:
    """Return the DICOMDIR of the live instances of `state`, which lie at `file_ids`."""
    return encode_dicomdir(
        state.identity, directory_records(state, file_ids), implicit_vr=implicit_vr
    )


def directory_records(
    state: FileSetState, file_ids: Mapping[Leaf, str]
) -> Iterator[DirectoryRecord]:
    """Yield the records in preorder; a record with no live instance below it is left out."""
    above: list[DirectoryRecord] = []
    emitted = 0
    extra = _Additional(state)
    for depth, node in state.hierarchy.walk():
        record = node.record
        if isinstance(node, Branch):
            del above[depth:]
            emitted = min(emitted, depth)
            above.append(DirectoryRecord(depth, record.type, extra.of_branch(node, record)))
        elif node.is_live:
            emitted = min(emitted, depth)
            yield from above[emitted:depth]
            emitted = depth
            yield DirectoryRecord(
                depth,
                record.type,
                extra.of_leaf(node, record),
                Reference(file_ids[node], node.sop_class_uid, node.uid, node.transfer_syntax_uid),
            )


def as_written(state: FileSetState) -> FileSetState:
    """Return `state`, changed so that the records of what is live are as its DICOMDIR has them."""
    extra = _Additional(state)
    for _, node in state.hierarchy.walk():
        if not node.is_live:
            continue
        record = node.record
        if isinstance(node, Branch):
            node.own = evolve(record, elements=extra.of_branch(node, record))
            node.variants = None
        else:
            node.say(evolve(record, elements=extra.of_leaf(node, record)))
    return state


class _Additional:
    """The elements that the File-set's application profile adds to records, if it has one."""

    def __init__(self, state: FileSetState) -> None:
        profile = PROFILES.get(state.identity.profile or "")
        self._types = frozenset() if profile is None else frozenset(profile.keys.keys)
        self._profile = "" if profile is None else profile.identifier
        self._recorded = state.recorded

    def of_leaf(self, leaf: Leaf, record: Record) -> Elements:
        """Return the elements of the record that references an instance."""
        if record.type not in self._types:
            return record.elements
        extra = self._recorded.elements(self._profile, record.type, leaf.handle)
        return with_extra(record.elements, extra or EMPTY)

    def of_branch(self, branch: Branch, record: Record) -> Elements:
        """Return the elements of a record above instances.

        As for its other values, the earliest instance that is part of the File-set decides.
        """
        if record.type not in self._types:
            return record.elements
        live = sorted((leaf for leaf in branch.leaves() if leaf.rank), key=lambda leaf: leaf.rank)
        for leaf in live:
            extra = self._recorded.elements(self._profile, record.type, leaf.handle)
            if extra is not None:
                return with_extra(record.elements, extra)
        return record.elements
