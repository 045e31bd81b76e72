"""Checking directory records against the Standard: types, keys, references and text.

That is PS3.3 Sections F.4 and F.5, and the File IDs of PS3.10 Section 8. The files that records
reference are not looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Final, NamedTuple

from ledger.elements import (
    CHARSET_VRS,
    Element,
    character_set,
    format_tag,
    iterate,
    iterate_items,
    plain_text,
)
from ledger.record_keys import RECORD_KEYS, SINGLE_LEVEL_TYPES, UPPER_TYPES, Key, Need
from projections.conformance import Finding, FindingKind, Severity, finding
from projections.dicomdir_decoder import (
    DecodedDirectory,
    DecodedNode,
    DecodedRecord,
    Tree,
)

REMEDY: Final = "index the files anew, or have the program that wrote it write the DICOMDIR anew"
"""What to do about a DICOMDIR that leads readers astray."""

CHARACTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_")
"""What File IDs and a File-set ID are made of (PS3.10 Section 8.5)."""

_COMPONENTS: Final = 8
_COMPONENT_LENGTH: Final = 8


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
    """Return what a record below `parent` stands under."""
    above = dict(zip(UPPER_TYPES, (parent.patient, parent.study, parent.series), strict=True))
    if parent.record.type in above:
        above[parent.record.type] = parent.record
    return above


def of_record(
    record: DecodedRecord, kind: FindingKind, text: str, severity: Severity | None = None
) -> Finding:
    """Return a finding on `record`, of which `text` says what."""
    return finding(
        kind,
        f"The {record.type or 'typeless'} record at offset {record.offset} {text}.",
        offset=record.offset,
        severity=severity,
    )


# --- records (PS3.3 Sections F.4 and F.5) --------------------------------------------------------

PRIVATE: Final = "PRIVATE"
_STRUCTURED_DOCUMENT: Final = "HL7 STRUC DOC"
_SINGLES: Final = frozenset((*SINGLE_LEVEL_TYPES.values(), "INVENTORY"))
_LEAVES: Final = frozenset(RECORD_KEYS) - frozenset(UPPER_TYPES) - _SINGLES | {"ANNOTATION"}
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
_PRIVATE_RECORD_UID: Final = 0x00041432
_STUDY_UID: Final = 0x0020000D
_VERIFIED: Final = ("VerificationDateTime", 0x0040A493, b"VERIFIED")
# Where RECORD_KEYS has what pydicom asks for, and PS3.3 asks for less.
_LENIENT: Final = {("RAW DATA", "InstanceNumber"): Need.TYPE_2}

_SEVERAL: Final = {
    "PATIENT": (0x00100020, FindingKind.DUPLICATE_PATIENT, "Patient ID"),
    "STUDY": (_STUDY_UID, FindingKind.DUPLICATE_STUDY, "Study Instance UID"),
    "SERIES": (0x0020000E, FindingKind.DUPLICATE_SERIES, "Series Instance UID"),
}
_PATIENT_NAME: Final = 0x00100010


def elements_of(record: DecodedRecord) -> dict[int, Element]:
    """Return the elements of a record other than its links, type and reference, by tag."""
    return {element.tag: element for element in iterate(record.elements)}


def check_records(directory: DecodedDirectory, tree: Tree) -> Iterator[Finding]:
    """Yield what is wrong with the records of `tree`, each in its place."""
    common = character_set(directory.identity.elements)
    named: dict[tuple[str, bytes], tuple[DecodedRecord, bytes]] = {}
    instances: dict[str, DecodedRecord] = {}
    files: dict[tuple[str, ...], DecodedRecord] = {}
    for placed in walk(tree):
        record = placed.record
        elements = elements_of(record)
        yield from _check_type(placed)
        yield from _check_keys(record, elements)
        yield from _check_text(record, elements, common)
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


def _check_type(placed: Placed) -> Iterator[Finding]:
    record = placed.record
    if not record.type:
        yield of_record(
            record, FindingKind.MISSING_ELEMENT, "lacks (0004,1430), its type: write it anew"
        )
    elif record.type in _RETIRED:
        yield of_record(
            record, FindingKind.RETIRED_RECORD_TYPE, "is of a type that the Standard has retired"
        )
    elif record.type not in _KNOWN:
        yield of_record(
            record,
            FindingKind.UNKNOWN_RECORD_TYPE,
            "is of a type that PS3.3 Section F.5 doesn't have: give it the right one",
        )
    elif record.type != PRIVATE and placed.parent in _BELOW:
        if record.type not in _BELOW[placed.parent]:
            under = f"below a {placed.parent} record" if placed.parent else "at the top level"
            yield of_record(
                record,
                FindingKind.RECORD_PLACE,
                f"stands {under}, where PS3.3 Section F.4 has no such record: {REMEDY}",
            )
    elif record.type != PRIVATE and placed.parent in _CHILDLESS:
        yield of_record(
            record,
            FindingKind.RECORD_PLACE,
            f"stands below a record of type {placed.parent}, where PS3.3 Section F.4 has none: "
            f"{REMEDY}",
        )


def _check_keys(record: DecodedRecord, elements: Mapping[int, Element]) -> Iterator[Finding]:
    if record.type == PRIVATE and not has_value(elements.get(_PRIVATE_RECORD_UID)):
        yield of_record(
            record, FindingKind.MISSING_KEY, "lacks (0004,1432) Private Record UID: add it"
        )
    if record.type not in RECORD_KEYS:
        return
    has_file = record.file_id is not None
    for key, need in RECORD_KEYS[record.type].keys:
        if not lacks(record.type, elements, key, need, has_file=has_file):
            continue
        element = elements.get(key.tag)
        told = "lacks" if element is None else "has no value for"
        yield of_record(
            record,
            FindingKind.MISSING_KEY,
            f"{told} {format_tag(key.tag)} {key.name}, of Type "
            f"{_need(record.type, key, need).value} in PS3.3 Section F.5: complete it",
        )


def lacks(
    kind: str,
    elements: Mapping[int, Element],
    key: Key,
    usual: Need,
    *,
    has_file: bool = False,
) -> bool:
    """Return whether a record of the type `kind` with these `elements` has to have more of `key`.

    `usual` is what :data:`~ledger.record_keys.RECORD_KEYS` asks of it there; `has_file` is whether
    the record references a file.
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
    return element is not None and bool(element.value.strip(b" \0") or element.vr == "US")


