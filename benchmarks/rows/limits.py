"""Rows against the limit: how much more than reading, hashing and writing the bytes is done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import limits, ours
from benchmarks.counting import Asked, asked_of_system
from benchmarks.goals import Limit, Measured, Within
from benchmarks.measuring import Cost, Figure, alternate, command, in_child
from benchmarks.rows.row import Row, compared, cpu, wall
from benchmarks.workbench import Workbench

_ADDS: Final = 100


def _against_limit(
    bench: Workbench,
    source: Path,
    run: Callable[[], Cost],
    limit: Callable[[], Cost],
    *,
    cold: bool,
) -> Measured:
    def prepared(work: Callable[[], Cost]) -> Callable[[], Cost]:
        def do() -> Cost:
            if cold:
                limits.forget(limits.files_below(source))
            return work()

        return do

    costs = alternate(bench.sizes.repeat, prepared(run), prepared(limit))
    measured = compared(wall, costs)
    for whose, some in zip(("ours", "the limit"), costs, strict=True):
        least = min(some, key=lambda cost: cost.cpu)
        measured.notes.append(f"{whose}: user {least.user:.3g} s, system {least.system:.3g} s")
    return measured


def _add(bench: Workbench, source: Path, *, cold: bool = False) -> Measured:
    def add() -> Cost:
        with bench.scratch() as folder:
            return in_child(ours.add, source, folder / "repository", None)

    def limit() -> Cost:
        with bench.scratch() as folder:
            return in_child(limits.appending, source, folder / "pack")

    return _against_limit(bench, source, add, limit, cold=cold)


def _write(bench: Workbench, *, cold: bool) -> Measured:
    with bench.scratch() as base:
        repository = base / "repository"
        in_child(ours.add, bench.mix(), repository, None)

        def write() -> Cost:
            with bench.scratch() as folder:
                # Of the packs, which a write does not change, links will do.
                shutil.copytree(repository, folder / "repository", copy_function=_copy_or_link)
                return in_child(ours.write, folder / "repository", folder / "medium")

        def limit() -> Cost:
            with bench.scratch() as folder:
                return in_child(limits.making, bench.mix(), folder / "medium")

        if not cold:
            return _against_limit(bench, bench.mix(), write, limit, cold=False)
        both = base / "both"  # what each of them reads
        both.mkdir()
        for path in (*limits.files_below(repository / "vault"), *limits.files_below(bench.mix())):
            os.link(path, both / f"{path.stat().st_ino}")
        return _against_limit(bench, both, write, limit, cold=True)


def _copy_or_link(source: str, target: str) -> None:
    if source.endswith(".pack"):
        os.link(source, target)
    else:
        shutil.copy2(source, target)


def _watch(bench: Workbench) -> Measured:
    source = bench.source(bench.sizes.instances)

    def run(*arguments: str) -> Cost:
        with bench.scratch() as folder:
            argv: list[str | Path] = [ours.program(), "--repo", folder / "repository"]
            command([ours.program(), "init", folder / "repository"])
            return command([*argv, *arguments, source])

    costs = alternate(
        bench.sizes.repeat,
        lambda: run("watch", "--once", "--settle", "0", "--quiet", "0"),
        lambda: run("add"),
    )
    return compared(cpu, costs)


def _one_durable(bench: Workbench) -> Measured:
    source = bench.source(bench.sizes.instances)

    def asked(count: int) -> Asked:
        with bench.scratch() as folder:
            return asked_of_system(
                "benchmarks.ours", "add_between_marks", source, folder / "repository", count
            )

    one, many = asked(1), asked(_ADDS)
    return Measured(
        Figure(one.flushes, "flushes"),
        conditions={f"{one.calls} system calls, under 100": one.calls < 100},
        notes=[f"{_ADDS} adds in one change: {many.flushes} flushes, {many.calls} system calls"],
    )


_MIX: Final = "{s.mix_title}"
_COUNTED: Final = (
    "wall, in process, imports aside; {}; the limit goes through one buffer of 1 MiB; both durable"
)

ROWS: Final = [
    Row(
        "limit-add-small",
        "add {s.instances:,}, durable",
        "read, SHA-256, append, one fsync",
        _COUNTED.format("warm cache"),
        Within(3),
        lambda bench: _add(bench, bench.source(bench.sizes.instances)),
    ),
    Row(
        "limit-add-mix",
        f"add a mix: {_MIX}",
        "read, SHA-256, append, one fsync",
        _COUNTED.format("warm cache"),
        Within(1.15),
        lambda bench: _add(bench, bench.mix()),
    ),
    Row(
        "limit-add-cold",
        "the same, read from the disk",
        "read, SHA-256, append, one fsync",
        _COUNTED.format("cold cache"),
        Within(1.15),
        lambda bench: _add(bench, bench.mix(), cold=True),
    ),
    Row(
        "limit-write-mix",
        f"write a mix: {_MIX}",
        "read, SHA-256, write as many files, one syncfs",
        _COUNTED.format("warm cache"),
        Within(1),
        lambda bench: _write(bench, cold=False),
    ),
    Row(
        "limit-write-cold",
        "the same, read from the disk",
        "read, SHA-256, write as many files, one syncfs",
        _COUNTED.format("cold cache"),
        Within(1),
        lambda bench: _write(bench, cold=True),
    ),
    Row(
        "watch",
        "`fileset watch --once` of {s.instances:,}, whole command",
        "`fileset add` of the same",
        "CPU of the command from start to end; warm cache; both durable; a study is a change here",
        Within(1.2),
        _watch,
    ),
    Row(
        "one-durable",
        "one more `fs.add`, durable",
        "",
        "flushes and system calls between two marks, by strace; a user whose name is in the "
        "environment",
        Limit(5, "at most 5 flushes, under 100 system calls"),
        _one_durable,
    ),
]
