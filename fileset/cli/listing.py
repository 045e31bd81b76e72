"""Instances as lines, and as the leaves of a tree of their directory records."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, TypeAlias

from attrs import define, field

from fileset.cli.documents import instance_document, short, sop_class_name, standing
from fileset.cli.output import Line, Node, Span, columns
from projections.hierarchy import Branch, Leaf
from projections.layouts import file_id
from projections.outline import record_line
from projections.state import FileSetState

_STANDINGS: Final = {
    "addition": Span("to be added", "good"),
    "removal": Span("to be removed", "bad"),
    "move": Span("to be moved", "careful"),
}


def instance_lines(leaves: Iterable[Leaf], state: FileSetState) -> Iterator[Line]:
    """Yield a line for each instance: File ID, SOP Instance UID, SOP class, what is staged."""
    return columns(
        (
            leaf.file_id or "(not on the medium)",
            leaf.uid,
            sop_class_name(leaf.sop_class_uid),
            _STANDINGS.get(standing(leaf, state) or "", ""),
        )
        for leaf in leaves
    )


def _standing_label(leaf: Leaf, state: FileSetState) -> Span | None:
    """Return what is staged for an instance, in words."""
    staged = standing(leaf, state)
    if staged is None:
        return None
    label = _STANDINGS[staged]
    return (
        label._replace(text=f"{label.text} to {file_id(leaf, state)}")
        if staged == "move"
        else label
    )


LeafLabel: TypeAlias = Callable[[Leaf], Line]


@define
class Forest:
    """Directory records above instances, put together from each instance's own line of records.

    The instances may come from different states: records are the same that have the same type and
    key, below the same records.
    """

    roots: dict[tuple[str, str], _Record] = field(factory=dict)

    def add(self, leaf: Leaf, label: Line, document: dict[str, Any]) -> None:
        """Add an instance below its records."""
        level, children = self.roots, None
        for branch in _above(leaf):
            key = (branch.record.type, branch.key)
            record = level.get(key)
            if record is None:
                record = level[key] = _Record(branch.record.type, branch.key, _line(branch))
            level, children = record.records, record.leaves
        if children is None:  # an instance without records above it stands for itself
            record = level["", leaf.uid] = _Record(leaf.record.type, leaf.uid, label)
            record.document = document
        else:
            children.append((label, document))

    def nodes(self) -> list[Node]:
        """Return it as it is printed."""
        return [record.node() for record in self.roots.values()]

    def document(self) -> list[dict[str, Any]]:
        """Return it for ``--json``."""
        return [record.to_document() for record in self.roots.values()]


@define
class _Record:
    type: str
    key: str
    label: Line
    records: dict[tuple[str, str], _Record] = field(factory=dict)
    leaves: list[tuple[Line, dict[str, Any]]] = field(factory=list)
    document: dict[str, Any] | None = None

    def node(self) -> Node:
        below = [record.node() for record in self.records.values()]
        return Node(self.label, [*below, *(Node(label) for label, _ in self.leaves)])

    def to_document(self) -> dict[str, Any]:
        if self.document is not None:
            return self.document
        return {
            "record_type": self.type,
            "key": self.key,
            "records": [record.to_document() for record in self.records.values()]
            + [document for _, document in self.leaves],
        }


def _line(branch: Branch) -> Line:
    kind, colon, told = record_line(branch.record, branch.key).partition(":")
    return (Span(kind, "title"), colon + told)


def _above(leaf: Leaf) -> list[Branch]:
    """Return the records above an instance, from the top down."""
    found = []
    branch: Branch | None = leaf.parent or leaf.home
    while branch is not None and branch.record.type:
        found.append(branch)
        branch = branch.parent or branch.home
    return found[::-1]


def leaf_line(leaf: Leaf, state: FileSetState, *, staged: bool = True) -> Line:
    """Return an instance as a leaf of the tree, with what is staged for it unless told not to."""
    parts: list[str | Span] = [record_line(leaf.record, leaf.key)]
    if leaf.file_id:
        parts += ["  ", Span(leaf.file_id, "command")]
    parts += ["  ", sop_class_name(leaf.sop_class_uid)]
    if leaf.content:
        parts += ["  ", Span(short(leaf.content.digest), "faint")]
    if staged and (label := _standing_label(leaf, state)) is not None:
        parts += ["  ", label]
    return tuple(parts)


def whole(state: FileSetState) -> Forest:
    """Return all instances of `state`, those to be removed among them."""
    forest = Forest()
    for leaf in state.hierarchy.walk_leaves():
        forest.add(leaf, leaf_line(leaf, state), instance_document(leaf, state))
    return forest
