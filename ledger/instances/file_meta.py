"""The beginning of a DICOM file (PS3.10 Section 7.1): its prefix and File Meta Information."""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from ledger.elements import KNOWN_VRS, LONG_VRS, Element
from ledger.errors import InstanceError, NotDicomError, TruncatedError
from ledger.instances.familiar import Familiar, Plain
from ledger.instances.walker import Buffer, Sliced

PREFIX_END: Final = 132
"""Where a file's preamble and its prefix, `DICM`, end: File Meta Information begins there."""

_META_SIZE: Final = 1 << 12  # bytes in which the File Meta Information mostly is
_MAX_VALUE: Final = 1 << 24  # bytes of it in a large file

EXPLICIT: Final = struct.Struct("<IHH").unpack_from
IMPLICIT: Final = struct.Struct("<II").unpack_from
LENGTH: Final = struct.Struct("<I").unpack_from


def vr_code(vr: bytes) -> int:
    return int.from_bytes(vr, "little")


# Scans compare tags and VRs as the little-endian numbers that they are in the file.
SHORT: Final = frozenset(map(vr_code, KNOWN_VRS - LONG_VRS))
LONG: Final = frozenset(map(vr_code, LONG_VRS))
NAMES: Final = {vr_code(vr): vr.decode() for vr in KNOWN_VRS}


class Meta(NamedTuple):
    """What a scan takes from group 0002; the last two are empty where they are missing."""

    transfer_syntax_uid: str
    media_storage_class_uid: str
    media_storage_instance_uid: str


_TAKEN: Final = (0x00100002, 0x00020002, 0x00030002)  # the tags as they are in the file


def is_dicom(start: Buffer) -> bool:
    """Whether a file that has `start` as its first `PREFIX_END` bytes is a DICOM file."""
    return start[128:PREFIX_END] == b"DICM"


def check_prefix(data: Buffer, name: str) -> None:
    """Raise `NotDicomError` unless `data` is of a DICOM file, which `name` is."""
    if not is_dicom(data):
        raise NotDicomError("not a DICOM file: 'DICM' is missing at byte 128", name=name)


def meta_of_file(view: Sliced) -> tuple[Meta, int]:
    """Return what `read_meta` returns, with as much of a file read as that takes."""
    size = _META_SIZE
    while True:
        try:
            return read_meta(view[:size])
        except TruncatedError:
            if size >= min(len(view), _MAX_VALUE):
                raise
            size *= 16


def read_meta(data: Buffer) -> tuple[Meta, int]:
    """Return what a scan takes from group 0002, and where that ends."""
    if not is_dicom(data):
        raise NotDicomError(
            "no DICM prefix after a 128-byte preamble: this is not a DICOM file in the format of "
            "PS3.10 Section 7.1. If it is a bare data set, save it in that format first"
        )
    meta, offset = _familiar_meta(data) or _walk_meta(data)
    found = Meta(*[str(meta.get(tag, b""), "latin-1").rstrip("\0 ").strip() for tag in _TAKEN])
    syntax = found.transfer_syntax_uid
    if not syntax or not syntax.isascii() or not syntax.isprintable() or "\\" in syntax:
        raise InstanceError(
            "(0002,0010) Transfer Syntax UID is missing or invalid, so the encoding of the file "
            "is not known: save it again with complete File Meta Information"
        )
    return found, offset


def _familiar_meta(data: Buffer) -> tuple[dict[int, bytes], int] | None:
    """Return as `_walk_meta` where the like was walked before, else `None`."""
    elements: dict[int, Element] = {}
    offset, raw = _META.step(data, PREFIX_END, elements)
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
    tag, vr, length = EXPLICIT(data, offset)
    if tag & 0xFFFF != 2 or vr not in NAMES:
        return None
    start = offset + 8
    if vr in LONG:
        (length,) = LENGTH(data, start)
        start += 4
    return Plain(start, start + length, tag, NAMES[vr])


_META: Final = Familiar(_plain_meta)


def _walk_meta(data: Buffer) -> tuple[dict[int, bytes], int]:
    """Return the values of group 0002, by tag as a little-endian number, and where it ends.

    The group's own length, often wrong, is not relied upon.
    """
    size, offset = len(data), PREFIX_END
    last = size - 8
    meta: dict[int, bytes] = {}
    while offset <= last:
        tag, vr, length = EXPLICIT(data, offset)
        if tag & 0xFFFF != 2:
            break
        if vr in SHORT:
            start = offset + 8
        elif vr in LONG and offset + 12 <= size:
            (length,) = LENGTH(data, offset + 8)
            start = offset + 12
        else:
            # Some writers encode this group in Implicit VR, as the data set that follows.
            (length,) = LENGTH(data, offset + 4)
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
