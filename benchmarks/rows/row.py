"""A row of the table."""

from __future__ import annotations

from collections.abc import Callable

from attrs import frozen

from benchmarks.goals import Goal, Measured
from benchmarks.measuring import Cost, Figure
from benchmarks.workbench import Sizes, Workbench


@frozen
class Row:
    """What is measured, against what, how it is counted, and what is to be reached.

    `work` and `against` are templates that the sizes are put in.
    """

    name: str
    work: str
    against: str
    counted: str
    goal: Goal
    measure: Callable[[Workbench], Measured]
    opt_in: bool = False

    def title(self, sizes: Sizes) -> str:
        """Return what is measured."""
        return self.work.format(s=sizes)

    def peer_title(self, sizes: Sizes) -> str:
        """Return what it is measured against."""
        return self.against.format(s=sizes)


def cpu(costs: list[Cost]) -> Figure | None:
    """Return the least CPU time of `costs`, `None` if there are none."""
    return Figure.least([cost.cpu for cost in costs]) if costs else None


def wall(costs: list[Cost]) -> Figure | None:
    """Return the least wall time of `costs`, `None` if there are none."""
    return Figure.least([cost.wall for cost in costs]) if costs else None


def compared(
    choose: Callable[[list[Cost]], Figure | None], costs: tuple[list[Cost], list[Cost]]
) -> Measured:
    """Return the figures that `choose` makes of our costs and the peer's; the others are noted."""
    of_ours, of_peer = costs
    figure = choose(of_ours)
    assert figure is not None
    other, name = (wall, "wall") if choose is cpu else (cpu, "CPU")
    notes = []
    if of_peer:
        ours_too, peer_too = other(of_ours), other(of_peer)
        assert ours_too is not None
        assert peer_too is not None
        notes.append(f"{name}: ours {ours_too.value:.3g} s, peer {peer_too.value:.3g} s")
    return Measured(figure, choose(of_peer), notes=notes)
