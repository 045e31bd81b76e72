"""What may import what, as import-linter tells; how long a module may be; where tests lie."""

from __future__ import annotations

import ast
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
PACKAGES = ("ledger", "projections", "fileset")

CIRCLE = "no import goes in a circle"
PLANTED = [
    ("fileset -> projections -> ledger", "projections/state/state.py", "fileset.errors"),
    ("fileset -> projections -> ledger", "ledger/events/event.py", "projections.errors"),
    ("ledger:", "ledger/files.py", "ledger.disk"),
    ("ledger:", "ledger/vault/index.py", "ledger.journal.protocol"),
    ("ledger:", "ledger/tags.py", "ledger.events.event"),
    ("projections:", "projections/state/undo.py", "projections.medium.plan"),
    ("projections:", "projections/kept/summary.py", "projections.past.effects"),
    ("projections are pure", "projections/state/outline.py", "os"),
    ("projections are pure", "projections/medium/layouts.py", "random"),
    ("projections are pure", "projections/state/state.py", "datetime"),
    ("projections are pure", "projections/dicomdir/decoded_directory.py", "ledger.files"),
    ("events know nothing", "ledger/events/medium.py", "orjson"),
    ("what is recorded", "ledger/phrases.py", "pydicom"),
    ("the rooms of fileset", "fileset/repository/lock.py", "fileset.timeline.moments"),
    (CIRCLE, "fileset/views/view.py", "fileset.views.instance"),
    (CIRCLE, "projections/state/state.py", "projections.state.fold"),
    (CIRCLE, "ledger/events/event.py", "ledger.events.medium"),
    ("the command line", "fileset/cli/screen/text.py", "fileset.cli.session"),
    ("no command knows another", "fileset/cli/commands/add.py", "fileset.cli.commands.remove"),
]
"""How the name of a contract begins, and an import that it forbids in a module."""


def contracts() -> list[str]:
    settings = tomllib.loads((PROJECT / "pyproject.toml").read_text("utf-8"))
    return [contract["name"] for contract in settings["tool"]["importlinter"]["contracts"]]


def linted(folder: Path, *planted: tuple[str, str]) -> str:
    """Return what import-linter says of a copy of the project with these imports in its modules."""
    for name in PACKAGES:
        shutil.copytree(PROJECT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(PROJECT / "pyproject.toml", folder)
    for module, imported in planted:
        with (folder / module).open("a") as file:
            file.write(f"import {imported}\n")
    done = subprocess.run(
        ["lint-imports", "--no-cache"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert (done.returncode == 0) == (" 0 broken" in done.stdout), done.stdout
    return done.stdout


def test_an_import_against_the_rules_of_the_house_is_found(tmp_path: Path) -> None:
    planted = [each for each in PLANTED if each[0] != CIRCLE]
    told = linted(tmp_path, *((module, imported) for _, module, imported in planted))
    for contract, module, imported in planted:
        (name,) = (name for name in contracts() if name.startswith(contract))
        importer = module.removesuffix(".py").replace("/", ".")
        _, _, section = told.partition(f"\n{name}\n---")
        of_it, _, _ = section.partition("\n---")
        assert f"{importer} -> {imported} " in of_it


@pytest.mark.parametrize(
    ("module", "imported"), [each[1:] for each in PLANTED if each[0] == CIRCLE]
)
def test_an_import_in_a_circle_is_found(module: str, imported: str, tmp_path: Path) -> None:
    (name,) = (name for name in contracts() if name.startswith(CIRCLE))
    assert f"{name} BROKEN" in linted(tmp_path, (module, imported))


def test_an_import_within_the_rules_is_none(tmp_path: Path) -> None:
    assert " 0 broken" in linted(tmp_path, ("fileset/medium/materializer.py", "time"))


def test_each_contract_is_tried() -> None:
    assert [n for n in contracts() if not any(n.startswith(start) for start, *_ in PLANTED)] == []


# --- what projections may call -------------------------------------------------------------------

IMPURE = frozenset(
    ("__import__", "breakpoint", "compile", "eval", "exec", "hash", "id", "input", "open", "print")
)


def impure_calls(source: str) -> Iterator[str]:
    """Yield the builtins called that reach outside, or whose result changes from run to run."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Call(func=ast.Name(id=name)) if name in IMPURE:
                yield f"{name} in line {node.lineno}"


@pytest.mark.parametrize(
    "path", sorted((PROJECT / "projections").rglob("*.py")), ids=lambda path: path.stem
)
def test_a_projection_calls_no_builtin_that_is_impure(path: Path) -> None:
    assert list(impure_calls(path.read_text("utf-8"))) == []


def test_an_impure_call_is_found() -> None:
    assert list(impure_calls("x = 1\nwith open('y') as f: f.read()")) == ["open in line 2"]


# --- sizes, and where tests lie ------------------------------------------------------------------

MOST_LINES = 500
REASON = "What makes this one long is"


def modules() -> list[Path]:
    return [path for name in PACKAGES for path in sorted((PROJECT / name).rglob("*.py"))]


def test_a_module_of_more_lines_than_one_reads_says_at_its_top_why() -> None:
    for path in modules():
        text = path.read_text("utf-8")
        long = len(text.splitlines()) > MOST_LINES
        assert (REASON in (ast.get_docstring(ast.parse(text)) or "")) == long, path


def test_tests_lie_in_the_folders_of_what_they_test() -> None:
    for name in PACKAGES:
        for path in (PROJECT / "tests" / name).rglob("test_*.py"):
            assert (PROJECT / path.parent.relative_to(PROJECT / "tests")).is_dir(), path


def test_each_command_has_its_tests_in_the_file_of_its_name() -> None:
    tests = PROJECT / "tests" / "fileset" / "cli" / "commands"
    for path in (PROJECT / "fileset" / "cli" / "commands").glob("[!_]*.py"):
        assert (tests / f"test_{path.name}").is_file(), path
