"""audit: its commands, and what makes no sense of them."""

from __future__ import annotations

from pathlib import Path

from cli_runs import Cli, run


def test_what_makes_no_sense_is_a_usage_error(cli: Cli, tmp_path: Path) -> None:
    for arguments in (
        ["send"],
        ["send", "--to", "host", "--spool", tmp_path],
        ["send", "--spool", tmp_path / "s", "--ca", "x"],
        ["send", "--to", "host", "--key", "x"],
        ["send", "--to", "host:port"],
        ["send", "--to", "host:0"],
        ["send", "--to", ":6514"],
        ["show", "--after", "-1"],
        ["show", "--limit", 0],
        ["what"],
    ):
        cli("audit", *arguments, code=2)
    assert "Send what was not sent yet" in run("audit", "--help").out
