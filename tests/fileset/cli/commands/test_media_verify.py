"""`fileset media verify`: a medium is as it was made, or the exit code says that it is not."""

from __future__ import annotations

from pathlib import Path

from cli_runs import CT, Cli


def test_a_folder_that_differs_exits_with_1_and_names_the_files(
    filled: Cli, tmp_path: Path
) -> None:
    filled("media", "make", tmp_path / "out")
    for path in (tmp_path / "out").rglob("IM*"):
        path.unlink()
    run = filled("media", "verify", tmp_path / "out", code=1)
    assert "2 files not as made:" in run.out
    assert "  missing: PT000000/ST000000/SE000000/IM000000" in run.out
    assert " differed " in filled("media", "list").out
    assert "2 problems, the first one PT000000/" in filled("media", "show", 1).out


def test_a_file_that_is_no_medium_of_the_journal_exits_with_1(filled: Cli) -> None:
    run = filled("media", "verify", CT, code=1)
    assert run.out.startswith("This medium is not in the journal.\n")
    assert f"{CT}: no disc by ISO 9660" in run.out
