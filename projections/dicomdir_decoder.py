"""From a DICOMDIR to the records it holds, and from their offsets to the tree they form.

Reading has two steps. :func:`decode_dicomdir` (and :mod:`projections.dicomdir_dataset` for what is
a dataset already) takes a DICOMDIR apart without a look at its offsets; :func:`link` follows these
and tells what is wrong with them. A DICOMDIR that a disc has damaged can so be judged by whoever
asked for it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import Enum
from functools import lru_cache
from typing import Final, NamedTuple

from attrs import define, field, frozen

from ledger.elements import (
    ITEM,
    KNOWN_VRS,
    LONG_VRS,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Element,
    Elements,
    canonical,
    encode,
    encode_element,
    find,
    format_tag,
    iterate,
    pad,
    read_header,
)
from ledger.errors import (
    ElementsError,
    InstanceError,
    LedgerError,
    NotDicomError,
    TruncatedError,
)
from ledger.recorders import MANAGED
from ledger.scanner import DEFLATED, inflate
from projections.dicomdir import (
    CONSISTENCY_FLAG,
    DESCRIPTOR_CHARACTER_SET,
    DESCRIPTOR_FILE_ID,
    EXPLICIT_VR_LITTLE_ENDIAN,
    FILE_SET_ID,
    FIRST_ROOT_OFFSET,
    IN_USE_FLAG,
    LAST_ROOT_OFFSET,
    LOWER_OFFSET,
    MANAGED_FILE_META,
    MEDIA_STORAGE_DIRECTORY,
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
    DicomdirError,
    FileSetIdentity,
    NotDicomdirError,
)

_SHORT_VRS: Final = KNOWN_VRS - LONG_VRS
_LINKS: Final = struct.Struct("<8sI8sH8sI")
"""The next offset, the in-use flag and the lower offset, each behind its header."""

LINK_HEADERS: Final = (
    encode_element(NEXT_OFFSET, "UL", bytes(4))[:8],
    encode_element(IN_USE_FLAG, "US", bytes(2))[:8],
    encode_element(LOWER_OFFSET, "UL", bytes(4))[:8],
)
"""What the links of a record begin with: as nearly every writer has them, one behind the other."""

_header = struct.Struct("<HH2sH").unpack_from
_item_header = struct.Struct("<HHI").unpack_from
_long = struct.Struct("<I").unpack_from
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
    record's own, ``None`` for one that was never in a file. A text is ``None`` where its element
    is absent and empty where that has no value. `file_id` holds the File ID's components, as they
    were written. `elements` are the others, canonical.
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


@frozen
class DecodedDirectory:
    """A DICOMDIR taken apart; `records` are in the order of the file.

    `transfer_syntax_uid` is ``""`` if the file names none. `consistent` is false where the
    File-set Consistency Flag (0004,1212) warns that the File-set may not be what is listed.
    """

    identity: FileSetIdentity
    transfer_syntax_uid: str
    consistent: bool
    first_offset: int
    last_offset: int
    records: list[DecodedRecord]


class FindingKind(Enum):
    """What can be wrong with the links between records."""

    BAD_OFFSET = "bad-offset"
    """An offset leads to no record: what it should have led to is lost, or an orphan."""

    CYCLE = "cycle"
    """An offset leads to a record that has its place already, perhaps above or before this one."""

    NO_FIRST_OFFSET = "no-first-offset"
    """There are records, but no first one of the root directory entity: all are orphans."""

    LAST_OFFSET = "last-offset"
    """(0004,1202) isn't the offset of the last record of the root directory entity."""

    NOT_IN_USE = "not-in-use"
    """The record's in-use flag is 0000H, so it's left out with all below it (PS3.3 F.3.2.2)."""

    SAME_OFFSET = "same-offset"
    """Several records claim one offset: the last one has it, the others are orphans."""


