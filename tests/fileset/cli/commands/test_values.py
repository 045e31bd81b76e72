"""values: what values elements have, the way find takes them."""

from __future__ import annotations

from cli_runs import Cli


def test_values_are_listed_the_way_find_takes_them(adopted: Cli) -> None:
    lines = adopted("values", "PatientID", "Modality").out.splitlines()
    assert lines == [
        "PatientID=77654033",
        "PatientID=98890234",
        "Modality=CR",
        "Modality=CT",
        "Modality=MR",
    ]
    assert sum(len(adopted("find", line).out.splitlines()) for line in lines[2:]) == 31
    document = adopted.json("values", "SeriesNumber", "PatientName")
    assert document["values"]["SeriesNumber"] == [1, 2, 3, 4, 5, 700]
    assert document["values"]["PatientName"] == ["Doe^Archibald", "Doe^Peter"]


def test_values_of_a_keyword_that_no_record_has_are_none_and_told(adopted: Cli) -> None:
    result = adopted("values", "KVP")
    assert result.out == ""
    assert "no directory record has KVP" in result.err


def test_values_are_those_of_instances_that_match(adopted: Cli) -> None:
    assert adopted("values", "PatientID", "Modality=CR").out == "PatientID=77654033\n"
    assert adopted("values", "Modality", "StudyDate=2003").out == "Modality=MR\n"
    assert "Name the elements" in adopted("values", "Modality=CR", code=2).err
