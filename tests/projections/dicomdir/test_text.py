"""Which bytes are text in which character set, as pydicom's own files and decoder have it."""

from __future__ import annotations

import pytest

from ledger.elements import Element, encode
from ledger.instances.character_sets import decoded
from projections.dicomdir.findings import FindingKind
from projections.dicomdir.text import faults_of_text, readable

JAPANESE = "ISO 2022 IR 13\\ISO 2022 IR 87"


@pytest.mark.parametrize(
    ("charset", "value", "text"),
    [
        ("", b"plain", "plain"),
        ("ISO_IR 100", b"M\xfcller", "Müller"),
        ("ISO 2022 IR 100", b"M\xfcller", "Müller"),
        ("ISO_IR 144", b"\xbb\xee", "Лю"[0] + "ю"),
        ("ISO_IR 166", b"\xa1", "ก"),
        ("ISO_IR 13", b"\xd4\xcf\xc0\xde", "ﾔﾏﾀﾞ"),
        ("ISO_IR 192", "山田".encode(), "山田"),
        ("GB18030", "王^小东".encode("gb18030"), "王^小东"),
        ("GBK", "王".encode("gbk"), "王"),
        ("\\ISO 2022 IR 87", b"Yamada=\x1b$B;3ED\x1b(B=x", "Yamada=山田=x"),
        (JAPANESE, b"\xd4\xcf\xc0\xde=\x1b$B;3ED\x1b(J", "ﾔﾏﾀﾞ=山田"),
        ("\\ISO 2022 IR 149", b"Hong=\x1b$)C\xfb\xf3", "Hong=洪"),
        ("\\ISO 2022 IR 58", b"Zhang=\x1b$)A\xd5\xc5", "Zhang=张"),
        ("\\ISO 2022 IR 100", b"\x1b-AM\xfcller", "Müller"),
    ],
)
def test_text_of_its_character_set_is_decoded(charset: str, value: bytes, text: str) -> None:
    assert decoded(value, charset) == text


@pytest.mark.parametrize(
    ("charset", "value"),
    [
        ("", b"M\xfcl"),
        ("ISO_IR 192", b"M\xfcl"),
        ("ISO_IR 192", "山".encode()[:2]),
        ("GB18030", b"A1\xfc"),
        ("ISO_IR 166", b"B1\xfd"),
        ("ISO_IR 13", b"C1\xfd"),
        ("ISO_IR 149", b"\xfb\xf3"),
        ("ISO 2022 IR 87", b"\xb1"),
        ("ISO_IR 100", b"\x1b$B;3ED\x1b(B"),
        ("\\ISO 2022 IR 149", b"\x1b$B;3ED\x1b(B"),
        ("\\ISO 2022 IR 149", b"\x1b$)C\xfb"),
        ("\\ISO 2022 IR 87", b"a\x1b"),
        ("nonsense", b"\xe4"),
    ],
)
def test_bytes_that_are_no_text_of_their_character_set_are_told(charset: str, value: bytes) -> None:
    assert decoded(value, charset) is None
    record = {0x00100020: Element(0x00100020, "LO", value)}
    if charset:
        record[0x00080005] = Element(0x00080005, "CS", charset.encode())
    kinds = {kind for kind, _ in faults_of_text(encode(record.values()), record)}
    assert kinds <= {FindingKind.BAD_CHARACTER_SET, FindingKind.UNDECLARED_CHARACTER_SET}
    assert kinds


def test_what_is_no_text_is_shown_escaped() -> None:
    assert readable(Element(0x00100020, "LO", b"M\xfcl "), "ISO_IR 192") == "M\\xfcl"
    assert readable(Element(0x00100020, "LO", b"M\xfcl "), "ISO_IR 100") == "Mül"
    assert readable(None, "") == ""
