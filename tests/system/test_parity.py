"""The same commands on the same real files: pydicom's FileSet and ours do the same."""

from __future__ import annotations

import shutil
import tempfile
import warnings
from collections.abc import Iterator
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from pydicom import Dataset, dcmread, examples
from pydicom.data import get_testdata_file
from pydicom.errors import InvalidDicomError
from pydicom.fileset import FileSet as PydicomFileSet
from pydicom.fileset import RecordNode as PydicomRecordNode
from pydicom.uid import generate_uid

from fileset import FileSet, RecordNode

EXAMPLE = examples.get_path("dicomdir")
TINY = Path(str(get_testdata_file("TINY_ALPHA/DICOMDIR")))
SINGLES = [examples.get_path(n) for n in ("ct", "mr", "rt_plan", "rt_ss", "waveform", "overlay")]
POOL = [
    *(p for p in SINGLES if p is not None),
    *sorted(p for p in (EXAMPLE.parent / "77654033").rglob("*") if p.is_file()),
    *sorted(p for p in (EXAMPLE.parent / "98892003" / "MR2").rglob("*") if p.is_file()),
    *sorted(p for p in (TINY.parent / "PT000000").rglob("*") if p.is_file())[:6],
]


def accepted() -> Iterator[Path]:
    """Yield the files of the pool that pydicom takes, which are those that we are to take."""
    for path in POOL:
        try:
            PydicomFileSet().add(path)
        except (ValueError, InvalidDicomError) as exc:
            with pytest.raises(type(exc)):
                FileSet().add(path)
        else:
            yield path


ACCEPTED = list(accepted())

# The same File-set behind DICOMDIRs that others wrote, or wrote in another way.
DICOMDIRS = {
    "example": EXAMPLE,
    "tiny": TINY,
    **{
        name: EXAMPLE.with_name(f"DICOMDIR-{name}")
        for name in ("implicit", "bigEnd", "reordered", "nooffset", "empty.dcm")
    },
}


def record(kind: str, **elements: Any) -> Dataset:
    ds = Dataset()
    ds.DirectoryRecordType = kind
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def branch(node_class: type[Any], records: list[Dataset]) -> Any:
    """Return the leaf of a branch made of `records`, from the top down."""
    parent = None
    for ds in records:
        node = node_class(Dataset(ds))
        if parent is not None:
            node.parent = parent
        parent = node
    return parent


@cache
def content(data: bytes) -> Any:
    """Return a data set: the same object for the same bytes, which is quick to compare."""
    try:
        return dcmread(BytesIO(data))
    except InvalidDicomError:
        return data


