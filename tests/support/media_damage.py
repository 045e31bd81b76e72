"""Damaged File-sets: real ones, each with one thing wrong, and what a checker has to say of it.

`python tests/support/media_damage.py` prints which checker finds which damage, as a
Markdown table.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from attrs import evolve
from pydicom import Dataset, dcmread, examples
from pydicom.fileset import FileSet as PydicomFileSet

from fileset import FileSet
from ledger.elements import Element, encode, encode_items, iterate, read_header
from ledger.tags import (
    CONSISTENCY_FLAG,
    FILE_META_VERSION,
    FIRST_ROOT_OFFSET,
    LAST_ROOT_OFFSET,
    RECORD_SEQUENCE,
)
from projections.dicomdir.decoded_directory import DecodedRecord
from projections.dicomdir.decoder import decode_dicomdir
from projections.dicomdir.definitions import FileSetIdentity, Reference
from projections.dicomdir.encoder import DirectoryRecord, encode_dicomdir
from projections.dicomdir.findings import FindingKind as Kind
from projections.dicomdir.tree import Tree, link

EXAMPLE: Final = examples.get_path("dicomdir")
CT: Final = examples.get_path("ct")
_FOLDERS: Final = ("77654033", "98892001", "98892003")
_UL: Final = struct.Struct("<I")
_STUDY_DATE: Final = 0x00080020
_PATIENT_ID: Final = 0x00100020
_STUDY_UID: Final = 0x0020000D
_SERIES_UID: Final = 0x0020000E
_INSTANCE_NUMBER: Final = 0x00200013
_CHARACTER_SET: Final = 0x00080005

Rows = list[DirectoryRecord]


class Medium:
    """A File-set in a folder of its own, to be damaged."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def dicomdir(self) -> Path:
        return self.root / "DICOMDIR"

    def records(self, kind: str | None = None) -> list[DecodedRecord]:
        """Return the records of a type, in the order of the file."""
        found = decode_dicomdir(self.dicomdir.read_bytes(), name="DICOMDIR").records
        return [record for record in found if kind in {None, record.type}]

    def path_of(self, record: DecodedRecord) -> Path:
        return self.root.joinpath(*(record.file_id or ()))

    def first_file(self) -> Path:
        return self.path_of(self.records("IMAGE")[0])

    def patch(self, place: int, new: bytes) -> None:
        """Put `new` in the place of as many bytes of the DICOMDIR."""
        data = bytearray(self.dicomdir.read_bytes())
        data[place : place + len(new)] = new
        self.dicomdir.write_bytes(data)

    def place_of(self, tag: int, start: int = 132) -> tuple[int, int]:
        """Return where the value of the first element `tag` from `start` on is, and its length."""
        data = self.dicomdir.read_bytes()
        while True:
            found, _, length, value = read_header(data, start, len(data))
            if found == tag:
                return value, length
            start = value + length

    def set_link(self, record: DecodedRecord, index: int, value: int) -> None:
        """Set the next (0) or lower (1) offset of a record."""
        place, _ = self.place_of((0x00041400, 0x00041420)[index], (record.offset or 0) + 8)
        self.patch(place, _UL.pack(value))

    def rewrite(
        self,
        change: Callable[[Rows], object] = lambda rows: None,
        *,
        implicit_vr: bool = False,
        **identity: Any,
    ) -> None:
        """Write the DICOMDIR anew with changed records and identity."""
        directory = decode_dicomdir(self.dicomdir.read_bytes(), name="DICOMDIR")
        rows = list(preorder(link(directory)))
        change(rows)
        changed: FileSetIdentity = evolve(directory.identity, **identity)
        self.dicomdir.write_bytes(encode_dicomdir(changed, rows, implicit_vr=implicit_vr))

    def compress_icon(self) -> None:
        """Give the first image a compressed icon, as some writers do."""
        fragments = encode_items([b"", b"\xff\xd8 JPEG \xff\xd9 "]) + b"\xfe\xff\xdd\xe0\0\0\0\0"
        icon = encode([Element(0x00280010, "US", b"\x08\0"), Element(0x7FE00010, "OB", fragments)])

        def change(rows: Rows) -> None:
            at = first(rows, "IMAGE")
            rows[at] = with_elements(rows[at], icon=(0x00880200, "SQ", encode_items([icon])))

        self.rewrite(change)
        place = self.dicomdir.read_bytes().index(fragments)
        self.patch(place - 4, b"\xff" * 4)

    def move_first(self, *components: str) -> None:
        """Give the first image, and its file, another File ID."""
        source = self.first_file()
        target = self.root.joinpath(*components)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(source, target)
        self.refer(file_id="/".join(components))

    def refer(self, **fields: str) -> None:
        """Change what the first image's record references."""

        def change(rows: Rows) -> None:
            at = first(rows, "IMAGE")
            reference = rows[at].reference
            assert reference is not None
            rows[at] = rows[at]._replace(reference=reference._replace(**fields))

        self.rewrite(change)


