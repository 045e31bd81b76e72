"""Adopting a damaged File-set with `repair`: what is there comes back, and is told one by one."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import pytest
from attrs import frozen
from cli_runs import CT, MR, RT_DOSE, Cli, changed, run
from models import image, series
from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.fileset import FileSet as PydicomFileSet

from fileset import FileSet
from fileset.adding.candidate import read_path
from fileset.checking.conformance import examine_root
from ledger.elements import Element, encode, iterate
from ledger.events import InstanceAdded, InstanceRejected, RecordMended
from ledger.tags import SPECIFIC_CHARACTER_SET
from projections.dicomdir.decoded_directory import DecodedDirectory, DecodedRecord
from projections.dicomdir.decoder import decode_dicomdir
from projections.dicomdir.definitions import Reference
from projections.dicomdir.encoder import DirectoryRecord, encode_dicomdir
from projections.dicomdir.findings import Finding, FindingKind
from projections.dicomdir.tree import link

PLAN = get_testdata_file("rtplan.dcm")
REPORT = get_testdata_file("reportsi.dcm")
EXAMPLE = Path(str(get_testdata_file("DICOMDIR"))).parent
Outline: TypeAlias = list[str]


@frozen
class Sound:
    """What a sound medium is: what pydicom shows and loads, what dciodvfy has against it."""

    outline: Outline
    instances: dict[str, bytes]
    errors: set[str]

    @classmethod
    def of(cls, root: Path) -> Sound:
        return cls(outline(root), instances(root), errors(root / "DICOMDIR"))


OF_FILES = {FindingKind.BAD_VALUE, FindingKind.SOP_INSTANCE_IN_META, FindingKind.SOP_CLASS_IN_META}


def unlike_its_files(root: Path) -> list[Finding]:
    """Return what is wrong with the File-set, but for what its files have wrong themselves."""
    return [each for each in examine_root(root).findings if each.kind not in OF_FILES]


class Medium:
    """A medium of pydicom's instances with a sound DICOMDIR, which a test then damages."""

    def __init__(self, root: Path, sources: Sequence[str | Path] = ()) -> None:
        self.root = root
        self.dicomdir = root / "DICOMDIR"
        if not sources:
            return
        with FileSet() as fs:
            fs.ID = "DAMAGED"
            assert not fs.add_many(sources, complete=True).has_failures
            fs.write(root)

    def contents(self) -> dict[str, bytes]:
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and path.name != "DICOMDIR"
        }

    def decoded(self) -> DecodedDirectory:
        return decode_dicomdir(self.dicomdir.read_bytes(), name="DICOMDIR")

    def records(self, kind: str) -> list[DecodedRecord]:
        return [found for found in self.decoded().records if found.type == kind]

    def patch(self, old: bytes, new: bytes) -> None:
        """Put bytes in the place of as many others, so that all offsets stay right."""
        data = self.dicomdir.read_bytes()
        assert old in data
        assert len(old) == len(new)
        self.dicomdir.write_bytes(data.replace(old, new, 1))

    def patch_at(self, offset: int, new: bytes) -> None:
        data = bytearray(self.dicomdir.read_bytes())
        data[offset : offset + len(new)] = new
        self.dicomdir.write_bytes(data)

    def rows(self) -> list[DirectoryRecord]:
        found: list[DirectoryRecord] = []
        pending = [(0, node) for node in reversed(link(self.decoded()).roots)]
        while pending:
            depth, node = pending.pop()
            it = node.record
            reference = None
            if it.file_id:
                reference = Reference(
                    "/".join(it.file_id),
                    it.sop_class_uid or "",
                    it.sop_instance_uid or "",
                    it.transfer_syntax_uid or "",
                )
            found.append(DirectoryRecord(depth, it.type or "", it.elements, reference))
            pending += [(depth + 1, child) for child in reversed(node.children)]
        return found

    def put(self, rows: list[DirectoryRecord], *, implicit_vr: bool = False) -> None:
        identity = self.decoded().identity
        self.dicomdir.write_bytes(encode_dicomdir(identity, rows, implicit_vr=implicit_vr))


def outline(root: Path) -> Outline:
    """Return the tree as pydicom shows it, without an order: a mended one may have another."""
    text = str(PydicomFileSet(root / "DICOMDIR"))
    return sorted(text[text.index("Managed instances:") :].splitlines())