class Finding(NamedTuple):
    """Something wrong with the record at `offset`; ``None`` stands for the top level."""

    offset: int | None
    kind: FindingKind
    text: str


@define(eq=False)
class DecodedNode:
    """A record and the nodes right below it, in order."""

    record: DecodedRecord
    # Left out of the text: a chain of records can be longer than Python's stack is deep.
    children: Sequence[DecodedNode] = field(default=(), repr=False)


@frozen(eq=False)
class Tree:
    """The records in use as their offsets connect them.

    `orphans` are the records that no offset leads to, in the order of the file.
    """

    roots: list[DecodedNode]
    orphans: list[DecodedRecord]
    findings: list[Finding]


# --- from bytes --------------------------------------------------------------------------------


def decode_dicomdir(data: bytes, *, name: str) -> DecodedDirectory:
    """Return what the DICOMDIR with the bytes `data` holds; `name` is for messages.

    Explicit VR Little Endian, as PS3.10 Section 8.6 demands, is read at once. Other encodings go
    by way of pydicom. A DICOMDIR without a Directory Record Sequence has no records.

    Raises :class:`~ledger.errors.NotDicomError` if `data` isn't a file of PS3.10 Section 7,
    :class:`~ledger.errors.TruncatedError` if it ends too early,
    :class:`~projections.dicomdir.NotDicomdirError` if it's an instance of another class, and
    :class:`~projections.dicomdir.DicomdirError` if it's malformed.
    """
    if data[128:132] != b"DICM":
        raise NotDicomError("not a DICOM file: 'DICM' is missing at byte 128", name=name)
    meta, start = _read_file_meta(data, name)
    if text_of(meta, MEDIA_STORAGE_SOP_CLASS_UID) != MEDIA_STORAGE_DIRECTORY:
        raise NotDicomdirError(name)
    syntax = text_of(meta, TRANSFER_SYNTAX_UID)
    if syntax in DEFLATED:
        _refuse_bomb(data[start:], name)
    if syntax != EXPLICIT_VR_LITTLE_ENDIAN:
        return _with_pydicom(data, name)
    try:
        top, records = _read_dataset(data, start, name)
        return directory_of(meta, top, records)
    except ElementsError as exc:
        # There are deviations that pydicom knows how to read: a sequence of VR UN, implicit
        # elements under an explicit transfer syntax. What is just broken stays so.
        try:
            return _with_pydicom(data, name)
        except LedgerError:
            raise DicomdirError(f"malformed DICOMDIR: {exc}", name=name) from exc


def _refuse_bomb(stream: bytes, name: str) -> None:
    """Raise an error if a deflated stream holds more than a DICOMDIR can: pydicom doesn't ask."""
    try:
        inflate(stream)
    except InstanceError as exc:
        raise DicomdirError(exc.reason, name=name) from exc


def _with_pydicom(data: bytes, name: str) -> DecodedDirectory:
    # pydicom takes long to import, and nearly no DICOMDIR needs it.
    from projections.dicomdir_dataset import decode_with_pydicom  # noqa: PLC0415

    return decode_with_pydicom(data, name=name)


def _read_file_meta(data: bytes, name: str) -> tuple[dict[int, Element], int]:
    """Return the File Meta Information's elements, and where the dataset starts."""
    meta: dict[int, Element] = {}
    offset = 132
    while data[offset : offset + 2] == b"\x02\0":
        try:
            tag, code, length, start = _read_header(data, offset, name)
        except ElementsError as exc:
            raise DicomdirError(f"malformed File Meta Information: {exc}", name=name) from exc
        offset = start + length
        meta[tag] = Element(
            tag, code.decode("ascii"), pad(code.decode("ascii"), data[start:offset])
        )
    return meta, offset


