"""An instance with some elements changed is the original byte for byte in all others."""

from __future__ import annotations

import struct

import pytest
from corrections import NOTE, REMOVE, SOP_INSTANCE, correct, edits, meta, plain, read

from ledger.elements import encode_element, encode_items
from ledger.errors import CorrectionError
from ledger.instances.correcting.correct import corrected
from ledger.instances.correcting.edits import Edit, UIDsReplaced, path_of
from ledger.instances.correcting.present import values_of
from ledger.uids import EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

NAME, ID, COMMENTS = (0x00100010, "PN"), (0x00100020, "LO"), (0x00104000, "LT")
PIXELS = (0x7FE00010, "OW", bytes(range(256)))


def test_a_value_is_replaced_and_nothing_else() -> None:
    before = plain((*NAME, b"DOE^JOHN"), (*ID, b"1 "), PIXELS)
    after = plain((*NAME, b"ROE^JANE^M"), (*ID, b"1 "), PIXELS)
    assert correct(before, edits(PatientName="ROE^JANE^M")) == after
    assert correct(after, edits(PatientName="DOE^JOHN")) == before


def test_new_elements_come_in_the_order_of_tags() -> None:
    before = plain((*NAME, b"DOE"), PIXELS)
    after = plain((*NAME, b"DOE"), (*ID, b"1"), (*COMMENTS, b"well"), PIXELS)
    assert correct(before, edits(PatientComments="well", PatientID="1")) == after
    last = plain((*NAME, b"DOE"))
    assert correct(last, edits(PatientID="1")) == plain((*NAME, b"DOE"), (*ID, b"1"))
    assert correct(after, edits(PatientComments=REMOVE, PatientID=REMOVE)) == before


def test_an_empty_value_and_none_at_all_are_two_things() -> None:
    before = plain((*ID, b"1 "))
    assert correct(before, edits(PatientID=None)) == plain((*ID, b""))
    assert correct(before, edits(PatientID="")) == plain((*ID, b""))
    assert correct(before, edits(PatientID=REMOVE)) == plain()


def test_what_is_there_already_changes_nothing() -> None:
    data = plain((*ID, b"1 "))
    with corrected(data, edits(PatientID="1", PatientName=REMOVE), NOTE) as result:
        assert not result.is_changed
        assert b"".join(result.chunks()) == data
        assert result.size == len(data)


def test_the_item_in_original_attributes_says_what_was_there() -> None:
    data = plain((*NAME, b"DOE^JOHN"), (*ID, b"1 "), (0x00100021, "LO", b"HERE"), PIXELS)
    after = read(correct(data, edits(PatientID="2", PatientBirthDate="19700101"), NOTE))
    [item] = after.OriginalAttributesSequence
    assert item.AttributeModificationDateTime == "20260301120000"
    assert item.ModifyingSystem == "FILESET-LEDGER"
    assert item.ReasonForTheAttributeModification == "CORRECT"
    assert item.SourceOfPreviousValues == "SENDER"
    [was] = item.ModifiedAttributesSequence
    assert was.PatientID == "1"
    assert was.IssuerOfPatientID == "HERE"
    assert was.PatientBirthDate == ""
    assert len(was) == 3


def test_items_of_original_attributes_stay_and_ours_comes_last() -> None:
    data = plain((*ID, b"1 "), PIXELS)
    once = correct(data, edits(PatientID="2"), NOTE)
    twice = correct(once, edits(PatientID="3"), NOTE)
    first, second = read(twice).OriginalAttributesSequence
    assert first == read(once).OriginalAttributesSequence[0]
    assert second.ModifiedAttributesSequence[0].PatientID == "2"
    back = correct(twice, edits(PatientID="1"))
    assert read(back).PatientID == "1"


def test_lengths_that_enclose_a_change_follow() -> None:
    def nested(step: bytes) -> tuple[int, str, bytes]:
        inner = encode_items([encode_element(0x00080100, "SH", step)])
        outer = encode_items([b"", encode_element(0x00400008, "SQ", inner)])
        return 0x00400275, "SQ", outer

    path = path_of("RequestAttributesSequence[1].ScheduledProtocolCodeSequence[0].CodeValue")
    before, after = plain(nested(b"A1"), PIXELS), plain(nested(b"LONGER"), PIXELS)
    assert correct(before, [Edit(path, "LONGER")]) == after
    assert correct(after, [Edit(path, "A1")]) == before


