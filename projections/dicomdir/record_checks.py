"""Checking directory records against the Standard: types, keys, references and text.

That is PS3.3 Sections F.4 and F.5, and the File IDs of PS3.10 Section 8. The files that records
reference are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

from ledger.elements import Element, character_set, format_tag, iterate, plain_text
from ledger.instances.record_keys import RECORD_KEYS, UPPER_TYPES, Key, Need
from ledger.instances.sop_classes import SINGLE_LEVEL_TYPES
from ledger.instances.values import fault_of_uid, faults_of_values, in_words
from ledger.instances.walker import describe
from ledger.tags import (
    PATIENT_NAME,
    PRIVATE_RECORD_UID,
    RECORD_IDENTIFIERS,
    REFERENCED_SOP_CLASS_UID,
    REFERENCED_SOP_INSTANCE_UID,
    REFERENCED_TRANSFER_SYNTAX_UID,
    STUDY_INSTANCE_UID,
)
from ledger.uids import TRANSFER_SYNTAXES
from projections.dicomdir.decoded_directory import DecodedDirectory, DecodedRecord
from projections.dicomdir.findings import Finding, FindingKind, Severity, finding
from projections.dicomdir.text import faults_of_text
from projections.dicomdir.tree import DecodedNode, Tree

REMEDY: Final = "re-index the files, or rewrite the DICOMDIR with the program that made it"
"""What to do about a DICOMDIR that leads readers astray."""

CHARACTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
"""What File IDs and a File-set ID are made of (PS3.10 Section 8.5)."""

_COMPONENTS: Final = 8
_COMPONENT_LENGTH: Final = 8


Fault: TypeAlias = tuple[FindingKind, str]
"""What is wrong with a record, to be read after "The record ..."."""


class Placed(NamedTuple):
    """A record in its place in the tree: the type right above it, and the three named ones."""

    record: DecodedRecord
    parent: str | None
    patient: DecodedRecord | None
    study: DecodedRecord | None
    series: DecodedRecord | None

    def above(self) -> Iterator[DecodedRecord]:
        """Yield the PATIENT, STUDY and SERIES records that this one stands under."""
        yield from (each for each in (self.patient, self.study, self.series) if each is not None)


def walk(tree: Tree) -> Iterator[Placed]:
    """Yield the records of `tree` from the top down, siblings in order."""
    pending: list[tuple[DecodedNode, Placed | None]] = [(node, None) for node in tree.roots[::-1]]
    while pending:
        node, parent = pending.pop()
        above = dict.fromkeys(UPPER_TYPES) if parent is None else _below(parent)
        kind = None if parent is None else parent.record.type or ""
        placed = Placed(node.record, kind, above["PATIENT"], above["STUDY"], above["SERIES"])
        yield placed
        pending.extend((child, placed) for child in reversed(node.children))


def _below(parent: Placed) -> dict[str, DecodedRecord | None]:
    """Return the place of a record below `parent`."""
    above = dict(zip(UPPER_TYPES, (parent.patient, parent.study, parent.series), strict=True))
    if parent.record.type in above:
        above[parent.record.type] = parent.record
    return above


def of_record(
    record: DecodedRecord, kind: FindingKind, text: str, severity: Severity | None = None
) -> Finding:
    """Return a finding on `record`; `text` says what is wrong with it."""
    return finding(
        kind,
        f"The {record.type or 'typeless'} record at offset {record.offset} {text}.",
        offset=record.offset,
        severity=severity,
    )


# --- records (PS3.3 Sections F.4 and F.5) --------------------------------------------------------

PRIVATE: Final = "PRIVATE"
_STRUCTURED_DOCUMENT: Final = "HL7 STRUC DOC"
_SINGLES: Final = frozenset(SINGLE_LEVEL_TYPES.values())
_LEAVES: Final = frozenset(RECORD_KEYS) - frozenset(UPPER_TYPES) - _SINGLES
_REFERENCING: Final = _LEAVES | _SINGLES
_CHILDLESS: Final = _REFERENCING | {_STRUCTURED_DOCUMENT}
_BELOW: Final[dict[str | None, frozenset[str]]] = {
    None: frozenset(("PATIENT",)) | _SINGLES,
    "PATIENT": frozenset(("STUDY", _STRUCTURED_DOCUMENT)),
    "STUDY": frozenset(("SERIES",)),
    "SERIES": _LEAVES,
}
"""Which types of record may stand right below which (PS3.3 Table F.4-1); PRIVATE may anywhere."""

_KNOWN: Final = frozenset((PRIVATE, *(name for names in _BELOW.values() for name in names)))
_RETIRED: Final = frozenset(
    (
        "BASIC FILM BOX", "BASIC IMAGE BOX", "COMMENT", "CURVE", "FILM BOX", "FILM SESSION",
        "IMAGE BOX", "INTERPRETATION", "MODALITY LUT", "MRDR", "OVERLAY", "PRINT QUEUE", "RESULTS",
        "STORED PRINT", "STUDY COMPONENT", "TOPIC", "VISIT", "VOI LUT",
    )
)  # fmt: skip
_VERIFIED: Final = ("VerificationDateTime", 0x0040A493, b"VERIFIED")
# Where RECORD_KEYS has what pydicom asks for, and PS3.3 asks for less.
_LENIENT: Final = {("RAW DATA", "InstanceNumber"): Need.TYPE_2}

_SEVERAL: Final = {
    "PATIENT": (FindingKind.DUPLICATE_PATIENT, "Patient ID"),
    "STUDY": (FindingKind.DUPLICATE_STUDY, "Study Instance UID"),
    "SERIES": (FindingKind.DUPLICATE_SERIES, "Series Instance UID"),
}
BLANKS: Final = " \0"
"""What makes no difference around the name of a record."""


def elements_of(record: DecodedRecord) -> dict[int, Element]:
    """Return the elements of a record other than its links, type and reference, by tag."""
    return {element.tag: element for element in iterate(record.elements)}


def check_records(directory: DecodedDirectory, tree: Tree) -> Iterator[Finding]:
    """Yield what is wrong with the records of `tree`, each in its place."""
    common = character_set(directory.identity.elements)
    named: dict[tuple[str, str], tuple[DecodedRecord, bytes]] = {}
    instances: dict[str, DecodedRecord] = {}
    files: dict[tuple[str, ...], DecodedRecord] = {}
    for placed in walk(tree):
        record = placed.record
        elements = elements_of(record)
        has_file = record.file_id is not None
        for kind, fault in (
            *faults_of_type(record.type, placed.parent),
            *faults_of_elements(record.type, record.elements, common, has_file=has_file),
        ):
            yield of_record(record, kind, fault)
        yield from _check_reference(record)
        if record.type in _SEVERAL:
            yield from _check_name(record, elements, named)
        if record.file_id is None:
            continue
        if record.sop_instance_uid:
            first = instances.setdefault(record.sop_instance_uid, record)
            if first is not record:
                yield of_record(
                    record,
                    FindingKind.DUPLICATE_INSTANCE,
                    f"references the SOP Instance {record.sop_instance_uid}, which the record at "
                    f"offset {first.offset} references already: leave one of them out",
                )
        first = files.setdefault(record.file_id, record)
        if first is not record:
            yield of_record(
                record,
                FindingKind.DUPLICATE_FILE,
                f"references the file {name_of(record)}, which the record at offset "
                f"{first.offset} references already: leave one of them out",
            )


def name_of(record: DecodedRecord) -> str:
    """Return the File ID of a record as a path."""
    return "/".join(record.file_id or ())


def faults_of_type(type_: str | None, parent: str | None) -> Iterator[Fault]:
    """Yield what is wrong with a record of a type right below one of the type `parent`.

    `parent` is `None` at the top level.
    """
    if not type_:
        yield FindingKind.MISSING_ELEMENT, "lacks (0004,1430), its type: rewrite it"
    elif type_ in _RETIRED:
        yield FindingKind.RETIRED_RECORD_TYPE, "is of a type that the Standard has retired"
    elif type_ not in _KNOWN:
        yield (
            FindingKind.UNKNOWN_RECORD_TYPE,
            "is of a type that PS3.3 Section F.5 doesn't have: give it the right one",
        )
    elif type_ != PRIVATE and parent in _BELOW:
        if type_ not in _BELOW[parent]:
            under = f"below a {parent} record" if parent else "at the top level"
            yield (
                FindingKind.RECORD_PLACE,
                f"stands {under}, where PS3.3 Section F.4 has no such record: {REMEDY}",
            )
    elif type_ != PRIVATE and parent in _CHILDLESS:
        yield (
            FindingKind.RECORD_PLACE,
            f"stands below a record of type {parent}, where PS3.3 Section F.4 has none: {REMEDY}",
        )


def faults_of_elements(
    type_: str | None, held: bytes, common: str = "", *, has_file: bool
) -> Iterator[Fault]:
    """Yield what is wrong with the elements `held` of a record: its keys, text and values.

    `common` is the Specific Character Set that applies where the record declares none.
    """
    elements = {element.tag: element for element in iterate(held)}
    yield from _faults_of_keys(type_, elements, has_file=has_file)
    yield from faults_of_text(held, elements, common)
    for fault in faults_of_values(elements.values(), character_set(held) or common):
        yield FindingKind.BAD_VALUE, fault


def _faults_of_keys(
    type_: str | None, elements: Mapping[int, Element], *, has_file: bool
) -> Iterator[Fault]:
    if type_ == PRIVATE and not has_value(elements.get(PRIVATE_RECORD_UID)):
        yield FindingKind.MISSING_KEY, "lacks (0004,1432) Private Record UID: add it"
    if type_ is None or type_ not in RECORD_KEYS:
        return
    for key, need in RECORD_KEYS[type_].keys:
        if lacks(type_, elements, key, need, has_file=has_file):
            fault = "lacks" if key.tag not in elements else "has no value for"
            of_type = f"of Type {_need(type_, key, need).value} in PS3.3 Section F.5"
            what = f"{fault} {format_tag(key.tag)} {key.name}, {of_type}: complete it"
            yield FindingKind.MISSING_KEY, what


def lacks(
    kind: str, elements: Mapping[int, Element], key: Key, usual: Need, *, has_file: bool = False
) -> bool:
    """Return whether a record of the type `kind` with these `elements` has to have more of `key`.

    `usual` is what `RECORD_KEYS` asks of it there; `has_file`
    is whether the record references a file.
    """
    element = elements.get(key.tag)
    if has_value(element):
        return False
    need = _need(kind, key, usual)
    if need is Need.TYPE_1C and element is None:
        return _is_required(key, elements, has_file=has_file)
    return need is not Need.TYPE_2 or element is None


def _need(kind: str, key: Key, usual: Need) -> Need:
    return _LENIENT.get((kind, key.keyword), usual)


def has_value(element: Element | None) -> bool:
    """Return whether an element is there and not empty."""
    if element is None:
        return False
    is_number = element.vr in {"UL", "US", "UV"}
    return bool(element.value if is_number else element.value.strip(b" \0"))


def _is_required(key: Key, elements: Mapping[int, Element], *, has_file: bool) -> bool:
    """Return whether the condition is met under which a record has to hold `key`."""
    if key.tag == STUDY_INSTANCE_UID:
        return not has_file
    keyword, tag, value = _VERIFIED
    flag = elements.get(tag)
    return key.keyword == keyword and flag is not None and flag.value.strip() == value


def _check_reference(record: DecodedRecord) -> Iterator[Finding]:
    if record.file_id is None:
        if record.type in _REFERENCING:
            yield of_record(
                record,
                FindingKind.MISSING_REFERENCE,
                "lacks (0004,1500) Referenced File ID, so it leads to no file: complete it",
            )
        return
    for kind, why in file_id_faults(record.file_id):
        yield of_record(record, kind, f"has the File ID {name_of(record)!r}: {why}; rename it")
    for kind, why in faults_of_reference(
        record.sop_class_uid, record.sop_instance_uid, record.transfer_syntax_uid
    ):
        yield of_record(record, kind, why)


def faults_of_reference(
    sop_class: str | None, sop_instance: str | None, syntax: str | None
) -> Iterator[Fault]:
    """Yield what is wrong with the UIDs by which a record references the instance in its file."""
    yield from _faults_of_common(REFERENCED_SOP_CLASS_UID, sop_class)
    yield from _faults_of_uid(REFERENCED_SOP_INSTANCE_UID, sop_instance)
    yield from _faults_of_common(REFERENCED_TRANSFER_SYNTAX_UID, syntax)


def _faults_of_uid(tag: int, uid: str | None) -> Iterator[Fault]:
    if not uid:
        yield FindingKind.MISSING_REFERENCE, f"lacks {describe(tag)}: complete it"
    elif (why := fault_of_uid(uid)) is not None:
        yield FindingKind.BAD_VALUE, in_words(tag, why)
    elif tag == REFERENCED_TRANSFER_SYNTAX_UID and uid not in TRANSFER_SYNTAXES:
        unknown = f"references a file in the transfer syntax {uid}, which PS3.6 doesn't have"
        remedy = "so readers may be unable to decode it: save the file again in one that it has"
        yield FindingKind.UNKNOWN_TRANSFER_SYNTAX, f"{unknown}, {remedy}"


@lru_cache(maxsize=512)
def _faults_of_common(tag: int, uid: str | None) -> tuple[Fault, ...]:
    """As `_faults_of_uid`, for values that recur from record to record."""
    return tuple(_faults_of_uid(tag, uid))


def _check_name(
    record: DecodedRecord,
    elements: Mapping[int, Element],
    named: dict[tuple[str, str], tuple[DecodedRecord, bytes]],
) -> Iterator[Finding]:
    """Yield that a record above others has the name of one before it."""
    type_ = record.type or ""
    own = plain_text(elements.get(RECORD_IDENTIFIERS[type_]), character_set(record.elements))
    if not own or not own.strip(BLANKS):
        return
    person = elements[PATIENT_NAME].value.strip(b" ") if PATIENT_NAME in elements else b""
    first, other = named.setdefault((type_, own.strip(BLANKS)), (record, person))
    if first is record:
        return
    is_other = type_ == "PATIENT" and person != other
    which = f"the one at offset {first.offset}"
    kind, fault = fault_of_namesake(type_, which, is_other=is_other)
    yield of_record(record, kind, fault, Severity.WARNING if is_other else None)


def fault_of_namesake(type_: str, which: str, *, is_other: bool = False) -> Fault:
    """Return that a record of one of the `UPPER_TYPES` has the name of another one.

    `which` says of which one; `is_other` is whether it is that of a patient of another name.
    """
    kind, what = _SEVERAL[type_]
    more = "put what is below them under one"
    if is_other:
        more = "with another name, so they may be two persons with IDs of different issuers"
    return kind, f"has the same {what} as {which}: {more}"


# --- File IDs (PS3.10 Sections 8.2 and 8.5) -----


def file_id_faults(components: tuple[str, ...]) -> Iterator[tuple[FindingKind, str]]:
    """Yield in what ways `components` are no File ID (PS3.10 Sections 8.2 and 8.5), each once."""
    if not components:
        yield FindingKind.FILE_ID_CHARACTERS, "it is empty"
    if len(components) > _COMPONENTS:
        yield FindingKind.FILE_ID_DEPTH, f"it has {len(components)} of {_COMPONENTS} components"
    faults: dict[FindingKind, str] = {}
    for part in components:
        for kind, why in _component_faults(part):
            faults.setdefault(kind, f"{part!r} {why}")
    yield from faults.items()


def _component_faults(part: str) -> Iterator[tuple[FindingKind, str]]:
    if part in {"", ".", ".."} or "/" in part:
        yield FindingKind.FILE_ID_DOTS, "does not lead to a name in its folder"
        return
    stem, dot, _ = part.partition(".")
    if len(stem) > _COMPONENT_LENGTH:
        yield (
            FindingKind.FILE_ID_LENGTH,
            f"has {len(stem)} characters, and {_COMPONENT_LENGTH} are allowed",
        )
    if dot:
        yield FindingKind.FILE_ID_EXTENSION, "has a full stop, and File IDs have no extension"
    if not CHARACTERS.issuperset(part.upper().replace(".", "")):
        yield FindingKind.FILE_ID_CHARACTERS, "has characters other than A-Z, 0-9 and _"
    elif part != part.upper():
        yield FindingKind.FILE_ID_CASE, "has lower-case letters"
