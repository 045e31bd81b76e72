"""A File-set is named by its folder or by its DICOMDIR, wherever one is asked for."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import CT, Cli, indexed_disc, run


@pytest.fixture
def disc(tmp_path: Path) -> Path:
    return indexed_disc(tmp_path / "disc", CT=CT)


@pytest.mark.parametrize("name", [".", "DICOMDIR"])
def test_a_folder_and_its_dicomdir_are_the_same_file_set(
    disc: Path, cli: Cli, tmp_path: Path, name: str
) -> None:
    named = disc / name
    assert "all is well" in run("verify", named).out
    assert "1 instance" in run("init", tmp_path / "adopted", "--from", named).out
    assert "1 instance" in run("init", tmp_path / "mended", "--from", named, "--repair").out
    cli("add", CT)
    assert f"the medium at {disc}: the same instances" in cli("diff", "--root", named).out
    assert "Indexed 1 instance" in run("index", named, "--replace").out


@pytest.mark.parametrize("name", ["dicomdir", "DICOMDIR.", "DICOMDIR.;1", "Dicomdir"])
def test_the_dicomdir_of_a_folder_may_have_the_name_that_a_medium_gives_it(
    disc: Path, tmp_path: Path, name: str
) -> None:
    (disc / "DICOMDIR").rename(disc / name)
    assert "1 instance" in run("init", tmp_path / "adopted", "--from", disc).out
    assert f"There is {name}: " in run("verify", disc / name, code=1).out


def test_what_is_neither_is_told(disc: Path, tmp_path: Path) -> None:
    for command in (["verify"], ["index"], ["diff", "--root"]):
        assert "neither a folder nor a DICOMDIR" in run(*command, disc / "CT", code=2).err
        assert "does not exist" in run(*command, tmp_path / "nothere", code=2).err
    (tmp_path / "empty").mkdir()
    told = run("init", tmp_path / "r", "--from", tmp_path / "empty", code=2).err
    assert f"`fileset --repo REPO add {tmp_path / 'empty'}` adds them" in told
    assert not told.startswith("Usage")
    assert not (tmp_path / "r").exists()
