"""Instances that become another patient's: they get what that one has, and change nothing there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from pydicom import Dataset, dcmread, examples

from fileset import FileSet
from fileset.adding.recorders import DIRECTORY_RECORDERS
from fileset.correcting.correct import CorrectionOutcome
from fileset.errors import NoSuchInstanceError
from fileset.views.instance import FileInstance
from ledger.instances.datasets import to_dataset


def dataset(number: int, patient_id: str, name: str, **values: Any) -> Dataset:
    ds = dcmread(examples.get_path("ct"))
    ds.PatientID, ds.PatientName, ds.PatientSex, ds.PatientBirthDate = patient_id, name, "", ""
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = f"1.2.4.{number}", f"1.2.5.{number}"
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture
def fs(tmp_path: Path) -> FileSet:
    """A File-set in a folder, which tests close by themselves only to open it anew."""
    return FileSet(repository=tmp_path / "archive")


def instance(fs: FileSet, number: int) -> FileInstance:
    (found,) = fs.find(SOPInstanceUID=f"1.2.3.{number}")
    return found


def patients(fs: FileSet) -> dict[str, str]:
    """Return the names in the PATIENT records by ID."""
    branches = fs.state.hierarchy.branches.values()
    live = [each.record for each in branches if each.is_live and each.own.type == "PATIENT"]
    found = [to_dataset(record.elements) for record in live]
    return {str(each.PatientID): str(each.PatientName) for each in found}


def corrected(fs: FileSet) -> object:
    return fs.correct(instance(fs, 1), {"PatientID": "B"})


def in_two_steps(fs: FileSet) -> object:
    fs.correct(instance(fs, 1), {"PatientID": "C"})
    return fs.correct(instance(fs, 1), {"PatientID": "B"})


def back_and_forth(fs: FileSet) -> object:
    corrected(fs)
    fs.undo()
    return fs.redo()


def corrected_once_more(fs: FileSet) -> object:
    corrected(fs)
    return fs.correct(instance(fs, 1), {"StudyDescription": "Right"})


@pytest.mark.parametrize("how", [corrected, in_two_steps, back_and_forth, corrected_once_more])
def test_what_is_known_of_a_patient_stands_when_an_earlier_instance_comes_to_it(
    fs: FileSet, tmp_path: Path, how: Callable[[FileSet], object]
) -> None:
    fs.add(dataset(1, "A", "Quux^Anna"))
    fs.add(dataset(2, "B", "Zwirn^Berta"))
    how(fs)
    assert patients(fs) == {"B": "Zwirn^Berta"}
    (found,) = fs.mismatches
    assert found.patient_id == "B"
    fs.write(tmp_path / "cd")
    assert [r.PatientName for r in records(tmp_path / "cd", "PATIENT")] == ["Zwirn^Berta"]
    fs.repository.rebuild()
    assert patients(fs) == {"B": "Zwirn^Berta"}
    assert fs.verify() == []
    fs.close()


def records(root: Path, record_type: str) -> list[Dataset]:
    sequence = dcmread(root / "DICOMDIR").DirectoryRecordSequence
    return [each for each in sequence if each.DirectoryRecordType == record_type]


def test_what_is_known_stands_after_the_former_patient_is_erased(fs: FileSet) -> None:
    fs.add(dataset(1, "A", "Quux^Anna"))
    fs.add(dataset(2, "B", "Zwirn^Berta"))
    fs.correct(instance(fs, 1), {"PatientID": "B"})
    fs.correct(instance(fs, 1), {"PatientName": "Zwirn^B"})
    fs.erase(PatientID="A", reason="asked for", take_off=True)
    assert patients(fs) == {"B": "Zwirn^Berta"}
    fs.repository.rebuild()
    assert patients(fs) == {"B": "Zwirn^Berta"}
    fs.close()


def test_a_patient_whose_instances_are_all_corrected_is_what_they_say(fs: FileSet) -> None:
    fs.add(dataset(1, "A", "Quux^Anna"))
    fs.add(dataset(2, "B", "Zwirn^Berta"))
    fs.move(instance(fs, 1), "B")
    fs.correct(fs.find(PatientID="B"), {"PatientName": "Zwirn^B"})
    assert patients(fs) == {"B": "Zwirn^B"}
    fs.close()


def test_a_study_that_others_are_in_is_described_as_before(fs: FileSet) -> None:
    for number, study in (0, "First"), (1, "Wrong"), (2, "Right"):
        fs.add(dataset(number, "A", "Quux^Anna", StudyDescription=study))
    fs.correct(instance(fs, 1), {"StudyInstanceUID": "1.2.4.2"})
    assert {i.StudyDescription for i in fs.find(StudyInstanceUID="1.2.4.2")} == {"Right"}
    fs.close()


def test_an_instance_that_speaks_for_its_patient_does_so_in_another_study(fs: FileSet) -> None:
    fs.add(dataset(1, "A", "Quux^Anna"))
    fs.add(dataset(2, "A", "QUUX^ANNA"))
    fs.correct(instance(fs, 1), {"StudyInstanceUID": "1.2.4.2"})
    assert patients(fs) == {"A": "Quux^Anna"}
    fs.close()


# --- merge and move ------------------------------------------------------------------------------


def test_what_any_instance_of_the_other_patient_says_is_known_of_it(fs: FileSet) -> None:
    fs.add(dataset(1, "A", "Quux^Anna", PatientSex="F", PatientBirthDate="19500101"))
    fs.add(dataset(2, "B", "Zwirn^Berta"))
    fs.add(dataset(3, "B", "Zwirn^Berta", PatientSex="F", PatientBirthDate="19700101"))
    fs.move(instance(fs, 1), "B")
    ds = instance(fs, 1).load()
    assert (ds.PatientName, ds.PatientSex, ds.PatientBirthDate) == ("Zwirn^Berta", "F", "19700101")
    assert fs.mismatches == []
    fs.close()


@pytest.mark.parametrize(("how", "sex"), [("merge", "F"), ("move", "")])
def test_what_nobody_knows_of_the_other_patient_stays_only_if_it_is_the_same_person(
    fs: FileSet, how: str, sex: str
) -> None:
    fs.add(dataset(1, "A", "Quux^Anna", PatientSex="F"))
    fs.add(dataset(2, "B", "Quux^Anna"))
    if how == "merge":
        fs.merge("A", "B")
    else:
        fs.move(instance(fs, 1), "B")
    assert instance(fs, 1).load().PatientSex == sex
    assert fs.mismatches == []
    fs.close()


def test_values_of_somebody_else_with_the_same_id_are_not_those_of_the_patient(fs: FileSet) -> None:
    fs.add(dataset(1, "A", "Quux^Anna"))
    fs.add(dataset(2, "B", "Zwirn^Berta"))
    with pytest.warns(UserWarning, match="another person"):
        fs.add(dataset(3, "B", "Fluse^Carla", PatientSex="F", PatientBirthDate="19700101"))
    fs.move(instance(fs, 1), "B")
    ds = instance(fs, 1).load()
    assert (ds.PatientName, ds.PatientSex, ds.PatientBirthDate) == ("Zwirn^Berta", "", "")
    fs.close()


def test_who_issued_the_former_id_goes_with_it(fs: FileSet) -> None:
    fs.add(dataset(1, "A", "Quux^Anna", IssuerOfPatientID="OTHERS", TypeOfPatientID="TEXT"))
    fs.add(dataset(2, "B", "Quux^Anna"))
    fs.merge("A", "B")
    assert "IssuerOfPatientID" not in instance(fs, 1).load()
    assert "TypeOfPatientID" not in instance(fs, 1).load()
    fs.close()


def test_merge_and_move_are_one_change_each_and_can_be_tried(fs: FileSet) -> None:
    fs.add(dataset(1, "A", "Quux^Anna"))
    fs.add(dataset(2, "B", "Quux^Anna"))
    tried = fs.merge("A", "B", dry_run=True)
    assert (len(tried.of(CorrectionOutcome.CORRECTED)), tried.change) == (1, None)
    assert set(patients(fs)) == {"A", "B"}
    done = fs.merge("A", "B", reason="one person", original_attributes=True)
    assert done.change is not None
    assert set(patients(fs)) == {"B"}
    assert "OriginalAttributesSequence" in instance(fs, 1).load()
    fs.undo()
    assert set(patients(fs)) == {"A", "B"}
    fs.close()


def test_nobody_the_file_set_does_not_know_takes_part(fs: FileSet) -> None:
    fs.add(dataset(1, "A", "Quux^Anna"))
    with pytest.raises(NoSuchInstanceError, match="no patient with the ID 'B'"):
        fs.merge("A", "B")
    with pytest.raises(NoSuchInstanceError, match="no patient with the ID 'B'"):
        fs.merge("B", "A")
    with pytest.raises(NoSuchInstanceError, match="no patient with the ID 'B'"):
        fs.move(instance(fs, 1), "B")
    with pytest.raises(ValueError, match="is the same patient"):
        fs.merge("A", "A ")
    fs.close()


def test_new_uids_need_no_values_and_nothing_at_all_is_no_correction(fs: FileSet) -> None:
    fs.add(dataset(1, "A", "Quux^Anna"))
    fs.correct(list(fs), new_uids=True)
    (found,) = fs
    assert found.SOPInstanceUID != "1.2.3.1"
    assert found.load().StudyInstanceUID == found.StudyInstanceUID != "1.2.4.1"
    with pytest.raises(ValueError, match="Say what is to be corrected"):
        fs.correct(list(fs))
    fs.close()


def test_a_sequence_in_the_record_of_the_other_patient_stands_in_no_one_s_way(fs: FileSet) -> None:
    make = DIRECTORY_RECORDERS["PATIENT"]

    def patient(ds: Dataset) -> Dataset:
        record = make(ds)
        qualifiers = Dataset()
        qualifiers.UniversalEntityID, qualifiers.UniversalEntityIDType = "1.2.3", "ISO"
        record.IssuerOfPatientIDQualifiersSequence = [qualifiers]
        return record

    with mock.patch.dict(DIRECTORY_RECORDERS, {"PATIENT": patient}):
        fs.add(dataset(1, "A", "Roth^Anna"))
        fs.add(dataset(2, "B", "Roth^Berta"))
    assert not fs.move(instance(fs, 1), "B").is_incomplete
    assert patients(fs) == {"B": "Roth^Berta"}
