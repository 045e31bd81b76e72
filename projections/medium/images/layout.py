"""The layout of an image: its size and its pieces in order, each some bytes or a whole file.

A layout is a function of what it is made from: the files, the volume and the version of the format.
Nothing is read to make it, so the size of an image is known before the first byte is written.
`fileset.media.stream` writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, TypeAlias

from attrs import field, frozen

from projections.medium.images.tree import ImageFile

Piece: TypeAlias = bytes | int
"""Some bytes, or the number of the file whose content is here."""

Checksums: TypeAlias = Callable[[int], int]
"""Returns the CRC-32 of the file of that number, for a ZIP: before the file is written."""

Encoding: TypeAlias = Callable[[Iterable[bytes]], Iterator[bytes]]

_ZEROS: Final = bytes(1 << 20)


def _unchanged(chunks: Iterable[bytes]) -> Iterator[bytes]:
    return iter(chunks)


@frozen
class Layout:
    """Where each byte of an image is.

    Attributes
    ----------
    format : str
        `iso`, `usb`, `zip` or `eml`.
    version : int
        The version of our writer of this format: images of one version are equal for ever.
    size : int
        Of the image, in bytes.
    files : sequence of ImageFile
        The files in the order in which they are in the image.
    pieces : function
        Returns what the image consists of, given what knows the checksums of files.
    encode : function
        What is done to the bytes of the pieces: for mail, Base64 with the message around it.
    """

    format: str
    version: int
    size: int
    files: Sequence[ImageFile]
    pieces: Callable[[Checksums], Iterator[Piece]]
    encode: Encoding = field(default=_unchanged)


def zeros(size: int) -> Iterator[bytes]:
    """Yield so many zero bytes, at most 1 MiB at a time."""
    for _ in range(size // len(_ZEROS)):
        yield _ZEROS
    if rest := size % len(_ZEROS):
        yield _ZEROS[:rest]
