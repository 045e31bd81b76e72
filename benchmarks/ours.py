"""What is asked of fileset-ledger. Each function is run in a process of its own."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeVar

from attrs import frozen

from benchmarks.counting import BEGIN, END, Touched, calls_made, files_touched
from benchmarks.inputs import events_of_instances, values
from benchmarks.measuring import Cost, command, passes, peak, resident, timed
from fileset import FileSet, Indexer, Repository
from ledger.files import read_file
from ledger.instances.instance import read_instance
from ledger.journal.entries import Draft
from ledger.journal.sqlite import SqliteJournal
from projections.medium.directory import encode_directory

T = TypeVar("T")


def program() -> str:
    """Return the path of the `fileset` command that belongs to this interpreter."""
    beside = Path(sys.executable).parent / "fileset"
    found = str(beside) if beside.is_file() else shutil.which("fileset")
    if found is None:
        raise FileNotFoundError("the fileset command is not installed")
    return found


@frozen
class Life:
    """What each step costs in the life of a File-set, and what its journal takes on disk."""

    add: Cost
    undo: Cost
    write: Cost
    journal_bytes: int


def live(source: Path, repository: Path, medium: Path) -> Life:
    """Add a folder in one call, undo and redo that, and write it."""
    with FileSet(repository=repository) as fs:
        add, report = timed(lambda: fs.add_many(source))
        assert not report.has_failures
        undo, _ = timed(fs.undo)
        fs.redo()
        write, _ = timed(lambda: fs.write(medium))
    return Life(add, undo, write, (repository / "journal.sqlite").stat().st_size)


def add(source: Path, repository: Path, count: int | None) -> Cost:
    """Add the first `count` files of a folder, or all, durable, in one call."""
    paths = sorted(path for path in source.rglob("*") if path.is_file())[:count]
    FileSet().add_many(paths[:1])  # with all imported that is imported late
    with FileSet(repository=repository) as fs:
        cost, report = timed(lambda: fs.add_many(paths))
    assert not report.has_failures
    return cost


def add_by_command(source: Path, repository: Path) -> Cost:
    """Add a folder, or what is in an archive, with the command."""
    return command([program(), "--repo", repository, "add", source])


def scan(folder: Path, count: int) -> Cost:
    """Read the first `count` files of a folder, and take what a File-set needs to know of each."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())[:count]

    def run() -> None:
        for path in paths:
            read_instance(read_file(path))

    return timed(run)[0]


def write(repository: Path, medium: Path) -> Cost:
    """Write what was added, durable; opening is not counted."""
    with FileSet.open(repository) as fs:
        len(fs)
        return timed(lambda: fs.write(medium))[0]


def add_between_marks(source: str, repository: str, count: str) -> None:
    """Add a file after another one, or so many as one change, and say where that begins and ends.

    What went before did what is done once: imports, a first pack.
    """
    files = sorted(path for path in Path(source).rglob("*") if path.is_file())
    with FileSet(repository=Path(repository)) as fs:
        fs.add(files.pop())
        os.access(BEGIN, os.F_OK)
        if count == "1":
            fs.add(files[0])
        else:
            with fs.change():
                for path in files[: int(count)]:
                    fs.add(path)
        os.access(END, os.F_OK)


@frozen
class Correction:
    """What it costs to add a folder, and to correct one element of all its instances."""

    add: Cost
    correct: Cost


def correct(source: Path, repository: Path) -> Correction:
    """Add a folder, and correct the patients' name; both durable."""
    with FileSet(repository=repository) as fs:
        add, report = timed(lambda: fs.add_many(source))
        assert not report.has_failures
        instances = list(fs)
        cost, done = timed(lambda: fs.correct(instances, {"PatientName": "Right^Name"}))
        assert not done.is_incomplete
    return Correction(add, cost)


def add_and_write(source: Path, repository: Path, medium: Path) -> Cost:
    """Make a repository, add a folder and write it, all of it durable."""

    def run() -> None:
        with FileSet(repository=repository) as fs:
            fs.add_many(source)
            fs.write(medium)

    return timed(run)[0]


def hand_out(repository: Path, image: Path) -> Cost:
    """Make an image of the whole File-set, of the kind that its name says; opening is not counted.

    Each file is checked against its digest, the image is durable, and both are recorded.
    """
    with FileSet.open(repository) as fs:
        len(fs)
        media = fs.media
        return timed(lambda: media.make(image))[0]


def index(folder: Path) -> Cost:
    """Make a DICOMDIR for a folder in place, without the command around it."""
    (folder / "DICOMDIR").unlink(missing_ok=True)

    def run() -> None:
        indexer = Indexer(Repository.ephemeral(), folder)
        assert not indexer.stage().has_failures
        indexer.write()

    cost, _ = timed(run)
    (folder / "DICOMDIR").unlink()
    return cost


def load(dicomdir: Path) -> Cost:
    """Load a DICOMDIR."""
    return timed(lambda: FileSet(dicomdir))[0]


