"""Walking encoded data sets by their lengths: where each element ends, and whether it is all there.

The walk knows Explicit and Implicit VR in both byte orders (PS3.5 Section 7.1) and sequences of
undefined length (Section 7.5). Where real files leave the Standard, it goes the way that pydicom's
reader goes. It is the thorough counterpart of `ledger.instances.scanner`'s fast loops, which
call it for values of undefined length and whenever they meet anything odd.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple, Protocol, TypeAlias

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

Buffer: TypeAlias = bytes | memoryview
"""A whole file's bytes."""


class Sliced(Protocol):
    """The same, or a file of which only what is asked for is read: `ledger.files.FileView`."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice, /) -> Buffer: ...


_DELIMITERS: Final = {"<": b"\xfe\xff\xdd\xe0", ">": b"\xff\xfe\xe0\xdd"}
_FILLS: Final = frozenset((b"\0", b" ", b"\xff", b"\x1a"))
"""What files are filled up with: nothing, blanks, erased memory, the end of a text."""

_MOST_PADDING: Final = 1 << 20  # bytes: blocks of tapes and clusters of discs have fewer
_PIXEL_GROUP: Final = 0x7FE0  # pixels may end with any byte
_CHUNK: Final = 1 << 20  # bytes that are searched at a time
_STRUCTS: Final = {
    order: (
        struct.Struct(order + "HHI"),
        struct.Struct(order + "HH2sH"),
        struct.Struct(order + "I"),
    )
    for order in "<>"
}


class Walked(NamedTuple):
    """An element that a walk has found: its header is at `header`, its value from `start` on.

    The element ends at `stop`; a delimiter of its own comes before that.
    """

    tag: int
    header: int
    start: int
    stop: int


def looks_implicit(data: Sliced, offset: int) -> bool:
    """Return whether the element at `offset` has no VR: two capital letters after its tag."""
    return not all(0x40 < byte < 0x5B for byte in data[offset + 4 : offset + 6])


def walk_elements(
    data: Sliced, offset: int, *, implicit: bool, big_endian: bool = False
) -> Iterator[Walked]:
    """Yield the elements of the data set from `offset` to the end of `data`; padding may follow.

    Raises `TruncatedError` naming the element that a length carries past the end, and
    `InstanceError` where the encoding makes no sense, when it comes to that.
    """
    if len(data) - offset >= 6:
        implicit = looks_implicit(data, offset)
    return Walker(data, big_endian=big_endian).walk(offset, implicit=implicit)


class Walker:
    """Finds the ends of elements in `data`; every method returns the offset after what it skips."""

    __slots__ = ("_end", "_explicit", "_implicit", "_length", "_order", "big_endian", "data")

    def __init__(self, data: Sliced, *, big_endian: bool = False) -> None:
        self.data = data
        self._end = len(data)
        self.big_endian = big_endian
        self._order = ">" if big_endian else "<"
        self._implicit, self._explicit, self._length = _STRUCTS[self._order]

    def walk(self, offset: int, *, implicit: bool) -> Iterator[Walked]:
        """Yield the top-level elements from `offset` to the end of the data."""
        end = self._end
        last: Walked | None = None
        while end - offset >= 8:
            if last is not None and self._is_padding(last):
                return
            tag, vr, length, start = self.header(offset, implicit=implicit)
            if tag >> 16 in {0, 0xFFFE}:
                # Such files come from interrupted copies into preallocated space and from broken
                # writers; pydicom can't store what it makes of them either.
                raise InstanceError(
                    f"{format_tag(tag)} can't stand at byte {offset}, between the elements of a "
                    "data set: the file is damaged or was not fully written"
                )
            stop = self.skip(tag, vr, length, start, implicit=implicit)
            last = Walked(tag, offset, start, stop)
            yield last
            offset = stop
        # Fewer bytes than an element's header are padding where they are zero; in Big Endian such
        # are the start of any tag.
        rest = self.data[offset:]
        if any(rest) or (rest and self._order == ">"):
            raise TruncatedError(
                f"the file ends within the header of an element, at byte {offset}: "
                f"{end - offset} bytes are there"
            )

    def _is_padding(self, last: Walked) -> bool:
        """Whether all that follows the element `last` is one byte again and again.

        Media and transfers fill up files like that. So do copies into preallocated space that were
        interrupted, but those begin within an element: in its header, or in its value, which then
        ends with that byte. More than fills up any block of a medium is none, either.
        """
        data, offset = self.data, last.stop
        fill = bytes(data[offset : offset + 1])
        if fill not in _FILLS or bytes(data[offset : offset + 8]) != fill * 8:
            return False
        if self._end - offset > _MOST_PADDING:
            return False
        if (
            last.tag >> 16 < _PIXEL_GROUP
            and data[last.stop - 8 : last.stop - 4] != (_DELIMITERS[self._order])
        ):
            value_end = bytes(data[max(last.start, last.stop - 2) : last.stop])
            if value_end in {b"", fill * 2}:
                return False
        return bytes(data[offset : self._end]).strip(fill) == b""

    def skip(
        self, tag: int, vr: bytes | None, length: int, start: int, *, implicit: bool, depth: int = 0
    ) -> int:
        """Skip the value at `start` of an element; `vr` is `None` for an implicit one."""
        if length != UNDEFINED_LENGTH:
            if length > self._end - start:
                raise self._truncated(tag, start, length)
            return start + length
        is_sequence = vr is None or vr in {b"SQ", b"UN"}
        return self._skip_items(tag, start, implicit, depth + 1, is_sequence=is_sequence)

    def header(self, offset: int, *, implicit: bool) -> tuple[int, bytes | None, int, int]:
        """Return (tag, VR, length, start of value) of the element at `offset`."""
        if self._end - offset < 8:
            raise TruncatedError(f"the file ends within a sequence, at byte {offset}")
        if not implicit:
            group, number, vr, length = self._explicit.unpack(self.data[offset : offset + 8])
            tag = group << 16 | number
            if vr in LONG_VRS:
                if self._end - offset < 12:
                    raise TruncatedError(f"the file ends within the header of {describe(tag)}")
                (length,) = self._length.unpack(self.data[offset + 8 : offset + 12])
                return tag, vr, length, offset + 12
            if vr in KNOWN_VRS or b"AA" <= vr <= b"ZZ":
                return tag, vr, length, offset + 8
        group, number, length = self._implicit.unpack(self.data[offset : offset + 8])
        return group << 16 | number, None, length, offset + 8

    def _skip_items(
        self, tag: int, offset: int, implicit: bool, depth: int, *, is_sequence: bool
    ) -> int:
        """Skip the items of a sequence, or the fragments of an encapsulated value."""
        if depth > MAX_DEPTH:
            raise InstanceError(f"sequences are nested more than {MAX_DEPTH} deep")
        first, data, end = offset, self.data, self._end
        while end - offset >= 8:
            group, number, length = self._implicit.unpack(data[offset : offset + 8])
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
        implicit = implicit or looks_implicit(self.data, offset)
        while True:
            tag, vr, length, start = self.header(offset, implicit=implicit)
            if tag == ITEM_DELIMITER:
                return offset + 8
            if tag >> 16 == 0xFFFE:
                raise InstanceError(f"{format_tag(tag)} can't stand in an item, at byte {offset}")
            offset = self.skip(tag, vr, length, start, implicit=implicit, depth=depth)

    def _find_delimiter(self, tag: int, offset: int) -> int:
        """Skip a value that is no row of fragments, up to the first delimiter in it."""
        delimiter = _DELIMITERS[self._order]
        while offset <= self._end - 8:
            found = bytes(self.data[offset : offset + _CHUNK]).find(delimiter)
            if found >= 0:
                if offset + found > self._end - 8:
                    break
                return offset + found + 8
            offset += _CHUNK - len(delimiter) + 1
        raise TruncatedError(f"the file ends within {describe(tag)}: its end is not marked")

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
