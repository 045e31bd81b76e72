"""The File Meta Information of a corrected instance (PS3.10 Section 7.1)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Final

from ledger.instances.correcting.edits import SOP_CLASS_UID, SOP_INSTANCE_UID
from ledger.instances.correcting.structure import Encoder
from ledger.instances.file_meta import PREFIX_END
from ledger.instances.walker import Walker, looks_implicit
from ledger.tags import (
    FILE_META_GROUP_LENGTH,
    MEDIA_STORAGE_SOP_CLASS_UID,
    MEDIA_STORAGE_SOP_INSTANCE_UID,
)

_FOLLOWS: Final = {
    MEDIA_STORAGE_SOP_CLASS_UID: SOP_CLASS_UID,
    MEDIA_STORAGE_SOP_INSTANCE_UID: SOP_INSTANCE_UID,
}


def corrected_meta(start: bytes, uids: Mapping[int, bytes]) -> bytes:
    """Return the beginning of a file up to its data set, with `uids` of the data set, by tag.

    The Media Storage UIDs follow them, and so does the length of the group; nothing that isn't
    there is added.
    """
    if uids.keys().isdisjoint(_FOLLOWS.values()):
        return start
    parts = [start[:PREFIX_END]]
    length_at = None
    offset = PREFIX_END
    walker = Walker(start)
    while offset < len(start):
        implicit = looks_implicit(start, offset)
        tag, code, length, value = walker.header(offset, implicit=implicit)
        stop = value + length
        if tag == FILE_META_GROUP_LENGTH and length == 4:
            length_at = len(parts)
        uid = uids.get(_FOLLOWS.get(tag, 0))
        if uid is None:
            parts.append(start[offset:stop])
        else:
            encoder = Encoder(implicit=implicit, big_endian=False)
            parts.append(encoder.header(tag, code, len(uid)) + uid)
        offset = stop
    if length_at is not None:
        size = sum(map(len, parts[length_at + 1 :]))
        parts[length_at] = parts[length_at][:-4] + struct.pack("<I", size)
    return b"".join(parts)
