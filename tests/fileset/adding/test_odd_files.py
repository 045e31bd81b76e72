"""Files that no scanner should have made and names that none should have: all accounted for."""

from __future__ import annotations

import json
import os
import shutil
import socket
import struct
import warnings
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from cli_runs import run
from click.testing import CliRunner, Result
from pydicom import examples
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.fileset import FileSet as PydicomFileSet

from fileset import FileSet
from fileset.adding.find import find_files
from fileset.adding.outcome import Outcome
from fileset.adding.report import AddReport
from fileset.cli import main
from ledger.elements import encode_element, pad

CT = examples.get_path("ct")
_SERIAL = count(1)
_EXPLICIT = "1.2.840.10008.1.2.1"
_VALUES: dict[str, bytes] = {
    "SOPClassUID": b"1.2.840.10008.5.1.4.1.1.2",
    "StudyDate": b"20200101",
    "StudyTime": b"101010",
    "Modality": b"CT",
    "PatientName": b"Doe^J",
    "PatientID": b"P1",
    "StudyInstanceUID": b"1.2.3.4",
    "SeriesInstanceUID": b"1.2.3.4.5",
    "StudyID": b"S1",
    "SeriesNumber": b"1",
    "InstanceNumber": b"1",
}


def odd(target: Path, *, tail: bytes = b"", **values: bytes | tuple[str, bytes] | None) -> Path:
    """Make a file of one small instance with raw values; `None` leaves an element out.

    A value of another VR than the element should have is a pair of that VR and the bytes.
    """
    uid = f"1.2.826.0.1.3680043.8.498.1.{next(_SERIAL)}".encode()
    elements = {}
    named = {"SOPInstanceUID": uid, **_VALUES, **values}
    for keyword, given in named.items():
        tag = tag_for_keyword(keyword)
        assert tag is not None
        if given is not None:
            vr, value = given if isinstance(given, tuple) else (dictionary_VR(tag), given)
            head = struct.pack("<HH2s", tag >> 16, tag & 0xFFFF, vr.encode())
            value = pad("LO", value)
            # A VR that nobody knows has the short form of the header.
            elements[tag] = (
                encode_element(tag, vr, value)
                if vr != "ZZ"
                else head + struct.pack("<H", len(value)) + value
            )
    meta = b"".join(
        encode_element(tag, "UI", value)
        for tag, value in (
            (0x00020002, named["SOPClassUID"]),
            (0x00020003, named["SOPInstanceUID"]),
            (0x00020010, _EXPLICIT.encode()),
        )
        if isinstance(value, bytes)
    )
    body = b"".join(element for _, element in sorted(elements.items()))
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(bytes(128) + b"DICM" + meta + body + tail)
    return target


def offered(folder: Path, *, complete: bool = False) -> AddReport:
    with FileSet() as fs:
        return fs.add_many([folder], complete=complete)


def reasons(report: AddReport) -> dict[str, str]:
    return {Path(result.source).name: result.reason or "" for result in report}


def fileset(*arguments: object) -> Result:
    found = CliRunner().invoke(main, [*map(str, arguments)])
    assert not found.exception or isinstance(found.exception, SystemExit)
    return found


def document(*arguments: object) -> dict[str, Any]:
    return dict(json.loads(fileset(*arguments, "--json").stdout))


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [b"abcd", b"1 2", b"\x01\x02", b"nan", b"inf", b"x" * 300])
def test_a_number_that_is_none_is_rejected_by_the_elements_name(
    tmp_path: Path, value: bytes
) -> None:
    odd(tmp_path / "IM", InstanceNumber=value)
    (result,) = offered(tmp_path)
    assert result.outcome is Outcome.REJECTED
    assert "(0020,0013) 'Instance Number' element has an invalid value" in (result.reason or "")


