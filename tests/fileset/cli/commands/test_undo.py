"""undo: what was done can be taken back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from cli_runs import CT, MR, Cli, copy_of_example, leaves
from pydicom import dcmread

from fileset import FileSet
from fileset.repository.repository import Repository


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
    assert "only 1 change to undo" in cli("undo", 2, code=3).err
    assert "only 1 change to undo" in cli("undo", 2, "--dry-run", code=3).err
    assert "nothing to redo" in cli("redo", code=3).err
    cli("add", MR)
    assert "There are only 2 changes to undo." in cli("undo", 3, code=3).err
    cli("undo", 2)
    cli("add", MR)
    assert "nothing to redo" in cli("redo", code=3).err
    for number in ("0", "-1", "many"):
        cli("undo", "--", number, code=2)


def test_the_tree_keeps_its_order_through_undo(cli: Cli) -> None:
    cli("add", CT)
    cli("add", MR)
    before = leaves(cli.json("tree")["records"])
    cli("remove", "PatientID=1CT1")
    cli("undo")
    assert leaves(cli.json("tree")["records"]) == before


def test_a_dry_run_shows_each_instance_and_value(cli: Cli) -> None:
    cli("add", CT)
    cli("set", "id=DISC")
    cli("add", MR)
    added, setting = (entry["id"] for entry in cli.json("log")["changes"][2:])
    out = cli("undo", 2, "--dry-run").out.splitlines()
    assert out[0] == f"Would undo {setting}: 1 instance added: 4MR1"
    assert out[1] == f"Would undo {added}: File-set ID set to 'DISC'"
    assert out[2].startswith("  - (not on the medium)")
    assert "MR Image Storage" in out[2]
    assert out[3:] == [
        "  File-set ID: 'DISC' -> (no value)",
        "Staged then: DICOMDIR creation, 1 addition",
    ]
    document = cli.json("undo", 2, "--dry-run")
    assert document["identity"] == {"id": {"from": "DISC", "to": None}}
    assert [i["sop_class"] for i in document["removed"]] == ["MR Image Storage"]
    assert document["added"] == []
    assert cli("undo", 3, "--dry-run").out.endswith("Staged then: DICOMDIR creation\n")
    cli("undo", 2)
    assert "  + (not on the medium)" in cli("redo", 2, "--dry-run").out


def test_a_dry_run_lists_many_instances_only_when_asked(cli: Cli, tmp_path: Path) -> None:
    copy_of_example(tmp_path / "cd")
    cli("add", tmp_path / "cd", "--recursive")
    lines = cli("undo", "--dry-run").out.splitlines()
    assert lines[21] == "  ... and 11 more: --all lists them"
    assert len(lines) == 23
    assert len(cli("undo", "--dry-run", "--all").out.splitlines()) == 33
    assert cli.status() == "DICOMDIR creation, 31 additions"


def test_what_arrived_by_itself_is_not_taken_back_unseen(cli: Cli) -> None:
    cli("add", CT)
    with closing(Repository.open(cli.repository, origin="watch:ward")) as watcher:
        fs = FileSet(repository=watcher)
        fs.add(MR)
    before = cli.status()
    told = cli("undo", code=3).err
    assert "arrived by itself (watch:ward)" in told
    assert "1 instance added: 4MR1" in told
    assert cli.status() == before
    assert "watch:ward" in cli("undo", "--dry-run", code=3).err

    me = cli.json("log")["changes"][-1]["actor"]
    undone = cli.json("undo", "--by", me)["undone"]
    assert undone[0]["summary"] == "1 instance added: 1CT1"
    assert cli.uids() == {dcmread(MR).SOPInstanceUID}
    assert cli.json("undo", "--by", "watch:ward")["undone"][0]["summary"].endswith("4MR1")
    assert cli.uids() == set()


def test_only_somebodys_newest_changes_are_taken_back(cli: Cli) -> None:
    for number, actor in enumerate(("anna", "bob", "anna")):
        cli("set", f"id=ID{number}", "--actor", actor)
    cli("set", "descriptor=README", "--actor", "bob")
    assert "Others have changed" in cli("undo", 2, "--by", "anna", code=3).err
    assert "set to 'ID2'" in cli("undo", "--by", "anna").out  # a revert: bob's is newer
    assert cli.json("status")["id"] == "ID1"
    assert cli.json("status")["descriptor_file_id"] == "README"
    assert "Descriptor" in cli("undo", "--by", "bob").out
    assert "set to 'ID1'" in cli("undo", "--by", "bob").out  # the newest one is reverted already
    assert cli.json("status")["id"] == "ID0"
    assert "carl made no change that can be undone" in cli("undo", "--by", "carl", code=3).err


def test_whose_change_it_was_is_told_where_that_is_somebody_else(cli: Cli) -> None:
    cli("--actor", "ann", "set", "id=DISC")
    (*_, change) = cli.json("log")["changes"]
    foreseen = cli("--actor", "bob", "undo", "--dry-run").out
    told = cli("--actor", "bob", "undo").out
    for each in (foreseen, told):
        assert f"{change['id']}: File-set ID set to 'DISC', made by ann\n" in each
        assert "undo --by NAME` takes back what NAME changed last" in each
    cli("--actor", "ann", "redo")
    assert "made by" not in cli("--actor", "ann", "undo").out
    cli("--actor", "ann", "set", "id=DISC2")
    assert "NAME" not in cli("--actor", "bob", "undo", "--by", "ann").out
