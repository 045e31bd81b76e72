"""The results of a run, and their JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cattrs
from attrs import field, frozen

from benchmarks.goals import Measured
from benchmarks.measuring import Figure
from benchmarks.rows.row import Row
from benchmarks.workbench import Sizes


@frozen
class Result:
    """A row of the table with its figures; `ours` is `None` if it could not be measured."""

    name: str
    work: str
    against: str
    counted: str
    goal: str
    ours: Figure | None = None
    peer: Figure | None = None
    ratio: str = ""
    reached: bool | None = None
    conditions: dict[str, bool] = field(factory=dict)
    notes: list[str] = field(factory=list)

    @classmethod
    def of(cls, row: Row, sizes: Sizes, measured: Measured | None, notes: list[str]) -> Result:
        """Return the result of a row; `notes` come before those of what was measured."""
        titles = (row.name, row.title(sizes), row.peer_title(sizes), row.counted, row.goal.text)
        if measured is None:
            return cls(*titles, reached=False, notes=notes)
        verdict = row.goal.judge(measured)
        reached = verdict.reached
        if not all(measured.conditions.values()):
            reached = False
        return cls(
            *titles,
            measured.ours,
            measured.peer,
            verdict.ratio,
            reached,
            measured.conditions,
            [*notes, *measured.notes],
        )

    def remarks(self) -> list[str]:
        """Return the conditions, with whether they hold, and the notes."""
        held = [f"{what}: {'yes' if holds else 'NO'}" for what, holds in self.conditions.items()]
        return [*held, *self.notes]


@frozen
class Run:
    """A run: when, how, on what machine, and its results."""

    date: str
    command: str
    seconds: float
    seed: int
    sizes: Sizes
    is_quick: bool
    machine: dict[str, str]
    results: list[Result]

    def dump(self) -> str:
        """Return the run as JSON."""
        return json.dumps(_converter().unstructure(self), indent=2) + "\n"

    @classmethod
    def load(cls, path: Path) -> Run:
        """Return the run that a file holds."""
        document: Any = json.loads(path.read_text(encoding="utf-8"))
        return _converter().structure(document, cls)


def _converter() -> cattrs.Converter:
    return cattrs.Converter(forbid_extra_keys=True)
