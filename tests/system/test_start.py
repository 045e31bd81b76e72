"""What is imported by a command, and by a program that imports this instead of pydicom.fileset.

Each start is made in a process of its own, which says what it has imported; `benchmarks/` has the
times.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import Cli, run
from pydicom.data import get_testdata_file

PROJECT = Path(__file__).parents[2]
CT = get_testdata_file("CT_small.dcm")

SLOW = {"attr", "cattrs", "orjson", "sqlite3", "filelock", "pydicom", "rich", "watchdog"}
"""What takes long to import."""


def imported_by(script: str) -> set[str]:
    """Return the names of the modules that a new process has imported after `script`."""
    report = "import sys as _sys, json as _json; print(_json.dumps(sorted(_sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", f"{script}\n{report}"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "PYTHONPATH": os.fspath(PROJECT)},
    )
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def by_command(*arguments: str | Path) -> set[str]:
    """Return the names of the modules that a command has imported in the end."""
    return imported_by(
        "from fileset.cli import main\n"
        f"main.main({list(map(os.fspath, arguments))!r}, standalone_mode=False)"
    )


def ours(modules: set[str]) -> set[str]:
    """Return those of `modules` that are ours."""
    return {name for name in modules if name.split(".")[0] in {"fileset", "ledger", "projections"}}


@pytest.fixture
def cli(tmp_path: Path) -> Cli:
    """Return the command, on a repository with an instance."""
    run("init", tmp_path / "r")
    cli = Cli(tmp_path / "r")
    cli("add", CT)
    cli("status")
    return cli


def test_the_version_and_the_help_need_only_what_reads_the_command_line() -> None:
    for option in ("--version", "--help"):
        modules = by_command(option)
        assert not SLOW & modules
        assert not {name for name in modules if name.startswith("fileset.cli.commands")}
        assert len(ours(modules)) <= 20


def test_status_of_what_nobody_has_changed_needs_no_state_no_vault_and_no_pydicom(cli: Cli) -> None:
    modules = by_command("--repo", cli.repository, "status")

    assert not {"pydicom", "rich", "watchdog", "cattrs", "filelock"} & modules
    assert "projections.state.fold" not in modules
    assert "projections.kept.snapshot" not in modules
    assert "ledger.vault.vault" not in modules
    assert len(ours(modules)) <= 80


@pytest.mark.parametrize(
    "arguments", [("find", "PatientID=1CT1"), ("set", "id=A"), ("undo",), ("remove", "Modality=CT")]
)
def test_no_command_loads_what_another_one_is_for(cli: Cli, arguments: tuple[str, ...]) -> None:
    modules = by_command("--repo", cli.repository, *arguments)

    assert not {"rich", "watchdog"} & modules
    for package in ("adoption", "checking", "erasure", "recovery", "watching", "quarantine"):
        assert f"fileset.{package}" not in modules
    assert "fileset.medium.write" not in modules


def test_importing_the_class_imports_neither_pydicom_nor_what_works_on_files() -> None:
    modules = imported_by("from fileset import FileSet")

    assert not SLOW & modules
    assert len(ours(modules)) <= 5


def test_opening_a_file_set_imports_nothing_that_writes_checks_or_erases(cli: Cli) -> None:
    modules = imported_by(
        "from fileset import FileSet\n"
        f"with FileSet.open({os.fspath(cli.repository)!r}) as fs:\n"
        "    assert fs.find(PatientID='1CT1')"
    )

    for package in ("adoption", "checking", "erasure", "recovery", "timeline", "cli", "medium"):
        assert f"fileset.{package}" not in modules


def test_on_windows_importing_says_that_it_is_not_supported_and_what_to_use() -> None:
    code = "import sys; sys.platform = 'win32'; import fileset"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1].startswith(
        "ImportError: fileset-ledger does not run on Windows"
    )
