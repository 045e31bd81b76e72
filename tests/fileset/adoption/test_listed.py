"""A DICOMDIR whose instances are taken together: nobody can tell from those taken one by one."""

from __future__ import annotations

import threading
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import pydicom
import pytest
from attrs import frozen
from hypothesis import example, given
from hypothesis import strategies as st
from models import EXPLICIT, standings, tree

from fileset import FileSet
from fileset.adoption.adopt import Adoption
from ledger.elements import Element, encode
from ledger.errors import LedgerError
from projections.dicomdir.definitions import FileSetIdentity, Reference
from projections.dicomdir.encoder import DirectoryRecord, encode_dicomdir
from projections.kept.snapshot import to_plain
from projections.state.fold import fold
from projections.state.listed import Listed

CT = "1.2.840.10008.5.1.4.1.1.2"
SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files" / "dicomdirtests"
KEYS = {"PATIENT": (0x00100020, "LO"), "STUDY": (0x0020000D, "UI"), "SERIES": (0x0020000E, "UI")}

FILES = ("A", "B", "C", "b", "D/E", "D/F", "D/G/H", "D/G/I", "E/1", "E/2", "E/3")
ODD_FILES = (
    "../A", "D/..", "N", "D", "L", "D/./E", "A.", "a", "\udcc9", "DICOMDIR", "DICOMDIR.",
    "DICOMDIR/A", "/A",
)  # fmt: skip


@st.composite
def rows(draw: st.DrawFn) -> list[DirectoryRecord]:
    """Return records in any order, half of the time as they should be but for their levels."""
    is_odd = draw(st.booleans())

    def seldom() -> bool:
        return is_odd and draw(st.integers(0, 7)) == 0

    file_ids = draw(st.permutations(FILES))
    depth, found = 0, []
    for number, file_id in enumerate(file_ids[: draw(st.integers(0, len(file_ids)))]):
        kind = draw(st.sampled_from([*KEYS, "IMAGE", "IMAGE", "RT DOSE", "PRIVATE"]))
        elements = [Element(0x00200013, "IS", b"%d" % number)]
        if kind in KEYS:
            key = draw(st.sampled_from(["1", "2", "2 "])) if seldom() else f"3.{number}"
            elements.append(Element(*KEYS[kind], key.encode()))
        if kind == "PRIVATE":
            elements.append(Element(0x00041432, "UI", b"1.2"))
        if draw(st.integers(0, 7)) == 0:  # a key of another type
            elements.append(Element(*KEYS["STUDY"], b"7"))
        if kind == "PATIENT":
            name = draw(st.sampled_from([b"One", b"Other"]))
            elements.append(Element(0x00100010, "PN", name))
        reference = None
        if kind not in KEYS or seldom():
            uid = f"1.{draw(st.integers(1, 3)) if seldom() else 100 + number}"
            chosen = draw(st.sampled_from(ODD_FILES)) if seldom() else file_id
            reference = Reference(chosen, CT, uid, EXPLICIT)
        found.append(DirectoryRecord(depth, kind, encode(elements), reference))
        is_above = reference is None or seldom()
        depth = draw(st.integers(depth if is_above else 0, depth + is_above))
    return found


@frozen
class Loaded:
    """What can be seen of a File-set that was loaded, or the error."""

    told: list[str]
    seen: Any


def load(dicomdir: Path, *, together: bool) -> Loaded:
    with (
        warnings.catch_warnings(record=True) as told,
        mock.patch.object(
            Adoption, "_take_at_once", Adoption._take_at_once if together else lambda _: False
        ),
    ):
        warnings.simplefilter("always")
        try:
            fs = FileSet(dicomdir)
        except (LedgerError, ValueError, OSError) as exc:
            return Loaded([str(each.message) for each in told], repr(exc))
        seen = look_at(fs)
    return Loaded([str(each.message) for each in told], seen)


