"""Instances of a File-set: they answer for their records, and know their File-set."""

from __future__ import annotations

import gc
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cli_runs import CT, copy_of_example
from pydicom import examples
from pydicom.dataelem import DataElement, RawDataElement, convert_raw_data_element

from fileset import FileSet
from ledger.tags import SPECIFIC_CHARACTER_SET


def test_an_instance_keeps_its_file_set(tmp_path: Path) -> None:
    instance = next(iter(FileSet(copy_of_example(tmp_path / "copied"))))
    gc.collect()
    assert instance in instance.file_set
    assert instance.load().SOPInstanceUID == instance.SOPInstanceUID


def test_what_an_instance_is_can_be_printed_whatever_became_of_it() -> None:
    files = FileSet()
    erased = files.add(CT)
    uid = str(erased.SOPInstanceUID)
    files.remove(erased)
    assert repr(erased) == str(erased) == f"<FileInstance IMAGE {uid}, removed>"
    files.erase(reason="request 1", SOPInstanceUID=uid)
    assert repr(erased) == str(erased) == "<FileInstance that was erased>"
    with suppress(ZeroDivisionError), files.change():
        undone = files.add(CT)
        _ = 1 / 0
    assert repr(undone) == str(undone) == "<FileInstance of a change that was taken back>"
    closed = files.add(CT)
    files.close()
    assert repr(closed) == "<FileInstance of a File-set that was closed>"


def test_an_instance_answers_for_its_records_and_keeps_what_it_is_given() -> None:
    instance = FileSet().add(CT)
    instance.my_note = "seen"  # type: ignore[attr-defined]
    assert next(iter(instance.file_set)).my_note == "seen"
    assert instance.StudyDate == instance["StudyDate"].value == examples.ct.StudyDate
    assert "StudyDate" in instance
    assert "Rows" not in instance
    assert instance["SOPInstanceUID"].value == instance.SOPInstanceUID
    with pytest.raises(AttributeError, match="'FileInstance' object has no attribute 'nonsense'"):
        _ = instance.nonsense
    assert [node.record_type for node in instance.node.ancestors] == ["SERIES", "STUDY", "PATIENT"]


def test_an_element_is_decoded_once_for_all_instances_that_have_it_of_a_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = FileSet(copy_of_example(tmp_path / "copied"))
    decoded: list[int] = []

    def counting(raw: RawDataElement, **options: Any) -> DataElement:
        if raw.tag != SPECIFIC_CHARACTER_SET:  # that of all records is remembered beyond this test
            decoded.append(int(raw.tag))
        return convert_raw_data_element(raw, **options)

    monkeypatch.setattr("fileset.values.convert_raw_data_element", counting)
    for _ in range(2):
        values = [(i.PatientID, i.StudyInstanceUID, i.Modality, i.InstanceNumber) for i in files]
    patients, studies, series = (
        {found.node.ancestors[level].key for found in files} for level in (-1, -2, -3)
    )
    assert len(values) == len(files) > len(series)
    assert len(decoded) == len(patients) + len(studies) + len(series) + len(files)
