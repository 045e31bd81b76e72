"""`FileInstance`: one SOP Instance of a File-set."""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, Final, cast

from pydicom.datadict import tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.filereader import dcmread
from pydicom.tag import BaseTag, Tag
from pydicom.uid import UID

from fileset.errors import ClosedError, NoSuchInstanceError
from fileset.values import value_text
from fileset.views import notebook
from fileset.views.records import RecordNode
from fileset.views.view import DIRECTORY_GROUP, View
from ledger.events import Handle
from ledger.phrases import count
from ledger.tags import PATIENT_ID
from projections.medium.layouts import file_id
from projections.state.nodes import Branch, Leaf

if TYPE_CHECKING:
    from PIL.Image import Image

_REFERENCED: Final = {
    0x00080018: BaseTag(0x00041511),  # SOP Instance UID
    0x00080016: BaseTag(0x00041510),  # SOP Class UID
    0x00020010: BaseTag(0x00041512),  # Transfer Syntax UID
}


def is_of_reference(tag: int) -> bool:
    """Whether an element is answered by what a record has besides its instance's elements."""
    return tag in _REFERENCED or tag >> 16 == DIRECTORY_GROUP


LARGE_VALUE: Final = 1 << 20
"""Bytes of a value above which a search leaves it in its file, unless it is asked for."""


