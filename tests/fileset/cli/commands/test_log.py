"""log: what was done is told, a line a change."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, changed, copy_of_example, run, spawn


def test_the_log_tells_each_change_in_words(cli: Cli, tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    cli("add", CT, MR, "/dev/null", code=1)
    cli("add", changed(CT, tmp_path / "other.dcm", PatientName="X"), code=1)
    cli("remove", "PatientID=4MR1", "--reason", "not asked for")
    cli("undo")
    cli("redo")
    cli("set", "id=DISC", "descriptor=DOCS/README")
    cli("set", "id=")
    cli("write", medium)
    cli("write", tmp_path / "copy", "--at", "4")
    changes = cli.json("log")["changes"]
    removal = changes[3]["id"]
    assert [entry["summary"] for entry in changes] == [
        "File-set created",
        "2 instances added: 1CT1, 4MR1; 1 file rejected: null",
        "1 conflict noted: other.dcm",
        "1 instance removed: 4MR1",
        f"undid {removal}: 1 instance removed: 4MR1",
        f"redid {removal}: 1 instance removed: 4MR1",
        "File-set ID set to 'DISC'; Descriptor file ID set to 'DOCS/README'",
        "File-set ID cleared",
        f"write to {medium} started: 1 file to place or move, 0 to remove",
        "write completed",
        f"position 4 exported to {tmp_path / 'copy'}",
    ]
    lines = cli("log").out.splitlines()
    assert len(lines) == len(changes)
    for line, entry in zip(lines, changes, strict=True):
        id_, position, time, actor = line.split(maxsplit=4)[:4]
        assert (id_, int(position), actor) == (entry["id"], entry["last"], entry["actor"])
        assert datetime.fromisoformat(time) == datetime.fromisoformat(
            entry["recorded_at"][:19] + "Z"
        )
        assert entry["summary"] in line
    assert lines[3].endswith("(not asked for)")


def test_the_log_of_an_adopted_file_set_tells_where_it_came_from(tmp_path: Path) -> None:
    dicomdir = copy_of_example(tmp_path / "cd")
    run("init", tmp_path / "r", "--from", dicomdir)
    (entry,) = Cli(tmp_path / "r").json("log")["changes"]
    assert entry["summary"] == f"File-set at {dicomdir.parent} adopted: 31 instances"


def test_the_log_lists_events_when_asked(cli: Cli) -> None:
    cli("add", CT)
    out = cli("log", "--events").out
    assert "instance added: CT Image Storage of 1CT1" in out
    assert str(CT) in out
    events = cli.json("log", "--events")["changes"][1]["events"]
    assert [event["type"] for event in events] == ["instance-added"]


# --- choosing ------------------------------------------------------------------------------------


def summaries(cli: Cli, *options: object) -> list[str]:
    """Return what the changes that are listed did, without the ids of others."""
    told = [entry["summary"] for entry in cli.json("log", *options)["changes"]]
    return [text.split()[0] if text.startswith(("undid", "redid")) else text for text in told]


@pytest.fixture
def history(cli: Cli, tmp_path: Path) -> Cli:
    """A File-set of two patients, whom two people worked on."""
    cli("add", CT, "--actor", "anna")
    cli("add", MR, "--actor", "bob")
    cli("remove", "PatientID=4MR1", "--actor", "bob")
    cli("undo", "--actor", "anna")
    cli("write", tmp_path / "medium", "--actor", "anna")
    cli("set", "id=DISC", "--actor", "bob")
    cli("add", changed(CT, tmp_path / "other.dcm", Rows=1), "--actor", "bob", code=1)
    return cli


def test_the_newest_changes_are_listed_newest_last_and_it_says_if_there_are_earlier_ones(
    history: Cli,
) -> None:
    everything = history.json("log")
    assert not everything["earlier"]
    for number in (0, 1, 3, 100):
        document = history.json("log", "-n", number)
        assert (
            document["changes"] == everything["changes"][-number:]
            if number
            else not document["changes"]
        )
        assert document["earlier"] == (number < len(everything["changes"]))
    whole = history("log").out.splitlines()
    assert history("log", "--limit", 3).out.splitlines() == whole[-3:]
    history("log", "-n", -1, code=2)


def test_changes_are_chosen_by_who_made_them(history: Cli) -> None:
    assert summaries(history, "--actor", "bob") == [
        "1 instance added: 4MR1",
        "1 instance removed: 4MR1",
        "File-set ID set to 'DISC'",
        "1 conflict noted: other.dcm",
    ]
    assert len(summaries(history, "--actor", "bob", "--actor", "anna")) == 8
    assert summaries(history, "--actor", "nobody") == []


def test_changes_are_chosen_by_what_they_did(history: Cli) -> None:
    assert summaries(history, "--kind", "remove", "--kind", "undo") == [
        "1 instance removed: 4MR1",
        "undid",
    ]
    assert summaries(history, "--kind", "write-completed") == ["write completed"]
    assert len(summaries(history, "--kind", "write")) == 2
    assert summaries(history, "--kind", "reject", "--actor", "anna") == []
    error = history("log", "--kind", "undoo", code=2).err
    assert "no kind of event 'undoo'" in error
    assert "Did you mean undo?" in error


def test_changes_are_chosen_by_whose_instances_they_touched(history: Cli) -> None:
    told = summaries(history, "--patient", "4MR1")
    assert told[:3] == ["1 instance added: 4MR1", "1 instance removed: 4MR1", "undid"]
    assert [text.split()[0] for text in told[3:]] == ["write", "write"]
    assert summaries(history, "--patient", "1CT1")[-1] == "1 conflict noted: other.dcm"
    assert summaries(history, "--patient", "nobody") == []


def test_an_undo_of_several_changes_is_a_patients_if_one_of_them_was(history: Cli) -> None:
    history("undo", 2)
    assert summaries(history, "--patient", "4MR1", "-n", 1) == ["undid"]
    assert summaries(history, "--patient", "1CT1", "-n", 1) == ["1 conflict noted: other.dcm"]


def test_changes_are_chosen_by_when_they_were_recorded(history: Cli) -> None:
    changes = history.json("log")["changes"]
    times = [change["recorded_at"] for change in changes]
    assert history.json("log", "--since", times[3])["changes"] == changes[3:]
    assert history.json("log", "--until", times[3])["changes"] == changes[:4]
    assert history.json("log", "--since", times[2], "--until", times[4])["changes"] == changes[2:5]
    assert history.json("log", "--since", "2000-01-01", "--until", "2999-12-31") == history.json(
        "log"
    )
    assert history.json("log", "--until", "2000-01-01")["changes"] == []
    for wrong in ("someday", "2026-13-01", "2026-1-1", "12:30"):
        assert "is not a date or time" in history("log", "--since", wrong, code=2).err


def test_a_time_stands_for_all_of_itself_in_the_time_zone_that_it_names(history: Cli) -> None:
    from fileset.cli.selection import _span, _stamp

    def span(text: str) -> tuple[str, ...]:
        return tuple(map(_stamp, _span(text)))

    assert span("2026-11-22T14:30Z") == (
        "2026-11-22T14:30:00.000000Z",
        "2026-11-22T14:31:00.000000Z",
    )
    assert span("2026-11-22 14:30:05+01:00") == (
        "2026-11-22T13:30:05.000000Z",
        "2026-11-22T13:30:06.000000Z",
    )
    assert span("2026-11-22T14:30:05.5Z")[0] == "2026-11-22T14:30:05.500000Z"


# --- the graph -----------------------------------------------------------------------------------


def test_the_graph_shows_what_was_undone_and_marks_what_is_next(cli: Cli) -> None:
    cli("add", CT)
    cli("set", "id=A")
    cli("undo")
    lines = cli("log", "--graph").out.splitlines()
    assert [line[:4] for line in lines] == ["  · ", "  ● ", "╭─○ ", "╰─↶ "]
    assert lines[1].endswith("<- undo takes this back next")
    assert lines[2].endswith("<- undone; redo does this again next")
    cli("set", "id=B")
    lines = cli("log", "--graph").out.splitlines()
    assert lines[2].endswith("<- undone for good")
    assert lines[4].endswith("<- undo takes this back next")
    assert len(cli("log", "--graph", "-n", 2).out.splitlines()) == 2


def test_the_graph_shows_what_was_reverted(cli: Cli) -> None:
    cli("add", CT)
    cli("set", "id=A")
    cli("revert", cli.json("log")["changes"][1]["id"])
    lines = cli("log", "--graph").out.splitlines()
    assert [line[:3] for line in lines] == ["  ·", "╭─○", "│ ●", "╰─●"]
    assert lines[1].endswith("<- reverted")
    assert lines[3].endswith("<- undo takes this back next")


def test_the_graph_is_ascii_where_nothing_else_can_be_printed(cli: Cli) -> None:
    cli("set", "id=A")
    cli("undo")
    run_ = spawn(
        "--repo", cli.repository, "log", "--graph", variables={"PYTHONIOENCODING": "ascii"}
    )
    assert run_.returncode == 0
    assert [line[:3] for line in run_.stdout.splitlines()] == ["  .", "+-o", "+-<"]


def test_no_colours_go_where_no_terminal_is(cli: Cli) -> None:
    cli("set", "id=A")
    assert "\x1b" not in cli("log", "--graph", "--events").out