def test_what_is_added_in_the_last_item_comes_before_what_is_added_behind_it() -> None:
    step = encode_element(0x00400009, "SH", b"S1")
    added = encode_element(0x00401001, "SH", b"R1")
    before = plain((0x00400275, "SQ", encode_items([step])))
    after = plain((0x00400275, "SQ", encode_items([step + added])), (0x00402001, "LO", b"why "))
    inside = Edit(path_of("RequestAttributesSequence[0].RequestedProcedureID"), "R1")
    behind = Edit((0x00402001,), "why")
    assert correct(before, [behind, inside]) == correct(before, [inside, behind]) == after


def test_sequences_and_items_of_undefined_length_stay_such() -> None:
    def nested(step: bytes) -> bytes:
        item = encode_element(0x00400009, "SH", step)
        return (
            struct.pack("<HH2sHI", 0x0040, 0x0275, b"SQ", 0, 0xFFFFFFFF)
            + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
            + item
            + struct.pack("<HHI", 0xFFFE, 0xE00D, 0)
            + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
        )

    path = path_of("RequestAttributesSequence[0].ScheduledProcedureStepID")
    added = path_of("RequestAttributesSequence[0].RequestedProcedureID")
    before, after = plain() + nested(b"A1"), plain() + nested(b"LONGER")
    assert correct(before, [Edit(path, "LONGER")]) == after
    both = correct(before, [Edit(path, "LONGER"), Edit(added, "7")])
    assert read(both).RequestAttributesSequence[0].RequestedProcedureID == "7"
    assert correct(both, [Edit(path, "A1"), Edit(added, REMOVE)]) == before


def test_group_lengths_follow_where_they_are() -> None:
    def grouped(value: bytes) -> bytes:
        elements = encode_element(*NAME, value) + encode_element(*ID, b"1 ")
        length = encode_element(0x00100000, "UL", struct.pack("<I", len(elements)))
        return plain() + length + elements + encode_element(0x00200010, "SH", b"5 ")

    assert correct(grouped(b"DOE^JOHN"), edits(PatientName="X^Y")) == grouped(b"X^Y ")

    def last(value: bytes) -> bytes:
        element = encode_element(*NAME, value)
        length = encode_element(0x00100000, "UL", struct.pack("<I", len(element)))
        return plain() + length + element

    assert correct(last(b"DOE^JOHN"), edits(PatientName="X^Y")) == last(b"X^Y ")


def test_file_meta_information_follows_the_sop_instance_uid() -> None:
    data = plain((*ID, b"1 "), PIXELS)
    after = read(correct(data, edits(SOPInstanceUID="1.2.3.4.5.6.7"), NOTE))
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID == "1.2.3.4.5.6.7"
    length = after.file_meta.FileMetaInformationGroupLength
    assert length == read(data).file_meta.FileMetaInformationGroupLength + 6
    assert (
        correct(correct(data, edits(SOPInstanceUID="1.9")), edits(SOPInstanceUID="1.2.3.4")) == data
    )


def test_uids_are_replaced_wherever_they_are() -> None:
    reference = encode_items([encode_element(0x00081155, "UI", SOP_INSTANCE.encode())])
    data = plain((0x00081140, "SQ", reference), (0x0020000D, "UI", b"1.2.9"))
    what = UIDsReplaced({SOP_INSTANCE: "1.2.3.4.5", "1.2.9": "1.2.8", "1.7": "1.6"})
    with corrected(data, [what], NOTE) as result:
        after = read(b"".join(result.chunks()))
        assert result.uids == {SOP_INSTANCE: "1.2.3.4.5", "1.2.9": "1.2.8"}
    assert after.SOPInstanceUID == "1.2.3.4.5"
    assert after.file_meta.MediaStorageSOPInstanceUID == "1.2.3.4.5"
    assert after.StudyInstanceUID == "1.2.8"
    assert after.ReferencedImageSequence[0].ReferencedSOPInstanceUID == "1.2.3.4.5"
    was = after.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert was.SOPInstanceUID == SOP_INSTANCE
    assert was.ReferencedImageSequence[0].ReferencedSOPInstanceUID == SOP_INSTANCE


