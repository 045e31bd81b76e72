"""Running the command in tests: each run opens the repository anew, as a new process would."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import click
from attrs import frozen
from click.testing import CliRunner
from pydicom import Dataset, dcmread, examples

from fileset.cli import main
from fileset.cli.command import Command, Group

CT, MR, OVERLAY, RT_DOSE = (examples.get_path(name) for name in ("ct", "mr", "overlay", "rt_dose"))
DICOMDIR = examples.get_path("dicomdir")
PROJECT = Path(__file__).parents[2]


def every_command(group: Group = main, before: str = "") -> dict[str, Command]:
    """Return all commands by their words, such as `add` and `media make`."""
    context = click.Context(group)
    found: dict[str, Command] = {}
    for name in group.list_commands(context):
        made = group.get_command(context, name)
        if isinstance(made, Group):
            found.update(every_command(made, f"{before}{name} "))
        elif isinstance(made, Command):
            found[f"{before}{name}"] = made
    return found


@frozen
class Run:
    """What a run of the command gave."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """The one JSON document on standard output."""
        return dict(json.loads(self.out))


@frozen
class Cli:
    """The command with one repository named in front."""

    repository: Path

    def __call__(self, *arguments: object, code: int = 0) -> Run:
        """Run the command, which has to exit with `code`.

        Commands that its messages name are given without the repository that is named here.
        """
        result = run("--repo", self.repository, *arguments, code=code)
        named = f"`fileset --repo {shlex.quote(str(self.repository))} "
        out, err = (text.replace(named, "`fileset ") for text in (result.out, result.err))
        return Run(result.code, out, err)

    def json(self, *arguments: object, code: int = 0) -> dict[str, Any]:
        """Run it with `--json` and return its document."""
        result = self(*arguments, "--json", code=code)
        assert result.err == ""
        return result.document

    def status(self) -> str:
        """Return the line on what is staged."""
        return str(self.json("status")["staged"]["summary"])

    def uids(self) -> set[str]:
        """Return the instances that the File-set has, as staged."""
        found = leaves(self.json("tree")["records"])
        return {leaf["sop_instance_uid"] for leaf in found if leaf["staged"] != "removal"}


def run(*arguments: object, code: int = 0) -> Run:
    """Run the command in this process."""
    result = CliRunner().invoke(
        main,
        [os.fspath(a) if isinstance(a, Path) else str(a) for a in arguments],
        catch_exceptions=False,
    )
    assert "Traceback" not in result.output
    assert result.exit_code == code, result.output
    return Run(result.exit_code, result.stdout, result.stderr)


def indexed_disc(root: Path, **files: str | os.PathLike[str]) -> Path:
    """Make the folder `root` of copies of `files`, by their File IDs there, and index it."""
    root.mkdir()
    for file_id, source in files.items():
        shutil.copyfile(source, root / file_id)
    run("index", root)
    return root


def spawn(
    *arguments: object, variables: Mapping[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run the command as a process of its own, with more environment `variables`."""
    return subprocess.run(
        command_line(*arguments),
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.fspath(PROJECT), **(variables or {})},
        **options,
    )


def command_line(*arguments: object) -> list[str]:
    """Return how a process that runs the command is started."""
    return [sys.executable, "-m", "fileset", *map(str, arguments)]


def leaves(records: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the instances in the document of `tree`."""
    found = []
    for record in records:
        found += leaves(record["records"]) if "records" in record else [record]
    return found


def copy_of_example(root: Path) -> Path:
    """Copy pydicom's File-set of 31 instances to `root` and return its DICOMDIR."""
    root.mkdir()
    shutil.copy(DICOMDIR, root / "DICOMDIR")
    for record in dcmread(DICOMDIR).DirectoryRecordSequence:
        if "ReferencedFileID" in record:
            target = root.joinpath(*record.ReferencedFileID)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(DICOMDIR.parent.joinpath(*record.ReferencedFileID), target)
    return root / "DICOMDIR"


def beside(path: Path) -> set[str]:
    """Return the names of what is in the folder of `path`."""
    return {each.name for each in path.parent.iterdir()}


def changed(source: Path, target: Path, **elements: Any) -> Path:
    """Save the instance at `source` as `target` with other values; `None` takes one out."""
    ds: Dataset = dcmread(source)
    for keyword, value in elements.items():
        if value is None:
            del ds[keyword]
        else:
            setattr(ds, keyword, value)
    ds.save_as(target)
    return target


def tamper(cli: Cli, *statements: str) -> None:
    """Change the database as somebody would who knows how to drop its triggers."""
    with closing(sqlite3.connect(cli.repository / "journal.sqlite")) as db:
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            db.execute(f'DROP TRIGGER "{name}"')
        for statement in statements:
            db.execute(statement)
        db.commit()
