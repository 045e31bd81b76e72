"""What identifies a patient besides ID and name, and is not in directory records.

Birth date, sex and the issuer of the Patient ID go with the PATIENT record, unwritten: two persons
who have one Patient ID can be told apart by them.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from attrs import evolve

from ledger.elements import CHARSET_VRS, Element, encode, find
from ledger.errors import ElementsError
from ledger.events import Record
from ledger.instances.instance import Instance
from ledger.instances.record_keys import OF_PERSONS
from ledger.tags import SPECIFIC_CHARACTER_SET

_LONGEST: Final = 256  # bytes; four for each of the 64 characters of an issuer


def with_person(records: tuple[Record, ...], instance: Instance) -> tuple[Record, ...]:
    """Return `records` of `instance`, a PATIENT at the top with what else tells who that is."""
    patient, header = records[0], instance.header
    found = tuple([element for tag in OF_PERSONS if (element := header.get(tag)) is not None])
    if not found or patient.type != "PATIENT":
        return records
    return (_identified(patient, found, header.get(SPECIFIC_CHARACTER_SET)), *records[1:])


@lru_cache(maxsize=1024)  # the instances of a patient have the same one after the other
def _identified(patient: Record, found: tuple[Element, ...], charset: Element | None) -> Record:
    kept: list[Element] = []
    for element in found:
        value = bytes(element.value).strip(b"\0 ")
        if not 0 < len(value) <= _LONGEST or find(patient.elements, element.tag) is not None:
            continue
        if OF_PERSONS[element.tag] in CHARSET_VRS and not _is_plain(value) and charset is not None:
            kept.append(Element(SPECIFIC_CHARACTER_SET, "CS", bytes(charset.value)))
        kept.append(Element(element.tag, OF_PERSONS[element.tag], value))
    try:
        return evolve(patient, unwritten=encode(kept)) if kept else patient
    except ElementsError:
        return patient


def _is_plain(value: bytes) -> bool:
    return value.isascii() and b"\x1b" not in value
