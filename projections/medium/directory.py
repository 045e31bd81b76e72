"""The DICOMDIR of a state: its hierarchy as directory records."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from projections.dicomdir.definitions import Reference
from projections.dicomdir.encoder import DirectoryRecord, encode_dicomdir
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
    for depth, node in state.hierarchy.walk():
        record = node.record
        if isinstance(node, Branch):
            del above[depth:]
            emitted = min(emitted, depth)
            above.append(DirectoryRecord(depth, record.type, record.elements))
        elif node.is_live:
            emitted = min(emitted, depth)
            yield from above[emitted:depth]
            emitted = depth
            yield DirectoryRecord(
                depth,
                record.type,
                record.elements,
                Reference(file_ids[node], node.sop_class_uid, node.uid, node.transfer_syntax_uid),
            )
