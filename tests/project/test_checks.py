"""What contributors, commits and `.ci/run` run are the sessions of `noxfile.py`, which exist."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


@pytest.fixture(scope="module")
def sessions() -> set[str]:
    """The names of all sessions."""
    done = subprocess.run(
        [sys.executable, "-m", "nox", "--list"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return set(re.findall(r"^[*-] (\S+)", done.stdout, re.MULTILINE))


def test_every_check_is_run_from_nothing(sessions: set[str]) -> None:
    script = (ROOT / ".ci/run").read_text("utf-8")
    (named,) = re.findall(r"^for session in (\w.*); do$", script, re.MULTILINE)
    assert "--list --session tests" in script
    checks = {name for name in sessions if not name.startswith("tests-")} - {"bench"}
    assert set(named.split()) == checks


@pytest.mark.parametrize("name", ["CONTRIBUTING.md", ".pre-commit-config.yaml"])
def test_sessions_that_are_named_exist(name: str, sessions: set[str]) -> None:
    named = re.findall(r"nox --session ([\w.-]+)", (ROOT / name).read_text("utf-8"))
    assert named
    assert set(named) <= sessions


def test_what_contributors_are_told_to_run_is_there() -> None:
    page = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    for block in re.findall(r"^```sh\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for command in block.splitlines():
            tool, *arguments = command.split()
            assert shutil.which(BIN / tool.removeprefix(".venv/bin/")), command
            for path, _, test in (argument.partition("::") for argument in arguments):
                if path.startswith("tests/"):
                    assert (ROOT / path).exists(), command
                    assert not test or f"def {test}(" in (ROOT / path).read_text("utf-8"), command


def test_every_python_that_is_claimed_is_tested(sessions: set[str]) -> None:
    claimed = re.findall(r"Python :: (3\.\d+)", (ROOT / "pyproject.toml").read_text("utf-8"))
    assert {f"tests-{version}" for version in claimed} <= sessions
