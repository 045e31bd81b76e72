"""What can be asked of a correction: elements with new values, and UIDs replaced everywhere."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from enum import Enum
from itertools import zip_longest
from typing import Final, Literal, TypeAlias

from attrs import frozen
from pydicom.datadict import keyword_for_tag, tag_for_keyword

from ledger.errors import CorrectionError
from ledger.instances.values import fault_of_uid
from ledger.instances.walker import describe

ElementPath: TypeAlias = tuple[int, ...]
"""Where an element is: its tag, or tags of sequences and numbers of items, from 0 on, and its tag.

`(0x00400275, 0, 0x00321060)` is in the first item of a sequence of the data set, and
`(0x00400275, 0)` is that item itself.
"""


class Removal(Enum):
    """The type of `REMOVE`."""

    REMOVE = "removed"


REMOVE: Final = Removal.REMOVE
"""As the value of an `Edit`: the element is not to be there."""

Value: TypeAlias = str | Sequence[str] | bytes | Literal[Removal.REMOVE] | None

_STEP: Final = re.compile(
    r"(?P<name>[A-Za-z0-9]+|\(?[0-9A-Fa-f]{4},[0-9A-Fa-f]{4}\)?)(\[(?P<item>\d+)\])?"
)
_HEXADECIMAL: Final = re.compile(r"[0-9A-Fa-f]{8}")


@frozen
class Edit:
    """An element and the value that it is to have, or an item that is to be removed.

    Text is the value as PS3.5 Section 6.2 has it for the VR, several values joined by backslashes
    or in a sequence; numbers and tags are text as well. `bytes` are the value in Little Endian, and
    `None` is an empty value. `vr` is needed for a private element that isn't there yet.
    """

    path: ElementPath
    value: Value
    vr: str | None = None


@frozen
class UIDsReplaced:
    """UIDs replaced wherever they are values of UI elements, those in sequences included."""

    uids: Mapping[str, str]


@frozen
class OriginalAttributes:
    """What an item of Original Attributes Sequence says of a correction (PS3.3 C.12.1.1.9).

    `when` is a DT value, `system` and `source_of_previous` are LO values. `reason` is COERCE or
    CORRECT.
    """

    when: str
    system: str
    reason: str = "CORRECT"
    source_of_previous: str = ""


def path_of(text: str) -> ElementPath:
    """Return the path that `text` names: keywords or tags, with items, joined by full stops.

    As in `PatientName`, `0010,0010`, `ReferencedStudySequence[0].ReferencedSOPInstanceUID`; with
    the number of an item at the end it is that of the item. Raises `CorrectionError` where there is
    no such element.
    """
    path: list[int] = []
    steps = text.split(".")
    for number, step in enumerate(steps, 1):
        found = _STEP.fullmatch(step)
        item = found["item"] if found else None
        if not found or (item is None and number < len(steps)):
            raise CorrectionError(
                f"{text!r} is not the path of an element: name sequences with the number of an "
                "item, as in RequestAttributesSequence[0].ScheduledProcedureStepID"
            )
        path.append(_tag_of(found["name"]))
        path += [int(item)] if item is not None else []
    return tuple(path)


def text_of_path(path: ElementPath) -> str:
    """Return `path` as people write it: the reverse of `path_of`."""
    names = [keyword_for_tag(tag) or f"{tag >> 16:04X},{tag & 0xFFFF:04X}" for tag in path[::2]]
    items = [f"[{number}]" for number in path[1::2]]
    return ".".join(name + item for name, item in zip_longest(names, items, fillvalue=""))


def describe_path(path: ElementPath) -> str:
    """Return an element for messages: its tag and name, and in which item it is; or an item."""
    if len(path) % 2 == 0:
        return text_of_path(path)
    within = f" in {text_of_path(path[:-1])}" if len(path) > 1 else ""
    return describe(path[-1]) + within


def _tag_of(name: str) -> int:
    digits = name.strip("()").replace(",", "")
    known = tag_for_keyword(name)
    if known is not None:
        return known
    if not _HEXADECIMAL.fullmatch(digits):
        raise CorrectionError(f"there is no data element with the keyword {name!r}")
    return int(digits, 16)


# --- what can't be asked -------------------------------------------------------------------------

SOP_CLASS_UID: Final = 0x00080016
SOP_INSTANCE_UID: Final = 0x00080018
ORIGINAL_ATTRIBUTES: Final = 0x04000561
SIGNATURES: Final = 0xFFFAFFFA
MAC_PARAMETERS: Final = 0x4FFE0001

_NEEDED: Final = frozenset((SOP_CLASS_UID, SOP_INSTANCE_UID))
OF_THE_STANDARD: Final = "1.2.840.10008."
"""What the UIDs begin with that PS3.6 registers."""

_GROUPS: Final = {
    0x0000: "it belongs to a message, not to a data set",
    0x0002: "the File Meta Information is derived from the data set",
    0x0004: "it belongs to a DICOMDIR, not to an instance",
    0xFFFE: "items and delimiters are not elements",
}


def check_edits(edits: Sequence[Edit | UIDsReplaced]) -> None:
    """Raise `CorrectionError` where what is asked can't be, whatever the instance is."""
    seen: list[ElementPath] = []
    for edit in edits:
        if isinstance(edit, UIDsReplaced):
            _check_uids(edit.uids)
            continue
        path = edit.path
        is_item = len(path) % 2 == 0
        if not path or (is_item and edit.value is not REMOVE):
            raise CorrectionError(
                "an item can only be removed: name an element in it to give that a value"
            )
        for tag in path[::2]:
            is_former = is_item and tag == ORIGINAL_ATTRIBUTES and len(path) == len((tag, 0))
            if (why := _refusal(tag)) and not is_former:
                raise CorrectionError(f"{describe_path(path)} can't be corrected: {why}")
        if path[-1] in _NEEDED and len(path) == 1 and (edit.value is REMOVE or not edit.value):
            raise CorrectionError(f"{describe_path(path)} can't be removed: every instance has one")
        for other in seen:
            shorter = min(len(path), len(other))
            if path[:shorter] == other[:shorter]:
                raise CorrectionError(f"{describe_path(path)} has two new values: give one")
        seen.append(path)


def _refusal(tag: int) -> str | None:
    """Return why the element `tag` can't be corrected, `None` if it can."""
    group = tag >> 16
    if (why := _GROUPS.get(group)) is not None:
        return why
    if not tag & 0xFFFF:
        return "the length of a group is derived from its elements"
    if group == 0x7FE0:
        return "pixel data is never changed"
    if group == 0x0028:
        return "it describes the pixel data, which is never changed"
    if tag == ORIGINAL_ATTRIBUTES:
        return "it records former values; its items can only be removed"
    if tag in {SIGNATURES, MAC_PARAMETERS}:
        return "signatures can only be removed"
    return None


def _check_uids(uids: Mapping[str, str]) -> None:
    if any(old.startswith(OF_THE_STANDARD) for old in uids):
        raise CorrectionError("a UID that PS3.6 registers can't be replaced")
    for new in uids.values():
        if (why := fault_of_uid(new)) is not None:
            raise CorrectionError(f"a UID can't be replaced by {new!r}: {why}")
