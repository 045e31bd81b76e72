"""However many instances a change brings: how much memory each of them takes, at the peak."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Literal

import pytest

from benchmarks.inputs import make_instances
from fileset import Indexer, Repository

FEW, MANY = 3_500, 12_000
"""Both enough that files are read ahead, by processes of their own."""

_CHILD = """
import gc, json, sys, tracemalloc
from pathlib import Path
from fileset import FileSet

how, source, repository = sys.argv[1:]
with FileSet(repository=Path(repository) / "first") as fs:  # so that all is imported
    fs.add_many(next(path for path in Path(source).rglob("IM*")))
if how == "traced":
    gc.collect()
    tracemalloc.start()
if how == "adopted":
    FileSet(Path(source) / "DICOMDIR", repository=Path(repository) / "second").close()
else:
    with FileSet(repository=Path(repository) / "second") as fs:
        fs.add_many(source)
traced = tracemalloc.get_traced_memory()[1] if how == "traced" else 0
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print(json.dumps({"traced": traced, "resident": int(status["VmHWM"].split()[0]) * 1024}))
"""


pytestmark = pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="nothing tells how much memory a process had"
)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    made = {
        count: make_instances(
            tmp_path_factory.mktemp("source") / "files", count, size=1024, seed=1, sparse=True
        )
        for count in (FEW, MANY)
    }
    first = tmp_path_factory.mktemp("first")
    peak("added", made[FEW], first / "repository")  # compiles what the others import
    return made


def peak(how: str, source: Path, repository: Path) -> dict[str, int]:
    """Return the bytes of the objects that a process had, and of all its memory, at their peak."""
    repository.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", _CHILD, how, source, repository],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    peaks: dict[str, int] = json.loads(done.stdout)
    return peaks


def each_more(
    how: str, sources: dict[int, Path], folder: Path, which: Literal["traced", "resident"]
) -> float:
    """Return how many bytes each instance takes that there are more."""
    few, many = (peak(how, source, folder / str(count))[which] for count, source in sources.items())
    return (many - few) / (MANY - FEW)


def test_an_instance_that_is_added_takes_less_than_a_kilobyte_and_a_half(
    sources: dict[int, Path], tmp_path: Path
) -> None:
    assert each_more("added", sources, tmp_path, "resident") < 1500


def test_python_holds_less_than_a_kilobyte_of_an_instance_that_is_added(
    sources: dict[int, Path], tmp_path: Path
) -> None:
    assert each_more("traced", sources, tmp_path, "traced") < 1000


def test_an_instance_that_is_adopted_takes_little_more_than_its_records(
    sources: dict[int, Path], tmp_path: Path
) -> None:
    for source in sources.values():
        indexer = Indexer(Repository.ephemeral(), source)
        indexer.stage()
        indexer.write()
    assert each_more("adopted", sources, tmp_path, "resident") < 2300
