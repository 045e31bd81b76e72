"""A data set that is encoded otherwise than its transfer syntax says, whichever way it is read."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from ledger.elements import encode_element
from ledger.errors import InstanceError
from ledger.files import FileView
from ledger.instances.instance import read_head
from ledger.instances.scanner import Scan, Wanted, scan, scan_file, scan_generally

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
JPEG, RLE, JPIP, PRIVATE = (
    "1.2.840.10008.1.2.4.50", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.94", "1.2.3.4",
)  # fmt: skip
UIDS = {0x00080016: b"1.2.840.10008.5.1.4.1.1.7\0", 0x00080018: b"1.2.3\0"}
PIXELS = struct.pack("<HH", 0x7FE0, 0x0010)
FRAGMENTS = b"\xff\xff\xff\xff\xfe\xff\0\xe0\0\0\0\0\xfe\xff\xdd\xe0\0\0\0\0"
NATIVE = struct.pack("<I", 4) + b"\0\0\0\0"


def explicit(pixels: bytes = b"") -> bytes:
    data = b"".join(encode_element(tag, "UI", value) for tag, value in UIDS.items())
    return data + (PIXELS + b"OB\0\0" + pixels if pixels else b"")


def implicit(pixels: bytes = b"") -> bytes:
    data = b"".join(
        struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value
        for tag, value in UIDS.items()
    )
    return data + (PIXELS + pixels if pixels else b"")


def big() -> bytes:
    return b"".join(
        struct.pack(">HH2sH", tag >> 16, tag & 0xFFFF, b"UI", len(value)) + value
        for tag, value in UIDS.items()
    )


def file_of(syntax: str, data: bytes) -> bytes:
    return bytes(128) + b"DICM" + encode_element(0x00020010, "UI", syntax.encode()) + data


def scans(data: bytes, path: Path) -> list[Scan]:
    path.write_bytes(data)
    with path.open("rb") as file:
        view = FileView(file.fileno(), len(data))
        wanted = Wanted(dict.fromkeys(UIDS, "UI"))
        return [scan(data, wanted), scan(data, wanted), scan_generally(data, wanted),
                scan_file(view, wanted)]  # fmt: skip


@pytest.mark.parametrize(
    ("syntax", "data", "misfit"),
    [
        (EXPLICIT, explicit(), ""),
        (EXPLICIT, explicit(NATIVE), ""),
        (EXPLICIT, explicit(FRAGMENTS), "encapsulated pixel data"),
        (EXPLICIT, implicit(NATIVE), "Implicit VR"),
        (IMPLICIT, implicit(NATIVE), ""),
        (IMPLICIT, explicit(NATIVE), "Explicit VR"),
        (BIG, big(), ""),
        (JPEG, explicit(), ""),
        (JPEG, explicit(FRAGMENTS), ""),
        (JPEG, explicit(NATIVE), "native pixel data"),
        (RLE, explicit(NATIVE), "native pixel data"),
        (JPEG, implicit(FRAGMENTS), "Implicit VR"),
        (JPIP, explicit(), ""),
        (PRIVATE, explicit(FRAGMENTS), ""),
        (PRIVATE, explicit(NATIVE), ""),
    ],
)
def test_every_way_of_reading_tells_it(
    syntax: str, data: bytes, misfit: str, tmp_path: Path
) -> None:
    found = scans(file_of(syntax, data), tmp_path / "IM")
    assert [each.misfit for each in found] == [misfit] * len(found)
    assert [each.elements.keys() for each in found] == [UIDS.keys()] * len(found)


def test_the_head_of_a_file_is_enough_only_where_it_tells() -> None:
    long = struct.pack("<I", 1 << 16) + bytes(1 << 16)
    padding = encode_element(0x00204000, "LT", b"x" * 5000)
    for syntax, is_enough in ((EXPLICIT, True), (JPEG, False)):
        data = file_of(syntax, explicit() + padding + PIXELS + b"OB\0\0" + long)
        assert (read_head(data[: 1 << 14], len(data)) is not None) is is_enough


@pytest.mark.parametrize(
    ("syntax", "data", "order"), [(EXPLICIT, big(), "Big"), (BIG, explicit(), "Little")]
)
def test_a_data_set_in_the_other_byte_order_can_not_be_read_and_that_is_said(
    syntax: str, data: bytes, order: str, tmp_path: Path
) -> None:
    with pytest.raises(InstanceError, match=f"is in {order} Endian"):
        scans(file_of(syntax, data), tmp_path / "IM")
