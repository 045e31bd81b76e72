"""The structure of an encoded data set: its elements in their order, and the items in sequences.

What is found knows the length fields that enclose it, so that those can follow a change. Only what
is asked for is looked at: of a file of any size next to nothing is in memory.
"""

from __future__ import annotations

import struct
from collections.abc import Collection, Iterator
from functools import lru_cache
from typing import Final

from pydicom.datadict import dictionary_VR, private_dictionary_VR

from ledger.elements import (
    ITEM,
    ITEM_DELIMITER,
    KNOWN_VRS,
    LONG_VRS,
    MAX_DEPTH,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    format_tag,
    named_charset,
)
from ledger.errors import CorrectionError, InstanceError
from ledger.instances.correcting.edits import ElementPath
from ledger.instances.correcting.skimming import Found, skim
from ledger.instances.file_meta import Meta
from ledger.instances.walker import Sliced, Walker, describe, looks_implicit
from ledger.tags import SPECIFIC_CHARACTER_SET
from ledger.uids import EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

_LONGEST: Final = 0xFFFFFFFE  # bytes: one more means that the length is undefined
_DELIMITER: Final = 8  # bytes at the end of what has an undefined length


class LengthField:
    """A length in the file that encloses what is changed, or that of a group of elements.

    It has 32 bits and is at the offset `at`; `value` is the length in bytes, and `change` is what
    is to be added to it.
    """

    __slots__ = ("at", "change", "value")

    def __init__(self, at: int, value: int) -> None:
        self.at = at
        self.value = value
        self.change = 0


