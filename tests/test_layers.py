"""What may import what: import-linter holds it, and would tell."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("module", "imported", "kept"),
    [
        ("projections/materializer.py", "time", True),
        ("projections/outline.py", "os", False),
        ("projections/layouts.py", "random", False),
        ("projections/state.py", "datetime", False),
        ("projections/state.py", "fileset.errors", False),
        ("ledger/events.py", "projections.errors", False),
    ],
)
def test_an_import_against_the_rules_of_the_house_is_found(
    module: str, imported: str, kept: bool, tmp_path: Path
) -> None:
    for name in ("ledger", "projections", "fileset"):
        shutil.copytree(
            PROJECT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(PROJECT / "pyproject.toml", tmp_path)
    with (tmp_path / module).open("a") as file:
        file.write(f"import {imported}\n")

    done = subprocess.run(
        ["lint-imports", "--no-cache"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert ("0 broken" in done.stdout) == kept, done.stdout
    assert (done.returncode == 0) == kept
