"""Going quickly past the elements of a data set that nothing is asked of.

That serves Little Endian data in memory. At anything unusual it stops: the thorough way goes on.
"""

from __future__ import annotations

from collections.abc import Collection, Generator
from typing import Final, NamedTuple

from ledger.elements import UNDEFINED_LENGTH
from ledger.instances.file_meta import EXPLICIT, IMPLICIT, LENGTH, LONG, SHORT
from ledger.instances.walker import Buffer, Walker

_NO_TAG: Final = 1 << 32  # beyond all tags


class Found(NamedTuple):
    """An element in the file: header, value and end are the offsets `header`, `start` and `stop`.

    `code` is the VR in the file, `None` where the header has none. A value of undefined length
    ends with a delimiter, which is before `stop`.
    """

    tag: int
    code: bytes | None
    length: int
    header: int
    start: int
    stop: int

    @property
    def is_open(self) -> bool:
        """Whether the length is undefined."""
        return self.length == UNDEFINED_LENGTH

    @property
    def value_stop(self) -> int:
        """Where the value ends, and a delimiter may begin."""
        return self.stop - 8 * self.is_open


def skim(
    data: Buffer, offset: int, wanted: Collection[int], walker: Walker, *, implicit: bool
) -> Generator[Found, None, tuple[int, int]]:
    """Yield the elements from `offset` on with a tag in `wanted`, and of the others some.

    These are the first ones with a greater tag than one of the `wanted`: that one's place is before
    them. Returns the offsets of the last element that was passed and of what it stopped at.
    """
    targets = iter(sorted(wanted))
    target = next(targets, _NO_TAG)
    previous, end = offset, len(data)
    while offset <= end - 12:
        raw, vr, length = EXPLICIT(data, offset)
        start = offset + 8
        if implicit:
            raw, length = IMPLICIT(data, offset)
        elif vr in LONG:
            (length,) = LENGTH(data, start)
            start += 4
        elif vr not in SHORT:
            break
        # Groups 0000 and FFFE are none of a data set, and lengths of groups are to be measured.
        if (raw + 2) & 0xFFFF <= 2 or raw <= 0xFFFF:
            break
        tag = (raw & 0xFFFF) << 16 | raw >> 16
        stop = start + length
        if length == UNDEFINED_LENGTH:
            code = None if implicit else vr.to_bytes(2, "little")
            stop = walker.skip(tag, code, length, start, implicit=implicit)
        if stop > end:
            break
        if tag >= target or tag in wanted:
            code = None if implicit else vr.to_bytes(2, "little")
            yield Found(tag, code, length, offset, start, stop)
            while tag >= target:
                target = next(targets, _NO_TAG)
        previous, offset = offset, stop
    return previous, offset
