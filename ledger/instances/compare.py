"""In what two files of one SOP Instance differ, however each of them encodes its data set.

Pixel data is compared piece by piece, so that files of any size take little memory. In Big Endian
its words are swapped, as their VR says (PS3.5 Section 7.3). Data Set Trailing Padding and group
lengths tell of the file rather than of the instance, and don't count.
"""

from __future__ import annotations

import warnings
from array import array
from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Final, Literal

from attrs import frozen

from ledger.elements import UNDEFINED_LENGTH
from ledger.errors import InstanceError
from ledger.files import FileView
from ledger.instances.data_set import opened
from ledger.instances.file_meta import Meta
from ledger.instances.walker import Buffer, Sliced, Walked, Walker, looks_implicit
from ledger.uids import EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement, RawDataElement
    from pydicom.dataset import Dataset

_PIXELS: Final = (0x7FE00008, 0x7FE00009, 0x7FE00010)
_TRAILING_PADDING: Final = 0xFFFCFFFC
_WORDS: Final = {"OW": 2, "OF": 4, "OL": 4, "OD": 8, "OV": 8}
"""The bytes in a word of a value that pydicom leaves as it is encoded."""

_ARRAYS: Final = {2: "H", 4: "I", 8: "Q"}
_CHUNK: Final = 1 << 20  # bytes that are compared at a time
_MOST: Final = 1 << 25  # bytes of all elements but pixel data


def differs(
    first: Buffer | FileView, second: Buffer | FileView
) -> Literal["nothing", "metadata", "pixel data"]:
    """Return in what the data sets of two files differ, however each encodes its own.

    `"metadata"` is said only where both can be read and have the same pixel data; a file that
    can't be read may differ in anything. OSError if one can't be read for now.
    """
    if first == second:
        return "nothing"
    try:
        with opened(first) as one, opened(second) as other:
            return _differs(_read(*one), _read(*other))
    except InstanceError:
        return "pixel data"


@frozen
class _Pixels:
    """An element of pixel data: `size` bytes at `start` in `data`, in words to be swapped."""

    data: Sliced
    start: int
    size: int
    word: int

    def piece(self, offset: int) -> bytes:
        """Return a piece of it in Little Endian."""
        start = self.start + offset
        piece = bytes(self.data[start : start + min(_CHUNK, self.size - offset)])
        return _swapped(piece, self.word)

    def is_same(self, other: _Pixels) -> bool:
        """Whether `other` has the same values."""
        return self.size == other.size and all(
            self.piece(offset) == other.piece(offset) for offset in range(0, self.size, _CHUNK)
        )


@frozen
class _Read:
    """A data set: its pixel data by tag, and what makes pydicom's data set of all else."""

    pixels: dict[int, _Pixels]
    rest: Callable[[], Dataset]


def _differs(one: _Read, other: _Read) -> Literal["nothing", "metadata", "pixel data"]:
    if one.pixels.keys() != other.pixels.keys():
        return "pixel data"
    if not all(pixels.is_same(other.pixels[tag]) for tag, pixels in one.pixels.items()):
        return "pixel data"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they would not say of which file they are
        try:
            return "nothing" if _is_same(one.rest(), other.rest()) else "metadata"
        except Exception:  # noqa: BLE001 - pydicom raises many things on values it can't decode
            return "metadata"


def _read(meta: Meta, data: Sliced, offset: int) -> _Read:
    syntax = meta.transfer_syntax_uid
    big_endian = syntax == EXPLICIT_VR_BIG_ENDIAN
    implicit = syntax == IMPLICIT_VR_LITTLE_ENDIAN
    if len(data) - offset >= 6:
        implicit = looks_implicit(data, offset)
    walker = Walker(data, big_endian=big_endian)
    pixels: dict[int, _Pixels] = {}
    rest = bytearray()
    for walked in walker.walk(offset, implicit=implicit):
        if walked.tag in _PIXELS:
            _, vr, length, start = walker.header(walked.header, implicit=implicit)
            word = _WORDS.get((vr or b"").decode("latin-1"), 1) if big_endian else 1
            end = walked.stop - 8 * (length == UNDEFINED_LENGTH)
            pixels[walked.tag] = _Pixels(data, start, end - start, word)
        elif walked.tag != _TRAILING_PADDING:
            _refuse_large(len(rest), walked)
            rest += data[walked.header : walked.stop]
    return _Read(pixels, lambda: _parsed(bytes(rest), implicit=implicit, big_endian=big_endian))


def _refuse_large(so_far: int, walked: Walked) -> None:
    if so_far + walked.stop - walked.header > _MOST:
        raise InstanceError("its elements are too large to compare")


def _parsed(rest: bytes, *, implicit: bool, big_endian: bool) -> Dataset:
    from pydicom.filereader import read_dataset  # noqa: PLC0415 - hardly ever needed

    return read_dataset(BytesIO(rest), is_implicit_VR=implicit, is_little_endian=not big_endian)


def _is_same(one: Dataset, other: Dataset) -> bool:
    """Whether two data sets have the same elements with the same values."""
    tags = _tags(one)
    return tags == _tags(other) and all(_is_same_element(tag, one, other) for tag in tags)


def _tags(ds: Dataset) -> list[int]:
    return sorted(int(tag) for tag in ds.keys() if int(tag) & 0xFFFF)  # noqa: SIM118


def _is_same_element(tag: int, one: Dataset, other: Dataset) -> bool:
    """Whether two data sets have the same value for `tag`.

    Where the encoding of one tells no VR, as for private elements, the same bytes are the same.
    """
    first, second = one.get_item(tag), other.get_item(tag)
    if (known := _bytes_of(first)) is not None and known == _bytes_of(second):
        return True
    a, b = one[tag], other[tag]
    if a.VR != b.VR or a.VR in _WORDS:
        return False
    if a.VR != "SQ":
        return bool(a.value == b.value)
    items = a.value or (), b.value or ()
    return len(items[0]) == len(items[1]) and all(map(_is_same, *items))


def _bytes_of(raw: DataElement | RawDataElement) -> bytes | None:
    """Return the bytes of a value in Little Endian, `None` where that is for pydicom to decode."""
    from pydicom.dataelem import RawDataElement  # noqa: PLC0415 - hardly ever needed

    if not isinstance(raw, RawDataElement):
        return b"" if raw.is_empty else None
    value = raw.value or b""
    if raw.is_little_endian:
        return value
    return _swapped(value, _WORDS[raw.VR]) if raw.VR in _WORDS else None


def _swapped(value: bytes, word: int) -> bytes:
    """Return `value` with the bytes of each word in the other order; what is no word stays."""
    if word == 1:
        return value
    whole = len(value) - len(value) % word
    words = array(_ARRAYS[word], value[:whole])
    words.byteswap()
    return words.tobytes() + value[whole:]
