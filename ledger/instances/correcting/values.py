"""From values as people give them to the bytes of an element, checked (PS3.5 Section 6.2)."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Final

from pydicom.datadict import dictionary_VM

from ledger.elements import ASCII_VRS, CHARSET_VRS, TEXT_VRS, Element, named_charset, pad
from ledger.instances.character_sets import encoded, fault_of_charset
from ledger.instances.correcting.edits import Removal, Value
from ledger.instances.values import fault_of_value
from ledger.tags import SPECIFIC_CHARACTER_SET

_NUMBERS: Final = {
    "FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q",
}  # fmt: skip
_SINGLE: Final = frozenset(("LT", "ST", "UR", "UT"))
_INDENTED: Final = frozenset(("LT", "PN", "ST", "UC", "UT"))
"""VRs in which blanks before a value are part of it (PS3.5 Table 6.2-1)."""

_TAG: Final = re.compile(r"\(?([0-9A-Fa-f]{4}),?([0-9A-Fa-f]{4})\)?")


class UnfitError(ValueError):
    """A value is none of its VR: the message says why, to be read after which element it is for."""


class NotInCharacterSetError(ValueError):
    """A character set hasn't the characters of a value."""


def encode_value(tag: int, vr: str, value: Value, charset: str) -> bytes:
    """Return `value` as the bytes that an element of `vr` has in Little Endian, padded.

    Blanks around text that its VR gives no meaning are left out. Raises `UnfitError`, and
    `NotInCharacterSetError` where `charset` lacks a character.
    """
    assert not isinstance(value, Removal)  # noqa: S101 - nothing is encoded of what goes
    if value is None or not value:
        return b""
    if vr == "SQ":
        raise UnfitError("name the elements in its items one by one, as in SEQUENCE[0].KEYWORD")
    if isinstance(value, bytes):
        raw = value
        parts = raw.count(b"\\") + 1 if vr in TEXT_VRS - _SINGLE else None
    else:
        texts = [_without_blanks(vr, part) for part in _parts(vr, value)]
        raw, parts = _encode_text(vr, texts, charset)
    raw = pad(vr, raw)
    if why := fault_of_value(Element(tag, vr, raw), charset):
        raise UnfitError(why)
    if parts is not None and (why := _fault_of_multiplicity(tag, parts)):
        raise UnfitError(why)
    if tag == SPECIFIC_CHARACTER_SET and (why := fault_of_charset(named_charset(vr, raw))):
        raise UnfitError(why)
    return raw


def _parts(vr: str, value: str | Sequence[str]) -> list[str]:
    if vr in _SINGLE:
        if not isinstance(value, str) and len(value) > 1:
            raise UnfitError(f"{vr} takes one value")
        return [value if isinstance(value, str) else value[0]]
    if isinstance(value, str):
        return value.split("\\")
    if any("\\" in part for part in value):
        raise UnfitError(f"a value of {vr} can't contain a backslash: it separates values")
    return list(value)


def _without_blanks(vr: str, text: str) -> str:
    text = text.rstrip(" ")
    return text if vr in _INDENTED else text.lstrip(" ")


def _encode_text(vr: str, parts: list[str], charset: str) -> tuple[bytes, int]:
    """Return the bytes of values given as text, and their number."""
    if vr in CHARSET_VRS:
        text = "\\".join(parts)
        raw = encoded(text, charset)
        if raw is None:
            raise NotInCharacterSetError(text)
        return raw, len(parts)
    if vr in ASCII_VRS:
        try:
            return "\\".join(parts).encode("ascii"), len(parts)
        except UnicodeEncodeError:
            raise UnfitError(f"{vr} takes no characters but ASCII") from None
    encode = _encode_tag if vr == "AT" else _number_encoder(vr)
    if encode is None:
        raise UnfitError(f"{vr} takes bytes, not text")
    return b"".join(map(encode, parts)), len(parts)


def _encode_tag(text: str) -> bytes:
    found = _TAG.fullmatch(text.strip())
    if not found:
        raise UnfitError("AT takes tags such as (0010,0010)")
    return struct.pack("<HH", int(found[1], 16), int(found[2], 16))


def _number_encoder(vr: str) -> Callable[[str], bytes] | None:
    code = _NUMBERS.get(vr)
    if code is None:
        return None

    def encode(text: str) -> bytes:
        try:
            return struct.pack(f"<{code}", float(text) if code in "df" else int(text))
        except (ValueError, OverflowError, struct.error):
            size = 8 * struct.calcsize(code)
            integer = "an integer" if code.islower() else "an unsigned integer"
            kind = "a number" if code in "df" else integer
            raise UnfitError(f"{vr} takes {kind} of {size} bits") from None

    return encode


def _fault_of_multiplicity(tag: int, number: int) -> str | None:
    """Return that an element has not the number of values that PS3.6 says, if so."""
    rule = _multiplicity(tag)
    if rule is None:
        return None
    least, most, step = rule
    if least <= number and (most is None or number <= most) and (number - least) % step == 0:
        return None
    return f"it takes {dictionary_VM(tag)} values, not {number}"


@lru_cache(maxsize=1024)
def _multiplicity(tag: int) -> tuple[int, int | None, int] | None:
    """Return the least and greatest number of values, and the steps; `None` if it is unknown."""
    try:
        least, _, most = dictionary_VM(tag).partition("-")
    except KeyError:
        return None
    if not most:
        return int(least), int(least), 1
    if most.endswith("n"):
        return int(least), None, int(most[:-1] or 1)
    return int(least), int(most), 1
