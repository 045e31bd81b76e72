"""revert: what it takes back, what it would, and what stands in the way."""

from __future__ import annotations

from pathlib import Path

from cli_runs import CT, MR, Cli, changed


def ids(cli: Cli) -> list[str]:
    return [entry["id"] for entry in cli.json("log")["changes"]]


def test_the_command_tells_what_it_reverted_and_what_is_staged(cli: Cli) -> None:
    cli("add", CT, "--reason", "for the clinic")
    cli("add", MR)
    added = ids(cli)[1]
    assert cli("revert", added[:9], "--reason", "not theirs").out.splitlines() == [
        f"Reverted {added}: 1 instance added: 1CT1 (for the clinic)",
        "Staged for write: DICOMDIR creation, 1 addition",
    ]
    last = cli.json("log")["changes"][-1]
    assert last["summary"] == f"reverted {added}: 1 instance added: 1CT1"
    assert last["reason"] == "not theirs"
    assert "1CT1" in cli("undo").out


def test_the_command_foresees_a_revert(cli: Cli) -> None:
    cli("add", CT)
    cli("add", MR)
    added = ids(cli)[1]
    position = cli.json("status")["position"]
    out = cli("revert", added, "--dry-run").out.splitlines()
    assert out[0] == f"Would revert {added}: 1 instance added: 1CT1"
    assert out[1].startswith("  - (not on the medium)")
    assert out[1].rstrip().endswith("CT Image Storage")
    dry = cli.json("revert", added, "--dry-run")
    assert (dry["dry_run"], dry["change"]) == (True, None)
    assert cli.json("status")["position"] == position
    real = cli.json("revert", added)
    assert {**dry, "dry_run": False, "change": ids(cli)[-1]} == real
    assert [i["sop_class"] for i in real["removed"]] == ["CT Image Storage"]


def test_the_command_lists_the_changes_in_the_way(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    cli("remove", "PatientID=1CT1", "--reason", "blurred")
    cli("set", "id=DISC")
    cli("add", changed(CT, tmp_path / "other.dcm", PatientName="X"))
    removal, setting, other = ids(cli)[2:]
    for options in ((), ("--dry-run",)):
        refused = cli("revert", removal, *options, code=3)
        assert refused.out == ""
        assert refused.err.splitlines() == [
            f"error: Change {removal} can't be reverted, a later change stands in the way:",
            f"  {other}: 1 instance added: 1CT1",
            "Revert the newest of them first, if they are to go, too.",
        ]
    error = cli.json("revert", removal, code=3)["error"]
    assert (error["kind"], error["type"]) == ("refused", "RevertRefusedError")
    assert [entry["id"] for entry in error["in_the_way"]] == [other]
    assert cli("revert", ids(cli)[1], code=3).err.splitlines()[1:-1] == [
        f"  {removal}: 1 instance removed: 1CT1 (blurred)"
    ]
    cli("set", "id=CD")
    cli("set", "id=USB")
    assert "2 later changes stand in the way:" in cli("revert", setting, code=3).err
    cli("undo", 2)
    cli("revert", other)
    cli("revert", removal)
    assert cli.json("status")["id"] == "DISC"
    assert cli("revert", "nothing", code=2).err.endswith("see `fileset log`.\n")
