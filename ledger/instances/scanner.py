"""Scanning a DICOM file (PS3.10 Section 7) for a few of its elements, and for its completeness.

A scan walks every top-level element to the end of the file and takes out the values of the wanted
ones; the others are skipped by their lengths, without an object made for them. That proves at the
same time that no length runs past the end: a truncated file is never taken for a whole one.

Two fast loops serve Explicit and Implicit VR Little Endian, which is nearly every file; what looks
as it did in a file before (`ledger.instances.familiar`) they step over. At anything else they
give up and leave the file to pydicom, after `ledger.instances.walker` has checked that it is
complete; both ways give the same result.
"""

from __future__ import annotations

import struct
import sys
import warnings
from collections.abc import Collection, Container, Iterator, Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Final, NamedTuple

from ledger.elements import KNOWN_VRS, UNDEFINED_LENGTH, Element, canonical, encode_element, iterate
from ledger.errors import ElementsError, InstanceError
from ledger.files import FileView
from ledger.instances.data_set import opened, unfolded
from ledger.instances.deflated import inflate
from ledger.instances.encodings import (
    PIXEL_DATA,
    PLAIN_SYNTAXES,
    check_byte_order,
    has_encapsulated,
    misfit_of,
)
from ledger.instances.familiar import MAX_MISSES, RUN, Familiar, Plain
from ledger.instances.file_meta import LENGTH, LONG, NAMES, SHORT, Meta, read_meta, vr_code
from ledger.instances.open_sequences import skip_open
from ledger.instances.walker import Buffer, Walked, describe, looks_implicit, walk_elements
from ledger.uids import (
    DEFLATED,
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
)

if TYPE_CHECKING:
    from pydicom.dataelem import RawDataElement

_MARGIN: Final = 4096  # bytes at the end of a head where no element is begun with

_MAX_VALUE: Final = 1 << 24  # bytes of what is wanted of a large file

_SQ, _UN = vr_code(b"SQ"), vr_code(b"UN")
_PIXEL_MARK: Final = -1  # what the loops have in the place of a tag for encapsulated pixel data
_PIXEL_TAG: Final = b"\xe0\x7f\x10\x00"
_PIXELS: Final = Element(_PIXEL_MARK, "OB", b"")
_NO_GROUPS: Final = (0x0000, 0xFFFE, 0xFFFF)
"""Groups of commands, delimiters and padding: elements that no data set has, which stop a walk."""

_EXPLICIT: Final = struct.Struct("<HHHH").unpack_from  # group, number, VR, short length
_IMPLICIT: Final = struct.Struct("<HHI").unpack_from
_NOTHING: Final[dict[int, int]] = {}
_new: Final = tuple.__new__  # of a named tuple: its own constructor takes twice as long


class Scan(NamedTuple):
    """What a scan found in a file."""

    transfer_syntax_uid: str
    media_storage_class_uid: str
    """Media Storage SOP Class UID (0002,0002), empty where there is none."""

    media_storage_instance_uid: str
    """Media Storage SOP Instance UID (0002,0003), empty where there is none."""

    elements: dict[int, Element]
    """The wanted elements that are there, by tag: values as in the file, sequences canonical."""

    misfit: str = ""
    """In what the data set is encoded otherwise than the transfer syntax says, if it is."""


