"""Progress bars: drawn by the clock, and for people only."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest
from rich.progress import Progress

from fileset.cli.screen import progress


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Return how much was done whenever a bar was drawn, on a terminal where a call takes 1 ms."""
    found: list[int] = []
    clock = itertools.count()
    monkeypatch.setattr(progress, "is_screen", lambda _: True)
    monkeypatch.setattr("fileset.cli.screen.progress.time.monotonic", lambda: next(clock) / 1000)
    real = Progress.refresh

    def refresh(self: Progress) -> None:
        found.extend(int(task.completed) for task in self.tasks)
        real(self)

    monkeypatch.setattr(Progress, "refresh", refresh)
    return found


@pytest.mark.parametrize("total", [None, 10_000])
def test_a_bar_is_drawn_ten_times_a_second_whether_the_total_is_known_or_not(
    drawn: list[int], total: int | None
) -> None:
    with progress.counter("Adding", total) as one_more:
        for _ in range(10_000):
            one_more(None)
    assert len(drawn) <= 10_000 / 100 + 5
    assert max(drawn) > 9_800


def test_each_piece_of_work_is_shown_when_it_begins(drawn: list[int]) -> None:
    with progress.phases() as show:
        for what in ("Reading", "Writing"):
            show(what, 1, 50)
    assert drawn.count(1) >= 2
