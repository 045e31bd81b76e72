"""Values of elements as people type them: several joined by backslashes."""

from __future__ import annotations

import difflib
from contextlib import suppress
from functools import lru_cache
from typing import Any, cast

from pydicom.charset import convert_encodings, default_encoding
from pydicom.datadict import keyword_dict, tag_for_keyword
from pydicom.dataelem import (
    DataElement,
    RawDataElement,
    convert_raw_data_element,
    empty_value_for_VR,
)
from pydicom.multival import MultiValue
from pydicom.tag import BaseTag
from pydicom.valuerep import PersonName

from fileset.errors import NoSuchKeywordError
from ledger.elements import CHARSET_VRS, Element, character_set, find
from ledger.instances.datasets import to_dataset
from ledger.tags import SPECIFIC_CHARACTER_SET
from projections.dicomdir.text import readable

_REPLACED = "\ufffd"  # in the place of what pydicom can't decode
_ESCAPE = b"\x1b"  # begins another repertoire (ISO 2022)
_WITH_OTHERS = frozenset(("SQ", "UN"))


def known_tag(keyword: str) -> int:
    """Return the tag of a data element; `NoSuchKeywordError`, with near keywords, if none is so."""
    tag = tag_for_keyword(keyword) if keyword else None
    if tag is not None:
        return tag
    lower = {known.lower(): known for known in keyword_dict if known}
    near = [
        lower[name] for name in difflib.get_close_matches(keyword.lower(), lower, n=3, cutoff=0.7)
    ]
    hint = f" Did you mean {', '.join(near)}?" if near else ""
    raise NoSuchKeywordError(f"There is no data element with the keyword '{keyword}'.{hint}")


def text_of(value: Any) -> str:
    """Return one or several values as people type them."""
    several = isinstance(value, MultiValue | list | tuple)
    return "\\".join(map(str, value)) if several else str(value)


def value_text(element: DataElement) -> str:
    """Return an element's value as people type it, nothing where it has none."""
    return "" if element.value is None else text_of(element.value)


def readable_element(held: bytes, tag: int) -> DataElement | None:
    """Return an element of the encoded record `held`, as pydicom reads it; `None` without one.

    Where pydicom can't make anything of its bytes, its value is text with those escaped.
    """
    kept = find(held, tag)
    if kept is None:
        return None
    with suppress(Exception):  # pydicom raises many things on values that it can't decode
        # What holds others, or may, has to be told by all of the record.
        element = to_dataset(held)[tag] if kept.vr in _WITH_OTHERS else _alone(kept, held)
        if element.VR not in CHARSET_VRS or _REPLACED not in value_text(element):
            return element
    text = readable(kept, character_set(held))
    value = PersonName(text) if kept.vr == "PN" else text
    return DataElement(tag, kept.vr, value, already_converted=True)


def _alone(kept: Element, held: bytes) -> DataElement:
    """Return one element of a record as pydicom makes it of the whole dataset."""
    charset = None
    # A value that its VR forbids is read as text.
    may_be_text = kept.vr in CHARSET_VRS or not kept.value.isascii() or _ESCAPE in kept.value
    if may_be_text and kept.tag != SPECIFIC_CHARACTER_SET:
        charset = find(held, SPECIFIC_CHARACTER_SET)
    encodings = default_encoding if charset is None else _encodings(charset)
    return _converted(kept, encodings)


@lru_cache(64)
def _encodings(charset: Element) -> str | list[str]:
    return convert_encodings(_converted(charset, default_encoding).value)


def _converted(kept: Element, encodings: str | list[str]) -> DataElement:
    value = kept.value or cast("bytes | None", empty_value_for_VR(kept.vr, raw=True))
    raw = RawDataElement(BaseTag(kept.tag), kept.vr, len(kept.value), value, 0, False, True)
    return convert_raw_data_element(raw, encoding=encodings)