def _is_required(key: Key, elements: Mapping[int, Element], *, has_file: bool) -> bool:
    """Return whether the condition is met under which a record has to hold `key`."""
    if key.tag == _STUDY_UID:
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
    for tag, name, value in (
        ("(0004,1510)", "Referenced SOP Class UID in File", record.sop_class_uid),
        ("(0004,1511)", "Referenced SOP Instance UID in File", record.sop_instance_uid),
        ("(0004,1512)", "Referenced Transfer Syntax UID in File", record.transfer_syntax_uid),
    ):
        if not value:
            yield of_record(
                record, FindingKind.MISSING_REFERENCE, f"lacks {tag} {name}: complete it"
            )


def _check_name(
    record: DecodedRecord,
    elements: Mapping[int, Element],
    named: dict[tuple[str, bytes], tuple[DecodedRecord, bytes]],
) -> Iterator[Finding]:
    """Yield that a record above others has the name of one before it."""
    type_ = record.type or ""
    tag, kind, what = _SEVERAL[type_]
    own = elements[tag].value.strip(b" \0") if tag in elements else b""
    if not own:
        return
    person = elements[_PATIENT_NAME].value.strip(b" ") if _PATIENT_NAME in elements else b""
    first, other = named.setdefault((type_, own), (record, person))
    if first is record:
        return
    severity, more = None, "put what is below them under one"
    if type_ == "PATIENT" and person != other:
        severity = Severity.WARNING
        more = "with another name, so they may be two persons with IDs of different issuers"
    yield of_record(
        record, kind, f"has the same {what} as the one at offset {first.offset}: {more}", severity
    )


# --- Specific Character Set (PS3.3 Section C.12.1.1.2) -------------------------------------------

