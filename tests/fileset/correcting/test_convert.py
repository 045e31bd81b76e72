"""Converted instances are the same ones in Explicit VR Little Endian, and come back by undo."""

from __future__ import annotations

from pathlib import Path
from unittest import mock

import pytest
from pydicom import dcmread, examples
from pydicom.data import get_testdata_file

from fileset import FileSet
from fileset.correcting import convert as converting
from fileset.correcting.convert import ConversionReport, Converter
from fileset.correcting.correct import CorrectionOutcome
from ledger.digest import digest_of
from ledger.events import InstancesConverted

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = Path(str(get_testdata_file("MR_small_implicit.dcm")))
BIG_ENDIAN_32 = Path(str(get_testdata_file("rtdose_expb.dcm")))


@pytest.fixture
def fs(tmp_path: Path) -> FileSet:
    fs = FileSet(repository=tmp_path / "archive")
    fs.add_many([IMPLICIT, examples.get_path("ct"), examples.get_path("jpeg2k")])
    return fs


def convert(fs: FileSet) -> ConversionReport:
    return Converter(fs.repository).convert(list(fs.state.live.values()))


def test_what_can_be_converted_is_and_undo_brings_the_very_bytes_back(fs: FileSet) -> None:
    fs.profile = "STD-GEN-CD"
    before = {leaf.uid: leaf for leaf in fs.state.live.values()}
    assert sum(number for _, number in fs.state.misfits()) == 2
    report = convert(fs)
    (result,) = report.results
    assert result.outcome is CorrectionOutcome.CORRECTED
    assert not report.is_incomplete
    assert fs.state.live.keys() == before.keys()
    (mr,) = fs.find(PatientID="4MR1")
    assert fs.state.live[result.uid].transfer_syntax_uid == EXPLICIT
    assert mr.load().PixelData == dcmread(IMPLICIT).PixelData
    assert sum(number for _, number in fs.state.misfits()) == 1
    assert InstancesConverted in map(type, fs.history[-1].events)
    fs.undo()
    content = fs.state.live[result.uid].content
    assert content is not None
    assert content.digest == digest_of(IMPLICIT.read_bytes())
    assert digest_of(fs.repository.vault.read(content.digest)) == content.digest


def test_a_second_conversion_finds_nothing_to_convert(fs: FileSet) -> None:
    convert(fs)
    before = fs.repository.journal.position
    report = convert(fs)
    assert (report.results, report.change) == ((), None)
    assert fs.repository.journal.position == before


def test_the_journal_tells_from_what_they_were_converted(fs: FileSet) -> None:
    handle = fs.state.live[str(dcmread(IMPLICIT).SOPInstanceUID)].handle
    convert(fs)
    events = [each.event for each in fs.repository.journal.read()]
    assert [event for event in events if isinstance(event, InstancesConverted)] == [
        InstancesConverted((handle,), "1.2.840.10008.1.2")
    ]


def test_one_that_cannot_be_converted_stays_and_the_others_go_on(fs: FileSet) -> None:
    fs.add_many([BIG_ENDIAN_32], complete=True)
    report = convert(fs)
    assert report.is_incomplete
    assert {each.outcome for each in report.results} == {
        CorrectionOutcome.CORRECTED,
        CorrectionOutcome.FAILED,
    }
    (failed,) = (each for each in report.results if each.reason is not None)
    assert "readers disagree on pixels of 32 bits" in str(failed.reason)
    assert fs.state.live[failed.uid].transfer_syntax_uid == "1.2.840.10008.1.2.2"


def test_what_is_not_proven_to_be_the_same_is_not_taken(fs: FileSet) -> None:
    before = fs.repository.journal.position
    with mock.patch.object(converting, "differs", return_value="pixel data"):
        (result,) = convert(fs).results
    assert result.reason == "can't be converted: its pixel data would not be the same"
    assert fs.repository.journal.position == before


def test_a_converted_instance_is_written_in_place_of_the_original(
    fs: FileSet, tmp_path: Path
) -> None:
    fs.write(tmp_path / "disc")
    convert(fs)
    fs.write()
    syntaxes = [str(r.ReferencedTransferSyntaxUIDInFile)
                for r in dcmread(tmp_path / "disc" / "DICOMDIR").DirectoryRecordSequence
                if "ReferencedFileID" in r]  # fmt: skip
    assert syntaxes[0] == EXPLICIT
    assert len(list((tmp_path / "disc").rglob("IM*"))) == 3
    assert not list(fs.verify())
