"""`verify ROOT --deep`: every element, however it is encoded and wherever it stands."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, config, dcmread, dcmwrite
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from fileset.checking.conformance import FindingKind, examine_root
from fileset.checking.every_element import faults_of_every_element
from tests.support.cli_runs import CT, run

SYNTAXES = [
    ImplicitVRLittleEndian, ExplicitVRLittleEndian, ExplicitVRBigEndian,
    DeflatedExplicitVRLittleEndian,
]  # fmt: skip


@pytest.fixture(autouse=True)
def _anything_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(config.settings, "writing_validation_mode", config.IGNORE)
    monkeypatch.setattr(config.settings, "reading_validation_mode", config.IGNORE)


def put(path: Path, ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> Path:
    ds.file_meta.TransferSyntaxUID = syntax
    for element in ds.iterall():  # pydicom converts the byte order of what it has decoded
        element.value  # noqa: B018
    implicit, little = syntax == ImplicitVRLittleEndian, syntax != ExplicitVRBigEndian
    dcmwrite(
        path, ds, implicit_vr=implicit, little_endian=little,
        force_encoding=True,
    )  # fmt: skip
    return path


def item(**values: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def faults(path: Path) -> list[str]:
    return [fault for _, fault in faults_of_every_element(str(path))]


@pytest.mark.parametrize("syntax", SYNTAXES)
@pytest.mark.parametrize("undefined", [False, True])
def test_a_value_is_found_below_sequences_in_every_encoding(
    tmp_path: Path, syntax: str, undefined: bool
) -> None:
    ds = dcmread(CT)
    inner = item(CodeMeaning="x" * 70)
    outer = item(
        SpecificCharacterSet="ISO_IR 192", CodeMeaning="ä" * 64, ConceptCodeSequence=[inner]
    )
    ds.ConceptNameCodeSequence = [outer, item(CodeMeaning="fine"), item(CodeMeaning="y" * 70)]
    ds["ConceptNameCodeSequence"].is_undefined_length = undefined
    outer.is_undefined_length_sequence_item = inner.is_undefined_length_sequence_item = undefined
    ds.SliceThickness = None
    before = faults(put(tmp_path / "A", dcmread(CT), syntax))
    path = put(tmp_path / "B", ds, syntax)
    (found,) = set(faults(path)) - set(before)
    assert found == (
        "it has an invalid value in (0008,0104) Code Meaning: LO takes up to 64 characters, and "
        "it has 70 (2 times)"
    )


def test_nothing_is_found_in_a_sound_file(tmp_path: Path) -> None:
    for number, syntax in enumerate(SYNTAXES):
        assert faults(put(tmp_path / f"{number}", dcmread(CT), syntax)) == []


def test_compressed_pixels_are_stepped_over(tmp_path: Path) -> None:
    ds = dcmread(CT)
    ds.compress(RLELossless)
    ds.PatientAge = "9"
    ds.save_as(tmp_path / "A")
    (found,) = faults(tmp_path / "A")
    assert "(0010,1010) Patient's Age" in found


def test_the_header_of_the_file_is_looked_at_as_well(tmp_path: Path) -> None:
    ds = dcmread(CT)
    ds.file_meta.ImplementationVersionName = "x" * 20
    (found,) = faults(put(tmp_path / "A", ds))
    assert "(0002,0013)" in found


def test_text_that_is_not_of_its_character_set_is_told(tmp_path: Path) -> None:
    ds = dcmread(CT)
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.PatientComments = "MARK"
    path = put(tmp_path / "A", ds)
    path.write_bytes(path.read_bytes().replace(b"MARK", b"M\xff\xfeK"))
    (found,) = faults_of_every_element(str(path))
    assert found[0] is FindingKind.BAD_CHARACTER_SET


def test_items_that_lead_past_their_end_are_malformed(tmp_path: Path) -> None:
    ds = dcmread(CT)
    ds.ConceptNameCodeSequence = [item(CodeMeaning="MARK")]
    path = put(tmp_path / "A", ds)
    data = path.read_bytes()
    path.write_bytes(data.replace(b"LO\x04\0MARK", b"LO\x08\0MARK"))
    *_, found = faults_of_every_element(str(path))
    assert found[0] is FindingKind.FILE_MALFORMED
    assert "past the end of its item" in found[1]


def test_only_deep_looks_at_what_no_record_holds_and_it_is_a_warning(tmp_path: Path) -> None:
    ds = dcmread(CT)
    ds.PatientAge = "9"
    put(tmp_path / "A", ds)
    run("index", tmp_path)
    assert examine_root(tmp_path).findings == []
    document = run("verify", tmp_path, "--deep", "--json").document
    (finding,) = document["findings"]
    assert (finding["kind"], finding["severity"]) == ("bad-value", "warning")
    assert finding["where"] == "A"
    run("verify", "--deep", code=2)
