"""Which elements each type of directory record holds.

The tables follow PS3.3 Section F.5 as pydicom reads it: the same keys and types of requirement.
Two types that pydicom lacks follow the edition of 2024. Names and VRs are those of PS3.6, as
literals so that neither indexing nor replaying a journal needs a data dictionary.
"""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from attrs import frozen

from ledger.tags import ISSUER_OF_PATIENT_ID, PATIENT_BIRTH_DATE, PATIENT_SEX


class Key(NamedTuple):
    """An element that a directory record may hold, as PS3.6 defines it."""

    keyword: str
    tag: int
    vr: str
    name: str


class Need(Enum):
    """What PS3.3 asks of a key (PS3.5 Section 7.4)."""

    TYPE_1 = "1"
    """It must be there and have a value."""

    TYPE_1C = "1C"
    """Where it is there, it must have a value."""

    TYPE_2 = "2"
    """The record always holds it, without a value where the instance has none."""


@frozen
class RecordKeys:
    """The keys of one record type, in the order in which they are checked."""

    keys: tuple[tuple[Key, Need], ...]
    tags: tuple[int, ...]


_KEYS: Final = {
    key.keyword: key
    for key in (
        Key("SpecificCharacterSet", 0x00080005, "CS", "Specific Character Set"),
        Key("ImageType", 0x00080008, "CS", "Image Type"),
        Key("InstanceCreationDate", 0x00080012, "DA", "Instance Creation Date"),
        Key("InstanceCreationTime", 0x00080013, "TM", "Instance Creation Time"),
        Key("SOPClassUID", 0x00080016, "UI", "SOP Class UID"),
        Key("SOPInstanceUID", 0x00080018, "UI", "SOP Instance UID"),
        Key("StudyDate", 0x00080020, "DA", "Study Date"),
        Key("ContentDate", 0x00080023, "DA", "Content Date"),
        Key("StudyTime", 0x00080030, "TM", "Study Time"),
        Key("ContentTime", 0x00080033, "TM", "Content Time"),
        Key("AccessionNumber", 0x00080050, "SH", "Accession Number"),
        Key("Modality", 0x00080060, "CS", "Modality"),
        Key("Manufacturer", 0x00080070, "LO", "Manufacturer"),
        Key("ScopeOfInventorySequence", 0x00080400, "SQ", "Scope of Inventory Sequence"),
        Key("InventoryPurpose", 0x00080401, "LT", "Inventory Purpose"),
        Key("InventoryLevel", 0x00080403, "CS", "Inventory Level"),
        Key("InventoryCompletionStatus", 0x00080426, "CS", "Inventory Completion Status"),
        Key("TotalNumberOfStudyRecords", 0x00080428, "UV", "Total Number of Study Records"),
        Key("StudyDescription", 0x00081030, "LO", "Study Description"),
        Key("ReferencedSeriesSequence", 0x00081115, "SQ", "Referenced Series Sequence"),
        Key(
            "ReferencedImageEvidenceSequence",
            0x00089092,
            "SQ",
            "Referenced Image Evidence Sequence",
        ),
        Key("PatientName", 0x00100010, "PN", "Patient's Name"),
        Key("PatientID", 0x00100020, "LO", "Patient ID"),
        Key("StudyInstanceUID", 0x0020000D, "UI", "Study Instance UID"),
        Key("SeriesInstanceUID", 0x0020000E, "UI", "Series Instance UID"),
        Key("StudyID", 0x00200010, "SH", "Study ID"),
        Key("SeriesNumber", 0x00200011, "IS", "Series Number"),
        Key("InstanceNumber", 0x00200013, "IS", "Instance Number"),
        Key("ImplantName", 0x00221095, "LO", "Implant Name"),
        Key("ImplantPartNumber", 0x00221097, "LO", "Implant Part Number"),
        Key("NumberOfFrames", 0x00280008, "IS", "Number of Frames"),
        Key("Rows", 0x00280010, "US", "Rows"),
        Key("Columns", 0x00280011, "US", "Columns"),
        Key("DataPointRows", 0x00289001, "UL", "Data Point Rows"),
        Key("DataPointColumns", 0x00289002, "UL", "Data Point Columns"),
        Key("VerificationDateTime", 0x0040A030, "DT", "Verification DateTime"),
        Key("VerifyingObserverSequence", 0x0040A073, "SQ", "Verifying Observer Sequence"),
        Key("ConceptNameCodeSequence", 0x0040A043, "SQ", "Concept Name Code Sequence"),
        Key("CompletionFlag", 0x0040A491, "CS", "Completion Flag"),
        Key("VerificationFlag", 0x0040A493, "CS", "Verification Flag"),
        Key("ContentSequence", 0x0040A730, "SQ", "Content Sequence"),
        Key("HL7InstanceIdentifier", 0x0040E001, "ST", "HL7 Instance Identifier"),
        Key("DocumentTitle", 0x00420010, "ST", "Document Title"),
        Key("EncapsulatedDocument", 0x00420011, "OB", "Encapsulated Document"),
        Key(
            "MIMETypeOfEncapsulatedDocument", 0x00420012, "LO", "MIME Type of Encapsulated Document"
        ),
        Key("ImplantSize", 0x00686210, "LO", "Implant Size"),
        Key("ContentLabel", 0x00700080, "CS", "Content Label"),
        Key("ContentDescription", 0x00700081, "LO", "Content Description"),
        Key("PresentationCreationDate", 0x00700082, "DA", "Presentation Creation Date"),
        Key("PresentationCreationTime", 0x00700083, "TM", "Presentation Creation Time"),
        Key("ContentCreatorName", 0x00700084, "PN", "Content Creator's Name"),
        Key("BlendingSequence", 0x00700402, "SQ", "Blending Sequence"),
        Key("HangingProtocolCreator", 0x00720008, "LO", "Hanging Protocol Creator"),
        Key(
            "HangingProtocolCreationDateTime",
            0x0072000A,
            "DT",
            "Hanging Protocol Creation DateTime",
        ),
        Key(
            "HangingProtocolDefinitionSequence",
            0x0072000C,
            "SQ",
            "Hanging Protocol Definition Sequence",
        ),
        Key(
            "HangingProtocolUserIdentificationCodeSequence",
            0x0072000E,
            "SQ",
            "Hanging Protocol User Identification Code Sequence",
        ),
        Key("NumberOfPriorsReferenced", 0x00720014, "US", "Number of Priors Referenced"),
        Key("ImplantAssemblyTemplateName", 0x00760001, "LO", "Implant Assembly Template Name"),
        Key("ProcedureTypeCodeSequence", 0x00760020, "SQ", "Procedure Type Code Sequence"),
        Key("ImplantTemplateGroupName", 0x00780001, "LO", "Implant Template Group Name"),
        Key("ImplantTemplateGroupIssuer", 0x00780020, "LO", "Implant Template Group Issuer"),
        Key("DoseSummationType", 0x3004000A, "CS", "Dose Summation Type"),
        Key("StructureSetLabel", 0x30060002, "SH", "Structure Set Label"),
        Key("StructureSetDate", 0x30060008, "DA", "Structure Set Date"),
        Key("StructureSetTime", 0x30060009, "TM", "Structure Set Time"),
        Key("TreatmentDate", 0x30080250, "DA", "Treatment Date"),
        Key("TreatmentTime", 0x30080251, "TM", "Treatment Time"),
        Key("RTPlanLabel", 0x300A0002, "SH", "RT Plan Label"),
        Key("RTPlanDate", 0x300A0006, "DA", "RT Plan Date"),
        Key("RTPlanTime", 0x300A0007, "TM", "RT Plan Time"),
        Key("UserContentLabel", 0x30100033, "SH", "User Content Label"),
        Key("UserContentLongLabel", 0x30100034, "LO", "User Content Long Label"),
    )
}

