"""Instances of one Patient ID that are of one person, or of two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cli_runs import CT
from pydicom import dcmread

ANNA = {"PatientName": "Roth^Anna", "PatientBirthDate": "19700101", "PatientSex": "F"}
TWIN = {"PatientName": "Roth^Berta", "PatientBirthDate": "19700101", "PatientSex": "F"}


def file(folder: Path, number: int, **values: Any) -> Path:
    """Return the file of instance `number` of patient 77, with these values."""
    ds = dcmread(CT)
    ds.PatientID = "77"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
    for keyword, value in {"PatientBirthDate": "", "PatientSex": "", **values}.items():
        setattr(ds, keyword, value)
    folder.mkdir(exist_ok=True)
    path = folder / f"I{number}"
    ds.save_as(path, enforce_file_format=True)
    return path
