"""Digital signatures over what changes are told of, and removed on request."""

from __future__ import annotations

import struct

from corrections import NOTE, correct, edits, plain, read

from ledger.elements import encode_element, encode_items
from ledger.instances.correcting.correct import corrected
from ledger.instances.correcting.edits import Edit, path_of

ID, NAME = 0x00100020, 0x00100010


def signed(*covered: tuple[int, ...]) -> list[tuple[int, str, bytes]]:
    """Return the sequences of a data set with signatures, each of which covers some elements."""
    macs, signatures = [], []
    for number, tags in enumerate(covered, 1):
        mac = encode_element(0x04000005, "US", struct.pack("<H", number))
        words = b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in tags)
        macs.append(mac + encode_element(0x04000020, "AT", words))
        signatures.append(mac + encode_element(0x04000100, "UI", f"1.2.{number}".encode()))
    return [(0x4FFE0001, "SQ", encode_items(macs)), (0xFFFAFFFA, "SQ", encode_items(signatures))]


def test_signatures_over_what_changes_are_told_of_and_stay() -> None:
    data = plain((ID, "LO", b"1 "), *signed((ID,), (NAME,), (NAME, ID)))
    with corrected(data, edits(PatientID="2"), None) as result:
        assert [(each.uid, each.is_removed) for each in result.signatures] == [
            ("1.2.1", False),
            ("1.2.3", False),
        ]
        assert result.signatures[1].path == (0xFFFAFFFA, 2)
    assert correct(data, edits(PatientID="2")) == plain(
        (ID, "LO", b"2 "), *signed((ID,), (NAME,), (NAME, ID))
    )


def test_on_request_broken_signatures_go_and_the_others_stay() -> None:
    data = plain((ID, "LO", b"1 "), *signed((ID,), (NAME,)))
    with corrected(data, edits(PatientID="2"), NOTE, drop_signatures=True) as result:
        after = read(b"".join(result.chunks()))
        assert [each.is_removed for each in result.signatures] == [True]
    [mac], [signature] = after.MACParametersSequence, after.DigitalSignaturesSequence
    assert mac.MACIDNumber == signature.MACIDNumber == 2
    assert signature.DigitalSignatureUID == "1.2.2"


def test_where_all_signatures_go_nothing_of_them_stays() -> None:
    data = plain((ID, "LO", b"1 "), *signed((ID,)))
    with corrected(data, edits(PatientID="2"), None, drop_signatures=True) as result:
        assert b"".join(result.chunks()) == plain((ID, "LO", b"2 "))


def test_a_signature_that_does_not_say_what_it_covers_may_cover_all() -> None:
    [_, signatures] = signed((NAME,))
    data = plain((ID, "LO", b"1 "), signatures)
    with corrected(data, edits(PatientID="2"), None) as result:
        assert [each.uid for each in result.signatures] == ["1.2.1"]


def test_the_added_item_and_text_encoded_anew_break_signatures_too() -> None:
    comments = (0x00104000, "LT", b"m\xfcde")
    charset = (0x00080005, "CS", b"ISO_IR 100")
    data = plain(charset, (ID, "LO", b"1 "), comments, *signed((0x04000561,), (0x00104000,)))
    with corrected(data, edits(PatientID="2"), NOTE) as result:
        assert [each.uid for each in result.signatures] == ["1.2.1"]
    with corrected(data, edits(PatientID="山"), None) as result:
        assert [each.uid for each in result.signatures] == ["1.2.2"]


def test_signatures_in_items_are_seen_to_as_well() -> None:
    step = encode_element(0x00400009, "SH", b"S1")
    inside = b"".join(encode_element(*each) for each in signed((0x00400009,)))
    data = plain((0x00400275, "SQ", encode_items([step + inside])), *signed((0x00400275,)))
    path = path_of("RequestAttributesSequence[0].ScheduledProcedureStepID")
    with corrected(data, [Edit(path, "S22")], None, drop_signatures=True) as result:
        assert [each.path for each in result.signatures] == [
            (0x00400275, 0, 0xFFFAFFFA, 0),
            (0xFFFAFFFA, 0),
        ]
        after = b"".join(result.chunks())
    bare = encode_element(0x00400009, "SH", b"S22")
    assert after == plain((0x00400275, "SQ", encode_items([bare])))
