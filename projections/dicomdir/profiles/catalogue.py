"""The application profiles of PS3.11 (2026a).

Read in the Standard (2020a to 2024e) were Tables B.3-3, B.3-4, C.3-1, D.1-1, D.3-2, E.3-2, H.3-1,
H.3-2, K.3-3, K.3-4 and M.3-1; all else is second hand. DCMTK's `dcddirif.cc` (3.6.7) agrees, except
where it is stricter than the tables: it takes 8, 12 and 16 bits stored of MR, and no Explicit VR
Little Endian for the MPEG profiles of annex M. The keys of annexes J, M and N are those of H.3-2.

The profiles of diskettes (annex F) are left out: no medium of theirs can be made any more.
"""

from __future__ import annotations

from itertools import product
from typing import Final

from ledger.uids import EXPLICIT_VR_LITTLE_ENDIAN
from projections.dicomdir.profiles.key_tables import (
    A_3_2,
    B_3_2,
    D_3_2,
    E_3_2,
    H_3_2,
    I_3_2,
    NO_KEYS,
)
from projections.dicomdir.profiles.profile import (
    AtMost,
    Icon,
    IconNeed,
    Less,
    MediaKind,
    NoOverlay,
    OneOf,
    Profile,
    Rule,
    Rules,
    Takes,
    There,
)


def _classes(ends: str) -> frozenset[str]:
    """Return Storage SOP Classes, given the ends of their UIDs."""
    return frozenset(f"1.2.840.10008.5.1.4.1.1.{end}" for end in ends.split())


def _syntaxes(ends: str) -> frozenset[str]:
    """Return transfer syntaxes, given the ends of their UIDs."""
    return frozenset(f"1.2.840.10008.1.2.{end}" for end in ends.split())


# --- SOP Classes and transfer syntaxes -----------------------------------------------------------

_CT, _MR, _SC, _XA = _classes("2"), _classes("4"), _classes("7"), _classes("12.1")
_GSPS, _RDSR = _classes("11.1"), _classes("88.67")
_US, _US_MULTI_FRAME = _classes("6.1"), _classes("3.1")
_DENTAL_IMAGES = _classes("1.1 1.3")
_STRUCTURED_DISPLAY = _classes("131")

_PLAIN: Final = frozenset((EXPLICIT_VR_LITTLE_ENDIAN,))
_LOSSLESS_JPEG: Final = _syntaxes("4.70")
_JPEG: Final = _syntaxes("4.70 4.50 4.51")
_J2K: Final = _syntaxes("4.90 4.91")
_OF_ULTRASOUND: Final = _PLAIN | _syntaxes("5 4.50")


# --- values of attributes ------------------------------------------------------------------------


def _is(keyword: str, *values: str | int) -> OneOf:
    return OneOf(keyword, values)


_BIPLANE: Final = (("ImageType", ("BIPLANE A", "BIPLANE B")),)
_UP_TO_1024: Final = (AtMost("Rows", 1024), AtMost("Columns", 1024))
_A_RULES: Final = (
    Rules(
        _XA,
        "A.3-3",
        (
            _is("Modality", "XA"),
            AtMost("Rows", 512),
            AtMost("Columns", 512),
            _is("BitsAllocated", 8),
            _is("BitsStored", 8),
        ),
    ),
    Rules(_XA, "A.3-2", (There("ReferencedImageSequence", filled=True),), _BIPLANE),
)
_B_RULES: Final = (
    Rules(_XA, "B.3-3", (_is("Modality", "XA"), *_UP_TO_1024, _is("BitsStored", 8, 10, 12))),
    Rules(_XA, "B.3-2", (There("ReferencedImageSequence", filled=True),), _BIPLANE),
    Rules(
        _SC,
        "B.3-4",
        (
            *_UP_TO_1024,
            _is("SamplesPerPixel", 1),
            _is("PhotometricInterpretation", "MONOCHROME2"),
            _is("BitsAllocated", 8),
            _is("BitsStored", 8),
            _is("HighBit", 7),
            _is("PixelRepresentation", 0),
            NoOverlay(),
        ),
    ),
)
_MONOCHROME: Final = (("PhotometricInterpretation", ("MONOCHROME2",)),)
_PALETTE: Final = (("PhotometricInterpretation", ("PALETTE COLOR",)),)
_HIGH_BIT: Final = Less("HighBit", "BitsStored", 1)
_E_RULES: Final = (
    Rules(_CT, "E.3.4.1", (_is("Modality", "CT"), _is("PhotometricInterpretation", "MONOCHROME2"))),
    Rules(
        _MR,
        "E.3.4.1",
        (
            _is("Modality", "MR"),
            _is("PhotometricInterpretation", "MONOCHROME2"),
            _is("BitsStored", 8, 12, 13, 14, 15, 16),
            _HIGH_BIT,
        ),
    ),
    Rules(
        _SC,
        "E.3.4.1",
        (
            _is("SamplesPerPixel", 1),
            _is("PhotometricInterpretation", "MONOCHROME2", "PALETTE COLOR"),
        ),
    ),
    Rules(
        _SC,
        "E.3.4.1",
        (_is("BitsAllocated", 8, 16), Less("BitsStored", "BitsAllocated", 0), _HIGH_BIT),
        _MONOCHROME,
    ),
    Rules(
        _SC, "E.3.4.1", (_is("BitsAllocated", 8), _is("BitsStored", 8), _is("HighBit", 7)), _PALETTE
    ),
)
_K_RULES: Final = (
    Rules(_DENTAL_IMAGES, "K.3-3", (_is("BitsStored", 8, 10, 12, 16),)),
    Rules(_DENTAL_IMAGES, "K.3-3", (_is("BitsAllocated", 8),), (("BitsStored", (8,)),)),
    Rules(_DENTAL_IMAGES, "K.3-3", (_is("BitsAllocated", 16),), (("BitsStored", (10, 12, 16)),)),
    Rules(
        _DENTAL_IMAGES,
        "K.3-4",
        tuple(
            There(keyword)
            for keyword in (
                "InstitutionName",
                "ManufacturerModelName",
                "DetectorID",
                "DetectorManufacturerName",
                "DetectorManufacturerModelName",
            )
        ),
    ),
)


