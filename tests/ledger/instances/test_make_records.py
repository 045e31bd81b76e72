"""Directory records are, byte for byte and word for word, those that pydicom makes."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom import fileset as theirs
from pydicom._uid_dict import UID_dictionary
from pydicom.data import get_testdata_file
from pydicom.datadict import dictionary_description, dictionary_keyword, dictionary_VR
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from ledger.elements import CHARSET_VRS, Element, encode, encode_element, encode_items, find
from ledger.errors import InstanceError, NotDicomError, RecordError, TruncatedError
from ledger.events import Record
from ledger.instances import make_records
from ledger.instances.datasets import to_dataset, to_elements
from ledger.instances.instance import Instance, read_instance
from ledger.instances.make_records import build_records, default_recorder, leaf_type
from ledger.instances.record_keys import KEYS, OF_PERSONS, RECORD_KEYS, UPPER_TYPES, WANTED
from ledger.instances.sop_classes import KNOWN_TYPES, LEAF_TYPES, SINGLE_LEVEL_TYPES
from ledger.tags import MANAGED

DATA = Path(pydicom.__file__).parent / "data"
SHIPPED = sorted(p for p in DATA.rglob("*") if p.is_file() and not p.suffix.startswith(".py"))
DICOM_FILES = [p for p in SHIPPED if p.suffix == ".dcm"]
# One ends within a sequence, the other mixes encodings; pydicom can't write it again.
UNWRITABLE = {"rtplan_truncated.dcm", "SC_rgb_jpeg.dcm"}
CHARSET = 0x00080005
STORED = ("Storage", "For Presentation", "For Processing")
OTHER_IMAGES = {
    "Breast Projection X-Ray Image Storage - For Presentation", "Corneal Topography Map Storage",
    "Enhanced US Volume Storage", "Ophthalmic Thickness Map Storage", "Parametric Map Storage",
    "Ophthalmic Optical Coherence Tomography B-scan Volume Analysis Storage",
    "Segmentation Storage",
}  # fmt: skip
TAGS = {key.keyword: key.tag for key in KEYS.values()}
CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
CLASSES = {name: uid for uid, name in KNOWN_TYPES.items()} | {
    kind: str(uid) for uid, kind in theirs._FOUR_LEVEL_SOP_CLASSES.items()
} | {
    "IMAGE": CT_CLASS, "PATIENT": CT_CLASS, "STUDY": CT_CLASS, "SERIES": CT_CLASS,
}  # fmt: skip
SAMPLES = {
    "CS": b"LABEL ", "DA": b"20240131", "DT": b"20240131120000", "IS": b"12 ", "LO": b"Some text ",
    "PN": b"Doe^Jane^", "SH": b"Short ", "ST": b"A longer text.", "TM": b"120000", "UI": b"1.2.3\0",
    "UL": b"\1\0\0\0", "US": b"\2\0", "UV": b"\1" + bytes(7), "OB": b"", "LT": b"Long text ",
    "SQ": encode_items([encode_element(0x00080100, "SH", b"113000")]),
}  # fmt: skip

NUMBERS = ("UL", "US", "UV")

Outcome = tuple[Record, ...] | str


def full_header(sop_class: str = CT_CLASS, **values: bytes | None) -> dict[int, Element]:
    """Every key with a plain value, but for those that decide the type and the changed `values`."""
    left_out = {"SpecificCharacterSet", "EncapsulatedDocument", "RTPlanLabel"}
    header = {
        tag: Element(tag, key.vr, SAMPLES[key.vr])
        for tag, key in KEYS.items()
        if key.keyword not in left_out
    }
    for keyword, value in ({"SOPClassUID": sop_class.encode()} | values).items():
        tag = TAGS[keyword]
        if value is None:
            header.pop(tag, None)
        else:
            header[tag] = Element(tag, KEYS[tag].vr, value)
    return header


def instance_of(header: dict[int, Element]) -> Instance:
    sop_class = header[TAGS["SOPClassUID"]].value.decode().rstrip("\0")
    return Instance("1.2.3", sop_class, "1.2.840.10008.1.2.1", header)


def ours(instance: Instance) -> Outcome:
    try:
        return build_records(instance)
    except RecordError as exc:
        return str(exc)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence pydicom's warnings; ours must not give any."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def dataset_of(header: dict[int, Element]) -> Dataset:
    with quiet():
        return to_dataset(encode(header.values()))


def pydicoms(ds: Dataset) -> Outcome:
    """The records that pydicom's FileSet makes of `ds`, or the message with which it refuses."""
    if not hasattr(ds, "file_meta"):
        ds.file_meta = pydicom.dataset.FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    with quiet():
        try:
            records = list(theirs.FileSet._recordify(None, ds))
        except ValueError as exc:
            return str(exc)
        return tuple(
            Record(r.DirectoryRecordType, to_elements(r, without=MANAGED)) for r in records
        )


