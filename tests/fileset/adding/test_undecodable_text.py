"""Text that its character set doesn't have: kept as it is, told on entry as the check tells it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from fileset import FileSet
from tests.support.cli_runs import run

PATIENT_ID = 0x00100020


def two_people(folder: Path, charset: str, one: bytes, other: bytes) -> None:
    """Two instances whose Patient IDs are these bytes."""
    folder.mkdir()
    for number, patient in enumerate((one, other)):
        ds = dcmread(get_testdata_file("CT_small.dcm"))
        ds.SpecificCharacterSet = charset
        ds.PatientID = mark = f"ID{number:0{len(patient) - 2}d}"
        ds.PatientName, ds.InstanceNumber = "Doe^Jane", 1
        for keyword in ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"):
            setattr(ds, keyword, generate_uid(entropy_srcs=[keyword, str(number)]))
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
        ds.save_as(folder / f"F{number}")
        data = (folder / f"F{number}").read_bytes()
        (folder / f"F{number}").write_bytes(data.replace(mark.encode(), patient))


@pytest.mark.parametrize(
    ("charset", "one", "other"),
    [
        ("ISO_IR 192", b"M\xfcl1", b"M\xe4l1"),
        ("ISO_IR 192", b"ab\xe5\xb1", b"ab\xe6\xb1"),
        ("GB18030", b"abA\xfc", b"abA\xe4"),
        ("ISO_IR 166", b"abB\xfd", b"abB\xfe"),
        ("ISO_IR 13", b"abC\xfd", b"abC\xfe"),
        ("ISO 2022 IR 149", b"abC\xfd", b"abC\xfe"),
        ("", b"abD\xe4", b"abD\xfc"),
    ],
)
def test_two_people_stay_two_and_the_medium_has_their_bytes(
    tmp_path: Path, charset: str, one: bytes, other: bytes
) -> None:
    two_people(tmp_path / "in", charset, one, other)
    repository, medium = tmp_path / "repository", tmp_path / "medium"
    run("init", repository)
    added = run("--repo", repository, "add", tmp_path / "in", "--recursive", "--json").document
    notes = {r["path"]: r["note"] for r in added["results"]}
    assert sorted(notes) == [str(tmp_path / "in/F0"), str(tmp_path / "in/F1")]
    assert all("(0010,0020)" in note for note in notes.values())
    run("--repo", repository, "write", medium)

    patients = [
        r for r in dcmread(medium / "DICOMDIR").DirectoryRecordSequence
        if r.DirectoryRecordType == "PATIENT"
    ]  # fmt: skip
    assert {r.get_item(PATIENT_ID).value.rstrip(b" ") for r in patients} == {one, other}
    assert {str(r.get("SpecificCharacterSet") or "") for r in patients} == {charset}

    said = [f["message"] for f in run("verify", medium, "--json").document["findings"]]
    fault = next(iter(notes.values())).partition("its PATIENT record ")[2]
    assert any(fault in message for message in said)


def test_such_a_value_is_shown_escaped_and_can_be_looked_for(tmp_path: Path) -> None:
    two_people(tmp_path / "in", "ISO_IR 192", b"M\xfcl1", b"M\xe4l1")
    repository = tmp_path / "repository"
    run("init", repository)
    run("--repo", repository, "add", tmp_path / "in", "--recursive")
    tree = run("--repo", repository, "tree").out
    assert "M\\xfcl1" in tree
    assert "M\\xe4l1" in tree
    values = run("--repo", repository, "values", "PatientID").out
    assert "M\\xfcl1" in values
    assert "M\\xe4l1" in values
    found = run("--repo", repository, "find", "PatientID=M\\xfcl1", "--json").document
    assert len(found["instances"]) == 1
    for command in (["find", "PatientID=x"], ["values", "PatientID"], ["status"], ["log"]):
        for json_too in ([], ["--json"]):
            run("--repo", repository, *command, *json_too)


def test_a_file_set_prints_it_and_writes_its_bytes(tmp_path: Path) -> None:
    two_people(tmp_path / "in", "ISO_IR 192", b"M\xfcl1", b"M\xe4l1")
    fs = FileSet()
    for path in sorted((tmp_path / "in").iterdir()):
        fs.add(path)
    str(fs).encode()
    fs.write(tmp_path / "medium")
    again = FileSet(tmp_path / "medium/DICOMDIR")
    again.copy(tmp_path / "copy")
    data = (tmp_path / "copy/DICOMDIR").read_bytes()
    assert b"M\xfcl1" in data
    assert b"M\xe4l1" in data
