"""Directory records that look as one before them did, read at once.

The records of a series have the same tags, VRs and lengths, one after the other. So a decoder
remembers the shapes of records, with the values masked out in which they differ. Where the bytes of
a record are the same under the mask, taking it apart would find the same elements: one comparison
takes the place of that. What this changes is only how long it takes.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import Any, Final, NamedTuple

from ledger.tags import (
    LOWER_OFFSET,
    MANAGED,
    NEXT_OFFSET,
    REFERENCED_FILE_ID,
    REFERENCED_SOP_INSTANCE_UID,
)
from projections.dicomdir.decoded_directory import DecodedRecord, components, text

_VARIANTS: Final = 4  # shapes of one length, the newest first
_MAX_SIZE: Final = 4096  # bytes of a record that are compared
_OWN: Final = (NEXT_OFFSET, LOWER_OFFSET, REFERENCED_FILE_ID, REFERENCED_SOP_INSTANCE_UID)
"""Of what the writer of a DICOMDIR sets, that in which the records of a series differ."""

_header = Struct("<HHxxH").unpack_from
_from_bytes = int.from_bytes
_new = tuple.__new__  # of a named tuple: its own constructor takes twice as long


class _Shape(NamedTuple):
    """A record `like` those whose bytes are `fixed` under a `mask`, both as numbers.

    `values` takes those of the elements `_OWN`, empty where there is none, and all unmanaged ones.
    """

    mask: int
    fixed: int
    values: Callable[[bytes, int], tuple[Any, ...]]
    like: DecodedRecord


class Shapes:
    """The shapes that records of a DICOMDIR had, by how many bytes their elements take."""

    def __init__(self) -> None:
        self._by_size: dict[int, tuple[_Shape, ...]] = {}
        self._misses: dict[int, int] = {}

    def read(self, data: bytes, offset: int, start: int, stop: int) -> DecodedRecord | None:
        """Return the record at `offset`, whose elements are from `start` to `stop`.

        `None` if no shape is known that it has.
        """
        shapes = self._by_size.get(stop - start)
        if shapes is None:
            return None
        number = _from_bytes(data[start:stop], "little")
        for mask, fixed, values, like in shapes:
            if number & mask == fixed:
                next_offset, lower_offset, file_id, uid, elements = values(data, start)
                _, _, _, in_use, kind, _, of_file, sop_class, of_instance, syntax, _ = like
                record = (
                    offset,
                    next_offset,
                    lower_offset,
                    in_use,
                    kind,
                    elements,
                    None if of_file is None else components(file_id),
                    sop_class,
                    None if of_instance is None else text(uid),
                    syntax,
                    (),
                )
                return _new(DecodedRecord, record)
        return None

    def learn(self, data: bytes, start: int, stop: int, record: DecodedRecord) -> None:
        """Remember the shape of a record whose elements all have 16-bit lengths, now and then.

        What never comes again costs little so.
        """
        size = stop - start
        misses = self._misses[size] = self._misses.get(size, 0) + 1
        if not misses & (misses - 1) and size <= _MAX_SIZE:
            others = self._by_size.get(size, ())[: _VARIANTS - 1]
            self._by_size[size] = (_shape(data[start:stop], record), *others)


def _shape(data: bytes, record: DecodedRecord) -> _Shape:
    mask = bytearray()
    own = dict.fromkeys(_OWN, "0s")
    end = rest = len(data)
    form, taken, at = "<", 0, 0
    while at < end:
        group, number, length = _header(data, at)
        tag, value, at = group << 16 | number, at + 8, at + 8 + length
        is_alike = tag in MANAGED and tag not in _OWN
        mask += b"\xff" * 8 + (b"\xff" if is_alike else b"\0") * length
        if tag in _OWN:
            form_of = "I" if tag in {NEXT_OFFSET, LOWER_OFFSET} else f"{length}s"
            own[tag] = f"{value - taken}x{form_of}"
            taken = at
        elif tag not in MANAGED:
            rest = min(rest, value - 8)
    form += "".join(own.values()) + f"{rest - taken}x{end - rest}s"
    number = _from_bytes(mask, "little")
    fixed = _from_bytes(data, "little") & number
    return _Shape(number, fixed, Struct(form).unpack_from, record)