def agrees(header: dict[int, Element]) -> bool:
    """Whether both make the same of an instance with `header`."""
    return ours(instance_of(header)) == pydicoms(dataset_of(header))


# --- the tables ----------------------------------------------------------------------------------


def test_names_and_vrs_are_those_of_the_data_dictionary() -> None:
    for tag, key in KEYS.items():
        assert key.keyword == dictionary_keyword(tag)
        assert key.vr == dictionary_VR(tag)
        assert key.name == dictionary_description(tag)
    for tag, vr in OF_PERSONS.items():
        assert vr == dictionary_VR(tag)
    assert frozenset((*KEYS, *OF_PERSONS)) == WANTED


NEW_TYPES = ("ANNOTATION", "INVENTORY")
"""Types of record that pydicom doesn't have."""
PYDICOMS = [kind for kind in RECORD_KEYS if kind not in NEW_TYPES]


def test_pydicoms_record_types_and_sop_classes_are_among_ours() -> None:
    assert list(theirs.DIRECTORY_RECORDERS) == PYDICOMS
    assert tuple(RECORD_KEYS) == (*PYDICOMS, *NEW_TYPES)
    assert SINGLE_LEVEL_TYPES.items() >= theirs._SINGLE_LEVEL_SOP_CLASSES.items()
    assert LEAF_TYPES.items() >= theirs._FOUR_LEVEL_SOP_CLASSES.items()


def test_every_storage_class_of_today_has_its_type_but_those_that_f_5_has_none_for() -> None:
    storage = {
        str(uid): name
        for uid, (name, kind, _, retired, _) in UID_dictionary.items()
        if kind == "SOP Class" and name.endswith(STORED) and not retired
    }
    left = {name for uid, name in storage.items() if uid not in KNOWN_TYPES}
    assert {name for name in left if "DICOS" not in name} == {
        "CT Defined Procedure Protocol Storage",
        "CT Performed Procedure Protocol Storage",
        "Eddy Current Image Storage",
        "Eddy Current Multi-frame Image Storage",
        "Media Storage Directory Storage",
        "Protocol Approval Storage",
        "XA Defined Procedure Protocol Storage",
        "XA Performed Procedure Protocol Storage",
    }
    images = {name for uid, name in storage.items() if KNOWN_TYPES.get(uid) == "IMAGE"}
    assert all("Image" in name for name in images - OTHER_IMAGES)
    assert images >= OTHER_IMAGES
    assert set(KNOWN_TYPES.values()) == set(RECORD_KEYS) - set(UPPER_TYPES)


# --- shipped files -------------------------------------------------------------------------------


@pytest.mark.parametrize("path", SHIPPED, ids=lambda p: str(p.relative_to(DATA)))
def test_every_shipped_file_has_pydicoms_records_or_refusal(path: Path) -> None:
    data = path.read_bytes()
    try:
        made = ours(read_instance(data))
    except NotDicomError:
        with pytest.raises(pydicom.errors.InvalidDicomError):
            pydicom.dcmread(path)
    except TruncatedError:
        assert path.name in {"MR_truncated.dcm", "rtplan_truncated.dcm"}
    except InstanceError:
        # pydicom's FileSet.add stumbles over that with an AttributeError.
        assert "SOPInstanceUID" not in pydicom.dcmread(path)
    else:
        with quiet():
            ds = pydicom.dcmread(path)
        assert made == pydicoms(ds)


def filled(path: Path, *, implicit_vr: bool) -> bytes:
    """The file with a value for every plain key that it lacks, in another encoding."""
    ds = pydicom.dcmread(path, force=True)
    for tag, key in KEYS.items():
        optional = key.keyword in {"RTPlanLabel", "SpecificCharacterSet"}
        if key.vr not in {"SQ", "OB"} and not optional and not ds.get(key.keyword):
            sample = 1 if key.vr in NUMBERS else SAMPLES[key.vr].decode().strip("\0 ")
            ds.add_new(tag, key.vr, sample)
    buffer = DicomBytesIO()
    buffer.is_implicit_VR, buffer.is_little_endian = implicit_vr, True
    write_dataset(buffer, ds)
    syntax = "1.2.840.10008.1.2" if implicit_vr else "1.2.840.10008.1.2.1"
    meta = encode_element(0x00020010, "UI", syntax.encode())
    return bytes(128) + b"DICM" + meta + buffer.getvalue()


