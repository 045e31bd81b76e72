"""Values in the character set of the data set that they are in, and its switch to ISO_IR 192."""

from __future__ import annotations

import re

import pytest
from corrections import NOTE, correct, edits, plain, read

from ledger.elements import encode_element, encode_items
from ledger.errors import CorrectionError
from ledger.instances.character_sets import encoded
from ledger.instances.correcting.correct import corrected
from ledger.instances.correcting.edits import Edit, OriginalAttributes, path_of

CHARSET, NAME, COMMENTS = (0x00080005, "CS"), (0x00100010, "PN"), (0x00104000, "LT")
STEP = path_of("RequestAttributesSequence[0].ScheduledProcedureStepDescription")


def request(text: bytes, charset: bytes | None = None) -> tuple[int, str, bytes]:
    """Return a sequence with a text in its item, which may have a character set of its own."""
    own = encode_element(*CHARSET, charset) if charset else b""
    item = own + encode_element(0x00400007, "LO", text)
    return 0x00400275, "SQ", encode_items([item])


def test_a_value_is_encoded_in_the_character_set_that_is_there() -> None:
    before = plain((*CHARSET, b"ISO_IR 100"), (*NAME, b"DOE"), (*COMMENTS, b"m\xfcde"))
    after = plain((*CHARSET, b"ISO_IR 100"), (*NAME, b"M\xfcller"), (*COMMENTS, b"m\xfcde"))
    assert correct(before, edits(PatientName="Müller")) == after


def test_what_the_set_lacks_switches_it_and_encodes_all_other_text_anew() -> None:
    before = plain(
        (*CHARSET, b"ISO_IR 100"), (*NAME, b"DOE"), (*COMMENTS, b"m\xfcde"), request(b"\xfc")
    )
    with corrected(before, edits(PatientName="山田"), NOTE) as result:
        after = b"".join(result.chunks())
        assert result.switched == ((),)
        assert set(result.encoded_anew) == {(0x00104000,), STEP}
        assert {change.path for change in result.changes} == {(0x00080005,), (0x00100010,)}
    bare = plain(
        (*CHARSET, b"ISO_IR 192"),
        (*NAME, "山田".encode()),
        (*COMMENTS, "müde".encode()),
        request("ü".encode()),
    )
    assert correct(before, edits(PatientName="山田")) == bare
    was = read(after).OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert was.SpecificCharacterSet == "ISO_IR 100"
    assert was.PatientName == "DOE"


def test_former_values_are_in_their_former_character_set() -> None:
    before = plain((*CHARSET, b"ISO_IR 100"), (*NAME, b"M\xfcller"))
    once = correct(before, edits(PatientName="山田"), NOTE)
    [item] = read(once).OriginalAttributesSequence
    assert item.ModifiedAttributesSequence[0].PatientName == "Müller"
    latin = correct(before, edits(PatientName="Möller"), NOTE)
    twice = correct(latin, edits(PatientName="山田"), NOTE)
    first, second = read(twice).OriginalAttributesSequence
    assert first.ModifiedAttributesSequence[0].PatientName == "Müller"
    assert second.ModifiedAttributesSequence[0].PatientName == "Möller"


def test_an_item_with_a_character_set_of_its_own_is_switched_alone() -> None:
    before = plain(
        (*CHARSET, b"ISO_IR 100"), (*NAME, b"M\xfcller"), request(b"\xbb", b"ISO_IR 144")
    )
    with corrected(before, [Edit(STEP, "山田")], None) as result:
        after = b"".join(result.chunks())
        assert result.switched == (STEP[:2],)
    assert after == plain(
        (*CHARSET, b"ISO_IR 100"), (*NAME, b"M\xfcller"), request("山田".encode(), b"ISO_IR 192")
    )
    whole = correct(before, edits(PatientName="山田"))
    assert whole == plain(
        (*CHARSET, b"ISO_IR 192"), (*NAME, "山田".encode()), request(b"\xbb", b"ISO_IR 144")
    )


