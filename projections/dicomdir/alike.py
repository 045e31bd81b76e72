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

from ledger.elements import canonical, iterate_items, read_header
from ledger.errors import ElementsError
from ledger.tags import LOWER_OFFSET, NEXT_OFFSET, REFERENCED_FILE_ID, REFERENCED_SOP_INSTANCE_UID
from projections.dicomdir.decoded_directory import DecodedRecord, components, text

_VARIANTS: Final = 4  # shapes of one length, the newest first
_MAX_SIZE: Final = 1 << 14  # bytes of a record that are compared: some have a small image
_LINKS: Final = (NEXT_OFFSET, LOWER_OFFSET)
_OWN: Final = (*_LINKS, REFERENCED_FILE_ID, REFERENCED_SOP_INSTANCE_UID)
"""Of what the writer of a DICOMDIR sets, that in which the records of a series differ."""

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
        """Remember the shape of a record, now and then: what never comes again costs little so."""
        size = stop - start
        misses = self._misses[size] = self._misses.get(size, 0) + 1
        if misses & (misses - 1) or size > _MAX_SIZE:
            return
        try:
            shape = _shape(data[start:stop], record)
        except ElementsError:
            return
        if shape is not None:
            self._by_size[size] = (shape, *self._by_size.get(size, ())[: _VARIANTS - 1])


def _shape(data: bytes, record: DecodedRecord) -> _Shape | None:
    """Return the shape of a `record` whose elements are `data`.

    `None` if it does not hold them as they stand: the managed ones, and behind these all others.
    """
    rest = len(data) - len(record.elements)
    if record.left_out or canonical(data) != data or data[rest:] != record.elements:
        return None
    mask = bytearray(_mask(data))
    own = dict.fromkeys(_OWN, "0s")
    taken = at = 0
    while at < rest:
        tag, _, length, start = read_header(data, at, rest)
        at = start + length
        if tag in _OWN:
            is_link = tag in _LINKS and length == 4
            own[tag] = f"{start - taken}x{'I' if is_link else f'{length}s'}"
            taken = at
        else:
            mask[start:at] = b"\xff" * length
    if not all(own[tag].endswith("I") for tag in _LINKS):
        return None
    form = f"<{''.join(own.values())}{rest - taken}x{len(data) - rest}s"
    number = _from_bytes(mask, "little")
    fixed = _from_bytes(data, "little") & number
    return _Shape(number, fixed, Struct(form).unpack_from, record)


def _mask(data: bytes) -> bytes:
    """Return a mask of canonical elements that leaves out their values, as deep as they go."""
    parts: list[bytes] = []
    offset, end = 0, len(data)
    while offset < end:
        _, code, length, start = read_header(data, offset, end)
        stop = start + length
        parts.append(b"\xff" * (start - offset))
        if code == b"SQ":
            parts += [b"\xff" * 8 + _mask(item) for item in iterate_items(data[start:stop])]
        else:
            parts.append(bytes(length))
        offset = stop
    return b"".join(parts)