class Wanted:
    """What a scan is to return: the VR of each wanted tag, and which of them only for presence.

    Those in `presence_only` come back with an empty value.
    """

    __slots__ = ("explicit", "groups", "implicit", "presence_only", "vrs")

    def __init__(self, vrs: Mapping[int, str], presence_only: Collection[int] = ()) -> None:
        self.vrs = dict(vrs)
        self.presence_only = frozenset(presence_only)
        self.groups: dict[int, dict[int, int]] = {group: {} for group in _NO_GROUPS}
        """The wanted tags by group and number; nothing for groups that stop a walk."""
        for tag in vrs:
            self.groups.setdefault(tag >> 16, {})[tag & 0xFFFF] = tag
        self.explicit = Familiar(self._plain_explicit)
        self.implicit = Familiar(self._plain_implicit)

    def _plain_explicit(self, data: Buffer, offset: int) -> Plain | None:
        """Return the element at `offset` if a run may hold it: all but what a walk looks into."""
        if offset + 12 > len(data):
            return None
        group, number, vr, length = _EXPLICIT(data, offset)
        start = offset + 8
        if vr in LONG:
            (length,) = LENGTH(data, start)
            start += 4
        if vr not in NAMES or length == UNDEFINED_LENGTH or group in _NO_GROUPS:
            return None
        tag = self.groups.get(group, _NOTHING).get(number)
        if tag is not None and vr in LONG:
            return None
        return Plain(start, start + length, tag, NAMES[vr])

    def _plain_implicit(self, data: Buffer, offset: int) -> Plain | None:
        """Return the element at `offset` of Implicit VR data if a run may hold it."""
        if offset + 8 > len(data):
            return None
        group, number, length = _IMPLICIT(data, offset)
        tag = self.groups.get(group, _NOTHING).get(number)
        if length == UNDEFINED_LENGTH or tag in self.presence_only or group in _NO_GROUPS:
            return None
        if tag is not None and self.vrs[tag] == "SQ":
            return None
        return Plain(offset + 8, offset + 8 + length, tag, self.vrs[tag] if tag else "")


class _File(NamedTuple):
    """A file's meta information, and the encoded data set: `data` from `offset` on."""

    meta: Meta
    data: Buffer
    offset: int

    @property
    def transfer_syntax_uid(self) -> str:
        return self.meta.transfer_syntax_uid


def scan(data: Buffer, wanted: Wanted) -> Scan:
    """Return the `wanted` elements of the DICOM file whose bytes `data` holds.

    Raises `NotDicomError`, `TruncatedError`, or
    `InstanceError` where the file can't be read.
    """
    meta, offset = read_meta(data)
    if meta.transfer_syntax_uid in DEFLATED:
        with unfolded((data[offset:],), len(data) - offset) as whole:
            return _scan(meta, whole, 0, wanted)
    return _scan(meta, data, offset, wanted)


def _scan(meta: Meta, data: Buffer | FileView, offset: int, wanted: Wanted) -> Scan:
    _check_byte_order(meta, data, offset)
    if isinstance(data, FileView):
        return _scan_walking(meta, data, offset, wanted, _MAX_VALUE)
    elements = _scan_fast(_File(meta, data, offset), wanted)
    if elements is None:
        return _scan_walking(meta, data, offset, wanted)
    return Scan(*meta, elements)


def scan_head(head: bytes, size: int, wanted: Wanted) -> Scan | None:
    """Return what `scan` returns for the file of `size` bytes that begins with `head`.

    That takes a file whose last element begins in `head` and ends with the file, as Pixel Data
    does. `None` where the rest of it has to be read, whatever the reason.
    """
    try:
        meta, offset = read_meta(head)
        if meta.transfer_syntax_uid in DEFLATED:
            return None
        _check_byte_order(meta, head, offset)
        elements = _scan_fast(_File(meta, head, offset), wanted, size)
    except InstanceError:
        return None
    if elements is None:
        return None
    # The last of them may have been cut off with the head.
    last = next(reversed(elements.values()), None)
    if last is not None and (not last.value or head.endswith(last.value)):
        return None
    return Scan(*meta, elements)


def scan_file(view: FileView, wanted: Wanted) -> Scan:
    """Return what `scan` returns for a file of any size, of which little is read into memory.

    The walk goes from element to element, over fragments too. What is wanted of the data set is
    then scanned as a data set of its own. Slower than `scan`: for files that are large.
    """
    with opened(view) as (meta, data, offset):
        _check_byte_order(meta, data, offset)
        return _scan_walking(meta, data, offset, wanted, _MAX_VALUE)


