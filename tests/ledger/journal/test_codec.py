"""Payloads: every event comes back as it was, today's and those that older versions wrote."""

from __future__ import annotations

import base64
import json
import re
import secrets
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import attrs
import orjson
import pydicom
import pytest
from attrs import evolve, fields
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import EVENTS, events, texts

from ledger.digest import digest_of, from_raw, to_raw
from ledger.elements import Element, encode, encode_element, encode_items
from ledger.errors import JournalDamagedError, UnknownFormatError
from ledger.events import (
    EVENT_TYPES,
    ArrivalWithheld,
    ChangeRedone,
    ChangeReverted,
    ChangeUndone,
    ConflictNoted,
    Content,
    ContentRecorded,
    CorrectionReason,
    DamageNoted,
    DamageRepaired,
    DescriptorCharacterSetChanged,
    DescriptorFileIDChanged,
    ElementCorrected,
    Erased,
    ErasureCompleted,
    Event,
    FileSetCreated,
    FileSetIDChanged,
    FileSetImported,
    FileSetUIDChanged,
    IconRecorded,
    InstanceAdded,
    InstanceCorrected,
    InstanceRejected,
    InstanceRemoved,
    InstanceRestored,
    InstancesConverted,
    InstancesCorrected,
    JournalRecovered,
    MediumAddressed,
    MediumBurnt,
    MediumFilled,
    MediumLeft,
    MediumLost,
    MediumProduced,
    MediumStarted,
    MediumVerified,
    MismatchNoted,
    MismatchSettled,
    OtherFile,
    PatientNameNoted,
    PayloadErased,
    PixelScript,
    Placement,
    PositionTagged,
    ProfileChanged,
    Record,
    RecordElementsRecorded,
    RecordMended,
    RecordRef,
    RecordsKept,
    StrangerKept,
    TagDeleted,
    Variant,
    WriteAbandoned,
    WriteCompleted,
    WriteExported,
    WriteStarted,
)
from ledger.instances.instance import read_instance
from ledger.instances.make_records import build_records
from ledger.journal import codec, upcasters
from ledger.journal.entries import Draft
from ledger.journal.memory import MemoryJournal
from ledger.journal.sqlite import SqliteJournal

