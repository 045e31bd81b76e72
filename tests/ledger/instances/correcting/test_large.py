"""A file of any size is corrected with next to nothing of it in memory."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zlib
from pathlib import Path

import pytest
from corrections import NOTE, correct, edits, meta, plain, read

from ledger.elements import encode_element
from ledger.files import viewed
from ledger.instances.correcting.correct import corrected
from ledger.instances.instance import read_large

MEGABYTE = 1 << 20
JPEG = "1.2.840.10008.1.2.4.50"
ID = (0x00100020, "LO", b"1 ")


def sparse(path: Path, fragments: int, size: int) -> None:
    """Make a file with `fragments` of pixels of `size` bytes each that takes no room on a disk."""
    with path.open("wb") as file:
        file.write(plain(ID, syntax=JPEG))
        file.write(struct.pack("<HH2sHI", 0x7FE0, 0x0010, b"OB", 0, 0xFFFFFFFF))
        file.write(struct.pack("<HHI", 0xFFFE, 0xE000, 0))
        for _ in range(fragments):
            file.write(struct.pack("<HHI", 0xFFFE, 0xE000, size))
            file.seek(size, os.SEEK_CUR)
        file.write(struct.pack("<HHI", 0xFFFE, 0xE0DD, 0))


def correct_in_little_memory(path: Path, *, most: int = 8 * MEGABYTE) -> int:
    """Correct a file as it comes; return how many bytes its chunks have."""
    tracemalloc.start()
    try:
        with viewed(path) as view, corrected(view, edits(PatientID="4711"), NOTE) as result:
            size = 0
            for chunk in result.chunks():
                assert len(chunk) <= MEGABYTE
                size += len(chunk)
            assert size == result.size
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < most
    return size


def test_pixels_are_passed_through_in_chunks(tmp_path: Path) -> None:
    path, after = tmp_path / "before", tmp_path / "after"
    sparse(path, 2, 32 * MEGABYTE)
    size = correct_in_little_memory(path)
    assert size > path.stat().st_size
    with viewed(path) as view, corrected(view, edits(PatientID="4711"), NOTE) as result:
        after.write_bytes(b"".join(result.chunks()))
    with viewed(after) as view:
        assert read_large(view).sop_instance_uid == "1.2.3.4"
    pixels = path.stat().st_size - path.read_bytes().index(b"\xe0\x7f\x10\0")
    assert after.read_bytes()[-pixels:] == path.read_bytes()[-pixels:]


@pytest.mark.soak
def test_a_file_of_five_gigabytes_takes_no_more_memory(tmp_path: Path) -> None:
    path = tmp_path / "before"
    sparse(path, 5, 1 << 30)
    assert correct_in_little_memory(path) > 5 << 30


def test_a_large_deflated_data_set_is_deflated_again(tmp_path: Path) -> None:
    path = tmp_path / "before"
    syntax = "1.2.840.10008.1.2.1.99"
    start = meta(syntax)
    pixels = encode_element(0x7FE00010, "OW", bytes(range(256)) * (1 << 17))
    content = plain(ID, syntax=syntax)[len(start) :]
    deflater = zlib.compressobj(wbits=-15)
    deflated = deflater.compress(content + pixels) + deflater.flush()
    path.write_bytes(start + deflated + b"\0" * (len(deflated) % 2))
    assert correct_in_little_memory(path, most=48 * MEGABYTE) > 0
    made = correct(path.read_bytes(), edits(PatientID="4711"), NOTE)
    after = read(made)
    assert after.PatientID == "4711"
    assert after.PixelData == bytes(range(256)) * (1 << 17)
    assert len(made) % 2 == len(start) % 2
