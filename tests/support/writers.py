"""Writers and readers of one repository, each a process of its own; run as a script by tests.

A writer keeps an account, line by line, of what it is about to record (`?`) and of what was
acknowledged (`!`), both by the id of the change.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from attrs import define, field, frozen
from pydicom import Dataset, dcmread, examples

from fileset import FileSet
from fileset.errors import NoSuchInstanceError, NothingToUndoError, StaleError
from ledger.errors import ContentMissingError
from ledger.journal.entries import Change, Draft
from ledger.journal.gathering import Events
from ledger.journal.protocol import Journal

PROJECT = Path(__file__).parents[2]
_PAUSE = 0.02  # seconds; without, a writer does several things in a row before others get a turn
EXPECTED = (StaleError, NothingToUndoError, NoSuchInstanceError)
"""What a writer may be told when another one was faster."""


def small_files(folder: Path, count: int, *, patients: int = 3) -> Path:
    """Make `count` instances of `patients` patients in `folder`: a real one without its pixels."""
    folder.mkdir(parents=True)
    ds: Dataset = dcmread(examples.get_path("ct"))
    del ds.PixelData
    for number in range(count):
        patient = number % patients
        ds.PatientID = f"P{patient}"
        ds.StudyInstanceUID = f"1.2.3.{patient}"
        ds.SeriesInstanceUID = f"1.2.3.{patient}.1"
        ds.SOPInstanceUID = f"1.2.3.{patient}.1.{number + 1}"
        ds.InstanceNumber = number + 1
        ds.save_as(folder / f"{number:05}.dcm", enforce_file_format=True)
    return folder


@frozen
class Accounting:
    """A journal that writes into `account` what it is asked to append, and what it has appended."""

    journal: Journal
    account: TextIO

    def __getattr__(self, name: str) -> Any:
        return getattr(self.journal, name)

    def append(self, events: Events, draft: Draft, *, expected: int) -> Change:
        """Append, with a line before and one after."""
        print("?", draft.id, file=self.account, flush=True)
        change = self.journal.append(events, draft, expected=expected)
        print("!", draft.id, file=self.account, flush=True)
        return change


@define
class Writer:
    """Does one thing after another at random to the File-set in `repository`."""

    repository: Path
    source: Path
    root: Path
    account: TextIO
    chance: random.Random
    done: Counter[str] = field(factory=Counter)
    _fs: FileSet | None = None

    def file_set(self) -> FileSet:
        """Return the File-set, opened anew now and then: mostly it is a stale one."""
        if self._fs is not None and self.chance.random() < 0.03:
            self._fs.close()
            self._fs = None
        if self._fs is None:
            self._fs = FileSet.open(self.repository)
            self._fs.repository.journal = Accounting(self._fs.repository.journal, self.account)
        return self._fs

    def step(self) -> None:
        """Do one thing; being told that another writer was faster is an outcome like any other."""
        what: Callable[[FileSet], object] = self.chance.choices(
            (self.add, self.add_many, self.remove, self.correct, self.set, self.undo, self.redo,
             self.group, self.write, self.verify, self.gc, self.tag),
            (20, 4, 12, 8, 6, 12, 8, 6, 5, 1, 1, 2),
        )[0]  # fmt: skip
        try:
            what(self.file_set())
        except EXPECTED as exc:
            self.done[f"{what.__name__}: {type(exc).__name__}"] += 1
        else:
            self.done[what.__name__] += 1

    def files(self, count: int) -> list[Path]:
        """Return some of the files."""
        return self.chance.sample(sorted(self.source.iterdir()), count)

    def add(self, fs: FileSet) -> None:
        """Add one file."""
        fs.add(*self.files(1))

    def add_many(self, fs: FileSet) -> None:
        """Add several files as one change."""
        assert not fs.add_many(self.files(10)).has_failures

    def remove(self, fs: FileSet) -> None:
        """Remove some that were there when this writer looked last."""
        there = list(fs)
        fs.remove(self.chance.sample(there, min(len(there), self.chance.randint(1, 4))))

    def correct(self, fs: FileSet) -> None:
        """Correct some that were there when this writer looked last."""
        there = list(fs)
        some = self.chance.sample(there, min(len(there), self.chance.randint(1, 4)))
        keyword = self.chance.choice(("PatientName", "PatientID", "InstanceNumber"))
        assert not fs.correct(some, {keyword: str(self.chance.randint(0, 9))}).is_incomplete

    def set(self, fs: FileSet) -> None:
        """Set the File-set ID."""
        fs.ID = f"ID_{self.chance.randint(0, 9)}"

    def undo(self, fs: FileSet) -> None:
        """Undo, where this writer's view of what that would be is not out of date."""
        fs.undo()

    def redo(self, fs: FileSet) -> None:
        """Redo in the same way."""
        fs.redo()

    def group(self, fs: FileSet) -> None:
        """Remove, add and set in one change, which readers see as a whole or not at all."""
        with fs.change(reason="group"):
            fs.ID = f"GROUP_{self.chance.randint(0, 9)}"
            fs.remove(list(fs)[:2])
            fs.add(*self.files(1))

    def write(self, fs: FileSet) -> None:
        """Write to the medium, which another writer may have made by now."""
        layout = self.chance.choice(("pydicom", "existing"))
        with fs.repository.exclusively():
            fs.refresh()
            fs.write(None if fs.path else self.root, layout=layout)

    def verify(self, fs: FileSet) -> None:
        """Verify: what is being written is no damage, and what was killed is to be completed."""
        kinds = {finding.kind.value for finding in fs.verify()}
        assert kinds <= {"write-interrupted"} or self._was_killed_writing(fs), fs.verify()

    def _was_killed_writing(self, fs: FileSet) -> bool:
        fs.refresh()
        return fs.state.writing is not None

    def gc(self, fs: FileSet) -> None:
        """Drop what no event names."""
        fs.gc(dry_run=False)

    def tag(self, fs: FileSet) -> None:
        """Give the present a name."""
        fs.tag(f"T-{self.chance.randint(0, 9)}", move=True)


