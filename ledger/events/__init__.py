"""The events: everything that can happen to a File-set, as frozen values.

An event states one fact. Where the fact comes from the outside world (an instance's elements, its
digest, the path it lay at, a generated UID), the event carries it, so that the journal alone
tells the story on any later day and under any later version of pydicom. Events know nothing of
their serialisation (`ledger.journal.codec`) nor of their place in the journal
(`ledger.journal.protocol`). What is particular to one type of event (whether undo takes it
back, which instances it names, its words for people) stands on its class and nowhere else.

An *instance handle* is the position of the event that added the instance; it names one addition
of one content, where a SOP Instance UID might name two over time. A record that several instances
share (PATIENT, STUDY, SERIES, PRIVATE) is carried once, by the event that introduces it, and
named by a `RecordRef` from then on.

File IDs are written with `/` between their components: `PT000000/ST000000/SE000000/IM000000`.
"""

from __future__ import annotations

from ledger.events.changes import (
    ChangeRedone,
    ChangeReverted,
    ChangeStep,
    ChangeUndone,
    PositionTagged,
    TagDeleted,
)
from ledger.events.corrections import (
    CorrectionReason,
    ElementCorrected,
    InstanceCorrected,
    InstancesConverted,
    InstancesCorrected,
)
from ledger.events.erasure import (
    Erased,
    ErasureCompleted,
    JournalRecovered,
    PayloadErased,
    RecordsKept,
)
from ledger.events.event import (
    EVENT_TYPES,
    AboutInstance,
    Content,
    Event,
    Handle,
    Naming,
    Placement,
    Record,
    RecordRef,
    Variant,
)
from ledger.events.identity import (
    IDENTITY_EVENTS,
    DescriptorCharacterSetChanged,
    DescriptorFileIDChanged,
    FileSetIDChanged,
    FileSetUIDChanged,
    IdentityChanged,
    ProfileChanged,
)
from ledger.events.instances import (
    ContentRecorded,
    FileSetCreated,
    FileSetImported,
    InstanceAdded,
    InstanceRemoved,
    InstanceRestored,
)
from ledger.events.media import (
    AboutMedium,
    MediumAddressed,
    MediumBurnt,
    MediumFilled,
    MediumProduced,
    MediumStarted,
    MediumVerified,
    OtherFile,
    PixelScript,
)
from ledger.events.medium import (
    DamageNoted,
    DamageRepaired,
    MediumLeft,
    MediumLost,
    WriteAbandoned,
    WriteCompleted,
    WriteEnded,
    WriteExported,
    WriteStarted,
)
from ledger.events.notes import (
    ArrivalWithheld,
    ConflictNoted,
    InstanceRejected,
    MismatchNoted,
    MismatchSettled,
    PatientNameNoted,
    RecordMended,
    StrangerKept,
)
from ledger.events.record_elements import IconRecorded, RecordElementsRecorded

__all__ = [
    "EVENT_TYPES",
    "IDENTITY_EVENTS",
    "AboutInstance",
    "AboutMedium",
    "ArrivalWithheld",
    "ChangeRedone",
    "ChangeReverted",
    "ChangeStep",
    "ChangeUndone",
    "ConflictNoted",
    "Content",
    "ContentRecorded",
    "CorrectionReason",
    "DamageNoted",
    "DamageRepaired",
    "DescriptorCharacterSetChanged",
    "DescriptorFileIDChanged",
    "ElementCorrected",
    "Erased",
    "ErasureCompleted",
    "Event",
    "FileSetCreated",
    "FileSetIDChanged",
    "FileSetImported",
    "FileSetUIDChanged",
    "Handle",
    "IconRecorded",
    "IdentityChanged",
    "InstanceAdded",
    "InstanceCorrected",
    "InstanceRejected",
    "InstanceRemoved",
    "InstanceRestored",
    "InstancesConverted",
    "InstancesCorrected",
    "JournalRecovered",
    "MediumAddressed",
    "MediumBurnt",
    "MediumFilled",
    "MediumLeft",
    "MediumLost",
    "MediumProduced",
    "MediumStarted",
    "MediumVerified",
    "MismatchNoted",
    "MismatchSettled",
    "Naming",
    "OtherFile",
    "PatientNameNoted",
    "PayloadErased",
    "PixelScript",
    "Placement",
    "PositionTagged",
    "ProfileChanged",
    "Record",
    "RecordElementsRecorded",
    "RecordMended",
    "RecordRef",
    "RecordsKept",
    "StrangerKept",
    "TagDeleted",
    "Variant",
    "WriteAbandoned",
    "WriteCompleted",
    "WriteEnded",
    "WriteExported",
    "WriteStarted",
]  # fmt: skip
