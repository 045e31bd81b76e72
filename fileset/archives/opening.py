"""Recognising archives by what is in them, whatever they are called, and opening them."""

from __future__ import annotations

import os
from contextlib import suppress
from enum import Enum
from typing import Final

from fileset.archives.archive import Archive
from ledger.errors import InstanceError
from ledger.files import open_regular
from ledger.instances.file_meta import PREFIX_END, is_dicom
from ledger.sources import BETWEEN

_ZIPS: Final = (b"PK\3\4", b"PK\5\6", b"PK\7\x08")  # a member, none, or the first of several parts
_VOLUMES: Final = 16 * 2048 + 1  # where a disc says what it is (ECMA-119 8.1.2, ECMA-167 2/9.1.2)
_ISO: Final = b"CD001"
_UDF: Final = b"BEA01"
_RAW: Final = b"\0" + b"\xff" * 10 + b"\0"  # how each sector begins that is copied with all it has


class ArchiveKind(Enum):
    """What an archive is, for people."""

    ZIP = "a ZIP file"
    ISO = "a disc image"
    UDF = "a disc image with UDF alone"
    RAW = "a disc image of raw sectors"


_ADVICE: Final = {
    ArchiveKind.UDF: "can't be read here: mount it, and add the folder",
    ArchiveKind.RAW: "can't be read here: convert it to an ISO image, for example with bchunk",
}


def not_looked_into(kind: ArchiveKind) -> str:
    """Return why what is in an archive is not added, and what to do."""
    return _ADVICE.get(kind, "is looked into only if it is named: `fileset add FILE`")


def kind_of(path: str | os.PathLike[str]) -> ArchiveKind | None:
    """Return what kind of archive is at `path`, `None` if none is, or it can't be read.

    A DICOM file is none, though its preamble may say so (PS3.10 Section 7.1).
    """
    try:
        fd = open_regular(path)
    except (OSError, ValueError):
        return None
    try:
        head = os.pread(fd, PREFIX_END, 0)
        if is_dicom(head):
            return None
        if head.startswith(_ZIPS):
            return ArchiveKind.ZIP
        found = os.pread(fd, len(_ISO), _VOLUMES)
        if found == _ISO:
            return ArchiveKind.ISO
        if found == _UDF:
            return ArchiveKind.UDF
        return ArchiveKind.RAW if head.startswith(_RAW) else None
    except OSError:
        return None
    finally:
        with suppress(OSError):  # it was read
            os.close(fd)


def open_archive(path: str | os.PathLike[str]) -> Archive:
    """Open the archive at `path`; OSError or InstanceError, whose message names it, if it can't."""
    kind, name = kind_of(path), os.fspath(path)
    try:
        if kind is ArchiveKind.ZIP:
            from fileset.archives.zip_archive import ZipArchive  # noqa: PLC0415 - few files are one

            return ZipArchive(path)
        if kind is ArchiveKind.ISO:
            from fileset.archives.iso_archive import IsoArchive  # noqa: PLC0415 - as above

            return IsoArchive(path)
    except InstanceError as exc:
        raise InstanceError(exc.reason, name=name) from exc
    why = f"is {kind.value}, which {not_looked_into(kind)}" if kind else "is no archive"
    raise InstanceError(why, name=name)


def split_member(source: str) -> tuple[str, str] | None:
    """Return the archive and the name in it that `source` is of, `None` if it is of no archive."""
    at = source.find(BETWEEN)
    while at >= 0:
        if kind_of(source[:at]) is not None:
            return source[:at], source[at + 1 :]
        at = source.find(BETWEEN, at + 1)
    return None
