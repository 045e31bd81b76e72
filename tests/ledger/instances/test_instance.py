"""An instance is read from a file's bytes with all that the journal needs, or refused with why."""

from __future__ import annotations

from pathlib import Path

import pydicom
import pytest
from attrs import evolve

from ledger.elements import encode_element
from ledger.errors import InstanceError, NotDicomError, TruncatedError
from ledger.instances.instance import Instance, read_instance
from ledger.instances.record_keys import WANTED

FILES = Path(pydicom.__file__).parent / "data/test_files"
CT = (FILES / "CT_small.dcm").read_bytes()
EXPLICIT = "1.2.840.10008.1.2.1"


def file_of(
    *, uid: bytes | None = b"1.2.3", sop_class: bytes | None = b"1.2.4", syntax: str = EXPLICIT
) -> bytes:
    parts = [bytes(128), b"DICM", encode_element(0x00020010, "UI", syntax.encode())]
    if sop_class is not None:
        parts.append(encode_element(0x00080016, "UI", sop_class))
    if uid is not None:
        parts.append(encode_element(0x00080018, "UI", uid))
    return b"".join(parts)


def test_an_instance_has_its_uids_and_the_wanted_elements_only() -> None:
    instance = read_instance(CT)
    ds = pydicom.dcmread(FILES / "CT_small.dcm")
    assert instance.sop_instance_uid == ds.SOPInstanceUID
    assert instance.sop_class_uid == ds.SOPClassUID
    assert instance.transfer_syntax_uid == EXPLICIT
    assert set(instance.header) == {int(tag) for tag in list(ds.keys()) if tag in WANTED}
    assert instance.header[0x00100010] == (0x00100010, "PN", b"CompressedSamples^CT1 ")


def test_the_uid_of_the_data_set_counts_not_that_of_the_meta_information() -> None:
    data = CT.replace(b"1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322", b"9" * 47, 1)
    assert data[:400].count(b"9" * 47) == 1
    found = read_instance(data)
    assert found.media_storage_instance_uid == "9" * 47
    assert evolve(found, media_storage_instance_uid=found.sop_instance_uid) == read_instance(CT)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (
            file_of(uid=None),
            "(0008,0018) SOP Instance UID is missing: a File-set can hold only SOP Instances",
        ),
        (
            file_of(uid=b"\0\0"),
            "(0008,0018) SOP Instance UID is empty: a File-set can hold only SOP Instances",
        ),
        (
            file_of(uid=b"1.2\\1.3"),
            "(0008,0018) SOP Instance UID is invalid: a File-set can hold only SOP Instances",
        ),
        (
            file_of(sop_class=None),
            "(0008,0016) SOP Class UID is missing: a File-set can hold only SOP Instances",
        ),
    ],
)
def test_a_file_without_its_uids_is_refused_by_name(data: bytes, message: str) -> None:
    with pytest.raises(InstanceError) as caught:
        read_instance(data, "inbox/a.dcm")
    assert str(caught.value) == f"inbox/a.dcm: {message}"
    assert (caught.value.name, caught.value.reason) == ("inbox/a.dcm", message)


@pytest.mark.parametrize("uid", ["1." + "2" * 80, "1.02.3", "not a uid"])
def test_an_irregular_uid_is_taken_as_it_is(uid: str) -> None:
    assert read_instance(file_of(uid=uid.encode())).sop_instance_uid == uid


@pytest.mark.parametrize("name", ["DICOMDIR", "DICOMDIR-bigEnd", "DICOMDIR-implicit"])
def test_a_dicomdir_is_no_instance(name: str) -> None:
    with pytest.raises(InstanceError, match="this is a DICOMDIR"):
        read_instance((FILES / "dicomdirtests" / name).read_bytes())


def test_the_kind_of_error_stays_when_the_name_is_added() -> None:
    with pytest.raises(NotDicomError, match=r"^a\.txt: no DICM prefix"):
        read_instance(b"hello", "a.txt")
    with pytest.raises(TruncatedError, match=r"^a: the file ends within \(FFFC,FFFC\)"):
        read_instance(CT[:-1], "a")


def test_instances_are_values() -> None:
    assert read_instance(CT) == read_instance(memoryview(CT))
    assert isinstance(read_instance(CT), Instance)
