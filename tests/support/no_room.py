"""A temporary folder that is full or is not there, and an instance that takes one."""

from __future__ import annotations

import os
import resource
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from pydicom import dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian

CAUSES = ["full", "gone"]


def deflated(source: Path, target: Path) -> Path:
    """Save the instance at `source` so that it is small, and unfolds to more than is in memory."""
    ds = dcmread(source)
    ds.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    ds.PixelData = bytes(20 << 20)
    ds.save_as(target)
    return target


@contextmanager
def no_room(cause: str) -> Iterator[None]:
    """Have no room for temporary files of over 2 MiB in the block."""
    if cause == "gone":
        with mock.patch.object(tempfile, "tempdir", "/nonexistent"):
            yield
        return
    with room_for(2 << 20):
        yield


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Have no room for files of over `size` bytes in the block: what fits is written.

    Python keeps no bytecode meanwhile: it would not notice that it is cut short.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with (
        mock.patch.object(sys, "dont_write_bytecode", True),
        mock.patch.dict(os.environ, PYTHONDONTWRITEBYTECODE="1"),
    ):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