def _colours(classes: frozenset[str]) -> tuple[Rules, ...]:
    """Return how the pixels of ultrasound images may be encoded (Table C.3-2)."""
    plain, rle, jpeg = EXPLICIT_VR_LITTLE_ENDIAN, "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50"
    allowed = {
        ("MONOCHROME2", "RGB", "PALETTE COLOR"): (plain, rle),
        ("YBR_FULL",): (rle,),
        ("YBR_FULL_422",): (plain, jpeg),
    }
    any_of = tuple(name for names in allowed for name in names)
    return (
        Rules(classes, "C.3-2", (_is("PhotometricInterpretation", *any_of),)),
        *(
            Rules(
                classes,
                "C.3-2",
                (_is("TransferSyntaxUID", *syntaxes),),
                (("PhotometricInterpretation", names),),
            )
            for names, syntaxes in allowed.items()
        ),
    )


_REGIONS: Final = "SequenceOfUltrasoundRegions"
_SPATIAL: Final[tuple[Rule, ...]] = (
    There(_REGIONS, filled=True),
    *(
        There(keyword, filled=True, within=_REGIONS)
        for keyword in (
            "PhysicalUnitsXDirection",
            "PhysicalUnitsYDirection",
            "PhysicalDeltaX",
            "PhysicalDeltaY",
        )
    ),
)
_COMPONENTS: Final[tuple[Rule, ...]] = (
    There("PixelComponentOrganization", filled=True, within=_REGIONS),
)


# --- the profiles --------------------------------------------------------------------------------

_UDF: Final = "BD media have UDF 2.5 or 2.6 (PS3.12 Annex X), which is not written here"
_SECURE: Final = "its files are enveloped in CMS (PS3.15 Section D), which is not made here"
_ALL_PLAIN: Final = (Takes(None, _PLAIN),)
_SMALL_ICON: Final = Icon(64, IconNeed.OPTIONAL, "E.3.3.3", _CT | _MR | _SC)


def _with_jpeg_or_j2k(prefix: str, annex: str, media: MediaKind, why: str = "") -> list[Profile]:
    """Return the two profiles that take one of the families of compressed images."""
    return [
        Profile(
            f"{prefix}-{name}",
            annex,
            media,
            f"{annex}.3-1",
            (Takes(None, _PLAIN | syntaxes),),
            H_3_2,
            not_offered=why,
        )
        for name, syntaxes in (("JPEG", _JPEG), ("J2K", _J2K))
    ]


def _video(annex: str, name: str, syntax: str, *, plain_too: bool) -> Profile:
    """Return a profile of videos on BD."""
    takes = (*_ALL_PLAIN * plain_too, Takes(None, _syntaxes(syntax), frames=True))
    return Profile(
        f"STD-GEN-BD-{name}", annex, MediaKind.BD, f"{annex}.3-1", takes, H_3_2, not_offered=_UDF
    )


_PLAIN_MEDIA: Final = (
    ("CD", MediaKind.CD, ""),
    ("DVD-RAM", MediaKind.DVD, ""),
    ("BD", MediaKind.BD, _UDF),
)


def _general() -> list[Profile]:
    found = [
        Profile(f"STD-GEN-{name}", "D", media, "D.3-1", _ALL_PLAIN, D_3_2, not_offered=why)
        for name, media, why in _PLAIN_MEDIA
    ]
    found += _with_jpeg_or_j2k("STD-GEN-DVD", "H", MediaKind.DVD)
    for name in ("USB", "MMC", "CF", "SD"):
        found += _with_jpeg_or_j2k(f"STD-GEN-{name}", "J", MediaKind.FLASH)
    found += _with_jpeg_or_j2k("STD-GEN-BD", "M", MediaKind.BD, _UDF)
    for name, syntax in (
        ("MPEG2-MPML", "4.100"),
        ("MPEG2-MPHL", "4.101"),
        ("MPEG4-HPLV41", "4.102"),
        ("MPEG4-HPLV41BD", "4.103"),
    ):
        found.append(_video("M", name, syntax, plain_too=True))
    for name, syntax in (
        ("MPEG4-HPLV42-2D", "4.104"),
        ("MPEG4-HPLV42-3D", "4.105"),
        ("MPEG4-SHPLV42", "4.106"),
    ):
        found.append(_video("N", name, syntax, plain_too=False))
    return found


