"""On a terminal: the pager, colours, and lines that fit; elsewhere none of that."""

from __future__ import annotations

import os
import pty
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest
from cli_runs import CT, MR, PROJECT, Cli, command_line, spawn

from fileset.cli.screen.pager import paging

ENDLESS = """
from itertools import count
from fileset.cli.screen.output import Answer
from fileset.cli.session import Session
Session().answer(Answer({}, (f"line {n}" for n in count())), "fileset log", 1, pages=True)
print("and on")
"""
"""A program with an answer of which somebody has to see enough."""


def on_terminal(*arguments: object, program: list[str] | None = None, **variables: str) -> str:
    """Return what a process prints on a terminal of 60 columns; it has to end well."""
    controller, terminal = pty.openpty()
    with subprocess.Popen(
        program or command_line(*arguments),
        stdin=subprocess.DEVNULL,
        stdout=terminal,
        stderr=terminal,
        env=environment({"TERM": "xterm", "COLUMNS": "60", **variables}),
    ) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                part = os.read(controller, 1 << 16)
            except OSError:  # nobody has it open any more
                break
            if not part:
                break
            shown += part
    os.close(controller)
    assert process.returncode == 0, shown
    return shown.decode().replace("\r\n", "\n")


def environment(variables: Mapping[str, str]) -> dict[str, str]:
    own = {"PAGER", "FILESET_PAGER", "LESS", "NO_COLOR", "FORCE_COLOR", "TERM"}
    kept = {name: value for name, value in os.environ.items() if name not in own}
    return {**kept, "PYTHONPATH": os.fspath(PROJECT), **variables}


@pytest.fixture
def filled(cli: Cli) -> Cli:
    cli("add", CT, MR, "--reason", "a reason that is too long for a line of this terminal")
    return cli


PAGED = "sed 's/^/paged: /'"


def test_a_long_answer_goes_through_the_pager_on_a_terminal_alone(filled: Cli) -> None:
    log = ("--repo", filled.repository, "log")
    assert on_terminal(*log, FILESET_PAGER=PAGED).startswith("paged: ")
    assert on_terminal(*log, PAGER=PAGED).startswith("paged: ")
    assert "paged" not in on_terminal(*log, PAGER=PAGED, FILESET_PAGER="cat")
    for others in (["--no-pager"], ["--json"], ["--quiet"]):
        assert "paged" not in on_terminal(*log, *others, FILESET_PAGER=PAGED)
    assert "paged" not in on_terminal(*log, PAGER=PAGED, TERM="dumb")
    assert "paged" not in spawn(*log, variables={"FILESET_PAGER": PAGED}).stdout


def test_the_pager_is_told_to_colour_and_not_to_wrap_unless_the_environment_says(
    filled: Cli,
) -> None:
    log, pager = ("--repo", filled.repository, "log"), {"FILESET_PAGER": "echo $LESS"}
    assert on_terminal(*log, **pager) == "FRSX\n"
    assert on_terminal(*log, **pager, LESS="R") == "R\n"


def test_a_pager_that_is_not_there_is_told_and_done_without(filled: Cli) -> None:
    missing = {"FILESET_PAGER": "no-such-pager -x", "NO_COLOR": "1"}
    shown = on_terminal("--repo", filled.repository, "log", **missing)
    assert "warning: FILESET_PAGER names the pager 'no-such-pager -x', which can't be run" in shown
    assert "2 instances added" in shown


def test_who_leaves_the_pager_early_has_seen_enough_and_that_is_no_failure() -> None:
    program = [sys.executable, "-c", ENDLESS]
    shown = on_terminal(program=program, FILESET_PAGER="head -n 2")
    assert shown == "line 0\nline 1\nand on\n"


def test_ctrl_c_is_the_pagers(filled: Cli) -> None:
    struck = "kill -INT $PPID; sed 's/^/still: /'"
    shown = on_terminal("--repo", filled.repository, "log", FILESET_PAGER=struck)
    assert shown.count("still: ") == 2
    minds = f"{sys.executable} -c 'import signal; print(signal.getsignal(signal.SIGINT))'"
    shown = on_terminal("--repo", filled.repository, "log", FILESET_PAGER=minds)
    assert "default_int_handler" in shown


@pytest.mark.skipif(shutil.which("less") is None, reason="less is not installed")
def test_ctrl_c_is_ours_again_if_the_pager_can_t_be_started() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="null"), paging("less\0"):
        pass
    assert signal.getsignal(signal.SIGINT) is before


def test_with_less_what_fits_is_simply_printed_in_colour(filled: Cli) -> None:
    shown = on_terminal("--repo", filled.repository, "log", "--oneline", LINES="24")
    assert "2 instances added" in shown
    assert "\x1b[" in shown


def test_colours_are_where_a_terminal_is_or_where_they_are_asked_for(filled: Cli) -> None:
    log = ("--repo", filled.repository, "--no-pager", "log")
    for variables in ({"TERM": "dumb"}, {"NO_COLOR": "1", "FORCE_COLOR": "1"}):
        assert "\x1b" not in on_terminal(*log, **variables)
    assert "\x1b[" in on_terminal(*log, NO_COLOR="")
    assert "\x1b[" in spawn(*log, variables={"FORCE_COLOR": "1"}).stdout


def test_a_line_of_oneline_is_cut_between_words_where_the_terminal_ends(filled: Cli) -> None:
    oneline = ("--repo", filled.repository, "log", "--oneline")
    lines = on_terminal(*oneline, FILESET_PAGER="cat", NO_COLOR="1").splitlines()
    assert len(lines) == 2
    assert max(map(len, lines)) <= 60
    assert lines[1].endswith((" that\u2026", " is\u2026", " reason\u2026", " a\u2026", " (a\u2026"))
    whole = filled("log", "--oneline").out.splitlines()
    assert whole[1].endswith("for a line of this terminal)")
    assert [line[:12] for line in whole] == [line[:12] for line in lines]


def test_oneline_and_events_are_not_given_together(filled: Cli) -> None:
    assert "leave out --events" in filled("log", "--oneline", "--events", code=2).err


def test_quiet_is_silent_where_all_is_well_and_tells_what_is_not(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "none").write_text("no DICOM")
    assert cli("-q", "add", CT).out == ""
    told = cli("add", "--quiet", tmp_path / "none", MR, code=1)
    assert told.out == ""
    assert "none: no DICM prefix" in told.err
    assert "nothing to redo" in cli("-q", "redo", code=3).err
    assert cli.json("-q", "status")["instances"] == 2
    assert "Adding" not in on_terminal("--repo", cli.repository, "-q", "add", CT)


def test_times_are_local_and_can_be_typed_or_in_utc(filled: Cli) -> None:
    zone = {"TZ": "Asia/Kolkata"}
    log = ("--repo", filled.repository, "log", "-n", 1)
    time = spawn(*log, variables=zone).stdout.split()[2]
    assert time.endswith("+05:30")
    assert "2 instances" in spawn(*log, "--since", time, variables=zone).stdout
    for utc in (spawn(*log, "--utc", variables=zone), spawn("--utc", *log, variables=zone)):
        assert utc.stdout.split()[2].endswith("Z")
