"""move: a study that is filed under the wrong patient becomes the other one's."""

from __future__ import annotations

from cli_runs import CT, MR, Cli
from pydicom import dcmread


def test_a_study_goes_to_the_patient_whose_it_is(cli: Cli) -> None:
    cli("add", CT, MR)
    study = dcmread(MR).StudyInstanceUID
    cli("move", f"StudyInstanceUID={study}", "--to", "PatientID=1CT1")
    assert len(cli.json("find", "PatientID=1CT1")["instances"]) == 2
    assert cli.json("find", "PatientID=4MR1")["instances"] == []


def test_only_a_patient_can_be_moved_to(cli: Cli) -> None:
    cli("add", CT)
    assert "Name the patient" in cli("move", "PatientID=1CT1", "--to", "Modality=MR", code=2).err
