"""The attributes that application profiles speak of, as PS3.6 defines them."""

from __future__ import annotations

from typing import Final

from ledger.instances.record_keys import KEYS, Key

_OF_RECORDS: Final = (0x00080008, 0x00080060, 0x00280008, 0x00280010, 0x00280011)
"""Image Type, Modality, Number of Frames, Rows and Columns: some directory records have them."""

ATTRIBUTES: Final[dict[str, Key]] = {
    key.keyword: key
    for key in (
        *(KEYS[tag] for tag in _OF_RECORDS),
        Key("TransferSyntaxUID", 0x00020010, "UI", "Transfer Syntax UID"),
        Key("AcquisitionDateTime", 0x0008002A, "DT", "Acquisition DateTime"),
        Key("InstitutionName", 0x00080080, "LO", "Institution Name"),
        Key("InstitutionAddress", 0x00080081, "ST", "Institution Address"),
        Key("PerformingPhysicianName", 0x00081050, "PN", "Performing Physician's Name"),
        Key("ManufacturerModelName", 0x00081090, "LO", "Manufacturer's Model Name"),
        Key("ReferencedImageSequence", 0x00081140, "SQ", "Referenced Image Sequence"),
        Key("PatientBirthDate", 0x00100030, "DA", "Patient's Birth Date"),
        Key("PatientSex", 0x00100040, "CS", "Patient's Sex"),
        Key("AcquisitionTimeSynchronized", 0x00181800, "CS", "Acquisition Time Synchronized"),
        Key("SequenceOfUltrasoundRegions", 0x00186011, "SQ", "Sequence of Ultrasound Regions"),
        Key("PhysicalUnitsXDirection", 0x00186024, "US", "Physical Units X Direction"),
        Key("PhysicalUnitsYDirection", 0x00186026, "US", "Physical Units Y Direction"),
        Key("PhysicalDeltaX", 0x0018602C, "FD", "Physical Delta X"),
        Key("PhysicalDeltaY", 0x0018602E, "FD", "Physical Delta Y"),
        Key("PixelComponentOrganization", 0x00186044, "US", "Pixel Component Organization"),
        Key("DetectorID", 0x0018700A, "SH", "Detector ID"),
        Key("DetectorManufacturerName", 0x0018702A, "LO", "Detector Manufacturer Name"),
        Key(
            "DetectorManufacturerModelName", 0x0018702B, "LO", "Detector Manufacturer's Model Name"
        ),
        Key("ImagePositionPatient", 0x00200032, "DS", "Image Position (Patient)"),
        Key("ImageOrientationPatient", 0x00200037, "DS", "Image Orientation (Patient)"),
        Key("FrameOfReferenceUID", 0x00200052, "UI", "Frame of Reference UID"),
        Key(
            "SynchronizationFrameOfReferenceUID",
            0x00200200,
            "UI",
            "Synchronization Frame of Reference UID",
        ),
        Key("SamplesPerPixel", 0x00280002, "US", "Samples per Pixel"),
        Key("PhotometricInterpretation", 0x00280004, "CS", "Photometric Interpretation"),
        Key("PixelSpacing", 0x00280030, "DS", "Pixel Spacing"),
        Key("BitsAllocated", 0x00280100, "US", "Bits Allocated"),
        Key("BitsStored", 0x00280101, "US", "Bits Stored"),
        Key("HighBit", 0x00280102, "US", "High Bit"),
        Key("PixelRepresentation", 0x00280103, "US", "Pixel Representation"),
        Key("LossyImageCompressionRatio", 0x00282112, "DS", "Lossy Image Compression Ratio"),
        Key("CalibrationImage", 0x00500004, "CS", "Calibration Image"),
        Key(
            "SharedFunctionalGroupsSequence", 0x52009229, "SQ", "Shared Functional Groups Sequence"
        ),
        Key("OverlayRows", 0x60000010, "US", "Overlay Rows"),
    )
}
"""By keyword."""

PIXEL_MEASURES: Final = 0x00289110
PLANE_POSITION: Final = 0x00209113
PLANE_ORIENTATION: Final = 0x00209116
"""Sequences of the functional groups that hold what the header of a single frame has by itself."""

OVERLAYS: Final = tuple(0x60000010 + (number << 17) for number in range(16))
"""Overlay Rows (60xx,0010) of every overlay that an image may have (PS3.5 Section 7.6)."""