def _read_dataset(
    data: bytes, offset: int, name: str
) -> tuple[Elements, list[DecodedRecord] | None]:
    """Return the dataset's own elements, and the records of its Directory Record Sequence if any.

    Raises :class:`~ledger.errors.ElementsError` for what pydicom may yet be able to read.
    """
    kept: list[bytes] = []
    records: list[DecodedRecord] | None = None
    while offset < len(data):
        begin = offset
        tag, code, length, offset = _read_header(data, begin, name)
        if length == UNDEFINED_LENGTH and code != b"SQ":
            raise ElementsError(f"{format_tag(tag)} has an undefined length but is no sequence")
        if tag == RECORD_SEQUENCE:
            records, offset = _read_records(data, offset, length, name)
        else:
            if length == UNDEFINED_LENGTH:
                offset = _skip(data, offset, 0xE0DD, name)
            else:
                offset += length
            kept.append(data[begin:offset])
    top = canonical(b"".join(kept))
    if records is None:
        refuse_cut(top, name)
    return top, records


def _read_header(data: bytes, offset: int, name: str) -> tuple[int, bytes, int, int]:
    """Return (tag, VR, length, start of value); say so if `data` ends before the value does."""
    try:
        return read_header(data, offset, len(data))
    except ElementsError as exc:
        if len(data) - offset >= 8 and data[offset + 4 : offset + 6] not in KNOWN_VRS:
            raise
        raise TruncatedError(str(exc), name=name) from exc


def _read_records(
    data: bytes, offset: int, length: int, name: str
) -> tuple[list[DecodedRecord], int]:
    """Return the records in the sequence whose value starts at `offset`, and where it ends."""
    records: list[DecodedRecord] = []
    delimited = length == UNDEFINED_LENGTH
    end = len(data) if delimited else offset + length
    while offset < end:
        if end - offset < 8:
            raise TruncatedError(f"the data ends within an item at byte {offset}", name=name)
        group, number, length = _item_header(data, offset)
        tag, begin, offset = group << 16 | number, offset, offset + 8
        if tag == SEQUENCE_DELIMITER and delimited:
            return records, offset
        if tag != ITEM:
            raise ElementsError(f"Expected an item at byte {begin}, found {format_tag(tag)}")
        start = offset
        if length == UNDEFINED_LENGTH:
            offset = _skip(data, start, 0xE00D, name)
            stop = offset - 8
        elif length > end - start and delimited:
            raise TruncatedError(f"the record at byte {begin} runs past the end", name=name)
        else:
            # Where the sequence is whole and yet shorter, the item's length is what is wrong.
            # Other readers read on, too.
            stop = offset = min(start + length, end)
        records.append(_read_record(data, begin, start, stop))
    if delimited or offset > end:
        raise TruncatedError("the Directory Record Sequence ends within a record", name=name)
    return records, offset


def _skip(data: bytes, offset: int, delimiter: int, name: str) -> int:
    """Return where the item or sequence of undefined length ends whose content is at `offset`.

    That means behind its `delimiter`, given by its element number.
    """
    depth = 1
    number = 0
    while depth:
        if data[offset : offset + 2] == b"\xfe\xff" and len(data) - offset >= 8:
            _, number, length = _item_header(data, offset)
            offset += 8
            if number != 0xE000:
                depth -= 1
                continue
        else:
            _, _, length, offset = _read_header(data, offset, name)
        if length == UNDEFINED_LENGTH:
            depth += 1
        else:
            offset += length
    if number != delimiter:
        raise ElementsError(f"Wrong delimiter at byte {offset - 8}")
    return offset


def read_item(content: bytes, offset: int, name: str, *, delimited: bool) -> DecodedRecord:
    """Return the record at `offset` of a file, given the `content` of its item.

    One that is `delimited` ends with its Item Delimitation Item, whatever follows. Raises
    :class:`~ledger.errors.LedgerError` if it isn't whole.
    """
    stop = _skip(content, 0, 0xE00D, name) - 8 if delimited else len(content)
    return record_of(offset, canonical(content[:stop]))