@pytest.mark.parametrize(
    ("keyword", "value", "invented"),
    [
        ("InstanceNumber", b"abcd", "0"),
        ("SeriesNumber", b"nan", "0"),
        ("StudyDate", ("SQ", b""), "19000101"),
        ("PatientName", ("SQ", struct.pack("<HHI", 0xFFFE, 0xE000, 0)), ""),
    ],
)
def test_completing_puts_a_value_in_the_place_of_one_that_no_record_can_hold(
    tmp_path: Path, keyword: str, value: bytes | tuple[str, bytes], invented: str
) -> None:
    path = odd(tmp_path / "IM", **{keyword: value})
    before = path.read_bytes()
    with FileSet() as fs:
        (result,) = fs.add_many([path], complete=True)
        assert result.outcome is Outcome.ADDED
        assert result.invented == {keyword: invented}
        fs.write(tmp_path / "medium")
        (instance,) = PydicomFileSet(tmp_path / "medium" / "DICOMDIR")
        assert Path(instance.path).read_bytes() == before
        fs.undo()
        assert len(fs) == 0


@pytest.mark.parametrize("value", [b"1.0", b"1e3", b"+7", b"-7", b"0007", b"  12", b"99999999999"])
def test_a_number_in_a_strange_form_is_taken_as_pydicom_takes_it(
    tmp_path: Path, value: bytes
) -> None:
    path = odd(tmp_path / "IM", InstanceNumber=value)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        PydicomFileSet().add(path)
    assert offered(path).counts == {Outcome.ADDED: 1}


def test_a_study_without_its_uid_is_rejected_by_what_it_lacks(tmp_path: Path) -> None:
    odd(tmp_path / "IM", StudyInstanceUID=None)
    assert reasons(offered(tmp_path)) == {
        "IM": "The STUDY directory record is missing a required element: Study Instance UID"
    }
    assert offered(tmp_path, complete=True).counts == {Outcome.ADDED: 1}


def test_the_way_out_is_told_once_where_inventing_values_is_one(tmp_path: Path) -> None:
    odd(tmp_path / "in" / "A", PatientID=b"")
    odd(tmp_path / "in" / "B", StudyID=None)
    odd(tmp_path / "in" / "C", SOPInstanceUID=None)
    hint = "2 files rejected over values that directory records must have: --complete invents them"
    assert fileset("index", tmp_path / "in").stdout.count(hint) == 1
    told = fileset("index", tmp_path / "in", "--complete")
    assert "found 3 = 2 added" in told.stdout
    assert hint not in told.stdout


# --- files and folders --------------------------------------------------------------------------


def test_what_is_no_dicom_file_is_told_apart(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "archive.zip").write_bytes(b"PK\3\4" + bytes(500))
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "device").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "socket"))
        report = offered(tmp_path)
    assert report.counts == {Outcome.NOT_DICOM: 5}
    told = reasons(report)
    assert told["empty"] == "is empty"
    assert told["fifo"] == told["device"] == told["socket"] == "is not a regular file"
    assert told["archive.zip"].startswith("a ZIP file, which is looked into only if it is named")


def test_a_folder_that_cant_be_looked_into_is_told_and_the_others_are_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd(tmp_path / "A")
    shut = tmp_path / "shut"
    shut.mkdir()
    stat, scandir, opened = Path.stat, os.scandir, os.open

    def refuse(path: object) -> None:
        if str(path).startswith(str(shut)):
            raise PermissionError(13, "Permission denied", str(path))

    def refusing(function: Any) -> Any:
        def call(path: Any, *args: Any, **options: Any) -> Any:
            refuse(path)
            return function(path, *args, **options)

        return call

    # To the superuser, who may run this, no folder is shut.
    monkeypatch.setattr(os, "scandir", refusing(scandir))
    monkeypatch.setattr(os, "open", refusing(opened))
    monkeypatch.setattr(
        Path,
        "stat",
        lambda path, **options: (
            refuse(path) if path.parent == shut else None,
            stat(path, **options),
        )[1],
    )
    report = offered(tmp_path)
    assert report.counts == {Outcome.ADDED: 1, Outcome.REJECTED: 1}
    assert reasons(report)["shut"] == "can't be read: Permission denied"


