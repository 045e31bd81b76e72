"""The hierarchy as people read it: line by line what pydicom prints."""

from __future__ import annotations

import random
import shutil
import warnings
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from models import Author
from pydicom import Dataset, dcmread, examples
from pydicom.data import get_charset_files
from pydicom.fileset import FileSet as PydicomFileSet
from pydicom.uid import generate_uid

from fileset import FileSet
from ledger import elements
from ledger.elements import Element
from ledger.events import Record
from projections.state.outline import outline, record_line

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def instance(**values: object) -> Dataset:
    """Return a CT image with some elements changed, as it is read from a file."""
    ds = dcmread(examples.get_path("ct"))
    ds.SOPInstanceUID = generate_uid()
    ds.StudyID = "1"
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    encoded = BytesIO()
    ds.save_as(encoded)
    return dcmread(BytesIO(encoded.getvalue()))


class Both:
    """pydicom's FileSet and ours, doing the same."""

    def __init__(self, folder: Path, dicomdir: Path | None = None) -> None:
        self.folder = folder
        self.theirs = PydicomFileSet(self._copy("theirs", dicomdir))
        self.ours = FileSet(self._copy("ours", dicomdir))
        self.theirs.UID = self.ours.UID

    def _copy(self, name: str, dicomdir: Path | None) -> Path | None:
        if dicomdir is None:
            return None
        shutil.copytree(dicomdir.parent, self.folder / name)
        return self.folder / name / "DICOMDIR"

    def add(self, ds: Dataset | Path) -> None:
        for files in (self.theirs, self.ours):
            files.add(ds)

    def remove(self, uid: str) -> None:
        self.theirs.remove(self.theirs.find(SOPInstanceUID=uid))
        self.ours.remove(self.ours.find(SOPInstanceUID=uid))

    def write(self) -> None:
        for name, files in (("theirs", self.theirs), ("ours", self.ours)):
            files.write(None if files.path else self.folder / name)

    def agree(self) -> None:
        def tree(text: str) -> list[str]:
            return [line for line in text.splitlines() if "Root directory" not in line]

        assert tree(str(self.ours)) == tree(str(self.theirs))


@pytest.fixture
def both(tmp_path: Path) -> Iterator[Both]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = Both(tmp_path)
        yield found
        found.theirs._stage["t"].cleanup()


