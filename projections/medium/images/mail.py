"""A ZIP as a message to be sent (PS3.11 Section L.3.2 and PS3.12 Annex W): text, and DICOM.ZIP.

It names neither sender nor recipients: a mail program opens it as a draft (`X-Unsent`), and a
program that sends it puts their header fields in front.
"""

from __future__ import annotations

from binascii import b2a_base64
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import evolve, frozen

from projections.medium.images.layout import Layout
from projections.medium.images.tree import CivilTime

FORMAT: Final = "eml"
VERSION: Final = 1
"""Raise it with any change to the bytes of an image, and keep the former writer."""

SUBJECT: Final = "DICOM-ZIP"
"""What every subject says: so people and programs know what the message is."""

_LINE: Final = 57  # bytes, which make 76 characters
_WORD: Final = 42  # bytes of UTF-8 in an encoded word of a header field, at most 75 characters
_MONTHS: Final = "JanFebMarAprMayJunJulAugSepOctNovDec"


@frozen
class Message:
    """What a message says besides the ZIP; `date` is when it was written."""

    date: CivilTime
    subject: str = ""
    text: str = ""


def plan_mail(archive: Layout, message: Message) -> Layout:
    """Return the layout of a message with the ZIP `archive`, which is in Base64."""
    # Neither text in Base64 nor a header field has lines that begin with two hyphens.
    boundary = "DICOM-ZIP"
    fields = [
        f"Date: {_date(message.date)}",
        f"Subject: {_unstructured(f'{SUBJECT} {message.subject}'.rstrip())}",
        "X-Unsent: 1",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/mixed; boundary="{boundary}"',
        "",
        f"--{boundary}",
        'Content-Type: text/plain; charset="utf-8"',
        "Content-Transfer-Encoding: base64",
        "",
        _lines("\r\n".join(message.text.splitlines()).encode(errors="replace"))
        .decode("ascii")
        .rstrip(),
        f"--{boundary}",
        'Content-Type: application/zip; id="DICOM.ZIP"; name="DICOM.ZIP"',
        "Content-Transfer-Encoding: base64",
        'Content-Disposition: attachment; filename="DICOM.ZIP"',
        "",
        "",
    ]
    head = "\r\n".join(fields).encode("ascii")
    tail = f"--{boundary}--\r\n".encode("ascii")

    def encode(chunks: Iterable[bytes]) -> Iterator[bytes]:
        yield head
        rest = b""
        for chunk in archive.encode(chunks):
            data = rest + chunk
            whole = len(data) - len(data) % _LINE
            yield _lines(data[:whole])
            rest = data[whole:]
        yield _lines(rest)
        yield tail

    body = -(-archive.size // 3) * 4 + -(-archive.size // _LINE) * 2
    size = len(head) + body + len(tail)
    return evolve(archive, format=FORMAT, version=VERSION, size=size, encode=encode)


def _lines(data: bytes) -> bytes:
    text = b2a_base64(data, newline=False)
    return b"".join([text[at : at + 76] + b"\r\n" for at in range(0, len(text), 76)])


def _unstructured(text: str) -> str:
    """Return text as a header field has it: in encoded words unless it is ASCII (RFC 2047)."""
    text = " ".join(text.split())
    if text.isascii() and text.isprintable() and "=?" not in text and len(text) <= 60:
        return text
    words = [b""]
    for character in text:
        encoded = character.encode(errors="replace")
        if len(words[-1]) + len(encoded) > _WORD:
            words.append(b"")
        words[-1] += encoded
    return "\r\n ".join(
        f"=?utf-8?B?{b2a_base64(word, newline=False).decode('ascii')}?=" for word in words
    )


def _date(time: CivilTime) -> str:
    year, month, day, *clock = time
    hours = ":".join(f"{part:02}" for part in clock)
    return f"{day:02} {_MONTHS[3 * month - 3 : 3 * month]} {year:04} {hours} +0000"
