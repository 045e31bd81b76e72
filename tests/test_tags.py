"""Tags: names for positions, by events as everything, and no part of the File-set."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runs import CT, Cli, run
from models import Author

from fileset import FileSet
from fileset.errors import InvalidTagError, NoSuchMomentError, RefusedError
from fileset.tags import tag_name
from ledger.errors import JournalDamagedError
from ledger.events import PositionTagged, TagDeleted


@pytest.fixture
def fs(tmp_path: Path) -> Iterator[FileSet]:
    with FileSet(repository=tmp_path / "repository") as made:
        yield made


def test_a_tag_stands_for_the_present_position_or_a_given_one(fs: FileSet) -> None:
    fs.add(CT)
    then = fs.state.position
    assert fs.tag("sent", reason="to the trial") == then
    assert fs.history[-1].events == [PositionTagged("sent", then)]
    assert fs.history[-1].reason == "to the trial"
    assert fs.tag("begun", 1) == 1
    assert fs.tag("again", "sent") == then
    assert dict(fs.tags) == {"sent": then, "begun": 1, "again": then}


def test_a_tag_is_moved_only_when_that_is_meant(fs: FileSet) -> None:
    fs.tag("sent")
    fs.add(CT)
    with pytest.raises(RefusedError, match="a tag 'sent' already, at position 1"):
        fs.tag("sent")
    assert fs.tag("sent", move=True) == 3
    assert fs.history[-1].events == [PositionTagged("sent", 3, 1)]
    changes = len(fs.history)
    assert fs.tag("sent", 3) == 3
    assert len(fs.history) == changes


def test_a_deleted_tag_is_gone_and_its_history_is_not(fs: FileSet) -> None:
    fs.tag("sent")
    position = fs.state.position
    fs.delete_tag("sent")
    assert fs.history[-1].events == [TagDeleted("sent", 1)]
    assert dict(fs.tags) == {}
    assert dict(fs.at(position).tags) == {"sent": 1}
    with pytest.raises(NoSuchMomentError, match="no tag 'sent': there are none"):
        fs.delete_tag("sent")
    fs.tag("other")
    with pytest.raises(NoSuchMomentError, match="no tag 'sent': the tags are other"):
        fs.delete_tag("sent")


def test_undo_and_redo_do_not_step_over_tags(fs: FileSet) -> None:
    fs.add(CT)
    fs.undo()
    fs.tag("empty")
    fs.redo()
    assert len(fs) == 1
    fs.undo()
    assert (len(fs), dict(fs.tags)) == (0, {"empty": 3})
    with pytest.raises(RefusedError, match="added, removed and set nothing"):
        fs.revert(fs.history[3])


def test_tags_survive_a_restart_and_a_rebuild(fs: FileSet, tmp_path: Path) -> None:
    fs.tag("sent")
    fs.close()
    with FileSet.open(tmp_path / "repository") as opened:
        assert dict(opened.tags) == {"sent": 1}
        opened.repository.rebuild()
        assert dict(opened.tags) == {"sent": 1}


def test_the_tags_of_the_past_can_be_looked_at_and_not_changed(fs: FileSet) -> None:
    fs.tag("sent")
    for attempt in (lambda: fs.at(1).tag("x"), lambda: fs.at(2).delete_tag("sent")):
        with pytest.raises(RefusedError, match="can't be changed"):
            attempt()
    with pytest.raises(TypeError):
        fs.tags["x"] = 1  # type: ignore[index]


def test_a_tag_inside_a_change_goes_with_it(fs: FileSet) -> None:
    with fs.change():
        fs.add(CT)
        assert fs.tag("half") == 2
        fs.ID = "X"
    assert fs.at("half").ID is None
    with pytest.raises(ZeroDivisionError), fs.change():  # noqa: PT012 - a change that fails
        fs.tag("gone")
        1 / 0  # noqa: B018 - as above
    assert dict(fs.tags) == {"half": 2}


@pytest.mark.parametrize("name", ["v1", "sent-2026.11", "Zürich", "山田", "a" * 64, "b_c"])
def test_a_name_has_letters_digits_dots_hyphens_and_underscores(name: str) -> None:
    assert tag_name(name) == name


@pytest.mark.parametrize(
    "name",
    ["", "1st", "2026-11-22", "-x", ".x", "_x", "a b", "a/b", "a\nb", "a" * 65, "x\udce9", "a:b"],
)
def test_other_names_are_refused(fs: FileSet, name: str) -> None:
    with pytest.raises(InvalidTagError, match="begins with a letter"):
        fs.tag(name)


def test_a_name_that_could_be_a_change_is_refused(fs: FileSet) -> None:
    with pytest.raises(InvalidTagError, match="could be a change's id"):
        fs.tag("abcdefabcdef")
    fs.tag("abcdefabcdeg")


def test_a_name_is_the_same_however_its_accents_are_written(fs: FileSet) -> None:
    fs.tag("Zu\N{COMBINING DIAERESIS}rich")
    assert list(fs.tags) == ["Zürich"]
    assert fs.at("Zu\N{COMBINING DIAERESIS}rich").state.position == 1
    fs.delete_tag("Zu\N{COMBINING DIAERESIS}rich")
    assert not fs.tags


@pytest.mark.parametrize(
    "event",
    [
        PositionTagged("x", 0),
        PositionTagged("x", 3),
        PositionTagged("sent", 1),
        PositionTagged("x", 1, 1),
        TagDeleted("x", 1),
        TagDeleted("sent", 2),
    ],
)
def test_an_event_that_does_not_fit_the_tags_is_damage(event: PositionTagged | TagDeleted) -> None:
    author = Author()
    author.commit([PositionTagged("sent", 1)])
    with pytest.raises(JournalDamagedError):
        author.commit([event])
    assert author.state.tags == {"sent": 1}


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    run("init", tmp_path / "archive")
    return Cli(tmp_path / "archive")


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
