"""What is said of damaged File-sets, and that nothing is said of sound ones."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runs import Cli, run
from hypothesis import given, settings
from hypothesis import strategies as st
from media_damage import (
    BASES,
    CHECKERS,
    CT,
    DAMAGES,
    EXAMPLE,
    Damage,
    Medium,
    Rows,
    first,
    ours,
    shipped,
    with_elements,
)
from models import image, patient, record, series, study
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.fileset import FileSet as PydicomFileSet

import fileset.adding.whole
import ledger.files
from fileset import FileSet
from fileset.checking.conformance import ConformanceReport, FindingKind, Severity, examine_root
from projections.dicomdir.definitions import FileSetIdentity, Reference
from projections.dicomdir.encoder import DirectoryRecord, encode_dicomdir

NEEDS_PERMISSIONS = {"a file that can't be read", "a folder that can't be read"}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The File-sets to damage, by who wrote them."""
    top = tmp_path_factory.mktemp("bases")
    made = {}
    for name, make in BASES.items():
        if name == "dcmmkdir" and not shutil.which("dcmmkdir"):
            continue
        make(top / name)
        made[name] = top / name
    return made


def kinds(report: ConformanceReport) -> set[FindingKind]:
    return {finding.kind for finding in report.findings}


@pytest.fixture(params=BASES)
def medium(
    request: pytest.FixtureRequest, bases: dict[str, Path], tmp_path: Path
) -> Iterator[Medium]:
    """A copy of each of the bases."""
    if request.param not in bases:
        pytest.skip("dcmmkdir is not installed")
    shutil.copytree(bases[request.param], tmp_path / "medium")
    yield Medium(tmp_path / "medium")
    for path in tmp_path.rglob("*"):
        if not path.is_symlink() and not os.access(path, os.R_OK):
            path.chmod(0o700)


def test_nothing_is_wrong_with_a_sound_file_set(medium: Medium) -> None:
    report = examine_root(medium.root)
    assert report.findings == []
    assert (report.records, report.files) == (len(medium.records()), 31)


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_a_damage_is_named_and_nothing_else(medium: Medium, damage: Damage) -> None:
    if damage.name in NEEDS_PERMISSIONS and os.geteuid() == 0:
        pytest.skip("everything can be read")
    damage.do(medium)
    report = examine_root(medium.root)
    assert kinds(report) == damage.kinds, report.findings
    for finding in report.findings:
        assert finding.where in finding.message or "DICOMDIR" in finding.where
        assert finding.message.endswith(".")


@pytest.mark.parametrize("zeros", [1, 2, 7, 8, 12, 512, 2048])
def test_zeros_with_which_media_fill_up_a_dicomdir_are_nothing_wrong(
    medium: Medium, zeros: int, tmp_path: Path
) -> None:
    dicomdir = medium.root / "DICOMDIR"
    instances = len(dcmread(dicomdir).DirectoryRecordSequence)
    dicomdir.write_bytes(dicomdir.read_bytes() + bytes(zeros))
    assert len(dcmread(dicomdir).DirectoryRecordSequence) == instances
    assert examine_root(medium.root).findings == []
    assert "Nothing is staged" in run("init", tmp_path / "r", "--from", medium.root).out


@pytest.mark.parametrize("fill", [b"\xff", b" ", b"\0\x01"])
def test_other_bytes_behind_a_dicomdir_are_wrong_and_repaired(
    medium: Medium, fill: bytes, tmp_path: Path
) -> None:
    dicomdir = medium.root / "DICOMDIR"
    dicomdir.write_bytes(dicomdir.read_bytes() + fill * 512)
    assert examine_root(medium.root).findings
    run("init", tmp_path / "r", "--from", medium.root, "--repair")
    Cli(tmp_path / "r")("write")
    assert examine_root(medium.root).findings == []


def test_one_patient_id_of_two_persons_is_only_a_warning(medium: Medium) -> None:
    """The IDs may be of different issuers."""

    def change(rows: Rows) -> None:
        name = (0x00100010, "PN", b"Some^Body")
        rows.insert(0, with_elements(rows[first(rows, "PATIENT")], name=name))

    medium.rewrite(change)
    report = examine_root(medium.root)
    assert kinds(report) == {FindingKind.DUPLICATE_PATIENT}
    assert not report.has_errors


def test_every_kind_of_finding_has_a_damage_that_shows_it() -> None:
    assert set(FindingKind) == {kind for damage in DAMAGES for kind in damage.kinds}


