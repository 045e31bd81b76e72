"""Audit messages as XML: valid by the Standard's schema, short enough, and nothing left out."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from attrs import evolve
from audit_schema import TRANG_AND_XMLLINT, faults_of, told_by_xmllint
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from fileset.audit.message import LONGEST, AuditMessage
from fileset.audit.xml import messages_of
from ledger.journal.entries import Change
from projections.past.audit import (
    Audited,
    AuditedMedium,
    AuditedPatient,
    AuditedStudy,
    AuditFact,
    MediaKind,
)

CT = "1.2.840.10008.5.1.4.1.1.2"
CHANGE = Change("3f2a00112233", 12, 3, "2024-02-29T12:00:00.000000Z", "anna", "fileset@ward7", None)

texts = st.text(st.characters(), max_size=80) | st.sampled_from(
    [
        "",
        "Müller^Jörg=ミュラー",
        "<&\"'>]]>",
        "\0\x1b\x7f\x85\ufffe\ud800",
        "x" * 5_000,
        "&" * 3_000,
    ]
)
uids = st.from_regex(r"1\.2(\.[1-9][0-9]{0,8}){1,5}", fullmatch=True)


@st.composite
def facts(draw: st.DrawFn) -> AuditFact:
    kind = draw(st.sampled_from(Audited))
    many = kind in {Audited.IMPORTED, Audited.EXPORTED}
    classes = st.lists(st.tuples(uids, st.integers(1, 10**6)), max_size=5).map(tuple)
    studies = st.builds(AuditedStudy, uids, texts, texts, classes)
    patients = draw(
        st.lists(
            st.builds(
                AuditedPatient, texts, texts, st.lists(studies, max_size=4).map(tuple), st.just(1)
            ),
            max_size=4 if many else 1,
        )
    )
    change = Change(
        draw(st.from_regex(r"[0-9a-f]{12}", fullmatch=True)),
        draw(st.integers(1, 10**7)),
        draw(st.integers(1, 10**7)),
        draw(st.datetimes()).isoformat(timespec="microseconds") + "Z",
        draw(texts),
        draw(texts | st.just("fileset@ward7")),
        draw(st.none() | texts),
    )
    places = texts | texts.map("/{}".format)
    medium = st.builds(AuditedMedium, places, st.none() | uids, st.sampled_from(MediaKind))
    return AuditFact(
        kind,
        change,
        tuple(patients),
        instances=draw(st.integers(1, 10**6)),
        erased=draw(st.integers(0 if patients else 1, 10**6)),
        medium=draw(st.none() | medium) if many else None,
        recipient=draw(st.none() | texts) if kind is Audited.EXPORTED else None,
        detail=draw(texts),
    )


def counted(messages: list[AuditMessage]) -> Counter[tuple[str, str]]:
    """Return how many instances the messages tell of each study and SOP Class."""
    found: Counter[tuple[str, str]] = Counter()
    for message in messages:
        for study in etree.fromstring(message.xml).iterfind("ParticipantObjectIdentification"):
            for sop_class in study.iterfind("ParticipantObjectDescription/SOPClass"):
                key = study.get("ParticipantObjectID"), sop_class.get("UID")
                found[key] += int(sop_class.get("NumberOfInstances"))
    return found


@given(facts())
def test_whatever_names_and_values_hold_every_message_is_valid_and_short(fact: AuditFact) -> None:
    messages = list(messages_of([fact], "fileset-ledger 0011"))
    assert messages == list(messages_of([fact], "fileset-ledger 0011"))
    assert [message.part for message in messages] == list(range(1, len(messages) + 1))
    for message in messages:
        assert faults_of(message.xml) == []
        length, _, syslog = message.syslog("h" * 300).partition(b" ")
        assert int(length) == len(syslog) <= LONGEST
        assert all(octet >= 32 for octet in message.xml)


@given(st.lists(facts(), max_size=4))
def test_messages_of_one_change_have_names_of_their_own_and_one_count(
    several: list[AuditFact],
) -> None:
    told = [evolve(fact, change=CHANGE) for fact in several]
    messages = list(messages_of(told, "source"))
    assert len(messages) >= len(several)
    assert [message.part for message in messages] == list(range(1, len(messages) + 1))
    assert {message.parts for message in messages} <= {len(messages)}
    for identity in ("name", "process", "xml"):
        assert len({getattr(message, identity) for message in messages}) == len(messages)
    assert [message.name for message in messages] == sorted(message.name for message in messages)


@given(facts())
def test_every_study_is_told_with_its_numbers(fact: AuditFact) -> None:
    wanted: Counter[tuple[str, str]] = Counter()
    for patient in fact.patients:
        for study in patient.studies:
            for uid, count in study.sop_classes:
                wanted[study.uid, uid] += count
    if not fact.patients:
        wanted = Counter({("erased", None): fact.erased})
    assert counted(list(messages_of([fact], ""))) == wanted


def test_what_is_too_long_for_one_message_is_told_in_several_by_patients_and_studies() -> None:
    patients = tuple(
        AuditedPatient(
            f"P{number}",
            "Doe^John",
            tuple(
                AuditedStudy(f"1.2.{number}.{study}", "Abdomen", "", ((CT, 7),))
                for study in range(40)
            ),
            280,
        )
        for number in range(10)
    )
    fact = AuditFact(Audited.EXPORTED, CHANGE, patients, 2_800, 0, AuditedMedium("/media/cd"))
    messages = list(messages_of([fact], ""))
    assert 2 < len(messages) < 12
    assert {message.parts for message in messages} == {len(messages)}
    assert len({message.name for message in messages}) == len(messages)
    for message in messages:
        patient = None
        for each in etree.fromstring(message.xml).iterfind("ParticipantObjectIdentification"):
            if each.get("ParticipantObjectTypeCode") == "1":
                patient = each.get("ParticipantObjectID").removeprefix("P")
            else:  # a study comes after its patient, in each message
                assert each.get("ParticipantObjectID").split(".")[2] == patient
        assert f"Part {message.part} of {len(messages)}.".encode() in message.xml


def test_a_study_of_very_many_sop_classes_is_told_in_parts() -> None:
    classes = tuple((f"1.2.3.{number}", 1) for number in range(2_000))
    study = AuditedStudy("1.2", "", "", classes)
    fact = AuditFact(Audited.IMPORTED, CHANGE, (AuditedPatient("P", "", (study,), 2_000),), 2_000)
    messages = list(messages_of([fact], ""))
    assert len(messages) > 1
    assert sum(counted(messages).values()) == 2_000
    assert all(len(message.xml) < LONGEST for message in messages)


def test_a_message_has_the_codes_of_its_table() -> None:
    """PS3.15 Tables A.5.3.4-1, A.5.3.5-1, A.5.3.6-1 and A.5.3.8-1."""
    study = AuditedStudy("1.2.3", "Head", "A77", ((CT, 2),))
    patient = AuditedPatient("4MR1", "Doe^J", (study,), 2)
    codes = {
        Audited.IMPORTED: ("110107", "C", ["110152", "110152", "110155"]),
        Audited.EXPORTED: ("110106", "R", ["110153", "110153", "110154"]),
        Audited.UPDATED: ("110103", "U", []),
        Audited.DELETED: ("110103", "D", []),
        Audited.STUDY_DELETED: ("110105", "D", []),
    }
    for kind, (event, action, roles) in codes.items():
        medium = AuditedMedium("/media/a b", "1.9") if roles else None
        (message,) = messages_of([AuditFact(kind, CHANGE, (patient,), 2, medium=medium)], "source")
        root = etree.fromstring(message.xml)
        identification = root.find("EventIdentification")
        assert identification.find("EventID").get("csd-code") == event
        assert identification.get("EventActionCode") == action
        assert identification.get("EventDateTime") == CHANGE.recorded_at
        people = root.findall("ActiveParticipant")
        assert [p.get("UserID") for p in people[:2]] == ["anna", "fileset"]
        assert [p.get("UserIsRequestor") for p in people] == ["true", "false", "false"][
            : len(people)
        ]
        assert [role.get("csd-code") for role in root.iter("RoleIDCode")] == roles
        if roles:
            assert people[2].get("UserID") == "file:///media/a%20b"
            assert people[2].get("AlternativeUserID") == "1.9"
            assert people[2].find("MediaIdentifier/MediaType").get("csd-code") == "110037"
        person, examined = root.findall("ParticipantObjectIdentification")
        assert person.findtext("ParticipantObjectName") == "Doe^J"
        assert examined.find("ParticipantObjectDescription/Accession").get("Number") == "A77"


def test_it_is_framed_as_syslog_over_tls_is() -> None:
    """RFC 5425 Section 4.3, RFC 5424 Section 6, PS3.15 Section A.6."""
    message = AuditMessage(CHANGE, Audited.IMPORTED, 1, 1, b"<AuditMessage/>")
    header = (
        "<85>1 2024-02-29T12:00:00.000000Z ward_7 fileset-ledger 3f2a00112233-0001 DICOM+RFC3881 - "
    )
    whole = header.encode() + b"\xef\xbb\xbf<AuditMessage/>"
    assert message.syslog("ward 7") == b"%d %s" % (len(whole), whole)


@pytest.mark.skipif(not TRANG_AND_XMLLINT, reason="trang or xmllint is not installed")
def test_another_validator_agrees(tmp_path: Path) -> None:
    study = AuditedStudy("1.2.3", "", "A", ((CT, 2),))
    patient = AuditedPatient("4MR1", "M\xfcller", (study,), 2)
    messages = [
        message.xml
        for kind in Audited
        for fact in (
            AuditFact(kind, CHANGE, (patient,), 2),
            AuditFact(kind, CHANGE, (), 2, 2, detail="Erased: the events at positions 4 to 5."),
        )
        for message in messages_of([fact], "source")
    ]
    assert told_by_xmllint(messages, tmp_path) == ""
    broken = [messages[0].replace(b"EventDateTime", b"EventTime")]
    assert "fails to validate" in told_by_xmllint(broken, tmp_path)
    assert faults_of(broken[0])
