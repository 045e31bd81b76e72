"""Reading on several processors: what comes of it is what comes of reading file after file."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import warnings
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pydicom
import pytest
from pydicom import examples
from pydicom.dataset import Dataset

from fileset import DIRECTORY_RECORDERS, FileSet
from fileset.adding import read_ahead as reading
from fileset.adding.candidate import Candidate
from fileset.adding.find import FoundFile, find_files
from fileset.adding.offer import Offered, offer
from fileset.adding.outcome import Result
from fileset.adding.report import AddReport
from ledger.errors import InstanceError

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="helpers are forked"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
    # A worker of pytest-xdist has a thread of its own, which touches nothing of ours.
    pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def many_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a few files be worth it, on a machine with enough processors."""
    monkeypatch.setattr(reading, "WORTH", 10)
    monkeypatch.setattr(reading, "_TOGETHER", 7)
    monkeypatch.setattr(reading, "_helpers", lambda: 3)


def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_helpers", lambda: 0)


def told(results: AddReport) -> list[tuple[object, ...]]:
    return [(r.source, r.outcome, r.reason, r.handle, dict(r.invented), r.note) for r in results]


@pytest.mark.parametrize("complete", [False, True])
def test_the_account_and_the_events_are_the_same(
    monkeypatch: pytest.MonkeyPatch, *, complete: bool
) -> None:
    fs, other = FileSet(), FileSet()
    report = fs.add_many(SHIPPED, complete=complete)
    alone(monkeypatch)
    expected = other.add_many(SHIPPED, complete=complete)

    assert told(report) == told(expected)
    assert [e.event for e in fs.repository.journal.read(after=1)] == [
        e.event for e in other.repository.journal.read(after=1)
    ]
    assert len(report.results) > 100


def test_helpers_read_nearly_all_that_can_be_read() -> None:
    files = list(find_files([SHIPPED], recursive=True))
    read = sum(c is not None for _, c in reading.read_ahead(files, complete=True, contents=True))
    good = sum(isinstance(found, Candidate) for found in offer(files, complete=True))
    large = sum(Path(file).stat().st_size > reading._LARGE for file in files)
    assert good - large <= read < len(files)


def test_a_file_that_is_warned_about_is_warned_about_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ds = examples.ct
    for number in range(20):
        ds.SOPInstanceUID = f"1.2.{number}"
        ds.save_as(tmp_path / f"{number:02}", enforce_file_format=True)
    real = reading.read_path

    def read_path(path: str, **options: object) -> Candidate:
        if path.endswith("7"):
            warnings.warn(f"{path} is odd", stacklevel=1)
        return real(path, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("fileset.adding.read_ahead.read_path", read_path)
    monkeypatch.setattr("fileset.adding.offer.read_path", read_path)
    with pytest.warns(UserWarning, match="is odd") as caught:
        assert len(list(offer(find_files([tmp_path], recursive=True)))) == 20
    assert sum(warning.category is UserWarning for warning in caught) == 2


def files_of(folder: Path, count: int) -> list[FoundFile]:
    for number in range(count):
        shutil.copyfile(SHIPPED / "CT_small.dcm", folder / f"{number:03}")
    return list(find_files([folder], recursive=True))


def children() -> bool:
    """Whether there is any child process, alive or not waited for."""
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return False
    return True


def names(offered: Iterator[Offered]) -> list[str | None]:
    return [item.source if isinstance(item, Result) else item.name for item in offered]


def test_a_helper_that_dies_takes_nothing_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(tmp_path, 100)
    here, real = os.getpid(), reading._read

    def read(path: str, *, complete: bool, contents: bool) -> object:
        if path.endswith("30") and os.getpid() != here:
            os.kill(os.getpid(), signal.SIGKILL)
        return real(path, complete=complete, contents=contents)

    monkeypatch.setattr(reading, "_read", read)
    found = list(offer(files))
    assert names(iter(found)) == [file.path for file in files]
    assert all(isinstance(item, Candidate) for item in found)
    assert not children()


def test_an_interrupt_is_left_to_the_process_itself_and_ends_its_helpers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = files_of(tmp_path, 100)
    here, real = os.getpid(), reading._read

    def read(path: str, *, complete: bool, contents: bool) -> object:
        if os.getpid() != here:
            os.kill(os.getpid(), signal.SIGINT)  # as a terminal does, to every process of a group
        return real(path, complete=complete, contents=contents)

    monkeypatch.setattr(reading, "_read", read)
    reading_on = reading.read_ahead(files, complete=False, contents=True)
    assert all(candidate is not None for _, candidate in islice(reading_on, 50))
    with pytest.raises(KeyboardInterrupt):
        reading_on.throw(KeyboardInterrupt)  # type: ignore[attr-defined]  # it is a generator
    assert not children()


def test_helpers_end_with_the_reading_also_where_that_is_broken_off(tmp_path: Path) -> None:
    reading_on = offer(files_of(tmp_path, 200))
    next(reading_on)
    assert children()
    reading_on.close()  # type: ignore[attr-defined]  # it is a generator
    assert not children()


def test_helpers_end_when_the_process_is_killed(tmp_path: Path) -> None:
    files_of(tmp_path, 300)
    program = f"""
import os, signal
from fileset.adding import read_ahead as reading
from fileset.adding.find import find_files
reading.WORTH = 10
reading._helpers = lambda: 3
files = find_files([{str(tmp_path)!r}], recursive=True)
for number, _ in enumerate(reading.read_ahead(files, complete=False, contents=True)):
    if number == 20:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    # A helper that stayed would keep the pipe open, and this would wait for it.
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, timeout=30, check=False
    )
    assert done.returncode == -signal.SIGKILL


def test_without_contents_the_bytes_are_read_again_when_asked_for(tmp_path: Path) -> None:
    files = files_of(tmp_path, 30)
    candidates = [c for c in offer(files, contents=False) if isinstance(c, Candidate)]
    assert candidates[20].data == Path(files[20]).read_bytes()
    Path(files[21]).unlink()
    with pytest.raises(InstanceError, match="can't be read"):
        _ = candidates[21].data


def test_recorders_of_ones_own_are_called_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    called_in = set()
    default = DIRECTORY_RECORDERS["PATIENT"]

    def patient(ds: Dataset) -> Dataset:
        called_in.add(os.getpid())
        return default(ds)

    monkeypatch.setitem(DIRECTORY_RECORDERS, "PATIENT", patient)
    list(offer(files_of(tmp_path, 30)))
    assert called_in == {os.getpid()}


def test_a_process_with_threads_is_not_forked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2, 3}, raising=False)
    assert reading._helpers() == (3 if threading.active_count() == 1 else 0)
    stop = threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    try:
        assert reading._helpers() == 0
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("allowed", [0, 1])
def test_where_no_process_can_be_made_all_is_read_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: int
) -> None:
    files = files_of(tmp_path, 40)
    real, made = os.fork, 0

    def fork() -> int:
        nonlocal made
        made += 1
        if made > allowed:
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return real()

    def descriptors() -> int:
        return len(list(Path("/proc/self/fd").glob("*")))

    monkeypatch.setattr(os, "fork", fork)
    before = descriptors()
    assert names(offer(files)) == [file.path for file in files]
    assert descriptors() == before
    assert not children()
