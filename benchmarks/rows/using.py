"""Rows on a File-set in use: loading, undo, status, memory, searching."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

from benchmarks import ours, peers
from benchmarks.goals import Faster, Limit, Measured, Within
from benchmarks.inputs import values
from benchmarks.measuring import Figure, alternate, command, in_child
from benchmarks.rows.row import Row, compared, cpu, wall
from benchmarks.workbench import Workbench

_KEYWORDS: Final = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_SEARCHES: Final = 5
_MANY_CALLS: Final = 1_000_000
_MORE_CALLS: Final = 1.5  # times: a scan of a hundred times as many instances takes a hundred


def _load(bench: Workbench) -> Measured:
    dicomdir = bench.archive(bench.sizes.instances).medium / "DICOMDIR"
    return compared(
        cpu,
        alternate(
            bench.sizes.repeat,
            lambda: in_child(ours.load, dicomdir),
            lambda: in_child(peers.pydicom_load, dicomdir),
        ),
    )


def _undo(bench: Workbench) -> Measured:
    lives = bench.archive(bench.sizes.instances).lives
    return compared(wall, ([life.undo for life in lives], [life.add for life in lives]))


def _status(bench: Workbench) -> Measured:
    repository = bench.archive(bench.sizes.most).repository
    status: list[str | Path] = [ours.program(), "--repo", repository, "status"]
    command(status)
    return compared(
        wall,
        alternate(
            3 * bench.sizes.repeat,
            lambda: command(status),
            lambda: command([sys.executable, "-c", "import pydicom"]),
        ),
    )


def _memory(bench: Workbench) -> Measured:
    used = in_child(ours.memory, bench.archive(bench.sizes.most).repository)
    dicomdir = bench.archive(bench.sizes.instances).medium / "DICOMDIR"
    return Measured(
        Figure(used.opened, "bytes/instance"),
        Figure(in_child(peers.pydicom_memory, dicomdir), "bytes/instance"),
        notes=[
            f"bytes/instance at the peak while it opened: {used.at_peak:,.0f}",
            f"bytes/instance once all were iterated over: {used.iterated:,.0f}",
        ],
    )


def _find(bench: Workbench) -> Measured:
    sizes = bench.sizes
    known = values(bench.seed, 0)
    queries = {keyword: known[keyword] for keyword in _KEYWORDS}
    archive = bench.archive(sizes.instances)
    measured = compared(
        cpu,
        alternate(
            1,
            lambda: in_child(ours.find, archive.repository, queries, _SEARCHES),
            lambda: in_child(peers.pydicom_find, archive.medium / "DICOMDIR", queries, _SEARCHES),
        ),
    )
    # Each finds as many instances in the large File-set as in the small one.
    small, large = (
        in_child(ours.find_calls, bench.archive(size).repository, queries, _MANY_CALLS)
        for size in (sizes.least, sizes.most)
    )
    for keyword in _KEYWORDS:
        many = "over " if large[keyword] == _MANY_CALLS else ""
        what = (
            f"{keyword}: {many}{large[keyword]:,} function calls in {sizes.most:,}, "
            f"{small[keyword]:,} in {sizes.least:,}"
        )
        measured.conditions[what] = large[keyword] <= _MORE_CALLS * small[keyword]
    return measured


ROWS: Final = [
    Row(
        "load",
        "load a DICOMDIR of {s.instances:,} records",
        "pydicom",
        "CPU of the process, imports aside; warm cache",
        Faster(20),
        _load,
    ),
    Row(
        "undo",
        "`fs.undo()` of a change of {s.instances:,} instances, in process",
        "the add itself",
        "wall, in the same process; both durable",
        Faster(20),
        _undo,
    ),
    Row(
        "status",
        "`fileset status` on {s.most:,} instances, new process",
        '`python -c "import pydicom"`',
        "wall of the command from start to end; warm cache; nothing changed since the last command",
        Within(4),
        _status,
    ),
    Row(
        "memory",
        "memory of an open File-set of {s.most:,}",
        "pydicom, {s.instances:,}",
        "resident bytes after opening less those before, garbage collected",
        Limit(2048, "at most 2 KB an instance"),
        _memory,
    ),
    Row(
        "find",
        "`find` on " + ", ".join(_KEYWORDS) + ", {s.instances:,} instances",
        "pydicom",
        "CPU of five searches by each; function calls in one, by profiling; not the first search",
        Faster(1, "by index, not by scan"),
        _find,
    ),
]
