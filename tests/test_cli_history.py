"""undo and redo: what was done can be taken back and done again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, leaves, run


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


def test_the_tree_keeps_its_order_through_undo(cli: Cli) -> None:
    cli("add", CT)
    cli("add", MR)
    before = leaves(cli.json("tree")["records"])
    cli("remove", "PatientID=1CT1")
    cli("undo")
    assert leaves(cli.json("tree")["records"]) == before
