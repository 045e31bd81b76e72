"""What the DICOMDIR's encoder and decoder share: its name, its identity and its errors.

A DICOMDIR is the instance of the Media Storage Directory class that lists a File-set: PS3.3
Annex F gives its content, PS3.10 Section 8.6 its place and its encoding.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from attrs import frozen

from ledger.elements import EMPTY, Elements
from ledger.errors import InstanceError

DICOMDIR: Final = "DICOMDIR"
"""The File ID that a DICOMDIR has (PS3.10 Section 8.6)."""

LEFTOVER: Final = f".{DICOMDIR}"
"""How the names of what a write makes and takes away begin; an interrupted one leaves it."""


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

    `uid` is the DICOMDIR's own SOP Instance UID, `""` if it has none. `descriptor_file_id` holds
    the components of a File ID. `elements` keeps what else stands at the top level. `profile` is
    the application profile (PS3.11) by which records have additional keys; no DICOMDIR names it.
    """

    uid: str
    id: str | None = None
    descriptor_file_id: tuple[str, ...] | None = None
    descriptor_character_set: str | None = None
    elements: Elements = EMPTY
    file_meta: Elements = EMPTY
    profile: str | None = None


class Reference(NamedTuple):
    """The file that a record stands for (PS3.3 Table F.3-3), `/` between `file_id`'s components.

    An empty text is written as an element without a value.
    """

    file_id: str
    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