class DataSet:
    """A data set of the file: that of the instance, or an item of a sequence.

    `path` is where the item is, `()` for the instance's, and `top` is the element of the instance's
    data set that it is in. While its elements are gone through, `charset` is the Specific Character
    Set that applies, and `scope` the path of the data set that declares it; in the end `stop` is
    where the last element ends.
    """

    def __init__(
        self,
        walker: Walker,
        begin: int,
        *,
        implicit: bool,
        path: ElementPath = (),
        end: int | None = None,
        within: DataSet | None = None,
        top: Found | None = None,
        enclosing: tuple[LengthField, ...] = (),
    ) -> None:
        self.data, self.walker, self.begin, self.end = walker.data, walker, begin, end
        self.implicit = implicit
        self.path = path
        self.charset: str = within.charset if within else ""
        self.scope: ElementPath = within.scope if within else ()
        self.stop = begin
        self.top = top
        self._enclosing = enclosing
        self._groups: dict[int, LengthField] = {}
        self.creators: dict[int, Found] = {}

    @property
    def big_endian(self) -> bool:
        """Whether values are in Big Endian."""
        return self.walker.big_endian

    @property
    def encoder(self) -> Encoder:
        """What encodes elements of this data set."""
        return _encoder(implicit=self.implicit, big_endian=self.big_endian)

    @property
    def depth(self) -> int:
        return len(self.path) // 2

    def elements(self, wanted: Collection[int] | None = None) -> Iterator[Found]:
        """Yield the elements in the order of the file.

        With `wanted` tags, others may be left out, but none that comes next to the place of a
        wanted one that is not there.
        """
        group: LengthField | None = None
        number = -1
        self.stop = self.begin
        for found in self._of_item() if self.path else self._of_instance(wanted):
            tag = found.tag
            if tag >> 16 != number:
                if group is not None:
                    group.value = found.header - group.value
                number, group = tag >> 16, None
            if not tag & 0xFFFF and found.length == 4:
                # Until the group ends, the value is where it begins.
                group = self._groups[number] = LengthField(found.start, found.stop)
            if tag == SPECIFIC_CHARACTER_SET:
                self.charset = named_charset("CS", self.value(found))
                self.scope = self.path
            elif number & 1 and 0x10 <= tag & 0xFFFF <= 0xFF:
                self.creators[tag] = found
            self.stop = found.stop
            yield found
        if group is not None:
            group.value = self.stop - group.value

    def _of_instance(self, wanted: Collection[int] | None) -> Iterator[Found]:
        data, implicit = self.data, self.implicit
        begin = offset = self.begin
        if wanted is not None and not self.walker.big_endian and isinstance(data, bytes):
            begin, offset = yield from skim(data, begin, wanted, self.walker, implicit=implicit)
            self.stop = offset
            if offset == len(data):
                return
        for tag, header, start, stop in self.walker.walk(begin, implicit=implicit):
            if header >= offset:
                _, code, length, _ = self.walker.header(header, implicit=implicit)
                yield Found(tag, code, length, header, start, stop)

    def _of_item(self) -> Iterator[Found]:
        offset = self.begin
        while self.end is None or offset < self.end:
            tag, code, length, start = self.walker.header(offset, implicit=self.implicit)
            if tag == ITEM_DELIMITER and self.end is None:
                return
            if tag >> 16 in {0, 0xFFFE}:
                raise InstanceError(f"{format_tag(tag)} can't stand in an item, at byte {offset}")
            stop = self.walker.skip(
                tag, code, length, start, implicit=self.implicit, depth=self.depth
            )
            if self.end is not None and stop > self.end:
                raise InstanceError(f"{describe(tag)} runs past the end of its item")
            yield Found(tag, code, length, offset, start, stop)
            offset = stop

    def value(self, found: Found) -> bytes:
        """Return the bytes of an element's value, less a delimiter."""
        return bytes(self.data[found.start : found.value_stop])

    @property
    def has_group_lengths(self) -> bool:
        """Whether any group of the elements that were gone through begins with its length."""
        return bool(self._groups)

    def enclosing(self, tag: int) -> tuple[LengthField, ...]:
        """Return the lengths that change with an element `tag` of this data set."""
        group = self._groups.get(tag >> 16)
        return self._enclosing if group is None else (*self._enclosing, group)

    @property
    def around(self) -> tuple[LengthField, ...]:
        """The lengths that change where the item as a whole goes."""
        return self._enclosing if self.end is None else self._enclosing[:-1]

    # --- VRs

    def vr(self, found: Found) -> str:
        """Return the VR of an element: as in the file, else that of PS3.6, `UN` if it has none."""
        if found.code in KNOWN_VRS and found.code != b"UN":
            return found.code.decode("ascii")
        if found.code == b"UN" and found.is_open:
            return "SQ"
        return self.known_vr(found.tag) or "UN"

    def known_vr(self, tag: int) -> str | None:
        """Return the VR that the data dictionary has for `tag`, `None` if it has none."""
        if tag >> 16 & 1:
            if 0x10 <= tag & 0xFFFF <= 0xFF:
                return "LO"
            creator = self.creator_of(tag)
            if creator is None:
                return None
            name = self.value(creator).decode("latin-1").strip("\0 ")
            return _vr_of_private(tag, name)
        vrs = dictionary_vrs(tag)
        # Numbers without a sign, and words, are the rule where it depends on other elements.
        return None if not vrs else "OW" if "OW" in vrs else vrs[0]

    def creator_of(self, tag: int) -> Found | None:
        """Return the Private Creator of the element `tag`, `None` if it has none."""
        if not tag >> 16 & 1:
            return None
        return self.creators.get(creator_tag(tag))

    # --- items

    def items(self, found: Found) -> Iterator[DataSet]:
        """Yield the items of a sequence of this data set."""
        if self.depth >= MAX_DEPTH:
            raise InstanceError(f"sequences are nested more than {MAX_DEPTH} deep")
        outer = self.enclosing(found.tag)
        if not found.is_open:
            outer = (*outer, LengthField(found.start - 4, found.length))
        offset, number = found.start, 0
        # The items of an element that came as UN are in Implicit VR (PS3.5 Section 6.2.2).
        implicit = self.implicit or found.code in {None, b"UN"}
        while offset < found.value_stop:
            marker, _, length, start = self.walker.header(offset, implicit=True)
            if marker == SEQUENCE_DELIMITER and found.is_open:
                break
            if marker != ITEM:
                raise InstanceError(
                    f"expected an item of {describe(found.tag)} at byte {offset}, "
                    f"found {format_tag(marker)}"
                )
            is_open = length == UNDEFINED_LENGTH
            if not is_open and length > found.value_stop - start:
                raise InstanceError(f"an item of {describe(found.tag)} runs past its end")
            item = DataSet(
                self.walker,
                start,
                implicit=implicit or (length != 0 and looks_implicit(self.data, start)),
                path=(*self.path, found.tag, number),
                end=None if is_open else start + length,
                within=self,
                top=self.top or found,
                enclosing=outer if is_open else (*outer, LengthField(start - 4, length)),
            )
            yield item
            offset = item.after() if item.end is None else item.end
            number += 1

    def after(self) -> int:
        """Return where the item ends whose elements have been gone through, or go through them."""
        if self.end is not None:
            return self.end
        if self._is_at_delimiter():
            return self.stop + _DELIMITER
        for _ in self.elements():
            pass
        return self.stop + _DELIMITER

    def _is_at_delimiter(self) -> bool:
        tag, _, _, _ = self.walker.header(self.stop, implicit=True)
        return tag == ITEM_DELIMITER


