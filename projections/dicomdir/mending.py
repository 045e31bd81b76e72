"""Mending a DICOMDIR: reading what is left of a damaged one, and completing its records.

`decode_damaged` takes the records that are whole out of a DICOMDIR that can't be decoded as one.
`completed` gives a record the elements that PS3.3 Section F.5 wants it to have. Both work on
what is given alone; `fileset.adoption.mend` reads the files on the medium and has the last
word.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from enum import Enum
from functools import lru_cache
from io import BytesIO
from typing import Final

from attrs import evolve, frozen

from ledger.elements import CHARSET_VRS, UNDEFINED_LENGTH, Element, encode, iterate
from ledger.errors import InstanceError, LedgerError
from ledger.events import Record
from ledger.instances.record_keys import RECORD_KEYS, Key, Need
from ledger.tags import SPECIFIC_CHARACTER_SET
from ledger.uids import EXPLICIT_VR_LITTLE_ENDIAN, MEDIA_STORAGE_DIRECTORY
from projections.dicomdir.decoded_directory import DecodedDirectory, DecodedRecord
from projections.dicomdir.decoder import decode_dicomdir, read_item
from projections.dicomdir.definitions import FileSetIdentity, NotDicomdirError
from projections.dicomdir.findings import FindingKind as Checked
from projections.dicomdir.form_checks import check_form
from projections.dicomdir.record_checks import has_value, lacks
from projections.dicomdir.tree import DecodingFindingKind, Tree

_SEQUENCE: Final = b"\x04\0\x20\x12"
"""The tag of the Directory Record Sequence (0004,1220)."""

_HEAD: Final = 1 << 16  # bytes

_ITEMS: Final = {
    False: re.compile(rb"\xfe\xff\0\xe0(?=(....)\x04\0\0\x14UL\x04\0)", re.DOTALL),
    True: re.compile(rb"\xfe\xff\0\xe0(?=(....)\x04\0\0\x14\x04\0\0\0)", re.DOTALL),
}
"""An Item tag, its length and the header of (0004,1400), with which each record begins.

By whether the encoding is Implicit VR.
"""

_TOLD_OTHERWISE: Final = frozenset((Checked.FILE_SET_UID, Checked.DICOMDIR_ENCODING))

_LINKS: Final = frozenset(
    (
        DecodingFindingKind.BAD_OFFSET,
        DecodingFindingKind.CYCLE,
        DecodingFindingKind.LAST_OFFSET,
        DecodingFindingKind.NO_FIRST_OFFSET,
        DecodingFindingKind.SAME_OFFSET,
        DecodingFindingKind.SHIFTED,
    )
)


class MendKind(Enum):
    """What was wrong with a DICOMDIR, and was repaired."""

    UNREADABLE = "unreadable"
    """It can't be read as a whole, and was read record by record, or not at all."""
    ENCODING = "encoding"
    """It is not in Explicit VR Little Endian (PS3.10 Section 8.6)."""
    FILE_SET_UID = "file-set-uid"
    """It has no SOP Instance UID, which is the File-set's."""
    CONSISTENCY = "consistency-flag"
    """Its File-set Consistency Flag tells that a write may have been interrupted."""
    FORM = "form"
    """Its File Meta Information, or an element that it or each record has to have, is wrong."""
    OFFSET = "offset"
    """An offset of the next, lower, first or last record is wrong."""
    ORPHAN = "orphan"
    """No offset led to the record: it is where the values in its file put it."""
    PLACE = "place"
    """The record was below records with another key than its file has."""
    MERGED = "merged"
    """The record has the key of another one, which stands for both (PS3.3 Section F.5)."""
    RECORD_TYPE = "record-type"
    """The record's type was not that of its file's SOP Class."""
    MISSING_KEY = "missing-key"
    """The record lacked elements that its type has to have."""
    PRIVATE_RECORD_UID = "private-record-uid"
    """The PRIVATE record had no Private Record UID."""
    SOP_CLASS_UID = "sop-class-uid"
    SOP_INSTANCE_UID = "sop-instance-uid"
    TRANSFER_SYNTAX_UID = "transfer-syntax-uid"
    FILE_ID = "file-id"
    """The record's file is not where its File ID says, but elsewhere on the medium."""
    FILE_ID_FORM = "file-id-form"
    """The File ID leads to the file, but not by one component for each folder and its name."""
    UNLISTED = "unlisted"
    """No record named the file: its records are made from it."""
    FILE_MISSING = "file-missing"
    """The record's file is not there: the record is dropped."""
    FILE_OUTSIDE = "file-outside"
    """The record's File ID leads out of the root: the record is dropped."""
    FILE_UNREADABLE = "file-unreadable"
    """The record's file is no SOP Instance that can be read: the record is dropped."""
    NAME_OF_DICOMDIR = "name-of-dicomdir"
    """The record's file, or its folder, has the DICOMDIR's name: the record is dropped."""
    SAME_FILE = "same-file"
    """Another record has the file already: the record is dropped."""
    SAME_INSTANCE = "same-instance"
    """Another file has the same SOP Instance: the record is dropped, and the file left alone."""

    @property
    def is_loss(self) -> bool:
        """Whether the mend leaves something that the DICOMDIR lists out of the File-set."""
        return self in _LOSSES


