"""The words of the pages, in each language that they can be in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from attrs import frozen


@frozen
class Words:
    """What the pages say in one language; `date` is how a date is written."""

    language: str
    date: str
    title: str
    patient: str
    patient_id: str
    birth_date: str
    sex: str
    sexes: Mapping[str, str]
    study: str
    studies: str
    accession: str
    series: str
    modality: str
    number: str
    description: str
    instances: str
    others: str
    others_told: str
    no_preview: str
    back: str
    volume: str
    institution: str
    contact: str
    made: str
    made_with: str
    purpose: str
    unnamed: str
    viewer: str
    viewer_notice: str
    image: str
    play: str
    stop: str
    reset: str
    previous: str
    following: str
    nothing: str
    unread: str


_ENGLISH: Final = Words(
    language="en",
    date="{year}-{month}-{day}",
    title="Medical images",
    patient="Patient",
    patient_id="Patient ID",
    birth_date="Date of birth",
    sex="Sex",
    sexes={"M": "male", "F": "female", "O": "other"},
    study="Study",
    studies="Studies",
    accession="Accession number",
    series="Series",
    modality="Modality",
    number="Number",
    description="Description",
    instances="Images and documents",
    others="Not shown here",
    others_told="A DICOM viewer shows these:",
    no_preview="no preview",
    back="Contents",
    volume="Volume {volume} of {volumes}",
    institution="Institution",
    contact="Contact",
    made="Contents as of",
    made_with="Made with",
    purpose=(
        "The previews are not for diagnosis. For that, open the DICOMDIR on this medium with a "
        "DICOM viewer."
    ),
    unnamed="(no name)",
    viewer="Show the images",
    viewer_notice=(
        "Not for diagnosis: this page shows the images for information only, and measures nothing."
    ),
    image="Image",
    play="Play",
    stop="Stop",
    reset="Reset window",
    previous="Previous image",
    following="Next image",
    nothing="nothing to show",
    unread="Can't be read:",
)
_GERMAN: Final = Words(
    language="de",
    date="{day}.{month}.{year}",
    title="Medizinische Bilder",
    patient="Patient",
    patient_id="Patienten-ID",
    birth_date="Geburtsdatum",
    sex="Geschlecht",
    sexes={"M": "männlich", "F": "weiblich", "O": "divers"},
    study="Untersuchung",
    studies="Untersuchungen",
    accession="Auftragsnummer",
    series="Serie",
    modality="Modalität",
    number="Nummer",
    description="Beschreibung",
    instances="Bilder und Dokumente",
    others="Hier nicht gezeigt",
    others_told="Ein DICOM-Betrachter zeigt:",
    no_preview="keine Vorschau",
    back="Inhalt",
    volume="Datenträger {volume} von {volumes}",
    institution="Einrichtung",
    contact="Kontakt",
    made="Inhalt vom",
    made_with="Erstellt mit",
    purpose=(
        "Die Vorschaubilder sind nicht zur Befundung geeignet. Öffnen Sie dazu die Datei DICOMDIR "
        "auf diesem Datenträger mit einem DICOM-Betrachter."
    ),
    unnamed="(ohne Namen)",
    viewer="Bilder anzeigen",
    viewer_notice=(
        "Nicht zur Befundung: Diese Seite zeigt die Bilder nur zur Information und misst nichts."
    ),
    image="Bild",
    play="Abspielen",
    stop="Anhalten",
    reset="Fensterung zurücksetzen",
    previous="Voriges Bild",
    following="Nächstes Bild",
    nothing="nichts anzuzeigen",
    unread="Nicht lesbar:",
)

LANGUAGES: Final[Mapping[str, Words]] = {words.language: words for words in (_ENGLISH, _GERMAN)}
"""The languages by their code (ISO 639)."""
