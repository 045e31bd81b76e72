"""Adopting a File-set whose DICOMDIR is not as it should be: what is taken, left out and told."""

from __future__ import annotations

import os
import re
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from cli_runs import run
from media_damage import Medium
from models import EXPLICIT, image, named_by, patient, private, record, series, study
from pydicom import Dataset, dcmread, examples
from pydicom.data import get_testdata_file
from pydicom.fileset import FileSet as PydicomFileSet
from pydicom.uid import UID

from fileset import FileSet
from ledger.errors import LedgerError
from ledger.events import Record
from projections.dicomdir.definitions import FileSetIdentity, Reference
from projections.dicomdir.encoder import DirectoryRecord, encode_dicomdir

CT = examples.get_path("ct")
FLAG = b"\x04\0\x12\x12US\x02\0"
"""The File-set Consistency Flag's header."""

Row = tuple[int, Record, str | None]
ABOVE: list[Row] = [(0, patient(0), None), (1, study("1.2.3"), None), (2, series("1.2.3.1"), None)]


def uid(number: int) -> str:
    return f"1.2.3.1.{number}"


class Disc:
    """A medium with a DICOMDIR of any records; a File ID's instance is numbered by its row."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.root.mkdir()

    @property
    def dicomdir(self) -> Path:
        return self.root / "DICOMDIR"

    def put(self, rows: Sequence[Row]) -> None:
        found = [
            DirectoryRecord(
                depth,
                one.type,
                one.elements,
                Reference(file_id, "1.2.840.10008.5.1.4.1.1.2", uid(n), EXPLICIT)
                if file_id is not None
                else None,
            )
            for n, (depth, one, file_id) in enumerate(rows)
        ]
        self.dicomdir.write_bytes(encode_dicomdir(FileSetIdentity(uid="1.2.3.9"), found))

    def images(self, *file_ids: str) -> None:
        """Put a series of images at `file_ids`, the first of which is row 3."""
        self.put([*ABOVE, *((3, image(n), file_id) for n, file_id in enumerate(file_ids))])

    def file(self, path: str, number: int = 0) -> Path:
        ds: Dataset = dcmread(CT)
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = UID(uid(number))
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        ds.save_as(target)
        return target

    def names(self) -> set[str]:
        return {p.relative_to(self.root).as_posix() for p in self.root.rglob("*") if p.is_file()}


@pytest.fixture
def disc(tmp_path: Path) -> Disc:
    return Disc(tmp_path / "disc")


@contextmanager
def told_of() -> Iterator[list[str]]:
    """Collect the texts of warnings."""
    texts: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield texts
    texts += [str(one.message) for one in caught if one.category is UserWarning]


def on_medium(fs: FileSet) -> list[str | None]:
    return [leaf.file_id for leaf in fs.state.hierarchy.walk_leaves()]


# --- records with a file and others below them ---------------------------------------------------


@pytest.mark.parametrize("layout", ["existing", "pydicom"])
def test_an_image_with_records_below_it_keeps_its_file_and_they_go_beside_it(
    disc: Disc, layout: str
) -> None:
    rows = [*ABOVE, (3, image(0), "IM0"), (4, record("PRESENTATION"), "PR0"), (3, image(1), "IM1")]
    disc.put(rows)
    for number, (_, _, file_id) in enumerate(rows):
        if file_id is not None:
            disc.file(file_id, number)

    with told_of() as texts:
        fs = FileSet(disc.dicomdir)
    fs.ID = "CHANGED"
    fs.write(layout=layout)

    assert [text for text in texts if "IMAGE directory record at offset" in text]
    again = FileSet(disc.dicomdir)
    assert [i.SOPInstanceUID for i in again] == [uid(3), uid(4), uid(5)]
    assert [i.SOPInstanceUID for i in PydicomFileSet(disc.dicomdir)] == [uid(3), uid(4), uid(5)]
    assert {leaf.home.record.type for leaf in again.state.live.values()} == {"SERIES"}
    for instance in again:
        assert instance.load().SOPInstanceUID == instance.SOPInstanceUID
    assert set(named_by(disc.dicomdir.read_bytes()).values()) == {uid(3), uid(4), uid(5)}


def test_a_study_with_a_file_of_its_own_is_still_the_study_of_its_series(disc: Disc) -> None:
    disc.put([(0, patient(0), None), (1, study("1.2.3"), "ST0"), *ABOVE[2:], (3, image(0), "IM0")])
    disc.file("ST0", 1)
    disc.file("IM0", 3)

    with pytest.warns(UserWarning, match="STUDY directory record at offset"):
        fs = FileSet(disc.dicomdir)
    fs.ID = "CHANGED"
    fs.write(layout="existing")

    again = FileSet(disc.dicomdir)
    assert [i.SOPInstanceUID for i in again] == [uid(1), uid(3)]
    home = again.state.live[uid(3)].home
    assert home.record.type == "SERIES"
    assert home.home is not None
    assert home.home.record == study("1.2.3")


# --- which file a record names -------------------------------------------------------------------


@pytest.mark.parametrize("alias", ["A/./IM1", "A//IM1", "./A/IM1", "A/../A/IM1", "A/IM1"])
def test_a_second_name_of_a_file_is_left_out_so_that_removing_it_deletes_nothing(
    disc: Disc, alias: str
) -> None:
    disc.images("A/IM1", alias)
    kept = disc.file("A/IM1", 3)

    with pytest.warns(UserWarning, match="left out"):
        fs = FileSet(disc.dicomdir)
    fs.remove(fs.find(SOPInstanceUID=uid(4)))
    fs.ID = "CHANGED"
    fs.write(use_existing=True)

    assert on_medium(fs) == ["A/IM1"]
    assert kept.exists()


def test_a_link_to_a_file_that_is_listed_is_left_out(disc: Disc) -> None:
    disc.images("IM1", "IM2", "LINK/IM1")
    disc.file("A/IM1", 3)
    (disc.root / "IM1").symlink_to("A/IM1")
    (disc.root / "IM2").symlink_to("A/IM1")
    (disc.root / "LINK").symlink_to("A")

    with pytest.warns(UserWarning, match="a second time"):
        fs = FileSet(disc.dicomdir)

    assert on_medium(fs) == ["IM1"]


def test_hard_links_and_names_that_differ_in_case_are_files_of_their_own(disc: Disc) -> None:
    disc.images("IM1", "IM2", "im3", "IM3")
    os.link(disc.file("IM1"), disc.root / "IM2")
    disc.file("im3", 1)
    disc.file("IM3", 2)

    with told_of() as texts:
        fs = FileSet(disc.dicomdir)

    assert texts == []
    assert on_medium(fs) == ["IM1", "IM2", "im3", "IM3"]


def test_a_name_on_a_medium_that_ignores_case_is_known_in_any_case(disc: Disc) -> None:
    disc.images("IM1", "im1")
    os.link(disc.file("IM1"), disc.root / "im1")  # as one name on FAT

    with pytest.warns(UserWarning, match="a second time"):
        fs = FileSet(disc.dicomdir)

    assert on_medium(fs) == ["IM1"]


@pytest.mark.parametrize("written", ["A/B/IM1", "./A/B//IM1"])
def test_a_file_id_in_one_value_is_taken_apart(disc: Disc, written: str) -> None:
    disc.images("A\\B\\IM1")
    data = disc.dicomdir.read_bytes()
    assert b"A\\B\\IM1" in data
    disc.images(written)
    disc.file("A/B/IM1", 3)

    fs = FileSet(disc.dicomdir)

    assert on_medium(fs) == ["A/B/IM1"]


def test_a_file_id_that_leads_out_of_the_root_is_refused(disc: Disc) -> None:
    disc.images("../IM1")
    disc.file("IM0")
    shutil.copyfile(disc.root / "IM0", disc.root.parent / "IM1")

    with pytest.raises(PermissionError, match="must be inside the DICOMDIR root path"):
        FileSet(disc.dicomdir)


@pytest.mark.parametrize("name", ["DICOMDIR", "./DICOMDIR", "A/../DICOMDIR"])
def test_the_dicomdir_is_no_instance_and_outlives_every_write(disc: Disc, name: str) -> None:
    disc.images("A/IM1", name)
    disc.file("A/IM1", 3)

    with pytest.warns(UserWarning, match="left out"):
        fs = FileSet(disc.dicomdir)
    fs.write()

    assert len(FileSet(disc.dicomdir)) == 1
    assert fs.verify() == []


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("name", ["dicomdir", "DICOMDIR.dcm", "DICOMDIR;1"])
def test_an_instance_with_a_name_of_the_dicomdir_is_left_out_so_that_the_journal_can_be_read(
    disc: Disc, tmp_path: Path, name: str, *, repair: bool
) -> None:
    disc.images("A/IM1", name)
    disc.file("A/IM1", 3)
    disc.file(name, 4)

    with told_of():
        FileSet(disc.dicomdir, repository=tmp_path / "r", repair=repair).close()
    with closing(FileSet.open(tmp_path / "r")) as fs:
        assert on_medium(fs) == ["A/IM1"]
        assert fs.verify() == []


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("folder", ["DICOMDIR.DCM", "DICOMDIR;1", "dicomdir.dicom", "A/dicomdir"])
def test_instances_in_a_folder_that_lies_beside_a_dicomdir_on_all_media_are_taken(
    disc: Disc, tmp_path: Path, folder: str, *, repair: bool
) -> None:
    disc.images(f"{folder}/IM1")
    disc.file(f"{folder}/IM1", 3)
    if repair:
        disc.file(f"{folder}/IM2", 9)
    with told_of() as texts:
        FileSet(disc.dicomdir, repository=tmp_path / "r", repair=repair).close()
    assert not [text for text in texts if "left" in text or "dropped" in text]
    with closing(FileSet.open(tmp_path / "r")) as fs:
        assert on_medium(fs) == [f"{folder}/IM{n}" for n in range(1, 2 + repair)]
        assert not [found for found in fs.verify() if not found.is_warning]
        fs.write(layout="conformant")
        assert fs.verify() == []


@pytest.mark.parametrize("name", ["dicomdir/IM1", "DICOMDIR./D/IM1", "dicomdir"])
def test_a_file_that_can_not_lie_beside_the_dicomdir_everywhere_is_left_out_for_that_reason(
    disc: Disc, tmp_path: Path, name: str
) -> None:
    disc.images("A/IM1", name)
    disc.file("A/IM1", 3)
    disc.file(name, 4)
    why = "has the name of" if "/" not in name else "is in a folder that some media take for"
    told = f"{re.escape(name)} {why} the DICOMDIR.*copy it under another name"
    with pytest.warns(UserWarning, match=f"left out: its file .*{told}"):
        FileSet(disc.dicomdir)
    with pytest.warns(UserWarning, match=rf"is dropped: its file .*{told}") as caught:
        fs = FileSet(disc.dicomdir, repository=tmp_path / "r", repair=True)
    assert len(caught) == 1
    assert "name-of-dicomdir" in {mend.kind for mend in fs.mends}
    shutil.copy(disc.root / name, tmp_path / "COPY")
    fs.add(tmp_path / "COPY")
    assert len(fs) == 2
    fs.close()


@pytest.mark.parametrize("kind", ["fifo", "folder", "dangling"])
@pytest.mark.parametrize("kept", [False, True])
def test_what_is_no_regular_file_is_left_out(
    disc: Disc, tmp_path: Path, kind: str, *, kept: bool
) -> None:
    disc.images("A/IM1", "F1")
    disc.file("A/IM1", 3)
    path = disc.root / "F1"
    {"fifo": os.mkfifo, "folder": os.mkdir, "dangling": lambda p: p.symlink_to("NONE")}[kind](path)

    with told_of() as texts:
        fs = FileSet(disc.dicomdir, repository=tmp_path / "repository" if kept else None)

    assert [text for text in texts if str(path) in text]
    assert on_medium(fs) == ["A/IM1"]


# --- what else a DICOMDIR may say ----------------------------------------------------------------


def test_a_sound_file_set_is_adopted_without_a_word(disc: Disc) -> None:
    disc.images("IM1")
    disc.file("IM1", 3)

    with told_of() as texts:
        FileSet(disc.dicomdir)

    assert texts == []


def test_the_consistency_flag_is_told_of(disc: Disc) -> None:
    disc.images("IM1")
    disc.file("IM1", 3)
    data = disc.dicomdir.read_bytes()
    assert FLAG in data
    disc.dicomdir.write_bytes(data.replace(FLAG + b"\0\0", FLAG + b"\xff\xff"))

    with pytest.warns(UserWarning, match="Consistency Flag .* is set"):
        fs = FileSet(disc.dicomdir)

    assert len(fs) == 1


def test_records_not_in_use_are_told_of_by_their_offsets(disc: Disc) -> None:
    disc.images("IM1", "IM2")
    disc.file("IM1", 3)
    disc.file("IM2", 4)
    ds = dcmread(disc.dicomdir)
    ds.DirectoryRecordSequence[-1].RecordInUseFlag = 0
    offset = ds.DirectoryRecordSequence[-1].seq_item_tell
    ds.save_as(disc.dicomdir)

    with pytest.warns(UserWarning, match=rf"not in use: .* \(at offset {offset}\)"):
        fs = FileSet(disc.dicomdir)

    assert [i.SOPInstanceUID for i in fs] == [uid(3)]


@pytest.mark.parametrize(("levels", "warned"), [(8, False), (9, True)])
def test_what_lies_too_deep_for_the_default_layout_is_told_of(
    disc: Disc, levels: int, *, warned: bool
) -> None:
    above: list[Row] = [(n, private(f"1.7.{n}"), None) for n in range(levels - 1)]
    disc.put([*above, (levels - 1, image(0), "IM1")])
    disc.file("IM1", levels - 1)

    with told_of() as texts:
        fs = FileSet(disc.dicomdir)

    assert any("only the existing layout" in text for text in texts) is warned
    fs.ID = "CHANGED"
    fs.write(layout="existing")
    assert len(PydicomFileSet(disc.dicomdir)) == 1


def shipped(folder: Path, name: str) -> Path:
    """Return a copy of the medium that pydicom ships, with another of its DICOMDIRs."""
    there = Path(get_testdata_file("dicomdirtests/DICOMDIR")).parent
    shutil.copytree(there, folder)
    shutil.copyfile(Path(get_testdata_file(f"dicomdirtests/{name}")), folder / "DICOMDIR")
    return folder / "DICOMDIR"


@pytest.mark.parametrize("name", ["DICOMDIR-implicit", "DICOMDIR-bigEnd"])
def test_a_dicomdir_in_another_encoding_is_put_right_by_a_write(tmp_path: Path, name: str) -> None:
    dicomdir = shipped(tmp_path / "medium", name)
    with pytest.warns(UserWarning, match="will be updated to use 'Explicit VR Little Endian'"):
        fs = FileSet(dicomdir)

    fs.write(use_existing=True)

    assert dcmread(dicomdir).file_meta.TransferSyntaxUID == EXPLICIT
    assert len(PydicomFileSet(dicomdir)) == len(fs)


def test_a_dicomdir_in_another_order_is_left_as_it_is_while_nothing_is_staged(
    tmp_path: Path,
) -> None:
    dicomdir = shipped(tmp_path / "medium", "DICOMDIR-reordered")
    before = dicomdir.read_bytes()

    FileSet(dicomdir).write(use_existing=True)

    assert dicomdir.read_bytes() == before


def test_a_dicomdir_under_another_name_is_written_as_what_it_has_to_be_called(disc: Disc) -> None:
    disc.file("A")
    disc.images("A")
    disc.dicomdir.rename(disc.root / "index.dcm")

    FileSet(disc.root / "index.dcm").write(use_existing=True)

    assert disc.names() == {"A", "DICOMDIR", "index.dcm"}
    assert len(PydicomFileSet(disc.dicomdir)) == 1


def test_a_dicomdir_beside_the_one_that_counts_can_only_be_copied(
    disc: Disc, tmp_path: Path
) -> None:
    disc.file("A")
    disc.images("A")
    shutil.copyfile(disc.dicomdir, disc.root / "index.dcm")
    disc.put([])
    with pytest.warns(UserWarning, match="can be copied, but not written there"):
        fs = FileSet(disc.root / "index.dcm")
    fs.ID = "OTHER"

    before = disc.dicomdir.read_bytes()
    for repair in (False, True):
        with pytest.raises(LedgerError, match=r"was loaded from .*index\.dcm, and the DICOMDIR"):
            fs.write(use_existing=True, repair=repair)
    assert [finding.where for finding in fs.verify()] == [str(disc.dicomdir)]
    assert "--repair" not in fs.verify()[0].message
    assert disc.dicomdir.read_bytes() == before
    assert len(fs.copy(tmp_path / "copy")) == 1


FAULTS = [PermissionError(13, "Permission denied"), OSError(5, "EIO")]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_can_t_be_looked_at_is_not_left_out_as_missing(
    disc: Disc, monkeypatch: pytest.MonkeyPatch, fault: OSError
) -> None:
    disc.file("A")
    disc.images("A")
    real = os.stat

    def stat(path: object, **options: object) -> os.stat_result:
        if str(path).endswith("/A"):
            raise fault
        return real(path, **options)  # type: ignore[call-overload,no-any-return]

    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat)
        assert len(FileSet(disc.dicomdir)) == 1
    assert len(FileSet(disc.dicomdir)) == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_one_file_that_can_t_be_read_does_not_keep_the_others_from_being_adopted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: OSError
) -> None:
    dicomdir = indexed(tmp_path / "disc", "A", "B")
    real = os.open

    def open_(path: object, *arguments: object, **options: object) -> int:
        if str(path).endswith("/A"):
            raise fault
        return real(path, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", open_)
    told = run("init", tmp_path / "r", "--from", dicomdir, code=1)
    assert "2 instances" in told.out
    assert "--repair" in told.out
    assert "not a SOP Instance (A)" in told.err
    repaired = run("init", tmp_path / "s", "--from", dicomdir, "--repair", code=1)
    assert "1 instance" in repaired.out
    assert f"(A) is dropped: its file can't be read: {fault.strerror}" in repaired.err


# --- what is read otherwise than it stands -------------------------------------------------------

_OFFSETS = (b"\4\0\0\x12UL\4\0", b"\4\0\2\x12UL\4\0", b"\4\0\0\x14UL\4\0", b"\4\0\x20\x14UL\4\0")


def shift_offsets(dicomdir: Path, by: int, *, but: int = 0) -> None:
    """Add `by` to every offset of a DICOMDIR, except for the first `but` that there are."""
    data = bytearray(dicomdir.read_bytes())
    found = sorted(at for tag in _OFFSETS for at in places(bytes(data), tag))
    for at in [at for at in found if any(data[at + 8 : at + 12])][but:]:
        value = int.from_bytes(data[at + 8 : at + 12], "little") + by
        data[at + 8 : at + 12] = value.to_bytes(4, "little")
    dicomdir.write_bytes(data)


def places(data: bytes, tag: bytes) -> Iterator[int]:
    at = data.find(tag)
    while at >= 0:
        yield at
        at = data.find(tag, at + 1)


def files_of(root: Path) -> list[str]:
    return sorted(p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file())


def indexed(root: Path, *names: str) -> Path:
    """Make a File-set of files with these names, and return its DICOMDIR."""
    disc = Disc(root)
    for n, name in enumerate(names):
        disc.file(name, n)
    run("index", root)
    return disc.dicomdir


@pytest.mark.parametrize("shift", [22, -22, 132, -132, 2, 8, -8, -370, 1000])
def test_offsets_that_are_all_wrong_by_one_number_are_followed_and_put_right(
    tmp_path: Path, shift: int
) -> None:
    dicomdir = indexed(tmp_path / "disc", "A", "B", "C")
    root, right = dicomdir.parent, link_of(dicomdir)
    shift_offsets(dicomdir, shift)
    before = files_of(root)
    assert "every offset leads" in run("verify", root, code=1).out

    repository = tmp_path / "r"
    told = run("init", repository, "--from", dicomdir)
    assert "3 instances" in told.out
    assert "1  wrong offset" in told.out
    assert "every offset leads" in told.err
    run("--repo", repository, "write", "--layout", "existing")
    assert files_of(root) == before
    assert link_of(dicomdir) == right
    assert "all is well" in run("verify", root).out
    run("--repo", repository, "verify")


def link_of(dicomdir: Path) -> list[tuple[int, int]]:
    """Return the offsets of every record."""
    records = dcmread(dicomdir).DirectoryRecordSequence
    return [
        (record.OffsetOfTheNextDirectoryRecord, record.OffsetOfReferencedLowerLevelDirectoryEntity)
        for record in records
    ]


def test_most_offsets_being_wrong_by_one_number_is_enough(tmp_path: Path) -> None:
    dicomdir = indexed(tmp_path / "disc", "A", "B", "C")
    shift_offsets(dicomdir, 22)
    data = bytearray(dicomdir.read_bytes())
    last = max(at for at in places(bytes(data), _OFFSETS[2]) if any(data[at + 8 : at + 12]))
    data[last + 8 : last + 12] = b"\1\2\3\0"
    dicomdir.write_bytes(data)
    with told_of() as texts:
        fs = FileSet(dicomdir)
    there = [Path(one.path).name for one in fs if not one.for_addition]
    assert there == ["A", "B"]
    assert any("every offset leads 22 bytes too far" in text for text in texts)


def test_records_that_no_offset_leads_to_are_told_before_a_write_copies_their_files(
    tmp_path: Path,
) -> None:
    dicomdir = indexed(tmp_path / "disc", "A", "B", "C")
    shift_offsets(dicomdir, 22, but=4)
    before = files_of(dicomdir.parent)
    told = run("init", tmp_path / "r", "--from", dicomdir, "--json", code=1).document
    assert told["doubts"] == {"orphan": 3}
    assert any("--repair adopts them where they are" in text for text in told["warnings"])
    repository = tmp_path / "s"
    run("init", repository, "--from", dicomdir, "--repair")
    run("--repo", repository, "write", "--layout", "existing")
    assert files_of(dicomdir.parent) == before
    run("--repo", repository, "verify")


ODD_FILE_IDS = ["D1/I1", "D1//I1", "\\D1\\I1", "D1\\I1\\", "D1\\\\I1", "D1/I1/", "D1\\I1/"]


@pytest.mark.parametrize("repair", [False, True])
@pytest.mark.parametrize("said", ODD_FILE_IDS)
def test_a_file_id_that_leads_to_its_file_in_other_ways_is_taken_apart(
    tmp_path: Path, said: str, repair: bool
) -> None:
    dicomdir = indexed(tmp_path / "disc", "D1/I1")
    say(dicomdir, said)
    run("verify", dicomdir.parent, code=1)
    repository = tmp_path / "r"
    run("init", repository, "--from", dicomdir, *["--repair"] * repair)
    run("--repo", repository, "write", "--layout", "existing")
    assert files_of(dicomdir.parent) == ["D1/I1", "DICOMDIR"]
    assert "all is well" in run("verify", dicomdir.parent).out
    run("--repo", repository, "verify")


def test_a_slash_in_front_of_a_file_id_leads_out_of_the_root_only_until_it_is_repaired(
    tmp_path: Path,
) -> None:
    dicomdir = indexed(tmp_path / "disc", "D1/I1")
    say(dicomdir, "/D1/I1")
    assert "--repair" in run("init", tmp_path / "r", "--from", dicomdir, code=3).err
    run("init", tmp_path / "s", "--from", dicomdir, "--repair")
    run("--repo", tmp_path / "s", "write", "--layout", "existing")
    assert "all is well" in run("verify", dicomdir.parent).out


def test_an_instance_whose_file_id_leads_out_of_the_root_is_found_within_it(tmp_path: Path) -> None:
    dicomdir = indexed(tmp_path / "disc", "D1/I1")
    say(dicomdir, "..\\I1")
    told = run("init", tmp_path / "r", "--from", dicomdir, "--repair")
    assert "left out" not in told.out
    run("--repo", tmp_path / "r", "write", "--layout", "existing")
    assert files_of(dicomdir.parent) == ["D1/I1", "DICOMDIR"]
    assert "all is well" in run("verify", dicomdir.parent).out


@pytest.mark.parametrize("as_dataset", [False, True, "looked at"])
def test_a_compressed_icon_is_left_out_with_a_warning(
    example: Path, tmp_path: Path, as_dataset: bool | str
) -> None:
    Medium(example).compress_icon()
    source: object = example / "DICOMDIR"
    if as_dataset:
        source = ds = dcmread(example / "DICOMDIR")
        if as_dataset == "looked at":
            icons = [r.IconImageSequence[0] for r in ds.DirectoryRecordSequence if "Icon" in str(r)]
            assert b"JPEG" in icons[0].PixelData
    with told_of() as texts:
        fs = FileSet(source)  # type: ignore[arg-type]
    assert len(fs) == 31
    assert [text for text in texts if "compressed icon image" in text]
    fs.copy(tmp_path / "copy")
    assert "all is well" in run("verify", tmp_path / "copy").out


def test_a_compressed_icon_is_a_warning_of_verify_and_goes_with_repair(
    example: Path, tmp_path: Path
) -> None:
    Medium(example).compress_icon()
    assert "compressed-icon" in run("verify", example).out
    run("init", tmp_path / "r", "--from", example / "DICOMDIR", "--repair")
    run("--repo", tmp_path / "r", "write", "--layout", "existing")
    assert "all is well" in run("verify", example).out


def test_a_compressed_icon_does_not_keep_the_records_of_a_damaged_dicomdir(
    example: Path, tmp_path: Path
) -> None:
    Medium(example).compress_icon()
    dicomdir = example / "DICOMDIR"
    dicomdir.write_bytes(dicomdir.read_bytes()[:-200])
    run("init", tmp_path / "r", "--from", dicomdir, "--repair")
    run("--repo", tmp_path / "r", "write", "--layout", "existing")
    assert "all is well" in run("verify", example).out


def say(dicomdir: Path, file_id: str) -> None:
    """Have the only record of a File-set reference another File ID of up to six bytes."""
    data = dicomdir.read_bytes()
    at = data.index(b"\4\0\0\x15CS\6\0") + 8
    dicomdir.write_bytes(data[:at] + file_id.encode().ljust(6) + data[at + 6 :])


def test_a_file_id_that_no_file_can_have_is_of_a_file_that_is_missing(disc: Disc) -> None:
    disc.images("A\0B")
    with pytest.warns(UserWarning, match="does not exist"):
        assert len(FileSet(disc.dicomdir)) == 0


def test_more_files_of_a_folder_than_are_looked_at_one_by_one_are_found(disc: Disc) -> None:
    names = [f"F{n:02}" for n in range(30)]
    for n, name in enumerate(names):
        disc.file(name, n + 3)
    (disc.root / "F20").rename(disc.root / "elsewhere")
    (disc.root / "F20").symlink_to("elsewhere")
    (disc.root / "F21").unlink()
    (disc.root / "F22").unlink()
    (disc.root / "F22").mkdir()
    disc.images(*names)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fs = FileSet(disc.dicomdir)
    assert len(fs) == 28
    assert sorted(str(w.message).split(": ")[0][-14:] for w in caught)
    assert {"does not exist", "not a regular file"} <= {
        text for w in caught for text in ("does not exist", "not a regular file")
        if text in str(w.message)
    }  # fmt: skip


# --- what the files say, where they are read -----------------------------------------------------


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """A copy of the File-set that pydicom ships."""
    there = examples.get_path("dicomdir").parent
    for folder in ("77654033", "98892001", "98892003"):
        shutil.copytree(there / folder, tmp_path / "example" / folder)
    shutil.copy(there / "DICOMDIR", tmp_path / "example")
    return tmp_path / "example"


def test_a_sound_file_set_is_read_without_a_word(example: Path, tmp_path: Path) -> None:
    told = run("init", tmp_path / "r", "--from", example / "DICOMDIR", "--json").document
    assert (told["doubts"], told["left_out"], told["warnings"]) == ({}, 0, [])


def test_files_that_are_not_what_their_records_say_are_told(example: Path, tmp_path: Path) -> None:
    one, other = example / "77654033" / "CR1" / "6154", example / "98892003" / "MR2" / "4950"
    content = one.read_bytes()
    one.write_bytes(other.read_bytes())
    other.write_bytes(content)
    (example / "77654033" / "CR2" / "6247").write_bytes(b"")
    cut = example / "77654033" / "CR3" / "6278"
    cut.write_bytes(cut.read_bytes()[:-100])
    moved = example / "98892003" / "MR2" / "4981"
    ds = dcmread(moved)
    ds.PatientID = "ANOTHER"
    ds.save_as(moved)

    told = run("init", tmp_path / "r", "--from", example / "DICOMDIR", "--json", code=1).document
    assert told["doubts"] == {"sop-instance-uid": 2, "file-unreadable": 2, "place": 1}
    text = run("init", tmp_path / "s", "--from", example / "DICOMDIR", code=1)
    assert "5 files not as the DICOMDIR says. --repair corrects that from the files." in text.out
    for name in ("77654033/CR1/6154", "77654033/CR2/6247", "98892003/MR2/4981"):
        assert name in text.err
    with told_of() as texts:
        assert len(FileSet(example / "DICOMDIR")) == 31  # a quick look reads none of them
    assert texts == []


@pytest.mark.parametrize("root_records", [b"\x04\0\0\x12UL\4\0", None])
def test_what_is_left_out_is_never_less_than_nothing(
    example: Path, tmp_path: Path, root_records: bytes | None
) -> None:
    dicomdir = example / "DICOMDIR"
    data = dicomdir.read_bytes()
    tags = [root_records] if root_records else [
        b"\x04\0" + tag + b"UL\4\0" for tag in (b"\0\x12", b"\x02\x12", b"\0\x14", b"\x20\x14")
    ]  # fmt: skip
    for tag in tags:
        parts = data.split(tag)
        data = parts[0] + b"".join(tag + bytes(4) + part[4:] for part in parts[1:])
    dicomdir.write_bytes(data)
    told = run("init", tmp_path / "r", "--from", dicomdir, "--json", code=1).document
    assert (told["instances"], told["left_out"]) == (31, 0)


@pytest.mark.parametrize("options", [(), ("--repair",)], ids=["plain", "repair"])
def test_what_is_not_in_use_is_no_failure_and_promised_to_nobody(
    disc: Disc, tmp_path: Path, options: tuple[str, ...]
) -> None:
    disc.images("IM1", "IM2")
    disc.file("IM1", 3)
    disc.file("IM2", 4)
    for path in (disc.root / "IM1", disc.root / "IM2"):
        ds = dcmread(path)
        ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "P0", "1.2.3", "1.2.3.1"
        ds.save_as(path)
    ds = dcmread(disc.dicomdir)
    ds.DirectoryRecordSequence[0].PatientID = "P0"
    ds.DirectoryRecordSequence[-1].RecordInUseFlag = 0
    ds.save_as(disc.dicomdir)
    disc.dicomdir.write_bytes(disc.dicomdir.read_bytes())
    told = run("init", tmp_path / "r", "--from", disc.dicomdir, *options, "--json").document
    assert (told["instances"], told["left_out"]) == (1, 0)
    assert any("not in use" in text for text in told["warnings"])


def test_where_the_dicomdir_is_gone_index_makes_one(example: Path, tmp_path: Path) -> None:
    (example / "DICOMDIR").unlink()
    for options in ((), ("--repair",)):
        told = run("init", tmp_path / "r", "--from", example / "DICOMDIR", *options, code=2)
        assert f"`fileset index {example}` would make a DICOMDIR" in told.err