_LOSSES: Final = frozenset(
    (
        MendKind.FILE_MISSING,
        MendKind.FILE_OUTSIDE,
        MendKind.FILE_UNREADABLE,
        MendKind.NAME_OF_DICOMDIR,
        MendKind.SAME_INSTANCE,
    )
)


@frozen
class Mend:
    """Something that was repaired; see `RecordMended`."""

    kind: MendKind
    offset: int | None = None
    was: str | None = None
    now: str | None = None


# --- what can be read ----------------------------------------------------------------------------


def decode_damaged(data: bytes, *, name: str) -> tuple[DecodedDirectory, list[Mend]]:
    """Return what the DICOMDIR `data` holds, and whether it had to be salvaged.

    Where it can't be decoded, all whole records are taken out of it, wherever they are. Linear in
    the length of `data`.

    Raises `NotDicomdirError` if it is a SOP Instance of
    another class.
    """
    try:
        directory = decode_dicomdir(data, name=name)
    except NotDicomdirError:
        directory = _whole_records(data, name)
        if directory.identity.uid and not directory.records:
            raise
        return directory, [_unreadable(directory, "no Media Storage Directory")]
    except LedgerError as exc:
        directory = _whole_records(data, name)
        why = exc.reason if isinstance(exc, InstanceError) else str(exc)
        return directory, [_unreadable(directory, why)]
    return directory, []


def _unreadable(directory: DecodedDirectory, why: str) -> Mend:
    return Mend(MendKind.UNREADABLE, None, why, f"{len(directory.records)} whole records")


def _whole_records(data: bytes, name: str) -> DecodedDirectory:
    directory = _head(data, name)
    implicit = not _ITEMS[False].search(data)
    found = list(_ITEMS[implicit].finditer(data))
    ends = [match.start() for match in found[1:]] + [len(data)]
    records = []
    for match, next_one in zip(found, ends, strict=False):
        start, end = match.start() + 8, next_one
        length = int.from_bytes(match[1], "little")
        if length != UNDEFINED_LENGTH:
            # Where another record begins before it, this one's length is what is wrong. The last
            # one is whole only if all of it is there.
            if start + length > end == len(data):
                continue
            end = min(start + length, end)
        try:
            record = _item(data[start:end], match.start(), name, implicit=implicit, length=length)
        except LedgerError:
            continue
        records.append(record)
    return evolve(directory, records=records)


def _item(content: bytes, offset: int, name: str, *, implicit: bool, length: int) -> DecodedRecord:
    """Return the record at `offset`, whose elements are at the beginning of `content`."""
    if not implicit:
        return read_item(content, offset, name, delimited=length == UNDEFINED_LENGTH)
    from projections.dicomdir.datasets import decode_item  # noqa: PLC0415 - imports pydicom

    return decode_item(content, offset, name=name)


