"""show: a change and its events."""

from __future__ import annotations

from cli_runs import CT, Cli


def test_a_change_is_shown_by_the_beginning_of_its_id(cli: Cli) -> None:
    cli("add", CT, "/dev/null", "--reason", "for the clinic", code=1)
    id_ = cli.json("log")["changes"][1]["id"]
    out = cli("show", id_[:8]).out
    assert out.startswith(f"Change {id_}: 1 instance added: 1CT1; 1 file rejected: null\n")
    for told in ("Reason: for the clinic", "Positions: 2 to 3", "Origin: fileset@"):
        assert told in out
    assert "file rejected: /dev/null: is not a regular file" in out
    document = cli.json("show", id_)
    added, rejected = document["events"]
    assert added["payload"]["source"] == str(CT)
    assert added["hash"].startswith("sha256:")
    assert rejected["payload"]["reason"] == "is not a regular file"


def test_an_id_that_names_no_change_or_several_is_a_usage_error(cli: Cli) -> None:
    assert "No change has an id" in cli("show", "nothing", code=2).err
    for n in range(60):
        cli("set", f"id=N{n}")
    first = [entry["id"][0] for entry in cli.json("log")["changes"] if entry["id"][0].isalpha()]
    common = max(first, key=first.count)
    assert "changes have ids that begin with" in cli("show", common, code=2).err
