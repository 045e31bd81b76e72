"""blame: who did what to a patient, study, series or instance, and where it went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from archives import INSTANCES, zipped
from cli_runs import CT, MR, Cli, changed, copy_of_example, run
from pydicom import dcmread

from fileset import FileSet
from fileset.cli.commands.blame import _TEMPLATES
from projections.past.provenance import TouchKind

CT_UID = dcmread(CT).SOPInstanceUID


def kinds(document: dict[str, Any]) -> list[str]:
    return [event["event"] for event in document["events"]]


def test_all_that_happened_to_a_patient_is_told_in_order(cli: Cli, tmp_path: Path) -> None:
    medium, copy = tmp_path / "medium", tmp_path / "copy"
    cli("add", CT, MR, "--actor", "anna", "--reason", "for the trial")
    cli("remove", "PatientID=1CT1", "--actor", "bob", "--reason", "wrong patient")
    cli("undo", "--actor", "anna")
    cli("write", medium, "--actor", "anna")
    cli("set", "id=NEW")
    cli("remove", "PatientID=1CT1")
    cli("add", CT)
    cli("remove", "PatientID=1CT1")
    cli("write")
    cli("write", copy, "--at", 5)
    cli("undo", 2)
    document = cli.json("blame", "PatientID=1CT1")
    assert kinds(document) == [
        "added",
        "removed",
        "undone",
        "written",
        "removed",
        "restored",
        "removed",
        "taken-off",
        "exported",
        "undone",
        "undone",
    ]
    added, removed, undone, written = document["events"][:4]
    assert (added["change"]["actor"], added["change"]["reason"]) == ("anna", "for the trial")
    assert added["source"] == str(CT)
    assert (removed["change"]["actor"], removed["went"]) == ("bob", [CT_UID])
    assert (undone["of"], undone["came"]) == (removed["change"]["id"], [CT_UID])
    file_id = "PT000000/ST000000/SE000000/IM000000"
    assert (written["root"], written["file_ids"]) == (str(medium), {CT_UID: file_id})
    assert [(m["root"], m["how"], m["file_ids"], m["still_there"]) for m in document["media"]] == [
        (str(medium), "written", {CT_UID: file_id}, 0),
        (str(copy), "exported", {CT_UID: file_id}, None),
    ]
    assert not document["instances"][0]["live"]


def test_the_digest_of_a_medium_is_that_of_its_dicomdir(cli: Cli, tmp_path: Path) -> None:
    from ledger.digest import digest_of

    cli("add", CT)
    cli("write", tmp_path / "medium")
    (medium,) = cli.json("blame", "Modality=CT")["media"]
    assert medium["dicomdir"] == digest_of((tmp_path / "medium/DICOMDIR").read_bytes())


def test_people_read_a_line_a_change(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT, "--actor", "anna", "--reason", "for the trial")
    cli("remove", "Modality=CT", "--actor", "bob")
    cli("undo", "--actor", "anna")
    cli("write", tmp_path / "medium", "--actor", "anna")
    remove = cli.json("log")["changes"][2]["id"]
    heading, empty, *rest = cli("blame", f"SOPInstanceUID={CT_UID}", "--utc").out.partition("\n\n")
    assert heading.splitlines() == [
        "PATIENT: PatientID='1CT1', PatientName='CompressedSamples^CT1'",
        "STUDY: StudyDate=20040119, StudyTime=072730, StudyDescription='e+1'",
        "SERIES: Modality=CT, SeriesNumber=1",
        f"IMAGE: {CT_UID}  CT Image Storage",
        "1 instance in the File-set",
    ]
    events, _, media = rest[0].partition("\n\n")
    assert [line.split("Z  ")[1] for line in events.splitlines()] == [
        f"anna  added from {CT}  (for the trial)",
        "bob  removed",
        f"anna  back in: undid {remove}: 1 instance removed: 1CT1",
        f"anna  written to {tmp_path / 'medium'}",
    ]
    assert media.splitlines()[0] == "Media"
    assert media.splitlines()[1].startswith(f"{tmp_path / 'medium'}  written 20")
    assert media.splitlines()[2] == "  PT000000/ST000000/SE000000/IM000000"
    assert not empty.strip()


def test_several_instances_are_counted_and_listed_one_by_one_when_asked(
    cli: Cli, tmp_path: Path
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        changed(CT, folder / f"{number}.dcm", SOPInstanceUID=f"1.2.{number}")
    cli("add", "-r", folder)
    cli("remove", "SOPInstanceUID=1.2.1")
    cli("write", tmp_path / "medium")
    out = cli("blame", "PatientID=1CT1").out
    assert "2 instances in the File-set, 1 no longer" in out
    assert f"3 instances added from {folder}" in out
    assert f"2 instances written to {tmp_path / 'medium'}" in out
    assert "  and 1 more: --all lists them" in out
    full = cli("blame", "PatientID=1CT1", "--all").out
    assert full.count("1 instance added from") == 3
    assert full.count("  PT000000/") == 2


def test_what_was_only_offered_or_noted_is_told_too(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    other = changed(CT, tmp_path / "other.dcm", Rows=1)
    cli("add", other, code=1)
    cli("add", changed(CT, tmp_path / "x.dcm", SOPInstanceUID="1.2.3", PatientName="X"), code=1)
    assert kinds(cli.json("blame", f"SOPInstanceUID={CT_UID}")) == ["added", "conflict"]
    assert kinds(cli.json("blame", "SOPInstanceUID=1.2.3")) == ["added", "mismatch"]
    out = cli("blame", "PatientID=1CT1").out
    assert f"1 instance offered with different content from {other}, which was not added" in out
    assert "came with different values from the records: PatientName" in out
    assert "Never written to a medium." in out


def test_an_adopted_instance_came_with_its_medium_and_can_be_lost_with_it(tmp_path: Path) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    run("init", tmp_path / "r", "--from", dicomdir)
    cli = Cli(tmp_path / "r")
    dicomdir.unlink()
    cli("write", tmp_path / "new", "--new-medium")
    document = cli.json("blame", "PatientID=77654033")
    assert set(kinds(document)) == {"adopted", "read", "medium-left", "written"}
    old, new = document["media"]
    assert (old["root"], old["how"], old["still_there"]) == (str(dicomdir.parent), "adopted", 0)
    assert (new["root"], new["how"]) == (str(tmp_path / "new"), "written")
    assert new["still_there"] == new["instances"] == old["instances"]


def test_a_medium_that_was_left_has_still_what_was_on_it(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    cli("write", tmp_path / "old")
    cli("write", tmp_path / "new", "--new-medium")
    old, new = cli.json("blame", "PatientID=1CT1")["media"]
    assert (old["still_there"], new["still_there"]) == (None, 1)
    out = cli("blame", "PatientID=1CT1").out
    assert "left: handed out\n" in out
    assert "no longer there" not in out


def test_a_revert_is_told_and_what_it_brought_back(cli: Cli) -> None:
    cli("add", CT)
    cli("remove", "PatientID=1CT1")
    cli("set", "id=A")
    cli("revert", cli.json("log")["changes"][2]["id"])
    document = cli.json("blame", "PatientID=1CT1")
    assert kinds(document) == ["added", "removed", "reverted"]
    assert document["events"][-1]["came"] == [CT_UID]


def test_instances_are_found_as_people_type_values_also_those_that_are_gone(cli: Cli) -> None:
    cli("add", CT, MR)
    cli("remove", "Modality=CT")
    for query in ("Modality=CT", "InstanceNumber=1.0", "StudyDate=20040119", "PatientID=1CT1"):
        found = cli.json("blame", query, "PatientName=CompressedSamples^CT1")
        assert [entry["live"] for entry in found["instances"]] == [False], query
    nothing = cli("blame", "PatientID=nobody")
    assert nothing.out == ""
    assert nothing.err == (
        "No instance has, or had, in its directory records PatientID=nobody. `fileset "
        "values "
        "KEYWORD` lists what values there are.\n"
    )
    assert "records Modality=MR and PatientName=Komp*." in (
        cli("blame", "Modality=MR", "PatientName=Komp*").err
    )
    (found,) = cli.json("blame", "Modality=MR", "PatientName=comp*")["instances"]
    assert found["live"]
    cli("blame", "Nonsense=1", code=2)
    with FileSet.open(cli.repository) as fs, pytest.raises(ValueError, match="mean PatientName"):
        fs.blame(PatientNam="CompressedSamples^CT1")
    cli("blame", code=2)


def test_of_erased_data_nothing_is_told_but_that_there_was_some(cli: Cli) -> None:
    cli("add", CT, MR)
    cli("remove", "PatientID=1CT1")
    cli("erase", "PatientID=1CT1", "--reason", "on request")
    assert (
        "Nothing is known of instances whose data was erased." in cli("blame", "PatientID=1CT1").err
    )
    assert kinds(cli.json("blame", "PatientID=4MR1")) == ["added"]
    assert cli.json("diff", 3)["erased"] == {"from": 1, "to": 0}
    assert "Position 3: not compared: 1 instance whose data was erased" in cli("diff", 3).err
    standings = [change["standing"] for change in cli.json("log")["changes"]]
    assert standings[:3] == [None, "applied", "erased"]


def test_a_file_set_tells_the_same_in_python(tmp_path: Path) -> None:
    fs = FileSet(repository=tmp_path / "r")
    instance = fs.add(CT)
    with fs.change(reason="wrong patient", actor="bob"):
        fs.remove(instance)
    fs.undo()
    touches = fs.blame(PatientID="1CT1", InstanceNumber=1)
    assert [touch.kind for touch in touches] == [
        TouchKind.ADDED,
        TouchKind.REMOVED,
        TouchKind.UNDONE,
    ]
    assert (touches[1].change.actor, touches[1].change.reason) == ("bob", "wrong patient")
    assert {touch.instances for touch in touches} == {(instance.handle,)}
    past = fs.at(touches[0].position)
    assert [touch.kind for touch in past.blame(PatientID="1CT1")] == [TouchKind.ADDED]
    fs.close()


def test_every_kind_of_touch_has_its_words() -> None:
    told_of_their_change = {TouchKind.UNDONE, TouchKind.REDONE, TouchKind.REVERTED}
    assert set(TouchKind) - told_of_their_change == set(_TEMPLATES)


def test_an_instance_is_one_however_often_it_was_corrected(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT, MR)
    cli("write", tmp_path / "medium")
    for comment in ("wrong", "right"):
        cli("correct", "PatientID=1CT1", "--to", f"ImageComments={comment}")
    cli("undo")
    cli("redo")
    cli("write")
    told = cli("blame", "PatientID=1CT1").out
    assert f"IMAGE: {CT_UID}  CT Image Storage" in told
    assert "1 instance in the File-set; 2 other versions" in told
    assert "as before its correction: undid" in told
    assert "as corrected: redid" in told
    assert "taken off" not in told
    document = cli.json("blame", "PatientID=1CT1")
    handles = [each["handle"] for each in document["instances"]]
    assert [each["corrects"] for each in document["instances"]] == [None, *handles[:-1]]
    assert [each["live"] for each in document["instances"]] == [False, False, True]


def test_instances_of_an_archive_come_from_it_and_not_from_its_folder(
    cli: Cli, tmp_path: Path
) -> None:
    names = list(INSTANCES)
    zipped(tmp_path / "top.zip", {"one": INSTANCES[names[0]], "two": INSTANCES[names[1]]})
    cli("add", tmp_path / "top.zip")
    assert f"2 instances added from {tmp_path}/top.zip\n" in cli("blame", "PatientID=77654033").out
