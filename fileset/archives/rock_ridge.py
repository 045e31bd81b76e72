"""What Rock Ridge (IEEE P1282, in the fields of SUSP P1281) says of a file on an ISO 9660 disc."""

from __future__ import annotations

import stat
import struct
from collections.abc import Callable, Iterator
from typing import Final

from attrs import define

_AREAS: Final = 32  # that continue the fields of one file
_NUMBER: Final = struct.Struct("<I")  # each is there twice, in either byte order
_ENDS_IN_ITSELF: Final = 0x06  # of a name: it stands for this folder, or for the one above

ReadArea = Callable[[int, int, int], bytes]
"""Returns the bytes of a continuation: of which block, from which offset on, and how many."""


@define
class Extra:
    """What is known of a file besides its directory record.

    `name` is empty where there is none, `mode` 0. `child` is the block of the folder that the file
    stands for, and a folder that `is_moved` is met in that way.
    """

    name: bytes = b""
    mode: int = 0
    child: int | None = None
    is_moved: bool = False
    is_packed: bool = False


def skipped_of_use(use: bytes) -> int | None:
    """Return how many bytes of each system use field belong to others; `None` without Rock Ridge.

    `use` is that of the root folder's record of itself (SUSP 5.3).
    """
    for start in (0, 14):  # behind what CD-ROM XA has there
        if use[start : start + 2] == b"SP" and use[start + 4 : start + 6] == b"\xbe\xef":
            return use[start + 6] if len(use) > start + 6 else None
    return None


def extra_of(use: bytes, read: ReadArea) -> Extra:
    """Return what the fields in `use`, and the areas that continue it, say."""
    extra = Extra()
    for name, data in _fields(use, read):
        if name == b"NM" and data and not data[0] & _ENDS_IN_ITSELF:
            extra.name += data[1:]
        elif name == b"PX" and len(data) >= 4:
            (extra.mode,) = _NUMBER.unpack_from(data)
        elif name == b"SL":
            extra.mode = stat.S_IFLNK
        elif name == b"CL" and len(data) >= 4:
            (extra.child,) = _NUMBER.unpack_from(data)
        elif name == b"RE":
            extra.is_moved = True
        elif name == b"ZF":
            extra.is_packed = True
    return extra


def _fields(use: bytes, read: ReadArea) -> Iterator[tuple[bytes, bytes]]:
    """Yield the fields with their data; those that are cut off are the last."""
    for _ in range(_AREAS):
        at, following = 0, None
        while at + 4 <= len(use) and use[at + 2] >= 4:
            name, data = use[at : at + 2], use[at + 4 : at + use[at + 2]]
            if name == b"ST":
                break
            if name == b"CE" and len(data) >= 20:
                following = [_NUMBER.unpack_from(data, offset)[0] for offset in (0, 8, 16)]
            yield name, data
            at += use[at + 2]
        if following is None:
            return
        use = read(*following)