def scan_generally(data: Buffer, wanted: Wanted) -> Scan:
    """Return what `scan` returns, read by pydicom whatever the file: the reference."""
    meta, offset = read_meta(data)
    if meta.transfer_syntax_uid in DEFLATED:
        data, offset = inflate(data[offset:]), 0
    _check_byte_order(meta, data, offset)
    return _scan_generally(_File(meta, data, offset), wanted)


def _check_byte_order(meta: Meta, data: Buffer | FileView, offset: int) -> None:
    # Of nearly every file the second byte tells that it begins with a low group in Little Endian.
    if data[offset + 1 : offset + 2] != b"\0" or meta.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN:
        check_byte_order(meta.transfer_syntax_uid, data, offset)


# --- the fast loops ------------------------------------------------------------------------------


def _scan_fast(file: _File, wanted: Wanted, size: int | None = None) -> dict[int, Element] | None:
    """Return the wanted elements, or `None` where the general way has to decide.

    With a `size`, the file has so many bytes and only begins with those given.
    """
    data, offset = file.data, file.offset
    last = len(data) - (8 if size is None else _MARGIN)
    if file.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN:
        return None
    familiar, walk = wanted.explicit, _walk_explicit
    if file.transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN:
        familiar, walk = wanted.implicit, _walk_implicit
        if offset <= last and not looks_implicit(data, offset):
            return None
    elements: dict[int, Element] = {}
    misses = 0
    while offset <= last:
        if misses == MAX_MISSES:
            walked = walk(data, offset, wanted, elements, sys.maxsize, {})
        else:
            begun = offset
            offset, raw = familiar.step(data, offset, elements)
            if offset > last:
                break
            misses = misses + 1 if offset == begun else 0
            walked = walk(data, offset, wanted, elements, RUN, familiar.starts)
            if walked is not None:
                familiar.learn(data, offset, raw)
        if walked is None:
            return None
        offset = walked
    is_whole = offset == (len(data) if size is None else size)
    is_odd = has_encapsulated(file.transfer_syntax_uid) is (_PIXEL_MARK not in elements)
    elements.pop(_PIXEL_MARK, None)
    return elements if is_whole and not is_odd else None


def _walk_explicit(  # noqa: C901 - the innermost loop: a call for each element takes as long again
    data: Buffer,
    offset: int,
    wanted: Wanted,
    elements: dict[int, Element],
    most: int,
    starts: Container[int],
) -> int | None:
    """Take the wanted ones of the next elements, at `most` so many; return where that led to.

    Behind the first one, it ends before an element whose tag is one of the `starts`. `None` where
    the general way has to decide.
    """
    groups, names, short, long = wanted.groups, NAMES, SHORT, LONG
    size = len(data)
    begun, last = offset, size - 8
    for _ in range(most):
        if offset > last:
            break
        group, number, vr, length = _EXPLICIT(data, offset)
        if starts and number << 16 | group in starts and offset > begun:
            break
        if vr in short:
            start = offset + 8
            offset = start + length
            if group in groups:
                numbers = groups[group]
                if number in numbers:
                    tag = numbers[number]
                    elements[tag] = _new(Element, (tag, names[vr], bytes(data[start:offset])))
                elif not numbers:
                    return None
            continue
        if vr in long and group not in groups and offset <= last - 4:
            (length,) = LENGTH(data, offset + 8)
            if length != UNDEFINED_LENGTH:
                offset += 12 + length
                continue
        walked = _walk_long(data, offset, wanted, elements)
        if walked is None:
            return None
        offset = walked
    return offset