class FileInstance:
    """A SOP Instance of a File-set.

    The elements of its directory records are attributes by keyword and items by keyword or tag;
    the lowest record that has an element answers for it.
    """

    def __init__(self, view: View, handle: Handle) -> None:
        """Make the one that stands for the instance `handle`; File-sets do this."""
        self._view = view
        self._file_set = view.file_set
        self._handle = handle
        self._rollbacks = len(view.repository.rollbacks)

    @property
    def is_current(self) -> bool:
        """Whether the File-set knows this instance still.

        It does not after it was cleared or another one was loaded into it, or if the change that
        added the instance was taken back by an exception: its handle is then another one's.
        """
        rollbacks, known = self._view.repository.rollbacks, self._rollbacks
        return self._view.is_shown and (
            len(rollbacks) == known
            or all(self._handle <= position for position in rollbacks[known:])
        )

    @property
    def _leaf(self) -> Leaf:
        if not self.is_current:
            raise NoSuchInstanceError("No such instance in the File-set")
        leaf = self._view.state.hierarchy.leaves.get(self._handle)
        if leaf is None:
            raise NoSuchInstanceError("No such instance in the File-set: it was erased")
        return leaf

    def __repr__(self) -> str:
        """Return what the instance is, in a line."""
        if not self.is_current:
            return "<FileInstance of a change that was taken back>"
        try:
            leaf, standing = self._leaf, ""
        except ClosedError:
            return "<FileInstance of a File-set that was closed>"
        except NoSuchInstanceError:
            return "<FileInstance that was erased>"
        if leaf.is_addition:
            corrects = leaf in self._view.state.corrections
            standing = ", to be corrected" if corrects else ", to be added"
        elif not leaf.is_live:
            standing = ", to be removed" if leaf.is_removal else ", removed"
        return f"<FileInstance {leaf.record_type} {leaf.uid}{standing}>"

    def _repr_html_(self) -> str:
        rows = (
            (node.record.type, element.keyword or element.tag, _shown(element))
            for node in reversed(self._records())
            for element in self._view.dataset(node)
            if element.tag.group != DIRECTORY_GROUP
        )
        return notebook.table(["record", "element", "value"], rows, title=repr(self)[1:-1])

    def in_short(self) -> tuple[str, str, str]:
        """Return in a few words what the instance is: its SOP class, patient and UID."""
        leaf = self._leaf
        patient = self._element(PATIENT_ID)
        return UID(leaf.sop_class_uid).name, value_text(patient) if patient else "", leaf.uid

    def _records(self) -> list[Branch | Leaf]:
        """Return the instance's directory records, from its own upwards; none without one."""
        found: list[Branch | Leaf] = []
        node: Branch | Leaf | None = None
        with suppress(ClosedError, NoSuchInstanceError):
            node = self._leaf
        while node is not None and node.record.type:
            found.append(node)
            node = node.parent or node.home
        return found

    def __dir__(self) -> Iterable[str]:
        """Return the attributes, keywords of the directory records' elements among them."""
        return {*super().__dir__(), *self._ipython_key_completions_()}

    def _ipython_key_completions_(self) -> list[str]:
        """Return the keywords that the instance can be asked for, for those who press Tab."""
        return sorted({each for node in self._records() for each in self._view.dataset(node).dir()})

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle what leads to the instance: its File-set, see there, and its handle."""
        return type(self.file_set).instance, (self.file_set, self._handle)

    @property
    def handle(self) -> Handle:
        """The position of the event that added the instance, its name in the journal."""
        return self._handle

    @property
    def node(self) -> RecordNode:
        """The directory record that references the instance."""
        return cast("RecordNode", self._view.node(self._leaf))

    @property
    def file_set(self) -> Any:
        """The File-set that the instance belongs to."""
        return self._file_set

    # --- elements --------------------------------------------------------------------------------

    def _element(self, tag: int) -> DataElement | None:
        """Return the element with `tag` of the lowest of the instance's directory records."""
        look_up = self._view.element
        node: Branch | Leaf | None = self._leaf
        while node is not None and node.record.type:
            if (element := look_up(node, tag)) is not None:
                return element
            node = node.parent or node.home
        return None

    def __getattr__(self, name: str) -> Any:
        """Return the value of the element with the keyword `name`."""
        tag = None if name.startswith("_") else tag_for_keyword(name)
        if tag is not None and (element := self._element(tag)) is not None:
            return element.value
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __getitem__(self, key: str | int) -> DataElement:
        """Return the element with the keyword or tag `key`; KeyError if no record has it.

        SOP Instance, SOP Class and Transfer Syntax UID are answered by the Referenced ... elements.
        """
        tag = key if isinstance(key, BaseTag) else Tag(key)
        tag = _REFERENCED.get(tag, tag)
        element = self._element(int(tag))
        if element is None:
            raise KeyError(tag)
        return element

    def __contains__(self, key: str | int) -> bool:
        """Whether one of the records has the element with the keyword or tag `key`."""
        try:
            self[key]
        except KeyError:
            return False
        return True

    @property
    def SOPClassUID(self) -> UID:  # noqa: N802 - the element's keyword
        """The *SOP Class UID* of the instance."""
        return UID(self._leaf.sop_class_uid)

    @property
    def SOPInstanceUID(self) -> UID:  # noqa: N802 - the element's keyword
        """The *SOP Instance UID* of the instance."""
        return UID(self._leaf.uid)

    @property
    def TransferSyntaxUID(self) -> UID:  # noqa: N802 - the element's keyword
        """The *Transfer Syntax UID* of the instance."""
        return UID(self._leaf.transfer_syntax_uid)

    # --- where it is -----------------------------------------------------------------------------

    @property
    def FileID(self) -> str:  # noqa: N802 - pydicom's name
        """The File ID that the default layout gives the instance, with the system's separator."""
        return os.fspath(PurePosixPath(file_id(self._leaf, self._view.state))).replace("/", os.sep)

    @property
    def path(self) -> str:
        """The path of the instance's file: on the medium, or a copy of what is staged."""
        return os.fspath(self._view.contents.path(self._leaf))

    def load(self, *, defer_size: int | None = None) -> Dataset:
        """Return the instance as pydicom reads it.

        Values of more than `defer_size` bytes are left in the file until they are asked for.
        """
        return dcmread(self._view.contents.readable(self._leaf), defer_size=defer_size)

    def picture(self, frame: int | None = None, *, longest: int | None = None) -> Image:
        """Return a frame of the image as people look at it, with the extra `[pictures]`.

        It is a grey or RGB picture with the window that the instance has itself. `frame` counts
        from 0; by default it is the representative one, or one a third of the way in. A picture
        with a side of more than `longest` pixels is made smaller.

        Raises `fileset.pictures.PictureError` if the extra is missing, or if it can't be decoded.
        """
        from fileset.pictures import picture  # noqa: PLC0415 - most programs look at none

        with self._view.contents.place(self._leaf) as path:
            return picture(path, frame=frame, longest=longest)

    # --- what is staged --------------------------------------------------------------------------

    @property
    def is_private(self) -> bool:
        """Whether a PRIVATE record references the instance."""
        return self._leaf.record_type == "PRIVATE"

    @property
    def is_staged(self) -> bool:
        """Whether the instance is staged to be added, moved or removed."""
        return self.for_addition or self.for_moving or self.for_removal

    @property
    def for_addition(self) -> bool:
        """Whether the next write will add the instance."""
        return self._leaf.is_addition

    @property
    def for_removal(self) -> bool:
        """Whether the next write will take the instance off the medium."""
        return self._leaf.is_removal

    @property
    def for_moving(self) -> bool:
        """Whether the instance lies elsewhere than the default layout has it."""
        leaf = self._leaf
        return leaf.file_id is not None and leaf.file_id != file_id(leaf, self._view.state)


def _shown(element: DataElement) -> str:
    """Return the value of an element as text; of what is no text, how much it is."""
    if element.VR == "SQ":
        return count(len(element.value or ()), "item")
    if isinstance(element.value, bytes):
        return count(len(element.value), "byte")
    return value_text(element)
