"""The events: everything that can happen to a File-set, as frozen values.

An event states one fact. Where the fact comes from the outside world (an instance's elements, its
digest, the path it lay at, a generated UID), the event carries it, so that the journal alone
tells the story on any later day and under any later version of pydicom. Events know nothing of
their serialisation (:mod:`ledger.codec`) nor of their place in the journal
(:mod:`ledger.journal`).

An *instance handle* is the position of the event that added the instance; it names one addition
of one content, where a SOP Instance UID might name two over time. A record that several instances
share (PATIENT, STUDY, SERIES, PRIVATE) is carried once, by the event that introduces it, and
named by a :class:`RecordRef` from then on.

File IDs are written with ``/`` between their components: ``PT000000/ST000000/SE000000/IM000000``.
"""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import ClassVar, TypeAlias

from attrs import Factory, field, frozen

from ledger.digest import Digest
from ledger.elements import Elements

Handle: TypeAlias = int
"""The position of the :class:`InstanceAdded` event that brought an instance in."""


class Placement(Enum):
    """Where an instance's bytes are, apart from the written File-set."""

    VAULT = "vault"
    """In the vault, copied when it was added."""

    REFERENCE = "reference"
    """Left where it was found; checked against its digest when it is written."""

    ROOT = "root"
    """On the medium that was adopted, under the File ID it has there."""


@frozen
class Record:
    """A directory record less its links: what PS3.3 Section F.5 lists for its type.

    `elements` holds neither the offsets, the in-use flag, the type nor the Referenced ... elements.
    """

    type: str
    elements: Elements


@frozen
class RecordRef:
    """The record that the event at `position` introduced as number `index` of its `parents`."""

    position: int
    index: int


@frozen
class Content:
    """What an instance's bytes are: their digest and how many there are."""

    digest: Digest
    size: int


@frozen
class FileSetCreated:
    """A new, empty File-set."""

    TYPE: ClassVar[str] = "file-set-created"
    VERSION: ClassVar[int] = 1

    uid: str
    id: str | None = None


@frozen
class FileSetImported:
    """An existing File-set was adopted: what its DICOMDIR at `root` says of itself.

    `dicomdir` is the digest of the DICOMDIR as it was found, ``None`` for a folder of instances
    that has none yet. `elements` keeps what else it holds at its top level, `file_meta` what else
    is in its File Meta Information. The instances follow as :class:`InstanceAdded` events of the
    same change.
    """

    TYPE: ClassVar[str] = "file-set-imported"
    VERSION: ClassVar[int] = 1

    root: str
    uid: str
    dicomdir: Digest | None = None
    id: str | None = None
    descriptor_file_id: tuple[str, ...] | None = None
    descriptor_character_set: str | None = None
    elements: Elements = field(default=Elements(b""))
    file_meta: Elements = field(default=Elements(b""))


@frozen
class InstanceAdded:
    """A SOP Instance is part of the File-set from here on.

    `record` is the directory record that references it; `parents` are the records above it that
    no earlier instance brought, from the top down, below the existing record `under` (``None``:
    at the top). `invented` tells which values of the records, by keyword, the instance itself
    lacks. `content` may be unknown only for an instance of an adopted File-set, until it is
    first read (:class:`ContentRecorded`). `file_id` is where it lies on an adopted medium.
    """

    TYPE: ClassVar[str] = "instance-added"
    VERSION: ClassVar[int] = 1

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


@frozen
class InstanceRemoved:
    """The instance is no longer part of the File-set."""

    TYPE: ClassVar[str] = "instance-removed"
    VERSION: ClassVar[int] = 1

    instance: Handle


@frozen
class InstanceRestored:
    """A removed instance that is still on the medium was added again, with the same content."""

    TYPE: ClassVar[str] = "instance-restored"
    VERSION: ClassVar[int] = 1

    instance: Handle


@frozen
class ContentRecorded:
    """The content of an adopted instance was read for the first time, and perhaps secured.

    With placement ``VAULT`` its bytes are in the vault from here on.
    """

    TYPE: ClassVar[str] = "content-recorded"
    VERSION: ClassVar[int] = 1

    instance: Handle
    content: Content
    placement: Placement


@frozen
class StrangerKept:
    """At the File ID of an `instance` lay something else; the vault has its `content`.

    That is a damaged file, or one that someone put in its place, and a write has taken it away. It
    is not the instance, whose own bytes may be lost.
    """

    TYPE: ClassVar[str] = "stranger-kept"
    VERSION: ClassVar[int] = 1

    instance: Handle
    content: Content


@frozen
class FileSetIDChanged:
    """File-set ID (0004,1130) was set."""

    TYPE: ClassVar[str] = "file-set-id-changed"
    VERSION: ClassVar[int] = 1

    value: str | None
    previous: str | None


@frozen
class FileSetUIDChanged:
    """The File-set UID, the DICOMDIR's own SOP Instance UID, was set."""

    TYPE: ClassVar[str] = "file-set-uid-changed"
    VERSION: ClassVar[int] = 1

    value: str
    previous: str