def _read_record(data: bytes, offset: int, start: int, stop: int) -> DecodedRecord:
    """Return the record at `offset`, whose explicit elements are from `start` to `stop`."""
    record = _read_plain_record(data, offset, start, stop)
    return record_of(offset, canonical(data[start:stop])) if record is None else record


def _read_plain_record(data: bytes, offset: int, start: int, stop: int) -> DecodedRecord | None:
    """Do so for a record that is canonical as it stands and has only short elements.

    Nearly every record is like that, so there is no need to take each one apart. ``None`` for any
    other.
    """
    at = start + _LINKS.size
    if at > stop:
        return None
    head_1, next_offset, head_2, in_use, head_3, lower_offset = _LINKS.unpack_from(data, start)
    if (head_1, head_2, head_3) != LINK_HEADERS:
        return None
    values: dict[int, bytes] = {}
    rest = stop
    last = LOWER_OFFSET
    while at <= stop - 8:
        group, number, code, length = _header(data, at)
        tag = group << 16 | number
        if tag <= last or length & 1 or code not in _SHORT_VRS or not number:
            return None
        value = at + 8
        if tag in MANAGED:
            values[tag] = data[value : value + length]
        elif tag < REFERENCED_TRANSFER_SYNTAX_UID:
            return None
        elif rest == stop:
            rest = at
        last = tag
        at = value + length
    if at != stop:
        return None
    return _decoded(
        offset, next_offset, lower_offset, in_use != 0, values, Elements(data[rest:stop])
    )


# --- common to all ways of reading ---------------------------------------------------------------


