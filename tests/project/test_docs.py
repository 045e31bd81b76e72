"""Every code block in the README and in docs/ does what it says.

`python` blocks run as doctests, those of a file in one namespace. `console` blocks run one by one,
those of a file in one folder; `...` stands for anything. `sh` blocks are the set-up
commands, which `.ci/run` takes from the README and runs, and what contributors run
(`test_checks.py`).
"""

from __future__ import annotations

import doctest
import os
import pkgutil
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pydicom.fileset
import pytest
from click.testing import CliRunner

from fileset.cli import main
from ledger.events import EVENT_TYPES

ROOT = Path(__file__).parents[2]
OUTSIDE = ("README.md", "CONTRIBUTING.md", "SECURITY.md")
PAGES = [*(ROOT / name for name in OUTSIDE), *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```(\w+)[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RUNNABLE = {"python", "console"}
READ_ONLY = {"text", "json", "toml", "mermaid"}


def name_of(page: Path) -> str:
    return os.fspath(page.relative_to(ROOT))


def test_docstrings_are_markdown_as_the_api_reference_reads_them() -> None:
    markup = re.compile(r"(?<!`)``[^`\n]+``(?!`)|:[a-z]+:`|::\n\n")
    for package in ("ledger", "projections", "fileset", "benchmarks"):
        for module in (ROOT / package).rglob("*.py"):
            found = markup.search(module.read_text("utf-8"))
            assert not found, f"{module}: {found and found[0]!r}: use `name`"


def test_the_architecture_has_every_module_with_its_docstring_and_the_diagrams_are_as_drawn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs/tools")
    tree, diagrams = import_module("tree"), import_module("diagrams")
    page = tree.PAGE.read_text("utf-8")
    assert page == tree.renewed(page), "a module is new, gone or renamed: python docs/tools/tree.py"
    for name, draw in diagrams.DIAGRAMS.items():
        assert (diagrams.IMAGES / name).read_text("utf-8") == str(draw())


def test_the_picture_of_a_terminal_is_what_its_commands_print(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs/tools")
    drawing = import_module("picture_of_terminal")

    def text(picture: str) -> list[str]:
        """Return its pieces of text; ids, digests and figures differ from run to run."""
        pieces = re.findall(r"<text[^>]*>(.*?)</text>", picture)
        return [re.sub(r"[0-9a-f]{8,}|[0-9]+", "#", piece) for piece in pieces]

    shown = text(drawing.IMAGE.read_text("utf-8"))
    assert shown == text(drawing.terminal()), (
        "python docs/tools/picture_of_terminal.py draws it anew"
    )


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_files_that_a_page_names_exist(page: Path) -> None:
    named = re.findall(
        r"`((?:tests|fileset|projections|ledger|docs)/[\w/.-]+)`", page.read_text("utf-8")
    )
    assert [path for path in named if not (ROOT / path).exists()] == []


def documented() -> set[str]:
    """Return the paths of all that the API reference shows, and of the members of its modules."""
    shown = set()
    for page in (ROOT / "docs/reference/python").glob("*.md"):
        for path in re.findall(r"^::: (\S+)$", page.read_text("utf-8"), re.MULTILINE):
            thing = pkgutil.resolve_name(path)
            names = vars(thing) if isinstance(thing, ModuleType) else ()
            shown |= {path, *(f"{path}.{name}" for name in names)}
    return shown


def test_everything_public_is_in_the_api_reference() -> None:
    shown = documented()
    for name in ("fileset", "fileset.conformance", "fileset.erasure", "fileset.watching"):
        module = import_module(name)
        for each in module.__all__:
            home = getattr(getattr(module, each), "__module__", name)
            assert not {f"{name}.{each}", f"{home}.{each}"}.isdisjoint(shown), each
    assert {"fileset.errors", "ledger.errors"} <= shown


def test_every_event_type_is_in_the_catalogue() -> None:
    text = (ROOT / "docs/explanation/events.md").read_text("utf-8")
    listed = re.findall(r"`([\w-]+)`", "".join(re.findall(r"^\|([^|]*)\|", text, re.MULTILINE)))
    assert sorted(listed) == sorted(EVENT_TYPES)


def blocks(page: Path, language: str) -> list[str]:
    return [body for kind, body in BLOCK.findall(page.read_text("utf-8")) if kind == language]


def pages_with(language: str) -> list[Path]:
    return [page for page in PAGES if blocks(page, language)]


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_block_is_left_out_of_the_checks(page: Path) -> None:
    allowed = RUNNABLE | READ_ONLY | ({"sh"} if page.name in OUTSIDE else set())
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
    doctest.DocTestRunner(verbose=False, optionflags=flags).run(test, out=report.append)
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
def test_the_commands_of_a_page_print_what_it_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = "".join(blocks(page, "console"))
    if "media burn" in commands and shutil.which("xorriso") is None:
        pytest.skip("xorriso is not installed")
    if "media label" in commands:
        pytest.importorskip("fpdf", reason="needs the extra [media]")
    if "fileset picture" in commands:
        pytest.importorskip("numpy", reason="needs the extra [pictures]: nox --session pictures")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FILESET_REPO", raising=False)
    monkeypatch.setenv("PATH", os.fspath(Path(sys.executable).parent), prepend=os.pathsep)
    home = os.fspath(tmp_path)
    settings = {"HOME": home, "XDG_CONFIG_HOME": f"{home}/.config", "COLUMNS": "100"}
    settings |= {"USER": "anna", "LOGNAME": "anna"}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    for block in blocks(page, "console"):
        for command, shown in sessions(block):
            if command.startswith("export "):
                setting, _, rest = command.removeprefix("export ").partition("; ")
                name, _, value = setting.partition("=")
                monkeypatch.setenv(name, value.replace("$PWD", os.fspath(tmp_path)))
                command = rest  # noqa: PLW2901 - the setting is taken off it
            output = printed(command)
            assert matches(shown, output), f"$ {command}\n{output}"


def printed(command: str) -> str:
    """Return what a command prints: our own in this process, unless it needs a shell."""
    if command.startswith("fileset ") and not re.search(r"[|&;$<>*`]", command):
        return CliRunner().invoke(main, shlex.split(command)[1:]).output
    run = subprocess.run(
        ["bash", "-c", command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
        check=False,
    )
    return run.stdout
