"""Scanning a DICOM file (PS3.10 Section 7) for a few of its elements, and for its completeness.

A scan walks every top-level element to the end of the file and takes out the values of the wanted
ones; the others are skipped by their lengths, without an object made for them. That proves at the
same time that no length runs past the end: a truncated file is never taken for a whole one.

Two fast loops serve Explicit and Implicit VR Little Endian, which is nearly every file; what looks
as it did in a file before (:mod:`ledger.familiar`) they step over. At anything else they give up
and leave the file to pydicom, after :mod:`ledger.walker` has checked that it is complete; both ways
give the same result.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Collection, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.elements import (
    KNOWN_VRS,
    LONG_VRS,
    UNDEFINED_LENGTH,
    Element,
    canonical,
    encode_element,
    iterate,
)
from ledger.errors import ElementsError, InstanceError, NotDicomError, TruncatedError
from ledger.familiar import MAX_MISSES, RUN, Familiar, Plain
from ledger.walker import Buffer, Walker, check_complete, looks_implicit

if TYPE_CHECKING:
    from pydicom.dataelem import RawDataElement

IMPLICIT_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_BIG_ENDIAN: Final = "1.2.840.10008.1.2.2"
DEFLATED: Final = frozenset(
    ("1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205")
)
"""Transfer syntaxes whose data set is one deflated stream (PS3.5 Section A.5)."""

MAX_INFLATED: Final = 1 << 30
"""Bytes beyond which a deflated data set is refused: it has to be in memory as a whole."""

_MARGIN: Final = 4096  # bytes at the end of a head where no element is begun with

_MAX_RATIO: Final = 1000
_RATIO_FROM: Final = 64 << 20

_EXPLICIT: Final = struct.Struct("<IHH").unpack_from
_IMPLICIT: Final = struct.Struct("<II").unpack_from
_LENGTH: Final = struct.Struct("<I").unpack_from


def _code(vr: bytes) -> int:
    return int.from_bytes(vr, "little")


# The loops compare tags and VRs as the little-endian numbers that they are in the file.
_SHORT: Final = frozenset(map(_code, KNOWN_VRS - LONG_VRS))
_LONG: Final = frozenset(map(_code, LONG_VRS))
_SQ, _UN = _code(b"SQ"), _code(b"UN")
_NAMES: Final = {_code(vr): vr.decode() for vr in KNOWN_VRS}
# What the loops must not step over: a data set has no delimiters and no command elements.
_STOPS: Final = frozenset((0x00000000, 0xE000FFFE, 0xE00DFFFE, 0xE0DDFFFE))


class Scan(NamedTuple):
    """What a scan found in a file."""

    transfer_syntax_uid: str
    media_storage_class_uid: str
    """Media Storage SOP Class UID (0002,0002), empty where there is none."""

    elements: dict[int, Element]
    """The wanted elements that are there, by tag: values as in the file, sequences canonical."""


class Wanted:
    """What a scan is to return: the VR of each wanted tag, and which of them only for presence.

    Those in `presence_only` come back with an empty value.
    """

    __slots__ = ("explicit", "implicit", "lookup", "presence_only", "vrs")

    def __init__(self, vrs: Mapping[int, str], presence_only: Collection[int] = ()) -> None:
        self.vrs = dict(vrs)
        self.presence_only = frozenset(presence_only)
        self.lookup = {(tag & 0xFFFF) << 16 | tag >> 16: tag for tag in vrs} | dict.fromkeys(
            _STOPS, 0
        )
        self.explicit = Familiar(self._plain_explicit)
        self.implicit = Familiar(self._plain_implicit)

    def _plain_explicit(self, data: Buffer, offset: int) -> Plain | None:
        """Return the element at `offset` if a run may hold it: all but what a walk looks into."""
        if offset + 12 > len(data):
            return None
        raw, vr, length = _EXPLICIT(data, offset)
        start = offset + 8
        if vr in _LONG:
            (length,) = _LENGTH(data, start)
            start += 4
        tag = self.lookup.get(raw)
        if vr not in _NAMES or length == UNDEFINED_LENGTH or (raw + 2) & 0xFFFF <= 2:
            return None
        if tag is not None and (not tag or vr in _LONG):
            return None
        return Plain(start, start + length, tag, _NAMES[vr])

    def _plain_implicit(self, data: Buffer, offset: int) -> Plain | None:
        """Do so in Implicit VR."""
        if offset + 8 > len(data):
            return None
        raw, length = _IMPLICIT(data, offset)
        tag = self.lookup.get(raw)
        if length == UNDEFINED_LENGTH or tag in self.presence_only or (raw + 2) & 0xFFFF <= 2:
            return None
        if tag is not None and (tag not in self.vrs or self.vrs[tag] == "SQ"):
            return None
        return Plain(offset + 8, offset + 8 + length, tag, self.vrs[tag] if tag else "")


class _File(NamedTuple):
    """A file's meta information, and the encoded data set: `data` from `offset` on."""

    transfer_syntax_uid: str
    media_storage_class_uid: str
    data: Buffer
    offset: int


