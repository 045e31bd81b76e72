"""The values by which instances become those of another patient, whom the File-set knows."""

from __future__ import annotations

from typing import Any, Final

from pydicom.datadict import keyword_for_tag

from fileset.errors import NoSuchInstanceError
from fileset.values import readable_element, value_text
from ledger.elements import iterate
from ledger.instances.correcting.edits import REMOVE
from ledger.tags import SPECIFIC_CHARACTER_SET
from projections.state.differences import differences
from projections.state.persons import said_of
from projections.state.state import FileSetState

_EVERYBODY_HAS: Final = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
"""The type 1 and 2 attributes of the Patient Module (PS3.3 Table C.7-1)."""

_OF_THE_ID: Final = ("IssuerOfPatientID", "IssuerOfPatientIDQualifiersSequence", "TypeOfPatientID")
"""What says of which kind a Patient ID is: of another ID it is wrong."""


def values_of_patient(
    state: FileSetState, patient_id: str, *, is_same: bool = False
) -> dict[str, Any]:
    """Return what makes an instance that of the patient with an ID, by keyword.

    That is all that one of the patient's instances says, unless it says otherwise than the record.
    What none of them says is emptied; with `is_same` it stays, since the instances that come are of
    the same person. NoSuchInstanceError (ValueError) if the File-set has none of that patient.
    """
    named = state.hierarchy.named.get(("PATIENT", patient_id.strip()), ())
    live = sorted((branch for branch in named if branch.live), key=lambda branch: branch.place)
    if not live:
        raise NoSuchInstanceError(f"The File-set has no patient with the ID '{patient_id}'.")
    known: dict[str, Any] = dict.fromkeys(_OF_THE_ID, REMOVE)
    if not is_same:
        known |= dict.fromkeys(_EVERYBODY_HAS, "")
    standing = live[0].record
    said = {each: None for branch in live for each in said_of(branch)}
    told: dict[str, str] = {}
    for record in (standing, *said):
        if differences(record, standing):
            continue
        for held in (record.elements, record.unwritten):
            for element in iterate(held):
                if element.vr == "SQ":  # an adopted record may have one, and it is no one value
                    continue
                keyword = keyword_for_tag(element.tag)
                readable = readable_element(held, element.tag)
                if keyword and readable is not None and element.tag != SPECIFIC_CHARACTER_SET:
                    told[keyword] = told.get(keyword) or value_text(readable)
    return known | {keyword: text for keyword, text in told.items() if text}