@pytest.mark.parametrize("seed", range(6))
def test_any_state_of_pydicoms_example_prints_as_pydicom_prints_it(
    tmp_path: Path, seed: int
) -> None:
    choose = random.Random(seed)  # noqa: S311 - no secret
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both = Both(tmp_path, Path(examples.get_path("dicomdir")))
        both.agree()
        new = [examples.get_path(name) for name in ("ct", "mr")]
        new += sorted((TEST_FILES / "dicomdirtests" / "TINY_ALPHA").rglob("IM*"))[:5]
        gone: list[str] = []
        for _ in range(25):
            uids = [i.SOPInstanceUID for i in both.theirs]
            match choose.randrange(6):
                case 0 | 1 if uids:
                    gone.append(choose.choice(uids))
                    both.remove(gone[-1])
                case 2 | 3 if new:
                    both.add(new.pop(choose.randrange(len(new))))
                case 4 if uids:
                    for uid in choose.sample(uids, len(uids) // 3):
                        both.remove(uid)
                case 5 if not choose.randrange(3):
                    both.write()
            both.agree()
        both.theirs._stage["t"].cleanup()


@pytest.mark.parametrize(
    "values",
    [
        {"PatientName": ""},
        {"PatientName": None},
        {
            "PatientName": "Yamada^Tarou=山田^太郎=やまだ^たろう",
            "SpecificCharacterSet": "ISO_IR 192",
        },
        {"PatientName": "A^B=="},
        {"PatientName": "=B="},
        {"PatientName": "Buc^Jérôme", "SpecificCharacterSet": "ISO_IR 100"},
        {"StudyTime": "120000.123456"},
        {"StudyDescription": "knee", "SeriesDescription": "axial"},
        {"StudyDescription": "", "SeriesDescription": ""},
        {"StudyDescription": None, "SeriesDescription": None},
        {"SeriesNumber": 17, "InstanceNumber": 4},
        {"PatientID": "  spaced  "},
        {"PatientID": "a\\b"},
        {"StudyDescription": "a\\b", "SeriesDescription": "x\\y"},
        {"Modality": "MR", "SOPClassUID": "1.2.840.10008.5.1.4.1.1.4"},
    ],
    ids=str,
)
def test_values_print_as_pydicom_prints_them(both: Both, values: dict[str, object]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        both.add(instance(**values))
        both.agree()
        both.write()
        both.agree()


@pytest.mark.parametrize(
    "path", [Path(p) for p in get_charset_files("*.dcm")], ids=lambda p: p.stem
)
def test_names_in_every_character_set_print_as_pydicom_prints_them(both: Both, path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        named = dcmread(path)
        ds = instance(PatientID="X")
        for keyword in ("SpecificCharacterSet", "PatientName"):
            if keyword in named:
                ds[keyword] = named[keyword]
        ds.StudyDescription = "study"
        both.add(ds)
        both.agree()


def test_a_record_in_a_multi_valued_number_or_date_prints_its_values() -> None:
    record = Record(
        "STUDY",
        elements.encode(
            [Element(0x00080020, "DA", b"20200101\\20200102"), Element(0x00080030, "TM", b"")]
        ),
    )

    assert record_line(record, "") == "STUDY: StudyDate=['20200101', '20200102'], StudyTime="


def test_an_empty_integer_prints_as_none() -> None:
    record = Record("IMAGE", elements.encode([Element(0x00200013, "IS", b"")]))

    assert record_line(record, "") == "IMAGE: InstanceNumber=None"
    assert record_line(Record("IMAGE", elements.EMPTY), "") == "IMAGE: InstanceNumber="


def test_instances_at_the_top_have_a_line_each() -> None:
    author = Author().run(
        [("add", 0, 4, 0), ("add", 1, 4, 0), ("write",), ("remove", 1), ("add", 2, 5, 0)]
    )

    assert list(outline(author.state.hierarchy.walk(), {})) == [
        "HANGING PROTOCOL: 1 SOP Instance",
        "HANGING PROTOCOL: 1 SOP Instance (to be removed)",
        "PRIVATE: 1 SOP Instance (to be added)",
    ]


def test_instances_are_counted_by_type_below_the_records_that_hold_them() -> None:
    author = Author().run(
        [
            *[("add", number, 0, 0) for number in (0, 1, 2)],
            ("add", 3, 6, 0),
            ("write",),
            ("remove", 0),
            ("add", 4, 0, 0),
        ]
    )

    assert list(outline(author.state.hierarchy.walk(), {}, indent="\t")) == [
        "PATIENT: PatientID='P0', PatientName='Name^0'",
        "\tSTUDY: StudyDate=20200102, StudyTime=",
        "\t\tSERIES: Modality=CT, SeriesNumber=",
        "\t\t\tIMAGE: 3 SOP Instances (3 initial, 1 addition, 1 removal)",
        "\tPRIVATE: 1.6",
        "\t\tPRIVATE: 1 SOP Instance",
    ]


def test_a_correction_is_no_addition_and_no_removal(tmp_path: Path) -> None:
    with FileSet(repository=tmp_path / "archive") as fs:
        for number in range(3):
            fs.add(instance(InstanceNumber=number))
        fs.write(tmp_path / "cd")
        fs.correct(next(iter(fs)), {"ImageComments": "right"})
        assert "IMAGE: 3 SOP Instances (3 initial, 1 correction)" in str(fs)
        fs.remove(list(fs)[1])
        fs.add(instance(InstanceNumber=3))
        assert "IMAGE: 3 SOP Instances (3 initial, 1 addition, 1 removal, 1 correction)" in str(fs)
        fs.correct(next(iter(fs)), {"SeriesInstanceUID": "1.2.3"})
        assert "IMAGE: 1 SOP Instance (1 addition)" in str(fs)
        assert fs.pending.summary == "DICOMDIR update, 1 correction, 1 addition, 1 removal"
