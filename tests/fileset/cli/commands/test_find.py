"""find: instances by the elements of their records, or all of theirs."""

from __future__ import annotations

import csv
import io
import re
import shutil
import time
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, DICOMDIR, MR, Cli, changed, run
from pydicom import Dataset, dcmread

from fileset import FileSet
from fileset.views.instance import FileInstance


def test_instances_are_found_by_text_and_by_number(adopted: Cli) -> None:
    assert len(adopted("find", "PatientID=77654033").out.splitlines()) == 7
    found = adopted.json("find", "PatientName=Doe^Peter", "Modality=MR", "SeriesNumber=2")
    assert len(found["instances"]) == 7
    assert adopted.json("find", "SeriesNumber=0700") == adopted.json("find", "SeriesNumber=700")
    (one,) = adopted.json("find", "ReferencedFileID=98892003\\MR700\\4678")["instances"]
    assert one["file_id"] == "98892003/MR700/4678"
    uid = one["sop_instance_uid"]
    assert adopted.json("find", f"SOPInstanceUID={uid}")["instances"] == [one]


@pytest.mark.parametrize(
    ("asked", "number"),
    [
        (("PatientName=doe^*",), 31),
        (("(0010,0010)=DOE^PETER", "0008,0060=MR"), 17),
        (("StudyDate=2003-05",), 17),
        (("StudyDate=1995-09-03..2001-01-01", "Modality=CT,CR"), 14),
        (("StudyDate<1996",), 4),
        (("StudyDate>=01.01.2003",), 17),
        (("InstanceNumber=1..2", "SeriesNumber>1", "SeriesNumber<=2"), 6),
        (("PatientID=77654033\\nobody",), 7),
        (("StudyDescription=*BRAIN*",), 4),
        ((), 31),
    ],
)
def test_values_are_patterns_ranges_and_lists(
    adopted: Cli, asked: tuple[str, ...], number: int
) -> None:
    assert len(adopted("find", *asked).out.splitlines()) == number


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ("StudyDate=03/05/2003", "StudyDate: '03/05/2003' is not a date, such as 2026-03-01"),
        ("PatientID>5", "PatientID is no date, time or number: nothing is > it."),
        ("Patient", "'Patient' is not KEYWORD=VALUE"),
        ("PatientIdent=1", "Did you mean PatientID"),
    ],
)
def test_what_can_find_nothing_is_a_usage_error(adopted: Cli, asked: str, why: str) -> None:
    assert why in adopted("find", asked, code=2).err


def test_one_value_that_is_near_is_told_with_what_it_would_find(adopted: Cli) -> None:
    told = "No instance matches. Did you mean "
    assert adopted("find", "Modality=mr", "StudyDate=2003").err == (
        f"{told}Modality=MR: 17 instances?\n"
    )
    assert (
        adopted("find", "PatientName=peter").err
        == f"{told}'PatientName=Doe^Peter': 24 instances?\n"
    )
    assert adopted("find", "StudyDescription=brane").err.startswith(told)
    assert "Did you mean" not in adopted("find", "Modality=US").err


@pytest.mark.parametrize(
    ("level", "rows"), [("patient", 2), ("study", 6), ("series", 13), ("instance", 31)]
)
def test_each_level_has_a_row_for_each_record_that_something_was_found_of(
    adopted: Cli, level: str, rows: int
) -> None:
    found = adopted.json("find", "--level", level)
    assert len(found["instances" if level == "instance" else "records"]) == rows
    if level != "instance":
        assert sum(row["instances"] for row in found["records"]) == 31
        assert {row["record_type"] for row in found["records"]} == {level.upper()}
        assert len(adopted("find", "--level", level).out.splitlines()) == 1 + rows
    elements = found["instances" if level == "instance" else "records"][0]["elements"]
    if level == "patient":
        assert elements["00100010"]["Value"] == [{"Alphabetic": "Doe^Archibald"}]
    only = adopted.json("find", "--level", level, "SeriesInstanceUID=1.2")
    assert only["instances"] == only["records"] == []


