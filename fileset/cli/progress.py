"""Progress of long work, on standard error and only where a person sees it; it leaves no trace."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeAlias

from fileset.cli.output import is_terminal

_INTERVAL: Final = 0.1  # seconds between two looks of the bar: drawing it costs more than a file

Advance: TypeAlias = Callable[[int, int], None]
"""To be called with how many are done, and of how many."""


Phase: TypeAlias = Callable[[str, int, int], None]
"""To be called with what is being done, how many are done, and of how many."""


def _ignore(what: str, done: int, total: int) -> None:
    """Show nothing."""


@contextmanager
def bar(what: str) -> Iterator[Advance]:
    """Show a progress bar while the block runs."""
    with phases() as show:
        yield partial(show, what)


@contextmanager
def phases() -> Iterator[Phase]:
    """Show a progress bar for one piece of work after the other while the block runs."""
    if not is_terminal(sys.stderr):
        yield _ignore
        return
    from rich.console import Console  # noqa: PLC0415 - most commands are done before it is loaded
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn  # noqa: PLC0415

    columns = (
        "{task.description}",
        BarColumn(),
        MofNCompleteColumn(),
        "{task.fields[rate]}",
        TimeRemainingColumn(),
    )
    # No thread of its own: a process with one thread can read files by helper processes.
    with Progress(
        *columns, console=Console(stderr=True), transient=True, auto_refresh=False
    ) as progress:
        task = progress.add_task("", total=None, rate="")
        begun = shown = time.monotonic()
        doing = ""

        def show(what: str, done: int, total: int) -> None:
            nonlocal begun, doing, shown
            now = time.monotonic()
            if what != doing:
                doing, begun = what, now
                progress.reset(task, description=what, total=total)
            elif now - shown < _INTERVAL and done < total:
                return
            shown = now
            rate = f"{done / (now - begun):,.0f}/s" if now > begun else ""
            progress.update(task, completed=done, total=total, rate=rate, refresh=True)

        yield show


@contextmanager
def spinner(what: str) -> Iterator[None]:
    """Show that work goes on while the block runs."""
    if not is_terminal(sys.stderr):
        yield
        return
    from rich.console import Console  # noqa: PLC0415 - as above

    with Console(stderr=True).status(what):
        yield
