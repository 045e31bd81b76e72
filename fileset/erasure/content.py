"""Whose a file is, and whether it mentions a person: in files of any size, however damaged."""

from __future__ import annotations

import re
import unicodedata
import warnings
from collections.abc import Iterable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Final

from fileset.erasure.mentions import CHARSETS, Mentions, decoded
from ledger.errors import InstanceError
from ledger.files import FileView, viewed
from ledger.instances.scanner import Wanted, scan_file
from projections.state.erasing import KEYWORDS

_TAGS: Final = {keyword: tag or 0x00080018 for keyword, tag in KEYWORDS.items()}
_IDS: Final = Wanted({tag: "LO" if tag == _TAGS["PatientID"] else "UI" for tag in _TAGS.values()})
_HEAD: Final = 1 << 20  # bytes of a damaged file that pydicom gets to read
_AROUND: Final = 200  # bytes before and after what may be a name


def is_persons(view: FileView, mentions: Mentions) -> bool | None:
    """Whether a file is the person's, by the IDs in it; `None` where it has none."""
    ids = _ids_in(view)
    return any(map(mentions.is_of_person, ids)) if ids else None


def tells(pieces: Iterable[bytes], mentions: Mentions) -> bool:
    """Whether bytes of any kind, given in pieces, hold the person's ID, name or a UID."""
    wanted = _words_in_bytes(mentions)
    before = b""
    for piece in pieces:
        data = before + piece
        for found in wanted.finditer(data):
            start, stop = max(0, found.start() - _AROUND), found.end() + _AROUND
            if any(map(mentions.of_any, decoded(data[start:stop]))):
                return True
        before = data[-2 * _AROUND :]
    return False


def file_tells(path: Path, mentions: Mentions) -> bool:
    """Whether a file holds the person's ID, name or a UID; OSError if it can't be read."""
    with viewed(path) as view:
        return tells(view.pieces(), mentions)


def _words_in_bytes(mentions: Mentions) -> re.Pattern[bytes]:
    """Return what finds words of the person, and all that looks like a UID, in any encoding."""
    patterns = {re.escape(form) for word in mentions.words() for form in _encoded(word)}
    if mentions.identifiers.uids:
        patterns.add(rb"[0-9]+(?:[._-][0-9]+){3,}")
    return re.compile(b"|".join(sorted(patterns)) or rb"(?!)", re.IGNORECASE)


def _encoded(word: str) -> Iterator[bytes]:
    """Yield a word in each character set that has its letters, in the cases there are."""
    plain = unicodedata.normalize("NFKD", word).encode("ascii", "ignore").decode("ascii")
    for text in {word, *(unicodedata.normalize(form, word) for form in ("NFC", "NFD")), plain}:
        for cased in {text, text.lower(), text.upper(), text.title()}:
            for charset in CHARSETS:
                try:
                    data = cased.encode(charset)
                except UnicodeError:
                    continue
                if len(data) > 1:
                    # In UTF-16 of the other byte order, the last byte is where another one begins.
                    yield data[:-1] if charset == "utf-16-le" else data


def _ids_in(view: FileView) -> list[str]:
    """Return what a file says of whose it is: IDs and UIDs."""
    try:
        elements = scan_file(view, _IDS).elements
        values = [bytes(elements[tag].value) for tag in _TAGS.values() if tag in elements]
        told = [text for value in values for text in _texts(value)]
    except InstanceError:
        told = _ids_of_damaged(view[:_HEAD])
    return [text for each in told if (text := each.strip("\0 "))]


def _texts(value: bytes) -> Iterable[str]:
    return (value.decode("ascii"),) if value.isascii() else decoded(value)


def _ids_of_damaged(head: bytes) -> list[str]:
    from pydicom import dcmread  # noqa: PLC0415 - slow to import, seldom needed

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            found = dcmread(
                BytesIO(head), stop_before_pixels=True, force=True, specific_tags=[*KEYWORDS]
            )
            return [str(found.get(keyword, "")) for keyword in KEYWORDS]
        except Exception:  # noqa: BLE001 - pydicom may stumble over a damaged file with any
            return []
