"""Damaged files are corrected or refused with a clear error, and nothing else happens."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from corrections import FILES, NOTE, correct, edits, plain
from hypothesis import given
from hypothesis import strategies as st

from ledger.elements import encode_element, encode_items
from ledger.errors import CorrectionError, InstanceError, TruncatedError
from ledger.files import FileView
from ledger.instances.correcting.correct import corrected
from ledger.instances.correcting.edits import Edit, UIDsReplaced, path_of
from ledger.instances.correcting.present import values_of

NAMES = (
    "CT_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "image_dfl.dcm",
    "reportsi.dcm",
    "rtplan.dcm",
    "JPEG2000-embedded-sequence-delimiter.dcm",
    "chrSQEncoding.dcm",
)
START = 12_000  # bytes: the headers of these, and a little of their pixels
DATA = {path.name: path.read_bytes() for path in FILES if path.name in NAMES}
WHAT = (
    edits(PatientName="Müller", PatientID="4711", StudyDescription=None),
    [UIDsReplaced({"1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322": "1.2.3"})],
    [Edit(path_of("ReferencedStudySequence[0].ReferencedSOPInstanceUID"), "1.2")],
)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    data = bytearray(DATA[draw(st.sampled_from(NAMES))])
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(128, min(len(data), START) - 1))
        data[at] = draw(st.one_of(st.sampled_from([0, 0xFF, 0xFE, 0x20]), st.integers(0, 255)))
    if draw(st.booleans()):
        del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


@given(damaged(), st.sampled_from(WHAT), st.booleans())
def test_damage_is_refused_or_does_no_harm(
    data: bytes, what: list[Edit | UIDsReplaced], is_noted: bool
) -> None:
    note = NOTE if is_noted else None
    with suppress(InstanceError):
        with corrected(data, what, note, drop_signatures=is_noted) as result:
            made = b"".join(result.chunks())
            assert len(made) == result.size
            assert result.is_changed or made == data
        values_of(made, [(0x00100010,), (0x00081110, 0, 0x00081155)])


@pytest.mark.parametrize("cut", [1, 2, 40, 3000])
def test_a_truncated_file_is_refused(cut: int) -> None:
    with pytest.raises(TruncatedError, match=r"ends within \(FFFC,FFFC\)|\(7FE0,0010\)"):
        correct(DATA["CT_small.dcm"][:-cut], edits(PatientID="1"))


def test_lengths_that_do_not_fit_into_each_other_are_refused() -> None:
    path = path_of("RequestAttributesSequence[0].ScheduledProcedureStepID")
    step = encode_element(0x00400009, "SH", b"S1")
    short = bytearray(encode_items([step]))
    short[4] -= 2
    with pytest.raises(InstanceError, match="Scheduled Procedure Step ID runs past"):
        correct(plain((0x00400275, "SQ", bytes(short))), [Edit(path, "S2")])
    long = bytearray(encode_items([step]))
    long[4] += 2
    with pytest.raises(InstanceError, match="Request Attributes Sequence runs past its end"):
        correct(plain((0x00400275, "SQ", bytes(long))), [Edit(path, "S2")])


def test_an_element_that_is_there_twice_is_not_corrected() -> None:
    twice = plain((0x00100020, "LO", b"1 "), (0x00100020, "LO", b"2 "))
    with pytest.raises(CorrectionError, match=r"has .* Patient ID twice"):
        correct(twice, edits(PatientID="3"))


def test_elements_out_of_order_are_found_where_they_are() -> None:
    first = plain((0x00100010, "PN", b"DOE "))
    late = encode_element(0x00080060, "CS", b"CT")
    assert correct(first + late, edits(Modality="MR")) == first + late.replace(b"CT", b"MR")


def test_a_file_that_shrinks_meanwhile_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "shrinking"
    path.write_bytes(plain((0x00100020, "LO", b"1 "), (0x7FE00010, "OB", bytes(3 << 20))))
    with path.open("rb") as file:
        view = FileView(file.fileno(), path.stat().st_size)
        with corrected(view, edits(PatientID="2"), NOTE) as result:
            path.write_bytes(path.read_bytes()[: 1 << 20])
            with pytest.raises(TruncatedError, match="has become shorter"):
                list(result.chunks())


def test_what_is_no_dicom_file_is_said_to_be_none() -> None:
    with pytest.raises(InstanceError, match="not a DICOM file"):
        correct(b"x" * 500, edits(PatientID="1"))
