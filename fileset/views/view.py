"""The File-set in which a program's instances and directory records are looked up."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Any, Final, TypeAlias
from weakref import ref

from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from fileset.errors import ClosedError
from fileset.repository.contents import Contents
from fileset.repository.repository import Repository
from fileset.values import readable_element
from ledger.elements import Element, encode, iterate, tag_bytes
from ledger.events import Handle
from ledger.instances.datasets import to_dataset
from ledger.tags import (
    IN_USE_FLAG,
    LOWER_OFFSET,
    NEXT_OFFSET,
    RECORD_TYPE,
    REFERENCED_FILE_ID,
    REFERENCED_SOP_CLASS_UID,
    REFERENCED_SOP_INSTANCE_UID,
    REFERENCED_TRANSFER_SYNTAX_UID,
)
from projections.state.nodes import Branch, Leaf
from projections.state.search import all_in_order
from projections.state.state import FileSetState

_DATASETS_KEPT: Final = 4096  # directory records decoded as a whole
_ELEMENTS_KEPT: Final = 1 << 19  # elements of records decoded one by one
DIRECTORY_GROUP: Final = 0x0004  # of what a record has besides its instances' elements

MakeNode: TypeAlias = Callable[["View", Branch | Leaf], Any]
MakeInstance: TypeAlias = Callable[["View", Handle], Any]


class View:
    """The state that a File-set presents, and the one object for each node and instance of it.

    Attributes
    ----------
    file_set : FileSet
        Whose view this is; it makes the changes that nodes and instances are asked for. They hold
        it, and the view doesn't: a File-set that nobody holds goes at once, and its files with it.
    fixed : FileSetState or None
        A state of the past, or one that is foreseen; `None` for the present one.
    is_shown : bool
        Whether the File-set has not become another one since.
    is_closed : bool
        Whether `close` was called.
    is_foreseen : bool
        Whether the state is one that the journal doesn't have.
    """

    def __init__(
        self,
        file_set: Any,
        repository: Repository,
        *,
        make_node: MakeNode,
        make_instance: MakeInstance,
    ) -> None:
        self._file_set = ref(file_set)
        self.repository = repository
        self.contents = Contents(repository)
        self.fixed: FileSetState | None = None
        self.is_shown = True
        self.is_closed = False
        self.is_foreseen = False
        self._make_node = make_node
        self._make_instance = make_instance
        self.forget()

    def forget(self) -> None:
        """Forget all that was made of the state: some of it may be erased."""
        self._known: FileSetState | None = None
        self._nodes: dict[Branch | Leaf, Any] = {}
        self._instances: dict[Handle, Any] = {}
        self._ordered: tuple[object, list[Any]] | None = None
        self._datasets = lru_cache(_DATASETS_KEPT)(
            lambda node, _record, _file_id: record_dataset(node)
        )
        self._elements: dict[tuple[Branch | Leaf, int], tuple[bytes, DataElement | None]] = {}

    @property
    def file_set(self) -> Any:
        """Whose view this is."""
        return self._file_set()

    @property
    def state(self) -> FileSetState:
        """The state that is looked at; `ClosedError` once that or its repository was closed."""
        if self.fixed is None:
            return self.repository.state
        self.refuse_if_closed()
        return self.fixed

    def refuse_if_closed(self) -> None:
        """Raise `ClosedError` if this, or the repository, was closed."""
        self.repository.store.refuse_if_closed()
        if self.is_closed:
            raise ClosedError("The File-set was closed: ask for it again.")

    def close(self) -> None:
        """Show nothing any more; the repository is closed by who shows its present state."""
        self.is_closed = True
        if self.fixed is None:
            self.repository.close()

    def node(self, node: Branch | Leaf) -> Any:
        """Return the one `RecordNode` that stands for `node` of the hierarchy."""
        self._let_go_of_old_nodes()
        made = self._nodes.get(node)
        if made is None:
            made = self._nodes[node] = self._make_node(self, node)
        return made

    def _let_go_of_old_nodes(self) -> None:
        if self._known is not self.state:  # folded anew: all its nodes are other objects
            self._known, self._nodes = self.state, {}
            self._elements.clear()

    def instance(self, handle: Handle) -> Any:
        """Return the one `FileInstance` that stands for the instance `handle`."""
        made = self._instances.get(handle)
        if made is None or not made.is_current:
            made = self._instances[handle] = self._make_instance(self, handle)
        return made

    def instances(self) -> list[Any]:
        """Return the objects that stand for the `leaves`, in their order."""
        state = self.state
        mark = (state, state.revision, state.position, len(self.repository.rollbacks))
        if self._ordered is None or self._ordered[0] != mark:
            self._ordered = (mark, [self.instance(leaf.handle) for leaf in all_in_order(state)])
        return self._ordered[1]

    def element(self, node: Branch | Leaf, tag: int) -> DataElement | None:
        """Return an element of the directory record of `node`, alone; `None` without one.

        It is the same object, as long as the record is the same and not too many others are
        asked for.
        """
        held = node.packed if isinstance(node, Leaf) else node.record.elements
        if held.find(tag_bytes(tag)) < 0 and tag >> 16 != DIRECTORY_GROUP:
            return None
        kept = self._elements.get((node, tag))
        if kept is not None and kept[0] is held:
            return kept[1]
        if tag >> 16 == DIRECTORY_GROUP:
            return self.dataset(node).get(BaseTag(tag))
        self._let_go_of_old_nodes()
        if len(self._elements) >= _ELEMENTS_KEPT:
            self._elements.clear()
        element = readable_element(node.record.elements, tag)
        self._elements[node, tag] = held, element
        return element

    def dataset(self, node: Branch | Leaf) -> Dataset:
        """Return the directory record of `node` as a dataset."""
        return self._datasets(node, node.record, node.file_id if isinstance(node, Leaf) else None)


def record_dataset(node: Branch | Leaf) -> Dataset:
    """Return the directory record of `node` as a dataset, its offsets zero."""
    zero = struct.pack("<I", 0)
    found: list[Element] = [
        *iterate(node.record.elements),
        Element(NEXT_OFFSET, "UL", zero),
        Element(IN_USE_FLAG, "US", b"\xff\xff"),
        Element(LOWER_OFFSET, "UL", zero),
        Element(RECORD_TYPE, "CS", node.record.type.encode("ascii", "replace")),
    ]
    if isinstance(node, Branch):
        return to_dataset(encode(found))
    file_id = (node.file_id or "").replace("/", "\\")
    references = (
        (REFERENCED_FILE_ID, "CS", file_id),
        (REFERENCED_SOP_CLASS_UID, "UI", node.sop_class_uid),
        (REFERENCED_SOP_INSTANCE_UID, "UI", node.uid),
        (REFERENCED_TRANSFER_SYNTAX_UID, "UI", node.transfer_syntax_uid),
    )
    found += (Element(tag, vr, text.encode("ascii", "replace")) for tag, vr, text in references)
    ds = to_dataset(encode(found))
    if not file_id:
        ds.ReferencedFileID = None
    return ds
