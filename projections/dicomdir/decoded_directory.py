"""A decoded DICOMDIR: its directory records, and the elements around them.

That is as they were found, whatever they were read from: nobody has looked at the offsets yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

from attrs import frozen

from ledger.elements import Element, Elements, encode, find, format_tag, iterate
from ledger.errors import ElementsError, TruncatedError
from ledger.tags import (
    CONSISTENCY_FLAG,
    DESCRIPTOR_CHARACTER_SET,
    DESCRIPTOR_FILE_ID,
    FILE_SET_ID,
    FIRST_ROOT_OFFSET,
    IN_USE_FLAG,
    LAST_ROOT_OFFSET,
    LOWER_OFFSET,
    MANAGED,
    MANAGED_FILE_META,
    MEDIA_STORAGE_SOP_INSTANCE_UID,
    NEXT_OFFSET,
    RECORD_TYPE,
    REFERENCED_FILE_ID,
    REFERENCED_SOP_CLASS_UID,
    REFERENCED_SOP_INSTANCE_UID,
    REFERENCED_TRANSFER_SYNTAX_UID,
    TRANSFER_SYNTAX_UID,
)
from projections.dicomdir.definitions import FileSetIdentity

_IDENTIFYING: Final = frozenset(
    (
        FILE_SET_ID,
        DESCRIPTOR_FILE_ID,
        DESCRIPTOR_CHARACTER_SET,
        FIRST_ROOT_OFFSET,
        LAST_ROOT_OFFSET,
        CONSISTENCY_FLAG,
    )
)


class DecodedRecord(NamedTuple):
    """A directory record as it was found (PS3.3 Table F.3-3).

    Offsets count bytes from the start of the file to an Item tag, 0 for none; `offset` is the
    record's own, `None` for one that was never in a file. A text is `None` where its element
    is absent and empty where that has no value. `file_id` holds the File ID's components, as they
    were written. `elements` are the others, canonical. `left_out` are the tags of those that hold
    a compressed image, perhaps within a sequence: a DICOMDIR's encoding can't have that.
    """

    offset: int | None
    next_offset: int
    lower_offset: int
    in_use: bool
    type: str | None
    elements: Elements
    file_id: tuple[str, ...] | None
    sop_class_uid: str | None
    sop_instance_uid: str | None
    transfer_syntax_uid: str | None
    left_out: tuple[int, ...] = ()


@frozen
class DecodedDirectory:
    """A DICOMDIR taken apart; `records` are in the order of the file.

    `transfer_syntax_uid` is `""` if the file names none. `consistent` is false where the
    File-set Consistency Flag (0004,1212) warns that the File-set may not be what is listed.
    """

    identity: FileSetIdentity
    transfer_syntax_uid: str
    consistent: bool
    first_offset: int
    last_offset: int
    records: list[DecodedRecord]


def directory_of(
    meta: dict[int, Element], top: Elements, records: list[DecodedRecord] | None
) -> DecodedDirectory:
    """Return the directory with the File Meta Information `meta` and the dataset's `top` level."""
    values, rest = _split(top, _IDENTIFYING)
    return DecodedDirectory(
        FileSetIdentity(
            uid=text_of(meta, MEDIA_STORAGE_SOP_INSTANCE_UID),
            id=text(values.get(FILE_SET_ID, b"")) or None,
            descriptor_file_id=components(values.get(DESCRIPTOR_FILE_ID, b"")) or None,
            descriptor_character_set=text(values.get(DESCRIPTOR_CHARACTER_SET, b"")) or None,
            elements=rest,
            file_meta=encode(e for e in meta.values() if e.tag not in MANAGED_FILE_META),
        ),
        transfer_syntax_uid=text_of(meta, TRANSFER_SYNTAX_UID),
        consistent=not any(values.get(CONSISTENCY_FLAG, b"")),
        first_offset=_offset(values, FIRST_ROOT_OFFSET),
        last_offset=_offset(values, LAST_ROOT_OFFSET),
        records=records or [],
    )


def text_of(meta: dict[int, Element], tag: int) -> str:
    """Return the text of an element, `""` where there is none."""
    return text(meta[tag].value) if tag in meta else ""


def refuse_cut(top: Elements, name: str) -> None:
    """Raise an error if a DICOMDIR without a Directory Record Sequence should have one.

    Some writers leave it out of an empty DICOMDIR; any other has lost it.
    """
    first = find(top, FIRST_ROOT_OFFSET)
    if first is None or any(first.value):
        raise TruncatedError("the file ends before its Directory Record Sequence", name=name)


def record_of(
    offset: int | None, elements: Elements, left_out: Iterable[int] = ()
) -> DecodedRecord:
    """Return the record at `offset` with these canonical `elements`."""
    values, rest = _split(elements, MANAGED)
    return decoded_record(
        offset,
        _offset(values, NEXT_OFFSET),
        _offset(values, LOWER_OFFSET),
        values.get(IN_USE_FLAG) != b"\0\0",
        values,
        rest,
    )._replace(left_out=tuple(left_out))


def _split(elements: Elements, tags: frozenset[int]) -> tuple[dict[int, bytes], Elements]:
    """Return the values of the elements with `tags`, and the other elements."""
    values: dict[int, bytes] = {}
    rest = []
    for element in iterate(elements):
        if element.tag in tags:
            values[element.tag] = element.value
        else:
            rest.append(element)
    return values, encode(rest)


def decoded_record(
    offset: int | None,
    next_offset: int,
    lower_offset: int,
    in_use: bool,
    values: dict[int, bytes],
    elements: Elements,
) -> DecodedRecord:
    """Return a record, given the `values` of its `MANAGED` elements and its other `elements`."""
    get = values.get
    record_type = get(RECORD_TYPE)
    file_id = get(REFERENCED_FILE_ID)
    sop_class = get(REFERENCED_SOP_CLASS_UID)
    sop_instance = get(REFERENCED_SOP_INSTANCE_UID)
    syntax = get(REFERENCED_TRANSFER_SYNTAX_UID)
    return DecodedRecord(
        offset,
        next_offset,
        lower_offset,
        in_use,
        None if record_type is None else _common_text(record_type),
        elements,
        None if file_id is None else components(file_id),
        None if sop_class is None else _common_text(sop_class),
        None if sop_instance is None else text(sop_instance),
        None if syntax is None else _common_text(syntax),
    )


def _offset(values: dict[int, bytes], tag: int) -> int:
    value = values.get(tag)
    if not value:
        return 0
    if len(value) != 4:
        raise ElementsError(f"The value of {format_tag(tag)} has {len(value)} bytes instead of 4")
    return int.from_bytes(value, "little")


def text(value: bytes) -> str:
    """Return a CS or UI value as text; what isn't ASCII comes back as lone surrogates."""
    return value.decode("ascii", "surrogateescape").strip(" \0\t\n\v\f\r")


_common_text = lru_cache(maxsize=512)(text)
"""As `text`, for values that recur from record to record: they share one text."""


def components(file_id: bytes) -> tuple[str, ...]:
    """Return the components of a File ID, none for an empty one."""
    joined = text(file_id)
    folder, separator, name = joined.rpartition("\\")
    if " " in joined:
        return tuple([part.strip(" ") for part in joined.split("\\")])
    if not separator:
        return (name,) if name else ()
    return (*_parts(folder), name)


@lru_cache(maxsize=512)  # the files of a folder share the names above them
def _parts(folder: str) -> tuple[str, ...]:
    return tuple(folder.split("\\"))
