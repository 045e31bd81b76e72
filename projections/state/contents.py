"""Patients, studies and series of a choice of instances, with their values as text."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from attrs import define, field

from ledger.elements import character_set, find
from ledger.events import Record
from ledger.tags import PATIENT_BIRTH_DATE, PATIENT_ID, PATIENT_NAME, PATIENT_SEX
from projections.dicomdir.text import readable
from projections.state.nodes import Branch, Leaf

_STUDY_DATE: Final = 0x00080020
_ACCESSION_NUMBER: Final = 0x00080050
_MODALITY: Final = 0x00080060
_STUDY_DESCRIPTION: Final = 0x00081030
_SERIES_DESCRIPTION: Final = 0x0008103E
_SERIES_NUMBER: Final = 0x00200011


@define
class Series:
    """A series and its instances, in the order of the DICOMDIR."""

    modality: str
    number: str
    description: str
    leaves: list[Leaf] = field(factory=list)

    @property
    def middle(self) -> Leaf:
        """The instance that stands for the others: the middle one."""
        return self.leaves[len(self.leaves) // 2]


@define
class Study:
    """A study and its series; the date is as DICOM writes it, YYYYMMDD."""

    date: str
    description: str
    accession: str
    series: list[Series] = field(factory=list)


@define
class Patient:
    """A patient and the studies; `name` is as DICOM writes it, with carets."""

    name: str
    id: str
    birth_date: str
    sex: str
    studies: list[Study] = field(factory=list)


@define
class Contents:
    """All that is on a medium; `others` are the instances that belong to no series."""

    patients: list[Patient] = field(factory=list)
    others: list[Leaf] = field(factory=list)


def contents_of(leaves: Iterable[Leaf]) -> Contents:
    """Return what `leaves`, in the order of their DICOMDIR, are of."""
    contents = Contents()
    patients: dict[Branch, Patient] = {}
    studies: dict[Branch, Study] = {}
    all_series: dict[Branch, Series] = {}
    for leaf in leaves:
        levels = list(leaf.home.upwards())[::-1]
        if [level.record.type for level in levels[:3]] != ["PATIENT", "STUDY", "SERIES"]:
            contents.others.append(leaf)
            continue
        patient, study, series = levels[:3]
        if patient not in patients:
            patients[patient] = _patient(patient.record)
            contents.patients.append(patients[patient])
        if study not in studies:
            studies[study] = _study(study.record)
            patients[patient].studies.append(studies[study])
        if series not in all_series:
            all_series[series] = _series(series.record)
            studies[study].series.append(all_series[series])
        all_series[series].leaves.append(leaf)
    return contents


def count_series(contents: Contents) -> int:
    """Return how many series there are."""
    return sum(len(study.series) for patient in contents.patients for study in patient.studies)


def _patient(record: Record) -> Patient:
    return Patient(
        _text(record, PATIENT_NAME),
        _text(record, PATIENT_ID),
        _text(record, PATIENT_BIRTH_DATE),
        _text(record, PATIENT_SEX),
    )


def _study(record: Record) -> Study:
    return Study(
        _text(record, _STUDY_DATE),
        _text(record, _STUDY_DESCRIPTION),
        _text(record, _ACCESSION_NUMBER),
    )


def _series(record: Record) -> Series:
    return Series(
        _text(record, _MODALITY), _text(record, _SERIES_NUMBER), _text(record, _SERIES_DESCRIPTION)
    )


def _text(record: Record, tag: int) -> str:
    return readable(find(record.elements, tag), character_set(record.elements)).strip()


# --- values as people read them ------------------------------------------------------------------


def person_name(value: str) -> str:
    """Return a person's name: family name first, other representations in brackets."""
    groups = [_of_group(group) for group in value.split("=")]
    first, *others = [group for group in groups if group] or [""]
    return f"{first} ({', '.join(others)})" if others else first


def _of_group(group: str) -> str:
    """Return one representation of a name (PS3.5 Section 6.2.1.1)."""
    family, given, middle, prefix, suffix, *_ = [*map(str.strip, group.split("^")), *[""] * 5]
    first = " ".join(filter(None, (prefix, given, middle)))
    name = ", ".join(filter(None, (family, first)))
    return f"{name}, {suffix}" if suffix and name else name or suffix
