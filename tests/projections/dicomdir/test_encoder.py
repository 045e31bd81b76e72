"""The DICOMDIR that is written: its bytes beside pydicom's, and what independent checkers say."""

from __future__ import annotations

import shutil
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from attrs import evolve
from media_damage import preorder
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.fileset import FileSet as PydicomFileSet

from ledger.elements import (
    UNDEFINED_LENGTH,
    Element,
    Elements,
    canonical,
    encode,
    encode_items,
    iterate,
    iterate_items,
)
from ledger.errors import ElementsError
from ledger.tags import RECORD_SEQUENCE
from projections.dicomdir import encoder as dicomdir_encoder
from projections.dicomdir.decoded_directory import DecodedRecord
from projections.dicomdir.decoder import decode_dicomdir
from projections.dicomdir.definitions import DicomdirError, FileSetIdentity, Reference
from projections.dicomdir.encoder import DirectoryRecord, encode_dicomdir, to_implicit
from projections.dicomdir.tree import link

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
IDENTITY = FileSetIdentity(uid="1.2.3", id="MEDIA")
IMAGE = encode([Element(0x00200013, "IS", b"1")])
CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
REQUIRED = {
    "PatientID": "NONE",
    "StudyDate": "20200102",
    "StudyTime": "030405",
    "StudyID": "1",
    "SeriesNumber": 1,
    "InstanceNumber": 1,
    "ContentDate": "20200102",
    "ContentTime": "030405",
}


def reference(file_id: str = "A/B", uid: str = "1.2.3.4") -> Reference:
    return Reference(file_id, CT, uid, EXPLICIT)


def encode_again(data: bytes, **options: bool) -> bytes:
    directory = decode_dicomdir(data, name="DICOMDIR")
    tree = link(directory)
    assert not tree.orphans
    return encode_dicomdir(directory.identity, preorder(tree), **options)


def dataset_of(data: bytes) -> bytes:
    return data[144 + int.from_bytes(data[140:144], "little") :]


@contextmanager
def pydicoms(path: Path | None = None) -> Iterator[PydicomFileSet]:
    """Give pydicom's FileSet, quiet, and without the temporary folder that it leaves behind."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fileset = PydicomFileSet(path)
        yield fileset
        fileset._stage["t"].cleanup()


def write_with_pydicom(files: list[Path] | list[Dataset], root: Path, **options: bool) -> bytes:
    """Return the DICOMDIR that pydicom writes for those of `files` that it takes."""
    with pydicoms() as fileset:
        for file in files:
            try:
                fileset.add(file)
            except Exception:  # noqa: BLE001, S112 - most of pydicom's files lack something
                continue
        fileset.ID = "PYDICOM"
        fileset.write(root, **options)
        assert len(fileset)
    return (root / "DICOMDIR").read_bytes()


def completed_datasets() -> list[Dataset]:
    """Return one of pydicom's own instances for each UID, given what a record must have."""
    found: dict[str, Dataset] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for file in sorted(TEST_FILES.glob("*.dcm")):
            try:
                ds = dcmread(file)
                for keyword, value in REQUIRED.items():
                    if not ds.get(keyword):
                        setattr(ds, keyword, value)
                found.setdefault(str(ds.SOPInstanceUID), ds)
            except Exception:  # noqa: BLE001, S112 - some are broken on purpose
                continue
    return list(found.values())


@pytest.fixture(params=["dicomdirtests", "single files", "TINY_ALPHA"])
def written_by_pydicom(request: pytest.FixtureRequest, tmp_path: Path) -> bytes:
    folder = TEST_FILES / "dicomdirtests"
    files: dict[str, list[Path] | list[Dataset]] = {
        "dicomdirtests": sorted(folder.glob("[79]*/*/*")),
        "single files": completed_datasets(),
        "TINY_ALPHA": sorted((folder / "TINY_ALPHA").rglob("IM*")),
    }
    return write_with_pydicom(files[request.param], tmp_path / "pydicom")