GOLDEN = Path(__file__).parents[2] / "golden"
NONCE = "00112233aabbccdd"
DIGEST = digest_of(b"content")
PATIENT = Record(
    "PATIENT",
    encode(
        [
            Element(0x00080005, "CS", b"ISO_IR 192"),
            Element(0x00100010, "PN", "Yamada^Tarou=山田^太郎".encode()),
            Element(0x00100020, "LO", b"12345678"),
        ]
    ),
)
PERSON = evolve(PATIENT, unwritten=encode([Element(0x00100030, "DA", b"19700101")]))
STUDY = Record("STUDY", encode([Element(0x0020000D, "UI", b"1.2.3\0")]))
IMAGE = Record(
    "IMAGE",
    encode(
        [
            Element(0x00080005, "CS", b"\\ISO 2022 IR 87"),
            Element(0x00081140, "SQ", encode_items([encode_element(0x00081155, "UI", b"1.2.3")])),
            Element(0x00091001, "OB", b"\0\1\2\3"),
            Element(0x00104000, "LT", "山田".encode("iso2022_jp")),
            Element(0x00200013, "IS", b"1"),
            Element(0x00280010, "US", b"\0\2"),
        ]
    ),
)
CT = InstanceAdded(
    sop_instance_uid="1.2.826.0.1.3680043.8.498.1",
    sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
    transfer_syntax_uid="1.2.840.10008.1.2.1",
    record=IMAGE,
    parents=(PERSON,),
    under=RecordRef(7, 2),
    content=Content(DIGEST, 39205),
    placement=Placement.REFERENCE,
    source="/incoming/IM1",
    file_id="PT000000/ST000000/SE000000/IM000000",
    differing=(Variant(RecordRef(3, 0), STUDY),),
)
CORRECTED = InstanceCorrected(**attrs.asdict(CT, recurse=False), replaces=3, stead=2, rank=5)
GOLDEN_EVENTS: list[Event] = [
    FileSetCreated("1.2.3", "MY_SET"),
    FileSetImported(
        root="/media/cdrom",
        uid="1.2.3",
        dicomdir=DIGEST,
        id="MY_SET",
        descriptor_file_id=("DOCS", "README"),
        descriptor_character_set="ISO_IR 100",
        elements=encode([Element(0x00041200, "UL", b"\1\0\0\0")]),
        file_meta=encode([Element(0x00020016, "AE", b"SENDER")]),
    ),
    CT,
    CORRECTED,
    InstancesCorrected(
        (3, 4),
        (ElementCorrected("PatientName", "Doe^Jane", None),),
        (("1.2.3", "1.2.4"),),
        CorrectionReason.COERCE,
    ),
    InstancesConverted((3, 4), "1.2.840.10008.1.2"),
    InstanceRemoved(3),
    InstanceRestored(3),
    ContentRecorded(3, Content(DIGEST, 7), Placement.VAULT),
    StrangerKept(3, Content(DIGEST, 7)),
    FileSetIDChanged("NEW", None),
    FileSetUIDChanged("1.2.4", "1.2.3"),
    DescriptorFileIDChanged(("DOCS", "README"), None),
    DescriptorCharacterSetChanged("ISO_IR 100", None),
    ProfileChanged("STD-GEN-CD", None),
    RecordElementsRecorded(
        "STD-GEN-CD",
        "IMAGE",
        ((3, 5), (9, 9)),
        encode([Element(0x00080008, "CS", b"ORIGINAL\\PRIMARY")]),
        ("its transfer syntax is JPEG 2000 (PS3.11 Table D.3-1)",),
    ),
    IconRecorded(3, 64, Content(DIGEST, 4096)),
    ChangeUndone("01234567"),
    ChangeRedone("01234567"),
    ChangeReverted("01234567"),
    PositionTagged("sent-to-trial", 12, 7),
    TagDeleted("sent-to-trial", 12),
    WriteStarted(
        root="/media/cdrom",
        layout="pydicom",
        base=12,
        placed={"PT000000/ST000000": {"IM000000": 3}},
        dropped=(5, 6),
        staging="STAGING0",
        implicit_vr=True,
        leaving="read-only",
    ),
    WriteCompleted(13, DIGEST),
    WriteAbandoned(13, "No space left on device"),
    MediumLeft("/media/cdrom", "read-only"),
    MediumLost("/media/usb"),
    DamageNoted("/media/usb", (2,), (3,), (4,), (5,), DIGEST, no_dicomdir=True),
    DamageRepaired(17, (2, 3), (5,)),
    WriteExported("/media/usb", "existing", 12, DIGEST),
    MediumStarted(
        kind="iso",
        format=1,
        base=12,
        uid="2.25.1",
        contains=((2, 5), (7, 7)),
        writer="fileset-ledger 0.3",
        id="CLINIC_1OF3",
        profile="STD-GEN-CD",
        left_out=((6, 6),),
        volume=2,
        volumes=3,
        options={"split": "study"},
    ),
    MediumAddressed(
        14, "Dr. Weiss", "second opinion", (("PatientID", "12345678"),), institution="Clinic South"
    ),
    MediumFilled(
        14,
        (
            OtherFile("README.TXT", Content(DIGEST, 7)),
            OtherFile("VIEWER/DATA/D0000001.JS", Content(DIGEST, 7), PixelScript(3, 0, 10, 2)),
        ),
    ),
    MediumProduced(14, Content(DIGEST, 7), DIGEST),
    MediumVerified(14, "/dev/sr0", 2, "PT000000/ST000000/SE000000/IM000000"),
    MediumBurnt(14, "/dev/sr0", DIGEST),
    InstanceRejected("/incoming/notes.txt", "not a DICOM file"),
    ConflictNoted(3, "/incoming/IM1", Content(DIGEST, 7)),
    ArrivalWithheld(3, "1.2.3", Content(DIGEST, 7), "/incoming/IM1"),
    MismatchNoted(9, RecordRef(3, 0), ("PatientName", "PatientSex")),
    MismatchSettled(RecordRef(3, 0), (3, 9)),
    PatientNameNoted(9, RecordRef(3, 0), "Doe^Jane", "Doe^Joan"),
    RecordMended("sop-instance-uid", 1024, "DISC/IM1", "1.2.3", "1.2.4", 9),
    RecordsKept(3, (PERSON,), RecordRef(2, 1)),
    PayloadErased(((3, 5), (9, 9)), ((4, 4),), ((3, 1),), ((9, 3, 2),)),
    ErasureCompleted(14),
    JournalRecovered(12, 14, DIGEST),
]


