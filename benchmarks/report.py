"""A run for people: a table in a terminal, and the same on a page of the documentation."""

from __future__ import annotations

import math
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measuring import Figure
from benchmarks.results import Result, Run

_COLUMNS = ("work", "against", "ours", "peer", "ratio", "goal", "reached")
_BEGIN, _END = "<!-- begin of the run -->\n", "<!-- end of the run -->\n"


def print_run(run: Run, console: Console) -> None:
    """Print the table and what there is to say of its rows."""
    table = Table(show_lines=True)
    for column in _COLUMNS:
        table.add_column(column)
    for result in run.results:
        style = {True: "green", False: "red", None: "yellow"}[result.reached]
        table.add_row(*_cells(result), style=style)
    console.print(table, markup=False)
    for result in run.results:
        console.print(f"{result.name}: {'; '.join(_remarks(result))}", markup=False)
    console.print(_closing(run), markup=False)


def update_page(page: Path, run: Run) -> None:
    """Put the table of `run` on the page, between its two markers."""
    text = page.read_text(encoding="utf-8")
    before, begin, rest = text.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not begin or not end:
        raise ValueError(f"{page} has no place for a run: {_BEGIN.strip()} and {_END.strip()}")
    page.write_text(before + begin + _markdown(run) + end + after, encoding="utf-8")


def _markdown(run: Run) -> str:
    lines = ["", _closing(run), "", _markdown_row(_COLUMNS), _markdown_row(["---"] * 7)]
    lines += [_markdown_row(_cells(result)) for result in run.results]
    lines += ["", "How each was counted, and what else there is to say:", ""]
    lines += [f"- **{result.name}**: {'; '.join(_remarks(result))}." for result in run.results]
    lines += ["", "The machine:", "", "| | |", "|---|---|"]
    lines += [_markdown_row(fact) for fact in run.machine.items()]
    return "\n".join([*lines, "", ""])


def _markdown_row(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"


def _cells(result: Result) -> list[str]:
    reached = {True: "yes", False: "no", None: "no peer"}[result.reached]
    return [
        result.work,
        result.against or "-",
        _shown(result.ours),
        _shown(result.peer),
        result.ratio or "-",
        result.goal,
        reached,
    ]


def _shown(figure: Figure | None) -> str:
    if figure is None:
        return "-"
    value = figure.value
    whole = value == int(value)
    digits = 0 if whole else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{min(digits, 4)}f} {figure.unit}".rstrip()


def _remarks(result: Result) -> list[str]:
    samples = [
        f"{whose} is the least of {len(figure.samples)}"
        for whose, figure in (("ours", result.ours), ("the peer's", result.peer))
        if figure is not None and len(figure.samples) > 1
    ]
    return [result.counted, *samples, *result.remarks()]


def _closing(run: Run) -> str:
    quick = " Quick: the goals are for other sizes." if run.is_quick else ""
    reached = sum(result.reached is True for result in run.results)
    return (
        f"{run.date}, `{run.command}`, {run.seconds / 60:.1f} minutes: {reached} of "
        f"{len(run.results)} rows reached.{quick}"
    )
