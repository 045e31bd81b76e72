"""Writes as a File-set has them: what is interrupted, given up or refused, and what comes of it."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import examples

from fileset import FileSet
from fileset.contents import Contents
from fileset.repository import Repository
from fileset.writing import Writer
from ledger.events import WriteAbandoned, WriteCompleted
from projections.materializer import MediumError, WriteFailedError

CT, MR = (Path(examples.get_path(name)) for name in ("ct", "mr"))


class Bench:
    """A repository on disk with a root to write to."""

    def __init__(self, folder: Path) -> None:
        self.path, self.root = folder / "repo", folder / "root"
        self.repository = Repository.create(self.path, lambda _: None)
        self.files = FileSet(repository=self.repository)

    def writer(self) -> Writer:
        return Writer(self.repository, Contents(self.repository))

    def reopen(self) -> None:
        self.repository.close()
        self.repository = Repository.open(self.path)
        self.files = FileSet(repository=self.repository)

    def killed_write(self, at: str = "replace") -> None:
        """Write in a child process that is killed when it would first call os.`at`."""
        self.repository.close()
        child = os.fork()
        if not child:  # pragma: no cover - no coverage leaves a process that kills itself
            try:
                self.repository = Repository.open(self.path)
                setattr(os, at, lambda *_, **__: os.kill(os.getpid(), signal.SIGKILL))
                self.writer().write(self.root)
            finally:
                os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.WIFSIGNALED(status)
        self.reopen()

    def last_events(self) -> list[type]:
        return [type(recorded.event) for recorded in self.repository.journal.read()]

    def written(self) -> set[str]:
        return {p.relative_to(self.root).as_posix() for p in self.root.rglob("*") if p.is_file()}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    found = Bench(tmp_path)
    found.files.add(CT)
    yield found
    found.repository.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # fork beside threads of the test runner
def test_an_interrupted_write_is_completed_by_the_next_one(bench: Bench) -> None:
    bench.killed_write()
    assert bench.repository.state.writing is not None
    bench.files.add(MR)

    bench.writer().write(bench.root)

    assert bench.last_events().count(WriteCompleted) == 2
    assert len(bench.written()) == 3
    assert bench.repository.state.writing is None


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("other", ["another", "gone"])
def test_an_interrupted_write_is_not_completed_on_another_medium(bench: Bench, other: str) -> None:
    bench.writer().write(bench.root)
    bench.files.add(MR)
    bench.killed_write()
    kept = bench.root.with_name("kept")
    bench.root.rename(kept)
    if other == "another":
        bench.root.mkdir()
        shutil.copyfile(examples.get_path("dicomdir"), bench.root / "DICOMDIR")
    before = bench.written() if bench.root.exists() else None

    with pytest.raises(MediumError, match="put the medium back to complete it"):
        bench.writer().write()

    assert (bench.written() if bench.root.exists() else None) == before
    shutil.rmtree(bench.root, ignore_errors=True)
    kept.rename(bench.root)
    bench.writer().write()
    assert len(bench.written()) == 3


def test_a_write_that_failed_and_was_rolled_back_is_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "mkdir", fail)
        with pytest.raises(WriteFailedError, match="Nothing was changed"):
            bench.writer().write(bench.root)

    assert bench.last_events()[-1] is WriteAbandoned
    assert bench.repository.state.writing is None
    assert not bench.root.exists()


def test_a_write_that_the_user_interrupts_is_over_once_it_is_rolled_back(bench: Bench) -> None:
    def interrupt(_: int, __: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench.writer().write(bench.root, progress=interrupt)

    assert bench.last_events()[-1] is WriteAbandoned
    assert not bench.root.exists()
    bench.writer().write(bench.root)
    assert len(bench.written()) == 2


def test_a_file_of_others_in_the_way_is_named(bench: Bench) -> None:
    path = "PT000000/ST000000/SE000000/IM000000"
    (bench.root / path).parent.mkdir(parents=True)
    (bench.root / path).write_bytes(b"not ours")

    with pytest.raises(MediumError, match=f"such as {path}: move them away"):
        bench.writer().write(bench.root)

    assert (bench.root / path).read_bytes() == b"not ours"


def test_a_file_where_a_folder_has_to_be_is_named(bench: Bench) -> None:
    bench.root.mkdir()
    (bench.root / "PT000000").write_bytes(b"not ours")

    with pytest.raises(MediumError, match="such as PT000000: move them away"):
        bench.writer().write(bench.root)


def test_a_staging_folder_of_others_is_kept_clear_of(bench: Bench) -> None:
    (bench.root / "STG00000").mkdir(parents=True)
    (bench.root / "STG00000" / "theirs").write_bytes(b"theirs")
    bench.files.add(MR)
    bench.writer().write(bench.root)
    bench.files.remove(next(iter(bench.files)))

    bench.writer().write()

    assert (bench.root / "STG00000" / "theirs").read_bytes() == b"theirs"
    assert len(bench.written()) == 3
