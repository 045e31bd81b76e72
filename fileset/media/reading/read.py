"""Reading a medium, whatever it is: `with read_medium("disc.iso") as medium`.

    with read_medium(path) as medium:
        for file in medium.files:
            for chunk in file.chunks(): ...
        content = medium.content and medium.content(None)   # of the whole image, read once

A device is longer than the image on it: `medium.content(size)` is that of the image.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from fileset.media.errors import UnreadableMediumError
from fileset.media.reading.fat import is_fat, read_fat
from fileset.media.reading.folder import read_folder
from fileset.media.reading.iso9660 import is_iso9660, read_iso9660
from fileset.media.reading.medium import ReadMedium
from fileset.media.reading.source import Source
from fileset.media.reading.zip import is_zip, read_zip


@contextmanager
def read_medium(path: str | os.PathLike[str]) -> Iterator[ReadMedium]:
    """Open an image, a device, a pipe, a ZIP or a folder; what it is, its bytes say.

    Raises OSError, and UnreadableMediumError for the first thing that is wrong with it.
    """
    path = Path(path)
    if path.is_dir():
        yield read_folder(path)
        return
    with path.open("rb") as file:  # the buffer is for zipfile; a source reads without
        yield _read_image(Source(file.fileno(), str(path)), file)


def _read_image(source: Source, file: BinaryIO) -> ReadMedium:
    if is_iso9660(source.head):
        return read_iso9660(source)
    if is_zip(source.head):
        return read_zip(source, file)
    if is_fat(source.head):
        return read_fat(source)
    raise UnreadableMediumError(
        f"{source.name}: no disc by ISO 9660, no stick with FAT, no ZIP and no folder"
    )