def instances(root: Path) -> dict[str, bytes]:
    """Return what pydicom loads: SOP Instance UIDs, which each file has, and bytes."""
    found = {}
    for instance in PydicomFileSet(root / "DICOMDIR"):
        ds = instance.load()
        assert ds.SOPInstanceUID == instance.SOPInstanceUID
        assert ds.file_meta.TransferSyntaxUID == instance.ReferencedTransferSyntaxUIDInFile
        assert instance.ReferencedSOPClassUIDInFile == ds.SOPClassUID
        found[str(ds.SOPInstanceUID)] = Path(instance.path).read_bytes()
    return found


def errors(dicomdir: Path) -> set[str]:
    """Return the errors that dciodvfy finds, whichever record has them."""
    tool = shutil.which("dciodvfy") or str(Path(sys.executable).parent / "dciodvfy")
    done = subprocess.run(
        [tool, "-new", str(dicomdir)], capture_output=True, text=True, timeout=60, check=False
    )
    lines = (done.stderr + done.stdout).splitlines()
    return {re.sub(r"\[\d+\]", "", line) for line in lines if "Error" in line}


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("original")
    second = changed(CT, folder / "2.dcm", SOPInstanceUID="1.2.3.4", InstanceNumber=2)
    return Medium(folder / "cd", [CT, second, MR, RT_DOSE, PLAN, REPORT]).root


@pytest.fixture(scope="module")
def sound(original: Path) -> Sound:
    return Sound.of(original)


@pytest.fixture
def medium(original: Path, tmp_path: Path) -> Medium:
    shutil.copytree(original, tmp_path / "cd")
    return Medium(tmp_path / "cd")


def mended(medium: Medium, repository: Path | None = None) -> Iterator[tuple[FileSet, list[str]]]:
    """Adopt the medium with `repair`, and give the texts of the warnings, too."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        fs = FileSet(medium.dicomdir, repository=repository, repair=True)
    with fs:
        yield fs, [str(one.message) for one in caught if one.category is UserWarning]


# --- every kind of damage ------------------------------------------------------------------------

Damage: TypeAlias = Callable[[Medium], None]


def next_offset(of: DecodedRecord, to: int) -> tuple[int, bytes]:
    assert of.offset is not None
    return of.offset + 8 + 8, to.to_bytes(4, "little")


def lower_offset(of: DecodedRecord, to: int) -> tuple[int, bytes]:
    assert of.offset is not None
    return of.offset + 8 + 12 + 10 + 8, to.to_bytes(4, "little")


def first_patient_leads_nowhere(medium: Medium) -> None:
    medium.patch_at(*next_offset(medium.records("PATIENT")[0], 77))


def first_patient_leads_into_a_record(medium: Medium) -> None:
    patients = medium.records("PATIENT")
    medium.patch_at(*next_offset(patients[0], (patients[1].offset or 0) + 20))


def the_images_go_in_a_circle(medium: Medium) -> None:
    first, second = medium.records("IMAGE")[:2]
    medium.patch_at(*next_offset(second, first.offset or 0))


def a_series_has_lost_its_images(medium: Medium) -> None:
    medium.patch_at(*lower_offset(medium.records("SERIES")[0], 0))


def the_first_offset_is_lost(medium: Medium) -> None:
    data = medium.dicomdir.read_bytes()
    medium.patch_at(data.index(b"\x04\0\0\x12UL\4\0") + 8, bytes(4))


def the_last_offset_is_wrong(medium: Medium) -> None:
    data = medium.dicomdir.read_bytes()
    medium.patch_at(data.index(b"\x04\0\x02\x12UL\4\0") + 8, b"\x11\0\0\0")


def an_image_is_below_another_patient(medium: Medium) -> None:
    """The series of two patients have each other's images: no other tool finds that."""
    one, other = medium.records("SERIES")[:2]
    medium.patch_at(*lower_offset(one, other.lower_offset))
    medium.patch_at(*lower_offset(other, one.lower_offset))


def a_record_has_another_instances_uid(medium: Medium) -> None:
    data = medium.dicomdir.read_bytes()
    uid = medium.records("IMAGE")[0].sop_instance_uid or ""
    at = data.index(uid.encode())
    medium.patch_at(at, uid.encode()[:-1] + b"9")


def a_record_has_another_transfer_syntax(medium: Medium) -> None:
    rows = [
        row._replace(reference=row.reference._replace(transfer_syntax_uid="1.2.840.10008.1.2.5"))
        if row.reference and row.type == "IMAGE"
        else row
        for row in medium.rows()
    ]
    medium.put(rows)


def a_record_has_another_class(medium: Medium) -> None:
    medium.put(
        [
            row._replace(
                reference=row.reference._replace(sop_class_uid="1.2.840.10008.5.1.4.1.1.1")
            )
            if row.reference and row.type == "IMAGE"
            else row
            for row in medium.rows()
        ]
    )


