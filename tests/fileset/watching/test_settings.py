"""The settings of a watcher."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT
from watched import House, drop

from fileset.watching import After, Settings


def test_settings_are_taken_as_they_are_written() -> None:
    made = Settings(
        after="move",
        move_to="done",
        ignore="*.dcm",
        on_study="run -x 'a b'",
        settle=1,
        write="disc",
    )
    assert (made.after, made.move_to, made.write) == (After.MOVE, Path("done"), Path("disc"))
    assert (made.ignore, made.on_study) == (("*.dcm",), ("run", "-x", "a b"))
    assert Settings(ignore=["*.a"], on_study=["true"]).on_study == ("true",)


@pytest.mark.parametrize(
    "wrong",
    [
        {"after": "burn"},
        {"settle": "5"},
        {"quiet": True},
        {"tries": 2.5},
        {"poll": "often"},
        {"poll": -1},
        {"once": "no"},
        {"complete": 1},
        {"wait": None},
        {"ignore": [1]},
        {"on_study": ""},
        {"on_study": [None]},
        {"move_to": 3, "after": "move"},
        {"write": b"x" * 3 + b"\0", "settle": "1"},
        {"max_hints": "many"},
    ],
)
def test_settings_that_can_not_be_meant_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Settings(**wrong)


def test_settings_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="move"):
        Settings(after=After.MOVE)
    with pytest.raises(ValueError, match="tries"):
        Settings(tries=0)


def test_a_text_keeps_the_sources_if_it_says_so(home: House) -> None:
    drop(home.inbox, "a", CT.read_bytes())
    home.drain(after="keep")
    assert home.names() == ["a"]