def payload(event: Event) -> dict[str, Any]:
    body: dict[str, Any] = orjson.loads(codec.encode(event, NONCE))
    return body


def decoded(event_type: str, version: int, body: Any) -> Event:
    return codec.decode(event_type, version, orjson.dumps(body))


# --- every event, and those of older versions ----------------------------------------------------


def test_every_event_class_has_a_strategy_and_a_golden_event() -> None:
    assert set(EVENTS) == set(EVENT_TYPES.values())
    assert {type(event) for event in GOLDEN_EVENTS} == set(EVENT_TYPES.values())


@given(events)
def test_an_event_comes_back_from_its_payload(event: Event) -> None:
    assert codec.decode(event.TYPE, event.VERSION, codec.encode(event, NONCE)) == event


@given(EVENTS[InstanceAdded], st.dictionaries(texts, texts, max_size=2))
def test_the_payload_of_an_added_instance_is_what_the_general_rules_make(
    event: InstanceAdded, invented: dict[str, str]
) -> None:
    event = evolve(event, invented=invented)
    assert codec.encode(event, NONCE) == codec.encode_any(event, NONCE)


@pytest.mark.parametrize("field", [field.name for field in fields(InstanceAdded)])
@pytest.mark.parametrize("value", [None, 1, "text", b"bytes", (), [], {}, {1: 2}, Placement.ROOT])
def test_an_added_instance_is_refused_or_written_as_by_the_general_rules(
    field: str, value: Any
) -> None:
    event = evolve(CT, **{field: value})
    made = []
    for encode_it in (codec.encode, codec.encode_any):
        try:
            made.append(encode_it(event, NONCE))
        except (TypeError, ValueError, AttributeError) as exc:
            made.append(type(exc))
    assert made[0] == made[1]


def test_of_an_erased_payload_only_the_type_is_known() -> None:
    assert codec.decode("instance-added", 1, b"") == Erased("instance-added")
    with pytest.raises(UnknownFormatError):
        codec.decode("instance-added", 99, b"")
    with pytest.raises(TypeError, match="never written"):
        codec.encode(Erased("instance-added"), NONCE)


