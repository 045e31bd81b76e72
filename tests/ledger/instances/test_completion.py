"""What directory records must have and an instance lacks is invented, in the DICOMDIR alone."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom.data
import pytest
from pydicom import dcmread, examples
from pydicom.dataset import Dataset

from fileset import FileSet
from ledger.errors import InstanceError, RecordError
from ledger.instances.completion import complete
from ledger.instances.instance import Instance, read_instance
from ledger.instances.make_records import build_records, record_types
from ledger.instances.record_keys import RECORD_KEYS, Need

SHIPPED = Path(pydicom.data.__file__).parent


def encoded(ds: Dataset) -> bytes:
    buffer = BytesIO()
    ds.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def instance_of(ds: Dataset) -> Instance:
    return read_instance(encoded(ds))


def shipped() -> Iterator[Path]:
    yield from sorted(p for p in SHIPPED.rglob("*") if p.is_file() and p.name != "DICOMDIR")


def test_an_instance_that_lacks_nothing_is_left_as_it_is() -> None:
    instance = instance_of(examples.ct)
    assert complete(instance) == (instance, {})


@pytest.mark.parametrize("empty", [False, True])
def test_each_missing_or_empty_key_gets_a_value_that_is_told(empty: bool) -> None:
    ds = examples.ct
    keywords = (
        "PatientID",
        "StudyDate",
        "StudyTime",
        "StudyID",
        "StudyInstanceUID",
        "Modality",
        "SeriesInstanceUID",
        "SeriesNumber",
        "InstanceNumber",
    )
    for keyword in keywords:
        if empty:
            setattr(ds, keyword, None)
        else:
            delattr(ds, keyword)
    filled, invented = complete(instance_of(ds))
    assert set(invented) == set(keywords)
    assert [record.type for record in build_records(filled)] == [
        "PATIENT",
        "STUDY",
        "SERIES",
        "IMAGE",
    ]


def test_the_same_file_always_gets_the_same_values() -> None:
    ds = examples.ct
    ds.PatientID = None
    ds.SeriesInstanceUID = None
    first, second = (complete(instance_of(ds))[1] for _ in range(2))
    assert first == second
    assert first["SeriesInstanceUID"].startswith("2.25.")
    assert len(first["SeriesInstanceUID"]) <= 64


def test_instances_of_one_study_stay_together_and_studies_apart(tmp_path: Path) -> None:
    for number in range(4):
        ds = examples.ct
        ds.PatientID = None
        ds.SOPInstanceUID = f"1.2.3.{number}"
        ds.StudyInstanceUID = f"1.2.4.{number // 2}"
        ds.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    fs = FileSet()
    fs.add_many([tmp_path], complete=True)
    assert len(fs.find_values("PatientID")) == 2
    assert len(fs.find_values("StudyInstanceUID")) == 2


def test_a_sequence_is_not_invented() -> None:
    ds = dcmread(str(pydicom.data.get_testdata_file("reportsi.dcm")))
    del ds.ConceptNameCodeSequence
    filled, _ = complete(instance_of(ds))
    with pytest.raises(RecordError, match="Concept Name Code Sequence' element is missing"):
        build_records(filled)


def test_without_the_option_the_file_is_rejected_and_with_it_only_the_dicomdir_differs(
    tmp_path: Path,
) -> None:
    source = tmp_path / "source.dcm"
    source.write_bytes(encoded(examples.rt_dose))
    fs = FileSet()
    assert fs.add_many([source]).has_failures
    report = fs.add_many([source], complete=True)
    (result,) = report
    assert result.invented == {"InstanceNumber": "0"}
    (event,) = fs.history[-1].events
    assert event.invented == {"InstanceNumber": "0"}  # type: ignore[union-attr]
    fs.write(tmp_path / "medium")
    (instance,) = fs
    assert instance.InstanceNumber == 0
    assert Path(instance.path).read_bytes() == source.read_bytes()
    fs.undo()
    assert len(fs) == 0


def test_every_shipped_file_that_can_be_read_can_be_completed_or_says_why_not() -> None:
    completed = 0
    for path in shipped():
        try:
            instance = read_instance(path.read_bytes(), str(path))
        except InstanceError:
            continue
        filled, invented = complete(instance)
        lacking = [
            key.keyword
            for kind in record_types(filled)
            for key, need in RECORD_KEYS[kind].keys
            if need is Need.TYPE_1 and key.vr != "SQ" and not filled.header[key.tag].value
        ]
        assert not lacking, path
        completed += bool(invented)
    assert completed > 10