@frozen
class DescriptorFileIDChanged:
    """File-set Descriptor File ID (0004,1141) was set; a tuple holds its components."""

    TYPE: ClassVar[str] = "descriptor-file-id-changed"
    VERSION: ClassVar[int] = 1

    value: tuple[str, ...] | None
    previous: tuple[str, ...] | None


@frozen
class DescriptorCharacterSetChanged:
    """Specific Character Set of File-set Descriptor File (0004,1142) was set."""

    TYPE: ClassVar[str] = "descriptor-character-set-changed"
    VERSION: ClassVar[int] = 1

    value: str | None
    previous: str | None


@frozen
class ChangeUndone:
    """The newest change still in force was taken back; `change` is its id."""

    TYPE: ClassVar[str] = "change-undone"
    VERSION: ClassVar[int] = 1

    change: str


@frozen
class ChangeRedone:
    """The change undone last was done again; `change` is its id."""

    TYPE: ClassVar[str] = "change-redone"
    VERSION: ClassVar[int] = 1

    change: str


@frozen
class ChangeReverted:
    """A change that later ones may stand upon was taken back; `change` is its id.

    What it left must still be so. The inverse follows from the events before, and is itself part
    of the change that this event belongs to, which can be undone as any other.
    """

    TYPE: ClassVar[str] = "change-reverted"
    VERSION: ClassVar[int] = 1

    change: str


@frozen
class PositionTagged:
    """A `position` of the journal got a name, which stood for the `previous` one until then."""

    TYPE: ClassVar[str] = "position-tagged"
    VERSION: ClassVar[int] = 1

    name: str
    position: int
    previous: int | None = None


@frozen
class TagDeleted:
    """The tag `name` is no more; it stood for `position`."""

    TYPE: ClassVar[str] = "tag-deleted"
    VERSION: ClassVar[int] = 1

    name: str
    position: int


@frozen
class WriteStarted:
    """A write of the state at `base` is about to begin; this event is the plan to roll forward.

    `placed` gives the File IDs that change, grouped by folder: ``{folder: {name: handle}}``;
    `dropped` are the instances that leave the medium. Where a File ID passes from one instance to
    another, the files lie under the folder `staging` for a moment, so that no DICOMDIR ever names
    a file with other content.
    """

    TYPE: ClassVar[str] = "write-started"
    VERSION: ClassVar[int] = 1

    root: str
    layout: str
    base: int
    placed: dict[str, dict[str, Handle]] = Factory(dict)
    dropped: tuple[Handle, ...] = ()
    staging: str | None = None
    implicit_vr: bool = False


@frozen
class WriteCompleted:
    """The write that the event at `started` began is done; `dicomdir` is what it left."""

    TYPE: ClassVar[str] = "write-completed"
    VERSION: ClassVar[int] = 1

    started: int
    dicomdir: Digest


@frozen
class WriteAbandoned:
    """The write that the event at `started` began is over, and nothing that it did counts.

    It failed or was given up and the medium is as it was before, or there is no medium any more.
    """

    TYPE: ClassVar[str] = "write-abandoned"
    VERSION: ClassVar[int] = 1

    started: int
    reason: str


@frozen
class MediumLost:
    """The medium at `root` is no more, or no longer ours: the File-set is on none from here on."""

    TYPE: ClassVar[str] = "medium-lost"
    VERSION: ClassVar[int] = 1

    root: str


@frozen
class DamageNoted:
    """The medium at `root` is not as the last write left it; what can be is put right.

    Attributes
    ----------
    missing, changed, unreadable : tuple of int
        The instances whose file is gone, is another one, or can't be read.
    returned : tuple of int
        Those that a write had taken off, and that are there again: it is an older copy.
    dicomdir : Digest or None
        What another DICOMDIR there holds; the vault has it, unless the journal can make it again.
    no_dicomdir : bool
        Whether there is none.
    """

    TYPE: ClassVar[str] = "damage-noted"
    VERSION: ClassVar[int] = 1

    root: str
    missing: tuple[Handle, ...] = ()
    changed: tuple[Handle, ...] = ()
    unreadable: tuple[Handle, ...] = ()
    returned: tuple[Handle, ...] = ()
    dicomdir: Digest | None = None
    no_dicomdir: bool = False


@frozen
class DamageRepaired:
    """Of the damage that the event at `noted` tells, the `instances` are at their File IDs again.

    Those `taken_off` are gone again.
    """

    TYPE: ClassVar[str] = "damage-repaired"
    VERSION: ClassVar[int] = 1

    noted: int
    instances: tuple[Handle, ...] = ()
    taken_off: tuple[Handle, ...] = ()


@frozen
class WriteExported:
    """The state at `base` was written to `root`, a folder of its own; nothing pending changed."""

    TYPE: ClassVar[str] = "write-exported"
    VERSION: ClassVar[int] = 1

    root: str
    layout: str
    base: int
    dicomdir: Digest


@frozen
class InstanceRejected:
    """A file was offered and not taken."""

    TYPE: ClassVar[str] = "instance-rejected"
    VERSION: ClassVar[int] = 1

    source: str
    reason: str


