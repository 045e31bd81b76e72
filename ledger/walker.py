"""Walking encoded data sets by their lengths: where each element ends, and whether it is all there.

The walk knows Explicit and Implicit VR in both byte orders (PS3.5 Section 7.1) and sequences of
undefined length (Section 7.5). Where real files leave the Standard, it goes the way that pydicom's
reader goes. It is the thorough counterpart of :mod:`ledger.scanner`'s fast loops, which call it for
values of undefined length and whenever they meet anything odd.
"""

from __future__ import annotations

import re
import struct
from mmap import mmap
from typing import Final, TypeAlias

from ledger.elements import (
    ITEM,
    ITEM_DELIMITER,
    KNOWN_VRS,
    LONG_VRS,
    MAX_DEPTH,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    format_tag,
)
from ledger.errors import InstanceError, TruncatedError

Buffer: TypeAlias = bytes | memoryview | mmap
"""A whole file's bytes."""

# Patterns search any kind of buffer where it is, with no copy of what is left of it.
_DELIMITERS: Final = {
    "<": re.compile(rb"\xfe\xff\xdd\xe0"),
    ">": re.compile(rb"\xff\xfe\xe0\xdd"),
}
_STRUCTS: Final = {
    order: (
        struct.Struct(order + "HHI"),
        struct.Struct(order + "HH2sH"),
        struct.Struct(order + "I"),
    )
    for order in "<>"
}


def looks_implicit(data: Buffer, offset: int) -> bool:
    """Return whether the element at `offset` has no VR: two capital letters after its tag."""
    return not all(0x40 < byte < 0x5B for byte in data[offset + 4 : offset + 6])


def check_complete(data: Buffer, offset: int, *, implicit: bool, big_endian: bool = False) -> None:
    """Check that the data set from `offset` to the end of `data` is complete.

    Raises :class:`~ledger.errors.TruncatedError` naming the element that a length carries past
    the end, and :class:`~ledger.errors.InstanceError` where the encoding makes no sense.
    """
    if len(data) - offset >= 6:
        implicit = looks_implicit(data, offset)
    Walker(data, big_endian=big_endian).walk(offset, implicit=implicit)


