"""Scanning files that a test makes: their encoding, and what comes of a scan."""

from __future__ import annotations

from tempfile import TemporaryFile

from ledger.elements import encode_element
from ledger.errors import InstanceError
from ledger.files import FileView
from ledger.instances.record_keys import ENCAPSULATED_DOCUMENT, KEYS
from ledger.instances.scanner import Scan, Wanted, scan_file

WANTED = Wanted({tag: key.vr for tag, key in KEYS.items()}, (ENCAPSULATED_DOCUMENT,))

EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
BIG_ENDIAN, DEFLATED = "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99"
RLE = "1.2.840.10008.1.2.5"


def file_of(syntax: str, *elements: bytes) -> bytes:
    meta = encode_element(0x00020010, "UI", syntax.encode())
    return bytes(128) + b"DICM" + meta + b"".join(elements)


def outcome(
    function: object, data: bytes, wanted: Wanted = WANTED
) -> Scan | tuple[type[InstanceError], str]:
    try:
        return function(data, wanted)
    except InstanceError as exc:
        return type(exc), str(exc)


def scan_as_file(data: bytes, wanted: Wanted) -> Scan:
    """Scan `data` as a file of which no more is in memory than it takes."""
    with TemporaryFile() as file:
        file.write(data)
        file.flush()
        return scan_file(FileView(file.fileno(), len(data)), wanted)