@pytest.mark.parametrize("cls", EVENTS, ids=lambda cls: cls.TYPE)
@settings(max_examples=settings().max_examples // 3)
@given(data=st.data())
def test_each_class_of_event_comes_back_from_its_payload(
    cls: type[Event], data: st.DataObject
) -> None:
    event = data.draw(EVENTS[cls])
    back = codec.decode(event.TYPE, event.VERSION, codec.encode(event, NONCE))
    assert back == event
    assert type(back) is cls


def test_type_names_and_versions_are_those_that_were_released() -> None:
    assert {name: cls.VERSION for name, cls in EVENT_TYPES.items()} == {
        "file-set-created": 1,
        "file-set-imported": 1,
        "instance-added": 2,
        "instance-corrected": 1,
        "instances-corrected": 1,
        "instances-converted": 1,
        "instance-removed": 1,
        "instance-restored": 1,
        "content-recorded": 1,
        "stranger-kept": 1,
        "file-set-id-changed": 1,
        "file-set-uid-changed": 1,
        "descriptor-file-id-changed": 1,
        "descriptor-character-set-changed": 1,
        "profile-changed": 1,
        "record-elements-recorded": 1,
        "icon-recorded": 1,
        "change-undone": 1,
        "change-redone": 1,
        "change-reverted": 1,
        "position-tagged": 1,
        "tag-deleted": 1,
        "write-started": 2,
        "write-completed": 1,
        "write-abandoned": 1,
        "medium-left": 1,
        "medium-lost": 1,
        "damage-noted": 1,
        "damage-repaired": 1,
        "write-exported": 1,
        "medium-started": 1,
        "medium-addressed": 2,
        "medium-filled": 1,
        "medium-produced": 1,
        "medium-verified": 1,
        "medium-burnt": 1,
        "instance-rejected": 1,
        "conflict-noted": 1,
        "arrival-withheld": 1,
        "mismatch-noted": 1,
        "mismatch-settled": 1,
        "patient-name-noted": 1,
        "record-mended": 1,
        "records-kept": 2,
        "payload-erased": 2,
        "erasure-completed": 1,
        "journal-recovered": 1,
    }


@pytest.mark.parametrize("event", GOLDEN_EVENTS, ids=lambda event: event.TYPE)
def test_a_golden_event_is_written_as_it_was_first(event: Event) -> None:
    path = GOLDEN / f"{event.TYPE}-{event.VERSION}.json"
    assert payload(event) == json.loads(path.read_bytes())


NO_LONGER_SET = (attrs.fields(MediumAddressed).files,)
"""Fields that only payloads of former versions have."""


@pytest.mark.parametrize("event", GOLDEN_EVENTS, ids=lambda event: event.TYPE)
def test_a_golden_event_sets_every_field(event: Event) -> None:
    for field in attrs.fields(type(event)):
        if field.default is not attrs.NOTHING and field not in NO_LONGER_SET:
            assert getattr(event, field.name) != field.default, field.name


(_STARTED,) = (event for event in GOLDEN_EVENTS if isinstance(event, WriteStarted))
(_ADDRESSED,) = (event for event in GOLDEN_EVENTS if isinstance(event, MediumAddressed))
(_FILLED,) = (event for event in GOLDEN_EVENTS if isinstance(event, MediumFilled))

FORMERLY: dict[str, Event] = {
    "write-started-1": evolve(_STARTED, leaving=None),
    "instance-added-1": evolve(CT, parents=(PATIENT,), differing=()),
    "payload-erased-1": PayloadErased(((3, 5), (9, 9)), ((4, 4),), ((3, 1),)),
    "records-kept-1": RecordsKept(3, (PATIENT,), RecordRef(2, 1)),
    "medium-addressed-1": evolve(_ADDRESSED, files=_FILLED.files),
}
"""What golden payloads of former versions mean, where they lack what is told today."""


@pytest.mark.parametrize("path", sorted(GOLDEN.glob("*.json")), ids=lambda path: path.stem)
def test_a_golden_payload_of_any_version_is_read_as_its_event(path: Path) -> None:
    event_type, version = path.stem.rsplit("-", 1)
    (expected,) = (event for event in GOLDEN_EVENTS if event_type == event.TYPE)
    expected = FORMERLY.get(path.stem, expected)
    assert codec.decode(event_type, int(version), path.read_bytes()) == expected


@pytest.mark.parametrize("cls", EVENTS, ids=lambda cls: cls.TYPE)
def test_every_version_there_ever_was_has_a_golden_payload_and_an_upcaster(
    cls: type[Event],
) -> None:
    for version in range(1, cls.VERSION + 1):
        assert (GOLDEN / f"{cls.TYPE}-{version}.json").is_file()
    for version in range(1, cls.VERSION):
        assert (cls.TYPE, version) in upcasters.UPCASTERS


def test_the_keys_of_an_instance_s_payload_are_short_and_fixed() -> None:
    assert list(payload(CT)) == [
        "instance", "class", "syntax", "record", "parents", "under", "content", "placement",
        "source", "file_id", "differing", "nonce",
    ]  # fmt: skip
    assert payload(CT)["under"] == [7, 2]
    assert payload(CT)["record"]["elements"]["00081140"] == {
        "vr": "SQ",
        "Value": [{"00081155": {"vr": "UI", "Value": ["1.2.3"]}}],
    }


def test_a_field_at_its_default_is_not_written() -> None:
    assert payload(FileSetCreated("1.2.3")) == {"uid": "1.2.3", "nonce": NONCE}
    assert payload(WriteStarted("/m", "pydicom", 3)) == {
        "root": "/m", "layout": "pydicom", "base": 3, "nonce": NONCE,
    }  # fmt: skip
    bare = InstanceAdded("1", "2", "3", Record("IMAGE", IMAGE.elements))
    assert payload(bare).keys() == {"instance", "class", "syntax", "record", "nonce"}


def test_what_a_file_set_was_and_became_is_written_even_if_it_is_nothing() -> None:
    assert payload(FileSetIDChanged(None, None)) == {
        "value": None, "previous": None, "nonce": NONCE,
    }  # fmt: skip


def test_an_event_of_today_replays_under_a_version_that_gave_it_a_field() -> None:
    assert decoded("write-started", 1, {"root": "/m", "layout": "x", "base": 3}) == WriteStarted(
        "/m", "x", 3
    )


@given(texts)
def test_text_from_a_file_system_comes_back_whatever_its_bytes(text: str) -> None:
    event = InstanceRejected(source=text, reason=text)
    data = codec.encode(event, NONCE)
    assert codec.decode(event.TYPE, 1, data) == event
    assert json.loads(data)["source"] == text


def test_a_file_name_that_is_no_utf_8_stands_beside_any_other_field() -> None:
    event = InstanceAdded(
        "1", "2", "3", Record("IMAGE", encode([])),
        placement=Placement.REFERENCE, source="/in/caf\udce9",
    )  # fmt: skip
    payload = codec.encode(event, "")
    assert codec.decode("instance-added", 1, payload) == event


def test_text_that_is_no_utf_8_is_written_with_escapes_and_without_spaces() -> None:
    data = codec.encode(InstanceRejected("/CAF\udce9", "é"), NONCE)
    assert data == (
        b'{"source":"/CAF\\udce9","reason":"\\u00e9","nonce":"%b"}' % NONCE.encode("ascii")
    )


@pytest.mark.parametrize("value", [object(), b"bytes", Path("/x"), float("nan")])
def test_an_event_with_a_value_that_is_no_json_is_refused(value: Any) -> None:
    try:
        data = codec.encode(InstanceRejected(value, "reason"), NONCE)
    except (TypeError, ValueError):
        return
    with pytest.raises(JournalDamagedError):
        codec.decode("instance-rejected", 1, data)


@pytest.mark.parametrize(
    "changes",
    [
        {"sop_instance_uid": object()},
        {"source": object()},
        {"content": ("a", 1)},
        {"record": Record("IMAGE", b"no elements")},
        {"parents": (Record("PATIENT", encode_element(0x00100020, "LO", b"1") * 2),)},
        {"invented": {"StudyID": object()}},
    ],
)
def test_a_check_refuses_what_could_not_be_written(changes: dict[str, Any]) -> None:
    event = evolve(InstanceAdded("1", "2", "3", Record("IMAGE", encode([]))), **changes)
    with pytest.raises((TypeError, ValueError, AttributeError)) as written:
        codec.encode(event, "")
    with pytest.raises(written.type):
        codec.check(event)


@given(events)
def test_a_check_lets_pass_what_can_be_written(event: Event) -> None:
    codec.check(event)


# --- what is not known, and what is damaged ------------------------------------------------------


@pytest.mark.parametrize(("name", "version"), [("file-set-burnt", 1), ("file-set-created", 2)])
def test_an_event_of_a_newer_version_is_not_guessed_at(name: str, version: int) -> None:
    with pytest.raises(UnknownFormatError, match=f"'{name}'.*later one"):
        decoded(name, version, {"uid": "1.2.3"})


@pytest.mark.parametrize(
    ("event_type", "body"),
    [
        ("file-set-created", {"uid": "1.2.3", "colour": "red"}),
        ("content-recorded", {"instance": 1, "placement": "vault",
                              "content": {"digest": DIGEST, "size": 1, "colour": "red"}}),
        ("instance-added", payload(CT) | {"colour": "red"}),
        ("instance-added", payload(CT) | {"sop_instance_uid": "1.2.3"}),
        ("instance-added", payload(CT) | {"record": {"type": "X", "elements": {}, "colour": 1}}),
    ],
)  # fmt: skip
def test_a_key_that_is_not_known_is_never_dropped(event_type: str, body: dict[str, Any]) -> None:
    with pytest.raises(
        UnknownFormatError, match=f"'{event_type}' with unknown keys: (colour|sop_inst)"
    ):
        decoded(event_type, 1, body)


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("file-set-created", b"\xff\xfe"),
        ("file-set-created", b"[]"),
        ("file-set-created", b"null"),
        ("file-set-created", b"{}"),
        ("file-set-created", b'{"uid": null}'),
        ("file-set-created", b'{"uid": 5}'),
        ("file-set-created", b'{"uid": "1.2.3"'),
        ("file-set-created", b'{"uid": "\\ud800"'),
        ("file-set-created", b'{"\\udc80":' + b"[" * 100_000),
        ("instance-removed", b'{"instance": "3"}'),
        ("instance-removed", b'{"instance": 3.5}'),
        ("instance-removed", b'{"instance": true}'),
        ("instance-removed", b'{"instance": NaN}'),
        ("write-completed", b'{"started": 1, "dicomdir": "md5:00"}'),
        ("write-completed", b'{"started": 1, "dicomdir": 5}'),
        ("write-started", b'{"root": "", "layout": "", "base": 1, "dropped": ["5"]}'),
        ("write-started", b'{"root": "", "layout": "", "base": 1, "placed": {"A": 5}}'),
        ("write-started", b'{"root": "", "layout": "", "base": 1, "implicit_vr": 1}'),
        ("content-recorded", b'{"instance": 1, "content": null, "placement": "vault"}'),
        ("content-recorded", orjson.dumps(
            {"instance": 1, "content": {"digest": DIGEST, "size": 1}, "placement": "cellar"})),
        ("instance-added", orjson.dumps(payload(CT) | {"under": [1]})),
        ("instance-added", orjson.dumps(payload(CT) | {"under": ["1", "2"]})),
        ("instance-added", orjson.dumps(payload(CT) | {"record": {"type": "IMAGE"}})),
        ("instance-added", orjson.dumps(payload(CT) | {"record": {
            "type": "IMAGE", "elements": {"00100010": {"vr": "XX"}}}})),
        ("instance-added", orjson.dumps(payload(CT) | {"parents": 5})),
    ],
)  # fmt: skip
def test_a_malformed_payload_is_damage(event_type: str, data: bytes) -> None:
    with pytest.raises(JournalDamagedError, match=f"'{event_type}' is malformed"):
        codec.decode(event_type, 1, data)


