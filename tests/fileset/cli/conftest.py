"""Repositories that the tests of the commands begin with."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, copy_of_example, run


@pytest.fixture(scope="session")
def adopted(tmp_path_factory: pytest.TempPathFactory) -> Cli:
    """A repository of the example File-set; nothing changes it."""
    folder = tmp_path_factory.mktemp("adopted")
    run("init", folder / "r", "--from", copy_of_example(folder / "cd"))
    return Cli(folder / "r")


@pytest.fixture
def edited(tmp_path: Path) -> Cli:
    """Six events: created, two instances added and a file rejected, one removed and restored."""
    run("init", tmp_path / "archive", "--id", "DISC")
    cli = Cli(tmp_path / "archive")
    (tmp_path / "broken.dcm").write_text("no instance")
    cli("add", CT, MR, tmp_path / "broken.dcm", "--reason", "caf\u00e9 \u2028", code=1)
    cli("remove", "PatientID=4MR1")
    cli("undo")
    return cli


@pytest.fixture
def exported(edited: Cli, tmp_path: Path) -> Path:
    """The journal of that repository."""
    edited("export-journal", tmp_path / "journal.jsonl")
    return tmp_path / "journal.jsonl"
