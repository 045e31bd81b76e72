"""Disc images: ISO 9660 (ECMA-119) of all levels, with the names of Rock Ridge or Joliet.

Names are those that a system shows which mounts the disc: Rock Ridge's if there are any, else
Joliet's, else those of ISO 9660 without their version. A damaged image is read as far as it goes:
pycdlib, and `fileset.media.reading` for the check of media, read an image wholly or not at all.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Final, NamedTuple

from fileset.archives.archive import (
    MOST_MEMBERS,
    TWICE,
    Archive,
    Member,
    fault_of_mode,
    fault_of_name,
)
from fileset.archives.rock_ridge import Extra, extra_of, skipped_of_use
from ledger.errors import InstanceError
from ledger.files import LARGE, FileView
from ledger.instances.data_set import held
from ledger.instances.file_meta import PREFIX_END, is_dicom
from ledger.instances.walker import Buffer

_SECTOR: Final = 2048
_FIRST: Final = 16  # the sector with the first volume descriptor (ECMA-119 6.2.1)
_IDENTIFIER: Final = b"CD001"
_DESCRIPTORS: Final = 64  # that are looked at
_PRIMARY, _SUPPLEMENTARY, _LAST = 1, 2, 255
_JOLIET: Final = (b"%/@", b"%/C", b"%/E")
_BLOCKS: Final = frozenset((512, 1024, 2048))
_RECORD: Final = struct.Struct("<BBI4xI4x7xBBBHxxB")  # a directory record, but for its name (9.1)
_FOLDER, _ASSOCIATED, _GOES_ON = 0x02, 0x04, 0x80
_VERSION: Final = re.compile(r"\.?;[0-9]*$|\.$")
_DEEPEST: Final = 64  # levels of folders: the format itself has eight
_LONGEST: Final = 1 << 27  # bytes of all folders: a million of files

_CUT: Final = "is cut off: the image ends before it does. Copy the disc again"
_DAMAGED: Final = "is a folder whose list of files is damaged: some may be missing"
_TOO_MUCH: Final = "is beyond the million of files that are looked at: mount it, and add the folder"
_AGAIN: Final = "is a folder that is elsewhere in the image as well: it is looked at once"


class _Record(NamedTuple):
    """A directory record; `begin` and `size` are in bytes, `use` is its system use field."""

    name: bytes
    begin: int
    size: int
    flags: int
    is_interleaved: bool
    use: bytes


class _Folder(NamedTuple):
    name: str
    depth: int
    begin: int
    size: int


class IsoArchive(Archive):
    """A disc image. What is large in it is read where it lies."""

    def _begin(self) -> None:
        """Find the root folder of the volume whose names count."""
        plain: _Record | None = None
        joliet: _Record | None = None
        self._block = _SECTOR
        for number in range(_FIRST, _FIRST + _DESCRIPTORS):
            sector = os.pread(self._fd, _SECTOR, number * _SECTOR)
            if len(sector) < _SECTOR or sector[1:6] != _IDENTIFIER or sector[0] == _LAST:
                break
            (block,) = struct.unpack_from("<H", sector, 128)
            if sector[0] == _PRIMARY and plain is None and block in _BLOCKS:
                self._block = block
                plain = _record(sector[156:190], block)
            elif sector[0] == _SUPPLEMENTARY and sector[88:91] in _JOLIET and block in _BLOCKS:
                joliet = joliet or _record(sector[156:190], block)
        own = next(self._records(plain.begin, _SECTOR), None) if plain is not None else None
        self._others = None if own is None else skipped_of_use(own.use)
        self._is_joliet = joliet is not None and self._others is None
        root = joliet if self._is_joliet else plain
        if root is None:
            raise InstanceError(
                "is a disc image whose volume descriptor is damaged: nothing in it can be found. "
                "Copy the disc again"
            )
        self._root = root

    def members(self) -> Iterator[Member]:
        """Yield the files, folder by folder."""
        pending = [_Folder("", 0, self._root.begin, self._root.size)]
        known = {self._root.begin}
        number, room = 0, _LONGEST
        while pending:
            folder = pending.pop()
            room -= min(folder.size, self.stamp.size)
            if room < 0:  # of folders that overlap an image has any number
                yield _bad(folder, _TOO_MUCH)
                return
            names: set[str] = set()
            below: list[_Folder] = []
            try:
                for each in self._in_folder(folder):
                    number += 1
                    if number > MOST_MEMBERS:
                        yield _bad(folder, _TOO_MUCH)
                        return
                    if isinstance(each, _Folder):
                        below.append(each)
                        continue
                    yield each if each.name not in names else each.but(TWICE)
                    names.add(each.name)
            except InstanceError as exc:
                yield _bad(folder, exc.reason)
            for inner in reversed(below):
                if inner.begin in known or inner.depth > _DEEPEST:
                    yield _bad(inner, _AGAIN)
                else:
                    known.add(inner.begin)
                    pending.append(inner)

    def _in_folder(self, folder: _Folder) -> Iterator[Member | _Folder]:
        """Yield what is in a folder; InstanceError, in the end, if that may not be all."""
        parts: list[_Record] = []
        for number, record in enumerate(self._records(folder.begin, folder.size)):
            if record.name == b"\0" and number:  # another folder begins
                raise InstanceError(_DAMAGED)
            if record.name in {b"\0", b"\1"} or record.flags & _ASSOCIATED:
                continue
            parts.append(record)
            if record.flags & _GOES_ON and not record.flags & _FOLDER:
                continue
            whole, parts = parts, []
            extra = self._extra(record)
            name = folder.name + self._name(record, extra)
            if extra.child is not None:
                begin = extra.child * self._block
                own = next(self._records(begin, _SECTOR), None)
                yield _Folder(f"{name}/", folder.depth + 1, begin, own.size if own else _SECTOR)
            elif not record.flags & _FOLDER:
                yield self._file(name, whole, extra)
            elif not extra.is_moved:
                yield _Folder(f"{name}/", folder.depth + 1, record.begin, record.size)
        if folder.begin + folder.size > self.stamp.size:
            raise InstanceError(_DAMAGED)

    def _file(self, name: str, parts: list[_Record], extra: Extra) -> Member:
        sections = [(part.begin, part.size) for part in parts]
        skipped, fault = fault_of_mode(extra.mode)
        fault = fault or fault_of_name(name)
        if any(part.is_interleaved for part in parts):
            fault = fault or "is interleaved with others: copy it from the mounted disc"
        if extra.is_packed:
            fault = fault or "is compressed (zisofs): copy it from the mounted disc"
        if any(begin + size > self.stamp.size for begin, size in sections if size):
            fault = fault or _CUT
        return Member(name, sum(size for _, size in sections), sections, skipped, fault)

    @contextmanager
    def _read(self, member: Member) -> Iterator[Buffer | FileView]:
        views = [FileView(self._fd, size, begin) for begin, size in member.where]
        head = views[0][:PREFIX_END]
        if not is_dicom(head):
            yield head
        elif member.size < LARGE:
            yield b"".join(chain.from_iterable(view.pieces() for view in views))
        elif len(views) == 1:
            yield views[0]
        else:
            with held(chain.from_iterable(view.pieces() for view in views)) as data:
                yield data

    def _records(self, begin: int, size: int) -> Iterator[_Record]:
        """Yield the records of a folder; InstanceError for what is none."""
        view = FileView(self._fd, size, begin)
        at = 0
        while at < len(view) and (length := view[at : at + 1]):
            if not length[0]:  # the next one is in the next sector
                at += _SECTOR - at % _SECTOR
                continue
            record = _record(view[at : at + length[0]], self._block)
            if record is None:
                raise InstanceError(_DAMAGED)
            yield record
            at += length[0]

    def _extra(self, record: _Record) -> Extra:
        if self._others is None:
            return Extra()
        return extra_of(record.use[self._others :], self._area)

    def _area(self, block: int, offset: int, size: int) -> bytes:
        return os.pread(self._fd, min(size, _SECTOR), block * self._block + offset)

    def _name(self, record: _Record, extra: Extra) -> str:
        if extra.name:
            return extra.name.decode("utf-8", "surrogateescape")
        if self._is_joliet:
            return _VERSION.sub("", record.name.decode("utf-16-be", "replace"))
        return _VERSION.sub("", record.name.decode("ascii", "surrogateescape"))


def _record(data: bytes, block: int) -> _Record | None:
    """Return the directory record in `data`, `None` if there is none."""
    if len(data) < _RECORD.size:
        return None
    length, before, extent, size, flags, unit, gap, _, of_name = _RECORD.unpack_from(data)
    end = _RECORD.size + of_name
    if length != len(data) or end > length or not of_name:
        return None
    use = data[end + (of_name % 2 == 0) :]
    begin = (extent + before) * block  # its extended attributes come before it
    return _Record(data[_RECORD.size : end], begin, size, flags, bool(unit or gap), use)


def _bad(folder: _Folder, why: str) -> Member:
    return Member(folder.name, 0, (), fault=why)
