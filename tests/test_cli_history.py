"""undo, redo, log, show and diff: what was done can be told, taken back and done again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, changed, copy_of_example, leaves, run


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    repository = tmp_path / "archive"
    run("init", repository)
    return Cli(repository)


def kept(cli: Cli) -> dict[str, object]:
    """Return what undo has to bring back: the File-set less its journal's position."""
    state = cli.json("status")
    ours = ("id", "uid", "descriptor_file_id", "descriptor_character_set", "instances", "staged")
    return {**{key: state[key] for key in ours}, "tree": cli.json("tree")["records"]}


CHANGES: dict[str, Callable[[Cli], object]] = {
    "add": lambda cli: cli("add", MR),
    "remove": lambda cli: cli("remove", "PatientID=1CT1"),
    "set id": lambda cli: cli("set", "id=NEW"),
    "clear id": lambda cli: cli("set", "id="),
    "set uid": lambda cli: cli("set", "uid=1.2.3"),
    "set descriptor": lambda cli: cli("set", "descriptor=README"),
    "set charset": lambda cli: cli("set", "charset=ISO_IR 192"),
    "set all": lambda cli: cli("set", "id=N", "uid=1.2.3", "descriptor=R", "charset=ISO_IR 192"),
    "add with rejections": lambda cli: cli("add", MR, "/missing", code=1),
}


@pytest.mark.parametrize("written", [False, True], ids=["new", "written"])
@pytest.mark.parametrize("kind", CHANGES)
def test_every_kind_of_change_is_undone_and_redone_by_later_runs(
    cli: Cli, tmp_path: Path, kind: str, written: bool
) -> None:
    cli("set", "id=OLD")
    cli("add", CT)
    if written:
        cli("write", tmp_path / "medium")
    before = kept(cli)
    CHANGES[kind](cli)
    after = kept(cli)
    assert after != before
    cli("undo")
    assert kept(cli) == before
    cli("redo")
    assert kept(cli) == after
    assert "all is well" in cli("verify").out


def test_a_restored_instance_is_undone_and_redone(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT, MR)
    cli("write", tmp_path / "medium")
    cli("remove", "PatientID=1CT1")
    before = kept(cli)
    cli("add", CT)
    assert cli.status() == ""
    cli("undo")
    assert kept(cli) == before
    cli("redo")
    assert cli.status() == ""


def test_what_was_written_is_undone_by_staging_its_inverse(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    cli("write", tmp_path / "medium")
    assert "1 removal" in cli("undo").out
    cli("write")
    assert not list((tmp_path / "medium").rglob("IM*"))
    cli("redo")
    cli("write")
    (file,) = (tmp_path / "medium").rglob("IM*")
    assert file.read_bytes() == CT.read_bytes()


def test_undo_tells_which_changes_and_what_is_staged_then(cli: Cli) -> None:
    cli("add", CT, "--reason", "for the clinic")
    cli("set", "id=DISC")
    add, change = (entry["id"] for entry in cli.json("log")["changes"][1:])
    assert cli("undo", 2).out.splitlines() == [
        f"Undone {change}: File-set ID set to 'DISC'",
        f"Undone {add}: 1 instance added: 1CT1 (for the clinic)",
        "Staged for write: DICOMDIR creation",
    ]
    document = cli.json("redo", 2)
    assert [entry["id"] for entry in document["redone"]] == [add, change]
    assert document["change"] == cli.json("log")["changes"][-1]["id"]


def test_a_dry_run_tells_the_same_and_does_nothing(cli: Cli) -> None:
    cli("add", CT)
    cli("set", "id=DISC")
    before = cli.json("status")
    dry = cli.json("undo", 2, "--dry-run")
    assert (dry["dry_run"], dry["change"]) == (True, None)
    assert cli.json("status") == before
    real = cli.json("undo", 2)
    assert {**dry, "dry_run": False, "change": real["change"]} == real
    dry = cli.json("redo", "--dry-run")
    real = cli.json("redo")
    assert dry["staged"] == real["staged"]
    assert dry["redone"] == real["redone"]


def test_what_cannot_be_undone_is_refused(cli: Cli) -> None:
    assert "nothing to undo" in cli("undo", code=3).err
    cli("add", CT)
    assert "only 1 to undo" in cli("undo", 2, code=3).err
    assert "only 1 to undo" in cli("undo", 2, "--dry-run", code=3).err
    assert "nothing to redo" in cli("redo", code=3).err
    cli("undo")
    cli("add", MR)
    assert "nothing to redo" in cli("redo", code=3).err
    for number in ("0", "-1", "many"):
        cli("undo", "--", number, code=2)


# --- log -----------------------------------------------------------------------------------------


def test_the_log_tells_each_change_in_words(cli: Cli, tmp_path: Path) -> None:
    medium = tmp_path / "medium"
    cli("add", CT, MR, "/missing", code=1)
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
        "2 instances added: 1CT1, 4MR1; 1 file rejected",
        "1 conflict noted",
        "1 instance removed: 4MR1",
        f"undid {removal}: 1 instance removed: 4MR1",
        f"redid {removal}: 1 instance removed: 4MR1",
        "File-set ID set to 'DISC'; Descriptor file ID set to 'DOCS/README'",
        "File-set ID cleared",
        f"write to {medium} started: 1 file to place, 0 to remove",
        "write completed",
        f"position 4 exported to {tmp_path / 'copy'}",
    ]
    lines = cli("log").out.splitlines()
    assert len(lines) == len(changes)
    for line, entry in zip(lines, changes, strict=True):
        id_, position, time, actor = line.split(maxsplit=4)[:4]
        assert (id_, int(position), actor) == (entry["id"], entry["last"], entry["actor"])
        assert time == entry["recorded_at"][:19] + "Z"
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


