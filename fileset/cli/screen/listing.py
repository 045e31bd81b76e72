"""Instances as lines, and as the leaves of a tree of their directory records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from attrs import define, field

from fileset.cli.screen.documents import instance_document, records_above, standing
from fileset.cli.screen.output import Node, Parts, Span, columns
from fileset.timeline.naming import sop_class_name
from ledger.dicom_json import to_json
from ledger.digest import short
from projections.medium.layouts import file_id
from projections.medium.pending import usually_moved
from projections.state.nodes import Branch, Leaf
from projections.state.outline import record_line
from projections.state.state import FileSetState

STANDINGS: Final = {
    "addition": Span("to be added", "good"),
    "correction": Span("to be corrected", "careful"),
    "removal": Span("to be removed", "bad"),
    "move": Span("to be moved", "careful"),
}


def instance_lines(leaves: Iterable[Leaf], state: FileSetState) -> Iterator[Parts]:
    """Yield a line for each instance: File ID, SOP Instance UID, SOP class, what is staged."""
    is_moved = usually_moved(state)
    return columns(
        (
            leaf.file_id or "(not on the medium)",
            leaf.uid,
            sop_class_name(leaf.sop_class_uid),
            STANDINGS.get(standing(leaf, state, is_moved) or "", ""),
        )
        for leaf in leaves
    )


def _standing_label(
    leaf: Leaf, state: FileSetState, is_moved: Callable[[Leaf], bool]
) -> Span | None:
    """Return what is staged for an instance, in words."""
    staged = standing(leaf, state, is_moved)
    if staged is None:
        return None
    label = STANDINGS[staged]
    return (
        label._replace(text=f"{label.text} to {file_id(leaf, state)}")
        if staged == "move"
        else label
    )


@define
class Forest:
    """Directory records above instances, put together from each instance's own line of records.

    Records of the same type and key, below the same records, are shown as one: of one that was
    removed and added anew there are two. What is shown of a record or instance is made when it is
    reached.
    """

    state: FileSetState
    roots: dict[tuple[str, str], _Record | Leaf] = field(factory=dict)
    _is_moved: Callable[[Leaf], bool] = field(init=False)

    @_is_moved.default
    def _usually_moved(self) -> Callable[[Leaf], bool]:
        return usually_moved(self.state)

    def add(self, leaf: Leaf) -> None:
        """Add an instance below its records."""
        level: dict[tuple[str, str], Any] = self.roots
        record: _Record | None = None
        for branch in records_above(leaf):
            key = (branch.record.type, branch.key)
            record = level.get(key) or _Record(branch)
            level[key] = record
            level = record.records
        if record is None:  # it stands for itself
            level["", str(leaf.handle)] = leaf
        else:
            record.leaves.append(leaf)

    def nodes(self) -> Iterator[Node]:
        """Yield it as it is printed."""
        return map(self._node, self.roots.values())

    def _node(self, found: _Record | Leaf) -> Node:
        if isinstance(found, _Record):
            return Node(record_label(found.branch), map(self._node, found.below()))
        return Node(leaf_line(found, self.state, self._is_moved))

    def document(self) -> list[dict[str, Any]]:
        """Return it for `--json`."""
        return list(map(self._document, self.roots.values()))

    def _document(self, found: _Record | Leaf) -> dict[str, Any]:
        if not isinstance(found, _Record):
            return described_instance(found, self.state)
        return {
            **record_document(found.branch),
            "records": list(map(self._document, found.below())),
        }


@define
class _Record:
    branch: Branch
    records: dict[tuple[str, str], _Record] = field(factory=dict)
    leaves: list[Leaf] = field(factory=list)

    def below(self) -> Iterator[_Record | Leaf]:
        yield from self.records.values()
        yield from self.leaves


def record_document(branch: Branch) -> dict[str, Any]:
    """Return a directory record with its elements, in the DICOM JSON model (PS3.18 Annex F)."""
    return {
        "record_type": branch.record.type,
        "key": branch.key,
        "elements": to_json(branch.record.elements),
    }


def described_instance(leaf: Leaf, state: FileSetState) -> dict[str, Any]:
    """Return an instance with the elements of its directory record."""
    return {**instance_document(leaf, state), "elements": to_json(leaf.record.elements)}


def record_label(branch: Branch) -> Parts:
    """Return a directory record as a branch of the tree."""
    name, colon, values = record_line(branch.record, branch.key).partition(":")
    return (Span(name, "title"), f"{colon}{values}")


def leaf_line(
    leaf: Leaf, state: FileSetState, is_moved: Callable[[Leaf], bool] | None = None
) -> Parts:
    """Return an instance as a leaf of the tree, with what is staged for it given `is_moved`."""
    record = leaf.record
    # The key, which takes long to find, isn't in the line of an image.
    line = record_line(record, "" if record.type == "IMAGE" else leaf.key)
    parts: list[str | Span] = [line]
    if leaf.file_id:
        parts += ["  ", Span(leaf.file_id, "command")]
    parts += ["  ", sop_class_name(leaf.sop_class_uid)]
    if content := leaf.content:
        parts += ["  ", Span(short(content.digest), "faint")]
    if is_moved and (label := _standing_label(leaf, state, is_moved)) is not None:
        parts += ["  ", label]
    return tuple(parts)


def whole(state: FileSetState) -> Forest:
    """Return all instances of `state`, those to be removed among them."""
    forest = Forest(state)
    for leaf in state.hierarchy.walk_leaves():
        forest.add(leaf)
    return forest