@pytest.mark.parametrize("syntax", [IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN])
def test_values_take_the_encoding_of_the_file(syntax: str) -> None:
    order = ">" if syntax == EXPLICIT_VR_BIG_ENDIAN else "<"
    form = "HHI" if syntax == IMPLICIT_VR_LITTLE_ENDIAN else "HH2sH"

    def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
        parts = (vr, len(value)) if form == "HH2sH" else (len(value),)
        return struct.pack(order + form, group, number, *parts) + value

    def file(*elements: bytes) -> bytes:
        sop = element(8, 0x18, b"UI", b"1.2.3.4\0")
        return meta(syntax) + sop + b"".join(elements)

    before = file(element(0x0018, 0x1310, b"US", struct.pack(order + "4H", 0, 1, 2, 0)))
    after = file(
        element(0x0010, 0x0020, b"LO", b"ID"),
        element(0x0018, 0x1310, b"US", struct.pack(order + "4H", 256, 0, 0, 1)),
    )
    assert correct(before, edits(AcquisitionMatrix="256\\0\\0\\1", PatientID="ID")) == after


def test_values_are_read_by_their_paths() -> None:
    inner = encode_items([b"", encode_element(0x00400009, "SH", b"S1")])
    data = plain((*NAME, b"DOE^JOHN"), (0x00400275, "SQ", inner))
    step = path_of("RequestAttributesSequence[1].ScheduledProcedureStepID")
    nowhere = path_of("RequestAttributesSequence[5].ScheduledProcedureStepID")
    name, comments = path_of("PatientName"), path_of("PatientComments")
    assert values_of(data, [name, step, comments, nowhere]) == {
        name: {"vr": "PN", "Value": [{"Alphabetic": "DOE^JOHN"}]},
        step: {"vr": "SH", "Value": ["S1"]},
        comments: None,
        nowhere: None,
    }


def test_changes_are_told_as_they_were_and_are() -> None:
    data = plain((*NAME, b"DOE^JOHN"))
    with corrected(data, edits(PatientName="ROE", PatientID="1"), None) as result:
        [name, id_] = result.changes
    assert name.before == {"vr": "PN", "Value": [{"Alphabetic": "DOE^JOHN"}]}
    assert name.after == {"vr": "PN", "Value": [{"Alphabetic": "ROE"}]}
    assert id_.before is None
    assert id_.after == {"vr": "LO", "Value": ["1"]}


@pytest.mark.parametrize(
    ("keyword", "value", "told"),
    [
        ("PixelData", b"", "pixel data is never changed"),
        ("Rows", "1", "it describes the pixel data"),
        ("TransferSyntaxUID", "1.2", "File Meta Information is derived"),
        ("OriginalAttributesSequence", None, "it records former values"),
        ("SOPInstanceUID", REMOVE, "can't be removed"),
        ("SOPClassUID", "", "can't be removed"),
        ("PatientBirthDate", "1970-01-01", "DA takes a date"),
        ("PatientID", "1\\2", "it has 2 values, and only one is allowed"),
        ("Modality", "ct", "CS takes"),
        ("AcquisitionMatrix", "1", "takes 4 values, not 1"),
        ("AcquisitionMatrix", "1\\2\\3\\x", "US takes an unsigned integer of 16 bits"),
        ("ReferencedImageSequence", "x", "name the elements in its items"),
    ],
)
def test_what_cannot_be_is_refused_by_name(keyword: str, value: str, told: str) -> None:
    with pytest.raises(CorrectionError, match=told):
        correct(plain(), edits(**{keyword: value}))


def test_elements_that_are_not_there_are_refused() -> None:
    with pytest.raises(CorrectionError, match="has no item 1: it has 0 items, numbered from 0"):
        correct(
            plain(), [Edit(path_of("ReferencedImageSequence[1].ReferencedSOPInstanceUID"), "1")]
        )
    with pytest.raises(CorrectionError, match=r"has no .*Referenced Image Sequence"):
        correct(plain(), [Edit(path_of("ReferencedImageSequence[0]"), REMOVE)])
    with pytest.raises(CorrectionError, match=r"has no .*Patient ID"):
        correct(plain(), [Edit(path_of("OtherPatientIDsSequence[0].PatientID"), REMOVE)])
    with pytest.raises(CorrectionError, match="Patient's Name is not a sequence"):
        correct(plain(), [Edit(path_of("PatientName[0].PatientID"), "1")])
    one = plain((0x00081140, "SQ", encode_items([b""])))
    with pytest.raises(
        CorrectionError,
        match="has no item 2: it has 1 item, numbered from 0, and a new one is number 1",
    ):
        correct(one, [Edit(path_of("ReferencedImageSequence[2].ReferencedSOPInstanceUID"), "1")])
    with pytest.raises(CorrectionError, match="is not a sequence"):
        correct(plain((*ID, b"1 ")), [Edit((0x00100020, 0, 0x00100010), "1")])
    with pytest.raises(CorrectionError, match="no data element with the keyword 'PatientNam'"):
        path_of("PatientNam")


