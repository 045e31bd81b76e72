"""Rows on a File-set in use: loading, undo, memory, attributes, searching."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from benchmarks import ours, peers
from benchmarks.goals import Faster, Limit, Measured, Within
from benchmarks.inputs import values
from benchmarks.measuring import Cost, Figure, alternate, in_child
from benchmarks.rows.row import Row, compared, cpu, wall
from benchmarks.rows.starting import PYDICOM, WHOLE, against_pydicom
from benchmarks.workbench import Workbench

_KEYWORDS: Final = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
_ATTRIBUTES: Final = ("PatientID", "StudyInstanceUID", "Modality", "InstanceNumber")
_PASSES: Final = 3
_SEARCHES: Final = 5
_MANY_CALLS: Final = 1_000_000
_MORE_CALLS: Final = 1.5  # times: a scan of a hundred times as many instances takes a hundred


def _load(bench: Workbench) -> Measured:
    dicomdir = bench.archive(bench.sizes.instances).medium / "DICOMDIR"
    return compared(
        cpu,
        alternate(
            bench.sizes.repeat,
            lambda: in_child(ours.load, dicomdir),
            lambda: in_child(peers.pydicom_load, dicomdir),
        ),
    )


def _undo(bench: Workbench) -> Measured:
    lives = bench.archive(bench.sizes.instances).lives
    return compared(wall, ([life.undo for life in lives], [life.add for life in lives]))


def _correct(bench: Workbench) -> Measured:
    source = bench.source(bench.sizes.instances)

    def correct() -> ours.Correction:
        with bench.scratch() as folder:
            return in_child(ours.correct, source, folder / "repository")

    def peer() -> Cost:
        with bench.scratch() as folder:
            return in_child(peers.pydicom_correct, source, folder / "corrected")

    costs = [correct() for _ in range(bench.sizes.repeat)]
    measured = compared(cpu, ([each.correct for each in costs], [each.add for each in costs]))
    others = cpu([peer()])
    assert others is not None
    measured.notes.append(f"pydicom reads, sets and saves them in {others.value:.3g} s of CPU")
    return measured


def _memory(bench: Workbench) -> Measured:
    used = in_child(ours.memory, bench.archive(bench.sizes.most).repository)
    dicomdir = bench.archive(bench.sizes.instances).medium / "DICOMDIR"
    return Measured(
        Figure(used.opened, "bytes/instance"),
        Figure(in_child(peers.pydicom_memory, dicomdir), "bytes/instance"),
        notes=[
            f"bytes/instance at the peak while it opened: {used.at_peak:,.0f}",
            f"bytes/instance once all were iterated over: {used.iterated:,.0f}",
        ],
    )


def _find(bench: Workbench) -> Measured:
    sizes = bench.sizes
    known = values(bench.seed, 0)
    queries = {keyword: known[keyword] for keyword in _KEYWORDS}
    archive = bench.archive(sizes.instances)
    measured = compared(
        cpu,
        alternate(
            1,
            lambda: in_child(ours.find, archive.repository, queries, _SEARCHES),
            lambda: in_child(peers.pydicom_find, archive.medium / "DICOMDIR", queries, _SEARCHES),
        ),
    )
    # Each finds as many instances in the large File-set as in the small one.
    small, large = (
        in_child(ours.find_calls, bench.archive(size).repository, queries, _MANY_CALLS)
        for size in (sizes.least, sizes.most)
    )
    for keyword in _KEYWORDS:
        many = "over " if large[keyword] == _MANY_CALLS else ""
        what = (
            f"{keyword}: {many}{large[keyword]:,} function calls in {sizes.most:,}, "
            f"{small[keyword]:,} in {sizes.least:,}"
        )
        measured.conditions[what] = large[keyword] <= _MORE_CALLS * small[keyword]
    return measured


def _attributes(bench: Workbench) -> Measured:
    dicomdir = bench.archive(bench.sizes.instances).medium / "DICOMDIR"
    turns = [
        (
            in_child(ours.attributes, dicomdir, _ATTRIBUTES, _PASSES),
            in_child(peers.pydicom_attributes, dicomdir, _ATTRIBUTES, _PASSES),
        )
        for _ in range(bench.sizes.repeat)
    ]

    def of_pass(number: int) -> Measured:
        return compared(
            cpu, ([our[number] for our, _ in turns], [their[number] for _, their in turns])
        )

    first, last = of_pass(0), of_pass(-1)
    assert last.peer is not None
    last.notes.insert(0, f"a later pass: {last.ours.value:.3f} s, the peer {last.peer.value:.3f} s")
    first.notes.extend(last.notes)
    return first


def _of_one_change(step: str) -> Callable[[Workbench], Measured]:
    def measure(bench: Workbench) -> Measured:
        small, large = (
            bench.changing(size)[step] for size in (bench.sizes.least, bench.sizes.most)
        )
        return compared(cpu, (large, small))

    return measure


ROWS: Final = [
    Row(
        "load",
        "load a DICOMDIR of {s.instances:,} records",
        "pydicom",
        "CPU of the process, imports aside; warm cache",
        Faster(40),
        _load,
    ),
    Row(
        "undo",
        "`fs.undo()` of a change of {s.instances:,} instances, in process",
        "the add itself",
        "wall, in the same process; both durable",
        Faster(20),
        _undo,
    ),
    Row(
        "correct",
        "PatientName of {s.instances:,} instances corrected, `fs.correct()`",
        "the add itself",
        "CPU of the process, in the same process; both durable",
        Within(2),
        _correct,
    ),
    Row(
        "memory",
        "memory of an open File-set of {s.most:,}",
        "pydicom, {s.instances:,}",
        "resident bytes after opening less those before, garbage collected",
        Limit(2048, "at most 2 KB an instance"),
        _memory,
    ),
    Row(
        "attributes",
        "read " + ", ".join(_ATTRIBUTES) + " of each of {s.instances:,} instances",
        "pydicom",
        "CPU of the first pass in a new process, loading aside; warm cache",
        Faster(1),
        _attributes,
    ),
    *(
        Row(
            f"one-{step}",
            f"`fileset {example}` on {{s.most:,}} instances, new process",
            "the same on {s.least:,}",
            WHOLE,
            Within(2),
            _of_one_change(step),
        )
        for step, example in (("add", "add FILE"), ("set", "set id=..."), ("undo", "undo"))
    ),
    Row(
        "values",
        "`fileset values Modality` on {s.most:,} instances, new process",
        PYDICOM,
        WHOLE,
        Within(20),
        against_pydicom("values", "Modality"),
    ),
    Row(
        "tree",
        "`fileset tree` on {s.most:,} instances, new process",
        PYDICOM,
        WHOLE,
        Within(20),
        against_pydicom("tree"),
    ),
    Row(
        "find",
        "`find` on " + ", ".join(_KEYWORDS) + ", {s.instances:,} instances",
        "pydicom",
        "CPU of five searches by each; function calls in one, by profiling; not the first search",
        Faster(1, "by index, not by scan"),
        _find,
    ),
]
