"""The keys that application profiles add to directory records, by the tables of PS3.11."""

from __future__ import annotations

from typing import Final

from ledger.instances.record_keys import Need
from projections.dicomdir.profiles.attributes import (
    ATTRIBUTES,
    PIXEL_MEASURES,
    PLANE_ORIENTATION,
    PLANE_POSITION,
)
from projections.dicomdir.profiles.profile import KeyTable, ProfileKey

_XA: Final = frozenset(("1.2.840.10008.5.1.4.1.1.12.1",))


def _keys(
    words: str, need: Need = Need.TYPE_1C, classes: frozenset[str] | None = None
) -> tuple[ProfileKey, ...]:
    return tuple(ProfileKey(ATTRIBUTES[word], need, classes) for word in words.split())


NO_KEYS: Final = KeyTable("", {})

_PEOPLE: Final = {
    "PATIENT": _keys("PatientBirthDate PatientSex", Need.TYPE_2),
    "SERIES": _keys("InstitutionName InstitutionAddress PerformingPhysicianName", Need.TYPE_2),
}
_PEOPLE_IF_KNOWN: Final = {
    "PATIENT": _keys("PatientBirthDate PatientSex"),
    "SERIES": _keys("InstitutionName InstitutionAddress PerformingPhysicianName"),
}
_SIZE: Final = _keys("Rows Columns", Need.TYPE_1)
_IN_SPACE: Final = tuple(
    ProfileKey(ATTRIBUTES[word], Need.TYPE_1C, shared=sequence)
    for word, sequence in (
        ("ImagePositionPatient", PLANE_POSITION),
        ("ImageOrientationPatient", PLANE_ORIENTATION),
        ("PixelSpacing", PIXEL_MEASURES),
        ("ReferencedImageSequence", 0),
    )
)
_OF_FRAMES: Final = (
    *_SIZE,
    *_keys(
        "FrameOfReferenceUID SynchronizationFrameOfReferenceUID NumberOfFrames "
        "AcquisitionTimeSynchronized AcquisitionDateTime"
    ),
    *_IN_SPACE,
)

D_3_2: Final = KeyTable("D.3-2", {"IMAGE": _keys("ImageType ReferencedImageSequence")})
H_3_2: Final = KeyTable(
    "H.3-2",
    {
        **_PEOPLE_IF_KNOWN,
        "IMAGE": (*_OF_FRAMES, *_keys("ImageType CalibrationImage LossyImageCompressionRatio")),
        "SPECTROSCOPY": _OF_FRAMES,
    },
)
I_3_2: Final = KeyTable(
    "I.3-2", {**_PEOPLE, "IMAGE": (*_keys("ImageType LossyImageCompressionRatio"), *_SIZE)}
)
E_3_2: Final = KeyTable(
    "E.3-2",
    {
        "IMAGE": (
            *_keys(
                "ReferencedImageSequence ImagePositionPatient ImageOrientationPatient "
                "FrameOfReferenceUID PixelSpacing"
            ),
            *_SIZE,
        )
    },
)
A_3_2: Final = KeyTable(
    "A.3-2",
    {
        **_PEOPLE,
        "IMAGE": (
            *_keys("ImageType", Need.TYPE_1),
            *_keys("CalibrationImage", Need.TYPE_2),
            *_keys("ReferencedImageSequence"),
        ),
    },
)
B_3_2: Final = KeyTable(
    "B.3-2",
    {
        **_PEOPLE,
        "IMAGE": (
            *_keys("ImageType", Need.TYPE_1, _XA),
            *_keys("CalibrationImage", Need.TYPE_2),
            *_keys("ReferencedImageSequence LossyImageCompressionRatio"),
        ),
    },
)

KEY_TABLES: Final[dict[str, KeyTable]] = {
    table.table: table for table in (A_3_2, B_3_2, D_3_2, E_3_2, H_3_2, I_3_2)
}
"""The tables of additional keys, by their names in PS3.11."""
