# ruff: noqa: S311, T201 - chance is no secret here; a table is printed
"""The power fails: at each call of an operation, with all that a disk may then have lost.

`python -m tests.faults.power` from the project's folder tries all scenarios and prints a table;
tests/faults/test_power_loss.py tries a sample. What a disk may lose is told in
`tests.faults.simulated_disk`; what has to hold afterwards, in `tests.faults.checks`. When
an operation has returned, all that it did has to be there.

Twice in a row is tried as well: a process is killed, the command is given again, and then the power
fails. What the first one did is not durable then, though the second one sees it.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from attrs import Factory, define, evolve, frozen

from .checks import Outcome, Reference, check, reference, restore
from .replay import Call, record, why_not
from .scenarios import ACKNOWLEDGED, SCENARIOS, Scenario
from .simulated_disk import SIMPLE, Chance, Disk, Loss, Plate, Tree, tree_of

_MEMORY: Final = Path("/dev/shm")  # noqa: S108 - a file system in memory: nothing waits for a disk


@frozen
class Recording:
    """What an operation did: `calls` on a disk that had `start` on it."""

    scenario: Scenario
    folder: Path
    reference: Reference
    start: Tree
    calls: Sequence[Call]
    killed: Sequence[Call] = ()
    """The calls of a process that had tried before, and was killed."""

    def disk(self) -> Disk:
        """Return the disk as it is when the operation begins."""
        disk = Disk(self.folder, self.start, tells=ACKNOWLEDGED)
        for call in self.killed:
            disk.apply(call)
        disk.process_ended()
        return disk

    def changing(self) -> list[int]:
        """Return which calls changed what the disk might lose."""
        disk = self.disk()
        return [number for number, call in enumerate(self.calls) if disk.apply(call)]


@frozen
class Failure:
    """A state in which something that was promised is not so."""

    scenario: str
    point: int
    call: str
    loss: str
    problem: str


@define
class Tried:
    """What came of the failures of the power during one operation."""

    scenario: str
    calls: int
    points: int = 0
    states: int = 0
    outcomes: Counter[Outcome] = Factory(Counter)
    failures: list[Failure] = Factory(list)

    def row(self) -> str:
        """Return its row in the table."""
        outcomes = (str(self.outcomes[outcome]) for outcome in Outcome)
        cells = (self.scenario, self.calls, self.points, self.states, *outcomes, len(self.failures))
        return f"| {' | '.join(map(str, cells))} |"


HEADING: Final = (
    "| operation | calls | crash points | states | "
    f"{' | '.join(outcome.value for outcome in Outcome)} | not as promised |\n|{'---|' * 8}"
)


@contextmanager
def workplace() -> Iterator[Path]:
    """Make a folder to work in, in memory where that can be, and remove it in the end."""
    within = _MEMORY if _MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="fileset-power-", dir=within) as folder:
        yield Path(folder).resolve()


def recorded(scenario: Scenario, place: Path) -> Recording:
    """Record the operation of `scenario` below the folder `place`."""
    folder, pristine = place / scenario.name, place / f"{scenario.name}.pristine"
    folder.mkdir()
    expected = reference(scenario, folder, pristine)
    restore(pristine, folder)
    start = tree_of(folder)
    return Recording(scenario, folder, expected, start, record(lambda: scenario.act(folder)))


def after_kill(recording: Recording, point: int) -> Recording:
    """Record the same command given again after the first one was killed behind a call."""
    killed = recording.calls[: point + 1]
    again = evolve(recording, killed=killed, calls=())
    Plate(recording.folder).put(again.disk().seen())
    scenario, folder = recording.scenario, recording.folder
    return evolve(again, calls=record(lambda: scenario.act(folder)))


def try_all(
    recording: Recording,
    *,
    chances: int,
    points: int | None = None,
    seed: int = 0,
    first: bool = False,
) -> Tried:
    """Have the power fail behind each call, or behind some `points`, in several ways.

    At each it is tried what is lost in simple ways and, `chances` times each, at random with names
    in order and in none. With `first` the first failure is the last.
    """
    rng = random.Random(seed)
    changing = recording.changing()
    chosen = set(changing if points is None or points >= len(changing) else ())
    if not chosen:  # the last one is that of all that was acknowledged
        chosen = {*rng.sample(changing, points or 0), *changing[-1:]}
    tried = Tried(recording.scenario.name, len(changing))
    disk, plate = recording.disk(), Plate(recording.folder)
    seen: set[object] = set()
    for number, call in enumerate(recording.calls):
        disk.apply(call)
        if number not in chosen:
            continue
        tried.points += 1
        is_done = number >= changing[-1]
        for name, loss in _losses(rng, number, chances):
            tree = disk.after(loss)
            key = _key(tree, is_done)
            if key in seen:
                continue
            seen.add(key)
            tried.states += 1
            plate.put(tree)
            problem = _try(recording, is_done=is_done, outcomes=tried.outcomes)
            if problem is not None:
                told = f"{call.name}{call.arguments}"[:200]
                tried.failures.append(Failure(recording.scenario.name, number, told, name, problem))
                if first:
                    return tried
    return tried


def _losses(rng: random.Random, number: int, chances: int) -> Iterator[tuple[str, Loss]]:
    yield from SIMPLE.items()
    for _ in range(chances):
        seed, share = rng.getrandbits(32), rng.choice((0.2, 0.5, 0.8))
        yield f"names, {seed}", Chance(random.Random(seed), share=share)
        yield f"ordered, {seed}", Chance(random.Random(seed), ordered=rng.randint(0, number + 1))


def _key(tree: Tree, is_done: bool) -> object:
    return is_done, frozenset((path, item.mode, item.data) for path, item in tree.items())


def _try(recording: Recording, *, is_done: bool, outcomes: Counter[Outcome]) -> str | None:
    """Check the state that is in the folder, and return what is wrong with it."""
    try:
        outcome = check(recording.scenario, recording.folder, recording.reference)
    except AssertionError as exc:
        return str(exc)
    except Exception:  # noqa: BLE001 - whatever it is, it is no good
        return traceback.format_exc()
    outcomes[outcome] += 1
    # A source that was deleted may be there again, for the watcher to delete it once more.
    is_found_again = recording.scenario.tries_again and outcome is Outcome.BETWEEN
    if is_done and outcome is not Outcome.NEW and not is_found_again:
        return f"The command had returned, and left things {outcome.value}"
    return None


def main(arguments: Sequence[str] | None = None) -> int:
    """Try scenarios and print the table; 1 if anything was not as promised, 2 without strace."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.power", description=__doc__)
    parser.add_argument("scenario", nargs="*", choices=[[], *SCENARIOS], default=[])
    parser.add_argument("--chances", type=int, default=6, help="random losses at each point")
    parser.add_argument("--points", type=int, help="points per scenario; all unless given")
    parser.add_argument("--kills", type=int, default=0, help="kills before; tried with 10 points")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    if (why := why_not()) is not None:
        print(why, file=sys.stderr)
        return 2
    print(HEADING)
    failures: list[Failure] = []
    for name in options.scenario or SCENARIOS:
        with workplace() as place:
            for tried in _tried(SCENARIOS[name], place, options):
                print(tried.row(), flush=True)
                failures += tried.failures
    for problem, alike in _grouped(failures):
        losses = Counter(failure.loss.partition(",")[0] for failure in alike)
        print(f"\n{problem}\n  {dict(losses)}, such as {alike[-1]}", file=sys.stderr)
    return 1 if failures else 0


def _tried(scenario: Scenario, place: Path, options: argparse.Namespace) -> Iterator[Tried]:
    recording = recorded(scenario, place)
    chances, seed = options.chances, options.seed
    yield try_all(recording, chances=chances, points=options.points, seed=seed)
    rng = random.Random(seed)
    changing = recording.changing()
    for point in sorted(rng.sample(changing, min(options.kills, len(changing)))):
        again = after_kill(recording, point)
        if again.changing():
            tried = try_all(again, chances=chances, points=10, seed=seed)
            tried.scenario += f", killed at {point}"
            yield tried


def _grouped(failures: Sequence[Failure]) -> list[tuple[str, list[Failure]]]:
    """Return the failures by operation and kind of problem."""
    groups: dict[str, list[Failure]] = {}
    for failure in failures:
        groups.setdefault(
            f"{failure.scenario}: {failure.problem.splitlines()[-1][:60]}", []
        ).append(failure)
    return list(groups.items())


if __name__ == "__main__":
    sys.exit(main())