# --- show ----------------------------------------------------------------------------------------


def test_a_change_is_shown_by_the_beginning_of_its_id(cli: Cli) -> None:
    cli("add", CT, "/missing", "--reason", "for the clinic", code=1)
    id_ = cli.json("log")["changes"][1]["id"]
    out = cli("show", id_[:6]).out
    assert out.startswith(f"Change {id_}: 1 instance added: 1CT1; 1 file rejected\n")
    for told in ("Reason: for the clinic", "Positions: 2 to 3", "Origin: fileset@"):
        assert told in out
    assert "file rejected: /missing: can't be read" in out
    document = cli.json("show", id_)
    added, rejected = document["events"]
    assert added["payload"]["source"] == str(CT)
    assert added["hash"].startswith("sha256:")
    assert rejected["payload"]["reason"] == "can't be read: No such file or directory"


def test_an_id_that_names_no_change_or_several_is_a_usage_error(cli: Cli) -> None:
    assert "No change has an id" in cli("show", "nothing", code=2).err
    for n in range(20):
        cli("set", f"id=N{n}")
    first = [entry["id"][0] for entry in cli.json("log")["changes"]]
    common = max(first, key=first.count)
    assert "changes have ids that begin with" in cli("show", common, code=2).err


# --- diff ----------------------------------------------------------------------------------------


def test_two_positions_are_compared(cli: Cli) -> None:
    cli("add", CT)
    cli("add", MR)
    cli("remove", "PatientID=1CT1")
    cli("set", "id=DISC")
    document = cli.json("diff", 2)
    assert (document["from"], document["to"]) == (2, 5)
    assert [i["sop_class"] for i in document["added"]] == ["MR Image Storage"]
    assert [i["sop_class"] for i in document["removed"]] == ["CT Image Storage"]
    assert document["identity"] == {"id": {"from": None, "to": "DISC"}}
    out = cli("diff", 2).out
    assert "1 instance added, 1 removed" in out
    assert "- IMAGE" in out
    assert "+ IMAGE" in out
    back = cli.json("diff", 5, 2)
    assert (back["added"], back["removed"]) != (document["added"], document["removed"])
    assert "the same instances" in cli("diff", 4, 5).out


def test_another_content_of_one_instance_is_a_difference(cli: Cli, tmp_path: Path) -> None:
    cli("add", CT)
    cli("remove", "PatientID=1CT1")
    cli("add", changed(CT, tmp_path / "other.dcm", PatientName="X"))
    document = cli.json("diff", 2)
    (added,), (removed,) = document["added"], document["removed"]
    assert added["sop_instance_uid"] == removed["sop_instance_uid"]
    assert added["digest"] != removed["digest"]


def test_a_position_that_there_is_not_is_a_usage_error(cli: Cli) -> None:
    assert "positions 1 to 1, not 9" in cli("diff", 9, code=2).err
    cli("diff", 0, code=2)


def test_the_tree_keeps_its_order_through_undo(cli: Cli) -> None:
    cli("add", CT)
    cli("add", MR)
    before = leaves(cli.json("tree")["records"])
    cli("remove", "PatientID=1CT1")
    cli("undo")
    assert leaves(cli.json("tree")["records"]) == before
