"""What the label of a medium says: lines of text, and the content of its QR code.

By IHE PDI, the outside of a medium names the patient, dates, the institution, and whether it has
pages for a browser besides DICOM.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable
from typing import Final

from attrs import field, frozen

from fileset.media.label.words import LABEL_WORDS, LabelWords
from fileset.media.pdi.pages import date_text, name_text
from fileset.media.words import LANGUAGES, Words
from ledger.digest import short
from projections.past.media import Medium
from projections.state.contents import Contents, Patient, Study

DICOM_ONLY: Final = "DICOM ONLY"
DICOM_PLUS_WEB: Final = "DICOM PLUS WEB"

_HIDDEN: Final = frozenset(("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI", "BN"))
"""Bidirectional classes of what can't be seen and can make a name read otherwise than it is."""

_JOINERS: Final = "\u200c\u200d"  # that Persian and Indic names are spelt with

Shows = Callable[[str], bool]
"""Whether the fonts have all characters of a text."""


def plain(text: str) -> str:
    """Return text as one line: no control characters, and none that reorder what follows."""
    kept = "".join(
        each
        for each in text
        if each.isspace()
        or each in _JOINERS
        or (unicodedata.category(each) != "Cc" and unicodedata.bidirectional(each) not in _HIDDEN)
    )
    return " ".join(kept.split())


def _plain_each(texts: Iterable[str]) -> tuple[str, ...]:
    return tuple(plain(text) for text in texts)


@frozen
class Label:
    """What a label says.

    Attributes
    ----------
    patient : tuple of str
        The lines about the patient; of several, about the first, and how many others there are.
    studies : tuple of str
        A line for each study of that patient.
    others : callable
        Returns the line that says that so many studies are not named.
    institution, kind, volume, note, recipient : str
        Who made it, what it has (`DICOM_ONLY` or `DICOM_PLUS_WEB`), which one of several it is,
        what the user wants on it, and for whom it is; empty where there is nothing to say.
    facts : tuple of str
        What identifies it: number and date, File-set ID and UID, digest.
    hint : str
        What to do with it.
    code : str
        What the QR code says: the File-set UID and the digest, a line each.
    left_out : tuple of str
        Representations of names that the fonts don't have.
    """

    patient: tuple[str, ...] = field(converter=_plain_each)
    studies: tuple[str, ...] = field(converter=_plain_each)
    others: Callable[[int], str]
    institution: str = field(converter=plain)
    kind: str
    volume: str
    note: str = field(converter=plain)
    recipient: str = field(converter=plain)
    facts: tuple[str, ...] = field(converter=_plain_each)
    hint: str
    code: str
    left_out: tuple[str, ...] = ()


def label_of(
    medium: Medium,
    contents: Contents,
    institution: str,
    language: str,
    *,
    has_pages: bool,
    shows: Shows,
) -> Label:
    """Return what the label of a finished medium says, in a language of `LANGUAGES`.

    `has_pages` is whether it has any for a browser.
    A representation of a name (PS3.5 Section 6.2.1.1) that can't be shown is left out as long as
    there is another one.
    """
    assert medium.produced is not None  # noqa: S101 - others have no label
    assert medium.produced_by is not None  # noqa: S101 - as above
    words, more = LANGUAGES[language], LABEL_WORDS[language]
    started, addressed = medium.started, medium.addressed
    patient = contents.patients[0] if contents.patients else None
    told, left_out = _patient(patient, words, shows) if patient is not None else ((), ())
    if len(contents.patients) > 1:
        others = len(contents.patients) - 1
        told = (*told, _number(others, more.other_patient, more.other_patients))
    made = medium.produced_by.recorded_at
    return Label(
        patient=told,
        studies=tuple(_study(study, words) for study in patient.studies) if patient else (),
        others=_others(more),
        institution=institution,
        kind=DICOM_PLUS_WEB if has_pages else DICOM_ONLY,
        volume=words.volume.format(volume=started.volume, volumes=started.volumes)
        if started.volumes > 1
        else "",
        note=addressed.label or "" if addressed else "",
        recipient=f"{more.recipient}: {medium.recipient}" if medium.recipient else "",
        facts=(
            ", ".join((
                more.medium.format(medium.number),
                date_text(made[:10].replace("-", ""), words),
                _number(started.count, more.instance, more.instances),
            )),
            ", ".join(filter(None, (started.id, started.uid))),
            short(medium.produced.image.digest),
        ),
        hint=more.read_with,
        code=f"{started.uid}\n{medium.produced.image.digest}",
        left_out=left_out,
    )  # fmt: skip


def _patient(
    patient: Patient, words: Words, shows: Shows
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the lines about a patient, and the representations of the name that are left out."""
    groups = patient.name.split("=")
    shown = [group for group in groups if group and shows(plain(group))]
    if not shown:
        shown = groups
    name = name_text("=".join(shown), words)
    birth = date_text(patient.birth_date, words)
    more = (
        f"{words.patient_id}: {patient.id}" if patient.id else "",
        f"{words.birth_date}: {birth}" if birth else "",
    )
    left_out = tuple(group for group in groups if group and group not in shown)
    return (name, *filter(None, more)), left_out


def _study(study: Study, words: Words) -> str:
    modalities = "/".join(dict.fromkeys(s.modality for s in study.series if s.modality))
    told = (date_text(study.date, words), modalities, study.description)
    return ", ".join(filter(None, told)) or words.study


def _others(words: LabelWords) -> Callable[[int], str]:
    return lambda number: _number(number, words.other_study, words.other_studies)


def _number(number: int, one: str, several: str) -> str:
    return one if number == 1 else several.format(f"{number:,}")
