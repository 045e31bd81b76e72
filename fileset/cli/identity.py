"""What a user may set in a File-set's identity, checked before anything is changed."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import click

from fileset.cli.screen.text import did_you_mean
from fileset.errors import NoSuchProfileError
from ledger.instances.values import fault_of_uid
from projections.dicomdir.definitions import FileSetIdentity
from projections.dicomdir.form_checks import identity_faults
from projections.dicomdir.record_checks import CHARACTERS

if TYPE_CHECKING:
    from projections.dicomdir.profiles.profile import Profile

FIELDS: Final = {
    "id": "id",
    "uid": "uid",
    "descriptor": "descriptor_file_id",
    "charset": "descriptor_character_set",
    "profile": "profile",
}
"""The names that a user types, and those of the identity's fields."""

_ALLOWED: Final = "PS3.10 Section 8.5 allows A-Z, 0-9 and _"
NEW: Final = "new"
"""What stands for a UID that nothing has yet."""

_ANY_UID: Final = "1.2"


def check_id(text: str) -> str | None:
    """Return a File-set ID, `None` for no value; a usage error if it can't be one."""
    _check_characters("File-set ID", text)
    if len(text) > 16:
        also = "" if CHARACTERS.issuperset(text) else f" And {_ALLOWED}."
        raise click.UsageError(
            f"A File-set ID has at most 16 characters; '{text}' has {len(text)}.{also}"
        )
    _warn_of(FileSetIdentity(_ANY_UID, id=text))
    return text or None


def check_uid(text: str) -> str:
    """Return a UID, a new one for `new`; a usage error if it can't be one."""
    if text == NEW:
        from pydicom.uid import generate_uid  # noqa: PLC0415 - most UIDs are given

        return str(generate_uid())
    if not text:
        raise click.UsageError("A File-set always has a UID; give another one.")
    if (why := fault_of_uid(text)) is not None:
        raise click.UsageError(f"'{text}' is not a valid UID (PS3.5 Section 9): {why}.")
    return text


def check_descriptor(text: str) -> tuple[str, ...] | None:
    """Return the components of a descriptor's File ID, `None` for no value."""
    _check_characters("Descriptor file ID", text)
    parts = tuple(part for part in text.split("/") if part)
    if len(parts) > 8 or any(len(part) > 16 for part in parts):
        raise click.UsageError(
            "A descriptor file ID has at most 8 components of at most 16 characters, as in "
            "DOCS/README."
        )
    if any(part in {".", ".."} for part in parts) or parts == ("DICOMDIR",):
        raise click.UsageError(f"'{text}' can't be the descriptor file of a File-set.")
    if parts:
        _warn_of(FileSetIdentity(_ANY_UID, descriptor_file_id=parts), typed="/".join(parts))
    return parts or None


def _warn_of(identity: FileSetIdentity, *, typed: str = "") -> None:
    """Warn of what a check of the File-set will find wrong with its identity.

    Of a descriptor's File ID that shows the value; a user knows what was `typed`.
    """
    value = "\\".join(identity.descriptor_file_id or ())
    for each in identity_faults(identity):
        message = each.message.replace(repr(value), repr(typed)) if typed else each.message
        warnings.warn(message, stacklevel=3)


def check_charset(text: str) -> str | None:
    """Return a defined term of Specific Character Set, `None` for no value."""
    from pydicom.charset import python_encoding  # noqa: PLC0415 - as above

    if not text:
        return None
    if text not in python_encoding:
        hint = did_you_mean(text, filter(None, python_encoding))
        raise click.UsageError(f"'{text}' is not a character set, such as ISO_IR 100.{hint}")
    return text


def check_profile(text: str) -> str | None:
    """Return the identifier of an application profile that can be set, `None` for no value."""
    return named_profile(text, to_set=True).identifier if text else None


def named_profile(text: str, *, to_set: bool = False) -> Profile:
    """Return the application profile that is called `text`; a usage error if there is none."""
    from fileset.profiles.names import profile_named  # noqa: PLC0415 - others need no profiles

    try:
        return profile_named(text, to_set=to_set)
    except NoSuchProfileError as exc:
        raise click.UsageError(str(exc)) from exc


_CHECKS: Final[dict[str, Callable[[str], Any]]] = {
    "id": check_id,
    "uid": check_uid,
    "descriptor": check_descriptor,
    "charset": check_charset,
    "profile": check_profile,
}


def parse_settings(arguments: tuple[str, ...]) -> dict[str, Any]:
    """Return `NAME=VALUE` arguments as values of the identity's fields."""
    settings: dict[str, Any] = {}
    for argument in arguments:
        name, equals, value = argument.partition("=")
        if not equals or name not in FIELDS:
            near = did_you_mean(name, FIELDS) if equals else ""
            raise click.UsageError(
                f"'{argument}' is not one of {', '.join(f'{known}=...' for known in FIELDS)}.{near}"
            )
        checked = _CHECKS[name](value)
        if FIELDS[name] in settings:
            raise click.UsageError(f"'{name}' is given twice.")
        settings[FIELDS[name]] = checked
    return settings


def _check_characters(what: str, text: str) -> None:
    if not text.isascii() or not text.isprintable() or "\\" in text:
        raise click.UsageError(f"A {what} takes printable ASCII characters except the backslash.")
