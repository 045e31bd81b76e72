"""Whose the instances of an adopted File-set are: by its DICOMDIR, and by the files themselves."""

from __future__ import annotations

from typing import Final

from fileset.adoption.existing import warn
from fileset.repository.repository import Repository
from ledger.elements import Element, encode, iterate
from ledger.errors import ElementsError
from ledger.events import Handle, InstanceAdded, MismatchNoted, Record
from ledger.instances.instance import Instance
from ledger.instances.persons import with_person
from ledger.instances.record_keys import KEYS
from ledger.phrases import count, some
from ledger.tags import PATIENT_ID, PATIENT_NAME, SPECIFIC_CHARACTER_SET
from projections.past.diff import above
from projections.state.differences import differences, in_words, keyword_of
from projections.state.keys import record_key
from projections.state.persons import other_person

_PATIENT: Final = "PATIENT"
_SHOWN: Final = 5
"""Of how many persons it is told how they differ."""


def said_of_patient(listed: Record, instance: Instance, *, is_first: bool) -> Record:
    """Return what an instance says of its patient, whose PATIENT record is `listed`.

    If the file has a different name, that one counts. The `is_first` instance of a record brings
    the record as the DICOMDIR has it, so the name in its file is not written.
    """
    listed = Record(_PATIENT, listed.elements)
    held = [
        Element(tag, KEYS[tag].vr, bytes(element.value).strip(b"\0 "))
        for tag in (SPECIFIC_CHARACTER_SET, PATIENT_NAME, PATIENT_ID)
        if (element := instance.header.get(tag)) is not None
    ]
    try:
        of_file = Record(_PATIENT, encode(held))
        if record_key(of_file) != record_key(listed):
            return listed  # and its patient is another one, which is told
        as_listed = with_person((listed,), instance)[0]
        if not differences(of_file, listed):
            return as_listed
        if not is_first:
            return with_person((of_file,), instance)[0]
        besides = {each.tag: each for each in (*iterate(as_listed.unwritten), *held)}
        del besides[PATIENT_ID]
        unwritten = encode(besides[tag] for tag in sorted(besides))
        return Record(_PATIENT, listed.elements, unwritten)
    except ElementsError:
        return listed


class Persons:
    """Collects the instances of a File-set, and reports those that may be of different persons."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self._told: dict[Record, tuple[str, list[str]]] = {}

    def add(self, event: InstanceAdded, said: Record | None, file_id: str) -> Handle:
        """Record an instance, and that it is of another person, once for each.

        `said` is what it says of its patient, `None` if it has no PATIENT record.
        """
        other = None if said is None else other_person(self._repository.state, said)
        handle = self._repository.emit(event)
        if said is not None and other is not None:
            found = differences(said, other)
            if said not in self._told:
                self._told[said] = in_words(_PATIENT, found), []
                patient = above(self._repository.state.leaf(handle).home)[0]
                keywords = tuple(map(keyword_of, found))
                self._repository.emit(MismatchNoted(handle, patient.ref, keywords))
            self._told[said][1].append(file_id)
        return handle

    def warn(self) -> None:
        """Warn of them, with the files and how they differ."""
        told = list(self._told.values())
        for words, file_ids in told[:_SHOWN]:
            warn(f"{some(file_ids)}: {words}")
        if more := sum(len(file_ids) for _, file_ids in told[_SHOWN:]):
            warn(f"{count(more, 'more file')}: another person may have the Patient ID")