def attributes(dicomdir: Path, keywords: Sequence[str], times: int) -> list[Cost]:
    """Read attributes of each instance, so many times; loading is not counted."""
    return passes(FileSet(dicomdir), keywords, times)


def encode(repository: Path) -> Cost:
    """Encode the DICOMDIR of what was written."""
    with FileSet.open(repository) as fs:
        state = fs.state
        file_ids = {leaf: leaf.file_id or "" for leaf in state.live.values()}
        return timed(lambda: encode_directory(state, file_ids))[0]


def change_id(repository: Path, id_: str) -> Cost:
    """Change the File-set ID and write; opening is not counted."""
    with FileSet.open(repository) as fs:
        len(fs)
        return timed(lambda: _change_id(fs, id_))[0]


def change_id_counted(repository: Path, id_: str) -> Touched:
    """Return the files on the medium that a change of the ID and the write of it touch."""
    with FileSet.open(repository) as fs:
        return files_touched(fs.root_path, lambda: _change_id(fs, id_))


def _change_id(fs: FileSet, id_: str) -> None:
    fs.ID = id_
    fs.write()


def remove_one(repository: Path) -> Cost:
    """Remove an instance and write; opening, and bringing it back, is not counted."""
    return _removing_one(repository, "existing", lambda _, remove: timed(remove)[0])


def remove_one_counted(repository: Path, layout: str) -> Touched:
    """Return the files on the medium that the removal of an instance and the write touch."""
    return _removing_one(repository, layout, files_touched)


def _removing_one(
    repository: Path, layout: str, measure: Callable[[Path, Callable[[], None]], T]
) -> T:
    with FileSet.open(repository) as fs:
        victim = next(iter(fs))

        def remove() -> None:
            fs.remove(victim)
            fs.write(layout=layout)

        measured = measure(fs.root_path, remove)
        fs.undo()
        fs.write()
    return measured


def find(repository: Path, queries: dict[str, str], times: int) -> Cost:
    """Search by each query so many times; opening, and the first searches, are not counted."""
    with FileSet.open(repository) as fs:

        def search() -> None:
            for keyword, value in queries.items():
                assert fs.find(False, **{keyword: value})

        search()

        def search_all() -> None:
            for _ in range(times):
                search()

        return timed(search_all)[0]


def find_calls(repository: Path, queries: dict[str, str], at_most: int) -> dict[str, int]:
    """Return how many functions a search by each query calls, each after another search."""
    with FileSet.open(repository) as fs:

        def search(keyword: str) -> None:
            fs.find(False, **{keyword: queries[keyword]})

        search(next(iter(queries)))
        return {keyword: calls_made(partial(search, keyword), at_most) for keyword in queries}


@frozen
class Memory:
    """Bytes of memory an instance of an open File-set takes."""

    opened: float
    iterated: float
    at_peak: float


def memory(repository: Path) -> Memory:
    """Open a repository, and iterate over its instances."""
    before = resident()
    with FileSet.open(repository) as fs:
        count = len(fs)
        opened, at_peak = resident(), peak()
        instances = list(fs)
        iterated = resident()
        del instances
    return Memory(
        (opened - before) / count, (iterated - before) / count, (at_peak - before) / count
    )


def memory_of_add(source: Path, repository: Path) -> float:
    """Return how many bytes of memory an instance takes at the peak while a folder is added."""
    with FileSet(repository=repository) as fs:
        fs.add_many(next(path for path in source.rglob("*") if path.is_file()))  # all is imported
        before = resident()
        report = fs.add_many(source)
    return (peak() - before) / len(report.results)


def appending(journal: Path, count: int, times: int) -> list[Cost]:
    """Append so many events in one change, so many times, to a new journal, durable."""
    with closing(SqliteJournal.create(journal)) as opened:
        events = events_of_instances(count)

        def append(n: int) -> None:
            opened.append(events, Draft(str(n), "a", "b"), expected=n * count)

        return [timed(partial(append, n))[0] for n in range(times)]


@frozen
class Large:
    """What a step of a large File-set's life takes: the seconds, and the memory at its peak."""

    cost: Cost
    peak: int


def large_add(source: Path, repository: Path) -> Large:
    """Add a folder."""
    with FileSet(repository=repository) as fs:
        cost, report = timed(lambda: fs.add_many(source))
        assert not report.has_failures
    return Large(cost, peak())


def large_use(repository: Path, medium: Path, seed: int) -> Large:
    """Open, write, search, change and write again a File-set."""

    def use() -> None:
        with FileSet.open(repository) as fs:
            fs.write(medium)
            middle = values(seed, len(fs) // 2)
            (one,) = fs.find(SOPInstanceUID=middle["SOPInstanceUID"])
            fs.remove(one)
            _change_id(fs, "CHANGED")

    cost, _ = timed(use)
    return Large(cost, peak())
