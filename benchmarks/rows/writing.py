"""Rows on the way out: writing, and writing what changed."""

from __future__ import annotations

import shutil
from itertools import count as counter
from pathlib import Path
from typing import Final

from benchmarks import ours, peers
from benchmarks.counting import Touched
from benchmarks.goals import Conditions, Faster, Limit, Measured, Within
from benchmarks.measuring import Cost, Figure, alternate, exponents, in_child
from benchmarks.rows.row import Row, compared, cpu, wall
from benchmarks.workbench import Workbench


def _add_and_write(bench: Workbench, count: int, size: int) -> Measured:
    source = bench.source(count, size)

    def add_and_write() -> Cost:
        with bench.scratch() as folder:
            return in_child(ours.add_and_write, source, folder / "repository", folder / "medium")

    def copy() -> Cost:
        with bench.scratch() as folder:
            return peers.copy_twice(source, folder)

    there = bench.peers["cp"] is not None
    return compared(wall, alternate(bench.sizes.repeat, add_and_write, copy if there else None))


def _encode(bench: Workbench) -> Measured:
    figures = {}
    for size in bench.sizes.growth:
        repository = bench.archive(size).repository
        costs = [in_child(ours.encode, repository) for _ in range(bench.sizes.repeat)]
        figures[size] = cpu(costs)
    seconds = {size: figure.value for size, figure in figures.items() if figure}
    slope = max(exponents(seconds).values())
    largest = figures[bench.sizes.most]
    assert largest is not None
    return Measured(
        largest, conditions={f"linear: exponent {slope:.2f}, at most 1.1": slope <= 1.1}
    )


def _change_id(bench: Workbench) -> Measured:
    archive = bench.archive(bench.sizes.instances)
    ids = (f"ID{number}" for number in counter())
    with bench.scratch() as folder:
        medium = shutil.copytree(archive.medium, folder / "medium")
        costs = alternate(
            bench.sizes.repeat,
            lambda: in_child(ours.change_id, archive.repository, next(ids)),
            lambda: in_child(peers.pydicom_change_id, medium / "DICOMDIR", next(ids)),
        )
    touched = in_child(ours.change_id_counted, archive.repository, next(ids))
    measured = compared(cpu, costs)
    measured.conditions["no instance file opened or copied"] = not _instances(touched)
    return measured


def _instances(touched: Touched) -> list[str]:
    """Return the files of instances that were touched: all but the DICOMDIR."""
    paths = (touched.read, touched.written, touched.linked, touched.renamed, touched.unlinked)
    return [path for some in paths for path in some if "DICOMDIR" not in Path(path).name]


def _remove_one(bench: Workbench) -> Measured:
    files: dict[int, int] = {}
    costs: dict[int, Cost] = {}
    conditions = {}
    for size in (bench.sizes.least, bench.sizes.most):
        repository = bench.archive(size).repository
        touched = in_child(ours.remove_one_counted, repository, "existing")
        files[size] = len(touched.unlinked) + len(touched.written) + len(touched.linked)
        conditions[f"of {size:,}: one file unlinked, one written"] = (
            len(touched.unlinked) == len(touched.written) == 1 and not touched.linked
        )
        costs[size] = in_child(ours.remove_one, repository)
    largest = bench.archive(bench.sizes.most).repository
    encode = in_child(ours.encode, largest)
    numbered = in_child(ours.remove_one_counted, largest, "pydicom")
    moved = f"{len(numbered.linked)} files linked, {len(numbered.unlinked)} unlinked"
    least, most = costs[bench.sizes.least], costs[bench.sizes.most]
    return Measured(
        Figure(files[bench.sizes.most], "files"),
        Figure(files[bench.sizes.least], "files"),
        conditions,
        [
            f"CPU {most.cpu:.3g} s, the peer's {least.cpu:.3g} s",
            f"CPU of encoding the DICOMDIR alone {encode.cpu:.3g} s",
            f"wall {most.wall:.3g} s, the peer's {least.wall:.3g} s",
            f"in the default layout, which is pydicom's, the series moves up: {moved}",
        ],
    )


ROWS: Final = [
    Row(
        "write",
        "add + write {s.instances:,}, durable",
        "`cp -a src a && cp -a a b && sync -f b`",
        "wall, of ours in process, imports aside; source in a warm cache; both on the disk in the "
        "end",
        Within(1.5),
        lambda bench: _add_and_write(bench, bench.sizes.instances, bench.sizes.size),
    ),
    Row(
        "write-large",
        "the same, {s.large:,} of {s.large_size:,} bytes",
        "`cp -a src a && cp -a a b && sync -f b`",
        "wall, of ours in process, imports aside; source in a warm cache; both on the disk in the "
        "end",
        Within(1.5),
        lambda bench: _add_and_write(bench, bench.sizes.large, bench.sizes.large_size),
    ),
    Row(
        "encode",
        "encode the DICOMDIR of {s.most:,} instances",
        "",
        "CPU of the process, in memory",
        Limit(2, "linear; at most 2 s"),
        _encode,
    ),
    Row(
        "change-id",
        "File-set ID changed, {s.instances:,} instances, write",
        "pydicom",
        "CPU of the process, opening and loading aside; ours durable, the peer's not; files by "
        "audit events",
        Faster(50),
        _change_id,
    ),
    Row(
        "remove-one",
        "remove 1 of {s.most:,}, write",
        "the same on {s.least:,}",
        "files on the medium unlinked, written or linked, by audit events; files stay where they "
        'are (layout "existing")',
        Conditions("one unlink, one file written"),
        _remove_one,
    ),
]
