"""Rows on the way in: adding, and indexing in place."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Final
from zipfile import ZIP_STORED, ZipFile

from benchmarks import ours, peers
from benchmarks.goals import Faster, Limit, Measured, Within
from benchmarks.measuring import Cost, Figure, alternate, command, in_child
from benchmarks.rows.row import Row, compared, cpu, wall
from benchmarks.workbench import Workbench


def _add(bench: Workbench, count: int, size: int) -> Measured:
    source = bench.source(count, size)

    def add() -> Cost:
        with bench.scratch() as folder:
            return in_child(ours.add, source, folder / "repository", count)

    once, peer = alternate(1, add, lambda: in_child(peers.pydicom_add, source, count))
    again, _ = alternate(bench.sizes.repeat - 1, add, None)
    return compared(cpu, (once + again, peer))


def _add_archive(bench: Workbench) -> Measured:
    """Compare adding a ZIP file with unpacking it and adding the folder."""
    source = bench.source(*bench.sizes.mix[0])
    with bench.scratch() as folder:
        archive = folder / "study.zip"
        with ZipFile(archive, "w", ZIP_STORED) as study:
            for path in sorted(source.rglob("*")):
                study.write(path, path.relative_to(source))

        def add(run: Callable[[Path, Path], Cost]) -> Cost:
            with bench.scratch() as inner:
                repository = inner / "repository"
                command([ours.program(), "init", repository])
                return run(archive, repository)

        there = bench.peers["unzip"] is not None
        costs = alternate(
            bench.sizes.repeat,
            lambda: add(ours.add_by_command),
            (lambda: add(partial(peers.unzip_and_add, program=ours.program()))) if there else None,
        )
    return compared(wall, costs)


def _index(bench: Workbench, count: int, size: int, *, sparse: bool = False) -> Measured:
    source = bench.source(count, size, sparse=sparse)
    argv: list[str | Path] = [ours.program(), "index", source]

    def index() -> Cost:
        (source / "DICOMDIR").unlink(missing_ok=True)
        return command(argv)

    there = bench.peers["dcmmkdir"] is not None
    costs = alternate(
        bench.sizes.repeat, index, (lambda: peers.dcmmkdir(source)) if there else None
    )
    (source / "DICOMDIR").unlink()
    return compared(wall, costs)


def _scan(bench: Workbench, *, different: bool) -> Measured:
    count = bench.sizes.adds
    source = bench.different(count) if different else bench.source(count)
    there = bench.peers["dicomsdl"] is not None

    def peer(*keywords: str) -> Callable[[], Cost] | None:
        return (lambda: in_child(peers.dicomsdl_scan, source, count, keywords)) if there else None

    repeat = bench.sizes.repeat
    of_ours, of_peer = alternate(repeat, lambda: in_child(ours.scan, source, count), peer(*_TAKEN))
    measured = compared(cpu, (of_ours, of_peer))
    measured.notes.append(f"microseconds a file: {1e6 * measured.ours.value / count:.0f}")
    if (only_opened := peer()) is not None:
        least = min(only_opened().cpu for _ in range(repeat))
        measured.notes.append(f"the peer without taking an element: {1e6 * least / count:.0f}")
    return measured


def _journal(bench: Workbench) -> Measured:
    count = bench.sizes.instances
    size = bench.archive(count).lives[-1].journal_bytes
    return Measured(Figure(size / count, "bytes/instance"))


_TAKEN: Final = (
    "SpecificCharacterSet", "SOPClassUID", "SOPInstanceUID", "StudyDate", "StudyTime", "Modality",
    "PatientName", "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "StudyID", "SeriesNumber",
    "InstanceNumber",
)  # fmt: skip
"""What the records of an image hold."""


def _memory(bench: Workbench) -> Measured:
    source = bench.source(bench.sizes.most)
    with bench.scratch() as folder:
        taken = in_child(ours.memory_of_add, source, folder / "repository")
    return Measured(Figure(taken, "bytes/instance"))


def _events(bench: Workbench) -> Measured:
    count, times = bench.sizes.instances, 2 + bench.sizes.repeat  # the first ones make the file
    with bench.scratch() as folder:

        def micros(append: Callable[[Path, int, int], list[Cost]], name: str) -> Figure:
            costs = in_child(append, folder / name, count, times)
            return Figure.least([1e6 * cost.cpu / count for cost in costs], "us/event")

        of_ours, peer = micros(ours.appending, "ours"), micros(peers.plain_chain, "plain")
        notes = [f"events a second: {1e6 / of_ours.value:,.0f}, the peer {1e6 / peer.value:,.0f}"]
        if bench.peers["eventsourcing"] is None:
            notes.append("eventsourcing is not installed")
        else:
            library = micros(peers.eventsourcing, "library")
            notes.append(f"eventsourcing, without a chain: {1e6 / library.value:,.0f}")
    return Measured(of_ours, peer, notes=notes)


ROWS: Final = [
    Row(
        "add",
        "add {s.adds:,} (hashed, in the vault, durable), one call",
        "pydicom, a loop of `add` (once)",
        "CPU of the process, imports aside; warm cache; the peer's is in memory and not hashed",
        Faster(100),
        lambda bench: _add(bench, bench.sizes.adds, bench.sizes.size),
    ),
    Row(
        "add-large",
        "the same, {s.large:,} of {s.large_size:,} bytes",
        "pydicom, a loop of `add` (once)",
        "CPU of the process, imports aside; warm cache; the peer's is in memory and not hashed",
        Faster(100),
        lambda bench: _add(bench, bench.sizes.large, bench.sizes.large_size),
    ),
    Row(
        "add-zip",
        "add a ZIP file, stored, of {s.mix[0][0]:,} files of {s.mix[0][1]:,} bytes",
        "`unzip`, and adding the folder",
        "wall of the commands from start to end; warm cache; ours durable, unzip's files not",
        Faster(1),
        _add_archive,
    ),
    Row(
        "scan",
        "read and scan {s.adds:,} files of series",
        "dicomsdl (C++), with the elements of the directory records",
        "CPU of the process, imports aside; warm cache; ours all that records of any type may need",
        Within(1),
        partial(_scan, different=False),
    ),
    Row(
        "scan-different",
        "the same, {s.adds:,} files whose headers are all different",
        "dicomsdl (C++), with the elements of the directory records",
        "CPU of the process, imports aside; warm cache; ours all that records of any type may need",
        Within(2),
        partial(_scan, different=True),
    ),
    Row(
        "index",
        "`fileset index` of {s.instances:,} in place, whole command",
        "`dcmmkdir +r +id`, whole command",
        "wall of the command from start to end; warm cache; ours durable, the peer's not",
        Faster(3),
        lambda bench: _index(bench, bench.sizes.instances, bench.sizes.size),
    ),
    Row(
        "index-sparse",
        "the same, {s.instances:,} with headers of 50 elements",
        "`dcmmkdir +r +id`, whole command",
        "wall of the command from start to end; warm cache; ours durable, the peer's not",
        Faster(3),
        lambda bench: _index(bench, bench.sizes.instances, bench.sizes.size, sparse=True),
    ),
    Row(
        "index-large",
        "the same, {s.large:,} of {s.large_size:,} bytes",
        "`dcmmkdir +r +id`, whole command",
        "wall of the command from start to end; warm cache; ours durable, the peer's not",
        Faster(3),
        lambda bench: _index(bench, bench.sizes.large, bench.sizes.large_size),
    ),
    Row(
        "memory-add",
        "memory while {s.most:,} are added in one change",
        "",
        "resident bytes at the peak less those before, imports aside",
        Limit(1500, "at most 1.5 KB an instance"),
        _memory,
    ),
    Row(
        "events",
        "append {s.instances:,} events to the journal, encoded and chained, durable",
        "plain SQLite with a hash chain, payloads given",
        "CPU of one change, the file made before",
        Limit(12.5, "80,000 events a second"),
        _events,
    ),
    Row(
        "journal",
        "journal on disk, {s.instances:,} added and written",
        "",
        "bytes of `journal.sqlite`, one undo and redo included",
        Limit(600, "under 600 bytes an instance"),
        _journal,
    ),
]
