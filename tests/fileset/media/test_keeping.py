"""Pages and viewers are made while others can change the repository, and are there when needed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, MR, OVERLAY

from fileset import FileSet
from fileset.errors import RefusedError
from fileset.media import keeping
from fileset.media.extras import Extras
from fileset.media.keeping import Keeping, Measuring
from fileset.repository.garbage import collect
from fileset.repository.repository import Repository
from ledger.digest import digest_of
from projections.medium import handout

ALL = Extras(pages=True, viewer=True)


@pytest.fixture
def filled(fs: FileSet) -> FileSet:
    fs.add_many([CT, MR])
    return fs


def other(fs: FileSet) -> Any:
    """Open the repository as another program does, which waits for nobody."""
    assert fs.repository.path is not None
    repository = Repository.open(fs.repository.path)
    repository.patience = 0
    return closing(repository)


def test_nobody_waits_while_they_are_made_and_progress_is_told(
    filled: FileSet, tmp_path: Path
) -> None:
    told: list[tuple[str, int, int]] = []

    def change_it(what: str, done: int, total: int) -> None:
        told.append((what, done, total))
        with other(filled) as repository, repository.change():
            repository.set_identity("id", f"ID{len(told)}")

    filled.media.make(tmp_path / "disc.iso", extras=ALL, progress=change_it)
    filled.media.remake(1, tmp_path / "again.iso")
    assert (tmp_path / "again.iso").read_bytes() == (tmp_path / "disc.iso").read_bytes()
    # A page and a place in the viewer for each of the two.
    assert [each for each in told if each[0] == "Preparing"] == [
        ("Preparing", done, 4) for done in (1, 2, 3, 4)
    ]
    assert told[-1] == ("Writing", size := (tmp_path / "disc.iso").stat().st_size, size)


def test_each_volume_is_folded_and_its_dicomdir_encoded_once(
    filled: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled.add(OVERLAY)
    calls = Counter[str]()

    def counted(name: str, function: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            calls[name] += 1
            return function(*args, **kwargs)

        return call

    monkeypatch.setattr(handout, "encode_directory", counted("dicomdir", handout.encode_directory))
    monkeypatch.setattr(Repository, "at", counted("state", Repository.at))
    volumes = filled.media.make(tmp_path / "disc.iso", extras=ALL, capacity=1_400_000)
    assert len(volumes) == 2
    assert calls == {"dicomdir": 2, "state": 2}


@pytest.mark.parametrize("together", [1, 300, 10_000])
def test_what_is_put_into_the_vault_in_parts_is_the_same(
    filled: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, together: int
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "A.TXT").write_bytes(b"own" * 100)
    extras = Extras(pages=True, viewer=True, include=tmp_path / "own")
    filled.media.make(tmp_path / "one.iso", extras=extras)
    monkeypatch.setattr(keeping, "_TOGETHER", together)
    filled.media.make(tmp_path / "two.iso", extras=extras)
    assert (tmp_path / "one.iso").read_bytes() == (tmp_path / "two.iso").read_bytes()
    assert filled.verify() == []


@pytest.mark.parametrize("size", [0, 99, 100, 1000])
def test_content_in_chunks_is_what_it_is_and_in_the_vault_once_that_is_done(
    fs: FileSet, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr(keeping, "_TOGETHER", 100)
    data = bytes(range(250)) * 4
    keeper = Keeping(fs.repository)
    found = [
        each.add_chunks((data[at : min(at + 7, size)] for at in range(0, size, 7)), size)
        for each in (keeper, Measuring())
    ]
    keeper.done()
    assert {content.digest for content in found} == {digest_of(data[:size])}
    assert fs.repository.vault.read(found[0].digest) == data[:size]


def test_what_a_collection_of_garbage_drops_meanwhile_is_noticed(
    filled: FileSet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = Keeping.done

    def then_collect(self: Keeping) -> None:
        done(self)
        with other(filled) as repository:
            assert collect(repository, dry_run=False)

    monkeypatch.setattr(Keeping, "done", then_collect)
    position = filled.state.position
    with pytest.raises(RefusedError, match="dropped meanwhile"):
        filled.media.make(tmp_path / "disc.iso", extras=ALL)
    assert filled.repository.journal.position == position
    assert filled.media.list() == []
    assert not (tmp_path / "disc.iso").exists()


@pytest.mark.parametrize("step", [1, 4])
def test_an_erasure_while_they_are_made_is_noticed_and_nothing_begun(
    filled: FileSet, tmp_path: Path, step: int
) -> None:
    erasing: Iterator[int] = iter(range(step, 0, -1))

    def erase(*_: object) -> None:
        if next(erasing, 0) == 1:
            with other(filled) as repository, FileSet(repository=repository) as fs:
                fs.erase(PatientID="4MR1", reason="asked for", take_off=True)

    with pytest.raises(RefusedError, match="Nothing was made: 1 instance of it was erased"):
        filled.media.make(tmp_path / "disc.iso", extras=ALL, progress=erase)
    assert filled.media.list() == []


def test_what_can_not_be_made_is_refused_before_anything_is_prepared(
    filled: FileSet, tmp_path: Path
) -> None:
    (tmp_path / "disc.iso").touch()
    told: list[str] = []
    with pytest.raises(RefusedError, match="is there already"):
        filled.media.make(
            tmp_path / "disc.iso", extras=ALL, progress=lambda what, *_: told.append(what)
        )
    assert told == []
