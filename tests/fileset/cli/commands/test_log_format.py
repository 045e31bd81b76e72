"""`fileset log --json` is format 1: what audit systems were given stays as it was."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR, PROJECT, Cli, run

from ledger.events import EVENT_TYPES

PAGE = (PROJECT / "docs/reference/log-format.md").read_text("utf-8")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    repository = tmp_path / "archive"
    run("--actor", "anna", "init", repository, "--id", "DISC")
    cli = Cli(repository)
    cli("add", CT, MR, "/dev/null", "--reason", "for the clinic", "--actor", "bob", code=1)
    cli("remove", "PatientID=4MR1", "--actor", "bob")
    cli("undo", "--actor", "bob")
    cli("set", "id=B", "--actor", "bob")
    return cli


def documented(section: str) -> list[str]:
    """Return the keys that the first table of a section of the page lists."""
    _, _, text = PAGE.partition(section)
    table = text.partition("|---|---|\n")[2].partition("\n\n")[0]
    return [
        key for line in table.splitlines() for key in re.findall(r"`(\w+)`", line.split("|")[1])
    ]


def test_the_documents_have_the_keys_that_the_page_lists_in_that_order(cli: Cli) -> None:
    document = cli.json("log", "--events")
    assert list(document) == documented("# The format")
    for change in document["changes"]:
        assert list(change) == documented("## A change")
        for event in change["events"]:
            assert list(event) == documented("## An event")
    assert "events" not in cli.json("log")["changes"][0]


def shape(value: Any) -> Any:
    """Return what types of values a document has, and where."""
    if isinstance(value, dict):
        return {key: shape(held) for key, held in value.items()}
    if isinstance(value, list):
        return [shape(held) for held in value]
    return type(value)


def test_the_example_of_the_page_is_one(cli: Cli) -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    example = json.loads(block)
    cli("remove", "PatientID=4MR1", "--reason", "wrong patient")
    assert shape(cli.json("log", "--events", "-n", 1)) == shape(example)


def test_everything_but_ids_times_hosts_and_hashes_is_as_it_was_released(cli: Cli) -> None:
    document = cli.json("log")
    ids = [change["id"] for change in document["changes"]]
    for change in document["changes"]:
        assert re.fullmatch("[0-9a-f]{12}", change.pop("id"))
        assert TIME.fullmatch(change.pop("recorded_at"))
        assert change.pop("origin").startswith("fileset@")
        assert change.pop("summary")
        assert change.pop("clock_back") is None
        change["names"] = [ids.index(name) for name in change["names"]]
    assert document == {
        "format": "fileset log",
        "version": 1,
        "changes": [
            {
                "first": 1,
                "last": 1,
                "actor": "anna",
                "reason": None,
                "types": {"file-set-created": 1},
                "names": [],
                "standing": None,
                "next": None,
            },
            {
                "first": 2,
                "last": 4,
                "actor": "bob",
                "reason": "for the clinic",
                "types": {"instance-added": 2, "instance-rejected": 1},
                "names": [],
                "standing": "applied",
                "next": None,
            },
            {
                "first": 5,
                "last": 5,
                "actor": "bob",
                "reason": None,
                "types": {"instance-removed": 1},
                "names": [],
                "standing": "discarded",
                "next": None,
            },
            {
                "first": 6,
                "last": 6,
                "actor": "bob",
                "reason": None,
                "types": {"change-undone": 1},
                "names": [2],
                "standing": None,
                "next": None,
            },
            {
                "first": 7,
                "last": 7,
                "actor": "bob",
                "reason": None,
                "types": {"file-set-id-changed": 1},
                "names": [],
                "standing": "applied",
                "next": "undo",
            },
        ],
        "earlier": False,
        "warnings": [],
    }


def test_events_come_with_their_digests_and_payloads(cli: Cli) -> None:
    (event,) = cli.json("log", "--events", "-n", 1)["changes"][0]["events"]
    assert (event["position"], event["type"], event["version"]) == (7, "file-set-id-changed", 1)
    assert DIGEST.fullmatch(event["digest"])
    assert DIGEST.fullmatch(event["hash"])
    assert re.fullmatch("[0-9a-f]{16}", event["payload"].pop("nonce"))
    assert event["payload"] == {"value": "B", "previous": "DISC"}


def test_standings_are_those_of_the_page() -> None:
    _, _, text = PAGE.partition("`standing` is one of:")
    values = re.findall(r'^\| `"(\w+)"`', text.partition("## ")[0], re.MULTILINE)
    from projections.past.standing import Standing

    assert values == [standing.value for standing in Standing]


def test_every_event_type_has_a_word_to_choose_it_by() -> None:
    from fileset.cli.selection import KINDS

    assert sorted(name for names in KINDS.values() for name in names) == sorted(EVENT_TYPES)