def test_a_link_to_a_folder_is_followed_if_it_is_what_was_named(tmp_path: Path) -> None:
    odd(tmp_path / "folder" / "IM")
    (tmp_path / "link").symlink_to("folder")
    (tmp_path / "folder" / "loop").symlink_to(".")
    assert [file.path for file in find_files([tmp_path / "link"], recursive=True)] == [
        str(tmp_path / "link" / "loop"),
        str(tmp_path / "link" / "IM"),
    ]
    told = document("index", tmp_path / "link")
    assert (told["added"], told["skipped"]) == (1, 1)
    assert len(PydicomFileSet(tmp_path / "folder" / "DICOMDIR")) == 1


NAMES = (
    "a b.dcm",
    "new\nline",
    "ünïcode",
    "-leading",
    "--help",
    "x" * 200,
    "A",
    "a",
    ".hidden",
    "\x1b[31mred",
    "[red]markup[",
    "back\\slash",
    "star*?",
    "PT000000",
)
DEEP = "1/2/3/4/5/6/7/8/9/deep"


@pytest.fixture
def names(tmp_path: Path) -> Path:
    """A folder of files with odd names, one of which the layout would like for a folder."""
    for name in NAMES:
        odd(tmp_path / "names" / name)
    odd(tmp_path / "names" / DEEP)
    return tmp_path / "names"


def test_files_with_odd_names_are_taken_and_told_in_one_line_each(
    names: Path, tmp_path: Path
) -> None:
    (names / "bad\nname").write_text("no DICOM")
    fileset("init", tmp_path / "repository")
    told = fileset("--repo", tmp_path / "repository", "add", "--no-ignore", names)
    assert f"found {len(NAMES) + 2} = {len(NAMES) + 1} added" in told.stdout
    (line,) = told.stderr.splitlines()
    assert "bad\\nname: no DICM prefix" in line


def test_indexing_with_rename_gives_each_odd_name_a_file_id_and_loses_none(names: Path) -> None:
    before = sorted(p.read_bytes() for p in names.rglob("*") if p.is_file())
    told = document("index", names, "--rename", "--no-ignore")
    assert told["added"] == len(NAMES) + 1
    assert set(told["renamed"]) == {*NAMES, DEEP} - {"A", "PT000000"}
    theirs = [Path(instance.path) for instance in PydicomFileSet(names / "DICOMDIR")]
    assert sorted(path.read_bytes() for path in theirs) == before
    assert names / "PT000000" in theirs


# --- the same instance --------------------------------------------------------------------------


def test_a_conflict_in_a_folder_names_the_file_that_stands(tmp_path: Path) -> None:
    odd(tmp_path / "A", SOPInstanceUID=b"1.2.3.9")
    odd(tmp_path / "B", SOPInstanceUID=b"1.2.3.9", PatientName=b"Roe^R")
    told = fileset("index", tmp_path)
    assert (
        "B: the File-set holds the SOP Instance 1.2.3.9, at A, with different content"
        in told.stderr
    )
    assert "its metadata differs" in told.stderr


def test_uids_that_differ_in_their_padding_are_one(tmp_path: Path) -> None:
    for name, uid in (("A", b"1.2.3.9"), ("B", b"1.2.3.9\0"), ("C", b"1.2.3.9 ")):
        odd(tmp_path / name, SOPInstanceUID=uid)
    assert offered(tmp_path).counts == {Outcome.ADDED: 1, Outcome.ALREADY_THERE: 2}


def test_comparing_odd_files_warns_of_nothing(tmp_path: Path) -> None:
    for name, uid in (("A", b"1.2.3.9 "), ("B", b" 1.2.3.9")):
        odd(tmp_path / name, SOPInstanceUID=uid, AcquisitionNumber=b"1.5")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        offered(tmp_path)


# --- choosing -----------------------------------------------------------------------------------


def test_a_value_that_cant_be_read_is_none_to_choose_by(tmp_path: Path) -> None:
    odd(tmp_path / "OK", SliceThickness=b"1.50")
    odd(tmp_path / "TEXT", SliceThickness=b"abc")
    odd(tmp_path / "ODD_VR", SliceThickness=("ZZ", b"1.50"))
    odd(tmp_path / "SHORT", AcquisitionDuration=b"abc")
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        told = document("index", tmp_path, "--include", "SliceThickness=1.50")
        assert (told["added"], told["excluded"]) == (1, 3)
        told = document("index", tmp_path, "--replace", "--exclude", "AcquisitionDuration=1")
        assert (told["added"], told["excluded"]) == (4, 0)


