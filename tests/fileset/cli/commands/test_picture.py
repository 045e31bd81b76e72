"""picture: a contact sheet of series or instances."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, changed, copy_of_example, run
from pydicom.data import get_testdata_file

SR = get_testdata_file("reportsi.dcm")


def needs_pictures() -> None:
    pytest.importorskip("numpy", reason="needs the extra [pictures]: nox --session pictures")


def test_a_missing_extra_is_one_sentence(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "numpy", None)
    cli("add", CT)
    said = cli("picture", tmp_path / "a.html", code=3).err
    assert said.startswith("error: Pictures need")
    assert said.count("\n") == 1


def test_another_ending_is_a_usage_error(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    assert "end it in .html or .png" in cli("picture", tmp_path / "a.jpg", code=2).err


def test_nothing_that_matches_makes_nothing(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    said = cli("picture", "PatientID=nobody", tmp_path / "a.html", code=1)
    assert "No instance matches" in said.err
    assert not (tmp_path / "a.html").exists()
    assert cli.json("picture", "PatientID=nobody", tmp_path / "a.html", code=1)["files"] == []


def test_a_sheet_has_what_matches(cli: Cli, tmp_path: Path) -> None:
    needs_pictures()
    cli("add", CT, MR)
    cli("tag", "sent")
    cli("remove", "Modality=CT")
    out = cli("picture", "Modality=MR", tmp_path / "a.png").out
    assert out.splitlines() == [str(tmp_path / "a.png"), "1 picture."]
    document = cli.json("picture", "--at", "sent", tmp_path / "b.html")
    assert [tile["patient"] for tile in document["tiles"]] == [
        "CompressedSamples, CT1 (1CT1)", "CompressedSamples, MR1 (4MR1)",
    ]  # fmt: skip
    assert document["files"] == [str(tmp_path / "b.html")]
    assert "there already" in cli("picture", tmp_path / "b.html", code=3).err
    cli("picture", tmp_path / "b.html", "--replace")


def test_a_disc_needs_no_repository(tmp_path: Path) -> None:
    needs_pictures()
    dicomdir = copy_of_example(tmp_path / "cd")
    out = run("picture", "--from", dicomdir.parent, "Modality=CT", tmp_path / "a.html").out
    assert out.splitlines()[-1] == "3 pictures."
    assert "the File-set at" in run(
        "picture", "--from", dicomdir, dicomdir.parent / "a.html", code=3
    ).err  # fmt: skip


def test_what_is_no_image_is_told_and_what_is_damaged_is_the_exit_code(
    cli: Cli, tmp_path: Path
) -> None:
    needs_pictures()
    from pydicom import dcmread

    said = {"StudyDate": "20040101", "StudyTime": "12", "StudyID": "1"}
    cli("add", changed(SR, tmp_path / "sr.dcm", PatientID="SR", **said))
    assert "no picture: it is not an image" in cli("picture", tmp_path / "a.html").err
    ds = dcmread(get_testdata_file("JPEG2000.dcm"))
    ds.PixelData = ds.PixelData[:40] + bytes(len(ds.PixelData) - 60) + ds.PixelData[-20:]
    ds.save_as(tmp_path / "broken.dcm")
    cli("add", tmp_path / "broken.dcm")
    document = cli.json("picture", tmp_path / "b.html", code=1)
    assert [tile["failed"] for tile in document["tiles"]].count(True) == 1


def test_an_empty_file_set_has_no_sheet(tmp_path: Path) -> None:
    run("init", tmp_path / "r")
    Cli(tmp_path / "r")("picture", tmp_path / "a.html", code=1)
