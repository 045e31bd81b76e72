"""`fileset media remake`: the same bytes, or why not."""

from __future__ import annotations

from pathlib import Path

from cli_runs import Cli


def test_a_medium_that_there_is_not_is_refused(filled: Cli, tmp_path: Path) -> None:
    assert "There is no medium 1" in filled("media", "show", 1, code=3).err
    assert "There is no medium 1" in filled("media", "remake", 1, tmp_path / "a", code=3).err
    filled("media", "show", 0, code=2)
    filled("media", "verify", tmp_path / "nothing", code=2)


def test_a_medium_is_not_made_again_under_a_name_of_another_kind(
    filled: Cli, tmp_path: Path
) -> None:
    filled("media", "make", tmp_path / "disc.iso")
    err = filled("media", "remake", 1, tmp_path / "again.zip", code=2).err
    assert "than what is to be made (ISO image): end its name in .iso." in err
    assert not (tmp_path / "again.zip").exists()