def test_columns_are_chosen_and_sorted_by(adopted: Cli) -> None:
    columns = ("--columns", "Modality,instances", "--sort=-instances,Modality")
    arguments = ("--level", "series", *columns)
    heading, *rows = adopted("find", *arguments, "PatientID=98890234").out.splitlines()
    assert heading.split() == ["Modality", "instances"]
    numbers = [int(row.split()[1]) for row in rows]
    assert numbers == sorted(numbers, reverse=True)
    assert [row.split() for row in rows][:2] == [["MR", "7"], ["CT", "5"]]
    by_date = adopted("find", "--tsv", "--columns", "file_id", "--sort", "StudyDate,-SeriesNumber")
    assert by_date.out.splitlines()[1:5] == [
        f"77654033/CT2/17{end}" for end in ("106", "136", "166", "196")
    ]
    assert "There is no column file_id of study" in adopted(
        "find", "--level", "study", "--columns", "file_id", code=2
    ).err  # fmt: skip
    for two in (("--csv", "--template", "x"), ("--csv", "--tsv"), ("--tsv", "--json")):
        refused = adopted("find", *two, code=2)
        assert "Choose one of" in refused.out + refused.err


def test_a_table_for_spreadsheets_runs_no_formula_and_is_read_back(
    cli: Cli, tmp_path: Path
) -> None:
    evil = {"PatientID": '=cmd|"/c calc"!A1', "PatientName": "M\u00fcller^J,K", "SeriesNumber": -5}
    cli("add", changed(CT, tmp_path / "ct", **evil, SpecificCharacterSet="ISO_IR 192"))
    written = cli(
        "find", "--csv", "--columns", "PatientID,PatientName,SeriesNumber,ImageType", "--load"
    ).out
    assert written.startswith("\ufeffPatientID,")
    (row,) = csv.DictReader(io.StringIO(written.removeprefix("\ufeff")))
    assert row["PatientID"] == "'" + evil["PatientID"]
    assert row["PatientName"] == evil["PatientName"]
    assert row["SeriesNumber"] == "-5"
    table = tmp_path / "table.csv"
    lines = written.removeprefix("\ufeff").replace(",ImageType", ",new PatientSex").splitlines()
    table.write_text(f"{lines[0]}\n{lines[1].rpartition(',')[0]},F\n", "utf-8-sig")
    assert cli.json("correct", "--csv", table)["corrected"] == 1


def test_a_template_makes_a_line_of_each(adopted: Cli) -> None:
    (line,) = adopted(
        "find", "--level", "patient", "--template", "{{{PatientID}}}\\t{0010,0010}", "PatientID=7*"
    ).out.splitlines()
    assert line == "{77654033}\tDoe^Archibald"
    for bad in ("{", "{PatientID!r}", "{PatientID:>9}", "{}", "{PatientID.x}", "{Nothing}"):
        adopted("find", "--template", bad, code=2)


