"""A person whose data is to be erased, and a repository that has all there is to her."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread, examples

from fileset import FileSet
from fileset.erasure.plan import Erasure

NAME, ID = "Ersilia^Quux", "ERASE-4711"
UID = "1.2.826.0.1.3680043.8.498.4711"
PIXELS = b"the pixels of the one who goes. "
SECRETS = [
    b"ersilia", b"quux", ID.lower().encode(), UID.encode(), PIXELS, b"/hers/", b"notes.dcm"
]  # fmt: skip
REASON = "request 2026-17"


def instance(path: Path, number: int, *, hers: bool, uid: str | None = None) -> Path:
    """Save a small instance as `path`: hers, or another patient's."""
    ds: Dataset = dcmread(examples.get_path("ct"))
    ds.PatientName, ds.PatientID = (NAME, ID) if hers else ("Stay^Anne", "STAYS")
    root = UID if hers else "1.2.3"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"{root}.1", f"{root}.2"
    ds.SOPInstanceUID = uid or f"{root}.3.{number}"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.InstanceNumber = number
    ds.Rows = ds.Columns = 32
    ds.PixelData = (PIXELS if hers else b"others' pixels, which do stay.. ") * 64
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.save_as(path)
    return path


def files_in(folder: Path) -> Path:
    """Return a folder of files: `hers` with one that is none, and `theirs`."""
    for number in range(3):
        instance(folder / "in" / "hers" / f"{number}", number, hers=True)
        instance(folder / "in" / "theirs" / f"{number}", number, hers=False)
    (folder / "in" / "hers" / "notes.dcm").write_bytes(b"\0" * 128 + b"DICM not hers to see")
    return folder / "in"


def repository_of(files: Path) -> Path:
    """Return a repository that has had all there is: added, written, in conflict, removed."""
    folder = files.parent
    with FileSet(repository=folder / "archive") as fs, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fs.add_many(files, reason="all of them")
        fs.add(instance(files / "hers" / "conflict", 9, hers=True, uid=f"{UID}.3.0"))
        fs.write(folder / "medium")
        fs.copy(folder / "copy")
        fs.remove(fs.find(PatientID=ID))
        fs.write()
    return folder / "archive"


def traces(folder: Path) -> list[str]:
    """Return what in the files of a folder tells of the person, in whatever case."""
    found = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        data = file.read_bytes().lower()
        found += [f"{file.name}: {secret!r}" for secret in SECRETS if secret.lower() in data]
    return found


def erase(path: Path, **options: Any) -> Erasure:
    with FileSet.open(path) as fs:
        return fs.erase(PatientID=ID, reason=REASON, **options)