def _secure() -> list[Profile]:
    """Return the secure variants of the general profiles, which are told of and not made."""
    found = [
        Profile(f"STD-GEN-SEC-{name}", "D", media, "D.3-1", _ALL_PLAIN, D_3_2, not_offered=_SECURE)
        for name, media, _ in _PLAIN_MEDIA
    ]
    for name, annex, media in (
        ("DVD", "H", MediaKind.DVD),
        *((name, "J", MediaKind.FLASH) for name in ("USB", "MMC", "CF", "SD")),
        ("BD", "M", MediaKind.BD),
    ):
        found += _with_jpeg_or_j2k(f"STD-GEN-SEC-{name}", annex, media, _SECURE)
    return found


def _of_modalities() -> list[Profile]:
    found = [
        Profile(
            f"STD-CTMR-{name}",
            "E",
            media,
            "E.3-1",
            (Takes(_CT | _MR | _SC, _PLAIN | _LOSSLESS_JPEG), Takes(_GSPS | _RDSR, _PLAIN)),
            E_3_2,
            _E_RULES,
            _SMALL_ICON,
        )
        for name, media in (
            ("MOD41", MediaKind.OTHER_DISK),
            ("CD", MediaKind.CD),
            ("DVD-RAM", MediaKind.DVD),
            ("DVD", MediaKind.DVD),
        )
    ]
    found.append(
        Profile(
            "STD-XABC-CD",
            "A",
            MediaKind.CD,
            "A.3-1",
            (Takes(_XA, _LOSSLESS_JPEG),),
            A_3_2,
            _A_RULES,
            Icon(128, IconNeed.REQUIRED, "A.3.3.2", _XA),
        )
    )
    found += [
        Profile(
            f"STD-XA1K-{name}",
            "B",
            media,
            "B.3-1",
            (Takes(_XA, syntaxes), Takes(_SC | _GSPS, _PLAIN)),
            B_3_2,
            _B_RULES,
            Icon(128, IconNeed.REQUIRED, "B.3.3.2", _XA | _SC),
        )
        for name, media, syntaxes in (
            ("CD", MediaKind.CD, _LOSSLESS_JPEG),
            ("DVD", MediaKind.DVD, _JPEG),
        )
    ]
    found.append(
        Profile(
            "STD-DEN-CD",
            "K",
            MediaKind.CD,
            "K.3-1",
            (Takes(_DENTAL_IMAGES | _STRUCTURED_DISPLAY | _GSPS, _PLAIN),),
            NO_KEYS,
            _K_RULES,
        )
    )
    found.append(
        Profile(
            "STD-DVD-MPEG2-MPML",
            "I",
            MediaKind.DVD,
            "I.3-1",
            (Takes(None, _syntaxes("4.100"), frames=True),),
            I_3_2,
        )
    )
    return found


def _ultrasound() -> list[Profile]:
    """Return the profiles of annex C: by calibration, single or multi-frame, and medium."""
    calibrations: dict[str, dict[str, tuple[Rule, ...]]] = {
        "ID": {},
        "SC": {"C.4": _SPATIAL},
        "CC": {"C.4": _SPATIAL, "C.5": _COMPONENTS},
    }
    frames = {"SF": _US, "MF": _US | _US_MULTI_FRAME}
    media = {
        "CDR": MediaKind.CD,
        "DVD": MediaKind.DVD,
        "DVD-RAM": MediaKind.DVD,
        **dict.fromkeys(
            ("MOD128", "MOD230", "MOD540", "MOD650", "MOD12", "MOD23"), MediaKind.OTHER_DISK
        ),
    }
    return [
        Profile(
            f"STD-US-{calibration}-{frame}-{medium}",
            "C",
            kind,
            "C.3-1",
            (Takes(classes, _OF_ULTRASOUND),),
            NO_KEYS,
            (
                *_colours(classes),
                *(Rules(classes, section, rules) for section, rules in calibrated.items()),
            ),
        )
        for (calibration, calibrated), (frame, classes), (medium, kind) in product(
            calibrations.items(), frames.items(), media.items()
        )
    ]


def _messages() -> list[Profile]:
    return [
        Profile(
            identifier,
            annex,
            media,
            f"{annex}.3-1",
            (Takes(None, None),),
            NO_KEYS,
            one_patient_id=annex == "L",
        )
        for identifier, annex, media in (
            ("STD-GEN-ZIP-MAIL", "L", MediaKind.ZIP),
            ("STD-GEN-MIME", "G", MediaKind.MIME),
        )
    ]


PROFILES: Final[dict[str, Profile]] = {
    profile.identifier: profile
    for profile in (*_general(), *_of_modalities(), *_ultrasound(), *_messages(), *_secure())
}
"""All profiles, by identifier; those that fit nearly everything first."""
