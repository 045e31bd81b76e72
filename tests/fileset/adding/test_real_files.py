"""Every file that ships with pydicom, offered for real, and what becomes of it."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom.data
import pytest
from click.testing import CliRunner, Result
from pydicom.fileset import FileSet as PydicomFileSet

from fileset import FileSet
from fileset.adding.outcome import Outcome
from fileset.adding.report import AddReport
from fileset.cli import main

SHIPPED = Path(pydicom.data.__file__).parent
TEST_FILES = SHIPPED / "test_files"
DICOMDIRS = sorted(p for p in TEST_FILES.rglob("DICOMDIR*") if p.is_file())


@pytest.fixture(scope="module", params=[False, True], ids=["strict", "complete"])
def offered(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[FileSet, AddReport, Path]]:
    """All shipped files added and written; returns the File-set, the report and the root."""
    fs = FileSet()
    report = fs.add_many([SHIPPED], complete=request.param)
    root = tmp_path_factory.mktemp("medium")
    fs.write(root)
    yield fs, report, root
    fs.close()


def test_every_file_is_accounted_for(offered: tuple[FileSet, AddReport, Path]) -> None:
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
    offered: tuple[FileSet, AddReport, Path],
) -> None:
    fs, report, root = offered
    sources = {r.handle: Path(r.source) for r in report if r.outcome is Outcome.ADDED}
    for instance in fs:
        assert Path(instance.path).is_relative_to(root)
        assert Path(instance.path).read_bytes() == sources[instance.handle].read_bytes()


def test_pydicom_loads_what_was_written(offered: tuple[FileSet, AddReport, Path]) -> None:
    fs, _, root = offered
    theirs = PydicomFileSet(root / "DICOMDIR")
    assert [i.SOPInstanceUID for i in theirs] == [i.SOPInstanceUID for i in fs]
    assert str(theirs) == str(fs)


def test_dcdirdmp_walks_it(offered: tuple[FileSet, AddReport, Path]) -> None:
    fs, _, root = offered
    done = subprocess.run(
        ["dcdirdmp", root / "DICOMDIR"], capture_output=True, timeout=60, check=False
    )
    assert done.returncode == 0
    assert (done.stdout + done.stderr).count(b" -> ") >= len(fs)


@pytest.fixture
def ends() -> Iterator[None]:
    """Fail what hangs, instead of hanging with it."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("it does not end"))
    signal.alarm(120)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


def loads(path: Path) -> bool:
    """Load the DICOMDIR at `path` and use it; `False` if it is refused, which takes a reason."""
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        try:
            fs = FileSet(path)
        except (ValueError, OSError) as exc:
            reason = str(exc)
        else:
            reason = None
    if reason is not None:
        assert reason
        return False
    with fs:
        assert len(fs) == sum(1 for _ in fs)
        assert str(fs)
    return True


@pytest.mark.usefixtures("ends")
@pytest.mark.parametrize("path", DICOMDIRS, ids=lambda p: p.name)
def test_each_shipped_dicomdir_is_loaded_or_refused_with_a_reason(path: Path) -> None:
    assert loads(path) is (path.name != "DICOMDIR-nopatient")


def cut_short(data: bytes) -> Iterator[bytes]:
    """Yield `data` ending ever earlier."""
    yield from (data[:end] for end in range(0, len(data), len(data) // 40))


LINKS = re.compile(
    rb"\x04\x00(?:[\x00\x20]\x14|[\x00\x02]\x12)(?:UL\x04\x00|\x04\x00\x00\x00)"
    rb"|\x00\x04(?:\x14[\x00\x20]|\x12[\x00\x02])UL\x00\x04"
)
ITEMS = re.compile(rb"\xfe\xff\x00\xe0|\xff\xfe\xe0\x00")


def led_astray(data: bytes) -> Iterator[bytes]:
    """Yield `data` with one of its offsets leading nowhere, to itself, back or ahead."""
    ends = [match.end() for match in LINKS.finditer(data)]
    records = [match.start() for match in ITEMS.finditer(data)] or [0]
    for number, end in enumerate(ends):
        wrong = (0, 1, 0xFFFFFFFF, len(data), end, records[0], records[number % len(records)])
        offset = wrong[number % len(wrong)]
        yield data[:end] + offset.to_bytes(4, "little") + data[end + 4 :]
    for step in (2, 3, 5):
        astray = bytearray(data)
        for number, end in enumerate(ends):
            if number % step == 0:
                offset = records[number * step % len(records)]
                astray[end : end + 4] = offset.to_bytes(4, "little")
        yield bytes(astray)


def disfigured(data: bytes) -> Iterator[bytes]:
    """Yield `data` with bytes changed, lost, or too many."""
    chance = random.Random(0)  # noqa: S311 - damage is to be the same in each run
    for _ in range(20):
        damaged = bytearray(data)
        for _ in range(chance.randint(1, 20)):
            damaged[chance.randrange(128, len(data))] = chance.randrange(256)
        yield bytes(damaged)
        at, length = chance.randrange(128, len(data)), chance.randint(1, 200)
        yield data[:at] + data[at + length :]
        yield data[:at] + chance.randbytes(length) + data[at:]


@pytest.mark.usefixtures("ends")
@pytest.mark.parametrize("path", DICOMDIRS, ids=lambda p: p.name)
@pytest.mark.parametrize("damage", [cut_short, led_astray, disfigured])
def test_a_damaged_dicomdir_is_loaded_or_refused_with_a_reason(
    path: Path, damage: Callable[[bytes], Iterator[bytes]], tmp_path: Path
) -> None:
    dicomdir = tmp_path / "DICOMDIR"
    loaded = []
    for number, data in enumerate(damage(path.read_bytes())):
        dicomdir.write_bytes(data)
        loaded.append(loads(dicomdir))
        if number % 40 == 0:
            adopted = run_with("init", tmp_path / f"repository{number}", "--from", dicomdir)
            assert isinstance(adopted.exception, SystemExit | None), adopted.exception
            assert adopted.exit_code in {0, 1, 3}
    assert len(loaded) > 3


def run_with(*arguments: object) -> Result:
    return CliRunner().invoke(main, [*map(str, arguments)])
