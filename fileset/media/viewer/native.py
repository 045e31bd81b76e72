"""Native pixels of an instance for the viewer: what describes them, and their bytes.

This is a format that never changes for a `VERSION`, since media are made again from the instances:
so no library takes part in it. Values are in Little Endian, of a whole number of bytes for a frame.
A scan gives what describes them in Little Endian, whatever the transfer syntax.
"""

from __future__ import annotations

import array
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from attrs import frozen

from fileset.pictures.picture import NoImageError
from fileset.pictures.unfit import number_of_frames, refuse_lacking, refuse_short
from ledger.elements import Element
from ledger.errors import InstanceError
from ledger.files import FileView
from ledger.instances.data_set import opened
from ledger.instances.encodings import PIXEL_DATA, has_encapsulated
from ledger.instances.scanner import Wanted, scan, scan_file
from ledger.instances.walker import Buffer, walk_elements
from ledger.uids import EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

VERSION: Final = 1
"""Raise it with any change of what is made, and keep the former way."""

_CHUNK: Final = 1 << 20
_NUMBERS: Final = {
    "samples": 0x00280002,
    "planar": 0x00280006,
    "rows": 0x00280010,
    "columns": 0x00280011,
    "allocated": 0x00280100,
    "stored": 0x00280101,
    "high": 0x00280102,
    "signed": 0x00280103,
    "padding": 0x00280120,
}  # each two bytes
_TEXTS: Final = {
    "frames": (0x00280008, "IS"),
    "spacing": (0x00280030, "DS"),
    "aspect": (0x00280034, "IS"),
    "centre": (0x00281050, "DS"),
    "width": (0x00281051, "DS"),
    "intercept": (0x00281052, "DS"),
    "slope": (0x00281053, "DS"),
}
_PHOTOMETRIC: Final = 0x00280004
_FUNCTION: Final = 0x00281056
_SHAPE: Final = 0x20500020
_PALETTES: Final = ((0x00281101, 0x00281201), (0x00281102, 0x00281202), (0x00281103, 0x00281203))
_WANTED: Final = Wanted(
    {
        **dict.fromkeys(_NUMBERS.values(), "US"),
        **dict(_TEXTS.values()),
        **{descriptor: "US" for descriptor, _ in _PALETTES},
        **{data: "OW" for _, data in _PALETTES},
        _PHOTOMETRIC: "CS",
        _FUNCTION: "CS",
        _SHAPE: "CS",
    }
)
_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_ALLOCATED: Final = frozenset((1, 8, 16, 32))
_SHOWN: Final = frozenset(
    ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB", "YBR_FULL", "YBR_FULL_422")
)


