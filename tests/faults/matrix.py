"""The matrix: every call of every operation, with each of its faults."""

from __future__ import annotations

import gc
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import define, evolve, field, frozen

from .checks import Outcome, Reference, check, reference, restore
from .patching import Patching
from .points import Form, HarnessError, Kind, Point, Told
from .scenarios import Scenario
from .tracing import Tracing

FORMS: Final[Mapping[str, Form]] = {form.name: form for form in (Tracing(), Patching())}
"""The ways to have faults."""


_ATTEMPTS: Final = 3


class BrokenPromiseError(AssertionError):
    """Something that is promised is not so after a fault."""


@define
class Row:
    """What came of the points of a scenario that were tried.

    `calls` is how many concern its folder, `points` how many faults they could have, in all.
    """

    scenario: str
    calls: int
    points: int
    tried: Counter[Kind] = field(factory=Counter)
    outcomes: Counter[Outcome] = field(factory=Counter)
    broken: list[str] = field(factory=list)


@frozen
class Bench:
    """A scenario that is set up, to be acted again and again."""

    scenario: Scenario
    folder: Path
    pristine: Path
    reference: Reference
    form: Form
    points: tuple[Point, ...]
    calls: int

    @classmethod
    @contextmanager
    def of(cls, scenario: Scenario, form: Form) -> Iterator[Bench]:
        """Set the scenario up in a temporary folder, which goes at the end."""
        with tempfile.TemporaryDirectory(prefix="faults-") as made:
            base = Path(made).resolve()
            folder, pristine = base / "folder", base / "pristine"
            folder.mkdir()
            undisturbed = reference(scenario, folder, pristine)
            # Once through all that follows: what is imported late, or kept in memory, is there.
            restore(pristine, folder)
            check(scenario, folder, undisturbed)
            restore(pristine, folder)
            gc.collect()
            gc.freeze()  # so that the next ones, in each process, take no time
            calls = form.calls(scenario, folder)
            points = tuple(Point(call, kind) for call in calls for kind in call.kinds)
            try:
                yield cls(scenario, folder, pristine, undisturbed, form, points, len(calls))
            finally:
                gc.unfreeze()

    def try_point(self, point: Point) -> Outcome:
        """Act with a fault, and check all that is promised.

        Raises `BrokenPromiseError` where it is not so, and
        `HarnessError` where the fault did not come to pass.
        """
        told = self._act(point)
        try:
            assert not told.problem, f"The user is told {told.problem}"
            outcome = check(
                self.scenario,
                self.folder,
                self.reference,
                partly=told.partly,
                folders_stay=told.done and point.call.name == "rmdir",
            )
            if told.done:
                assert outcome is Outcome.NEW or point.call.name == "rmdir", (
                    f"It was said to be done, and is {outcome.value}"
                )
        except Exception as exc:
            raise BrokenPromiseError(f"{point}\n  told: {told.error or told}\n  {exc}") from exc
        return outcome

    def try_points(self, points: Iterable[Point], *, tell: bool = False) -> Row:
        """Try points; what is broken is printed at once if it is to `tell`."""
        row = Row(self.scenario.name, self.calls, len(self.points))
        for point in points:
            row.tried[point.kind] += 1
            try:
                row.outcomes[self.try_point(point)] += 1
            except (BrokenPromiseError, HarnessError) as exc:
                told = f"{self.scenario.name}: {exc}"
                row.broken.append(told)
                if tell:
                    print(told, flush=True)  # noqa: T201 - long before the table
        return row

    def _act(self, point: Point) -> Told:
        """Act with a fault; where that did not come to pass, at the same call of another run.

        It may have another number there, for what is none of the scenario's is counted as well.
        """
        for _ in range(_ATTEMPTS - 1):
            restore(self.pristine, self.folder)
            try:
                return self.form.act(self.scenario, self.folder, point)
            except HarnessError:
                restore(self.pristine, self.folder)
                calls = self.form.calls(self.scenario, self.folder)
                same = (call for call in calls if call.is_same(point.call))
                point = evolve(point, call=next(same, point.call))
        restore(self.pristine, self.folder)
        return self.form.act(self.scenario, self.folder, point)


def run(
    scenario: Scenario, form: Form, *, every: int = 1, offset: int = 0, tell: bool = False
) -> Row:
    """Try each `every`-th point of the scenario from the `offset`-th on."""
    with Bench.of(scenario, form) as bench:
        return bench.try_points(bench.points[offset % every :: every], tell=tell)


def table(rows: Iterable[Row]) -> str:
    """Return the rows as a table in Markdown, with their sums."""
    rows = list(rows)
    heads = ["operation", "calls", *(kind.value for kind in Kind)]
    heads += ["old", "new", "to be completed", "broken"]
    lines = ["| " + " | ".join(heads) + " |", "|---" + "|---:" * (len(heads) - 1) + "|"]
    lines += [_line(row.scenario, [row]) for row in rows]
    lines.append(_line("all", rows))
    return "\n".join(lines)


def _line(name: str, rows: list[Row]) -> str:
    counts = [sum(row.calls for row in rows)]
    counts += [sum(row.tried[kind] for row in rows) for kind in Kind]
    counts += [sum(row.outcomes[outcome] for row in rows) for outcome in Outcome]
    counts.append(sum(len(row.broken) for row in rows))
    return f"| {name} | " + " | ".join(f"{count:,}" for count in counts) + " |"
