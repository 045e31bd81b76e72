"""The words of a label that the pages don't have, in the same languages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen


@frozen
class LabelWords:
    """What a label says in one language; an `{}` is where a number goes."""

    other_patient: str
    other_patients: str
    other_study: str
    other_studies: str
    instance: str
    instances: str
    recipient: str
    medium: str
    read_with: str


LABEL_WORDS: Final[Mapping[str, LabelWords]] = {
    "en": LabelWords(
        other_patient="and 1 other patient",
        other_patients="and {} other patients",
        other_study="and 1 other study",
        other_studies="and {} other studies",
        instance="1 instance",
        instances="{} instances",
        recipient="For",
        medium="Medium {}",
        read_with=(
            "Open the DICOMDIR with a DICOM viewer. The code has the File-set UID and the digest."
        ),
    ),
    "de": LabelWords(
        other_patient="und 1 weiterer Patient",
        other_patients="und {} weitere Patienten",
        other_study="und 1 weitere Untersuchung",
        other_studies="und {} weitere Untersuchungen",
        instance="1 Instanz",
        instances="{} Instanzen",
        recipient="Für",
        medium="Datenträger {}",
        read_with=(
            "Öffnen Sie die Datei DICOMDIR mit einem DICOM-Betrachter. Der Code enthält "
            "File-set-UID und Prüfsumme."
        ),
    ),
}
"""The words by the code of the language (ISO 639)."""
