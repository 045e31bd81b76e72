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


def test_a_patient_whom_nobody_knows_is_refused(cli: Cli) -> None:
    cli("add", CT)
    result = cli("merge", "PatientID=1CT1", "--into", "PatientID=nobody", code=3)
    assert "no patient with the ID 'nobody'" in result.err
