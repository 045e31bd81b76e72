"""settle: several persons of one Patient ID are accepted, and told no more."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import Cli, run
from persons import ANNA, TWIN, file

DIFFERENT = {
    "name": {"PatientName": "Roth^Berta"},
    "birth date": {"PatientBirthDate": "19800101"},
    "sex": {"PatientSex": "M"},
    "ideographic name": {"PatientName": "Roth^Anna=山田^太郎"},
}


@pytest.mark.parametrize("other", DIFFERENT.values(), ids=DIFFERENT)
def test_another_person_is_told_until_it_is_settled(
    cli: Cli, tmp_path: Path, other: dict[str, str]
) -> None:
    first = {**ANNA, "PatientName": "Roth^Anna=山田^花子"}
    cli("add", file(tmp_path / "in", 1, **first))
    added = cli("add", file(tmp_path / "in", 2, **{**first, **other}), code=1)
    (keyword,) = other
    assert str(tmp_path / "in" / "I2") in added.err
    assert keyword in added.err
    assert "1 instance may belong to a different person" in added.out

    (told,) = cli.json("status", code=1)["mismatches"]
    assert told["patient_id"] == "77"
    assert set(told["values"]) == {keyword}
    assert len(told["values"][keyword]) == 2
    assert "fileset settle PatientID=77" in cli("status", code=1).out

    assert "Settled: 2 persons" in cli("settle", "PatientID=77", "--reason", "twins").out
    assert cli.json("status")["mismatches"] == []
    cli("add", file(tmp_path / "in", 3, **{**first, **other}))
    cli("add", file(tmp_path / "in", 4, **first))
    assert cli("log", "--kind", "settle").out.count("several persons accepted") == 1

    cli("undo", "3")
    assert cli.json("status", code=1)["mismatches"] == [told]
    cli("redo")
    cli("status")
    cli("add", file(tmp_path / "in", 5, **{**first, "PatientName": "Roth^Clara"}), code=1)
    cli("status", code=1)


def test_the_exit_code_for_a_moment_tells_whether_a_mismatch_was_open_then(
    cli: Cli, tmp_path: Path
) -> None:
    cli("add", file(tmp_path / "in", 1, **ANNA))
    cli("tag", "one")
    cli("add", file(tmp_path / "in", 2, **TWIN), code=1)
    cli("tag", "two")
    cli("settle", "PatientID=77")
    cli("status", "--at", "one")
    assert "Mismatch" in cli("status", "--at", "two", code=1).out
    cli("status")


def test_a_settlement_can_be_reverted_and_is_kept_with_the_state(cli: Cli, tmp_path: Path) -> None:
    cli("add", file(tmp_path / "in", 1, **ANNA))
    cli("add", file(tmp_path / "in", 2, **TWIN), code=1)
    change = cli.json("settle", "PatientID=77")["change"]
    cli("add", file(tmp_path / "in", 3, **ANNA))
    cli("rebuild")
    cli("status")
    cli("revert", change)
    cli("status", code=1)
    cli("undo")
    cli("status")
    cli("export-journal", tmp_path / "journal")
    run("import-journal", tmp_path / "journal", tmp_path / "again")
    Cli(tmp_path / "again")("status")


@pytest.mark.parametrize("query", ["PatientID", "PatientID=", "PatientName=Roth^Anna", "77"])
def test_what_is_settled_is_named_by_its_patient_id(cli: Cli, query: str) -> None:
    assert "PatientID=VALUE" in cli("settle", query, code=2).err
