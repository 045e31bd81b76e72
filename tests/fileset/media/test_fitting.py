"""Media of an application profile: what does not fit prevents them, or is left out and recorded."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli
from golden_journals import changed
from pydicom import dcmread
from pydicom.data import get_testdata_file

from fileset import FileSet
from fileset.errors import NoSuchProfileError, RefusedError
from fileset.media.choice import Choice
from fileset.media.make import Maker
from fileset.profiles.names import profile_named
from ledger.events import RecordElementsRecorded
from projections.medium.volumes import VolumesError

IMPLICIT = str(get_testdata_file("MR_small_implicit.dcm"))
PROFILE = "STD-GEN-CD"


@pytest.fixture
def mixed(fs: FileSet, tmp_path: Path) -> FileSet:
    """Two instances that fit, and one in Implicit VR, which does not."""
    implicit = changed(Path(IMPLICIT), tmp_path / "implicit.dcm", SOPInstanceUID="1.2.3.4")
    fs.add_many([CT, MR, implicit])
    return fs


def image_types(root: Path) -> list[list[str]]:
    records = dcmread(root / "DICOMDIR").DirectoryRecordSequence
    return [list(r.ImageType) for r in records if "ImageType" in r]


def test_the_dicomdir_has_the_keys_of_the_profile(fs: FileSet, tmp_path: Path) -> None:
    fs.add_many([CT, MR])
    (made,) = fs.media.make(tmp_path / "disc", profile=PROFILE)
    assert made.started.profile == PROFILE
    assert len(image_types(tmp_path / "disc")) == 2
    (plain,) = fs.media.make(tmp_path / "plain")
    assert plain.started.profile is None
    assert image_types(tmp_path / "plain") == []
    assert fs.profile is None


def test_the_profile_of_the_file_set_is_that_of_its_media(fs: FileSet, tmp_path: Path) -> None:
    fs.add_many([CT, MR])
    fs.profile = PROFILE
    (made,) = fs.media.make(tmp_path / "disc")
    assert made.started.profile == PROFILE
    assert len(image_types(tmp_path / "disc")) == 2
    fs.profile = None
    fs.media.remake(1, tmp_path / "again")
    assert len(image_types(tmp_path / "again")) == 2


def test_what_is_read_for_a_profile_is_recorded_once_and_moves_no_medium(
    fs: FileSet, tmp_path: Path
) -> None:
    fs.add_many([CT, MR])
    before = fs.media.make(tmp_path / "before.iso")[0]
    first = fs.media.make(tmp_path / "1.iso", profile=PROFILE)[0]
    second = fs.media.make(tmp_path / "2.iso", profile=PROFILE)[0]
    after = fs.media.make(tmp_path / "after.iso")[0]
    assert first.produced is not None
    assert second.produced is not None
    assert first.produced.image == second.produced.image
    assert before.produced is not None
    assert after.produced is not None
    assert before.produced.image == after.produced.image
    events = [each.event for each in fs.repository.journal.read()]
    recorded = [each for each in events if isinstance(each, RecordElementsRecorded)]
    handles = [handle for each in recorded for handle in each.handles()]
    assert sorted(handles) == sorted({i.handle for i in fs})


def test_what_does_not_fit_prevents_the_medium_and_is_named(mixed: FileSet, tmp_path: Path) -> None:
    with pytest.raises(RefusedError) as raised:
        mixed.media.make(tmp_path / "disc.iso", profile=PROFILE)
    told = str(raised.value)
    assert "1 instance can't go on a medium of STD-GEN-CD: 1.2.3.4: " in told
    assert "Implicit VR" in told
    assert "PS3.11" in told
    assert mixed.media.list() == []
    mixed.media.make(tmp_path / "fits.iso", mixed.find(PatientID="1CT1"), profile=PROFILE)


def test_what_does_not_fit_is_left_out_if_that_is_asked_for(mixed: FileSet, tmp_path: Path) -> None:
    (made,) = mixed.media.make(tmp_path / "disc.iso", profile=PROFILE, leave_out=True)
    (left_out,) = (i.handle for i in mixed if i.SOPInstanceUID == "1.2.3.4")
    assert made.started.left_out == ((left_out, left_out),)
    assert made.started.count == 2
    assert made.started.uid != mixed.UID
    mixed.media.remake(1, tmp_path / "again.iso")
    assert (tmp_path / "again.iso").read_bytes() == (tmp_path / "disc.iso").read_bytes()


def test_nothing_is_left_if_nothing_fits(fs: FileSet, tmp_path: Path) -> None:
    fs.add(IMPLICIT)
    with pytest.raises(RefusedError, match="None of the instances fits"):
        fs.media.make(tmp_path / "disc.iso", profile=PROFILE, leave_out=True)


def test_a_profile_is_for_its_kind_of_media(fs: FileSet, tmp_path: Path) -> None:
    fs.add_many([CT, MR])
    for profile, name in (
        ("STD-GEN-CD", "a.zip"), ("STD-GEN-USB-JPEG", "a.iso"), ("STD-GEN-ZIP-MAIL", "a.img"),
    ):  # fmt: skip
        with pytest.raises(RefusedError, match=f"{profile} is for media of the kind"):
            fs.media.make(tmp_path / name, profile=profile)
    for profile, name in (
        ("STD-GEN-CD", "b.iso"), ("STD-GEN-USB-JPEG", "b.img"), ("STD-GEN-ZIP-MAIL", "b.eml"),
    ):  # fmt: skip
        fs.media.make(tmp_path / name, profile=profile)
    with pytest.raises(NoSuchProfileError):
        fs.media.make(tmp_path / "c.iso", profile="STD-GEN-DISC")


def test_two_patients_of_one_id_are_not_on_one_medium(tmp_path: Path) -> None:
    with FileSet() as source:
        source.add_many([CT, MR])
        source.write(tmp_path / "cd")
    adopted = tmp_path / "cd" / "DICOMDIR"
    adopted.write_bytes(adopted.read_bytes().replace(b"4MR1", b"1CT1"))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of another person, and records that don't fit the files
        fs = FileSet(adopted, repository=tmp_path / "repository")
    with fs:
        with pytest.raises(RefusedError, match="2 PATIENT records have the Patient ID '1CT1'"):
            fs.media.make(tmp_path / "disc.iso", profile=PROFILE)
        fs.media.make(tmp_path / "one.iso", list(fs)[:1], profile=PROFILE)
        with pytest.raises(RefusedError, match="Several persons seem to have one Patient ID"):
            fs.media.make(tmp_path / "disc.iso")
        fs.settle("1CT1")
        fs.media.make(tmp_path / "disc.iso")


def test_a_plan_tells_what_would_be_left_out_and_records_nothing(
    mixed: FileSet, tmp_path: Path
) -> None:
    position = mixed.state.position
    choice = Choice("iso", profile=profile_named(PROFILE), leave_out=True)
    ((_, planned),) = Maker(mixed.repository).plan(tmp_path / "a.iso", mixed.state, choice)
    assert planned.started.left_out != ()
    assert mixed.repository.refresh().position == position
    with pytest.raises(RefusedError, match="Implicit VR"):
        Maker(mixed.repository).plan(
            tmp_path / "a.iso", mixed.state, Choice("iso", profile=profile_named(PROFILE))
        )


def test_the_command_tells_what_it_left_out(cli: Cli, tmp_path: Path) -> None:
    implicit = changed(Path(IMPLICIT), tmp_path / "implicit.dcm", SOPInstanceUID="1.2.3.4")
    cli("add", CT, implicit)
    disc = tmp_path / "disc.iso"
    told = cli("media", "make", disc, "--profile", PROFILE, code=3).err
    assert "--leave-out makes it without them" in told
    run = cli("media", "make", disc, "--profile", PROFILE, "--leave-out")
    assert "1 instance left out, not fitting STD-GEN-CD." in run.err
    (medium,) = cli.json("media", "list")["media"]
    assert (medium["profile"], medium["left_out"], medium["instances"]) == (PROFILE, 1, 1)
    assert "profile    STD-GEN-CD" in cli("media", "show", 1).out
    cli("media", "make", disc, "--profile", "STD-GEN-DISC", code=2)


# --- converted -----------------------------------------------------------------------------------


def test_what_only_has_to_be_encoded_otherwise_is_converted_first(
    mixed: FileSet, tmp_path: Path
) -> None:
    before = {instance.SOPInstanceUID for instance in mixed}
    (made,) = mixed.media.make(tmp_path / "disc", profile=PROFILE, convert=True)
    assert made.started.count == 3
    assert {instance.SOPInstanceUID for instance in mixed} == before
    files = [path for path in (tmp_path / "disc").rglob("IM*") if path.is_file()]
    assert {str(dcmread(path).file_meta.TransferSyntaxUID) for path in files} == {
        "1.2.840.10008.1.2.1"
    }
    uid = mixed.state.live["1.2.3.4"].transfer_syntax_uid
    assert uid == "1.2.840.10008.1.2.1"
    mixed.undo()
    assert mixed.state.live["1.2.3.4"].transfer_syntax_uid == "1.2.840.10008.1.2"
    mixed.media.remake(1, tmp_path / "again")
    assert sorted(path.name for path in (tmp_path / "again").rglob("*")) == sorted(
        path.name for path in (tmp_path / "disc").rglob("*")
    )


def test_what_fits_or_cannot_be_converted_stays_as_it_is(mixed: FileSet, tmp_path: Path) -> None:
    mixed.add_many([str(get_testdata_file("examples_jpeg2k.dcm"))])
    with pytest.raises(RefusedError, match="1 instance can't go on a medium"):
        mixed.media.make(tmp_path / "disc", profile=PROFILE, convert=True)
    (made,) = mixed.media.make(tmp_path / "disc", profile=PROFILE, convert=True, leave_out=True)
    assert made.started.count == 3
    before = mixed.repository.journal.position
    mixed.media.make(tmp_path / "mail.zip", profile="STD-GEN-ZIP-MAIL", convert=True)
    changes = [each.event for each in mixed.repository.journal.read(after=before)]
    assert not [each for each in changes if type(each).__name__ == "InstancesConverted"]


DOSE = str(get_testdata_file("rtdose_expb.dcm"))
"""In Big Endian; another SOP Instance UID in its File Meta Information than in its Data Set."""


def test_a_refusal_takes_the_conversion_back(fs: FileSet, tmp_path: Path) -> None:
    fs.add_many([DOSE, str(get_testdata_file("MR_small_bigendian.dcm"))], complete=True)
    before = fs.repository.journal.position
    with pytest.raises(RefusedError, match=r"1 instance can't go on .* it can't be convert"):
        fs.media.make(tmp_path / "disc", profile=PROFILE, convert=True)
    assert fs.repository.refresh().position == fs.repository.journal.position == before
    with pytest.raises(RefusedError, match="can't go on a medium"):
        fs.media.make(tmp_path / "disc", profile=PROFILE)
    assert fs.repository.refresh().position == before
    (made,) = fs.media.make(tmp_path / "disc", profile=PROFILE, convert=True, leave_out=True)
    assert made.started.count == 1
    fs.verify()


def test_what_is_refused_after_the_conversion_says_how_to_take_it_back(
    fs: FileSet, tmp_path: Path
) -> None:
    fs.add_many([IMPLICIT])
    with pytest.raises(VolumesError), pytest.warns(UserWarning, match="1 instance converted.*undo"):
        fs.media.make(tmp_path / "a.iso", profile=PROFILE, convert=True, capacity=400_000)
    assert fs.undo() is not None
    assert [each.transfer_syntax_uid for each in fs.state.live.values()] == ["1.2.840.10008.1.2"]


def test_the_command_tells_why_an_instance_is_not_converted(cli: Cli, tmp_path: Path) -> None:
    cli("add", "--complete", DOSE, get_testdata_file("MR_small_bigendian.dcm"))
    make = ("media", "make", tmp_path / "a.iso", "--profile", PROFILE, "--convert")
    told = cli(*make, code=3).err
    assert "it can't be converted: " in told
    assert f"`fileset media check --profile {PROFILE}` tells all" in told
    made = cli(*make, "--leave-out", code=1)
    assert "1 instance converted to Explicit VR Little Endian." in made.out
    assert "1 instance can't be converted: " in made.err
    assert f"`fileset media check --profile {PROFILE}` tells why" in made.err
    again = cli.json("media", "make", tmp_path / "b.iso", *make[3:], "--leave-out", code=1)
    assert len(again["unconverted"]) == 1


def test_only_the_present_is_converted_and_only_for_a_profile(
    mixed: FileSet, tmp_path: Path
) -> None:
    past = mixed.at(mixed.repository.journal.position)
    mixed.ID = "LATER"
    with pytest.raises(RefusedError, match="as it is now"):
        past.media.make(tmp_path / "disc", profile=PROFILE, convert=True)
    with pytest.raises(RefusedError, match="name one with --profile"):
        mixed.media.make(tmp_path / "disc", convert=True)


def test_the_command_tells_how_many_were_converted(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT, IMPLICIT)
    disc = tmp_path / "disc.iso"
    told = cli("media", "make", disc, "--profile", PROFILE, "--convert").out
    assert "1 instance converted to Explicit VR Little Endian." in told
    document = cli.json("media", "make", tmp_path / "2.iso", "--profile", PROFILE, "--convert")
    assert document["converted"] == 0
    told = cli("media", "make", disc, "--convert", "--dry-run", code=2).err
    assert "--convert changes the File-set" in told
    assert "converted to Explicit VR Little Endian" in cli("blame", "PatientID=4MR1").out
