"""The icons of directory records: which records have one, and how it is encoded (PS3.3 F.7)."""

from __future__ import annotations

import struct
from typing import Final

from ledger.elements import Element, encode, encode_items, find, iterate_items
from ledger.errors import ElementsError
from projections.dicomdir.profiles.profile import Profile

ICON_IMAGE_SEQUENCE: Final = 0x00880200
_ROWS: Final = 0x00280010
_COLUMNS: Final = 0x00280011
_USUAL: Final = 64  # rows and columns (PS3.3 Section F.7)


def icon_size(
    profile: Profile | None, record_type: str, sop_class_uid: str, *, asked: bool
) -> int | None:
    """Return how many rows and columns the icon in a record has, `None` if it gets none.

    That is in IMAGE records: where the profile says so and, if icons were `asked` for, in all.
    """
    icon = None if profile is None else profile.icon
    is_required = icon is not None and icon.is_required_of(sop_class_uid)
    if record_type != "IMAGE" or not (is_required or asked):
        return None
    return _USUAL if icon is None else icon.size


def icon_sequence(size: int, pixels: bytes) -> Element:
    """Return the Icon Image Sequence with an icon of `size` rows and columns, a byte each."""
    item = encode(
        (
            _number(0x00280002, 1),  # Samples per Pixel
            Element(0x00280004, "CS", b"MONOCHROME2"),
            _number(_ROWS, size),
            _number(_COLUMNS, size),
            _number(0x00280100, 8),  # Bits Allocated
            _number(0x00280101, 8),  # Bits Stored
            _number(0x00280102, 7),  # High Bit
            _number(0x00280103, 0),  # Pixel Representation
            Element(0x7FE00010, "OB", pixels),  # not OW (PS3.11 Section B.3.3.2)
        )
    )
    return Element(ICON_IMAGE_SEQUENCE, "SQ", encode_items([item]))


def icon_sides(elements: bytes) -> tuple[int, int] | None:
    """Return the rows and columns of the icon that a record's `elements` have, 0 if unknown.

    `None` if they have none.
    """
    sequence = find(elements, ICON_IMAGE_SEQUENCE)
    if sequence is None:
        return None
    try:
        item = next(iterate_items(sequence.value), b"")
        sides = [find(item, tag) for tag in (_ROWS, _COLUMNS)]
    except ElementsError:
        return 0, 0
    rows, columns = (
        struct.unpack("<H", side.value)[0] if side and len(side.value) == 2 else 0 for side in sides
    )
    return rows, columns


def _number(tag: int, value: int) -> Element:
    return Element(tag, "US", struct.pack("<H", value))
