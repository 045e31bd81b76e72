"""Fuzzing what reads other people's bytes: some seconds of it, and every find there ever was."""

from __future__ import annotations

from pathlib import Path

import pytest

from fuzzing.running import FINDS, failure_of, fuzz
from fuzzing.targets import TARGETS


@pytest.mark.parametrize("path", sorted(FINDS.glob("*.bin")), ids=lambda path: path.stem)
def test_what_was_found_once_holds(path: Path) -> None:
    failure = failure_of(path.stem.partition("-")[0], path.read_bytes())
    assert failure is None, failure[1]


@pytest.mark.parametrize("name", TARGETS)
def test_everything_in_the_corpus_holds_as_it_is(name: str) -> None:
    for data in TARGETS[name].seeds():
        failure = failure_of(name, data)
        assert failure is None, failure[1]


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.soak)])
def test_some_seconds_of_fuzzing_find_nothing(seconds: float) -> None:
    outcome = fuzz(seconds, seed=1)
    assert outcome.executions.keys() == TARGETS.keys()
    for name, text, data in outcome.finds:
        pytest.fail(f"{name}: {text}\n{data!r}")
