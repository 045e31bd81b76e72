"""The records above a mended instance, and its own, from the DICOMDIR and its file.

What the DICOMDIR holds of them is kept as far as it is right; what it lacks the file gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from attrs import evolve, frozen
from pydicom.uid import generate_uid

from fileset.adding.candidate import Candidate
from ledger.elements import Element, encode, format_tag, iterate
from ledger.events import Record
from ledger.instances.record_keys import KEYS, RECORD_KEYS, UPPER_TYPES
from ledger.instances.sop_classes import KNOWN_TYPES
from ledger.tags import PRIVATE_RECORD_UID
from projections.dicomdir.decoded_directory import DecodedRecord
from projections.dicomdir.mending import Mend, MendKind, completed
from projections.state.keys import record_key

_PATIENT: Final = "PATIENT"
_PRIVATE: Final = "PRIVATE"
_KEYWORDS: Final = {key.keyword: key.tag for key in KEYS.values()}


@frozen
class RecordAbove:
    """A record above an instance, and where in the DICOMDIR it is, if it is there."""

    record: Record
    offset: int | None


@frozen
class ListedRecord:
    """A record that references a file, the records above it, and whether any offset led to it."""

    record: DecodedRecord
    above: tuple[RecordAbove, ...] = ()
    is_orphan: bool = False


class MendedRecords:
    """Puts together the records of one instance after another, for a DICOMDIR of these `records`.

    A mend of a record above many instances is told with the first of them.
    """

    def __init__(self, records: Sequence[DecodedRecord]) -> None:
        self._pool: dict[tuple[str, str], RecordAbove] = {}
        self._stands: dict[tuple[str, ...], int | None] = {}
        self._mended: set[tuple[MendKind, int | None]] = set()
        self._fill_pool(records)

    def _fill_pool(self, records: Sequence[DecodedRecord]) -> None:
        """Know the patients, studies and series that the DICOMDIR has, wherever they are."""
        for found in records:
            if found.in_use and not found.file_id and found.type in UPPER_TYPES:
                record = Record(found.type, found.elements)
                if (key := record_key(record)) is not None:
                    self._pool.setdefault((found.type, key), RecordAbove(record, found.offset))

    def of(
        self, item: ListedRecord, candidate: Candidate, mends: list[Mend]
    ) -> tuple[tuple[Record, ...], dict[str, str]]:
        """Return the records of the instance, top down, and the invented values that they hold.

        What had to be repaired for it is appended to `mends`.
        """
        leaf, made = self._leaf(item.record, candidate, mends)
        parents, made_above = self._above(item, leaf, candidate, mends)
        invented = {
            keyword: value
            for keyword, value in candidate.invented.items()
            if _KEYWORDS[keyword] in made | made_above
        }
        return (*parents, leaf), invented

    def _leaf(
        self, record: DecodedRecord, candidate: Candidate, mends: list[Mend]
    ) -> tuple[Record, set[int]]:
        """Return the record that references the instance, and the tags that it has from there."""
        own, made = Record(record.type or "", record.elements), candidate.records[-1]
        if own.type == _PRIVATE:
            if record_key(own) is None:
                uid = str(generate_uid())
                mends.append(Mend(MendKind.PRIVATE_RECORD_UID, record.offset, None, uid))
                own = _with_private_uid(own, uid)
            return own, set()
        if own.type != made.type:
            if not may_have(candidate, own.type):
                mends.append(Mend(MendKind.RECORD_TYPE, record.offset, own.type or None, made.type))
                return made, {element.tag for element in iterate(made.elements)}
            return own, set()
        return self._completed(RecordAbove(own, record.offset), made, mends)

    def _completed(
        self, own: RecordAbove, made: Record, mends: list[Mend]
    ) -> tuple[Record, set[int]]:
        """Return the record with what it lacks, and the tags of that."""
        if own.record is made:
            return made, {element.tag for element in iterate(made.elements)}
        record, tags = completed(own.record, made)
        if tags and self._is_new(MendKind.MISSING_KEY, own.offset):
            names = ", ".join(map(_keyword, tags))
            mends.append(Mend(MendKind.MISSING_KEY, own.offset, None, names))
        return record, set(tags)

    def _above(
        self, item: ListedRecord, leaf: Record, candidate: Candidate, mends: list[Mend]
    ) -> tuple[tuple[Record, ...], set[int]]:
        """Return the records above the instance's own, and the tags that they have from its file.

        Where those listed are not of the types that the instance asks for, or have other keys than
        it, its own records stand in their place, or such of the DICOMDIR as have their keys.
        """
        asked = candidate.records[:-1]
        types = tuple(record.type for record in asked)
        listed = item.above
        is_private = _PRIVATE in (leaf.type, *(above.record.type for above in listed))
        if is_private and not item.is_orphan:
            return tuple(self._with_uid(above, mends) for above in listed), set()
        if tuple(above.record.type for above in listed) != types:
            listed = ()
        parents: list[Record] = []
        tags: set[int] = set()
        path: tuple[str, ...] = ()
        moved = False
        for index, made in enumerate(asked):
            own = listed[index] if listed else None
            key = record_key(made)
            if own is not None:
                # What the file lacks is no reason to move it.
                theirs = record_key(own.record)
                invented = _key_keyword(made.type) in candidate.invented
                if theirs is not None and theirs != key and not invented:
                    own = None
            if own is None:
                moved = True
                own = self._pool.get((made.type, key or "")) or RecordAbove(made, None)
            record, had = self._completed(own, made, mends)
            parents.append(record)
            tags |= had
            path = (*path, record_key(record) or "")
            first = self._stands.setdefault(path, own.offset)
            if first != own.offset and own.offset and self._is_new(MendKind.MERGED, own.offset):
                now = f"the one at offset {first}" if first else "one made from a file"
                mends.append(Mend(MendKind.MERGED, own.offset, made.type, now))
        if moved and item.record.offset is not None:
            kind = MendKind.ORPHAN if item.is_orphan else MendKind.PLACE
            was = _where(item.above) if item.above else None
            mends.append(Mend(kind, item.record.offset, was, None))
        elif item.is_orphan and item.record.offset is not None:
            mends.append(Mend(MendKind.ORPHAN, item.record.offset))
        return tuple(parents), tags

    def _with_uid(self, above: RecordAbove, mends: list[Mend]) -> Record:
        """Return a record above a PRIVATE one, with a Private Record UID if it lacks that."""
        if above.record.type != _PRIVATE or record_key(above.record) is not None:
            return above.record
        known = self._pool.get((_PRIVATE, str(above.offset)))
        if known is None:
            uid = str(generate_uid())
            mends.append(Mend(MendKind.PRIVATE_RECORD_UID, above.offset, None, uid))
            known = evolve(above, record=_with_private_uid(above.record, uid))
            self._pool[_PRIVATE, str(above.offset)] = known
        return known.record

    def _is_new(self, kind: MendKind, offset: int | None) -> bool:
        """Whether a record above many instances is met for the first time."""
        if (kind, offset) in self._mended:
            return False
        self._mended.add((kind, offset))
        return True


def made_from(candidate: Candidate, named: DecodedRecord | None = None) -> DecodedRecord:
    """Return the record that the instance itself gives, in the place of the one that `named` it."""
    made, instance = candidate.records[-1], candidate.instance
    uid = named.sop_instance_uid or "" if named else instance.sop_instance_uid
    return DecodedRecord(
        named.offset if named else None, 0, 0, True, made.type, made.elements,
        named.file_id if named else None, instance.sop_class_uid, uid,
        instance.transfer_syntax_uid,
    )  # fmt: skip


def may_have(candidate: Candidate, record_type: str) -> bool:
    """Whether a record of the type may be right for an instance.

    It may be if the Standard has it for the SOP Class, or the instance itself gives it; of a class
    that is not known, any type may be that references files.
    """
    known = KNOWN_TYPES.get(candidate.instance.sop_class_uid)
    if known is None:
        return record_type in RECORD_KEYS and record_type not in UPPER_TYPES
    return record_type in {known, candidate.records[-1].type}


def agrees(record: DecodedRecord, candidate: Candidate) -> bool:
    """Whether the keys in `record` are those of the instance whose UID it has.

    Where only the UIDs of two records were mixed up, they are not.
    """
    made = candidate.records[-1]
    if record.type == _PRIVATE:
        return True
    if not may_have(candidate, record.type or ""):
        return False
    own = {element.tag: element for element in iterate(record.elements)}
    invented = {_KEYWORDS[keyword] for keyword in candidate.invented}
    return all(
        own[e.tag].value.strip(b"\0 ") == e.value.strip(b"\0 ")
        for e in iterate(made.elements)
        if e.tag in own and e.tag not in invented and e.value.strip(b"\0 ")
    )


def _with_private_uid(record: Record, uid: str) -> Record:
    added = Element(PRIVATE_RECORD_UID, "UI", uid.encode("ascii"))
    return Record(record.type, encode([*iterate(record.elements), added]))


def _keyword(tag: int) -> str:
    key = KEYS.get(tag)
    return key.keyword if key else format_tag(tag)


def _key_keyword(record_type: str) -> str:
    return {"PATIENT": "PatientID", "STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID"}.get(
        record_type, ""
    )


def _where(above: tuple[RecordAbove, ...]) -> str:
    last = above[-1]
    return f"below {last.record.type or 'a record'} at offset {last.offset}"
