"""Reading a SOP Instance: from the bytes of a file to what the journal records of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen

from ledger.elements import Element
from ledger.errors import InstanceError
from ledger.files import FileView
from ledger.instances.record_keys import (
    ENCAPSULATED_DOCUMENT,
    KEYS,
    OF_PERSONS,
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
)
from ledger.instances.scanner import Scan, Wanted, scan, scan_file, scan_head
from ledger.instances.walker import Buffer, describe
from ledger.uids import MEDIA_STORAGE_DIRECTORY

_WANTED: Final = Wanted(
    {**{tag: key.vr for tag, key in KEYS.items()}, **OF_PERSONS},
    presence_only=(ENCAPSULATED_DOCUMENT,),
)

_HEAD: Final = 1 << 15  # bytes, in which most headers are


@frozen
class Instance:
    """What a File-set has to know of one SOP Instance.

    `header` holds those elements of the data set that a directory record may need
    (`ledger.instances.record_keys.WANTED`), by tag: the values as they are in the file,
    sequences in canonical Explicit VR Little Endian. Encapsulated Document has no value there, only
    a presence. The media storage UIDs are what group 0002 says, empty where it says nothing, and
    `misfit` is in what the data set is encoded otherwise than the transfer syntax says, if it is.
    """

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    header: Mapping[int, Element]
    media_storage_class_uid: str = ""
    media_storage_instance_uid: str = ""
    misfit: str = ""


def read_instance(data: Buffer, name: str | None = None) -> Instance:
    """Return the SOP Instance in the DICOM file (PS3.10 Section 7) whose bytes `data` holds.

    Raises `NotDicomError`, `TruncatedError`, or
    `InstanceError` for any other reason why it can't be in a File-set;
    `name` is put in front of the message.
    """
    try:
        return _instance(scan(data, _WANTED))
    except InstanceError as exc:
        if name is None:
            raise
        raise type(exc)(exc.reason, name=name) from exc


def read_large(view: FileView) -> Instance:
    """Return the SOP Instance in a file of any size; see `read_instance`. OSError as `view`."""
    return read_head(view[:_HEAD], len(view)) or _instance(scan_file(view, _WANTED))


def read_head(head: bytes, size: int) -> Instance | None:
    """Return the SOP Instance in the file of `size` bytes that begins with `head`.

    `None` where all of the file has to be read to tell, and then also whether it can be.
    """
    found = scan_head(head, size, _WANTED)
    try:
        return None if found is None else _instance(found)
    except InstanceError:
        return None


def _instance(found: Scan) -> Instance:
    header = found.elements
    if found.media_storage_class_uid == MEDIA_STORAGE_DIRECTORY:
        raise InstanceError(
            "this is a DICOMDIR, the directory of a File-set, and no instance to be added to one: "
            "`fileset init REPO --from` makes a repository of its File-set"
        )
    return Instance(
        _uid(header, SOP_INSTANCE_UID),
        _uid(header, SOP_CLASS_UID),
        found.transfer_syntax_uid,
        header,
        found.media_storage_class_uid,
        found.media_storage_instance_uid,
        found.misfit,
    )


def _uid(header: Mapping[int, Element], tag: int) -> str:
    """Return the UID with `tag`, which a record can't do without (PS3.3 Table F.3-3)."""
    element = header.get(tag)
    uid = str(element.value, "latin-1").rstrip("\0 ").strip() if element else ""
    # Longer and otherwise irregular UIDs are common enough, and do no harm in a record.
    if not uid or not uid.isascii() or not uid.isprintable() or "\\" in uid:
        problem = "is missing" if element is None else "is invalid" if uid else "is empty"
        raise InstanceError(f"{describe(tag)} {problem}: a File-set can hold only SOP Instances")
    return uid
