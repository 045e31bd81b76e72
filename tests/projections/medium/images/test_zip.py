"""ZIPs as PS3.12 Annex V has them: stored, in order, with all that a stream needs in front."""

from __future__ import annotations

import io
import zipfile

from hypothesis import given
from media_trees import TIME, Tree, image, trees


@given(tree=trees())
def test_members_are_stored_in_the_order_given(tree: Tree) -> None:
    with zipfile.ZipFile(io.BytesIO(image("zip", tree))) as archive:
        assert archive.namelist() == list(tree)
        assert {info.compress_type for info in archive.infolist()} == {zipfile.ZIP_STORED}


@given(tree=trees())
def test_no_member_needs_a_descriptor_behind_it(tree: Tree) -> None:
    data = image("zip", tree)
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for info in archive.infolist():
            assert info.flag_bits == 0
            local = data[info.header_offset :]
            assert local[14:18] == info.CRC.to_bytes(4, "little")
            assert local[18:22] == local[22:26] == info.file_size.to_bytes(4, "little")


def test_members_are_regular_files_of_their_time() -> None:
    with zipfile.ZipFile(io.BytesIO(image("zip", {"DICOMDIR": b"1"}))) as archive:
        [info] = archive.infolist()
    assert info.date_time == TIME
    assert oct(info.external_attr >> 16) == "0o100644"
    assert info.create_system == 3
