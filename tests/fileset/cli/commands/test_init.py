"""init: a repository is made whole, new or of a File-set that exists, or not at all."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_runs import CT, DICOMDIR, Cli, copy_of_example, indexed_disc, run
from pydicom import config, dcmread


def test_init_makes_a_repository_for_its_owner_alone(tmp_path: Path) -> None:
    document = run("init", tmp_path / "new", "--id", "DISC", "--uid", "1.2.3.4", "--json").document
    assert document == {
        "format": "fileset init",
        "version": 1,
        "repository": str(tmp_path / "new"),
        "id": "DISC",
        "uid": "1.2.3.4",
        "root": None,
        "instances": 0,
        "left_out": 0,
        "doubts": {},
        "mismatches": [],
        "mends": {},
        "mended": [],
        "read": 0,
        "unread": [],
        "misfits": [],
        "warnings": [],
    }
    assert (tmp_path / "new").stat().st_mode & 0o777 == 0o700


def test_init_refuses_a_folder_in_use_and_a_repository(tmp_path: Path, cli: Cli) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "file").touch()
    assert "is not empty" in run("init", tmp_path / "used", code=3).err
    assert "is a repository already" in run("init", cli.repository, code=3).err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--id", "X" * 17], "at most 16 characters"),
        (["--id", "A\\B"], "printable ASCII"),
        (["--uid", "one.two"], "not a valid UID"),
        (["--uid", ""], "always has a UID"),
        (["--from", "/nowhere/DICOMDIR"], "does not exist"),
    ],
)
def test_init_makes_nothing_of_what_it_cannot_use(
    tmp_path: Path, options: list[str], told: str
) -> None:
    assert told in run("init", tmp_path / "new", *options, code=2).err
    assert not (tmp_path / "new").exists()


def test_an_id_that_does_not_conform_is_warned_about(tmp_path: Path) -> None:
    result = run("init", tmp_path / "new", "--id", "lower")
    assert result.err.startswith(
        "warning: The File-set ID (0004,1130) 'lower' has characters other"
    )


def test_an_existing_file_set_is_adopted_where_it_lies(tmp_path: Path) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    before = {path: path.stat().st_mtime_ns for path in dicomdir.parent.rglob("*")}
    document = run("init", tmp_path / "r", "--from", dicomdir, "--json").document
    assert (document["instances"], document["left_out"]) == (31, 0)
    assert (document["id"], document["root"]) == ("PYDICOM_TEST", str(dicomdir.parent))
    assert {path: path.stat().st_mtime_ns for path in dicomdir.parent.rglob("*")} == before
    assert "all is well" in Cli(tmp_path / "r")("verify").out


def test_an_id_given_with_an_adopted_file_set_is_staged(tmp_path: Path) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    run("init", tmp_path / "r", "--from", dicomdir, "--id", "OTHER")
    staged = Cli(tmp_path / "r").json("status")["staged"]
    assert staged["metadata"] == {"id": {"from": "PYDICOM_TEST", "to": "OTHER"}}


def test_missing_files_of_an_adopted_file_set_are_left_out_and_told(tmp_path: Path) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    (dicomdir.parent / "77654033" / "CR1" / "6154").unlink()
    result = run("init", tmp_path / "r", "--from", dicomdir, code=1)
    assert "does not exist" in result.err
    assert "1 instance left out" in result.out


def test_what_is_no_dicomdir_is_refused_and_leaves_no_repository(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not DICOM")
    for source in (text, CT):
        run("init", tmp_path / "r", "--from", source, code=3)
        assert not (tmp_path / "r").exists()


def test_a_dicomdir_that_leads_out_of_its_root_is_refused_without_a_trace(tmp_path: Path) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    dicomdir.write_bytes(
        dicomdir.read_bytes().replace(b"77654033\\CR1\\6154", b"..\\..\\..\\..\\..\\ee")
    )
    assert "inside the DICOMDIR root" in run("init", tmp_path / "r", "--from", dicomdir, code=3).err
    assert not (tmp_path / "r").exists()


def _adopt_variant(variant: str, tmp_path: Path) -> Path:
    """A copy of pydicom's example with another of its DICOMDIRs."""
    dicomdir = copy_of_example(tmp_path / "cd")
    shutil.copy(Path(DICOMDIR).with_name(f"DICOMDIR-{variant}"), dicomdir)
    return dicomdir


@pytest.mark.parametrize("variant", ["nooffset", "implicit", "bigEnd"])
def test_what_the_check_calls_an_error_of_a_dicomdir_is_told_on_adoption(
    tmp_path: Path, variant: str
) -> None:
    dicomdir = _adopt_variant(variant, tmp_path)
    wrong = run("verify", dicomdir, "--json", code=1).document
    errors = [each["message"] for each in wrong["findings"] if each["severity"] == "error"]
    assert errors

    told = run("init", tmp_path / "r", "--from", dicomdir, "--json").document["warnings"]

    assert set(errors) <= set(told)
    number = "1 error" if len(errors) == 1 else f"{len(errors)} errors"
    assert told[-1].startswith(f"The DICOMDIR has {number}, which the next write ")
    cli = Cli(tmp_path / "r")
    assert cli.status() == ""
    cli("set", "id=OTHER")
    cli("write")
    assert run("verify", dicomdir, "--json").document["errors"] == 0


def test_what_is_repaired_on_adoption_is_not_told_as_an_error(tmp_path: Path) -> None:
    dicomdir = _adopt_variant("nooffset", tmp_path)
    repaired = run("init", tmp_path / "r", "--from", dicomdir, "--repair", "--json").document
    assert repaired["mends"] == {"form": 2}
    assert repaired["warnings"] == []


def test_invalid_values_of_an_adopted_dicomdir_are_told_and_of_many_the_first_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(config.settings, "writing_validation_mode", config.IGNORE)
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)
    files = {}
    for number in range(1, 8):
        ds = dcmread(CT)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.0{number}"
        ds.save_as(tmp_path / f"IM{number}", enforce_file_format=True)
        files[f"IM{number}"] = tmp_path / f"IM{number}"
    indexed_disc(tmp_path / "disc", **files)

    told = run("init", tmp_path / "r", "--from", tmp_path / "disc", "--json").document["warnings"]

    assert [text.split(": UI takes")[0].split(" has ")[-1] for text in told[:-1]] == [
        "an invalid value in (0004,1511) Referenced SOP Instance UID in File"
    ] * 5
    assert told[-1] == "bad-value: and 2 more: `fileset verify ROOT --all` lists them."
    found = run("verify", tmp_path / "disc", "--json").document["findings"]
    assert {each["message"] for each in found} >= set(told[:-1])
