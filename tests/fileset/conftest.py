"""What several rooms' tests begin with: repositories, and a folder to be watched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, run
from watched import House, house

from fileset import FileSet


@pytest.fixture
def fs(tmp_path: Path) -> Iterator[FileSet]:
    """An empty File-set with a repository."""
    with FileSet(repository=tmp_path / "repository") as made:
        yield made


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """An empty repository."""
    run("init", tmp_path / "archive")
    return Cli(tmp_path / "archive")


@pytest.fixture
def filled(cli: Cli) -> Cli:
    """Two patients, who are staged."""
    cli("add", CT, MR)
    return cli


@pytest.fixture
def written(cli: Cli, tmp_path: Path) -> Cli:
    """Seven events: created, two instances added, the ID set, written, its ID set again."""
    cli("add", CT, MR, "--reason", "first")
    cli("set", "id=ONE", "descriptor=README")
    cli("write", tmp_path / "medium")
    (tmp_path / "medium" / "README").write_text("what this is")
    return cli


@pytest.fixture
def home(tmp_path: Path) -> House:
    """An empty File-set and a folder to be watched, beside each other."""
    return house(tmp_path)