OUTSIDE = (
    "",
    "/",
    "/etc/x",
    "..",
    "../x",
    "A/../../x",
    "A/B/../../../x",
    ".",
    "A/..",
    "A\0B",
    "//x",
)
UNPLAIN = ("a//b", "A/./B", "./A", "A/", "A/../B", "./DICOMDIR", "DICOMDIR/", "A/../DICOMDIR")
OF_THE_DICOMDIR = (
    "DICOMDIR",
    "dicomdir",
    "DicomDir",
    "DICOMDIR.",
    "DICOMDIR ",
    "DICOMDIR;1",
    "dicomdir.;12",
    "DICOMDIR.dcm",
    "DICOMDIR/IM1",
    "dicomdir/IM1",
    "DICOMDIR./D/IM1",
    "DICOMDIR /IM1",
)


@pytest.mark.parametrize("path", [*OUTSIDE, *UNPLAIN, *OF_THE_DICOMDIR])
@pytest.mark.parametrize("where", ["file_id", "placed", "folder", "staging"])
def test_a_file_id_that_no_file_of_a_file_set_can_have_is_damage(where: str, path: str) -> None:
    started = {"root": "/m", "layout": "pydicom", "base": 1}
    event_type, body = {
        "file_id": ("instance-added", payload(CT) | {"file_id": path}),
        "placed": ("write-started", started | {"placed": {"": {path: 2}}}),
        "folder": ("write-started", started | {"placed": {path or "..": {"": 2}}}),
        "staging": ("write-started", started | {"staging": path}),
    }[where]
    with pytest.raises(JournalDamagedError, match=f"'{event_type}' names the path"):
        codec.decode(event_type, EVENT_TYPES[event_type].VERSION, orjson.dumps(body))


