"""Corrections of the files that pydicom brings along: every transfer syntax and character set."""

from __future__ import annotations

import subprocess
import zlib
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pydicom
import pytest
from corrections import FILES, NOTE, REMOVE, correct, edits, raw_values, read

from ledger.errors import InstanceError
from ledger.instances.correcting.correct import corrected
from ledger.instances.correcting.edits import Edit, UIDsReplaced
from ledger.instances.file_meta import meta_of_file
from ledger.instances.instance import read_instance
from ledger.instances.values import fault_of_uid
from ledger.uids import DEFLATED

NAMES = ["ROE^JANE", "Müller^Jörg", "山田^太郎", "Иванов", "김희중"]
WRONG_LENGTHS = {"chrKoreanMulti.dcm", "chrJapMulti.dcm", "693_J2KI.dcm"}
"""Files with lengths of groups that are wrong, until a group is corrected."""

MISFITS = {"SC_rgb_jpeg.dcm"}
"""Files that pydicom does not read strictly: it is not in the transfer syntax that it names."""

CHANGED = frozenset((0x00080005, 0x00100010, 0x00104000, 0x04000561))

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def ids(path: Path) -> str:
    return path.name


def sound() -> list[Path]:
    """Return the files that hold an instance, whole."""
    found = []
    for path in FILES:
        with suppress(InstanceError):
            read_instance(path.read_bytes())
            found.append(path)
    return found


SOUND = sound()
OF_EACH = [
    pytest.param(path, name, id=f"{path.name}-{number}")
    for place, path in enumerate(SOUND)
    for number, name in enumerate(NAMES)
    if "charset" in path.parent.name or number == place % len(NAMES)
]


def inflated(data: bytes) -> bytes:
    """Return a file with its data set inflated."""
    meta, offset = meta_of_file(data)
    if meta.transfer_syntax_uid not in DEFLATED:
        return data
    return data[:offset] + zlib.decompress(data[offset:], -zlib.MAX_WBITS)


def test_files_of_every_encoding_are_there() -> None:
    syntaxes = {meta_of_file(path.read_bytes())[0].transfer_syntax_uid for path in SOUND}
    plain = {"1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"}
    assert {*plain, "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.4.50"} <= syntaxes
    assert len(syntaxes) >= 12


@pytest.mark.parametrize(("path", "name"), OF_EACH)
def test_all_other_values_are_those_of_before(path: Path, name: str) -> None:
    data = path.read_bytes()
    what = edits(PatientName=name, PatientComments="corrected")
    with corrected(data, what, NOTE) as result:
        after = read(b"".join(result.chunks()))
        anew = {each[0] for each in result.encoded_anew}
    before = read(data)
    # pydicom's values are those in the file until they are asked for.
    left_out = CHANGED | anew
    assert raw_values(after, without=left_out) == raw_values(before, without=left_out)
    assert after.PatientName == name
    assert after.PatientComments == "corrected"
    item = after.OriginalAttributesSequence[-1].ModifiedAttributesSequence[0]
    if "PatientName" in before:
        assert item.PatientName == before.PatientName
    for tag in anew - CHANGED:
        assert str(after[tag].value) == str(before[tag].value)
    assert after.file_meta == before.file_meta


def is_as_before(data: bytes, path: Path) -> None:
    """See that a file is what it was before it was corrected."""
    if path.name in WRONG_LENGTHS:
        assert len(data) == path.stat().st_size
        assert raw_values(read(data)) == raw_values(read(path.read_bytes()))
    else:
        assert inflated(data) == inflated(path.read_bytes())


@pytest.mark.parametrize("path", SOUND, ids=ids)
def test_corrected_and_corrected_back_it_is_the_file_as_it_was(path: Path) -> None:
    data = path.read_bytes()
    before = raw_values(read(data))
    tags = (0x00081030, 0x00100020, 0x0020000D, 0x00200011, 0x00100030, 0x00101005)
    there = edits(
        StudyDescription="something else",
        PatientID=None,
        StudyInstanceUID="1.2.3.4.5.6.7.8.9",
        SeriesNumber="4711",
        PatientBirthDate=None,
        PatientBirthName="ROE",
    )
    back = [
        Edit((tag,), before.get(tag, REMOVE) or None)  # type: ignore[arg-type]
        for tag in tags
    ]
    changed = correct(data, there)
    assert inflated(changed) != inflated(data)
    is_as_before(correct(changed, back), path)


@pytest.mark.parametrize("path", SOUND, ids=ids)
def test_uids_replaced_and_replaced_back_it_is_the_file_as_it_was(path: Path) -> None:
    data = path.read_bytes()
    ds = read(data)
    uids = {str(element.value) for element in ds.iterall() if element.VR == "UI" and element.value}
    own = sorted(
        uid for uid in uids if not uid.startswith("1.2.840.10008.") and not fault_of_uid(uid)
    )
    there = {uid: f"2.25.{number}" for number, uid in enumerate(own, 1)}
    with corrected(data, [UIDsReplaced(there)], None) as result:
        changed = b"".join(result.chunks())
        assert result.uids.keys() <= there.keys()
        assert ds.SOPInstanceUID in result.uids
    after = read(changed)
    assert not {str(e.value) for e in after.iterall() if e.VR == "UI"} & set(own)
    assert after.file_meta.MediaStorageSOPInstanceUID == after.SOPInstanceUID
    if ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID:
        back = correct(changed, [UIDsReplaced({new: old for old, new in there.items()})])
        is_as_before(back, path)


def errors_of(path: Path) -> Counter[str]:
    """Return the errors that dciodvfy finds in a file."""
    done = subprocess.run(["dciodvfy", path], capture_output=True, check=False)
    lines = done.stderr.decode("utf-8", "replace").splitlines()
    return Counter(line for line in lines if line.startswith("Error"))


@pytest.mark.parametrize("path", SOUND[::4], ids=ids)
def test_dciodvfy_finds_no_new_errors(path: Path, tmp_path: Path) -> None:
    what = edits(PatientName="Müller^Jörg", PatientID="4711", StudyDescription="corrected")
    after = tmp_path / "after.dcm"
    after.write_bytes(correct(path.read_bytes(), what, NOTE))
    assert not errors_of(after) - errors_of(path)


@pytest.mark.parametrize("path", [each for each in SOUND if each.name not in MISFITS], ids=ids)
def test_pydicom_reads_the_new_values_strictly(path: Path) -> None:
    data = correct(path.read_bytes(), edits(PatientName="山田^太郎", PatientID="4711"), NOTE)
    mode = pydicom.config.settings.reading_validation_mode
    pydicom.config.settings.reading_validation_mode = pydicom.config.RAISE
    try:
        ds = read(data)
        assert ds.PatientName == "山田^太郎"
        item = ds.OriginalAttributesSequence[-1]
        assert item.ReasonForTheAttributeModification == "CORRECT"
        assert list(item.ModifiedAttributesSequence[0].keys())
    finally:
        pydicom.config.settings.reading_validation_mode = mode
