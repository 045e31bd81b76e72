"""Text to bytes and back, in the character sets of the Standard."""

from __future__ import annotations

import pydicom.charset
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.instances.character_sets import TERMS, decoded, encoded

JAPANESE = "ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 159"
SETS = [
    *sorted(term for term in TERMS if "2022" not in term),
    JAPANESE,
    "\\ISO 2022 IR 87",
    "\\ISO 2022 IR 149",
    "\\ISO 2022 IR 58",
    "ISO 2022 IR 100\\ISO 2022 IR 126\\ISO 2022 IR 144",
    "\\ISO 2022 IR 100\\ISO 2022 IR 101",
]


@pytest.mark.parametrize(
    ("charset", "text", "value"),
    [
        ("", "plain", b"plain"),
        ("ISO_IR 100", "Müller", b"M\xfcller"),
        ("ISO_IR 13", "ﾔﾏﾀﾞ", b"\xd4\xcf\xc0\xde"),
        ("ISO_IR 192", "山田", "山田".encode()),
        ("GB18030", "王^小东", "王^小东".encode("gb18030")),
        ("\\ISO 2022 IR 87", "Yamada=山田=x", b"Yamada=\x1b$B;3ED\x1b(B=x"),
        (JAPANESE, "ﾔﾏﾀﾞ=山田", b"\xd4\xcf\xc0\xde=\x1b$B;3ED\x1b(J"),
        ("\\ISO 2022 IR 149", "Hong=洪^洪", b"Hong=\x1b$)C\xfb\xf3^\x1b$)C\xfb\xf3"),
        ("\\ISO 2022 IR 58", "Zhang=张", b"Zhang=\x1b$)A\xd5\xc5"),
        ("ISO 2022 IR 100\\ISO 2022 IR 126", "üλ", b"\xfc\x1b-F\xeb\x1b-A"),
    ],
)
def test_text_is_encoded_as_the_standard_has_it(charset: str, text: str, value: bytes) -> None:
    assert encoded(text, charset) == value
    assert decoded(value, charset) == text


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("", "Müller"),
        ("ISO_IR 100", "山"),
        ("ISO_IR 13", "山"),
        ("GBK", "👍"),
        ("ISO_IR 192", "\ud800"),
        ("\\ISO 2022 IR 87", "김"),
        ("nonsense", "Müller"),
    ],
)
def test_text_that_a_set_lacks_is_not_encoded(charset: str, text: str) -> None:
    assert encoded(text, charset) is None


def test_a_delimiter_brings_the_first_repertoire_back() -> None:
    assert decoded(b"\x1b-F\xeb^\xfc", "ISO 2022 IR 100\\ISO 2022 IR 126") == "λ^ü"


LETTERS = st.sampled_from("aZ 9^=\\\r\näöüßéλΩЖяłﾔﾏ山田太郎洪길동王张丂")


@given(st.sampled_from(SETS), st.text(LETTERS, max_size=12))
def test_what_is_encoded_is_decoded_to_the_same_text(charset: str, text: str) -> None:
    value = encoded(text, charset)
    if value is None:
        assert not text.isascii()
    else:
        assert decoded(value, charset) == text


@given(st.sampled_from(SETS), st.text(LETTERS, max_size=12))
def test_pydicom_reads_the_same_name(charset: str, text: str) -> None:
    name = text.replace("\\", "").replace("\r", "").replace("\n", "")
    value = encoded(name, charset)
    if value is None or "ISO_IR 203" in charset:
        return
    encodings = pydicom.charset.convert_encodings(charset.split("\\"))
    assert str(pydicom.valuerep.PersonName(value, encodings)) == name.rstrip("=")