KEYS: Final[dict[int, Key]] = {key.tag: key for key in _KEYS.values()}
"""Every element that a record may hold or a decision depends on, by its tag."""

OF_PERSONS: Final = {PATIENT_BIRTH_DATE: "DA", PATIENT_SEX: "CS", ISSUER_OF_PATIENT_ID: "LO"}
"""The VRs of what tells persons apart and no PATIENT record needs, by tag."""

WANTED: Final[frozenset[int]] = frozenset((*KEYS, *OF_PERSONS))
"""The tags that an instance must be read for."""

VERIFICATION_DATE_TIME: Final = _KEYS["VerificationDateTime"].tag
VERIFYING_OBSERVERS: Final = _KEYS["VerifyingObserverSequence"].tag
ENCAPSULATED_DOCUMENT: Final = _KEYS["EncapsulatedDocument"].tag
MODALITY: Final = _KEYS["Modality"].tag
RT_PLAN_LABEL: Final = _KEYS["RTPlanLabel"].tag
SOP_CLASS_UID: Final = _KEYS["SOPClassUID"].tag
SOP_INSTANCE_UID: Final = _KEYS["SOPInstanceUID"].tag


def _record(type_1: str = "", type_2: str = "", *, type_1c: str = "") -> RecordKeys:
    needs = ((type_1, Need.TYPE_1), (type_1c, Need.TYPE_1C), (type_2, Need.TYPE_2))
    keys = tuple((_KEYS[keyword], need) for words, need in needs for keyword in words.split())
    return RecordKeys(keys, tuple(key.tag for key, _ in keys))


