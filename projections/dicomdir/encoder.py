"""From a File-set's identity and records to the bytes of its DICOMDIR.

The encoding is that of PS3.10 Section 7 with the content of PS3.3 Annex F, lengths defined
throughout. Record offsets are patched in once all records have their places, so one pass over these
does, however deep or many they are.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterable
from functools import lru_cache
from io import BytesIO
from typing import Final, NamedTuple

from ledger.elements import (
    MAX_DEPTH,
    Element,
    Elements,
    encode,
    encode_element,
    iterate,
    iterate_items,
)
from ledger.errors import ElementsError
from ledger.tags import (
    CONSISTENCY_FLAG,
    DESCRIPTOR_CHARACTER_SET,
    DESCRIPTOR_FILE_ID,
    FILE_META_GROUP_LENGTH,
    FILE_META_VERSION,
    FILE_SET_ID,
    FIRST_ROOT_OFFSET,
    IMPLEMENTATION_CLASS_UID,
    IMPLEMENTATION_VERSION_NAME,
    IN_USE_FLAG,
    LAST_ROOT_OFFSET,
    LOWER_OFFSET,
    MEDIA_STORAGE_SOP_CLASS_UID,
    MEDIA_STORAGE_SOP_INSTANCE_UID,
    NEXT_OFFSET,
    RECORD_SEQUENCE,
    RECORD_TYPE,
    REFERENCED_FILE_ID,
    REFERENCED_SOP_CLASS_UID,
    REFERENCED_SOP_INSTANCE_UID,
    REFERENCED_TRANSFER_SYNTAX_UID,
    TRANSFER_SYNTAX_UID,
)
from ledger.uids import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    MEDIA_STORAGE_DIRECTORY,
)
from projections.dicomdir.definitions import DicomdirError, FileSetIdentity, Reference

# Together these two are as long as pydicom's, so that its File-sets and ours have equal offsets
# and can be compared byte by byte.
IMPLEMENTATION_UID: Final = "2.25.644518777661014425821492884477746"
"""The Implementation Class UID of what this project writes (PS3.7 Annex D.3.3.2)."""

IMPLEMENTATION_VERSION: Final = "FSL1"
MAX_SIZE: Final = 0xFFFFFFFE
"""Bytes that a DICOMDIR may have: its offsets are 32-bit, and FFFFFFFFH is no length."""

_UL: Final = struct.Struct("<I")
_ITEM: Final = b"\xfe\xff\x00\xe0"
_ZERO: Final = b"\0\0\0\0"


class DirectoryRecord(NamedTuple):
    """A record in its place: `depth` counts the records above it, `elements` are canonical."""

    depth: int
    type: str
    elements: Elements
    reference: Reference | None = None


def encode_dicomdir(
    identity: FileSetIdentity,
    records: Iterable[tuple[int, str, Elements, Reference | None]],
    *,
    implicit_vr: bool = False,
) -> bytes:
    """Return the bytes of a DICOMDIR file: preamble, File Meta Information and dataset.

    `records` come in preorder, each one like a `DirectoryRecord`: a record before what is
    below it, siblings in order. Explicit VR Little Endian is what the Standard asks for;
    `implicit_vr` gives Implicit VR Little Endian, which some old readers want.

    Raises `DicomdirError` if a record is more than one
    level below the one before it, if a text isn't ASCII, or if there is more than 4 GiB to address.
    """
    out = BytesIO()  # which gives its bytes without a copy
    size = out.write(_file_meta(identity, implicit_vr=implicit_vr))
    ahead, behind = _top_level(identity)
    at_first = size + _value_start(ahead, FIRST_ROOT_OFFSET, implicit_vr=implicit_vr)
    at_last = size + _value_start(ahead, LAST_ROOT_OFFSET, implicit_vr=implicit_vr)
    out.write(to_implicit(ahead) if implicit_vr else ahead)
    out.write(to_implicit(_SEQUENCE) if implicit_vr else _SEQUENCE)
    start = out.tell()
    places, offsets = _append_records(out, records, at_first, at_last, implicit_vr=implicit_vr)
    end = out.tell()
    out.write(to_implicit(behind) if implicit_vr else behind)
    _check_size(out.tell())
    with out.getbuffer() as whole:
        _UL.pack_into(whole, start - 4, end - start)
        for place, offset in zip(places, offsets, strict=True):
            _UL.pack_into(whole, place, offset)
    return out.getvalue()


def to_implicit(elements: bytes, depth: int = 0) -> bytes:
    """Return canonical `elements` in Implicit VR Little Endian (PS3.5 Section 7.1.3)."""
    if depth > MAX_DEPTH:
        raise ElementsError(f"Sequences nested more than {MAX_DEPTH} deep")
    parts = []
    for tag, vr, explicit in iterate(elements):
        value = explicit
        if vr == "SQ":
            items = [to_implicit(item, depth + 1) for item in iterate_items(explicit)]
            value = b"".join(_ITEM + _UL.pack(len(item)) + item for item in items)
        parts.append(struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value)
    return b"".join(parts)


def _append_records(
    out: BytesIO,
    records: Iterable[tuple[int, str, Elements, Reference | None]],
    at_first: int,
    at_last: int,
    *,
    implicit_vr: bool,
) -> tuple[array[int], array[int]]:
    """Append an item for each of `records`; return where offsets belong, and what they are.

    The offset of the first root record belongs at `at_first`, that of the last one at `at_last`.
    """
    places, offsets = array("I"), array("I")
    offset, last_root = out.tell(), 0
    # For each open level, where its newest record keeps its next offset, and its lower offset.
    at_next: list[int] = []
    at_lower = [at_first]
    for depth, record_type, elements, reference in records:
        if depth > len(at_next) or depth < 0:
            raise DicomdirError(f"A {record_type} record has no record above it")
        if depth == len(at_next):
            places.append(at_lower[depth])
        else:
            places.append(at_next[depth])
            del at_next[depth:], at_lower[depth + 1 :]
        offsets.append(offset)
        if not depth:
            last_root = offset
        item: bytes
        # Of a record's elements, only those of group 0004 come among the ones written here.
        if elements and elements[0] <= 4 and not elements[1]:
            item, next_start, lower_start = _merge(
                record_type, elements, reference, implicit_vr=implicit_vr
            )
        else:
            item = _LINKS + _type_element(record_type) + _reference(reference) + elements
            next_start, lower_start = _NEXT_START, _LOWER_START
        if implicit_vr:
            item = to_implicit(item)
        out.write(_ITEM + _UL.pack(len(item)))
        out.write(item)
        at_next.append(offset + 8 + next_start)
        at_lower.append(offset + 8 + lower_start)
        offset += 8 + len(item)
        _check_size(offset)
    places.append(at_last)
    offsets.append(last_root)
    return places, offsets


def _check_size(size: int) -> None:
    if size > MAX_SIZE:
        raise DicomdirError(
            "The DICOMDIR would take more than 4 GiB, which its 32-bit offsets can't address: "
            "split the File-set"
        )


def _file_meta(identity: FileSetIdentity, *, implicit_vr: bool) -> bytes:
    """Return preamble, prefix and File Meta Information (PS3.10 Section 7.1).

    A File-set that was adopted keeps the name of the implementation that made it, as it does with
    pydicom.
    """
    syntax = IMPLICIT_VR_LITTLE_ENDIAN if implicit_vr else EXPLICIT_VR_LITTLE_ENDIAN
    kept = list(iterate(identity.file_meta))
    if not any(element.tag == IMPLEMENTATION_CLASS_UID for element in kept):
        kept += (
            Element(IMPLEMENTATION_CLASS_UID, "UI", _ascii(IMPLEMENTATION_UID)),
            Element(IMPLEMENTATION_VERSION_NAME, "SH", _ascii(IMPLEMENTATION_VERSION)),
        )
    group = encode(
        (
            Element(FILE_META_VERSION, "OB", b"\0\x01"),
            Element(MEDIA_STORAGE_SOP_CLASS_UID, "UI", _ascii(MEDIA_STORAGE_DIRECTORY)),
            Element(MEDIA_STORAGE_SOP_INSTANCE_UID, "UI", _ascii(identity.uid)),
            Element(TRANSFER_SYNTAX_UID, "UI", _ascii(syntax)),
            *kept,
        )
    )
    length = encode_element(FILE_META_GROUP_LENGTH, "UL", _UL.pack(len(group)))
    return bytes(128) + b"DICM" + length + group


def _top_level(identity: FileSetIdentity) -> tuple[Elements, Elements]:
    """Return what comes ahead of the Directory Record Sequence, and what comes behind it."""
    elements = list(iterate(identity.elements))
    elements.append(Element(FILE_SET_ID, "CS", _ascii(identity.id or "")))
    if identity.descriptor_file_id:
        value = _ascii("\\".join(identity.descriptor_file_id))
        elements.append(Element(DESCRIPTOR_FILE_ID, "CS", value))
    if identity.descriptor_character_set:
        value = _ascii(identity.descriptor_character_set)
        elements.append(Element(DESCRIPTOR_CHARACTER_SET, "CS", value))
    elements += (
        Element(FIRST_ROOT_OFFSET, "UL", _ZERO),
        Element(LAST_ROOT_OFFSET, "UL", _ZERO),
        Element(CONSISTENCY_FLAG, "US", b"\0\0"),
    )
    ahead = encode(e for e in elements if e.tag < RECORD_SEQUENCE)
    return ahead, encode(e for e in elements if e.tag > RECORD_SEQUENCE)


def _merge(
    record_type: str, elements: Elements, reference: Reference | None, *, implicit_vr: bool
) -> tuple[Elements, int, int]:
    """Return a record with its `elements` and those written here, and where its links are."""
    written = _LINKS + _type_element(record_type) + _reference(reference)
    merged = encode((*iterate(elements), *iterate(written)))
    return (
        merged,
        _value_start(merged, NEXT_OFFSET, implicit_vr=implicit_vr),
        _value_start(merged, LOWER_OFFSET, implicit_vr=implicit_vr),
    )


def _value_start(elements: bytes, tag: int, *, implicit_vr: bool = False) -> int:
    """Return where the value of the short element `tag` starts in `elements`, once encoded."""
    before = encode(e for e in iterate(elements) if e.tag < tag)
    return len(to_implicit(before) if implicit_vr else before) + 8


def _reference(reference: Reference | None) -> bytes:
    if reference is None:
        return b""
    file_id, sop_class, sop_instance, syntax = reference
    return (
        encode_element(REFERENCED_FILE_ID, "CS", _ascii(file_id.replace("/", "\\")))
        + _uid_element(REFERENCED_SOP_CLASS_UID, sop_class)
        + encode_element(REFERENCED_SOP_INSTANCE_UID, "UI", _ascii(sop_instance))
        + _uid_element(REFERENCED_TRANSFER_SYNTAX_UID, syntax)
    )


@lru_cache(maxsize=256)
def _uid_element(tag: int, uid: str) -> bytes:
    return encode_element(tag, "UI", _ascii(uid))


@lru_cache(maxsize=64)
def _type_element(record_type: str) -> bytes:
    return encode_element(RECORD_TYPE, "CS", _ascii(record_type))


def _ascii(text: str) -> bytes:
    """Return `text` in the default repertoire; bytes kept as lone surrogates come back as such."""
    try:
        return text.encode("ascii", "surrogateescape")
    except UnicodeEncodeError as exc:
        raise DicomdirError(f"{text!r} can't stand in a DICOMDIR: only ASCII can") from exc


_SEQUENCE: Final = encode_element(RECORD_SEQUENCE, "SQ", b"")
_LINKS: Final = encode(
    (
        Element(NEXT_OFFSET, "UL", _ZERO),
        Element(IN_USE_FLAG, "US", b"\xff\xff"),
        Element(LOWER_OFFSET, "UL", _ZERO),
    )
)
# The same in both encodings: a short element's header takes eight bytes either way.
_NEXT_START: Final = _value_start(_LINKS, NEXT_OFFSET)
_LOWER_START: Final = _value_start(_LINKS, LOWER_OFFSET)
