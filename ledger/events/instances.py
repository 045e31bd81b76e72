"""The File-set and the instances that it holds."""

from __future__ import annotations

from typing import ClassVar

from attrs import Factory, field, frozen

from ledger.digest import Digest, short
from ledger.elements import Elements
from ledger.events.event import (
    AboutInstance,
    Content,
    Event,
    Naming,
    Placement,
    Record,
    RecordRef,
    Variant,
)


@frozen
class FileSetCreated(Event):
    """A new, empty File-set."""

    TYPE = "file-set-created"
    GROUP = "create"

    uid: str
    id: str | None = None

    def summary(self, naming: Naming) -> str:
        return f"File-set '{self.id}' created" if self.id else "File-set created"


@frozen
class FileSetImported(Event):
    """An existing File-set was adopted: what its DICOMDIR at `root` says of itself.

    `dicomdir` is the digest of the DICOMDIR as it was found, `None` for a folder of instances
    that has none yet. `elements` keeps what else it holds at its top level, `file_meta` what else
    is in its File Meta Information. The instances follow as `InstanceAdded` events of the
    same change.
    """

    TYPE = "file-set-imported"
    GROUP = "adopt"

    root: str
    uid: str
    dicomdir: Digest | None = None
    id: str | None = None
    descriptor_file_id: tuple[str, ...] | None = None
    descriptor_character_set: str | None = None
    elements: Elements = field(default=Elements(b""))
    file_meta: Elements = field(default=Elements(b""))

    def summary(self, naming: Naming) -> str:
        return f"File-set at {self.root} adopted"

    def line(self, naming: Naming, position: int) -> str:
        brought = f"DICOMDIR {short(self.dicomdir)}" if self.dicomdir else "without a DICOMDIR"
        return f"{self.summary(naming)}: {brought}"


@frozen
class InstanceAdded(Event):
    """A SOP Instance is part of the File-set from here on.

    `record` is the directory record that references it; `parents` are the records above it that
    no earlier instance brought, from the top down, below the existing record `under` (`None`:
    at the top). `differing` holds what the instance says otherwise of the records that earlier
    ones brought; of all others it says the same. `invented` tells which values of the records, by
    keyword, the instance itself lacks. `content` may be unknown only for an instance of an adopted
    File-set, until it is first read (`ContentRecorded`). `file_id` is where it lies on an adopted
    medium.
    """

    TYPE = "instance-added"
    VERSION = 2
    GROUP = "add"
    UNDOABLE = True
    COUNTED = ("instance", "added")
    TOUCH: ClassVar[str | None] = "added"

    WORDS: ClassVar[str] = "instance added"

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    record: Record
    parents: tuple[Record, ...] = ()
    under: RecordRef | None = None
    content: Content | None = None
    placement: Placement = Placement.VAULT
    source: str | None = None
    file_id: str | None = None
    invented: dict[str, str] = Factory(dict)
    differing: tuple[Variant, ...] = ()

    def in_vault(self) -> tuple[Content, ...]:
        if self.placement is not Placement.VAULT or self.content is None:
            return ()
        return (self.content,)

    def line(self, naming: Naming, position: int) -> str:
        parts = [f"{self.WORDS}: {naming.instance(position)}"]
        if self.file_id:
            parts.append(f"at {self.file_id}")
        if self.source:
            parts.append(f"from {self.source}")
        if self.content:
            parts.append(self.content.in_words())
        if self.placement is Placement.REFERENCE:
            parts.append("left where it is")
        return ", ".join(parts)


@frozen
class InstanceRemoved(AboutInstance):
    """The instance is no longer part of the File-set."""

    TYPE = "instance-removed"
    GROUP = "remove"
    UNDOABLE = True
    COUNTED = ("instance", "removed")
    TOUCH = "removed"

    def line(self, naming: Naming, position: int) -> str:
        return f"instance removed: {naming.instance(self.instance)}"


@frozen
class InstanceRestored(AboutInstance):
    """A removed instance that is still on the medium was added again, with the same content."""

    TYPE = "instance-restored"
    GROUP = "add"
    UNDOABLE = True
    COUNTED = ("instance", "taken back in")
    TOUCH = "restored"

    def line(self, naming: Naming, position: int) -> str:
        return f"instance taken back in: {naming.instance(self.instance)}"


@frozen
class ContentRecorded(AboutInstance):
    """The content of an adopted instance was read for the first time, and perhaps secured.

    With placement `VAULT` its bytes are in the vault from here on.
    """

    TYPE = "content-recorded"
    GROUP = "note"
    TOUCH = "read"
    ERASED_WITH_INSTANCE = True

    content: Content
    placement: Placement

    def in_vault(self) -> tuple[Content, ...]:
        return (self.content,) if self.placement is Placement.VAULT else ()

    def line(self, naming: Naming, position: int) -> str:
        return (
            f"content recorded of {naming.instance(self.instance)}: {self.content.in_words()}, "
            f"kept in the {self.placement.value}"
        )
