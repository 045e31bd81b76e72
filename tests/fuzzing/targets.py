"""What is fuzzed, and what has to hold of any input: AssertionError or any other error if not."""

from __future__ import annotations

import json
import tempfile
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import orjson
from attrs import frozen
from pydicom import dcmread
from pydicom.dataelem import RawDataElement

from fileset.archives.opening import kind_of, open_archive
from fileset.media.reading.read import read_medium
from fuzzing import corpus
from ledger.dicom_json import from_json, to_json
from ledger.elements import is_canonical
from ledger.errors import InstanceError, LedgerError, UnknownFormatError
from ledger.instances.instance import Instance, read_head, read_instance
from ledger.instances.make_records import build_records
from ledger.instances.record_keys import KEYS
from ledger.instances.scanner import Scan, Wanted, scan, scan_generally
from ledger.journal import codec
from ledger.journal.lines import JournalFile
from projections.dicomdir.decoded_directory import DecodedDirectory
from projections.dicomdir.decoder import decode_dicomdir, read_item
from projections.dicomdir.mending import decode_damaged
from projections.dicomdir.tree import link

_TAGS = {tag: key.vr for tag, key in KEYS.items()}
_WARM = Wanted(_TAGS)
_COMPARED = tuple(tag for tag, key in KEYS.items() if key.vr in {"UI", "LO", "DA", "CS", "PN"})


