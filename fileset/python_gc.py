"""Holding off Python's garbage collector where many objects are made and none discarded."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def gc_paused() -> Iterator[None]:
    """Hold off the garbage collector: a state is many objects, none of which becomes garbage."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


@contextmanager
def gc_seldom() -> Iterator[None]:
    """Run the garbage collector a hundredth as often, where most of what is made stays.

    What does become garbage is still found, so that it never gets much.
    """
    before = gc.get_threshold()
    if not before[0]:  # it is off, and stays so
        yield
        return
    gc.set_threshold(max(before[0], 50_000), max(before[1], 20), max(before[2], 50))
    try:
        yield
    finally:
        gc.set_threshold(*before)
