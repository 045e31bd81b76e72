"""Deflated data sets unfold, and decompression bombs don't."""

from __future__ import annotations

import errno
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runs import CT
from no_room import CAUSES, deflated, no_room

from ledger.errors import InstanceError, TemporaryFolderError
from ledger.files import viewed
from ledger.instances.data_set import unfolded
from ledger.instances.deflated import inflate
from ledger.instances.scanner import Wanted, scan, scan_file


def test_a_decompression_bomb_is_refused_early() -> None:
    deflater = zlib.compressobj(9, wbits=-15)
    bomb = b"".join(deflater.compress(bytes(1 << 20)) for _ in range(80)) + deflater.flush()
    with pytest.raises(InstanceError, match="decompression bomb"):
        inflate(bomb)
    with pytest.raises(InstanceError, match="can't be inflated"):
        inflate(b"\xff\xff\xff\xff")


@pytest.mark.parametrize("cause", CAUSES)
def test_a_temporary_folder_without_room_is_no_fault_of_the_file(
    tmp_path: Path, cause: str
) -> None:
    path = deflated(CT, tmp_path / "deflated")
    told = "The temporary folder .* TMPDIR"
    with no_room(cause), viewed(path) as view:
        with pytest.raises(TemporaryFolderError, match=told):
            scan_file(view, Wanted({}))
        with pytest.raises(TemporaryFolderError, match=told):
            scan(path.read_bytes(), Wanted({}))


def test_a_file_that_can_t_be_read_on_is_no_fault_of_the_temporary_folder() -> None:
    stream = zlib.compressobj(wbits=-15)

    def pieces() -> Iterator[bytes]:
        for _ in range(30):
            yield stream.compress(bytes(1 << 20)) + stream.flush(zlib.Z_FULL_FLUSH)
        raise OSError(errno.EIO, "Input/output error")

    with pytest.raises(OSError, match="Input/output"), unfolded(pieces(), 30 << 20):
        pass
