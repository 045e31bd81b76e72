"""The profile's keys are in the DICOMDIR for every instance, whenever and however it came in."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
from pydicom import Dataset, dcmread, examples
from pydicom.data import get_testdata_file
from pydicom.sequence import Sequence

from fileset import FileSet
from fileset.errors import NoSuchProfileError
from ledger.events import RecordElementsRecorded
from projections.state.recorded import RecordedElements

CT, MR = examples.get_path("ct"), examples.get_path("mr")
TYPES: Final = ("PATIENT", "STUDY", "SERIES", "IMAGE")


def saved(path: Path, source: Path = CT, **values: Any) -> Path:
    """Save an instance with other values; one of another SOP Instance UID for each path."""
    ds = dcmread(source)
    ds.SOPInstanceUID = f"1.2.3.{abs(hash(path.name)) % 10**9}"
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    for keyword, value in values.items():
        if value is None:
            delattr(ds, keyword)
        else:
            setattr(ds, keyword, value)
    ds.save_as(path)
    return path


def records(root: Path) -> list[Dataset]:
    return list(dcmread(root / "DICOMDIR").DirectoryRecordSequence)


def of_type(root: Path, record_type: str) -> list[Dataset]:
    return [each for each in records(root) if each.DirectoryRecordType == record_type]


def recorded(fs: FileSet) -> list[RecordElementsRecorded]:
    events = (each.event for each in fs.repository.journal.read())
    return [event for event in events if isinstance(event, RecordElementsRecorded)]


@pytest.fixture
def fs(tmp_path: Path) -> FileSet:
    return FileSet(repository=tmp_path / "archive")


def test_earlier_and_later_instances_have_the_keys(fs: FileSet, tmp_path: Path) -> None:
    fs.add(CT)
    fs.profile = "STD-GEN-CD"
    fs.add(MR)
    fs.write(tmp_path / "disc")
    assert fs.profile == "STD-GEN-CD"
    assert [list(each.ImageType) for each in of_type(tmp_path / "disc", "IMAGE")] == [
        list(dcmread(path).ImageType) for path in (CT, MR)
    ]


def test_without_a_profile_the_dicomdir_is_as_before(fs: FileSet, tmp_path: Path) -> None:
    fs.add_many([CT, MR])
    fs.copy(tmp_path / "before")
    fs.profile = "STD-GEN-DVD-J2K"
    fs.undo()
    fs.copy(tmp_path / "after")
    before, after = ((tmp_path / name / "DICOMDIR").read_bytes() for name in ("before", "after"))
    assert after == before
    assert recorded(fs), "what was read stays recorded"


def test_what_was_recorded_is_not_read_again(fs: FileSet, tmp_path: Path) -> None:
    source = saved(tmp_path / "image")
    fs.add_many([source], reference=True)
    fs.profile = "STD-GEN-CD"
    fs.profile = None
    before = len(recorded(fs))
    source.unlink()
    fs.profile = "STD-GEN-CD"
    assert len(recorded(fs)) == before


def test_instances_with_equal_values_are_recorded_together(fs: FileSet, tmp_path: Path) -> None:
    fs.add_many([saved(tmp_path / f"{number}", InstanceNumber=number) for number in range(5)])
    fs.profile = "STD-GEN-CD"
    (event,) = recorded(fs)
    assert sorted(event.handles()) == sorted(instance.handle for instance in fs)


def test_an_instance_that_cannot_be_read_is_named_and_the_others_go_on(
    fs: FileSet, tmp_path: Path
) -> None:
    lost = saved(tmp_path / "lost")
    data = lost.read_bytes()
    fs.add_many([lost], reference=True)
    fs.add(MR)
    lost.unlink()
    with pytest.warns(UserWarning, match="1 instance can't be read, .*No such file"):
        fs.profile = "STD-GEN-CD"
    lost.write_bytes(data)
    fs.write(tmp_path / "disc")  # which reads it
    assert all("ImageType" in each for each in of_type(tmp_path / "disc", "IMAGE"))


def test_what_is_recorded_after_a_write_is_staged(fs: FileSet, tmp_path: Path) -> None:
    lost = saved(tmp_path / "lost")
    fs.add_many([lost], reference=True)
    fs.write(tmp_path / "disc")
    file = next(path for path in (tmp_path / "disc").rglob("*0") if path.is_file())
    file.rename(tmp_path / "away")
    with pytest.warns(UserWarning, match="can't be read"):
        fs.profile = "STD-GEN-CD"
    (tmp_path / "away").rename(file)
    fs.write()
    assert not fs.is_staged
    assert "ImageType" in of_type(tmp_path / "disc", "IMAGE")[0]


def test_a_corrected_instance_has_the_keys_at_once(fs: FileSet, tmp_path: Path) -> None:
    fs.add(CT)
    fs.profile = "STD-GEN-DVD-JPEG"
    fs.correct(fs.find(Modality="CT"), {"PatientBirthDate": "19560708"})
    fs.write(tmp_path / "disc")
    (patient,) = of_type(tmp_path / "disc", "PATIENT")
    assert patient.PatientBirthDate == "19560708"


@pytest.mark.parametrize("how", ["write", "copy", "media"])
def test_what_a_revert_brought_back_has_the_keys_wherever_it_goes(
    fs: FileSet, tmp_path: Path, how: str
) -> None:
    fs.add_many([CT, MR])
    fs.remove(fs.find(Modality="MR"))
    removal = fs.history[-1]
    fs.profile = "STD-GEN-CD"
    fs.revert(removal)
    if how == "media":
        fs.media.make(tmp_path / "disc")
    else:
        getattr(fs, how)(tmp_path / "disc")
    assert ["ImageType" in each for each in of_type(tmp_path / "disc", "IMAGE")] == [True, True]


def test_of_records_above_the_earliest_instance_decides(fs: FileSet, tmp_path: Path) -> None:
    first = saved(tmp_path / "1", InstitutionName="First", PatientSex="F")
    second = saved(tmp_path / "2", InstitutionName="Second", PatientSex="F")
    fs.profile = "STD-GEN-USB-J2K"
    fs.add_many([first, second])
    fs.write(tmp_path / "both")
    (series,) = of_type(tmp_path / "both", "SERIES")
    assert series.InstitutionName == "First"
    fs.remove(min(fs, key=lambda instance: instance.handle))
    fs.write()
    (series,) = of_type(tmp_path / "both", "SERIES")
    assert series.InstitutionName == "Second"


@pytest.mark.parametrize(
    ("charset", "name"), [("ISO_IR 100", "Städtische Klinik"), ("ISO_IR 192", "東京病院")]
)
def test_text_of_any_character_set_comes_through(
    fs: FileSet, tmp_path: Path, charset: str, name: str
) -> None:
    fs.profile = "STD-GEN-DVD-J2K"
    fs.add(saved(tmp_path / "1", SpecificCharacterSet=charset, InstitutionName=name))
    fs.write(tmp_path / "disc")
    assert of_type(tmp_path / "disc", "SERIES")[0].InstitutionName == name


def test_where_frames_are_in_space_may_stand_in_their_shared_functional_groups(
    fs: FileSet, tmp_path: Path
) -> None:
    plane, measures, groups = Dataset(), Dataset(), Dataset()
    plane.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    measures.PixelSpacing = [0.5, 0.5]
    groups.PlaneOrientationSequence = Sequence([plane])
    groups.PixelMeasuresSequence = Sequence([measures])
    enhanced = saved(
        tmp_path / "1",
        ImageOrientationPatient=None,
        PixelSpacing=None,
        SharedFunctionalGroupsSequence=Sequence([groups]),
    )
    fs.add(enhanced)
    fs.profile = "STD-GEN-DVD-J2K"
    fs.write(tmp_path / "disc")
    (image,) = of_type(tmp_path / "disc", "IMAGE")
    assert list(image.PixelSpacing) == [0.5, 0.5]
    assert list(image.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    assert image.Rows == 128


def test_keys_of_type_2_are_there_without_a_value(fs: FileSet, tmp_path: Path) -> None:
    fs.add(saved(tmp_path / "1", InstitutionName=None, NumberOfFrames=2))
    fs.profile = "STD-DVD-MPEG2-MPML"
    fs.write(tmp_path / "disc")
    (series,) = of_type(tmp_path / "disc", "SERIES")
    assert series["InstitutionName"].is_empty


def test_adding_tells_what_does_not_fit_and_adds_it(fs: FileSet) -> None:
    fs.profile = "STD-GEN-CD"
    report = fs.add_many([get_testdata_file("MR_small_implicit.dcm")])
    (result,) = report
    words = "its transfer syntax is Implicit VR Little Endian, and not Explicit VR Little Endian"
    assert f"it does not fit STD-GEN-CD: {words} (PS3.11 Table D.3-1)" in (result.note or "")
    assert fs.state.misfits() == ((f"{words} (PS3.11 Table D.3-1)", 1),)
    fs.remove(list(fs))
    assert fs.state.misfits() == ()


def test_a_name_that_is_none_is_refused_with_those_that_are_like_it(fs: FileSet) -> None:
    with pytest.raises(NoSuchProfileError, match=r"Did you mean STD-GEN-CD .*There are STD-GEN-CD"):
        fs.profile = "std-gen-cdr"
    with pytest.raises(NoSuchProfileError, match="known and not offered: its files are enveloped"):
        fs.profile = "STD-GEN-SEC-CD"
    with pytest.raises(TypeError):
        fs.profile = 7  # type: ignore[assignment]  # what a program may pass
    assert len(fs.history) == 1


def test_erasing_a_person_erases_what_was_recorded_of_nobody_else(
    fs: FileSet, tmp_path: Path
) -> None:
    hers = saved(tmp_path / "1", PatientID="HERS", PatientName="A^B", PatientBirthDate="19560708")
    fs.add_many([hers, saved(tmp_path / "2", PatientID="THEIRS", PatientName="C^D")])
    fs.profile = "STD-GEN-DVD-J2K"
    fs.write(tmp_path / "disc")
    fs.remove(fs.find(PatientID="HERS"))
    fs.write()
    fs.erase(PatientID="HERS", reason="request")
    assert not any(b"19560708" in event.elements for event in recorded(fs))
    assert len(of_type(tmp_path / "disc", "IMAGE")) == 1
    fs.copy(tmp_path / "copy")
    assert "ImageType" in of_type(tmp_path / "copy", "IMAGE")[0]
    fs.repository.close()
    folder = tmp_path / "archive"
    assert not [
        path for path in folder.rglob("*") if path.is_file() and b"19560708" in path.read_bytes()
    ]


@pytest.mark.skipif(shutil.which("dcmmkdir") is None, reason="needs dcmmkdir of DCMTK")
@pytest.mark.parametrize(
    ("option", "profile"),
    [("-Pgp", "STD-GEN-CD"), ("-Pdv", "STD-GEN-DVD-JPEG"), ("-Pcm", "STD-CTMR-CD")],
)
def test_the_records_have_what_dcmmkdir_puts_there(
    fs: FileSet, tmp_path: Path, option: str, profile: str
) -> None:
    fs.add_many([CT, MR])
    fs.profile = profile
    fs.write(tmp_path / "ours")
    theirs = tmp_path / "theirs"
    shutil.copytree(tmp_path / "ours", theirs)
    (theirs / "DICOMDIR").unlink()
    subprocess.run(
        ["dcmmkdir", "+r", option, "+id", ".", "+D", "DICOMDIR"], cwd=theirs, check=True,
        capture_output=True,
    )  # fmt: skip

    def keys(record: Dataset) -> dict[str, Any]:
        left_out = {"IconImageSequence", "SpecificCharacterSet"}
        return {
            e.keyword: e.value for e in record
            if e.tag.group != 4 and e.keyword not in left_out and not e.is_empty
        }  # fmt: skip

    for record_type in TYPES:
        by_key = [
            sorted(map(repr, map(keys, of_type(root, record_type))))
            for root in (tmp_path / "ours", theirs)
        ]
        assert by_key[0] == by_key[1]


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dicom3tools is not installed")
def test_dicom3tools_finds_no_error_in_the_dicomdir(fs: FileSet, tmp_path: Path) -> None:
    fs.add_many([CT, MR])
    fs.profile = "STD-GEN-DVD-JPEG"
    fs.write(tmp_path / "disc")
    done = subprocess.run(
        ["dciodvfy", tmp_path / "disc" / "DICOMDIR"], capture_output=True, text=True, check=False
    )
    assert "Error" not in done.stderr


def test_what_is_recorded_takes_few_bytes_of_memory() -> None:
    """Not more than a fifth of what an instance takes, of values that all differ."""
    held = RecordedElements()
    number = 1280
    for handle in range(1, number + 1):
        position = f"-{handle / 7:.3f}\\{handle / 3:.3f}\\{handle / 5:.3f}".encode()
        value = b"".join(
            (
                b"\x20\x00\x32\x00DS",
                (len(position) & ~1).to_bytes(2, "little"),
                position[: len(position) & ~1],
            )
        )
        held.take_in(
            RecordElementsRecorded("STD-GEN-DVD-J2K", "IMAGE", ((handle, handle),), value),  # type: ignore[arg-type]
            lambda _: True,
        )
    rows = held.rows()["columns"][0]
    size = 3 * 8 * number + sum(map(len, (*rows[5][0], *rows[5][1])))
    assert size / number < 80
    assert held.elements("STD-GEN-DVD-J2K", "IMAGE", number) is not None
