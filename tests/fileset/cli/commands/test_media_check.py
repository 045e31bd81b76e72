"""media check: every instance that does not fit is told with the reason, on any File-set."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_runs import CT, DICOMDIR, MR, Cli, run
from pydicom import dcmread
from pydicom.data import get_testdata_file

from fileset import FileSet

IMPLICIT = get_testdata_file("MR_small_implicit.dcm")
JPEG_2000 = get_testdata_file("examples_jpeg2k.dcm")


def test_each_instance_that_does_not_fit_is_told_with_the_table(cli: Cli) -> None:
    cli("add", CT, IMPLICIT, JPEG_2000)
    told = cli("media", "check", "--profile", "STD-GEN-CD", code=1).out
    assert "MR_small_implicit.dcm: its transfer syntax is Implicit VR Little Endian" in told
    assert "1 of 3 instances fit STD-GEN-CD." in told
    assert "Some only have to be in Explicit VR Little Endian, which loses nothing." in told
    assert "All of them would fit STD-GEN-ZIP-MAIL, STD-GEN-MIME." in told
    document = cli.json("media", "check", "--profile", "STD-GEN-CD", code=1)
    assert [each["misfits"][0]["reference"] for each in document["misfits"]] == [
        "PS3.11 Table D.3-1"
    ] * 2
    assert [each["misfits"][0]["convertible"] for each in document["misfits"]] == [True, False]


def test_one_instance_fits(cli: Cli) -> None:
    cli("add", CT)
    assert (
        "1 of 1 instance fits STD-GEN-CD." in cli("media", "check", "--profile", "STD-GEN-CD").out
    )


@pytest.mark.parametrize("name", ["std-gen-cd", "Std-Gen-CD", "STD-GEN-CD"])
def test_a_profile_may_be_typed_in_any_case(cli: Cli, tmp_path: Path, name: str) -> None:
    cli("add", CT)
    assert cli.json("media", "check", "--profile", name)["profile"] == "STD-GEN-CD"
    medium = cli.json("media", "make", tmp_path / "a.iso", "--profile", name)["media"][0]
    assert medium["profile"] == "STD-GEN-CD"
    cli("set", f"profile={name}")
    with FileSet.open(cli.repository) as fs:
        assert fs.profile == "STD-GEN-CD"
        fs.profile = None
        fs.profile = name
        assert fs.profile == "STD-GEN-CD"


def test_the_repositorys_own_profile_is_what_is_checked(cli: Cli) -> None:
    cli("add", CT)
    cli("set", "profile=STD-CTMR-CD")
    document = cli.json("media", "check")
    assert (document["profile"], document["fits"]) == ("STD-CTMR-CD", True)
    cli("add", JPEG_2000)
    assert cli.json("media", "check", code=1)["fits"] is False


def test_without_a_profile_those_that_would_do_are_named(cli: Cli) -> None:
    cli("add", CT, MR)
    assert "STD-CTMR-CD" in cli("media", "check").out
    assert "STD-GEN-SEC-CD" not in cli("media", "check").out


def test_any_file_set_can_be_checked_without_a_repository(tmp_path: Path) -> None:
    told = run(
        "media", "check", Path(DICOMDIR).parent, "--profile", "STD-GEN-CD", "--json"
    ).document
    assert told["instances"] == 31
    assert told["misfits"] == []


def test_records_without_the_keys_of_the_profile_are_told(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    cli("write", tmp_path / "disc")
    told = run("media", "check", tmp_path / "disc", "--profile", "STD-GEN-CD", code=1).out
    assert "the IMAGE record of PT000000/ST000000/SE000000/IM000000 lacks Image Type" in told
    assert "PS3.11 Table D.3-2" in told
    cli("set", "profile=STD-GEN-CD")
    cli("write")
    run("media", "check", tmp_path / "disc", "--profile", "STD-GEN-CD")


def test_what_cannot_be_read_is_told_and_the_rest_is_checked(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT, MR)
    cli("write", tmp_path / "disc")
    (tmp_path / "disc" / "PT000000" / "ST000000" / "SE000000" / "IM000000").unlink()
    told = run("media", "check", tmp_path / "disc", "--profile", "STD-GEN-MIME", code=1)
    assert "Can't be read: PT000000/ST000000/SE000000/IM000000: No such file" in told.out
    assert "1 of 2 instances fit STD-GEN-MIME." in told.out


def test_two_patients_of_one_id_do_not_fit(tmp_path: Path) -> None:
    disc = tmp_path / "disc"
    shutil.copytree(Path(DICOMDIR).parent, disc)
    ds = dcmread(disc / "DICOMDIR")
    patients = [r for r in ds.DirectoryRecordSequence if r.DirectoryRecordType == "PATIENT"]
    patients[1].PatientID = patients[0].PatientID.ljust(len(patients[1].PatientID))
    ds.save_as(disc / "DICOMDIR")
    told = run("media", "check", disc, "--profile", "STD-GEN-CD", code=1).out
    assert f"2 PATIENT records have the Patient ID '{patients[0].PatientID.strip()}'" in told
    run("media", "check", disc, "--profile", "STD-GEN-MIME")


def test_a_profile_that_is_not_made_can_be_checked(cli: Cli) -> None:
    cli("add", CT)
    told = cli("media", "check", "--profile", "STD-GEN-BD")
    assert "Media of STD-GEN-BD are not made here: BD media have UDF 2.5 or 2.6" in told.out
    assert "CMS" in cli("media", "check", "--profile", "STD-GEN-SEC-CD").out


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--profile", "STD-GEN"], 2, "is not an application profile"),
        (["here"], 2, "does not exist"),
        (["."], 3, "DICOMDIR"),
    ],
)
def test_what_makes_no_sense_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert told in run("media", "check", *arguments, code=code).err


def test_an_empty_file_set_fits_no_profile(cli: Cli) -> None:
    assert "the File-set is empty" in cli("media", "check", "--profile", "STD-GEN-CD", code=1).out
    assert cli.json("media", "check", code=1)["fitting"] == []
