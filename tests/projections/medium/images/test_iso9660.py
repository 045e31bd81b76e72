"""Discs as PS3.12 Annex F has them: what the descriptor and each directory record say."""

from __future__ import annotations

from collections.abc import Iterator
from struct import unpack_from
from typing import NamedTuple

import pytest
from hypothesis import given
from media_trees import TIME, VOLUME, Tree, content, image, trees, written

from projections.medium.images.iso9660 import SECTOR, plan_iso
from projections.medium.images.tree import CivilTime, ImageFile, Volume

TREE: Tree = {
    "DICOMDIR": content(3000, 1),
    "PT000000/ST000000/SE000000/IM000000": content(4000, 2),
    "README.TXT": b"see DICOMDIR",
    "A": b"", "AA": b"", "A_": b"", "A1": b"", "A.B": b"", "Z/A": b"",
}  # fmt: skip


class _Record(NamedTuple):
    name: bytes
    at: int
    size: int
    flags: int
    data: bytes


def _records(data: bytes, at: int) -> Iterator[_Record]:
    """Yield the records of the folder at a sector, and of those below."""
    [size] = unpack_from("<I", data, at * SECTOR + 10)
    below = []
    offset, end = at * SECTOR, at * SECTOR + size
    while offset < end:
        length = data[offset]
        if not length:
            offset += SECTOR - offset % SECTOR
            continue
        record = data[offset : offset + length]
        found = _Record(
            record[33 : 33 + record[32]], *unpack_from("<2xI4xI", record), record[25], record
        )
        yield found
        if found.flags & 2 and found.name not in {b"\0", b"\1"}:
            below.append(found.at)
        offset += length
    for each in below:
        yield from _records(data, each)


def _root(data: bytes) -> int:
    return unpack_from("<I", data, 16 * SECTOR + 158)[0]


@pytest.mark.parametrize("file_set_id", ["TEACHING_1", "SIXTEEN_LETTERS_", ""])
def test_the_name_of_the_volume_is_the_file_set_id(file_set_id: str) -> None:
    tree = {"DICOMDIR": b"1"}
    layout = plan_iso([ImageFile("DICOMDIR", 1, TIME)], Volume(file_set_id, TIME))
    descriptor = written(layout, tree)[16 * SECTOR :]
    assert descriptor[40:72] == file_set_id.encode().ljust(32)
    assert descriptor[8:40] == b" " * 32, "the System Identifier"


def test_the_descriptor_says_how_large_the_image_is() -> None:
    data = image("iso", TREE)
    little, big = (
        unpack_from("<I", data, 16 * SECTOR + 80),
        unpack_from(">I", data, 16 * SECTOR + 84),
    )
    assert little == big == (len(data) // SECTOR,)
    assert len(data) % SECTOR == 0
    assert not any(data[-150 * SECTOR :])


@given(tree=trees())
def test_records_have_no_extended_attributes_nor_the_flags_of_them(tree: Tree) -> None:
    """PS3.12 F.1.3: the length is zero, and so are bits 3 and 4."""
    data = image("iso", tree)
    records = list(_records(data, _root(data)))
    assert all(record.data[1] == 0 for record in records)
    assert {record.flags for record in records} <= {0, 2}


def test_files_are_named_with_a_full_stop_and_version_1() -> None:
    data = image("iso", TREE)
    files = {r.name for r in _records(data, _root(data)) if not r.flags & 2}
    assert files == {
        b"DICOMDIR.;1", b"IM000000.;1", b"README.TXT;1", b"A.;1", b"AA.;1", b"A_.;1", b"A1.;1",
        b"A.B;1",
    }  # fmt: skip


def test_records_are_in_the_order_of_their_names_padded_with_spaces() -> None:
    """ECMA-119 Section 9.3."""
    data = image("iso", TREE)
    root = [r.name for r in _records(data, _root(data))][:10]
    assert root == [
        b"\0", b"\1", b"A.;1", b"A.B;1", b"A1.;1", b"AA.;1", b"A_.;1", b"DICOMDIR.;1", b"PT000000",
        b"README.TXT;1",
    ]  # fmt: skip


def test_records_have_the_times_of_their_files() -> None:
    tree = {"DICOMDIR": b"1", "B/A": b"2"}
    early = CivilTime(1999, 12, 31, 23, 59, 1)
    files = [ImageFile("DICOMDIR", 1, TIME), ImageFile("B/A", 1, early)]
    data = written(plan_iso(files, VOLUME), tree)
    times = {r.name: tuple(r.data[18:25]) for r in _records(data, _root(data))}
    assert times[b"DICOMDIR.;1"] == (126, 2, 28, 23, 59, 58, 0)
    assert times[b"A.;1"] == (99, 12, 31, 23, 59, 1, 0)
    assert times[b"B"] == (VOLUME.created.year - 1900, *VOLUME.created[1:], 0)
    assert data[16 * SECTOR + 813 :][:17] == b"2025123112300200\0"


@given(tree=trees())
def test_both_path_tables_lead_to_every_folder(tree: Tree) -> None:
    data = image("iso", tree)
    size, at_l, at_m = unpack_from("<I4xI4x4x", data, 16 * SECTOR + 132) + unpack_from(
        ">I", data, 16 * SECTOR + 148
    )
    tables = []
    for at, order in ((at_l, "<"), (at_m, ">")):
        found, offset = [], at * SECTOR
        while offset < at * SECTOR + size:
            length, where, parent = unpack_from(f"{order}BxIH", data, offset)
            found.append((data[offset + 8 : offset + 8 + length], where, parent))
            offset += 8 + length + length % 2
        tables.append(found)
    assert tables[0] == tables[1]
    parents = [parent for *_, parent in tables[0]]
    assert parents == sorted(parents)
    folders = {(r.name, r.at) for r in _records(data, _root(data)) if r.flags & 2}
    assert {(name, where) for name, where, _ in tables[0][1:]} == {
        folder for folder in folders if folder[0] not in {b"\0", b"\1"}
    }