def data_set_of(meta: Meta, data: Sliced, offset: int) -> DataSet:
    """Return the data set of an instance, which `data` has from `offset` on."""
    implicit = meta.transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
    if len(data) - offset >= 8:
        implicit = looks_implicit(data, offset)
    big_endian = meta.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN
    return DataSet(Walker(data, big_endian=big_endian), offset, implicit=implicit)


class Encoder:
    """Encodes elements as a data set of the file has them (PS3.5 Section 7.1)."""

    def __init__(self, *, implicit: bool, big_endian: bool) -> None:
        self.implicit = implicit
        self.big_endian = big_endian
        order = ">" if big_endian else "<"
        self._plain = struct.Struct(order + "HHI")
        self._short = struct.Struct(order + "HH2sH")
        self._long = struct.Struct(order + "HH2sHI")

    def header(self, tag: int, code: bytes | None, length: int) -> bytes:
        """Return the header of an element with the VR `code`, which Implicit VR leaves out.

        `CorrectionError` where its length field can't hold the `length`.
        """
        group, number = tag >> 16, tag & 0xFFFF
        is_short = not (self.implicit or code is None or code in LONG_VRS)
        if length > (0xFFFF if is_short else _LONGEST):
            raise CorrectionError(
                f"{describe(tag)} would have {length:,} bytes, more than its length field can say"
            )
        if self.implicit or code is None:
            return self._plain.pack(group, number, length)
        if code in LONG_VRS:
            return self._long.pack(group, number, code, 0, length)
        return self._short.pack(group, number, code, length)

    def element(self, tag: int, vr: str, value: bytes) -> bytes:
        return self.header(tag, vr.encode("ascii"), len(value)) + value


_encoder = lru_cache(maxsize=4)(Encoder)


def creator_tag(tag: int) -> int:
    """Return the tag of the Private Creator of a private element (PS3.5 Section 7.8.1)."""
    return tag & 0xFFFF0000 | tag >> 8 & 0xFF


@lru_cache(maxsize=4096)
def dictionary_vrs(tag: int) -> tuple[str, ...]:
    """Return the VRs that PS3.6 has for a standard element: several where it depends on others."""
    try:
        return tuple(dictionary_VR(tag).split(" or "))
    except KeyError:
        return ()


def _vr_of_private(tag: int, creator: str) -> str | None:
    try:
        return private_dictionary_VR(tag, creator)
    except KeyError:
        return None