def directory_of(
    meta: dict[int, Element], top: Elements, records: list[DecodedRecord] | None
) -> DecodedDirectory:
    """Return the directory with the File Meta Information `meta` and the dataset's `top` level."""
    values, rest = _split(top, _IDENTIFYING)
    return DecodedDirectory(
        FileSetIdentity(
            uid=text_of(meta, MEDIA_STORAGE_SOP_INSTANCE_UID),
            id=_text(values.get(FILE_SET_ID, b"")) or None,
            descriptor_file_id=_components(values.get(DESCRIPTOR_FILE_ID, b"")) or None,
            descriptor_character_set=_text(values.get(DESCRIPTOR_CHARACTER_SET, b"")) or None,
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
    """Return the text of an element, ``""`` where there is none."""
    return _text(meta[tag].value) if tag in meta else ""


def refuse_cut(top: Elements, name: str) -> None:
    """Raise an error if a DICOMDIR without a Directory Record Sequence should have one.

    Some writers leave it out of an empty DICOMDIR; any other has lost it.
    """
    first = find(top, FIRST_ROOT_OFFSET)
    if first is None or any(first.value):
        raise TruncatedError("the file ends before its Directory Record Sequence", name=name)


def record_of(offset: int | None, elements: Elements) -> DecodedRecord:
    """Return the record at `offset` with these canonical `elements`."""
    values, rest = _split(elements, MANAGED)
    return _decoded(
        offset,
        _offset(values, NEXT_OFFSET),
        _offset(values, LOWER_OFFSET),
        values.get(IN_USE_FLAG) != b"\0\0",
        values,
        rest,
    )


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


def _decoded(
    offset: int | None,
    next_offset: int,
    lower_offset: int,
    in_use: bool,
    values: dict[int, bytes],
    elements: Elements,
) -> DecodedRecord:
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
        None if file_id is None else _components(file_id),
        None if sop_class is None else _common_text(sop_class),
        None if sop_instance is None else _text(sop_instance),
        None if syntax is None else _common_text(syntax),
    )


def _offset(values: dict[int, bytes], tag: int) -> int:
    value = values.get(tag)
    if not value:
        return 0
    if len(value) != 4:
        raise ElementsError(f"The value of {format_tag(tag)} has {len(value)} bytes instead of 4")
    (offset,) = _long(value)
    return int(offset)


def _text(value: bytes) -> str:
    """Return a CS or UI value as text; what isn't ASCII comes back as lone surrogates."""
    return value.decode("ascii", "surrogateescape").strip(" \0\t\n\v\f\r")


_common_text = lru_cache(maxsize=512)(_text)
"""As :func:`_text`, for values that recur from record to record: they share one text."""


def _components(file_id: bytes) -> tuple[str, ...]:
    """Return the components of a File ID, none for an empty one."""
    text = _text(file_id)
    if not text:
        return ()
    parts = text.split("\\")
    return tuple([part.strip(" ") for part in parts] if " " in text else parts)


# --- the tree ----------------------------------------------------------------------------------


def link(directory: DecodedDirectory) -> Tree:
    """Return the forest that the offsets in `directory` describe, and what is wrong with them.

    Roots follow from (0004,1200) by next offsets, children from their parent's lower offset. Each
    record is taken once, at the first place that leads to it in preorder. Nothing is raised: a
    caller can judge by the findings' kinds. Linear in the number of records.
    """
    return _Linker(directory).tree()


class _Linker:
    def __init__(self, directory: DecodedDirectory) -> None:
        self._directory = directory
        self._findings: list[Finding] = []
        self._taken: set[int] = set()
        self._inactive: list[DecodedRecord] = []
        self._by_offset: dict[int, DecodedRecord] = {}
        for record in directory.records:
            if record.offset is not None:
                if record.offset in self._by_offset:
                    self._find(
                        record.offset, FindingKind.SAME_OFFSET, "several records have this offset"
                    )
                self._by_offset[record.offset] = record

    def tree(self) -> Tree:
        directory = self._directory
        roots, last = self._chain(directory.first_offset, None)
        if directory.records and not directory.first_offset:
            self._find(None, FindingKind.NO_FIRST_OFFSET, "there is no first root record")
        elif last != directory.last_offset:
            text = f"the last root record is at {last}, not at {directory.last_offset}"
            self._find(None, FindingKind.LAST_OFFSET, text)
        self._descend(roots)
        for record in directory.records:
            if not record.in_use and not self._placed(record):
                self._leave_out(record)
        # What is below a record not in use is no orphan; but one in use may claim it first.
        for record in self._inactive:
            below, _ = self._chain(record.lower_offset, record.offset)
            self._descend(below)
        orphans = [r for r in directory.records if r.in_use and not self._placed(r)]
        return Tree(roots, orphans, self._findings)

    def _descend(self, nodes: list[DecodedNode]) -> None:
        pending = nodes[::-1]
        while pending:
            node = pending.pop()
            if node.record.lower_offset:
                node.children, _ = self._chain(node.record.lower_offset, node.record.offset)
                pending.extend(reversed(node.children))

    def _chain(self, offset: int, source: int | None) -> tuple[list[DecodedNode], int]:
        """Return the nodes from `offset` on, to which `source` leads, and the last offset."""
        nodes: list[DecodedNode] = []
        last = 0
        while offset:
            record = self._by_offset.get(offset)
            if record is None:
                text = f"offset {offset} leads to no record"
                self._find(source, FindingKind.BAD_OFFSET, text)
                break
            if offset in self._taken:
                text = f"offset {offset} leads to a record that has its place already"
                self._find(source, FindingKind.CYCLE, text)
                break
            self._taken.add(offset)
            if record.in_use:
                nodes.append(DecodedNode(record))
            else:
                self._leave_out(record)
            last = source = offset
            offset = record.next_offset
        return nodes, last

    def _leave_out(self, record: DecodedRecord) -> None:
        self._inactive.append(record)
        self._find(record.offset, FindingKind.NOT_IN_USE, "the record is marked as not in use")

    def _placed(self, record: DecodedRecord) -> bool:
        offset = record.offset or 0
        return offset in self._taken and self._by_offset[offset] is record

    def _find(self, offset: int | None, kind: FindingKind, text: str) -> None:
        self._findings.append(Finding(offset, kind, text))
