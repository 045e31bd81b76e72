"""What the journal says of an instance once and for all, in few bytes.

A File-set may have a million instances. Objects for a record, a content and their texts would take
three times as much of each, and the garbage collector would look at all of them.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from sys import intern
from typing import Final, NamedTuple

from ledger.digest import from_raw, to_raw
from ledger.elements import Elements
from ledger.events import Content, Placement, Record


class Kind(NamedTuple):
    """What very many instances have in common."""

    sop_class_uid: str
    transfer_syntax_uid: str
    record_type: str
    placement: Placement


kind = lru_cache(maxsize=1024)(Kind)
"""Return a `Kind`, mostly the same object for the same values."""

_LENGTHS: Final = struct.Struct("<III")  # of the size as a number, elements and unwritten ones
_DIGEST: Final = 32


def pack(record: Record, content: Content | None, name: str) -> bytes:
    """Return the elements of `record`, `content` and a file's `name` as bytes."""
    digest = size = b""
    if content is not None:
        digest = to_raw(content.digest)
        size = content.size.to_bytes(content.size.bit_length() // 8 + 1, "little")
    lengths = _LENGTHS.pack(len(size), len(record.elements), len(record.unwritten))
    file = name.encode("utf-8", "surrogatepass")
    return b"".join((lengths, digest, size, record.elements, record.unwritten, file))


def record_in(facts: bytes, record_type: str) -> Record:
    """Return the record, which is of the type `record_type`."""
    start, of_elements, of_unwritten = _bounds(facts)
    middle = start + of_elements
    unwritten = facts[middle : middle + of_unwritten]
    return Record(record_type, Elements(facts[start:middle]), Elements(unwritten))


def content_in(facts: bytes) -> Content | None:
    """Return the content, `None` if it is not known."""
    start, _, _ = _bounds(facts)
    first = _LENGTHS.size
    if start == first:
        return None
    size = int.from_bytes(facts[first + _DIGEST : start], "little")
    return Content(from_raw(facts[first : first + _DIGEST]), size)


def name_in(facts: bytes) -> str:
    """Return the file's name."""
    return facts[sum(_bounds(facts)) :].decode("utf-8", "surrogatepass")


def _bounds(facts: bytes) -> tuple[int, int, int]:
    """Return where the elements begin, and how many bytes these and the unwritten ones are."""
    of_size, of_elements, of_unwritten = _LENGTHS.unpack_from(facts)
    start = _LENGTHS.size + (_DIGEST + of_size if of_size else 0)
    return start, of_elements, of_unwritten


def split(path: str) -> tuple[str, str]:
    """Return the folder of a path, which is one object for all paths in it, and the name."""
    end = path.rfind("/") + 1
    return intern(path[:end]), path[end:]
