"""tag: names for positions are set, moved, listed and deleted."""

from __future__ import annotations

from cli_runs import CT, Cli


def test_the_command_sets_moves_lists_and_deletes_tags(cli: Cli) -> None:
    assert "There are no tags" in cli("tag").err
    cli("add", CT)
    assert cli("tag", "sent", "--reason", "signed").out == "Tag 'sent' stands for position 2.\n"
    added, tagged = (entry["id"] for entry in cli.json("log")["changes"][1:])
    assert cli("tag", "begun", 1).out == "Tag 'begun' stands for position 1.\n"
    assert "at position 2: move it with --move" in cli("tag", "sent", 1, code=3).err
    assert cli("tag", "sent", added).out == "That is so already.\n"
    moved = cli("tag", "sent", "1", "--move").out
    assert moved == "Tag 'sent' stands for position 1, no longer for 2.\n"
    document = cli.json("tag", "sent", added[:9], "--move")
    assert document["tagged"] == {"name": "sent", "position": 2, "previous": 1}
    assert document["change"] == cli.json("log")["changes"][-1]["id"]
    for options in ((), ("--list",)):
        listed = cli.json("tag", *options)
        assert [(t["name"], t["position"]) for t in listed["tags"]] == [("sent", 2), ("begun", 1)]
        assert listed["tags"][0]["change"] == added != tagged
        lines = cli("tag", *options).out.splitlines()
        assert [line.split()[:3] for line in lines] == [
            ["sent", "2", added],
            ["begun", "1", listed["tags"][1]["change"]],
        ]
        assert lines[0].endswith("1 instance added: 1CT1")
    assert cli("tag", "begun", "--delete").out == "Tag 'begun' deleted; it stood for position 1.\n"
    document = cli.json("tag", "sent", "--delete")
    assert document["tagged"] == {"name": "sent", "position": None, "previous": 2}
    assert document["tags"] == []
    assert all("tag" in e["summary"] for e in cli.json("log")["changes"][2:])
    assert cli.json("status")["undo"] == 1


def test_what_makes_no_sense_is_a_usage_error(cli: Cli) -> None:
    for arguments in (
        ["--list", "x"],
        ["--move"],
        ["--delete"],
        ["x", "1", "--delete"],
        ["x", "--move", "--delete"],
        ["1st"],
        ["x", "99"],
        ["x", "never"],
        ["never", "--delete"],
    ):
        cli("tag", *arguments, code=2)
    cli("tag", "x")
    assert "no tag 'y': the tags are x." in cli("tag", "y", "--delete", code=2).err
