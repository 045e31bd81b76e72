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


def test_what_a_pattern_stood_for_is_told_and_undo_takes_it_back(cli: Cli) -> None:
    cli("add", CT, MR, OVERLAY)
    result = cli("remove", "PatientID=*", "Modality=CT,MR")
    *_, patients, modalities, _ = result.out.splitlines()
    assert patients == "PatientID=* is '1CT1', '4MR1', '021234567'."
    assert modalities == "Modality=CT,MR is 'CT', 'MR'."
    cli("undo")
    assert cli.json("remove", "PatientID=1*")["matched"] == [
        {"asked": "PatientID=1*", "values": ["1CT1"]}
    ]
    assert cli.json("remove", "PatientID=4MR1")["matched"] == []
    assert cli("remove", "StudyDate=soon", code=2).err.endswith("2026-03-01..2026-03-31.\n")
    assert cli.json("values", "PatientID")["values"] == {"PatientID": ["021234567"]}


def test_no_value_is_not_any_value(cli: Cli) -> None:
    cli("add", CT, MR)
    assert cli.json("remove", "PatientID=", code=1)["removed"] == []
    assert len(cli.json("find")["instances"]) == 2


def test_what_would_be_removed_is_shown_and_stays(cli: Cli) -> None:
    cli("add", CT, MR)
    result = cli("remove", "PatientID=*", "--dry-run")
    assert result.out.startswith("Would remove 2 instances:")
    document = cli.json("remove", "PatientID=1*", "--dry-run")
    assert (document["dry_run"], document["change"]) == (True, None)
    assert document["staged"]["summary"] == "DICOMDIR creation, 1 addition"
    assert cli.status() == "DICOMDIR creation, 2 additions"
    assert cli.json("remove", "PatientID=1*")["removed"] == document["removed"]
