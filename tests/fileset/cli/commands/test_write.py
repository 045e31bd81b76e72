"""write: what is staged becomes files and a DICOMDIR, and nothing else is touched."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR, OVERLAY, Cli, copy_of_example, run
from pydicom.fileset import FileSet as PydicomFileSet

from fileset import FileSet
from fileset.medium.made_files import MadeFiles
from fileset.medium.materializer import Materializer


@pytest.fixture
def medium(tmp_path: Path) -> Path:
    return tmp_path / "medium"


def files(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in root.rglob("*")
        if path.is_file()
    }


def test_what_is_staged_is_written_and_read_by_pydicom(cli: Cli, medium: Path) -> None:
    cli("add", CT, MR)
    result = cli("write", medium)
    assert result.out.startswith(f"Wrote 2 instances to {medium}.\n2 files placed; DICOMDIR of ")
    found = {
        str(i.PatientID): Path(i.path).read_bytes() for i in PydicomFileSet(medium / "DICOMDIR")
    }
    assert found == {"1CT1": CT.read_bytes(), "4MR1": MR.read_bytes()}
    assert cli.status() == ""
    assert cli.json("verify")["findings"] == []


def test_the_root_is_remembered(cli: Cli, medium: Path) -> None:
    cli("add", CT)
    cli("write", medium)
    cli("add", MR)
    document = cli.json("write")
    assert document["root"] == str(medium)
    assert document["written"] is True
    assert document["plan"]["instances"] == 2
    assert [item["file_id"] for item in document["plan"]["placed"]] == [
        "PT000001/ST000000/SE000000/IM000000"
    ]


def test_with_nothing_staged_nothing_is_written(cli: Cli, medium: Path) -> None:
    cli("add", CT)
    cli("write", medium)
    before, position = files(medium), cli.json("status")["position"]
    assert cli("write").out == f"Nothing to write to {medium}.\n"
    assert cli("write", medium).out == f"Nothing to write to {medium}.\n"
    document = cli.json("write")
    assert (document["written"], document["plan"]) == (False, None)
    assert (files(medium), cli.json("status")["position"]) == (before, position)


def test_a_new_file_set_needs_a_root(cli: Cli) -> None:
    assert "`fileset write ROOT`" in cli("write", code=3).err


def test_a_dry_run_lists_the_plan_and_does_nothing(cli: Cli, medium: Path) -> None:
    cli("add", CT, MR)
    out = cli("write", medium, "--dry-run").out
    assert "  + PT000000/ST000000/SE000000/IM000000" in out
    assert "2 files placed" in out
    assert not medium.exists()
    cli("write", medium)
    cli("remove", "PatientID=1CT1")
    before = files(medium)
    dry = cli.json("write", "--dry-run")
    assert (dry["dry_run"], dry["written"]) == (True, False)
    assert files(medium) == before
    done = cli.json("write")
    assert {**done["plan"], "base": 0} == {**dry["plan"], "base": 0}
    assert done["plan"]["moved"] == [
        {
            "sop_instance_uid": next(iter(cli.uids())),
            "from": "PT000001/ST000000/SE000000/IM000000",
            "to": "PT000000/ST000000/SE000000/IM000000",
        }
    ]
    assert len(done["plan"]["removed"]) == 1


def test_a_dry_run_lists_some_paths_or_all(tmp_path: Path) -> None:
    run("init", tmp_path / "r", "--from", copy_of_example(tmp_path / "cd"))
    cli = Cli(tmp_path / "r")
    assert "Nothing to write" in cli("write", "--dry-run").out  # no valid name is given up
    pydicoms = ("--layout", "pydicom", "--dry-run")
    assert "... and 11 more: --all lists them" in cli("write", *pydicoms).out
    assert cli("write", *pydicoms, "--all").out.count(" -> ") == 31


def test_the_existing_layout_moves_nothing(tmp_path: Path) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    before = files(dicomdir.parent)
    run("init", tmp_path / "r", "--from", dicomdir)
    cli = Cli(tmp_path / "r")
    assert "Nothing to write" in cli("write", "--layout", "existing").out
    cli("remove", "PatientID=77654033", "Modality=CR")
    cli("add", CT)
    document = cli.json("write", "--layout", "existing")
    assert (len(document["plan"]["placed"]), document["plan"]["moved"]) == (1, [])
    after = files(dicomdir.parent)
    stayed = {path: data for path, data in before.items() if path in after and path != "DICOMDIR"}
    assert len(stayed) == 28
    assert all(after[path] == data for path, data in stayed.items())
    assert len(PydicomFileSet(dicomdir)) == 29


def test_an_adopted_disc_gets_its_own_names_back(tmp_path: Path) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    run("init", tmp_path / "r", "--from", dicomdir)
    cli = Cli(tmp_path / "r")
    adopted = cli.json("status")["position"]
    before = files(dicomdir.parent).keys()
    cli("write", "--layout", "pydicom")

    cli("write", tmp_path / "copy", "--at", adopted, "--layout", "existing")

    assert files(tmp_path / "copy").keys() == before


def test_a_write_goes_by_the_layout_of_the_last_one(cli: Cli, medium: Path) -> None:
    cli("add", CT)
    assert cli.json("write", medium, "--layout", "existing")["plan"]["layout"] == "existing"
    cli("add", MR)
    assert cli.json("write")["plan"]["layout"] == "existing"


def test_a_past_state_is_written_out_as_a_copy(cli: Cli, tmp_path: Path, medium: Path) -> None:
    cli("add", CT)
    cli("write", medium)
    written = files(medium)
    cli("add", MR)
    cli("remove", "PatientID=1CT1")
    staged = cli.status()
    document = cli.json("write", tmp_path / "copy", "--at", 2)
    assert (document["export"], document["plan"]["base"]) == (True, 2)
    assert files(tmp_path / "copy") == written
    assert cli.status() == staged
    again = cli.json("write", tmp_path / "again", "--at", 2)
    assert again["dicomdir"] == document["dicomdir"]


def test_a_copy_is_planned_without_being_made(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    assert "1 file placed" in cli("write", tmp_path / "copy", "--at", 2, "--dry-run").out
    assert not (tmp_path / "copy").exists()


def test_a_copy_needs_a_root_and_a_position_that_is(cli: Cli, tmp_path: Path) -> None:
    assert "name the ROOT" in cli("write", "--at", 1, code=2).err
    assert "not 7" in cli("write", tmp_path / "copy", "--at", 7, code=2).err
    assert not (tmp_path / "copy").exists()


def test_another_file_set_is_not_written_over(cli: Cli, tmp_path: Path) -> None:
    root = copy_of_example(tmp_path / "cd").parent
    before = files(root)
    cli("add", CT)
    for extra in ([], ["--dry-run"], ["--at", "1"], ["--at", "1", "--dry-run"]):
        assert "holds another File-set" in cli("write", root, *extra, code=3).err
    assert files(root) == before


def test_an_earlier_copy_of_this_file_set_is_called_that(
    cli: Cli, medium: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    cli("add", CT)
    cli("write", copy, "--at", "now")
    cli("set", "id=C")
    before = files(copy)
    for how in ([copy], [copy, "--at", "now"]):
        told = cli("write", *how, code=3).err
        assert f"{copy} holds a copy of this File-set that is not the same" in told
        assert "or delete that copy first" in told
    cli("write", medium)
    assert "a copy of this File-set" in cli("write", copy, "--new-medium", code=3).err
    assert files(copy) == before


def test_another_root_than_before_is_refused(cli: Cli, tmp_path: Path, medium: Path) -> None:
    cli("add", CT)
    cli("write", medium)
    cli("add", MR)
    assert f"is written to {medium}" in cli("write", tmp_path / "other", code=3).err
    assert not (tmp_path / "other").exists()


def test_files_of_others_in_the_way_are_left_alone(cli: Cli, medium: Path) -> None:
    foreign = medium / "PT000000" / "ST000000" / "SE000000" / "IM000000"
    foreign.parent.mkdir(parents=True)
    foreign.write_text("somebody else's")
    cli("add", CT)
    assert "not part of the File-set" in cli("write", medium, code=3).err
    assert files(medium) == {"PT000000/ST000000/SE000000/IM000000": b"somebody else's"}
    cli("write", medium, "--layout", "existing")
    assert foreign.read_text() == "somebody else's"
    assert cli.json("verify")["findings"] == []


def test_a_medium_that_was_changed_by_others_is_refused(cli: Cli, medium: Path) -> None:
    cli("add", CT)
    cli("write", medium)
    (medium / "DICOMDIR").write_bytes(b"")
    cli("add", MR)
    assert "is not the one that was loaded or written last" in cli("write", code=3).err


def test_a_root_that_cannot_be_made_is_refused(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    cli("add", CT)
    assert "Traceback" not in cli("write", tmp_path / "file" / "below", code=3).err
    cli("write", tmp_path / "file", code=2)
    assert "1 addition" in cli.status()


def test_an_interrupted_write_is_told_and_completed(
    cli: Cli, medium: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("add", CT)
    cli("write", medium)
    cli("remove", "PatientID=1CT1")
    cli("add", MR, OVERLAY)

    def interrupt(_: Materializer) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Materializer, "_clean_up", interrupt)
        result = cli("write", code=130)
    assert f"Interrupted while writing to {medium}" in result.err
    assert f"A write to {medium} was interrupted: `fileset write`" in cli("status").out
    assert cli.json("status")["write_interrupted"] == str(medium)
    assert cli.json("verify", code=1)["findings"][0]["kind"] == "write-interrupted"
    assert "would be completed first" in cli("write", "--dry-run").out
    assert cli.json("status")["write_interrupted"] == str(medium)
    result = cli("write")
    assert result.out == (
        f"Completed the interrupted write to {medium}.\nNothing more to write to {medium}.\n"
    )
    assert len(PydicomFileSet(medium / "DICOMDIR")) == 2
    assert cli.json("verify")["findings"] == []


def test_an_interrupted_first_write_needs_no_root_to_be_completed(
    cli: Cli, medium: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("add", CT)

    def interrupt(_: Materializer) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Materializer, "_clean_up", interrupt)
        cli("write", medium, code=130)
    assert cli.json("write")["completed"] == str(medium)
    assert cli.status() == ""


def test_an_interrupted_write_can_be_given_up(
    cli: Cli, medium: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli("add", CT)
    assert "there is none to give up" in cli("write", "--abandon", code=3).err
    assert "give it alone" in cli("write", medium, "--abandon", code=2).err

    def interrupt(_: Materializer, *__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Materializer, "_commit", interrupt)
        patch.setattr(MadeFiles, "roll_back", lambda *_: False)
        cli("write", medium, code=130)
    document = cli.json("write", "--abandon")
    assert (document["abandoned"], document["written"]) == (str(medium), False)
    assert files(medium) == {}
    assert "1 addition" in cli.status()
    assert "write abandoned: given up" in cli("log").out
    cli("write", medium)
    assert cli.json("verify")["findings"] == []


def test_after_a_medium_was_lost_another_one_is_written(
    cli: Cli, medium: Path, tmp_path: Path
) -> None:
    cli("add", CT)
    cli("add", MR)
    cli("write", medium)
    medium.rename(tmp_path / "away")
    cli("remove", "PatientID=4MR1")
    assert "--new-medium" in cli("write", code=3).err
    assert "needs the ROOT" in cli("write", "--new-medium", code=2).err
    new = tmp_path / "new"
    assert "1 file placed" in cli("write", new, "--new-medium", "--dry-run").out
    assert not new.exists()
    assert "Wrote 1 instance" in cli("write", new, "--new-medium").out
    assert f"medium at {medium} left: lost" in cli("log").out
    assert cli.json("verify")["findings"] == []
    assert len(PydicomFileSet(new / "DICOMDIR")) == 1
    cli("undo")
    cli("write")
    assert len(PydicomFileSet(new / "DICOMDIR")) == 2


def test_a_copy_that_was_handed_out_never_becomes_the_medium(
    cli: Cli, medium: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    cli("add", CT)
    cli("write", medium)
    cli("write", copy, "--at", "now")
    before = files(copy)
    for staged in (False, True):
        if staged:
            cli("add", MR)
        told = cli("write", copy, code=3).err
        assert f"is written to {medium}, not to {copy}: leave the root out" in told
        assert "in another folder with `--new-medium`, or write a copy with `--at now`" in told
        assert f"a copy of the medium at {medium}" in cli("write", copy, "--new-medium", code=3).err
        with FileSet.open(cli.repository) as fs, pytest.raises(ValueError, match="be changed"):
            fs.write(copy)
    assert files(copy) == before
    assert f"Wrote 2 instances to {medium}" in cli("write", medium).out


@pytest.mark.parametrize("staged", [True, False])
def test_a_medium_that_is_at_another_place_now_is_told(
    cli: Cli, medium: Path, tmp_path: Path, staged: bool
) -> None:
    cli("add", CT)
    cli("write", medium)
    now = medium.rename(tmp_path / "now")
    if staged:
        cli("add", MR)
    told = f"The medium is at {now} now, and no longer at {medium}"
    assert cli.json("write", now, "--dry-run")["warnings"] == [told]
    document = cli.json("write", now)
    assert (document["written"], document["warnings"]) == (True, [told])
    assert cli.json("verify")["findings"] == []
    assert f"{now}  where the medium is now  1 instance" in cli("blame", "PatientID=1CT1").out
    cli("set", "id=X")
    assert cli("write").out.startswith(f"Wrote {1 + staged} instance")


def test_a_program_is_told_that_the_medium_is_at_another_place_now(
    cli: Cli, medium: Path, tmp_path: Path
) -> None:
    cli("add", CT)
    cli("write", medium)
    now = medium.rename(tmp_path / "now")
    with FileSet.open(cli.repository) as fs:
        with pytest.warns(UserWarning, match=f"The medium is at {now} now"):
            fs.write(now)
        assert fs.path == str(now)


def test_a_strange_file_that_went_is_told_in_the_log(tmp_path: Path) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    run("init", tmp_path / "r", "--from", dicomdir)
    cli = Cli(tmp_path / "r")
    (dicomdir.parent / "77654033/CR1/6154").write_bytes(b"damaged")
    cli("remove", "PatientID=77654033", "Modality=CR")
    assert "6154 has changed since it was added" in cli("write", "--layout", "existing").err
    assert "1 strange file kept from the medium" in cli("log").out
    assert "of 7 bytes" in cli("log", "--events").out


@pytest.mark.parametrize("how", ["adopted", "conformant", "pydicom"])
def test_nothing_is_staged_right_after_a_write(tmp_path: Path, how: str) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    run("init", tmp_path / "r", "--from", dicomdir)
    cli = Cli(tmp_path / "r")
    if how == "adopted":
        assert cli.json("status")["staged"]["moves"] == 0
    else:
        cli("remove", "PatientID=77654033", "Modality=CR")
        assert cli.json("status")["staged"]["removals"] == 3
        cli("write", *(["--layout", "pydicom"] if how == "pydicom" else []))
    staged = cli.json("status")["staged"]
    assert (staged["summary"], staged["moves"]) == ("", 0)
    assert "Changes staged" not in cli("status").out
    assert {each["staged"] for each in cli.json("find", "PatientID=77654033")["instances"]} == {
        None
    }
    assert "Nothing to write" in cli("write").out


def test_a_medium_that_cannot_be_written_to_points_to_a_new_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    run("init", tmp_path / "r", "--from", dicomdir)
    cli = Cli(tmp_path / "r")
    cli("remove", "PatientID=77654033", "Modality=CR")
    real = os.open

    def read_only(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
        if flags & os.O_CREAT and str(path).startswith(str(tmp_path / "cd")):
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return real(path, flags, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", read_only)
        told = cli("write", code=3).err
    assert "fileset write ROOT --new-medium" in told
    assert "Nothing was changed" in told
    assert cli.json("verify")["findings"] == []
    (line,) = [line for line in cli("log").out.splitlines() if "write abandoned" in line]
    assert "Read-only file system" in line
    assert "Nothing was changed" not in line
    assert "--new-medium" not in line


@pytest.mark.parametrize(
    ("how", "made"),
    [
        ("first", True),
        ("first", False),
        ("--new-medium", True),
        ("--new-medium", False),
        ("--at", True),
    ],
)
def test_a_folder_that_cannot_be_written_to_is_no_medium_to_leave(
    cli: Cli, medium: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, made: bool
) -> None:
    cli("add", CT)
    if how != "first":
        cli("write", medium)
    closed = tmp_path / "closed"
    if made:
        closed.mkdir()

    def refusing(call: Any, makes: Any) -> Any:
        def refuse(path: Any, *arguments: Any, **options: Any) -> Any:
            if str(path).startswith(str(closed)) and makes(*arguments):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
            return call(path, *arguments, **options)

        return refuse

    options = {"first": [], "--new-medium": ["--new-medium"], "--at": ["--at", "now"]}[how]
    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", refusing(os.mkdir, lambda *_: True))
        patch.setattr(os, "open", refusing(os.open, lambda flags, *_: flags & os.O_CREAT))
        told = cli("write", closed, *options, code=3).err
    assert "Permission denied" in told
    assert "--new-medium" not in told
    assert told.endswith("Make that folder writable, or write to another one.\n")


def test_a_copy_of_now_has_what_is_staged_and_says_so(
    cli: Cli, medium: Path, tmp_path: Path
) -> None:
    cli("add", CT)
    cli("write", medium)
    out = cli("write", tmp_path / "same", "--at", "now").out
    assert "had not" not in out
    cli("add", MR)
    cli("set", "id=NEW")
    assert "`--at now`" in cli("write", tmp_path / "stick", code=3).err
    told = "It has what the medium did not have then: DICOMDIR update, 1 addition.\n"
    assert cli("write", tmp_path / "stick", "--at", "now", "--dry-run").out.endswith(told)
    assert cli("write", tmp_path / "stick", "--at", "now").out.endswith(told)
    document = cli.json("write", tmp_path / "second", "--at", "now")
    assert document["unwritten"] == "DICOMDIR update, 1 addition"
    assert document["plan"]["instances"] == 2
    assert files(tmp_path / "stick") == files(tmp_path / "second")
    assert PydicomFileSet(tmp_path / "stick/DICOMDIR").ID == "NEW"
    assert cli.status() == "DICOMDIR update, 1 addition"  # it stays staged


def test_a_copy_of_a_part_of_a_change_is_warned_about(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT, MR)
    err = cli("write", tmp_path / "part", "--at", "2").err
    assert "position 2 is within the change" in err
    assert "positions 2 to 3" in err
    assert cli("write", tmp_path / "whole", "--at", "3").err == ""


def test_no_tag_is_called_now(cli: Cli) -> None:
    assert "it means the current position" in cli("tag", "now", code=2).err


def test_that_one_removal_moves_many_files_is_told_with_what_keeps_them(
    tmp_path: Path, medium: Path
) -> None:
    run("init", tmp_path / "r")
    cli = Cli(tmp_path / "r")
    cli("add", copy_of_example(tmp_path / "cd").parent)
    cli("write", medium)
    cli("remove", "PatientID=77654033")
    would = cli("write", "--dry-run").out.splitlines()[-1]
    assert would.endswith(
        "files would move, because the layout pydicom leaves no gaps: with `--layout existing` "
        "they stay."
    )
    assert "move," not in cli("write", "--dry-run", "--layout", "existing").out
    assert "files moved, because the layout pydicom" in cli("write").out


def test_before_files_of_an_adopted_file_set_are_renamed_it_is_told_how_many(
    tmp_path: Path,
) -> None:
    run("init", tmp_path / "r", "--from", copy_of_example(tmp_path / "cd"))
    cli = Cli(tmp_path / "r")
    cli("remove", "PatientID=77654033")
    told = cli("write", "--layout", "pydicom").err
    assert told.startswith("This renames 24 files of the adopted File-set: `--layout existing` ")
    cli("undo")
    assert cli("write").err == ""


def test_with_the_layout_existing_none_is_renamed(tmp_path: Path) -> None:
    run("init", tmp_path / "r", "--from", copy_of_example(tmp_path / "cd"))
    cli = Cli(tmp_path / "r")
    cli("remove", "PatientID=77654033")
    assert cli("write", "--layout", "existing").err == ""