# --- nothing is said of what is sound ------------------------------------------------------------

FILES = sorted(p for p in EXAMPLE.parent.parent.rglob("*") if p.is_file() and p.name != "DICOMDIR")


@pytest.fixture(scope="module")
def takeable() -> list[Path]:
    """The files shipped with pydicom that a File-set can hold."""
    with FileSet() as fs:
        report = fs.add_many(FILES)
    return [Path(each.source) for each in report if each.outcome.value == "added"]


@settings(max_examples=12)
@given(data=st.data())
def test_nothing_is_wrong_with_what_is_written_here(
    takeable: list[Path], data: st.DataObject
) -> None:
    files = data.draw(st.lists(st.sampled_from(takeable), min_size=1, max_size=12, unique=True))
    later = data.draw(st.lists(st.sampled_from(takeable), max_size=4))
    layout = data.draw(st.sampled_from(["pydicom", "existing", "conformant"]))
    with tempfile.TemporaryDirectory() as folder, FileSet() as fs:
        fs.add_many(files)
        fs.write(folder, layout=layout)
        assert examine_root(folder).findings == []
        fs.add_many(later)
        fs.remove(next(iter(fs)))
        fs.write(layout=layout)
        assert examine_root(folder).findings == []


def test_nothing_is_wrong_with_all_that_can_be_written(
    takeable: list[Path], tmp_path: Path
) -> None:
    with FileSet() as fs:
        fs.add_many(takeable)
        fs.write(tmp_path / "ours")
    theirs = PydicomFileSet()
    for path in takeable:
        theirs.add(path)
    theirs.write(tmp_path / "pydicoms")
    theirs._stage["t"].cleanup()
    assert examine_root(tmp_path / "ours").findings == []
    assert examine_root(tmp_path / "pydicoms").findings == []


def test_invented_values_are_no_difference(tmp_path: Path) -> None:
    with FileSet() as fs:
        fs.add_many(FILES, complete=True)
        fs.write(tmp_path / "medium")
    errors = [f for f in examine_root(tmp_path / "medium").findings if f.severity is Severity.ERROR]
    # SC_rgb_jpeg.dcm is in Implicit VR, which no JPEG transfer syntax is.
    assert [f.kind for f in errors] == [FindingKind.ENCODING_DIFFERS]
    assert "1.2.840.10008.1.2.4.50, and its data set has Implicit VR" in errors[0].message


@pytest.mark.skipif(not shutil.which("dcmmkdir"), reason="dcmtk is not installed")
@pytest.mark.parametrize("invent", [[], ["+I"]], ids=["strict", "invent"])
def test_of_all_that_dcmmkdir_indexes_what_it_refused_and_doubled_is_told(
    invent: list[str], tmp_path: Path
) -> None:
    for number, path in enumerate(FILES):
        shutil.copy(path, tmp_path / f"F{number:05}")
    options = ["+r", "-Nxc", "-Nec", "-Nrc", "+Nrs", *invent]
    subprocess.run(
        ["dcmmkdir", *options, "+id", tmp_path, "+D", tmp_path / "DICOMDIR", "."],
        check=True,
        cwd=tmp_path,
        capture_output=True,
    )
    only_invented = {
        # A patient whose file has the VR UN throughout gets records of VR UN, beside those of its
        # other files.
        FindingKind.DUPLICATE_PATIENT,
        FindingKind.DUPLICATE_STUDY,
        FindingKind.DUPLICATE_SERIES,
        # These files are wrong, and only with invented values does it index them.
        FindingKind.BAD_VALUE,
        FindingKind.SOP_INSTANCE_IN_META,
    }
    expected = {FindingKind.UNLISTED_FILE} | (only_invented if invent else set())
    assert kinds(examine_root(tmp_path)) - {FindingKind.STRAY_DICOMDIR} == expected