@pytest.mark.parametrize("implicit_vr", [False, True], ids=["explicit", "implicit"])
@pytest.mark.parametrize(
    "path",
    [p for p in DICOM_FILES if p.name not in UNWRITABLE],
    ids=lambda p: str(p.relative_to(DATA)),
)
def test_every_shipped_file_with_its_gaps_filled_has_pydicoms_records(
    path: Path, implicit_vr: bool
) -> None:
    with quiet():
        data = filled(path, implicit_vr=implicit_vr)
        expected = pydicoms(pydicom.dcmread(BytesIO(data)))
    assert isinstance(expected, tuple)
    assert build_records(read_instance(data)) == expected


# --- every type ----------------------------------------------------------------------------------


def header_for(record_type: str, **values: bytes | None) -> dict[int, Element]:
    if record_type == "ENCAP DOC":
        values = {"EncapsulatedDocument": b""} | values
    if record_type == "RT PLAN":
        values = {"RTPlanLabel": b"Plan"} | values
    if record_type in {"PLAN", "RADIOTHERAPY"}:
        values = {"Modality": {"PLAN": b"PLAN", "RADIOTHERAPY": b"RTRAD "}[record_type]} | values
    return full_header(CLASSES.get(record_type, CT_CLASS), **values)


@pytest.mark.parametrize("record_type", RECORD_KEYS)
def test_the_record_of_a_full_instance_is_pydicoms(record_type: str) -> None:
    header = header_for(record_type)
    made = ours(instance_of(header))
    assert not isinstance(made, str)
    assert record_type in {record.type for record in made}
    assert record_type in NEW_TYPES or agrees(header)


@pytest.mark.parametrize(
    ("record_type", "keyword"),
    [(name, key.keyword) for name in PYDICOMS for key, _ in RECORD_KEYS[name].keys],
)
def test_a_missing_or_empty_key_has_pydicoms_outcome(record_type: str, keyword: str) -> None:
    paddings = (None, b"", b"\0\0", b"  ")
    if KEYS[TAGS[keyword]].vr in {"SQ", *NUMBERS}:
        paddings = (None, b"")
    assert all(agrees(header_for(record_type, **{keyword: value})) for value in paddings)


def test_the_message_is_pydicoms_to_the_letter() -> None:
    assert ours(instance_of(full_header(StudyDate=None))) == (
        "Unable to use the default 'STUDY' record creator: The instance's (0008,0020) 'Study "
        "Date' element is missing. See DICOM PS3.3 Section F.5. Either update the instance, define "
        "your own record creation function or use 'FileSet.add_custom()' instead"
    )
    assert "(0020,0013) 'Instance Number' element cannot be empty." in str(
        ours(instance_of(full_header(InstanceNumber=b"")))
    )


@pytest.mark.parametrize(
    "sop_class",
    [*theirs._FOUR_LEVEL_SOP_CLASSES, *theirs._SINGLE_LEVEL_SOP_CLASSES, CT_CLASS, "1.2.3"],
)
def test_the_type_of_the_leaf_is_pydicoms(sop_class: str) -> None:
    for values in (
        {}, {"Modality": b"RTINTENT"}, {"Modality": b"PLAN"}, {"Modality": None},
        {"EncapsulatedDocument": b""}, {"RTPlanLabel": b"x"},
        {"EncapsulatedDocument": b"", "RTPlanLabel": b"x"},
        {"Modality": b"RTRAD", "EncapsulatedDocument": b""}, {"Modality": b" PLAN"},
    ):  # fmt: skip
        header = full_header(sop_class, **values)
        ds = dataset_of(header)
        assert leaf_type(instance_of(header)) == theirs._four_level_record_type(ds)


# --- values --------------------------------------------------------------------------------------

