"""Data elements in the DICOM JSON model (PS3.18 Annex F), the form in which the journal keeps them.

`to_json` and `from_json` are exact inverses, with `InlineBinary` for any value whose text would not
come back as the same bytes. Neither takes anything else: what is not canonical, or is not such a
model, is an `ElementsError`.
"""

from __future__ import annotations

import base64
import math
import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import orjson

from ledger.elements import (
    ASCII_VRS,
    CHARSET_VRS,
    CODECS,
    KNOWN_VRS,
    LONG_VRS,
    MAX_DEPTH,
    TEXT_VRS,
    Elements,
    canonical_ends,
    character_set,
    encode_items,
    format_tag,
    iterate,
    iterate_items,
    named_charset,
    pad,
)
from ledger.errors import ElementsError
from ledger.tags import SPECIFIC_CHARACTER_SET

_VRS: Final = frozenset(code.decode("ascii") for code in KNOWN_VRS)
_SINGLE_TEXT_VRS: Final = frozenset(("LT", "ST", "UT", "UR"))
_NUMBER_FORMATS: Final = {
    "FD": "d", "FL": "f", "SL": "i", "SS": "h", "SV": "q", "UL": "I", "US": "H", "UV": "Q",
}  # fmt: skip
_SHORT: Final = 128  # bytes of an element whose text is kept
_NAME_GROUPS: Final = ("Alphabetic", "Ideographic", "Phonetic")


def to_json(data: bytes, charset: str = "", depth: int = 0) -> dict[str, Any]:
    """Return canonical elements as a DICOM JSON model object (PS3.18 Section F.2).

    `charset` is the repertoire that holds where `data` names none (an item inherits its
    sequence's). The result is exact: `from_json(to_json(data)) == data`. Raises
    `ElementsError` if `data` is not canonical.
    """
    if depth > MAX_DEPTH:
        raise ElementsError(f"Sequences nested more than {MAX_DEPTH} deep")
    elements = list(iterate(data))
    previous = 0
    for tag, vr, value in elements:
        if tag <= previous or not tag & 0xFFFF or len(value) % 2:
            raise ElementsError(f"The element {format_tag(tag)} is not in canonical form")
        if tag == SPECIFIC_CHARACTER_SET:
            charset = named_charset(vr, value)
        previous = tag
    return {f"{tag:08X}": _value_to_json(vr, value, charset, depth) for tag, vr, value in elements}


def to_json_text(data: bytes) -> bytes:
    """Return `to_json(data)` as compact JSON in UTF-8; raises as that does.

    The text of an element is made once: most are those of other instances, too.
    """
    charset, start = "", 0
    members: list[bytes] = []
    for tag, end in canonical_ends(data):
        element = data[start:end]
        if tag == SPECIFIC_CHARACTER_SET:
            charset = _repertoire(element)
            if members:  # it holds for these as well
                return orjson.dumps(to_json(data))
        if end - start <= _SHORT:
            members.append(_short_member(element, charset))
        else:
            members.append(_member(element, charset))
        start = end
    return b"{%b}" % b",".join(members)


def _member(element: bytes, charset: str) -> bytes:
    """Return the member of the JSON object that one element is."""
    return orjson.dumps(to_json(element, charset))[1:-1]


_short_member = lru_cache(maxsize=4096)(_member)
_repertoire = lru_cache(maxsize=64)(character_set)


def from_json(model: dict[str, Any], charset: str = "", depth: int = 0) -> Elements:
    """Return the canonical bytes of a DICOM JSON model object made by `to_json`.

    Raises `ElementsError` where the model is malformed.
    """
    if depth > MAX_DEPTH:
        raise ElementsError(f"Sequences nested more than {MAX_DEPTH} deep")
    try:
        if (own := model.get("00080005")) is not None:
            charset = named_charset(own["vr"], _value_from_json(own, "", depth))
        encoded = [_element_from_json(*item, charset, depth) for item in sorted(model.items())]
    except ElementsError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, struct.error) as exc:
        raise ElementsError(f"Malformed DICOM JSON model: {type(exc).__name__}") from exc
    return Elements(b"".join(encoded))


def _element_from_json(tag: str, body: dict[str, Any], charset: str, depth: int) -> bytes:
    vr = body["vr"]
    start, width = _header(tag, vr)
    value = _value_from_json(body, charset, depth)
    if len(value) % 2:
        value = pad(vr, value)
    return start + len(value).to_bytes(width, "little") + value


@lru_cache(maxsize=4096)
def _header(tag: str, vr: str) -> tuple[bytes, int]:
    """Return an element's header up to its length, and how many bytes the length takes."""
    number = _tag_from_json(tag)
    if vr not in _VRS or not number & 0xFFFF or number >> 16 == 0xFFFE:
        raise ElementsError(f"There is no element {tag} of VR {vr}")
    start, code = struct.pack("<HH", number >> 16, number & 0xFFFF), vr.encode("ascii")
    return (start + code + b"\0\0", 4) if code in LONG_VRS else (start + code, 2)


