"""Where the time goes: what adding and writing spend on each of their steps, beside the limit.

The limit is what no program can do without: each file read, hashed and appended to one that is
flushed; each file made anew from memory, and all flushed. Steps are timed by wrapping functions,
which costs them some time of its own. Everything happens in one process here.
"""

from __future__ import annotations

import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from attrs import frozen
from rich.console import Console
from rich.table import Table

from benchmarks.limits import append_all
from benchmarks.workbench import Workbench
from fileset import FileSet
from fileset.adding import candidate as ingest
from fileset.adding import read_ahead as reading
from fileset.medium import made_files, materializer
from fileset.medium import write as writing
from fileset.repository import repository, states
from ledger.disk import fsync_all
from ledger.journal.sqlite import SqliteJournal
from ledger.vault import appender, batch, vault

_ADD: Final[dict[str, list[tuple[Any, str]]]] = {
    "read the files": [(ingest, "_read_file")],
    "scan them": [(ingest, "read_instance")],
    "make directory records": [(ingest, "build_records")],
    "hash, look up, append to a pack": [(batch.PackBatch, "add")],
    "flush the pack": [(appender.Appender, "sync")],
    "fold the events": [(states, "apply")],
    "encode, chain and commit the events": [(SqliteJournal, "append")],
}
_WRITE: Final[dict[str, list[tuple[Any, str]]]] = {
    "plan, with the DICOMDIR": [(writing.Writer, "plan")],
    "have the system make files": [(os, "open"), (os, "mkdir"), (os, "link"), (os, "rename")],
    "take content from the packs, check it": [(vault.PackVault, "copy_to")],
    "flush files and folders": [
        (made_files, "fsync_all"),
        (materializer, "fsync_all"),
        (materializer, "fsync"),
    ],
    "journal": [(SqliteJournal, "append"), (repository.Repository, "emit")],
}


@frozen
class Stages:
    """Seconds by step; what is in no step is `rest`."""

    work: str
    total: float
    steps: dict[str, float]
    limit: float

    @property
    def rest(self) -> float:
        """Seconds in no step."""
        return self.total - sum(self.steps.values())


def stages(bench: Workbench) -> list[Stages]:
    """Add and write a folder, and return where the time went."""
    count = bench.sizes.instances
    source = bench.source(count)
    files = sorted(path for path in source.rglob("*") if path.is_file())
    vars(reading)["WORTH"] = count + 1  # no helpers: their time could not be told apart
    with bench.scratch() as folder, FileSet(repository=folder / "repository") as fs:
        read = _limit_of_reading(files, folder / "pack")
        add = _timed(_ADD, lambda: fs.add_many(files))
        write = _timed(_WRITE, lambda: fs.write(folder / "medium"))
        made = _limit_of_writing(files, folder / "plain")
    return [
        Stages(f"add {count:,}, durable", *add, read),
        Stages(f"write {count:,}, durable", *write, made),
    ]


def _timed(
    steps: dict[str, list[tuple[Any, str]]], work: Callable[[], object]
) -> tuple[float, dict[str, float]]:
    spent: dict[str, float] = defaultdict(float)
    with _watching(steps, spent):
        begun = time.perf_counter()
        work()
        total = time.perf_counter() - begun
    return total, {name: spent[name] for name in steps}


@contextmanager
def _watching(steps: dict[str, list[tuple[Any, str]]], spent: dict[str, float]) -> Iterator[None]:
    """Add up the time in the functions of each step, what one calls of another's left out."""
    stack: list[float] = []

    def watched(step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            stack.append(0.0)
            begun = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                took = time.perf_counter() - begun
                spent[step] += took - stack.pop()
                if stack:
                    stack[-1] += took

        return call

    originals = [
        (owner, name, getattr(owner, name)) for where in steps.values() for owner, name in where
    ]
    for step, where in steps.items():
        for owner, name in where:
            setattr(owner, name, watched(step, getattr(owner, name)))
    try:
        yield
    finally:
        for owner, name, original in originals:
            setattr(owner, name, original)


def _limit_of_reading(files: list[Path], pack: Path) -> float:
    """Return how long it takes to read and hash the files and append them to one."""
    begun = time.perf_counter()
    append_all(files, pack)
    return time.perf_counter() - begun


def _limit_of_writing(files: list[Path], folder: Path) -> float:
    """Return how long it takes to make the same files anew, 200 to a folder, from memory."""
    contents = [path.read_bytes() for path in files]
    begun = time.perf_counter()
    for number, data in enumerate(contents):
        below = folder / f"{number // 200:06}"
        if number % 200 == 0:
            below.mkdir(parents=True)
        with (below / f"{number:08}").open("xb", buffering=0) as target:
            target.write(data)
    fsync_all([folder] * 64, (), folder)
    return time.perf_counter() - begun


def print_stages(found: list[Stages], console: Console) -> None:
    """Print a table of each work's steps."""
    for each in found:
        table = Table("step", "seconds", "share", title=each.work, title_justify="left")
        for name, seconds in [*each.steps.items(), ("all else", each.rest)]:
            table.add_row(name, f"{seconds:.3f}", f"{seconds / each.total:.0%}")
        table.add_row("together", f"{each.total:.3f}", "")
        table.add_row("the limit", f"{each.limit:.3f}", f"{each.limit / each.total:.0%}")
        console.print(table)