CHARSETS = [
    None, b"", b"ISO_IR 6", b"ISO_IR 100", b"ISO_IR 101", b"ISO_IR 144", b"ISO_IR 192", b"GB18030",
    b"ISO 2022 IR 100", b"ISO_IR 13", b"ISO 2022 IR 13\\ISO 2022 IR 87", b"\\ISO 2022 IR 87",
    b"ISO 2022 IR 6\\ISO 2022 IR 149", b"ISO_IR_100", b"nonsense", b"ISO_IR 126\\ISO_IR 100 ",
]  # fmt: skip
ALPHABET = st.sampled_from([*b"AZaz09^=\\ \0.-+e/\x1b$B\t\n~", 0xE9, 0xC3, 0xA9, 0xA0, 0xFF, 0x80])
VALUES = st.one_of(
    st.lists(ALPHABET, max_size=14).map(bytes),
    st.integers(-(10**12), 10**12).map(lambda n: str(n).encode()),
    st.text(max_size=8).map(lambda s: s.encode("utf-8", "replace")),
)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(sorted(RECORD_KEYS)), st.integers(0, 99), VALUES, st.sampled_from(CHARSETS))
def test_any_value_in_any_character_set_comes_out_as_it_is(
    record_type: str, number: int, value: bytes, charset: bytes | None
) -> None:
    keys = [key for key, _ in RECORD_KEYS[record_type].keys if key.vr not in {"SQ", *NUMBERS}]
    if not keys:
        return
    key = keys[number % len(keys)]
    header = header_for(record_type, SpecificCharacterSet=charset, **{key.keyword: value})
    made = ours(instance_of(header))
    if isinstance(made, str):
        # Refused where pydicom refuses it: empty where it may not be, or no number.
        try:
            expected = pydicoms(dataset_of(header))
        except Exception:  # noqa: BLE001 - pydicom raises many things on values that are no numbers
            expected = ""
        assert isinstance(expected, str) or record_type in NEW_TYPES
        return
    (record,) = [record for record in made if record.type == record_type]
    held = find(record.elements, key.tag)
    assert held is not None
    assert held.value.rstrip(b"\0 ") == value.rstrip(b"\0 ")
    declared = find(record.elements, CHARSET)
    is_basic = key.vr not in CHARSET_VRS or (value.isascii() and b"\x1b" not in value)
    if charset and (not is_basic or record_type not in SINGLE_LEVEL_TYPES.values()):
        assert declared is not None
        assert declared.value.rstrip(b" ") == charset.rstrip(b" ")


@pytest.mark.parametrize("number", [b"12345678901234567", b"0012", b"+5", b"1.0", b" 7", b"1\\2"])
def test_a_number_comes_out_as_it_is(number: bytes) -> None:
    image = build_records(instance_of(full_header(InstanceNumber=number)))[-1]
    held = find(image.elements, TAGS["InstanceNumber"])
    assert held is not None
    assert held.value.rstrip(b" ") == number


@pytest.mark.parametrize("vr", ["UN", "LO", "UT", "SH"])
def test_a_value_of_another_vr_takes_that_of_the_dictionary(vr: str) -> None:
    header = full_header()
    for keyword in ("PatientID", "StudyID", "StudyDate", "SeriesInstanceUID", "InstanceNumber"):
        tag = TAGS[keyword]
        header[tag] = Element(tag, vr, b"123 ")
    assert agrees(header)
    made = ours(instance_of(header))
    assert not isinstance(made, str)
    assert find(made[3].elements, TAGS["InstanceNumber"]) == (TAGS["InstanceNumber"], "IS", b"123 ")


def test_text_is_not_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr("ledger.instances.datasets.to_dataset", fail)
    monkeypatch.setattr("ledger.instances.datasets.to_elements", fail)
    for charset in CHARSETS:
        header = full_header(SpecificCharacterSet=charset, PatientName=b"M\xfcller^\x1b$B=\\x")
        assert not isinstance(ours(instance_of(header)), str)


def test_what_a_recorder_of_one_s_own_takes_over_keeps_its_bytes() -> None:
    header = full_header(
        SpecificCharacterSet=b"ISO_IR 192", PatientName=b"M\xfcller^A", PatientID=b"P\xe41"
    )

    def patient(ds: Dataset) -> Dataset:
        record = default_recorder("PATIENT")(ds)
        record.PatientName = "Someone^Else"
        return record

    with quiet():
        made = build_records(instance_of(header), {"PATIENT": patient}, lambda: dataset_of(header))
    assert find(made[0].elements, TAGS["PatientID"]) == (TAGS["PatientID"], "LO", b"P\xe41 ")
    name = find(made[0].elements, TAGS["PatientName"])
    assert name is not None
    assert name.value == b"Someone^Else"


def test_each_of_four_records_has_the_instances_character_set_and_a_single_one_none() -> None:
    four = build_records(instance_of(full_header(SpecificCharacterSet=b"ISO_IR 192")))
    assert [find(r.elements, CHARSET) for r in four] == [(CHARSET, "CS", b"ISO_IR 192")] * 4
    (single,) = build_records(
        instance_of(header_for("PALETTE", SpecificCharacterSet=b"ISO_IR 192"))
    )
    assert find(single.elements, CHARSET) is None


