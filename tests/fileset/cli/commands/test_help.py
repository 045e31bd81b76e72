"""`help`: the help of any command, or of all."""

from __future__ import annotations

from cli_runs import run


def test_it_is_what_the_option_shows() -> None:
    assert run("help").out == run("--help").out
    assert run("help", "add").out == run("add", "--help").out
    assert run("help", "media", "make").out == run("media", "make", "--help").out
    document = run("help", "media", "--json").document
    assert document["command"] == "media"
    assert "Prove" not in document["text"]
    assert document["text"].splitlines() == run("help", "media").out.splitlines()


def test_what_is_no_command_has_none() -> None:
    assert "No such command 'x'" in run("help", "x", code=2).err
    assert "'fileset add' has no commands of its own" in run("help", "add", "x", code=2).err