def scan(data: Buffer, wanted: Wanted) -> Scan:
    """Return the `wanted` elements of the DICOM file whose bytes `data` holds.

    Raises :class:`~ledger.errors.NotDicomError`, :class:`~ledger.errors.TruncatedError`, or
    :class:`~ledger.errors.InstanceError` where the file can't be read.
    """
    file = _open(data)
    elements = _scan_fast(file, wanted)
    if elements is None:
        elements = _scan_generally(data, file, wanted)
    return Scan(file.transfer_syntax_uid, file.media_storage_class_uid, elements)


def scan_head(head: bytes, size: int, wanted: Wanted) -> Scan | None:
    """Return what :func:`scan` returns for the file of `size` bytes that begins with `head`.

    That takes a file whose last element begins in `head` and ends with the file, as Pixel Data
    does. ``None`` where the rest of it has to be read, whatever the reason.
    """
    try:
        file = _open(head)
        in_stream = file.transfer_syntax_uid in DEFLATED
        elements = None if in_stream else _scan_fast(file, wanted, size)
    except InstanceError:
        return None
    if elements is None:
        return None
    # The last of them may have been cut off with the head.
    last = next(reversed(elements.values()), None)
    if last is not None and (not last.value or head.endswith(last.value)):
        return None
    return Scan(file.transfer_syntax_uid, file.media_storage_class_uid, elements)


def scan_generally(data: Buffer, wanted: Wanted) -> Scan:
    """Return what :func:`scan` returns, read by pydicom whatever the file: the reference."""
    file = _open(data)
    elements = _scan_generally(data, file, wanted)
    return Scan(file.transfer_syntax_uid, file.media_storage_class_uid, elements)


# --- File Meta Information (PS3.10 Section 7.1) --------------------------------------------------


def _open(data: Buffer) -> _File:
    """Read the File Meta Information, and inflate the data set where it is deflated."""
    if data[128:132] != b"DICM":
        raise NotDicomError(
            "no DICM prefix after a 128-byte preamble: this is not a DICOM file in the format of "
            "PS3.10 Section 7.1. If it is a bare data set, save it in that format first"
        )
    meta, offset = _familiar_meta(data) or _read_meta(data)
    syntax, storage_class = (
        str(meta.get(tag, b""), "latin-1").rstrip("\0 ").strip() for tag in (0x00100002, 0x00020002)
    )
    if not syntax or not syntax.isascii() or not syntax.isprintable() or "\\" in syntax:
        raise InstanceError(
            "(0002,0010) Transfer Syntax UID is missing or invalid, so the encoding of the file "
            "is not known: save it again with complete File Meta Information"
        )
    if syntax in DEFLATED:
        data, offset = inflate(data[offset:]), 0
    return _File(syntax, storage_class, data, offset)


def _familiar_meta(data: Buffer) -> tuple[dict[int, bytes], int] | None:
    """Do what :func:`_read_meta` does where it was done for the like before, else ``None``."""
    elements: dict[int, Element] = {}
    offset, raw = _META.step(data, 132, elements)
    if raw < 0 or offset > len(data) - 8:
        return None
    if raw & 0xFFFF == 2:
        _META.learn(data, offset, raw)
        return None
    return {tag: element.value for tag, element in elements.items()}, offset


def _plain_meta(data: Buffer, offset: int) -> Plain | None:
    """Return the element at `offset` if it is one of the group 0002 in Explicit VR."""
    if offset + 12 > len(data):
        return None
    tag, vr, length = _EXPLICIT(data, offset)
    if tag & 0xFFFF != 2 or vr not in _NAMES:
        return None
    start = offset + 8
    if vr in _LONG:
        (length,) = _LENGTH(data, start)
        start += 4
    return Plain(start, start + length, tag, _NAMES[vr])


_META: Final = Familiar(_plain_meta)


