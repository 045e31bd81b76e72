"""`fileset media list`: all that was handed out."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from cli_runs import Cli, command_line


def test_a_reader_who_goes_away_leaves_a_medium_that_is_not_finished(filled: Cli) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        command_line("--repo", filled.repository, "media", "make", "-", "--format", "iso"),
        stdout=writer, stderr=subprocess.PIPE, check=False,
    )  # fmt: skip
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b""), "as with any program before `head`"
    (medium,) = filled.json("media", "list")["media"]
    assert (medium["finished_at"], medium["digest"]) == (None, None)
    assert "not finished" in filled("media", "list").out
    assert "must not be handed out" in filled("media", "show", 1).out


def test_the_log_finds_media_by_their_kind(filled: Cli, tmp_path: Path) -> None:
    filled("media", "make", tmp_path / "disc.iso")
    assert len(filled.json("log", "--kind", "medium")["changes"]) == 2
