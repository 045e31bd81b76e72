"""Hypothesis strategies for what the ledger keeps: elements, records, events, drafts."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from typing import Any, get_args, get_origin, get_type_hints

from attrs import fields
from hypothesis import strategies as st
from hypothesis.strategies import SearchStrategy

from ledger.digest import Digest, from_raw
from ledger.elements import CHARSET_VRS, KNOWN_VRS, Element, Elements, encode, encode_items
from ledger.events import (
    EVENT_TYPES,
    Content,
    CorrectionReason,
    ElementCorrected,
    Event,
    OtherFile,
    PayloadErased,
    PixelScript,
    Placement,
    Record,
    RecordRef,
    Variant,
)
from ledger.journal.entries import Draft
from ledger.tags import SPECIFIC_CHARACTER_SET

# --- elements ------------------------------------------------------------------------------------

CHARSETS: Mapping[bytes, str] = {
    b"": "ascii",
    b"ISO_IR 6": "ascii",
    b"ISO_IR 13": "shift_jis",
    b"ISO_IR 100": "latin-1",
    b"ISO_IR 126": "iso8859-7",
    b"ISO_IR 144": "iso8859-5",
    b"ISO_IR 166": "tis-620",
    b"ISO_IR 192": "utf-8",
    b"GB18030": "gb18030",
    b"GBK": "gbk",
    b"\\ISO 2022 IR 87": "iso2022_jp",
    b"\\ISO 2022 IR 149": "euc_kr",
    b"ISO 2022 IR 100\\ISO 2022 IR 144": "latin-1",
    b"no such repertoire": "ascii",
    b"\xffISO_IR 100": "ascii",
}
"""Values of Specific Character Set, and a codec for text that may go with each."""

_NUMBERS = {
    "FD": st.floats().map(lambda x: struct.pack("<d", x)),
    "FL": st.floats(width=32).map(lambda x: struct.pack("<f", x)),
    "SL": st.integers(-(2**31), 2**31 - 1).map(lambda x: struct.pack("<i", x)),
    "SS": st.integers(-(2**15), 2**15 - 1).map(lambda x: struct.pack("<h", x)),
    "SV": st.integers(-(2**63), 2**63 - 1).map(lambda x: struct.pack("<q", x)),
    "UL": st.integers(0, 2**32 - 1).map(lambda x: struct.pack("<I", x)),
    "US": st.integers(0, 2**16 - 1).map(lambda x: struct.pack("<H", x)),
    "UV": st.integers(0, 2**64 - 1).map(lambda x: struct.pack("<Q", x)),
    "AT": st.binary(min_size=4, max_size=4),
}
_PLAIN = st.text(st.sampled_from("AZaz09.^=\\ -_/\0\x1b~"), max_size=12)
_FOREIGN = st.text(
    st.sampled_from("AZ ^=\\éßΩλЖд山田太郎김ไทย\u00a0\U0001f600") | st.characters(codec="utf-8"),
    max_size=12,
)
_PLAIN_VRS = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"))


def tags() -> SearchStrategy[int]:
    """Return tags of elements, standard and private, without group lengths and delimiters."""
    groups = st.sampled_from((0x0004, 0x0008, 0x0010, 0x0020, 0x0028, 0x0009, 0x0011, 0x7FE1))
    return st.builds(
        lambda group, number: group << 16 | number,
        groups | st.integers(0x0001, 0xFFFD),
        st.integers(1, 0x40) | st.integers(0x1000, 0x1010) | st.integers(1, 0xFFFF),
    ).filter(lambda tag: tag != SPECIFIC_CHARACTER_SET)


@st.composite
def values(draw: st.DrawFn, vr: str, codec: str = "ascii") -> bytes:
    """Return a value field: what its VR asks for as a rule, any bytes now and then."""
    if draw(st.integers(0, 7)) == 0:
        return draw(st.binary(max_size=24))
    if vr in _NUMBERS:
        return b"".join(draw(st.lists(_NUMBERS[vr], max_size=3)))
    if vr in _PLAIN_VRS:
        return draw(_PLAIN).encode("ascii")
    if vr in CHARSET_VRS:
        return draw(_PLAIN | _FOREIGN).encode(codec, "replace")
    return draw(st.binary(max_size=24))


@st.composite
def elements(draw: st.DrawFn, *, depth: int = 2, codec: str = "ascii") -> Elements:
    """Return canonical elements of every VR, in any repertoire, with sequences in them."""
    found: list[Element] = []
    if draw(st.booleans()):
        charset = draw(st.sampled_from(sorted(CHARSETS)))
        codec = CHARSETS[charset]
        vr = draw(st.sampled_from(["CS"] * 9 + ["LO", "UN", "PN", "US"]))
        found.append(Element(SPECIFIC_CHARACTER_SET, vr, charset))
    for tag in draw(st.lists(tags(), max_size=6, unique=True)):
        vr = draw(st.sampled_from(sorted(code.decode() for code in KNOWN_VRS)))
        if vr == "SQ":
            items = elements(depth=depth - 1, codec=codec) if depth else st.just(Elements(b""))
            found.append(Element(tag, vr, encode_items(draw(st.lists(items, max_size=3)))))
        else:
            found.append(Element(tag, vr, draw(values(vr, codec))))
    return encode(found)


# --- records and events --------------------------------------------------------------------------

texts = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.characters(categories=["Cs"], min_codepoint=0xDC80, max_codepoint=0xDCFF),
    max_size=40,
)
"""Text as it comes from outside, with bytes that are none kept as lone surrogates."""

positions = st.integers(1, 2**40)
uids = st.from_regex(r"[0-2](\.(0|[1-9][0-9]{0,8})){1,6}", fullmatch=True)
digests: SearchStrategy[Digest] = st.binary(min_size=32, max_size=32).map(from_raw)
contents = st.builds(Content, digest=digests, size=st.integers(0, 2**40))
record_refs = st.builds(RecordRef, position=positions, index=st.integers(0, 8))
file_names = st.text(st.sampled_from("ABCXYZ0189_"), min_size=1, max_size=8)
file_ids = st.lists(file_names, min_size=1, max_size=8)
file_id_texts = file_ids.map("/".join)
descriptor_file_ids = st.none() | file_ids.map(tuple)
record_types = st.sampled_from(
    ("PATIENT", "STUDY", "SERIES", "IMAGE", "PRIVATE", "HANGING PROTOCOL")
)
records = st.builds(Record, type=record_types, elements=elements(), unwritten=elements())
variants = st.builds(Variant, of=record_refs, record=records)

_BY_NAME: Mapping[str, SearchStrategy[Any]] = {
    "uid": uids,
    "sop_instance_uid": uids,
    "sop_class_uid": uids,
    "transfer_syntax_uid": uids,
    "layout": st.sampled_from(("pydicom", "existing")),
    "descriptor_file_id": descriptor_file_ids,
    "file_id": st.none() | file_id_texts,
    "staging": st.none() | file_names,
    "file_meta": elements(depth=0),
    "invented": st.just({}),
    "instances": st.lists(positions, min_size=1, max_size=3).map(tuple),
    "runs": st.lists(
        st.tuples(positions, st.integers(0, 2)).map(lambda run: (run[0], sum(run))),
        min_size=1,
        max_size=3,
    ).map(tuple),
    "options": st.dictionaries(texts, texts, max_size=2),
    "placed": st.dictionaries(
        file_id_texts, st.dictionaries(file_names, positions, max_size=3), max_size=3
    ),
}
_BY_TYPE: Mapping[Any, SearchStrategy[Any]] = {
    str: texts,
    int: positions,
    bool: st.booleans(),
    type(None): st.none(),
    Digest: digests,
    Elements: elements(),
    Content: contents,
    Record: records,
    RecordRef: record_refs,
    Variant: variants,
    OtherFile: st.builds(
        OtherFile,
        path=file_id_texts,
        content=contents,
        made_from=st.none() | st.builds(PixelScript, positions, positions, positions),
    ),
    Placement: st.sampled_from(Placement),
    CorrectionReason: st.sampled_from(CorrectionReason),
    ElementCorrected: st.builds(
        ElementCorrected, path=texts, before=st.none() | texts, after=st.none() | texts
    ),
}


def _of_type(hint: Any) -> SearchStrategy[Any]:
    if hint in _BY_TYPE:
        return _BY_TYPE[hint]
    parts = get_args(hint)
    if get_origin(hint) is not tuple:
        return st.one_of(map(_of_type, parts))
    if parts[-1] is Ellipsis:
        return st.lists(_of_type(parts[0]), max_size=3).map(tuple)
    return st.tuples(*map(_of_type, parts))


def _of_event(cls: type[Event]) -> SearchStrategy[Event]:
    hints = get_type_hints(cls)
    names = [field.name for field in fields(cls)]
    return st.builds(
        cls,
        **{name: _BY_NAME[name] if name in _BY_NAME else _of_type(hints[name]) for name in names},
    )


EVENTS: Mapping[type[Event], SearchStrategy[Event]] = {
    cls: _of_event(cls) for cls in EVENT_TYPES.values()
}
"""A strategy for each event class."""

events: SearchStrategy[Event] = st.sampled_from(
    sorted(EVENT_TYPES.keys() - {PayloadErased.TYPE})
).flatmap(lambda name: EVENTS[EVENT_TYPES[name]])
"""Any events that can be appended to any journal, which leaves out those that erase."""

drafts = st.builds(
    Draft, id=st.uuids().map(str), actor=texts, origin=texts, reason=st.none() | texts
)
