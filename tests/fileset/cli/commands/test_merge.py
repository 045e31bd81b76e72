"""merge: the instances of one patient become another one's."""

from __future__ import annotations

from cli_runs import CT, MR, Cli


def test_the_instances_get_what_the_other_patient_is_known_by(cli: Cli) -> None:
    cli("add", CT, MR)
    cli("merge", "PatientID=4MR1", "--into", "PatientID=1CT1")
    assert cli("values", "PatientID", "PatientName").out.splitlines() == [
        "PatientID=1CT1", "PatientName=CompressedSamples^CT1",
    ]  # fmt: skip
    assert cli.json("status")["mismatches"] == []
    cli("undo")
    assert "PatientID=4MR1" in cli("values", "PatientID").out


def test_a_patient_is_not_merged_into_itself(cli: Cli) -> None:
    cli("add", CT)
    result = cli("merge", "PatientID=1CT1", "--into", "PatientID=1CT1", code=2)
    assert "Name two different patients" in result.err


def test_a_patient_whom_nobody_knows_is_refused(cli: Cli) -> None:
    cli("add", CT)
    result = cli("merge", "PatientID=1CT1", "--into", "PatientID=nobody", code=3)
    assert "no patient with the ID 'nobody'" in result.err


def test_what_is_no_patient_id_is_a_usage_error(cli: Cli) -> None:
    cli("add", CT, MR)
    for patient in ("PatientID=", "PatientName=X", "1CT1"):
        message = cli("merge", patient, "--into", "PatientID=1CT1", code=2).err
        assert "Name the patient whose instances change" in message
    message = cli("merge", "PatientID=4MR1", "--into", "PatientName=X", code=2).err
    assert "Name the patient they belong to" in message
    message = cli("merge", "--into", "PatientID=1CT1", "PatientID=4MR1", code=2).err
    assert "'PatientID=4MR1' comes after --into: name the instances first." in message
