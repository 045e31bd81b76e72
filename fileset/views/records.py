"""`RecordNode`: a directory record, free or in the hierarchy of a File-set.

A node that a user makes from a dataset is free: it can be given a parent, and serves to describe
the records of an instance for `FileSet.add_custom()`. A node that a File-set hands out is a
view of its hierarchy, which only the File-set changes.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydicom.dataset import Dataset

from fileset.views.view import View
from ledger.events import Record
from ledger.instances.datasets import to_elements
from ledger.tags import MANAGED
from projections.medium.layouts import component, is_alphanumeric
from projections.state.nodes import Branch, Leaf
from projections.state.outline import outline, record_line


class RecordNode(Iterable["RecordNode"]):
    """A directory record and those below it.

    Attributes
    ----------
    children : list of RecordNode
        The nodes right below.
    instance : FileInstance or None
        The instance that the record references, if it is a leaf of a File-set's hierarchy.
    """

    children: list[RecordNode]
    instance: Any
    _record: Dataset

    def __init__(self, record: Dataset | None = None) -> None:
        """Make a free node from a directory record.

        ValueError if the record lacks its type or the element that tells it from its siblings.
        """
        self.children = []
        self.instance = None
        self._parent: RecordNode | None = None
        if record:
            self._set_record(record)

    def _set_record(self, ds: Dataset) -> None:
        offset = getattr(ds, "seq_item_tell", None)
        kind = ds.get("DirectoryRecordType", None)
        missing = f"The {f'{kind} ' if kind else ''}directory record"
        missing = f"{missing} at offset {offset} is missing" if offset else f"{missing} is missing"
        if "DirectoryRecordType" not in ds:
            raise ValueError(f"{missing} one or more required elements: DirectoryRecordType")
        for keyword in (
            "OffsetOfTheNextDirectoryRecord",
            "OffsetOfReferencedLowerLevelDirectoryEntity",
        ):
            if keyword not in ds:
                setattr(ds, keyword, 0)
        ds.RecordInUseFlag = 0xFFFF
        self._record = ds
        try:
            self.key  # noqa: B018 - it raises where the record has none
        except AttributeError as exc:
            raise ValueError(f"{missing} a required element") from exc

    # --- the record ------------------------------------------------------------------------------

    @property
    def record_type(self) -> str:
        """The *Directory Record Type*."""
        return str(self._record.DirectoryRecordType)

    @property
    def key(self) -> str:
        """What tells the record from its siblings: see PS3.3 Section F.5.

        AttributeError if the record lacks the element.
        """
        ds = self._record
        match self.record_type:
            case "PATIENT":
                key = ds.PatientID
            case "STUDY" if "StudyInstanceUID" in ds:
                key = ds.StudyInstanceUID
            case "STUDY":
                key = ds.ReferencedSOPInstanceUIDInFile
            case "SERIES":
                key = ds.SeriesInstanceUID
            case "PRIVATE":
                key = ds.PrivateRecordUID
            case kind:
                if "ReferencedSOPInstanceUIDInFile" not in ds:
                    raise AttributeError(
                        f"Invalid '{kind}' record - missing required element "
                        "'Referenced SOP Instance UID in File'"
                    )
                key = ds.ReferencedSOPInstanceUIDInFile
        return key  # type: ignore[no-any-return]  # a str or pydicom UID

    @property
    def component(self) -> str:
        """The File ID component that the default layout gives the record."""
        if self.is_root:
            raise ValueError("The root node doesn't contribute a File ID component")
        return component(
            self.record_type,
            self.depth,
            self.index,
            alphanumeric=is_alphanumeric(self.file_set.state),
        )

    def file_id_path(self, root_path: Path) -> Path | None:
        """Return the *Referenced File ID* as a relative path, `None` if it has no value.

        PermissionError if it leads out of `root_path`, AttributeError if the record has none.
        """
        if "ReferencedFileID" not in self._record:
            raise AttributeError("No 'Referenced File ID' in the directory record")
        element = self._record["ReferencedFileID"]
        if element.VM < 1:
            return None
        path = Path(element.value) if element.VM == 1 else Path(*element.value)
        if path.anchor or not Path(os.path.realpath(root_path / path)).is_relative_to(root_path):
            raise PermissionError(
                f"ReferencedFileID ('{path}') must be inside the DICOMDIR root path"
            )
        return path

    # --- the tree --------------------------------------------------------------------------------

    @property
    def is_root(self) -> bool:
        """Whether this is the root of a File-set's hierarchy."""
        return False

    @property
    def has_instance(self) -> bool:
        """Whether the record references an instance of a File-set."""
        return self.instance is not None

    @property
    def file_set(self) -> Any:
        """The File-set that the hierarchy belongs to."""
        return self.root.file_set

    @property
    def parent(self) -> RecordNode | None:
        """The node above; set it to put a free node below another."""
        return self._parent

    @parent.setter
    def parent(self, node: RecordNode | None) -> None:
        if isinstance(node, _TreeNode):
            raise TypeError("Records get into a File-set by FileSet.add() or FileSet.add_custom()")
        self._parent = node
        if node is not None and self not in node.children:
            node.children.append(self)

    @property
    def root(self) -> RecordNode:
        """The top of the tree that the node is in."""
        node: RecordNode = self
        while node.parent is not None:
            node = node.parent
        return node

    @property
    def ancestors(self) -> list[RecordNode]:
        """The nodes above, the nearest first, without the root of a File-set."""
        return [node for node in self.reverse() if node is not self]

    def reverse(self) -> Iterator[RecordNode]:
        """Yield this node and those above it, without the root of a File-set."""
        node: RecordNode | None = self
        while node is not None and not node.is_root:
            yield node
            node = node.parent

    @property
    def depth(self) -> int:
        """The number of nodes above, without the root of a File-set; the root itself has -1."""
        return len(list(self.reverse())) - 1

    @property
    def index(self) -> int:
        """The node's place among its siblings, from 0."""
        return self.parent.children.index(self) if self.parent is not None else 0

    @property
    def next(self) -> RecordNode | None:
        """The sibling after this node."""
        return self._sibling(1)

    @property
    def previous(self) -> RecordNode | None:
        """The sibling before this node."""
        return self._sibling(-1)

    def _sibling(self, step: int) -> RecordNode | None:
        if self.parent is None:
            return None
        siblings, index = self.parent.children, self.index + step
        return siblings[index] if 0 <= index < len(siblings) else None

    def add(self, leaf: RecordNode) -> None:
        """Add the branch that ends in `leaf` below this free node's root, where it is new there."""
        node = leaf.root
        if node is self:
            node = node.children[0]
        current: RecordNode = self.root
        while node in current and node.children:
            current = current[node]
            node = node.children[0]
        node.parent = current

    def remove(self, node: RecordNode) -> None:
        """Remove a leaf; ValueError if `node` references no instance."""
        if not node.has_instance or node.parent is None:
            raise ValueError("Only leaf nodes can be removed")
        del node.parent[node]

    def __iter__(self) -> Iterator[RecordNode]:
        """Yield this node, unless it is the root, and all below it."""
        stack: list[RecordNode] = [self]
        while stack:
            node = stack.pop()
            if not node.is_root:
                yield node
            stack.extend(reversed(node.children))

    def __contains__(self, key: object) -> bool:
        """Whether a node right below has `key`, a key or a node."""
        wanted = key.key if isinstance(key, RecordNode) else key
        return any(child.key == wanted for child in self.children)

    def __getitem__(self, key: str | RecordNode) -> RecordNode:
        """Return the node right below with `key`, a key or a node; KeyError if there is none."""
        wanted = key.key if isinstance(key, RecordNode) else key
        for child in self.children:
            if child.key == wanted:
                return child
        raise KeyError(wanted)

    def __delitem__(self, key: str | RecordNode) -> None:
        """Remove the node right below with `key`, and this one if it is left without any."""
        gone = self[key]
        self.children = [child for child in self.children if child.key != gone.key]
        if not self.children and self.parent is not None and not self.is_root:
            del self.parent[self]

    def prettify(self, indent_char: str = "  ") -> list[str]:
        """Return the tree from this node as lines, indented with `indent_char`."""
        return [f"{indent_char * node.depth}{node}" for node in self if node.children]

    def __str__(self) -> str:
        """Return one line on the record."""
        if self.is_root:
            return "ROOT"
        return record_line(to_record(self._record), str(self.key))


