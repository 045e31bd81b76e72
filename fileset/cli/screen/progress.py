"""Progress of long work, on standard error and only where a person sees it; it leaves no trace."""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from fileset.cli.screen.output import is_screen
from fileset.progress import PhasedProgress, Progress, no_progress

_INTERVAL: Final = 0.1  # seconds between two looks of the bar: drawing it costs more than a file


@contextmanager
def bar(what: str) -> Iterator[Progress]:
    """Show a progress bar while the block runs."""
    with phases() as show:
        yield partial(show, what)


@contextmanager
def counter(what: str, total: int | None = None) -> Iterator[Callable[[object], None]]:
    """Show a progress bar while the block runs, which each call of what it is given takes on."""
    with bar(what) as advance:
        numbers = itertools.count(1)

        def one_more(_: object) -> None:
            done = next(numbers)
            advance(done, done if total is None else total)

        yield one_more


@contextmanager
def phases() -> Iterator[PhasedProgress]:
    """Show a progress bar for one piece of work after the other while the block runs.

    It is drawn when a piece begins and then ten times a second, however much is done in between.
    """
    if not is_screen(sys.stderr):
        yield no_progress
        return
    from rich import progress as rich  # noqa: PLC0415 - most commands are done before it is loaded
    from rich.console import Console  # noqa: PLC0415

    columns = (
        "{task.description}",
        rich.BarColumn(),
        rich.MofNCompleteColumn(),
        "{task.fields[rate]}",
        rich.TimeRemainingColumn(),
    )
    # No thread of its own: a process with one thread can read files by helper processes.
    with rich.Progress(
        *columns, console=Console(stderr=True), transient=True, auto_refresh=False
    ) as shown_bar:
        task = shown_bar.add_task("", total=None, rate="")
        begun = shown = time.monotonic()
        doing = ""

        def show(what: str, done: int, total: int) -> None:
            nonlocal begun, doing, shown
            now = time.monotonic()
            if what != doing:
                doing, begun = what, now
                shown_bar.reset(task, description=what, total=total)
            elif now - shown < _INTERVAL:
                return
            shown = now
            rate = f"{done / (now - begun):,.0f}/s" if now > begun else ""
            shown_bar.update(task, completed=done, total=total, rate=rate, refresh=True)

        yield show


@contextmanager
def spinner(what: str) -> Iterator[None]:
    """Show that work goes on while the block runs."""
    if not is_screen(sys.stderr):
        yield
        return
    from rich.console import Console  # noqa: PLC0415 - as above

    with Console(stderr=True).status(what):
        yield
