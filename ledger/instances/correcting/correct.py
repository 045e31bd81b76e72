"""Correcting an instance: the corrected file as a stream, and what it changes.

    with corrected(view, [Edit(path_of("PatientID"), "4711")], note) as result:
        content = batch.add_chunks(result.chunks(), size=result.size)

The corrected file is the original byte for byte, except for the elements in question, an item that
is added to Original Attributes Sequence (PS3.3 C.12.1.1.9), the lengths that enclose these, and
what follows in group 0002. A deflated data set is the same once it is inflated.
"""

from __future__ import annotations

import zlib
from collections import ChainMap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final

from attrs import frozen

from ledger.errors import CorrectionError
from ledger.files import FileView
from ledger.instances.correcting.alike import Alike
from ledger.instances.correcting.edits import (
    Edit,
    ElementPath,
    OriginalAttributes,
    UIDsReplaced,
    check_edits,
)
from ledger.instances.correcting.elements import NeedsUnicodeError
from ledger.instances.correcting.file_meta import corrected_meta
from ledger.instances.correcting.outcome import Change, Outcome, Result
from ledger.instances.correcting.signatures import Signature
from ledger.instances.correcting.splices import Piece, Splices, chunks_of, size_of
from ledger.instances.correcting.structure import data_set_of
from ledger.instances.correcting.tree import asked
from ledger.instances.correcting.walk import Order, Walk
from ledger.instances.data_set import held, opened
from ledger.instances.file_meta import Meta, meta_of_file
from ledger.instances.walker import Buffer
from ledger.uids import DEFLATED

_SMALL: Final = 1 << 20  # bytes of a file that is read at once


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

    signatures: tuple[Signature, ...]
    """The digital signatures that cover what changes: broken, or removed on request."""

    _data: Buffer | FileView
    _pieces: tuple[Piece, ...]

    @property
    def is_changed(self) -> bool:
        """Whether anything changes: else the chunks are those of the original."""
        return bool(self.changes or self.uids)

    def chunks(self) -> Iterator[bytes]:
        """Yield the corrected file in chunks of about 1 MiB at most.

        Raises OSError, and `TruncatedError` where the file has become shorter meanwhile.
        """
        return chunks_of(self._data, self._pieces)


class Correcting:
    """Corrects instances, each by the same `edits`; what it finds of one serves those alike.

    `note` is what the item in Original Attributes Sequence says beside the former values; `None`
    adds no such item. An edit of a value that is there already changes nothing, and if no edit
    changes anything the file stays as it is.

    Digital signatures that cover what changes are told of, and removed with `drop_signatures`. They
    are not among the former values in Original Attributes: there they would sign other elements.

    A value that the character set lacks switches it to ISO_IR 192. All other text that the set
    applies to is then re-encoded.

    Raises `CorrectionError` where what is asked can't be, whatever the instance.
    """

    def __init__(
        self,
        edits: Sequence[Edit | UIDsReplaced],
        note: OriginalAttributes | None,
        *,
        drop_signatures: bool = False,
    ) -> None:
        check_edits(edits)
        self._order = Order(
            asked(edit for edit in edits if isinstance(edit, Edit)),
            dict(ChainMap(*[dict(edit.uids) for edit in edits if isinstance(edit, UIDsReplaced)])),
            note,
            drop_signatures,
        )
        wanted = self._order.wanted(self._order.asked)
        self._alike = None if wanted is None else Alike(wanted)

    @contextmanager
    def corrected(self, source: Buffer | FileView) -> Iterator[Corrected]:
        """Give the instance in the DICOM file `source` with the edits carried out.

        Raises `CorrectionError` where that can't be done, and `InstanceError` or OSError where the
        file can't be read; `TemporaryFolderError` where a large deflated data set finds no room.
        """
        if len(source) <= _SMALL:
            source = bytes(source[:])
        with ExitStack() as stack:
            meta, data, offset = stack.enter_context(opened(source))
            result = self._result(meta, data, offset)
            if result.is_change:
                body, begin = result.pieces, offset
                if meta.transfer_syntax_uid in DEFLATED:
                    data = stack.enter_context(held(_deflating(chunks_of(data, body))))
                    body = (slice(0, len(data)),)
                    _, begin = meta_of_file(source)
                start = corrected_meta(bytes(source[:begin]), result.identity)
            else:
                data, start, body = source, b"", (slice(0, len(source)),)
            yield Corrected(
                len(start) + size_of(body),
                result.changes,
                result.uids,
                result.switched,
                result.encoded_anew,
                result.signatures,
                data,
                (start, *body),
            )

    def _result(self, meta: Meta, data: Buffer | FileView, offset: int) -> Result:
        seen = None
        if self._alike is not None and isinstance(data, bytes):
            seen = self._alike.seen(data_set_of(meta, data, offset))
        result = seen.result() if seen else None
        if result is None:
            result = self._walked(meta, data, offset)
            if seen is not None and not result.switched:  # else all of the text matters
                seen.keep(result)
        return result

    def _walked(self, meta: Meta, data: Buffer | FileView, offset: int) -> Result:
        """Walk through a data set until every character set that has to is switched."""
        switched: frozenset[ElementPath] = frozenset()
        while True:
            top = data_set_of(meta, data, offset)
            outcome = Outcome(Splices(data, big_endian=top.big_endian))
            try:
                Walk(top, self._order, outcome, switched).run()
            except NeedsUnicodeError as exc:
                if exc.scope in switched:
                    raise CorrectionError("a value has bytes that are not text") from exc
                switched |= {exc.scope}
            else:
                return outcome.result(offset, switched)


def corrected(
    source: Buffer | FileView,
    edits: Sequence[Edit | UIDsReplaced],
    note: OriginalAttributes | None,
    *,
    drop_signatures: bool = False,
) -> AbstractContextManager[Corrected]:
    """Give one instance corrected, as `Correcting` does."""
    return Correcting(edits, note, drop_signatures=drop_signatures).corrected(source)


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
