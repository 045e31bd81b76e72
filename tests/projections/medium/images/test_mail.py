"""A ZIP as a message: as PS3.11 L.3.2 asks, whatever its subject and text are."""

from __future__ import annotations

from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage

from hypothesis import example, given
from hypothesis import strategies as st
from media_trees import TIME, VOLUME, Tree, image, plan, trees, written

from projections.medium.images.mail import Message, plan_mail

_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=120)


def _read(data: bytes) -> EmailMessage:
    message = message_from_bytes(data, policy=policy.SMTP)
    assert isinstance(message, EmailMessage)
    return message


@given(tree=trees(most=4))
def test_a_mail_holds_the_very_bytes_of_the_zip(tree: Tree) -> None:
    [attached] = _read(image("eml", tree)).iter_attachments()
    assert attached.get_content() == image("zip", tree)
    assert attached.defects == []


def test_the_attachment_is_called_as_the_standard_says() -> None:
    [attached] = _read(image("eml", {"DICOMDIR": b"1"})).iter_attachments()
    assert attached.get_content_type() == "application/zip"
    assert dict(attached["Content-Type"].params) == {"id": "DICOM.ZIP", "name": "DICOM.ZIP"}
    assert attached.get_content_disposition() == "attachment"
    assert attached.get_filename() == "DICOM.ZIP"


@given(subject=_TEXT, text=st.text(max_size=200).filter(lambda text: "\ud800" not in text))
@example(subject="Ärztin " * 30, text="")
@example(subject="=?utf-8?B?QUFB?=", text="")
@example(subject="two\r\nBcc: lines", text="--DICOM-ZIP\r\n")
def test_subject_and_text_arrive_as_they_are(subject: str, text: str) -> None:
    tree = {"DICOMDIR": b"1"}
    layout = plan_mail(plan("zip", tree), Message(TIME, subject, text))
    data = written(layout, tree)
    message = _read(data)
    assert len(data) == layout.size
    assert message["Subject"].split() == f"DICOM-ZIP {subject}".split()
    assert message["Bcc"] is None
    body = message.get_body()
    assert body is not None
    assert body.get_content().splitlines() == text.splitlines()
    assert all(len(line) <= 78 for line in data.split(b"\r\n"))
    assert b"\n" not in data.replace(b"\r\n", b"")


def test_text_that_is_no_unicode_makes_a_whole_mail_all_the_same() -> None:
    tree = {"DICOMDIR": b"1"}
    message = _read(written(plan_mail(plan("zip", tree), Message(TIME, "\udce9", "\udce9")), tree))
    assert message["Subject"] == "DICOM-ZIP ?"


def test_a_mail_has_the_date_that_it_was_given() -> None:
    date = _read(image("eml", {"DICOMDIR": b"1"}))["Date"].datetime
    assert date == datetime(*VOLUME.created, tzinfo=UTC)
