"""What the check of a File-set calls wrong is told when it comes in, in the same words."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, config, dcmread
from pydicom.uid import ImplicitVRLittleEndian

from fileset import FileSet
from fileset.checking.conformance import FindingKind, Severity, examine_root
from tests.support.cli_runs import CT, Cli, run

STUDY, SERIES = "1.2.3.4", "1.2.3.4.5"


@pytest.fixture(autouse=True)
def _anything_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have pydicom write what it takes for invalid."""
    monkeypatch.setattr(config.settings, "writing_validation_mode", config.IGNORE)
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)


def put(path: Path, number: int = 1, **values: Any) -> Path:
    """A small instance of one series unless `values` say otherwise; those of group 0002 as well."""
    ds = dcmread(CT)
    ds.PatientID, ds.PatientName, ds.StudyID = "P1", "Doe^Jane", "S1"
    ds.StudyInstanceUID, ds.SeriesInstanceUID = STUDY, SERIES
    ds.SOPInstanceUID, ds.InstanceNumber = f"1.2.3.4.5.{number}", number
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    for keyword, value in values.items():
        setattr(ds.file_meta if "MediaStorage" in keyword else ds, keyword, value)
    path.parent.mkdir(exist_ok=True)
    ds.save_as(path, enforce_file_format=False)
    return path


def notes(document: dict[str, Any]) -> dict[str, str]:
    return {Path(r["path"]).name: r["note"] for r in document["results"] if r["note"]}


def told(note: str) -> list[str]:
    """What is wrong, without the words that say with which record or of whom."""
    return [
        part.split(" record ", 1)[1].split(" as the one ")[0] if " record " in part else part
        for part in note.split("; ")
    ]


@pytest.mark.parametrize(
    ("other", "kinds"),
    [
        ({"PatientID": "P2"}, {FindingKind.DUPLICATE_STUDY, FindingKind.DUPLICATE_SERIES}),
        ({"PatientID": "p1"}, {FindingKind.DUPLICATE_STUDY, FindingKind.DUPLICATE_SERIES}),
        ({"PatientID": "P2", "SeriesInstanceUID": "1.2.9"}, {FindingKind.DUPLICATE_STUDY}),
        ({"StudyInstanceUID": "1.2.9"}, {FindingKind.DUPLICATE_SERIES}),
        ({"PatientID": "P2", "StudyInstanceUID": "1.2.9"}, {FindingKind.DUPLICATE_SERIES}),
        (
            {"PatientID": " P1", "StudyInstanceUID": "1.2.9", "SeriesInstanceUID": "1.2.9.1"},
            {FindingKind.DUPLICATE_PATIENT},
        ),
    ],
)
def test_an_error_of_the_check_is_told_by_add_and_the_exit_code_is_1(
    cli: Cli, tmp_path: Path, other: dict[str, str], kinds: set[FindingKind]
) -> None:
    put(tmp_path / "in/A")
    put(tmp_path / "in/B", 2, **other)

    document = cli.json("add", tmp_path / "in", code=1)

    assert document["added"] == 2
    assert document["faulty"] == 1
    assert [r["faulty"] for r in document["results"]] == [False, True]
    (note,) = notes(document).values()
    wrote = cli.json("write", tmp_path / "medium", code=1)
    found = examine_root(tmp_path / "medium")
    assert {each.kind for each in found.findings} == kinds
    for said in told(note):
        assert any(said in each.message for each in found.findings), (said, found.findings)
    assert len(wrote["errors"]) == len(kinds)


@pytest.mark.parametrize(
    "values",
    [
        {"PatientID": "A\\B"}, {"StudyInstanceUID": "1.02.3"}, {"StudyDate": "2020.01.01"},
        {"StudyTime": "10:10"}, {"StudyID": "x" * 17}, {"Modality": "ct"},
        {"StudyDescription": "x" * 65}, {"PatientName": "a^b^c^d^e^f"},
    ],
)  # fmt: skip
def test_an_invalid_value_is_a_warning_of_add_and_of_the_check(
    cli: Cli, tmp_path: Path, values: dict[str, str]
) -> None:
    put(tmp_path / "in/A", **values)

    document = cli.json("add", tmp_path / "in")

    (said,) = told(notes(document)["A"])
    assert said.startswith("has an invalid value in (")
    assert document["faulty"] == 0
    assert cli.json("write", tmp_path / "medium")["errors"] == []
    (finding,) = examine_root(tmp_path / "medium").findings
    assert finding.kind is FindingKind.BAD_VALUE
    assert said in finding.message


