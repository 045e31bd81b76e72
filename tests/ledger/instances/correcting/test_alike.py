"""What was found of one instance serves those that are alike, and no others."""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy

import pydicom
import pytest
from corrections import FILES, NOTE, edits, meta, plain
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import CorrectionError, InstanceError
from ledger.instances.correcting import correct as correcting
from ledger.instances.correcting.correct import Corrected, Correcting
from ledger.instances.correcting.edits import REMOVE, Edit, OriginalAttributes
from ledger.instances.correcting.walk import Walk
from ledger.uids import EXPLICIT_VR_BIG_ENDIAN, EXPLICIT_VR_LITTLE_ENDIAN
from tests.ledger.instances.correcting.test_model import CODERS, LEAVES, Coder, corrections, leaves


def told(made: Corrected) -> tuple[object, ...]:
    """Return all that there is to know of a corrected instance."""
    return (
        b"".join(made.chunks()),
        made.size,
        made.changes,
        dict(made.uids),
        made.switched,
        made.encoded_anew,
        made.signatures,
    )


def outcome(what: Correcting, data: bytes) -> tuple[object, ...] | str:
    try:
        with what.corrected(data) as made:
            return told(made)
    except (CorrectionError, InstanceError) as exc:
        return str(exc)


def check(files: Iterable[bytes], asked: list[Edit], note: OriginalAttributes | None) -> None:
    """Check that files corrected one after the other become what each of them becomes alone."""
    together = Correcting(asked, note)
    for data in files:
        assert outcome(together, data) == outcome(Correcting(asked, note), data)


@st.composite
def series(draw: st.DrawFn) -> tuple[Coder, list[Edit], list[dict[int, object]]]:
    """Return a correction, and instances that have much in common."""
    coder = draw(CODERS)
    if draw(st.booleans()):
        coder = Coder(coder.syntax)
    before, asked, _ = draw(corrections())
    models = []
    for _ in range(draw(st.integers(2, 5))):
        model = deepcopy(before)
        for tag in draw(st.sets(st.sampled_from(sorted(LEAVES)), max_size=3)):
            model.pop(tag, None)
        model |= draw(leaves()) if draw(st.booleans()) else {}
        models.append(model)
    return coder, asked, models * 2


@pytest.mark.parametrize("note", [NOTE, None], ids=["with an item", "without"])
@given(case=series())
def test_instances_of_a_series_become_what_each_becomes_alone(
    note: OriginalAttributes | None, case: tuple[Coder, list[Edit], list[dict[int, object]]]
) -> None:
    coder, asked, models = case
    check(map(coder.file, models), asked, note)


@pytest.mark.parametrize(
    "asked",
    [
        edits(PatientName="Right^Name", PatientID=None),
        edits(StudyDescription="Übersicht", PatientAge=REMOVE),
        edits(SpecificCharacterSet="ISO_IR 192"),
        edits(AccessionNumber="12", SOPInstanceUID="1.2.3"),
    ],
    ids=["name", "another character set", "character set", "UID"],
)
def test_real_files_one_after_the_other_become_what_each_becomes_alone(asked: list[Edit]) -> None:
    check([path.read_bytes() for path in FILES] * 2, asked, NOTE)


def test_a_file_in_big_endian_is_not_like_one_in_little_endian() -> None:
    files = [
        meta(syntax) + Coder(syntax).data_set({0x00400009: "1"})
        for syntax in (EXPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN)
    ]
    check(files, edits(PatientName="A"), None)


BETWEEN = (0x00080049, 0x00080051, 0x00080090, 0x00100012, 0x00100022, 0x00181000, 0x04000600)
ASKED = (0x00080050, 0x00100010, 0x00100020)


@given(layouts=st.lists(st.sets(st.sampled_from((*BETWEEN, *ASKED[1:]))), min_size=2, max_size=6))
def test_what_lies_between_the_elements_in_question_stays(layouts: list[set[int]]) -> None:
    files = [plain(*((tag, "LO", b"AB") for tag in {*each, ASKED[0]})) for each in layouts]
    check(files * 3, edits(AccessionNumber="1", PatientID="4711", PatientName=REMOVE), NOTE)


def test_one_walk_serves_a_series(monkeypatch: pytest.MonkeyPatch) -> None:
    walks: list[Walk] = []

    class Counted(Walk):
        def run(self) -> None:
            walks.append(self)
            super().run()

    monkeypatch.setattr(correcting, "Walk", Counted)
    what = Correcting(edits(PatientName="Right^Name"), NOTE)
    for number in range(1, 120):
        ds = pydicom.examples.ct
        ds.InstanceNumber = number
        ds.SliceLocation = f"{number / 3:.3f}"
        buffer = pydicom.filebase.DicomBytesIO()
        ds.save_as(buffer)
        with what.corrected(buffer.getvalue()) as made:
            data = b"".join(made.chunks())
        read = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
        assert (read.PatientName, read.InstanceNumber) == ("Right^Name", number)
        assert read.SliceLocation == ds.SliceLocation
        assert read.PixelData == ds.PixelData
    # The layouts around what is looked at are learned meanwhile.
    assert len(walks) < 20