def as_pydicom_does(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write File Meta Information like pydicom's: offsets count from the start of the file."""
    monkeypatch.setattr(
        dicomdir_encoder, "IMPLEMENTATION_UID", str(pydicom.uid.PYDICOM_IMPLEMENTATION_UID)
    )
    version = "PYDICOM " + pydicom.__version__
    monkeypatch.setattr(dicomdir_encoder, "IMPLEMENTATION_VERSION", version)


def test_the_dataset_has_the_bytes_that_pydicom_writes(
    written_by_pydicom: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_pydicom_does(monkeypatch)

    again = encode_again(written_by_pydicom)

    if UNDEFINED_LENGTH.to_bytes(4, "little") not in written_by_pydicom:
        assert again == written_by_pydicom
    # pydicom leaves a sequence's length undefined where it was so in the instance.
    assert without_offsets(canonical(dataset_of(again))) == without_offsets(
        canonical(dataset_of(written_by_pydicom))
    )


def without_offsets(elements: bytes) -> bytes:
    offsets = (0x00041200, 0x00041202, 0x00041400, 0x00041420)
    found = []
    for tag, vr, value in iterate(elements):
        if tag == RECORD_SEQUENCE:
            items = [without_offsets(item) for item in iterate_items(value)]
            found.append(Element(tag, vr, encode_items(items)))
        else:
            found.append(Element(tag, vr, bytes(4) if tag in offsets else value))
    return encode(found)


def test_implicit_vr_has_the_bytes_that_pydicom_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    as_pydicom_does(monkeypatch)
    files = sorted((TEST_FILES / "dicomdirtests").glob("[79]*/*/*"))
    explicit = write_with_pydicom(files, tmp_path / "explicit")
    with pydicoms(tmp_path / "explicit" / "DICOMDIR") as fileset:
        copied = fileset.copy(tmp_path / "implicit", force_implicit=True)
        copied._stage["t"].cleanup()

    again = encode_again(explicit, implicit_vr=True)

    implicit = (tmp_path / "implicit" / "DICOMDIR").read_bytes()
    assert len(again) == len(implicit)
    # The copy has a File-set UID of its own.
    assert dataset_of(again) == dataset_of(implicit)


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit"])
def test_an_adopted_dicomdir_is_written_as_pydicom_would(name: str) -> None:
    data = (TEST_FILES / "dicomdirtests" / name).read_bytes()

    again = encode_again(data)

    assert records_of(again) == records_of(data)
    # dcmtk wrote these: explicit lengths, records in preorder.
    explicit = (TEST_FILES / "dicomdirtests" / "DICOMDIR").read_bytes()
    assert len(dataset_of(again)) == len(dataset_of(explicit))


def records_of(data: bytes) -> list[DecodedRecord]:
    """Return the records less their offsets."""
    records = decode_dicomdir(data, name="DICOMDIR").records
    return [r._replace(offset=0, next_offset=0, lower_offset=0) for r in records]


def test_pydicom_loads_the_same_tree(written_by_pydicom: bytes, tmp_path: Path) -> None:
    path = tmp_path / "pydicom" / "DICOMDIR"
    with pydicoms(path) as theirs:
        path.write_bytes(encode_again(written_by_pydicom))
        with pydicoms(path) as ours:
            assert str(ours) == str(theirs)
            assert [i.path for i in ours] == [i.path for i in theirs]
            assert ours.UID == theirs.UID


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
def test_checkers_find_no_errors_beyond_those_in_pydicoms_dicomdir(
    written_by_pydicom: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "pydicom" / "DICOMDIR"
    for command in (["dciodvfy", "-new"], ["dcdirdmp"]):
        theirs = errors_of([*command, str(path)])
        path.write_bytes(encode_again(written_by_pydicom))
        ours = errors_of([*command, str(path)])
        path.write_bytes(written_by_pydicom)
        assert set(ours) <= set(theirs)


@pytest.mark.skipif(not shutil.which("dcmdump"), reason="dcmtk is not installed")
def test_dcmtk_reads_it(written_by_pydicom: bytes, tmp_path: Path) -> None:
    path = tmp_path / "DICOMDIR"
    path.write_bytes(encode_again(written_by_pydicom))

    done = run(["dcmdump", "-q", str(path)])

    assert done.returncode == 0
    assert "W:" not in done.stderr
    assert "E:" not in done.stderr


def errors_of(command: list[str]) -> list[str]:
    done = run(command)
    return [x for x in (done.stdout + done.stderr).splitlines() if x.startswith("Error")]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, errors="replace", timeout=30, check=False
    )


def test_preamble_and_file_meta_information() -> None:
    data = encode_dicomdir(IDENTITY, [])

    assert data[:132] == bytes(128) + b"DICM"
    ds = dcmread(BytesIO(data))
    meta = ds.file_meta
    assert meta.FileMetaInformationVersion == b"\0\x01"
    assert meta.MediaStorageSOPClassUID == "1.2.840.10008.1.3.10"
    assert meta.MediaStorageSOPInstanceUID == "1.2.3"
    assert meta.TransferSyntaxUID == EXPLICIT
    assert meta.ImplementationClassUID == dicomdir_encoder.IMPLEMENTATION_UID
    assert len(meta.ImplementationClassUID) <= 64
    assert len(meta.ImplementationVersionName) <= 16


def test_an_empty_file_set_has_zero_offsets_and_no_records() -> None:
    data = encode_dicomdir(FileSetIdentity(uid="1.2.3"), [])

    assert [(e.tag, e.value) for e in iterate(dataset_of(data))] == [
        (0x00041130, b""),
        (0x00041200, b"\0\0\0\0"),
        (0x00041202, b"\0\0\0\0"),
        (0x00041212, b"\0\0"),
        (0x00041220, b""),
    ]


def test_top_level_elements_are_merged_in_the_order_of_their_tags() -> None:
    identity = FileSetIdentity(
        uid="1.2.3",
        descriptor_file_id=("DOC", "README"),
        descriptor_character_set="ISO_IR 100",
        elements=encode(
            [
                Element(0x00041131, "CS", b"NEW"),
                Element(0x00041203, "CS", b"NEW"),
                Element(0x00080005, "CS", b"ISO_IR 192"),
                Element(0xFFFCFFFC, "OB", b"\0\0\0\0"),
            ]
        ),
    )
    data = encode_dicomdir(identity, [DirectoryRecord(0, "PATIENT", Elements(b""))])

    tags = [e.tag for e in iterate(dataset_of(data))]
    assert tags == [
        0x00041130, 0x00041131, 0x00041141, 0x00041142, 0x00041200, 0x00041202, 0x00041203,
        0x00041212, 0x00041220, 0x00080005, 0xFFFCFFFC,
    ]  # fmt: skip
    decoded = decode_dicomdir(data, name="DICOMDIR")
    assert evolve(decoded.identity, file_meta=Elements(b"")) == identity
    assert decoded.first_offset == decoded.last_offset == decoded.records[0].offset


@pytest.mark.parametrize("implicit_vr", [False, True])
def test_record_elements_of_group_0004_are_merged_in_the_order_of_their_tags(
    implicit_vr: bool,
) -> None:
    elements = encode(
        [
            Element(0x00041131, "CS", b"BEFORE"),
            Element(0x00041411, "OB", b"BETWEEN "),
            Element(0x00041432, "UI", b"1.2.3"),
            Element(0x0004151A, "UI", b"1.2.4\\1.2.5"),
            Element(0x00200013, "IS", b"1"),
        ]
    )
    records = [
        DirectoryRecord(0, "PRIVATE", elements, reference()),
        DirectoryRecord(1, "PRIVATE", elements, reference("C")),
        DirectoryRecord(0, "PRIVATE", elements),
    ]

    data = encode_dicomdir(IDENTITY, records, implicit_vr=implicit_vr)

    decoded = decode_dicomdir(data, name="DICOMDIR")
    if not implicit_vr:
        assert [r.elements for r in decoded.records] == [elements] * 3
    tree = link(decoded)
    assert not tree.findings
    assert [(r.depth, r.reference) for r in preorder(tree)] == [
        (r.depth, r.reference) for r in records
    ]
    first = dcmread(BytesIO(data)).DirectoryRecordSequence[0]
    assert list(first.keys()) == sorted(first.keys())
    assert first.ReferencedFileID == ["A", "B"]


def test_only_a_record_right_below_the_one_before_may_go_down() -> None:
    with pytest.raises(DicomdirError, match="no record above"):
        encode_dicomdir(
            IDENTITY,
            [
                DirectoryRecord(0, "PATIENT", Elements(b"")),
                DirectoryRecord(2, "SERIES", Elements(b"")),
            ],
        )
    with pytest.raises(DicomdirError, match="no record above"):
        encode_dicomdir(IDENTITY, [DirectoryRecord(-1, "PATIENT", Elements(b""))])


def test_offsets_past_32_bits_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dicomdir_encoder, "MAX_SIZE", 1000)
    with pytest.raises(DicomdirError, match="4 GiB"):
        encode_dicomdir(IDENTITY, [DirectoryRecord(0, "IMAGE", IMAGE, reference())] * 10)
    elements = encode([Element(0xFFFCFFFC, "OB", bytes(1000))])
    with pytest.raises(DicomdirError, match="4 GiB"):
        encode_dicomdir(FileSetIdentity("1.2.3", elements=elements), [])


def test_text_that_is_not_ascii_is_refused() -> None:
    with pytest.raises(DicomdirError, match="ASCII"):
        encode_dicomdir(FileSetIdentity("1.2.3", id="MÜNSTER"), [])
    with pytest.raises(DicomdirError, match="ASCII"):
        encode_dicomdir(IDENTITY, [DirectoryRecord(0, "IMAGE", IMAGE, reference("BÄR"))])


def test_sequences_become_implicit_all_the_way_down() -> None:
    code = encode([Element(0x00080100, "SH", b"113000")])
    inner = encode([Element(0x0040A043, "SQ", encode_items([code, Elements(b"")]))])
    elements = encode([Element(0x0040A730, "SQ", encode_items([inner]))])

    assert to_implicit(elements).hex() == (
        "400030a72e000000feff00e026000000400043a01e000000"
        "feff00e00e0000000800000106000000313133303030feff00e000000000"
    )


def test_sequences_too_deep_to_be_real_are_refused() -> None:
    elements = Elements(b"")
    for _ in range(100):
        elements = encode([Element(0x0040A730, "SQ", encode_items([elements]))])
    with pytest.raises(ElementsError, match="deep"):
        encode_dicomdir(IDENTITY, [DirectoryRecord(0, "SR DOCUMENT", elements)], implicit_vr=True)


def test_of_repeated_elements_the_last_one_stands() -> None:
    twice = encode([Element(0x00200013, "IS", b"1")]) + encode([Element(0x00200013, "IS", b"2")])
    assert canonical(twice) == encode([Element(0x00200013, "IS", b"2")])


def test_an_adopted_file_set_keeps_the_name_of_the_implementation_that_made_it() -> None:
    path = str(get_testdata_file("DICOMDIR"))
    data = Path(path).read_bytes()
    theirs = dcmread(path).file_meta

    again = encode_dicomdir(decode_dicomdir(data, name=path).identity, [])

    ours = dcmread(BytesIO(again)).file_meta
    assert ours.ImplementationClassUID == theirs.ImplementationClassUID
    assert ours.ImplementationVersionName == theirs.ImplementationVersionName
    assert ours.MediaStorageSOPInstanceUID == theirs.MediaStorageSOPInstanceUID