@pytest.mark.parametrize(
    ("keyword", "element"),
    [
        ("SOPInstanceUID", "(0004,1511) Referenced SOP Instance UID in File"),
        ("SOPClassUID", "(0004,1510) Referenced SOP Class UID in File"),
    ],
)
@pytest.mark.parametrize(
    ("uid", "why"),
    [
        ("1.02.3", "UI takes numbers without leading zeros"),
        ("1.5.5a", "UI takes numbers"),
        ("1." + "2" * 70, "UI takes up to 64 characters, and it has 72"),
        ("0.0", "a UID of zeros identifies nothing"),
    ],
)
def test_an_invalid_uid_of_the_instance_is_a_warning_of_add_and_of_the_check(
    cli: Cli, tmp_path: Path, keyword: str, element: str, uid: str, why: str
) -> None:
    path = put(tmp_path / "A", **{keyword: uid, f"MediaStorage{keyword}": uid})

    document = cli.json("add", path)

    note = notes(document)["A"].partition("; ")[0]
    assert note.startswith(f"its IMAGE record has an invalid value in {element}: {why}")
    assert document["faulty"] == 0
    cli("write", tmp_path / "medium")
    (finding,) = examine_root(tmp_path / "medium").findings
    assert finding.kind is FindingKind.BAD_VALUE
    assert told(note)[0] in finding.message


@pytest.mark.parametrize(
    ("keyword", "uid", "kind"),
    [
        ("MediaStorageSOPInstanceUID", "1.2.9", FindingKind.SOP_INSTANCE_IN_META),
        ("MediaStorageSOPClassUID", "1.2.840.10008.5.1.4.1.1.7", FindingKind.SOP_CLASS_IN_META),
        ("MediaStorageSOPInstanceUID", "", FindingKind.SOP_INSTANCE_IN_META),
        ("MediaStorageSOPClassUID", "", FindingKind.SOP_CLASS_IN_META),
    ],
)
def test_a_header_of_another_instance_is_a_warning_of_add_and_of_the_check(
    cli: Cli, tmp_path: Path, keyword: str, uid: str, kind: FindingKind
) -> None:
    note = notes(cli.json("add", put(tmp_path / "A", **{keyword: uid})))["A"]
    assert (f"header says {uid}" if uid else "of its header is missing") in note
    cli("write", tmp_path / "medium")
    (finding,) = examine_root(tmp_path / "medium").findings
    assert finding.kind is kind
    assert note in finding.message


def test_an_invalid_value_of_a_study_that_is_there_is_told_too(cli: Cli, tmp_path: Path) -> None:
    put(tmp_path / "A", StudyDate="20200101")
    put(tmp_path / "B", 2, StudyDate="2020.01.01")
    cli("add", tmp_path / "A")
    assert "(0008,0020)" in notes(cli.json("add", tmp_path / "B"))["B"]
    cli("write", tmp_path / "medium")
    # What the file says is the date of its study record, as people write it.
    assert examine_root(tmp_path / "medium").findings == []


def test_a_record_is_told_once_and_not_with_each_of_its_instances(cli: Cli, tmp_path: Path) -> None:
    put(tmp_path / "in/A")
    for number in range(2, 5):
        put(tmp_path / f"in/B{number}", number, PatientID="P2")
    assert list(notes(cli.json("add", tmp_path / "in", code=1))) == ["B2"]


