"""find: instances by the elements of their records, or all of theirs."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR, Cli

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