def _walk_long(
    data: Buffer, header: int, wanted: Wanted, elements: dict[int, Element]
) -> int | None:
    """Take in the element at `header`, of a VR with a 32-bit length field, and return its end.

    `None` where the general way has to decide.
    """
    group, number, vr, _ = _EXPLICIT(data, header)
    numbers = wanted.groups.get(group)
    if vr not in LONG or header + 12 > len(data) or numbers == {}:
        return None
    start = offset = header + 12
    (length,) = LENGTH(data, header + 8)
    if length != UNDEFINED_LENGTH:
        offset += length
        end = offset
    elif vr == _UN:
        return None
    else:
        offset = skip_open(data, group << 16 | number, vr.to_bytes(2, "little"), start)
        end = offset - 8
        if group << 16 | number == PIXEL_DATA:
            if any(_PIXEL_TAG in bytes(part) for part in (data[:header], data[offset:])):
                return None  # there may be other pixel data, which is not encapsulated
            elements[_PIXEL_MARK] = _PIXELS
    if numbers and number in numbers:
        tag = numbers[number]
        if tag in wanted.presence_only:
            start = end
        value = bytes(data[start:end]) if vr != _SQ else _canonical(data[header:offset])
        if value is None:
            return None
        elements[tag] = Element(tag, NAMES[vr], value)
    return offset


def _walk_implicit(
    data: Buffer,
    offset: int,
    wanted: Wanted,
    elements: dict[int, Element],
    most: int,
    starts: Container[int],
) -> int | None:
    """Walk as `_walk_explicit`, in Implicit VR."""
    groups, vrs = wanted.groups, wanted.vrs
    size = len(data)
    begun, last = offset, size - 8
    for _ in range(most):
        if offset > last:
            break
        group, number, length = _IMPLICIT(data, offset)
        if starts and number << 16 | group in starts and offset > begun:
            break
        if not groups.get(group, True):
            return None
        start = offset + 8
        offset = end = start + length
        if length == UNDEFINED_LENGTH:
            offset = skip_open(data, group << 16 | number, None, start)
            end = offset - 8
            if group << 16 | number == PIXEL_DATA:
                elements[_PIXEL_MARK] = _PIXELS
        if group in groups and number in groups[group]:
            tag = groups[group][number]
            if vrs[tag] == "SQ" or offset > size:
                return None
            end = start if tag in wanted.presence_only else end
            elements[tag] = Element(tag, vrs[tag], bytes(data[start:end]))
    return offset


def _canonical(element: Buffer) -> bytes | None:
    """Return the canonical value of an explicit sequence element, `None` if it is malformed."""
    try:
        return canonical(bytes(element))[12:]
    except ElementsError:
        return None


# --- walking: large files, and what the fast loops leave -----------------------------------------


def _scan_walking(
    meta: Meta, view: Buffer | FileView, offset: int, wanted: Wanted, most: int | None = None
) -> Scan:
    """Return the wanted elements of the data set from `offset` to the end of the file.

    Where each begins and ends is for the walk to say; pydicom is given no others.
    InstanceError if one has more bytes than `most`.
    """
    syntax = meta.transfer_syntax_uid
    pixels: list[Walked] = []
    data = b"".join(_wanted_of(view, offset, syntax, wanted, pixels, most))
    misfit = misfit_of(syntax, view, offset, pixels)
    plain = PLAIN_SYNTAXES.get(syntax, EXPLICIT_VR_LITTLE_ENDIAN)  # here are no pixels
    file = _File(meta._replace(transfer_syntax_uid=plain), data, 0)
    elements = _scan_fast(file, wanted)
    if elements is None:
        elements = _scan_generally(file, wanted).elements
    return Scan(*meta, elements, misfit)