class Walker:
    """Finds the ends of elements in `data`; every method returns the offset after what it skips."""

    __slots__ = ("_data", "_end", "_explicit", "_implicit", "_length", "_order")

    def __init__(self, data: Buffer, *, big_endian: bool = False) -> None:
        self._data = data
        self._end = len(data)
        self._order = ">" if big_endian else "<"
        self._implicit, self._explicit, self._length = _STRUCTS[self._order]

    def walk(self, offset: int, *, implicit: bool) -> None:
        """Walk the top-level elements from `offset` to the end of the data."""
        end = self._end
        while end - offset >= 8:
            tag, vr, length, start = self._header(offset, implicit=implicit)
            if tag >> 16 in {0, 0xFFFE}:
                # Such files come from interrupted copies into preallocated space and from broken
                # writers; pydicom can't store what it makes of them either.
                raise InstanceError(
                    f"{format_tag(tag)} can't stand at byte {offset}, between the elements of a "
                    "data set: the file is damaged or was not fully written"
                )
            offset = self.skip(tag, vr, length, start, implicit=implicit)
        # Fewer bytes than an element's header are padding where they are zero; in Big Endian such
        # are the start of any tag.
        rest = self._data[offset:]
        if any(rest) or (rest and self._order == ">"):
            raise TruncatedError(
                f"the file ends within the header of an element, at byte {offset}: "
                f"{end - offset} bytes are there"
            )

    def skip(
        self, tag: int, vr: bytes | None, length: int, start: int, *, implicit: bool, depth: int = 0
    ) -> int:
        """Skip the value at `start` of an element; `vr` is ``None`` for an implicit one."""
        if length != UNDEFINED_LENGTH:
            if length > self._end - start:
                raise self._truncated(tag, start, length)
            return start + length
        is_sequence = vr is None or vr in {b"SQ", b"UN"}
        return self._skip_items(tag, start, implicit, depth + 1, is_sequence=is_sequence)

    def _header(self, offset: int, *, implicit: bool) -> tuple[int, bytes | None, int, int]:
        """Return (tag, VR, length, start of value) of the element at `offset`."""
        if self._end - offset < 8:
            raise TruncatedError(f"the file ends within a sequence, at byte {offset}")
        if not implicit:
            group, number, vr, length = self._explicit.unpack_from(self._data, offset)
            tag = group << 16 | number
            if vr in LONG_VRS:
                if self._end - offset < 12:
                    raise TruncatedError(f"the file ends within the header of {describe(tag)}")
                return tag, vr, self._length.unpack_from(self._data, offset + 8)[0], offset + 12
            if vr in KNOWN_VRS or b"AA" <= vr <= b"ZZ":
                return tag, vr, length, offset + 8
        group, number, length = self._implicit.unpack_from(self._data, offset)
        return group << 16 | number, None, length, offset + 8

    def _skip_items(
        self, tag: int, offset: int, implicit: bool, depth: int, *, is_sequence: bool
    ) -> int:
        """Skip the items of a sequence, or the fragments of an encapsulated value."""
        if depth > MAX_DEPTH:
            raise InstanceError(f"sequences are nested more than {MAX_DEPTH} deep")
        first, data, end = offset, self._data, self._end
        while end - offset >= 8:
            group, number, length = self._implicit.unpack_from(data, offset)
            marker = group << 16 | number
            offset += 8
            if marker == SEQUENCE_DELIMITER:
                return offset
            if marker != ITEM or (length == UNDEFINED_LENGTH and not is_sequence):
                if is_sequence:
                    raise InstanceError(
                        f"expected an item of {describe(tag)} at byte {offset - 8}, "
                        f"found {format_tag(marker)}"
                    )
                return self._find_delimiter(tag, first)
            if length == UNDEFINED_LENGTH:
                offset = self._skip_item(offset, implicit, depth)
            elif length > end - offset:
                raise self._truncated(tag, offset, length)
            else:
                offset += length
        raise TruncatedError(f"the file ends within {describe(tag)}: its end is not marked")

    def _skip_item(self, offset: int, implicit: bool, depth: int) -> int:
        """Skip the data set of an item of undefined length."""
        # An item may be implicit inside an explicit data set (PS3.5 Section 6.2.2, Note 2).
        implicit = implicit or looks_implicit(self._data, offset)
        while True:
            tag, vr, length, start = self._header(offset, implicit=implicit)
            if tag == ITEM_DELIMITER:
                return offset + 8
            if tag >> 16 == 0xFFFE:
                raise InstanceError(f"{format_tag(tag)} can't stand in an item, at byte {offset}")
            offset = self.skip(tag, vr, length, start, implicit=implicit, depth=depth)

    def _find_delimiter(self, tag: int, offset: int) -> int:
        """Skip a value that is no row of fragments, up to the first delimiter in it."""
        found = _DELIMITERS[self._order].search(self._data, offset)
        if found is None or found.start() > self._end - 8:
            raise TruncatedError(f"the file ends within {describe(tag)}: its end is not marked")
        return found.start() + 8

    def _truncated(self, tag: int, start: int, length: int) -> TruncatedError:
        return TruncatedError(
            f"the file ends within {describe(tag)}: {self._end - start} of {length} bytes are there"
        )


def describe(tag: int) -> str:
    """Return `tag` with the name that PS3.6 gives it, for messages."""
    from pydicom.datadict import dictionary_description  # noqa: PLC0415  # only for messages

    try:
        return f"{format_tag(tag)} {dictionary_description(tag)}"
    except KeyError:
        return f"{format_tag(tag)}"
