"""Values for what an instance lacks and its directory records must have.

Instances from the field have empty Patient IDs, Study Dates and Instance Numbers. A DICOMDIR can
list them all the same if such Type 1 keys (PS3.3 Section F.5) get a value *there*; the instance
itself is not touched. The values are made from the instance alone, so that the same file always
gets the same ones, and so that instances that belong together stay together: what stands for a
patient or study comes from the Study Instance UID, and never brings two studies together.
"""

from __future__ import annotations

import hashlib
import struct
from typing import Final

from attrs import evolve

from ledger.elements import Element, pad
from ledger.instances.instance import Instance
from ledger.instances.make_records import record_types
from ledger.instances.record_keys import KEYS, RECORD_KEYS, Key, Need
from ledger.instances.record_values import is_usable
from ledger.tags import SPECIFIC_CHARACTER_SET

UNKNOWN: Final = "UNKNOWN"
_BY_VR: Final = {
    "CS": UNKNOWN,
    "DA": "19000101",
    "DT": "19000101000000",
    "IS": "0",
    "LO": UNKNOWN,
    "PN": UNKNOWN,
    "SH": UNKNOWN,
    "ST": UNKNOWN,
    "TM": "000000",
}
_NUMBERS: Final = {"UL": "<I", "US": "<H", "UV": "<Q"}
_BY_KEYWORD: Final = {
    "CompletionFlag": "PARTIAL",
    "InventoryCompletionStatus": "PARTIAL",
    "InventoryLevel": "STUDY",
    "Modality": "OT",
    "MIMETypeOfEncapsulatedDocument": "application/octet-stream",
    "NumberOfFrames": "1",
    "VerificationFlag": "UNVERIFIED",
}
_TAGS: Final = {key.keyword: key.tag for key in KEYS.values()}
_STUDY, _SERIES = _TAGS["StudyInstanceUID"], _TAGS["SeriesInstanceUID"]


def complete(instance: Instance) -> tuple[Instance, dict[str, str]]:
    """Return `instance` with a value for every key that its records must have, and those values.

    The dict maps keywords to the values invented. A value that no record can hold, such as
    text for a number, counts as missing; where the record may have it empty, it stays empty. What
    can't be invented sensibly, such as a sequence, is left out, and building the records fails.
    """
    header = dict(instance.header)
    charset = header.get(SPECIFIC_CHARACTER_SET)
    invented: dict[str, str] = {}
    types = record_types(instance)
    for record_type in types:
        for key, need in RECORD_KEYS[record_type].keys:
            element = header.get(key.tag)
            usable = element is None or is_usable(key, element, charset)
            if usable and (need is Need.TYPE_2 or _has_value(element)):
                continue
            if need is Need.TYPE_1 or (key.tag == _STUDY and len(types) > 1):
                if (value := _value(key, instance, header)) is not None:
                    header[key.tag] = _element(key, value)
                    invented[key.keyword] = value
                continue
            header.pop(key.tag, None)  # where it is Type 1C it may be absent, but not empty
            if not usable:
                invented[key.keyword] = ""
    if not invented and len(header) == len(instance.header):
        return instance, {}
    return evolve(instance, header=header), invented


def _has_value(element: Element | None) -> bool:
    if element is None:
        return False
    return bool(element.value if element.vr in _NUMBERS else element.value.strip(b"\0 "))


def _value(key: Key, instance: Instance, header: dict[int, Element]) -> str | None:
    """Return what stands for the missing `key`, `None` where nothing can."""
    if key.tag == _STUDY:
        return _uid("study", _text(header.get(_SERIES)) or instance.sop_instance_uid)
    if key.tag == _SERIES:
        return _uid("series", _study(instance, header))
    if key.keyword in {"PatientID", "StudyID"}:
        digest = hashlib.sha256(f"{key.keyword} {_study(instance, header)}".encode())
        return f"UNKNOWN_{digest.hexdigest()[:8].upper()}"
    if key.vr in _NUMBERS:
        return "1"
    return _BY_KEYWORD.get(key.keyword) or _BY_VR.get(key.vr)


def _study(instance: Instance, header: dict[int, Element]) -> str:
    return _text(header.get(_STUDY)) or instance.sop_instance_uid


def _text(element: Element | None) -> str:
    """Return a value as text of its own, whatever its bytes are."""
    return element.value.rstrip(b"\0 ").decode("latin-1") if element else ""


def _uid(level: str, seed: str) -> str:
    """Return a UID made from `seed`, in the form of PS3.5 Annex B.2 (a UUID as an integer)."""
    digest = bytearray(hashlib.sha256(f"{level} {seed}".encode()).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x80  # version 8: made in a way of its own (RFC 9562)
    digest[8] = digest[8] & 0x3F | 0x80
    return f"2.25.{int.from_bytes(digest, 'big')}"


def _element(key: Key, value: str) -> Element:
    if key.vr in _NUMBERS:
        return Element(key.tag, key.vr, struct.pack(_NUMBERS[key.vr], int(value)))
    return Element(key.tag, key.vr, pad(key.vr, value.encode("ascii")))
