"""Converting an instance to Explicit VR Little Endian (PS3.5 Section A.2), without a loss.

    with converted(view) as result:
        content = batch.add_chunks(result.chunks(), size=result.size)

That is for Implicit VR, Big Endian and deflated data sets: the elements, their values and the SOP
Instance UID stay. What the encoding asks for follows: VRs are those of PS3.6, UN where it has none
(PS3.5 Section 6.2.2); the bytes of words are swapped (Section 7.3); group lengths, which are
retired, are left out; sequences get an undefined length; odd values are padded. No pixel is
decoded. Whatever the size of the file, next to nothing of it is in memory.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from attrs import frozen

from ledger.elements import (
    ITEM,
    ITEM_DELIMITER,
    KNOWN_VRS,
    LONG_VRS,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    encode_element,
    pad,
)
from ledger.errors import InstanceError, TruncatedError
from ledger.files import FileView, joined
from ledger.instances.correcting.skimming import Found
from ledger.instances.correcting.structure import DataSet, data_set_of, dictionary_vrs
from ledger.instances.data_set import opened
from ledger.instances.encodings import PIXEL_DATA
from ledger.instances.file_meta import PREFIX_END, Meta, meta_of_file
from ledger.instances.walker import Buffer, Sliced, Walker, describe, looks_implicit
from ledger.tags import FILE_META_GROUP_LENGTH, TRANSFER_SYNTAX_UID
from ledger.uids import (
    DEFLATED,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

CONVERTIBLE: Final = frozenset(
    (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, "1.2.840.10008.1.2.1.99")
)
"""The transfer syntaxes of instances that can be converted."""

_CHUNK: Final = 1 << 20  # bytes, a multiple of every word
_LONGEST: Final = 0xFFFE  # bytes that the short form of a length takes, in an even number
_DELIMITER: Final = 8  # bytes at the end of what has an undefined length
_WORDS: Final = {
    "AT": 2, "OW": 2, "SS": 2, "US": 2,
    "FL": 4, "OF": 4, "OL": 4, "SL": 4, "UL": 4,
    "FD": 8, "OD": 8, "OV": 8, "SV": 8, "UV": 8,
}  # fmt: skip
_ARRAYS: Final = {2: "H", 4: "I", 8: "Q"}
_BITS_ALLOCATED: Final = 0x00280100
_PIXEL_REPRESENTATION: Final = 0x00280103
_WAVEFORM_BITS_ALLOCATED: Final = 0x54001004
_WAVEFORMS: Final = 0x5400
_ITEM_START: Final = struct.pack("<HHI", ITEM >> 16, ITEM & 0xFFFF, UNDEFINED_LENGTH)
_ITEM_END: Final = struct.pack("<HHI", ITEM_DELIMITER >> 16, ITEM_DELIMITER & 0xFFFF, 0)
_SEQUENCE_END: Final = struct.pack("<HHI", SEQUENCE_DELIMITER >> 16, SEQUENCE_DELIMITER & 0xFFFF, 0)


@frozen
class _Value:
    """The bytes from `start` to `stop`, whose words of `word` bytes are swapped if it isn't 1."""

    start: int
    stop: int
    word: int = 1


@frozen
class Converted:
    """A converted instance, as long as the context that gives it: its `size` in bytes."""

    size: int
    _meta: bytes
    _data: Sliced
    _source: Meta
    _offset: int

    def chunks(self) -> Iterator[bytes]:
        """Return the converted file in chunks of about 1 MiB at most.

        Raises OSError, and `TruncatedError` where the file has become shorter meanwhile.
        """
        return joined(self._parts(), _CHUNK)

    def _parts(self) -> Iterator[bytes]:
        yield self._meta
        for piece in _pieces(self._source, self._data, self._offset):
            if isinstance(piece, bytes):
                yield piece
            else:
                yield from _read(self._data, piece)


@contextmanager
def converted(source: Buffer | FileView) -> Iterator[Converted]:
    """Give the instance in the DICOM file `source` in Explicit VR Little Endian.

    Raises InstanceError where its transfer syntax is none of `CONVERTIBLE` or it can't be read,
    OSError as `source`, `TemporaryFolderError` where a large deflated data set finds no room.
    """
    found, begin = meta_of_file(source)
    if found.transfer_syntax_uid not in CONVERTIBLE:
        raise InstanceError(
            f"its transfer syntax {found.transfer_syntax_uid} can't be converted without decoding "
            "its pixels"
        )
    start = _meta(bytes(source[:begin]))
    with opened(source) as (meta, data, offset):
        size = sum(
            len(piece) if isinstance(piece, bytes) else piece.stop - piece.start
            for piece in _pieces(meta, data, offset)
        )
        yield Converted(len(start) + size, start, data, meta, offset)


def _meta(start: bytes) -> bytes:
    """Return the beginning of a file up to its data set, with another transfer syntax.

    All of it is in Explicit VR then, as PS3.10 Section 7.1 has it.
    """
    parts: list[bytes] = []
    offset, walker = PREFIX_END, Walker(start)
    while offset < len(start):
        tag, code, length, value = walker.header(offset, implicit=looks_implicit(start, offset))
        offset = value + length
        if tag == FILE_META_GROUP_LENGTH:
            continue
        data = start[value:offset]
        if tag == TRANSFER_SYNTAX_UID:
            data = EXPLICIT_VR_LITTLE_ENDIAN.encode("ascii")
        vr = code.decode("ascii") if code in KNOWN_VRS else (*dictionary_vrs(tag), "UN")[0]
        parts.append(encode_element(tag, vr, data))
    group = b"".join(parts)
    length_of_group = encode_element(FILE_META_GROUP_LENGTH, "UL", struct.pack("<I", len(group)))
    return start[:PREFIX_END] + length_of_group + group


