"""correct: elements get other values, on the medium as well; undo brings back the very bytes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli
from pydicom import Dataset, dcmread


def bytes_of(root: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(root.rglob("IM*"))]


def test_a_corrected_value_is_in_the_record_and_in_the_file_on_the_medium(
    cli: Cli, tmp_path: Path
) -> None:
    cli("add", CT, MR)
    cli("write", tmp_path / "cd")
    result = cli("correct", "PatientID=1CT1", "--to", "PatientName=Right^Name", "--reason", "typo")
    assert "PatientName corrected from 'CompressedSamples^CT1' to 'Right^Name'" in result.out
    assert "Staged for write: DICOMDIR update, 1 correction" in result.out
    cli("write")
    ct = tmp_path / "cd" / "PT000000" / "ST000000" / "SE000000" / "IM000000"
    ds = dcmread(ct)
    assert ds.PatientName == "Right^Name"
    (original,) = ds.OriginalAttributesSequence
    assert original.ReasonForTheAttributeModification == "CORRECT"
    assert original.ModifiedAttributesSequence[0].PatientName == "CompressedSamples^CT1"
    assert ds.PixelData == dcmread(CT).PixelData
    assert "PatientName=Right^Name" in cli("values", "PatientName").out
    assert cli.json("verify")["findings"] == []


def test_another_patient_s_instance_tells_nothing_of_the_former_one(
    cli: Cli, tmp_path: Path
) -> None:
    cli("add", CT, MR)
    for name in ("Secret^Zenobia", "Roth^Anna"):
        cli("correct", "PatientID=1CT1", "--to", f"PatientName={name}")
    cli("move", "PatientID=1CT1", "--to", "PatientID=4MR1")
    cli("write", tmp_path / "cd")
    for data in bytes_of(tmp_path / "cd"):
        assert b"Zenobia" not in data
        assert b"Roth" not in data
    cli("undo")
    cli("write")
    assert any(b"Zenobia" in data for data in bytes_of(tmp_path / "cd"))


def test_the_id_that_it_has_already_makes_no_instance_another_patient_s(
    cli: Cli, tmp_path: Path
) -> None:
    cli("add", CT)
    cli("correct", "PatientID=1CT1", "--to", "PatientName=First")
    document = cli.json("correct", "PatientID=1CT1", "--to", "PatientID=1CT1 ")
    assert (document["corrected"], document["unchanged"]) == (0, 1)
    cli("correct", "PatientID=1CT1", "--to", "PatientID=1CT1", "--to", "PatientName=Second")
    cli("write", tmp_path / "cd")
    (path,) = (tmp_path / "cd").rglob("IM*")
    names = [
        str(item.ModifiedAttributesSequence[0].PatientName)
        for item in dcmread(path).OriginalAttributesSequence
    ]
    assert names == ["CompressedSamples^CT1", "First"]


def test_an_item_of_original_attributes_may_be_removed_by_name_when_all_of_them_go(
    cli: Cli,
) -> None:
    cli("add", CT)
    cli("correct", "PatientID=1CT1", "--to", "PatientName=First")
    item = "OriginalAttributesSequence[0]"
    document = cli.json("correct", "PatientID=1CT1", "--to", "PatientID=2", "--remove", item)
    assert document["corrected"] == 1


def test_an_id_that_another_person_has_is_reported_with_exit_code_1(cli: Cli) -> None:
    cli("add", CT, MR)
    result = cli("correct", "PatientID=1CT1", "--to", "PatientID=4MR1", code=1)
    assert "Several persons" in result.err
    assert "1 instance corrected" in result.out


def test_undo_brings_back_the_very_bytes_and_redo_the_corrected_ones(
    cli: Cli, tmp_path: Path
) -> None:
    cli("add", CT)
    cli("write", tmp_path / "cd")
    before = bytes_of(tmp_path / "cd")
    cli("correct", "PatientID=1CT1", "--to", "PatientName=Right^Name")
    cli("write")
    after = bytes_of(tmp_path / "cd")
    cli("undo")
    assert cli.json("status")["staged"]["corrections"] == 1
    cli("write")
    assert bytes_of(tmp_path / "cd") == before
    cli("redo")
    cli("write")
    assert bytes_of(tmp_path / "cd") == after


def test_a_dry_run_shows_the_tree_that_would_be_and_changes_nothing(cli: Cli) -> None:
    cli("add", CT, MR)
    before = cli.json("status")
    document = cli.json("correct", "PatientID=1CT1", "--to", "PatientID=2CT2", "--dry-run")
    assert (document["corrected"], document["change"], document["dry_run"]) == (1, None, True)
    shown = cli("correct", "PatientID=1CT1", "--to", "PatientID=2CT2", "--dry-run").out
    assert "+ PATIENT: PatientID='2CT2'" in shown
    assert "- PATIENT: PatientID='1CT1'" in shown
    assert cli.json("status") == before


def test_a_dry_run_tells_from_which_value_a_record_goes_to_which(cli: Cli) -> None:
    cli("add", CT)
    shown = cli("correct", "PatientID=1CT1", "--to", "PatientName=Right^Name", "--dry-run").out
    assert "PatientName: 'CompressedSamples^CT1' -> 'Right^Name'" in shown


def test_diff_lists_what_was_corrected_in_between_and_not_what_was_undone(cli: Cli) -> None:
    cli("add", CT, MR)
    cli("correct", "PatientID=1CT1", "--to", "InstitutionName=Ours")
    cli("correct", "PatientID=1CT1", "--to", "PatientName=Right^Name")
    (first, second) = cli.json("diff", "3")["corrections"]
    assert (first["path"], first["after"], first["instances"]) == ("InstitutionName", "Ours", 1)
    assert (second["before"], second["after"]) == ("CompressedSamples^CT1", "Right^Name")
    cli("undo")
    assert cli.json("diff", "3")["corrections"] == [first]
    assert "InstitutionName corrected from" in cli("diff", "3").out


def test_what_has_the_value_already_is_not_changed(cli: Cli) -> None:
    cli("add", CT)
    document = cli.json("correct", "PatientID=1CT1", "--to", "PatientName=CompressedSamples^CT1")
    assert (document["corrected"], document["unchanged"], document["change"]) == (0, 1, None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["PatientID=1CT1"], "Say what to correct"),
        (["--to", "PatientName=X"], "Name the instances"),
        (["PatientID=1CT1", "--to", "PatientName=X", "Modality=CT"], "comes after --to"),
        (["PatientID=1CT1", "--to", "PatientName=X", "--dry-run", "Modality=CT"], "after --to"),
        (["PatientID=1CT1", "--to", "PatientName"], "is not KEYWORD=VALUE"),
        (["PatientID=1CT1", "--to", "PatientNmae=X"], "Did you mean"),
        (["PatientID=1CT1", "--to", "Rows=3"], "it describes the pixel data"),
        (["PatientID=1CT1", "--to", "PixelData=3"], "pixel data is never changed"),
        (["PatientID=1CT1", "--to", "TransferSyntaxUID=1.2"], "can't be corrected"),
        (["PatientID=1CT1", "--remove", "SOPInstanceUID"], "can't be removed"),
        (["PatientID=1CT1", "--to", "PatientBirthDate=1970-01-01"], "DA takes a date as YYYYMMDD"),
        (["PatientID=1CT1", "--to", "PatientSex=female"], "CS takes A-Z"),
        (["PatientID=1CT1", "--to", "PatientSex=female"], "of M, F and O: is F meant?"),
        (["PatientID=1CT1", "--to", "Patient Name=X"], "Did you mean PatientName"),
        (["PatientID=1CT1", "--to", "PatientName2=X"], "Did you mean PatientName"),
        (["PatientID=1CT1", "--to", "SliceThickness=thin"], "DS takes a decimal number"),
        (["PatientID=1CT1", "--to", "OtherPatientIDsSequence=X"], "name the elements in its items"),
        (["PatientID=1CT1", "--to", "StudyInstanceUID=1.2.03"], "UI takes numbers"),
        (["PatientID=1CT1", "--to", "SOPInstanceUID=abc"], "UI takes numbers"),
        (["PatientID=1CT1", "--to", "PatientName=\udcfc"], "it is not text"),
        (["PatientID=nobody", "--to", "PatientSex=female"], "CS takes A-Z"),
        (["PatientID=1CT1", "--to", "PatientSex=F", "--remove", "PatientSex"], "both be removed"),
        (["PatientID=1CT1", "--to", "PatientSex=F", "--to", "0010,0040=M"], "has two new values"),
    ],
)
def test_what_can_t_be_asked_is_a_usage_error_and_nothing_is_corrected(
    cli: Cli, arguments: list[str], message: str
) -> None:
    cli("add", CT)
    result = cli("correct", *arguments, code=2)
    assert message in result.err
    assert result.err.count("\n") == 4  # the usage, and one error
    assert len(cli.json("log")["changes"]) == 2


@pytest.fixture
def referring(cli: Cli, tmp_path: Path) -> str:
    """An instance of another series that refers to the CT, to its series and its frame."""
    ct, ds = dcmread(CT), dcmread(MR)
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = ct.SOPClassUID, ct.SOPInstanceUID
    series = Dataset()
    series.SeriesInstanceUID = ct.SeriesInstanceUID
    series.ReferencedInstanceSequence = [item]
    ds.ReferencedSeriesSequence, ds.FrameOfReferenceUID = [series], ct.FrameOfReferenceUID
    ds.save_as(tmp_path / "referring.dcm")
    cli("add", CT, tmp_path / "referring.dcm")
    return str(ct.SOPInstanceUID)


def referred(cli: Cli, folder: Path) -> tuple[Dataset, Dataset]:
    cli("write", folder / "cd")
    found = {ds.Modality: ds for ds in map(dcmread, (folder / "cd").rglob("IM*"))}
    return found["CT"], found["MR"]


def test_a_uid_is_replaced_wherever_the_file_set_refers_to_it(
    cli: Cli, referring: str, tmp_path: Path
) -> None:
    document = cli.json(
        "correct", f"SOPInstanceUID={referring}", "--to", "SOPInstanceUID=1.2.3.4",
        "--to", "SeriesInstanceUID=1.2.3.5", "--to", "FrameOfReferenceUID=1.2.3.6",
    )  # fmt: skip
    assert document["corrected"] == 2
    ct, mr = referred(cli, tmp_path)
    (series,) = mr.ReferencedSeriesSequence
    assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"
    assert series.SeriesInstanceUID == ct.SeriesInstanceUID == "1.2.3.5"
    assert mr.FrameOfReferenceUID == ct.FrameOfReferenceUID == "1.2.3.6"
    assert ct.file_meta.MediaStorageSOPInstanceUID == ct.SOPInstanceUID == "1.2.3.4"
    assert cli.json("verify")["findings"] == []


def test_new_uids_are_made_for_instances_and_what_is_theirs_alone(
    cli: Cli, referring: str, tmp_path: Path
) -> None:
    before = dcmread(CT)
    cli("correct", f"SOPInstanceUID={referring}", "--new-uids")
    ct, mr = referred(cli, tmp_path)
    for keyword in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        assert ct[keyword].value != before[keyword].value
    (series,) = mr.ReferencedSeriesSequence
    assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == ct.SOPInstanceUID
    assert mr.FrameOfReferenceUID == ct.FrameOfReferenceUID != before.FrameOfReferenceUID
    cli("undo")
    cli("write")
    (ct_file,) = (p for p in (tmp_path / "cd").rglob("IM*") if dcmread(p).Modality == "CT")
    assert ct_file.read_bytes() == CT.read_bytes()


def test_a_uid_that_another_instance_has_is_refused(cli: Cli) -> None:
    cli("add", CT, MR)
    taken = dcmread(MR).SOPInstanceUID
    result = cli("correct", "PatientID=1CT1", "--to", f"SOPInstanceUID={taken}", code=1)
    assert "which another instance has" in result.err
    assert cli.json("status")["staged"]["additions"] == 2


def test_an_instance_that_can_t_be_corrected_is_reported_and_the_others_are_corrected(
    cli: Cli, tmp_path: Path
) -> None:
    gone = tmp_path / "gone.dcm"
    gone.write_bytes(CT.read_bytes())
    cli("add", "--place", "reference", gone)
    cli("add", MR)
    gone.unlink()
    result = cli("correct", "StudyID=1CT1", "--to", "PatientName=X", code=1)
    assert "not corrected: can't be read: No such file or directory" in result.err
    for patient in ("1CT1", "4MR1"):
        assert cli("find", f"PatientID={patient}").out


def test_many_are_corrected_by_a_table(cli: Cli, tmp_path: Path) -> None:
    table = tmp_path / "ids.csv"
    table.write_text("PatientID,new PatientID,new PatientName\n1CT1,4MR1,A^B\n4MR1,1CT1,\n")
    cli("add", CT, MR)
    cli("correct", "--csv", table)
    assert cli.json("find", "PatientID=4MR1")["instances"][0]["sop_class"] == "CT Image Storage"
    assert cli.json("find", "PatientID=1CT1")["instances"][0]["sop_class"] == "MR Image Storage"


def test_the_original_that_arrives_again_is_there_already(cli: Cli) -> None:
    cli("add", CT)
    cli("correct", "PatientID=1CT1", "--to", "PatientName=X", "--to", "SOPInstanceUID=1.2.3.4")
    document = cli.json("add", CT)
    assert (document["added"], document["already_there"], document["change"]) == (0, 1, None)
    cli("undo")
    assert cli.json("add", CT)["already_there"] == 1


def test_where_nothing_matches_the_values_there_are_can_be_listed(cli: Cli) -> None:
    cli("add", CT)
    result = cli("correct", "PatientID=nobody", "--to", "PatientName=X", code=1)
    assert result.err == (
        "No instance matches: `fileset values PatientID` lists the values that there are.\n"
    )
    result = cli("correct", "InstitutionName=X", "--to", "PatientName=X", code=1)
    assert "no directory record has InstitutionName" in result.err
    assert "No instance matches.\n" in result.err


def test_a_value_that_records_must_have_can_t_become_empty(cli: Cli) -> None:
    cli("add", CT, MR)
    result = cli("correct", "StudyID=1CT1", "--to", "PatientID=", code=1)
    assert "not corrected: no PATIENT record can be made of it: the instance's" in result.err
    assert "add_custom" not in result.err
    document = cli.json("correct", "PatientID=1CT1", "--remove", "Modality", code=1)
    assert "no SERIES record can be made of it" in document["results"][0]["reason"]


def test_what_fails_alike_in_many_instances_is_told_once(cli: Cli, tmp_path: Path) -> None:
    for number in range(1, 6):
        ds = dcmread(CT)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.{number}"
        ds.save_as(tmp_path / str(number))
        cli("add", tmp_path / str(number))
    result = cli("correct", "PatientID=1CT1", "--to", "PatientID=", code=1)
    assert result.err.startswith("1.2.1, 1.2.2, 1.2.3 and 2 more: not corrected: ")
    assert result.err.count("\n") == 1


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        ("StudyDescription=  Head  ", "Head"),  # LO
        ("SliceThickness= 5 ", "5"),  # DS
        ("PatientBirthDate=19700101 ", "19700101"),  # DA
        ("PatientName= Roth^Anna", " Roth^Anna"),  # PN
        ("PatientComments=  indented ", "  indented"),  # LT
    ],
)
def test_blanks_around_a_value_are_kept_where_its_vr_gives_them_a_meaning(
    cli: Cli, asked: str, value: str
) -> None:
    cli("add", CT)
    (told,) = cli.json("correct", "PatientID=1CT1", "--to", asked)["elements"]
    assert told["after"] == value


def test_a_uid_is_replaced_everywhere_however_its_element_is_named(
    cli: Cli, referring: str, tmp_path: Path
) -> None:
    cli("correct", f"SOPInstanceUID={referring}", "--to", "0008,0018= 1.2.3.4 ")
    ct, mr = referred(cli, tmp_path)
    (series,) = mr.ReferencedSeriesSequence
    assert series.ReferencedInstanceSequence[0].ReferencedSOPInstanceUID == "1.2.3.4"
    assert ct.file_meta.MediaStorageSOPInstanceUID == ct.SOPInstanceUID == "1.2.3.4"


def test_replaced_uids_are_told(cli: Cli) -> None:
    cli("add", CT)
    arguments = ("correct", "PatientID=1CT1", "--to", "StudyInstanceUID=1.2.3.4")
    study = str(dcmread(CT).StudyInstanceUID)
    assert cli.json(*arguments, "--dry-run")["uids"] == {study: "1.2.3.4"}
    assert "  1 UID replaced\n" in cli(*arguments).out


def test_a_frame_of_reference_can_be_given_where_there_is_none_and_removed(
    cli: Cli, tmp_path: Path
) -> None:
    ds = dcmread(CT)
    del ds.FrameOfReferenceUID
    ds.save_as(tmp_path / "none")
    cli("add", tmp_path / "none")
    cli("correct", "PatientID=1CT1", "--to", "FrameOfReferenceUID=1.2.3")
    (told,) = cli.json("correct", "PatientID=1CT1", "--remove", "FrameOfReferenceUID")["elements"]
    assert (told["path"], told["before"], told["after"]) == ("FrameOfReferenceUID", "1.2.3", None)


def test_a_frame_of_reference_that_the_standard_registers_is_no_one_s_own(
    cli: Cli, tmp_path: Path
) -> None:
    ds = dcmread(CT)
    ds.FrameOfReferenceUID = "1.2.840.10008.1.4.1.1"  # the Talairach brain atlas
    ds.save_as(tmp_path / "atlas")
    cli("add", tmp_path / "atlas")
    uids = cli.json("correct", "PatientID=1CT1", "--new-uids")["uids"]
    assert ds.FrameOfReferenceUID not in uids
    assert len(uids) == 3
    cli("correct", "PatientID=1CT1", "--to", "FrameOfReferenceUID=1.2.3")


def test_a_study_that_two_patients_would_have_is_reported_before_it_is_done(cli: Cli) -> None:
    cli("add", CT, MR)
    study = dcmread(MR).StudyInstanceUID
    for dry_run in (["--dry-run"], []):
        arguments = ("correct", "PatientID=1CT1", "--to", f"StudyInstanceUID={study}", *dry_run)
        (error,) = cli.json(*arguments, code=1)["errors"]
        assert "has the same Study Instance UID" in error
    assert cli.json("status", code=1)["errors"] == [error]


# --- tables --------------------------------------------------------------------------------------


def test_a_line_that_matches_nothing_is_reported_and_the_others_are_done(
    cli: Cli, tmp_path: Path
) -> None:
    table = tmp_path / "ids.csv"
    table.write_text("PatientID,new PatientName\nnobody,A\n1CT1,B\n")
    cli("add", CT)
    result = cli("correct", "--csv", table, code=1)
    assert f"{table}, line 2: no instance matches" in result.err
    assert "1 instance corrected" in result.out


def test_two_lines_for_one_instance_are_a_usage_error_that_names_both(
    cli: Cli, tmp_path: Path
) -> None:
    table = tmp_path / "ids.csv"
    table.write_text("PatientID,Modality,new PatientName\n1CT1,,A\n,CT,B\n")
    cli("add", CT)
    result = cli("correct", "--csv", table, code=2)
    assert f"{table}, line 3: {table}, line 2 also matches the SOP Instance" in result.err


def test_two_lines_with_different_uids_for_one_are_a_usage_error(cli: Cli, tmp_path: Path) -> None:
    second = dcmread(CT)
    second.SOPInstanceUID = second.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    second.save_as(tmp_path / "second")
    cli("add", CT, tmp_path / "second")
    table = tmp_path / "frames.csv"
    table.write_text(
        f"SOPInstanceUID,new FrameOfReferenceUID\n1.2.3,1.2.4\n{dcmread(CT).SOPInstanceUID},1.2.5\n"
    )
    result = cli("correct", "--csv", table, code=2)
    assert f"can't become 1.2.5: {table}, line 2 makes it 1.2.4" in result.err


def test_a_change_of_many_different_values_is_told_in_short_and_shown_in_full(
    cli: Cli, tmp_path: Path
) -> None:
    lines = ["PatientID,new PatientID,new PatientName"]
    for number in range(5):
        ds = dcmread(CT)
        ds.PatientID = f"P{number}"
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"1.2.4.{number}", f"1.2.5.{number}"
        ds.save_as(tmp_path / str(number))
        cli("add", tmp_path / str(number))
        lines.append(f"P{number},Q{number},Name^{number}")
    table = tmp_path / "ids.csv"
    table.write_text("\n".join(lines))
    cli("correct", "--csv", table)
    change = cli.json("log", "--limit", 1)["changes"][0]
    assert change["summary"] == "PatientName, PatientID corrected in 5 instances"
    assert change["summary"] in cli("undo").out
    assert change["summary"] in cli("redo").out
    assert "PatientID corrected from 'P4' to 'Q4' in 1 instance" in cli("show", change["id"]).out


def test_a_file_that_arrives_again_is_told_what_became_of_it(cli: Cli) -> None:
    cli("add", CT, MR)
    uid = next(iter(cli.uids() - {dcmread(MR).SOPInstanceUID}))
    cli("move", "PatientID=1CT1", "--to", "PatientID=4MR1")
    told = cli("add", CT).err
    assert (
        f"it was corrected since: the File-set has it as SOP Instance {uid} of patient 4MR1" in told
    )
    cli("correct", f"SOPInstanceUID={uid}", "--to", "SOPInstanceUID=1.2.3")
    told = cli("add", CT).err
    assert "the File-set has it as SOP Instance 1.2.3 of patient 4MR1" in told


def test_a_corrected_file_that_arrives_after_an_undo_is_told_so(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    cli("correct", "PatientID=1CT1", "--to", "PatientID=RIGHT")
    cli("write", tmp_path / "medium")
    (path,) = (tmp_path / "medium").rglob("IM*")
    shutil.copy(path, tmp_path / "corrected")
    cli("undo")
    cli("write")
    told = cli("add", tmp_path / "corrected").err
    assert "its correction was undone: the File-set has SOP Instance" in told
    assert "of patient 1CT1 instead" in told
    assert len(cli.uids()) == 1


def test_what_text_reads_as_in_another_character_set_is_shown_first(
    cli: Cli, tmp_path: Path
) -> None:
    ds = dcmread(CT)
    ds.SpecificCharacterSet, ds.PatientName = "ISO_IR 192", "Müller^Jörg"
    ds.save_as(tmp_path / "utf-8.dcm")
    cli("add", tmp_path / "utf-8.dcm")
    tried = cli("correct", "PatientID=1CT1", "--to", "SpecificCharacterSet=ISO_IR 100", "--dry-run")
    assert "PatientName corrected from 'Müller^Jörg' to 'MÃ¼ller^JÃ¶rg'" in tried.out


@pytest.mark.parametrize(("born", "is_told"), [("29990101", True), ("19000101", False)])
def test_a_birth_date_in_the_future_is_told(cli: Cli, born: str, is_told: bool) -> None:
    cli("add", CT)
    told = cli("correct", "PatientID=1CT1", "--to", f"PatientBirthDate={born}").err
    assert (f"the birth date {born} is in the future" in told) == is_told


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        ("PatientSex=FEMALE", "1 instance: the sex 'FEMALE' is none of M, F and O: is F meant?"),
        ("PatientSex=W", "is F meant?"),
        ("PatientSex=MALE", "is M meant?"),
        ("PatientSex=U", "1 instance: the sex 'U' is none of M, F and O\n"),
        ("PatientName=Müller, Hans", "name and given name: is Müller^Hans meant?"),
        ("ReferringPhysicianName=Roth,Anna", "name and given name: is Roth^Anna meant?"),
        ("PatientName=Müller, Hans, Dr.", "between family name and given name\n"),
    ],
)
def test_a_value_that_is_hardly_meant_is_corrected_with_a_note(
    cli: Cli, value: str, hint: str
) -> None:
    cli("add", CT)
    assert hint in cli("correct", "PatientID=1CT1", "--to", value).err


@pytest.mark.parametrize(
    "value",
    ["PatientSex=M", "PatientSex=F", "PatientSex=", "PatientName=Roth^Anna, B.", "PatientName=X"],
)
def test_a_value_that_may_be_meant_has_no_note(cli: Cli, value: str) -> None:
    cli("add", CT)
    assert cli("correct", "PatientID=1CT1", "--to", value).err == ""


def test_a_name_is_shown_alike_everywhere(cli: Cli) -> None:
    cli("add", CT)
    shown = cli("correct", "PatientID=1CT1", "--to", "PatientName==A1", "--dry-run").out
    assert shown.count("'=A1'") == 3
    assert "'A1'" not in shown


@pytest.mark.parametrize(
    ("there", "asked", "hint"),
    [
        ("021234567", "21234567", "; PatientID=021234567 is there: format the column as text"),
        ("21234567", "0021234567", "; PatientID=21234567 is there"),
        ("021234568", "21234567", "no instance matches\n"),
        ("0A1", "A1", "no instance matches\n"),
    ],
)
def test_an_id_whose_leading_zeros_a_spreadsheet_dropped_is_told(
    cli: Cli, tmp_path: Path, there: str, asked: str, hint: str
) -> None:
    cli("add", CT)
    cli("correct", "PatientID=1CT1", "--to", f"PatientID={there}")
    table = tmp_path / "ids.csv"
    table.write_text(f"PatientID;new PatientName\n{asked};Roth^Anna\n")
    assert hint in cli("correct", "--csv", table, code=1).err


def test_an_id_that_is_there_is_not_said_to_lack_zeros(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT, MR)
    cli("correct", "PatientID=1CT1", "--to", "PatientID=01")
    cli("correct", "PatientID=4MR1", "--to", "PatientID=1")
    table = tmp_path / "ids.csv"
    table.write_text("PatientID,Modality,new PatientName\n1,CT,Roth^Anna\n")
    assert "no instance matches\n" in cli("correct", "--csv", table, code=1).err


def test_a_value_of_any_size_goes_and_is_told_by_its_size(cli: Cli, tmp_path: Path) -> None:
    ds = dcmread(CT)
    ds.TextValue = "x" * (17 << 20)
    ds.save_as(tmp_path / "large.dcm")
    cli("add", tmp_path / "large.dcm")
    done = cli("correct", "PatientID=1CT1", "--to", "TextValue=", "--reason", "too large")
    assert "TextValue corrected from '(17,825,792 bytes)' to ''" in done.out
    assert cli.json("verify")["findings"] == []


def test_an_item_is_added_to_a_sequence_by_its_path(cli: Cli) -> None:
    cli("add", CT)
    path = "ReferencedRequestSequence[0].RequestedProcedureID"
    assert f"{path} 'P1' added" in cli("correct", "PatientID=1CT1", "--to", f"{path}=P1").out
