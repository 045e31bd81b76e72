"""Advice in messages: the commands and options that are named are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from cli_runs import CT, PROJECT, Cli, changed, every_command, run

from fileset.cli import main
from fileset.cli.session import WITHOUT_REPOSITORY

_COMMAND = re.compile(r"`fileset ([^`]*)`")
_OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
_OTHERS = {"--help", "--version"}
COMMANDS = every_command()
MODULES = [
    path
    for package in ("fileset", "projections", "ledger")
    for path in sorted((PROJECT / package).rglob("*.py"))
    if path.name not in {"demo.py", "reference.py"}
]


@cache
def options(command: str) -> frozenset[str]:
    params = [*COMMANDS[command].params, *main.params]
    return frozenset(each for param in params for each in (*param.opts, *param.secondary_opts))


def texts(path: Path) -> Iterator[str]:
    """Yield the texts of a module that may be said to somebody: all but its docstrings."""
    tree = ast.parse(path.read_text())
    said = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    within: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            within |= {id(each) for each in ast.walk(node)} - {id(node)}
            parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
            yield "".join(map(str, parts))
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and id(node) not in said | within:
            yield node.value


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PROJECT)))
def test_every_command_and_option_that_a_message_names_is_there(path: Path) -> None:
    stem = path.stem.replace("_", "-") if path.parent.name == "commands" else ""
    of_module = next((name for name in COMMANDS if name.replace(" ", "-") == stem), None)
    every = {option for command in COMMANDS for option in options(command)} | _OTHERS
    for text in texts(path):
        for found in _COMMAND.findall(text):
            name, *words = found.split()
            if name.startswith("--"):
                name = next(word for word in words if word in COMMANDS)
            if name == "{}":
                continue
            if name not in COMMANDS:
                name = f"{name} {words[0]}"
            assert name in COMMANDS, text
            assert set(_OPTION.findall(found)) <= options(name) | _OTHERS, text
        bare = set(_OPTION.findall(_COMMAND.sub("", text)))
        known = options(of_module) | _OTHERS if of_module is not None else every
        assert bare <= known, text


def test_what_finds_no_record_is_advised_of_a_command_that_does(cli: Cli) -> None:
    cli("add", CT)
    told = cli("remove", "BodyPartExamined=HEAD", code=1).err
    assert "`fileset find --load` searches the instances themselves" in told
    cli("find", "--load", "BodyPartExamined=HEAD", code=0)


def test_a_wrong_variable_is_named_as_what_named_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILESET_REPO", str(tmp_path / "nope"))
    for command in (["status"], ["add", CT], ["verify"], ["log", "--json"], ["recover"]):
        told = run(*command, code=3)
        assert f"FILESET_REPO names {tmp_path / 'nope'}." in told.err + told.out
    assert "FILESET_REPO" not in run("--repo", tmp_path / "other", "status", code=3).err
    run("init", tmp_path / "new")
    run("--repo", tmp_path / "new", "status")


@pytest.mark.parametrize("root", ["/", "//", "/usr/.."])
def test_the_top_of_the_file_system_is_refused_as_what_it_is(cli: Cli, root: str) -> None:
    cli("add", CT)
    told = cli("write", root, "--dry-run", code=3)  # which writes nothing, come what may
    assert "is the top of the file system" in told.err


def test_what_is_advised_works_from_where_the_user_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FILESET_REPO", raising=False)
    run("init", "of a ward")
    other = changed(CT, tmp_path / "other", PatientName="Y", SOPInstanceUID="1.2.3")
    told = run("add", CT, other, "--repo", "of a ward", code=1).out
    assert "`fileset --repo 'of a ward' status` shows them" in told
    assert (
        "`fileset --repo 'of a ward' media make` makes one"
        in run("--repo", "of a ward", "media", "list").err
    )
    monkeypatch.setenv("FILESET_REPO", "of a ward")
    assert "`fileset media make` makes one" in run("media", "list").err


def test_a_repository_is_named_in_all_advice_but_of_commands_without_one() -> None:
    without = {
        words.partition(" ")[0]
        for words, made in every_command().items()
        if not any("--repo" in param.opts for param in made.params)
    }
    assert without == WITHOUT_REPOSITORY
