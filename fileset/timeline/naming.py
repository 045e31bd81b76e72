"""The names by which people know instances, read from the events that added them."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Final

from attrs import frozen

from ledger.errors import JournalDamagedError, UnknownFormatError
from ledger.events import Erased, Handle, InstanceAdded, RecordRef
from ledger.journal.entries import Stored
from ledger.journal.protocol import Journal, body_of
from projections.state.keys import record_key

_KEPT: Final = 100_000  # instances and records that are remembered


@cache
def sop_class_name(uid: str) -> str:
    """Return the name of a SOP class, or the UID of one that has none."""
    from pydicom.uid import UID  # noqa: PLC0415 - the log does without pydicom

    return UID(uid).name or uid


@frozen
class _Named:
    """What an instance is called; its `uid` is empty if it is `unknown`, and why."""

    uid: str
    sop_class_uid: str
    patient: str | None
    unknown: str = ""


class Names:
    """Tells what people know the instances of a journal by."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._named = lru_cache(_KEPT)(self._look_up)
        self._patients = lru_cache(_KEPT)(self._patient_of_record)

    def instance(self, handle: Handle) -> str:
        """Return what an instance is, whose, and its UID."""
        named = self._named(handle)
        if not named.uid:
            return named.unknown
        whose = f" of {named.patient}" if named.patient else ""
        return f"{sop_class_name(named.sop_class_uid)}{whose}, {named.uid}"

    def patient(self, handle: Handle) -> str | None:
        """Return the Patient ID of an instance."""
        return self._named(handle).patient

    def patient_of(self, added: Stored) -> str | None:
        """Return the Patient ID of the instance that the event `added` adds."""
        if not added.payload:
            return None
        body = body_of(added)
        if "parents" not in body and (under := body.get("under")):  # most; decoding takes longer
            return self._patients(RecordRef(*under))
        return self.patient(added.position)

    def _added(self, handle: Handle) -> InstanceAdded | Erased:
        for recorded in self._journal.read(after=handle - 1, upto=handle):
            if isinstance(recorded.event, InstanceAdded | Erased):
                return recorded.event
        raise JournalDamagedError(
            f"The journal is damaged: the event at position {handle} adds no instance, and later "
            "ones name it.",
            position=handle,
        )

    def _look_up(self, handle: Handle) -> _Named:
        try:
            event = self._added(handle)
        except UnknownFormatError:
            return _Named("", "", None, "an instance that a newer version added")
        if isinstance(event, Erased):
            return _Named("", "", None, "an erased instance")
        patient = self._patient_above(event, len(event.parents))
        return _Named(event.sop_instance_uid, event.sop_class_uid, patient)

    def _patient_above(self, event: InstanceAdded | Erased, depth: int) -> str | None:
        for record in reversed(event.parents[:depth]):
            if record.type == "PATIENT":
                return record_key(record)
        return self._patients(event.under) if event.under is not None else None

    def _patient_of_record(self, ref: RecordRef) -> str | None:
        try:
            return self._patient_above(self._added(ref.position), ref.index + 1)
        except UnknownFormatError:
            return None