def test_the_first_lines_are_printed_before_the_last_are_looked_for(
    adopted: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at = []
    real = FileInstance.__getitem__

    def reading(self: FileInstance, key: Any) -> Any:
        looked_at.append(self)
        return real(self, key)

    printed: list[int] = []
    monkeypatch.setattr(FileInstance, "__getitem__", reading)
    monkeypatch.setattr(
        "fileset.cli.screen.output.click.echo", lambda *_, **__: printed.append(len(looked_at))
    )
    for form in ("--tsv", "--csv"):
        looked_at.clear()
        adopted("find", form, "--columns", "Modality", "Modality=*")
        assert printed[0] < len(looked_at)


def test_on_a_terminal_lines_fit_its_width_and_uids_keep_their_ends(
    adopted: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = adopted("find", "--level", "study", "StudyDescription=*BRAIN*").out
    monkeypatch.setattr("fileset.cli.screen.output.is_terminal", lambda _: True)
    monkeypatch.setenv("COLUMNS", "80")
    fitted = adopted("find", "--level", "study", "StudyDescription=*BRAIN*").out
    assert max(map(len, fitted.splitlines())) <= 80
    assert fitted.splitlines()[1][-5:] == whole.splitlines()[1][-5:]
    assert "\u2026" in fitted
    assert "\u2026" not in whole


def test_nothing_found_is_told_and_no_failure(adopted: Cli) -> None:
    result = adopted("find", "PatientID=nobody")
    assert result.out == ""
    assert result.err == (
        "No instance matches: `fileset values PatientID` lists the values that there are.\n"
    )


def test_elements_beyond_the_records_are_searched_when_asked(cli: Cli) -> None:
    cli("add", CT, MR)
    assert "--load searches the instances" in cli("find", "KVP=120").err
    assert cli.json("find", "KVP=120")["warnings"] == [
        "no directory record has KVP: --load searches the instances themselves"
    ]
    assert len(cli.json("find", "KVP=120", "--load")["instances"]) == 1
    assert cli.json("values", "ImageType", "--load")["values"] == {
        "ImageType": [["ORIGINAL", "PRIMARY", "AXIAL"], ["DERIVED", "SECONDARY", "OTHER"]]
    }


def test_a_file_that_cannot_be_read_is_told_and_the_others_are_searched(
    cli: Cli, tmp_path: Path
) -> None:
    mine = shutil.copy(CT, tmp_path / "ct.dcm")
    cli("add", mine, MR, "--place", "reference")
    Path(mine).unlink()
    result = cli("values", "Modality", "--load", code=1)
    assert result.out == "Modality=MR\n"
    assert "can't be read: No such file" in result.err


def test_an_element_of_a_wrong_length_is_told_and_the_others_are_searched(
    cli: Cli, tmp_path: Path
) -> None:
    ds = dcmread(CT)
    item = Dataset()
    item.Rows, item.is_undefined_length_sequence_item = ds.Rows, True
    ds.ReferencedSeriesSequence = [item]
    ds["ReferencedSeriesSequence"].is_undefined_length = True
    ds.save_as(short := tmp_path / "short.dcm")
    short.write_bytes(short.read_bytes().replace(b"US\2\0\x80\0", b"US\1\0a", 2))
    cli("add", short, MR)
    reason = f"{ds.SOPInstanceUID}: can't be read: Rows: "
    for asked in ("Rows=64", "Rows=..99999"):
        result = cli("find", "--load", asked, code=1)
        assert len(result.out.splitlines()) == 1
        assert result.err.count(reason) == 1
    table = cli("find", "--load", "--columns", "PatientID,Rows", "--csv", code=1)
    assert set(table.out.splitlines()[1:]) == {"1CT1,", "4MR1,64"}
    assert table.err.count(reason) == 1
    document = cli.json("values", "Rows", "ReferencedSeriesSequence", "--load", code=1)
    assert document["values"] == {"Rows": [64], "ReferencedSeriesSequence": []}
    assert len(document["unreadable"]) == 2
    assert len(cli.json("find", "--load", "Rows=5", code=1)["unreadable"]) == 1
    with FileSet.open(cli.repository) as fs:
        for search in (fs.search, fs.find):
            with pytest.warns(UserWarning, match=reason):
                assert len(search(load=True, Rows=64)) == 1
        with pytest.warns(UserWarning, match=reason):
            assert fs.find_values("Rows", load=True) == [64]


def test_what_add_has_told_of_an_instance_is_not_told_again_without_its_name(
    cli: Cli, tmp_path: Path
) -> None:
    (bad := tmp_path / "bad.dcm").write_bytes(
        CT.read_bytes()
        .replace(b"ISO_IR 100", b"FOO\\BAR   ", 1)
        .replace(b"CompressedSamples^CT1", b"a=b=c=d^abcdefghijklm", 1)
    )
    told = cli("add", bad).err
    assert told.count("doesn't know, 'FOO'") > 0
    assert "takes up to 3 groups" in told
    for options in ((), ("--load",), ("--csv", "--columns", "PatientName"), ("PatientName=a*",)):
        assert cli("find", *options).err == ""
    assert cli.json("find", "PatientName=a*")["warnings"] == []


def test_what_is_gone_from_the_medium_is_read_from_the_vault(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT, MR)
    cli("write", tmp_path / "medium")
    (tmp_path / "medium" / "PT000000" / "ST000000" / "SE000000" / "IM000000").unlink()
    assert cli("values", "Modality", "--load").out == "Modality=CT\nModality=MR\n"


@pytest.mark.parametrize("keyword", ["SOPInstanceUID", "PatientID"])
def test_by_what_identifies_it_only_the_records_that_it_may_be_are_read(
    adopted: Cli, monkeypatch: pytest.MonkeyPatch, keyword: str
) -> None:
    one = adopted.json("find", "PatientID=77654033")["instances"][0]
    wanted = {"SOPInstanceUID": one["sop_instance_uid"], "PatientID": "77654033"}
    read: set[str] = set()
    real = FileInstance.__getitem__

    def reading(self: FileInstance, key: Any) -> Any:
        read.add(str(self.SOPInstanceUID))
        return real(self, key)

    monkeypatch.setattr(FileInstance, "__getitem__", reading)
    found = adopted.json("find", f"{keyword}={wanted[keyword]}")["instances"]
    assert one in found
    assert read == {each["sop_instance_uid"] for each in found}


def test_a_keyword_that_only_other_records_have_is_not_said_to_be_in_none(adopted: Cli) -> None:
    uid = adopted.json("find", "Modality=CT")["instances"][0]["sop_instance_uid"]
    assert adopted.json("find", f"SOPInstanceUID={uid}", "KVP=120")["warnings"] != []
    assert adopted.json("find", "SOPInstanceUID=1.2.3", "Modality=CT")["warnings"] == []


@pytest.mark.parametrize("place", ["folder", "DICOMDIR"])
def test_a_disc_is_looked_at_without_a_repository(place: str) -> None:
    path = DICOMDIR.parent if place == "folder" else DICOMDIR
    assert len(run("find", "--from", path, "--level", "patient").out.splitlines()) == 3
    assert run("values", "Modality", "--from", path).out.splitlines()[0] == "Modality=CR"
    assert "31 instances" in run("tree", "--from", path).out.splitlines()[0]


def test_what_is_no_disc_is_refused(tmp_path: Path) -> None:
    assert "`fileset index" in run("find", "--from", tmp_path, code=2).err
    (tmp_path / "DICOMDIR").write_bytes(b"none")
    assert "not a DICOM file" in run("find", "--from", tmp_path, code=3).err
    assert [each.name for each in tmp_path.iterdir()] == ["DICOMDIR"]


def test_search_is_another_name_for_it(adopted: Cli) -> None:
    assert adopted.json("search", "Modality=CT") == adopted.json("find", "Modality=CT")


def test_what_names_no_moment_is_told_in_local_time_and_without_a_banner(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    try:
        told = cli("find", "--at", "1999-01-01", code=2).err
    finally:
        monkeypatch.undo()
        time.tzset()
    assert re.fullmatch(
        r"error: Nothing was recorded up to 1999-01-01: the journal begins at "
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+05:30\.\n",
        told,
    )
    assert cli("revert", "zzz", code=2).err.startswith("error: ")


def test_an_empty_file_set_is_said_to_be_empty(cli: Cli) -> None:
    for command in (("find",), ("find", "--load"), ("values", "PatientID")):
        told = cli(*command, "StudyDate<2005").err
        assert "warning: the File-set is empty" in told
        assert "no directory record" not in told
    with pytest.warns(UserWarning, match="The File-set is empty"):
        FileSet().search(PatientID="1")
