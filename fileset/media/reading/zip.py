"""Reading a ZIP with the standard library, and with distrust of what it says."""

from __future__ import annotations

import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from functools import partial
from typing import BinaryIO, Final

from fileset.media.errors import UnreadableMediumError
from fileset.media.reading.medium import MediumFile, ReadMedium, checked_name
from fileset.media.reading.source import Source

_CHUNK: Final = 1 << 20
_ENCRYPTED: Final = 1
_FAULTS: Final = (
    zipfile.BadZipFile, RuntimeError, ValueError, EOFError, OSError,
    struct.error, zlib.error, lzma.LZMAError,
)  # fmt: skip
"""What zipfile and what it unpacks with raise of a ZIP that is damaged, or of a kind unknown."""


def is_zip(head: bytes) -> bool:
    """Whether a file that begins with `head` is a ZIP."""
    return head.startswith((b"PK\3\4", b"PK\5\6"))


def read_zip(source: Source, file: BinaryIO) -> ReadMedium:
    """Return the files of a ZIP, `file`; UnreadableMediumError for the first thing wrong."""
    if not source.can_seek:
        raise UnreadableMediumError(
            f"{source.name}: a ZIP has its directory at its end, so it can't be read from a pipe: "
            "save it to a file first"
        )
    try:
        archive = zipfile.ZipFile(file)
        infos = sorted(archive.infolist(), key=lambda info: info.header_offset)
    except _FAULTS as exc:
        raise UnreadableMediumError(f"{source.name}: no whole ZIP: {exc}") from exc
    found: dict[str, MediumFile] = {}
    for info in infos:
        path = ""
        for name in info.orig_filename.removesuffix("/").split("/"):
            path = checked_name(name, path)
        if info.is_dir():
            continue
        if path in found:
            raise UnreadableMediumError(f"{source.name}: two files {path}; nothing more was read")
        chunks = partial(_chunks, archive, info, f"{source.name}: {path}")
        found[path] = MediumFile(path, info.file_size, chunks)
    return ReadMedium("zip", "", list(found.values()), source.content)


def _chunks(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Iterator[bytes]:
    """Yield the content of a member, which is no more than it says."""
    if info.flag_bits & _ENCRYPTED:
        raise UnreadableMediumError(f"{name} is encrypted: unpack it with its password first")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise UnreadableMediumError(f"{name} is a link, not a file")
    size = 0
    try:
        with archive.open(info) as member:
            while chunk := member.read(_CHUNK):
                size += len(chunk)
                yield chunk
    except _FAULTS as exc:
        raise UnreadableMediumError(f"{name} can't be unpacked: {exc}") from exc
    if size != info.file_size:
        raise UnreadableMediumError(f"{name} has {size:,} bytes, and should {info.file_size:,}")
