"""Pictures on a terminal: two pixels to a character, one above the other."""

from __future__ import annotations

from functools import lru_cache

from rich.color import Color
from rich.style import Style
from rich.text import Text

_UPPER_HALF = "\u2580"


def fitting(size: tuple[int, int], columns: int, rows: int) -> tuple[int, int]:
    """Return how many pixels wide and high a picture is that fits, as large as it can be.

    It has an even number of rows of pixels. A character is taken to be twice as high as wide.
    """
    width, height = size
    factor = min(columns / width, 2 * rows / height)
    high = max(round(height * factor), 1)
    return max(round(width * factor), 1), min(high + high % 2, max(2 * rows, 2))


def half_blocks(width: int, rgb: bytes) -> list[Text]:
    """Return a picture as lines; `rgb` are its pixels by row, three bytes each, in even rows."""
    stride = 3 * width
    lines = []
    for top in range(0, len(rgb), 2 * stride):
        upper, lower = rgb[top : top + stride], rgb[top + stride : top + 2 * stride]
        line = Text(no_wrap=True, end="")
        for at in range(0, stride, 3):
            line.append(_UPPER_HALF, _style(upper[at : at + 3], lower[at : at + 3]))
        lines.append(line)
    return lines


@lru_cache(1 << 12)
def _style(upper: bytes, lower: bytes) -> Style:
    return Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))