def look_at(fs: FileSet) -> list[Any]:
    """Return all there is to see of a File-set, and of what becomes of it."""
    repository = fs.repository
    seen: list[Any] = [len(fs), [each.SOPInstanceUID for each in fs]]
    seen += [_plain(fs), tree(fs.state), standings(fs.state), str(fs)]
    seen += [[each.event for each in repository.journal.read()]]
    seen += [(fs.state.revision, fs.state.touched, list(fs.state.live))]
    assert to_plain(fold(repository.journal.read())) == to_plain(fs.state)
    if len(fs):
        fs.remove(next(iter(fs)))
        seen += [_plain(fs), str(fs)]
        fs.undo()
        seen += [_plain(fs), tree(fs.state), fs.is_staged]
    return seen


def _plain(fs: FileSet) -> dict[str, Any]:
    """Return the state, less the ids of changes."""
    return {**to_plain(fs.state), "undo": None, "redo": None}


def make_medium(root: Path, records: Sequence[DirectoryRecord]) -> Path:
    """Make a medium with all files of plain names, a link among them, but for one that is gone."""
    for name in (*FILES, "a", "\udcc9"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()
    (root / "L").symlink_to("A")
    (root / "DICOMDIR").write_bytes(encode_dicomdir(FileSetIdentity("1.2"), records))
    return root / "DICOMDIR"


def image(depth: int, number: int, file_id: str) -> DirectoryRecord:
    elements = encode([Element(0x00200013, "IS", b"%d" % number)])
    reference = Reference(file_id, CT, f"1.{number}", EXPLICIT)
    return DirectoryRecord(depth, "IMAGE", elements, reference)


def above(depth: int, kind: str, key: bytes) -> DirectoryRecord:
    return DirectoryRecord(depth, kind, encode([Element(*KEYS[kind], key)]))


PLAIN = [
    image(0, 1, "A"),
    above(0, "PATIENT", b"1"),
    image(1, 2, "B"),
    above(1, "STUDY", b"1"),
    above(2, "SERIES", b"1"),
    image(3, 3, "C"),
    image(3, 4, "D/E"),
    above(2, "SERIES", b"2"),
    above(2, "SERIES", b"3"),
    image(3, 5, "D/F"),
    above(0, "PATIENT", b"2"),
    above(1, "STUDY", b"1"),
    image(2, 6, "D/G/H"),
]
"""Records of which each is as it should be, but for the levels that they are on."""


@given(rows())
@example(PLAIN)
def test_instances_taken_together_are_what_they_are_one_by_one(
    records: list[DirectoryRecord],
) -> None:
    with TemporaryDirectory() as folder:
        dicomdir = make_medium(Path(folder).resolve(), records)

        together, one_by_one = load(dicomdir, together=True), load(dicomdir, together=False)

    assert together == one_by_one


def test_the_instances_of_plain_records_are_taken_together(tmp_path: Path) -> None:
    with mock.patch.object(Adoption, "_take", side_effect=AssertionError):
        fs = FileSet(make_medium(tmp_path, PLAIN))

    assert [each.SOPInstanceUID for each in fs] == [f"1.{number}" for number in range(1, 7)]


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR-reordered", "TINY_ALPHA/DICOMDIR"])
def test_real_file_sets_are_the_same_either_way(name: str) -> None:
    assert load(SHIPPED / name, together=True) == load(SHIPPED / name, together=False)


def test_each_event_is_made_when_it_is_asked_for_and_no_other(tmp_path: Path) -> None:
    fs = FileSet(make_medium(tmp_path, PLAIN))
    made: list[int] = []
    make = Listed.__getitem__

    def counted(self: Listed, row: Any) -> Any:
        made.append(row)
        return make(self, row)

    with mock.patch.object(Listed, "__getitem__", counted):
        (found,) = fs.find(SOPInstanceUID="1.4")
        assert found.InstanceNumber == 4

    assert made == [3]


def test_two_threads_get_the_same_instance(tmp_path: Path) -> None:
    state = FileSet(make_medium(tmp_path, PLAIN)).state
    barrier = threading.Barrier(2)
    make = Listed.__getitem__

    def late(self: Listed, row: Any) -> Any:
        event = make(self, row)
        barrier.wait(10)
        return event

    with mock.patch.object(Listed, "__getitem__", late), ThreadPoolExecutor(2) as pool:
        one, other = pool.map(state.leaf, [3, 3])

    assert one is other is state.live["1.2"]
