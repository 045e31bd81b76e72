"""What things cost, by counting: files opened, statements, flushes, events folded, memory.

Never by time. Each cost is counted on a small and on a larger File-set, in one series: where it
must follow the change and not the File-set, the two counts are equal. `benchmarks/` has the
times.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sqlite3
import sys
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from attrs import define, evolve, field
from faults.tracing import why_not
from models import calls
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

import fileset.repository.caches
from benchmarks.counting import asked_of_system
from fileset import FileSet, Indexer, Repository
from fileset.cli.browser import hierarchy as shown_hierarchy
from fileset.cli.browser.app import Browser, Subject
from fileset.cli.session import Session
from fileset.repository import states
from ledger.events import MediumLeft
from ledger.files import LARGE
from projections.kept import rows
from projections.kept.columns import Texts
from projections.state import fold, hierarchy, listed
from projections.state.nodes import Leaf

FEW, MANY = 80, 240  # enough that files are flushed together


# --- what is counted -----------------------------------------------------------------------------


@define
class Costs:
    """What was done: paths opened, linked and unlinked, SQL, flushes, events folded."""

    read: Counter[str] = field(factory=Counter)
    written: Counter[str] = field(factory=Counter)
    linked: Counter[str] = field(factory=Counter)
    unlinked: Counter[str] = field(factory=Counter)
    statements: Counter[str] = field(factory=Counter)
    flushes: int = 0
    folded: int = 0

    def below(self, folder: Path) -> Costs:
        """Return these costs with the paths below `folder` only, relative to it."""

        def relative(paths: Counter[str]) -> Counter[str]:
            inside = {p: n for p, n in paths.items() if Path(p).is_relative_to(folder)}
            return Counter({str(Path(p).relative_to(folder)): n for p, n in inside.items()})

        return evolve(
            self,
            read=relative(self.read),
            written=relative(self.written),
            linked=relative(self.linked),
            unlinked=relative(self.unlinked),
        )

    def transactions(self) -> Counter[str]:
        """Return the statements that are about transactions."""
        words = ("BEGIN", "COMMIT", "END", "ROLLBACK")
        return Counter({sql: n for sql, n in self.statements.items() if sql.startswith(words)})

    def note(self, event: str, arguments: tuple[Any, ...]) -> None:
        """Take account of an audit event."""
        if event == "ctypes.dlsym" and arguments[1] == "syncfs":
            self.flushes += 1
        elif event in {"open", "os.link", "os.remove"} and isinstance(arguments[0], str | Path):
            path = os.fspath(arguments[0])
            if event == "os.remove":
                self.unlinked[path] += os.path.lexists(path)
            elif event == "os.link":
                self.linked[path] += 1
            elif not Path(path).is_dir():
                writes = arguments[2] & (os.O_WRONLY | os.O_RDWR)
                (self.written if writes else self.read)[path] += 1


_counting: list[Costs] = []


def _hook(event: str, arguments: tuple[Any, ...]) -> None:
    for costs in _counting:
        costs.note(event, arguments)


sys.addaudithook(_hook)  # for the life of the process: there is no taking it back


@contextmanager
def counted() -> Iterator[Costs]:
    """Count what the block does; the SQL only of repositories that are opened in it."""
    costs = Costs()
    connect, fsync, apply = sqlite3.connect, os.fsync, fold.apply

    def traced(*arguments: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*arguments, **options)
        connection.set_trace_callback(lambda sql: costs.statements.update([_shape(sql)]))
        return connection

    def flush(fd: int) -> None:
        costs.flushes += 1
        fsync(fd)

    def applied(*arguments: Any) -> None:
        costs.folded += 1
        apply(*arguments)

    with (
        mock.patch.object(sqlite3, "connect", traced),
        mock.patch.object(os, "fsync", flush),
        mock.patch.object(fold, "apply", applied),
        mock.patch.object(states, "apply", applied),
    ):
        _counting.append(costs)
        try:
            yield costs
        finally:
            _counting.remove(costs)


def _shape(sql: str) -> str:
    """Return a statement without its values."""
    return sql.upper().partition("VALUES")[0].partition("WHERE")[0].strip()


# --- File-sets -----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    return {count: make_series(tmp_path_factory.mktemp("source"), count) for count in (FEW, MANY)}


def make_series(folder: Path, count: int, first: int = 0, pixels: int = 0) -> Path:
    folder.mkdir(exist_ok=True)
    ds = Dataset()
    if pixels:
        ds.BitsAllocated, ds.PixelData = 8, bytes(pixels + pixels % 2)
    ds.SOPClassUID = CTImageStorage
    ds.PatientID = ds.PatientName = ds.StudyID = "1"
    ds.StudyDate, ds.StudyTime, ds.Modality = "20240229", "120000", "CT"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SeriesNumber = "1.2.3", "1.2.3.4", 1
    for number in range(first, first + count):
        ds.SOPInstanceUID = f"1.2.3.4.{number + 1}"
        ds.InstanceNumber = number
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        ds.save_as(folder / f"IM{number:06d}", enforce_file_format=True)
    return folder


@define
class Made:
    """A File-set that was written, closed again."""

    repository: Path
    medium: Path

    def open(self) -> FileSet:
        return FileSet.open(self.repository)


@pytest.fixture
def made(sources: dict[int, Path], tmp_path: Path) -> dict[int, Made]:
    found = {}
    for count, source in sources.items():
        one = found[count] = Made(tmp_path / f"repository-{count}", tmp_path / f"medium-{count}")
        with FileSet(repository=one.repository) as fs:
            fs.add_many(source)
            fs.write(one.medium)
    return found


def count_in(made: Made, task: Callable[[FileSet], object]) -> Costs:
    """Return what `task` costs on the medium, and its SQL and flushes; not what opening does."""
    with counted() as costs, made.open() as fs:
        assert len(fs)
        opening = (costs.statements.copy(), costs.flushes, costs.folded)
        task(fs)
        return evolve(
            costs.below(made.medium),
            statements=costs.statements - opening[0],
            flushes=costs.flushes - opening[1],
            folded=costs.folded - opening[2],
        )


# --- what follows the batch ----------------------------------------------------------------------


def test_a_batch_is_added_in_as_many_transactions_and_flushes_as_any_other(
    sources: dict[int, Path], tmp_path: Path
) -> None:
    few, many = (
        add_counted(source, tmp_path / f"repository-{count}") for count, source in sources.items()
    )

    assert few.transactions() == many.transactions()
    assert few.flushes == many.flushes <= 10
    assert many.folded <= MANY + 1
    # Its event, with a trigger, and in the vault's index whether its bytes are there and where.
    assert many.statements.total() - few.statements.total() <= 4 * (MANY - FEW)


def test_each_file_that_is_added_is_opened_once(sources: dict[int, Path], tmp_path: Path) -> None:
    costs = add_counted(sources[MANY], tmp_path / "repository").below(sources[MANY])

    assert set(costs.read.values()) == {1}
    assert len(costs.read) == MANY
    assert not costs.written


def test_one_more_instance_waits_once_for_the_vault_and_once_for_the_journal(
    sources: dict[int, Path], tmp_path: Path
) -> None:
    first, second, third, *_ = sorted(sources[FEW].iterdir())
    FileSet(repository=tmp_path / "repository").close()
    with counted() as costs, FileSet.open(tmp_path / "repository") as fs:
        fs.add(first)
        fs.add(second)
        flushes, before = costs.flushes, costs.statements.copy()
        fs.add(third)

    done = costs.statements - before
    assert costs.flushes - flushes == 1
    assert not [sql for sql in done if sql.startswith(("INSERT OR REPLACE INTO ENTRIES", "CREATE"))]
    assert done["COMMIT"] == 1


def test_one_more_instance_asks_the_system_for_little(
    sources: dict[int, Path], tmp_path: Path
) -> None:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    asked = asked_of_system(
        "benchmarks.ours", "add_between_marks", sources[FEW], tmp_path / "repository", 1
    )

    # One for the vault. SQLite's rollback journal takes five, and a WAL one.
    assert asked.flushes == (2 if sqlite3.sqlite_version_info >= (3, 51, 3) else 6)
    assert asked.calls < 100


def test_adds_in_one_change_are_flushed_together(sources: dict[int, Path], tmp_path: Path) -> None:
    if (reason := why_not()) is not None:
        pytest.skip(reason)
    one, many = (
        asked_of_system(
            "benchmarks.ours", "add_between_marks", sources[FEW], tmp_path / f"{count}", count
        )
        for count in (1, 50)
    )

    assert many.flushes == one.flushes


def test_a_large_file_is_read_once_through_one_buffer_and_the_disk_begins_early(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = make_series(tmp_path / "source", 1, pixels=LARGE + 1) / "IM000000"
    buffers, begun = set(), []
    readv, advise = os.readv, os.posix_fadvise

    def read(fd: int, into: list[memoryview]) -> int:
        buffers.add(id(into[0].obj))
        return readv(fd, into)

    def told(fd: int, start: int, size: int, advice: int) -> None:
        begun.append((start, size))
        advise(fd, start, size, advice)

    monkeypatch.setattr(os, "readv", read)
    monkeypatch.setattr(os, "posix_fadvise", told)
    with FileSet(repository=tmp_path / "repository") as fs:
        fs.add_many(source)
        monkeypatch.undo()
        (instance,) = fs
        assert Path(instance.path).read_bytes() == source.read_bytes()

    assert len(buffers) == 1
    assert [start for start, _ in begun] == [0, *(start + size for start, size in begun[:-1])]
    assert sum(size for _, size in begun) > LARGE // 2


def add_counted(source: Path, repository: Path) -> Costs:
    FileSet(repository=repository).close()
    with counted() as costs, FileSet.open(repository) as fs:
        fs.add_many(source)
    return costs


def test_a_first_write_makes_each_file_once_and_flushes_them_together(
    sources: dict[int, Path], tmp_path: Path
) -> None:
    costs = {}
    for count, source in sources.items():
        repository, medium = tmp_path / f"repository-{count}", tmp_path / f"medium-{count}"
        with FileSet(repository=repository) as fs:
            fs.add_many(source)
        with counted() as spent, FileSet.open(repository) as fs:
            fs.write(medium)
        costs[count] = spent.below(medium)
        assert len(costs[count].written) == count + 1  # and the DICOMDIR
        assert set(costs[count].written.values()) == {1}
        assert not [path for path in spent.below(source).read if path]

    assert costs[FEW].flushes == costs[MANY].flushes <= 15
    assert costs[FEW].transactions() == costs[MANY].transactions()
    more = costs[MANY].statements.total() - costs[FEW].statements.total()
    assert more <= MANY - FEW  # where its bytes are


def test_indexing_opens_each_file_once_and_writes_only_the_dicomdir(tmp_path: Path) -> None:
    folder = make_series(tmp_path, FEW)
    with counted() as costs:
        indexer = Indexer(Repository.ephemeral(), folder)
        indexer.stage()
        indexer.write()
    spent = costs.below(folder)

    del spent.read["DICOMDIR"]  # which isn't there
    assert set(spent.read.values()) == {1}
    assert len(spent.read) == FEW
    assert all("DICOMDIR" in path for path in spent.written)
    assert len(spent.written) == 1


# --- what follows the change ---------------------------------------------------------------------


def test_a_new_id_is_written_without_opening_an_instance(made: dict[int, Made]) -> None:
    def change(fs: FileSet) -> None:
        fs.ID = "OTHER"
        fs.write()

    few, many = (count_in(one, change) for one in made.values())

    assert set(many.read) == {"DICOMDIR"}
    assert len(many.written) == 1  # the new DICOMDIR, beside the old one
    assert not many.unlinked + many.linked
    assert few.flushes == many.flushes
    assert few.statements == many.statements
    assert few.folded == many.folded


def test_removing_one_unlinks_one_file_and_writes_one(made: dict[int, Made]) -> None:
    def remove(fs: FileSet) -> None:
        fs.remove(next(iter(fs)))
        fs.write(use_existing=True)

    few, many = (count_in(one, remove) for one in made.values())

    removed = "PT000000/ST000000/SE000000/IM000000"
    ((gone, times),) = (+many.unlinked).items()
    assert gone.endswith(f"/freed/{removed}")  # taken away before, and looked at once more
    assert times == 1
    assert len(many.written) == 1
    assert not many.linked
    assert set(many.read) == {"DICOMDIR", removed, gone}
    assert few.flushes == many.flushes
    assert few.statements == many.statements
    assert few.folded == many.folded


def test_undo_costs_what_the_change_did(made: dict[int, Made]) -> None:
    called = []

    def undo(fs: FileSet) -> None:
        fs.remove(next(iter(fs)))
        called.append(calls(fs.repository.undo))

    few, many = (count_in(one, undo) for one in made.values())

    assert not many.read + many.written + many.linked + many.unlinked
    assert few.statements == many.statements
    assert few.flushes == many.flushes
    assert few.folded == many.folded == 2
    assert called[1] <= called[0] + 20


@pytest.mark.parametrize("is_written", [False, True])
def test_what_concerns_one_instance_makes_no_other_of_those_that_a_snapshot_has(
    made: dict[int, Made], is_written: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fileset.repository.caches, "_SNAPSHOT_EVERY", 1)
    one_more = make_series(tmp_path / "one", 1, first=MANY)
    counts = []
    for one in made.values():
        with one.open() as fs:
            if not is_written:
                with fs.repository.change():
                    fs.repository.emit(MediumLeft(str(one.medium), why="handed out"))
            fs.repository.rebuild()
        with leaves_made() as leaves, one.open() as fs:
            fs.add_many(one_more)
            fs.undo()
            fs.ID = "OTHER"
            assert len(fs.find(SOPInstanceUID="1.2.3.4.7")) == 1
            fs.remove(fs.find(SOPInstanceUID="1.2.3.4.8"))
            fs.undo()
        counts.append(len(leaves))

    assert counts[0] == counts[1] == 2


def test_an_instance_is_looked_up_by_its_uid_without_going_through_the_others(
    made: dict[int, Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fileset.repository.caches, "_SNAPSHOT_EVERY", 1)
    monkeypatch.setattr(rows, "_SHARE", 1)  # few as these are, they are looked up one by one
    made_of, read_of = [], []
    for one in made.values():
        with one.open() as fs:
            fs.repository.rebuild()
        with leaves_made() as leaves, texts_read() as texts, one.open() as fs:
            assert len(fs.find(SOPInstanceUID="1.2.3.4.7")) == 1
            # Of one that is not there, the first record tells that it might have been.
            assert not fs.find(SOPInstanceUID="1.2.3.4.99999")
        made_of.append(len(leaves))
        read_of.append(len(texts))

    assert made_of == [2, 2]
    assert read_of[1] <= read_of[0] + 2 * 2  # the steps of two bisections of three times as many


def test_looking_around_makes_only_the_instances_that_are_shown(
    made: dict[int, Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fileset.repository.caches, "_SNAPSHOT_EVERY", 1)
    monkeypatch.setattr(shown_hierarchy, "PAGE", 5)
    made_of = []
    for one in made.values():
        with one.open() as fs:
            fs.repository.rebuild()
        with leaves_made() as leaves, one.open() as fs:
            session = Session()
            session.use(fs.repository)
            browser = Browser(Subject(session, fs))

            async def look(browser: Browser = browser) -> None:
                async with browser.run_test() as pilot:
                    await pilot.press("end", "up", "2", "3", "1")
                    await pilot.pause()

            asyncio.run(look())
        made_of.append(len(leaves))

    assert made_of == [5, 5]


@contextmanager
def texts_read() -> Iterator[list[int]]:
    """Give the rows of which the block reads a text of a snapshot."""
    numbers, raw = [], Texts.raw

    def counted_raw(self: Texts, row: int) -> bytes:
        numbers.append(row)
        return raw(self, row)

    with (
        mock.patch.object(Texts, "raw", counted_raw),
        mock.patch.object(Texts, "__iter__", side_effect=AssertionError("all are read")),
    ):
        yield numbers


def test_a_write_is_not_folded_again_by_who_opens_the_file_set(
    sources: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fileset.repository.caches, "_SNAPSHOT_EVERY", FEW // 2)
    with FileSet(repository=tmp_path / "repository") as fs:
        fs.add_many(sources[FEW])
        fs.write(tmp_path / "medium")
    with counted() as costs, leaves_made() as leaves:
        FileSet.open(tmp_path / "repository").close()
        with FileSet.open(tmp_path / "repository") as fs:
            assert len(fs) == FEW

    assert costs.folded == 0
    assert leaves == []


@contextmanager
def leaves_made() -> Iterator[list[int]]:
    """Give the rows of the snapshot of which the block makes instances."""
    numbers, make = [], rows.LeafRows._leaf

    def counted_leaf(self: rows.LeafRows, handle: int, row: int) -> Leaf:
        numbers.append(row)
        return make(self, handle, row)

    with mock.patch.object(rows.LeafRows, "_leaf", counted_leaf):
        yield numbers


# --- looking -------------------------------------------------------------------------------------


def test_loading_opens_the_dicomdir_and_nothing_else_of_the_medium(made: dict[int, Made]) -> None:
    for count, one in made.items():
        with counted() as costs:
            assert len(FileSet(one.medium / "DICOMDIR")) == count
        spent = costs.below(one.medium)
        assert spent.read == {"DICOMDIR": 1}
        assert not spent.written


def test_loading_makes_no_instance_before_it_is_asked_for(made: dict[int, Made]) -> None:
    for count, one in made.items():
        with mock.patch.object(hierarchy.Leaf, "__init__", side_effect=AssertionError):
            fs = FileSet(one.medium / "DICOMDIR")
            assert len(fs) == count
        with mock.patch.object(listed, "leaf_of", wraps=hierarchy.leaf_of) as asked:
            assert len(fs.find(SOPInstanceUID="1.2.3.4.7")) == 1
        assert asked.call_count == 1


def test_loading_calls_few_functions_for_each_record(made: dict[int, Made]) -> None:
    few, many = (calls(partial(FileSet, one.medium / "DICOMDIR")) for one in made.values())

    assert many - few <= 55 * (MANY - FEW)


def test_status_of_what_was_closed_folds_no_event(made: dict[int, Made]) -> None:
    statements = []
    for one in made.values():
        with counted() as costs:
            repository = Repository.open(one.repository)
            assert repository.summary().lines()
            repository.close()
        assert costs.folded == 0
        assert not costs.below(one.medium).read
        statements.append(costs.statements)
    assert statements[0] == statements[1]


def test_an_open_file_set_takes_less_than_two_kilobytes_an_instance(made: dict[int, Made]) -> None:
    sizes = {count: traced_memory(one.open) for count, one in made.items()}

    assert sizes[MANY] - sizes[FEW] < 2048 * (MANY - FEW)


def traced_memory(open_: Callable[[], FileSet]) -> int:
    """Return the most memory that Python's objects took while a File-set was opened."""
    open_().close()  # with everything imported
    gc.collect()
    tracemalloc.start()
    try:
        with open_() as fs:
            assert len(fs)
            return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
