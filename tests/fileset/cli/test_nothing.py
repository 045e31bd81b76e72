"""Where nothing matches: every form of an answer agrees on why."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, indexed_disc, run

COMMANDS = [
    ("find",),
    ("find", "--level", "series"),
    ("tree",),
    ("values", "PatientID"),
    ("remove",),
    ("correct", "--to", "PatientSex=F"),
    ("move", "--to", "PatientID=77654033"),
    ("media", "make", "disc"),
]


def asked(command: tuple[str, ...], *query: str) -> list[str]:
    """Return the command with a query, which is before `--to`."""
    at = command.index("--to") if "--to" in command else len(command)
    return [*command[:at], *query, *command[at:]]


@pytest.mark.parametrize("command", [*COMMANDS, ("blame",)])
def test_what_can_be_no_value_is_a_usage_error_in_every_form(
    adopted: Cli, command: tuple[str, ...]
) -> None:
    words = asked(command, "StudyDate=2026-02-30")
    why = "StudyDate: there is no date 2026-02-30."
    assert why in adopted(*words, code=2).err
    assert adopted.json(*words, code=2)["error"]["message"] == why


@pytest.mark.parametrize("command", COMMANDS)
def test_a_value_that_is_near_is_in_the_document_as_well(
    adopted: Cli, command: tuple[str, ...]
) -> None:
    words = asked(command, "PatientID=7765403")
    code = 0 if command[0] in {"find", "tree", "values"} else 1
    told = "No instance matches. Did you mean PatientID=77654033: 7 instances?"
    assert told in adopted(*words, code=code).err
    assert told in adopted.json(*words, code=code)["warnings"]


def test_that_nothing_matches_is_no_warning(adopted: Cli) -> None:
    for command in ("find", "tree", "blame"):
        assert adopted.json(command, "PatientID=nobody")["warnings"] == []


def test_instances_without_an_element_are_instances_that_match(adopted: Cli) -> None:
    assert "No instance" not in adopted("values", "BodyPartExamined", "PatientID=77654033").err


def test_a_file_that_cannot_be_read_is_listed_once_where_nothing_matches(tmp_path: Path) -> None:
    disc = indexed_disc(tmp_path / "cd", A=CT, B=MR)
    run("init", tmp_path / "r", "--from", disc)
    (disc / "A").unlink()
    found = Cli(tmp_path / "r").json("find", "--load", "Manufacturer=TOSHIBA", code=1)
    assert len(found["unreadable"]) == 1