@frozen
class Native:
    """The native pixels of an instance.

    Attributes
    ----------
    told : dict of str to number, text or list
        What describes them, as the viewer's page knows it.
    frames : int
        How many frames there are.
    size : int
        Of a frame, in bytes.
    """

    told: Mapping[str, Any]
    frames: int
    size: int
    _data: Buffer | FileView
    _start: int
    _word: int
    _bits: int

    def chunks(self, first: int, last: int) -> Iterator[bytes]:
        """Yield the bytes of the frames from `first` up to, and without, `last`."""
        if self._bits % 8:
            yield from self._of_bits(first, last)
            return
        offset, stop = first * self.size, last * self.size
        while offset < stop:
            chunk = self._read(offset, min(offset + _CHUNK, stop))
            if not chunk:
                raise InstanceError("the file ends within its pixels")
            offset += len(chunk)
            yield chunk

    def _of_bits(self, first: int, last: int) -> Iterator[bytes]:
        """Yield frames of single bits, each beginning with a byte of its own (PS3.5 8.1.1)."""
        bits = self._bits
        for number in range(first, last):
            start = number * bits
            part = self._read(start // 8, -(-(start + bits) // 8))
            value = int.from_bytes(part, "little") >> start % 8
            yield (value & (1 << bits) - 1).to_bytes(self.size, "little")

    def _read(self, first: int, last: int) -> bytes:
        """Return the bytes from `first` up to `last` of the pixels, in Little Endian."""
        word = self._word
        begun = first - first % word  # whole words, which a frame of an odd size isn't
        data = self._data[self._start + begun : self._start + -(-last // word) * word]
        return _swapped(bytes(data), word)[first - begun : last - begun]


@contextmanager
def native(source: bytes | FileView) -> Iterator[Native | None]:
    """Give the pixels of the instance in the DICOM file `source`.

    `None` if it has none, or has them encapsulated: then a decoder is needed. Raises InstanceError
    if what it has does not fit together.
    """
    found = scan_file(source, _WANTED) if isinstance(source, FileView) else scan(source, _WANTED)
    if has_encapsulated(found.transfer_syntax_uid) or _NUMBERS["rows"] not in found.elements:
        yield None
        return
    big_endian = found.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN
    with opened(source) as (meta, data, offset):
        implicit = meta.transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
        walked = walk_elements(data, offset, implicit=implicit, big_endian=big_endian)
        place = next((each for each in walked if each.tag == PIXEL_DATA), None)
        if place is None:
            yield None
            return
        told = _told(found.elements)
        if told["allocated"] not in _ALLOCATED or told["photometric"] not in _SHOWN:
            raise InstanceError(f"{told['allocated']} bits of {told['photometric']} are not shown")
        bits = _bits_of_frame(told)
        frames = told["frames"]
        size = -(-bits // 8)
        word = 1
        if big_endian:  # PS3.5 Section A.3: values of one byte, and bits, are in words of OW
            is_ow = bytes(data[place.header + 4 : place.header + 6]) == b"OW"
            word = max(told["allocated"] // 8, 2 if is_ow else 1)
        refuse_short(
            place.stop - place.start,
            -(-bits * frames // (8 * word)) * word,
            frames=frames,
            rows=told["rows"],
            columns=told["columns"],
        )
        yield Native(told, frames, size, data, place.start, word, bits)


def told_of(source: bytes | FileView) -> dict[str, Any]:
    """Return what describes the pixels of an instance, however they are encoded.

    Raises InstanceError if that is not what is shown, NoImageError if it is no image.
    """
    found = scan_file(source, _WANTED) if isinstance(source, FileView) else scan(source, _WANTED)
    if _NUMBERS["rows"] not in found.elements:
        raise NoImageError("it is not an image")
    return _told(found.elements)


def _told(elements: Mapping[int, Element]) -> dict[str, Any]:
    """Return what describes the pixels; InstanceError if that is not what is shown."""
    told: dict[str, Any] = {"samples": 1, "planar": 0, "signed": 0}
    for name, tag in _NUMBERS.items():
        if tag in elements and len(elements[tag].value) >= 2:
            told[name] = int.from_bytes(elements[tag].value[:2], "little")
    if told["signed"] and told.get("padding", 0) > 0x7FFF:
        told["padding"] -= 0x10000
    for name, (tag, _) in _TEXTS.items():
        if values := _numbers(elements.get(tag)):
            told[name] = values
    told["frames"] = number_of_frames(_text(elements.get(_TEXTS["frames"][0])))
    told["photometric"] = _text(elements.get(_PHOTOMETRIC)) or "MONOCHROME2"
    told["function"] = _text(elements.get(_FUNCTION)) or "LINEAR"
    told["inverse"] = _text(elements.get(_SHAPE)) == "INVERSE"
    refuse_lacking({"rows", "columns", "allocated"} - told.keys())
    told.setdefault("stored", told["allocated"])
    told.setdefault("high", told["stored"] - 1)
    if told["photometric"] == "PALETTE COLOR":
        told["palette"] = [_palette(elements, *tags) for tags in _PALETTES]
    return told


def _bits_of_frame(told: Mapping[str, Any]) -> int:
    samples = 2 if told["photometric"] == "YBR_FULL_422" else told["samples"]
    bits: int = told["rows"] * told["columns"] * samples * told["allocated"]
    if not bits:
        raise InstanceError("it has no rows or no columns")
    return bits


def _palette(elements: Mapping[int, Element], descriptor: int, data: int) -> list[int]:
    """Return the first value that a palette maps, and the tones of 0 to 255 that it has."""
    if descriptor not in elements or data not in elements:
        raise InstanceError("its palette is not there, or in segments, which are not shown")
    told, values = elements[descriptor].value, elements[data].value
    entries, first, bits = (int.from_bytes(told[at : at + 2], "little") for at in (0, 2, 4))
    if bits == 8 and len(values) <= (entries or 0x10000) + 1:
        return [first, *values]
    words = (int.from_bytes(values[at : at + 2], "little") for at in range(0, len(values) - 1, 2))
    return [first, *(word >> max(bits - 8, 0) & 0xFF for word in words)]


def _numbers(element: Element | None) -> list[int | float]:
    """Return the numbers that a text has, none if any of it is no number."""
    text = _text(element)
    parts = [part.strip() for part in text.split("\\")] if text else []
    if not all(_NUMBER.fullmatch(part) for part in parts):
        return []
    values = [float(part) for part in parts]
    return [int(value) if value.is_integer() and abs(value) < 1e15 else value for value in values]


def _text(element: Element | None) -> str:
    return "" if element is None else element.value.decode("latin-1").strip("\0 ")


def _swapped(data: bytes, word: int) -> bytes:
    """Return words of so many bytes in the other byte order."""
    if word == 1:
        return data
    made = array.array("H" if word == 2 else "I", data)
    made.byteswap()
    return made.tobytes()