@frozen
class ConflictNoted:
    """A file has the SOP Instance UID of `instance` but other content; it was not taken."""

    TYPE: ClassVar[str] = "conflict-noted"
    VERSION: ClassVar[int] = 1

    instance: Handle
    source: str | None
    content: Content


@frozen
class PatientNameNoted:
    """`instance` has the Patient ID of the existing PATIENT `record`, but another name.

    PS3.3 Section F.5.1 has each Patient ID once in a File-set, so the instance went below that
    record, which keeps its `standing` name. Both names are text, decoded.
    """

    TYPE: ClassVar[str] = "patient-name-noted"
    VERSION: ClassVar[int] = 1

    instance: Handle
    record: RecordRef
    name: str
    standing: str


@frozen
class RecordMended:
    """A DICOMDIR was not as it should be, and what is recorded of it was put right on adoption.

    `kind` names what was wrong (:class:`~projections.mending.MendKind`). It concerns the directory
    record at `offset` (``None`` for the DICOMDIR as a whole and for a file that no record named),
    the file at `file_id`, and the `instance`, where that is part of the File-set. `was` and `now`
    tell what the DICOMDIR said and what holds instead, ``None`` for nothing: UIDs, types, offsets
    and keywords, and none of the values that tell of a patient.
    """

    TYPE: ClassVar[str] = "record-mended"
    VERSION: ClassVar[int] = 1

    kind: str
    offset: int | None = None
    file_id: str | None = None
    was: str | None = None
    now: str | None = None
    instance: Handle | None = None


@frozen
class RecordsKept:
    """Of the records that the event at `of` introduced, those that others still stand under.

    That event's payload is erased in the same change: these `parents`, the first ones of its own,
    stand below `under` in its place, under the same :class:`RecordRef`.
    """

    TYPE: ClassVar[str] = "records-kept"
    VERSION: ClassVar[int] = 1

    of: int
    parents: tuple[Record, ...]
    under: RecordRef | None = None


@frozen
class PayloadErased:
    """The payloads at `positions`, runs of first and last, are erased, with what they held.

    This event's change says who did it and why; it tells nothing of what was erased. Of the
    instances added there, the `adopted` ones came with a medium. `records` gives, for each event
    that introduced records which go, its position and how many of them stay: the first ones,
    which a :class:`RecordsKept` carries on. Appending this event is what erases: both happen or
    neither.
    """

    TYPE: ClassVar[str] = "payload-erased"
    VERSION: ClassVar[int] = 1

    positions: tuple[tuple[int, int], ...]
    adopted: tuple[tuple[int, int], ...] = ()
    records: tuple[tuple[int, int], ...] = ()

    def each(self) -> Iterator[int]:
        """Yield the positions one by one."""
        for first, last in self.positions:
            yield from range(first, last + 1)


@frozen
class ErasureCompleted:
    """What the event at `started` erased is gone from vault, caches and free space as well."""

    TYPE: ClassVar[str] = "erasure-completed"
    VERSION: ClassVar[int] = 1

    started: int


@frozen
class JournalRecovered:
    """The journal was damaged, and recovered up to the position `base`: what followed is lost.

    `last` is the last position that is known to be lost, ``None`` where none is known, and
    `damaged` the SHA-256 of the damaged database, ``None`` if there was none.
    """

    TYPE: ClassVar[str] = "journal-recovered"
    VERSION: ClassVar[int] = 1

    base: int
    last: int | None = None
    damaged: Digest | None = None


@frozen
class Erased:
    """What a journal gives in the place of an event whose payload was erased; none is appended.

    `type` is what the event was. Of one that added an instance, `parents` are the records that
    others stand under, below `under`, and `adopted` says whether the instance came with a medium.
    """

    TYPE: ClassVar[str] = "erased"
    VERSION: ClassVar[int] = 1

    type: str
    parents: tuple[Record, ...] = ()
    under: RecordRef | None = None
    adopted: bool = False


Event: TypeAlias = (
    FileSetCreated
    | FileSetImported
    | InstanceAdded
    | InstanceRemoved
    | InstanceRestored
    | ContentRecorded
    | StrangerKept
    | FileSetIDChanged
    | FileSetUIDChanged
    | DescriptorFileIDChanged
    | DescriptorCharacterSetChanged
    | ChangeUndone
    | ChangeRedone
    | ChangeReverted
    | PositionTagged
    | TagDeleted
    | WriteStarted
    | WriteCompleted
    | WriteAbandoned
    | MediumLost
    | DamageNoted
    | DamageRepaired
    | WriteExported
    | InstanceRejected
    | ConflictNoted
    | PatientNameNoted
    | RecordMended
    | RecordsKept
    | PayloadErased
    | ErasureCompleted
    | JournalRecovered
    | Erased
)

EVENT_TYPES: dict[str, type[Event]] = {cls.TYPE: cls for cls in Event.__args__ if cls is not Erased}
"""Every class of events that a journal keeps, by its stable type name."""
