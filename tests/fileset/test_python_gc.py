"""The garbage collector: held off or slowed down, and always left as it was."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from fileset.python_gc import gc_paused, gc_seldom


@pytest.mark.parametrize("hold", [gc_paused, gc_seldom])
@pytest.mark.parametrize("enabled", [True, False])
def test_it_is_left_as_it_was_also_after_an_error(
    hold: Callable[[], AbstractContextManager[None]], *, enabled: bool
) -> None:
    before = gc.isenabled(), gc.get_threshold()
    try:
        (gc.enable if enabled else gc.disable)()
        with pytest.raises(KeyError), hold():
            raise KeyError
        assert (gc.isenabled(), gc.get_threshold()) == (enabled, before[1])
    finally:
        (gc.enable if before[0] else gc.disable)()


def test_nothing_is_collected_while_it_is_held_off() -> None:
    with gc_paused():
        assert not gc.isenabled()


def test_it_runs_on_where_it_is_slowed_down() -> None:
    with gc_seldom():
        assert gc.isenabled()
        assert gc.get_threshold()[0] >= 50_000
