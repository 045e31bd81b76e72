"""`fileset media remake`: the same bytes, or why not."""

from __future__ import annotations

from pathlib import Path

from cli_runs import Cli


def test_a_medium_that_there_is_not_is_refused(filled: Cli, tmp_path: Path) -> None:
    assert "There is no medium 1" in filled("media", "show", 1, code=3).err
    assert "There is no medium 1" in filled("media", "remake", 1, tmp_path / "a", code=3).err
    filled("media", "show", 0, code=2)
    filled("media", "verify", tmp_path / "nothing", code=2)
