"""Stepping over sequences of undefined length in Little Endian data: to where each of them ends.

At anything unusual `ledger.instances.walker` decides, which goes the same way more thoroughly.
"""

from __future__ import annotations

import struct
from typing import Final

from ledger.elements import MAX_DEPTH, UNDEFINED_LENGTH
from ledger.instances.file_meta import LENGTH, LONG, SHORT, vr_code
from ledger.instances.walker import Buffer, Walker

_EXPLICIT: Final = struct.Struct("<HHHH").unpack_from
_IMPLICIT: Final = struct.Struct("<HHI").unpack_from
_DELIMITERS: Final = 0xFFFE
_ITEM: Final = 0xE000
_END_OF_ITEM: Final = 0xE00D
_END_OF_SEQUENCE: Final = 0xE0DD
_SQ: Final = vr_code(b"SQ")


def skip_open(data: Buffer, tag: int, vr: bytes | None, start: int) -> int:
    """Return where the value of undefined length at `start` ends, its delimiter included.

    `vr` is `None` in Implicit VR. Raises `InstanceError` as `Walker.skip` does.
    """
    end = _end_of_sequence(data, start, implicit=vr is None) if vr in {None, b"SQ"} else None
    if end is None:
        end = Walker(data).skip(tag, vr, UNDEFINED_LENGTH, start, implicit=vr is None)
    return end


def _end_of_sequence(data: Buffer, offset: int, *, implicit: bool) -> int | None:
    """Return where the sequence ends whose items begin at `offset`; `None` if it is unusual."""
    last = len(data) - 8
    depth = 1  # odd within a sequence, even within an item of undefined length
    while depth < 2 * MAX_DEPTH:
        if not depth & 1:
            offset, is_open = _past_elements(data, offset, implicit=implicit)
            if is_open:
                depth += 1
                continue
        if offset > last:
            return None
        group, number, length = _IMPLICIT(data, offset)
        offset += 8
        if group == _DELIMITERS and number == (_END_OF_SEQUENCE if depth & 1 else _END_OF_ITEM):
            depth -= 1
            if not depth:
                return offset
        elif group != _DELIMITERS or number != _ITEM or not depth & 1:
            return None
        elif length == UNDEFINED_LENGTH:
            depth += 1
        else:
            offset += length
    return None


def _past_elements(data: Buffer, offset: int, *, implicit: bool) -> tuple[int, bool]:
    """Return where the elements from `offset` on end, up to one that is no plain one of an item.

    Or else where the items of a sequence of undefined length among them begin, and that it is one.
    """
    last, short, long = len(data) - 12, SHORT, LONG
    while offset <= last:
        group, _, vr, length = _EXPLICIT(data, offset)
        start = offset + 8
        if group == _DELIMITERS:
            break
        if implicit or vr in long:
            if not implicit:
                start += 4
            (length,) = LENGTH(data, start - 4)
            if length == UNDEFINED_LENGTH:
                return (start, True) if implicit or vr == _SQ else (offset, False)
        elif vr not in short:
            break
        offset = start + length
    return offset, False
