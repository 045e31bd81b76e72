"""Pictures of two pixels to a character: as large as there is room, each pixel in its colour."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.color import Color

from fileset.cli.browser.halfblocks import fitting, half_blocks


@given(
    st.tuples(st.integers(1, 5000), st.integers(1, 5000)), st.integers(1, 300), st.integers(1, 100)
)
def test_a_picture_fits_and_fills_one_side(size: tuple[int, int], columns: int, rows: int) -> None:
    width, height = fitting(size, columns, rows)
    assert 1 <= width <= columns
    assert 2 <= height <= 2 * rows
    assert height % 2 == 0
    assert width == columns or height == 2 * rows


def test_each_pixel_has_its_colour() -> None:
    rgb = bytes((1, 2, 3, 40, 50, 60, 7, 8, 9, 10, 11, 12))
    (line,) = half_blocks(2, rgb)
    assert line.plain == "\u2580\u2580"
    first, second = (span.style for span in line.spans)
    assert (first.color, first.bgcolor) == (Color.from_rgb(1, 2, 3), Color.from_rgb(7, 8, 9))
    assert (second.color, second.bgcolor) == (
        Color.from_rgb(40, 50, 60),
        Color.from_rgb(10, 11, 12),
    )