def test_text_that_is_none_refuses_the_switch_by_name() -> None:
    before = plain((*NAME, b"DOE"), (*COMMENTS, b"m\xfcde"))
    with pytest.raises(
        CorrectionError, match=r"\(0010,4000\) Patient Comments is not valid in ASCII"
    ):
        correct(before, edits(PatientName="Müller"))


def test_a_wrong_character_set_is_put_right_and_text_stays() -> None:
    before = plain((*NAME, b"M\xfcller"))
    after = plain((*CHARSET, b"ISO_IR 100"), (*NAME, b"M\xfcller"))
    assert correct(before, edits(SpecificCharacterSet="ISO_IR 100")) == after
    with pytest.raises(CorrectionError, match="Patient's Name is not valid in ISO_IR 192"):
        correct(before, edits(SpecificCharacterSet="ISO_IR 192"))
    with pytest.raises(CorrectionError, match="has characters that ISO_IR 100 lacks"):
        correct(before, edits(SpecificCharacterSet="ISO_IR 100", PatientID="山"))
    with corrected(before, edits(SpecificCharacterSet="ISO_IR 100"), None) as made:
        told = {change.path: change.after for change in made.changes}
    assert told[NAME[0],] == {"vr": "PN", "Value": [{"Alphabetic": "Müller"}]}
    was = read(correct(before, edits(SpecificCharacterSet="ISO_IR 100"), NOTE))
    item = was.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert item.SpecificCharacterSet == ""


def test_code_extensions_are_used_where_they_are_declared() -> None:
    japanese = b"\\ISO 2022 IR 87"
    before = plain((*CHARSET, japanese), (*NAME, b"X"))
    after = correct(before, edits(PatientName="Yamada^Tarou=山田^太郎"))
    assert b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B" in after
    assert read(after).PatientName == "Yamada^Tarou=山田^太郎"


def test_the_name_of_the_system_is_text_as_well() -> None:
    note = OriginalAttributes("20260301", "Praxis Müller")
    after = read(correct(plain((*NAME, b"DOE")), edits(PatientName="ROE"), note))
    assert after.SpecificCharacterSet == "ISO_IR 192"
    assert after.OriginalAttributesSequence[0].ModifyingSystem == "Praxis Müller"


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ("ISO_IR 999", "the Standard has no character set 'ISO_IR 999'"),
        ("UTF-8", "CS takes"),
        ("ISO_IR 192\\ISO 2022 IR 87", "'ISO_IR 192' can't be one of several"),
        ("\\ISO_IR 100", "'ISO_IR 100' can't be one of several"),
    ],
)
def test_what_is_no_character_set_is_refused(terms: str, told: str) -> None:
    with pytest.raises(CorrectionError, match=re.escape(told)):
        correct(plain((*NAME, b"DOE")), edits(SpecificCharacterSet=terms))


@pytest.mark.parametrize("terms", ["", "ISO_IR 100", "\\ISO 2022 IR 87", "GB18030"])
def test_a_character_set_is_taken(terms: str) -> None:
    after = correct(
        plain((*CHARSET, b"ISO_IR 192"), (*NAME, b"DOE")), edits(SpecificCharacterSet=terms)
    )
    assert read(after).PatientName == "DOE"


@pytest.mark.parametrize(
    ("terms", "value"),
    [(b"\\ISO 2022 IR 87", "山田^太郎"), (b"GB18030 ", "王^小东"), (b"ISO_IR 13", "ﾔﾏﾀﾞ^ﾀﾛｳ")],
)
def test_values_in_any_character_set_are_told_as_text(terms: bytes, value: str) -> None:
    before = encoded(value, terms.decode().strip())
    assert before is not None
    file = plain((*CHARSET, terms), (*NAME, before))
    with corrected(file, edits(PatientName="DOE"), NOTE) as result:
        (change,) = result.changes
    assert change.before == {"vr": "PN", "Value": [{"Alphabetic": value}]}
