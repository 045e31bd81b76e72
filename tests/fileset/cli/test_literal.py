"""Values that look like patterns: what changes something asks which of both is meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli
from pydicom import dcmread


@pytest.fixture
def starred(cli: Cli, tmp_path: Path) -> Cli:
    """A patient who is called `A*`, and one `AB` in another modality."""
    for number, (source, patient) in enumerate(((CT, "A*"), (MR, "AB"))):
        ds = dcmread(source)
        ds.PatientID = patient
        ds.save_as(tmp_path / str(number))
        cli("add", tmp_path / str(number))
    return cli


@pytest.mark.parametrize(
    "command",
    [
        ("remove", "PatientID=A*"),
        ("remove", "PatientID=A*", "Modality=MR"),  # that of somebody else alone
        ("remove", "PatientID=A*", "--dry-run"),
        ("correct", "PatientID=A*", "--to", "PatientSex=F"),
        ("move", "PatientID=A*", "--to", "PatientID=AB"),
        ("media", "make", "disc", "PatientID=A*"),
    ],
)
def test_a_pattern_that_is_a_value_as_well_changes_nothing(
    starred: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    before = starred("log").out
    assert starred(*command, code=3).err == (
        "error: 'PatientID=A*' is a value that is there, and as a pattern it finds 1 instance with "
        "others. With --literal it is that value alone; for the others, use a pattern that is no "
        "value.\n"
    )
    assert starred("log").out == before
    assert not (tmp_path / "disc").exists()


def test_literally_a_value_is_itself_alone(starred: Cli, tmp_path: Path) -> None:
    asked = ("PatientID=A*", "--literal")
    assert len(starred.json("find", *asked)["instances"]) == 1
    assert starred.json("correct", *asked, "--to", "PatientSex=F")["corrected"] == 1
    media = starred.json("media", "make", tmp_path / "disc", *asked)["media"]
    assert [each["instances"] for each in media] == [1]
    assert len(starred.json("remove", *asked)["removed"]) == 1
    assert starred.json("values", "PatientID")["values"] == {"PatientID": ["AB"]}
    assert starred.json("move", "PatientID=A?", "--literal", "--to", "PatientID=AB", code=1)
    assert "nothing is > a value" in starred("remove", "SeriesNumber>1", "--literal", code=2).err


def test_a_pattern_that_is_no_other_value_is_one(starred: Cli) -> None:
    assert len(starred.json("remove", "PatientID=A**")["removed"]) == 2
    starred("undo")
    starred("remove", "PatientID=AB")
    assert len(starred.json("remove", "PatientID=A*")["removed"]) == 1
