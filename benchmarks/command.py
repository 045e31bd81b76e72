"""The command: which rows, at what sizes, and where the results go."""

from __future__ import annotations

import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
from attrs import evolve
from rich.console import Console

from benchmarks import machine, peers
from benchmarks.report import print_run, update_page
from benchmarks.results import Result, Run
from benchmarks.rows import ROWS
from benchmarks.rows.row import Row
from benchmarks.stages import print_stages
from benchmarks.stages import stages as find_stages
from benchmarks.workbench import QUICK, Sizes, Workbench

_WIDTH = 160  # of the table where it goes to a file
_FILE = click.Path(path_type=Path, dir_okay=False)


def _sizes_of(_: click.Context, __: click.Parameter, value: str | None) -> tuple[int, ...] | None:
    if value is None:
        return None
    try:
        sizes = tuple(int(size) for size in value.split(","))
    except ValueError as exc:
        raise click.BadParameter("numbers with commas between them") from exc
    if len(sizes) < 2 or sizes[0] < 1 or list(sizes) != sorted(set(sizes)):
        raise click.BadParameter("two sizes or more, growing")
    return sizes


@click.command()
@click.option(
    "--rows",
    type=click.Choice(list(ROWS)),
    multiple=True,
    metavar="NAME",
    help="Measure this row only; may be given several times.",
)
@click.option("--list", "list_", is_flag=True, help="List the rows and stop.")
@click.option("--stages", is_flag=True, help="Show where the time of adding and writing goes.")
@click.option(
    "--quick", is_flag=True, help="Small sizes, each once: for a look, not for the goals."
)
@click.option("--million", is_flag=True, help="Also the row on a million instances.")
@click.option(
    "--instances", type=click.IntRange(1), help="Instances where it is said nowhere else."
)
@click.option("--size", type=click.IntRange(1024), help="Bytes of an instance, about.")
@click.option("--adds", type=click.IntRange(1), help="Instances added against pydicom.")
@click.option(
    "--growth", callback=_sizes_of, metavar="N,N,N", help="Sizes growth is measured over."
)
@click.option("--more", type=click.IntRange(1), help="Instances of the rows on even more.")
@click.option("--repeat", type=click.IntRange(1), help="How often what is cheap is repeated.")
@click.option("--seed", type=click.IntRange(0, 999_999), default=1, show_default=True)
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="Where files are made, and deleted in the end; the folder for temporary ones if left out.",
)
@click.option("--json", "json_", type=_FILE, help="Write the results to this file.")
@click.option("--page", type=_FILE, help="Put the table on this page, between its markers.")
@click.option(
    "--from", "from_", type=_FILE, help="Show the results in this file; nothing is measured."
)
def main(
    rows: tuple[str, ...],
    list_: bool,
    stages: bool,
    quick: bool,
    million: bool,
    seed: int,
    work: Path | None,
    json_: Path | None,
    page: Path | None,
    from_: Path | None,
    **given: Any,
) -> None:
    """Measure what fileset-ledger costs, side by side with its peers on the same files.

    The exit code is 1 if a row was not reached at the sizes that the goals are for.
    """
    standard = QUICK if quick else Sizes()
    sizes = evolve(standard, **{name: value for name, value in given.items() if value})
    chosen = [
        row
        for row in ROWS.values()
        if row.name in rows or (not rows and (not row.opt_in or million))
    ]
    if list_:
        for row in ROWS.values():
            click.echo(f"{row.name:18}{row.title(sizes)} ({row.goal.text})")
        return
    if stages:
        _show_stages(sizes, seed, work)
        return
    run = Run.load(from_) if from_ else _measure(chosen, sizes, seed, work)
    if json_:
        json_.write_text(run.dump(), encoding="utf-8")
    if page:
        update_page(page, run)
    console = Console()
    print_run(run, console if console.is_terminal else Console(width=_WIDTH))
    if not run.is_quick and any(result.reached is False for result in run.results):
        sys.exit(1)


def _show_stages(sizes: Sizes, seed: int, work: Path | None) -> None:
    with tempfile.TemporaryDirectory(prefix="fileset-benchmarks-", dir=work) as folder:
        bench = Workbench(Path(folder), sizes, seed, {}, _progress(time.monotonic()))
        print_stages(find_stages(bench), Console())


def _measure(rows: list[Row], sizes: Sizes, seed: int, work: Path | None) -> Run:
    began, date = time.monotonic(), datetime.now(UTC)
    present = peers.versions()
    with tempfile.TemporaryDirectory(prefix="fileset-benchmarks-", dir=work) as folder:
        machine_facts = machine.facts(Path(folder), present)
        bench = Workbench(Path(folder), sizes, seed, present, _progress(began))
        bench.say(f"files are made in {folder}, up to {_gigabytes(sizes, rows):.1f} GB")
        results = [_result(row, bench) for row in rows]
    return Run(
        date=f"{date:%Y-%m-%d %H:%M} UTC",
        command=shlex.join(["python", "-m", "benchmarks", *_what(sys.argv[1:])]),
        seconds=time.monotonic() - began,
        seed=seed,
        sizes=sizes,
        is_quick=evolve(sizes, repeat=1) != evolve(Sizes(), repeat=1),
        machine=machine_facts,
        results=results,
    )


def _what(arguments: list[str]) -> Iterator[str]:
    """Yield the arguments that say what is measured, and not where files are."""
    words = iter(arguments)
    for word in words:
        option, is_whole, _ = word.partition("=")
        if option not in {"--json", "--page", "--work"}:
            yield word
        elif not is_whole:
            next(words)


def _progress(began: float) -> Callable[[str], None]:
    return lambda text: click.echo(f"{time.monotonic() - began:5.0f} s  {text}", err=True)


def _result(row: Row, bench: Workbench) -> Result:
    bench.say(f"{row.name}: {row.title(bench.sizes)}")
    notes = [
        f"{peer} is not installed"
        for peer, version in bench.peers.items()
        if version is None and peer in row.against
    ]
    try:
        measured = row.measure(bench)
    except Exception as exc:  # noqa: BLE001 - the other rows still can be measured
        measured, notes = None, [*notes, f"could not be measured: {exc!r}"]
    return Result.of(row, bench.sizes, measured, notes)


def _gigabytes(sizes: Sizes, rows: list[Row]) -> float:
    """Return how much is on the disk at most: source, vault and medium of everything."""
    counts = {*sizes.growth, sizes.instances}
    total = 3 * sum(counts) * (sizes.size + 4096) + 4 * sizes.large * sizes.large_size
    if any("mix" in row.work for row in rows):
        total += 4 * sum(count * size for count, size in sizes.mix)
    total += 4 * sizes.images * sizes.image_size
    total += 2 * sizes.more * (sizes.million_size + 4096)
    if any(row.opt_in for row in rows):
        total += 3 * sizes.million * (sizes.million_size + 4096)
    return total / 1e9