def _wanted_of(
    view: Buffer | FileView,
    offset: int,
    syntax: str,
    wanted: Wanted,
    pixels: list[Walked],
    most: int | None,
) -> Iterator[Buffer]:
    """Yield the wanted elements as they are encoded, those wanted for presence without a value.

    Pixel data is put into `pixels`.
    """
    implicit, big_endian = syntax == IMPLICIT_VR_LITTLE_ENDIAN, syntax == EXPLICIT_VR_BIG_ENDIAN
    for walked in walk_elements(view, offset, implicit=implicit, big_endian=big_endian):
        tag, header, start, stop = walked
        if tag == PIXEL_DATA:
            pixels.append(walked)
        if tag in wanted.presence_only:
            # The length is all of a long header behind the VR, or else what is behind the tag.
            at = bytes(view[header:start])
            short = len(at) == 8 and not looks_implicit(view, header)
            yield at[: -2 if short else -4] + bytes(2 if short else 4)
        elif tag in wanted.vrs:
            if most is not None and stop - start > most:
                raise InstanceError(
                    f"{describe(tag)} has {stop - start:,} bytes: too many for a directory record"
                )
            yield view[header:stop]


# --- the general way -----------------------------------------------------------------------------


def _scan_generally(file: _File, wanted: Wanted) -> Scan:
    """Return the wanted elements as pydicom reads them, once the file is known to be complete."""
    syntax, end = file.transfer_syntax_uid, file.offset
    pixels: list[Walked] = []
    for walked in walk_elements(
        file.data,
        file.offset,
        implicit=syntax == IMPLICIT_VR_LITTLE_ENDIAN,
        big_endian=syntax == EXPLICIT_VR_BIG_ENDIAN,
    ):
        end = walked.stop
        if walked.tag == PIXEL_DATA:
            pixels.append(walked)
    misfit = misfit_of(syntax, file.data, file.offset, pixels)
    file = file._replace(data=file.data[:end])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return Scan(*file.meta, _read_with_pydicom(file, wanted), misfit)
        except InstanceError:
            raise
        except Exception as exc:
            # Its positions are those in what it was given, which may be a part of the file.
            why = str(exc).partition(" at file position ")[0]
            raise InstanceError(f"the file can't be read: {why}") from exc


def _read_with_pydicom(file: _File, wanted: Wanted) -> dict[int, Element]:
    # pydicom takes a good part of a second to import, and most files never need it.
    from pydicom.dataelem import RawDataElement  # noqa: PLC0415
    from pydicom.filereader import read_dataset  # noqa: PLC0415

    from ledger.instances.datasets import to_elements  # noqa: PLC0415

    ds = read_dataset(
        BytesIO(file.data[file.offset :]),
        is_implicit_VR=file.transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN,
        is_little_endian=file.transfer_syntax_uid != EXPLICIT_VR_BIG_ENDIAN,
        specific_tags=list(wanted.vrs),
    )
    elements = {
        tag: Element(tag, wanted.vrs[tag], b"")
        for tag in wanted.presence_only & {int(key) for key in ds.keys()}  # noqa: SIM118
    }
    kept: dict[int, Element] = {}
    for key in ds.keys() & wanted.vrs.keys():
        item: object = ds.get_item(key, keep_deferred=True)
        if isinstance(item, RawDataElement) and (held := _as_it_is(item, wanted.vrs[int(key)])):
            kept[int(key)] = held
    done = frozenset(map(int, ds.keys())) - wanted.vrs.keys() | wanted.presence_only | kept.keys()
    converted = {element.tag: element for element in iterate(to_elements(ds, without=done))}
    return kept | converted | elements


def _as_it_is(raw: RawDataElement, implicit_vr: str) -> Element | None:
    """Return an element as it is in the file, `None` where its encoding must be converted."""
    tag, value = int(raw.tag), raw.value or b""
    if not raw.is_little_endian:
        return None
    vr = raw.VR or implicit_vr
    if vr == "SQ":
        if raw.is_implicit_VR:
            return None
        sequence = _canonical(encode_element(tag, vr, value))
        return None if sequence is None else Element(tag, vr, sequence)
    return Element(tag, vr if vr.encode("latin-1") in KNOWN_VRS else "UN", value)
