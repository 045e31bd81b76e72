"""Ctrl-C while a File-set is written."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pydicom import examples
from pydicom.fileset import FileSet as PydicomFileSet

from fileset import FileSet
from fileset.interrupts import deferred_interrupts
from fileset.medium.errors import MediumError

WRITER = """
import sys
from fileset import FileSet
fs = FileSet.open(sys.argv[1])
try:
    print("ready", flush=True)
    fs.write(sys.argv[2], progress=lambda done, total: print(done, flush=True))
except KeyboardInterrupt:
    sys.exit(130)
"""


def many(folder: Path, count: int) -> Path:
    folder.mkdir()
    ds = examples.ct
    for number in range(count):
        ds.SOPInstanceUID = f"1.2.3.{number}"
        ds.save_as(folder / f"{number:04}", enforce_file_format=True)
    return folder


@pytest.mark.parametrize("after", [0, 1, 20, 39])
def test_a_write_that_is_interrupted_leaves_nothing_and_can_be_done_again(
    tmp_path: Path, after: int
) -> None:
    fs = FileSet(repository=tmp_path / "repository")
    fs.add_many(many(tmp_path / "source", 40))
    fs.close()
    root = tmp_path / "medium"
    command = [sys.executable, "-c", WRITER, tmp_path / "repository", root]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.strip() in {"ready", str(after)} and (line.strip() != "ready" or after == 0):
                process.send_signal(signal.SIGINT)
                break
        process.stdout.read()
    fs = FileSet.open(tmp_path / "repository")
    if fs.path is None:  # else the interrupt came too late to change anything
        assert process.returncode == 130
        assert not root.exists() or not any(p.is_file() for p in root.rglob("*"))
        fs.write(root)
    assert fs.verify() == []
    assert len(PydicomFileSet(root / "DICOMDIR")) == 40


def test_an_interrupt_waits_until_it_is_let_through() -> None:
    reached = []

    def interrupted() -> None:
        with deferred_interrupts() as let_through:
            os.kill(os.getpid(), signal.SIGINT)
            reached.append("on")
            let_through()
            reached.append("never")

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert reached == ["on"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_file_that_is_in_the_way_is_named_and_not_a_member(tmp_path: Path) -> None:
    fs = FileSet()
    source = many(tmp_path / "source", 3)
    fs.add(source / "0000")
    fs.write(tmp_path / "medium")
    folder = Path(next(iter(fs)).path).parent
    (folder / "IM000002").touch()
    fs.add(source / "0001")
    fs.add(source / "0002")
    with pytest.raises(MediumError, match="such as PT000000/ST000000/SE000000/IM000002:"):
        fs.write()
    (folder / "IM000002").unlink()
    fs.write()
    assert fs.verify() == []


def test_a_medium_within_a_repository_is_refused(tmp_path: Path) -> None:
    fs = FileSet(repository=tmp_path / "repository")
    fs.add(examples.get_path("ct"))
    for root in (tmp_path / "repository", tmp_path / "repository" / "vault" / "medium"):
        with pytest.raises(MediumError, match="is in the repository"):
            fs.write(root)
    shutil.rmtree(tmp_path / "repository" / "cache")
    assert fs.path is None
