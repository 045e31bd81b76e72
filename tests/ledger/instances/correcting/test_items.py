"""Items that a correction adds to sequences, in every file that pydicom brings along."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from corrections import FILES, NOTE, correct, plain, raw_values, read

from ledger.elements import encode_element, encode_items
from ledger.errors import InstanceError
from ledger.instances.correcting.correct import corrected
from ledger.instances.correcting.edits import REMOVE, Edit, path_of
from ledger.instances.instance import read_instance

OTHERS = 0x00101002
ORIGINALS = 0x04000561

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def sound() -> list[Path]:
    found = []
    for path in FILES:
        with suppress(InstanceError):
            read_instance(path.read_bytes())
            found.append(path)
    return found


def asked(**values: str) -> list[Edit]:
    """Return what adds `values` to the items of Other Patient IDs Sequence that their names say."""
    paths = (name.split("_") for name in values)
    texts = values.values()
    return [
        Edit(path_of(f"OtherPatientIDsSequence[{number}].{keyword}"), text)
        for (keyword, number), text in zip(paths, texts, strict=True)
    ]


@pytest.mark.parametrize("path", sound(), ids=lambda path: path.name)
def test_items_are_added_to_a_sequence_there_or_not_and_nothing_else_changes(path: Path) -> None:
    data = path.read_bytes()
    before = read(data)
    number = len(before.get("OtherPatientIDsSequence", []))
    one = correct(
        data, asked(**{f"PatientID_{number}": "OTHER", f"TypeOfPatientID_{number}": "TEXT"})
    )
    two = correct(one, asked(**{f"PatientID_{number + 1}": "THIRD"}), NOTE)
    ds = read(two)
    found = ds.OtherPatientIDsSequence[number:]
    assert [item.PatientID for item in found] == ["OTHER", "THIRD"]
    assert [item.get("TypeOfPatientID") for item in found] == ["TEXT", None]
    told = ds.OriginalAttributesSequence[-1].ModifiedAttributesSequence[0].OtherPatientIDsSequence
    assert [item.PatientID for item in told[number:]] == ["OTHER"]
    without = (OTHERS, ORIGINALS)
    assert raw_values(read(two), without=without) == raw_values(read(data), without=without)
    path_ = (OTHERS, number)
    back = correct(one, [Edit(path_, REMOVE)])
    assert len(read(back).OtherPatientIDsSequence) == number


def test_an_item_can_have_items_and_text_that_the_character_set_lacks() -> None:
    data = plain((0x00100010, "PN", "Müller".encode("latin-1")), (0x00080005, "CS", b"ISO_IR 100"))
    path = "ReferencedStudySequence[0].PurposeOfReferenceCodeSequence[0]"
    edits = [
        Edit(path_of(f"{path}.CodeMeaning"), "山田"),
        Edit(path_of(f"{path}.CodeValue"), "1"),
        Edit(path_of("ReferencedStudySequence[0].ReferencedSOPInstanceUID"), "1.2.3"),
    ]
    with corrected(data, edits, None) as made:
        ds = read(b"".join(made.chunks()))
        changes = {change.path: change for change in made.changes}
    assert ds.PatientName == "Müller"
    assert ds.SpecificCharacterSet == "ISO_IR 192"
    (item,) = ds.ReferencedStudySequence
    assert item.ReferencedSOPInstanceUID == "1.2.3"
    assert item.PurposeOfReferenceCodeSequence[0].CodeMeaning == "山田"
    assert all(changes[edit.path].before is None for edit in edits)


def test_an_item_comes_behind_one_that_grows() -> None:
    one = plain((0x00400275, "SQ", encode_items([encode_element(0x00400009, "SH", b"S1")])))
    steps = "RequestAttributesSequence[{}].ScheduledProcedureStepID"
    ds = read(
        correct(
            one,
            [
                Edit(path_of("RequestAttributesSequence[0].RequestedProcedureID"), "LONG"),
                Edit(path_of(steps.format(2)), "S3"),
                Edit(path_of(steps.format(1)), "S2"),
            ],
        )
    )
    found = ds.RequestAttributesSequence
    assert [item.ScheduledProcedureStepID for item in found] == ["S1", "S2", "S3"]
    assert found[0].RequestedProcedureID == "LONG"