NAMEABLE = (
    "A/DICOMDIR",
    "DICOMDIR2/IM1",
    ".A/..B",
    "a b/c.",
    "XDICOMDIR",
    "DICOMDIR.DCM/IM1",
    "dicomdir;1/IM1",
    "A/dicomdir/IM1",
)


@pytest.mark.parametrize("path", NAMEABLE)
def test_a_file_id_may_be_any_other_name(path: str) -> None:
    data = orjson.dumps(payload(CT) | {"file_id": path})
    event = codec.decode("instance-added", EVENT_TYPES["instance-added"].VERSION, data)
    assert isinstance(event, InstanceAdded)
    assert event.file_id == path


def test_a_version_before_the_first_is_damage() -> None:
    with pytest.raises(JournalDamagedError):
        decoded("file-set-created", 0, {"uid": "1.2.3"})


@given(events, st.data())
def test_a_payload_with_bytes_replaced_is_an_event_or_one_of_our_errors(
    event: Event, data: st.DataObject
) -> None:
    mutable = bytearray(codec.encode(event, NONCE))
    for _ in range(data.draw(st.integers(1, 3))):
        mutable[data.draw(st.integers(0, len(mutable) - 1))] = data.draw(st.integers(0, 255))
    with suppress(JournalDamagedError, UnknownFormatError):
        codec.decode(event.TYPE, event.VERSION, bytes(mutable))


