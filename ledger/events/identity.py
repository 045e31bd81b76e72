"""The fields of the File-set's identity, each of which an event sets."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from attrs import frozen

from ledger.events.event import Event, Naming


@frozen
class IdentityChanged(Event):
    """A field of the File-set's identity was set: what it was before, and is from here on."""

    GROUP = "set"
    UNDOABLE = True
    FIELD: ClassVar[str]
    """The field of `FileSetIdentity`."""
    NAME: ClassVar[str]
    """What people call it."""

    value: Any
    previous: Any

    def summary(self, naming: Naming) -> str:
        value = "/".join(self.value) if isinstance(self.value, tuple) else self.value
        return f"{self.NAME} cleared" if value is None else f"{self.NAME} set to '{value}'"


@frozen
class FileSetIDChanged(IdentityChanged):
    """File-set ID (0004,1130) was set."""

    TYPE = "file-set-id-changed"
    FIELD = "id"
    NAME = "File-set ID"

    value: str | None
    previous: str | None


@frozen
class FileSetUIDChanged(IdentityChanged):
    """The File-set UID, the DICOMDIR's own SOP Instance UID, was set."""

    TYPE = "file-set-uid-changed"
    FIELD = "uid"
    NAME = "File-set UID"

    value: str
    previous: str


@frozen
class DescriptorFileIDChanged(IdentityChanged):
    """File-set Descriptor File ID (0004,1141) was set; a tuple holds its components."""

    TYPE = "descriptor-file-id-changed"
    FIELD = "descriptor_file_id"
    NAME = "Descriptor file ID"

    value: tuple[str, ...] | None
    previous: tuple[str, ...] | None


@frozen
class DescriptorCharacterSetChanged(IdentityChanged):
    """Specific Character Set of File-set Descriptor File (0004,1142) was set."""

    TYPE = "descriptor-character-set-changed"
    FIELD = "descriptor_character_set"
    NAME = "Descriptor file character set"

    value: str | None
    previous: str | None


@frozen
class ProfileChanged(IdentityChanged):
    """The application profile of the File-set (PS3.11) was set, by its identifier."""

    TYPE = "profile-changed"
    FIELD = "profile"
    NAME = "Application profile"

    value: str | None
    previous: str | None


IDENTITY_EVENTS: Final[dict[str, type[IdentityChanged]]] = {
    cls.FIELD: cls
    for cls in (
        FileSetIDChanged,
        FileSetUIDChanged,
        DescriptorFileIDChanged,
        DescriptorCharacterSetChanged,
        ProfileChanged,
    )
}
"""The class that sets each field."""