def test_a_single_record_with_text_of_its_own_keeps_the_character_set() -> None:
    text = "Früchte".encode()
    (record,) = build_records(
        instance_of(
            header_for("PALETTE", SpecificCharacterSet=b"ISO_IR 192", ContentDescription=text)
        )
    )
    assert find(record.elements, CHARSET) == (CHARSET, "CS", b"ISO_IR 192")
    assert find(record.elements, TAGS["ContentDescription"]) == (0x00700081, "LO", text)


def test_a_hostile_value_is_refused_and_not_a_crash() -> None:
    for values in ({"InstanceNumber": b"1.5"}, {"InstanceNumber": b"many"}, {"Rows": b"\1"}):
        header = full_header("1.2.840.10008.5.1.4.1.1.4.2", **values)
        assert isinstance(ours(instance_of(header)), str) or agrees(header)


# --- one's own recorders -------------------------------------------------------------------------


def test_a_users_recorder_makes_its_type_and_the_tables_the_others() -> None:
    header = full_header(SpecificCharacterSet=b"ISO_IR 100")
    calls: list[Dataset] = []

    def patient(ds: Dataset) -> Dataset:
        calls.append(ds)
        record = Dataset()
        record.RecordInUseFlag = 0xFFFF
        record.DirectoryRecordType = "PATIENT"
        record.PatientID = ds.PatientID
        record.PatientSex = "O"
        return record

    def series(ds: Dataset) -> Dataset:
        calls.append(ds)
        return default_recorder("SERIES")(ds)

    def dataset() -> Dataset:
        made.append(dataset_of(header))
        return made[-1]

    made: list[Dataset] = []
    instance = instance_of(header)
    records = build_records(instance, {"PATIENT": patient, "SERIES": series}, dataset)
    assert records[0] == Record(
        "PATIENT",
        encode([
            Element(CHARSET, "CS", b"ISO_IR 100"),
            Element(TAGS["PatientID"], "LO", b"Some text "[:-1]),
            Element(0x00100040, "CS", b"O"),
        ]),
    )  # fmt: skip
    assert records[1:] == build_records(instance)[1:]
    assert calls == made * 2


def test_a_users_recorder_that_refuses_is_reported_as_pydicom_does() -> None:
    def refuse(_: Dataset) -> Dataset:
        raise ValueError("no thanks")

    with pytest.raises(RecordError, match=r"the default 'IMAGE' record creator: no thanks\. See"):
        build_records(instance_of(full_header()), {"IMAGE": refuse}, Dataset)


def test_recorders_of_other_types_never_need_the_dataset() -> None:
    def unused(*_: object) -> Dataset:
        raise AssertionError

    instance = instance_of(full_header())
    assert build_records(instance, {"RT DOSE": unused}, unused) == build_records(instance)


def result(recorder: Callable[[Dataset], Dataset], ds: Dataset) -> Dataset | str:
    try:
        return recorder(ds)
    except ValueError as exc:
        return str(exc)


@pytest.mark.parametrize("record_type", PYDICOMS)
def test_default_recorders_work_on_any_dataset_as_pydicoms_do(record_type: str) -> None:
    mine, other = default_recorder(record_type), theirs.DIRECTORY_RECORDERS[record_type]
    full = dataset_of(header_for(record_type))
    for ds in (Dataset(), full):
        assert result(mine, ds) == result(other, ds)
    for key, _ in RECORD_KEYS[record_type].keys:
        ds = dataset_of(header_for(record_type, **{key.keyword: b""}))
        assert result(mine, ds) == result(other, ds)
        del ds[key.keyword]
        assert result(mine, ds) == result(other, ds)


def test_upper_types_are_those_above_a_leaf() -> None:
    assert UPPER_TYPES == ("PATIENT", "STUDY", "SERIES")
    assert make_records.record_types(instance_of(full_header())) == (*UPPER_TYPES, "IMAGE")
    assert make_records.record_types(instance_of(header_for("PALETTE"))) == ("PALETTE",)


def test_the_record_of_a_verified_document_tells_when_it_was_verified_last() -> None:
    ds = pydicom.dcmread(get_testdata_file("test-SR.dcm"))
    ds.PatientID, ds.StudyDate, ds.StudyTime, ds.StudyID = "1", "20300101", "120000", "1"
    ds.SeriesNumber = ds.InstanceNumber = 1
    observers = ds.VerifyingObserverSequence
    observers[0].VerificationDateTime = "20301231120000"
    buffer = BytesIO()
    ds.save_as(buffer)

    record = build_records(read_instance(buffer.getvalue()))[-1]

    told = find(record.elements, 0x0040A030)
    assert record.type == "SR DOCUMENT"
    assert told is not None
    assert told.value == b"20301231120000"
