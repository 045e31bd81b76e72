"""The item that says what was there before a correction (PS3.3 C.12.1.1.9)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from ledger.elements import ITEM, TEXT_VRS, Element
from ledger.errors import CorrectionError
from ledger.instances.correcting.edits import OriginalAttributes, describe_path
from ledger.instances.correcting.skimming import Found
from ledger.instances.correcting.splices import Piece, size_of
from ledger.instances.correcting.structure import DataSet, Encoder
from ledger.instances.correcting.values import UnfitError, encode_value
from ledger.instances.datasets import swapped
from ledger.instances.values import fault_of_value

_MODIFIED: Final = 0x04000550
_NONCONFORMING: Final = 0x04000551
_NONCONFORMING_VALUE: Final = 0x04000552
_WHEN: Final = 0x04000562
_SYSTEM: Final = 0x04000563
_SOURCE: Final = 0x04000564
_REASON: Final = 0x04000565
_SELECTOR: Final = 0x00720026
_SELECTOR_NUMBER: Final = 0x00720028
_SELECTOR_CREATOR: Final = 0x00720056
_ALL_VALUES: Final = struct.pack("<H", 0)
_REASONS: Final = frozenset(("COERCE", "CORRECT"))
_SHORT: Final = 1 << 12  # bytes beyond which a value is taken as it is


def item(
    note: OriginalAttributes,
    before: Mapping[int, Found | None],
    kept: Mapping[int, Found],
    ds: DataSet,
    charset: str,
) -> list[Piece]:
    """Return an item of Original Attributes Sequence, in the encoding of the data set `ds`.

    `before` are the elements that change, `None` those that weren't there: these come without a
    value. `kept` are others whose values tell more of them. What is no value of its VR comes as
    bytes, in Nonconforming Modified Attributes Sequence. `charset` is the one after the correction;
    another one before it is among the elements. Raises as `encode_value`.
    """
    if note.reason not in _REASONS:
        raise CorrectionError(f"the reason is COERCE or CORRECT, not {note.reason!r}")
    encoder = ds.encoder
    bad = {tag: found for tag, found in before.items() if found and _is_bad(ds, found)}
    modified: list[Piece] = []
    for tag, found in sorted({**before, **kept}.items()):
        if found is None or tag in bad:
            code = found.code if found else (ds.known_vr(tag) or "UN").encode("ascii")
            modified.append(encoder.header(tag, code, 0))
        else:
            modified.append(slice(found.header, found.stop))
    return _item(
        encoder,
        [
            *_sequence(encoder, _MODIFIED, _item(encoder, modified)),
            *(_nonconforming(ds, bad, encoder) if bad else ()),
            *(
                encoder.element(tag, vr, _encoded(tag, vr, text, charset))
                for tag, vr, text in (
                    (_WHEN, "DT", note.when),
                    (_SYSTEM, "LO", note.system),
                    (_SOURCE, "LO", note.source_of_previous),
                    (_REASON, "CS", note.reason),
                )
            ),
        ],
    )


@lru_cache(maxsize=64)  # they are the same in all instances of a correction
def _encoded(tag: int, vr: str, text: str, charset: str) -> bytes:
    try:
        return encode_value(tag, vr, text, charset)
    except UnfitError as exc:
        raise CorrectionError(f"{describe_path((tag,))} can't be {text!r}: {exc}") from exc


def _is_bad(ds: DataSet, found: Found) -> bool:
    vr = ds.vr(found)
    if vr == "SQ" or found.length > _SHORT:
        return False
    value = ds.value(found)
    if vr not in TEXT_VRS and ds.big_endian:
        return False
    return fault_of_value(Element(found.tag, vr, value), ds.charset) is not None


def _nonconforming(ds: DataSet, bad: Mapping[int, Found], encoder: Encoder) -> list[Piece]:
    items: list[Piece] = []
    for tag, found in sorted(bad.items()):
        selector = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
        elements = [(_SELECTOR, "AT", selector), (_SELECTOR_NUMBER, "US", _ALL_VALUES)]
        creator = ds.creator_of(tag)
        if creator is not None:
            elements.append((_SELECTOR_CREATOR, "LO", ds.value(creator)))
        elements.append((_NONCONFORMING_VALUE, "OB", ds.value(found)))
        items += _item(
            encoder,
            [
                encoder.element(each, vr, swapped(each, vr, v) if encoder.big_endian else v)
                for each, vr, v in elements
            ],
        )
    return _sequence(encoder, _NONCONFORMING, items)


def _item(encoder: Encoder, content: list[Piece]) -> list[Piece]:
    return [encoder.header(ITEM, None, size_of(content)), *content]


def _sequence(encoder: Encoder, tag: int, items: list[Piece]) -> list[Piece]:
    return [encoder.header(tag, b"SQ", size_of(items)), *items]
