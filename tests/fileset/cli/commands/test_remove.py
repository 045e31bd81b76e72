"""remove: instances go by the elements of their records."""

from __future__ import annotations

from cli_runs import CT, MR, OVERLAY, Cli


def test_instances_are_removed_by_their_elements(cli: Cli) -> None:
    cli("add", CT, MR, OVERLAY)
    result = cli("remove", "Modality=MR", "PatientID=4MR1")
    assert "1 instance removed:" in result.out
    assert "MR Image Storage" in result.out
    assert cli("values", "PatientID").out.splitlines() == ["PatientID=1CT1", "PatientID=021234567"]


def test_removing_what_matches_nothing_changes_nothing(cli: Cli) -> None:
    cli("add", CT)
    result = cli("remove", "PatientID=nobody", code=1)
    assert result.err == (
        "No instance matches: `fileset values PatientID` lists the values that there are.\n"
    )
    document = cli.json("remove", "PatientID=nobody", code=1)
    assert (document["removed"], document["change"]) == ([], None)


def test_numbers_are_matched_as_numbers(cli: Cli) -> None:
    cli("add", CT)
    assert cli.json("remove", "InstanceNumber=01")["removed"]


def test_an_unknown_keyword_is_a_usage_error_that_names_near_ones(cli: Cli) -> None:
    for command in ("remove", "find"):
        result = cli(command, "PatientNmae=X", code=2)
        assert "Did you mean" in result.err
        assert "PatientName" in result.err
    assert "is not KEYWORD=VALUE" in cli("remove", "PatientID", code=2).err
    assert cli.json("values", "patientid", code=2)["error"]["kind"] == "usage"
