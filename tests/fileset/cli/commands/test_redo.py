"""redo: what was taken back can be done again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli


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
    "add with rejections": lambda cli: cli("add", MR, "/dev/null", code=1),
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
