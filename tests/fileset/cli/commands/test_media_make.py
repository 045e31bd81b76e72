"""`fileset media make`: what is handed out, and where it goes."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest
from cli_runs import CT, Cli, command_line
from golden_journals import changed
from pydicom import dcmread
from pydicom.data import get_testdata_file


def piped(cli: Cli, *arguments: object) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        command_line("--repo", cli.repository, *arguments), capture_output=True, check=False
    )


def test_values_are_found_in_the_instances_themselves_if_that_is_asked_for(
    filled: Cli, tmp_path: Path
) -> None:
    where = ("BodyPartExamined=HEAD", "--load")
    made = filled.json(
        "media", "make", tmp_path / "out", "Manufacturer=GE MEDICAL SYSTEMS", "--load"
    )
    assert made["media"][0]["instances"] == 1
    told = filled("media", "make", tmp_path / "none", *where, code=1).err
    assert told.startswith("No instance matches")


def test_of_an_empty_file_set_nothing_is_made(cli: Cli, tmp_path: Path) -> None:
    assert cli("media", "make", tmp_path / "none", code=1).err == "No instance matches.\n"
    cli("add", CT)
    cli("remove", "PatientID=1CT1")
    document = cli.json("media", "make", tmp_path / "none", "--dry-run", code=1)
    assert (document["media"], document["plan"]) == ([], [])
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize("options", [(), ("--dry-run",), ("--load",)])
def test_where_nothing_matches_nothing_is_made_as_other_commands_say_it(
    filled: Cli, tmp_path: Path, options: tuple[str, ...]
) -> None:
    told = filled("media", "make", tmp_path / "none", "PatientID=nobody", *options, code=1)
    load = " --load" if "--load" in options else ""
    assert told.out == ""
    assert told.err == (
        f"No instance matches: `fileset values PatientID{load}` lists the values that there are.\n"
    )
    document = filled.json("media", "make", tmp_path / "none", "PatientID=nobody", *options, code=1)
    assert (document["media"], document["plan"]) == ([], [])
    assert document["dry_run"] == ("--dry-run" in options)
    assert not (tmp_path / "none").exists()
    assert filled.json("media", "list")["media"] == []


def test_a_medium_of_another_kind_than_the_profile_s_is_named(filled: Cli, tmp_path: Path) -> None:
    where = ("media", "make", tmp_path / "a.iso", "--profile", "STD-GEN-ZIP-MAIL")
    assert "and the ISO image is none: take another --format" in filled(*where, code=3).err


def test_an_image_that_can_t_be_shown_makes_the_exit_code_1_and_what_is_none_does_not(
    cli: Cli, tmp_path: Path
) -> None:
    damaged = dcmread(get_testdata_file("CT_small.dcm"))
    damaged.PixelData = damaged.PixelData[:100]
    damaged.save_as(tmp_path / "damaged.dcm")
    cli("add", "--complete", tmp_path / "damaged.dcm", get_testdata_file("rtplan.dcm"))
    told = cli("media", "make", tmp_path / "a", "--viewer", code=1).err
    assert "can't be shown: it has 100 bytes of pixels" in told
    cli("media", "make", tmp_path / "b", "--viewer", "--dry-run", code=1)
    told = cli("media", "make", tmp_path / "c", "Modality=RTPLAN", "--viewer").err
    assert "it is not an image" in told


def test_several_that_can_t_be_shown_are_told_in_words_for_several(
    cli: Cli, tmp_path: Path
) -> None:
    pytest.importorskip("numpy", reason="needs the extra [pictures]: nox --session pictures")
    cli("add", "--complete", get_testdata_file("reportsi.dcm"), get_testdata_file("rtplan.dcm"))
    told = cli("media", "make", tmp_path / "a", "--pdi").err
    assert "2 instances can't be shown: they are not images (1." in told
    one = cli("media", "make", tmp_path / "b", "Modality=SR", "--pdi").err
    assert "1 instance can't be shown: it is not an image (1." in one


def test_the_past_is_handed_out_with_at(filled: Cli, tmp_path: Path) -> None:
    filled("tag", "sent")
    filled("remove", "PatientID=1CT1")
    made = filled.json("media", "make", tmp_path / "out", "--at", "sent")
    assert made["media"][0]["instances"] == 2


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.iso", "iso"), ("a.ISO", "iso"), ("a.img", "usb"), ("a.usb", "usb"), ("a.zip", "zip"),
        ("a.eml", "eml"), ("a", "folder"), ("v1.2", "folder"), ("Dr. Weiss", "folder"),
    ],
)  # fmt: skip
def test_the_ending_says_what_is_made(filled: Cli, tmp_path: Path, name: str, kind: str) -> None:
    assert filled.json("media", "make", tmp_path / name)["media"][0]["kind"] == kind
    assert filled.json("media", "verify", tmp_path / name)["sound"]
    filled("media", "remake", 1, tmp_path / f"again-{name}")
    if kind != "folder":
        again = (tmp_path / f"again-{name}").read_bytes()
        assert again == (tmp_path / name).read_bytes()


@pytest.mark.parametrize(
    ("name", "kind", "told"),
    [
        (
            "n.iso",
            "zip",
            r"n.iso has .* \(ISO image\) than what .* \(ZIP file\): end its name in .zip.",
        ),
        ("n.zip", "usb", "end its name in .img or .usb."),
        ("n.ISO", "folder", "leave the ending out."),
        ("d5.iso.txt", None, "What to make at .*d5.iso.txt[?] .iso, .img"),
    ],
)
def test_an_ending_that_says_something_else_is_a_usage_error(
    filled: Cli, tmp_path: Path, name: str, kind: str | None, told: str
) -> None:
    options = () if kind is None else ("--format", kind)
    assert re.search(told, filled("media", "make", tmp_path / name, *options, code=2).err)
    assert not (tmp_path / name).exists()
    assert filled.json("media", "list")["media"] == []


def test_a_folder_may_end_as_files_do_if_that_is_asked_for(filled: Cli, tmp_path: Path) -> None:
    filled("media", "make", tmp_path / "disc.old", "--format", "folder")
    assert (tmp_path / "disc.old" / "DICOMDIR").is_file()
    filled("media", "make", tmp_path / "disc.raw", "--format", "iso")
    assert (tmp_path / "disc.raw").is_file()


@pytest.mark.parametrize("kind", ["iso", "usb", "zip", "eml"])
def test_standard_output_gets_the_medium_and_nothing_else(
    filled: Cli, tmp_path: Path, kind: str
) -> None:
    filled("media", "make", tmp_path / "file", "--format", kind)
    done = piped(filled, "media", "make", "-", "--format", kind)
    assert done.stdout == (tmp_path / "file").read_bytes()
    assert done.stderr.startswith(b"Medium 2: 2 instances to standard output")
    assert piped(filled, "media", "remake", 1, "-").stdout == done.stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["-"], "Standard output needs a --format."),
        (["-", "--format", "iso", "--json"], "Standard output can't take both"),
        (["OUT", "--split", "study"], "--split needs a --capacity."),
        (["OUT", "--capacity", "floppy"], "'floppy' is neither a number of bytes, such as"),
        (["OUT", "--capacity", "0"], "'0' is neither"),
        (["OUT", "PatientId=1"], "PatientId"),
        (["OUT", "--at", "never"], "never"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    filled: Cli, tmp_path: Path, arguments: list[str], told: str
) -> None:
    given = [str(tmp_path / "out") if each == "OUT" else each for each in arguments]
    run = filled("media", "make", *given, code=2)
    assert told in run.err + run.out
    assert not (tmp_path / "out").exists()


def test_a_dry_run_tells_the_volumes_with_their_sizes_and_makes_none(
    filled: Cli, tmp_path: Path
) -> None:
    filled("set", "id=CLINIC")
    out = tmp_path / "disc.iso"
    planned = filled("media", "make", out, "--capacity", 443_928, "--dry-run").out
    assert "disc_1OF2.iso: CLINIC_1OF2, 1 instance, 401,408 bytes" in planned
    assert "disc_2OF2.iso: CLINIC_2OF2, 1 instance, " in planned
    assert os.listdir(tmp_path) == ["archive"]  # noqa: PTH208 - hidden files count
    assert filled("media", "list").err.startswith("No medium was made yet")
    filled("media", "make", out, "--capacity", 443_928)
    assert (tmp_path / "disc_1OF2.iso").stat().st_size == 401_408


def test_a_study_that_is_larger_than_a_volume_is_refused_with_what_helps(
    filled: Cli, tmp_path: Path
) -> None:
    second = changed(
        Path(CT), tmp_path / "2.dcm", SOPInstanceUID="1.2.3", SeriesInstanceUID="1.2.4"
    )
    filled("add", second)
    out = tmp_path / "disc.iso"
    told = filled("media", "make", out, "--capacity", 443_928, code=3).err
    assert "has no room for STUDY " in told
    assert "`--split series`" in told
    made = filled.json("media", "make", out, "--capacity", 443_928, "--split", "series")
    assert [medium["instances"] for medium in made["media"]] == [1, 1, 1]
    told = filled("media", "make", out, "--capacity", 400_000, "--split", "series", code=3).err
    assert "Take a larger --capacity." in told


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--institution", "X"], "--institution needs --pdi."),
        (["--contact", "X"], "--contact needs --pdi."),
        (["--templates", "."], "--templates needs --pdi."),
        (["--language", "de"], "--language needs --pdi or --viewer."),
        (["--include-programs"], "--include-programs needs --include."),
    ],
)
def test_an_option_that_would_do_nothing_is_a_usage_error(
    filled: Cli, tmp_path: Path, options: list[str], why: str
) -> None:
    assert why in filled("media", "make", tmp_path / "disc", *options, code=2).err


def test_the_file_sets_own_profile_has_to_be_for_that_kind_of_medium(
    filled: Cli, tmp_path: Path
) -> None:
    filled("set", "profile=STD-GEN-CD")
    told = filled("media", "make", tmp_path / "stick.img", code=3).err
    assert "or a --profile for this one" in told
    filled("media", "make", tmp_path / "disc.iso")
