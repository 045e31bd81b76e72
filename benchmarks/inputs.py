"""Synthetic CT instances, made from a seed: one is encoded by pydicom, the others are patched.

The headers are a real scanner's, that of the CT instance which pydicom ships, with its some 260
elements; *sparse* ones have 50. All varying values have a fixed width, so an instance is the
template with other bytes at known places. A series has 200 slices, a patient one study of five
series:

    PT000000/ST000000/SE000000/IM000000
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Iterator
from math import isqrt
from pathlib import Path
from typing import Final

from pydicom import examples
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from ledger.digest import digest_of
from ledger.elements import Element, encode
from ledger.events import Content, InstanceAdded, Record, RecordRef

SLICES: Final = 200
"""Instances in a series."""

SERIES: Final = 5
"""Series in a study; a patient has one study."""

_MARK: Final = 0  # the number that the template has everywhere: its digits are looked for
_FIELDS: Final[dict[str, Callable[[int, int], str]]] = {
    "SOPInstanceUID": lambda seed, number: f"2.25.1{seed:06d}7{number:020d}",
    "SeriesInstanceUID": lambda seed, number: f"2.25.2{seed:06d}7{number // SLICES:020d}",
    "StudyInstanceUID": lambda seed, number: f"2.25.3{seed:06d}7{_patient(number):020d}",
    "PatientID": lambda _, number: f"PID{_patient(number):09d}",
    "PatientName": lambda _, number: f"Family{_patient(number):07d}^Given",
    "StudyID": lambda _, number: f"STU{_patient(number):09d}",
    "AccessionNumber": lambda _, number: f"ACC{_patient(number):09d}",
    "SeriesDescription": lambda _, number: f"Axial series {number // SLICES % SERIES:05d}",
    "SeriesNumber": lambda _, number: f"9{number // SLICES % SERIES:07d}",
    "InstanceNumber": lambda _, number: f"8{number % SLICES:07d}",
    "ImageComments": lambda seed, number: f"synthetic {seed:06d} {number:011d}",
}


def _patient(number: int) -> int:
    return number // (SLICES * SERIES)


def values(seed: int, number: int) -> dict[str, str]:
    """Return the values, by keyword, in which instance `number` differs from others."""
    return {keyword: make(seed, number) for keyword, make in _FIELDS.items()}


def file_id(number: int) -> str:
    """Return the path of instance `number` below the folder of all."""
    series = number // SLICES
    return f"PT{_patient(number):06d}/ST000000/SE{series % SERIES:06d}/IM{number % SLICES:06d}"


def make_instances(folder: Path, count: int, *, size: int, seed: int, sparse: bool = False) -> Path:
    """Write `count` instances of about `size` bytes each to the new folder `folder`."""
    for number, data in enumerate(instances(count, size=size, seed=seed, sparse=sparse)):
        path = folder / file_id(number)
        if number % SLICES == 0:
            path.parent.mkdir(parents=True)
        with path.open("xb", buffering=0) as file:
            file.write(data)
    return folder


def instances(count: int, *, size: int, seed: int, sparse: bool = False) -> Iterator[bytes]:
    """Yield the bytes of so many instances."""
    template = bytearray(_encoded(_template(size, seed, sparse=sparse)))
    places = {
        keyword: _places(template, text.encode()) for keyword, text in values(seed, _MARK).items()
    }
    for number in range(count):
        for keyword, text in values(seed, number).items():
            for start in places[keyword]:
                template[start : start + len(text)] = text.encode()
        yield bytes(template)


def _places(data: bytes | bytearray, text: bytes) -> list[int]:
    found = []
    start = data.find(text)
    while start >= 0:
        found.append(start)
        start = data.find(text, start + 1)
    return found


def _template(size: int, seed: int, *, sparse: bool) -> Dataset:
    """Return the first instance, with noise for pixels."""
    ds = _sparse(seed) if sparse else examples.ct
    for keyword, text in values(seed, _MARK).items():
        setattr(ds, keyword, text)
    ds.Rows = ds.Columns = 0
    ds.PixelData = b""
    ds.pop("DataSetTrailingPadding", None)
    side = max(1, isqrt(max(0, size - len(_encoded(ds))) // 2))
    ds.Rows = ds.Columns = side
    ds.PixelData = random.Random(seed).randbytes(2 * side * side)  # noqa: S311 - noise
    return ds


def _sparse(seed: int) -> Dataset:
    """Return the least that a scanner gives."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.SOPClassUID = CTImageStorage
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20240229"
    ds.StudyTime = ds.SeriesTime = ds.AcquisitionTime = ds.ContentTime = "120000"
    ds.Modality = "CT"
    ds.Manufacturer = "Synthetic"
    ds.InstitutionName = "General Hospital"
    ds.ReferringPhysicianName = "Doctor^A"
    ds.StudyDescription = "CT of the chest"
    ds.ManufacturerModelName = "Model 1"
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "O"
    ds.BodyPartExamined = "CHEST"
    ds.SliceThickness = "1.25"
    ds.KVP = "120"
    ds.SoftwareVersions = "1.0"
    ds.ProtocolName = "Chest routine"
    ds.ConvolutionKernel = "STANDARD"
    ds.PatientPosition = "HFS"
    ds.FrameOfReferenceUID = f"2.25.4{seed:06d}"
    ds.PositionReferenceIndicator = ""
    ds.AcquisitionNumber = 1
    ds.ImagePositionPatient = ["-150", "-150", "0"]
    ds.ImageOrientationPatient = ["1", "0", "0", "0", "1", "0"]
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.PixelSpacing = ["0.5", "0.5"]
    ds.BitsAllocated = ds.BitsStored = 16
    ds.HighBit = 15
    ds.PixelRepresentation = 0
    ds.RescaleIntercept = "-1024"
    ds.RescaleSlope = "1"
    return ds


def _encoded(ds: Dataset) -> bytes:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    buffer = io.BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def events_of_instances(count: int) -> list[InstanceAdded]:
    """Return the events that add so many instances of one series."""
    number = [Element(0x00200013, "IS", str(each % SLICES).encode()) for each in range(count)]
    named = Element(0x00080005, "CS", b"ISO_IR 100")
    return [
        InstanceAdded(
            sop_instance_uid=f"2.25.1{each:027d}",
            sop_class_uid=str(CTImageStorage),
            transfer_syntax_uid=str(ExplicitVRLittleEndian),
            record=Record("IMAGE", encode([named, element])),
            under=RecordRef(2, 2),
            content=Content(digest_of(str(each).encode()), 526_000 + each),
            source=f"/data/incoming/CT/SE{each // SLICES:06d}/IM{each % SLICES:06d}",
        )
        for each, element in enumerate(number)
    ]