# --- what pydicom ships --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("DICOMDIR-reordered", {}),
        ("DICOMDIR-bigEnd", {"dicomdir-encoding": 1}),
        ("DICOMDIR-implicit", {"dicomdir-encoding": 1}),
        # Its last record lacks the next and the lower offset.
        ("DICOMDIR-nooffset", {"missing-element": 2}),
        ("DICOMDIR-empty.dcm", {"unlisted-file": 31}),
        # The root offset leads to an image, from where nothing leads on.
        ("DICOMDIR-nopatient", {"last-offset": 1, "orphan-record": 51, "record-place": 1}),
    ],
)
def test_what_is_wrong_with_the_dicomdirs_that_pydicom_ships(
    name: str, expected: dict[str, int], tmp_path: Path
) -> None:
    shipped(tmp_path / "medium")
    shutil.copy(EXAMPLE.with_name(name), tmp_path / "medium" / "DICOMDIR")
    counts = examine_root(tmp_path / "medium").counts
    assert {kind.value: number for kind, number in counts.items()} == expected


def test_what_is_wrong_with_the_folders_that_pydicom_ships() -> None:
    tiny = get_testdata_file("TINY_ALPHA/DICOMDIR")
    report = examine_root(Path(str(tiny)).parent)
    assert dcmread(str(tiny)).FileSetID == "TINY ALPHA"
    assert kinds(report) == {FindingKind.FILE_SET_ID_CHARACTERS}

    report = examine_root(EXAMPLE.parent)
    assert report.counts == {FindingKind.STRAY_DICOMDIR: 6, FindingKind.NESTED_FILE_SET: 1}
    assert not report.has_errors


# --- hostile media -------------------------------------------------------------------------------


def write(root: Path, records: list[DirectoryRecord]) -> Medium:
    medium = Medium(root)
    medium.dicomdir.write_bytes(encode_dicomdir(FileSetIdentity(uid="1.2.3"), records))
    return medium


def branch(*file_ids: str) -> list[DirectoryRecord]:
    above = [patient(0), study("1.2.3"), series("1.2.3.1")]
    return [
        *(DirectoryRecord(depth, one.type, one.elements) for depth, one in enumerate(above)),
        *(
            DirectoryRecord(
                3,
                "IMAGE",
                image(number).elements,
                Reference(
                    file_id, "1.2.840.10008.5.1.4.1.1.2", f"1.2.{number}", "1.2.840.10008.1.2"
                ),
            )
            for number, file_id in enumerate(file_ids)
        ),
    ]


