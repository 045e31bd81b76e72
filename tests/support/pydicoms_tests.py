"""pydicom's own tests of its `FileSet`, run with ours in its place.

They are in pydicom's source, which pip fetches in the version that is installed, and not in this
project. The exit code is 0 if just those fail that look at what is private to pydicom's class, or
that hold it to what we do otherwise on purpose: docs/coming-from-pydicom.md.
"""

from __future__ import annotations

import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import pydicom
import pytest

PRIVATE = {
    "TestFileInstance::test_path_add",
    "TestFileSet::test_clear",
    "TestFileSet::test_descriptor",
    "TestFileSet::test_descriptor_charset",
    "TestFileSet::test_descriptor_charset_dicomdir",
    "TestFileSet::test_descriptor_dicomdir",
    "TestFileSet_Load::test_write_dicomdir",
    "TestFileSet_Modify::test_remove_addition_bad_path",
    "TestFileSet_Modify::test_write_use_existing",
    "TestRecordNode::test_encoding",
    "TestRecordNode::test_key_raises",
    "TestRecordNode::test_root",
}
"""Those that look at, or patch, what is private to pydicom's class."""

OTHERWISE = {
    "TestFileSet::test_str",
    "TestFileSet_Copy::test_constrained_to_fileset_root[../goback.txt]",
    "TestFileSet_Copy::test_constrained_to_fileset_root[/secret.txt]",
    "TestFileSet_Copy::test_constrained_to_fileset_root[Pat1/St1/Im2]",
    "TestFileSet_Copy::test_constrained_to_fileset_root[Pat1/St2/secret.txt]",
    "TestFileSet_Copy::test_copy",
    "TestFileSet_Copy::test_file_id",
    "TestFileSet_Modify::test_write_file_id",
}
"""Those that ask for what we do otherwise on purpose, or that are of no use to us."""

SWAP = 'import sys, fileset\nsys.modules["pydicom.fileset"] = fileset\n'


class Outcomes:
    """What became of the tests, by name."""

    def __init__(self) -> None:
        self.passed: set[str] = set()
        self.failed: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        _, _, name = report.nodeid.partition("::")
        if report.failed:
            self.failed.add(name)
        elif report.when == "call":
            self.passed.add(name)


def fetched(folder: Path) -> Path:
    """Return a folder with pydicom's tests of its FileSet, and ours in the place of that."""
    wanted = f"pydicom=={pydicom.__version__}"
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder)]
    subprocess.run([*pip, "--no-binary", "pydicom", wanted], check=True)
    (source,) = folder.glob("pydicom-*.tar.gz")
    with tarfile.open(source) as archive:
        archive.extractall(folder, filter="data")
    tests = source.with_suffix("").with_suffix("") / "tests"
    alone = folder / "alone"
    alone.mkdir()
    (alone / "test_fileset.py").write_text((tests / "test_fileset.py").read_text("utf-8"))
    (alone / "conftest.py").write_text(SWAP + (tests / "conftest.py").read_text("utf-8"))
    return alone


def main() -> int:
    """Run them, say what came of it, and return the exit code."""
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory() as folder:
        tests = fetched(Path(folder))
        options = ["-q", "-p", "no:cacheprovider", "--tb=no", "-c", "/dev/null"]
        pytest.main([*options, f"--rootdir={tests}", str(tests)], plugins=[outcomes])
    expected = PRIVATE | OTHERWISE
    for name in sorted(outcomes.failed - expected):
        print(f"fails: {name}")  # noqa: T201 - the answer
    for name in sorted(expected - outcomes.failed):
        print(f"passes, and is listed as one that fails: {name}")  # noqa: T201
    total = len(outcomes.passed | outcomes.failed)
    print(f"{len(outcomes.passed)} of {total} pass")  # noqa: T201
    return int(not outcomes.passed or outcomes.failed != expected)


if __name__ == "__main__":
    sys.exit(main())