def test_numbers_are_chosen_by_what_they_are_and_not_how_they_are_written(tmp_path: Path) -> None:
    odd(tmp_path / "A", SliceThickness=b"1.50")
    odd(tmp_path / "B", SliceThickness=b"15e-1")
    odd(tmp_path / "C", SliceThickness=b"15")
    assert document("index", tmp_path, "--include", "SliceThickness=1.5")["added"] == 2


def test_of_several_values_for_one_keyword_any_will_do(tmp_path: Path) -> None:
    for modality in ("CT", "MR", "US"):
        for body in ("HEAD", "LEG"):
            odd(
                tmp_path / f"{modality}_{body}",
                Modality=modality.encode(),
                BodyPartExamined=body.encode(),
            )
    both = ("--include", "Modality=CT", "--include", "Modality=MR")
    assert document("index", tmp_path, *both)["added"] == 4
    narrowed = (*both, "--include", "BodyPartExamined=LEG")
    told = document("index", tmp_path, "--replace", *narrowed)
    assert told["added"] == 2
    assert {r["reason"] for r in told["results"] if r["outcome"] == "excluded"} == {
        "it is not Modality=CT or MR",
        "it is not BodyPartExamined=LEG",
    }
    none = ("--exclude", "Modality=CT", "--exclude", "Modality=MR")
    assert document("index", tmp_path, "--replace", *none)["added"] == 2


def test_copies_of_an_instance_make_no_series_larger(tmp_path: Path) -> None:
    shutil.copy(odd(tmp_path / "A", SeriesInstanceUID=b"1.2.1"), tmp_path / "B")
    for name in ("C", "D"):
        odd(tmp_path / name, SeriesInstanceUID=b"1.2.2")
    told = document("index", tmp_path, "--min-instances", "2")
    assert {Path(r["path"]).name for r in told["results"] if r["outcome"] == "added"} == {"C", "D"}


def test_a_series_whose_uid_is_invented_counts_by_that(tmp_path: Path) -> None:
    for name, study in (("A", b"1.1"), ("B", b"1.2"), ("C", b"1.2")):
        odd(tmp_path / name, StudyInstanceUID=study, SeriesInstanceUID=None)
    told = document("index", tmp_path, "--complete", "--min-instances", "2")
    assert {Path(r["path"]).name for r in told["results"] if r["outcome"] == "added"} == {"B", "C"}


def test_two_values_of_one_keyword_are_refused_where_all_have_to_match(tmp_path: Path) -> None:
    fileset("init", tmp_path / "repository")
    told = fileset("--repo", tmp_path / "repository", "find", "Modality=CT", "Modality=MR")
    assert told.exit_code == 2
    assert "Modality is given twice" in told.stderr


@pytest.mark.parametrize("command", ["add", "index"])
def test_a_link_to_itself_is_one_bad_file_among_good_ones(tmp_path: Path, command: str) -> None:
    (tmp_path / "in").mkdir()
    odd(tmp_path / "in" / "IM")
    (tmp_path / "in" / "loop").symlink_to("loop")
    arguments = ["index", tmp_path / "in"]
    if command == "add":
        run("init", tmp_path / "repository")
        arguments = ["--repo", tmp_path / "repository", "add", "-r", tmp_path / "in"]
    told = run(*arguments, "--json", code=1).document
    assert (told["found"], told["added"], told["rejected"]) == (2, 1, 1)


def test_an_empty_path_is_refused_and_is_not_the_folder_one_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd(tmp_path / "IM")
    monkeypatch.chdir(tmp_path)
    run("init", "repository")
    for command in (["add", "", "-r"], ["index", ""], ["write", ""]):
        assert "An empty path names nothing" in run("--repo", "repository", *command, code=2).err
    assert FileSet().add_many([""]).counts == {Outcome.REJECTED: 1}
    assert FileSet().add_many(["a\0b"]).counts == {Outcome.REJECTED: 1}
