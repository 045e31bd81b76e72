"""An instance fits an application profile exactly if the profile's tables say so."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest
from attrs import evolve
from pydicom import examples
from pydicom.data import get_testdata_file

from fileset.profiles.facts import facts_of_file
from ledger.elements import Element
from projections.dicomdir.profiles.attributes import ATTRIBUTES
from projections.dicomdir.profiles.catalogue import PROFILES
from projections.dicomdir.profiles.fitting import InstanceFacts, fits, without_icon

UPPER: Final = ("PATIENT", "STUDY", "SERIES")
CT, MR = (Path(examples.get_path(name)) for name in ("ct", "mr"))


def file(name: str) -> Path:
    return Path(str(get_testdata_file(name)))


def facts(path: Path, **values: int | str) -> InstanceFacts:
    """Return the facts of a file, with other values."""
    found = facts_of_file(path, (*UPPER, "IMAGE"))
    elements = dict(found.elements)
    for keyword, value in values.items():
        key = ATTRIBUTES[keyword]
        data = value.to_bytes(2, "little") if isinstance(value, int) else value.encode()
        elements[key.tag] = Element(key.tag, key.vr, data)
    return evolve(found, elements=elements)


def words(instance: InstanceFacts, profile: str) -> list[str]:
    return [misfit.in_words() for misfit in fits(instance, PROFILES[profile])]


def test_what_the_tables_ask_for_fits() -> None:
    assert words(facts(CT), "STD-GEN-CD") == []
    assert words(facts(CT), "STD-CTMR-CD") == []
    assert words(facts(MR), "STD-GEN-USB-J2K") == []


def test_another_transfer_syntax_is_told_by_name_with_those_that_would_do() -> None:
    (told,) = words(facts(file("MR_small_implicit.dcm")), "STD-GEN-CD")
    assert told == (
        "its transfer syntax is Implicit VR Little Endian, and not Explicit VR Little Endian "
        "(PS3.11 Table D.3-1)"
    )
    (misfit,) = fits(facts(file("JPEG2000.dcm")), PROFILES["STD-GEN-DVD-JPEG"])
    assert "JPEG Baseline (Process 1)" in misfit.what
    assert not misfit.convertible


@pytest.mark.parametrize(
    "name", ["MR_small_implicit.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm"]
)
def test_what_is_only_encoded_otherwise_can_be_converted(name: str) -> None:
    assert [each.convertible for each in fits(facts(file(name)), PROFILES["STD-GEN-CD"])] == [True]
    assert not any(each.convertible for each in fits(facts(file(name)), PROFILES["STD-XABC-CD"]))


def test_a_class_that_a_profile_is_not_for_is_the_only_thing_told() -> None:
    (told,) = words(facts(CT), "STD-US-ID-SF-CDR")
    assert (
        told
        == "its SOP Class 1.2.840.10008.5.1.4.1.1.2 is none of the profile's (PS3.11 Table C.3-1)"
    )
    unknown = evolve(facts(CT), sop_class_uid="1.2.3")
    assert words(unknown, "STD-GEN-CD") == ["its SOP Class 1.2.3 is not known (PS3.11 Table D.3-1)"]
    assert words(unknown, "STD-GEN-ZIP-MAIL") == [
        "its SOP Class 1.2.3 is not known (PS3.11 Table L.3-1)"
    ]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ({"BitsStored": 10}, "its Bits Stored is 10, and not 8, 12, 13, 14, 15 or 16"),
        ({"HighBit": 12}, "its High Bit is 12, and not 1 less than Bits Stored"),
        (
            {"PhotometricInterpretation": "RGB"},
            "its Photometric Interpretation is RGB, and not MON",
        ),
        ({"Modality": ""}, "its Modality is missing, and not MR"),
        ({"Rows": ""}, "its IMAGE record needs Rows, which it lacks (PS3.11 Table E.3-2)"),
    ],
)
def test_a_value_that_the_profile_does_not_allow_is_told(
    values: dict[str, int | str], told: str
) -> None:
    assert words(facts(MR), "STD-CTMR-CD") == []
    assert words(facts(MR, **values), "STD-CTMR-CD")[0].startswith(told)


def test_a_rule_holds_only_under_its_condition() -> None:
    dental = evolve(facts(CT, BitsStored=8), sop_class_uid="1.2.840.10008.5.1.4.1.1.1.3")
    assert "its Bits Allocated is 16, and not 8 (PS3.11 Table K.3-3)" in words(dental, "STD-DEN-CD")
    deeper = evolve(facts(CT, BitsStored=12), sop_class_uid=dental.sop_class_uid)
    assert not [told for told in words(deeper, "STD-DEN-CD") if "Allocated" in told]


def test_video_has_to_be_of_several_frames() -> None:
    still = evolve(facts(CT), transfer_syntax_uid="1.2.840.10008.1.2.4.100")
    (told,) = words(still, "STD-GEN-BD-MPEG2-MPML")
    assert told.startswith("only multi-frame images may be in MPEG2 Main Profile / Main Level")
    elements = {**still.elements, 0x00280008: Element(0x00280008, "IS", b"12")}
    assert words(evolve(still, elements=elements), "STD-GEN-BD-MPEG2-MPML") == []


def test_an_angiogram_fits_but_for_its_icon_and_the_table_says_that_it_needs_one() -> None:
    angio = facts(
        CT,
        Modality="XA",
        BitsAllocated=8,
        BitsStored=8,
        ImageType="ORIGINAL\\PRIMARY\\SINGLE PLANE",
    )
    angio = evolve(
        angio,
        sop_class_uid="1.2.840.10008.5.1.4.1.1.12.1",
        transfer_syntax_uid="1.2.840.10008.1.2.4.70",
    )
    assert words(angio, "STD-XABC-CD") == []
    told = without_icon(PROFILES["STD-XABC-CD"], "it has no pixels").in_words()
    assert told == "its record needs an icon, and it has no pixels (PS3.11 Section A.3.3.2)"


# --- compared with DCMTK -------------------------------------------------------------------------

DCMMKDIR: Final = shutil.which("dcmmkdir")
ORACLE: Final = {
    "-Pgp": "STD-GEN-CD",
    "-Pdv": "STD-GEN-DVD-JPEG",
    "-Pd2": "STD-GEN-DVD-J2K",
    "-Pf2": "STD-GEN-USB-J2K",
    "-Pcm": "STD-CTMR-CD",
    "-Pde": "STD-DEN-CD",
    "-Pus": "STD-US-ID-SF-CDR",
    "-Pum": "STD-US-ID-MF-CDR",
    "--ultrasound-sc-sf": "STD-US-SC-SF-CDR",
    "-Pmp": "STD-DVD-MPEG2-MPML",
    "-Pbc": "STD-XABC-CD",
}
"""dcmmkdir's profiles, less those where it does not follow the tables (see the catalogue)."""


@pytest.mark.skipif(DCMMKDIR is None, reason="needs dcmmkdir of DCMTK")
@pytest.mark.parametrize(
    "name",
    [
        "CT_small.dcm", "MR_small_implicit.dcm", "examples_jpeg2k.dcm", "examples_palette.dcm",
        "examples_rgb_color.dcm", "JPEG2000.dcm", "rtdose.dcm",
    ],
)  # fmt: skip
def test_dcmmkdir_takes_the_same_instances(name: str, tmp_path: Path) -> None:
    shutil.copy(file(name), tmp_path / "IM1")
    instance = facts(file(name))
    for option, profile in ORACLE.items():
        command = [str(DCMMKDIR), "--invent", "--discard", option, "IM1"]
        run = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
        ours = words(instance, profile)
        assert (run.returncode != 0) == bool(ours), (profile, ours, run.stderr)