def _tag_from_json(text: str) -> int:
    number = int(text, 16)
    if text != f"{number:08X}":
        raise ElementsError(f"{text!r} is not a tag in eight hexadecimal digits")
    return number


def _value_to_json(vr: str, value: bytes, charset: str, depth: int) -> dict[str, Any]:
    """Return one attribute object, as text or numbers where that is exact."""
    if not value:
        return {"vr": vr}
    if vr in ASCII_VRS and vr not in _SINGLE_TEXT_VRS:
        # What ASCII text loses is one padding character, which `pad` gives back.
        text = _decode(vr, value, "")
        if text is not None:
            return {"vr": vr, "Value": [part or None for part in text.split("\\")]}
    body = _try_value(vr, value, charset, depth)
    if body is not None and vr in ASCII_VRS:
        return body
    # The proof that the readable form loses nothing; it fails on names with needless delimiters,
    # sequences whose items are not canonical and the like.
    if body is not None and pad(vr, _value_from_json(body, charset, depth)) == value:
        return body
    return {"vr": vr, "InlineBinary": base64.b64encode(value).decode("ascii")}


def _try_value(vr: str, value: bytes, charset: str, depth: int) -> dict[str, Any] | None:
    if vr in TEXT_VRS:
        text = _decode(vr, value, charset)
        if text is None:
            return None
        parts = [text] if vr in _SINGLE_TEXT_VRS else text.split("\\")
        if vr == "PN":
            return {"vr": vr, "Value": [_name_to_json(p) for p in parts]}
        return {"vr": vr, "Value": [p or None for p in parts]}
    if vr == "SQ":
        try:
            items = [to_json(item, charset, depth + 1) for item in iterate_items(value)]
        except ElementsError:
            return None
        return {"vr": vr, "Value": items}
    if vr == "AT" and len(value) % 4 == 0:
        words = struct.unpack(f"<{len(value) // 2}H", value)
        pairs = zip(words[::2], words[1::2], strict=True)
        return {"vr": vr, "Value": [f"{group:04X}{number:04X}" for group, number in pairs]}
    if (code := _NUMBER_FORMATS.get(vr)) and len(value) % struct.calcsize(code) == 0:
        numbers = struct.unpack(f"<{len(value) // struct.calcsize(code)}{code}", value)
        return {"vr": vr, "Value": list(numbers)} if all(map(math.isfinite, numbers)) else None
    return None


def _value_from_json(body: dict[str, Any], charset: str, depth: int) -> bytes:
    vr = body["vr"]
    if len(body) == 1:
        return b""
    if len(body) > 2:
        raise ElementsError(f"An attribute has unknown keys: {', '.join(sorted(body))}")
    if "InlineBinary" in body:
        return base64.b64decode(body["InlineBinary"], validate=True)
    values = body["Value"]
    if vr in ASCII_VRS:
        return "\\".join(["" if v is None else v for v in values]).encode("ascii")
    if vr == "PN":
        return "\\".join(map(_name_from_json, values)).encode(_codec("PN", charset))
    if vr in CHARSET_VRS:
        return "\\".join(["" if v is None else v for v in values]).encode(_codec(vr, charset))
    if vr == "SQ":
        return encode_items(from_json(item, charset, depth + 1) for item in values)
    if vr == "AT":
        tags = [_tag_from_json(v) for v in values]
        return b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in tags)
    if code := _NUMBER_FORMATS.get(vr):
        return struct.pack(f"<{len(values)}{code}", *values)
    raise ElementsError(f"VR {vr} takes InlineBinary, not Value")


def _codec(vr: str, charset: str) -> str:
    return CODECS.get(charset, "ascii") if vr in CHARSET_VRS else "ascii"


def _decode(vr: str, value: bytes, charset: str) -> str | None:
    """Return the text of `value` less one padding character, `None` where it has none."""
    padding = 0 if vr == "UI" else 0x20
    if value[-1] == padding:
        value = value[:-1]
    try:
        text = value.decode(_codec(vr, charset) if charset else "ascii")
    except UnicodeDecodeError:
        return None
    # An escape sequence switches repertoires (ISO 2022), whatever the codec makes of it.
    return None if "\x1b" in text else text


def _name_to_json(text: str) -> dict[str, str] | None:
    """Return a person name's component groups (PS3.18 Section F.2.2)."""
    groups = zip(_NAME_GROUPS, text.split("="), strict=False)
    return {name: group for name, group in groups if group} or None


def _name_from_json(name: dict[str, str] | None) -> str:
    if name is None:
        return ""
    if not name.keys() <= set(_NAME_GROUPS):
        raise ElementsError("A person name has unknown component groups")
    return name_text(name)


def name_text(name: Mapping[str, str] | None) -> str:
    """Return a person name of the DICOM JSON model as it is in an element."""
    return "=".join((name or {}).get(group, "") for group in _NAME_GROUPS).rstrip("=")
