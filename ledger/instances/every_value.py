"""Walking through every value of a file of any size, also in sequences, one at a time."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import lru_cache
from typing import Final, NamedTuple

from ledger.elements import (
    ITEM,
    ITEM_DELIMITER,
    MAX_DEPTH,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    format_tag,
    named_charset,
)
from ledger.errors import InstanceError
from ledger.files import FileView
from ledger.instances.data_set import opened
from ledger.instances.walker import Sliced, Walker, describe, looks_implicit
from ledger.tags import SPECIFIC_CHARACTER_SET
from ledger.uids import EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

_META_START: Final = 132
_DELIMITER: Final = 8  # bytes at the end of a value of undefined length


class Value(NamedTuple):
    """A value that is no sequence: `size` bytes from `start` on in `data`.

    `vr` is that of the element, or the one that PS3.6 has for it where the encoding tells none;
    `charset` is the Specific Character Set that applies to it.
    """

    tag: int
    vr: str
    data: Sliced
    start: int
    size: int
    charset: str

    def read(self) -> bytes:
        """Return its bytes."""
        return bytes(self.data[self.start : self.start + self.size])


def every_value(view: FileView) -> Iterator[Value]:
    """Yield the values of a DICOM file, group 0002 first, in the order of the file.

    Raises OSError, and InstanceError when it comes to what can't be followed.
    """
    yield from _of_meta(view)
    with opened(view) as (meta, data, offset):
        syntax = meta.transfer_syntax_uid
        implicit = syntax == IMPLICIT_VR_LITTLE_ENDIAN
        if len(data) - offset >= _DELIMITER:
            implicit = looks_implicit(data, offset)
        walk = _ValueWalk(data, big_endian=syntax == EXPLICIT_VR_BIG_ENDIAN)
        charset = ""
        for walked in walk.walker.walk(offset, implicit=implicit):
            _, charset = yield from walk.element(walked.header, implicit, charset, 0)


def _of_meta(view: FileView) -> Iterator[Value]:
    walk = _ValueWalk(view)
    offset = _META_START
    while view[offset : offset + 2] == b"\2\0" and len(view) - offset >= _DELIMITER:
        offset, _ = yield from walk.element(offset, looks_implicit(view, offset), "", 0)


class _ValueWalk:
    """Goes through the values of one data set."""

    def __init__(self, data: Sliced, *, big_endian: bool = False) -> None:
        self._data = data
        self.walker = Walker(data, big_endian=big_endian)

    def element(
        self, at: int, implicit: bool, charset: str, depth: int
    ) -> Generator[Value, None, tuple[int, str]]:
        """Yield the values of the element at `at`; return its end, and the character set then."""
        tag, code, length, start = self.walker.header(at, implicit=implicit)
        vr = _vr_of(tag) if code is None or code == b"UN" else code.decode("ascii")
        is_open = length == UNDEFINED_LENGTH
        if vr == "SQ" or (is_open and vr == "UN"):
            is_implicit = implicit or code == b"UN"
            stop = None if is_open else start + length
            return (yield from self._items(tag, start, stop, is_implicit, charset, depth)), charset
        stop = self.walker.skip(tag, code, length, start, implicit=implicit)
        size = stop - start - _DELIMITER * is_open
        value = Value(tag, vr, self._data, start, size, charset)
        yield value
        return stop, named_charset(vr, value.read()) if tag == SPECIFIC_CHARACTER_SET else charset

    def _items(
        self, tag: int, offset: int, stop: int | None, implicit: bool, charset: str, depth: int
    ) -> Generator[Value, None, int]:
        """Yield the values in the items of a sequence up to `stop` or its delimiter."""
        if depth >= MAX_DEPTH:
            raise InstanceError(f"sequences are nested more than {MAX_DEPTH} deep")
        while stop is None or offset < stop:
            marker, _, length, offset = self.walker.header(offset, implicit=True)
            if marker == SEQUENCE_DELIMITER and stop is None:
                return offset
            if marker != ITEM:
                raise InstanceError(
                    f"expected an item of {describe(tag)} at byte {offset - 8}, "
                    f"found {format_tag(marker)}"
                )
            end = None if length == UNDEFINED_LENGTH else offset + length
            offset = yield from self._item(offset, end, implicit, charset, depth)
            if offset != (end or offset) or (stop is not None and offset > stop):
                raise InstanceError(f"an element in {describe(tag)} runs past the end of its item")
        return offset

    def _item(
        self, offset: int, end: int | None, implicit: bool, charset: str, depth: int
    ) -> Generator[Value, None, int]:
        """Yield the values in an item up to `end` or its delimiter; return where that is."""
        implicit = implicit or (offset != end and looks_implicit(self._data, offset))
        while end is None or offset < end:
            marker, _, _, after = self.walker.header(offset, implicit=True)
            if marker == ITEM_DELIMITER:
                return after
            offset, charset = yield from self.element(offset, implicit, charset, depth + 1)
        return offset


@lru_cache(maxsize=4096)
def _vr_of(tag: int) -> str:
    """Return the VR that PS3.6 has for an element, `UN` if it has none."""
    from pydicom.datadict import dictionary_VR  # noqa: PLC0415 - Explicit VR files tell themselves

    if not tag & 0xFFFF:
        return "UL"
    try:
        first, *others = dictionary_VR(tag).split(" or ")
    except KeyError:
        return "UN"
    return "OW" if "OW" in others else first
