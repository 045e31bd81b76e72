"""Previews are JPEG pictures, or the reason why there is none."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from io import BytesIO
from pathlib import Path
from typing import Any, cast

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file

from fileset.media.pdi.previews import previews
from ledger.errors import ContentMissingError
from projections.state.nodes import Leaf

LEAF = cast("Leaf", None)


def preview_of(name: str, why: list[Exception]) -> bytes | None:
    path = Path(name) if "/" in name else Path(str(get_testdata_file(name)))
    return previews(lambda _: nullcontext(path), lambda _, text: why.append(text))(LEAF)


def test_an_image_has_a_preview_that_is_not_large() -> None:
    pytest.importorskip("numpy", reason="needs the extra [pictures]: nox --session pictures")
    images: Any = pytest.importorskip("PIL.Image")
    for name in ("CT_small.dcm", "examples_rgb_color.dcm"):
        found = preview_of(name, [])
        assert isinstance(found, bytes)
        with images.open(BytesIO(found)) as shown:
            assert shown.format == "JPEG"
            assert max(shown.size) <= 512


def test_what_is_no_image_has_the_reason() -> None:
    pytest.importorskip("numpy", reason="needs the extra [pictures]: nox --session pictures")
    why: list[Exception] = []
    assert preview_of("reportsi.dcm", why) is None
    assert list(map(str, why)) == ["it is not an image"]


def test_a_number_of_frames_beyond_all_files_has_the_reason(tmp_path: Path) -> None:
    pytest.importorskip("numpy", reason="needs the extra [pictures]: nox --session pictures")
    ds = dcmread(Path(str(get_testdata_file("CT_small.dcm"))))
    why: list[Exception] = []
    for number in ("2147483647", "999999"):
        ds.NumberOfFrames = number
        ds.save_as(tmp_path / number)
        assert preview_of(str(tmp_path / number), why) is None
    assert str(why[0]) == "its number of frames is '2147483647'"
    assert str(why[1]).endswith("999999 frames of 128 rows and 128 columns take more")


def test_one_that_can_t_be_read_is_an_error_else_the_medium_would_differ_the_next_time() -> None:
    def gone(_: Leaf) -> AbstractContextManager[Path]:
        raise ContentMissingError("gone")

    with pytest.raises(ContentMissingError):
        previews(gone, lambda _, text: None)(LEAF)
