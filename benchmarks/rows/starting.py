"""Rows on what somebody waits for who types a command, or imports the package."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

from benchmarks import ours
from benchmarks.goals import Measured, Within
from benchmarks.inputs import values
from benchmarks.measuring import Cost, alternate, command
from benchmarks.rows.row import Row, compared, cpu
from benchmarks.workbench import Workbench

PYDICOM: Final = "import pydicom"
_PYDICOM_FILESET: Final = "import pydicom.fileset"
WHOLE: Final = "CPU of the command from start to end; warm cache"
_TURNS: Final = 3  # times as many as of others: these are short


def _python(code: str) -> Cost:
    return command([sys.executable, "-c", code])


def _against(bench: Workbench, ask: Callable[[], Cost], peer: str) -> Measured:
    """Return what `ask` costs and what `peer` does, a line of Python; each was done once before."""
    ask(), _python(peer)
    return compared(cpu, alternate(_TURNS * bench.sizes.repeat, ask, lambda: _python(peer)))


def _version(bench: Workbench) -> Measured:
    return _against(bench, lambda: command([ours.program(), "--version"]), "pass")


def _status(bench: Workbench) -> Measured:
    asked: list[str | Path] = [ours.program(), "--repo", bench.archive(bench.sizes.most).repository]
    return _against(bench, lambda: command([*asked, "status"]), _PYDICOM_FILESET)


def _import(bench: Workbench) -> Measured:
    ours_ = "from fileset import FileSet"
    measured = _against(bench, lambda: _python(ours_), _PYDICOM_FILESET)
    made, peer = (
        min(costs, key=lambda cost: cost.cpu)
        for costs in alternate(
            _TURNS * bench.sizes.repeat,
            lambda: _python(f"{ours_}; FileSet()"),
            lambda: _python("from pydicom.fileset import FileSet; FileSet()"),
        )
    )
    what = f"with an empty FileSet made: {made.cpu:.3f} s, the peer {peer.cpu:.3f} s"
    measured.notes.insert(0, f"{what}: {made.cpu / peer.cpu:.2f} times")
    return measured


def against_pydicom(*argv: str) -> Callable[[Workbench], Measured]:
    """Return what measures a command on the largest File-set against importing pydicom."""

    def measure(bench: Workbench) -> Measured:
        known = values(bench.seed, 0)
        asked: list[str | Path] = [ours.program(), "--repo"]
        asked += [bench.archive(bench.sizes.most).repository]
        asked += [part.format_map(known) for part in argv]
        return _against(bench, lambda: command(asked), PYDICOM)

    return measure


def _by_uid(step: str, name: str, size: str, find: Callable[[Workbench], Path]) -> Row:
    """Return the row of a command on one instance in the repository that `find` gives."""

    def measure(bench: Workbench) -> Measured:
        program: list[str | Path] = [ours.program(), "--repo", find(bench)]
        uid = values(bench.seed, bench.sizes.most // 2)["SOPInstanceUID"]

        def ask() -> Cost:
            cost = command([*program, step, f"SOPInstanceUID={uid}"])
            if step == "remove":
                command([*program, "undo"])
            return cost

        return _against(bench, ask, PYDICOM)

    title = f"`fileset {step} SOPInstanceUID=...` on {size} instances, new process"
    return Row(name, title, f'`python -c "{PYDICOM}"`', WHOLE, Within(4), measure)


def _most(bench: Workbench) -> Path:
    return bench.archive(bench.sizes.most).repository


ROWS: Final = [
    Row("version", "`fileset --version`", "`python -c pass`", WHOLE, Within(4.5), _version),
    Row(
        "status",
        "`fileset status` on {s.most:,} instances, new process",
        f'`python -c "{_PYDICOM_FILESET}"`',
        f"{WHOLE}; nothing changed since the last command",
        Within(0.75),
        _status,
    ),
    Row(
        "import",
        '`python -c "from fileset import FileSet"`',
        f'`python -c "{_PYDICOM_FILESET}"`',
        WHOLE,
        Within(1.15),
        _import,
    ),
    _by_uid("find", "find-command", "{s.most:,}", _most),
    _by_uid("remove", "remove-command", "{s.most:,}", _most),
    _by_uid("find", "find-more", "{s.more:,}", Workbench.only_added),
    _by_uid("remove", "remove-more", "{s.more:,}", Workbench.only_added),
]
