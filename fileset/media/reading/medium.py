"""What reading a medium gives: its files in the order in which they lie, and the whole of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Final

from attrs import frozen

from fileset.media.errors import UnreadableMediumError
from ledger.events import Content

DEEPEST: Final = 64
"""Folders in each other at most, of a medium that is read: eight are allowed on one of ours."""

MOST_FOLDER_BYTES: Final = 64 << 20
"""Bytes of all folders of a medium at most: a million files or so."""


@frozen
class MediumFile:
    """A file of a medium.

    Attributes
    ----------
    path : str
        Below the root, with slashes, without the version and full stop of ISO 9660.
    size : int
        In bytes.
    chunks : function
        Returns the content, read now. Raises UnreadableMediumError if that is not whole; the other
        files can be read all the same.
    """

    path: str
    size: int
    chunks: Callable[[], Iterator[bytes]]


@frozen
class ReadMedium:
    """A medium that is read.

    Attributes
    ----------
    format : str
        `iso`, `usb`, `zip` or `folder`.
    name : str
        The name of the volume: the File-set ID or how it begins, empty where there is none.
    files : iterable of MediumFile
        In the order in which they lie, the DICOMDIR of a folder first. In this order, a slow
        device and a pipe can be read in one go.
    content : function
        Returns the digest of so many bytes from the beginning, or of all, with their number: what
        was read for the files is not read again. `None` for a folder.
    """

    format: str
    name: str
    files: Iterable[MediumFile]
    content: Callable[[int | None], Content] | None


def checked_name(name: str, above: str) -> str:
    """Return the path of what is called `name` in the folder `above`; refuse what leads astray."""
    path = f"{above}/{name}" if above else name
    if name in {"", ".", ".."} or "/" in name or "\\" in name or "\0" in name:
        raise UnreadableMediumError(f"{path!r}: no name for a file; nothing more was read")
    return path
