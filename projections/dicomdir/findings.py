"""What can be wrong with a File-set: the findings of a check against the Standard, by kind."""

from __future__ import annotations

from enum import Enum
from typing import Final, NamedTuple

from projections.dicomdir.definitions import DICOMDIR


class Severity(Enum):
    """How bad a finding is."""

    ERROR = "error"
    """The File-set breaks the Standard, or part of it is lost to readers."""

    WARNING = "warning"
    """The Standard allows it, or only a person can tell; a reader may stumble all the same."""


class FindingKind(Enum):
    """What can be wrong with a File-set."""

    # the DICOMDIR as a file
    NO_DICOMDIR = "no-dicomdir"
    DICOMDIR_UNREADABLE = "dicomdir-unreadable"
    DICOMDIR_NOT_DICOM = "dicomdir-not-dicom"
    DICOMDIR_OTHER_CLASS = "dicomdir-other-class"
    DICOMDIR_TRUNCATED = "dicomdir-truncated"
    DICOMDIR_MALFORMED = "dicomdir-malformed"
    DICOMDIR_ENCODING = "dicomdir-encoding"
    FILE_META = "file-meta"
    GROUP_LENGTH = "group-length"

    # the File-set as a whole
    FILE_SET_UID = "file-set-uid"
    FILE_SET_ID_CHARACTERS = "file-set-id-characters"
    FILE_SET_ID_LENGTH = "file-set-id-length"
    DESCRIPTOR_FILE_ID = "descriptor-file-id"
    CONSISTENCY_FLAG = "consistency-flag"
    MISSING_ELEMENT = "missing-element"

    # offsets
    FIRST_OFFSET = "first-offset"
    LAST_OFFSET = "last-offset"
    BAD_OFFSET = "bad-offset"
    OFFSET_CYCLE = "offset-cycle"
    ORPHAN_RECORD = "orphan-record"
    NOT_IN_USE = "not-in-use"

    # records
    UNKNOWN_RECORD_TYPE = "unknown-record-type"
    RETIRED_RECORD_TYPE = "retired-record-type"
    RECORD_PLACE = "record-place"
    MISSING_KEY = "missing-key"
    UNDECLARED_CHARACTER_SET = "undeclared-character-set"
    BAD_CHARACTER_SET = "bad-character-set"
    BAD_VALUE = "bad-value"
    COMPRESSED_ICON = "compressed-icon"
    MISSING_REFERENCE = "missing-reference"
    UNKNOWN_TRANSFER_SYNTAX = "unknown-transfer-syntax"
    DUPLICATE_PATIENT = "duplicate-patient"
    DUPLICATE_STUDY = "duplicate-study"
    DUPLICATE_SERIES = "duplicate-series"
    DUPLICATE_INSTANCE = "duplicate-instance"
    DUPLICATE_FILE = "duplicate-file"

    # File IDs
    FILE_ID_CASE = "file-id-case"
    FILE_ID_EXTENSION = "file-id-extension"
    FILE_ID_CHARACTERS = "file-id-characters"
    FILE_ID_LENGTH = "file-id-length"
    FILE_ID_DEPTH = "file-id-depth"
    FILE_ID_DOTS = "file-id-dots"

    # referenced files
    FILE_MISSING = "file-missing"
    FILE_UNREADABLE = "file-unreadable"
    FILE_NOT_REGULAR = "file-not-regular"
    FILE_NOT_DICOM = "file-not-dicom"
    FILE_TRUNCATED = "file-truncated"
    FILE_MALFORMED = "file-malformed"
    LINK_OUTSIDE = "link-outside"
    SOP_CLASS_DIFFERS = "sop-class-differs"
    SOP_INSTANCE_DIFFERS = "sop-instance-differs"
    TRANSFER_SYNTAX_DIFFERS = "transfer-syntax-differs"
    SOP_CLASS_IN_META = "sop-class-in-meta"
    SOP_INSTANCE_IN_META = "sop-instance-in-meta"
    ENCODING_DIFFERS = "encoding-differs"
    PATIENT_DIFFERS = "patient-differs"
    STUDY_DIFFERS = "study-differs"
    SERIES_DIFFERS = "series-differs"
    RECORD_TYPE_DIFFERS = "record-type-differs"
    KEY_DIFFERS = "key-differs"

    # what else lies at the root
    UNLISTED_FILE = "unlisted-file"
    STRAY_DICOMDIR = "stray-dicomdir"
    NESTED_FILE_SET = "nested-file-set"
    LEFTOVER = "leftover"
    FOLDER_UNREADABLE = "folder-unreadable"


_WARNINGS: Final = frozenset(
    (
        FindingKind.RETIRED_RECORD_TYPE,
        FindingKind.COMPRESSED_ICON,
        FindingKind.UNDECLARED_CHARACTER_SET,
        FindingKind.BAD_CHARACTER_SET,
        FindingKind.BAD_VALUE,
        FindingKind.UNKNOWN_TRANSFER_SYNTAX,
        FindingKind.SOP_CLASS_IN_META,
        FindingKind.SOP_INSTANCE_IN_META,
        FindingKind.KEY_DIFFERS,
        FindingKind.STRAY_DICOMDIR,
        FindingKind.NESTED_FILE_SET,
        FindingKind.LEFTOVER,
    )
)


def is_error(kind: FindingKind) -> bool:
    """Whether what is wrong is usually more than a warning."""
    return kind not in _WARNINGS


class Finding(NamedTuple):
    """Something wrong: `where` is a path relative to the root, `/` between its components.

    `offset` is that of the directory record concerned, in bytes from the start of the DICOMDIR;
    `None` where no record is concerned.
    """

    kind: FindingKind
    where: str
    offset: int | None
    message: str
    severity: Severity


def finding(
    kind: FindingKind,
    message: str,
    *,
    where: str = DICOMDIR,
    offset: int | None = None,
    severity: Severity | None = None,
) -> Finding:
    """Return a finding, with the severity that its kind has unless one is given."""
    usual = Severity.WARNING if kind in _WARNINGS else Severity.ERROR
    return Finding(kind, where, offset, message, severity or usual)
