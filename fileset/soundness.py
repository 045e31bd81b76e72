"""Whether a file is a SOP Instance, and whole: its header and the lengths of all its elements.

Of most files the first bytes tell; a large one of which they don't is read in growing pieces, and
never mapped into memory: on a medium that goes, or while it is written, it may end at any time.
"""

from __future__ import annotations

import errno
import hashlib
import os
from contextlib import suppress
from io import FileIO
from typing import Final

from ledger.digest import digest_of, from_raw
from ledger.errors import InstanceError, NotDicomError, TruncatedError
from ledger.events import Content
from ledger.files import naming, open_regular
from ledger.instance import Instance, read_head, read_instance

_PREFIX: Final = slice(128, 132)  # of "DICM" behind the preamble (PS3.10 Section 7.1)
_HEAD: Final = 1 << 15  # bytes, in which most headers are
_LARGE: Final = 1 << 26  # bytes that are read at once


def sound_instance(path: str) -> Instance:
    """Return the instance in the regular file at `path`, once it is known to be whole.

    Raises OSError, or InstanceError as :func:`~ledger.instance.read_instance` does.
    """
    with naming(path), FileIO(open_regular(path)) as file:
        return _instance(file, os.fstat(file.fileno()).st_size)


def content_and_instance(path: str) -> tuple[Content, Instance | InstanceError]:
    """Return the digest and size of the file at `path`, and the instance or why it is none.

    OSError if it can't be read.
    """
    with naming(path), FileIO(open_regular(path)) as file:
        size = os.fstat(file.fileno()).st_size
        if size <= _LARGE:
            data = file.readall()
            content = Content(digest_of(data), len(data))
        else:
            hasher = hashlib.file_digest(file, "sha256")
            content = Content(from_raw(hasher.digest()), file.tell())
        try:
            if size <= _LARGE:
                return content, _whole(data)
            file.seek(0)
            return content, _instance(file, size)
        except InstanceError as exc:
            return content, exc


def _whole(data: bytes) -> Instance:
    if not data:
        raise NotDicomError("it is empty")
    return read_head(data[:_HEAD], len(data)) or read_instance(data)


def _instance(file: FileIO, size: int) -> Instance:
    head = file.read(_HEAD) or b""
    if not head:
        raise NotDicomError("it is empty")
    if head[_PREFIX] != b"DICM":
        return read_instance(head)  # which raises
    instance = read_head(head, size)
    if instance is not None:
        return instance
    try:
        return _by_pieces(file, head, size)
    except MemoryError as exc:
        raise OSError(errno.ENOMEM, f"{size:,} bytes are too many for the memory") from exc


def _by_pieces(file: FileIO, data: bytes, size: int) -> Instance:
    """Read on until the instance is whole or plainly none: a size alone may promise anything."""
    while len(data) < size and (piece := file.read(max(_LARGE, len(data)))):
        data += piece
        if len(data) >= size:
            break
        with suppress(TruncatedError):
            read_instance(data)
    return read_instance(data)
