"""The data set of a DICOM file of any size, with next to nothing of it in memory."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain, islice
from typing import Final

from ledger.errors import TemporaryFolderError
from ledger.files import FileView, write_all
from ledger.instances.deflated import inflating
from ledger.instances.file_meta import Meta, meta_of_file
from ledger.instances.walker import Buffer
from ledger.uids import DEFLATED

_CHUNK: Final = 1 << 22  # bytes that are read at a time
_SMALL: Final = 4  # chunks, of 4 MiB at most, that are held in memory


@contextmanager
def opened(view: Buffer | FileView) -> Iterator[tuple[Meta, Buffer | FileView, int]]:
    """Give the meta information of a file, and its data set: a view, and where in it that begins.

    One that is deflated is unfolded; InstanceError if it can't be.
    """
    meta, offset = meta_of_file(view)
    if meta.transfer_syntax_uid not in DEFLATED:
        yield meta, view, offset
        return
    with unfolded(_read_on(view, offset), len(view) - offset) as data:
        yield meta, data, 0


@contextmanager
def unfolded(pieces: Iterable[Buffer], size: int) -> Iterator[Buffer | FileView]:
    """Give what the `pieces` of a deflated stream of `size` bytes unfold to.

    That is in memory if it is small, and else in a temporary file. InstanceError as `inflate`,
    TemporaryFolderError where there can be no such file.
    """
    with held(inflating(pieces, size)) as data:
        yield data


@contextmanager
def held(chunks: Iterator[bytes]) -> Iterator[Buffer | FileView]:
    """Give what `chunks` make up, in memory if they are few, and else in a temporary file.

    TemporaryFolderError where there can be no such file.
    """
    small = b"".join(islice(chunks, _SMALL))
    if (more := next(chunks, None)) is None:
        yield small
        return
    with ExitStack() as stack:
        with _temporary():
            file = stack.enter_context(tempfile.TemporaryFile(buffering=0))
        total = 0
        for chunk in chain((small, more), chunks):
            with _temporary():
                write_all(file.fileno(), chunk)
            total += len(chunk)
        yield FileView(file.fileno(), total)


@contextmanager
def _temporary() -> Iterator[None]:
    """Tell an error of the temporary folder from one of the file that is read."""
    try:
        yield
    except OSError as exc:
        which = f" {tempfile.tempdir}" if tempfile.tempdir else ""
        raise TemporaryFolderError(
            f"The temporary folder{which} can't hold what is unpacked to be read: "
            f"{exc.strerror}. Free room there, or set TMPDIR to another folder."
        ) from exc


def _read_on(view: Buffer | FileView, offset: int) -> Iterator[Buffer]:
    while piece := view[offset : offset + _CHUNK]:
        yield piece
        offset += len(piece)