def tell(told: str) -> None:
    """Tell the process that has started this one."""
    sys.stdout.write(f"{told}\n")
    sys.stdout.flush()


def write(arguments: Sequence[str]) -> None:
    """Be a writer for some seconds."""
    repository, source, root, account, seed, until = arguments
    with Path(account).open("w", encoding="utf-8") as lines:
        writer = Writer(Path(repository), Path(source), Path(root), lines, random.Random(int(seed)))  # noqa: S311 - not for secrets
        end = time.monotonic() + float(until)
        while time.monotonic() < end:
            writer.step()
            time.sleep(writer.chance.random() * _PAUSE)
        if writer._fs is not None:
            writer._fs.close()
        tell(json.dumps(writer.done))


def read(arguments: Sequence[str]) -> None:
    """Be a reader: what is seen is always a whole change's end, and never an earlier one."""
    repository, until = arguments
    chance = random.Random(0)  # noqa: S311 - not for secrets
    looks, last = 0, 0
    end = time.monotonic() + float(until)
    while time.monotonic() < end:
        with FileSet.open(repository) as fs:
            for _ in range(chance.randint(1, 20)):
                fs.refresh()
                state = fs.state
                ends = {change.last for change in fs.repository.changes()}
                assert state.position in ends, f"{state.position} is within a change"
                assert state.position >= last, f"{state.position} after {last}"
                last = state.position
                assert len(list(fs)) == len(fs) == len(fs.find())
                told = fs.repository.summary()
                assert told.position in ends | {c.last for c in fs.repository.changes()}
                past = chance.choice(sorted(ends))
                assert fs.at(past).state.position == past
                assert [e.position for e in fs.repository.journal.read(upto=past)][-1] == past
                if (there := list(fs)) and chance.random() < 0.3:
                    # The vault has it, or it is on a medium that is being rewritten right now.
                    with suppress(FileNotFoundError, ContentMissingError):
                        chance.choice(there).load()
                looks += 1
    tell(json.dumps({"looks": looks, "position": last}))


def add(arguments: Sequence[str]) -> None:
    """Add a folder as one change."""
    repository, source = arguments
    with FileSet.open(repository) as fs:
        assert not fs.add_many(source).has_failures


def hold(arguments: Sequence[str]) -> None:
    """Change the repository until standard input ends."""
    (repository,) = arguments
    with FileSet.open(repository) as fs, fs.change():
        tell("held")
        sys.stdin.read()


ROLES = {"write": write, "read": read, "add": add, "hold": hold}


def start(role: str, *arguments: object) -> subprocess.Popen[str]:
    """Start a process that is one of `ROLES`."""
    return subprocess.Popen(
        [sys.executable, __file__, role, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.fspath(PROJECT)},
    )


@define
class Tally:
    """What came of a soak: the outcomes by kind, and the ids in the accounts."""

    outcomes: Counter[str] = field(factory=Counter)
    begun: list[str] = field(factory=list)
    acknowledged: list[str] = field(factory=list)
    killed: int = 0
    looks: int = 0

    def take(self, account: Path) -> None:
        """Take in what a writer has noted; a line that was cut short by a kill is none."""
        for line in account.read_text(encoding="utf-8").splitlines():
            sign, _, id_ = line.partition(" ")
            if len(id_) == 12:
                (self.begun if sign == "?" else self.acknowledged).append(id_)


def soak(folder: Path, *, writers: int, seconds: float, kill_every: float, seed: int = 1) -> Tally:
    """Have `writers` and a reader work on one repository, and kill a writer now and then.

    `folder` has the repository, the source files and the medium afterwards.
    """
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    source = small_files(folder / "source", 60)
    FileSet(repository=folder / "repository").close()
    tally = Tally()
    end = time.monotonic() + seconds
    accounts: list[Path] = []

    def writer() -> subprocess.Popen[str]:
        accounts.append(folder / f"account-{len(accounts)}")
        return start(
            "write", folder / "repository", source, folder / "medium", accounts[-1],
            chance.randrange(10**6), end - time.monotonic(),
        )  # fmt: skip

    running = [writer() for _ in range(writers)]
    reader = start("read", folder / "repository", seconds)
    while kill_every and time.monotonic() + kill_every < end:
        time.sleep(kill_every * chance.uniform(0.5, 1.0))
        victim = chance.randrange(writers)
        if running[victim].poll() is None:
            running[victim].kill()
            tally.killed += 1
            running[victim].communicate()
            running[victim] = writer()
    for process in running:
        out, err = process.communicate()
        assert process.returncode == 0, err
        tally.outcomes.update(json.loads(out))
    out, err = reader.communicate()
    assert reader.returncode == 0, err
    tally.looks = json.loads(out)["looks"]
    for account in accounts:
        if account.exists():  # a writer may have been killed before it had begun
            tally.take(account)
    return tally


if __name__ == "__main__":
    ROLES[sys.argv[1]](sys.argv[2:])
