"""Corrections of a File-set: what is wrong with one instance stops no other, and undo has it all.

Whatever is in the way, an instance that can't be corrected is as it was.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from cli_runs import CT, MR, changed
from pydicom import dcmread
from pydicom.dataset import Dataset

from fileset import FileSet
from fileset.adding.recorders import DIRECTORY_RECORDERS
from fileset.correcting.correct import CorrectionOutcome, CorrectionReport
from fileset.medium.materializer import Materializer
from ledger.errors import VaultError
from ledger.vault.appender import Appender

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@pytest.fixture
def fs(tmp_path: Path) -> Iterator[FileSet]:
    with FileSet(repository=tmp_path / "repository") as fs:
        yield fs


def outcomes(report: CorrectionReport) -> list[tuple[str, str | None]]:
    return [(result.outcome.value, result.reason) for result in report.results]


def files(root: Path) -> dict[str, bytes]:
    found = (path for path in root.rglob("*") if path.is_file() and path.name != "DICOMDIR")
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in found}


def names(fs: FileSet) -> list[str]:
    return [str(instance.load().PatientName) for instance in fs]


# --- instances that can't be corrected -----------------------------------------------------------


def test_a_reference_that_is_gone_or_has_changed_is_reported_and_stays(
    fs: FileSet, tmp_path: Path
) -> None:
    gone, other, whole = (tmp_path / name for name in ("gone", "other", "whole"))
    for number, path in enumerate((gone, other, whole)):
        changed(CT, path, SOPInstanceUID=f"1.2.3.{number}")
    fs.add_many([gone, other, whole], reference=True)
    gone.unlink()
    other.write_bytes(MR.read_bytes())
    before = {instance.handle for instance in fs}

    report = fs.correct(list(fs), {"PatientName": "Right^Name"})
    assert outcomes(report) == [
        ("failed", "can't be read: No such file or directory"),
        ("failed", f"{other} has changed since it was added."),
        ("corrected", None),
    ]
    assert report.is_incomplete
    assert len(before & {instance.handle for instance in fs}) == 2


def test_what_was_left_where_it_was_found_is_in_the_vault_once_it_is_corrected(
    fs: FileSet, tmp_path: Path
) -> None:
    source = tmp_path / "source"
    shutil.copyfile(CT, source)
    fs.add_many([source], reference=True)
    fs.correct(list(fs), {"PatientName": "Right^Name"})
    source.unlink()
    fs.undo()
    (instance,) = fs
    assert Path(instance.path).read_bytes() == CT.read_bytes()
    assert fs.verify() == []


def test_damaged_content_is_reported_and_the_others_are_corrected(tmp_path: Path) -> None:
    with FileSet(repository=tmp_path / "repository") as fs:
        fs.add_many([CT, MR])
    (pack,) = (tmp_path / "repository" / "vault").glob("*.pack")
    data = pack.read_bytes()
    pack.chmod(0o600)
    pack.write_bytes(data.replace(b"CompressedSamples^CT1", b"compressedSamples^CT1", 1))
    with FileSet.open(tmp_path / "repository") as fs:
        report = fs.correct(list(fs), {"StudyDescription": "Right"})
        ((what, why), (other, _)) = outcomes(report)
        assert (what, other) == ("failed", "corrected")
        assert "is damaged: add its file again" in (why or "")


def test_an_absent_medium_is_reported_and_a_read_only_one_is_read(tmp_path: Path) -> None:
    root = tmp_path / "medium"
    with FileSet() as other:
        other.add_many([CT, MR])
        other.write(root)
    before = files(root)
    with FileSet(root / "DICOMDIR", repository=tmp_path / "repository") as fs:
        root.rename(tmp_path / "away")
        report = fs.correct(list(fs), {"PatientName": "Right^Name"})
        assert {why for _, why in outcomes(report)} == {"can't be read: No such file or directory"}
        assert report.change is None
        (tmp_path / "away").rename(root)
        folders = [root, *(path for path in root.rglob("*") if path.is_dir())]
        for folder in folders:
            folder.chmod(0o555)
        assert not fs.correct(list(fs), {"PatientName": "Right^Name"}).is_incomplete
        for folder in folders:
            folder.chmod(0o755)
        fs.write()
        assert names(fs) == ["Right^Name"] * 2
        assert files(root).keys() == before.keys()
        fs.undo()
        fs.write()
        assert files(root) == before
        assert fs.verify() == []


def test_a_uid_that_another_instance_has_is_refused_to_the_one(fs: FileSet) -> None:
    fs.add_many([CT, MR])
    ct, mr = fs
    report = fs.correct(ct, {"SOPInstanceUID": str(mr.SOPInstanceUID)})
    ((what, why),) = outcomes(report)
    assert what == "failed"
    assert "which another instance has" in (why or "")


@pytest.mark.parametrize("values", [{"Modality": ""}, {"PatientID": None}])
def test_what_a_record_must_have_is_not_corrected_away(fs: FileSet, values: dict[str, Any]) -> None:
    fs.add(CT)
    ((what, why),) = outcomes(fs.correct(list(fs), values))
    assert what == "failed"
    assert "missing a required element" in (why or "") or "empty" in (why or ""), why


@pytest.mark.parametrize("size", [2, 5000])
def test_what_was_invented_for_the_records_stays_so_until_it_is_corrected(
    fs: FileSet, tmp_path: Path, size: int
) -> None:
    path = changed(
        CT, tmp_path / "ct", PatientID="", Rows=size, Columns=size, PixelData=bytes(size * size * 2)
    )
    fs.add_many([path], complete=True)
    (instance,) = fs
    invented = str(instance.PatientID)
    assert outcomes(fs.correct(instance, {"PatientName": "A^B"})) == [("corrected", None)]
    (instance,) = fs
    assert (str(instance.PatientID), str(instance.PatientName)) == (invented, "A^B")
    fs.correct(instance, {"PatientID": "REAL"})
    (instance,) = fs
    assert str(instance.PatientID) == "REAL"


def test_a_vault_that_fails_ends_the_correction_and_nothing_is_recorded(fs: FileSet) -> None:
    fs.add_many([CT, MR])
    position = fs.state.position
    with (
        mock.patch.object(Appender, "append", side_effect=VaultError("no room")),
        pytest.raises(VaultError, match="no room"),
    ):
        fs.correct(list(fs), {"PatientName": "Right^Name"})
    assert fs.state.position == position
    assert fs.verify() == []


# --- within changes, beside others ---------------------------------------------------------------


def test_an_interrupted_correction_is_recorded_not_at_all(fs: FileSet) -> None:
    fs.add_many([CT, MR])
    position, interrupted = fs.state.position, mock.Mock(side_effect=KeyboardInterrupt)
    with pytest.raises(KeyboardInterrupt):
        fs.correct(list(fs), {"PatientName": "Right^Name"}, progress=interrupted)
    assert fs.state.position == position
    assert "Right^Name" not in names(fs)
    assert fs.verify() == []
    assert fs.gc(dry_run=True).entries == 0


def test_a_dry_run_leaves_nothing_in_the_vault(fs: FileSet) -> None:
    fs.add(CT)
    position = fs.state.position
    report = fs.correct(list(fs), {"PatientName": "Right^Name"}, dry_run=True)
    assert outcomes(report) == [("corrected", None)]
    assert (fs.state.position, report.change) == (position, None)
    assert fs.gc(dry_run=True).entries == 0


def test_corrections_and_additions_in_one_change_are_undone_together(fs: FileSet) -> None:
    fs.add(CT)
    with fs.change(reason="all at once"):
        fs.correct(list(fs), {"PatientName": "A"})
        fs.correct(list(fs), {"PatientName": "B"})
        fs.add(MR)
        fs.correct(fs.find(Modality="MR"), {"PatientName": "C"})
    assert names(fs) == ["B", "C"]
    fs.undo()
    (instance,) = fs
    assert Path(instance.path).read_bytes() == CT.read_bytes()
    fs.redo()
    assert names(fs) == ["B", "C"]
    assert fs.verify() == []


def test_a_change_that_fails_takes_its_corrections_back(fs: FileSet) -> None:
    fs.add(CT)
    before = fs.state.position
    with suppress(ZeroDivisionError), fs.change():
        fs.correct(list(fs), {"PatientName": "A"})
        raise ZeroDivisionError
    assert fs.state.position == before
    assert names(fs) == ["CompressedSamples^CT1"]
    assert fs.verify() == []


def test_what_another_one_has_corrected_is_corrected_further(fs: FileSet, tmp_path: Path) -> None:
    fs.add(CT)
    with FileSet.open(tmp_path / "repository") as other:
        (known,) = other
        fs.correct(list(fs), {"PatientName": "A"})
        other.correct(known, {"PatientSex": "F"})
        (corrected,) = other
        ds = corrected.load()
        assert (ds.PatientName, ds.PatientSex) == ("A", "F")


def test_a_correction_while_a_write_is_interrupted_waits_for_the_next_write(
    fs: FileSet, tmp_path: Path
) -> None:
    fs.add_many([CT, MR])
    fs.write(tmp_path / "medium")
    fs.correct(fs.find(Modality="CT"), {"PatientName": "A"})
    with (
        mock.patch.object(Materializer, "_commit", side_effect=KeyboardInterrupt),
        mock.patch("fileset.medium.made_files.MadeFiles.roll_back", return_value=False),
        pytest.raises(KeyboardInterrupt),
    ):
        fs.write()
    assert fs.state.writing is not None
    assert not fs.correct(list(fs), {"PatientName": "B"}).is_incomplete
    fs.write()
    if fs.is_staged:
        fs.write()
    assert names(fs) == ["B", "B"]
    assert fs.verify() == []


def test_a_correction_alone_is_written_with_use_existing(fs: FileSet, tmp_path: Path) -> None:
    fs.add_many([CT, MR])
    fs.write(tmp_path / "medium")
    before = files(tmp_path / "medium")
    fs.correct(fs.find(Modality="CT"), {"PatientName": "A"})
    pending = fs.pending
    ((old, new),) = pending.corrections
    assert Path(old.path).read_bytes() == CT.read_bytes()
    assert dcmread(new.path).PatientName == "A"
    assert (pending.additions, pending.removals) == ([], [])
    assert pending.summary == "DICOMDIR update, 1 correction"
    fs.write(use_existing=True)
    after = files(tmp_path / "medium")
    assert after.keys() == before.keys()
    assert [path for path in after if after[path] != before[path]] == [
        "PT000000/ST000000/SE000000/IM000000"
    ]
    assert fs.verify() == []


def test_an_earlier_state_is_copied_as_it_was(fs: FileSet, tmp_path: Path) -> None:
    fs.add(CT)
    position = fs.state.position
    fs.correct(list(fs), {"PatientName": "A", "SOPInstanceUID": "1.2.3"})
    assert names(fs.at(position)) == ["CompressedSamples^CT1"]
    fs.at(position).copy(tmp_path / "then")
    fs.copy(tmp_path / "now")
    assert list(files(tmp_path / "then").values()) == [CT.read_bytes()]
    (now,) = files(tmp_path / "now")
    assert dcmread(tmp_path / "now" / now).SOPInstanceUID == "1.2.3"


# --- records that others have made ---------------------------------------------------------------


@pytest.fixture
def adopted(tmp_path: Path) -> Iterator[FileSet]:
    """Give a File-set whose DICOMDIR says more of a patient and an image than ours would."""

    def more_of(record_type: str, **values: object) -> Any:
        make = DIRECTORY_RECORDERS[record_type]

        def made(ds: Dataset) -> Dataset:
            record = make(ds)
            record.update(values)
            return record

        return made

    uid = Dataset()
    uid.ReferencedSOPInstanceUID = "1.2.3.4"
    recorders = {
        "PATIENT": more_of("PATIENT", PatientComments="told at the desk", EthnicGroup="Käse"),
        "IMAGE": more_of("IMAGE", ImageComments="blurred", ReferencedImageSequence=[uid]),
    }
    with mock.patch.dict(DIRECTORY_RECORDERS, recorders), FileSet() as other:
        other.add(CT)
        other.write(tmp_path / "medium")
    with FileSet(tmp_path / "medium" / "DICOMDIR", repository=tmp_path / "repository") as fs:
        yield fs


def told(fs: FileSet) -> dict[str, dict[str, Any]]:
    """Return what the DICOMDIR on the medium says, by the type of the record."""
    directory = dcmread(Path(str(fs.path)) / "DICOMDIR")
    return {
        record.DirectoryRecordType: {each.keyword: each.value for each in record}
        for record in directory.DirectoryRecordSequence
    }


def test_what_an_adopted_dicomdir_says_besides_stays(adopted: FileSet) -> None:
    fs = adopted
    fs.correct(list(fs), {"PatientName": "A^B", "InstanceNumber": "7"})
    fs.write()
    assert fs.verify() == []
    patient, image = told(fs)["PATIENT"], told(fs)["IMAGE"]
    assert (patient["PatientName"], image["InstanceNumber"]) == ("A^B", 7)
    assert (patient["PatientComments"], patient["EthnicGroup"]) == ("told at the desk", "Käse")
    assert image["ImageComments"] == "blurred"
    assert image["ReferencedImageSequence"][0].ReferencedSOPInstanceUID == "1.2.3.4"


def test_so_does_all_but_text_that_is_not_ascii_in_another_character_set(adopted: FileSet) -> None:
    fs = adopted
    report = fs.correct(list(fs), {"PatientName": "Ωmega^Ünü"})
    ((note,),) = (result.notes for result in report.results)
    assert note.startswith("the character set was switched to ISO_IR 192")
    fs.write()
    assert fs.verify() == []
    patient, image = told(fs)["PATIENT"], told(fs)["IMAGE"]
    assert (patient["PatientName"], patient["SpecificCharacterSet"]) == ("Ωmega^Ünü", "ISO_IR 192")
    assert patient["PatientComments"] == "told at the desk"
    assert "EthnicGroup" not in patient
    assert image["ReferencedImageSequence"][0].ReferencedSOPInstanceUID == "1.2.3.4"


def test_a_recorder_of_ones_own_makes_the_records_of_what_is_corrected(fs: FileSet) -> None:
    make = DIRECTORY_RECORDERS["IMAGE"]

    def image(ds: Dataset) -> Dataset:
        record = make(ds)
        record.ImageComments = f"of {ds.PatientName}"
        return record

    with mock.patch.dict(DIRECTORY_RECORDERS, {"IMAGE": image}):
        fs.add(CT)
        fs.correct(list(fs), {"PatientName": "A"})
    (instance,) = fs
    assert instance.ImageComments == "of A"


# --- large ones ----------------------------------------------------------------------------------

_MEASURED = """
import resource, sys
from pathlib import Path
from fileset import FileSet
with FileSet(Path(sys.argv[1]) / "DICOMDIR", repository=sys.argv[2]) as fs:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    report = fs.correct(list(fs), {"PatientName": "A"})
    print(len(report.results), report.is_incomplete)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_a_large_adopted_instance_is_corrected_in_little_memory(tmp_path: Path) -> None:
    size = 7200
    large = changed(
        CT, tmp_path / "large", Rows=size, Columns=size, PixelData=bytes(size * size * 2)
    )
    with FileSet() as other:
        other.add_many([large], reference=True)
        other.write(tmp_path / "medium")
    done = subprocess.run(
        [sys.executable, "-c", _MEASURED, tmp_path / "medium", tmp_path / "repository"],
        env={**os.environ, "PYTHONPATH": os.fspath(Path(__file__).parents[3])},
        capture_output=True,
        text=True,
        check=True,
    )
    told, grown = done.stdout.splitlines()
    assert told == "1 False"
    assert int(grown) < 64 << 10  # KiB
    with FileSet.open(tmp_path / "repository") as fs:
        fs.undo()
        (instance,) = fs
        assert Path(instance.path).read_bytes() == large.read_bytes()


def test_uids_that_an_instance_has_already_are_no_correction(fs: FileSet) -> None:
    fs.add(CT)
    (instance,) = fs
    uids = ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID", "FrameOfReferenceUID")
    loaded = instance.load()
    report = fs.correct(instance, {keyword: str(loaded[keyword].value) for keyword in uids})
    assert outcomes(report) == [("unchanged", None)]
    assert report.change is None


def test_the_account_of_each_is_by_outcome(fs: FileSet) -> None:
    fs.add_many([CT, MR])
    report = fs.correct(list(fs), {"PatientName": "CompressedSamples^CT1"})
    assert len(report.of(CorrectionOutcome.UNCHANGED)) == 1
    assert len(report.of(CorrectionOutcome.CORRECTED)) == 1
    assert not report.is_incomplete
