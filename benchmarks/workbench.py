"""What the rows work with: the sizes, the input, File-sets that several rows look at."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field, frozen

from benchmarks import ours
from benchmarks.different import make_different
from benchmarks.inputs import instances, make_instances
from benchmarks.measuring import Cost, command, in_child


@frozen
class Sizes:
    """How much of what is measured; the goals are for the sizes given here."""

    instances: int = 10_000
    size: int = 8192
    adds: int = 2000
    """Instances added in the comparison with pydicom, whose cost grows with the square."""
    large: int = 1000
    large_size: int = 131_072
    images: int = 1000
    """Instances in the images of media, and their size in bytes."""
    image_size: int = 512 << 10
    mix: tuple[tuple[int, int], ...] = ((2000, 512 << 10), (200, 5 << 20), (20, 100 << 20))
    """How many instances of how many bytes there are in the mix."""
    growth: tuple[int, ...] = (1000, 10_000, 100_000)
    more: int = 300_000
    """Instances in the row on more than the largest File-set: small ones, and not written."""
    million: int = 1_000_000
    million_size: int = 1024
    repeat: int = 3

    @property
    def mix_title(self) -> str:
        """What is in the mix."""
        return ", ".join(f"{count:,} of {size / (1 << 20):g} MiB" for count, size in self.mix)

    @property
    def most(self) -> int:
        """The largest File-set, that of the rows on 100,000 instances."""
        return self.growth[-1]

    @property
    def least(self) -> int:
        """The smallest File-set that growth is measured from."""
        return self.growth[0]


QUICK = Sizes(
    instances=1000,
    adds=200,
    large=100,
    images=100,
    mix=((20, 512 << 10), (4, 5 << 20), (1, 100 << 20)),
    growth=(1000, 2000, 5000),
    more=10_000,
    million=20_000,
    repeat=1,
)
"""Sizes for a look: the goals are not for these."""


@frozen
class Archive:
    """A repository whose File-set was written to `medium`, and what that life cost.

    There is a life for each repetition; the folders are of the last.
    """

    repository: Path
    medium: Path
    lives: tuple[ours.Life, ...]


@define
class Workbench:
    """Gives rows their sizes, input and peers; what it makes lies below `work`."""

    work: Path
    sizes: Sizes
    seed: int
    peers: dict[str, str | None]
    say: Callable[[str], None]
    _sources: dict[tuple[int, int, bool], Path] = field(factory=dict)
    _archives: dict[int, Archive] = field(factory=dict)
    _indexing: dict[int, list[Cost]] = field(factory=dict)
    _changing: dict[int, dict[str, list[Cost]]] = field(factory=dict)

    def source(self, count: int, size: int | None = None, *, sparse: bool = False) -> Path:
        """Return a folder with `count` instances, which nobody changes."""
        key = (count, size or self.sizes.size, sparse)
        if key not in self._sources:
            self.say(f"making {count:,} instances of {key[1]:,} bytes")
            folder = self.work / f"source-{count}-{key[1]}{'-sparse' * sparse}"
            self._sources[key] = make_instances(
                folder, count, size=key[1], seed=self.seed, sparse=sparse
            )
        return self._sources[key]

    def different(self, count: int) -> Path:
        """Return a folder with `count` instances whose headers are all different."""
        folder = self.work / f"different-{count}"
        if not folder.exists():
            self.say(f"making {count:,} instances with different headers")
            make_different(folder, count, seed=self.seed)
        return folder

    def mix(self) -> Path:
        """Return a folder with instances of several sizes, which nobody changes."""
        folder = self.work / "mix"
        if not folder.exists():
            self.say(f"making a mix: {self.sizes.mix_title}")
            for seed, (count, size) in enumerate(self.sizes.mix, self.seed):
                make_instances(folder / f"{size}", count, size=size, seed=seed)
        return folder

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Make an empty folder for the time of the block."""
        folder = Path(tempfile.mkdtemp(dir=self.work))
        try:
            yield folder
        finally:
            shutil.rmtree(folder)

    def archive(self, count: int) -> Archive:
        """Return a written File-set of `count` instances; each of its lives was measured."""
        if count not in self._archives:
            source = self.source(count)
            self.say(f"adding, undoing and writing {count:,} instances")
            folder = self.work / f"archive-{count}"
            lives = []
            for _ in range(self.repeat(count)):
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                lives.append(in_child(ours.live, source, folder / "repository", folder / "medium"))
            self._archives[count] = Archive(folder / "repository", folder / "medium", tuple(lives))
        return self._archives[count]

    def added(self, count: int, size: int) -> Path:
        """Return a repository to which `count` instances were added, and none written."""
        folder = self.work / f"added-{count}-{size}"
        if not folder.exists():
            source = self.source(count, size)
            self.say(f"adding {count:,} instances of {size:,} bytes")
            in_child(ours.add, source, folder, None)
        return folder

    def only_added(self) -> Path:
        """Return a repository of `Sizes.more` small instances, which were not written."""
        folder = self.work / "only-added"
        if not folder.exists():
            self.say(f"adding {self.sizes.more:,} instances")
            source = self.source(self.sizes.more, self.sizes.million_size, sparse=True)
            in_child(ours.large_add, source, folder)
        return folder

    def indexing(self, count: int) -> list[Cost]:
        """Return what indexing `count` instances in place cost, each time it was done."""
        if count not in self._indexing:
            source = self.source(count)
            self.say(f"indexing {count:,} instances")
            self._indexing[count] = [
                in_child(ours.index, source) for _ in range(self.repeat(count))
            ]
        return self._indexing[count]

    def changing(self, count: int) -> dict[str, list[Cost]]:
        """Return what commands cost that change a File-set of `count` instances by one.

        In the end it is as it was.
        """
        if count not in self._changing:
            program: list[str | Path] = [ours.program(), "--repo", self.archive(count).repository]
            costs: dict[str, list[Cost]] = {}
            with self.scratch() as folder:
                file = folder / "one"
                data = next(instances(1, size=self.sizes.size, seed=self.seed + 1))
                file.write_bytes(data)
                steps: dict[str, list[str | Path]] = {
                    "add": ["add", file], "set": ["set", "id=ANOTHER"], "undo": ["undo"],
                }  # fmt: skip
                for _ in range(self.sizes.repeat):
                    for step in ("add", "undo", "set", "undo"):
                        costs.setdefault(step, []).append(command([*program, *steps[step]]))
            self._changing[count] = costs
        return self._changing[count]

    def repeat(self, count: int) -> int:
        """Return how often something is done whose cost follows `count`: once if that is much."""
        return self.sizes.repeat if count <= 10_000 else 1
