"""How a data set is encoded, compared with what its transfer syntax says (PS3.5 Section 10)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from ledger.errors import InstanceError
from ledger.files import FileView
from ledger.instances.walker import Buffer, Walked, looks_implicit
from ledger.uids import (
    DEFLATED,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

PIXEL_DATA: Final = 0x7FE00010

PLAIN_SYNTAXES: Final = {
    syntax: syntax
    for syntax in (IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
}
"""The transfer syntaxes that tell the encoding of elements and nothing else."""

_NATIVE: Final = {*PLAIN_SYNTAXES, *DEFLATED}
_WITH_FRAGMENTS: Final = ("1.2.840.10008.1.2.4.", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.8.1")
_ELSEWHERE: Final = frozenset(("1.2.840.10008.1.2.4.94", "1.2.840.10008.1.2.4.204"))
"""Those whose pixels a server has (JPIP): there are none in the file."""

_UNDEFINED: Final = b"\xff\xff\xff\xff"


@lru_cache(maxsize=64)
def has_encapsulated(syntax: str) -> bool | None:
    """Return whether Pixel Data is encapsulated in a transfer syntax, `None` if that is unknown."""
    if syntax in _NATIVE:
        return False
    return True if syntax.startswith(_WITH_FRAGMENTS) and syntax not in _ELSEWHERE else None


def misfit_of(syntax: str, data: Buffer | FileView, offset: int, pixels: Sequence[Walked]) -> str:
    """Return in what the data set from `offset` on is encoded otherwise than `syntax` says.

    `""` if it isn't, or that is unknown. `pixels` are its elements (7FE0,0010).
    """
    encapsulated = has_encapsulated(syntax)
    if encapsulated is None:
        return ""
    implicit = syntax == IMPLICIT_VR_LITTLE_ENDIAN
    if len(data) - offset >= 8 and looks_implicit(data, offset) is not implicit:
        return "Explicit VR" if implicit else "Implicit VR"
    for each in pixels:
        if (bytes(data[each.start - 4 : each.start]) == _UNDEFINED) is not encapsulated:
            return "native pixel data" if encapsulated else "encapsulated pixel data"
    return ""


def check_byte_order(syntax: str, data: Buffer | FileView, offset: int) -> None:
    """Check that the data set begins in the byte order of `syntax`: InstanceError if it doesn't.

    Every SOP Instance has elements of group 0008, so it begins with that or a lower group.
    """
    first, second = bytes(data[offset : offset + 2]).ljust(2, b"\0")
    is_big = syntax == EXPLICIT_VR_BIG_ENDIAN
    if has_encapsulated(syntax) is None or (second if is_big else first) or first == second:
        return
    raise InstanceError(
        f"(0002,0010) Transfer Syntax UID is {syntax}, but the data set is in "
        f"{'Little' if is_big else 'Big'} Endian: save it again with the right one"
    )