def _head(data: bytes, name: str) -> DecodedDirectory:
    """Return what comes before the records, as far as it can be read."""
    from pydicom import dcmread  # noqa: PLC0415 - seldom needed, and long to import

    from projections.dicomdir.datasets import decode_dataset  # noqa: PLC0415

    end = data.find(_SEQUENCE)
    try:
        # Without the sequence of records there is little, unless it is deflated.
        ds = dcmread(BytesIO(data[: end if end >= 0 else _HEAD]))
        meta = ds.file_meta
        is_directory = meta.get("MediaStorageSOPClassUID", "") == MEDIA_STORAGE_DIRECTORY
        uid = "" if is_directory else str(meta.get("MediaStorageSOPInstanceUID") or "")
    except Exception:  # noqa: BLE001 - pydicom raises whatever its parts do
        return _nothing("")
    try:
        return decode_dataset(ds, name=name)
    except LedgerError:
        return _nothing(uid)


def _nothing(uid: str) -> DecodedDirectory:
    return DecodedDirectory(
        FileSetIdentity(uid=uid),
        transfer_syntax_uid=EXPLICIT_VR_LITTLE_ENDIAN,
        consistent=True,
        first_offset=0,
        last_offset=0,
        records=[],
    )


def mends_of_form(data: bytes, directory: DecodedDirectory) -> list[Mend]:
    """Return the faults in the form of a DICOMDIR `data` that writing it anew mends.

    `projections.dicomdir.form_checks` finds them.
    """
    return [
        Mend(MendKind.FORM, found.offset, found.message)
        for found in check_form(data, directory)
        if found.kind not in _TOLD_OTHERWISE
    ]


def mends_of_links(tree: Tree, kinds: Collection[DecodingFindingKind] = _LINKS) -> list[Mend]:
    """Return what is wrong with the offsets that led to `tree`, of these `kinds`."""
    return [
        Mend(MendKind.OFFSET, finding.offset, finding.text)
        for finding in tree.findings
        if finding.kind in kinds
    ]


def mend_of_file_id(record: DecodedRecord, file_id: str) -> Mend | None:
    """Return the mend of a File ID that is read as `file_id`, `None` if that is what it says."""
    said = record.file_id or ()
    if "/".join(said) == file_id and all("/" not in name for name in said):
        return None
    return Mend(MendKind.FILE_ID_FORM, record.offset, "\\".join(said), file_id)


# --- what a record lacks -------------------------------------------------------------------------


@lru_cache(maxsize=1024)  # the instances of a series bring the same records one after the other
def completed(record: Record, made: Record) -> tuple[Record, tuple[int, ...]]:
    """Return `record` with the elements that it must have, and the tags of those it lacked.

    The values are those of `made`, the record of its type that the instance itself gives.
    """
    own = {element.tag: element for element in iterate(record.elements)}
    other = {element.tag: element for element in iterate(made.elements)}
    lacking = [
        other[key.tag]
        for key, need in RECORD_KEYS[record.type].keys
        if key.tag in other and _lacks(record.type, own, key, need, other[key.tag])
    ]
    declared, charset = own.get(SPECIFIC_CHARACTER_SET), other.get(SPECIFIC_CHARACTER_SET)
    undeclared = declared is None and any(map(_needs_charset, own.values()))
    if charset is not None and undeclared:
        lacking.append(charset)
    if not lacking:
        return record, ()
    tags = tuple(sorted({element.tag for element in lacking}))
    if any(map(_needs_charset, lacking)) and declared != charset and not undeclared:
        return made, tags  # its text would be read in another character set
    return Record(record.type, encode({**own, **{e.tag: e for e in lacking}}.values())), tags


def _lacks(kind: str, own: Mapping[int, Element], key: Key, need: Need, other: Element) -> bool:
    """Whether a record lacks a key that its instance can give it."""
    return lacks(kind, own, key, need) and (key.tag not in own or has_value(other))


def _needs_charset(element: Element) -> bool:
    if element.vr not in CHARSET_VRS:
        return False
    return not element.value.isascii() or b"\x1b" in element.value
