"""Every file that ships with pydicom, offered for real, and what becomes of it."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import pydicom.data
import pytest
from pydicom.fileset import FileSet as PydicomFileSet

from fileset import FileSet
from fileset.ingest import Outcome, Report

SHIPPED = Path(pydicom.data.__file__).parent
TEST_FILES = SHIPPED / "test_files"
DICOMDIRS = sorted(p for p in TEST_FILES.rglob("DICOMDIR*") if p.is_file())


@pytest.fixture(scope="module", params=[False, True], ids=["strict", "complete"])
def offered(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[FileSet, Report, Path]]:
    """All shipped files added and written; returns the File-set, the report and the root."""
    fs = FileSet()
    report = fs.add_many([SHIPPED], complete=request.param)
    root = tmp_path_factory.mktemp("medium")
    fs.write(root)
    yield fs, report, root
    fs.close()


def test_every_file_is_accounted_for(offered: tuple[FileSet, Report, Path]) -> None:
    fs, report, _ = offered
    found = sorted(str(p) for p in SHIPPED.rglob("*") if p.is_file())
    assert sorted(result.source for result in report) == found
    assert sum(report.counts.values()) == len(found)
    quiet = {Outcome.ADDED, Outcome.ALREADY_THERE}
    assert all(result.reason for result in report if result.outcome not in quiet)
    assert len(fs) == report.counts[Outcome.ADDED]
    assert len(fs) > 100


def test_completing_takes_more_files_and_tells_what_was_invented() -> None:
    strict, completed = (FileSet().add_many([SHIPPED], complete=c) for c in (False, True))
    added = [sum(r.outcome is Outcome.ADDED for r in report) for report in (strict, completed)]
    assert added[1] > added[0]
    assert not any(result.invented for result in strict)
    assert any(result.invented for result in completed)


def test_every_accepted_file_is_written_byte_for_byte(
    offered: tuple[FileSet, Report, Path],
) -> None:
    fs, report, root = offered
    sources = {r.handle: Path(r.source) for r in report if r.outcome is Outcome.ADDED}
    for instance in fs:
        assert Path(instance.path).is_relative_to(root)
        assert Path(instance.path).read_bytes() == sources[instance.handle].read_bytes()


def test_pydicom_loads_what_was_written(offered: tuple[FileSet, Report, Path]) -> None:
    fs, _, root = offered
    theirs = PydicomFileSet(root / "DICOMDIR")
    assert [i.SOPInstanceUID for i in theirs] == [i.SOPInstanceUID for i in fs]
    assert str(theirs) == str(fs)


def test_dcdirdmp_walks_it(offered: tuple[FileSet, Report, Path]) -> None:
    fs, _, root = offered
    done = subprocess.run(
        ["dcdirdmp", root / "DICOMDIR"],
        capture_output=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0
    assert (done.stdout + done.stderr).count(b" -> ") >= len(fs)


@pytest.mark.parametrize("path", DICOMDIRS, ids=lambda p: p.name)
def test_each_shipped_dicomdir_is_loaded_or_refused_with_a_reason(path: Path) -> None:
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        try:
            fs = FileSet(path)
        except ValueError as exc:
            assert str(exc)  # noqa: PT017 - it may also load
        else:
            assert len(fs) == sum(1 for _ in fs)
            assert str(fs)