def a_report_is_listed_as_an_image(medium: Medium) -> None:
    medium.put([r._replace(type="IMAGE") if r.type == "SR DOCUMENT" else r for r in medium.rows()])


def without(kind: str, *tags: int) -> Damage:
    def damage(medium: Medium) -> None:
        medium.put(
            [
                row._replace(elements=encode(e for e in iterate(row.elements) if e.tag not in tags))
                if row.type == kind
                else row
                for row in medium.rows()
            ]
        )

    return damage


def the_series_are_no_longer_listed(medium: Medium) -> None:
    """Of the levels above an image one is not there: what is below it is one level higher."""
    medium.put(
        [
            row._replace(depth=2) if row.depth == 3 else row
            for row in medium.rows()
            if row.type != "SERIES"
        ]
    )


def an_image_is_not_listed(medium: Medium) -> None:
    rows = medium.rows()
    rows.remove(next(row for row in rows if row.type == "IMAGE"))
    medium.put(rows)


def an_image_is_listed_twice(medium: Medium) -> None:
    rows = medium.rows()
    at = next(i for i, row in enumerate(rows) if row.type == "IMAGE")
    medium.put([*rows[: at + 1], rows[at], *rows[at + 1 :]])


def a_patient_is_listed_twice(medium: Medium) -> None:
    """The two images of a patient are in two of everything above them."""
    rows = medium.rows()
    at = next(i for i, row in enumerate(rows) if row.type == "IMAGE")
    medium.put([*rows[: at + 1], *rows[at - 3 : at], *rows[at + 1 :]])


def a_file_lies_elsewhere(medium: Medium) -> None:
    rows = medium.rows()
    at = next(i for i, row in enumerate(rows) if row.type == "IMAGE")
    reference = rows[at].reference
    assert reference is not None
    rows[at] = rows[at]._replace(reference=reference._replace(file_id="PT000000/LOST"))
    medium.put(rows)


def it_is_in_implicit_vr(medium: Medium) -> None:
    medium.put(medium.rows(), implicit_vr=True)


def it_is_said_to_be_inconsistent(medium: Medium) -> None:
    medium.patch(b"\x04\0\x12\x12US\x02\0\0\0", b"\x04\0\x12\x12US\x02\0\xff\xff")


def it_has_no_uid(medium: Medium) -> None:
    data = medium.dicomdir.read_bytes()
    uid = medium.decoded().identity.uid.encode()
    medium.dicomdir.write_bytes(data.replace(uid, b"\0" * len(uid), 1))


