"""values: what values elements have, the way find takes them."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import CT, Cli
from pydicom.dataelem import DataElement

from fileset import FileSet
from fileset.values import value_text
from fileset.views.view import View
from projections.state.nodes import Branch, Leaf


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


def test_values_are_those_of_each_instance_whichever_records_have_them(adopted: Cli) -> None:
    keywords = (
        "PatientName", "StudyDate", "Modality", "InstanceNumber", "SpecificCharacterSet",
        "SOPInstanceUID", "SOPClassUID", "ReferencedFileID", "DirectoryRecordType",
    )  # fmt: skip
    with FileSet.open(adopted.repository) as fs:
        instances = list(fs)
        first = {
            key: list(dict.fromkeys(value_text(one[key]) for one in instances if key in one))
            for key in keywords
        }
    for key in keywords:
        lines = adopted("values", key).out.splitlines()
        assert lines == [f"{key}={text}" for text in first[key]]


def test_what_the_records_above_have_is_looked_up_once_for_each(
    adopted: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    element = View.element

    def counted(view: View, node: Branch | Leaf, tag: int) -> DataElement | None:
        asked.append(tag)
        return element(view, node, tag)

    monkeypatch.setattr(View, "element", counted)
    adopted("values", "Modality")
    assert len(asked) <= 2 * 13  # of 31 instances in 13 series: one of each, and the series


def test_values_of_a_keyword_that_no_record_has_are_none_and_told(adopted: Cli) -> None:
    result = adopted("values", "KVP")
    assert result.out == ""
    assert "no directory record has KVP" in result.err


def test_values_are_those_of_instances_that_match(adopted: Cli) -> None:
    assert adopted("values", "PatientID", "Modality=CR").out == "PatientID=77654033\n"
    assert adopted("values", "Modality", "StudyDate=2003").out == "Modality=MR\n"
    assert "Name the elements" in adopted("values", "Modality=CR", code=2).err


def test_a_number_that_is_none_is_text(cli: Cli, tmp_path: Path) -> None:
    (bad := tmp_path / "bad.dcm").write_bytes(
        CT.read_bytes().replace(b"(\0\x53\x10DS\2\x001 ", b"(\0\x53\x10DS\2\x00ab", 1)
    )
    cli("add", bad)
    assert cli.json("values", "RescaleSlope", "--load")["values"] == {"RescaleSlope": ["ab"]}
