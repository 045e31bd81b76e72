"""ZIP files, read by the standard library's `zipfile`, with what that leaves to its callers."""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from itertools import pairwise
from typing import IO, Final
from zipfile import ZIP_DEFLATED, ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from fileset.archives.archive import (
    MOST_MEMBERS,
    TWICE,
    Archive,
    Member,
    fault_of_mode,
    fault_of_name,
)
from ledger.errors import InstanceError
from ledger.files import LARGE, FileView
from ledger.instances.data_set import held
from ledger.instances.file_meta import PREFIX_END, is_dicom
from ledger.instances.walker import Buffer

_AT_ONCE: Final = 1 << 25  # bytes that are read at once: more the list of members may not have
_PIECE: Final = 1 << 22  # bytes of a large member that are unpacked at a time
_LOCAL: Final = struct.Struct("<26xHH")  # of a local header, the lengths of what follows it
_UNIX: Final = 3  # the system whose modes are in the upper half of the attributes
_ENCRYPTED: Final = 0x01
_DAMAGED: Final = (BadZipFile, zlib.error, EOFError, struct.error, ValueError, NotImplementedError)

_MOST: Final = 1032  # times its size that a deflated member can unpack to

_HARMFUL: Final = 1 << 30  # bytes from which the ratio is looked at
_RATIO: Final = 500
"""How many times its own size an archive may unpack to: black images come to half of that."""


class _Bounded(FileIO):
    """A file of which nobody reads so much that memory would not do."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is not None and size > _AT_ONCE:
            raise BadZipFile("its list of members is longer than can be read")
        return super().read(size) or b""


class ZipArchive(Archive):
    """A ZIP file. What is stored in it is read where it lies, if it is large."""

    def _begin(self) -> None:
        try:
            self._zip = ZipFile(_Bounded(self._fd, closefd=False))
        except _DAMAGED as exc:
            raise InstanceError(
                f"is a ZIP file that is damaged or cut off ({_in_words(exc)}): nothing in it can "
                "be found. Copy it again; `zip -FF` may save what is left"
            ) from exc
        entries = self._zip.infolist()
        size, packed = sum(e.file_size for e in entries if _fault(e) is None), self.stamp.size
        if len(entries) > MOST_MEMBERS or (size > _HARMFUL and size > _RATIO * packed):
            raise InstanceError(
                f"is a ZIP file of {packed:,} bytes that unpacks to {len(entries):,} files of "
                f"{size:,} bytes, which is hardly meant well: if it is, unpack it and add the "
                "folder"
            )

    def close(self) -> None:
        """Close the file."""
        if "_zip" in vars(self):
            self._zip.close()
        super().close()

    def members(self) -> Iterator[Member]:
        """Yield the files, in the order of the list at its end."""
        entries = self._zip.infolist()
        overlapping = set(_overlapping(entries))
        seen: set[str] = set()
        has_twins = len(self._zip.NameToInfo) < len(entries)
        for entry in entries:
            name = entry.filename.replace("\\", "/")  # some programs on Windows write these
            if name.endswith("/"):
                continue
            mode = entry.external_attr >> 16 if entry.create_system == _UNIX else 0
            skipped, fault = fault_of_mode(mode)
            fault = fault or fault_of_name(name) or _fault(entry)
            if entry.header_offset in overlapping:
                fault = fault or "its bytes are those of another member as well"
            member = Member(name, entry.file_size, entry, skipped, fault)
            yield member if name not in seen else member.but(TWICE)
            if has_twins:
                seen.add(name)

    @contextmanager
    def _read(self, member: Member) -> Iterator[Buffer | FileView]:
        entry: ZipInfo = member.where
        with _naming_damage(), self._zip.open(entry) as file:
            head = file.read(PREFIX_END)
            is_large = is_dicom(head) and member.size >= LARGE
            if is_dicom(head) and not is_large:
                head += _rest(file, member.size - len(head))
        if not is_large:
            yield head
        elif entry.compress_type == ZIP_STORED:
            view = self._stored(entry)
            with _naming_damage():
                _check_sum(view, entry)
            yield view
        else:
            with held(self._unpacked(entry)) as data:
                yield data

    def _stored(self, entry: ZipInfo) -> FileView:
        """Return where a member lies that is not compressed."""
        begin = entry.header_offset
        lengths = _LOCAL.unpack(os.pread(self._fd, _LOCAL.size, begin))
        return FileView(self._fd, entry.file_size, begin + _LOCAL.size + sum(lengths))

    def _unpacked(self, entry: ZipInfo) -> Iterator[bytes]:
        """Yield what a member unpacks to, in pieces."""
        with _naming_damage(), self._zip.open(entry) as file:
            size = 0
            while piece := file.read(_PIECE):
                size += len(piece)
                yield piece
            if size != entry.file_size:
                raise EOFError


def _fault(entry: ZipInfo) -> str | None:
    if entry.flag_bits & _ENCRYPTED:
        return "is encrypted: unpack the archive with its password, and add the folder"
    if entry.compress_type not in {ZIP_STORED, ZIP_DEFLATED}:
        return (
            f"is compressed by method {entry.compress_type}, and only deflated and stored members "
            "are read: unpack the archive, and add the folder"
        )
    least = entry.compress_size if entry.compress_type == ZIP_STORED else 0
    if not least <= entry.file_size <= (least or _MOST * entry.compress_size):
        return "is damaged: it can't unpack to as many bytes as it says"
    return None


def _overlapping(entries: list[ZipInfo]) -> Iterator[int]:
    """Yield where members begin that reach into the next one."""
    ordered = sorted(entries, key=lambda entry: entry.header_offset)
    for entry, following in pairwise(ordered):
        least = entry.header_offset + 30 + entry.compress_size  # with its header, but for its name
        if least > following.header_offset:
            yield entry.header_offset


def _rest(file: IO[bytes], size: int) -> bytes:
    data = file.read(size)
    if len(data) != size or file.read(1):  # at the end the checksum is compared
        raise EOFError
    return data


def _check_sum(view: FileView, entry: ZipInfo) -> None:
    found = size = 0
    for piece in view.pieces():
        found, size = zlib.crc32(piece, found), size + len(piece)
    if found != entry.CRC or size != entry.file_size:
        raise BadZipFile("its checksum is another one")


@contextmanager
def _naming_damage() -> Iterator[None]:
    """Make an InstanceError of whatever damage is met in reading a member."""
    try:
        yield
    except InstanceError:
        raise
    except _DAMAGED as exc:
        raise InstanceError(f"is damaged in the archive: {_in_words(exc)}") from exc
    except OSError as exc:
        raise InstanceError(f"can't be read: {exc.strerror}") from exc
    except MemoryError as exc:
        raise InstanceError("is too large for memory") from exc


def _in_words(exc: Exception) -> str:
    if isinstance(exc, EOFError):
        return "it ends too early"
    if isinstance(exc, BadZipFile) and "CRC" in str(exc):
        return "its checksum is another one"
    return str(exc).rstrip(".").replace("\n", " ") or type(exc).__name__