@pytest.mark.parametrize("file_id", ["../SECRET", "/etc/passwd", "A/../../SECRET", "LINK/SECRET"])
def test_no_file_id_leads_out_of_the_root(
    file_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(CT, tmp_path / "SECRET")
    root = tmp_path / "medium"
    root.mkdir()
    (root / "LINK").symlink_to(tmp_path)
    medium = write(root, branch())
    encoded = file_id.replace("/", "\\") if not file_id.startswith("/") else file_id
    write(root, branch("X" * len(encoded)))
    medium.dicomdir.write_bytes(
        medium.dicomdir.read_bytes().replace(b"X" * len(encoded), encoded.encode())
    )
    opened = []
    real = ledger.files.open_regular

    def spy(path: str) -> int:
        opened.append(os.path.realpath(path))
        return real(path)

    monkeypatch.setattr(ledger.files, "open_regular", spy)
    monkeypatch.setattr(fileset.adding.whole, "open_regular", spy)
    assert kinds(examine_root(root)) & {FindingKind.FILE_ID_DOTS, FindingKind.LINK_OUTSIDE}
    assert set(opened) == {os.path.realpath(medium.dicomdir)}


def test_a_tree_of_any_depth_is_walked(tmp_path: Path) -> None:
    deep = record("PRIVATE", uid=(0x00041432, "UI", "1.2")).elements
    write(tmp_path, [DirectoryRecord(depth, "PRIVATE", deep) for depth in range(10_000)])
    assert examine_root(tmp_path).findings == []


def test_a_large_file_is_read_by_pieces(medium: Medium, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fileset.adding.whole, "LARGE", 1 << 12)
    assert examine_root(medium.root).findings == []
    medium.first_file().write_bytes(medium.first_file().read_bytes()[:-100])
    assert kinds(examine_root(medium.root)) == {FindingKind.FILE_TRUNCATED}


@pytest.mark.parametrize("cut", range(1, 400, 13))
def test_a_cut_dicomdir_is_told_wherever_it_is_cut(cut: int, tmp_path: Path) -> None:
    shipped(tmp_path / "medium")
    medium = Medium(tmp_path / "medium")
    medium.dicomdir.write_bytes(medium.dicomdir.read_bytes()[: cut * 28])
    assert examine_root(medium.root).has_errors


@settings(max_examples=100)
@given(
    changes=st.lists(
        st.tuples(st.integers(132, 11_000), st.binary(min_size=1, max_size=4)), max_size=4
    )
)
def test_no_change_of_bytes_makes_it_fail(changes: list[tuple[int, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        data = bytearray(EXAMPLE.read_bytes())
        for place, new in changes:
            data[place : place + len(new)] = new
        Path(folder, "DICOMDIR").write_bytes(data)
        report = examine_root(folder)
    assert all(finding.message for finding in report.findings)


# --- the command ---------------------------------------------------------------------------------


@pytest.fixture
def whole(tmp_path: Path) -> Medium:
    """A medium written by us."""
    ours(tmp_path / "medium")
    return Medium(tmp_path / "medium")


def test_the_command_needs_no_repository(whole: Medium, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(whole.root)
    assert run("verify", ".").out == "52 records and 31 referenced files checked: all is well.\n"
    document = run("verify", whole.root, "--json").document
    assert document == {
        "format": "fileset verify",
        "version": 1,
        "root": str(whole.root),
        "records": 52,
        "files": 31,
        "findings": [],
        "counts": {},
        "errors": 0,
        "events": None,
        "instances": None,
        "checkpoints": [],
        "warnings": [],
    }


def test_errors_give_exit_code_1_and_warnings_0(whole: Medium) -> None:
    shutil.copy(whole.dicomdir, whole.root / "OLD")
    told = run("verify", whole.root, code=0).out
    assert "stray-dicomdir: OLD is a DICOMDIR" in told
    assert "0 errors, 1 warning." in told
    whole.first_file().unlink()
    document = run("verify", whole.root, "--json", code=1).document
    assert document["counts"] == {"file-missing": 1, "stray-dicomdir": 1}
    assert document["errors"] == 1
    assert [set(each) for each in document["findings"]] == [
        {"kind", "severity", "where", "offset", "message"}
    ] * 2
    missing = document["findings"][0]
    assert missing["severity"] == "error"
    assert missing["where"] == "PT000000/ST000000/SE000000/IM000000"
    assert missing["offset"] == whole.records("IMAGE")[0].offset


def test_many_findings_of_a_kind_are_counted_unless_all_are_asked_for(whole: Medium) -> None:
    for one in whole.records("IMAGE"):
        whole.path_of(one).unlink()
    short = run("verify", whole.root, code=1).out.splitlines()
    assert Counter(line.partition(":")[0] for line in short)["file-missing"] == 6
    assert "file-missing: and 26 more: see them with --all." in short
    assert len(run("verify", whole.root, "--all", code=1).out.splitlines()) == 32
    assert len(run("verify", whole.root, "--json", code=1).document["findings"]) == 31


def test_names_cannot_act_on_the_terminal(whole: Medium) -> None:
    shutil.copy(CT, whole.root / "A\x1b[31m\nB")
    told = run("verify", whole.root, code=1).out
    assert "\x1b" not in told
    assert "A\\x1b[31m\\nB is a DICOM file" in told


def test_what_goes_with_root_and_what_not(whole: Medium) -> None:
    assert "does not exist" in run("verify", whole.root / "nowhere", code=2).err
    both = ("--checkpoint", "a", "--public-key", "b")
    assert "not for ROOT" in run("verify", whole.root, *both, code=2).err


def test_where_there_is_a_repository_it_says_what_was_not_checked(
    whole: Medium, tmp_path: Path
) -> None:
    run("init", tmp_path / "repository", "--from", whole.dicomdir)
    told = run("--repo", tmp_path / "repository", "verify", whole.root)
    repository = tmp_path / "repository"
    command = f"`fileset --repo {repository} verify`"
    assert f"{command} without ROOT checks it by {repository}" in told.err
    ours(tmp_path / "other")
    assert run("--repo", tmp_path / "repository", "verify", tmp_path / "other").err == ""


def test_a_repository_that_cannot_be_read_is_no_hindrance(
    whole: Medium, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0)
    real = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: path != str(locked) and real(path, mode))
    monkeypatch.setenv("FILESET_REPO", str(locked))
    assert "all is well" in run("verify", whole.root).out


def test_a_dicomdir_that_leads_in_a_circle_is_a_link_and_not_missing(whole: Medium) -> None:
    whole.dicomdir.unlink()
    whole.dicomdir.symlink_to("DICOMDIR")
    assert kinds(examine_root(whole.root)) == {FindingKind.DICOMDIR_UNREADABLE}


def test_what_a_first_write_left_is_told_where_there_is_no_dicomdir_yet(tmp_path: Path) -> None:
    (tmp_path / ".DICOMDIR-0123456789abcdef.files").mkdir()
    report = examine_root(tmp_path)
    assert kinds(report) == {FindingKind.NO_DICOMDIR, FindingKind.LEFTOVER}
    assert "still running" in report.findings[1].message


def test_a_dicomdir_that_cannot_be_read_may_still_be_adopted(whole: Medium) -> None:
    whole.dicomdir.write_bytes(whole.dicomdir.read_bytes()[:1000])
    (finding,) = examine_root(whole.root).findings
    assert "--repair" in finding.message


def test_what_takes_more_than_the_memory_is_a_finding(
    whole: Medium, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(path: object) -> bytes:
        raise MemoryError

    with monkeypatch.context() as patch:
        patch.setattr("fileset.checking.dicomdir_file.read_file", read)
        assert kinds(examine_root(whole.root)) == {FindingKind.DICOMDIR_MALFORMED}
    monkeypatch.setattr("fileset.adoption.make_dicomdir.read_dicomdir", read)
    assert "too large" in run("index", whole.root, "--replace", code=3).err


def test_a_hidden_file_is_only_a_warning(whole: Medium) -> None:
    shutil.copy(CT, whole.root / ".IM000000.new")
    report = examine_root(whole.root)
    assert kinds(report) == {FindingKind.UNLISTED_FILE}
    assert not report.has_errors


# --- the medium of a repository ------------------------------------------------------------------


@pytest.fixture
def cli(whole: Medium, tmp_path: Path) -> Cli:
    """A repository whose medium is the whole one."""
    run("init", tmp_path / "repository", "--from", whole.dicomdir)
    return Cli(tmp_path / "repository")


@pytest.mark.parametrize("kind", ["folder", "fifo", "loop"])
def test_whatever_is_in_the_dicomdirs_place_all_else_is_checked(
    cli: Cli, whole: Medium, kind: str
) -> None:
    whole.first_file().unlink()
    whole.dicomdir.unlink()
    make = {"folder": os.mkdir, "fifo": os.mkfifo, "loop": lambda p: p.symlink_to("DICOMDIR")}
    make[kind](whole.dicomdir)
    document = cli.json("verify", code=1)
    assert [each["kind"] for each in document["findings"]] == ["dicomdir", "file-missing"]
    assert document["instances"] == 31


@pytest.mark.parametrize("there", ["nothing", "an empty folder", "another File-set"])
def test_a_medium_that_is_not_there_is_one_finding(
    cli: Cli, whole: Medium, tmp_path: Path, there: str
) -> None:
    shutil.rmtree(whole.root)
    if there != "nothing":
        whole.root.mkdir()
    if there == "another File-set":
        with FileSet() as fs:
            fs.write(whole.root)
    (finding,) = cli.json("verify", code=1)["findings"]
    assert finding["kind"] == "medium"
    told = "another File-set" if there == "another File-set" else "is the medium there?"
    assert told in finding["message"]


def test_of_a_mediums_many_findings_the_first_are_listed_unless_all_are_asked_for(
    cli: Cli, whole: Medium
) -> None:
    for one in whole.records("IMAGE"):
        whole.path_of(one).unlink()
    short = cli("verify", code=1).out.splitlines()
    assert "file-missing: and 26 more: see them with --all." in short
    assert len(short) == 7
    assert len(cli("verify", "--all", code=1).out.splitlines()) == 32
    assert len(cli.json("verify", code=1)["findings"]) == 31


# --- the others ----------------------------------------------------------------------------------


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
def test_dciodvfy_finds_none_of_the_eight_and_what_is_missing(tmp_path: Path) -> None:
    """As the table in the documentation has it, with all checkers, which take longer."""
    checker = CHECKERS["`dciodvfy -new`"]
    ours(tmp_path / "whole")
    before = set(checker(tmp_path / "whole"))
    found = set()
    tried = [one for one in DAMAGES if "*" in one.name or one.name == "missing StudyDate"]
    for number, each in enumerate(tried):
        medium = Medium(tmp_path / str(number))
        shutil.copytree(tmp_path / "whole", medium.root)
        each.do(medium)
        if set(checker(medium.root)) - before:
            found.add(each.name)
    assert len(tried) == 9
    assert found == {"missing StudyDate"}