class _TreeNode(RecordNode):
    """A view of one node of a File-set's hierarchy."""

    def __init__(self, view: View, node: Branch | Leaf) -> None:
        self._view = view
        self._file_set = view.file_set
        self._node = node

    @property
    def children(self) -> list[RecordNode]:
        node = self._node
        if isinstance(node, Leaf):
            return []
        return [self._view.node(child) for child in node.ordered()]

    @children.setter
    def children(self, nodes: list[RecordNode]) -> None:
        raise TypeError("Instances leave a File-set by FileSet.remove()")

    @property
    def instance(self) -> Any:
        return self._view.instance(self._node.handle) if isinstance(self._node, Leaf) else None

    @property
    def _record(self) -> Dataset:  # type: ignore[override]  # computed, not kept
        return self._view.dataset(self._node)

    @property
    def record_type(self) -> str:
        return self._node.record.type

    @property
    def key(self) -> str:
        return self._node.key

    @property
    def file_set(self) -> Any:
        return self._file_set

    @property
    def parent(self) -> RecordNode | None:
        parent = self._node.parent
        return self._view.node(parent) if parent is not None else None

    @parent.setter
    def parent(self, node: RecordNode | None) -> None:
        raise TypeError("Records get into a File-set by FileSet.add() or FileSet.add_custom()")

    @property
    def index(self) -> int:
        if self._node.parent is None:
            return 0
        self._node.parent.renumber()
        return self._node.index

    def add(self, leaf: RecordNode) -> None:
        raise TypeError("Records get into a File-set by FileSet.add() or FileSet.add_custom()")

    def __delitem__(self, key: str | RecordNode) -> None:
        """Stage the removal of every instance at or below the node with `key`."""
        self._file_set.remove([n.instance for n in self[key] if n.instance is not None])

    def prettify(self, indent_char: str = "  ") -> list[str]:
        nodes = [(node.depth, node._node) for node in self if isinstance(node, _TreeNode)]  # noqa: SLF001 - of this class
        return list(outline(nodes, self._file_set.state.corrections, indent_char))

    def __str__(self) -> str:
        return "ROOT" if self.is_root else record_line(self._node.record, self.key)


class RootNode(_TreeNode):
    """The root of a File-set's hierarchy."""

    def __init__(self, view: View) -> None:
        """Make the view of the root that `view` has."""
        super().__init__(view, view.state.hierarchy.root)

    @property
    def is_root(self) -> bool:
        """Whether this is the root: it is."""
        return True

    @property
    def _record(self) -> Dataset:  # type: ignore[override]  # as above
        raise AttributeError("'RootNode' object has no attribute '_record'")

    @property
    def key(self) -> str:
        return str(self._record)

    @property
    def record_type(self) -> str:
        return str(self._record)


def tree_node(view: View, node: Branch | Leaf) -> RecordNode:
    """Return a view of `node`."""
    return (
        RootNode(view)
        if node.parent is None and isinstance(node, Branch)
        else _TreeNode(view, node)
    )


def to_record(ds: Dataset) -> Record:
    """Return a directory record's dataset as the journal keeps it."""
    return Record(str(ds.DirectoryRecordType), to_elements(ds, without=MANAGED))
