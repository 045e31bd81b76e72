"""What the DICOMDIR's encoder and decoder share: its tags, its identity and its errors.

A DICOMDIR is the instance of the Media Storage Directory class that lists a File-set: PS3.3
Annex F gives its content, PS3.10 Section 8.6 its place and its encoding.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from attrs import frozen

from ledger.elements import EMPTY, Elements
from ledger.errors import InstanceError

MEDIA_STORAGE_DIRECTORY: Final = "1.2.840.10008.1.3.10"
IMPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN: Final = "1.2.840.10008.1.2.1"

FILE_META_GROUP_LENGTH: Final = 0x00020000
FILE_META_VERSION: Final = 0x00020001
MEDIA_STORAGE_SOP_CLASS_UID: Final = 0x00020002
MEDIA_STORAGE_SOP_INSTANCE_UID: Final = 0x00020003
TRANSFER_SYNTAX_UID: Final = 0x00020010
IMPLEMENTATION_CLASS_UID: Final = 0x00020012
IMPLEMENTATION_VERSION_NAME: Final = 0x00020013
MANAGED_FILE_META: Final = frozenset(
    (
        FILE_META_GROUP_LENGTH,
        FILE_META_VERSION,
        MEDIA_STORAGE_SOP_CLASS_UID,
        MEDIA_STORAGE_SOP_INSTANCE_UID,
        TRANSFER_SYNTAX_UID,
    )
)
"""The File Meta Information that follows from what is written."""

FILE_SET_ID: Final = 0x00041130
DESCRIPTOR_FILE_ID: Final = 0x00041141
DESCRIPTOR_CHARACTER_SET: Final = 0x00041142
FIRST_ROOT_OFFSET: Final = 0x00041200
LAST_ROOT_OFFSET: Final = 0x00041202
CONSISTENCY_FLAG: Final = 0x00041212
RECORD_SEQUENCE: Final = 0x00041220

NEXT_OFFSET: Final = 0x00041400
IN_USE_FLAG: Final = 0x00041410
LOWER_OFFSET: Final = 0x00041420
RECORD_TYPE: Final = 0x00041430
REFERENCED_FILE_ID: Final = 0x00041500
REFERENCED_SOP_CLASS_UID: Final = 0x00041510
REFERENCED_SOP_INSTANCE_UID: Final = 0x00041511
REFERENCED_TRANSFER_SYNTAX_UID: Final = 0x00041512


class DicomdirError(InstanceError):
    """The DICOMDIR can't be read or can't be written; the message says where and why."""


class NotDicomdirError(DicomdirError):
    """The file or dataset is DICOM, but no DICOMDIR."""

    def __init__(self, name: str) -> None:
        # To the letter as pydicom has it, so without the name in front.
        super().__init__(
            "Unable to load the File-set as the supplied dataset is not a "
            "'Media Storage Directory' instance"
        )
        self.name = name


@frozen
class FileSetIdentity:
    """What a DICOMDIR says of the File-set as a whole (PS3.3 Table F.3-2).

    `uid` is the DICOMDIR's own SOP Instance UID, ``""`` if it has none. `descriptor_file_id` holds
    the components of a File ID. `elements` keeps what else stands at the top level.
    """

    uid: str
    id: str | None = None
    descriptor_file_id: tuple[str, ...] | None = None
    descriptor_character_set: str | None = None
    elements: Elements = EMPTY
    file_meta: Elements = EMPTY


class Reference(NamedTuple):
    """The file that a record stands for (PS3.3 Table F.3-3), ``/`` between `file_id`'s components.

    An empty text is written as an element without a value.
    """

    file_id: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
