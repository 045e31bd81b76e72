"""add: every file is accounted for, and bad ones stop nothing."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest
from archives import zipped
from cli_runs import CT, DICOMDIR, MR, RT_DOSE, Cli, changed


def test_files_are_added_and_stay_staged_for_the_next_run(cli: Cli) -> None:
    result = cli("add", CT, MR)
    found, staged = result.out.splitlines()
    assert found == "found 2 = 2 added"
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
    missing, fifo = tmp_path / "missing.dcm", tmp_path / "fifo"
    missing.symlink_to("nowhere")
    os.mkfifo(fifo)
    bad = {text, truncated, nameless, missing, fifo, RT_DOSE}
    result = cli("add", text, truncated, CT, nameless, missing, fifo, RT_DOSE, code=1)
    lines = result.err.splitlines()
    assert {Path(line.partition(": ")[0]) for line in lines} == bad
    told = {Path(line.partition(": ")[0]): line for line in lines}
    assert "not a DICOM file" in told[text]
    assert "(0008,0018)" in told[nameless]
    assert "No such file" in told[missing]
    assert "not a regular file" in told[fifo]
    assert "Instance Number" in told[RT_DOSE]
    assert "found 7 = 1 added + 4 rejected + 2 not DICOM" in result.out
    assert len(cli.uids()) == 1


def test_what_python_programs_would_call_is_no_advice_for_the_command(cli: Cli) -> None:
    told = "no RT DOSE record can be made of it: the instance's (0020,0013) 'Instance Number'"
    assert told in cli("add", RT_DOSE, code=1).err
    (result,) = cli.json("add", RT_DOSE, code=1)["results"]
    assert result["reason"].startswith(told)
    for printed in (result["reason"], cli("log", "--events").out):
        assert told in printed
        assert "FileSet" not in printed


def test_all_results_are_in_the_document(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "missing").symlink_to("nowhere")
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


@pytest.mark.parametrize("name", ["nothere", "CT/below", "*.dcm", "gone/"])
def test_a_path_where_nothing_is_is_refused_before_anything_is_recorded(
    cli: Cli, tmp_path: Path, name: str
) -> None:
    shutil.copy(CT, tmp_path / "CT")
    before = cli("log").out
    told = cli("add", tmp_path / "CT", tmp_path / name, code=2)
    assert "does not exist: nothing was added." in told.err
    assert cli("log").out == before
    assert cli.uids() == set()


def test_the_log_names_what_was_not_taken(cli: Cli, tmp_path: Path) -> None:
    for n in range(5):
        (tmp_path / f"text {n}").write_text("text")
    cli("add", *sorted(tmp_path.glob("text *")), code=1)
    assert "5 files rejected: text 0, text 1, text 2 and 2 more" in cli("log").out
    cli("add", CT)
    cli("add", changed(CT, tmp_path / "other.dcm", PatientName="Somebody^Else"), code=1)
    assert "1 conflict noted: other.dcm" in cli("log").out


@pytest.mark.parametrize("option", [[], ["--recursive"], ["-r"]])
def test_folders_are_looked_into(cli: Cli, tmp_path: Path, option: list[str]) -> None:
    below = tmp_path / "in" / "a" / "b"
    below.mkdir(parents=True)
    shutil.copy(CT, below)
    shutil.copy(MR, tmp_path / "in")
    shutil.copy(DICOMDIR, tmp_path / "in")
    result = cli("add", tmp_path / "in", *option)
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


def test_a_file_that_may_not_be_read_is_reported_and_the_others_are_added(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = tmp_path / "closed.dcm"
    shutil.copyfile(MR, closed)
    access, open_ = os.access, os.open

    def is_open(path: Any, *arguments: Any, **options: Any) -> bool:
        return str(path) != str(closed) and access(path, *arguments, **options)

    def refuse(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if str(path) == str(closed):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return open_(path, flags, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(
        os, "access", lambda p, *a, **o: str(p) != str(closed) and access(p, *a, **o)
    )
    result = cli("add", closed, CT, code=1)
    assert f"{closed}: can't be read: Permission denied" in result.err
    assert "found 2 = 1 added + 1 rejected" in result.out


def test_a_dicomdir_that_is_added_is_told_how_to_adopt_its_file_set(
    cli: Cli, tmp_path: Path
) -> None:
    shutil.copyfile(DICOMDIR, tmp_path / "stray.dcm")
    assert "`fileset init REPO --from` makes" in cli("add", tmp_path / "stray.dcm", code=1).err


def test_what_is_in_an_archive_is_added_and_a_bad_member_is_told(cli: Cli, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "study.zip", {"good": CT.read_bytes(), "../bad": MR.read_bytes()})
    result = cli("add", archive, code=1)
    assert result.err == f"{archive}!../bad: its name leads out of the archive\n"
    assert "found 2 = 1 added + 1 rejected" in result.out
    assert f"from {archive}!good" in cli("log", "--events").out
    cli("verify")


def test_an_archive_by_reference_is_a_usage_error(cli: Cli, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "study.zip", {"good": CT.read_bytes()})
    told = cli("add", archive, "--place", "reference", code=2).err
    assert f"'{archive}' is an archive" in told
    assert "leave out --place reference, or unpack it and name the folder" in told


def test_names_of_members_reach_no_terminal_as_escapes(cli: Cli, tmp_path: Path) -> None:
    archive = zipped(tmp_path / "study.zip", {"a\x1b[31mb\n": CT.read_bytes()})
    told = cli("add", archive, code=1).err
    assert "\x1b" not in told
    assert told.count("\n") == 1


def test_what_the_system_leaves_in_folders_is_passed_over_in_one_line(
    cli: Cli, tmp_path: Path
) -> None:
    folder = tmp_path / "stick"
    (folder / ".Trashes").mkdir(parents=True)
    shutil.copy(CT, folder / "ct")
    shutil.copy(MR, folder / "scout.bak")
    for name in (".DS_Store", "Thumbs.db", "._ct", ".Trashes/ct"):
        (folder / name).write_bytes(b"no DICOM")
    told = cli("add", folder, "--ignore", "*.BAK")
    assert told.err == "Passed over 5 by name: .DS_Store, .Trashes, ._ct, Thumbs.db, scout.bak\n"
    assert "found 6 = 1 added" in told.out
    assert "5 skipped" in told.out
    results = cli.json("add", folder)["results"]
    assert {each["reason"] for each in results if each["outcome"] == "skipped"} == {
        "it has a name that is passed over"
    }
    assert cli.json("add", folder, "--no-ignore", code=1)["not_dicom"] == 4
    named = cli("add", folder / "Thumbs.db", code=1).err  # what is named is meant
    assert "Thumbs.db: " in named
    assert "leave out --ignore" in cli("add", CT, "--ignore", "x", "--no-ignore", code=2).err


def test_what_a_mac_puts_into_a_zip_is_passed_over(cli: Cli, tmp_path: Path) -> None:
    with ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(CT, "images/ct")
        archive.write(MR, "old/mr")
        for name in ("__MACOSX/images/._ct", "images/.DS_Store"):
            archive.writestr(name, b"no DICOM")
    told = cli("add", tmp_path / "a.zip", "--ignore", "old/*")
    assert told.err == "Passed over 3 by name: mr, ._ct, .DS_Store\n"
    assert cli.json("status")["instances"] == 1