def _read_meta(data: Buffer) -> tuple[dict[int, bytes], int]:
    """Return the values of group 0002, by tag as a little-endian number, and where it ends.

    The group's own length, often wrong, is not relied upon.
    """
    size, offset = len(data), 132
    last = size - 8
    meta: dict[int, bytes] = {}
    while offset <= last:
        tag, vr, length = _EXPLICIT(data, offset)
        if tag & 0xFFFF != 2:
            break
        if vr in _SHORT:
            start = offset + 8
        elif vr in _LONG and offset + 12 <= size:
            (length,) = _LENGTH(data, offset + 8)
            start = offset + 12
        else:
            # Some writers encode this group in Implicit VR, as the data set that follows.
            (length,) = _LENGTH(data, offset + 4)
            start = offset + 8
        offset = start + length
        if offset > size:
            raise TruncatedError(
                f"the file ends within its File Meta Information, in (0002,{tag >> 16:04X}): "
                f"{size - start} of {length} bytes are there"
            )
        meta[tag] = bytes(data[start:offset])
    if offset > last and offset != size:
        raise TruncatedError(f"the file ends within an element's header, at byte {offset}")
    return meta, offset


def inflate(data: Buffer) -> bytes:
    """Return the data set that the deflated stream `data` holds (PS3.5 Section A.5).

    Refuses, with :class:`~ledger.errors.InstanceError`, to unfold more than 1 GiB or what only a
    decompression bomb holds: over 64 MiB at more than a thousand times the stream's size.
    """
    limit = min(MAX_INFLATED, max(_RATIO_FROM, _MAX_RATIO * len(data)))
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    chunks: list[bytes] = []
    total = 0
    pending = bytes(data)
    try:
        while not stream.eof:
            chunk = stream.decompress(pending, min(1 << 24, limit + 1 - total))
            pending = stream.unconsumed_tail
            chunks.append(chunk)
            total += len(chunk)
            if total > limit:
                raise InstanceError(
                    f"the deflated data set unfolds to over {limit} bytes from {len(data)}: "
                    "it looks like a decompression bomb"
                )
            if not chunk and not pending and not stream.eof:
                raise TruncatedError("the file ends within its deflated data set")
        return b"".join(chunks)
    except zlib.error as exc:
        raise InstanceError(f"the deflated data set can't be inflated: {exc}") from exc
    except MemoryError as exc:
        raise InstanceError("the deflated data set unfolds to more than the memory holds") from exc


# --- the fast loops ------------------------------------------------------------------------------


def _scan_fast(file: _File, wanted: Wanted, size: int | None = None) -> dict[int, Element] | None:
    """Return the wanted elements, or ``None`` where the general way has to decide.

    With a `size`, the file has so many bytes and only begins with those given.
    """
    data, offset = file.data, file.offset
    last = len(data) - (8 if size is None else _MARGIN)
    if file.transfer_syntax_uid == EXPLICIT_BIG_ENDIAN:
        return None
    familiar, walk = wanted.explicit, _walk_explicit
    if file.transfer_syntax_uid == IMPLICIT_LITTLE_ENDIAN:
        familiar, walk = wanted.implicit, _walk_implicit
        if offset <= last and not looks_implicit(data, offset):
            return None
    elements: dict[int, Element] = {}
    walks = 0
    while offset <= last:
        walks += 1
        if walks < MAX_MISSES:
            offset, raw = familiar.step(data, offset, elements)
            if offset > last:
                break
        walked = walk(data, offset, wanted, elements)
        if walked is None:
            return None
        if walks < MAX_MISSES:
            familiar.learn(data, offset, raw)
        offset = walked
    is_whole = offset == (len(data) if size is None else size)
    return elements if is_whole and 0 not in elements else None


def _walk_explicit(
    data: Buffer, offset: int, wanted: Wanted, elements: dict[int, Element]
) -> int | None:
    """Take the wanted elements out of some, from `offset` on, and return where the next one is."""
    lookup, names, starts = wanted.lookup, _NAMES, wanted.explicit.starts
    last = len(data) - 8
    for number in range(RUN):
        if offset > last:
            break
        raw, vr, length = _EXPLICIT(data, offset)
        if number and raw in starts:
            break
        # Groups 0000 and FFFE are none of a data set: the general way refuses their elements.
        if vr in _SHORT and (raw + 2) & 0xFFFF > 2:
            start = offset + 8
            offset = start + length
            if raw in lookup:
                tag = lookup[raw]
                elements[tag] = Element(tag, names[vr], bytes(data[start:offset]))
            continue
        long = vr in _LONG and (raw + 2) & 0xFFFF > 2
        walked = _walk_long(data, offset, wanted, elements) if long else None
        if walked is None:
            return None
        offset = walked
    return offset


