"""Every code block in the README and in docs/ does what it says.

``python`` blocks run as doctests, those of a file in one namespace. ``console`` blocks run in a
shell, those of a file in one folder; ``...`` stands for anything. ``sh`` blocks are the set-up
commands, which ``.ci/run`` takes from the README and runs.
"""

from __future__ import annotations

import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pydicom.fileset
import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUNNABLE = {"python", "console"}
READ_ONLY = {"text", "json", "toml", "mermaid"}


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(page.read_text("utf-8")) if kind == language]


def pages_with(language: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, language)]


def name_of(page: Path) -> str:
    return os.fspath(page.relative_to(ROOT))


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_block_is_left_out_of_the_checks(page: Path) -> None:
    allowed = RUNNABLE | READ_ONLY | ({"sh"} if page.name == "README.md" else set())
    kinds = {kind for kind, _ in BLOCK.findall(page.read_text("utf-8"))}
    assert kinds <= allowed
    assert page.read_text("utf-8").count("\n```") % 2 == 0


@pytest.mark.parametrize("page", pages_with("python"), ids=name_of)
def test_the_python_of_a_page_gives_what_it_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    # A page may put our module in pydicom's place: not for the other tests.
    monkeypatch.setitem(sys.modules, "pydicom.fileset", pydicom.fileset)
    source = "\n".join(blocks(page, "python"))
    test = doctest.DocTestParser().get_doctest(source, {}, name_of(page), name_of(page), 0)
    assert test.examples
    report: list[str] = []
    flags = doctest.ELLIPSIS | doctest.REPORT_NDIFF
    doctest.DocTestRunner(optionflags=flags).run(test, out=report.append)
    assert not report, "".join(report)


def sessions(block: str) -> Iterator[tuple[str, str]]:
    """Yield each command of a console block with the output shown below it."""
    for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        while command.count('"') % 2:  # a quoted script goes on over several lines
            more, _, shown = shown.partition("\n")
            command += f"\n{more}"
        yield command, shown


def matches(shown: str, output: str) -> bool:
    """Whether `output` is what a page shows, trailing white space aside."""

    def trimmed(text: str) -> str:
        return "\n".join(line.rstrip() for line in text.strip().splitlines())

    pattern = re.escape(trimmed(shown)).replace(re.escape("..."), ".*?")
    return re.fullmatch(pattern, trimmed(output), re.DOTALL) is not None


@pytest.mark.parametrize("page", pages_with("console"), ids=name_of)
def test_the_commands_of_a_page_print_what_it_shows(page: Path, tmp_path: Path) -> None:
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": os.fspath(tmp_path),
        "COLUMNS": "100",
        "USER": "anna",
        "LOGNAME": "anna",
    }
    environment.pop("FILESET_REPO", None)
    for block in blocks(page, "console"):
        for command, shown in sessions(block):
            if command.startswith("export "):
                setting, _, rest = command.removeprefix("export ").partition("; ")
                name, _, environment_value = setting.partition("=")
                environment[name] = environment_value
                command = rest  # noqa: PLW2901 - the setting is taken off it
            run = subprocess.run(
                ["bash", "-c", command],
                cwd=tmp_path,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                timeout=120,
                check=False,
            )
            assert matches(shown, run.stdout), f"$ {command}\n{run.stdout}"