def preorder(tree: Tree) -> Iterator[DirectoryRecord]:
    """Yield the records of a tree as they are encoded: each before those below it."""
    pending = [(0, node) for node in reversed(tree.roots)]
    while pending:
        depth, node = pending.pop()
        one = node.record
        refers = None
        if one.file_id is not None:
            refers = Reference(
                "/".join(one.file_id),
                one.sop_class_uid or "",
                one.sop_instance_uid or "",
                one.transfer_syntax_uid or "",
            )
        yield DirectoryRecord(depth, one.type or "", one.elements, refers)
        pending.extend((depth + 1, child) for child in reversed(node.children))


def first(rows: Rows, kind: str) -> int:
    return next(n for n, row in enumerate(rows) if row.type == kind)


def with_elements(row: DirectoryRecord, **values: tuple[int, str, bytes | None]) -> DirectoryRecord:
    """Return `row` with other values; `None` takes an element out."""
    elements = {element.tag: element for element in iterate(row.elements)}
    for tag, vr, value in values.values():
        elements.pop(tag, None)
        if value is not None:
            elements[tag] = Element(tag, vr, value)
    return row._replace(elements=encode(elements.values()))


def edit(kind: str, tag: int, vr: str, value: bytes | None) -> Callable[[Rows], None]:
    """Return a change of one element of the first record of a type."""

    def change(rows: Rows) -> None:
        at = first(rows, kind)
        rows[at] = with_elements(rows[at], it=(tag, vr, value))

    return change


def retype(kind: str, new: str) -> Callable[[Rows], None]:
    def change(rows: Rows) -> None:
        at = first(rows, kind)
        rows[at] = rows[at]._replace(type=new)

    return change


def split(kind: str, depth: int) -> Callable[[Rows], None]:
    """Return a change that puts the last child of the first such record under a second one."""

    def change(rows: Rows) -> None:
        at = first(rows, kind)
        end = next((n for n in range(at + 1, len(rows)) if rows[n].depth <= depth), len(rows))
        last = max(n for n in range(at + 1, end) if rows[n].depth == depth + 1)
        rows.insert(last, rows[at])

    return change


# --- File-sets to begin with ---------------------------------------------------------------------


def shipped(root: Path) -> None:
    """Make the one that pydicom ships, another's DICOMDIR to the last byte."""
    root.mkdir()
    shutil.copy(EXAMPLE, root / "DICOMDIR")
    for name in _FOLDERS:
        shutil.copytree(EXAMPLE.parent / name, root / name)


def ours(root: Path) -> None:
    with FileSet() as fs:
        fs.add_many([EXAMPLE.parent / name for name in _FOLDERS])
        fs.ID = "OURS"
        fs.write(root)