_NUMBERS: Final = (100, 101, 109, 110, 126, 127, 138, 144, 148, 166, 203, 13)
_TERMS: Final = frozenset(
    (
        "", "ISO_IR 6", "ISO_IR 192", "GB18030", "GBK", "ISO 2022 IR 6", "ISO 2022 IR 58",
        "ISO 2022 IR 87", "ISO 2022 IR 149", "ISO 2022 IR 159",
        *(f"ISO_IR {number}" for number in _NUMBERS),
        *(f"ISO 2022 IR {number}" for number in _NUMBERS),
    )
)  # fmt: skip
# What plain_text() can judge: the other repertoires take any byte.
_BY_PYTHON: Final = frozenset(
    ("ISO_IR 192", *(f"ISO_IR {number}" for number in _NUMBERS if number != 13))
)


def _check_text(
    record: DecodedRecord, elements: Mapping[int, Element], common: str
) -> Iterator[Finding]:
    declared = character_set(record.elements) or common
    terms = [term.strip() for term in declared.split("\\")]
    unknown = [term for term in terms if term not in _TERMS]
    if unknown:
        yield of_record(
            record,
            FindingKind.BAD_CHARACTER_SET,
            f"has a Specific Character Set (0008,0005) that the Standard doesn't know, "
            f"{unknown[0]!r}: give it the right one",
        )
    if unknown or (record.elements.isascii() and not record.elements.count(b"\x1b")):
        return
    for element in _texts(elements.values()):
        told = format_tag(element.tag)
        if element.value.count(b"\x1b") and not any("2022" in term for term in terms):
            yield _undeclared(record, f"{told} switches character sets by escape sequences")
        elif not element.value.isascii() and terms in ([""], ["ISO_IR 6"], ["ISO 2022 IR 6"]):
            yield _undeclared(record, f"{told} has text that is not ASCII")
        elif terms[0] in _BY_PYTHON and len(terms) == 1:
            text = plain_text(element, terms[0]) or ""
            if any("\udc80" <= char <= "\udcff" for char in text):
                yield of_record(
                    record,
                    FindingKind.BAD_CHARACTER_SET,
                    f"has text in {told} that is not of its character set, {terms[0]}: correct the "
                    "text or (0008,0005)",
                )


def _undeclared(record: DecodedRecord, why: str) -> Finding:
    return of_record(
        record,
        FindingKind.UNDECLARED_CHARACTER_SET,
        f"does not declare it in Specific Character Set (0008,0005), but {why}: add (0008,0005)",
    )


def _texts(elements: Iterable[Element]) -> Iterator[Element]:
    """Yield the elements whose text a character set decides on, also those in sequences."""
    for element in elements:  # nested no deeper than the decoder lets pass
        if element.vr in CHARSET_VRS:
            yield element
        elif element.vr == "SQ":
            for item in iterate_items(element.value):
                yield from _texts(iterate(item))


# --- File IDs (PS3.10 Sections 8.2 and 8.5) -----


def file_id_faults(components: tuple[str, ...]) -> Iterator[tuple[FindingKind, str]]:
    """Yield in what ways `components` are no File ID (PS3.10 Sections 8.2 and 8.5), each once."""
    if not components:
        yield FindingKind.FILE_ID_CHARACTERS, "it is empty"
    if len(components) > _COMPONENTS:
        yield FindingKind.FILE_ID_DEPTH, f"it has {len(components)} of {_COMPONENTS} components"
    told: set[FindingKind] = set()
    for part in components:
        for kind, why in _component_faults(part):
            if kind not in told:
                told.add(kind)
                yield kind, f"{part!r} {why}"


def _component_faults(part: str) -> Iterator[tuple[FindingKind, str]]:
    if part in {"", ".", ".."} or "/" in part:
        yield FindingKind.FILE_ID_DOTS, "leads elsewhere than to a name in its folder"
        return
    stem, dot, _ = part.partition(".")
    if len(stem) > _COMPONENT_LENGTH:
        yield (
            FindingKind.FILE_ID_LENGTH,
            f"has {len(stem)} characters, {_COMPONENT_LENGTH} may be",
        )
    if dot:
        yield FindingKind.FILE_ID_EXTENSION, "has a full stop, and File IDs have no extension"
    if not CHARACTERS.issuperset(part.upper().replace(".", "")):
        yield FindingKind.FILE_ID_CHARACTERS, "has characters other than A-Z, 0-9 and _"
    elif part != part.upper():
        yield FindingKind.FILE_ID_CASE, "has lower-case letters"
