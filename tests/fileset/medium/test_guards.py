"""Where a File-set may be written, and a repository, a copy, a journal or a key put."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import CT, MR, Cli, run

from fileset import FileSet
from fileset.medium.errors import MediumError
from fileset.medium.paths import is_in


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a repository `r`, its medium `disc`, and links to the vault and the medium."""
    run("init", tmp_path / "r")
    cli = Cli(tmp_path / "r")
    cli("add", CT, MR)
    cli("write", tmp_path / "disc")
    for name, target in (("vault-link", "r/vault"), ("disc-link", "disc"), ("here", ".")):
        (tmp_path / name).symlink_to(target)
    (tmp_path / "in").mkdir()
    return tmp_path


def everything(folder: Path) -> list[str]:
    """Return all that lies in `folder`, but for what any opening of a repository may make."""
    paths = (path.relative_to(folder).as_posix() for path in folder.rglob("*"))
    return sorted(path for path in paths if not path.startswith("r/cache"))


IN_REPOSITORY = ["r", "r/vault", "r/a/b", "vault-link", "vault-link/a", "here/r/a", "in/../r/a"]
ON_MEDIUM = ["disc", "disc/sub", "disc-link", "disc-link/a/b", "disc/../disc/PT000000"]
AROUND = [".", "here", "disc/.."]


@pytest.mark.parametrize("root", [*IN_REPOSITORY, *AROUND])
@pytest.mark.parametrize("how", [("--at", "3"), ("--new-medium",)], ids=" ".join)
def test_nothing_is_written_in_or_around_a_repository(
    place: Path, root: str, how: tuple[str, ...]
) -> None:
    before = everything(place)
    err = Cli(place / "r")("write", f"{place}/{root}", *how, code=3).err
    assert "repository" in err
    assert "write to another folder" in err
    assert everything(place) == before


@pytest.mark.parametrize("root", ON_MEDIUM)
def test_no_copy_is_written_onto_the_medium(place: Path, root: str) -> None:
    before = everything(place)
    assert "overlap" in Cli(place / "r")("write", f"{place}/{root}", "--at", "3", code=3).err
    with FileSet.open(place / "r") as fs, pytest.raises((MediumError, ValueError)):
        fs.copy(place / root)
    assert everything(place) == before


def test_no_copy_is_written_to_where_the_medium_belongs_while_that_is_away(place: Path) -> None:
    (place / "disc").rename(place / "elsewhere")
    assert "overlap" in Cli(place / "r")("write", place / "disc/sub", "--at", "3", code=3).err


@pytest.mark.parametrize("root", [*IN_REPOSITORY, *AROUND])
def test_no_copy_by_the_api_is_in_or_around_the_repository(place: Path, root: str) -> None:
    with FileSet.open(place / "r") as fs, pytest.raises(MediumError, match="repository"):
        fs.copy(place / root)


@pytest.mark.parametrize("root", ["r", "r/vault", "vault-link"])
@pytest.mark.parametrize("options", [(), ("--rename",)], ids=["in place", "renaming"])
def test_no_folder_of_a_repository_is_indexed(
    place: Path, root: str, options: tuple[str, ...]
) -> None:
    before = everything(place)
    err = run("index", place / root, *options, code=3).err
    assert "is in the repository" in err
    assert everything(place) == before


@pytest.mark.parametrize("name", ["r/new", "vault-link/new", "disc/new", "disc-link/a/new"])
@pytest.mark.parametrize(
    "make",
    [
        lambda place, new: run("init", new, code=3),
        lambda place, new: run("init", new, "--from", place / "disc", code=3),
        lambda place, new: Cli(place / "r")("export-journal", new, code=3),
        lambda place, new: run("keygen", new, code=3),
        lambda place, new: Cli(place / "r")(
            "checkpoint", "--key", place / "key", "--out", new, code=3
        ),
    ],
    ids=["init", "init --from", "export-journal", "keygen", "checkpoint"],
)
def test_what_is_new_goes_into_no_repository_and_no_file_set(
    place: Path, name: str, make: Callable[[Path, Path], object]
) -> None:
    run("keygen", place / "key")
    before = everything(place)
    made = make(place, place / name)
    assert "is in the " in getattr(made, "err", "")
    assert everything(place) == before


def test_a_new_repository_may_be_named_by_way_of_another_one(place: Path) -> None:
    run("init", f"{place}/r/../second")
    assert (place / "second" / "repository.toml").is_file()


def test_a_medium_that_lies_around_its_repository_from_before_stays_its_home(
    tmp_path: Path,
) -> None:
    run("init", tmp_path / "r")
    Cli(tmp_path / "r")("add", CT)
    Cli(tmp_path / "r")("write", tmp_path / "disc")
    (tmp_path / "r").rename(tmp_path / "disc/r")
    moved = Cli(tmp_path / "disc/r")
    moved("add", MR)
    moved("write", tmp_path / "disc")
    assert moved.status() == ""


def test_names_in_other_case_are_the_same_folder_where_the_file_system_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_file(path: Path, other: Path) -> bool:
        return os.fspath(path).casefold() == os.fspath(other).casefold()

    assert not is_in(tmp_path / "DISC/sub", tmp_path / "disc")
    monkeypatch.setattr("fileset.medium.paths.samefile", one_file)
    assert is_in(tmp_path / "DISC/sub", tmp_path / "disc")
    assert not is_in(tmp_path / "disc2", tmp_path / "disc")