def attempt(function: Callable[[], Any]) -> tuple[str, Any]:
    """Return what `function` returns, or the class of the error of ours that it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return "", function()
        except LedgerError as exc:
            return type(exc).__name__ if str(exc) else "without a word", None


# --- DICOMDIRs -----------------------------------------------------------------------------------


def dicomdir(data: bytes) -> None:
    """A DICOMDIR is read or refused; its tree has every record once; the ways to read it agree."""
    error, directory = attempt(lambda: decode_dicomdir(data, name="DICOMDIR"))
    assert attempt(lambda: decode_dicomdir(data, name="DICOMDIR")) == (error, directory)
    assert error in {
        "", "NotDicomError", "NotDicomdirError", "TruncatedError", "DicomdirError",
    }  # fmt: skip
    if not error:
        _check_directory(directory)
        _check_plain_records(data, directory)
    _, salvaged = attempt(lambda: decode_damaged(data, name="DICOMDIR"))
    if salvaged is not None:
        found, mends = salvaged
        _check_directory(found)
        assert bool(mends) == bool(error)
        assert attempt(lambda: decode_damaged(data, name="DICOMDIR"))[1] == salvaged


def _check_directory(directory: DecodedDirectory) -> None:
    for record in directory.records:
        assert is_canonical(record.elements)
        assert from_json(orjson.loads(json.dumps(to_json(record.elements)))) == record.elements
    tree = link(directory)
    seen, pending = [], list(tree.roots)
    while pending:
        node = pending.pop()
        seen.append(id(node.record))
        pending += node.children
    assert len(seen) == len(set(seen))
    assert not set(seen) & set(map(id, tree.orphans))
    assert len(seen) + len(tree.orphans) <= len(directory.records)


def _check_plain_records(data: bytes, directory: DecodedDirectory) -> None:
    """The quick way to read a plain record gives what the general one does."""
    for record in directory.records[:20]:
        at = record.offset
        if not at or data[at : at + 4] != b"\xfe\xff\0\xe0" or data[at + 4 : at + 8] == b"\xff" * 4:
            continue
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        content = data[at + 8 : at + 8 + length]
        if len(content) == length:
            error, other = attempt(
                lambda content=content, at=at: read_item(content, at, "", delimited=False)
            )
            assert error or other == record


# --- instances -----------------------------------------------------------------------------------


def header(data: bytes) -> None:
    """The scanner's ways to read a header agree with each other and with pydicom."""
    quick = attempt(lambda: scan(data, _WARM))
    assert _told(attempt(lambda: scan(data, Wanted(_TAGS)))) == _told(quick)
    general = attempt(lambda: _generally(data))
    assert general[0] == "UnreadableByPydicomError" or _told(general) == _told(quick)
    error, found = attempt(lambda: read_instance(data, "IM"))
    size = min(len(data) // 2, 1 << 14)
    head = read_head(data[:size], len(data))
    if head is not None:
        assert not error
        assert _of(head) == _of(found)
    if error:
        return
    attempt(lambda: build_records(found))
    _compare_with_pydicom(data, found)


class UnreadableByPydicomError(LedgerError):
    """The general way goes by way of pydicom, which gives up on values that nobody asked for."""


def _generally(data: bytes) -> Scan:
    try:
        return scan_generally(data, Wanted(_TAGS))
    except InstanceError as exc:
        if exc.reason.startswith("the file can't be read: "):
            raise UnreadableByPydicomError(exc.reason) from exc
        raise


def _told(result: tuple[str, Scan | None]) -> Any:
    error, found = result
    if found is None:
        return error
    elements = {tag: bytes(element.value) for tag, element in found.elements.items()}
    return error, found._replace(elements={}), elements


def _of(instance: Instance) -> Any:
    return (
        instance.sop_instance_uid,
        instance.sop_class_uid,
        instance.transfer_syntax_uid,
        {tag: bytes(element.value) for tag, element in instance.header.items()},
    )


def _compare_with_pydicom(data: bytes, found: Instance) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            ds = dcmread(BytesIO(data))
            raw = {tag: ds.get_item(tag) for tag in _COMPARED}
        except Exception:  # noqa: BLE001 - what pydicom can't read it is no judge of
            return
    for tag, theirs in raw.items():
        ours = found.header.get(tag)
        if isinstance(theirs, RawDataElement) and theirs.is_little_endian and ours is not None:
            assert bytes(ours.value).rstrip(b"\0 ") == (theirs.value or b"").rstrip(b"\0 "), (
                f"({tag:08X}) {bytes(ours.value)!r} where pydicom has {theirs.value!r}"
            )


# --- journals ------------------------------------------------------------------------------------


def payload(data: bytes) -> None:
    """A payload is an event that is written as it was read, or is damaged or newer."""
    name, _, body = data.partition(b"\n")
    text = name.decode("latin-1")
    error, event = attempt(lambda: codec.decode(text, 1, body))
    assert error in {"", "JournalDamagedError", "UnknownFormatError"}
    if error or not body:
        return
    again = codec.encode(event, "00")
    assert codec.decode(text, 1, again) == event
    assert codec.encode(codec.decode(text, 1, again), "00") == again


def journal(data: bytes) -> None:
    """An exported journal is read to its end, or its first bad line is named."""

    def read() -> list[Any]:
        exported = JournalFile(BytesIO(data), "journal.jsonl")
        with exported.naming_lines():
            return [attempt(lambda s=s: codec.decode(s.type, s.version, s.payload))[0]
                    for s in exported.events()]  # fmt: skip

    error, found = attempt(read)
    assert error in {"", "JournalFileError", UnknownFormatError.__name__}
    assert attempt(read) == (error, found)


# --- archives ------------------------------------------------------------------------------------


def archive(data: bytes) -> None:
    """Each member of an archive is read whole, or told why not, or the archive is refused."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "archive"
        path.write_bytes(data if data[:1] == b"P" else _image(data))
        if kind_of(path) is None:
            return
        error, _ = attempt(lambda: _read_members(path))
        assert error in {"", "InstanceError"}


def _image(data: bytes) -> bytes:
    """Return the image whose telling bytes are those of `data`, as far as these go."""
    number = data[0] % len(corpus.images()) if data else 0
    image = bytearray(corpus.images()[number])
    for at, byte in zip(corpus.telling(number), data[1:], strict=False):
        image[at] = byte
    return bytes(corpus.IMAGE_BEGIN) + image


def _read_members(path: Path) -> None:
    with open_archive(path) as opened:
        for number, member in enumerate(opened.members()):
            assert number < path.stat().st_size
            assert member.fault or member.skipped or ".." not in member.name.split("/")
            with suppress(InstanceError), opened.read(member) as found:
                assert found[128:132] != b"DICM" or len(found) == member.size


# --- media ---------------------------------------------------------------------------------------


def medium(data: bytes) -> None:
    """A medium gives files below its root, as long as it says, or tells why it can't be read."""
    kind = data[0] % len(corpus.KINDS) if data else 0
    image = bytearray(corpus.medium(kind))
    for at, byte in zip(corpus.saying(kind), data[1:], strict=False):
        image[at] = byte
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "medium"
        path.write_bytes(image)
        found = attempt(lambda: _read_files(path))
        assert found[0] in {"", "UnreadableMediumError"}
        assert attempt(lambda: _read_files(path)) == found


def _read_files(path: Path) -> list[tuple[str, int, str]]:
    """Return the files of a medium, each with its size and how reading it ends."""
    found = []
    with read_medium(path) as medium:
        for file in medium.files:
            assert not {"", ".", ".."} & set(file.path.split("/"))
            error, size = attempt(lambda file=file: sum(map(len, file.chunks())))
            assert error == "UnreadableMediumError" or size == file.size
            found.append((file.path, file.size, error))
        assert medium.content is not None
        assert medium.content(None).size == path.stat().st_size
    assert len({name for name, _, _ in found}) == len(found)
    return found


@frozen
class Target:
    """Something that is fuzzed: `check` is given mutations of the `seeds`."""

    check: Callable[[bytes], None]
    seeds: Callable[[], Sequence[bytes]]


TARGETS = {
    "dicomdir": Target(dicomdir, corpus.dicomdirs),
    "header": Target(header, corpus.instances),
    "payload": Target(payload, corpus.payloads),
    "journal": Target(journal, corpus.journals),
    "archive": Target(archive, corpus.archives),
    "medium": Target(medium, corpus.media),
}
assert issubclass(InstanceError, LedgerError)
