"""Audit messages as XML, by the schema and the tables of PS3.15 Section A.5."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from html import escape
from typing import Final, NamedTuple
from urllib.parse import quote

from fileset.audit.message import HEADER_ROOM, LONGEST, AuditMessage
from ledger.phrases import count
from projections.past.audit import (
    Audited,
    AuditedMedium,
    AuditedPatient,
    AuditedStudy,
    AuditFact,
    MediaKind,
)

_ROOM: Final = LONGEST - HEADER_ROOM
_MOST: Final = 1_000  # octets of a value; of a URI, which may stand there twice, four times that
_CLASSES_MOST: Final = 8_000  # octets of the SOP Classes of one study in one message
_ERASED: Final = "erased"  # stands for what nothing is known of any more

_NO_TEXT: Final = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_SPACES: Final = re.compile("[\t\n\r]")


class _Code(NamedTuple):
    """A code of PS3.16, all of them from the scheme DCM."""

    value: str
    meaning: str


class _Event(NamedTuple):
    id: _Code
    action: str
    user_role: _Code | None = None
    medium_role: _Code | None = None


_DESTINATION: Final = _Code("110152", "Destination Role ID")
_SOURCE: Final = _Code("110153", "Source Role ID")
_ACCESSED: Final = _Code("110103", "DICOM Instances Accessed")
_MEDIA: Final = {
    MediaKind.CD: _Code("110032", "CD"),
    MediaKind.DVD: _Code("110033", "DVD"),
    MediaKind.USB: _Code("110030", "USB Disk Emulation"),
    MediaKind.MAIL: _Code("110031", "Email"),
    MediaKind.URI: _Code("110037", "URI"),
}
"""PS3.16 CID 405, Media Type Code."""
_STUDY: Final = _Code("110180", "Study Instance UID")

_EVENTS: Final = {
    Audited.IMPORTED: _Event(
        _Code("110107", "Import"), "C", _DESTINATION, _Code("110155", "Source Media")
    ),
    Audited.EXPORTED: _Event(
        _Code("110106", "Export"), "R", _SOURCE, _Code("110154", "Destination Media")
    ),
    Audited.UPDATED: _Event(_ACCESSED, "U"),
    Audited.DELETED: _Event(_ACCESSED, "D"),
    Audited.STUDY_DELETED: _Event(_Code("110105", "DICOM Study Deleted"), "D"),
}
"""PS3.15 Tables A.5.3.4-1 (Export), A.5.3.5-1 (Import), A.5.3.6-1 and A.5.3.8-1."""


def messages_of(facts: Iterable[AuditFact], source: str) -> Iterator[AuditMessage]:
    """Yield the messages that tell `facts`, all those of one change, as parts of one whole.

    A fact has several, by patients and studies, where one is too long. `source` identifies the
    system that reports it. Values longer than 1,000 octets are cut.
    """
    bodies = [(fact, body) for fact in facts for body in _bodies(fact)]
    for part, (fact, body) in enumerate(bodies, 1):
        xml = _message(fact, source, body, f"Part {part} of {len(bodies)}." * (len(bodies) > 1))
        yield AuditMessage(fact.change, fact.kind, part, len(bodies), xml)


def _message(fact: AuditFact, source: str, objects: bytes, part: str) -> bytes:
    event = _EVENTS[fact.kind]
    attributes = {
        "EventActionCode": event.action,
        "EventDateTime": fact.change.recorded_at,
        "EventOutcomeIndicator": "0",
    }
    described = _element("EventOutcomeDescription", {}, _text(_description(fact, part), 3 * _MOST))
    return b"".join(
        (
            b'<?xml version="1.0" encoding="UTF-8"?><AuditMessage>',
            _element("EventIdentification", attributes, _coded("EventID", event.id) + described),
            *_participants(fact, event),
            _element(
                "AuditSourceIdentification",
                {"AuditSourceID": source},
                _element("AuditSourceTypeCode", {"csd-code": "4"}),  # an application server
            ),
            objects,
            b"</AuditMessage>",
        )
    )


def _description(fact: AuditFact, part: str) -> str:
    """Return in words what has no field of its own in the schema."""
    change = fact.change
    about = count(fact.instances, "instance")
    if fact.erased and fact.kind not in {Audited.DELETED, Audited.STUDY_DELETED}:
        some = "all" if fact.erased == fact.instances else f"{fact.erased:,}"
        about += f", {some} of them erased since"
    sentences = [f"{about}.", fact.detail, part]
    where = f"position {change.first}"
    if change.count > 1:
        where = f"positions {change.first} to {change.last}"
    sentences.append(f"Change {change.id}, {where}.")
    if change.reason:
        sentences.append(f"Reason: {change.reason}")
    return " ".join(filter(None, sentences))


def _participants(fact: AuditFact, event: _Event) -> Iterator[bytes]:
    """Yield who did it, with which program, and the medium: the person is the one who asked."""
    change = fact.change
    program, _, host = change.origin.rpartition("@")
    where = {"NetworkAccessPointID": host, "NetworkAccessPointTypeCode": "1"} if host else {}
    role = _coded("RoleIDCode", event.user_role) if event.user_role else b""
    person = {"UserID": change.actor, "UserIsRequestor": "true"}
    process = {"UserID": program or change.origin, "UserIsRequestor": "false"}
    yield _element("ActiveParticipant", person | where, role)
    yield _element("ActiveParticipant", process | where, role)
    if fact.recipient:
        recipient = {"UserID": fact.recipient, "UserIsRequestor": "false"}
        yield _element("ActiveParticipant", recipient, _coded("RoleIDCode", _DESTINATION))
    if event.medium_role is not None:
        yield _medium(fact, event.medium_role)


def _medium(fact: AuditFact, role: _Code) -> bytes:
    medium = fact.medium or AuditedMedium(f"data sets passed by {fact.change.origin}")
    attributes = {"UserID": medium.where, "UserIsRequestor": "false"}
    if medium.where.startswith("/"):
        uri = f"file://{quote(medium.where)}"
        attributes |= {
            "UserID": uri,
            "NetworkAccessPointID": uri,
            "NetworkAccessPointTypeCode": "5",
        }
    if medium.uid:
        attributes["AlternativeUserID"] = medium.uid
    identifier = _element("MediaIdentifier", {}, _coded("MediaType", _MEDIA[medium.kind]))
    return _element("ActiveParticipant", attributes, _coded("RoleIDCode", role) + identifier)


def _bodies(fact: AuditFact) -> Iterator[bytes]:
    """Yield the patients and studies of each message: whole studies, as many as it takes.

    A patient whose studies are in several messages is in each of them.
    """
    fixed = len(_message(fact, "", b"", "Part 1,000 of 1,000.")) + _MOST
    body = b""
    for patient, studies in _objects(fact):
        pending = patient
        for study in studies or [b""]:
            if body and fixed + len(body) + len(pending) + len(study) > _ROOM:
                yield body
                body, pending = b"", patient
            body, pending = body + pending + study, b""
    if body:
        yield body


def _objects(fact: AuditFact) -> Iterator[tuple[bytes, list[bytes]]]:
    for patient in fact.patients:
        yield (
            _patient(patient),
            [object_ for study in patient.studies for object_ in _studies(study)],
        )
    if not fact.patients and fact.erased:
        gone = _element("SOPClass", {"NumberOfInstances": str(fact.erased)})
        yield (
            _patient(AuditedPatient(_ERASED, _ERASED, (), fact.erased)),
            [_study(AuditedStudy(_ERASED, _ERASED, "", ()), gone)],
        )


def _patient(patient: AuditedPatient) -> bytes:
    attributes = {
        "ParticipantObjectID": patient.id,
        "ParticipantObjectTypeCode": "1",  # person
        "ParticipantObjectTypeCodeRole": "1",  # patient
    }
    number = {"csd-code": "2", "codeSystemName": "RFC-3881", "originalText": "Patient Number"}
    name = _element("ParticipantObjectName", {}, _text(patient.name or patient.id))
    return _element(
        "ParticipantObjectIdentification",
        attributes,
        _element("ParticipantObjectIDTypeCode", number) + name,
    )


def _studies(study: AuditedStudy) -> Iterator[bytes]:
    """Yield a study, several times if it has more SOP Classes than a message takes."""
    classes = b""
    for uid, number in study.sop_classes:
        element = _element("SOPClass", {"UID": uid, "NumberOfInstances": str(number)})
        if len(classes) + len(element) > _CLASSES_MOST:
            yield _study(study, classes)
            classes = b""
        classes += element
    yield _study(study, classes)


def _study(study: AuditedStudy, sop_classes: bytes) -> bytes:
    attributes = {
        "ParticipantObjectID": study.uid,
        "ParticipantObjectTypeCode": "2",  # system object
        "ParticipantObjectTypeCodeRole": "3",  # report
    }
    accession = b""
    if study.accession_number:
        accession = _element("Accession", {"Number": study.accession_number})
    return _element(
        "ParticipantObjectIdentification",
        attributes,
        _coded("ParticipantObjectIDTypeCode", _STUDY)
        + _element("ParticipantObjectName", {}, _text(study.description or study.uid))
        + _element("ParticipantObjectDescription", {}, accession + sop_classes),
    )


def _coded(name: str, code: _Code) -> bytes:
    attributes = {"csd-code": code.value, "codeSystemName": "DCM", "originalText": code.meaning}
    return _element(name, attributes)


def _element(name: str, attributes: dict[str, str], content: bytes = b"") -> bytes:
    parts = [f"<{name}".encode("ascii")]
    for key, value in attributes.items():
        most = 4 * _MOST if value.startswith("file://") else _MOST
        parts.append(f' {key}="'.encode("ascii") + _text(value, most) + b'"')
    parts += [b">", content, f"</{name}>".encode("ascii")] if content else [b"/>"]
    return b"".join(parts)


def _text(text: str, most: int = _MOST) -> bytes:
    """Return text as it stands in XML, in `most` octets, without what no XML can hold."""
    clean = _SPACES.sub(" ", _NO_TEXT.sub("\ufffd", text))
    whole = escape(clean).encode("utf-8")
    if len(whole) <= most:
        return whole
    return b"".join(_fitting((escape(each).encode("utf-8") for each in clean), most - 3)) + (
        "\u2026".encode()
    )


def _fitting(pieces: Iterable[bytes], most: int) -> Iterator[bytes]:
    for piece in pieces:
        most -= len(piece)
        if most < 0:
            return
        yield piece
