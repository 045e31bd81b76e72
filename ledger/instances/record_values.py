"""What a directory record holds as one of its keys, of what an instance has.

A record holds the bytes that the instance has, without the padding, whether or not they are text in
its Specific Character Set: nothing is decoded and encoded again, which can change it. Only a value
of another VR, or a number that is not simply one, takes a pydicom dataset, to tell whether a record
can hold it.
"""

from __future__ import annotations

import re
import warnings
from typing import TYPE_CHECKING, Final

from ledger.elements import TEXT_VRS, Element, encode, find, format_tag
from ledger.errors import ElementsError
from ledger.instances.record_keys import Key

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_TEXTS: Final = TEXT_VRS | {"UN"}
_INTEGERS: Final = re.compile(rb" *[-+]?[0-9]+ *").fullmatch
_NUMBER_SIZES: Final = {"UL": 4, "US": 2, "UV": 8}


def is_usable(key: Key, element: Element, charset: Element | None) -> bool:
    """Return whether a record can hold as `key` what the instance's `element` holds.

    A sequence, which can be large, is not looked into.
    """
    return element_for(key, element, charset) is not None


def element_for(key: Key, element: Element, charset: Element | None) -> Element | None:
    """Return what a record holds as `key`, of the instance's `element`; `None` if it can't."""
    try:
        return Element(key.tag, key.vr, value_of(key, element, charset))
    except (ValueError, ElementsError):
        return None


def value_of(key: Key, element: Element, charset: Element | None) -> bytes:
    """Return the value that a record holds as `key`, of the instance's `element`.

    ValueError or `ElementsError` if it is no value for that.
    """
    held = _as_it_is(key.vr, element)
    if held is not None:
        return held
    from pydicom.dataset import Dataset  # noqa: PLC0415  # slow to import, seldom needed

    from ledger.instances.datasets import to_dataset, to_elements  # noqa: PLC0415

    record = Dataset()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        put(record, to_dataset(encode([e for e in (charset, element) if e])), key)
        found = find(to_elements(record), key.tag)
    if found is None or (key.vr in TEXT_VRS and element.vr in _TEXTS):
        return element.value.rstrip(b"\0 ")
    return found.value


def _as_it_is(vr: str, element: Element) -> bytes | None:
    """Return the bytes of `element` as a value of `vr`, `None` if they may be none."""
    _, found_vr, raw = element
    if found_vr == vr == "SQ":
        return raw
    if len(raw) > 0xFFFE:
        return None
    if size := _NUMBER_SIZES.get(vr):
        return None if found_vr not in {vr, "UN"} or len(raw) % size else raw
    if vr not in TEXT_VRS or found_vr not in _TEXTS:
        return None
    value = raw.rstrip(b"\0 ")
    return None if vr == "IS" and value and not _INTEGERS(value) else value


def put(record: Dataset, ds: Dataset, key: Key) -> None:
    """Set what `ds` has for `key` in `record`; ValueError if it is no value for it."""
    try:
        setattr(record, key.keyword, ds.get(key.keyword, [] if key.vr == "SQ" else None))
    except Exception as exc:
        # pydicom may stumble over a malformed value with any exception.
        raise ValueError(invalid(key, exc)) from exc


def invalid(key: Key, why: Exception) -> str:
    """Return why an instance has no value for `key`."""
    return f"The instance's {format_tag(key.tag)} '{key.name}' element has an invalid value: {why}"
