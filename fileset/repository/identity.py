"""What the fields of a File-set's identity may be, as pydicom has it; see PS3.3 Annex F.3.2.1."""

from __future__ import annotations

from pathlib import Path

from pydicom import config
from pydicom.uid import UID

from fileset.errors import InvalidUIDError


def checked_text(what: str, val: str | None) -> str | None:
    """Return a text or `None`; TypeError if it is neither."""
    if val is not None and not isinstance(val, str):
        raise TypeError(f"The {what} must be a str or None, not {type(val).__name__}")
    return val


def checked_id(val: str | None) -> str | None:
    """Return a File-set ID; TypeError or ValueError if it can't be one."""
    if val is not None and len(checked_text("File-set ID", val) or "") > 16:
        raise ValueError("The maximum length of the 'File-set ID' is 16 characters")
    return val


def checked_uid(uid: str) -> str:
    """Return a File-set UID; `InvalidUIDError` if it can't be one."""
    if not UID(uid, config.IGNORE).is_valid:
        raise InvalidUIDError(f"'{uid}' is not a valid UID (PS3.5 Section 9)")
    return str(uid)


def checked_descriptor(val: str | list[str] | None) -> tuple[str, ...] | None:
    """Return the components of a File-set Descriptor File ID; TypeError or ValueError if bad."""
    if val is None:
        return None
    if isinstance(val, list):
        if len(val) > 8 or not all(isinstance(c, str) and len(c) <= 16 for c in val):
            raise ValueError(
                "The 'File-set Descriptor File ID' has a maximum of 8 components, each between "
                "0 and 16 characters long"
            )
        return Path(*val).parts
    if not isinstance(val, str):
        raise TypeError("The 'DescriptorFileID' must be a str, list of str, or None")
    if len(val) > 16:
        raise ValueError(
            "Each 'File-set Descriptor File ID' component has a maximum length of 16 characters"
        )
    return (val,)
