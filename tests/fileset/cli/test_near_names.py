"""A word that is none of those that can be: the message names the nearest."""

from __future__ import annotations

import pytest
from cli_runs import Cli, run


@pytest.mark.parametrize(
    ("arguments", "meant"),
    [
        (["stauts"], "status"),
        (["media", "mkae"], "make"),
        (["help", "remve"], "remove"),
        (["write", "--layuot", "existing"], "--layout"),
        (["write", "--layout", "exsting"], "existing"),
        (["add", "--place", "refrence", "x"], "reference"),
        (["quarantine", "lst"], "list"),
        (["set", "charst=ISO_IR 100"], "charset"),
        (["set", "charset=ISO_IR100"], "ISO_IR 100"),
        (["log", "--kind", "ad"], "add"),
        (["find", "PatientNme=X"], "PatientName"),
        (["completion", "bsh"], "bash"),
    ],
)
def test_the_nearest_word_is_named(cli: Cli, arguments: list[str], meant: str) -> None:
    told = cli(*arguments, code=2).err
    assert "Did you mean" in told
    assert meant in told.partition("Did you mean")[2]


def test_nothing_is_suggested_that_is_not_like_it() -> None:
    assert "Did you mean" not in run("xyzzy", code=2).err
