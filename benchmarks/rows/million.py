"""The row on a million instances, which is asked for with an option."""

from __future__ import annotations

from typing import Final

from benchmarks import ours
from benchmarks.goals import Limit, Measured
from benchmarks.measuring import Figure, in_child
from benchmarks.rows.row import Row
from benchmarks.workbench import Workbench

_GB: Final = 1e9


def _million(bench: Workbench) -> Measured:
    sizes = bench.sizes
    source = bench.source(sizes.million, sizes.million_size, sparse=True)
    with bench.scratch() as folder:
        repository = folder / "repository"
        bench.say(f"adding {sizes.million:,} instances")
        added = in_child(ours.large_add, source, repository)
        bench.say(f"opening, writing, searching, changing and writing {sizes.million:,} instances")
        used = in_child(ours.large_use, repository, folder / "medium", bench.seed)
    return Measured(
        Figure(used.peak / _GB, "GB"),
        notes=[
            f"all of it took {used.cost.wall:.0f} s",
            f"adding them before took {added.cost.wall:.0f} s and {added.peak / _GB:.2f} GB",
        ],
    )


ROWS: Final = [
    Row(
        "million",
        "{s.million:,} of {s.million_size:,} bytes: opened, written, searched, changed and written",
        "",
        "resident memory of the one process that does it all, at its peak",
        Limit(3, "within 3 GB of memory"),
        _million,
        opt_in=True,
    )
]
