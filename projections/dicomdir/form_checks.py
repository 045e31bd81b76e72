"""Checking a DICOMDIR against the Standard: its encoding, its identity and its offsets.

These checks are pure: they look at the bytes of a DICOMDIR and what was decoded from them, and at
none of the files that its records reference (`fileset.checking.conformance` does). The rules
are those of PS3.3 Annex F and PS3.10 Sections 7 and 8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from ledger.elements import UNDEFINED_LENGTH, format_tag, read_header
from ledger.errors import ElementsError
from ledger.instances.file_meta import PREFIX_END
from ledger.instances.values import fault_of_uid
from ledger.tags import (
    CONSISTENCY_FLAG,
    FILE_META_GROUP_LENGTH,
    FILE_META_VERSION,
    FILE_SET_ID,
    FIRST_ROOT_OFFSET,
    IMPLEMENTATION_CLASS_UID,
    IN_USE_FLAG,
    LAST_ROOT_OFFSET,
    LOWER_OFFSET,
    MEDIA_STORAGE_SOP_CLASS_UID,
    MEDIA_STORAGE_SOP_INSTANCE_UID,
    NEXT_OFFSET,
    RECORD_SEQUENCE,
    TRANSFER_SYNTAX_UID,
)
from ledger.uids import EXPLICIT_VR_LITTLE_ENDIAN
from projections.dicomdir.decoded_directory import DecodedDirectory
from projections.dicomdir.decoder import LINK_HEADERS, is_padding
from projections.dicomdir.definitions import FileSetIdentity
from projections.dicomdir.findings import Finding, FindingKind, Severity, finding
from projections.dicomdir.record_checks import (
    CHARACTERS,
    REMEDY,
    check_records,
    file_id_faults,
    of_record,
)
from projections.dicomdir.tree import DecodingFindingKind as LinkKind
from projections.dicomdir.tree import Tree


def check_dicomdir(data: bytes, directory: DecodedDirectory, tree: Tree) -> Iterator[Finding]:
    """Yield what is wrong with the DICOMDIR `data`, decoded as `directory` and linked as `tree`."""
    explicit = directory.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN
    yield from check_form(data, directory)
    if not explicit:
        syntax = directory.transfer_syntax_uid or "no transfer syntax"
        yield finding(
            FindingKind.DICOMDIR_ENCODING,
            f"The DICOMDIR is encoded in {syntax}; it has to be in Explicit VR Little Endian "
            "(PS3.10 Section 8.6): rewrite it.",
        )
    yield from _check_identity(directory)
    yield from _check_links(directory, tree)
    yield from check_records(directory, tree)


def check_form(data: bytes, directory: DecodedDirectory) -> Iterator[Finding]:
    """Yield what is wrong with the elements of a DICOMDIR that are not about its instances."""
    yield from _check_file_meta(data)
    for record in directory.records:
        for tag in record.left_out:
            yield of_record(
                record,
                FindingKind.COMPRESSED_ICON,
                f"has a compressed image in {format_tag(tag)}, which Explicit VR Little Endian "
                "can't hold, so readers may fail on it: rewrite it without that",
            )
    if directory.transfer_syntax_uid == EXPLICIT_VR_LITTLE_ENDIAN:
        yield from _check_elements(data, directory)


# --- File Meta Information (PS3.10 Section 7.1) --------------------------------------------------


def _check_file_meta(data: bytes) -> Iterator[Finding]:
    meta: dict[int, bytes] = {}
    begins = offset = PREFIX_END
    while data[offset : offset + 2] == b"\x02\0":  # it was decoded: every header is whole
        tag, _, length, start = read_header(data, offset, len(data))
        offset = start + length
        meta[tag] = data[start:offset]
        if tag == FILE_META_GROUP_LENGTH:
            begins = offset
    stated = meta.get(FILE_META_GROUP_LENGTH)
    if stated is None:
        yield finding(
            FindingKind.GROUP_LENGTH,
            "The File Meta Information has no group length (0002,0000): rewrite the DICOMDIR.",
        )
    elif int.from_bytes(stated, "little") != offset - begins:
        yield finding(
            FindingKind.GROUP_LENGTH,
            f"The File Meta Information's group length (0002,0000) is "
            f"{int.from_bytes(stated, 'little')}, but the group has {offset - begins} bytes: "
            "rewrite the DICOMDIR.",
        )
    for tag in (FILE_META_VERSION, TRANSFER_SYNTAX_UID, IMPLEMENTATION_CLASS_UID):
        if not meta.get(tag, b"").rstrip(b" "):
            yield finding(
                FindingKind.FILE_META,
                f"The File Meta Information lacks {format_tag(tag)}, which PS3.10 Section 7.1 "
                "requires: rewrite the DICOMDIR.",
            )
    version = meta.get(FILE_META_VERSION)
    if version and not version[-1] & 1:
        yield finding(
            FindingKind.FILE_META,
            "The File Meta Information Version (0002,0001) is not 1: no other is known.",
        )
    assert MEDIA_STORAGE_SOP_CLASS_UID in meta  # noqa: S101 - it was decoded as a DICOMDIR


# --- identity (PS3.3 Section F.3.2.1) ------------------------------------------------------------

_ID_LENGTH: Final = 16


def identity_faults(identity: FileSetIdentity) -> Iterator[Finding]:
    """Yield why the File-set UID, the File-set ID or the descriptor File ID is not a valid one."""
    why = fault_of_uid(identity.uid)
    if why is not None:
        yield finding(
            FindingKind.FILE_SET_UID,
            f"The File-set UID, {format_tag(MEDIA_STORAGE_SOP_INSTANCE_UID)} of the DICOMDIR, is "
            f"not a UID: {why}; give the File-set another one.",
        )
    id_ = identity.id or ""
    if len(id_) > _ID_LENGTH:
        yield finding(
            FindingKind.FILE_SET_ID_LENGTH,
            f"The File-set ID (0004,1130) has {len(id_)} characters; it may have {_ID_LENGTH}: "
            "give the File-set a shorter one.",
        )
    if not CHARACTERS.issuperset(id_):
        yield finding(
            FindingKind.FILE_SET_ID_CHARACTERS,
            f"The File-set ID (0004,1130) {id_!r} has characters other than A-Z, 0-9 and _: give "
            "the File-set another one.",
        )
    if identity.descriptor_file_id is not None:
        for kind, why in file_id_faults(identity.descriptor_file_id):
            name = "\\".join(identity.descriptor_file_id)
            yield finding(
                FindingKind.DESCRIPTOR_FILE_ID,
                f"The File-set Descriptor File ID (0004,1141) {name!r} is not a File ID: {why} "
                f"({kind.value}).",
            )


def _check_identity(directory: DecodedDirectory) -> Iterator[Finding]:
    yield from identity_faults(directory.identity)
    if not directory.consistent:
        yield finding(
            FindingKind.CONSISTENCY_FLAG,
            "The File-set Consistency Flag (0004,1212) is set: a write was interrupted, and the "
            "File-set may not be what is listed. Have the program that wrote it complete the "
            "write, or re-index the files.",
        )


# --- what has to be there (PS3.3 Tables F.3-2 and F.3-3) -----------------------------------------

_REQUIRED: Final = (
    (FILE_SET_ID, "File-set ID"),
    (FIRST_ROOT_OFFSET, "the offset of the first root record"),
    (LAST_ROOT_OFFSET, "the offset of the last root record"),
    (CONSISTENCY_FLAG, "File-set Consistency Flag"),
    (RECORD_SEQUENCE, "Directory Record Sequence"),
)
_LINK_TAGS: Final = (NEXT_OFFSET, IN_USE_FLAG, LOWER_OFFSET)
_LINK_PLACES: Final = tuple(
    zip((8, 20, 30), LINK_HEADERS, strict=True)
)  # in an item: behind its own header, each behind the value of the one before

_FLAG_PLACE: Final = 28


def _check_elements(data: bytes, directory: DecodedDirectory) -> Iterator[Finding]:
    """Yield the elements that a DICOMDIR in Explicit VR Little Endian lacks."""
    try:
        there = _top_tags(data)
    except ElementsError as exc:
        yield _otherwise_encoded(str(exc))
        return
    for tag, name in _REQUIRED if RECORD_SEQUENCE in there or not directory.records else ():
        if tag not in there:
            yield finding(
                FindingKind.MISSING_ELEMENT,
                f"The DICOMDIR lacks {format_tag(tag)}, {name}: rewrite it.",
            )
    for record in directory.records:
        offset = record.offset
        if offset is None:
            continue
        if all(data.startswith(header, offset + place) for place, header in _LINK_PLACES):
            missing: Iterable[int] = ()
            if data[offset + _FLAG_PLACE : offset + _FLAG_PLACE + 2] not in {b"\xff\xff", b"\0\0"}:
                yield of_record(
                    record,
                    FindingKind.NOT_IN_USE,
                    "has an in-use flag (0004,1410) that is neither FFFFH nor 0000H: rewrite it",
                    Severity.WARNING,
                )
        else:
            try:
                missing = _missing_links(data, offset)
            except ElementsError as exc:
                yield _otherwise_encoded(str(exc), offset)
                return
        for tag in missing:
            yield of_record(
                record, FindingKind.MISSING_ELEMENT, f"lacks {format_tag(tag)}: rewrite it"
            )


def _otherwise_encoded(why: str, offset: int | None = None) -> Finding:
    return finding(
        FindingKind.DICOMDIR_ENCODING,
        "The DICOMDIR says that it is in Explicit VR Little Endian, but not all of it is "
        f"({why}): rewrite it.",
        offset=offset,
    )


def _top_tags(data: bytes) -> set[int]:
    """Return the tags at the top level, up to the first sequence of undefined length.

    ElementsError where it is not in Explicit VR Little Endian.
    """
    tags: set[int] = set()
    offset = PREFIX_END
    while offset < len(data) and not (RECORD_SEQUENCE in tags and is_padding(data, offset)):
        tag, vr, length, start = read_header(data, offset, len(data))
        tags.add(tag)
        if tag == RECORD_SEQUENCE and vr != b"SQ":
            raise ElementsError(f"{format_tag(tag)} has the VR {vr.decode()}")
        if length == UNDEFINED_LENGTH:
            break
        offset = start + length
    return tags


def _missing_links(data: bytes, offset: int) -> list[int]:
    """Return which of the link elements the record at `offset` lacks.

    ElementsError where it is not in Explicit VR Little Endian.
    """
    missing = set(_LINK_TAGS)
    at = offset + 8
    while data[at : at + 2] < b"\xfe\xff" and missing:
        tag, _, length, start = read_header(data, at, len(data))
        if tag > LOWER_OFFSET or length == UNDEFINED_LENGTH:
            break
        missing.discard(tag)
        at = start + length
    return sorted(missing)


# --- offsets -------------------------------------------------------------------------------------

_LINK_KINDS: Final = {
    LinkKind.BAD_OFFSET: FindingKind.BAD_OFFSET,
    LinkKind.CYCLE: FindingKind.OFFSET_CYCLE,
    LinkKind.NO_FIRST_OFFSET: FindingKind.FIRST_OFFSET,
    LinkKind.LAST_OFFSET: FindingKind.LAST_OFFSET,
    LinkKind.NOT_IN_USE: FindingKind.NOT_IN_USE,
    LinkKind.SAME_OFFSET: FindingKind.BAD_OFFSET,
    LinkKind.SHIFTED: FindingKind.BAD_OFFSET,
}
_REMEDIES: Final = {
    FindingKind.NOT_IN_USE: "so readers skip it and all below it: rewrite the DICOMDIR "
    "without it, or with its flag (0004,1410) as FFFFH"
}


def _check_links(directory: DecodedDirectory, tree: Tree) -> Iterator[Finding]:
    roots = {node.record.offset for node in tree.roots} | {None}
    broken = (LinkKind.BAD_OFFSET, LinkKind.CYCLE)
    at_root = any(each.kind in broken and each.offset in roots for each in tree.findings)
    types = {record.offset: record.type for record in directory.records}
    for each in tree.findings:
        # Where the chain of root records is broken, its last one is not reached: that is no
        # second fault.
        if each.kind is LinkKind.LAST_OFFSET and at_root:
            continue
        kind = _LINK_KINDS[each.kind]
        if each.offset is None:
            whose = "The DICOMDIR"
            if each.kind is LinkKind.BAD_OFFSET:
                kind = FindingKind.FIRST_OFFSET
        else:
            whose = f"The {types.get(each.offset)} record at offset {each.offset}"
        remedy = _REMEDIES.get(kind, REMEDY)
        yield finding(kind, f"{whose}: {each.text}; {remedy}.", offset=each.offset)
    for record in tree.orphans:
        yield of_record(
            record,
            FindingKind.ORPHAN_RECORD,
            f"is reached by no offset, so readers don't find it: {REMEDY}",
        )