def _pieces(meta: Meta, data: Sliced, offset: int) -> Iterator[bytes | _Value]:
    """Yield what the data set from `offset` on becomes; the values of the file by their place."""
    if meta.transfer_syntax_uid in DEFLATED:
        yield _Value(offset, len(data))  # inflated, it is in Explicit VR Little Endian
        return
    yield from _Conversion(_Context()).data_set(data_set_of(meta, data, offset))


@frozen
class _Context:
    """What the VRs of some elements depend on, of their data set or one around it."""

    signed: bool = False
    waveform_bits: int = 0


class _Conversion:
    """Converts one data set: that of the instance, or an item."""

    def __init__(self, context: _Context) -> None:
        self._context = context
        self._bits_allocated = 0

    def data_set(self, ds: DataSet) -> Iterator[bytes | _Value]:
        """Yield the pieces of a data set, element by element."""
        if ds.implicit:
            self._look_ahead(ds)
        for found in ds.elements():
            if found.tag == _BITS_ALLOCATED:
                self._bits_allocated = _number(ds, found)
            if found.tag & 0xFFFF:
                yield from self._element(ds, found)

    def _look_ahead(self, ds: DataSet) -> None:
        """Take in what the VRs of this data set's elements depend on, which may come later."""
        signed, bits = self._context.signed, self._context.waveform_bits
        for found in ds.elements((_PIXEL_REPRESENTATION, _WAVEFORM_BITS_ALLOCATED)):
            if found.tag in {_PIXEL_REPRESENTATION, _WAVEFORM_BITS_ALLOCATED} and found.length == 2:
                number = _number(ds, found)
                if found.tag == _PIXEL_REPRESENTATION:
                    signed = number == 1
                else:
                    bits = number
        self._context = _Context(signed, bits)

    def _element(self, ds: DataSet, found: Found) -> Iterator[bytes | _Value]:
        vr = self._vr(ds, found)
        if vr == "SQ":
            yield from self._sequence(ds, found)
            return
        if found.is_open:
            if vr == "UN" and not ds.big_endian:
                # Its items are in Implicit VR Little Endian, as they are (PS3.5 Section 6.2.2).
                yield _header(found.tag, vr, UNDEFINED_LENGTH)
                yield _Value(found.start, found.stop)
                return
            kind = "encapsulated" if found.tag == PIXEL_DATA else "of an undefined length"
            raise InstanceError(f"{describe(found.tag)} is {kind}, unlike its transfer syntax")
        word = _WORDS.get(vr, 1) if ds.big_endian else 1
        size = found.stop - found.start
        if size % word:
            raise InstanceError(f"{describe(found.tag)} is not a multiple of {word} bytes")
        if found.tag == PIXEL_DATA and ds.big_endian:
            self._refuse_doubtful(word)
        if vr.encode("ascii") not in LONG_VRS and size > _LONGEST:
            vr = "UN"  # which takes longer ones (PS3.5 Section 6.2.2)
        yield _header(found.tag, vr, size + size % 2)
        yield _Value(found.start, found.stop, word)
        if size % 2:
            yield pad(vr, b"x")[1:]

    def _refuse_doubtful(self, word: int) -> None:
        """Raise InstanceError unless all readers take the pixels for the same."""
        bits = self._bits_allocated
        if bits > 16 or (bits > 8 and word != 2):
            # By the Standard the bytes of each word are swapped; writers have swapped whole pixels.
            raise InstanceError(f"readers disagree on pixels of {bits} bits in Big Endian")

    def _vr(self, ds: DataSet, found: Found) -> str:
        """Return the VR that an element gets: that of the file, or of PS3.6."""
        if found.code in KNOWN_VRS:
            if found.code == b"UN" and found.is_open and ds.big_endian:
                return "SQ"
            return found.code.decode("ascii")
        tag = found.tag
        if tag >> 16 & 1:
            return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
        vrs = dictionary_vrs(tag)
        if not vrs:
            return "UN"
        if len(vrs) == 1:
            return vrs[0]
        if "OW" in vrs:
            # As it is in Implicit VR (PS3.5 Section A.1); samples of 8 bits are told apart.
            is_bytes = tag >> 16 == _WAVEFORMS and self._context.waveform_bits == 8
            return "OB" if is_bytes and "OB" in vrs else "OW"
        return "SS" if self._context.signed and "SS" in vrs else "US"

    def _sequence(self, ds: DataSet, found: Found) -> Iterator[bytes | _Value]:
        if found.value_stop == found.start:
            yield _header(found.tag, "SQ", 0)
            return
        yield _header(found.tag, "SQ", UNDEFINED_LENGTH)
        for item in ds.items(found):
            yield _ITEM_START
            yield from _Conversion(self._context).data_set(item)
            yield _ITEM_END
        yield _SEQUENCE_END


def _number(ds: DataSet, found: Found) -> int:
    """Return an unsigned number of 16 bits."""
    return int.from_bytes(ds.value(found)[:2], "big" if ds.big_endian else "little")


def _header(tag: int, vr: str, length: int) -> bytes:
    code = vr.encode("ascii")
    if code in LONG_VRS:
        return struct.pack("<HH2sHI", tag >> 16, tag & 0xFFFF, code, 0, length)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, code, length)


def _read(data: Sliced, value: _Value) -> Iterator[bytes]:
    """Yield a value in pieces, its words swapped."""
    offset = value.start
    while offset < value.stop:
        part = bytes(data[offset : min(offset + _CHUNK, value.stop)])
        if not part or len(part) % value.word:
            raise TruncatedError("the file has become shorter while it was read")
        offset += len(part)
        if value.word > 1:
            words = array(_ARRAYS[value.word], part)
            words.byteswap()
            part = words.tobytes()
        yield part
