"""Whose a file is, and whether it mentions a person: in files of any size, however damaged."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Final

from fileset.erasure.mentions import Mentions, decoded
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
    wanted = mentions.in_bytes
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
