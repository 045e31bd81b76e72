"""The record of an instance compared with its file: UIDs, type, and keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from ledger.elements import Element, character_set, encode
from ledger.instances.instance import Instance
from ledger.instances.make_records import record_types
from ledger.instances.record_keys import RECORD_KEYS, UPPER_TYPES
from ledger.instances.sop_classes import KNOWN_TYPES
from ledger.tags import PATIENT_ID, SERIES_INSTANCE_UID, SPECIFIC_CHARACTER_SET, STUDY_INSTANCE_UID
from projections.dicomdir.decoded_directory import DecodedRecord
from projections.dicomdir.findings import Finding, FindingKind, finding
from projections.dicomdir.record_checks import PRIVATE, elements_of, name_of
from projections.dicomdir.text import text_of
from projections.state.differences import agree

_REMEDY: Final = "put the right file there, or re-index the files"


_IDENTIFYING: Final = {
    "PATIENT": (PATIENT_ID, FindingKind.PATIENT_DIFFERS),
    "STUDY": (STUDY_INSTANCE_UID, FindingKind.STUDY_DIFFERS),
    "SERIES": (SERIES_INSTANCE_UID, FindingKind.SERIES_DIFFERS),
}
_UIDS: Final = (
    (FindingKind.SOP_CLASS_DIFFERS, "SOP Class UID"),
    (FindingKind.SOP_INSTANCE_DIFFERS, "SOP Instance UID"),
    (FindingKind.TRANSFER_SYNTAX_DIFFERS, "Transfer Syntax UID"),
)
_NUMBERS: Final = frozenset(("UL", "US", "UV"))


def about(record: DecodedRecord, kind: FindingKind, message: str) -> Finding:
    name = name_of(record)
    return finding(
        kind,
        f"{name}, of the {record.type} record at offset {record.offset}: {message}.",
        where=name,
        offset=record.offset,
    )


def compare_uids(record: DecodedRecord, instance: Instance) -> Iterator[Finding]:
    said = record.sop_class_uid, record.sop_instance_uid, record.transfer_syntax_uid
    for kind, what, says, found in differing_uids(said, instance):
        yield about(record, kind, f"its {what} is {found}, and the record says {says}: {_REMEDY}")


def differing_uids(
    said: tuple[str | None, str | None, str | None], instance: Instance
) -> Iterator[tuple[FindingKind, str, str, str]]:
    """Yield which of the UIDs that were `said` are not those of the instance itself.

    That is of SOP Class, SOP Instance and Transfer Syntax: each by its name, and both values.
    """
    own = instance.sop_class_uid, instance.sop_instance_uid, instance.transfer_syntax_uid
    for (kind, what), says, found in zip(_UIDS, said, own, strict=True):
        if says and says != found:
            yield kind, what, says, found


def compare_type(record: DecodedRecord, instance: Instance) -> Iterator[Finding]:
    known = KNOWN_TYPES.get(instance.sop_class_uid)
    # What `add` makes of an instance that says otherwise than its class is no error either.
    if known is None or record.type in {known, PRIVATE, record_types(instance)[-1]}:
        return
    # An unknown type and a wrong place are reported by the checks of records.
    if record.type not in RECORD_KEYS or record.type in UPPER_TYPES:
        return
    yield about(
        record,
        FindingKind.RECORD_TYPE_DIFFERS,
        f"its SOP Class {instance.sop_class_uid} requires a record of type {known}, but this one "
        f"is of type {record.type}: re-index the files",
    )


class ComparedKeys:
    """The keys of a record, to be compared with the instances that it stands for."""

    def __init__(self, record: DecodedRecord) -> None:
        self._record = record
        tag, self._kind = _IDENTIFYING.get(record.type or "", (0, FindingKind.KEY_DIFFERS))
        elements = elements_of(record)
        self._charset = character_set(record.elements)
        known = RECORD_KEYS[record.type].keys if record.type in RECORD_KEYS else ()
        self._values = [
            (key, key.tag == tag, elements[key.tag], _plain(elements[key.tag]))
            for key, _ in known
            if key.tag in elements and key.vr != "SQ" and elements[key.tag].value.strip(b" \0")
        ]
        self._values.sort(key=lambda value: not value[1])  # what identifies comes first
        self._reported: set[int] = set()

    def compare(self, leaf: DecodedRecord, instance: Instance) -> Iterator[Finding]:
        """Yield what `instance`, which `leaf` references, has otherwise than the record.

        What either lacks can't differ: writers may invent keys, or know them from elsewhere. Of
        another patient, study or series nothing else is reported.
        """
        header = instance.header
        for key, names, element, value in self._values:
            found = header.get(key.tag)
            if found is None or found.value == element.value or key.tag in self._reported:
                continue
            own = _plain(found)
            if own == value or not own or not self._is_comparable(element, found, header):
                continue
            if names:
                message = (
                    f"its {key.name} is not that of the {self._record.type} record at offset "
                    f"{self._record.offset} which it is listed under: {_REMEDY}"
                )
                yield about(leaf, self._kind, message)
                return  # its other keys are those of another
            texts = text_of(element, self._record.elements), text_of(found, _encoded(header, found))
            if agree(element.vr, *texts):
                continue
            self._reported.add(key.tag)
            message = (
                f"its {key.name} is not that of the {self._record.type} record at offset "
                f"{self._record.offset}, and perhaps so in other files below it: if the file is "
                f"right, re-index the files"
            )
            yield about(leaf, FindingKind.KEY_DIFFERS, message)

    def _is_comparable(
        self, element: Element, found: Element, header: Mapping[int, Element]
    ) -> bool:
        """Whether two values are in one encoding, so that other bytes are another value."""
        if element.vr != found.vr:
            return False
        if element.value.isascii() and found.value.isascii():
            return True
        declared = header.get(SPECIFIC_CHARACTER_SET)
        charset = "" if declared is None else str(declared.value, "latin-1").strip(" \0")
        return element.vr in _NUMBERS or charset == self._charset


def _encoded(header: Mapping[int, Element], element: Element) -> bytes:
    """Return an element of the file with what its text depends on."""
    return encode(filter(None, (header.get(SPECIFIC_CHARACTER_SET), element)))


def _plain(element: Element) -> object:
    """Return a value without what makes no difference: padding, empty ends, a number's form."""
    if element.vr in _NUMBERS:
        return element.value
    value = element.value.strip(b" \0")
    if element.vr == "IS":
        try:
            return int(value) if value else b""
        except ValueError:
            return value
    return value.rstrip(b"^= ") if element.vr == "PN" else value
