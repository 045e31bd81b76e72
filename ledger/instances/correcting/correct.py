"""Correcting an instance: the corrected file as a stream, and what it changes.

    with corrected(view, [Edit(path_of("PatientID"), "4711")], note) as result:
        content = batch.add_chunks(result.chunks(), size=result.size)

The corrected file is the original byte for byte, except for the elements in question, an item that
is added to Original Attributes Sequence (PS3.3 C.12.1.1.9), the lengths that enclose these, and
what follows in group 0002. A deflated data set is the same once it is inflated.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from itertools import chain
from typing import Final

from attrs import frozen

from ledger.errors import CorrectionError
from ledger.files import FileView
from ledger.instances.correcting.bodies import Body, body_of_found
from ledger.instances.correcting.edits import (
    Edit,
    ElementPath,
    OriginalAttributes,
    UIDsReplaced,
    check_edits,
)
from ledger.instances.correcting.file_meta import corrected_meta
from ledger.instances.correcting.splices import Piece, Splices, chunks_of, size_of
from ledger.instances.correcting.structure import DataSet
from ledger.instances.correcting.tree import Asked, asked
from ledger.instances.correcting.walk import Change, NeedsUnicodeError, Walk
from ledger.instances.data_set import held, opened
from ledger.instances.file_meta import Meta, meta_of_file
from ledger.instances.walker import Buffer, Walker, looks_implicit
from ledger.uids import DEFLATED, EXPLICIT_VR_BIG_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN

_CHUNK: Final = 1 << 20


@frozen
class Corrected:
    """A corrected instance, as long as the context that gives it."""

    size: int
    """The size of the corrected file in bytes."""

    changes: tuple[Change, ...]
    """What the edits change, without those of values that are there already."""

    uids: Mapping[str, str]
    """Those of the UIDs to be replaced that occur, with the new ones."""

    switched: tuple[ElementPath, ...]
    """The data sets whose character set becomes ISO_IR 192: `()` is the instance's own."""

    encoded_anew: tuple[ElementPath, ...]
    """The text elements that are encoded in it anew, beside those that change."""

    _pieces: tuple[tuple[Buffer | FileView, tuple[Piece, ...]], ...]

    @property
    def is_changed(self) -> bool:
        """Whether anything changes: else the chunks are those of the original."""
        return bool(self.changes or self.uids)

    def chunks(self) -> Iterator[bytes]:
        """Yield the corrected file in chunks of about 1 MiB at most.

        Raises OSError, and `TruncatedError` where the file has become shorter meanwhile.
        """
        return chain.from_iterable(chunks_of(data, pieces) for data, pieces in self._pieces)


@contextmanager
def corrected(
    source: Buffer | FileView, edits: Sequence[Edit | UIDsReplaced], note: OriginalAttributes | None
) -> Iterator[Corrected]:
    """Give the instance in the DICOM file `source` with the `edits` carried out.

    `note` is what the item in Original Attributes Sequence says beside the former values; `None`
    adds no such item. An edit of a value that is there already changes nothing, and if no edit
    changes anything the file stays as it is.

    A value that the character set lacks switches it to ISO_IR 192. All other text that the set
    applies to is then encoded anew.

    Raises `CorrectionError` where that can't be done, and `InstanceError` or OSError where the file
    can't be read; `TemporaryFolderError` where a large deflated data set finds no room.
    """
    check_edits(edits)
    replaced: dict[str, str] = {}
    for edit in edits:
        if isinstance(edit, UIDsReplaced):
            replaced |= edit.uids
    tree = asked(edit for edit in edits if isinstance(edit, Edit))
    with ExitStack() as stack:
        meta, data, offset = stack.enter_context(opened(source))
        walk, splices, switched = _walked(meta, data, offset, tree, replaced, note)
        found = (tuple(walk.changes), walk.uids, tuple(sorted(switched)), tuple(walk.encoded_anew))
        if not (walk.changes or walk.uids):
            yield Corrected(len(source), *found, ((source, (slice(0, len(source)),)),))
            return
        body = tuple(splices.pieces(offset))
        if meta.transfer_syntax_uid in DEFLATED:
            data = stack.enter_context(held(_deflating(chunks_of(data, body))))
            body = (slice(0, len(data)),)
        start = corrected_meta(bytes(source[: meta_of_file(source)[1]]), walk.identity)
        pieces = ((source, (start,)), (data, body))
        yield Corrected(len(start) + size_of(body), *found, pieces)


def values_of(
    source: Buffer | FileView, paths: Iterable[ElementPath]
) -> dict[ElementPath, Body | None]:
    """Return the values at `paths` as they are in a DICOM file, `None` where there is no element.

    Raises as `corrected`.
    """
    wanted = [Edit(path, None) for path in paths]
    found: dict[ElementPath, Body | None] = dict.fromkeys(edit.path for edit in wanted)
    with opened(source) as (meta, data, offset):
        big_endian = meta.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN
        _look(_data_set(meta, data, offset), asked(wanted), found, big_endian)
    return found


def _look(
    ds: DataSet, wanted: Asked, found: dict[ElementPath, Body | None], big_endian: bool
) -> None:
    last = max((*wanted.edits, *wanted.items), default=0)
    for each in ds.elements():
        if each.tag > last:
            return
        if each.tag in wanted.edits:
            found[(*ds.path, each.tag)] = body_of_found(ds, each, big_endian=big_endian)
        if (items := wanted.items.get(each.tag)) and ds.is_sequence(each):
            for number, item in enumerate(ds.items(each)):
                if number in items:
                    _look(item, items[number], found, big_endian)


def _walked(
    meta: Meta,
    data: Buffer | FileView,
    offset: int,
    tree: Asked,
    uids: dict[str, str],
    note: OriginalAttributes | None,
) -> tuple[Walk, Splices, frozenset[ElementPath]]:
    """Walk through a data set until every character set that has to is switched."""
    big_endian = meta.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN
    switched: frozenset[ElementPath] = frozenset()
    while True:
        splices = Splices(data, big_endian=big_endian)
        walk = Walk(
            _data_set(meta, data, offset),
            splices,
            uids=uids,
            switched=switched,
            big_endian=big_endian,
        )
        try:
            walk.run(tree)
            if note is not None and (walk.changes or walk.uids):
                walk.add_item(note)
        except NeedsUnicodeError as exc:
            if exc.scope in switched:
                raise CorrectionError("a value has characters that are none") from exc
            switched |= {exc.scope}
        else:
            return walk, splices, switched


def _data_set(meta: Meta, data: Buffer | FileView, offset: int) -> DataSet:
    implicit = meta.transfer_syntax_uid == IMPLICIT_VR_LITTLE_ENDIAN
    if len(data) - offset >= 6:
        implicit = looks_implicit(data, offset)
    big_endian = meta.transfer_syntax_uid == EXPLICIT_VR_BIG_ENDIAN
    return DataSet(Walker(data, big_endian=big_endian), data, offset, implicit=implicit)


def _deflating(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield a data set deflated, with an even number of bytes (PS3.5 Section A.5)."""
    stream = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    size = 0
    for chunk in chunks:
        packed = stream.compress(chunk)
        size += len(packed)
        yield packed
    rest = stream.flush()
    yield rest + b"\0" * ((size + len(rest)) % 2)
