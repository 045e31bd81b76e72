"""set: what is set is one change, or none where it makes no sense."""

from __future__ import annotations

import pytest
from cli_runs import Cli


def test_all_that_is_set_is_one_change(cli: Cli) -> None:
    cli("set", "id=DISC_7", "uid=1.2.3", "descriptor=DOCS/README", "charset=ISO_IR 100")
    state = cli.json("status")
    assert state["id"] == "DISC_7"
    assert state["uid"] == "1.2.3"
    assert state["descriptor_file_id"] == "DOCS/README"
    assert state["descriptor_character_set"] == "ISO_IR 100"
    assert state["undo"] == 1
    cli("undo")
    assert cli.json("status")["id"] is None


def test_an_empty_value_clears(cli: Cli) -> None:
    cli("set", "id=DISC_7", "descriptor=README")
    result = cli("set", "id=", "descriptor=")
    assert "File-set ID: 'DISC_7' -> (no value)" in result.out
    state = cli.json("status")
    assert (state["id"], state["descriptor_file_id"]) == (None, None)


def test_setting_what_is_so_changes_nothing(cli: Cli) -> None:
    cli("set", "id=DISC_7")
    result = cli("set", "id=DISC_7")
    assert "That is so already." in result.out
    assert cli.json("status")["undo"] == 1


@pytest.mark.parametrize(
    ("setting", "told"),
    [
        ("id=" + "X" * 17, "at most 16 characters"),
        ("id=caf\u00e9", "ASCII"),
        ("uid=", "always has a UID"),
        ("uid=1..2", "not a valid UID"),
        ("descriptor=" + "X" * 17, "at most 8 components"),
        ("charset=ISO_IR 1000", "ISO_IR 100"),
        ("name=X", "is not one of id=..."),
        ("id", "is not one of id=..."),
    ],
)
def test_a_value_that_cannot_be_set_changes_nothing(cli: Cli, setting: str, told: str) -> None:
    assert told in cli("set", "descriptor=FINE", setting, code=2).err
    assert cli.json("status")["undo"] == 0


def test_a_warning_about_a_descriptor_shows_what_was_typed(cli: Cli) -> None:
    told = cli("set", "descriptor=docs/readme").err
    assert "'docs/readme' is not a File ID" in told
    assert "\\" not in told
