"""From the bytes of a DICOMDIR to the records that it holds."""

from __future__ import annotations

import struct
from typing import Final

from ledger.elements import (
    ITEM,
    KNOWN_VRS,
    LONG_VRS,
    SEQUENCE_DELIMITER,
    UNDEFINED_LENGTH,
    Element,
    Elements,
    EncapsulatedError,
    canonical,
    encode_element,
    format_tag,
    pad,
    read_header,
)
from ledger.errors import ElementsError, InstanceError, LedgerError, TruncatedError
from ledger.instances.deflated import inflating
from ledger.instances.file_meta import PREFIX_END, check_prefix
from ledger.tags import (
    IN_USE_FLAG,
    LOWER_OFFSET,
    MANAGED,
    MEDIA_STORAGE_SOP_CLASS_UID,
    NEXT_OFFSET,
    RECORD_SEQUENCE,
    REFERENCED_TRANSFER_SYNTAX_UID,
    TRANSFER_SYNTAX_UID,
)
from ledger.uids import DEFLATED, EXPLICIT_VR_LITTLE_ENDIAN, MEDIA_STORAGE_DIRECTORY
from projections.dicomdir.alike import Shapes
from projections.dicomdir.decoded_directory import (
    DecodedDirectory,
    DecodedRecord,
    decoded_record,
    directory_of,
    record_of,
    refuse_cut,
    text_of,
)
from projections.dicomdir.definitions import DicomdirError, NotDicomdirError

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


def decode_dicomdir(data: bytes, *, name: str) -> DecodedDirectory:
    """Return what the DICOMDIR with the bytes `data` holds; `name` is for messages.

    Explicit VR Little Endian, as PS3.10 Section 8.6 demands, is read at once. Other encodings go
    by way of pydicom. A DICOMDIR without a Directory Record Sequence has no records.

    Raises `NotDicomError` if `data` isn't a file of PS3.10 Section 7,
    `TruncatedError` if it ends too early,
    `NotDicomdirError` if it's an instance of another class,
    and `DicomdirError` if it's malformed.
    """
    check_prefix(data, name)
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
        for _ in inflating((stream,), len(stream)):
            pass
    except InstanceError as exc:
        raise DicomdirError(exc.reason, name=name) from exc


def _with_pydicom(data: bytes, name: str) -> DecodedDirectory:
    from projections.dicomdir.datasets import decode_with_pydicom  # noqa: PLC0415 - slow to import

    return decode_with_pydicom(data, name=name)


def _read_file_meta(data: bytes, name: str) -> tuple[dict[int, Element], int]:
    """Return the File Meta Information's elements, and where the dataset starts."""
    meta: dict[int, Element] = {}
    offset = PREFIX_END
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

    Raises `ElementsError` for what pydicom may yet be able to read.
    """
    kept: list[bytes] = []
    records: list[DecodedRecord] | None = None
    while offset < len(data):
        begin = offset
        if records is not None and is_padding(data, begin):
            break
        tag, code, length, offset = _read_header(data, begin, name)
        if length == UNDEFINED_LENGTH and code != b"SQ":
            raise ElementsError(f"{format_tag(tag)} has an undefined length but is not a sequence")
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


def is_padding(data: bytes, offset: int) -> bool:
    """Whether nothing but zeros follow, with which media fill up files and which readers ignore."""
    return not any(data[offset : offset + 8]) and not data[offset:].strip(b"\0")


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
    shapes = Shapes()
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
        record = shapes.read(data, begin, start, stop)
        if record is None:
            record = _read_plain_record(data, begin, start, stop)
            if record is None:
                record = _record_of(begin, data[start:stop], name)
            shapes.learn(data, start, stop, record)
        records.append(record)
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
    `LedgerError` if it isn't whole.
    """
    stop = _skip(content, 0, 0xE00D, name) - 8 if delimited else len(content)
    return _record_of(offset, content[:stop], name)


def _record_of(offset: int, content: bytes, name: str) -> DecodedRecord:
    """Return the record at `offset`, given its explicit elements, without compressed images."""
    try:
        return record_of(offset, canonical(content))
    except EncapsulatedError:
        pass
    kept: list[bytes] = []
    left_out: list[int] = []
    end = 0
    while end < len(content):
        begin = end
        tag, _, length, end = _read_header(content, begin, name)
        if length == UNDEFINED_LENGTH:
            end = _skip(content, end, 0xE0DD, name)
        else:
            end += length
        try:
            kept.append(canonical(content[begin:end]))
        except EncapsulatedError:
            left_out.append(tag)
    return record_of(offset, canonical(b"".join(kept)), left_out)


def _read_plain_record(data: bytes, offset: int, start: int, stop: int) -> DecodedRecord | None:
    """Return the record if it is canonical as it stands and all its elements are short.

    Nearly every record is like that, and need not be taken apart. `None` for any other.
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
    return decoded_record(
        offset, next_offset, lower_offset, in_use != 0, values, Elements(data[rest:stop])
    )
