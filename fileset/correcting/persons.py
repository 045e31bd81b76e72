"""The values by which instances become those of another patient, whom the File-set knows."""

from __future__ import annotations

from typing import Final

from pydicom.datadict import keyword_for_tag

from fileset.errors import NoSuchInstanceError
from fileset.values import readable_element, value_text
from ledger.elements import iterate
from ledger.tags import SPECIFIC_CHARACTER_SET
from projections.state.state import FileSetState

_EVERYBODY_HAS: Final = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex")
"""The type 1 and 2 attributes of the Patient Module (PS3.3 Table C.7-1)."""


def values_of_patient(state: FileSetState, patient_id: str) -> dict[str, str]:
    """Return what tells the patient with an ID from others, by keyword.

    NoSuchInstanceError (ValueError) if the File-set has no instances of that patient.
    """
    named = state.hierarchy.named.get(("PATIENT", patient_id.strip()), ())
    live = sorted((branch for branch in named if branch.live), key=lambda branch: branch.place)
    if not live:
        raise NoSuchInstanceError(f"The File-set has no patient with the ID '{patient_id}'.")
    found = dict.fromkeys(_EVERYBODY_HAS, "")
    for held in (live[0].record.elements, live[0].record.unwritten):
        for element in iterate(held):
            keyword = keyword_for_tag(element.tag)
            readable = readable_element(held, element.tag)
            if keyword and readable is not None and element.tag != SPECIFIC_CHARACTER_SET:
                found[keyword] = value_text(readable)
    return found