def test_a_private_element_needs_its_creator_and_a_vr() -> None:
    data = plain((0x00090010, "LO", b"ACME"))
    with pytest.raises(CorrectionError, match="its VR is unknown"):
        correct(data, [Edit((0x00091001,), "x")])
    with pytest.raises(CorrectionError, match="its Private Creator \\(0009,0011\\) is not there"):
        correct(data, [Edit((0x00091101,), "x", vr="LO")])
    added = plain((0x00090010, "LO", b"ACME"), (0x00091001, "LO", b"x"))
    assert correct(data, [Edit((0x00091001,), "x", vr="LO")]) == added
    assert correct(added, [Edit((0x00091001,), REMOVE)]) == data


def test_of_a_private_element_the_creator_goes_along() -> None:
    data = plain((0x00090010, "LO", b"ACME"), (0x00091001, "LO", b"x "))
    after = read(correct(data, [Edit((0x00091001,), "yz")], NOTE))
    was = after.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert was[0x00090010].value == "ACME"
    assert was[0x00091001].value == "x"


def test_a_value_that_was_none_of_its_vr_is_kept_as_bytes() -> None:
    data = plain((0x00080020, "DA", b"2001.01.01"))
    after = read(correct(data, edits(StudyDate="20010101"), NOTE))
    [item] = after.OriginalAttributesSequence
    assert item.ModifiedAttributesSequence[0].StudyDate == ""
    [bad] = item.NonconformingModifiedAttributesSequence
    assert bad.SelectorAttribute == 0x00080020
    assert bad.NonconformingDataElementValue == b"2001.01.01"


def test_padding_at_the_end_of_a_file_stays() -> None:
    pixels = (PIXELS[0], "OW", b"\1" * 64)
    data, after = plain((*ID, b"1 "), pixels), plain((*ID, b"22"), pixels)
    assert correct(data + bytes(512), edits(PatientID="22")) == after + bytes(512)


def test_an_item_is_removed_as_a_whole() -> None:
    items = [encode_element(0x00400009, "SH", step) for step in (b"S1", b"S2", b"S3")]
    data = plain((0x00400275, "SQ", encode_items(items)), PIXELS)
    path = path_of("RequestAttributesSequence[1]")
    with corrected(data, [Edit(path, REMOVE)], None) as result:
        after = b"".join(result.chunks())
        [change] = result.changes
    assert after == plain((0x00400275, "SQ", encode_items([items[0], items[2]])), PIXELS)
    assert change.before == {"vr": "SQ", "Value": [{"00400009": {"vr": "SH", "Value": ["S2"]}}]}
    with pytest.raises(CorrectionError, match="has no item 7"):
        correct(data, [Edit((0x00400275, 7), REMOVE)])
    with pytest.raises(CorrectionError, match="can only be removed"):
        correct(data, [Edit(path, "x")])


def test_items_of_original_attributes_can_be_removed_again() -> None:
    data = plain((*ID, b"1 "), PIXELS)
    once = correct(data, edits(PatientID="2"), NOTE)
    twice = correct(once, edits(PatientID="3"), NOTE)
    first, second = (Edit(path_of(f"OriginalAttributesSequence[{n}]"), REMOVE) for n in (0, 1))
    left = read(correct(twice, [first])).OriginalAttributesSequence
    assert [each.ModifiedAttributesSequence[0].PatientID for each in left] == ["2"]
    assert correct(twice, [first, second]) == plain((*ID, b"3 "), PIXELS)
    [noted] = read(correct(twice, [first, second], NOTE)).OriginalAttributesSequence
    assert not list(noted.ModifiedAttributesSequence[0].keys())
