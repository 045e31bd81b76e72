"""Rows on growth: how costs follow the number of instances."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks import ours
from benchmarks.goals import Limit, Measured
from benchmarks.measuring import Cost, Figure, exponents, in_child
from benchmarks.rows.row import Row
from benchmarks.workbench import Workbench


def _of_life(step: str) -> Callable[[Workbench, int], list[Cost]]:
    return lambda bench, size: [getattr(life, step) for life in bench.archive(size).lives]


def _load(bench: Workbench, size: int) -> list[Cost]:
    dicomdir = bench.archive(size).medium / "DICOMDIR"
    return [in_child(ours.load, dicomdir) for _ in range(bench.sizes.repeat)]


_COSTS: Final[dict[str, Callable[[Workbench, int], list[Cost]]]] = {
    "add": _of_life("add"),
    "index": Workbench.indexing,
    "write": _of_life("write"),
    "load": _load,
    "undo": _of_life("undo"),
}


def _growth(name: str) -> Callable[[Workbench], Measured]:
    def measure(bench: Workbench) -> Measured:
        costs = {size: _COSTS[name](bench, size) for size in bench.sizes.growth}
        by_clock = {size: min(cost.wall for cost in some) for size, some in costs.items()}
        of_cpu = {size: min(cost.cpu for cost in some) for size, some in costs.items()}
        each = ", ".join(f"{size:,}: {of_cpu[size]:.3g} ({by_clock[size]:.3g})" for size in costs)
        slopes = exponents(of_cpu)
        told = ", ".join(f"to {size:,} {slope:.2f}" for size, slope in slopes.items())
        return Measured(
            Figure(max(slopes.values()), ""), notes=[f"exponent {told}; s of CPU (wall) for {each}"]
        )

    return measure


ROWS: Final = [
    Row(
        f"growth-{name}",
        f"growth of {name}, {{s.least:,}} to {{s.most:,}}",
        "",
        "slope of log CPU over log size, the steepest from one size to the next; in process; add, "
        "write and undo durable",
        Limit(1.1, "exponent at most 1.1"),
        _growth(name),
    )
    for name in _COSTS
]