def files(root: Path) -> dict[str, Any]:
    """Return what lies below `root`: data sets by path, as pydicom's add encodes files anew."""
    return {
        path.relative_to(root).as_posix(): content(path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "DICOMDIR"
    }


def records(root: Path) -> list[Any]:
    """Return the directory records of the DICOMDIR at `root`, offsets counted from the first.

    How long the file meta before them is depends on who wrote it.
    """
    ds = dcmread(root / "DICOMDIR")
    first = ds.OffsetOfTheFirstDirectoryRecordOfTheRootDirectoryEntity
    last = ds.OffsetOfTheLastDirectoryRecordOfTheRootDirectoryEntity
    links = []
    for item in ds.DirectoryRecordSequence:
        for keyword in (
            "OffsetOfTheNextDirectoryRecord",
            "OffsetOfReferencedLowerLevelDirectoryEntity",
        ):
            offset = item[keyword].value
            links.append(offset and offset - first)
            del item[keyword]
    return [last - first, ds.get("FileSetID") or None, links, *ds.DirectoryRecordSequence]


class SameCommands(RuleBasedStateMachine):
    """Drive both and compare after each command."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.count = 0
        self.roots = self.new_roots()

    def new_roots(self) -> tuple[Path, Path]:
        self.count += 1
        return self.folder / f"theirs{self.count}", self.folder / f"ours{self.count}"

    @initialize(
        given=st.sampled_from(["nothing"] * 6 + ["tiny"] * 2 + [*DICOMDIRS]),
        as_dataset=st.booleans(),
        include_orphans=st.booleans(),
    )
    def start(self, given: str, as_dataset: bool, include_orphans: bool) -> None:
        self.theirs, self.ours = PydicomFileSet(), FileSet()
        self.ours.UID = self.theirs.UID
        if given != "nothing":
            for root, fs in zip(self.roots, (self.theirs, self.ours), strict=True):
                shutil.copytree(DICOMDIRS[given].parent, root)
                shutil.copy(DICOMDIRS[given], root / "DICOMDIR")
                with warnings.catch_warnings(action="ignore"):
                    dicomdir = root / "DICOMDIR"
                    fs.load(dcmread(dicomdir) if as_dataset else dicomdir, include_orphans)
        self.compare()

    @rule(path=st.sampled_from(ACCEPTED), as_dataset=st.booleans())
    def add(self, path: Path, as_dataset: bool) -> None:
        theirs, ours = (
            fs.add(dcmread(path) if as_dataset else path) for fs in (self.theirs, self.ours)
        )
        assert ours.SOPInstanceUID == theirs.SOPInstanceUID
        self.compare()

    @rule(
        path=st.sampled_from(ACCEPTED),
        above=st.sampled_from(["nothing", "a patient", "a patient that may be there"]),
        private=st.booleans(),
    )
    def add_custom(self, path: Path, above: str, private: bool) -> None:
        self.count += 1
        ds = dcmread(path)
        patient = "1CT1" if above == "a patient that may be there" else f"PATIENT{self.count}"
        records = [record("PATIENT", PatientID=patient, PatientName="Citizen^Jan")]
        records.append(
            record("PRIVATE", PrivateRecordUID=f"1.2.3.{self.count}")
            if private
            else record("IMAGE", InstanceNumber=1, ReferencedSOPInstanceUIDInFile=ds.SOPInstanceUID)
        )
        records = records[above == "nothing" :]
        theirs = self.theirs.add_custom(path, branch(PydicomRecordNode, records))
        leaf = branch(RecordNode, records)
        with warnings.catch_warnings(action="ignore"):  # of another person
            ours = self.ours.add_custom(path, leaf)
        assert leaf.instance is ours
        assert ours.is_private == theirs.is_private
        assert ours.node.key == theirs.node.key
        self.compare()

    @precondition(lambda self: len(self.theirs) > 0)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        chosen = data.draw(st.lists(st.integers(0, len(self.theirs) - 1), min_size=1, unique=True))
        theirs, ours = list(self.theirs), list(self.ours)
        self.theirs.remove([theirs[i] for i in chosen])
        self.ours.remove([ours[i] for i in chosen])
        self.compare()

    @rule(value=st.text("AB_9", min_size=1, max_size=16))
    def set_id(self, value: str) -> None:
        # Never twice the same: one set back stays staged in pydicom, a bug not to be kept.
        self.count += 1
        self.theirs.ID = self.ours.ID = f"{value[:12]}{self.count}"
        self.compare()

    @rule(as_list=st.booleans())
    def set_descriptor(self, as_list: bool) -> None:
        self.count += 1
        value: Any = ["DOC", f"{self.count}"] if as_list else f"README{self.count}"
        for fs in (self.theirs, self.ours):
            fs.descriptor_file_id = value
            fs.descriptor_character_set = f"ISO_IR {self.count}"
        self.compare()

    @rule()
    def clear(self) -> None:
        for fs in (self.theirs, self.ours):
            fs.clear()
            assert (len(fs), list(fs), fs.path, fs.ID) == (0, [], None, None)
            assert (fs.descriptor_file_id, fs.descriptor_character_set) == (None, None)
        self.theirs.UID = self.ours.UID = generate_uid()  # which stages it in pydicom, too
        self.roots = self.new_roots()
        self.compare()

    # With removals staged, pydicom's copy() leaves the original in disorder.
    @precondition(lambda self: len(self.theirs) < 9 and not self.theirs._stage["-"])
    @rule()
    def copy(self) -> None:
        roots = self.new_roots()
        roots[0].mkdir()
        theirs, ours = self.theirs.copy(roots[0]), self.ours.copy(roots[1])
        assert self.text(ours, roots[1]) == self.text(theirs, roots[0])
        assert records(roots[1]) == records(roots[0])
        assert files(roots[1]) == files(roots[0])
        self.compare()

    @precondition(lambda self: self.theirs.path is None)
    @rule()
    def write_first(self) -> None:
        self.roots[0].mkdir()  # an empty File-set's root is not made by pydicom
        self.theirs.write(self.roots[0])
        self.ours.write(self.roots[1])
        self.compare_media()

    @precondition(lambda self: self.theirs.path is not None)
    @rule()
    def write(self) -> None:
        self.theirs.write()
        self.ours.write()
        self.compare_media()

    @precondition(lambda self: self.theirs.path is not None and not self.theirs._stage["+"])
    @rule()
    def write_use_existing(self) -> None:
        self.set_descriptor(as_list=False)  # else ours leaves a DICOMDIR in another order as it is
        self.theirs.write(use_existing=True)
        self.ours.write(use_existing=True)
        self.compare_media()

    @precondition(lambda self: len(self.theirs) > 0)
    @rule(
        keywords=st.lists(
            st.sampled_from(["PatientID", "StudyDate", "Modality", "InstanceNumber", "Rows"]),
            min_size=1,
            max_size=3,
            unique=True,
        )
    )
    def search(self, keywords: list[str]) -> None:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("ignore", ResourceWarning)
            warnings.simplefilter("always", UserWarning)
            values = self.theirs.find_values(keywords)
            assert self.ours.find_values(keywords) == values
            one = self.theirs.find_values(keywords[0])
            assert self.ours.find_values(keywords[0]) == one == values[keywords[0]]
            query = {keyword: found[-1] for keyword, found in values.items() if found}
            query["Modality"] = "CT"
            theirs, ours = self.theirs.find(**query), self.ours.find(**query)
            assert [i.SOPInstanceUID for i in ours] == [i.SOPInstanceUID for i in theirs]
            if ours:
                few = self.ours.find_values(keywords, ours)
                assert few == self.theirs.find_values(keywords, theirs)
        assert {str(w.message) for w in told if w.filename == __file__} == {
            str(w.message) for w in told if w.filename != __file__
        }

    @precondition(lambda self: 0 < len(self.theirs) < 6)
    @rule()
    def search_in_files(self) -> None:
        values = self.theirs.find_values("Rows", load=True)
        assert self.ours.find_values("Rows", load=True) == values
        for rows in values:
            theirs = self.theirs.find(load=True, Rows=rows)
            ours = self.ours.find(load=True, Rows=rows)
            assert [i.SOPInstanceUID for i in ours] == [i.SOPInstanceUID for i in theirs]

    def text(self, fs: Any, root: Path) -> str:
        return str(fs).replace(str(root), "ROOT")

    def compare(self) -> None:
        assert self.text(self.ours, self.roots[1]) == self.text(self.theirs, self.roots[0])
        assert self.ours.is_staged == self.theirs.is_staged
        assert len(self.ours) == len(self.theirs)
        for ours, theirs in zip(self.ours, self.theirs, strict=True):
            assert ours.SOPInstanceUID == theirs.SOPInstanceUID
            assert ours.FileID == theirs.FileID
            assert ours.for_addition == theirs.for_addition
            assert ours.for_moving == theirs.for_moving
            assert ours.is_staged == theirs.is_staged
            assert ours.node.index == theirs.node.index
            assert ours.node.depth == theirs.node.depth
            assert ours.node.component == theirs.node.component

    def compare_media(self) -> None:
        self.compare()
        assert records(self.roots[1]) == records(self.roots[0])
        assert files(self.roots[1]) == files(self.roots[0])

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)


TestSameCommands = SameCommands.TestCase
TestSameCommands.settings = settings(
    max_examples=25,
    report_multiple_bugs=False,
    stateful_step_count=15,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
