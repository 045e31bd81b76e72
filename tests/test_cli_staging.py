"""add, remove and set: every file is accounted for, and bad ones stop nothing."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from cli_runs import CT, DICOMDIR, MR, OVERLAY, RT_DOSE, Cli, changed, run


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    repository = tmp_path / "archive"
    run("init", repository)
    return Cli(repository)


# --- add -----------------------------------------------------------------------------------------


def test_files_are_added_and_stay_staged_for_the_next_run(cli: Cli) -> None:
    result = cli("add", CT, MR)
    found, staged = result.out.splitlines()
    assert found.startswith("found 2 = 2 added + 0 already there + 0 conflicting + 0 rejected + 0")
    assert staged == "Staged for write: DICOMDIR creation, 2 additions"
    assert result.err == ""
    assert cli.status() == "DICOMDIR creation, 2 additions"


def test_the_same_file_twice_is_already_there(cli: Cli) -> None:
    document = cli.json("add", CT, CT)
    assert (document["added"], document["already_there"]) == (1, 1)
    again = cli.json("add", CT)
    assert (again["already_there"], again["change"]) == (1, None)


def test_bad_files_are_told_one_a_line_and_the_others_are_added(cli: Cli, tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not DICOM")
    truncated = tmp_path / "truncated.dcm"
    truncated.write_bytes(MR.read_bytes()[:5000])
    nameless = changed(CT, tmp_path / "nameless.dcm", SOPInstanceUID=None)
    missing, folder, fifo = tmp_path / "missing.dcm", tmp_path / "folder", tmp_path / "fifo"
    folder.mkdir()
    os.mkfifo(fifo)
    bad = {text, truncated, nameless, missing, folder, fifo, RT_DOSE}
    result = cli("add", text, truncated, CT, nameless, missing, folder, fifo, RT_DOSE, code=1)
    lines = result.err.splitlines()
    assert {Path(line.partition(": ")[0]) for line in lines} == bad
    told = {Path(line.partition(": ")[0]): line for line in lines}
    assert "not a DICOM file" in told[text]
    assert "(0008,0018)" in told[nameless]
    assert "No such file" in told[missing]
    assert "--recursive" in told[folder]
    assert "not a regular file" in told[fifo]
    assert "Instance Number" in told[RT_DOSE]
    assert (
        "found 8 = 1 added + 0 already there + 0 conflicting + 5 rejected + 2 not DICOM"
        in result.out
    )
    assert len(cli.uids()) == 1


def test_all_results_are_in_the_document(cli: Cli, tmp_path: Path) -> None:
    document = cli.json("add", CT, tmp_path / "missing", code=1)
    outcomes = ("added", "already_there", "conflicting", "rejected", "not_dicom", "skipped")
    assert document["found"] == sum(document[key] for key in outcomes) == 2
    added, missing = document["results"]
    assert (added["outcome"], added["path"], added["reason"]) == ("added", str(CT), None)
    assert added["sop_instance_uid"] in cli.uids()
    assert (missing["outcome"], missing["sop_instance_uid"]) == ("rejected", None)
    assert "No such file" in missing["reason"]


def test_the_same_instance_with_other_content_is_a_conflict(cli: Cli, tmp_path: Path) -> None:
    other = changed(CT, tmp_path / "other.dcm", PatientName="Somebody^Else")
    cli("add", CT)
    result = cli("add", other, code=1)
    assert f"{other}: the File-set holds the SOP Instance" in result.err
    assert "1 conflicting" in result.out
    assert cli("values", "PatientName").out == "PatientName=CompressedSamples^CT1\n"


def test_folders_are_looked_into_only_when_asked(cli: Cli, tmp_path: Path) -> None:
    below = tmp_path / "in" / "a" / "b"
    below.mkdir(parents=True)
    shutil.copy(CT, below)
    shutil.copy(MR, tmp_path / "in")
    shutil.copy(DICOMDIR, tmp_path / "in")
    assert "--recursive" in cli("add", tmp_path / "in", code=1).err
    result = cli("add", tmp_path / "in", "--recursive")
    assert "found 3 = 2 added" in result.out
    assert "1 skipped" in result.out
    assert "skipped: a DICOMDIR" in result.err


def test_a_reference_is_left_where_it_is_and_checked_when_written(cli: Cli, tmp_path: Path) -> None:
    source = tmp_path / "source.dcm"
    shutil.copy(CT, source)
    cli("add", source, "--place", "reference")
    assert not any(path.stat().st_size > 1000 for path in (cli.repository / "vault").iterdir())
    source.write_bytes(MR.read_bytes())
    assert "has changed since it was added" in cli("write", tmp_path / "medium", code=3).err
    shutil.copy(CT, source)
    cli("write", tmp_path / "medium")


def test_a_change_keeps_who_made_it_and_why(cli: Cli) -> None:
    cli("add", CT, "--reason", "asked for by the clinic", "--actor", "Anna")
    last = cli.json("log")["changes"][-1]
    assert (last["actor"], last["reason"]) == ("Anna", "asked for by the clinic")


@pytest.mark.parametrize("name", [b"line\nbreak.dcm", b"\x1b[31mred.dcm", b"not-utf8-\xff.dcm"])
def test_odd_file_names_are_added_and_printed_harmlessly(
    cli: Cli, tmp_path: Path, name: bytes
) -> None:
    good = tmp_path / os.fsdecode(name)
    shutil.copy(CT, good)
    bad = tmp_path / os.fsdecode(b"bad-" + name)
    bad.write_text("not DICOM")
    result = cli("add", good, bad, code=1)
    assert len(result.err.splitlines()) == 1
    shown = result.err + cli("log", "--events").out
    assert "\x1b" not in shown
    assert result.err.isascii()
    assert cli.json("verify")["findings"] == []
    document = cli.json("add", good)
    assert document["already_there"] == 1


def test_control_characters_in_values_do_not_reach_the_terminal(cli: Cli, tmp_path: Path) -> None:
    sneaky = changed(CT, tmp_path / "sneaky.dcm", PatientID="A\x1b[31m\nFile-set ID: FORGED")
    cli("add", sneaky)
    for command in (["status"], ["tree"], ["log"], ["values", "PatientID"], ["diff", "1"]):
        out = cli(*command).out
        assert "\x1b" not in out
        assert not any(line.strip().startswith("File-set ID: FORGED") for line in out.splitlines())


# --- remove --------------------------------------------------------------------------------------


def test_instances_are_removed_by_their_elements(cli: Cli) -> None:
    cli("add", CT, MR, OVERLAY)
    result = cli("remove", "Modality=MR", "PatientID=4MR1")
    assert "1 instance removed:" in result.out
    assert "MR Image Storage" in result.out
    assert cli("values", "PatientID").out.splitlines() == ["PatientID=1CT1", "PatientID=021234567"]


def test_removing_what_matches_nothing_changes_nothing(cli: Cli) -> None:
    cli("add", CT)
    result = cli("remove", "PatientID=nobody", code=1)
    assert result.err == "No instance matches.\n"
    document = cli.json("remove", "PatientID=nobody", code=1)
    assert (document["removed"], document["change"]) == ([], None)


def test_numbers_are_matched_as_numbers(cli: Cli) -> None:
    cli("add", CT)
    assert cli.json("remove", "InstanceNumber=01")["removed"]


def test_an_unknown_keyword_is_a_usage_error_that_names_near_ones(cli: Cli) -> None:
    for command in ("remove", "find"):
        result = cli(command, "PatientNmae=X", code=2)
        assert "Did you mean" in result.err
        assert "PatientName" in result.err
    assert "is not KEYWORD=VALUE" in cli("remove", "PatientID", code=2).err
    assert cli.json("values", "patientid", code=2)["error"]["kind"] == "usage"


# --- set -----------------------------------------------------------------------------------------


def test_all_that_is_set_is_one_change(cli: Cli) -> None:
    cli("set", "id=DISC_7", "uid=1.2.3", "descriptor=DOCS/README", "charset=ISO_IR 100")
    state = cli.json("status")
    assert state["id"] == "DISC_7"
    assert state["uid"] == "1.2.3"
    assert state["descriptor_file_id"] == "DOCS/README"
    assert state["descriptor_character_set"] == "ISO_IR 100"
    assert state["undo"] == 1
    cli("undo")
    assert cli.json("status")["id"] is None


def test_an_empty_value_clears(cli: Cli) -> None:
    cli("set", "id=DISC_7", "descriptor=README")
    result = cli("set", "id=", "descriptor=")
    assert "File-set ID: 'DISC_7' -> (no value)" in result.out
    state = cli.json("status")
    assert (state["id"], state["descriptor_file_id"]) == (None, None)


def test_setting_what_is_so_changes_nothing(cli: Cli) -> None:
    cli("set", "id=DISC_7")
    result = cli("set", "id=DISC_7")
    assert "That is so already." in result.out
    assert cli.json("status")["undo"] == 1


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("id=" + "X" * 17, "at most 16 characters"),
        ("id=caf\u00e9", "ASCII"),
        ("uid=", "always has a UID"),
        ("uid=1..2", "not a valid UID"),
        ("descriptor=" + "X" * 17, "at most 8 components"),
        ("charset=ISO_IR 1000", "ISO_IR 100"),
        ("name=X", "is not one of id=..."),
        ("id", "is not one of id=..."),
    ],
)
def test_a_value_that_cannot_be_set_changes_nothing(cli: Cli, setting: str, told: str) -> None:
    assert told in cli("set", "descriptor=FINE", setting, code=2).err
    assert cli.json("status")["undo"] == 0
