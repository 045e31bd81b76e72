"""The examples of the commands: each has some, and they work one after the other.

They run in the folder that `fileset demo` makes, as readers have it.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest
from cli_runs import every_command, run
from click.testing import CliRunner

from fileset.cli import main
from fileset.cli.examples import EXAMPLES

ELSEWHERE = {
    "fileset audit send --to audit.example.org": "there is no such receiver",
    "fileset media burn disc.iso --device /dev/sr0": "there is no drive",
    "fileset media label 1 label.pdf": "it needs an extra",
    "fileset watch incoming --after delete": "it goes on until it is stopped",
    "fileset view": "it needs a terminal, and an extra",
    "fileset picture Modality=CT sheet.png": "it needs an extra",
    "fileset demo try-it": "that was done",
}
"""Examples of which only the command line can be looked at, and why."""


def test_every_command_has_an_example_that_begins_with_its_words() -> None:
    assert {*EXAMPLES} == {*every_command()}, "fileset/cli/examples.py"
    for words, examples in EXAMPLES.items():
        assert examples
        for line, what in examples.items():
            assert line.startswith(f"fileset {words}")
            assert what.endswith(".")
    assert {*ELSEWHERE} <= {line for each in EXAMPLES.values() for line in each}


def test_the_help_of_a_command_ends_with_its_examples() -> None:
    told = run("media", "list", "--help").out
    assert told.rstrip().endswith("fileset media list\n    Which media were made.")


def test_the_examples_work_one_after_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fileset.cli.commands.demo.independent_checks", lambda _: [])
    run("demo", tmp_path / "demo")
    monkeypatch.chdir(tmp_path / "demo")
    monkeypatch.setenv("FILESET_REPO", "archive")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    run("set", "id=OF_ANNA", "--actor", "anna")
    known, wrong = every_command(), []
    for name, line in ((name, line) for name, lines in EXAMPLES.items() for line in lines):
        words = shlex.split(line)[1:]
        if line in ELSEWHERE:  # it can be read at least
            arguments = words[len(name.split()) :]
            assert not wrong, "\n".join(wrong)
            known[name].make_context(name, arguments, click.Context(main, info_name="fileset"))
            continue
        result = CliRunner().invoke(main, words)
        if result.exit_code not in {0, 1} or "Traceback" in result.output:
            wrong.append(f"{line}: {result.exit_code}\n{result.output}")
    assert not wrong, "\n".join(wrong)