def test_status_tells_it_until_one_of_the_two_is_gone(cli: Cli, tmp_path: Path) -> None:
    put(tmp_path / "A")
    put(tmp_path / "B", 2, PatientID="P2", SeriesInstanceUID="1.2.9")
    cli("add", tmp_path / "A", tmp_path / "B", code=1)
    (error,) = cli.json("status", code=1)["errors"]
    assert error == (
        "The STUDY record of patient 'P2' (Doe^Jane) has the same Study Instance UID as the one of "
        "patient 'P1' (Doe^Jane): put what is below them under one."
    )
    assert error in cli("status", code=1).out
    cli("remove", "PatientID=P1")
    assert cli.json("status")["errors"] == []
    again = cli.json("add", tmp_path / "A", code=1)
    assert "as the one of patient 'P2'" in notes(again)["A"]


def test_index_tells_it(tmp_path: Path) -> None:
    put(tmp_path / "disc/A")
    put(tmp_path / "disc/B", 2, PatientID="P2")
    document = run("index", tmp_path / "disc", "--json", code=1).document
    assert document["faulty"] == 1
    assert list(notes(document)) == ["B"]


def test_a_transfer_syntax_that_is_not_that_of_the_bytes_is_told(cli: Cli, tmp_path: Path) -> None:
    path = put(tmp_path / "A")
    path.write_bytes(
        path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.10008.1.2\0\0\0", 1)
    )
    note = notes(cli.json("add", path, code=1))["A"]
    assert "1.2.840.10008.1.2, and its data set has Explicit VR" in note
    cli("write", tmp_path / "medium")
    (finding,) = examine_root(tmp_path / "medium").findings
    assert finding.kind is FindingKind.ENCODING_DIFFERS
    assert note in finding.message


@pytest.mark.parametrize(
    ("syntax", "kind"),
    [
        ("1.2.840.10008.1.4", FindingKind.UNKNOWN_TRANSFER_SYNTAX),
        ("1.2.840.10008.1.9", FindingKind.UNKNOWN_TRANSFER_SYNTAX),
        ("1.2.840.113619.5", FindingKind.UNKNOWN_TRANSFER_SYNTAX),
        ("1.2.840.10008.1.02", FindingKind.BAD_VALUE),
    ],
)
def test_a_transfer_syntax_that_nobody_knows_is_told(
    cli: Cli, tmp_path: Path, syntax: str, kind: FindingKind
) -> None:
    path = tmp_path / "A"
    ds = dcmread(put(path))
    ds.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    ds.save_as(path)
    data, old = path.read_bytes(), b"1.2.840.10008.1.2".ljust(18, b"\0")
    assert old in data
    path.write_bytes(data.replace(old, syntax.encode().ljust(18, b"\0"), 1))

    document = cli.json("add", path)

    (said,) = told(notes(document)["A"])
    assert syntax in said or "(0004,1512)" in said
    cli("write", tmp_path / "medium")
    (finding,) = examine_root(tmp_path / "medium").findings
    assert (finding.kind, finding.severity) == (kind, Severity.WARNING)
    assert said in finding.message


def test_file_set_add_warns_of_errors_and_not_of_values(tmp_path: Path) -> None:
    fs = FileSet()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fs.add(put(tmp_path / "A", StudyDate="2020.01.01"))
    with pytest.warns(UserWarning, match="has the same Study Instance UID as the one of patient"):
        fs.add(put(tmp_path / "B", 2, PatientID="P2", SeriesInstanceUID="1.2.9"))


def test_a_file_set_uid_of_zeros_is_refused_and_found(cli: Cli, tmp_path: Path) -> None:
    refused = cli("set", "uid=0.0.0", code=2)
    assert "a UID of zeros identifies nothing" in refused.err
    cli("add", put(tmp_path / "A"))
    cli("write", tmp_path / "medium")
    dicomdir = tmp_path / "medium/DICOMDIR"
    ds: Dataset = dcmread(dicomdir)
    uid = ds.file_meta.MediaStorageSOPInstanceUID
    zeros = "0." * (len(uid) // 2) + "0" * (len(uid) % 2 or 0)
    zeros = zeros.rstrip(".").ljust(len(uid), "\0")
    dicomdir.write_bytes(dicomdir.read_bytes().replace(uid.encode(), zeros.encode(), 1))
    (finding,) = examine_root(tmp_path / "medium").findings
    assert finding.kind is FindingKind.FILE_SET_UID
    adopted = run("init", tmp_path / "adopted", "--from", dicomdir)
    assert finding.message in adopted.err