def _walk_long(
    data: Buffer, header: int, wanted: Wanted, elements: dict[int, Element]
) -> int | None:
    """Do so with the one element at `header`, which has a length of 32 bits or none."""
    if header + 12 > len(data):
        return None
    raw, vr, _ = _EXPLICIT(data, header)
    start = offset = header + 12
    (length,) = _LENGTH(data, header + 8)
    if length != UNDEFINED_LENGTH:
        offset += length
        end = offset
    elif vr == _UN:
        return None
    else:
        offset = _skip(data, raw, vr.to_bytes(2, "little"), start)
        end = offset - 8
    if raw in wanted.lookup:
        tag = wanted.lookup[raw]
        if tag in wanted.presence_only:
            start = end
        value = bytes(data[start:end]) if vr != _SQ else _canonical(data[header:offset])
        if value is None:
            return None
        elements[tag] = Element(tag, _NAMES[vr], value)
    return offset


def _skip(data: Buffer, raw: int, vr: bytes | None, start: int) -> int:
    """Return where a value of undefined length ends, its delimiter included."""
    tag = raw << 16 & 0xFFFF0000 | raw >> 16
    return Walker(data).skip(tag, vr, UNDEFINED_LENGTH, start, implicit=vr is None)


def _walk_implicit(
    data: Buffer, offset: int, wanted: Wanted, elements: dict[int, Element]
) -> int | None:
    """Do as :func:`_walk_explicit`."""
    lookup, vrs, starts = wanted.lookup, wanted.vrs, wanted.implicit.starts
    size = len(data)
    last = size - 8
    for number in range(RUN):
        if offset > last:
            break
        raw, length = _IMPLICIT(data, offset)
        if number and raw in starts:
            break
        if (raw + 2) & 0xFFFF <= 2:
            return None
        start = offset + 8
        if length != UNDEFINED_LENGTH:
            offset = start + length
        else:
            offset = _skip(data, raw, None, start)
            length = offset - 8 - start
        if raw in lookup:
            tag = lookup[raw]
            if not tag or vrs[tag] == "SQ" or offset > size:
                return None
            length = 0 if tag in wanted.presence_only else length
            elements[tag] = Element(tag, vrs[tag], bytes(data[start : start + length]))
    return offset


def _canonical(element: Buffer) -> bytes | None:
    """Return the canonical value of an explicit sequence element, ``None`` if it is malformed."""
    try:
        return canonical(bytes(element))[12:]
    except ElementsError:
        return None


# --- the general way -----------------------------------------------------------------------------


def _scan_generally(data: Buffer, file: _File, wanted: Wanted) -> dict[int, Element]:
    """Return the wanted elements as pydicom reads them, once the file is known to be complete."""
    check_complete(
        file.data,
        file.offset,
        implicit=file.transfer_syntax_uid == IMPLICIT_LITTLE_ENDIAN,
        big_endian=file.transfer_syntax_uid == EXPLICIT_BIG_ENDIAN,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return _read_with_pydicom(file, wanted)
        except InstanceError:
            raise
        except Exception as exc:
            raise InstanceError(f"the file can't be read: {exc}") from exc


def _read_with_pydicom(file: _File, wanted: Wanted) -> dict[int, Element]:
    # pydicom takes a good part of a second to import, and most files never need it.
    from pydicom.dataelem import RawDataElement  # noqa: PLC0415
    from pydicom.filereader import read_dataset  # noqa: PLC0415

    from ledger.datasets import to_elements  # noqa: PLC0415

    ds = read_dataset(
        BytesIO(file.data[file.offset :]),
        is_implicit_VR=file.transfer_syntax_uid == IMPLICIT_LITTLE_ENDIAN,
        is_little_endian=file.transfer_syntax_uid != EXPLICIT_BIG_ENDIAN,
        specific_tags=list(wanted.vrs),
    )
    elements: dict[int, Element] = {}
    converted: set[int] = set()
    for key in ds.keys() & wanted.vrs.keys():
        tag = int(key)
        item: object = ds.get_item(key, keep_deferred=True)
        kept = _as_it_is(item, wanted.vrs[tag]) if isinstance(item, RawDataElement) else None
        if tag in wanted.presence_only:
            elements[tag] = Element(tag, wanted.vrs[tag], b"")
        elif kept is None:
            converted.add(tag)
        else:
            elements[tag] = kept
    rest = frozenset(map(int, ds.keys())) - converted
    elements |= {element.tag: element for element in iterate(to_elements(ds, without=rest))}
    return elements


def _as_it_is(raw: RawDataElement, implicit_vr: str) -> Element | None:
    """Return an element as it is in the file, ``None`` where its encoding must be converted."""
    tag, value = int(raw.tag), raw.value or b""
    if not raw.is_little_endian:
        return None
    vr = raw.VR or implicit_vr
    if vr == "SQ":
        if raw.is_implicit_VR:
            return None
        sequence = _canonical(encode_element(tag, vr, value))
        return None if sequence is None else Element(tag, vr, sequence)
    return Element(tag, vr if vr.encode("latin-1") in KNOWN_VRS else "UN", value)