def it_ends_within_its_records(medium: Medium) -> None:
    data = medium.dicomdir.read_bytes()
    medium.dicomdir.write_bytes(data[: len(data) * 2 // 3])


def it_ends_within_its_records_in_implicit_vr(medium: Medium) -> None:
    it_is_in_implicit_vr(medium)
    it_ends_within_its_records(medium)


def it_has_no_record_sequence(medium: Medium) -> None:
    data = medium.dicomdir.read_bytes()
    medium.dicomdir.write_bytes(data[: data.index(b"\x04\0\x20\x12SQ")])


def a_block_of_it_is_overwritten(medium: Medium) -> None:
    middle = len(medium.dicomdir.read_bytes()) // 2
    medium.patch_at(middle, b"\xaa" * 512)


def the_lengths_of_items_are_too_large(medium: Medium) -> None:
    for found in medium.decoded().records[3:5]:
        medium.patch_at((found.offset or 0) + 4, b"\xfe\xff\xff\xff")


def it_is_empty(medium: Medium) -> None:
    medium.dicomdir.write_bytes(b"")


def only_its_preamble_is_there(medium: Medium) -> None:
    medium.dicomdir.write_bytes(medium.dicomdir.read_bytes()[:128])


def it_is_noise(medium: Medium) -> None:
    medium.dicomdir.write_bytes(bytes(range(256)) * 20)


DAMAGES: dict[Damage, dict[str, int]] = {
    first_patient_leads_nowhere: {"offset": 1, "orphan": 4},
    first_patient_leads_into_a_record: {"offset": 1, "orphan": 4},
    the_images_go_in_a_circle: {"offset": 1},
    a_series_has_lost_its_images: {"orphan": 2},
    the_first_offset_is_lost: {"offset": 1, "orphan": 6},
    the_last_offset_is_wrong: {"offset": 1},
    an_image_is_below_another_patient: {"place": 3},
    a_record_has_another_instances_uid: {"sop-instance-uid": 1},
    a_record_has_another_transfer_syntax: {"transfer-syntax-uid": 3},
    a_record_has_another_class: {"sop-class-uid": 3},
    a_report_is_listed_as_an_image: {"record-type": 1},
    without("STUDY", 0x00080020): {"missing-key": 5},
    without("PATIENT", 0x00100020): {"missing-key": 5},
    without("SERIES", 0x0020000E, 0x00080060): {"missing-key": 5},
    without("IMAGE", 0x00200013): {"missing-key": 3},
    the_series_are_no_longer_listed: {"place": 6},
    an_image_is_not_listed: {"unlisted": 1},
    an_image_is_listed_twice: {"same-file": 1},
    a_patient_is_listed_twice: {"merged": 3},
    a_file_lies_elsewhere: {"file-id": 1},
    it_is_in_implicit_vr: {"encoding": 1},
    it_is_said_to_be_inconsistent: {"consistency-flag": 1},
    it_has_no_uid: {"file-set-uid": 1},
    it_ends_within_its_records: {"unreadable": 1},
    it_ends_within_its_records_in_implicit_vr: {"unreadable": 1, "encoding": 1},
    it_has_no_record_sequence: {"unreadable": 1, "unlisted": 6},
    a_block_of_it_is_overwritten: {"unreadable": 1},
    the_lengths_of_items_are_too_large: {"unreadable": 1},
    it_is_empty: {"unreadable": 1, "file-set-uid": 1, "unlisted": 6},
    only_its_preamble_is_there: {"unreadable": 1, "file-set-uid": 1, "unlisted": 6},
    it_is_noise: {"unreadable": 1, "file-set-uid": 1, "unlisted": 6},
}  # what has to be told at least, by kind, and how often


@pytest.mark.parametrize(
    "damage", DAMAGES, ids=[getattr(d, "__qualname__", "").split(".")[0] for d in DAMAGES]
)
def test_whatever_is_damaged_the_file_set_that_is_written_is_the_one_before_the_damage(
    medium: Medium, sound: Sound, damage: Damage
) -> None:
    files = medium.contents()
    damage(medium)
    for fs, _ in mended(medium):
        told = Counter(mend.kind for mend in fs.mends)
        assert told | Counter(DAMAGES[damage]) == told, fs.mends
        assert fs.is_staged
        fs.write(layout="existing")

    assert instances(medium.root) == sound.instances
    assert outline(medium.root) == sound.outline
    assert errors(medium.dicomdir) <= sound.errors  # which pydicom's instances bring with them
    assert medium.contents() == files
    for fs, texts in mended(medium):
        assert (fs.mends, texts) == ([], [])


@pytest.mark.parametrize("damage", [the_first_offset_is_lost, a_block_of_it_is_overwritten])
def test_a_mended_file_set_can_be_laid_out_anew(
    medium: Medium, sound: Sound, damage: Damage
) -> None:
    damage(medium)
    for fs, _ in mended(medium):
        fs.write()
    assert instances(medium.root) == sound.instances
    assert outline(medium.root) == sound.outline


def test_what_is_sound_is_adopted_as_without_repair(medium: Medium) -> None:
    before = medium.dicomdir.read_bytes()
    for fs, texts in mended(medium):
        assert (fs.mends, texts, fs.is_staged) == ([], [], False)
        with FileSet(medium.dicomdir) as plain:
            assert str(fs) == str(plain)
            assert [i.path for i in fs] == [i.path for i in plain]
        fs.write(layout="existing")
    assert medium.dicomdir.read_bytes() == before


def test_pydicoms_own_damaged_examples_are_whole_again(tmp_path: Path) -> None:
    expected = {str(i.SOPInstanceUID) for i in PydicomFileSet(EXAMPLE / "DICOMDIR")}
    for name in ("DICOMDIR-nopatient", "DICOMDIR-implicit", "DICOMDIR-bigEnd"):
        root = tmp_path / name
        for folder in ("77654033", "98892001", "98892003"):
            shutil.copytree(EXAMPLE / folder, root / folder)
        shutil.copy(EXAMPLE / name, root / "DICOMDIR")
        listed = {
            "/".join(r.ReferencedFileID)
            for r in dcmread(EXAMPLE / "DICOMDIR").DirectoryRecordSequence
            if "ReferencedFileID" in r
        }
        for path in root.rglob("*"):
            if path.is_file() and path.relative_to(root).as_posix() not in {*listed, "DICOMDIR"}:
                path.unlink()
        with FileSet(root / "DICOMDIR", repair=True) as fs:
            assert {str(i.SOPInstanceUID) for i in fs} == expected
            assert fs.mends
            fs.write()
        assert outline(root) == outline(EXAMPLE)


# --- what the records hold -----------------------------------------------------------------------


def test_what_else_a_record_holds_is_kept(medium: Medium) -> None:
    """A thumbnail, say: what is right in a damaged DICOMDIR stays as it is."""
    comment = Element(0x00204000, "LT", b"kept")
    medium.put(
        [row._replace(elements=encode([*iterate(row.elements), comment])) for row in medium.rows()]
    )
    the_first_offset_is_lost(medium)
    for fs, _ in mended(medium):
        fs.write(layout="existing")
    assert [r.elements.count(b"kept") for r in medium.decoded().records] == [1] * len(medium.rows())


def test_a_private_record_gets_the_uid_that_it_lacks_and_stays_private(tmp_path: Path) -> None:
    medium = Medium(tmp_path / "cd", [CT])
    rows = medium.rows()
    medium.put([*rows[:-1], rows[-1]._replace(type="PRIVATE", elements=encode([]))])
    with pytest.raises(ValueError, match="missing a required element"):
        FileSet(medium.dicomdir)
    for fs, _ in mended(medium):
        (mend,) = fs.mends
        assert mend.kind == "private-record-uid"
        fs.write(layout="existing")
        (leaf,) = fs.state.hierarchy.walk_leaves()
        assert leaf.key == mend.now
    assert [r.type for r in medium.decoded().records] == ["PATIENT", "STUDY", "SERIES", "PRIVATE"]
    assert len(PydicomFileSet(medium.dicomdir)) == 1


def test_text_without_its_character_set_gets_that_of_the_file(tmp_path: Path) -> None:
    name = "山田^太郎"
    source = changed(CT, tmp_path / "x", SpecificCharacterSet="ISO_IR 192", PatientName=name)
    medium = Medium(tmp_path / "cd", [source])
    without("PATIENT", SPECIFIC_CHARACTER_SET)(medium)
    for fs, _ in mended(medium):
        (mend,) = fs.mends
        assert (mend.kind, mend.now) == ("missing-key", "SpecificCharacterSet")
        fs.write(layout="existing")
    assert next(iter(PydicomFileSet(medium.dicomdir))).PatientName == name


def test_values_that_the_file_lacks_too_are_invented_as_for_any_other(tmp_path: Path) -> None:
    medium = Medium(tmp_path / "cd", [RT_DOSE])
    without("RT DOSE", 0x00200013)(medium)
    for fs, _ in mended(medium, tmp_path / "r"):
        (added,) = (e for h in fs.history for e in h.events if isinstance(e, InstanceAdded))
        assert added.invented == {"InstanceNumber": "0"}


def test_an_id_that_the_file_lacks_does_not_take_its_instance_out_of_its_patient(
    tmp_path: Path,
) -> None:
    medium = Medium(tmp_path / "cd", [CT])
    image_file = next(medium.root.rglob("IM*"))
    changed(image_file, image_file, PatientID="")
    for fs, _ in mended(medium):
        assert fs.mends == []
        assert len(fs.find(PatientID="1CT1")) == 1


# --- what is lost is told ------------------------------------------------------------------------


def test_records_without_their_files_are_dropped_and_named(medium: Medium) -> None:
    gone = medium.root / "PT000000" / "ST000000" / "SE000000" / "IM000000"
    gone.unlink()
    for fs, texts in mended(medium):
        (mend,) = fs.mends
        assert (mend.kind, mend.file_id) == (
            "file-missing",
            gone.relative_to(medium.root).as_posix(),
        )
        assert [text for text in texts if "PT000000/ST000000/SE000000/IM000000" in text]
        assert len(fs) == 5


def test_a_file_that_is_no_instance_any_more_is_dropped_and_left_alone(medium: Medium) -> None:
    broken = next(medium.root.rglob("IM000000"))
    broken.write_bytes(broken.read_bytes()[:1000])
    for fs, texts in mended(medium):
        (mend,) = fs.mends
        assert mend.kind == "file-unreadable"
        assert len(texts) == 1
        fs.write(layout="existing")
    assert len(broken.read_bytes()) == 1000


def test_of_two_files_of_one_instance_the_one_listed_first_stays(medium: Medium) -> None:
    first, second = sorted((medium.root / "PT000000").rglob("IM*"))
    shutil.copy(first, second)
    for fs, texts in mended(medium):
        assert sorted(mend.kind for mend in fs.mends) == ["same-instance"]
        assert "left alone" in texts[0]
        (instance,) = fs.find(PatientID="1CT1")
        assert Path(instance.path) == first


@pytest.mark.parametrize("file_id", ["../outside", "/etc/hostname", "LINK/IM"])
def test_a_record_that_leads_out_of_the_root_is_dropped_and_nothing_is_read_there(
    tmp_path: Path, file_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    medium = Medium(tmp_path / "cd", [CT, MR])
    (tmp_path / "outside").mkdir()
    shutil.copy(CT, tmp_path / "outside" / "IM")
    (medium.root / "LINK").symlink_to(tmp_path / "outside")
    rows = medium.rows()
    stray = Reference(file_id, "1.2.840.10008.5.1.4.1.1.2", "1.2.3", "1.2.840.10008.1.2")
    medium.put([*rows, DirectoryRecord(3, "IMAGE", image(9).elements, stray)])
    read: list[str] = []
    monkeypatch.setattr(
        "fileset.adoption.mend.read_path",
        lambda path, **options: (read.append(path), read_path(path, **options))[1],
    )
    for fs, _ in mended(medium):
        (mend,) = fs.mends
        assert mend.kind in {"file-outside", "file-missing"}
        assert len(fs) == 2
    assert len(read) == 2
    assert all(Path(path).resolve().is_relative_to(medium.root) for path in read)


def test_what_is_not_in_use_stays_out_and_its_file_is_not_forgotten(medium: Medium) -> None:
    found = medium.records("IMAGE")[0]
    medium.patch_at((found.offset or 0) + 8 + 12 + 8, b"\0\0")
    for fs, texts in mended(medium):
        assert fs.mends == []
        assert len(fs) == 5
        assert [text for text in texts if "not in use" in text]


def test_files_that_nobody_listed_and_that_are_no_instances_are_not_the_file_sets_business(
    medium: Medium,
) -> None:
    (medium.root / "README.TXT").write_text("with best regards")
    cut = medium.root / "CUT"
    cut.write_bytes(Path(CT).read_bytes()[:2000])
    for fs, texts in mended(medium):
        (event,) = (e for h in fs.history for e in h.events if isinstance(e, InstanceRejected))
        assert event.source == str(cut)
        assert len(texts) == 1


def test_records_nested_deeper_than_any_file_set_are_put_where_their_files_belong(
    tmp_path: Path,
) -> None:
    medium = Medium(tmp_path / "cd", [CT])
    before = outline(medium.root)
    rows = medium.rows()
    chain = [DirectoryRecord(n, "SERIES", series(f"1.2.{n}").elements) for n in range(3, 103)]
    medium.put([*rows[:3], *chain, rows[3]._replace(depth=103)])
    for fs, _ in mended(medium):
        fs.write(layout="existing")
    assert outline(medium.root) == before


# --- what is somebody else's ---------------------------------------------------------------------


def test_another_file_set_in_a_folder_and_what_writes_leave_are_left_alone(
    medium: Medium, tmp_path: Path
) -> None:
    inner = Medium(medium.root / "OTHER", [changed(CT, tmp_path / "x", SOPInstanceUID="1.2.9")])
    before = {path: path.read_bytes() for path in inner.root.rglob("*") if path.is_file()}
    left = medium.root / ".DICOMDIR-0123456789abcdef.files"
    left.mkdir()
    changed(CT, left / "00000001", SOPInstanceUID="1.2.10")
    changed(CT, medium.root / "PT000000" / ".IM000000.new", SOPInstanceUID="1.2.11")
    for fs, texts in mended(medium):
        assert (len(fs), fs.mends) == (6, [])
        assert [text for text in texts if "OTHER is left alone" in text]
        assert [text for text in texts if f"{left} is left alone" in text]
        fs.write(layout="conformant")
    assert {path: path.read_bytes() for path in inner.root.rglob("*") if path.is_file()} == before


def swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def with_icons(medium: Medium) -> None:
    """Have each image record hold what only it can know, named after its instance."""
    rows = medium.rows()
    for at, row in enumerate(rows):
        if row.reference is not None:
            note = Element(0x00204000, "LT", f"of {row.reference.sop_instance_uid}".encode())
            rows[at] = row._replace(elements=encode([*iterate(row.elements), note]))
    medium.put(rows)


@pytest.mark.parametrize("of", [(0, 1), (0, 2), (1, 2)], ids=["series", "patients", "later"])
def test_files_that_changed_places_keep_their_own_records(
    medium: Medium, of: tuple[int, int]
) -> None:
    with_icons(medium)
    images = [medium.root.joinpath(*(r.file_id or ())) for r in medium.records("IMAGE")]
    swap(images[of[0]], images[of[1]])
    for fs, texts in mended(medium):
        assert Counter(mend.kind for mend in fs.mends) == {"file-id": 2}
        assert texts == []
        fs.write(layout="existing")
    assert unlike_its_files(medium.root) == []
    for record in medium.decoded().records:
        if record.file_id:
            assert f"of {record.sop_instance_uid}".encode() in record.elements


def test_a_record_of_another_instance_lends_its_file_nothing(
    medium: Medium, tmp_path: Path
) -> None:
    with_icons(medium)
    other = changed(CT, tmp_path / "x", SOPInstanceUID="1.2.99", InstanceNumber=77)
    shutil.copy(other, medium.root.joinpath(*(medium.records("IMAGE")[0].file_id or ())))
    for fs, _ in mended(medium):
        assert [mend.kind for mend in fs.mends] == ["sop-instance-uid"]
        fs.write(layout="existing")
    assert unlike_its_files(medium.root) == []
    (record,) = (r for r in medium.decoded().records if r.sop_instance_uid == "1.2.99")
    assert b"of 1." not in record.elements


def test_a_copy_in_anothers_place_loses_that_instance_and_not_its_own(medium: Medium) -> None:
    first, second = (medium.root.joinpath(*(r.file_id or ())) for r in medium.records("IMAGE")[:2])
    shutil.copy(second, first)
    for fs, _ in mended(medium):
        assert [mend.kind for mend in fs.mends] == ["same-instance"]
        assert second in {Path(i.path) for i in fs}
        assert first not in {Path(i.path) for i in fs}


@pytest.mark.parametrize("repair", [False, True])
def test_two_persons_with_one_patient_id_are_told_of_unless_the_files_have_only_one(
    medium: Medium, *, repair: bool
) -> None:
    name = Element(0x00100010, "PN", b"Some^Body")
    a_patient_is_listed_twice(medium)
    rows = medium.rows()
    at = [number for number, row in enumerate(rows) if row.type == "PATIENT"][1]
    kept = [e for e in iterate(rows[at].elements) if e.tag != name.tag]
    rows[at] = rows[at]._replace(elements=encode(sorted([*kept, name], key=lambda e: e.tag)))
    medium.put(rows)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        FileSet(medium.dicomdir, repair=repair).close()
    texts = [str(one.message) for one in caught if "another person" in str(one.message)]
    assert len(texts) == (0 if repair else 1)
    assert all("PatientName is 'Some^Body' and not " in text for text in texts)


def test_a_record_that_was_overwritten_is_not_said_to_have_lost_its_file(medium: Medium) -> None:
    rows = medium.rows()
    at = next(number for number, row in enumerate(rows) if row.type == "IMAGE")
    reference = rows[at].reference
    assert reference is not None
    garbled = reference._replace(file_id="?" * 20, sop_instance_uid="?" * 20)
    rows[at] = rows[at]._replace(reference=garbled)
    medium.put(rows)
    data = medium.dicomdir.read_bytes()
    medium.dicomdir.write_bytes(data.replace(b"?" * 20, bytes(range(0x80, 0x94))))
    for fs, texts in mended(medium):
        assert Counter(mend.kind for mend in fs.mends) == {"unreadable": 1, "unlisted": 1}
        assert (len(fs), texts) == (6, [])


# --- what a check says, too ----------------------------------------------------------------------


def test_what_a_check_finds_in_the_dicomdir_is_mended_and_what_it_takes_is_not(
    tmp_path: Path,
) -> None:
    root = tmp_path / "shipped"
    for folder in ("77654033", "98892001", "98892003"):
        shutil.copytree(EXAMPLE / folder, root / folder)
    shutil.copy(EXAMPLE / "DICOMDIR-nooffset", root / "DICOMDIR")
    assert examine_root(root).has_errors
    medium = Medium(root)
    for fs, _ in mended(medium):
        assert Counter(mend.kind for mend in fs.mends) == {"form": 2}
        fs.write(layout="existing")
    assert unlike_its_files(root) == []


def test_a_key_that_a_record_may_lack_is_not_mended(tmp_path: Path) -> None:
    """As dcmmkdir leaves out Content Sequence of a report."""
    medium = Medium(tmp_path / "cd", [REPORT])
    without("SR DOCUMENT", 0x0040A730)(medium)
    assert unlike_its_files(medium.root) == []
    for fs, _ in mended(medium):
        assert fs.mends == []


def test_names_that_do_not_conform_are_told_with_what_helps(medium: Medium, tmp_path: Path) -> None:
    rows = medium.rows()
    at = next(number for number, row in enumerate(rows) if row.type == "IMAGE")
    reference = rows[at].reference
    assert reference is not None
    (medium.root / reference.file_id).rename(medium.root / "6154.dcm")
    rows[at] = rows[at]._replace(reference=reference._replace(file_id="6154.dcm"))
    medium.put(rows)
    medium.patch(b"DAMAGED ", b"tiny id ")
    told = run("init", tmp_path / "r", "--from", medium.dicomdir, "--repair")
    assert "6154.dcm" in told.err
    assert "`fileset write --layout conformant`" in told.err
    assert "`fileset set`" in told.err


# --- the journal and the command -----------------------------------------------------------------


def test_each_mend_is_an_event_that_the_log_shows_and_a_write_settles(
    medium: Medium, tmp_path: Path
) -> None:
    a_report_is_listed_as_an_image(medium)
    told = run("init", tmp_path / "r", "--from", medium.dicomdir, "--repair")
    assert re.search(r"1 +wrong record type", told.out)
    cli = Cli(tmp_path / "r")
    document = cli.json("log", "--events")
    events = [e for change in document["changes"] for e in change["events"]]
    (event,) = (e for e in events if e["type"] == "record-mended")
    assert (event["payload"]["kind"], event["payload"]["was"], event["payload"]["now"]) == (
        "record-type", "IMAGE", "SR DOCUMENT",
    )  # fmt: skip
    assert "repaired: record-type of" in cli("log", "--events").out
    assert "repaired: record-type of" in cli("show", "1").out
    assert "DICOMDIR update" in cli("status").out
    cli("write", "--layout", "existing")
    assert cli.json("status")["staged"]["summary"] == ""
    cli("verify")
    cli("rebuild")
    cli("verify")


def test_the_report_in_json_gives_each_mend_and_how_many_of_each_kind(
    medium: Medium, tmp_path: Path
) -> None:
    the_first_offset_is_lost(medium)
    told = run("init", tmp_path / "r", "--from", medium.dicomdir, "--repair", "--json").document
    assert told["mends"] == {"offset": 1, "orphan": 6}
    assert len(told["mended"]) == 7
    assert {mend["offset"] for mend in told["mended"][1:]} == {
        r.offset for r in medium.decoded().records if r.file_id
    }
    assert told["left_out"] == 0


def test_what_is_lost_all_the_same_is_a_failure_of_the_command(
    medium: Medium, tmp_path: Path
) -> None:
    next(medium.root.rglob("IM000000")).unlink()
    told = run("init", tmp_path / "r", "--from", medium.dicomdir, "--repair", code=1)
    assert "1 instance left out" in told.out


def test_without_repair_a_refusal_or_a_loss_says_what_would_help(
    medium: Medium, tmp_path: Path
) -> None:
    a_file_lies_elsewhere(medium)
    assert "--repair" in run("init", tmp_path / "1", "--from", medium.dicomdir, code=1).out
    it_ends_within_its_records(medium)
    assert "--repair" in run("init", tmp_path / "2", "--from", medium.dicomdir, code=3).err
    it_is_empty(medium)
    assert "--repair" in run("init", tmp_path / "3", "--from", medium.dicomdir, code=3).err
    assert not (tmp_path / "3").exists()


def test_only_a_dicomdir_is_mended(tmp_path: Path) -> None:
    text = tmp_path / "notes.txt"
    text.write_text("not DICOM")
    for source in (CT, text):
        run("init", tmp_path / "r", "--from", source, "--repair", code=3)
        assert not (tmp_path / "r").exists()
    run("init", tmp_path / "r", "--repair", code=2)


def test_mends_of_a_person_s_records_are_erased_with_them(medium: Medium, tmp_path: Path) -> None:
    a_record_has_another_transfer_syntax(medium)
    run("init", tmp_path / "r", "--from", medium.dicomdir, "--repair")
    cli = Cli(tmp_path / "r")
    cli("write", "--layout", "existing")
    cli("erase", "PatientID=1CT1", "--reason", "request 7", "--take-off")
    fs = FileSet.open(tmp_path / "r")
    left = [e for h in fs.history for e in h.events if isinstance(e, RecordMended)]
    assert [fs.state.leaf(e.instance or 0).uid for e in left] == [str(dcmread(MR).SOPInstanceUID)]
    fs.close()
    cli("verify")


def test_a_dataset_is_mended_as_its_file_is(medium: Medium) -> None:
    the_first_offset_is_lost(medium)
    ds: Dataset = dcmread(medium.dicomdir)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fs = FileSet(ds, repair=True)
    with fs:
        assert Counter(m.kind for m in fs.mends) == {"offset": 1, "orphan": 6}
