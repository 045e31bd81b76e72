"""The same position gives the same tree and the same DICOMDIR, byte for byte, anywhere, any day.

Child processes look at one repository in other time zones and locales, with other hash seeds, from
other folders, with its snapshots and without, and after it has grown.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runs import CT, MR, PROJECT, changed, copy_of_example

from fileset import FileSet
from fileset.repository import caches as module

SCRIPT = """
import hashlib, json, sys
from pathlib import Path
from fileset import FileSet

repository, out, *moments = sys.argv[1:]
fs = FileSet.open(repository)
seen = {}
for moment in moments:
    past = fs.at(moment)
    root = Path(out, moment)
    past.copy(root)
    files = sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())
    seen[moment] = {
        "position": past.state.position,
        "text": str(past),
        "order": [str(i.SOPInstanceUID) for i in past],
        "dicomdir": hashlib.sha256((root / "DICOMDIR").read_bytes()).hexdigest(),
        "files": {f: hashlib.sha256((root / f).read_bytes()).hexdigest() for f in files},
    }
fs.close()
print(json.dumps(seen))
"""


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, list[str]]]:
    """A repository with a long story, and moments of it."""
    folder = tmp_path_factory.mktemp("determinism")
    dicomdir = copy_of_example(folder / "cd")
    greek = changed(
        MR, folder / "greek.dcm", SpecificCharacterSet="ISO_IR 192", PatientName="Διονυσιος"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_SNAPSHOT_EVERY", 10)
        fs = FileSet(dicomdir, repository=folder / "repository")
        fs.ID = "FIRST"
        fs.tag("first")
        fs.add(CT)
        fs.add(greek)
        added = fs.history[-1].id
        fs.remove(fs.find(PatientID="77654033"))
        removal = fs.history[-1].id
        fs.write()
        written = fs.history[-1].id
        fs.undo()
        fs.redo()
        fs.ID = "SECOND"
        fs.revert(removal)
        fs.write(layout="existing")
        reverted = str(fs.state.position)
        fs.remove(list(fs)[5:])
        fs.close()
    yield folder / "repository", ["1", "first", added, written, reverted]
    shutil.rmtree(folder)


def look(repository: Path, out: Path, moments: list[str], **environment: str) -> dict[str, object]:
    """Return what a process sees of a repository at each moment."""
    out.mkdir()
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, os.fspath(repository), os.fspath(out), *moments],
        env={**os.environ, "PYTHONPATH": os.fspath(PROJECT), **environment},
        cwd=out,
        capture_output=True,
        text=True,
        check=True,
    )
    seen: dict[str, object] = json.loads(done.stdout)
    return seen


@pytest.fixture(scope="module")
def seen(
    repository: tuple[Path, list[str]], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, object]:
    """What a process sees that runs as most do."""
    path, moments = repository
    return look(path, tmp_path_factory.mktemp("seen") / "out", moments, PYTHONHASHSEED="0")


def test_the_moments_that_are_looked_at_differ(seen: dict[str, dict[str, object]]) -> None:
    assert len({at["dicomdir"] for at in seen.values()}) == len(seen)
    assert any("Διονυσιος" in str(at["text"]) for at in seen.values())


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Tokyo"},
        {"PYTHONHASHSEED": "77", "TZ": "America/St_Johns", "LC_ALL": "C", "PYTHONUTF8": "0",
         "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONHASHSEED": "4294967295", "TZ": "EST5EDT", "LC_ALL": "C.UTF-8", "LANG": "de_DE"},
        {"PYTHONOPTIMIZE": "1", "TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.UTF-8"},
    ],
    ids=lambda environment: environment["TZ"],
)  # fmt: skip
def test_another_process_sees_the_same(
    repository: tuple[Path, list[str]],
    seen: dict[str, object],
    tmp_path: Path,
    environment: dict[str, str],
) -> None:
    path, moments = repository
    assert look(path, tmp_path / "out", moments, **environment) == seen


@pytest.mark.parametrize("how", ["no cache", "rebuilt", "grown"])
def test_the_same_is_seen_without_snapshots_and_when_the_journal_has_grown(
    repository: tuple[Path, list[str]], seen: dict[str, object], tmp_path: Path, how: str
) -> None:
    original, moments = repository
    path = tmp_path / "moved" / "elsewhere"
    shutil.copytree(original, path)
    assert (path / "cache" / "snapshot").is_file()
    if how == "no cache":
        shutil.rmtree(path / "cache")
        (path / "cache").mkdir()
    else:
        with FileSet.open(path) as fs:
            if how == "rebuilt":
                fs.repository.rebuild()
            else:
                fs.undo(3)
                fs.add_many(original.parent / "cd")
                fs.tag("later")
    assert look(path, tmp_path / "out", moments) == seen
