"""Whether a file is a SOP Instance, and whole: its header and the lengths of all its elements.

The first bytes of most files are enough. A large file for which they are not is gone through from
element to element, without its values.
"""

from __future__ import annotations

import os
from io import FileIO
from typing import Final

from ledger.digest import digest_of
from ledger.errors import InstanceError, NotDicomError
from ledger.events import Content
from ledger.files import LARGE, FileView, naming, open_content, open_regular
from ledger.instances.file_meta import is_dicom
from ledger.instances.instance import Instance, read_head, read_instance, read_large

_HEAD: Final = 1 << 15  # bytes, in which most headers are


def sound_instance(path: str) -> Instance:
    """Return the instance in the regular file at `path`, once it is known to be whole.

    Raises OSError, or InstanceError as `read_instance` does.
    """
    with naming(path), FileIO(open_regular(path)) as file:
        return instance_in(FileView(file.fileno(), os.fstat(file.fileno()).st_size))


def content_and_instance(path: str) -> tuple[Content, Instance | InstanceError]:
    """Return the digest and size of the file at `path`, and the instance or why it is none.

    OSError if it can't be read.
    """
    with naming(path), FileIO(open_regular(path)) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.readall() if size < LARGE else None
        if data is None:
            content = open_content(file.fileno())
        else:
            content = Content(digest_of(data), len(data))
        try:
            if data is None:
                return content, read_large(FileView(file.fileno(), size))
            return content, whole_instance(data)
        except InstanceError as exc:
            return content, exc


def whole_instance(data: bytes) -> Instance:
    """Return the instance whose file `data` is, once it is known to be whole."""
    if not data:
        raise NotDicomError("it is empty")
    return read_head(data[:_HEAD], len(data)) or read_instance(data)


def instance_in(view: FileView) -> Instance:
    """Return the instance in a file, once it is known to be whole; raises as `sound_instance`."""
    if len(view) >= LARGE:
        return read_large(view)
    head = view[:_HEAD]
    if not head:
        raise NotDicomError("it is empty")
    if not is_dicom(head):
        return read_instance(head)  # which raises
    return read_head(head, len(view)) or read_instance(view[:])