_CONTENT: Final = _record("InstanceNumber ContentDate ContentTime")
_CONTENT_IDENTIFIED: Final = _record(
    "InstanceNumber ContentDate ContentTime ContentLabel", "ContentDescription ContentCreatorName"
)
_NOTHING: Final = _record()

RECORD_KEYS: Final[dict[str, RecordKeys]] = {
    "PATIENT": _record("PatientID", "PatientName"),
    "STUDY": _record(
        "StudyDate StudyTime StudyID",
        "StudyDescription AccessionNumber",
        type_1c="StudyInstanceUID",
    ),
    "SERIES": _record("Modality SeriesInstanceUID SeriesNumber"),
    "IMAGE": _record("InstanceNumber"),
    "RT DOSE": _record("InstanceNumber DoseSummationType"),
    "RT STRUCTURE SET": _record(
        "InstanceNumber StructureSetLabel", "StructureSetDate StructureSetTime"
    ),
    "RT PLAN": _record("InstanceNumber RTPlanLabel", "RTPlanDate RTPlanTime"),
    "RT TREAT RECORD": _record("InstanceNumber", "TreatmentDate TreatmentTime"),
    "PRESENTATION": _record(
        "PresentationCreationDate PresentationCreationTime InstanceNumber ContentLabel",
        "ContentDescription ContentCreatorName",
        type_1c="ReferencedSeriesSequence BlendingSequence",
    ),
    "WAVEFORM": _CONTENT,
    "SR DOCUMENT": _record(
        "InstanceNumber CompletionFlag VerificationFlag ContentDate ContentTime "
        "ConceptNameCodeSequence",
        type_1c="VerificationDateTime ContentSequence",
    ),
    "KEY OBJECT DOC": _record(
        "InstanceNumber ContentDate ContentTime ConceptNameCodeSequence", type_1c="ContentSequence"
    ),
    "SPECTROSCOPY": _record(
        "ImageType ContentDate ContentTime InstanceNumber NumberOfFrames Rows Columns "
        "DataPointRows DataPointColumns",
        type_1c="ReferencedImageEvidenceSequence",
    ),
    "RAW DATA": _CONTENT,
    "REGISTRATION": _CONTENT_IDENTIFIED,
    "FIDUCIAL": _CONTENT_IDENTIFIED,
    "HANGING PROTOCOL": _record(
        "HangingProtocolCreator HangingProtocolCreationDateTime "
        "HangingProtocolDefinitionSequence NumberOfPriorsReferenced",
        "HangingProtocolUserIdentificationCodeSequence",
    ),
    "ENCAP DOC": _record(
        "InstanceNumber MIMETypeOfEncapsulatedDocument",
        "ContentDate ContentTime DocumentTitle ConceptNameCodeSequence",
        type_1c="HL7InstanceIdentifier",
    ),
    "VALUE MAP": _CONTENT_IDENTIFIED,
    "STEREOMETRIC": _NOTHING,
    "PALETTE": _record("ContentLabel", "ContentDescription"),
    "IMPLANT": _record("Manufacturer ImplantName ImplantPartNumber", type_1c="ImplantSize"),
    "IMPLANT ASSY": _record("ImplantAssemblyTemplateName Manufacturer ProcedureTypeCodeSequence"),
    "IMPLANT GROUP": _record("ImplantTemplateGroupName ImplantTemplateGroupIssuer"),
    "PLAN": _NOTHING,
    "MEASUREMENT": _CONTENT_IDENTIFIED,
    "SURFACE": _CONTENT_IDENTIFIED,
    "SURFACE SCAN": _record("ContentDate ContentTime"),
    "TRACT": _CONTENT_IDENTIFIED,
    "ASSESSMENT": _record("InstanceNumber InstanceCreationDate", "InstanceCreationTime"),
    "RADIOTHERAPY": _record(
        "InstanceNumber",
        "ContentDescription ContentCreatorName",
        type_1c="UserContentLabel UserContentLongLabel",
    ),
    "ANNOTATION": _CONTENT_IDENTIFIED,
    "INVENTORY": _record(
        "ContentDate ContentTime InventoryLevel InventoryCompletionStatus "
        "TotalNumberOfStudyRecords",
        "InventoryPurpose ScopeOfInventorySequence",
    ),
}
"""The keys of each standard record type that references a file or stands above one that does.

Those of PS3.3 Section F.5; PRIVATE has none.
"""


UPPER_TYPES: Final = ("PATIENT", "STUDY", "SERIES")
"""The records above a leaf of four levels, from the top down."""