def pydicoms(root: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fs = PydicomFileSet()
        for name in _FOLDERS:
            for path in sorted((EXAMPLE.parent / name).rglob("*")):
                if path.is_file():
                    fs.add(path)
        fs.ID = "PYDICOM"
        fs.write(root)
        fs._stage["t"].cleanup()


def dcmmkdirs(root: Path) -> None:
    shipped(root)
    (root / "DICOMDIR").unlink()
    subprocess.run(
        [
            "dcmmkdir",
            "--quiet",
            "+F",
            "DCMTK",
            "+r",
            "+id",
            root,
            "+D",
            root / "DICOMDIR",
            *_FOLDERS,
        ],
        check=True,
        cwd=root,
    )


BASES: Final[dict[str, Callable[[Path], None]]] = {
    "shipped": shipped,
    "ours": ours,
    "pydicom": pydicoms,
    "dcmmkdir": dcmmkdirs,
}


# --- damage --------------------------------------------------------------------------------------


class Damage(NamedTuple):
    """What is done to a medium, and the kinds of what a checker has to find then.

    `listed` is whether it is one of the usual damages that checkers are compared by.
    """

    name: str
    do: Callable[[Medium], object]
    kinds: frozenset[Kind]
    listed: bool


DAMAGES: Final[list[Damage]] = []


def damage(name: str, *kinds: Kind, listed: bool = False) -> Callable[[Any], Any]:
    def keep(do: Callable[[Medium], object]) -> Callable[[Medium], object]:
        DAMAGES.append(Damage(name, do, frozenset(kinds), listed))
        return do

    return keep


def listed(name: str, *kinds: Kind) -> Callable[[Any], Any]:
    return damage(name, *kinds, listed=True)


listed("missing StudyDate", Kind.MISSING_KEY)(
    lambda m: m.rewrite(edit("STUDY", _STUDY_DATE, "DA", None))
)
listed("lower-case File ID", Kind.FILE_ID_CASE)(lambda m: m.move_first("lower", "IM0"))
listed("File ID with .DCM", Kind.FILE_ID_EXTENSION)(lambda m: m.move_first("A", "IM0.DCM"))
listed("9-component File ID", Kind.FILE_ID_DEPTH)(lambda m: m.move_first(*"ABCDEFGHI"))
listed("9-character component", Kind.FILE_ID_LENGTH)(lambda m: m.move_first("A23456789", "IM0"))
listed("File ID with ..", Kind.FILE_ID_DOTS)(lambda m: m.move_first("..", "IM0"))
listed("over-long File-set ID", Kind.FILE_SET_ID_LENGTH)(lambda m: m.rewrite(id="A" * 17))
listed("lower-case File-set ID", Kind.FILE_SET_ID_CHARACTERS)(lambda m: m.rewrite(id="lower"))


@listed("truncated DICOMDIR", Kind.DICOMDIR_TRUNCATED)
def _(m: Medium) -> None:
    m.dicomdir.write_bytes(m.dicomdir.read_bytes()[:-1000])


@damage("compressed icon", Kind.COMPRESSED_ICON)
def _(m: Medium) -> None:
    m.compress_icon()


@listed("undeclared character set", Kind.UNDECLARED_CHARACTER_SET)
def _(m: Medium) -> None:
    name = "M\xfcller^J".encode("latin-1")

    def change(rows: Rows) -> None:
        at = first(rows, "PATIENT")
        rows[at] = with_elements(
            rows[at], name=(0x00100010, "PN", name), charset=(_CHARACTER_SET, "CS", None)
        )
        above = [n for n, row in enumerate(rows) if row.depth == 0 and n > at]
        for row in rows[at : (above or [len(rows)])[0]]:
            if row.reference is not None:
                path = m.root / row.reference.file_id
                ds = dcmread(path)
                ds.SpecificCharacterSet = "ISO_IR 100"
                ds.PatientName = "M\xfcller^J"
                ds.save_as(path)

    m.rewrite(change)


@listed("missing Referenced Transfer Syntax UID", Kind.MISSING_REFERENCE)
def _(m: Medium) -> None:
    m.refer(transfer_syntax_uid="")


listed("wrong record type", Kind.RECORD_TYPE_DIFFERS)(
    lambda m: m.rewrite(retype("IMAGE", "WAVEFORM"))
)


@listed("bad next-offset", Kind.BAD_OFFSET)
def _(m: Medium) -> None:
    last = _last_image(m)
    m.set_link(last, 0, (last.offset or 0) + 6)


def _last_image(m: Medium) -> DecodedRecord:
    return next(r for r in m.records("IMAGE") if not r.next_offset)


@listed("offset cycle", Kind.OFFSET_CYCLE)
def _(m: Medium) -> None:
    series = m.records("SERIES")[0]
    image = next(r for r in m.records() if r.offset == series.lower_offset)
    while image.next_offset:
        image = next(r for r in m.records() if r.offset == image.next_offset)
    m.set_link(image, 0, series.lower_offset)


listed("missing file", Kind.FILE_MISSING)(lambda m: m.first_file().unlink())
listed("implicit VR DICOMDIR", Kind.DICOMDIR_ENCODING)(lambda m: m.rewrite(implicit_vr=True))


@listed("orphan record", Kind.ORPHAN_RECORD)
def _(m: Medium) -> None:
    records = {record.offset: record for record in m.records()}
    one = next(
        r for r in m.records("IMAGE") if r.next_offset and not records[r.next_offset].next_offset
    )
    m.set_link(one, 0, 0)


listed("record UID differs from file *", Kind.SOP_INSTANCE_DIFFERS)(
    lambda m: m.refer(sop_instance_uid="1.2.3.4")
)
listed("record transfer syntax differs from file *", Kind.TRANSFER_SYNTAX_DIFFERS)(
    lambda m: m.refer(transfer_syntax_uid="1.2.840.10008.1.2.4.50")
)
listed("consistency flag FFFF *", Kind.CONSISTENCY_FLAG)(
    lambda m: m.patch(m.place_of(CONSISTENCY_FLAG)[0], b"\xff\xff")
)


@listed("in-use 0 *", Kind.NOT_IN_USE)
def _(m: Medium) -> None:
    image = m.records("IMAGE")[0]
    m.patch(m.place_of(0x00041410, (image.offset or 0) + 8)[0], b"\0\0")


listed("a DICOM file not in the DICOMDIR *", Kind.UNLISTED_FILE)(
    lambda m: shutil.copy(CT, m.root / "EXTRA")
)


@listed("the same SOP instance referenced twice *", Kind.DUPLICATE_INSTANCE)
def _(m: Medium) -> None:
    shutil.copy(m.first_file(), m.root / "AGAIN")

    def change(rows: Rows) -> None:
        at = first(rows, "IMAGE")
        reference = rows[at].reference
        assert reference is not None
        rows.insert(at, rows[at]._replace(reference=reference._replace(file_id="AGAIN")))

    m.rewrite(change)


listed("two series with one UID *", Kind.DUPLICATE_SERIES)(
    lambda m: m.rewrite(_of_several(split("SERIES", 2), "SERIES"))
)
listed("wrong last-root offset *", Kind.LAST_OFFSET)(
    lambda m: m.patch(m.place_of(LAST_ROOT_OFFSET)[0], _UL.pack(m.records("IMAGE")[0].offset or 0))
)


def _of_several(change: Callable[[Rows], None], kind: str) -> Callable[[Rows], None]:
    """Return `change`, of the first record of a type that has more than one below it."""

    def on(rows: Rows) -> None:
        for at, row in enumerate(rows[:-2]):
            deeper = [r.depth for r in rows[at + 1 : at + 3]]
            if row.type == kind and deeper == [row.depth + 1] * 2:
                part = rows[at:]
                change(part)
                rows[at:] = part
                return
        raise AssertionError(kind)

    return on


# --- more damage: one at least for each kind of finding ------------------------------------------

damage("no DICOMDIR", Kind.NO_DICOMDIR)(lambda m: m.dicomdir.unlink())
damage("a text as DICOMDIR", Kind.DICOMDIR_NOT_DICOM)(
    lambda m: m.dicomdir.write_text("no DICOM file " * 20)
)
damage("no preamble", Kind.DICOMDIR_NOT_DICOM)(
    lambda m: m.dicomdir.write_bytes(m.dicomdir.read_bytes()[128:])
)
damage("an image as DICOMDIR", Kind.DICOMDIR_OTHER_CLASS)(lambda m: shutil.copy(CT, m.dicomdir))


@damage("a FIFO as DICOMDIR", Kind.DICOMDIR_UNREADABLE)
def _(m: Medium) -> None:
    m.dicomdir.unlink()
    os.mkfifo(m.dicomdir)


@damage("a link out of the root as DICOMDIR", Kind.DICOMDIR_UNREADABLE)
def _(m: Medium) -> None:
    target = shutil.move(m.dicomdir, m.root.parent / f"{m.root.name}-dicomdir")
    m.dicomdir.symlink_to(target)


@damage("a sequence with garbage in it", Kind.DICOMDIR_MALFORMED)
def _(m: Medium) -> None:
    m.patch(m.records("STUDY")[0].offset or 0, b"\x01\x02\x03\x04\x05\x06\x07\x08")


damage("a record sequence of VR UN", Kind.DICOMDIR_ENCODING)(
    lambda m: m.patch(m.place_of(RECORD_SEQUENCE)[0] - 8, b"UN")
)


@damage("an in-use flag that is none", Kind.NOT_IN_USE)
def _(m: Medium) -> None:
    image = m.records("IMAGE")[0]
    m.patch(m.place_of(0x00041410, (image.offset or 0) + 8)[0], b"\1\0")


@damage("wrong group length", Kind.GROUP_LENGTH)
def _(m: Medium) -> None:
    m.patch(140, _UL.pack(7))


def without(m: Medium, tag: int) -> None:
    """Take a short element out of the File Meta Information, or one of OB with four more bytes."""
    data = m.dicomdir.read_bytes()
    place, length = m.place_of(tag)
    head = 12 if tag == FILE_META_VERSION else 8
    rows = link(decode_dicomdir(data, name="")).roots
    assert rows
    moved = head + length
    stated = _UL.unpack(data[140:144])[0] - moved
    data = data[:140] + _UL.pack(stated) + data[144 : place - head] + data[place + length :]
    m.dicomdir.write_bytes(_shifted(data, -moved))


def _shifted(data: bytes, by: int) -> bytes:
    """Return a DICOMDIR whose records have moved, with their offsets as they have to be."""
    out = bytearray(data)

    def shift(tag: bytes) -> None:
        at = out.find(tag)
        while at >= 0:
            (offset,) = _UL.unpack_from(out, at + 8)
            if offset:
                _UL.pack_into(out, at + 8, offset + by)
            at = out.find(tag, at + 8)

    for element in (b"\0\x12", b"\x02\x12", b"\0\x14", b"\x20\x14"):
        shift(b"\x04\0" + element + b"UL\x04\0")
    return bytes(out)


damage("no File Meta Information Version", Kind.FILE_META)(lambda m: without(m, FILE_META_VERSION))
damage("no File-set UID", Kind.FILE_SET_UID)(lambda m: m.rewrite(uid=""))
damage("a File-set UID that is none", Kind.FILE_SET_UID)(lambda m: m.rewrite(uid="1.2.x"))
damage("a File-set ID with a space", Kind.FILE_SET_ID_CHARACTERS)(
    lambda m: m.rewrite(id="TWO WORDS")
)


@damage("a descriptor file with an extension", Kind.DESCRIPTOR_FILE_ID)
def _(m: Medium) -> None:
    m.rewrite(descriptor_file_id=("README.TXT",))
    (m.root / "README.TXT").write_text("of this File-set")


damage("a descriptor file that is missing", Kind.FILE_MISSING)(
    lambda m: m.rewrite(descriptor_file_id=("README",))
)


@damage("no File-set Consistency Flag", Kind.MISSING_ELEMENT)
def _(m: Medium) -> None:
    data = m.dicomdir.read_bytes()
    place, _ = m.place_of(CONSISTENCY_FLAG)
    m.dicomdir.write_bytes(_shifted(data[: place - 8] + data[place + 2 :], -10))


@damage("no first root offset", Kind.FIRST_OFFSET, Kind.ORPHAN_RECORD)
def _(m: Medium) -> None:
    m.patch(m.place_of(FIRST_ROOT_OFFSET)[0], bytes(4))


@damage("a first root offset into nothing", Kind.FIRST_OFFSET, Kind.ORPHAN_RECORD)
def _(m: Medium) -> None:
    m.patch(m.place_of(FIRST_ROOT_OFFSET)[0], _UL.pack(0xFFFFFFF0))


@damage("bad next-offset in the middle", Kind.BAD_OFFSET, Kind.ORPHAN_RECORD)
def _(m: Medium) -> None:
    m.set_link(next(r for r in m.records("IMAGE") if r.next_offset), 0, 11)


@damage("bad lower offset", Kind.BAD_OFFSET, Kind.ORPHAN_RECORD)
def _(m: Medium) -> None:
    m.set_link(m.records("SERIES")[0], 1, 0xFFFFFFFF)


@damage("a record that leads to itself", Kind.OFFSET_CYCLE)
def _(m: Medium) -> None:
    last = _last_image(m)
    m.set_link(last, 1, last.offset or 0)


@damage("a root record that leads back", Kind.OFFSET_CYCLE)
def _(m: Medium) -> None:
    last = m.records("PATIENT")[-1]
    m.set_link(last, 0, m.records("PATIENT")[0].offset or 0)


damage("an unknown record type", Kind.UNKNOWN_RECORD_TYPE)(
    lambda m: m.rewrite(retype("IMAGE", "PICTURE"))
)
damage("a retired record type", Kind.RETIRED_RECORD_TYPE)(
    lambda m: m.rewrite(retype("IMAGE", "OVERLAY"))
)


@damage("a series right below a patient", Kind.RECORD_PLACE)
def _(m: Medium) -> None:
    def change(rows: Rows) -> None:
        at = first(rows, "STUDY")
        end = next((n for n in range(at + 1, len(rows)) if rows[n].depth <= 1), len(rows))
        rows[at:end] = [row._replace(depth=row.depth - 1) for row in rows[at + 1 : end]]

    m.rewrite(change)


damage("an empty Patient ID", Kind.MISSING_KEY)(
    lambda m: m.rewrite(edit("PATIENT", _PATIENT_ID, "LO", b""))
)
damage("a study without its UID", Kind.MISSING_KEY)(
    lambda m: m.rewrite(edit("STUDY", _STUDY_UID, "UI", None))
)
damage("an image without its number", Kind.MISSING_KEY)(
    lambda m: m.rewrite(edit("IMAGE", _INSTANCE_NUMBER, "IS", None))
)
damage("a date that is none", Kind.BAD_VALUE)(
    lambda m: m.rewrite(edit("IMAGE", 0x00080023, "DA", b"2020.01.01"))
)
damage("an unknown character set", Kind.BAD_CHARACTER_SET)(
    lambda m: m.rewrite(edit("IMAGE", _CHARACTER_SET, "CS", b"LATIN1"))
)


@damage("text that is not of its character set", Kind.BAD_CHARACTER_SET)
def _(m: Medium) -> None:
    def change(rows: Rows) -> None:
        at = first(rows, "IMAGE")
        rows[at] = with_elements(
            rows[at],
            charset=(_CHARACTER_SET, "CS", b"ISO_IR 192"),
            text=(0x00204000, "LT", b"\xff\xfe"),
        )

    m.rewrite(change)


@damage("an image without a file", Kind.MISSING_REFERENCE)
def _(m: Medium) -> None:
    m.first_file().unlink()

    def change(rows: Rows) -> None:
        at = first(rows, "IMAGE")
        rows[at] = rows[at]._replace(reference=None)

    m.rewrite(change)


damage("two studies with one UID", Kind.DUPLICATE_STUDY)(lambda m: m.rewrite(_with_twin("STUDY")))
damage("two patients with one ID", Kind.DUPLICATE_PATIENT)(
    lambda m: m.rewrite(_with_twin("PATIENT"))
)


def _with_twin(kind: str) -> Callable[[Rows], None]:
    """Return a change that puts a second record like the first, with none below it, before it."""

    def change(rows: Rows) -> None:
        at = first(rows, kind)
        rows.insert(at, rows[at])

    return change


@damage("two records for one file", Kind.DUPLICATE_FILE, Kind.DUPLICATE_INSTANCE)
def _(m: Medium) -> None:
    m.rewrite(lambda rows: rows.insert(at := first(rows, "IMAGE"), rows[at]))


damage("a File ID with other characters", Kind.FILE_ID_CHARACTERS)(
    lambda m: m.move_first("A-B", "IM0")
)


@damage("a truncated file", Kind.FILE_TRUNCATED)
def _(m: Medium) -> None:
    m.first_file().write_bytes(m.first_file().read_bytes()[:-100])


@damage("a file that ends within its File Meta Information", Kind.FILE_TRUNCATED)
def _(m: Medium) -> None:
    m.first_file().write_bytes(m.first_file().read_bytes()[:200])


damage("a text as a file", Kind.FILE_NOT_DICOM)(lambda m: m.first_file().write_text("text"))
damage("an empty file", Kind.FILE_NOT_DICOM)(lambda m: m.first_file().write_bytes(b""))


@damage("a FIFO as a file", Kind.FILE_NOT_REGULAR)
def _(m: Medium) -> None:
    path = m.first_file()
    path.unlink()
    os.mkfifo(path)


@damage("a folder as a file", Kind.FILE_NOT_REGULAR)
def _(m: Medium) -> None:
    path = m.first_file()
    path.unlink()
    path.mkdir()


@damage("a file that is a link out of the root", Kind.LINK_OUTSIDE)
def _(m: Medium) -> None:
    path = m.first_file()
    target = shutil.move(path, m.root.parent / f"{m.root.name}-file")
    path.symlink_to(target)


def save(m: Medium, meta: Mapping[str, str] = MappingProxyType({}), **values: str) -> None:
    """Change the first image's file; `meta` is of its group 0002."""
    ds: Dataset = dcmread(m.first_file())
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.file_meta.MediaStorageSOPClassUID = ds.SOPClassUID
    for keyword, value in meta.items():
        setattr(ds.file_meta, keyword, value)
    ds.save_as(m.first_file())


damage("a file without SOP Instance UID", Kind.FILE_MALFORMED)(lambda m: save(m, SOPInstanceUID=""))
damage("a file of another SOP Class", Kind.SOP_CLASS_DIFFERS)(
    lambda m: save(m, SOPClassUID="1.2.840.10008.5.1.4.1.1.7")
)
damage("a file whose header names another instance", Kind.SOP_INSTANCE_IN_META)(
    lambda m: save(m, meta={"MediaStorageSOPInstanceUID": "1.2.3"})
)
damage("a file whose header names another SOP Class", Kind.SOP_CLASS_IN_META)(
    lambda m: save(m, meta={"MediaStorageSOPClassUID": "1.2.840.10008.5.1.4.1.1.7"})
)


def _with_syntax(m: Medium, uid: str) -> None:
    """Give the first image another Transfer Syntax UID, in its file and in its record."""
    explicit = b"1.2.840.10008.1.2.1\0"
    path = m.first_file()
    data = path.read_bytes()
    assert explicit in data[:400]
    path.write_bytes(data.replace(explicit, uid.encode().ljust(len(explicit), b"\0"), 1))
    m.refer(transfer_syntax_uid=uid)


damage("a file in another encoding than its header says", Kind.ENCODING_DIFFERS)(
    lambda m: _with_syntax(m, "1.2.840.10008.1.2")
)
damage("a transfer syntax that PS3.6 doesn't have", Kind.UNKNOWN_TRANSFER_SYNTAX)(
    lambda m: _with_syntax(m, "1.2.840.10008.1.9")
)
damage("a Transfer Syntax UID that is none", Kind.BAD_VALUE)(
    lambda m: _with_syntax(m, "1.2.840.10008.1.02")
)


damage("a file of another patient", Kind.PATIENT_DIFFERS)(
    lambda m: save(m, PatientID="ANOTHER", PatientName="Some^One")
)
damage("a file of another study", Kind.STUDY_DIFFERS)(
    lambda m: save(m, StudyInstanceUID="1.2.3", StudyDate="19990101")
)
damage("a file of another series", Kind.SERIES_DIFFERS)(
    lambda m: save(m, SeriesInstanceUID="1.2.3")
)
damage("a file in the place of another", Kind.SOP_INSTANCE_DIFFERS)(
    lambda m: save(m, SOPInstanceUID="1.2.3", InstanceNumber="4711")
)
damage("a file with another number", Kind.KEY_DIFFERS)(lambda m: save(m, InstanceNumber="4711"))
damage("a file with another patient's name", Kind.KEY_DIFFERS)(
    lambda m: save(m, PatientName="Somebody^Else")
)
damage("another DICOMDIR at the root", Kind.STRAY_DICOMDIR)(
    lambda m: shutil.copy(m.dicomdir, m.root / "DICOMDIR.OLD")
)
damage("another File-set below the root", Kind.NESTED_FILE_SET)(lambda m: shipped(m.root / "INNER"))


@damage("what an interrupted write leaves", Kind.LEFTOVER)
def _(m: Medium) -> None:
    folder = m.root / ".DICOMDIR-0123456789abcdef.files"
    (folder / "files").mkdir(parents=True)
    shutil.copy(CT, folder / "files" / "1")


@damage("a link out of the root", Kind.LINK_OUTSIDE)
def _(m: Medium) -> None:
    (m.root / "ELSE").symlink_to(m.root.parent)


@damage("a file that can't be read", Kind.FILE_UNREADABLE)
def _(m: Medium) -> None:
    m.first_file().chmod(0)


@damage("a folder that can't be read", Kind.FOLDER_UNREADABLE)
def _(m: Medium) -> None:
    (m.root / "CLOSED").mkdir(mode=0)


# --- which checker finds which -------------------------------------------------------------------

_LIMITS: Final = "set -o pipefail; ulimit -v 4000000; "  # a cycle keeps some for ever
_ENDS: Final = "2>&1 | head -c 1000000"


def _run(command: str, root: Path) -> tuple[str, ...]:
    """Return what a checker complains of, paths and figures aside, and how it ended unless well."""
    done = subprocess.run(
        ["bash", "-c", f"{_LIMITS} timeout 10 {command} {_ENDS}"],
        cwd=root,
        capture_output=True,
        check=False,
        errors="replace",
    )
    lines = done.stdout.splitlines()
    wanted = re.compile("(?i)error|warn|^[EW]:|^no:").search
    told = {re.sub(r"\S*/\S*|[0-9]+", "", line) for line in lines if wanted(line)}
    return (*sorted(told), *([f"exit {done.returncode}"] if done.returncode else []))


def by_fileset(root: Path) -> tuple[str, ...]:
    from fileset.checking.conformance import examine_root

    return tuple(sorted({finding.kind.value for finding in examine_root(root).findings}))


_PYDICOM: Final = "from pydicom.fileset import FileSet; FileSet('DICOMDIR')"

CHECKERS: Final[dict[str, Callable[[Path], tuple[str, ...]]]] = {
    "`fileset verify ROOT`": by_fileset,
    "`dciodvfy -new`": partial(_run, "dciodvfy -new DICOMDIR"),
    "`dcdirdmp`": partial(_run, "dcdirdmp DICOMDIR"),
    "`dcentvfy`": partial(_run, "dcdirdmp -p DICOMDIR 2>&1 | head -n 1000 | xargs dcentvfy"),
    "`dcmftest`, `dcmdump`": partial(_run, "dcmftest DICOMDIR && timeout 10 dcmdump DICOMDIR"),
    "pydicom's `FileSet()`": partial(
        _run, f'{sys.executable} -W error::UserWarning -c "{_PYDICOM}"'
    ),
}


def compare(folder: Path, checkers: list[str]) -> Iterator[tuple[Damage, list[bool]]]:
    """Yield the listed damages of a File-set written by us, and which checkers complain of each.

    To complain is to say what is not said of the same File-set when it is whole.
    """
    ours(folder / "whole")
    before = {name: set(CHECKERS[name](folder / "whole")) for name in checkers}
    for number, each in enumerate(one for one in DAMAGES if one.listed):
        # In a folder of its own: one damage puts a file beside the root.
        medium = Medium(folder / str(number) / "medium")
        shutil.copytree(folder / "whole", medium.root)
        each.do(medium)
        yield each, [bool(set(CHECKERS[name](medium.root)) - before[name]) for name in checkers]


def main() -> None:
    checkers = list(CHECKERS)
    table = [["Damage", *checkers], ["---"] * (len(checkers) + 1)]
    with tempfile.TemporaryDirectory() as folder:
        for each, found in compare(Path(folder), checkers):
            table.append([each.name, *("yes" if one else "-" for one in found)])
    sys.stdout.write("".join(f"| {' | '.join(row)} |\n" for row in table))


if __name__ == "__main__":
    main()