# --- upcasters -----------------------------------------------------------------------------------


@pytest.fixture
def third_version(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Makes FileSetCreated a third version: its uid was once named 'name', then 'identifier'."""
    steps: list[str] = []

    def renamed(old: str, new: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
        def upcast(body: dict[str, Any]) -> dict[str, Any]:
            steps.append(f"{old} to {new}")
            return {new if key == old else key: value for key, value in body.items()}

        return upcast

    monkeypatch.setattr(FileSetCreated, "VERSION", 3)
    monkeypatch.setitem(upcasters.UPCASTERS, ("file-set-created", 1), renamed("name", "identifier"))
    monkeypatch.setitem(upcasters.UPCASTERS, ("file-set-created", 2), renamed("identifier", "uid"))
    return steps


def test_an_old_payload_is_read_through_the_chain_of_upcasters(third_version: list[str]) -> None:
    new = FileSetCreated("1.2.3", "ID")
    assert decoded("file-set-created", 1, {"name": "1.2.3", "id": "ID", "nonce": NONCE}) == new
    assert third_version == ["name to identifier", "identifier to uid"]
    assert decoded("file-set-created", 2, {"identifier": "1.2.3", "id": "ID"}) == new
    assert decoded("file-set-created", 3, {"uid": "1.2.3", "id": "ID"}) == new
    assert third_version == ["name to identifier", "identifier to uid", "identifier to uid"]


@pytest.mark.usefixtures("third_version")
def test_a_payload_that_its_upcaster_can_t_read_is_damage() -> None:
    with pytest.raises(JournalDamagedError):
        decoded("file-set-created", 2, ["identifier"])
    with pytest.raises(UnknownFormatError):
        decoded("file-set-created", 4, {"uid": "1.2.3"})


def test_reading_old_events_leaves_the_stored_bytes_alone(
    tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "journal"
    with closing(SqliteJournal.create(path)) as journal, monkeypatch.context() as old:
        old.setattr(
            codec, "encode", lambda _, nonce: b'{"name":"1.2.3","nonce":"%b"}' % nonce.encode()
        )
        journal.append([FileSetCreated("1.2.3")], Draft("1", "", ""), expected=0)
    before = path.read_bytes()
    request.getfixturevalue("third_version")
    with closing(SqliteJournal(path)) as journal:
        (recorded,) = journal.read()
        (stored,) = journal.stored()
    assert recorded.event == FileSetCreated("1.2.3")
    assert stored.version == 1
    assert stored.payload.startswith(b'{"name":"1.2.3"')
    assert path.read_bytes() == before


# --- nonces and sizes ----------------------------------------------------------------------------


def test_every_payload_has_a_nonce_of_its_own() -> None:
    with closing(MemoryJournal()) as journal:
        events = [InstanceRemoved(1)] * 50
        journal.append(events, Draft("1", "", ""), expected=0)
        journal.append(events, Draft("2", "", ""), expected=50)
        nonces = [orjson.loads(stored.payload)["nonce"] for stored in journal.stored()]
        digests = {stored.digest for stored in journal.stored()}
    assert all(re.fullmatch("[0-9a-f]{16}", nonce) for nonce in nonces)
    assert len(set(nonces)) == len(digests) == 100


def test_a_slice_takes_less_than_600_bytes_of_the_journal_s_file(tmp_path: Path) -> None:
    path = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"
    instance = read_instance(path.read_bytes())
    *parents, image = build_records(instance)

    def added(i: int) -> InstanceAdded:
        first = i - i % 200
        number = Element(0x00200013, "IS", str(i % 200 + 1).encode())
        new = i == first
        return InstanceAdded(
            sop_instance_uid=f"1.3.6.1.4.1.5962.1.1.1.{first}.{i}.20040119072730.12322",
            sop_class_uid="1.2.840.10008.5.1.4.1.1.2",
            transfer_syntax_uid="1.2.840.10008.1.2.1",
            record=evolve(
                image, elements=encode([Element(0x00080005, "CS", b"ISO_IR 100"), number])
            ),
            parents=tuple(parents) if new else (),
            under=None if new else RecordRef(first + 1, 2),
            content=Content(from_raw(secrets.token_bytes(32)), 526_000 + i),
            source=f"/data/incoming/2024-05/CT/SE{first:05}/IM{i:05}.dcm",
        )

    with closing(SqliteJournal.create(tmp_path / "journal")) as journal:
        for first in range(0, 2000, 200):
            draft = Draft(secrets.token_hex(8), "someone", "a-host fileset")
            journal.append([added(first + i) for i in range(200)], draft, expected=first)
    assert (tmp_path / "journal").stat().st_size / 2000 < 600


# --- digests -------------------------------------------------------------------------------------


@given(st.binary(min_size=32, max_size=32))
def test_a_digest_has_one_written_form(raw: bytes) -> None:
    assert to_raw(from_raw(raw)) == raw


@pytest.mark.parametrize(
    "text",
    ["", "sha256:", DIGEST[7:], DIGEST.upper(), DIGEST[:-1], DIGEST + "0", f" {DIGEST}",
     f"{DIGEST}\n", "sha256:" + "ab " * 32, "sha256:" + DIGEST[7:].upper(), "md5:" + DIGEST[7:]],
)  # fmt: skip
def test_another_form_of_a_digest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="Not a digest"):
        to_raw(text)
    with pytest.raises(ValueError, match="32 bytes"):
        from_raw(base64.b64decode("AAAA"))


def test_the_codec_needs_no_pydicom() -> None:
    imports = "import sys, ledger.journal.codec, ledger.journal.sqlite"
    script = f"{imports}; sys.exit('pydicom' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0
